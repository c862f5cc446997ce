//! One call: what is agreed with the peer about it, and when it is over by itself.

use crate::frame::{CallStanding, EndReason, Offer, Ringing};
use crate::io::MediaPlan;
use crate::limits::{
    CALL_LOST_AFTER, CALL_REACH_WITHIN, CALLS_REMEMBERED, RING_FOR, RING_GRACE, RING_HEARD_WITHIN,
};
use hallway_model::{
    CallDirection, CallEnd, CallId, CallOutcome, CallRecord, CallState, CallStatsView, CallView,
    Instant, Now, PeerId, WallTime,
};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use zeroize::ZeroizeOnDrop;

/// The SFrame base key of one direction of one call. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct MediaKey([u8; 32]);

impl MediaKey {
    /// A key of these bytes, fresh from a random source.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the cipher.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaKey")
    }
}

impl Serialize for MediaKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for MediaKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<32>::deserialize(deserializer)
            .map(|bytes| Self(bytes.into_array()))
    }
}

/// One call that is not over.
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) peer: PeerId,
    pub(crate) direction: CallDirection,
    phase: Phase,
    /// Our side of the agreement.
    key: MediaKey,
    kid: u64,
    /// When it began to ring.
    at: WallTime,
    began: Instant,
    /// It rings while the person called talks to somebody else.
    pub(crate) waiting: bool,
    pub(crate) ours: Standing,
    pub(crate) theirs: Standing,
    /// Packets of theirs come in.
    pub(crate) heard: bool,
    /// Since when there is neither a session nor a packet.
    silent_since: Option<Instant>,
    pub(crate) stats: Option<CallStatsView>,
}

/// How far a call is, with what is known only then.
enum Phase {
    /// Ours; since when the peer has our ring, if it has.
    Dialling { rung_at: Option<Instant> },
    /// Ours, and it rings there.
    Ringing,
    /// Theirs, and it rings here.
    Offered { key: MediaKey, kid: u64 },
    /// Answered.
    Active {
        since: Instant,
        /// Where the peer was last said to be.
        candidates: Vec<SocketAddr>,
    },
}

/// What one side lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) muted: bool,
    pub(crate) held: bool,
    pub(crate) can_speak: bool,
    pub(crate) can_hear: bool,
}

impl Standing {
    /// Everything passes, as far as is known.
    const OPEN: Self = Self {
        muted: false,
        held: false,
        can_speak: true,
        can_hear: true,
    };
}

impl From<CallStanding> for Standing {
    fn from(told: CallStanding) -> Self {
        let CallStanding {
            muted,
            held,
            can_speak,
            can_hear,
            ..
        } = told;
        Self {
            muted,
            held,
            can_speak,
            can_hear,
        }
    }
}

impl Call {
    /// A call of ours.
    pub(crate) fn outgoing(id: CallId, peer: PeerId, key: MediaKey, kid: u64, now: Now) -> Self {
        let phase = Phase::Dialling { rung_at: None };
        Self::new(id, peer, CallDirection::Outgoing, phase, key, kid, now)
    }

    /// A call of a peer.
    pub(crate) fn incoming(offer: Offer, peer: PeerId, key: MediaKey, kid: u64, now: Now) -> Self {
        let phase = Phase::Offered {
            key: offer.key,
            kid: offer.kid,
        };
        let direction = CallDirection::Incoming;
        Self::new(offer.call, peer, direction, phase, key, kid, now)
    }

    fn new(
        id: CallId,
        peer: PeerId,
        direction: CallDirection,
        phase: Phase,
        key: MediaKey,
        kid: u64,
        now: Now,
    ) -> Self {
        Self {
            id,
            peer,
            direction,
            phase,
            key,
            kid,
            at: now.wall,
            began: now.mono,
            waiting: false,
            ours: Standing::OPEN,
            theirs: Standing::OPEN,
            heard: false,
            silent_since: None,
            stats: None,
        }
    }

    pub(crate) fn state(&self) -> CallState {
        match self.phase {
            Phase::Dialling { .. } => CallState::Dialling,
            Phase::Ringing | Phase::Offered { .. } => CallState::Ringing,
            Phase::Active { .. } => CallState::Active,
        }
    }

    /// Ours, and not answered.
    pub(crate) fn is_ringing_there(&self) -> bool {
        matches!(self.phase, Phase::Dialling { .. } | Phase::Ringing)
    }

    /// Theirs, and not answered.
    pub(crate) fn is_ringing_here(&self) -> bool {
        matches!(self.phase, Phase::Offered { .. })
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active { .. })
    }

    /// What is being talked in.
    pub(crate) fn is_talked_in(&self) -> bool {
        self.is_active() && !self.ours.held
    }

    /// Our side, for a ring or its answer.
    pub(crate) fn offer(&self) -> Offer {
        Offer {
            call: self.id,
            key: self.key.clone(),
            kid: self.kid,
        }
    }

    pub(crate) fn ringing(&self) -> Ringing {
        Ringing {
            call: self.id,
            waiting: self.waiting,
        }
    }

    pub(crate) fn standing(&self) -> CallStanding {
        CallStanding {
            call: self.id,
            muted: self.ours.muted,
            held: self.ours.held,
            can_speak: self.ours.can_speak,
            can_hear: self.ours.can_hear,
        }
    }

    /// One side holds it.
    pub(crate) fn is_held(&self) -> bool {
        self.ours.held || self.theirs.held
    }

    pub(crate) fn duration_ms(&self, now: Instant) -> u64 {
        match self.phase {
            Phase::Active { since, .. } => {
                u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX)
            }
            Phase::Dialling { .. } | Phase::Ringing | Phase::Offered { .. } => 0,
        }
    }

    pub(crate) fn view(&self, now: Instant) -> CallView {
        CallView {
            id: self.id,
            peer: self.peer,
            direction: self.direction,
            state: self.state(),
            waiting: self.waiting,
            at: self.at,
            duration_ms: self.duration_ms(now),
            muted: self.ours.muted,
            held: self.ours.held,
            muted_by_them: self.theirs.muted,
            held_by_them: self.theirs.held,
            can_speak: self.ours.can_speak,
            can_hear: self.ours.can_hear,
            they_can_speak: self.theirs.can_speak,
            they_can_hear: self.theirs.can_hear,
            connected: self.heard,
            stats: self.stats,
            end: None,
            detail: None,
        }
    }

    /// The peer has our ring.
    pub(crate) fn handle_rung(&mut self, now: Instant) {
        if let Phase::Dialling { rung_at } = &mut self.phase {
            rung_at.get_or_insert(now);
        }
    }

    /// It rings there. Whether that is news.
    pub(crate) fn handle_ringing(&mut self, ringing: Ringing) -> bool {
        let news = match self.phase {
            Phase::Dialling { .. } => true,
            Phase::Ringing => self.waiting != ringing.waiting,
            Phase::Offered { .. } | Phase::Active { .. } => return false,
        };
        self.phase = Phase::Ringing;
        self.waiting = ringing.waiting;
        news
    }

    /// Our person answers a call of theirs.
    pub(crate) fn answer(
        &mut self,
        candidates: Vec<SocketAddr>,
        now: Instant,
    ) -> Option<MediaPlan> {
        let Phase::Offered { key, kid } = &self.phase else {
            return None;
        };
        let (key, kid) = (key.clone(), *kid);
        Some(self.activate(key, kid, candidates, now))
    }

    /// Theirs has answered a call of ours.
    pub(crate) fn handle_accept(
        &mut self,
        offer: Offer,
        candidates: Vec<SocketAddr>,
        now: Instant,
    ) -> Option<MediaPlan> {
        self.is_ringing_there()
            .then(|| self.activate(offer.key, offer.kid, candidates, now))
    }

    fn activate(
        &mut self,
        receive_key: MediaKey,
        send_kid: u64,
        candidates: Vec<SocketAddr>,
        now: Instant,
    ) -> MediaPlan {
        self.waiting = false;
        self.phase = Phase::Active {
            since: now,
            candidates: candidates.clone(),
        };
        MediaPlan {
            send_key: self.key.clone(),
            send_kid,
            receive_key,
            receive_kid: self.kid,
            candidates,
        }
    }

    /// Takes note of where the peer may be now. Whether the voice thread is to hear of it.
    pub(crate) fn handle_candidates(&mut self, now_at: &[SocketAddr]) -> bool {
        match &mut self.phase {
            Phase::Active { candidates, .. } if candidates != now_at => {
                now_at.clone_into(candidates);
                true
            }
            Phase::Active { .. }
            | Phase::Dialling { .. }
            | Phase::Ringing
            | Phase::Offered { .. } => false,
        }
    }

    /// Takes note of whether anything of the peer is there.
    pub(crate) fn handle_session(&mut self, live: bool, now: Instant) {
        let dialling = matches!(self.phase, Phase::Dialling { .. });
        if live || self.heard || dialling {
            self.silent_since = None;
        } else {
            self.silent_since.get_or_insert(now);
        }
    }

    /// When it is over by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let by_phase = match self.phase {
            Phase::Dialling { rung_at: None } => Some(self.began + CALL_REACH_WITHIN),
            Phase::Dialling {
                rung_at: Some(rung_at),
            } => Some(rung_at + RING_HEARD_WITHIN),
            Phase::Ringing => Some(self.began + RING_FOR),
            Phase::Offered { .. } => Some(self.began + RING_FOR + RING_GRACE),
            Phase::Active { .. } => None,
        };
        let lost = self.silent_since.map(|since| since + CALL_LOST_AFTER);
        by_phase.into_iter().chain(lost).min()
    }

    /// Why it is over by itself, once it is.
    pub(crate) fn handle_timeout(&self, live: bool, now: Instant) -> Option<CallEnd> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        let lost = self
            .silent_since
            .is_some_and(|at| at + CALL_LOST_AFTER <= now);
        Some(match self.phase {
            _ if lost => CallEnd::Lost,
            Phase::Dialling { .. } if live => CallEnd::Refused,
            Phase::Dialling { .. } => CallEnd::NotHere,
            Phase::Ringing | Phase::Offered { .. } | Phase::Active { .. } => CallEnd::Unanswered,
        })
    }

    /// What the peer's reason to end it means here, whatever it says.
    pub(crate) fn end_for(&self, reason: EndReason) -> CallEnd {
        let told = match reason {
            EndReason::Known(end) => end,
            EndReason::NoSuchCall => CallEnd::Stopped,
            EndReason::Other(_) => CallEnd::HungUp,
        };
        let both_know = matches!(told, CallEnd::Failed | CallEnd::Stopped | CallEnd::Lost);
        match self.phase {
            _ if both_know => told,
            Phase::Active { .. } => CallEnd::HungUp,
            Phase::Offered { .. } if told == CallEnd::Unanswered => told,
            Phase::Offered { .. } => CallEnd::Cancelled,
            Phase::Dialling { .. } | Phase::Ringing
                if matches!(told, CallEnd::Busy | CallEnd::Unanswered) =>
            {
                told
            }
            Phase::Dialling { .. } | Phase::Ringing => CallEnd::Declined,
        }
    }

    /// What our person's hanging up makes of it.
    pub(crate) fn end_by_us(&self) -> CallEnd {
        match self.phase {
            Phase::Dialling { .. } | Phase::Ringing => CallEnd::Cancelled,
            Phase::Offered { .. } => CallEnd::Declined,
            Phase::Active { .. } => CallEnd::HungUp,
        }
    }

    /// What stays of it, once it has ended so.
    pub(crate) fn record(&self, end: CallEnd, now: Instant) -> CallRecord {
        let talked = self.is_active();
        CallRecord {
            outcome: match end {
                CallEnd::HungUp => CallOutcome::Answered,
                CallEnd::Lost | CallEnd::Failed | CallEnd::Stopped if talked => {
                    CallOutcome::Interrupted
                }
                CallEnd::Declined => CallOutcome::Declined,
                CallEnd::Busy => CallOutcome::Busy,
                CallEnd::Cancelled => CallOutcome::Cancelled,
                CallEnd::Failed => CallOutcome::Failed,
                CallEnd::Unanswered
                | CallEnd::NotHere
                | CallEnd::Refused
                | CallEnd::Lost
                | CallEnd::Stopped
                | CallEnd::Merged => CallOutcome::Missed,
            },
            duration_ms: self.duration_ms(now),
        }
    }
}

/// Why calls ended that are over, so that a ring or an answer that comes late is told and begins
/// nothing. The oldest is forgotten first.
#[derive(Default)]
pub(crate) struct Over {
    calls: VecDeque<(PeerId, CallId, EndReason)>,
}

impl Over {
    pub(crate) fn insert(&mut self, peer: PeerId, call: CallId, reason: EndReason) {
        if self.calls.len() >= CALLS_REMEMBERED {
            self.calls.pop_front();
        }
        self.calls.push_back((peer, call, reason));
    }

    /// Why that call of this peer ended.
    pub(crate) fn get(&self, peer: &PeerId, call: CallId) -> Option<EndReason> {
        let is_it = |(of, id, _): &&(PeerId, CallId, EndReason)| of == peer && *id == call;
        self.calls.iter().find(is_it).map(|(.., reason)| *reason)
    }
}
