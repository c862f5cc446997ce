//! What a node remembers of another person.

use crate::{Name, PeerId, WallTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// How far this person is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Never accepted. Their first messages wait as a request.
    #[default]
    Stranger,
    /// Written to, or a request accepted.
    Contact,
}

/// What a person says of their own availability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Here.
    #[default]
    Available,
    /// Stepped out.
    Away,
    /// Do not disturb.
    Busy,
}

/// How near a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// A session is open: proven, this moment.
    Live,
    /// Announced on the network, not proven.
    Nearby,
    /// Not seen.
    Offline,
}

/// The durable record of one person, keyed by their id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub id: PeerId,
    /// The name they gave in their last session; `None` before the first.
    pub name: Option<Name>,
    /// Stranger or contact.
    pub relation: Relation,
    /// Nothing from or to this person passes.
    pub blocked: bool,
    /// When the safety number was compared, if ever.
    pub verified_at: Option<WallTime>,
    /// Somebody else who proved a key of their own while using this verified contact's name.
    /// Sending waits for the user's decision while this is set.
    pub impostor: Option<PeerId>,
    /// The user has decided such a case before: later ones warn and no longer stop anything.
    pub name_settled: bool,
    /// When a session with them was first authenticated, or they were written to.
    pub first_seen: WallTime,
    /// When a session with them last ended or was last known open.
    pub last_seen: Option<WallTime>,
    /// Addresses that worked, the latest first; at most [`crate::ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// Their hardware does AES; suite 2 is used with them when ours does too.
    pub fast_aes: bool,
    /// Sequence number of the last message we wrote to them; 0 before the first.
    pub last_seq: u64,
    /// They have seen our messages up to this sequence number.
    pub read_by_them: u64,
    /// We have seen their messages up to this sequence number.
    pub read_by_us: u64,
    /// Messages of theirs that wait for the request to be decided.
    pub request_messages: u32,
}

impl Peer {
    /// A person of whom nothing is known but the id.
    pub fn new(id: PeerId, now: WallTime) -> Self {
        Self {
            id,
            name: None,
            relation: Relation::Stranger,
            blocked: false,
            verified_at: None,
            impostor: None,
            name_settled: false,
            first_seen: now,
            last_seen: None,
            addresses: Vec::new(),
            fast_aes: false,
            last_seq: 0,
            read_by_them: 0,
            read_by_us: 0,
            request_messages: 0,
        }
    }
}
