//! Messages of ours on their way to one peer: durable on disk, a window of them in memory.

use crate::limits::{WINDOW_BYTES, WINDOW_MESSAGES};
use hallway_model::{Body, Message, MessageId};
use std::collections::VecDeque;

/// How far from the front of the window an acknowledged message is looked for.
const ACK_SEARCH: usize = 64;

/// The window over the undelivered messages to one peer, in order of sequence numbers.
#[derive(Default)]
pub(crate) struct Outbox {
    window: VecDeque<Message>,
    window_bytes: usize,
    /// How many of the window the live session has.
    handed: usize,
    /// Highest sequence number given out.
    last_seq: u64,
    /// Highest sequence number known to be on disk.
    stored_through: u64,
    /// Highest sequence number that is or was in the window.
    loaded_through: u64,
    /// The highest number that was on disk when a read of it was asked for.
    loading: Option<u64>,
    /// Messages on disk that are not acknowledged, and those about to be.
    undelivered: u64,
}

impl Outbox {
    /// The outbox as it is on disk: nothing loaded yet.
    pub(crate) fn restored(last_seq: u64, undelivered: bool) -> Self {
        Self {
            last_seq,
            stored_through: last_seq,
            loaded_through: if undelivered { 0 } else { last_seq },
            ..Self::default()
        }
    }

    /// The number for the next message.
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.last_seq += 1;
        self.undelivered += 1;
        self.last_seq
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The peer has everything up to this number: it acknowledges in order.
    pub(crate) fn delivered_through(&self) -> u64 {
        match self.window.front() {
            Some(first) => first.seq - 1,
            None => self.loaded_through.min(self.stored_through),
        }
    }

    /// Something waits for the peer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.window.is_empty() || self.loaded_through < self.stored_through
    }

    /// Messages of this run that wait; a lower bound of what is on disk.
    pub(crate) fn undelivered(&self) -> u64 {
        self.undelivered
    }

    /// A message is on disk: into the window with it when it is the next one and there is room.
    pub(crate) fn handle_stored(&mut self, message: Message) {
        let next = self.loaded_through == self.stored_through && self.loading.is_none();
        self.stored_through = self.stored_through.max(message.seq);
        if next && self.has_room() {
            self.push(message);
        }
    }

    /// The message was on disk before, so its new number stays unused.
    pub(crate) fn handle_duplicate(&mut self, seq: u64) {
        self.undelivered = self.undelivered.saturating_sub(1);
        if self.loaded_through == self.stored_through && self.loading.is_none() {
            self.loaded_through = self.loaded_through.max(seq);
        }
        self.stored_through = self.stored_through.max(seq);
    }

    /// The disk refused what was not stored yet: its numbers are free again.
    pub(crate) fn handle_store_failed(&mut self) {
        self.undelivered = self
            .undelivered
            .saturating_sub(self.last_seq - self.stored_through);
        self.last_seq = self.stored_through;
    }

    /// The number after which to read from disk, when the window has run low.
    pub(crate) fn poll_load(&mut self) -> Option<u64> {
        let low = self.window.len() < WINDOW_MESSAGES / 2 && self.window_bytes < WINDOW_BYTES / 2;
        if self.loading.is_some() || !low || self.loaded_through >= self.stored_through {
            return None;
        }
        self.loading = Some(self.stored_through);
        Some(self.loaded_through)
    }

    /// What the disk had after the number of [`Outbox::poll_load`].
    pub(crate) fn handle_loaded(&mut self, messages: Vec<Message>) {
        let Some(stored_through) = self.loading.take() else {
            // Asked for by an outbox that is forgotten.
            return;
        };
        if messages.is_empty() {
            // What was stored since may not have been seen.
            self.loaded_through = stored_through;
        }
        for message in messages {
            // Room was made when the load was asked for; what does not fit is read again.
            if message.seq > self.loaded_through && self.has_room() {
                self.push(message);
            }
        }
    }

    /// The disk could not be read.
    pub(crate) fn handle_load_failed(&mut self) {
        self.loading = None;
    }

    /// The next message for the live session.
    pub(crate) fn poll_send(&mut self) -> Option<&Message> {
        let message = self.window.get(self.handed)?;
        self.handed += 1;
        Some(message)
    }

    /// The session is over, or the peer asks to start over: everything in the window goes again.
    pub(crate) fn rewind(&mut self) {
        self.handed = 0;
    }

    /// The peer has these on disk. Returns those that were still waiting.
    pub(crate) fn handle_acked(&mut self, ids: &[MessageId]) -> Vec<MessageId> {
        let mut acked = Vec::with_capacity(ids.len());
        for id in ids {
            // Acknowledgements come in order, so the search ends at the front; a peer that makes
            // ids up costs little.
            let near = self.window.iter().take(self.handed.min(ACK_SEARCH));
            if let Some(at) = near.map(|m| m.id).position(|held| held == *id)
                && let Some(message) = self.window.remove(at)
            {
                self.window_bytes -= weight(&message);
                self.handed -= 1;
                self.undelivered = self.undelivered.saturating_sub(1);
                acked.push(*id);
            }
        }
        acked
    }

    /// Handed to the live session, not acknowledged.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &MessageId> {
        self.window
            .iter()
            .take(self.handed)
            .map(|message| &message.id)
    }

    fn has_room(&self) -> bool {
        self.window.len() < WINDOW_MESSAGES && self.window_bytes < WINDOW_BYTES
    }

    fn push(&mut self, message: Message) {
        self.loaded_through = message.seq;
        self.window_bytes += weight(&message);
        self.window.push_back(message);
    }
}

fn weight(message: &Message) -> usize {
    let body = match &message.body {
        Body::Text { text, .. } | Body::Edit { text, .. } => text.len(),
        Body::Reaction(reaction) => reaction.emoji.len(),
        Body::Offer(offer) => offer.name.len() + offer.thumbnail.as_ref().map_or(0, Vec::len),
        Body::Unknown { raw, .. } => raw.len(),
        Body::Delete { .. } | Body::Call(_) => 0,
    };
    size_of::<Message>() + body
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::{ConversationId, Delivery, PeerId, WallTime};

    fn message(seq: u64) -> Message {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&seq.to_be_bytes());
        Message {
            id: MessageId(id),
            conversation: ConversationId::Peer(PeerId([1; 32])),
            author: PeerId([2; 32]),
            seq,
            at: WallTime(0),
            body: Body::Text {
                text: "hi".into(),
                reply_to: None,
            },
            raw: None,
            delivery: Delivery::Queued,
        }
    }

    fn drain(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.poll_send().map(|m| m.seq)).collect()
    }

    #[test]
    fn what_is_not_acknowledged_goes_again_in_order() {
        let mut outbox = Outbox::default();
        for _ in 0..5 {
            let seq = outbox.next_seq();
            outbox.handle_stored(message(seq));
        }
        assert_eq!(drain(&mut outbox), [1, 2, 3, 4, 5]);
        assert_eq!(
            outbox.handle_acked(&[message(2).id, message(9).id]),
            [message(2).id]
        );
        outbox.rewind();
        assert_eq!(drain(&mut outbox), [1, 3, 4, 5]);
        assert_eq!(outbox.delivered_through(), 0);
        outbox.handle_acked(&[message(1).id, message(3).id]);
        assert_eq!(outbox.delivered_through(), 3);
        assert_eq!(outbox.in_flight().count(), 2);
    }

    #[test]
    fn a_full_window_reads_the_rest_from_disk_without_a_gap() {
        let mut outbox = Outbox::default();
        let total = WINDOW_MESSAGES as u64 * 2 + 10;
        for _ in 0..total {
            let seq = outbox.next_seq();
            outbox.handle_stored(message(seq));
        }
        let mut seen = Vec::new();
        while outbox.is_waiting() {
            let sent = drain(&mut outbox);
            let ids: Vec<_> = sent.iter().map(|seq| message(*seq).id).collect();
            assert_eq!(outbox.handle_acked(&ids).len(), ids.len());
            seen.extend(sent);
            if let Some(after) = outbox.poll_load() {
                let last = (after + WINDOW_MESSAGES as u64).min(total);
                outbox.handle_loaded((after + 1..=last).map(message).collect());
            }
        }
        assert_eq!(seen, (1..=total).collect::<Vec<_>>());
    }

    #[test]
    fn a_message_stored_while_loading_is_not_forgotten() {
        let mut outbox = Outbox::restored(3, true);
        assert_eq!(outbox.poll_load(), Some(0));
        let seq = outbox.next_seq();
        outbox.handle_stored(message(seq));
        outbox.handle_loaded((1..=3).map(message).collect());
        assert_eq!(outbox.poll_load(), Some(3));
        outbox.handle_loaded(vec![message(4)]);
        assert_eq!(drain(&mut outbox), [1, 2, 3, 4]);
        assert_eq!(outbox.poll_load(), None);
    }

    #[test]
    fn a_message_stored_while_nothing_was_found_is_not_forgotten() {
        let mut outbox = Outbox::default();
        let (unused, seq) = (outbox.next_seq(), outbox.next_seq());
        outbox.loading = Some(0);
        outbox.handle_duplicate(unused);
        outbox.handle_loaded(Vec::new());
        assert_eq!(outbox.poll_load(), Some(0));
        outbox.handle_stored(message(seq));
        outbox.handle_loaded(Vec::new());
        assert_eq!(outbox.poll_load(), Some(unused));
        outbox.handle_loaded(vec![message(seq)]);
        assert_eq!(drain(&mut outbox), [seq]);
    }

    #[test]
    fn a_refused_write_gives_its_number_back() {
        let mut outbox = Outbox::restored(7, false);
        assert_eq!(outbox.next_seq(), 8);
        outbox.handle_store_failed();
        assert_eq!(outbox.next_seq(), 8);
    }
}
