//! The side that wants the files: lists what there is, asks, checks, writes.

use super::help::Help;
use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::ring::{Held, Ring};
use super::staging::{self, Group, Left, ROOM_LEFT_BYTES, Staging};
use super::{Reporter, give_way, step_back};
use crate::arithmetic::Handshaker;
use hallway_model::TransferFailure;
use hallway_proto::bulk::{
    Ask, CHAIN_BYTES, CHECK_GROUPS_MAX, Manifest, Message, Open, Opened, Piece, Plan, RefusedWhy,
    Revision, SHARED_BYTES_MIN, SHARED_GROUPS_MAX, SLOTS, Want, runs,
};
use hallway_proto::transfer::{Fetch, Report};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// More is asked for, on one connection, while less than this is on its way: some milliseconds of a
/// fast line. What is on its way is lost when either side is killed, and is to be little.
const AHEAD_BYTES: u64 = 2 << 20;
/// Groups asked for at once, for small files.
const WANT_GROUPS_MAX: u32 = 512;
/// Bytes asked for at once.
const WANT_BYTES: u64 = 1 << 20;
/// A further connection takes part when the first has brought less than this,
const ALONE_BYTES: u64 = 64 << 20;
/// in so long: it makes up for packets that are lost. On a faster line than this the processors
/// are what is short, and each connection only costs more of them.
const ALONE: Duration = Duration::from_millis(250);

/// The sender is told so often how much is there when others bring some of it.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How an attempt ended.
pub(super) enum Outcome {
    /// With this word to the engine.
    Report(Report),
    /// Somebody wanted it to stop.
    Stopped,
}

/// Why an attempt ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
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
pub(super) struct Attempt<'a> {
    pub(super) order: &'a Fetch,
    pub(super) manifest: Arc<Manifest>,
    staging: Staging,
    plan: Mutex<Plan>,
    /// A connection has done its part, or failed.
    parted: Condvar,
    reporter: &'a Reporter,
    pub(super) stopped: &'a AtomicBool,
    /// The other receivers, when it is large enough for them to be of use, and what they may have.
    others: Option<(Help, Arc<Held>)>,
}

/// How to reach other receivers of the same content.
pub(super) struct Others {
    pub(super) ring: Arc<Ring>,
    pub(super) handshaker: Handshaker,
    pub(super) runtime: Handle,
}

impl Others {
    /// Lets them fetch what is here, and fetches from them.
    fn share(self, manifest: &Arc<Manifest>, staging: &Staging, plan: &Plan) -> (Help, Arc<Held>) {
        let (path, names) = staging.places();
        let has = |group| plan.has(group);
        let held = Arc::new(Held::new(manifest.clone(), path, names, has));
        self.ring.hold(held.clone());
        let groups = manifest.groups();
        let help = Help::new(self.ring, self.handshaker, self.runtime, groups);
        (help, held)
    }
}

/// Fetches over these connections, the first of which is there.
pub(super) fn fetch(
    order: &Fetch,
    folder: PathBuf,
    links: Vec<Link>,
    others: Others,
    reporter: &Reporter,
    stopped: &AtomicBool,
) -> Outcome {
    let outcome = run(order, &folder, links, others, reporter, stopped);
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
    others: Others,
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
        bytes: manifest.bytes(),
        folder: Some(folder.to_owned()),
    });
    let manifest = Arc::new(manifest);
    let is_shared = manifest.bytes() >= SHARED_BYTES_MIN && manifest.groups() <= SHARED_GROUPS_MAX;
    let others = is_shared.then(|| others.share(&manifest, &staging, &plan));
    let attempt = Attempt {
        order,
        manifest,
        others,
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
        let place = self.staging.finish(&self.manifest).map_err(disk)?;
        if let Some((_, held)) = &self.others {
            held.handle_finished(place.clone());
        }
        Ok(place)
    }

    /// Gets what is missing over all connections that still work.
    fn fetch_missing(&self, links: &mut Vec<(Link, bool)>) -> Result<(), FetchError> {
        let results: Vec<_> = std::thread::scope(|scope| {
            if let Some((help, _)) = &self.others {
                help.begin();
                for slot in 0..SLOTS {
                    scope.spawn(move || self.be_helped(help, slot));
                }
            }
            let threads: Vec<_> = links
                .iter_mut()
                .map(|(link, opened)| scope.spawn(move || self.take_part(link, opened)))
                .collect();
            let results = threads.into_iter().map(|thread| thread.join()).collect();
            if let Some((help, _)) = &self.others {
                help.end();
            }
            results
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
                if let Some((_, held)) = &self.others {
                    held.handle_lost(group);
                }
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
        let mut asked: VecDeque<(u64, Ask)> = VecDeque::new();
        let done = self.take_groups(link, &mut asked);
        let mut plan = self.plan();
        for (group, _) in asked {
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

    fn take_groups(
        &self,
        link: &mut Link,
        asked: &mut VecDeque<(u64, Ask)>,
    ) -> Result<(), FetchError> {
        let mut buffer = vec![0; GROUP_BUFFER_BYTES];
        let mut open: Option<(u32, File)> = None;
        let mut ahead = 0;
        let (mut given_at, mut told_at) = (Instant::now(), Instant::now());
        while !self.stopped.load(Ordering::Relaxed) {
            if asked.is_empty() {
                given_at = Instant::now();
            }
            while ahead < AHEAD_BYTES
                && let Some((want, ask)) = self.claim()
            {
                ahead += self.ask(link, want, ask, asked)?;
            }
            if asked.is_empty()
                && let Some((help, _)) = &self.others
                && let Some(overdue) = help.overdue()
            {
                let ask = match help.ask() {
                    Ask::You => Ask::You,
                    Ask::Anybody | Ask::YouAfterAll => Ask::YouAfterAll,
                };
                for want in runs(&overdue) {
                    ahead += self.ask(link, want, ask, asked)?;
                }
                self.tell_progress(link, &mut told_at)?;
                link.flush()?;
                if asked.is_empty() {
                    continue;
                }
            }
            self.tell_progress(link, &mut told_at)?;
            link.flush()?;
            let Some((expected, ask)) = asked.front().copied() else {
                return Ok(());
            };
            let bytes = self.bytes_of(expected);
            match (link.receive()?, &self.others) {
                (Message::Gone(group), _) if group == expected => return Err(FetchError::Changed),
                (Message::Zeros(group), _) if group == expected => {
                    self.take_zeros(expected, &mut buffer, &mut open)?;
                    self.handle_arrived(expected);
                }
                (Message::Group { group, bytes: said }, _)
                    if (group, u64::from(said)) == (expected, bytes) =>
                {
                    self.take_group(link, group, &mut buffer, &mut open)?;
                    self.handle_arrived(expected);
                    if let Some((help, _)) = &self.others {
                        help.handle_given(given_at.elapsed());
                    }
                    given_at = Instant::now();
                }
                (Message::Elsewhere { group, hash }, Some((help, _)))
                    if group == expected && ask != Ask::You =>
                {
                    if !self.plan().has(group) {
                        help.handle_elsewhere(group, hash);
                    }
                }
                _ => return Err(LinkError::Unexpected("what was not asked for").into()),
            }
            asked.pop_front();
            ahead -= bytes;
        }
        Ok(())
    }

    /// Asks for groups; returns how many bytes they have.
    fn ask(
        &self,
        link: &mut Link,
        want: Want,
        ask: Ask,
        asked: &mut VecDeque<(u64, Ask)>,
    ) -> Result<u64, FetchError> {
        link.send(&Message::Want(want, ask))?;
        let groups = want.first..want.first + u64::from(want.count);
        asked.extend(groups.clone().map(|group| (group, ask)));
        Ok(groups.map(|group| self.bytes_of(group)).sum())
    }

    /// The sender has not seen what others bring.
    fn tell_progress(&self, link: &mut Link, told_at: &mut Instant) -> Result<(), FetchError> {
        let (now, asks) = (
            Instant::now(),
            self.others.as_ref().map(|(help, _)| help.ask()),
        );
        if asks == Some(Ask::Anybody) && now.duration_since(*told_at) >= PROGRESS_EVERY {
            *told_at = now;
            link.send(&Message::Progress(self.plan().bytes()))?;
        }
        Ok(())
    }

    /// The sender has given a group.
    fn handle_arrived(&self, group: u64) {
        if let Some((help, _)) = &self.others {
            help.handle_have(group);
        }
    }

    fn claim(&self) -> Option<(Want, Ask)> {
        let mut plan = self.plan();
        let want = plan.claim(WANT_GROUPS_MAX, WANT_BYTES, &self.manifest)?;
        let others = self.others.as_ref();
        Some((want, others.map_or(Ask::You, |(help, _)| help.ask())))
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
        let hash = self.manifest.hash_of(piece, &buffer[..bytes]);
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
        let hash = self.manifest.hash_of(piece, zeros);
        let file = self.file(piece, open).map_err(disk)?;
        staging::write_zeros(file, zeros, piece.offset).map_err(disk)?;
        self.note(group, &hash)
    }

    /// The file that a piece belongs to, kept open for the next one.
    pub(super) fn file<'f>(
        &self,
        piece: Piece,
        open: &'f mut Option<(u32, File)>,
    ) -> io::Result<&'f File> {
        let file = match open.take() {
            Some((entry, file)) if entry == piece.entry => file,
            _ => self.staging.open_file(&self.manifest, piece.entry)?,
        };
        Ok(&open.insert((piece.entry, file)).1)
    }

    /// A group is in its file.
    pub(super) fn note(&self, group: u64, hash: &[u8; CHAIN_BYTES]) -> Result<(), FetchError> {
        self.staging.record(group, hash).map_err(disk)?;
        if self.staging.room().map_err(disk)? < ROOM_LEFT_BYTES {
            return Err(FetchError::NoRoom);
        }
        let mut plan = self.plan();
        let new = plan.handle_have(group, &self.manifest);
        let moved = plan.bytes();
        drop(plan);
        if let Some((_, held)) = self.others.as_ref().filter(|_| new) {
            held.handle_have(group);
        }
        self.reporter.progress(moved);
        Ok(())
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn disk(error: io::Error) -> FetchError {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if full.contains(&error.kind()) {
        FetchError::NoRoom
    } else {
        FetchError::Disk(error)
    }
}
