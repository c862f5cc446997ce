//! Files that a browser hands over: kept in a folder of the node's home for as long as their
//! transfers need them.
//!
//! Each is in a folder of its own, so that it keeps its name. The folder is locked while it is
//! being filled and offered, which no crash outlives: whatever is neither locked nor needed by a
//! transfer is removed, at the start and whenever a transfer ends. Pictures that have arrived stay
//! for their sender to look at, who may have no other copy: the latest, within limits.

use super::{Result, ask, off_the_reactor, unexpected};
use crate::problem::ProblemView;
use axum::body::{Body, Bytes};
use hallway_model::{
    Answer, Command, Event, EventKind, Problem, Refusal, TransferAct, TransferState, TransferView,
};
use hallway_node::Handle;
use hallway_node::home::Home;
use http_body_util::BodyExt;
use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// Pieces between the connection and the disk, at some hundred KiB each.
const PIECES_WAITING: usize = 8;
/// Room that is left to others on the disk.
const ROOM_LEFT_BYTES: u64 = 64 << 20;
/// How much is written between two looks at the room: less than what is left to others.
const ROOM_CHECK_BYTES: u64 = 16 << 20;
/// Silence after which an upload counts as given up: a page that is still there sends at once.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// An offer that nobody has answered for so long is taken back with its file.
const AGE_MAX: Duration = Duration::from_hours(24 * 30);
/// Pictures that stay after they have arrived: more than anybody looks back at in a talk, and while
/// they are looked through each needs a file descriptor, of which a node may have 1,024.
const PICTURES_MAX: usize = 200;
/// Room that they may take together: some hundred photos as cameras make them.
const PICTURES_BYTES_MAX: u64 = 512 << 20;
/// None stays on a disk with less room than that.
const PICTURES_ROOM_BYTES: u64 = 1 << 30;
/// How often age alone is looked at.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Where uploads are.
fn spool_of(home: &Home) -> PathBuf {
    home.path().join("uploads")
}

/// One file on its way in, or in and not yet offered. Dropped, it is gone.
pub(super) struct Upload {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    kept: bool,
    /// Held for as long as nobody may remove the folder.
    _lock: File,
}

impl Upload {
    fn begin(spool: &Path, name: &str) -> io::Result<Self> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        private.recursive(true).create(spool)?;
        let all = File::open(spool)?;
        // Between being made and being locked nobody may find it.
        all.lock()?;
        let mut number = [0; 16];
        getrandom::fill(&mut number).map_err(io::Error::other)?;
        let folder = spool.join(hex::encode(number));
        private.recursive(false).create(&folder)?;
        let lock = File::open(&folder)?;
        lock.lock()?;
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = file.inspect_err(|_| {
            // The reason for the failure is the one to report.
            let _ = fs::remove_dir(&folder);
        })?;
        Ok(Self {
            folder,
            path,
            file,
            kept: false,
            _lock: lock,
        })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A transfer needs it from now on.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, "an upload that was given up stays for now");
        }
    }
}

/// What the thread at the disk is told.
enum Piece {
    Bytes(Bytes),
    /// That was all of it: an upload that breaks off never says so.
    End,
}

/// Takes a body to the disk as it comes, under this name.
pub(super) async fn receive(home: &Home, name: String, body: Body) -> Result<Upload> {
    receive_within(spool_of(home), name, body, SILENCE_MAX, room).await
}

async fn receive_within(
    spool: PathBuf,
    name: String,
    mut body: Body,
    silence: Duration,
    room: impl Fn(&Path) -> io::Result<u64> + Send + 'static,
) -> Result<Upload> {
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
    let writing = off_the_reactor(move || write(&spool, &name, announced, waiting, room));
    let sending = async move {
        loop {
            let frame = tokio::time::timeout(silence, body.frame()).await;
            let piece = match frame.map_err(|_| ProblemView::too_slow(silence))? {
                None => Piece::End,
                Some(Ok(frame)) => Piece::Bytes(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => {
                    let detail = format!("the upload broke off: {error}");
                    return Err(ProblemView::bad_request(detail));
                }
            };
            let last = matches!(piece, Piece::End);
            // Whoever writes has failed otherwise, and says why.
            if pieces.send(piece).await.is_err() || last {
                return Ok(());
            }
        }
    };
    tokio::pin!(writing);
    let sent = tokio::select! {
        // The disk has refused it: nobody needs to send the rest.
        written = &mut writing => return written,
        sent = sending => sent,
    };
    let written = writing.await;
    sent?;
    written
}

fn write(
    spool: &Path,
    name: &str,
    announced: u64,
    mut waiting: mpsc::Receiver<Piece>,
    room: impl Fn(&Path) -> io::Result<u64>,
) -> Result<Upload> {
    let mut upload = Upload::begin(spool, name).map_err(disk)?;
    let has_room = |bytes: u64| -> Result<()> {
        match room(spool).map_err(disk)?.checked_sub(bytes) {
            Some(left) if left >= ROOM_LEFT_BYTES => Ok(()),
            _ => Err(disk(io::ErrorKind::StorageFull.into())),
        }
    };
    has_room(announced)?;
    let mut unchecked = 0;
    loop {
        match waiting.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                upload.file.write_all(&bytes).map_err(disk)?;
                unchecked += bytes.len() as u64;
                if unchecked >= ROOM_CHECK_BYTES {
                    has_room(0)?;
                    unchecked = 0;
                }
            }
            Some(Piece::End) => break,
            None => return Err(ProblemView::bad_request("the upload broke off")),
        }
    }
    // An offer is durable, so what it offers has to be.
    upload.file.sync_all().map_err(disk)?;
    Ok(upload)
}

fn room(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn disk(error: io::Error) -> ProblemView {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let detail = if full.contains(&error.kind()) {
        "there is no room for it on this computer's disk; free some space, or use `hallway send \
         --file`, which needs none"
            .to_owned()
    } else {
        format!("the file could not be kept on this computer: {error}")
    };
    ProblemView::refused(&Refusal::new(Problem::Storage, detail))
}

/// Removes what is not needed any more, until the node stops.
pub(super) async fn tend(node: Handle, home: Home) {
    let spool = spool_of(&home);
    let mut events = node.events();
    loop {
        if let Err(problem) = sweep(&node, &spool, SystemTime::now()).await {
            tracing::debug!(why = %problem.detail, "uploads were not swept");
        }
        let ended = async {
            loop {
                match events.recv().await {
                    Ok(event) if !ends_upload(&event, &spool) => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                }
            }
        };
        tokio::select! {
            more = ended => if !more { return },
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = node.stopping() => return,
        }
    }
}

fn ends_upload(event: &Event, spool: &Path) -> bool {
    let EventKind::Transfer { transfer } = &event.kind else {
        return false;
    };
    let path = transfer.path.as_deref();
    transfer.state.is_over() && path.is_some_and(|path| path.starts_with(spool))
}

/// A folder of the spool that nobody fills or offers now, and keeps locked.
struct Idle {
    folder: PathBuf,
    modified: Option<SystemTime>,
    _lock: File,
}

async fn sweep(node: &Handle, spool: &Path, now: SystemTime) -> Result<()> {
    let listed = spool.to_owned();
    let idle = off_the_reactor(move || idle_in(&listed).map_err(disk)).await?;
    if idle.is_empty() {
        return Ok(());
    }
    // What was offered before its lock was free is among these.
    let Answer::Transfers(transfers) = ask(node, Command::Transfers).await? else {
        return Err(unexpected());
    };
    let (mut pictures, mut needless) = (Vec::new(), Vec::new());
    for upload in idle {
        let of_it = |transfer: &&TransferView| {
            let path = transfer.path.as_deref();
            path.is_some_and(|path| path.starts_with(&upload.folder))
        };
        let (over, open): (Vec<_>, Vec<_>) = transfers
            .iter()
            .filter(of_it)
            .partition(|transfer| transfer.state.is_over());
        if open.is_empty() {
            let arrived = |transfer: &&TransferView| transfer.state == TransferState::Done;
            match over.into_iter().find(arrived) {
                Some(transfer) if transfer.file.thumbnail => pictures.push((upload, transfer)),
                _ => needless.push(upload),
            }
        } else if is_old(upload.modified, now) {
            for transfer in open {
                let (id, act) = (transfer.id.clone(), TransferAct::Cancel);
                ask(node, Command::Transfer { id, act }).await?;
            }
        }
    }
    let pictures: Vec<_> = pictures
        .into_iter()
        .map(|(upload, transfer)| (upload, transfer.id.clone(), transfer.file.bytes))
        .collect();
    let (node, spool) = (node.clone(), spool.to_owned());
    off_the_reactor(move || {
        let bytes_max = match room(&spool).map_err(disk)? {
            PICTURES_ROOM_BYTES.. => PICTURES_BYTES_MAX,
            _ => 0,
        };
        let stays = |id: &str| {
            let id = id.parse().ok();
            let found = id.and_then(|id| node.reader().message(None, &id).ok()?);
            found.is_some_and(|found| !found.deleted)
        };
        needless.extend(beyond(pictures, bytes_max, stays));
        for upload in needless {
            fs::remove_dir_all(&upload.folder).map_err(disk)?;
        }
        Ok(())
    })
    .await
}

/// Which of the pictures that have arrived do not stay. Each comes with its transfer, of which
/// `stays` says whether it is still to be seen in a talk, and its size.
fn beyond(
    mut pictures: Vec<(Idle, String, u64)>,
    bytes_max: u64,
    stays: impl Fn(&str) -> bool,
) -> Vec<Idle> {
    pictures.sort_by_key(|(upload, ..)| Reverse(upload.modified));
    let (mut count, mut bytes_left) = (0, bytes_max);
    let mut beyond = Vec::new();
    for (upload, id, bytes) in pictures {
        match bytes_left.checked_sub(bytes) {
            Some(left) if count < PICTURES_MAX && stays(&id) => {
                (count, bytes_left) = (count + 1, left);
            }
            _ => beyond.push(upload),
        }
    }
    beyond
}

/// A clock that was set back makes nothing old.
fn is_old(modified: Option<SystemTime>, now: SystemTime) -> bool {
    let age = modified.and_then(|at| now.duration_since(at).ok());
    age.is_some_and(|age| age > AGE_MAX)
}

fn idle_in(spool: &Path) -> io::Result<Vec<Idle>> {
    let all = match File::open(spool) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    all.lock()?;
    let mut idle = Vec::new();
    for entry in fs::read_dir(spool)? {
        let entry = entry?;
        if !is_ours(&entry.file_name()) {
            continue;
        }
        let (folder, lock) = (entry.path(), File::open(entry.path())?);
        if lock.try_lock().is_ok() {
            let modified = entry.metadata()?.modified().ok();
            idle.push(Idle {
                folder,
                modified,
                _lock: lock,
            });
        }
    }
    Ok(idle)
}

fn is_ours(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == 32 && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::{self, StreamExt};
    use std::os::unix::fs::PermissionsExt;

    const LONG: Duration = Duration::from_mins(10);

    fn entries(spool: &Path) -> usize {
        fs::read_dir(spool).map_or(0, Iterator::count)
    }

    fn pieces(count: usize, bytes: usize) -> Body {
        let piece = Bytes::from(vec![7; bytes]);
        let pieces = (0..count).map(move |_| Ok::<_, io::Error>(piece.clone()));
        Body::from_stream(stream::iter(pieces))
    }

    async fn receive_with(spool: &Path, body: Body, room: u64) -> Result<Upload> {
        let (spool, name) = (spool.to_owned(), "x.bin".to_owned());
        receive_within(spool, name, body, LONG, move |_| Ok(room)).await
    }

    #[tokio::test]
    async fn an_upload_is_private_and_gone_unless_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("spool");
        let upload = receive_with(&spool, pieces(3, 1000), u64::MAX)
            .await
            .unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(fs::read(upload.path()).unwrap(), [7; 3000]);
        assert_eq!(
            (mode(upload.path()), mode(&upload.folder), mode(&spool)),
            (0o600, 0o700, 0o700)
        );
        drop(upload);
        assert_eq!(entries(&spool), 0);
        let mut upload = receive_with(&spool, Body::empty(), u64::MAX).await.unwrap();
        upload.keep();
        drop(upload);
        assert_eq!(entries(&spool), 1);
    }

    #[tokio::test]
    async fn what_is_being_filled_is_not_swept() {
        let dir = tempfile::tempdir().unwrap();
        let upload = Upload::begin(dir.path(), "x").unwrap();
        assert_eq!(idle_in(dir.path()).unwrap().len(), 0);
        let folder = upload.folder.clone();
        // As after a crash: the lock is gone and the folder is there.
        let mut upload = upload;
        upload.keep();
        drop(upload);
        let idle = idle_in(dir.path()).unwrap();
        assert_eq!(
            idle.iter().map(|idle| &idle.folder).collect::<Vec<_>>(),
            [&folder]
        );
        // Nothing else in there is ours to remove.
        fs::create_dir(dir.path().join("notes")).unwrap();
        assert_eq!(idle_in(dir.path()).unwrap().len(), 0);
        drop(idle);
        assert_eq!(idle_in(dir.path()).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_upload_that_breaks_off_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let broken = stream::iter([
            Ok(Bytes::from_static(b"half")),
            Err(io::Error::other("gone")),
        ]);
        let refused = receive_with(dir.path(), Body::from_stream(broken), u64::MAX).await;
        assert_eq!(refused.err().unwrap().status, 400);
        assert_eq!(entries(dir.path()), 0);
    }

    #[tokio::test]
    async fn an_upload_that_stalls_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"half"))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let (spool, name) = (dir.path().to_owned(), "x".to_owned());
        let silence = Duration::from_millis(20);
        let refused = receive_within(spool, name, body, silence, |_| Ok(u64::MAX)).await;
        let refused = refused.err().unwrap();
        assert_eq!((refused.status, &*refused.code), (408, "too_slow"));
        assert_eq!(entries(dir.path()), 0);
    }

    #[tokio::test]
    async fn an_upload_takes_no_more_than_the_room_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let of = async |announced: usize, room| {
            let body = Body::from(vec![0; announced]);
            receive_with(dir.path(), body, room)
                .await
                .map(drop)
                .map_err(|problem| problem.status)
        };
        assert_eq!(of(100, ROOM_LEFT_BYTES + 100).await, Ok(()));
        assert_eq!(of(101, ROOM_LEFT_BYTES + 100).await, Err(507));
        // Without a length it is noticed on the way.
        let body = pieces(17, 1 << 20);
        let (spool, name) = (dir.path().to_owned(), "x".to_owned());
        let asked = std::sync::atomic::AtomicBool::new(false);
        let shrinking = move |_: &Path| {
            let second = asked.swap(true, std::sync::atomic::Ordering::Relaxed);
            Ok(if second {
                ROOM_LEFT_BYTES - 1
            } else {
                ROOM_LEFT_BYTES
            })
        };
        let refused = receive_within(spool, name, body, LONG, shrinking).await;
        assert_eq!(refused.err().unwrap().status, 507);
        assert_eq!(entries(dir.path()), 0);
    }

    #[test]
    fn the_latest_pictures_stay_within_their_limits() {
        let dir = tempfile::tempdir().unwrap();
        let picture = |age: u64, bytes: u64| {
            let upload = Idle {
                folder: PathBuf::from(age.to_string()),
                modified: Some(SystemTime::UNIX_EPOCH + AGE_MAX - Duration::from_secs(age)),
                _lock: File::open(dir.path()).unwrap(),
            };
            (upload, age.to_string(), bytes)
        };
        let gone = |pictures, bytes_max| -> Vec<String> {
            let beyond = beyond(pictures, bytes_max, |id| id != "1");
            let folders = beyond.into_iter().map(|upload| upload.folder);
            folders.map(|folder| folder.display().to_string()).collect()
        };
        // The second was taken back; the oldest has no room any more, a smaller one would.
        let some = || {
            vec![
                picture(4, 50),
                picture(0, 60),
                picture(1, 1),
                picture(2, 40),
            ]
        };
        assert_eq!(gone(some(), 149), ["1", "4"]);
        assert_eq!(gone(some(), 150), ["1"]);
        assert_eq!(gone(some(), 0), ["0", "1", "2", "4"]);
        let max = u64::try_from(PICTURES_MAX).unwrap();
        let many = |count| (2..2 + count).map(|age| picture(age, 1)).collect();
        assert_eq!(gone(many(max), u64::MAX), [""; 0]);
        assert_eq!(gone(many(max + 1), u64::MAX), [(max + 2).to_string()]);
    }

    #[test]
    fn only_what_is_very_old_is_old() {
        let now = SystemTime::UNIX_EPOCH + 2 * AGE_MAX;
        assert!(!is_old(Some(now - AGE_MAX), now));
        assert!(is_old(Some(now - AGE_MAX - Duration::from_secs(1)), now));
        assert!(!is_old(Some(now + AGE_MAX), now));
        assert!(!is_old(None, now));
    }
}
