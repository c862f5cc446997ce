//! The side that has the files: one thread for each connection answers what is asked.

use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::source::{self, Source};
use super::{Reporter, is_gone};
use hallway_model::{ContentId, PeerId, TransferFailure};
use hallway_proto::bulk::{
    CHAIN_BYTES, Manifest, Message, Open, Opened, PAGE_ENTRIES_MAX, Page, RefusedWhy, Want, chain,
};
use hallway_proto::transfer::{Report, Serve};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests that may wait on one connection; the other side keeps a handful.
const WANTS_MAX: usize = 256;

/// Something that a peer may fetch from us.
pub(super) struct Share {
    pub(super) order: Serve,
    pub(super) reporter: Reporter,
    pub(super) stopped: AtomicBool,
    /// Listed by the first connection that asks; the others wait for it.
    manifest: Mutex<Option<Arc<Manifest>>>,
    connections: AtomicUsize,
    moved: AtomicU64,
}

impl Share {
    pub(super) fn new(order: Serve, reporter: Reporter) -> Self {
        Self {
            order,
            reporter,
            stopped: AtomicBool::new(false),
            manifest: Mutex::default(),
            connections: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
        }
    }

    pub(super) fn is_for(&self, peer: &PeerId, content: &ContentId) -> bool {
        self.order.peer == *peer
            && self.order.offer.content == *content
            && !self.stopped.load(Ordering::Relaxed)
    }

    /// What there is to fetch, as it is now for the first connection of several.
    fn list(&self) -> Result<Arc<Manifest>, source::SourceError> {
        let first = self.connections.fetch_add(1, Ordering::SeqCst) == 0;
        let mut manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*manifest {
            Some(manifest) if !first => Ok(manifest.clone()),
            _ => {
                let listed = Arc::new(source::list(&self.order.source)?);
                *manifest = Some(listed.clone());
                Ok(listed)
            }
        }
    }

    fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers on one connection until it ends.
pub(super) fn serve(link: &mut Link, open: Open, share: &Share) -> Result<(), LinkError> {
    let served = match share.list() {
        Ok(manifest) => answer(link, open, share, &manifest),
        Err(error) => {
            tracing::info!(%error, "what was offered cannot be read any more");
            share
                .reporter
                .report(Report::Failed(TransferFailure::Source));
            refuse(link, RefusedWhy::Unreadable)
        }
    };
    share.leave();
    match served {
        Err(error) if is_gone(&error) => Ok(()),
        served => served,
    }
}

pub(super) fn refuse(link: &mut Link, why: RefusedWhy) -> Result<(), LinkError> {
    link.send(&Message::Refused(why))?;
    link.flush()
}

fn answer(
    link: &mut Link,
    open: Open,
    share: &Share,
    manifest: &Manifest,
) -> Result<(), LinkError> {
    let entries = u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX);
    let revision = manifest.revision();
    link.send(&Message::Opened(Opened { revision, entries }))?;
    link.flush()?;
    let moved = open.have;
    share.moved.store(moved, Ordering::Relaxed);
    share.reporter.report(Report::Began {
        moved,
        folder: None,
    });
    link.expect_silence(true)?;
    let mut source = Source::new(share.order.source.clone());
    let mut buffer = vec![0; GROUP_BUFFER_BYTES];
    let mut wants: VecDeque<Want> = VecDeque::new();
    while !share.stopped.load(Ordering::Relaxed) {
        let message = if wants.is_empty() {
            link.flush()?;
            Some(link.receive()?)
        } else {
            link.receive_ready()?
        };
        match message {
            Some(Message::List(from)) => send_page(link, manifest, from)?,
            Some(Message::Want(want)) if wants.len() < WANTS_MAX => wants.push_back(want),
            Some(_) => return Err(LinkError::Unexpected("what makes no sense here")),
            None => {}
        }
        if let Some(want) = wants.front_mut() {
            send_group(link, share, manifest, &mut source, want.first, &mut buffer)?;
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
    manifest: &Manifest,
    source: &mut Source,
    group: u64,
    buffer: &mut [u8],
) -> Result<(), LinkError> {
    let piece = manifest.piece(group);
    let piece = piece.ok_or(LinkError::Unexpected("a wish for what does not exist"))?;
    let whole = manifest.entry(piece.entry).map_or(0, |entry| entry.bytes);
    let bytes = piece.bytes as usize;
    match source.read(manifest, piece, buffer) {
        Ok(true) => {}
        Ok(false) => return link.send(&Message::Gone(group)),
        Err(error) => {
            tracing::info!(%error, "a file that is offered cannot be read any more");
            return link.send(&Message::Gone(group));
        }
    }
    let hash = chain(&buffer[..bytes], piece.offset, whole);
    buffer[bytes..bytes + CHAIN_BYTES].copy_from_slice(&hash);
    link.send(&Message::Group {
        group,
        bytes: piece.bytes,
    })?;
    link.send_bytes(&buffer[..bytes + CHAIN_BYTES])?;
    let moved = share
        .moved
        .fetch_add(u64::from(piece.bytes), Ordering::Relaxed);
    share.reporter.progress(moved + u64::from(piece.bytes));
    Ok(())
}
