//! The side that has the files: one thread for each connection answers what is asked.

use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::lot::{Listed, Lot};
use super::source::{self, Listing, Source};
use super::{Reporter, is_gone};
use hallway_model::{ContentId, PeerId, TransferFailure};
use hallway_proto::bulk::{
    Ask, CHECK_GROUPS_MAX, Hashes, Manifest, Message, Open, Opened, PAGE_ENTRIES_MAX, Page, Piece,
    RefusedWhy, Turn, Want, is_zeros,
};
use hallway_proto::transfer::{Report, Serve};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests that may wait on one connection; the other side keeps a handful.
const WANTS_MAX: usize = 256;

/// Something that a peer may fetch from us.
pub(super) struct Share {
    pub(super) order: Serve,
    pub(super) reporter: Reporter,
    stopped: AtomicBool,
    pub(super) lot: Arc<Lot>,
    /// As the first connection of the last attempt found it; the others wait for it.
    listed: Mutex<Option<Arc<Listed>>>,
    moved: AtomicU64,
}

impl Share {
    pub(super) fn new(order: Serve, lot: Arc<Lot>, reporter: Reporter) -> Self {
        Self {
            order,
            reporter,
            stopped: AtomicBool::new(false),
            lot,
            listed: Mutex::default(),
            moved: AtomicU64::new(0),
        }
    }

    /// Ends the answering on all its connections, each after what it is at.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_for(&self, peer: &PeerId, content: &ContentId) -> bool {
        self.order.peer == *peer
            && self.order.offer.content == *content
            && !self.stopped.load(Ordering::Relaxed)
    }

    /// What there is to fetch, as it is now for the first connection of an attempt.
    fn list(&self, first: bool) -> Result<Arc<Listed>, source::SourceError> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*listed {
            Some(listed) if !first => Ok(listed.clone()),
            _ => {
                let now = self.lot.list()?;
                *listed = Some(now.clone());
                Ok(now)
            }
        }
    }
}

/// Answers on one connection until it ends.
pub(super) fn serve(link: &mut Link, open: Open, share: &Share) -> Result<(), LinkError> {
    let served = match share.list(open.have.is_some()) {
        Ok(listed) => answer(link, open, share, &listed),
        Err(error) => {
            tracing::info!(%error, "what was offered cannot be read any more");
            share
                .reporter
                .report(Report::Failed(TransferFailure::Source));
            refuse(link, RefusedWhy::Unreadable)
        }
    };
    match served {
        Err(error) if is_gone(&error) => Ok(()),
        served => served,
    }
}

pub(super) fn refuse(link: &mut Link, why: RefusedWhy) -> Result<(), LinkError> {
    link.send(&Message::Refused(why))?;
    link.flush()
}

fn answer(link: &mut Link, open: Open, share: &Share, listed: &Listed) -> Result<(), LinkError> {
    let listing = &listed.listing;
    let manifest = &listing.manifest;
    let entries = u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX);
    let revision = manifest.revision();
    link.send(&Message::Opened(Opened { revision, entries }))?;
    link.flush()?;
    if let Some(moved) = open.have {
        share.moved.store(moved, Ordering::Relaxed);
        share.reporter.report(Report::Began {
            moved,
            bytes: manifest.bytes(),
            folder: None,
        });
        if open.revision.is_some_and(|had| had != revision) {
            share.reporter.report(Report::Changed);
        }
    }
    link.expect_silence(true)?;
    let mut source = Source::new(share.order.source.clone());
    let mut buffer = vec![0; GROUP_BUFFER_BYTES];
    let mut wants: VecDeque<(Want, Ask)> = VecDeque::new();
    while !share.stopped.load(Ordering::Relaxed) {
        let message = if wants.is_empty() {
            link.flush()?;
            Some(link.receive()?)
        } else {
            link.receive_ready()?
        };
        match message {
            Some(Message::List(from)) => send_page(link, manifest, from)?,
            Some(Message::Check(want)) if want.count <= CHECK_GROUPS_MAX && wants.is_empty() => {
                send_hashes(link, share, listing, &mut source, want, &mut buffer)?;
            }
            Some(Message::Want(want, ask)) if wants.len() < WANTS_MAX => {
                wants.push_back((want, ask));
            }
            Some(Message::Progress(moved)) => {
                share.moved.store(moved, Ordering::Relaxed);
                share.reporter.progress(moved);
            }
            Some(_) => return Err(LinkError::Unexpected("what makes no sense here")),
            None => {}
        }
        if let Some((want, ask)) = wants.front_mut() {
            let group = (want.first, *ask);
            send_group(link, share, listed, &mut source, group, &mut buffer)?;
            want.first = want.first.saturating_add(1);
            want.count = want.count.saturating_sub(1);
            if want.count == 0 {
                wants.pop_front();
            }
        }
    }
    Ok(())
}

fn send_page(link: &mut Link, manifest: &Manifest, from: u32) -> Result<(), LinkError> {
    let first = usize::try_from(from).unwrap_or(usize::MAX);
    let mut bytes = 0;
    let rest = manifest.entries().get(first..).unwrap_or_default();
    let fitting = rest.iter().take(PAGE_ENTRIES_MAX).take_while(|entry| {
        bytes += entry.name.len();
        bytes <= Page::BYTES
    });
    let entries = fitting.cloned().collect();
    link.send(&Message::Page(Page {
        first: from,
        entries,
    }))?;
    link.flush()
}

fn send_group(
    link: &mut Link,
    share: &Share,
    listed: &Listed,
    source: &mut Source,
    (group, ask): (u64, Ask),
    buffer: &mut [u8],
) -> Result<(), LinkError> {
    let listing = &listed.listing;
    let piece = listing.manifest.piece(group);
    let turn = piece.map_or(Turn::Give, |piece| listed.turn(group, piece, ask));
    if let Turn::Tell(hash) = turn {
        return link.send(&Message::Elsewhere { group, hash });
    }
    let Some(piece) = read_group(share, listing, source, group, buffer)? else {
        return link.send(&Message::Gone(group));
    };
    let bytes = piece.bytes as usize;
    if is_zeros(&buffer[..bytes]) {
        link.send(&Message::Zeros(group))?;
    } else {
        let hash = listing.manifest.hash_of(piece, &buffer[..bytes]);
        listed.handle_hash(group, hash);
        if turn == Turn::Compute {
            return link.send(&Message::Elsewhere { group, hash });
        }
        link.send_group(group, piece, &hash, buffer)?;
    }
    let moved = share
        .moved
        .fetch_add(u64::from(piece.bytes), Ordering::Relaxed);
    share.reporter.progress(moved + u64::from(piece.bytes));
    Ok(())
}

/// Tells the hashes of groups of a file that the other side has in an earlier state.
fn send_hashes(
    link: &mut Link,
    share: &Share,
    listing: &Listing,
    source: &mut Source,
    want: Want,
    buffer: &mut [u8],
) -> Result<(), LinkError> {
    let mut hashes = Vec::new();
    for group in (want.first..).take(want.count as usize) {
        let Some(piece) = read_group(share, listing, source, group, buffer)? else {
            link.send(&Message::Gone(group))?;
            return link.flush();
        };
        hashes.extend(
            listing
                .manifest
                .hash_of(piece, &buffer[..piece.bytes as usize]),
        );
        if share.stopped.load(Ordering::Relaxed) {
            break;
        }
    }
    let first = want.first;
    link.send(&Message::Hashes(Hashes { first, hashes }))?;
    link.flush()
}

/// Reads a group; nothing when its file is not what was listed.
fn read_group(
    share: &Share,
    listing: &Listing,
    source: &mut Source,
    group: u64,
    buffer: &mut [u8],
) -> Result<Option<Piece>, LinkError> {
    let piece = listing.manifest.piece(group);
    let piece = piece.ok_or(LinkError::Unexpected("a wish for what does not exist"))?;
    match source.read(listing, piece, buffer) {
        Ok(true) => Ok(Some(piece)),
        Ok(false) => {
            share.lot.forget();
            Ok(None)
        }
        // The disk itself: the next attempt would come no further.
        Err(error) => {
            let failed = Report::Failed(TransferFailure::Source);
            share.reporter.report(failed);
            Err(LinkError::Source(error))
        }
    }
}
