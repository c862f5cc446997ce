//! Files on their way: what is offered, how far it has come, and what faces show of it.

use crate::{ContentId, Message, MessageId, PeerId, WallTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What somebody wants to send: the body of a message of kind 5, on the wire and on disk in CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Names what is in it.
    #[serde(rename = "c")]
    pub content: ContentId,
    /// The name of the file or folder, as its owner has it: not safe to write under.
    #[serde(rename = "n")]
    pub name: String,
    /// All bytes of all files.
    #[serde(rename = "s")]
    pub bytes: u64,
    /// How many files; 1 unless it is a folder.
    #[serde(rename = "f")]
    pub files: u32,
    /// It is a folder.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub folder: bool,
    /// What kind of file, such as `image/png`: a claim of the sender.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// A small JPEG or PNG of a picture, at most [`crate::THUMBNAIL_BYTES_MAX`] bytes.
    #[serde(
        rename = "p",
        default,
        with = "serde_bytes",
        skip_serializing_if = "Option::is_none"
    )]
    pub thumbnail: Option<Vec<u8>>,
    /// How much of a folder is not sent: links, sockets, devices, and what cannot be read.
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// The names of some of that, at most [`crate::LEFT_OUT_NAMES_MAX`], as their owner has them.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub left_out_names: Vec<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Names a transfer: the message that offered it. The author chose its id, so only both together
/// are unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId {
    /// Who offers.
    pub author: PeerId,
    /// The message with the offer.
    pub message: MessageId,
}

impl TransferId {
    /// Of the transfer that a message offers.
    pub fn of(message: &Message) -> Self {
        Self {
            author: message.author,
            message: message.id,
        }
    }
}

/// How a transfer stands between the two sides. On disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferPhase {
    /// The receiver has not decided.
    Offered,
    /// The receiver wants it.
    Accepted,
    /// All of it is with the receiver, checked and under its name.
    Done,
    /// The receiver does not want it.
    Declined,
    /// One side gave it up.
    Cancelled {
        /// It was us.
        by_us: bool,
    },
    /// It cannot be done.
    Failed(TransferFailure),
}

impl TransferPhase {
    /// Nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Offered | Self::Accepted)
    }
}

/// Why a transfer cannot be done.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum TransferFailure {
    /// The sender's file is gone or cannot be read.
    #[error("the sender can no longer read the file")]
    Source,
    /// The receiver cannot write there.
    #[error("the receiver cannot write to its download folder")]
    Destination,
    /// The other side does not follow the protocol, or offers what this version refuses.
    #[error("the other side sent what does not fit the protocol")]
    Protocol,
    /// There are too many unfinished transfers between the two.
    #[error("too many transfers are unfinished; finish or cancel some")]
    TooMany,
    /// The sender's file has grown too much, or does not come to rest.
    #[error("the file has grown, or keeps changing while it is sent; offer it again")]
    Changed,
}

/// The durable record of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Which.
    pub id: TransferId,
    /// The other side.
    pub peer: PeerId,
    /// What is offered. Its thumbnail stays with the message: where there is one, it is empty
    /// here.
    pub offer: Offer,
    /// When it was offered, by the author's clock.
    pub at: WallTime,
    /// How it stands.
    pub phase: TransferPhase,
    /// We hold it.
    pub paused_by_us: bool,
    /// They hold it.
    pub paused_by_them: bool,
    /// The other side knows how it ended.
    pub settled: bool,
    /// Ours: the file or folder to send. Theirs: the folder to put it in, and once done what it
    /// is called there.
    pub place: Option<PathBuf>,
    /// Bytes the receiver had, checked, when this was last written.
    pub moved: u64,
}

/// What is to be done with a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferAct {
    /// Take it, into this folder or the usual one.
    Accept {
        /// An absolute path.
        to: Option<PathBuf>,
    },
    /// Do not take it.
    Decline,
    /// Hold it for now.
    Pause,
    /// Go on with it.
    Resume,
    /// Give it up; what has come of it is removed.
    Cancel,
}

/// How a transfer stands now, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// The receiver has not decided.
    Offered,
    /// Bytes flow, or are about to.
    Running,
    /// Other transfers come first at the receiver.
    WaitingForTurn,
    /// The other side is not there.
    WaitingForPeer,
    /// The receiver's disk is full.
    WaitingForRoom,
    /// Held by us; perhaps by them too.
    PausedByUs,
    /// Held by them.
    PausedByThem,
    /// All of it has arrived.
    Done,
    /// The receiver did not want it.
    Declined,
    /// We gave it up.
    CancelledByUs,
    /// They gave it up.
    CancelledByThem,
    /// It could not be done; `failure` says why.
    Failed,
}

impl TransferState {
    /// Nothing more will happen.
    pub fn is_over(self) -> bool {
        match self {
            Self::Done
            | Self::Declined
            | Self::CancelledByUs
            | Self::CancelledByThem
            | Self::Failed => true,
            Self::Offered
            | Self::Running
            | Self::WaitingForTurn
            | Self::WaitingForPeer
            | Self::WaitingForRoom
            | Self::PausedByUs
            | Self::PausedByThem => false,
        }
    }
}

/// One transfer: a line of `hallway files`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransferView {
    /// The id of the message that offers it.
    pub id: String,
    /// The other side.
    pub peer: PeerId,
    /// It comes to us.
    pub incoming: bool,
    /// What is offered.
    pub file: FileView,
    /// How it stands.
    pub state: TransferState,
    /// Why it failed.
    pub failure: Option<TransferFailure>,
    /// Bytes that have arrived and were checked.
    pub moved: u64,
    /// Where the last interruption was made good, in bytes; `null` when there was none.
    pub resumed_at: Option<u64>,
    /// How often something of it changed at its owner since this node has started; what changed is
    /// sent again.
    pub changed: u32,
    /// Bytes a second over the last seconds, while it runs.
    pub rate: Option<u64>,
    /// Milliseconds left at that rate.
    pub left_ms: Option<u64>,
    /// Ours: what is sent. Theirs: where it is once done.
    pub path: Option<PathBuf>,
    /// When it was offered, by the author's clock.
    pub at: WallTime,
}

/// What a message or transfer offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileView {
    /// As its owner calls it.
    pub name: String,
    /// All bytes.
    pub bytes: u64,
    /// How many files.
    pub files: u32,
    /// It is a folder.
    pub folder: bool,
    /// What the sender says it is.
    pub media_type: Option<String>,
    /// The message has a small picture of it.
    pub thumbnail: bool,
    /// How much of a folder is not sent: links, sockets, devices, and what cannot be read.
    pub left_out: u32,
    /// The names of some of that.
    pub left_out_names: Vec<String>,
}

impl Offer {
    /// What faces show of it.
    pub fn view(&self) -> FileView {
        FileView {
            name: self.name.clone(),
            bytes: self.bytes,
            files: self.files,
            folder: self.folder,
            media_type: self.media_type.clone(),
            thumbnail: self.thumbnail.is_some(),
            left_out: self.left_out,
            left_out_names: self.left_out_names.clone(),
        }
    }
}
