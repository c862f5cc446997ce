//! The side that wants the files: lists what there is, asks, checks, writes.

use super::Reporter;
use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::staging::{self, Left, ROOM_LEFT_BYTES, Staging};
use hallway_model::TransferFailure;
use hallway_proto::bulk::{
    CHAIN_BYTES, Manifest, Message, Open, Opened, Plan, RefusedWhy, Want, chain,
};
use hallway_proto::transfer::{Fetch, Report};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes asked for and not yet there, on one connection: some milliseconds of a fast line.
const AHEAD_BYTES: u64 = 8 << 20;
/// Groups asked for at once, for small files.
const WANT_GROUPS_MAX: u32 = 512;
/// Bytes asked for at once.
const WANT_BYTES: u64 = 4 << 20;

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
    let before = match staging::look(folder, &order.id).map_err(disk)? {
        Left::Done(place) => return Ok(place),
        Left::Nothing => None,
        Left::Some(manifest) => Some(manifest),
    };
    let Some(first) = links.first_mut() else {
        return Err(FetchError::NotNow);
    };
    let ready = before.and_then(|manifest| {
        let opened = Staging::go_on(folder, &order.id, &manifest).ok()?;
        Some((manifest, opened))
    });
    let have = ready.as_ref().map_or(0, |(_, (_, plan))| plan.bytes());
    let opened = open(first, order, have)?;
    let (manifest, (staging, plan)) = match ready {
        Some((manifest, ready)) if manifest.revision() == opened.revision => (manifest, ready),
        other => {
            let manifest = list(first, &opened)?;
            let before = other.map(|(manifest, _)| manifest);
            let begun = Staging::begin(folder, &order.id, &manifest, before).map_err(disk)?;
            (manifest, begun)
        }
    };
    if manifest.bytes() > order.offer.bytes {
        return Err(FetchError::Lied);
    }
    let missing = manifest.bytes() - plan.bytes();
    if staging::room(folder).map_err(disk)? < missing.saturating_add(ROOM_LEFT_BYTES) {
        return Err(FetchError::NoRoom);
    }
    reporter.report(Report::Began {
        moved: plan.bytes(),
        folder: Some(folder.to_owned()),
    });
    let attempt = Attempt {
        order,
        manifest,
        staging,
        plan: Mutex::new(plan),
        reporter,
        stopped,
    };
    attempt.run(links)
}

fn open(link: &mut Link, order: &Fetch, have: u64) -> Result<Opened, FetchError> {
    link.send(&Message::Open(Open {
        content: order.offer.content,
        serving: false,
        have,
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

impl Attempt<'_> {
    fn run(&self, links: Vec<Link>) -> Result<PathBuf, FetchError> {
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = links
                .into_iter()
                .enumerate()
                .map(|(number, link)| scope.spawn(move || self.take_part(number, link)))
                .collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        let mut first_error = None;
        for result in results {
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => first_error = first_error.or(Some(error)),
                Err(panicked) => std::panic::resume_unwind(panicked),
            }
        }
        if self.plan().is_complete() {
            return self.staging.finish(&self.manifest).map_err(disk);
        }
        // What came is not to be read again after a restart of the system either.
        if let Err(error) = self.staging.sync() {
            tracing::warn!(%error, "what came of a file could not be synced");
        }
        Err(first_error.unwrap_or(FetchError::NotNow))
    }

    /// What one connection does: the first is open, the others open here.
    fn take_part(&self, number: usize, mut link: Link) -> Result<(), FetchError> {
        if number > 0 {
            let opened = open(&mut link, self.order, self.plan().bytes())?;
            if opened.revision != self.manifest.revision() {
                return Err(FetchError::Changed);
            }
        }
        let mut asked: VecDeque<u64> = VecDeque::new();
        let done = self.take_groups(&mut link, &mut asked);
        let mut plan = self.plan();
        for group in asked {
            plan.unclaim(group..group + 1);
        }
        done
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
        let whole = self
            .manifest
            .entry(piece.entry)
            .map_or(0, |entry| entry.bytes);
        let hash = chain(&buffer[..bytes], piece.offset, whole);
        if hash[..] != buffer[bytes..bytes + CHAIN_BYTES] {
            return Err(LinkError::Unexpected("bytes with another hash").into());
        }
        if open.as_ref().is_none_or(|(entry, _)| *entry != piece.entry) {
            let file = self.staging.open_file(&self.manifest, piece.entry);
            *open = Some((piece.entry, file.map_err(disk)?));
        }
        if let Some((_, file)) = open {
            file.write_all_at(&buffer[..bytes], piece.offset)
                .map_err(disk)?;
        }
        self.staging.record(group, &hash).map_err(disk)?;
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
