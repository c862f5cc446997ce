//! What one content is to us among its other receivers: who they are, and what of it is here for
//! them.

use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::{is_gone, lock};
use hallway_model::{ContentId, PeerId};
use hallway_proto::bulk::{
    Choice, Circle, GroupSet, Loss, Manifest, Message, Opened, Piece, RUNS_MAX, Want, runs,
};
use hallway_proto::transfer::Introduced;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Groups sent for one request; the other side asks for single ones.
const WANT_GROUPS_MAX: u32 = 64;

/// See the module. It outlives the attempts to fetch.
pub(super) struct Ring {
    pub(super) content: ContentId,
    circle: Mutex<Circle>,
    changed: Condvar,
    held: Mutex<Option<Arc<Held>>>,
    begun: Instant,
}

impl Ring {
    pub(super) fn new(me: PeerId, content: ContentId) -> Self {
        Self {
            content,
            circle: Mutex::new(Circle::new(me)),
            changed: Condvar::new(),
            held: Mutex::default(),
            begun: Instant::now(),
        }
    }

    /// Of all times that are told to what counts for this content.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn introduce(&self, others: Vec<Introduced>) {
        lock(&self.circle).handle_introduced(others);
        self.changed.notify_all();
    }

    pub(super) fn knows(&self, peer: &PeerId) -> bool {
        lock(&self.circle).knows(peer)
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.circle).is_empty()
    }

    pub(super) fn has_hope(&self) -> bool {
        lock(&self.circle).has_hope()
    }

    /// Whom to fetch from, now or after waiting for at most so long.
    pub(super) fn choose(&self, slot: u32, patience: Duration) -> Option<Introduced> {
        let mut circle = lock(&self.circle);
        let wait = match circle.choose(slot, self.now()) {
            Choice::Dial(introduced) => return Some(introduced),
            Choice::Wait(wait) => wait.min(patience),
            Choice::Nobody => patience,
        };
        let waited = self.changed.wait_timeout(circle, wait);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        None
    }

    pub(super) fn lost(&self, peer: &PeerId, loss: Loss) {
        lock(&self.circle).handle_lost(peer, loss, self.now());
    }

    /// Nobody waits any longer for others.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    pub(super) fn hold(&self, held: Arc<Held>) {
        *lock(&self.held) = Some(held);
    }

    pub(super) fn held(&self) -> Option<Arc<Held>> {
        lock(&self.held).clone()
    }
}

/// What is here of a content.
pub(super) struct Held {
    manifest: Arc<Manifest>,
    /// The names under which its entries are here.
    names: Vec<String>,
    place: Mutex<Place>,
    there: Mutex<There>,
}

struct Place {
    /// Of entry 0.
    path: PathBuf,
    /// Its owner may do with it what they like.
    is_final: bool,
}

struct There {
    groups: GroupSet,
    /// In the order in which they came.
    order: Vec<u64>,
}

impl Held {
    pub(super) fn new(
        manifest: Arc<Manifest>,
        path: PathBuf,
        names: Vec<String>,
        has: impl Fn(u64) -> bool,
    ) -> Self {
        let order: Vec<u64> = (0..manifest.groups()).filter(|group| has(*group)).collect();
        let mut groups = GroupSet::new(manifest.groups());
        order.iter().for_each(|group| groups.set(*group, true));
        Self {
            manifest,
            names,
            place: Mutex::new(Place {
                path,
                is_final: false,
            }),
            there: Mutex::new(There { groups, order }),
        }
    }

    pub(super) fn handle_have(&self, group: u64) {
        let mut there = lock(&self.there);
        there.groups.set(group, true);
        there.order.push(group);
    }

    pub(super) fn handle_lost(&self, group: u64) {
        lock(&self.there).groups.set(group, false);
    }

    /// All of it is here, under its name.
    pub(super) fn handle_finished(&self, path: PathBuf) {
        let is_final = true;
        *lock(&self.place) = Place { path, is_final };
    }

    /// All of it is here, and its list has no more than so many entries.
    pub(super) fn is_final_and_below(&self, entries_max: usize) -> bool {
        lock(&self.place).is_final && self.manifest.entries().len() <= entries_max
    }

    /// Reads a piece into the front of `out`; false when its file is not what it was.
    fn read(
        &self,
        piece: Piece,
        out: &mut [u8],
        open: &mut Option<(u32, File)>,
    ) -> io::Result<bool> {
        let (path, is_final) = {
            let place = lock(&self.place);
            (self.path(place.path.clone(), piece.entry), place.is_final)
        };
        let file = match open.take() {
            Some((entry, file)) if entry == piece.entry => file,
            _ => {
                let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
                let mut options = fs::OpenOptions::new();
                options.read(true).custom_flags(flags.bits().cast_signed());
                options.open(path)?
            }
        };
        file.read_exact_at(&mut out[..piece.bytes as usize], piece.offset)?;
        let found = file.metadata()?;
        let same = self.manifest.entry(piece.entry).is_some_and(|entry| {
            let modified =
                i128::from(found.mtime()) * 1000 + i128::from(found.mtime_nsec() / 1_000_000);
            let untouched = modified == i128::from(entry.modified_ms);
            found.is_file() && found.len() == entry.bytes && (untouched || !is_final)
        });
        *open = same.then_some((piece.entry, file));
        Ok(same)
    }

    fn path(&self, root: PathBuf, mut entry: u32) -> PathBuf {
        let mut names = Vec::new();
        while entry != 0
            && let Some(found) = self.manifest.entry(entry)
        {
            let name = usize::try_from(entry).ok().and_then(|n| self.names.get(n));
            names.push(name.map_or("_", String::as_str));
            entry = found.parent;
        }
        let mut path = root;
        path.extend(names.into_iter().rev());
        path
    }
}

/// Lets another receiver fetch what is here, until it hangs up.
pub(super) fn pass_on(link: &mut Link, held: &Held) -> Result<(), LinkError> {
    let manifest = &held.manifest;
    link.send(&Message::Opened(Opened {
        revision: manifest.revision(),
        entries: u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX),
    }))?;
    let mut buffer = vec![0; GROUP_BUFFER_BYTES];
    let (mut open, mut told) = (None, 0);
    loop {
        link.flush()?;
        let asked = match link.receive() {
            Err(error) if is_gone(&error) => return Ok(()),
            asked => asked?,
        };
        if asked == Message::Follow {
            link.send(&Message::Have(news(held, &mut told)))?;
        } else if let Message::Want(Want { first, count }, _) = asked
            && count <= WANT_GROUPS_MAX
        {
            for group in (first..).take(count as usize) {
                send(link, held, group, &mut buffer, &mut open)?;
            }
        } else {
            return Err(LinkError::Unexpected("what makes no sense here"));
        }
    }
}

/// What has come since the last answer.
fn news(held: &Held, told: &mut usize) -> Vec<Want> {
    let there = lock(&held.there);
    let mut news = runs(&there.order[*told..]);
    news.truncate(RUNS_MAX);
    *told += news.iter().map(|run| run.count as usize).sum::<usize>();
    news
}

fn send(
    link: &mut Link,
    held: &Held,
    group: u64,
    buffer: &mut [u8],
    open: &mut Option<(u32, File)>,
) -> Result<(), LinkError> {
    let is_there = lock(&held.there).groups.contains(group);
    let Some(piece) = held.manifest.piece(group).filter(|_| is_there) else {
        return link.send(&Message::Gone(group));
    };
    let bytes = piece.bytes as usize;
    match held.read(piece, buffer, open) {
        Ok(true) => {}
        Ok(false) => return link.send(&Message::Gone(group)),
        Err(error) => {
            tracing::debug!(%error, "what is here of a content cannot be passed on");
            return link.send(&Message::Gone(group));
        }
    }
    let hash = held.manifest.hash_of(piece, &buffer[..bytes]);
    link.send_group(group, piece, &hash, buffer)
}
