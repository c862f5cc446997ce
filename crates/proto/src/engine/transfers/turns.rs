//! When a transfer moves: once both sides want it, and it has its turn among all that is fetched.

use super::{Engine, Transfers};
use crate::limits::{TRANSFERS_RUNNING_MAX, TRANSFERS_RUNNING_OF_PEER_MAX};
use crate::transfer::Says;
use hallway_model::{Instant, Now, PeerId, TransferId};
use std::collections::{BTreeMap, BTreeSet};

/// Who fetches and who waits. An offer that nobody has answered costs nothing here, however many
/// there are: only what has changed is looked at again.
#[derive(Default)]
pub(super) struct Turns {
    /// How many are fetched of each peer.
    running: BTreeMap<PeerId, usize>,
    /// Ready to be fetched, but for a turn.
    waiting: BTreeSet<TransferId>,
    /// Peers whose transfers have changed since they were looked at.
    changed: BTreeSet<PeerId>,
    /// How the session of each peer was when its transfers were looked at.
    seen: BTreeMap<PeerId, Session>,
    /// Somebody may have a turn who had none.
    free: bool,
    /// Nothing is due before this.
    wake_at: Option<Instant>,
}

/// What a session is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Session {
    /// What runs can go on.
    there: bool,
    /// What does not run can start.
    ready: bool,
}

impl Turns {
    /// A transfer with this peer is not what it was.
    pub(super) fn handle_change(&mut self, peer: PeerId) {
        self.changed.insert(peer);
    }

    pub(super) fn take(&mut self, peer: PeerId) {
        *self.running.entry(peer).or_default() += 1;
    }

    pub(super) fn give_back(&mut self, peer: PeerId) {
        if let Some(running) = self.running.get_mut(&peer) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&peer);
            }
        }
        self.free = true;
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.changed.remove(peer);
        if self.seen.remove(peer).is_some() {
            self.waiting.retain(|id| id.author != *peer);
        }
    }

    pub(super) fn wake_at(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn is_waiting(&self, id: &TransferId) -> bool {
        self.waiting.contains(id)
    }
}

impl Transfers {
    /// When one of them needs attention.
    pub(in crate::engine) fn deadline(&self) -> Option<Instant> {
        self.turns.wake_at
    }

    /// Whose turn is next: of the peer of whom least is fetched the oldest.
    fn next(&self) -> Option<TransferId> {
        let Turns {
            running, waiting, ..
        } = &self.turns;
        if running.values().sum::<usize>() >= TRANSFERS_RUNNING_MAX {
            return None;
        }
        let waiting = waiting.iter().filter_map(|id| {
            let of_peer = running.get(&id.author).copied().unwrap_or(0);
            Some((of_peer, self.all.get(id)?.order, *id))
        });
        let (of_peer, _, id) = waiting.min()?;
        Some(id).filter(|_| of_peer < TRANSFERS_RUNNING_OF_PEER_MAX)
    }
}

impl Engine {
    /// Starts and stops the shell's part in all transfers with a peer.
    pub(in crate::engine) fn settle_transfers(&mut self, peer: PeerId, now: Now) {
        let mut new = Vec::new();
        if self.transfers.open.contains_key(&peer) {
            new = self.look_at_transfers(peer, now);
        } else {
            self.transfers.turns.forget(&peer);
        }
        if std::mem::take(&mut self.transfers.turns.free) && !self.stopping {
            while let Some(id) = self.transfers.next() {
                self.transfers.turns.waiting.remove(&id);
                self.start_transfer(id, now);
            }
        }
        for id in new {
            if self.transfers.turns.is_waiting(&id) {
                self.say(id, Says::Queued, now);
                self.tell_transfer(id, now);
            }
        }
    }

    /// Returns what has begun to wait for a turn.
    fn look_at_transfers(&mut self, peer: PeerId, now: Now) -> Vec<TransferId> {
        let entry = self.directory.get(&peer);
        let there = entry.is_some_and(|entry| entry.session.is_some()) && !self.stopping;
        let ready = there && self.is_live(&peer);
        let session = Session { there, ready };
        let turns = &mut self.transfers.turns;
        let same = turns.seen.insert(peer, session) == Some(session);
        let mut new = Vec::new();
        if !turns.changed.remove(&peer) && same {
            return new;
        }
        for id in self.transfers.open_with(&peer) {
            let Some(live) = self.transfers.all.get(&id) else {
                continue;
            };
            let incoming = live.is_incoming();
            let due = live.retry_at.is_none_or(|at| at <= now.mono);
            let starts = live.is_wanted() && ready && !live.active && due;
            // A session that takes the place of another is ready a moment later.
            if live.active && !(live.is_wanted() && there) {
                self.stop_transfer(id);
                self.tell_transfer(id, now);
            } else if starts && !incoming {
                self.start_transfer(id, now);
            } else if !starts {
                self.transfers.turns.waiting.remove(&id);
            } else if self.transfers.turns.waiting.insert(id) {
                new.push(id);
            }
        }
        self.transfers.turns.free |= !new.is_empty();
        new
    }

    /// What has come due.
    pub(in crate::engine) fn attend_transfers(&mut self, now: Now) {
        let Transfers {
            all, open, turns, ..
        } = &mut self.transfers;
        if turns.wake_at.is_none_or(|at| at > now.mono) {
            return;
        }
        turns.wake_at = None;
        let (mut unsaved, mut peers) = (Vec::new(), BTreeSet::new());
        for id in open.values().flatten() {
            let Some(live) = all.get_mut(id) else {
                continue;
            };
            if live.retry_at.is_some_and(|at| at <= now.mono) {
                live.retry_at = None;
                turns.handle_change(live.record.peer);
                peers.insert(live.record.peer);
            }
            if live.unsaved_until.is_some_and(|at| at <= now.mono) {
                live.unsaved_until = None;
                unsaved.push(*id);
            }
            let later = live.retry_at.into_iter().chain(live.unsaved_until);
            later.for_each(|at| turns.wake_at(at));
        }
        for id in unsaved {
            self.save_transfer(id, None);
        }
        for peer in peers {
            self.settle(peer, now);
        }
    }
}
