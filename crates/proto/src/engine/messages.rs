//! Messages: out of the outbox, in from peers, and what the disk says to both.

use super::Engine;
use crate::directory::Entry;
use crate::frame::{Envelope, Frame, Hold};
use crate::io::{CommandId, ConnId, Output, StoreToken};
use crate::ledger::Then;
use crate::limits::{STORAGE_RETRY, WINDOW_MESSAGES};
use crate::session::SessionError;
use hallway_model::{
    Added, Answer, Delivery, EventKind, Message, MessageId, Now, PeerId, Problem,
    REQUEST_MESSAGES_MAX, REQUESTS_MAX, Refusal, StorageFault, TransferId, Write,
};

impl Engine {
    /// Hands what waits to the live session and reads more from disk when the window runs low.
    pub(super) fn pump(&mut self, peer: PeerId, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        let Some(session) = entry.session.as_mut().filter(|s| s.profile.is_some()) else {
            return;
        };
        let mut events = Vec::new();
        while !session.held_by_them {
            let Some(message) = entry.outbox.poll_send() else {
                break;
            };
            session.send(&Frame::Message(Envelope::of(message)), now.mono);
            session.active_at = Some(now.mono);
            let (id, state) = (message.id.to_string(), Delivery::Sent);
            events.push(Output::Event(EventKind::State { id, peer, state }));
        }
        if let Some(after_seq) = entry.outbox.poll_load() {
            events.push(Output::LoadOutbox {
                peer,
                after_seq,
                limit: WINDOW_MESSAGES,
            });
        }
        if !events.is_empty() {
            self.dirty.insert(peer);
            self.outputs.extend(events);
        }
    }

    /// A message of a peer: to disk with it, unless it is held back.
    pub(super) fn handle_message(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        message: Message,
        now: Now,
    ) -> Result<(), SessionError> {
        let full = self.is_full_of_requests(&peer);
        let Some(entry) = self.directory.get_mut(&peer) else {
            return Ok(());
        };
        let contact = entry.is_contact();
        let Some(session) = &mut entry.session else {
            return Ok(());
        };
        session.active_at = Some(now.mono);
        if !session.takes(message.seq)? {
            return Ok(());
        }
        if !contact && message.call().is_some() {
            // Calls are for contacts: of one that could not ring nothing stays here, and its
            // caller learns as much as from somebody who keeps it.
            session.acks.push(message.id);
            self.dirty.insert(peer);
            self.count("calls_of_strangers");
            return Ok(());
        }
        if full {
            session.hold(Hold::Request, now.mono);
            return Ok(());
        }
        entry.receiving += 1;
        let message = Box::new(message);
        let mut writes = vec![Write::Message(message.clone())];
        writes.extend(self.offered_write(&message));
        self.ledger.add(writes, Then::Received { message, conn });
        Ok(())
    }

    /// A stranger has left all the messages they may, or too many strangers have left some.
    fn is_full_of_requests(&self, peer: &PeerId) -> bool {
        let Some(entry) = self.directory.get(peer).filter(|entry| !entry.is_contact()) else {
            return false;
        };
        let waiting = entry.record.request_messages + entry.receiving;
        let asks =
            |entry: &&Entry| entry.is_request() || (!entry.is_contact() && entry.receiving > 0);
        let requests = || self.directory.iter().filter(asks);
        waiting >= REQUEST_MESSAGES_MAX || (waiting == 0 && requests().count() >= REQUESTS_MAX)
    }

    pub(super) fn handle_ack(&mut self, peer: PeerId, ids: &[MessageId], now: Now) {
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        if let Some(session) = &mut entry.session {
            session.active_at = Some(now.mono);
        }
        let acked = entry.outbox.handle_acked(ids);
        if acked.is_empty() {
            return;
        }
        for id in &acked {
            let (id, state) = (id.to_string(), Delivery::Delivered);
            self.event(EventKind::State { id, peer, state });
        }
        self.note_acked(peer, acked);
        self.believe_read(peer);
    }

    /// The peer says how far it has read. It may remember a count from before we forgot it, so
    /// that only what it has acknowledged counts.
    pub(super) fn handle_read(&mut self, peer: PeerId, seq: u64) {
        if let Some(session) = self.session_mut(&peer) {
            session.read_by_them = seq;
        }
        self.believe_read(peer);
    }

    /// Takes note of what was read of what was delivered.
    pub(super) fn believe_read(&mut self, peer: PeerId) {
        let me = self.config.id;
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        let told = entry.session.as_ref().map_or(0, |s| s.read_by_them);
        let seq = told.min(entry.outbox.delivered_through());
        if seq > entry.record.read_by_them {
            entry.record.read_by_them = seq;
            self.update(peer);
            self.event(EventKind::ReadUpTo {
                author: me,
                peer,
                seq,
            });
        }
    }

    /// A request to the disk is durable: acknowledge, send, answer.
    pub(super) fn handle_stored(&mut self, token: StoreToken, added: &[Added], now: Now) {
        for added in added {
            if let Added::New { change } = added {
                self.last_change = self.last_change.max(*change);
            }
        }
        let mut added = added.iter();
        for then in self.ledger.handle_stored(token) {
            match then {
                Then::Noted { .. } => {}
                Then::Sent {
                    message, command, ..
                } => {
                    let outcome = added.next();
                    self.handle_sent_stored(*message, command, outcome, now);
                }
                Then::Recorded { message } => {
                    self.handle_recorded(&message);
                    self.handle_own_stored(*message, added.next(), now);
                }
                Then::Received { message, conn } => {
                    let outcome = added.next();
                    self.handle_received_stored(message, conn, outcome, now);
                }
                Then::Changed {
                    before,
                    command,
                    answer,
                } => {
                    let peer = before.record.id;
                    let view = self.directory.get(&peer).map(|entry| entry.view(now.mono));
                    let view = view.map(|view| Answer::Peer(Box::new(view)));
                    self.reply(command, answer.or(view).unwrap_or(Answer::Done));
                    self.tell_peer(peer, now);
                    self.settle(peer, now);
                }
                Then::Transfer { id, over, command } => {
                    self.handle_transfer_stored(id, over, command, now);
                }
                Then::Set { command } | Then::Flushed { command } => {
                    self.reply(command, Answer::Done);
                }
                Then::Forgotten { peer, command } => {
                    self.handle_forgotten(peer, now);
                    self.reply(command, Answer::Done);
                }
            }
        }
    }

    fn handle_sent_stored(
        &mut self,
        message: Message,
        command: CommandId,
        added: Option<&Added>,
        now: Now,
    ) {
        let id = message.id;
        if let Some(peer) = self.handle_own_stored(message, added, now) {
            self.sent.push((command, peer, id));
        }
    }

    /// A message of ours is on disk: out with it. Returns whom it is for.
    fn handle_own_stored(
        &mut self,
        message: Message,
        added: Option<&Added>,
        now: Now,
    ) -> Option<PeerId> {
        let hallway_model::ConversationId::Peer(peer) = message.conversation else {
            return None;
        };
        let offered = TransferId::of(&message);
        self.handle_withdrawn(&message, now);
        if let Some(entry) = self.directory.get_mut(&peer) {
            match added {
                Some(Added::New { change }) => {
                    let told = Box::new(message.clone());
                    self.outputs.push_back(Output::Added {
                        message: told,
                        change: *change,
                    });
                    entry.outbox.handle_stored(message);
                }
                Some(Added::Duplicate) | None => entry.outbox.handle_duplicate(message.seq),
            }
        }
        let new = matches!(added, Some(Added::New { .. }));
        if new {
            self.count("messages_sent");
        }
        self.handle_offer_stored(offered, new, now);
        self.settle(peer, now);
        Some(peer)
    }

    fn handle_received_stored(
        &mut self,
        message: Box<Message>,
        conn: ConnId,
        added: Option<&Added>,
        now: Now,
    ) {
        let peer = message.author;
        let receipts = self.config.read_receipts;
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        let stranger = !entry.is_contact();
        entry.receiving = entry.receiving.saturating_sub(1);
        if let Some(session) = entry
            .session
            .as_mut()
            .filter(|session| session.conn == conn)
        {
            session.acks.push(message.id);
            self.dirty.insert(peer);
        }
        let offered = TransferId::of(&message);
        let Some(Added::New { change }) = added else {
            self.handle_offer_stored(offered, false, now);
            return;
        };
        if entry.typing_until.take().is_some() {
            self.outputs.push_back(Output::Event(EventKind::Typing {
                id: peer,
                typing: false,
            }));
        }
        // A peer that lost its count starts again; what it writes now was not read.
        let unread = entry.record.read_by_us >= message.seq;
        if unread {
            let read = message.seq.saturating_sub(1);
            entry.record.read_by_us = read;
            if let Some(session) = entry.session.as_mut().filter(|_| receipts && !stranger) {
                session.read = Some(read);
            }
        }
        self.outputs.push_back(Output::Added {
            message,
            change: *change,
        });
        if stranger {
            entry.record.request_messages += 1;
            let first = entry.record.request_messages == 1;
            entry.kept = true;
            let view = Box::new(entry.view(now.mono));
            self.update(peer);
            if first {
                self.event(EventKind::Request { peer: view });
            }
        } else if unread {
            self.update(peer);
        }
        self.count("messages_received");
        self.handle_offer_stored(offered, true, now);
        self.settle(peer, now);
    }

    /// The disk refused a request: nothing of it is acknowledged, sent or kept in memory.
    pub(super) fn handle_store_failed(&mut self, token: StoreToken, fault: StorageFault, now: Now) {
        let refused = self.ledger.handle_failed(token);
        let news = !refused.is_empty();
        // Changes are undone from the last to the first, as they build on each other.
        for then in refused.into_iter().rev() {
            match then {
                Then::Noted { peer, acked } => {
                    if let Some(entry) = self.directory.get_mut(&peer) {
                        entry.unsaved.extend(acked);
                        entry.save_at = Some(now.mono + STORAGE_RETRY);
                    }
                    self.settle(peer, now);
                }
                Then::Sent {
                    message,
                    command,
                    before,
                } => {
                    self.handle_offer_refused(&message);
                    if let hallway_model::ConversationId::Peer(peer) = message.conversation {
                        if let Some(entry) = self.directory.get_mut(&peer) {
                            entry.outbox.handle_store_failed();
                            if let Some(before) = before {
                                entry.go_back(*before);
                            }
                        }
                        self.settle(peer, now);
                    }
                    let detail = format!("nothing was sent: {fault}");
                    self.refuse(command, Refusal::new(Problem::Storage, detail));
                }
                Then::Recorded { message } => self.handle_unrecorded(&message, now),
                Then::Received { message, conn } => {
                    self.handle_offer_refused(&message);
                    self.hold_for_storage(message.author, conn, now);
                }
                Then::Changed {
                    before, command, ..
                } => {
                    let peer = before.record.id;
                    if let Some(entry) = self.directory.get_mut(&peer) {
                        entry.go_back(*before);
                    }
                    self.refuse(command, Refusal::new(Problem::Storage, fault.to_string()));
                    self.settle(peer, now);
                }
                Then::Forgotten { peer, command } => {
                    if let Some(entry) = self.directory.get_mut(&peer) {
                        entry.forgetting = false;
                        entry.save_at = Some(now.mono + STORAGE_RETRY);
                    }
                    self.refuse(command, Refusal::new(Problem::Storage, fault.to_string()));
                    self.settle(peer, now);
                }
                Then::Transfer { id, command, .. } => {
                    let refusal = Refusal::new(Problem::Storage, fault.to_string());
                    self.handle_transfer_unsaved(id, command, refusal, now);
                }
                Then::Set { command } => {
                    self.refuse(command, Refusal::new(Problem::Storage, fault.to_string()));
                }
                Then::Flushed { command } => self.reply(command, Answer::Done),
            }
        }
        if news {
            self.count("storage_failed");
            let code = match fault {
                StorageFault::Full => "disk_full",
                StorageFault::Failed => "disk_failed",
            };
            self.notice(code, fault.to_string(), now);
        }
    }

    fn hold_for_storage(&mut self, peer: PeerId, conn: ConnId, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        entry.receiving = entry.receiving.saturating_sub(1);
        if let Some(session) = entry
            .session
            .as_mut()
            .filter(|session| session.conn == conn)
        {
            session.hold(Hold::Storage, now.mono);
            self.dirty.insert(peer);
        }
        self.settle(peer, now);
    }

    /// The answer to `send`, once it is known whether the message went out at once.
    pub(super) fn answer_sent(&mut self, command: CommandId, to: PeerId, id: MessageId) {
        let entry = self.directory.get(&to);
        let gone = entry.is_some_and(|entry| entry.outbox.in_flight().any(|held| *held == id));
        let state = if gone {
            Delivery::Sent
        } else {
            Delivery::Queued
        };
        self.reply(command, Answer::Sent { id, to, state });
    }
}
