//! Calls: ringing, answering, holding and ending them, and the record each leaves.

use super::Engine;
use super::commands::{may_change, may_send, oneself};
use crate::call::{Call, MediaKey, Over};
use crate::directory::Entry;
use crate::frame::{CallStanding, EndReason, Frame, Offer, Ringing};
use crate::io::{MediaPlan, Output};
use crate::ledger::Then;
use crate::limits::{CALLS_MAX, RING_FOR};
use hallway_model::{
    Answer, CallDirection, CallEnd, CallId, CallState, CallStatsView, CallView, EventKind, Instant,
    Now, PeerId, Presence, Problem, Refusal, Relation,
};
use rand_chacha::rand_core::Rng;

/// All calls of a node.
#[derive(Default)]
pub(super) struct Calls {
    /// Those that are not over, the oldest first; at most one with each peer.
    live: Vec<Call>,
    over: Over,
    last_kid: u64,
}

/// Who ended a call.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// Our person, our clock or our machine.
    Us,
    /// The peer said so.
    Them,
}

impl Calls {
    fn with(&self, peer: &PeerId) -> Option<&Call> {
        self.live.iter().find(|call| call.peer == *peer)
    }

    fn with_mut(&mut self, peer: &PeerId) -> Option<&mut Call> {
        self.live.iter_mut().find(|call| call.peer == *peer)
    }

    fn get(&self, id: CallId) -> Option<&Call> {
        self.live.iter().find(|call| call.id == id)
    }

    fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.live.iter_mut().find(|call| call.id == id)
    }

    /// When the call with this peer is over by itself.
    pub(super) fn deadline(&self, peer: &PeerId) -> Option<Instant> {
        self.with(peer).and_then(Call::deadline)
    }

    /// The only call that `fits`; with an id only that one can.
    fn pick(&self, id: Option<CallId>, fits: impl Fn(&Call) -> bool) -> Result<CallId, Refusal> {
        let meant = |call: &&Call| id.is_none_or(|id| call.id == id) && fits(call);
        let mut found = self.live.iter().filter(meant);
        let why = match (found.next(), found.next()) {
            (Some(one), None) => return Ok(one.id),
            (None, _) => "there is no call like that; `hallway calls` lists all",
            (Some(_), Some(_)) => {
                "more than one call may be meant; `hallway calls` lists them, say which"
            }
        };
        Err(Refusal::new(Problem::NoSuchCall, why))
    }

    /// The call that is talked in, or else the only one.
    fn pick_any(&self, id: Option<CallId>) -> Result<CallId, Refusal> {
        let talked_in = self.pick(id, Call::is_talked_in);
        talked_in.or_else(|_| self.pick(id, |_| true))
    }
}

// What faces ask.
impl Engine {
    pub(super) fn call(&mut self, peer: PeerId, now: Now) -> Result<Answer, Refusal> {
        if peer == self.config.id {
            return Err(oneself());
        }
        if self.stopping {
            let detail = "this node is stopping";
            return Err(Refusal::new(Problem::Unreachable, detail));
        }
        let entry = self.directory.entry(peer, now.wall);
        may_change(entry)?;
        may_send(entry)?;
        if let Some(call) = self.calls.with(&peer) {
            let id = call.id;
            if call.is_ringing_here() {
                // To call somebody who is just calling is to answer.
                return self.answer_call(Some(id), now);
            }
            let detail = format!("there is a call with {} already", entry.name());
            return Err(Refusal::new(Problem::CallBusy, detail));
        }
        if self.calls.live.len() >= CALLS_MAX {
            let detail = format!("there are {CALLS_MAX} calls already; hang one up first");
            return Err(Refusal::new(Problem::CallBusy, detail));
        }
        entry.dialer.encourage();
        if !entry.is_contact() {
            // Calling somebody accepts them, as writing to them does.
            entry.record.relation = Relation::Contact;
            entry.record.request_messages = 0;
            let acked = Vec::new();
            self.keep(peer, Then::Noted { peer, acked });
            self.welcome(peer, now);
            self.tell_peer(peer, now);
        }
        let id = self.place_call(peer, now);
        self.present_call(peer, now);
        self.tell_call(id, now);
        self.settle(peer, now);
        self.answer_with(id, now)
    }

    /// Begins a call of ours, and notes it on disk in case the node is cut off.
    fn place_call(&mut self, peer: PeerId, now: Now) -> CallId {
        let mut random = [0; 16];
        self.rng.fill_bytes(&mut random);
        let id = CallId(random);
        self.note_call(id, peer);
        let (key, kid) = self.own_side();
        let call = Call::outgoing(id, peer, key, kid, now);
        self.calls.live.push(call);
        id
    }

    /// A fresh key for what we send, and a key id nobody was given before for what we receive.
    fn own_side(&mut self) -> (MediaKey, u64) {
        let mut key = [0; 32];
        self.rng.fill_bytes(&mut key);
        self.calls.last_kid += 1;
        (MediaKey::new(key), self.calls.last_kid)
    }

    pub(super) fn answer_call(&mut self, id: Option<CallId>, now: Now) -> Result<Answer, Refusal> {
        let id = self.calls.pick(id, Call::is_ringing_here)?;
        self.accept_call(id, now);
        self.answer_with(id, now)
    }

    pub(super) fn hang_up(&mut self, id: Option<CallId>, now: Now) -> Result<Answer, Refusal> {
        let id = self.calls.pick_any(id)?;
        let end = self.calls.get(id).map(Call::end_by_us);
        let view = end.and_then(|end| self.end_call(id, end, By::Us, None, now));
        Ok(view.map_or(Answer::Done, |view| Answer::Call(Box::new(view))))
    }

    pub(super) fn mute(
        &mut self,
        id: Option<CallId>,
        on: bool,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let id = self.calls.pick_any(id)?;
        self.change_call(id, now, |call| call.ours.muted = on);
        self.answer_with(id, now)
    }

    pub(super) fn hold(
        &mut self,
        id: Option<CallId>,
        on: bool,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let fits = |call: &Call| call.is_active() && (id.is_some() || call.ours.held != on);
        let id = self.calls.pick(id, fits)?;
        self.change_call(id, now, |call| call.ours.held = on);
        if !on {
            self.hold_others(id, now);
        }
        self.answer_with(id, now)
    }

    pub(super) fn call_views(&self, now: Now) -> Vec<CallView> {
        let live = self.calls.live.iter();
        live.map(|call| call.view(now.mono)).collect()
    }

    fn answer_with(&self, id: CallId, now: Now) -> Result<Answer, Refusal> {
        let call = self.calls.get(id);
        let view = call.map(|call| Answer::Call(Box::new(call.view(now.mono))));
        Ok(view.unwrap_or(Answer::Done))
    }
}

// What peers say.
impl Engine {
    pub(super) fn handle_ring(&mut self, peer: PeerId, offer: Offer, now: Now) {
        let id = offer.call;
        if !self.may_speak_of_calls(&peer) {
            return;
        }
        if self.calls.over.get(&peer, id).is_some() {
            return self.disown(peer, id, now);
        }
        let mut merged = false;
        if let Some(call) = self.calls.with(&peer) {
            let (other, ours) = (call.id, call.is_ringing_there());
            if other == id {
                return self.present_call(peer, now);
            }
            if ours && self.config.id < peer {
                // Both rang at once, and ours goes on: the peer answers it.
                return;
            }
            merged = ours;
            let end = if ours { CallEnd::Merged } else { CallEnd::Lost };
            self.end_call(other, end, By::Them, None, now);
        }
        if self.calls.live.len() >= CALLS_MAX || self.calls.get(id).is_some() || self.stopping {
            self.calls
                .over
                .insert(peer, id, EndReason::Known(CallEnd::Busy));
            return self.disown(peer, id, now);
        }
        let (key, kid) = self.own_side();
        let mut call = Call::incoming(offer, peer, key, kid, now);
        call.waiting = self.calls.live.iter().any(Call::is_active);
        self.calls.live.push(call);
        if merged || self.config.auto_answer {
            self.accept_call(id, now);
        } else {
            self.present_call(peer, now);
            self.tell_call(id, now);
        }
    }

    pub(super) fn handle_ringing(&mut self, peer: PeerId, ringing: Ringing, now: Now) {
        let id = ringing.call;
        if self.knows_call(peer, id, now)
            && let Some(call) = self.calls.get_mut(id)
            && call.handle_ringing(ringing)
        {
            self.tell_call(id, now);
        }
    }

    pub(super) fn handle_accept(&mut self, peer: PeerId, offer: Offer, now: Now) {
        let id = offer.call;
        if !self.knows_call(peer, id, now) {
            return;
        }
        let candidates = self.candidates(&peer);
        let accept = |call: &mut Call| call.handle_accept(offer, candidates, now.mono);
        if let Some(plan) = self.calls.get_mut(id).and_then(accept) {
            self.begin_media(id, plan, now);
        }
    }

    pub(super) fn handle_standing(&mut self, peer: PeerId, standing: CallStanding, now: Now) {
        if !self.knows_call(peer, standing.call, now) {
            return;
        }
        let Some(call) = self.calls.get_mut(standing.call).filter(|c| c.is_active()) else {
            return;
        };
        let (before, was_held) = (call.theirs, call.is_held());
        call.theirs = standing.into();
        if call.theirs == before {
            return;
        }
        if call.is_held() != was_held {
            let set = set_media(call);
            self.outputs.push_back(set);
        }
        self.tell_call(standing.call, now);
    }

    pub(super) fn handle_call_end(
        &mut self,
        peer: PeerId,
        id: CallId,
        reason: EndReason,
        now: Now,
    ) {
        let call = self.calls.with(&peer).filter(|call| call.id == id);
        if let Some(end) = call.map(|call| call.end_for(reason)) {
            self.end_call(id, end, By::Them, None, now);
        }
    }

    /// Calls are for contacts: a stranger hears as little as from somebody who is not here.
    fn may_speak_of_calls(&mut self, peer: &PeerId) -> bool {
        let contact = self.directory.get(peer).is_some_and(Entry::is_contact);
        if !contact {
            self.count("calls_of_strangers");
        }
        contact
    }

    /// Whether the peer speaks of its call; of another it hears that there is none.
    fn knows_call(&mut self, peer: PeerId, id: CallId, now: Now) -> bool {
        if !self.may_speak_of_calls(&peer) {
            return false;
        }
        let known = self.calls.with(&peer).is_some_and(|call| call.id == id);
        if !known {
            self.disown(peer, id, now);
        }
        known
    }

    /// Tells the peer that a call it speaks of is over, or was never known here.
    fn disown(&mut self, peer: PeerId, id: CallId, now: Now) {
        let reason = self.calls.over.get(&peer, id);
        let reason = reason.unwrap_or(EndReason::NoSuchCall);
        self.say_to(peer, &Frame::CallEnd(id, reason), now);
    }
}

// What the voice thread says.
impl Engine {
    pub(super) fn handle_devices(&mut self, id: CallId, microphone: bool, speaker: bool, now: Now) {
        self.change_call(id, now, |call| {
            call.ours.can_speak = microphone;
            call.ours.can_hear = speaker;
        });
    }

    pub(super) fn handle_heard(&mut self, id: CallId, heard: bool, now: Now) {
        let active = |call: &&mut Call| call.is_active() && call.heard != heard;
        if let Some(call) = self.calls.get_mut(id).filter(active) {
            call.heard = heard;
            let peer = call.peer;
            self.tell_call(id, now);
            self.settle(peer, now);
        }
    }

    pub(super) fn handle_stats(&mut self, id: CallId, stats: CallStatsView, now: Now) {
        if let Some(call) = self.calls.get_mut(id).filter(|call| call.is_active()) {
            call.stats = Some(stats);
            self.tell_call(id, now);
        }
    }

    pub(super) fn handle_media_failed(&mut self, id: CallId, why: String, now: Now) {
        self.end_call(id, CallEnd::Failed, By::Us, Some(why), now);
    }
}

// What calls need as time goes by.
impl Engine {
    /// Tells the peer of a new session all there is to know about its call. It may know already.
    pub(super) fn present_call(&mut self, peer: PeerId, now: Now) {
        let Some(call) = self.calls.with_mut(&peer) else {
            return;
        };
        let session = self
            .directory
            .get_mut(&peer)
            .and_then(|e| e.session.as_mut());
        let Some(session) = session.filter(|session| session.profile.is_some()) else {
            return;
        };
        match (call.state(), call.direction) {
            (CallState::Dialling | CallState::Ringing, CallDirection::Outgoing) => {
                session.send(&Frame::Ring(call.offer()), now.mono);
                call.handle_rung(now.mono);
            }
            (CallState::Dialling | CallState::Ringing, CallDirection::Incoming) => {
                session.send(&Frame::Ringing(call.ringing()), now.mono);
            }
            (CallState::Active | CallState::Ended, direction) => {
                if direction == CallDirection::Incoming {
                    session.send(&Frame::Accept(call.offer()), now.mono);
                }
                session.send(&Frame::CallState(call.standing()), now.mono);
            }
        }
        self.dirty.insert(peer);
    }

    /// Keeps a call and the state of its peer in step.
    pub(super) fn tend_call(&mut self, peer: PeerId, now: Now) {
        let call = self.calls.with_mut(&peer);
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        if let Some(session) = &mut entry.session {
            session.in_call = call.is_some();
        }
        let Some(call) = call else {
            return;
        };
        call.handle_session(entry.presence() == Presence::Live, now.mono);
        let candidates = entry.addresses();
        if !candidates.is_empty() && call.handle_candidates(&candidates) {
            let candidates = Output::MediaCandidates(call.id, candidates);
            self.outputs.push_back(candidates);
        }
    }

    /// Ends the call whose time is over.
    pub(super) fn attend_call(&mut self, peer: PeerId, now: Now) {
        let live = self.is_here(&peer);
        let Some(call) = self.calls.with(&peer) else {
            return;
        };
        let id = call.id;
        if let Some(end) = call.handle_timeout(live, now.mono) {
            self.end_call(id, end, By::Us, None, now);
        }
    }

    /// Ends the call with a peer whom nothing will reach any more.
    pub(super) fn drop_call(&mut self, peer: PeerId, now: Now) {
        if let Some((id, end)) = self.calls.with(&peer).map(|c| (c.id, c.end_by_us())) {
            self.end_call(id, end, By::Us, None, now);
        }
        let session = self.session_mut(&peer);
        if let Some(session) = session
            && let Some(bytes) = session.poll_transmit(now.mono)
        {
            let last_words = Output::Transmit(session.conn, bytes);
            self.outputs.push_back(last_words);
        }
    }

    /// The node stops, which hangs up.
    pub(super) fn stop_calls(&mut self, now: Now) {
        while let Some(call) = self.calls.live.first() {
            let end = match call.is_ringing_here() {
                true => CallEnd::Stopped,
                false => call.end_by_us(),
            };
            self.end_call(call.id, end, By::Us, None, now);
        }
    }

    fn accept_call(&mut self, id: CallId, now: Now) {
        let Some(peer) = self.calls.get(id).map(|call| call.peer) else {
            return;
        };
        let candidates = self.candidates(&peer);
        let answer = |call: &mut Call| call.answer(candidates, now.mono);
        if let Some(plan) = self.calls.get_mut(id).and_then(answer) {
            self.begin_media(id, plan, now);
            self.settle(peer, now);
        }
    }

    /// A call is answered: whatever else is talked in waits.
    fn begin_media(&mut self, id: CallId, plan: MediaPlan, now: Now) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let (peer, plan) = (call.peer, Box::new(plan));
        let set = (call.ours.muted).then(|| set_media(call));
        self.outputs
            .push_back(Output::StartMedia { call: id, plan });
        self.outputs.extend(set);
        self.present_call(peer, now);
        self.hold_others(id, now);
        self.tell_call(id, now);
    }

    fn hold_others(&mut self, id: CallId, now: Now) {
        let others = self.calls.live.iter().filter(|call| call.id != id);
        let others: Vec<CallId> = others.filter(|c| c.is_talked_in()).map(|c| c.id).collect();
        for other in others {
            self.change_call(other, now, |call| call.ours.held = true);
        }
    }

    /// Changes what we let through, and tells everybody whom it concerns.
    fn change_call(&mut self, id: CallId, now: Now, change: impl FnOnce(&mut Call)) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let before = call.ours;
        change(call);
        if call.ours == before {
            return;
        }
        if call.is_active() {
            let (peer, standing) = (call.peer, call.standing());
            if (call.ours.muted, call.ours.held) != (before.muted, before.held) {
                let set = set_media(call);
                self.outputs.push_back(set);
            }
            self.say_to(peer, &Frame::CallState(standing), now);
        }
        self.tell_call(id, now);
    }

    /// The one way out of a call. Returns it as it was.
    fn end_call(
        &mut self,
        id: CallId,
        end: CallEnd,
        by: By,
        detail: Option<String>,
        now: Now,
    ) -> Option<CallView> {
        let at = self.calls.live.iter().position(|call| call.id == id)?;
        let call = self.calls.live.remove(at);
        let peer = call.peer;
        let reason = EndReason::Known(end);
        self.calls.over.insert(peer, id, reason);
        if by == By::Us {
            self.say_to(peer, &Frame::CallEnd(id, reason), now);
        }
        if call.is_active() {
            self.outputs.push_back(Output::StopMedia(id));
        }
        let name = self.directory.get(&peer).map(Entry::name);
        let words = || in_words(end, by, call.direction, &name.unwrap_or_default());
        let view = CallView {
            state: CallState::Ended,
            end: Some(end),
            detail: Some(detail.unwrap_or_else(words)),
            ..call.view(now.mono)
        };
        let told = Box::new(view.clone());
        self.event(EventKind::Call { call: told });
        self.record_call(&call, end, now);
        self.settle(peer, now);
        Some(view)
    }

    /// Sends a frame to a peer that is here.
    fn say_to(&mut self, peer: PeerId, frame: &Frame, now: Now) {
        let session = self.session_mut(&peer);
        if let Some(session) = session.filter(|session| session.profile.is_some()) {
            session.send(frame, now.mono);
            self.dirty.insert(peer);
        }
    }

    fn tell_call(&mut self, id: CallId, now: Now) {
        if let Some(call) = self.calls.get(id) {
            let call = Box::new(call.view(now.mono));
            self.event(EventKind::Call { call });
        }
    }

    fn is_here(&self, peer: &PeerId) -> bool {
        let entry = self.directory.get(peer);
        entry.is_some_and(|entry| entry.presence() == Presence::Live)
    }

    /// UDP has the number of the TCP port.
    fn candidates(&self, peer: &PeerId) -> Vec<std::net::SocketAddr> {
        self.directory
            .get(peer)
            .map(Entry::addresses)
            .unwrap_or_default()
    }
}

fn set_media(call: &Call) -> Output {
    Output::SetMedia {
        call: call.id,
        muted: call.ours.muted,
        held: call.is_held(),
    }
}

/// Why a call is over, for people.
fn in_words(end: CallEnd, by: By, direction: CallDirection, name: &str) -> String {
    let ours = direction == CallDirection::Outgoing;
    match end {
        CallEnd::HungUp if by == By::Us => "you hung up".into(),
        CallEnd::HungUp => format!("{name} hung up"),
        CallEnd::Declined if ours => format!("{name} declined"),
        CallEnd::Declined => "you declined".into(),
        CallEnd::Busy => format!("{name} has too many calls at once"),
        CallEnd::Cancelled if ours => "you gave up".into(),
        CallEnd::Cancelled => format!("{name} gave up"),
        CallEnd::Unanswered if ours => {
            format!("{name} did not answer within {} s", RING_FOR.as_secs())
        }
        CallEnd::Unanswered => "you did not answer".into(),
        CallEnd::NotHere => format!(
            "{name} is not here; they will see that you called. `hallway doctor` finds out whether \
             the network is at fault"
        ),
        CallEnd::Refused => format!(
            "{name} is here and it does not ring there: their version has no calls, or they have \
             not accepted you as a contact"
        ),
        CallEnd::Lost => format!("nothing came from {name} any more"),
        CallEnd::Failed if by == By::Us => "the sound could not be carried".into(),
        CallEnd::Failed => format!("the sound could not be carried on {name}'s side"),
        CallEnd::Stopped if by == By::Us => "this node is stopping".into(),
        CallEnd::Stopped => format!("{name}'s node was stopped"),
        CallEnd::Merged => format!("{name} called at the same time; it goes on as one call"),
    }
}
