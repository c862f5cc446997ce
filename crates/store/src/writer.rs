//! The one connection that writes, and the thread that commits in groups.

use crate::StoreError;
use crate::apply::{Applier, last_change};
use crate::backup::Copier;
use crate::columns::{self, PEERS, peer_id};
use crate::key::DatabaseKey;
use crate::transfers;
use hallway_model::{Added, Snapshot, StorageFault, Write};
use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tracing::warn;

/// Writes that are committed as one group. More gain little, and the first of them waits longer.
const GROUP_WRITES_MAX: usize = 512;

/// Nothing to write for this long is a quiet moment.
const QUIET: Duration = Duration::from_secs(2);

pub(crate) const UNDELIVERED: &str = "SELECT i.id FROM ids i WHERE EXISTS
     (SELECT 1 FROM messages m WHERE m.conversation = i.n AND m.delivery = 0)";

/// Writes that are applied together or not at all.
#[derive(Clone, Debug)]
pub struct Request {
    /// Comes back in the [`Completion`].
    pub token: u64,
    /// Rises each time the engine has noticed a failure. See [`Writer::run`].
    pub epoch: u64,
    /// What to write.
    pub writes: Vec<Write>,
}

/// What became of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// That of the request.
    pub token: u64,
    /// One [`Added`] for each [`Write::Message`], in order; durable. Or why nothing was kept.
    pub result: Result<Vec<Added>, StorageFault>,
}

/// The one connection that writes. It belongs to one thread; its calls block on the disk.
pub struct Writer {
    connection: Connection,
    copier: Copier,
}

impl Writer {
    /// Takes over a connection made for [`crate::connection::Access::Write`].
    pub(crate) fn new(connection: Connection, path: &Path, key: &DatabaseKey) -> Self {
        let copier = Copier::new(path, key);
        Self { connection, copier }
    }

    /// All the engine needs to start.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let moment = self.connection.unchecked_transaction()?;
        let mut peers = moment.prepare(PEERS)?;
        let mut undelivered = moment.prepare(UNDELIVERED)?;
        let mut settings = moment.prepare("SELECT name, value FROM settings")?;
        Ok(Snapshot {
            peers: peers
                .query_map([], columns::peer)?
                .collect::<Result<_, _>>()?,
            undelivered: undelivered
                .query_map([], |row| peer_id(row, 0))?
                .collect::<Result<_, _>>()?,
            settings: settings
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?,
            transfers: transfers::load(&moment)?,
            last_change: last_change(&moment)?.unsigned_abs(),
        })
    }

    /// Applies the requests as one transaction, all or nothing. Returns, for each request, one
    /// [`Added`] for each of its [`Write::Message`], in order; they are durable then.
    pub fn commit(&mut self, requests: &[&[Write]]) -> Result<Vec<Vec<Added>>, StorageFault> {
        let added = apply_all(&mut self.connection, requests).map_err(|error| fault(&error))?;
        let forgets = |write: &Write| matches!(write, Write::ForgetPeer(_));
        let someone_forgotten = requests.iter().copied().flatten().any(forgets);
        self.copier.handle_written(someone_forgotten);
        Ok(added)
    }

    /// Commits what has queued as one group, again and again, until all senders are gone. `done`
    /// is told of each request, in order.
    ///
    /// Messages must keep their order, so a failure stops the line: every request whose epoch is
    /// not above that of the failed group is answered with the same fault without being tried.
    pub fn run(mut self, requests: Receiver<Request>, mut done: impl FnMut(Completion) + Send) {
        let mut failure = None;
        let mut busy = false;
        loop {
            let first = match busy {
                true => requests.recv_timeout(QUIET),
                false => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match first {
                Ok(first) => {
                    let group = gather(first, &requests);
                    self.commit_group(group, &mut failure, &mut done);
                    self.copier.poll(false);
                    busy = true;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.copier.poll(true);
                    // What is not needed any more goes back to the system.
                    let released = self.connection.release_memory();
                    busy = released.is_err() || self.copier.is_copying();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // A reader may still hold the log; then it stays for the next start.
        let checkpoint = self
            .connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = checkpoint {
            warn!(%error, "the log of the database stays for the next start");
        }
        self.copier.finish();
    }

    /// Refuses the requests that stand behind a failure and commits the others.
    fn commit_group(
        &mut self,
        mut group: Vec<Request>,
        failure: &mut Option<Failure>,
        done: &mut impl FnMut(Completion),
    ) {
        if let Some(Failure { epoch, fault }) = failure {
            group.retain(|request| {
                let behind = request.epoch <= *epoch;
                if behind {
                    done(Completion {
                        token: request.token,
                        result: Err(*fault),
                    });
                }
                !behind
            });
        }
        let Some(epoch) = group.iter().map(|request| request.epoch).max() else {
            return;
        };
        let writes: Vec<&[Write]> = group.iter().map(|request| &*request.writes).collect();
        let results: Vec<Result<Vec<Added>, StorageFault>> = match self.commit(&writes) {
            Ok(added) => added.into_iter().map(Ok).collect(),
            Err(fault) => {
                *failure = Some(Failure { epoch, fault });
                vec![Err(fault); group.len()]
            }
        };
        for (request, result) in group.into_iter().zip(results) {
            done(Completion {
                token: request.token,
                result,
            });
        }
    }
}

/// The last group that was refused.
struct Failure {
    epoch: u64,
    fault: StorageFault,
}

fn gather(first: Request, requests: &Receiver<Request>) -> Vec<Request> {
    let mut writes = first.writes.len();
    let mut group = vec![first];
    while writes < GROUP_WRITES_MAX
        && let Ok(next) = requests.try_recv()
    {
        writes += next.writes.len();
        group.push(next);
    }
    group
}

fn apply_all(
    connection: &mut Connection,
    requests: &[&[Write]],
) -> rusqlite::Result<Vec<Vec<Added>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut applier = Applier::new(&transaction)?;
    let mut all = Vec::with_capacity(requests.len());
    for request in requests {
        let mut added = Vec::new();
        for write in *request {
            added.extend(applier.apply(write)?);
        }
        all.push(added);
    }
    applier.finish()?;
    transaction.commit()?;
    Ok(all)
}

/// What a failed write means for whoever asked for it. The log gets the details, which contain no
/// text of a message.
fn fault(error: &rusqlite::Error) -> StorageFault {
    warn!(%error, "the database took nothing of a group of writes");
    let full = error.sqlite_error().is_some_and(|error| {
        // The second: no room for the index of the log.
        error.code == ErrorCode::DiskFull || error.extended_code == ffi::SQLITE_IOERR_SHMSIZE
    });
    if full {
        StorageFault::Full
    } else {
        StorageFault::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open;
    use hallway_model::{Body, ConversationId, Delivery, Message, MessageId, PeerId, WallTime};

    fn message(seq: u8) -> Write {
        Write::Message(Box::new(Message {
            id: MessageId([seq; 16]),
            conversation: ConversationId::Peer(PeerId([2; 32])),
            author: PeerId([2; 32]),
            seq: seq.into(),
            at: WallTime(0),
            body: Body::Text {
                text: "x".repeat(9000),
                reply_to: None,
            },
            raw: None,
            delivery: Delivery::Delivered,
        }))
    }

    #[test]
    fn a_full_database_says_so_and_takes_more_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let key = DatabaseKey::new([9; 32]);
        let (mut writer, reader) = open(&folder.path().join("hallway.db"), &key).unwrap();
        let limit = |writer: &Writer, pages: u32| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            writer.connection.query_row(&sql, [], |_| Ok(())).unwrap();
        };
        writer.commit(&[&[message(1)]]).unwrap();
        limit(&writer, 1);
        let group: [&[Write]; 2] = [&[message(2)], &[message(3), message(4)]];
        assert_eq!(writer.commit(&group), Err(StorageFault::Full));
        let unread = || reader.unread(&PeerId([2; 32]), 0).unwrap();
        assert_eq!(unread(), 1);
        limit(&writer, u32::MAX - 1);
        let added = writer.commit(&group).unwrap();
        assert_eq!(added.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(unread(), 4);
    }

    #[test]
    fn a_group_ends_at_its_limit() {
        let (sender, requests) = std::sync::mpsc::channel();
        let request = |writes| Request {
            token: 0,
            epoch: 0,
            writes: vec![Write::Setting("a", String::new()); writes],
        };
        for _ in 0..GROUP_WRITES_MAX + 1 {
            sender.send(request(1)).unwrap();
        }
        assert_eq!(gather(request(1), &requests).len(), GROUP_WRITES_MAX);
        assert_eq!(gather(requests.recv().unwrap(), &requests).len(), 1 + 1);
        // A large request is one group, and none is ever split.
        sender.send(request(1)).unwrap();
        assert_eq!(gather(request(GROUP_WRITES_MAX), &requests).len(), 1);
    }

    #[test]
    fn the_disk_is_told_from_the_database() {
        let error = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(fault(&error(ffi::SQLITE_FULL)), StorageFault::Full);
        assert_eq!(fault(&error(ffi::SQLITE_IOERR_SHMSIZE)), StorageFault::Full);
        assert_eq!(fault(&error(ffi::SQLITE_CORRUPT)), StorageFault::Failed);
        assert_eq!(fault(&error(ffi::SQLITE_NOTADB)), StorageFault::Failed);
        assert_eq!(fault(&error(ffi::SQLITE_IOERR_WRITE)), StorageFault::Failed);
    }
}
