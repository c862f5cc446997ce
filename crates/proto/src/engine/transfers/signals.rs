//! What peers say about transfers, and what they are told.

use super::{Engine, HeldUp, Live, bytes_counter};
use crate::frame::Frame;
use crate::transfer::{Says, Signal};
use hallway_model::{Body, Message, MessageId, Now, PeerId, TransferId, TransferPhase, Write};

impl Engine {
    /// The record that is to become durable with an offer of theirs.
    pub(in crate::engine) fn offered_write(&mut self, message: &Message) -> Option<Write> {
        self.new_transfer(message, message.author, None)
    }

    /// A message that offers is on disk.
    pub(in crate::engine) fn handle_offer_stored(&mut self, id: TransferId, new: bool, now: Now) {
        let Some(record) = self.transfers.offered.remove(&id).filter(|_| new) else {
            return;
        };
        let peer = record.peer;
        self.transfers.insert(record);
        // Should it be over for who offers, they say so now.
        self.present_transfer(id, now);
        self.tell_transfer(id, now);
        self.settle(peer, now);
    }

    /// The record that is to become durable when an offer of ours is deleted: it is taken back.
    pub(in crate::engine) fn withdrawn_write(&self, message: &Message) -> Option<Write> {
        let live = self.withdrawn(message)?;
        let mut record = live.record.clone();
        record.phase = TransferPhase::Cancelled { by_us: true };
        Some(Write::Transfer(Box::new(record)))
    }

    /// The deletion is on disk.
    pub(in crate::engine) fn handle_withdrawn(&mut self, message: &Message, now: Now) {
        let Some(id) = self.withdrawn(message).map(|live| live.record.id) else {
            return;
        };
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.record.phase = TransferPhase::Cancelled { by_us: true };
        }
        self.save_transfer(id, None);
        self.tell_transfer(id, now);
    }

    /// The transfer that goes with what this message deletes, if it is not over.
    fn withdrawn(&self, message: &Message) -> Option<&Live> {
        let Body::Delete { target } = message.body else {
            return None;
        };
        let author = message.author;
        let live = self.transfers.all.get(&TransferId {
            author,
            message: target,
        })?;
        Some(live).filter(|live| !live.record.phase.is_over())
    }

    /// The disk did not take a message that offers.
    pub(in crate::engine) fn handle_offer_refused(&mut self, message: &Message) {
        self.transfers.offered.remove(&TransferId::of(message));
    }

    /// Says again how everything open stands; for a new session.
    pub(in crate::engine) fn present_transfers(&mut self, peer: PeerId, now: Now) {
        self.transfers.turns.handle_change(peer);
        self.forget_told(&peer);
        for id in self.transfers.open_with(&peer) {
            if let Some(live) = self.transfers.all.get_mut(&id) {
                live.retry_at = None;
                live.failures = 0;
                live.unreachable = false;
                if !live.is_incoming() {
                    live.held_up = None;
                }
            }
            self.present_transfer(id, now);
            if self.transfers.turns.is_waiting(&id) {
                self.say(id, Says::Queued, now);
            }
        }
    }

    pub(super) fn present_transfer(&mut self, id: TransferId, now: Now) {
        let stance = self.transfers.all.get(&id).map(Live::stance);
        for says in stance.into_iter().flatten() {
            self.say(id, says, now);
        }
    }

    pub(super) fn say(&mut self, id: TransferId, says: Says, now: Now) {
        let Some(peer) = self.transfers.all.get(&id).map(|live| live.record.peer) else {
            return;
        };
        let offering = id.author != peer;
        self.say_of(peer, id.message, offering, says, now);
    }

    fn say_of(&mut self, peer: PeerId, message: MessageId, offering: bool, says: Says, now: Now) {
        if let Some(session) = self.session_mut(&peer).filter(|s| s.profile.is_some()) {
            let signal = Signal {
                message,
                offering,
                says,
            };
            session.send(&Frame::Transfer(signal), now.mono);
            session.active_at = Some(now.mono);
            self.dirty.insert(peer);
        }
    }

    pub(in crate::engine) fn handle_signal(&mut self, peer: PeerId, signal: Signal, now: Now) {
        let author = if signal.offering {
            peer
        } else {
            self.config.id
        };
        let id = TransferId {
            author,
            message: signal.message,
        };
        let known = self.transfers.all.get(&id);
        let Some(before) = known.map(|live| &live.record).filter(|r| r.peer == peer) else {
            return self.handle_signal_of_unknown(peer, signal, now);
        };
        let before = before.clone();
        let mut after = before.clone();
        let over = before.phase.is_over();
        match signal.says {
            Says::Accept if !signal.offering && before.phase == TransferPhase::Offered => {
                after.phase = TransferPhase::Accepted;
            }
            Says::Accept | Says::Pause | Says::Resume | Says::Full | Says::Queued if over => {
                self.present_transfer(id, now);
            }
            Says::Decline if !signal.offering && !over => after.phase = TransferPhase::Declined,
            Says::Done if !signal.offering && !over => {
                after.phase = TransferPhase::Done;
                let whole = known.map_or(0, |live| live.bytes);
                let more = whole.saturating_sub(after.moved);
                after.moved = whole;
                self.count_many(bytes_counter(false), more);
            }
            Says::Cancel if !over => after.phase = TransferPhase::Cancelled { by_us: false },
            Says::Failed(failure) if !over => after.phase = TransferPhase::Failed(failure),
            Says::Pause if !over => after.paused_by_them = true,
            Says::Resume if !over => after.paused_by_them = false,
            Says::Settled if over => after.settled = true,
            Says::Dial if !signal.offering => self.reach(id),
            Says::Full if !signal.offering => self.handle_held_up(id, HeldUp::Full, now),
            Says::Queued if !signal.offering => self.handle_held_up(id, HeldUp::Queued, now),
            Says::Accept
            | Says::Decline
            | Says::Done
            | Says::Cancel
            | Says::Failed(_)
            | Says::Pause
            | Says::Resume
            | Says::Settled
            | Says::Dial
            | Says::Full
            | Says::Queued
            | Says::Other(_) => {}
        }
        if matches!(
            signal.says,
            Says::Decline | Says::Done | Says::Cancel | Says::Failed(_)
        ) {
            after.settled |= after.phase.is_over();
            self.say(id, Says::Settled, now);
        }
        if after == before {
            return;
        }
        let shown = (after.phase, after.paused_by_them) != (before.phase, before.paused_by_them);
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.record = after;
        }
        self.save_transfer(id, None);
        if shown {
            self.tell_transfer(id, now);
        }
    }

    /// The receiver waits.
    fn handle_held_up(&mut self, id: TransferId, why: HeldUp, now: Now) {
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.held_up = Some(why);
        }
        self.tell_transfer(id, now);
    }

    /// They speak of what we do not know: the word of its end is all they wait for.
    fn handle_signal_of_unknown(&mut self, peer: PeerId, signal: Signal, now: Now) {
        let answer = match signal.says {
            Says::Accept => Says::Cancel,
            Says::Done | Says::Decline | Says::Cancel | Says::Failed(_) => Says::Settled,
            Says::Pause
            | Says::Resume
            | Says::Settled
            | Says::Dial
            | Says::Full
            | Says::Queued
            | Says::Other(_) => return,
        };
        // An offer of theirs may still be on its way here, and must find its end when it comes.
        if !signal.offering {
            self.say_of(peer, signal.message, true, answer, now);
        }
    }
}
