//! What the faces show: the JSON of the local API.

use crate::{CallRecord, Delivery, FileView, Name, PeerId, Status, WallTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The node itself: `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// Our id.
    pub id: PeerId,
    /// Our tag.
    pub tag: String,
    /// Our name.
    pub name: Name,
    /// Our availability.
    pub status: Status,
    /// Files of contacts up to so many bytes are taken without asking; 0: none.
    pub accept_files_bytes: u64,
    /// Others are told which of their messages were read.
    pub read_receipts: bool,
    /// The folder for files that arrive.
    pub downloads: PathBuf,
    /// Addresses that were chosen to stay connected with; those of the configuration file are not
    /// among them.
    pub static_peers: Vec<String>,
    /// People of whom nothing is notified.
    pub muted: Vec<PeerId>,
    /// TCP and UDP port.
    pub port: u16,
    /// Process id of the node.
    pub pid: u32,
    /// Sessions open now.
    pub sessions: usize,
    /// Addresses others can reach us at.
    pub addresses: Vec<SocketAddr>,
    /// Version of the program.
    pub version: String,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// The durable cursor now: `tail --since` with it tells what happens from here on.
    pub event: u64,
    /// When the list of peers is empty or something is wrong: why, in words.
    pub notices: Vec<String>,
    /// What was counted since the start, most of it what went wrong with peers, by reason.
    pub counters: Vec<CounterView>,
}

/// How often something happened since the node started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CounterView {
    /// A stable name, such as `bad_handshake`.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// One person: a line of `hallway peers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerView {
    /// Who.
    pub id: PeerId,
    /// Four characters that tell people of one name apart.
    pub tag: String,
    /// Their name: proven with their key when `state` is `live` or they were met before,
    /// otherwise what their announcement claims.
    pub name: String,
    /// `live`, `nearby` or `offline`.
    pub state: PeerState,
    /// What they say of their availability.
    pub status: Status,
    /// Somebody we write with, as opposed to a stranger.
    pub contact: bool,
    /// The safety number was compared.
    pub verified: bool,
    /// Nothing from or to them passes.
    pub blocked: bool,
    /// A stranger's messages wait for a decision.
    pub request: bool,
    /// Somebody else proved a key of their own under this verified contact's name.
    pub impostor: Option<PeerId>,
    /// Where they are, or were last.
    pub addresses: Vec<SocketAddr>,
    /// Measured round trip, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// How far their wall clock was ahead of ours when the session began, in milliseconds.
    pub clock_skew_ms: Option<i64>,
    /// When they were last known here.
    pub last_seen: Option<WallTime>,
    /// Messages of theirs not shown yet. Events do not count them: there it is 0.
    pub unread: u64,
    /// They are typing now.
    pub typing: bool,
}

/// See [`crate::Presence`]; the same three words.
pub type PeerState = crate::Presence;

/// One address of this host and the interface it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressView {
    /// Name of the interface.
    pub interface: String,
    /// The address and our port.
    pub address: SocketAddr,
}

/// One message as shown: edits and deletions applied, reactions gathered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageView {
    /// The message's id.
    pub id: String,
    /// Who wrote it.
    pub from: PeerId,
    /// Whom it went to: the peer, or us.
    pub to: PeerId,
    /// The author's count of messages in this conversation.
    pub seq: u64,
    /// `text`, `file`, `call`, or `unknown` when it needs a newer version.
    pub kind: String,
    /// Its text; `null` once deleted or when it needs a newer version.
    pub text: Option<String>,
    /// What became of the call that it tells of; its author called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallRecord>,
    /// What it offers, when `kind` is `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileView>,
    /// How far it has come.
    pub state: Delivery,
    /// The author's wall clock, in milliseconds since 1970.
    pub at: WallTime,
    /// What it answers.
    pub reply_to: Option<QuoteView>,
    /// The text was changed after it was sent.
    pub edited: bool,
    /// It was taken back.
    pub deleted: bool,
    /// Emoji on it.
    pub reactions: Vec<ReactionView>,
    /// The number of its last change: what `tail --since` takes.
    pub change: u64,
}

/// The message a reply is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteView {
    /// Its id.
    pub id: String,
    /// Who wrote it; `null` when it is not here.
    pub from: Option<PeerId>,
    /// Its text now; `null` when it is not here or was deleted.
    pub text: Option<String>,
}

/// One emoji of one person on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionView {
    /// The emoji.
    pub emoji: String,
    /// Whose it is.
    pub by: PeerId,
}

/// What `hallway verify PEER` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyView {
    /// Whose key.
    pub id: PeerId,
    /// Sixty digits, in twelve groups of five, the same on both sides.
    pub safety_number: String,
    /// Compared and found equal.
    pub verified: bool,
}
