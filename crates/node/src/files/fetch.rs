//! The side that wants the files: lists what there is, asks, checks, writes.

use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::staging::{self, Group, Left, ROOM_LEFT_BYTES, Staging};
use super::{Reporter, give_way, step_back};
use hallway_model::TransferFailure;
use hallway_proto::bulk::{
    CHAIN_BYTES, CHECK_GROUPS_MAX, Manifest, Message, Open, Opened, Piece, Plan, RefusedWhy,
    Revision, Want, chain,
};
use hallway_proto::transfer::{Fetch, Report};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes asked for and not yet there, on one connection: some milliseconds of a fast line.
const AHEAD_BYTES: u64 = 8 << 20;
/// Groups asked for at once, for small files.
const WANT_GROUPS_MAX: u32 = 512;
/// Bytes asked for at once.
const WANT_BYTES: u64 = 4 << 20;
/// A further connection takes part when the first has brought less than this,
const ALONE_BYTES: u64 = 64 << 20;
/// in so long: it makes up for packets that are lost. On a faster line than this the processors
/// are what is short, and each connection only costs more of them.
const ALONE: Duration = Duration::from_millis(250);

/// How an attempt ended.
pub(super) enum Outcome {
    /// With this word to the engine.
    Report(Report),
    /// Somebody wanted it to stop.
    Stopped,
}

/// Why an attempt ended early.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the connection: {0}")]
    Link(#[from] LinkError),
    #[error("the disk: {0}")]
    Disk(io::Error),
    #[error("the other side does not give it now")]
    NotNow,
    #[error("the other side cannot read it any more")]
    Unreadable,
    #[error("the other side's file has changed")]
    Changed,
    #[error("the other side's file has grown too much")]
    Grown,
    #[error("the other side offers something else than it said")]
    Lied,
    #[error("no room")]
    NoRoom,
}

/// One attempt, shared by its connections.
struct Attempt<'a> {
    order: &'a Fetch,
    manifest: Manifest,
    staging: Staging,
    plan: Mutex<Plan>,
    /// A connection has done its part, or failed.
    parted: Condvar,
    reporter: &'a Reporter,
    stopped: &'a AtomicBool,
}

/// Fetches over these connections, the first of which is there.
pub(super) fn fetch(
    order: &Fetch,
    folder: PathBuf,
    links: Vec<Link>,
    reporter: &Reporter,
    stopped: &AtomicBool,
) -> Outcome {
    let outcome = run(order, &folder, links, reporter, stopped);
    if stopped.load(Ordering::Relaxed) {
        return Outcome::Stopped;
    }
    Outcome::Report(match outcome {
        Ok(place) => Report::Done(place),
        Err(FetchError::NoRoom) => Report::NoRoom,
        Err(FetchError::Unreadable) => Report::Failed(TransferFailure::Source),
        Err(FetchError::Lied) => Report::Failed(TransferFailure::Protocol),
        Err(FetchError::Grown) => Report::Failed(TransferFailure::Changed),
        Err(FetchError::Disk(error)) => {
            tracing::warn!(%error, folder = %folder.display(), "a file cannot be written");
            Report::Failed(TransferFailure::Destination)
        }
        Err(error @ (FetchError::Link(_) | FetchError::NotNow | FetchError::Changed)) => {
            Report::Lost(error.to_string())
        }
    })
}

fn run(
    order: &Fetch,
    folder: &Path,
    mut links: Vec<Link>,
    reporter: &Reporter,
    stopped: &AtomicBool,
) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(folder).map_err(disk)?;
    staging::sweep(folder, Some(&order.id));
    let before = match staging::look(folder, &order.id).map_err(disk)? {
        Left::Done(place) => return Ok(place),
        Left::Nothing => None,
        Left::Some(manifest) => Some(manifest),
    };
    let Some(first) = links.first_mut() else {
        return Err(FetchError::NotNow);
    };
    let ready = match before {
        Some(manifest) => {
            let ready = Staging::go_on(folder, &order.id, &manifest).map_err(disk)?;
            Some((manifest, ready))
        }
        None => None,
    };
    let (have, revision) = match &ready {
        Some((manifest, (_, plan))) => (plan.bytes(), Some(manifest.revision())),
        None => (0, None),
    };
    let opened = open(first, order, Some(have), revision)?;
    let (manifest, (staging, plan)) = match ready {
        Some((manifest, ready)) if manifest.revision() == opened.revision => {
            check_room(folder, order, &manifest, ready.1.bytes())?;
            (manifest, ready)
        }
        other => {
            let manifest = list(first, &opened)?;
            let mut kept = None;
            if let Some((before, ready)) = other {
                drop(ready);
                let of_use = staging::compare(folder, &order.id, &before, &manifest);
                let of_use = of_use.map_err(disk)?;
                let mut groups = of_use.same;
                groups.extend(ask_for_hashes(first, of_use.doubtful)?);
                kept = Some(groups);
            }
            let pieces = kept
                .iter()
                .flatten()
                .map(|(group, _)| manifest.piece(*group));
            let there = pieces.flatten().map(|piece| u64::from(piece.bytes)).sum();
            // Before memory is taken for what would never fit.
            check_room(folder, order, &manifest, there)?;
            let begun = Staging::begin(folder, &order.id, &manifest, kept.as_deref());
            let begun = begun.map_err(disk)?;
            if kept.is_some() {
                reporter.report(Report::Changed);
            }
            (manifest, begun)
        }
    };
    reporter.report(Report::Began {
        moved: plan.bytes(),
        folder: Some(folder.to_owned()),
    });
    let attempt = Attempt {
        order,
        manifest,
        staging,
        plan: Mutex::new(plan),
        parted: Condvar::new(),
        reporter,
        stopped,
    };
    attempt.run(links)
}

fn open(
    link: &mut Link,
    order: &Fetch,
    have: Option<u64>,
    revision: Option<Revision>,
) -> Result<Opened, FetchError> {
    link.send(&Message::Open(Open {
        content: order.offer.content,
        serving: false,
        have,
        revision,
    }))?;
    link.flush()?;
    // A large folder takes its time to be listed; should the peer be gone, the session tells.
    link.expect_silence(true)?;
    let answer = link.receive()?;
    link.expect_silence(false)?;
    if let Message::Opened(opened) = answer {
        Ok(opened)
    } else if answer == Message::Refused(RefusedWhy::Unreadable) {
        Err(FetchError::Unreadable)
    } else if let Message::Refused(_) = answer {
        Err(FetchError::NotNow)
    } else {
        Err(LinkError::Unexpected("no answer to the first question").into())
    }
}

fn list(link: &mut Link, opened: &Opened) -> Result<Manifest, FetchError> {
    let mut manifest = Manifest::default();
    let mut from = 0;
    while from < opened.entries {
        link.send(&Message::List(from))?;
        link.flush()?;
        let Message::Page(page) = link.receive()? else {
            return Err(LinkError::Unexpected("no page of its list").into());
        };
        if page.first != from || page.entries.is_empty() {
            return Err(FetchError::Lied);
        }
        for entry in page.entries {
            manifest.push(entry).map_err(|_| FetchError::Lied)?;
            from += 1;
        }
    }
    if manifest.revision() != opened.revision || manifest.entries().is_empty() {
        return Err(FetchError::Lied);
    }
    Ok(manifest)
}

/// What is not there yet was taken, and fits.
fn check_room(
    folder: &Path,
    order: &Fetch,
    manifest: &Manifest,
    there: u64,
) -> Result<(), FetchError> {
    if manifest.bytes() > order.bytes_max {
        return Err(FetchError::Grown);
    }
    let missing = manifest.bytes().saturating_sub(there);
    if staging::room(folder).map_err(disk)? < missing.saturating_add(ROOM_LEFT_BYTES) {
        return Err(FetchError::NoRoom);
    }
    Ok(())
}

/// Of groups of files that have changed, those that are the same all the same.
fn ask_for_hashes(link: &mut Link, doubtful: Vec<Group>) -> Result<Vec<Group>, FetchError> {
    let mut same = Vec::new();
    let mut rest = doubtful.as_slice();
    while let Some((first, _)) = rest.first().copied() {
        let fits = |(number, (group, _)): &(u64, &Group)| *group == first + number;
        let most = CHECK_GROUPS_MAX as usize;
        let count = (0..).zip(rest).take(most).take_while(fits).count();
        let (asked, later) = rest.split_at(count);
        rest = later;
        let count = u32::try_from(count).unwrap_or(CHECK_GROUPS_MAX);
        link.send(&Message::Check(Want { first, count }))?;
        link.flush()?;
        // The other side reads them first.
        link.expect_silence(true)?;
        let answer = link.receive()?;
        link.expect_silence(false)?;
        if let Message::Gone(_) = answer {
            return Err(FetchError::Changed);
        }
        let Message::Hashes(hashes) = answer else {
            return Err(LinkError::Unexpected("no hashes").into());
        };
        if hashes.first != first {
            return Err(FetchError::Lied);
        }
        let pairs = asked.iter().zip(hashes.iter());
        let equal = pairs.filter(|((_, ours), (_, theirs))| ours == *theirs);
        same.extend(equal.map(|(ours, _)| *ours));
    }
    Ok(same)
}

impl Attempt<'_> {
    fn run(&self, links: Vec<Link>) -> Result<PathBuf, FetchError> {
        let mut links: Vec<(Link, bool)> = links.into_iter().map(|link| (link, false)).collect();
        if let Some((_, opened)) = links.first_mut() {
            *opened = true;
        }
        self.fetch_missing(&mut links)?;
        if self.lose_damaged()? {
            self.fetch_missing(&mut links)?;
        }
        self.staging.finish(&self.manifest).map_err(disk)
    }

    /// Gets what is missing over all connections that still work.
    fn fetch_missing(&self, links: &mut Vec<(Link, bool)>) -> Result<(), FetchError> {
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = links
                .iter_mut()
                .map(|(link, opened)| scope.spawn(move || self.take_part(link, opened)))
                .collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        let mut first_error = None;
        let mut work = Vec::new();
        for result in results {
            match result {
                Ok(result) => {
                    work.push(result.is_ok());
                    first_error = first_error.or(result.err());
                }
                Err(panicked) => std::panic::resume_unwind(panicked),
            }
        }
        let mut work = work.into_iter();
        links.retain(|_| work.next() == Some(true));
        if self.plan().is_complete() {
            return Ok(());
        }
        Err(first_error.unwrap_or(FetchError::NotNow))
    }

    /// What came in earlier attempts was believed so far. True when some of it is damaged.
    fn lose_damaged(&self) -> Result<bool, FetchError> {
        let mut damaged = 0u64;
        let mut stopped = false;
        let checked = self.staging.check_earlier(&self.manifest, |group, intact| {
            if !intact {
                damaged += 1;
                self.plan().handle_lost(group, &self.manifest);
            }
            stopped = self.stopped.load(Ordering::Relaxed);
            !stopped
        });
        checked.map_err(disk)?;
        if damaged > 0 {
            tracing::info!(
                damaged,
                "parts of a file were damaged on disk and are fetched again"
            );
        }
        if stopped {
            return Err(FetchError::NotNow);
        }
        Ok(damaged > 0)
    }

    /// What one connection does: the first is open, the others open here.
    fn take_part(&self, link: &mut Link, opened: &mut bool) -> Result<(), FetchError> {
        step_back();
        if !*opened {
            if !self.needs_another() {
                return Ok(());
            }
            let said = open(link, self.order, None, None)?;
            if said.revision != self.manifest.revision() {
                return Err(FetchError::Changed);
            }
            *opened = true;
        }
        let mut asked: VecDeque<u64> = VecDeque::new();
        let done = self.take_groups(link, &mut asked);
        let mut plan = self.plan();
        for group in asked {
            plan.unclaim(group..group + 1);
        }
        drop(plan);
        self.parted.notify_all();
        done
    }

    /// Whether one more connection is of use, once the first has had its time.
    fn needs_another(&self) -> bool {
        let plan = self.plan();
        let before = plan.bytes();
        let waited = self
            .parted
            .wait_timeout_while(plan, ALONE, |plan| !plan.is_complete());
        let (plan, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !plan.is_complete() && plan.bytes().saturating_sub(before) < ALONE_BYTES
    }

    fn take_groups(&self, link: &mut Link, asked: &mut VecDeque<u64>) -> Result<(), FetchError> {
        let mut buffer = vec![0; GROUP_BUFFER_BYTES];
        let mut open: Option<(u32, File)> = None;
        let mut ahead = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            while ahead < AHEAD_BYTES
                && let Some(want) = self.claim()
            {
                link.send(&Message::Want(want))?;
                for group in want.first..want.first + u64::from(want.count) {
                    ahead += self.bytes_of(group);
                    asked.push_back(group);
                }
            }
            link.flush()?;
            let Some(expected) = asked.front().copied() else {
                return Ok(());
            };
            let bytes = self.bytes_of(expected);
            let answer = link.receive()?;
            if answer == Message::Gone(expected) {
                return Err(FetchError::Changed);
            }
            if answer == Message::Zeros(expected) {
                self.take_zeros(expected, &mut buffer, &mut open)?;
                asked.pop_front();
                ahead -= bytes;
                continue;
            }
            let Message::Group { group, bytes: said } = answer else {
                return Err(LinkError::Unexpected("no group").into());
            };
            if (group, u64::from(said)) != (expected, bytes) {
                return Err(LinkError::Unexpected("what was not asked for").into());
            }
            self.take_group(link, group, &mut buffer, &mut open)?;
            asked.pop_front();
            ahead -= bytes;
        }
        Ok(())
    }

    fn claim(&self) -> Option<Want> {
        self.plan()
            .claim(WANT_GROUPS_MAX, WANT_BYTES, &self.manifest)
    }

    fn bytes_of(&self, group: u64) -> u64 {
        self.manifest
            .piece(group)
            .map_or(0, |piece| piece.bytes.into())
    }

    /// Takes one group: checked first, then written, then noted.
    fn take_group(
        &self,
        link: &mut Link,
        group: u64,
        buffer: &mut [u8],
        open: &mut Option<(u32, File)>,
    ) -> Result<(), FetchError> {
        let piece = self.manifest.piece(group).ok_or(FetchError::Lied)?;
        let bytes = piece.bytes as usize;
        link.receive_bytes(buffer, bytes + CHAIN_BYTES)?;
        let hash = self.hash(piece, &buffer[..bytes]);
        if hash[..] != buffer[bytes..bytes + CHAIN_BYTES] {
            return Err(LinkError::Unexpected("bytes with another hash").into());
        }
        let file = self.file(piece, open).map_err(disk)?;
        file.write_all_at(&buffer[..bytes], piece.offset)
            .map_err(disk)?;
        give_way(bytes);
        self.note(group, &hash)
    }

    /// Takes one group that is nothing but zeros.
    fn take_zeros(
        &self,
        group: u64,
        buffer: &mut [u8],
        open: &mut Option<(u32, File)>,
    ) -> Result<(), FetchError> {
        let piece = self.manifest.piece(group).ok_or(FetchError::Lied)?;
        let zeros = &mut buffer[..piece.bytes as usize];
        zeros.fill(0);
        let hash = self.hash(piece, zeros);
        let file = self.file(piece, open).map_err(disk)?;
        staging::write_zeros(file, zeros, piece.offset).map_err(disk)?;
        self.note(group, &hash)
    }

    fn hash(&self, piece: Piece, bytes: &[u8]) -> [u8; CHAIN_BYTES] {
        let whole = self.manifest.entry(piece.entry);
        chain(bytes, piece.offset, whole.map_or(0, |entry| entry.bytes))
    }

    /// The file that a piece belongs to, kept open for the next one.
    fn file<'f>(&self, piece: Piece, open: &'f mut Option<(u32, File)>) -> io::Result<&'f File> {
        let file = match open.take() {
            Some((entry, file)) if entry == piece.entry => file,
            _ => self.staging.open_file(&self.manifest, piece.entry)?,
        };
        Ok(&open.insert((piece.entry, file)).1)
    }

    /// A group is in its file.
    fn note(&self, group: u64, hash: &[u8; CHAIN_BYTES]) -> Result<(), FetchError> {
        self.staging.record(group, hash).map_err(disk)?;
        if self.staging.room().map_err(disk)? < ROOM_LEFT_BYTES {
            return Err(FetchError::NoRoom);
        }
        let mut plan = self.plan();
        plan.handle_have(group, &self.manifest);
        let moved = plan.bytes();
        drop(plan);
        self.reporter.progress(moved);
        Ok(())
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn disk(error: io::Error) -> FetchError {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if full.contains(&error.kind()) {
        FetchError::NoRoom
    } else {
        FetchError::Disk(error)
    }
}
