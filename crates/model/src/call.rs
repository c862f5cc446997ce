//! Calls as faces show them, and what stays of them in the history.

use crate::{CallId, PeerId, WallTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// We called.
    Outgoing,
    /// They called.
    Incoming,
}

/// How far a call is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Ours, and their node has not said yet that it rings.
    Dialling,
    /// It rings: there when it is outgoing, here when it is incoming.
    Ringing,
    /// Answered.
    Active,
    /// Over.
    Ended,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// Somebody hung up a call that was answered.
    HungUp,
    /// The person called did not want it.
    Declined,
    /// The person called has as many calls as they can have.
    Busy,
    /// The caller gave up.
    Cancelled,
    /// It rang and nobody answered in time.
    Unanswered,
    /// The peer could not be reached.
    NotHere,
    /// The peer is here and its node did not ring: it may have no calls, or does not know us.
    Refused,
    /// Nothing was heard of the other side for too long.
    Lost,
    /// A node could not carry it, for instance for want of any sound device.
    Failed,
    /// A node was stopped, or has lost what it knew of the call.
    Stopped,
    /// Both rang at once: the other ring goes on as the one call.
    Merged,
}

/// What became of a call, for the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// They talked.
    Answered,
    /// Nobody answered, or nobody was there.
    Missed,
    /// The person called did not want it.
    Declined,
    /// The person called had no room for another call.
    Busy,
    /// The caller gave up first.
    Cancelled,
    /// It could not be set up.
    Failed,
    /// They were cut off.
    Interrupted,
}

impl CallOutcome {
    /// The person called did not take it, and should know that somebody called.
    pub fn is_missed(self) -> bool {
        match self {
            Self::Missed | Self::Busy | Self::Cancelled => true,
            Self::Answered | Self::Declined | Self::Failed | Self::Interrupted => false,
        }
    }
}

/// What stays of a call in the history of both sides. Its caller writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallRecord {
    /// What became of it.
    pub outcome: CallOutcome,
    /// How long they talked, in milliseconds by the caller's monotonic clock.
    pub duration_ms: u64,
}

/// One call: a line of `hallway calls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallView {
    /// Which.
    pub id: CallId,
    /// With whom.
    pub peer: PeerId,
    /// Who called.
    pub direction: CallDirection,
    /// How far it is.
    pub state: CallState,
    /// It rings while the person called talks to somebody else.
    pub waiting: bool,
    /// When it began to ring, by our wall clock.
    pub at: WallTime,
    /// Talked so far, in milliseconds.
    pub duration_ms: u64,
    /// Nothing of our microphone goes out.
    pub muted: bool,
    /// We hold it: nothing goes out or is heard.
    pub held: bool,
    /// The same on their side.
    pub muted_by_them: bool,
    /// The same on their side.
    pub held_by_them: bool,
    /// We have a microphone; without one we only listen.
    pub can_speak: bool,
    /// We have a speaker.
    pub can_hear: bool,
    /// They have a microphone; without one they only listen.
    pub they_can_speak: bool,
    /// They have a speaker.
    pub they_can_hear: bool,
    /// Packets of theirs reach us now.
    pub connected: bool,
    /// Measured while it runs.
    pub stats: Option<CallStatsView>,
    /// Why it is over.
    pub end: Option<CallEnd>,
    /// The same in words, with what to do.
    pub detail: Option<String>,
}

/// How a call sounds, measured over the last seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallStatsView {
    /// From their mouth to our ear, estimated.
    pub mouth_to_ear_ms: Option<f64>,
    /// Packets of theirs that did not come, from 0 to 1.
    pub loss: f64,
    /// How unevenly they come.
    pub jitter_ms: f64,
    /// There and back, on the media path.
    pub rtt_ms: Option<f64>,
    /// Bits a second that come in.
    pub bitrate_in: u32,
    /// Bits a second that go out.
    pub bitrate_out: u32,
    /// Held back before it is played.
    pub playout_delay_ms: f64,
    /// All of it in one word.
    pub quality: CallQuality,
}

/// How a call sounds, in one word.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CallQuality {
    /// Words are lost.
    Bad,
    /// Understood, with faults one hears.
    Poor,
    /// Some faults.
    Fair,
    /// As in one room.
    Good,
}
