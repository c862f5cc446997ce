//! The bodies and queries of the API that are not views of the model.
//!
//! A request with a field that is not listed here is refused, and the refusal names the field: a
//! misspelt `reply_to` must not quietly send a message that answers nothing.

use hallway_model::{Delivery, MessageId, Name, PeerId, Status, WallTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `POST /api/v1/messages`: exactly one of a text, an edit, a deletion and a reaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// A name, a tag, an id or `name~tag`.
    pub to: String,
    /// The text, or with `edit` the new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The message that the text answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Our own message whose text `text` replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<MessageId>,
    /// Our own message to take back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<MessageId>,
    /// An emoji to set or take off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<ReactionRequest>,
    /// Chosen by the caller: a request repeated with the same one sends once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Reply only when the message has come this far, or the time is over; `queued` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Delivery>,
    /// How long to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The emoji in a [`SendRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactionRequest {
    /// The message it is about.
    pub target: MessageId,
    /// The emoji.
    pub emoji: String,
    /// Set (when absent), or taken off.
    #[serde(default = "yes")]
    pub on: bool,
}

fn yes() -> bool {
    true
}

/// The reply of what has nothing to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// What became of a [`SendRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendView {
    /// The message.
    pub id: MessageId,
    /// Whom it goes to.
    pub to: PeerId,
    /// How far it has come.
    pub state: Delivery,
}

/// Most messages in one reply of the log: with the longest texts still only some 32 MiB.
/// `before` leads to the page before.
pub const LOG_MESSAGES_MAX: usize = 1000;

/// `GET /api/v1/log`: messages, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// The talk with this peer; all talks when absent, which needs `search`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Nothing written before this time, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<WallTime>,
    /// Only what stands before this message: the way to the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<MessageId>,
    /// Only what stands after this message, and of that the earliest: the way to the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<MessageId>,
    /// Only what stands from the first message of this time or later on, and of that the
    /// earliest, in milliseconds since 1970: the way to a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<WallTime>,
    /// At most this many, the latest ones; 50 when absent, [`LOG_MESSAGES_MAX`] at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only messages with all of these words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
}

/// `GET /api/v1/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Tell what happened to messages after this event first. The header `Last-Event-ID`, which
    /// a browser sends when it comes back, counts more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// `POST /api/v1/files`: offers a file or folder of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferRequest {
    /// A name, tag, id or `name~tag`.
    pub to: String,
    /// An absolute path.
    pub path: PathBuf,
    /// Chosen by the client so that a repeated request offers once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// `POST /api/v1/offers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OffersRequest {
    /// Names, tags, ids or `name~tag`; each hears who else is in the list.
    pub to: Vec<String>,
    /// An absolute path.
    pub path: PathBuf,
    /// Chosen by the client so that a repeated request offers once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// `POST /api/v1/files/upload`: the body is the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadQuery {
    /// A name, tag, id or `name~tag`; may be there several times.
    pub to: Vec<String>,
    /// What the file is called.
    pub name: String,
    /// Chosen by the client so that a repeated request offers once.
    pub client_id: Option<String>,
}

/// `GET /api/v1/files/{id}/content`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentQuery {
    /// A picture that browsers know may be shown in place; everything else is an attachment.
    #[serde(default)]
    pub inline: bool,
}

/// `POST /api/v1/files/{id}/open`: shows it on the desktop that the node runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// The folder it is in instead.
    #[serde(default)]
    pub folder: bool,
}

/// `POST /api/v1/files/{id}/accept`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeRequest {
    /// The folder to put it in, an absolute path; the usual one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PathBuf>,
}

/// `POST /api/v1/connect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectRequest {
    /// `HOST` or `HOST:PORT`.
    pub address: String,
}

/// `PUT /api/v1/name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameRequest {
    /// The new name.
    pub name: Name,
}

/// `PUT /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusRequest {
    /// The new availability.
    pub status: Status,
}

/// `PUT /api/v1/settings`. What is absent stays as it is; the status shows all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsRequest {
    /// Files of contacts up to so many bytes are taken without asking; 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_files_bytes: Option<u64>,
    /// Tell others which of their messages were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
    /// The folder for files that arrive from now on, an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads: Option<PathBuf>,
    /// `HOST` or `HOST:PORT` of everybody to stay connected with. One that is added is connected
    /// at once and at every start. One that is left out is dropped at once, and whoever answered
    /// there is disconnected unless they are known in any other way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_peers: Option<Vec<String>>,
}

/// `POST /api/v1/peers/{ref}/mute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteRequest {
    /// Nothing of them is notified (when absent), or again.
    #[serde(default = "yes")]
    pub on: bool,
}

/// `POST /api/v1/peers/{ref}/verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The number the other person reads out; absent to only show ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

/// `POST /api/v1/peers/{ref}/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// Their messages up to this sequence number were shown.
    pub seq: u64,
}

/// `POST /api/v1/calls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// Whom to ring: a name, a tag, an id or `name~tag`.
    pub peer: String,
}

/// `GET /api/v1/calls/history`: the latest calls with everybody, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallHistoryQuery {
    /// At most this many; 20 when absent, [`LOG_MESSAGES_MAX`] at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `POST /api/v1/calls/{call}/mute`, `hold` and `push-to-talk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    /// Muted, held or talking (when absent), or no longer so.
    #[serde(default = "yes")]
    pub on: bool,
}

/// `GET /api/v1/doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoctorQuery {
    /// Also look at the way to this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// `PUT /api/v1/devices`. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicesRequest {
    /// The microphone of calls: its id or name, or a part of them that only one has; `default`
    /// follows the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The same for the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What `POST /api/v1/devices/test` tells ten times a second, in dB of full scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TrialView {
    /// It is being recorded.
    Hearing {
        /// How loud the microphone is.
        dbfs: f32,
    },
    /// What was recorded is being played.
    Playing {
        /// How loud it is.
        dbfs: f32,
    },
    /// It is over.
    Done {
        /// The loudest that was heard.
        loudest_dbfs: f32,
    },
    /// A device has failed.
    Failed {
        /// Why, and what to do.
        detail: String,
    },
}

/// `POST /api/v1/tokens`: a token for a bot. One that may do nothing is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What to call it.
    pub name: Name,
    /// It may read its conversations and hear of what happens in them.
    #[serde(default)]
    pub read: bool,
    /// It may send to its conversations: texts, replies and reactions.
    #[serde(default)]
    pub send: bool,
    /// It may read the metrics.
    #[serde(default)]
    pub metrics: bool,
    /// Its conversations: those with these peers, by names, tags, ids or `name~tag`; all there are
    /// and will be when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<Vec<String>>,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// What it is called.
    pub name: Name,
    /// It may read.
    pub read: bool,
    /// It may send.
    pub send: bool,
    /// It may read the metrics.
    pub metrics: bool,
    /// The peers whose conversations are its own; `null`: all.
    pub conversations: Option<Vec<PeerId>>,
    /// When it was made.
    pub created: WallTime,
}

/// A new token, with its secret, which is told only now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenSecretView {
    /// For the header `Authorization: Bearer`.
    pub secret: String,
    /// What it may do.
    pub token: TokenView,
    /// Where a bot finds the API, such as `http://127.0.0.1:40123`; `null` when only the socket
    /// serves it.
    pub url: Option<String>,
}
