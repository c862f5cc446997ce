//! Telephony: the sound of calls as a voice thread would tell of it, and what holds of every call.

use super::secs;
use super::world::{Host, World};
use hallway_model::{
    CallEnd, CallId, CallOutcome, CallState, CallView, Command, MessageId, PeerId,
};
use hallway_proto::io::{CommandId, Input, MediaPlan};
use hallway_proto::limits::CALLS_MAX;
use std::collections::{BTreeMap, BTreeSet};

/// What has happened on the telephone so far.
#[derive(Default)]
pub(super) struct Telephony {
    /// Sound that is carried now.
    sound: BTreeMap<(Host, CallId), Sound>,
    /// Whose base key it is, by who sends under it and by who receives. Never another's.
    senders: BTreeMap<[u8; 32], (PeerId, CallId)>,
    receivers: BTreeMap<[u8; 32], (PeerId, CallId)>,
    /// Calls as the faces of a host know them in this life.
    known: BTreeMap<(Host, CallId), CallView>,
    /// Why calls ended, as faces were told in any life. A ring that was dropped for another may still
    /// be recorded as cut off, when its caller dies before the disk has heard of it.
    ends: BTreeMap<Host, Vec<(CallId, CallEnd)>>,
}

struct Sound {
    plan: MediaPlan,
    heard: bool,
}

impl Telephony {
    /// What a node knew is gone with it.
    pub(super) fn crashed(&mut self, host: Host) {
        self.sound.retain(|(at, _), _| *at != host);
        self.known.retain(|(at, _), _| *at != host);
    }
}

impl World {
    pub(super) fn start_sound(&mut self, host: Host, call: CallId, plan: MediaPlan) {
        let me = self.id(host);
        let known = self.telephony.known.get(&(host, call));
        assert!(
            known.is_none_or(|known| known.state < CallState::Active),
            "{host:?} starts the sound of {call:?}, which was answered before"
        );
        let phone = &mut self.telephony;
        let before = phone.senders.insert(*plan.send_key.bytes(), (me, call));
        assert_eq!(before, None, "a key is sent under twice");
        // A side that crashed before its answer arrived is rung again, and answers again.
        let before = phone
            .receivers
            .insert(*plan.receive_key.bytes(), (me, call));
        assert!(
            before.is_none_or(|before| before == (me, call)),
            "a key serves two calls"
        );
        for key in [&plan.send_key, &plan.receive_key] {
            let (from, to) = (
                self.telephony.senders.get(key.bytes()),
                self.telephony.receivers.get(key.bytes()),
            );
            if let (Some((sender, of)), Some((receiver, for_call))) = (from, to) {
                assert_eq!(of, for_call, "a key serves two calls");
                assert_ne!(sender, receiver);
            }
        }
        let heard = false;
        let sound = Sound { plan, heard };
        let twice = self.telephony.sound.insert((host, call), sound);
        assert!(
            twice.is_none(),
            "{host:?} starts the sound of {call:?} twice"
        );
        self.hear_later(host, call);
    }

    pub(super) fn stop_sound(&mut self, host: Host, call: CallId) {
        let stopped = self.telephony.sound.remove(&(host, call));
        assert!(stopped.is_some(), "{host:?} stops sound that is not there");
    }

    /// A voice thread that carries nothing is told nothing.
    pub(super) fn check_sound(&self, host: Host, call: CallId) {
        let there = self.telephony.sound.contains_key(&(host, call));
        assert!(
            there,
            "{host:?} tells of the sound of {call:?}, which is over"
        );
    }

    fn hear_later(&mut self, host: Host, call: CallId) {
        let life = self.machine(host).life;
        self.later(secs(1), move |world| {
            if world.machine(host).life == life {
                world.hear_sound(host, call);
            }
        });
    }

    /// Whether packets of the other side come in and open.
    fn hear_sound(&mut self, host: Host, call: CallId) {
        let Some(sound) = self.telephony.sound.get(&(host, call)) else {
            return;
        };
        let opens = |other: &Sound| {
            other.plan.send_key == sound.plan.receive_key
                && other.plan.send_kid == sound.plan.receive_kid
        };
        let sounds = self.telephony.sound.iter();
        let mut others =
            sounds.filter(|((at, id), other)| *at != host && *id == call && opens(other));
        let comes = |from: Host| self.machine(host).powered && !self.cuts.contains(&(from, host));
        let heard = others.any(|((from, _), _)| comes(*from));
        if heard != sound.heard {
            let input = match heard {
                true => Input::MediaHeard(call),
                false => Input::MediaSilent(call),
            };
            self.input(host, input);
            if let Some(sound) = self.telephony.sound.get_mut(&(host, call)) {
                sound.heard = heard;
            }
        }
        self.hear_later(host, call);
    }

    /// The faces of a host hear of a call.
    pub(super) fn witness_call(&mut self, host: Host, call: &CallView) {
        let known = &mut self.telephony.known;
        let before = known.insert((host, call.id), call.clone());
        if let Some(before) = before {
            let over = before.state == CallState::Ended;
            assert!(!over, "{host:?} tells of {:?}, which is over", call.id);
            assert!(
                before.state <= call.state,
                "{host:?}: {before:?} became {call:?}"
            );
            assert_eq!((before.peer, before.direction), (call.peer, call.direction));
        }
        let live = known
            .iter()
            .filter(|((at, _), call)| *at == host && call.end.is_none());
        let peers: Vec<PeerId> = live.map(|(_, call)| call.peer).collect();
        let different: BTreeSet<&PeerId> = peers.iter().collect();
        assert_eq!(
            peers.len(),
            different.len(),
            "{host:?} has two calls with one peer"
        );
        assert!(peers.len() <= CALLS_MAX, "{host:?} has too many calls");
        let sounds = self.telephony.sound.contains_key(&(host, call.id));
        let active = call.state == CallState::Active;
        assert_eq!(
            sounds, active,
            "{host:?}: sound is for what is answered: {call:?}"
        );
        if let Some(end) = call.end {
            let ends = self.telephony.ends.entry(host).or_default();
            ends.push((call.id, end));
        }
    }

    /// Calls somebody.
    pub fn call(&mut self, from: Host, to: Host) -> CommandId {
        let peer = self.id(to);
        self.command(from, Command::Call(peer))
    }

    /// The calls of a host that are not over, as its faces know them.
    pub fn calls(&self, host: Host) -> Vec<&CallView> {
        let known = self.telephony.known.iter();
        let live = known.filter(|((at, _), call)| *at == host && call.end.is_none());
        live.map(|(_, call)| call).collect()
    }

    /// Whether the only call of this host is in this state.
    pub fn is_in_call(&self, host: Host, state: CallState) -> bool {
        matches!(self.calls(host).as_slice(), [call] if call.state == state)
    }

    /// Why the calls of a host ended.
    pub fn call_ends(&self, host: Host) -> Vec<CallEnd> {
        let ends = self.telephony.ends.get(&host);
        ends.map(|ends| ends.iter().map(|(_, end)| *end).collect())
            .unwrap_or_default()
    }

    /// Each call has at most one record, the same on both sides.
    #[track_caller]
    pub fn check_records(&self) {
        for host in self.all() {
            for (id, end) in self.telephony.ends.get(&host).into_iter().flatten() {
                let id = MessageId(id.0);
                let of = |at: Host| {
                    let disk = &self.machine(at).disk;
                    let authors = self.all().into_iter().map(|author| self.id(author));
                    let mut records = authors.filter_map(|author| disk.message(author, id));
                    let record = records
                        .next()
                        .map(|message| (message.author, message.call()));
                    assert!(records.next().is_none(), "two records of one call");
                    record
                };
                let kept: BTreeSet<_> = (self.all().into_iter())
                    .filter_map(of)
                    .map(|record| format!("{record:?}"))
                    .collect();
                assert!(kept.len() <= 1, "two accounts of {id}: {kept:?}");
                // Of what rang on as another call, or may not ring, there is none, unless its
                // caller died before the disk had heard of it.
                if matches!(end, CallEnd::Merged | CallEnd::Refused) {
                    let record = of(host).and_then(|(_, record)| record);
                    assert!(
                        record.is_none_or(|record| record.outcome == CallOutcome::Interrupted),
                        "{id} ended as {end:?} and is recorded: {record:?}"
                    );
                }
            }
        }
    }
}
