//! History, search, outbox and export, from any thread.

use crate::apply::number_of;
use crate::columns::{conversation_bytes, limit_to_column, number, to_column};
use crate::export;
use crate::key::DatabaseKey;
use crate::pool::Pool;
use crate::segment::Query;
use crate::stored::{self, select};
use crate::{StoreError, StoredMessage};
use hallway_model::{ConversationId, Message, MessageId, PeerId, WallTime};
use rusqlite::{Connection, params};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How many messages that may not match are looked at before the words are looked up whole: as
/// long as that takes for a common word.
const CANDIDATES_MAX: usize = 300;

pub(crate) const PAGE: &str =
    "WHERE m.conversation = ?1 AND m.kind <= 2 AND m.row < ?2 ORDER BY m.row DESC LIMIT ?3";
pub(crate) const PAGE_AFTER: &str =
    "WHERE m.conversation = ?1 AND m.kind <= 2 AND m.row > ?2 ORDER BY m.row LIMIT ?3";
pub(crate) const SINCE: &str = "WHERE m.conversation = ?1 AND m.kind <= 2 AND m.at >= ?2 \
     ORDER BY m.at DESC, m.row DESC LIMIT ?3";
pub(crate) const FIRST_FROM: &str = "WHERE m.conversation = ?1 AND m.kind <= 2 AND m.at >= ?2 \
     ORDER BY m.at, m.row LIMIT 1";
pub(crate) const BY_ROW: &str = "WHERE m.row = ?1";
pub(crate) const BY_ID: &str = "WHERE m.id = ?1";
pub(crate) const BY_AUTHOR: &str = "WHERE m.id = ?1 AND m.author = ?2";
pub(crate) const CHANGES: &str = "WHERE m.kind <= 2 AND m.change > ?1 ORDER BY m.change LIMIT ?2";
pub(crate) const OUTBOX: &str =
    "WHERE m.conversation = ?1 AND m.delivery = 0 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3";
pub(crate) const QUEUED: &str = "SELECT count(*) FROM messages WHERE delivery = 0";
pub(crate) const CANDIDATES: &str = "SELECT m.row, m.text FROM search \
     CROSS JOIN messages m ON m.row = search.rowid \
     WHERE search MATCH ?1 ORDER BY search.rowid DESC";
pub(crate) const UNREAD: &str = "SELECT count(*) FROM messages \
     WHERE conversation = ?1 AND author = ?1 AND kind IN (0, 1, 2) AND seq > ?2 \
     AND (kind > 0 OR extra % 16 IN (1, 3, 4))";
pub(crate) const CALLS: &str = "WHERE m.kind = 0 ORDER BY m.row DESC LIMIT ?1";
pub(crate) const NEWEST: &str = "SELECT i.n, (SELECT max(row) FROM messages \
     WHERE conversation = i.n AND kind <= 2) AS newest, p.read_by_us \
     FROM ids i LEFT JOIN peers p ON p.n = i.n WHERE newest IS NOT NULL ORDER BY newest DESC";

/// Reads the database while the [`crate::Writer`] writes. Cheap to clone, shared by threads; its
/// calls block on the disk.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

/// One line of the list of conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub conversation: ConversationId,
    /// Messages of the peer not shown to the person yet.
    pub unread: u64,
    /// The newest message.
    pub last: StoredMessage,
}

impl Reader {
    pub(crate) fn new(path: &Path, key: &DatabaseKey) -> Self {
        Self {
            pool: Arc::new(Pool::new(path.to_owned(), key.clone())),
        }
    }

    /// The newest `limit` messages that stand before the row `before` (or at all), oldest first.
    pub fn page(
        &self,
        conversation: &ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let before = to_column(before.unwrap_or(u64::MAX));
        self.in_conversation(conversation, |connection, n| {
            let limit = limit_to_column(limit);
            Ok(reversed(select(
                connection,
                PAGE,
                params![n, before, limit],
            )?))
        })
    }

    /// The oldest `limit` messages that stand after the row `after`, oldest first.
    pub fn page_after(
        &self,
        conversation: &ConversationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        self.in_conversation(conversation, |connection, n| {
            let params = params![n, to_column(after), limit_to_column(limit)];
            Ok(select(connection, PAGE_AFTER, params)?)
        })
    }

    /// Of the messages their authors dated `since` or later the latest `limit`, oldest first.
    pub fn since(
        &self,
        conversation: &ConversationId,
        since: WallTime,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        self.in_conversation(conversation, |connection, n| {
            let params = params![n, to_column(since.0), limit_to_column(limit)];
            let mut messages = select(connection, SINCE, params)?;
            messages.sort_unstable_by_key(|stored| stored.row);
            Ok(messages)
        })
    }

    /// The row of the first message that its author dated `at` or later.
    pub fn first_from(
        &self,
        conversation: &ConversationId,
        at: WallTime,
    ) -> Result<Option<u64>, StoreError> {
        let found = self.in_conversation(conversation, |connection, n| {
            Ok(select(connection, FIRST_FROM, params![n, to_column(at.0)])?)
        })?;
        Ok(found.first().map(|stored| stored.row))
    }

    /// The records of the newest `limit` calls, oldest first.
    pub fn calls(&self, limit: usize) -> Result<Vec<StoredMessage>, StoreError> {
        let limit = limit_to_column(limit);
        self.pool
            .read(|connection| Ok(reversed(select(connection, CALLS, [limit])?)))
    }

    /// The newest `limit` messages that contain every word of the query, oldest first: Chinese,
    /// Japanese, Korean and Thai anywhere, other scripts from the start of a word. A query
    /// without any letter or digit finds nothing.
    pub fn search(
        &self,
        query: &str,
        conversation: Option<&ConversationId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let query = Query::new(query);
        if query.is_empty() {
            return Ok(Vec::new());
        }
        self.pool.read(|connection| {
            let within = match conversation {
                None => None,
                Some(id) => match number_of(connection, conversation_bytes(id))? {
                    None => return Ok(Vec::new()),
                    Some(n) => Some(n),
                },
            };
            let mut messages = Vec::new();
            for row in search_rows(connection, &query, within, limit)? {
                messages.extend(select(connection, BY_ROW, [row])?);
            }
            Ok(reversed(messages))
        })
    }

    /// One message of any kind, of this author or of any.
    pub fn message(
        &self,
        author: Option<&PeerId>,
        id: &MessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        self.pool.read(|connection| {
            let found = match author {
                None => select(connection, BY_ID, [id.0])?,
                Some(author) => match number_of(connection, &author.0)? {
                    None => Vec::new(),
                    Some(n) => select(connection, BY_AUTHOR, params![id.0, n])?,
                },
            };
            Ok(found.into_iter().min_by_key(|stored| stored.row))
        })
    }

    /// Messages whose last change is after `change`, in the order of these changes, at most
    /// `limit`.
    pub fn changes_since(
        &self,
        change: u64,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let params = params![to_column(change), limit_to_column(limit)];
        self.pool
            .read(|connection| Ok(select(connection, CHANGES, params)?))
    }

    /// Our messages to this peer that were not delivered yet, with a sequence number above
    /// `after_seq`, ascending, at most `limit`. An edited text comes as it is now; what was taken
    /// back before it was delivered is not among them.
    pub fn outbox(
        &self,
        peer: &PeerId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.in_conversation(&ConversationId::Peer(*peer), |connection, n| {
            let params = params![n, to_column(after_seq), limit_to_column(limit)];
            let waiting = connection
                .prepare_cached(&stored::sql(OUTBOX))?
                .query_map(params, stored::from_row)?
                .map(|stored| stored.map(|stored| stored.message))
                .collect::<Result<_, _>>()?;
            Ok(waiting)
        })
    }

    /// How many messages of ours, to whomever, were not delivered yet.
    pub fn queued(&self) -> Result<u64, StoreError> {
        self.pool.read(|connection| {
            let mut statement = connection.prepare_cached(QUEUED)?;
            let queued: i64 = statement.query_row([], |row| row.get(0))?;
            Ok(queued.unsigned_abs())
        })
    }

    /// How many messages of this peer have a sequence number above `read_by_us`.
    pub fn unread(&self, peer: &PeerId, read_by_us: u64) -> Result<u64, StoreError> {
        self.pool
            .read(|connection| match number_of(connection, &peer.0)? {
                None => Ok(0),
                Some(n) => unread(connection, n, read_by_us),
            })
    }

    /// Every conversation that has messages, the one with the newest message first.
    pub fn summaries(&self) -> Result<Vec<Summary>, StoreError> {
        self.pool.read(|connection| {
            let mut statement = connection.prepare_cached(NEWEST)?;
            let mut rows = statement.query([])?;
            let mut summaries = Vec::new();
            while let Some(row) = rows.next()? {
                let (n, newest): (i64, i64) = (row.get(0)?, row.get(1)?);
                let read_by_us = row.get::<_, Option<i64>>(2)?.unwrap_or(0);
                for last in select(connection, BY_ROW, [newest])? {
                    summaries.push(Summary {
                        conversation: last.message.conversation,
                        unread: unread(connection, n, read_by_us.unsigned_abs())?,
                        last,
                    });
                }
            }
            Ok(summaries)
        })
    }

    /// Writes everything a person would want back as JSON Lines: first what it is, then a line
    /// for each peer and each message. Returns the number of lines.
    pub fn export(&self, out: &mut dyn io::Write) -> Result<u64, StoreError> {
        // It takes long, and others must not wait for it.
        export::write(&self.pool.connect()?, out)
    }

    /// Reads by the number of a conversation; where there is none, there is nothing.
    fn in_conversation<T>(
        &self,
        conversation: &ConversationId,
        read: impl FnOnce(&Connection, i64) -> Result<Vec<T>, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.pool.read(|connection| {
            match number_of(connection, conversation_bytes(conversation))? {
                None => Ok(Vec::new()),
                Some(n) => read(connection, n),
            }
        })
    }
}

fn reversed<T>(mut newest_first: Vec<T>) -> Vec<T> {
    newest_first.reverse();
    newest_first
}

fn unread(connection: &Connection, n: i64, read_by_us: u64) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(UNREAD)?;
    let count = statement.query_row(params![n, to_column(read_by_us)], |row| number(row, 0))?;
    Ok(count)
}

/// The rows that match, newest first. A common word is found among the newest messages with its
/// first letters; a rare one by looking it up whole. Each way is slow for what the other is for.
fn search_rows(
    connection: &Connection,
    query: &Query,
    conversation: Option<i64>,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let (by_heads, exact) = query.by_heads(conversation);
    let candidates_max = if exact {
        usize::MAX
    } else {
        CANDIDATES_MAX.max(limit)
    };
    match matching(connection, query, &by_heads, limit, candidates_max)? {
        Some(rows) => Ok(rows),
        None => {
            let by_words = query.by_words(conversation);
            let rows = matching(connection, query, &by_words, limit, usize::MAX)?;
            Ok(rows.unwrap_or_default())
        }
    }
}

/// The newest `limit` rows that match; `None` when too many were looked at for that.
fn matching(
    connection: &Connection,
    query: &Query,
    expression: &str,
    limit: usize,
    candidates_max: usize,
) -> Result<Option<Vec<i64>>, StoreError> {
    let mut statement = connection.prepare_cached(CANDIDATES)?;
    let mut candidates = statement.query([expression])?;
    let mut rows = Vec::new();
    let mut seen = 0;
    while rows.len() < limit {
        let Some(candidate) = candidates.next()? else {
            return Ok(Some(rows));
        };
        if seen == candidates_max {
            return Ok(None);
        }
        seen += 1;
        let text: Option<String> = candidate.get(1)?;
        if text.is_some_and(|text| query.matches(&text)) {
            rows.push(candidate.get(0)?);
        }
    }
    Ok(Some(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Access, connect};
    use crate::{apply, export, writer};

    /// Every statement that may run on a million messages finds its rows by an index and in order.
    #[test]
    fn nothing_scans_or_sorts() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let _store = crate::open(&path, &key).unwrap();
        let connection = connect(&path, &key, &Access::Read).unwrap();
        let of_messages = [
            PAGE, PAGE_AFTER, SINCE, FIRST_FROM, BY_ROW, BY_ID, BY_AUTHOR, CHANGES, OUTBOX,
        ];
        let mut statements: Vec<String> =
            of_messages.iter().map(|rest| stored::sql(rest)).collect();
        let whole = [CANDIDATES, UNREAD];
        let updates = [apply::DELIVER, apply::WIPE_EDITS, apply::FORGET_MESSAGES];
        statements.extend(whole.iter().chain(&updates).map(|sql| (*sql).to_owned()));
        for sql in &statements {
            let plan = plan(&connection, sql);
            assert!(
                plan.contains("SEARCH") || plan.contains("VIRTUAL TABLE INDEX"),
                "{sql}: {plan}"
            );
            let scans = plan.replace("SCAN search VIRTUAL TABLE INDEX", "");
            assert!(
                !scans.contains("SCAN") && !scans.contains("TEMP B-TREE"),
                "{sql}: {plan}"
            );
        }
        // These sort what is about one message.
        for sql in [stored::REACTIONS, stored::QUOTE, apply::TARGET] {
            let plan = plan(&connection, sql);
            assert!(!plan.contains("SCAN"), "{sql}: {plan}");
        }
        // These go over all peers, or over all messages or calls in their order, and
        // nothing else.
        for (sql, scanned) in [
            (NEWEST.to_owned(), "SCAN i"),
            (writer::UNDELIVERED.to_owned(), "SCAN i"),
            (stored::sql(export::MESSAGES), "SCAN m"),
            (stored::sql(CALLS), "SCAN m USING INDEX messages_of_calls"),
            (
                QUEUED.to_owned(),
                "SCAN messages USING COVERING INDEX outbox",
            ),
        ] {
            let plan = plan(&connection, &sql);
            assert_eq!(plan.matches("SCAN").count(), 1, "{sql}: {plan}");
            assert!(plan.contains(scanned), "{sql}: {plan}");
        }
        // The test would notice.
        let scan = plan(
            &connection,
            "SELECT text FROM messages WHERE text = 'x' ORDER BY seq",
        );
        assert!(
            scan.contains("SCAN") && scan.contains("TEMP B-TREE"),
            "{scan}"
        );
    }

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        for parameter in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(parameter, "1").unwrap();
        }
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push_str(&row.get::<_, String>(3).unwrap());
            plan.push_str("; ");
        }
        plan
    }
}
