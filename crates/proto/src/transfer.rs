//! What is said about transfers in a session, and what the shell is asked to do for them.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::handshake::Suite;
use hallway_model::{MessageId, Offer, PeerId, TransferFailure, TransferId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// One side's word on a transfer. All are idempotent and said again on each new session, until
/// they have been answered or no longer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The message that offers.
    #[serde(rename = "i")]
    pub message: MessageId,
    /// The sender of the frame is the one who offers.
    #[serde(rename = "o")]
    pub offering: bool,
    /// What is said.
    #[serde(rename = "s", with = "code")]
    pub says: Says,
}

/// What is said of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The receiver wants it, and fetches it as soon as it can.
    Accept,
    /// The receiver does not want it.
    Decline,
    /// The speaker holds it.
    Pause,
    /// The speaker no longer holds it.
    Resume,
    /// The speaker gives it up.
    Cancel,
    /// The receiver has all of it.
    Done,
    /// The speaker cannot do it.
    Failed(TransferFailure),
    /// The speaker knows that it is over.
    Settled,
    /// The receiver cannot connect to the sender: the sender is to connect to it.
    Dial,
    /// The receiver has no room; it goes on by itself once there is some.
    Full,
    /// Of a later version; skipped.
    Other(u8),
}

impl Says {
    fn code(self) -> u8 {
        match self {
            Self::Accept => 1,
            Self::Decline => 2,
            Self::Pause => 3,
            Self::Resume => 4,
            Self::Cancel => 5,
            Self::Done => 6,
            Self::Settled => 7,
            Self::Dial => 8,
            Self::Full => 9,
            Self::Failed(TransferFailure::Source) => 16,
            Self::Failed(TransferFailure::Destination) => 17,
            Self::Failed(TransferFailure::Protocol) => 18,
            Self::Failed(TransferFailure::TooMany) => 19,
            Self::Other(code) => code,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Accept,
            2 => Self::Decline,
            3 => Self::Pause,
            4 => Self::Resume,
            5 => Self::Cancel,
            6 => Self::Done,
            7 => Self::Settled,
            8 => Self::Dial,
            9 => Self::Full,
            16 => Self::Failed(TransferFailure::Source),
            17 => Self::Failed(TransferFailure::Destination),
            18 => Self::Failed(TransferFailure::Protocol),
            19 => Self::Failed(TransferFailure::TooMany),
            other => Self::Other(other),
        }
    }
}

/// A word on a transfer is a number on the wire.
mod code {
    use super::Says;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(says: &Says, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(says.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Says, D::Error> {
        u8::deserialize(d).map(Says::of_code)
    }
}

/// What the shell is to do with files. The bytes never pass through the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Fetch what a peer offers, going on from what is there already.
    Fetch(Box<Fetch>),
    /// Let a peer fetch from us.
    Serve(Box<Serve>),
    /// Neither any more; what has come so far stays. No report is owed.
    Stop(TransferId),
    /// Remove what has come so far of something that we no longer fetch.
    Discard(TransferId),
}

/// What is needed to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Which transfer.
    pub id: TransferId,
    /// Who has it.
    pub peer: PeerId,
    /// What was offered.
    pub offer: Offer,
    /// The folder to put it in; `None` for the usual one.
    pub folder: Option<PathBuf>,
    /// Where the peer is, the best first.
    pub addresses: Vec<SocketAddr>,
    /// The cipher suite to offer.
    pub suite: Suite,
}

/// What is needed to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Which transfer.
    pub id: TransferId,
    /// Who may fetch.
    pub peer: PeerId,
    /// What was offered.
    pub offer: Offer,
    /// Where it is.
    pub source: PathBuf,
}

/// How an [`Order`] comes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The folder of something that we fetch is settled, and so much of it was there already.
    /// Also what the peer who fetches from us has.
    Began {
        /// Bytes.
        moved: u64,
        /// The folder, when we fetch.
        folder: Option<PathBuf>,
    },
    /// So many bytes are with the receiver, checked.
    Progress(u64),
    /// All of it is there, on disk, under this name.
    Done(PathBuf),
    /// No connection, or no longer, and why, in words.
    Lost(String),
    /// The disk is full.
    NoRoom,
    /// It cannot be done.
    Failed(TransferFailure),
}
