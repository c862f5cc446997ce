//! Sessions: opening, replacing, losing, and the frames that come in.

use super::{Engine, Purpose, Static};
use crate::directory::Entry;
use crate::frame::{Bye, Frame, Hold, Profile};
use crate::handshake::{self, Established, Role};
use crate::io::{ConnId, DialId, Output, StaticId};
use crate::limits::*;
use crate::session::{Session, SessionError};
use hallway_model::{
    ADDRESSES_MAX, Answer, EventKind, Instant, Now, PeerId, Problem, Refusal, Relation,
    SESSIONS_MAX,
};
use std::net::{IpAddr, SocketAddr};

impl Engine {
    pub(super) fn handle_established(
        &mut self,
        conn: ConnId,
        dial: Option<DialId>,
        remote: SocketAddr,
        local: IpAddr,
        established: Established,
        now: Now,
    ) {
        let peer = established.peer;
        let purpose = dial.and_then(|dial| self.dials.remove(&dial));
        let own_dial = matches!(purpose, Some(Purpose::Peer(_)));
        // Connections for files are not sessions, and this version has none.
        let session = established.capabilities.purpose == handshake::Purpose::Session;
        if !session || !self.may_open(peer, now) {
            self.refuse_session(conn, peer, purpose, now);
            return;
        }
        let entry = self.directory.entry(peer, now.wall);
        entry.wanted |= purpose.is_some() && !own_dial;
        entry.record.fast_aes = established.capabilities.fast_aes;
        if own_dial {
            entry.dialer.handle_connected();
        }
        if established.role == Role::Initiator {
            remember_address(entry, remote);
        }
        if entry
            .session
            .as_ref()
            .is_some_and(|old| !self.config.replaces(peer, old, established.role, now.mono))
        {
            self.answer_dial(purpose, peer, now);
            self.close(conn);
            return;
        }
        let cancel = entry.dialer.dialing().filter(|_| {
            // When both dial at once the session of the smaller key stays: ours may be it.
            established.role == Role::Initiator || peer < self.config.id
        });
        if let Some(dial) = cancel.filter(|dial| self.dials.remove(dial).is_some()) {
            self.outputs.push_back(Output::CancelDial(dial));
        }
        if let Some(old) = self.directory.take_session(&peer) {
            self.end_session(old, Some(Bye::Replaced), now);
            self.hide_break(&peer, now);
        }
        self.open_session(
            Session::new(conn, remote, local, established, now.mono),
            peer,
            now,
        );
        self.answer_dial(purpose, peer, now);
        // Records may have come in with the last bytes of the handshake.
        self.handle_received(conn, &[], now);
    }

    fn open_session(&mut self, mut session: Session, peer: PeerId, now: Now) {
        let profile = Profile::new(self.name.clone(), self.status, now.wall, self.config.port);
        session.send(&Frame::Profile(profile), now.mono);
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        if self.config.read_receipts && entry.is_contact() && entry.record.read_by_us > 0 {
            session.read = Some(entry.record.read_by_us);
        }
        session.send_ping(now.mono);
        entry.dialer.handle_connected();
        self.directory.set_session(&peer, session);
        self.dirty.insert(peer);
        self.settle(peer, now);
    }

    /// Whether there is room for a session with this peer, after making some if need be.
    fn may_open(&mut self, peer: PeerId, now: Now) -> bool {
        let known = self.directory.get(&peer);
        if peer == self.config.id || self.stopping || known.is_some_and(|e| !e.is_let_in()) {
            return false;
        }
        if known.is_some_and(|entry| entry.session.is_some()) {
            return true;
        }
        let contact = known.is_some_and(Entry::is_contact);
        let strangers: Vec<(Instant, PeerId)> = self
            .directory
            .iter()
            .filter(|entry| !entry.is_contact() && !entry.wanted)
            .filter_map(|entry| {
                let session = entry.session.as_ref()?;
                Some((
                    session.active_at.unwrap_or(session.opened_at),
                    entry.record.id,
                ))
            })
            .collect();
        let full = self.directory.sessions() >= SESSIONS_MAX
            || (!contact && strangers.len() >= STRANGER_SESSIONS_MAX);
        if !full {
            return true;
        }
        // The stranger who was quiet for the longest makes room.
        let Some((_, quietest)) = strangers.into_iter().min() else {
            self.count("sessions_refused");
            return false;
        };
        self.count("sessions_evicted");
        if let Some(old) = self.directory.take_session(&quietest) {
            self.end_session(old, Some(Bye::Busy), now);
        }
        self.settle(quietest, now);
        true
    }

    fn refuse_session(&mut self, conn: ConnId, peer: PeerId, purpose: Option<Purpose>, now: Now) {
        self.close(conn);
        let why = "the node there is blocked here, or there is no room for it";
        match purpose {
            Some(Purpose::Connect(command, _)) => {
                self.refuse(command, Refusal::new(Problem::Unreachable, why));
            }
            Some(Purpose::Static(id)) => {
                if let Some(target) = self.statics.get_mut(&id) {
                    target.peer = Some(peer);
                }
                self.fail_dial(Purpose::Static(id), why, now);
            }
            Some(Purpose::Peer(peer)) => self.fail_dial(Purpose::Peer(peer), why, now),
            None => {}
        }
    }

    /// What a successful dial owes to whoever asked for it.
    fn answer_dial(&mut self, purpose: Option<Purpose>, peer: PeerId, now: Now) {
        match purpose {
            Some(Purpose::Connect(command, _)) => {
                if let Some(entry) = self.directory.get(&peer) {
                    let view = Box::new(entry.view(now.mono));
                    self.reply(command, Answer::Peer(view));
                }
            }
            Some(Purpose::Static(id)) => {
                // A peer that closes at once is dialled later and later.
                let jitter = self.jitter();
                if let Some(target) = self.statics.get_mut(&id) {
                    let before = target.peer.replace(peer).filter(|before| *before != peer);
                    let (first, longest) = (DIAL_BACKOFF_FIRST, DIAL_BACKOFF_NEAR);
                    target
                        .dialer
                        .handle_failed(now.mono, first, longest, jitter);
                    if let Some(before) = before {
                        self.unwant(before, now);
                    }
                }
            }
            Some(Purpose::Peer(_)) | None => {}
        }
    }

    /// Somebody else answers now at the address at which this peer was wanted.
    fn unwant(&mut self, peer: PeerId, now: Now) {
        let elsewhere = self.statics.values().any(|s| s.peer == Some(peer));
        if let Some(entry) = self.directory.get_mut(&peer) {
            entry.wanted = elsewhere;
        }
        self.settle(peer, now);
    }

    /// An address is to be kept reachable no longer. Whoever answered there is left alone if they
    /// are known in any other way.
    pub(super) fn handle_unstatic(&mut self, id: StaticId, now: Now) {
        let Some(target) = self.statics.remove(&id) else {
            return;
        };
        let dial = target.dialer.dialing();
        if let Some(dial) = dial.filter(|dial| self.dials.remove(dial).is_some()) {
            self.outputs.push_back(Output::CancelDial(dial));
        }
        let Some(peer) = target.peer else { return };
        self.unwant(peer, now);
        let unknown = self.directory.get(&peer).is_some_and(|entry| {
            !entry.needs_session() && !entry.is_request() && entry.sighting.is_none()
        });
        if unknown && let Some(session) = self.directory.take_session(&peer) {
            self.end_session(session, Some(Bye::Idle), now);
            self.settle(peer, now);
        }
    }

    pub(super) fn handle_received(&mut self, conn: ConnId, bytes: &[u8], now: Now) {
        let Some(peer) = self.directory.peer_of(conn) else {
            return;
        };
        if let Some(session) = self.session_mut(&peer) {
            session.handle_bytes(bytes, now.mono);
        }
        // A frame may end the session, so it is looked up anew for each.
        while let Some(session) = self
            .session_mut(&peer)
            .filter(|session| session.conn == conn)
        {
            let handled = match session.poll_frame(now.mono) {
                Ok(Some(frame)) => self.handle_frame(peer, conn, frame, now),
                Ok(None) => break,
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                self.punish(peer, &error, now);
            }
        }
        self.dirty.insert(peer);
        self.settle(peer, now);
    }

    fn handle_frame(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        frame: Frame,
        now: Now,
    ) -> Result<(), SessionError> {
        match frame {
            Frame::Profile(profile) => self.handle_profile(peer, profile, now),
            Frame::Message(envelope) => {
                let message = envelope.open(peer)?;
                self.handle_message(peer, conn, message, now)?;
            }
            Frame::Ack(ids) => self.handle_ack(peer, &ids, now),
            Frame::Read(seq) => self.handle_read(peer, seq),
            Frame::Typing(on) => self.handle_typing(peer, on, now),
            Frame::Transfer(signal) => self.handle_signal(peer, signal, now),
            Frame::Introduction(introduction) => self.handle_introduction(peer, introduction),
            Frame::Bye(bye) => self.handle_bye(peer, bye, now),
            Frame::Hold(_) => {
                if let Some(session) = self.session_mut(&peer) {
                    session.held_by_them = true;
                }
            }
            Frame::Resume => {
                if let Some(entry) = self.directory.get_mut(&peer) {
                    entry.outbox.rewind();
                    if let Some(session) = &mut entry.session {
                        session.held_by_them = false;
                    }
                }
            }
            Frame::Ping(_) | Frame::Pong(_) | Frame::Rekey => {
                unreachable!("the session deals with these itself")
            }
            Frame::Ring(offer) => self.handle_ring(peer, offer, now),
            Frame::Ringing(ringing) => self.handle_ringing(peer, ringing, now),
            Frame::Accept(offer) => self.handle_accept(peer, offer, now),
            Frame::CallState(standing) => self.handle_standing(peer, standing, now),
            Frame::CallEnd(call, reason) => self.handle_call_end(peer, call, reason, now),
            Frame::Unknown(_) => self.count("unknown_frames"),
        }
        Ok(())
    }

    fn handle_profile(&mut self, peer: PeerId, profile: Profile, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        let Some(session) = &mut entry.session else {
            return;
        };
        let first = session.profile.is_none();
        if session.role == Role::Responder && profile.port != 0 {
            let remote = SocketAddr::new(session.remote.ip(), profile.port);
            remember_address(entry, with_scope(remote, session_scope(entry)));
        }
        let renamed = entry.record.name.as_ref() != Some(&profile.name);
        entry.record.name = Some(profile.name.clone());
        entry.record.last_seen = Some(now.wall);
        entry.dialer.handle_reached();
        if let Some(session) = &mut entry.session {
            let ahead = i128::from(profile.at.0) - i128::from(now.wall.0);
            session.clock_skew_ms = i64::try_from(ahead).ok();
            session.profile = Some(profile);
        }
        if self.config.accept_all && !entry.is_contact() {
            entry.record.relation = Relation::Contact;
            entry.kept = true;
            self.update(peer);
        } else if first || renamed {
            self.update(peer);
        }
        if first {
            self.present_transfers(peer, now);
        }
        if first {
            let answered = |target: &&mut Static| target.peer == Some(peer);
            for target in self.statics.values_mut().filter(answered) {
                target.dialer.handle_reached();
            }
        }
        if first || renamed {
            self.look_for_collision(peer, now);
        }
        if first {
            self.present_call(peer, now);
        }
    }

    fn handle_typing(&mut self, peer: PeerId, on: bool, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer).filter(|e| e.is_contact()) else {
            return;
        };
        let was = entry.typing_until.is_some();
        entry.typing_until = on.then_some(now.mono + TYPING_FOR);
        if let Some(session) = &mut entry.session {
            session.active_at = Some(now.mono);
        }
        if was != on {
            self.event(EventKind::Typing {
                id: peer,
                typing: on,
            });
        }
    }

    fn handle_bye(&mut self, peer: PeerId, bye: Bye, now: Now) {
        let Some(session) = self.directory.take_session(&peer) else {
            return;
        };
        self.end_session(session, None, now);
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        match bye {
            Bye::Goodbye => {
                entry.dialer.wait_until(now.mono + DIAL_AFTER_GOODBYE);
                self.directory.clear_sighting(&peer);
                self.outputs.push_back(Output::Left(peer));
            }
            Bye::Replaced => {
                let (count, since) = entry
                    .replaced
                    .filter(|(_, since)| now.mono - *since < CLONE_WINDOW)
                    .map_or((1, now.mono), |(count, since)| (count + 1, since));
                entry.replaced = Some((count, since));
                let cloned = count >= CLONE_REPLACEMENTS;
                let wait = if cloned {
                    CLONE_WINDOW
                } else {
                    DIAL_AFTER_REPLACED
                };
                entry.dialer.wait_until(now.mono + wait);
                self.hide_break(&peer, now);
                if cloned {
                    self.notice_clone(now);
                }
            }
            Bye::Idle | Bye::Protocol | Bye::Busy | Bye::Other(_) => {
                let jitter = self.jitter();
                if let Some(entry) = self.directory.get_mut(&peer) {
                    let longest = DIAL_BACKOFF_FAR;
                    let first = DIAL_AFTER_REPLACED;
                    entry.dialer.handle_failed(now.mono, first, longest, jitter);
                }
            }
        }
    }

    /// Another node runs with our key, as far as can be told from here.
    pub(super) fn notice_clone(&mut self, now: Now) {
        self.count("cloned_identity");
        let detail = "another running node uses this node's key; a copied data directory must \
                      not run on two hosts: stop one of them, or give it a fresh directory";
        self.notice("cloned_identity", detail.into(), now);
    }

    pub(super) fn handle_closed(&mut self, conn: ConnId, now: Now) {
        if let Some(peer) = self.directory.peer_of(conn) {
            self.lose_session(peer, now);
            self.settle(peer, now);
        }
    }

    /// Another session is about to take over: nobody needs to hear of the moment between.
    fn hide_break(&mut self, peer: &PeerId, now: Now) {
        if let Some(entry) = self.directory.get_mut(peer) {
            entry.lost_at = Some(now.mono);
        }
    }

    /// The session is gone without a goodbye: look whether the peer is.
    pub(super) fn lose_session(&mut self, peer: PeerId, now: Now) {
        let Some(session) = self.directory.take_session(&peer) else {
            return;
        };
        let unwanted = session.profile.is_none();
        self.end_session(session, None, now);
        self.outputs.push_back(Output::Doubt(peer));
        let jitter = self.jitter();
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        entry.lost_at = Some(now.mono);
        if unwanted {
            // Whoever closes at once, such as one who has blocked us, is not to be pestered.
            let first = DIAL_BACKOFF_FIRST;
            entry
                .dialer
                .handle_failed(now.mono, first, DIAL_BACKOFF_FAR, jitter);
        } else {
            // Both ends notice at once: a moment apart, they do not dial at once.
            let wait = std::time::Duration::from_millis(u64::from(jitter) * 2);
            entry.dialer.wait_until(now.mono + wait);
        }
    }

    fn punish(&mut self, peer: PeerId, error: &SessionError, now: Now) {
        tracing::warn!(?peer, %error, "ended a session: the peer broke the protocol");
        self.count(match error {
            SessionError::Record(_) => "bad_record",
            SessionError::Frame(_) => "bad_frame",
            SessionError::NoProfile | SessionError::Order { .. } => "bad_order",
            SessionError::Flood => "flood",
            SessionError::Silent => "silent",
        });
        if let Some(session) = self.directory.take_session(&peer) {
            self.end_session(session, Some(Bye::Protocol), now);
        }
        let jitter = self.jitter();
        if let Some(entry) = self.directory.get_mut(&peer) {
            let first = DIAL_AFTER_REPLACED;
            entry
                .dialer
                .handle_failed(now.mono, first, DIAL_BACKOFF_FAR, jitter);
        }
    }

    /// Closes a connection, with a reason when the peer is still there to hear it.
    fn end_session(&mut self, mut session: Session, bye: Option<Bye>, now: Now) {
        if let Some(bye) = bye {
            session.send(&Frame::Bye(bye), now.mono);
            if let Some(bytes) = session.poll_transmit(now.mono) {
                self.outputs
                    .push_back(Output::Transmit(session.conn, bytes));
            }
        }
        self.close(session.conn);
    }

    pub(super) fn attend_session(&mut self, peer: PeerId, now: Now) {
        let renew = self
            .renewal_deadline(&peer)
            .is_some_and(|at| at <= now.mono);
        let idle = self.idle_deadline(&peer).is_some_and(|at| at <= now.mono);
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        let Some(session) = &mut entry.session else {
            return;
        };
        if session.storage_retry_at.is_some_and(|at| at <= now.mono) {
            session.resume(now.mono);
        }
        let alive = session.handle_timeout(now.mono);
        self.dirty.insert(peer);
        if alive.is_err() {
            self.count("silent");
            self.lose_session(peer, now);
        } else if idle {
            if let Some(session) = self.directory.take_session(&peer) {
                self.end_session(session, Some(Bye::Idle), now);
            }
        } else if renew {
            session.renew_at = now.mono + RENEW_RETRY;
            // The one that worked is the first of them.
            let addresses = entry.addresses();
            if entry.dialer.dialing().is_some() {
                return;
            }
            self.dial(Purpose::Peer(peer), Some(peer), addresses, now);
        }
    }

    /// When our side is to replace the session by a fresh one: the smaller key does it.
    pub(super) fn renewal_deadline(&self, peer: &PeerId) -> Option<Instant> {
        let session = self.directory.get(peer)?.session.as_ref()?;
        (self.config.id < *peer).then_some(session.renew_at)
    }

    /// When our side is to close a session that it opened and nobody needs.
    pub(super) fn idle_deadline(&self, peer: &PeerId) -> Option<Instant> {
        let entry = self.directory.get(peer)?;
        let session = entry.session.as_ref()?;
        let ours = session.role == Role::Initiator && !entry.needs_session();
        ours.then(|| session.active_at.unwrap_or(session.opened_at) + IDLE_CLOSE)
    }

    pub(super) fn handle_shutdown(&mut self, now: Now) {
        self.stop_calls(now);
        self.stopping = true;
        for dial in std::mem::take(&mut self.dials).into_keys() {
            self.outputs.push_back(Output::CancelDial(dial));
        }
        for peer in self.directory.ids() {
            if let Some(session) = self.directory.take_session(&peer) {
                self.end_session(session, Some(Bye::Goodbye), now);
                if let Some(entry) = self.directory.get_mut(&peer) {
                    entry.record.last_seen = Some(now.wall);
                }
                self.update(peer);
            }
        }
    }

    pub(super) fn session_mut(&mut self, peer: &PeerId) -> Option<&mut Session> {
        self.directory.get_mut(peer)?.session.as_mut()
    }

    /// A stranger has become a contact: they may go on, and hear what we have read.
    pub(super) fn welcome(&mut self, peer: PeerId, now: Now) {
        let receipts = self.config.read_receipts;
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        let read = Some(entry.record.read_by_us).filter(|seq| receipts && *seq > 0);
        if let Some(session) = &mut entry.session {
            session.read = read;
            if session.held_by_us == Some(Hold::Request) {
                session.resume(now.mono);
            }
            self.dirty.insert(peer);
        }
    }
}

impl super::Config {
    /// Whether a new session with `peer` takes the place of `old`. When both sides dialled at
    /// once, the one that the smaller key opened stays; otherwise the newer is the better, since
    /// a peer that dials again has lost the old one.
    fn replaces(&self, peer: PeerId, old: &Session, role: Role, now: Instant) -> bool {
        let simultaneous = role != old.role && now - old.opened_at < SIMULTANEOUS_OPEN;
        let new_by_smaller = (role == Role::Initiator) == (self.id < peer);
        !simultaneous || new_by_smaller
    }
}

/// Puts an address that worked in front.
fn remember_address(entry: &mut Entry, address: SocketAddr) {
    entry.record.addresses.retain(|known| *known != address);
    entry.record.addresses.insert(0, address);
    entry.record.addresses.truncate(ADDRESSES_MAX);
}

fn session_scope(entry: &Entry) -> u32 {
    match entry.session.as_ref().map(|session| session.remote) {
        Some(SocketAddr::V6(remote)) => remote.scope_id(),
        Some(SocketAddr::V4(_)) | None => 0,
    }
}

/// A link-local address means nothing without the interface it is on.
fn with_scope(mut address: SocketAddr, scope: u32) -> SocketAddr {
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_scope_id(scope);
    }
    address
}
