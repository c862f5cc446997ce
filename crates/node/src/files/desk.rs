//! Connections for files that are not dialled by a fetch: each is led to what it is about.

use super::link::{Link, LinkError};
use super::lot::Lot;
use super::pace::Pace;
use super::ring::{self, Ring};
use super::serve::{self, Share};
use super::{Reached, lock, step_back};
use hallway_model::{ContentId, PeerId, TransferId};
use hallway_proto::bulk::{Message, Open, RefusedWhy};
use hallway_proto::handshake::Established;
use std::collections::{HashMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;

/// Connections that peers may have open to fetch from us.
const SERVED_MAX: usize = 64;
/// Of these, connections of other receivers of what we fetch: each has five, so that this is some
/// more than are meant for us, and leaves the line to our own transfers.
const PASSED_ON_MAX: usize = 8;
/// Contents that have come or gone and that nobody fetches any more: somebody may accept the same
/// offer later. So many of each kind; the oldest go first.
const KEPT_MAX: usize = 8;
/// Of lists with more entries each would take megabytes.
const KEPT_ENTRIES_MAX: usize = 1024;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Desk {
    shares: Arc<Mutex<HashMap<TransferId, Arc<Share>>>>,
    doors: Arc<Mutex<HashMap<TransferId, Door>>>,
    rings: Arc<Mutex<HashMap<TransferId, Arc<Ring>>>>,
    lots: Arc<Mutex<HashMap<ContentId, Weak<Lot>>>>,
    /// Of what has been fetched from us: who comes later is to get it from those who have it.
    lent: Arc<Mutex<VecDeque<Arc<Lot>>>>,
    serving: Arc<Mutex<Vec<Serving>>>,
    pace: Option<Arc<Pace>>,
}

/// Where a sender that connects to us is let in.
pub(super) struct Door {
    pub(super) peer: PeerId,
    pub(super) content: ContentId,
    pub(super) links: mpsc::Sender<Reached>,
}

/// A connection on which a peer fetches from us.
struct Serving {
    stream: TcpStream,
    peer: PeerId,
    subject: Subject,
    thread: thread::ThreadId,
}

/// What a connection is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Not known yet.
    Unknown,
    /// Something that we offer.
    Share(TransferId),
    /// Something that we fetch or have fetched, for another receiver.
    Ring(TransferId),
}

impl Desk {
    /// All that leaves keeps to this pace.
    pub(super) fn new(pace: Option<Arc<Pace>>) -> Self {
        Self {
            pace,
            ..Self::default()
        }
    }

    pub(super) fn share(&self, share: Share) {
        lock(&self.shares).insert(share.order.id, Arc::new(share));
    }

    pub(super) fn shared(&self, id: &TransferId) -> Option<Arc<Share>> {
        lock(&self.shares).get(id).cloned()
    }

    /// Lets nobody fetch any more.
    pub(super) fn unshare(&self, id: &TransferId) {
        if let Some(share) = lock(&self.shares).remove(id) {
            share.stop();
            self.hang_up(|serving| serving.subject == Subject::Share(*id));
            self.keep(share.lot.clone());
        }
    }

    fn keep(&self, lot: Arc<Lot>) {
        let mut lent = lock(&self.lent);
        lent.retain(|kept| !Arc::ptr_eq(kept, &lot));
        if lot.is_shared_and_below(KEPT_ENTRIES_MAX) {
            lent.push_back(lot);
        }
        if lent.len() > KEPT_MAX {
            lent.pop_front();
        }
    }

    fn hang_up(&self, is_meant: impl Fn(&Serving) -> bool) {
        for serving in lock(&self.serving).iter().filter(|s| is_meant(s)) {
            // It may be gone already.
            let _ = serving.stream.shutdown(Shutdown::Both);
        }
    }

    /// What several offers of one content have in common.
    pub(super) fn lot(&self, content: ContentId, source: &Path) -> Arc<Lot> {
        let mut lots = lock(&self.lots);
        lots.retain(|_, lot| lot.strong_count() > 0);
        let known = lots.get(&content).and_then(Weak::upgrade);
        if let Some(lot) = known.filter(|lot| lot.source == source) {
            return lot;
        }
        let lot = Arc::new(Lot::new(source.to_owned()));
        lots.insert(content, Arc::downgrade(&lot));
        lot
    }

    /// The other receivers of something that we fetch.
    pub(super) fn ring(&self, id: TransferId, content: ContentId, me: PeerId) -> Arc<Ring> {
        let mut rings = lock(&self.rings);
        let ring = rings.entry(id);
        let ring = ring.or_insert_with(|| Arc::new(Ring::new(me, content)));
        ring.clone()
    }

    /// Ends what goes on with those who are no longer among the receivers.
    pub(super) fn tidy(&self, id: &TransferId, is_fetched: bool) {
        let mut rings = lock(&self.rings);
        let Some(ring) = rings.get(id).cloned() else {
            return;
        };
        let is_kept = |ring: &Ring| {
            let held = ring.held();
            ring.is_empty() && held.is_some_and(|held| held.is_final_and_below(KEPT_ENTRIES_MAX))
        };
        if ring.is_empty() && !is_fetched && !is_kept(&ring) {
            rings.remove(id);
        }
        let kept = rings.iter().filter(|(_, ring)| is_kept(ring));
        let mut kept: Vec<_> = kept.map(|(id, ring)| (ring.now(), *id)).collect();
        if kept.len() > KEPT_MAX
            && let Some((_, oldest)) = kept.drain(..).max()
        {
            rings.remove(&oldest);
        }
        drop(rings);
        self.hang_up(|serving| serving.subject == Subject::Ring(*id) && !ring.knows(&serving.peer));
    }

    pub(super) fn unshare_all(&self) {
        let shares: Vec<_> = lock(&self.shares).keys().copied().collect();
        shares.iter().for_each(|id| self.unshare(id));
    }

    /// Lets the sender of something that we fetch connect to us.
    pub(super) fn expect(&self, id: TransferId, door: Door) {
        lock(&self.doors).insert(id, door);
    }

    pub(super) fn expect_no_longer(&self, id: &TransferId) {
        lock(&self.doors).remove(id);
    }

    /// Takes a connection that a peer has opened.
    pub(super) fn accept(&self, stream: TcpStream, established: Established) {
        let peer = established.peer;
        let fetches = |share: &Arc<Share>| share.order.peer == peer;
        let known = lock(&self.shares).values().any(fetches)
            || lock(&self.doors).values().any(|door| door.peer == peer)
            || lock(&self.rings).values().any(|ring| ring.knows(&peer));
        if known {
            self.attend(stream, established, move |desk, link| {
                desk.lead(link, &peer)
            });
        } else {
            tracing::debug!(?peer, "closed a connection for files: there are none");
        }
    }

    /// Lets a peer fetch on a connection that we have opened.
    pub(super) fn serve(&self, stream: TcpStream, established: Established, share: Arc<Share>) {
        self.attend(stream, established, move |desk, mut link| {
            let Share { order, .. } = &*share;
            link.send(&Message::Open(Open {
                content: order.offer.content,
                serving: true,
                have: None,
                revision: None,
            }))?;
            link.flush()?;
            desk.lead(link, &order.peer)
        });
    }

    fn attend(
        &self,
        stream: TcpStream,
        established: Established,
        lead: impl FnOnce(&Self, Link) -> Result<(), LinkError> + Send + 'static,
    ) {
        if lock(&self.serving).len() >= SERVED_MAX {
            tracing::debug!("closed a connection for files: there are too many");
            return;
        }
        let (desk, peer) = (self.clone(), established.peer);
        thread::spawn(move || {
            let led = Link::new(stream, established)
                .map_err(LinkError::from)
                .and_then(|link| {
                    lock(&desk.serving).push(Serving {
                        stream: link.stream()?,
                        peer,
                        subject: Subject::Unknown,
                        thread: thread::current().id(),
                    });
                    lead(&desk, link)
                });
            let own = thread::current().id();
            lock(&desk.serving).retain(|serving| serving.thread != own);
            if let Err(error) = led {
                tracing::debug!(?peer, %error, "a connection for files ended");
            }
        });
    }

    fn lead(&self, mut link: Link, peer: &PeerId) -> Result<(), LinkError> {
        let Message::Open(open) = link.receive()? else {
            return Err(LinkError::Unexpected("something before it said what for"));
        };
        if open.serving {
            return self.let_in(link, peer, &open.content);
        }
        step_back();
        link.limit(self.pace.clone());
        let share = lock(&self.shares)
            .values()
            .find(|share| share.is_for(peer, &open.content))
            .cloned();
        if let Some(share) = share {
            self.is_about(Subject::Share(share.order.id));
            return serve::serve(&mut link, open, &share);
        }
        let known = |ring: &Ring| ring.content == open.content && ring.knows(peer);
        let ring = lock(&self.rings)
            .iter()
            .find(|(_, ring)| known(ring))
            .map(|(id, ring)| (*id, ring.clone()));
        if let Some((id, ring)) = ring
            && let Some(held) = ring.held()
            && self.is_about(Subject::Ring(id)) <= PASSED_ON_MAX
        {
            return ring::pass_on(&mut link, &held);
        }
        serve::refuse(&mut link, RefusedWhy::NotNow)
    }

    /// Notes what this thread's connection is about; returns how many pass on to other receivers.
    fn is_about(&self, subject: Subject) -> usize {
        let thread = thread::current().id();
        let mut serving = lock(&self.serving);
        for own in serving.iter_mut().filter(|s| s.thread == thread) {
            own.subject = subject;
        }
        let passed_on = |serving: &&Serving| matches!(serving.subject, Subject::Ring(_));
        serving.iter().filter(passed_on).count()
    }

    /// The sender of something that we fetch has connected to us.
    fn let_in(&self, link: Link, peer: &PeerId, content: &ContentId) -> Result<(), LinkError> {
        let doors = lock(&self.doors);
        let meant = |door: &&Door| (door.peer, door.content) == (*peer, *content);
        let door = doors.values().find(meant);
        let door = door.ok_or(LinkError::Unexpected("what is not fetched"))?;
        // Without anybody behind the door the connection ends here.
        let _ = door.links.send(Reached::Came(Box::new(link)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::Held;
    use super::*;
    use hallway_model::MessageId;
    use hallway_proto::bulk::{Entry, Kind, Manifest};

    fn manifest(entries: usize) -> Arc<Manifest> {
        let mut manifest = Manifest::default();
        for number in 0..entries {
            let entry = Entry {
                parent: 0,
                name: number.to_string(),
                kind: Kind::Folder,
                bytes: 0,
                modified_ms: 0,
                executable: false,
                version: 0,
            };
            manifest.push(entry).unwrap();
        }
        Arc::new(manifest)
    }

    fn id(number: u8) -> TransferId {
        TransferId {
            author: PeerId([1; 32]),
            message: MessageId([number; 16]),
        }
    }

    /// All of it has come, and nobody was introduced.
    fn fetched(desk: &Desk, number: u8, entries: usize) {
        let ring = desk.ring(id(number), ContentId([number; 16]), PeerId([2; 32]));
        let names = vec![String::new(); entries];
        let held = Arc::new(Held::new(manifest(entries), "/in".into(), names, |_| true));
        ring.hold(held.clone());
        desk.tidy(&id(number), true);
        held.handle_finished("/in".into());
        desk.tidy(&id(number), false);
    }

    #[test]
    fn what_has_come_is_kept_for_others_up_to_a_limit() {
        let desk = Desk::new(None);
        let kept = |desk: &Desk| {
            let mut kept: Vec<u8> = lock(&desk.rings).keys().map(|id| id.message.0[0]).collect();
            kept.sort_unstable();
            kept
        };
        fetched(&desk, 0, KEPT_ENTRIES_MAX + 1);
        assert!(kept(&desk).is_empty());
        for number in 1..=8 {
            fetched(&desk, number, KEPT_ENTRIES_MAX);
        }
        assert_eq!(kept(&desk), [1, 2, 3, 4, 5, 6, 7, 8]);
        fetched(&desk, 9, 1);
        assert_eq!(kept(&desk), [2, 3, 4, 5, 6, 7, 8, 9]);
        // What is given up before it has come is not.
        desk.ring(id(10), ContentId([10; 16]), PeerId([2; 32]));
        desk.tidy(&id(10), false);
        assert_eq!(kept(&desk).len(), KEPT_MAX);
    }
}
