//! Commands of the faces.

use super::{Engine, Purpose};
use crate::directory::Entry;
use crate::frame::{Frame, Profile};
use crate::handshake::safety_number;
use crate::io::{CommandId, Output};
use crate::ledger::Then;
use crate::limits::{COLLISIONS_TOLD_MAX, TYPING_EVERY};
use hallway_model::{
    Answer, Body, Command, ConversationId, CounterView, Delivery, EventKind, Message, MessageId,
    Name, Now, OUTBOX_MAX, Peer, PeerId, Presence, Problem, Refusal, Relation, Status, StatusView,
    TextError, VerifyView, Write, check_text,
};
use rand_chacha::rand_core::Rng;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::path::PathBuf;

impl Engine {
    pub(super) fn handle_command(&mut self, command: CommandId, what: Command, now: Now) {
        let done = match what {
            Command::Status => Ok(Some(Answer::Status(Box::new(self.status_view())))),
            Command::Flush => Ok(self
                .ledger
                .wait(Then::Flushed { command })
                .map(|_| Answer::Done)),
            Command::Peers => Ok(Some(Answer::Peers(self.peer_views(now)))),
            Command::InFlight(peer) => Ok(Some(Answer::InFlight(self.in_flight(&peer)))),
            Command::Resolve(reference) => self.resolve(&reference, now).map(Some),
            Command::Send {
                to,
                body,
                client_id,
            } => self
                .send(command, to, body, client_id.as_deref(), None, now)
                .map(|()| None),
            Command::Typing(peer) => {
                self.type_to(peer, now);
                Ok(Some(Answer::Done))
            }
            Command::MarkRead(peer, seq) => self.mark_read(peer, seq).map(Some),
            Command::Rename(name) => {
                self.rename(command, name, now);
                Ok(None)
            }
            Command::SetStatus(status) => {
                self.set_status(command, status, now);
                Ok(None)
            }
            Command::Set(setting) => self.set(command, setting).map(|()| None),
            Command::Connect(addresses) => {
                self.connect(command, addresses, now);
                Ok(None)
            }
            Command::Verify { peer, number } => self.verify(command, peer, number, now),
            Command::KeepName(peer) => self.change(command, peer, None, now, |record| {
                record.impostor = None;
                record.name_settled = true;
            }),
            Command::Block(peer) => self.block(command, peer, now),
            Command::Unblock(peer) => {
                self.change(command, peer, None, now, |record| record.blocked = false)
            }
            Command::Accept(peer) => {
                let accepted = self.change(command, peer, None, now, |record| {
                    record.relation = Relation::Contact;
                    record.request_messages = 0;
                });
                self.welcome(peer, now);
                accepted
            }
            Command::Forget(peer) => self.forget(command, peer, now).map(|()| None),
            Command::Transfers => Ok(Some(Answer::Transfers(self.transfer_views(now)))),
            Command::Offer {
                to,
                offer,
                source,
                client_id,
            } => {
                let to = ConversationId::Peer(to);
                let client_id = client_id.as_deref();
                self.send(
                    command,
                    to,
                    Body::Offer(offer),
                    client_id,
                    Some(source),
                    now,
                )
                .map(|()| None)
            }
            Command::Transfer { id, act } => {
                self.act_on_transfer(command, &id, act, now).map(|()| None)
            }
            Command::Calls => Ok(Some(Answer::Calls(self.call_views(now)))),
            Command::Call(peer) => self.call(peer, now).map(Some),
            Command::Answer(call) => self.answer_call(call, now).map(Some),
            Command::HangUp(call) => self.hang_up(call, now).map(Some),
            Command::Mute { call, on } => self.mute(call, on, now).map(Some),
            Command::Hold { call, on } => self.hold(call, on, now).map(Some),
        };
        match done {
            Ok(Some(answer)) => self.reply(command, answer),
            Ok(None) => {}
            Err(refusal) => self.refuse(command, refusal),
        }
    }

    pub(super) fn reply(&mut self, command: CommandId, answer: Answer) {
        self.outputs.push_back(Output::Reply(command, Ok(answer)));
    }

    pub(super) fn refuse(&mut self, command: CommandId, refusal: Refusal) {
        self.outputs.push_back(Output::Reply(command, Err(refusal)));
    }

    fn status_view(&self) -> StatusView {
        let counters = self.counters.iter();
        StatusView {
            id: self.config.id,
            tag: self.config.id.tag(),
            name: self.name.clone(),
            status: self.status,
            accept_files_bytes: self.config.accept_files_bytes,
            read_receipts: self.config.read_receipts,
            downloads: self.chosen.downloads.clone().unwrap_or_default(),
            static_peers: self.chosen.static_peers.clone(),
            muted: self.chosen.muted.iter().copied().collect(),
            event: self.last_change,
            port: self.config.port,
            pid: 0,
            sessions: self.directory.sessions(),
            addresses: Vec::new(),
            version: String::new(),
            uptime_ms: 0,
            notices: Vec::new(),
            counters: counters
                .map(|(name, count)| CounterView {
                    name: (*name).into(),
                    count: *count,
                })
                .collect(),
        }
    }

    /// Everybody the user may care about: those kept on disk, and those here now.
    fn peer_views(&self, now: Now) -> Vec<hallway_model::PeerView> {
        let mut views: Vec<_> = self
            .directory
            .iter()
            .filter(|entry| entry.kept || entry.presence() != Presence::Offline)
            .map(|entry| entry.view(now.mono))
            .collect();
        let nearness = |state| match state {
            Presence::Live => 0,
            Presence::Nearby => 1,
            Presence::Offline => 2,
        };
        views.sort_by_cached_key(|view| (nearness(view.state), view.name.to_lowercase(), view.id));
        views
    }

    fn in_flight(&self, peer: &PeerId) -> Vec<MessageId> {
        let entry = self.directory.get(peer);
        entry
            .map(|entry| entry.outbox.in_flight().copied().collect())
            .unwrap_or_default()
    }

    fn resolve(&self, reference: &str, now: Now) -> Result<Answer, Refusal> {
        let peer = self.directory.resolve(reference)?;
        if peer == self.config.id {
            return Err(oneself());
        }
        let view = match self.directory.get(&peer) {
            Some(entry) => entry.view(now.mono),
            None => {
                let record = Peer::new(peer, now.wall);
                Entry::new(record, false, crate::outbox::Outbox::default()).view(now.mono)
            }
        };
        Ok(Answer::Peer(Box::new(view)))
    }

    fn send(
        &mut self,
        command: CommandId,
        to: ConversationId,
        body: Body,
        client_id: Option<&str>,
        source: Option<PathBuf>,
        now: Now,
    ) -> Result<(), Refusal> {
        let ConversationId::Peer(peer) = to else {
            return Err(Refusal::new(
                Problem::BadValue,
                "there are no groups in this version",
            ));
        };
        if peer == self.config.id {
            return Err(oneself());
        }
        check_text(&body).map_err(|error| {
            let problem = match error {
                TextError::TooLong { .. } => Problem::TooLong,
                TextError::Empty => Problem::BadValue,
            };
            Refusal::new(problem, error.to_string())
        })?;
        let id = match client_id {
            Some(client_id) => id_of_client(&peer, client_id),
            None => {
                let mut random = [0; 16];
                self.rng.fill_bytes(&mut random);
                MessageId(random)
            }
        };
        let me = self.config.id;
        let entry = self.directory.entry(peer, now.wall);
        may_change(entry)?;
        may_send(entry)?;
        let newly_met = !entry.is_contact();
        let before = newly_met.then(|| entry.before());
        let message = Message {
            id,
            conversation: to,
            author: me,
            seq: entry.outbox.next_seq(),
            at: now.wall,
            body,
            raw: None,
            delivery: Delivery::Queued,
        };
        let mut writes = vec![Write::Message(Box::new(message.clone()))];
        if newly_met {
            // Writing to somebody accepts them.
            entry.record.relation = Relation::Contact;
            entry.record.request_messages = 0;
            entry.kept = true;
            entry.record.last_seq = message.seq;
            writes.push(Write::Peer(Box::new(entry.record.clone())));
        }
        writes.extend(source.and_then(|source| self.offer_write(&message, source)));
        writes.extend(self.withdrawn_write(&message));
        self.ledger.add(
            writes,
            Then::Sent {
                message: Box::new(message),
                command,
                before,
            },
        );
        if newly_met {
            self.welcome(peer, now);
            self.tell_peer(peer, now);
        }
        self.settle(peer, now);
        Ok(())
    }

    fn type_to(&mut self, peer: PeerId, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer).filter(|e| e.is_contact()) else {
            return;
        };
        let recent = |at| now.mono - at < TYPING_EVERY;
        if entry.typing_sent_at.is_some_and(recent) {
            return;
        }
        if let Some(session) = entry.session.as_mut().filter(|s| s.profile.is_some()) {
            session.send(&Frame::Typing(true), now.mono);
            session.active_at = Some(now.mono);
            entry.typing_sent_at = Some(now.mono);
            self.dirty.insert(peer);
        }
        self.settle(peer, now);
    }

    fn mark_read(&mut self, peer: PeerId, seq: u64) -> Result<Answer, Refusal> {
        let receipts = self.config.read_receipts;
        let entry = self
            .directory
            .get_mut(&peer)
            .ok_or_else(|| unknown(&peer))?;
        if seq <= entry.record.read_by_us {
            return Ok(Answer::Done);
        }
        entry.record.read_by_us = seq;
        let contact = entry.is_contact();
        if let Some(session) = entry.session.as_mut().filter(|_| receipts && contact) {
            session.read = Some(seq);
            self.dirty.insert(peer);
        }
        self.note_read(peer);
        self.event(EventKind::ReadUpTo {
            author: peer,
            peer,
            seq,
        });
        Ok(Answer::Done)
    }

    fn rename(&mut self, command: CommandId, name: Name, now: Now) {
        self.ledger.add(
            [Write::Setting("name", name.to_string())],
            Then::Set { command },
        );
        self.name = name;
        self.introduce(now);
    }

    fn set_status(&mut self, command: CommandId, status: Status, now: Now) {
        let text = match status {
            Status::Available => "available",
            Status::Away => "away",
            Status::Busy => "busy",
        };
        self.ledger.add(
            [Write::Setting("status", text.into())],
            Then::Set { command },
        );
        self.status = status;
        self.introduce(now);
    }

    /// Tells everybody who we are now.
    fn introduce(&mut self, now: Now) {
        self.outputs
            .push_back(Output::Announce(self.name.clone(), self.status));
        let profile = Profile::new(self.name.clone(), self.status, now.wall, self.config.port);
        for peer in self.directory.ids() {
            if let Some(session) = self.session_mut(&peer) {
                session.send(&Frame::Profile(profile.clone()), now.mono);
                self.dirty.insert(peer);
            }
        }
    }

    fn connect(&mut self, command: CommandId, addresses: Vec<SocketAddr>, now: Now) {
        self.dial(
            Purpose::Connect(command, addresses.clone()),
            None,
            addresses,
            now,
        );
    }

    fn verify(
        &mut self,
        command: CommandId,
        peer: PeerId,
        number: Option<String>,
        now: Now,
    ) -> Result<Option<Answer>, Refusal> {
        if peer == self.config.id {
            return Err(oneself());
        }
        let safety_number = safety_number(&self.config.id, &peer);
        let view = |verified| VerifyView {
            id: peer,
            safety_number: safety_number.clone(),
            verified,
        };
        let verified = self
            .directory
            .get(&peer)
            .is_some_and(|e| e.record.verified_at.is_some());
        let Some(number) = number else {
            return Ok(Some(Answer::Verify(view(verified))));
        };
        let digits = |text: &str| {
            text.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        };
        if digits(&number) != digits(&safety_number) {
            return Err(Refusal::new(
                Problem::NumberMismatch,
                format!(
                    "this is not the safety number with this peer, so it is NOT verified. \
                     Either it was mistyped, or you are not talking to whom you think. \
                     Yours is {safety_number}"
                ),
            ));
        }
        let wall = now.wall;
        self.change(
            command,
            peer,
            Some(Answer::Verify(view(true))),
            now,
            |record| {
                record.verified_at = Some(wall);
                record.name_settled |= record.impostor.take().is_some();
            },
        )
    }

    fn block(
        &mut self,
        command: CommandId,
        peer: PeerId,
        now: Now,
    ) -> Result<Option<Answer>, Refusal> {
        let blocked = self.change(command, peer, None, now, |record| {
            record.blocked = true;
            record.request_messages = 0;
        })?;
        self.drop_call(peer, now);
        self.part_with(&peer);
        if let Some(session) = self.directory.take_session(&peer) {
            self.close(session.conn);
        }
        self.clear_impostor(&peer);
        self.settle(peer, now);
        Ok(blocked)
    }

    /// Changes the record of a peer, on disk before it is answered: with `answer`, or with the
    /// peer's view.
    fn change(
        &mut self,
        command: CommandId,
        peer: PeerId,
        answer: Option<Answer>,
        now: Now,
        change: impl FnOnce(&mut Peer),
    ) -> Result<Option<Answer>, Refusal> {
        if peer == self.config.id {
            return Err(oneself());
        }
        let entry = self.directory.entry(peer, now.wall);
        may_change(entry)?;
        let before = entry.before();
        change(&mut entry.record);
        self.keep(
            peer,
            Then::Changed {
                before,
                command,
                answer,
            },
        );
        Ok(None)
    }

    /// Lets nothing new happen with a peer until the disk has forgotten them.
    fn forget(&mut self, command: CommandId, peer: PeerId, now: Now) -> Result<(), Refusal> {
        let entry = self.directory.get_mut(&peer);
        let entry = entry.ok_or_else(|| unknown(&peer))?;
        may_change(entry)?;
        self.drop_call(peer, now);
        let entry = self.directory.get_mut(&peer);
        let entry = entry.ok_or_else(|| unknown(&peer))?;
        entry.forgetting = true;
        if let Some(dial) = entry.dialer.dialing() {
            entry.dialer.handle_connected();
            self.dials.remove(&dial);
            self.outputs.push_back(Output::CancelDial(dial));
        }
        if let Some(session) = self.directory.take_session(&peer) {
            self.close(session.conn);
        }
        self.ledger
            .add([Write::ForgetPeer(peer)], Then::Forgotten { peer, command });
        self.settle(peer, now);
        Ok(())
    }

    /// The disk has forgotten a peer.
    pub(super) fn handle_forgotten(&mut self, peer: PeerId, now: Now) {
        let Some(entry) = self.directory.remove(&peer) else {
            return;
        };
        if let Some(at) = entry.deadline {
            self.agenda.remove(&(at, peer));
        }
        self.forget_transfers(&peer);
        self.clear_impostor(&peer);
        self.event(EventKind::PeerGone { id: peer });
        if let Some(sighting) = entry.sighting {
            // They are still near, as somebody never met.
            self.handle_sighted(peer, sighting, now);
        }
    }

    /// The user has decided about an impostor: contacts whose name it used are free again.
    fn clear_impostor(&mut self, impostor: &PeerId) {
        for peer in self.directory.ids() {
            if let Some(entry) = self.directory.get_mut(&peer)
                && entry.record.impostor == Some(*impostor)
            {
                entry.record.impostor = None;
                self.update(peer);
            }
        }
    }

    /// Warns when somebody has proved a key of their own under the name of a contact.
    pub(super) fn look_for_collision(&mut self, newcomer: PeerId, now: Now) {
        let Some(entry) = self.directory.get(&newcomer) else {
            return;
        };
        let Some(skeleton) = entry.record.name.as_ref().map(Name::skeleton) else {
            return;
        };
        let met_before = entry.is_contact() || entry.record.verified_at.is_some();
        let newcomer_view = entry.view(now.mono);
        let same_name: Vec<PeerId> = self
            .directory
            .iter()
            .filter(|other| other.record.id != newcomer && other.is_contact())
            .filter(|other| {
                other
                    .record
                    .name
                    .as_ref()
                    .is_some_and(|n| n.skeleton() == skeleton)
            })
            .map(|other| other.record.id)
            .collect();
        for contact in same_name {
            let told = &mut self.collisions_told;
            if told.len() >= COLLISIONS_TOLD_MAX || !told.insert((contact, newcomer)) {
                self.count("name_collisions_untold");
                continue;
            }
            self.count("name_collisions");
            let Some(entry) = self.directory.get_mut(&contact) else {
                continue;
            };
            let verified = entry.record.verified_at.is_some();
            if verified && !entry.record.name_settled && !met_before {
                entry.record.impostor = Some(newcomer);
                self.update(contact);
            }
            if let Some(entry) = self.directory.get(&contact) {
                let contact = Box::new(entry.view(now.mono));
                let newcomer = Box::new(newcomer_view.clone());
                self.event(EventKind::NameCollision { contact, newcomer });
            }
        }
    }
}

/// Whether this peer stays.
pub(super) fn may_change(entry: &Entry) -> Result<(), Refusal> {
    if entry.forgetting {
        let detail = format!("{} is just being forgotten; try again", entry.name());
        return Err(Refusal::new(Problem::NoSuchPeer, detail));
    }
    Ok(())
}

/// Whether messages to this peer may go out.
pub(super) fn may_send(entry: &Entry) -> Result<(), Refusal> {
    let name = entry.name();
    if entry.record.blocked {
        let tag = entry.record.id.tag();
        let detail = format!("{name} is blocked; `hallway unblock {tag}` lets them in again");
        return Err(Refusal::new(Problem::Blocked, detail));
    }
    if let Some(impostor) = entry
        .record
        .impostor
        .filter(|_| entry.record.verified_at.is_some())
    {
        let (own, other) = (entry.record.id.tag(), impostor.tag());
        return Err(Refusal {
            problem: Problem::NameCollision,
            detail: format!(
                "somebody else, ~{other}, now also uses the name {name}, which you verified as \
                 ~{own}. Decide first: `hallway block {other}` if they should not, or \
                 `hallway verify {own} --keep-name` if both are right"
            ),
            candidates: vec![entry.record.id, impostor],
        });
    }
    if entry.outbox.undelivered() >= OUTBOX_MAX {
        let detail = format!("{OUTBOX_MAX} messages already wait for {name}; wait or forget them");
        return Err(Refusal::new(Problem::OutboxFull, detail));
    }
    Ok(())
}

pub(super) fn oneself() -> Refusal {
    Refusal::new(Problem::Oneself, "that is this node itself")
}

fn unknown(peer: &PeerId) -> Refusal {
    Refusal::new(
        Problem::NoSuchPeer,
        format!("nobody with the id {peer} is known"),
    )
}

/// The same message id for the same request, so that a repeated one is stored once.
fn id_of_client(to: &PeerId, client_id: &str) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(b"hallway client id v1\0");
    hash.update(to.0);
    hash.update(client_id.as_bytes());
    let digest = hash.finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    MessageId(id)
}
