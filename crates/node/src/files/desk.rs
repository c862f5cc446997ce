//! Connections for files that are not dialled by a fetch: each is led to what it is about.

use super::link::{Link, LinkError};
use super::pace::Pace;
use super::serve::{self, Share};
use super::{Reached, lock, step_back};
use hallway_model::{ContentId, PeerId, TransferId};
use hallway_proto::bulk::{Message, Open, RefusedWhy};
use hallway_proto::handshake::Established;
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// Connections that peers may have open to fetch from us.
const SERVED_MAX: usize = 64;

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Desk {
    shares: Arc<Mutex<HashMap<TransferId, Arc<Share>>>>,
    doors: Arc<Mutex<HashMap<TransferId, Door>>>,
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
    /// What it fetches, once that is known.
    share: Option<TransferId>,
    thread: thread::ThreadId,
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
            for serving in lock(&self.serving).iter().filter(|s| s.share == Some(*id)) {
                // It may be gone already.
                let _ = serving.stream.shutdown(Shutdown::Both);
            }
        }
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
            || lock(&self.doors).values().any(|door| door.peer == peer);
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
                        share: None,
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
        let share = lock(&self.shares)
            .values()
            .find(|share| share.is_for(peer, &open.content))
            .cloned();
        let Some(share) = share else {
            return serve::refuse(&mut link, RefusedWhy::NotNow);
        };
        let thread = thread::current().id();
        for own in lock(&self.serving)
            .iter_mut()
            .filter(|s| s.thread == thread)
        {
            own.share = Some(share.order.id);
        }
        step_back();
        link.limit(self.pace.clone());
        serve::serve(&mut link, open, &share)
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
