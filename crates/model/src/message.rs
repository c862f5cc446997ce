//! Messages as a node keeps them.

use crate::{
    CallRecord, ConversationId, EMOJI_BYTES_MAX, FILE_NAME_BYTES_MAX, LEFT_OUT_NAMES_MAX,
    MEDIA_TYPE_BYTES_MAX, MessageId, Offer, PeerId, TEXT_BYTES_MAX, THUMBNAIL_BYTES_MAX, WallTime,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a message has come. The order is the order of progress.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Safe on this disk; goes out when the peer is there.
    Queued,
    /// Handed to a live session; not acknowledged yet. Never stored: after a restart the message
    /// is queued again.
    Sent,
    /// The peer has it on disk and said so. Messages of others are always at least this far.
    Delivered,
    /// It was shown to the person.
    Read,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Plain text.
    Text {
        /// At most [`TEXT_BYTES_MAX`] bytes.
        text: String,
        /// The message this one answers.
        reply_to: Option<MessageId>,
    },
    /// Replaces the text of the author's own earlier message.
    Edit {
        /// The message to change.
        target: MessageId,
        /// Its new text.
        text: String,
    },
    /// Takes back the author's own earlier message.
    Delete {
        /// The message to take back.
        target: MessageId,
    },
    /// Sets or clears an emoji of the author on a message of the conversation.
    Reaction(Reaction),
    /// What became of a call. Its author is the caller and its id the bytes of the call's.
    Call(CallRecord),
    /// Offers a file or folder.
    Offer(Box<Offer>),
    /// Of a kind this version does not know: kept as it came, shown as "needs a newer version".
    Unknown {
        /// The kind number on the wire.
        kind: u16,
        /// The body on the wire.
        raw: Vec<u8>,
    },
}

/// An emoji set on or taken off a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The message it is about.
    pub target: MessageId,
    /// At most [`EMOJI_BYTES_MAX`] bytes.
    pub emoji: String,
    /// Set, or taken off.
    pub on: bool,
}

/// A message on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Chosen by the author.
    pub id: MessageId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Who wrote it.
    pub author: PeerId,
    /// The author's own count of messages in this conversation, rising, from 1.
    pub seq: u64,
    /// The author's wall clock when it was written.
    pub at: WallTime,
    /// What it says.
    pub body: Body,
    /// The body as received, when it holds fields this version does not know.
    pub raw: Option<Vec<u8>>,
    /// How far it has come.
    pub delivery: Delivery,
}

impl Message {
    /// The files that it offers.
    pub fn offer(&self) -> Option<&Offer> {
        if let Body::Offer(offer) = &self.body {
            Some(offer)
        } else {
            None
        }
    }

    /// The call that it tells of.
    pub fn call(&self) -> Option<CallRecord> {
        if let Body::Call(record) = &self.body {
            Some(*record)
        } else {
            None
        }
    }
}

/// Why a text cannot be sent. Each message says what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Over the limit.
    #[error("this text takes {bytes} bytes and the limit is {max}; send it as a file instead")]
    TooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Nothing to send.
    #[error("there is nothing to send: the text is empty")]
    Empty,
}

/// Checks the text of a message against [`TEXT_BYTES_MAX`], or of an emoji against
/// [`EMOJI_BYTES_MAX`], or the parts of an offer against their limits.
pub fn check_text(body: &Body) -> Result<(), TextError> {
    let (bytes, max) = match body {
        Body::Text { text, .. } | Body::Edit { text, .. } => (text.len(), TEXT_BYTES_MAX),
        Body::Reaction(reaction) => (reaction.emoji.len(), EMOJI_BYTES_MAX),
        Body::Offer(offer) => return check_offer(offer),
        Body::Delete { .. } | Body::Call(_) | Body::Unknown { .. } => return Ok(()),
    };
    check_length(bytes, max)
}

fn check_length(bytes: usize, max: usize) -> Result<(), TextError> {
    match bytes {
        0 => Err(TextError::Empty),
        _ if bytes > max => Err(TextError::TooLong { bytes, max }),
        _ => Ok(()),
    }
}

fn check_offer(offer: &Offer) -> Result<(), TextError> {
    check_length(offer.name.len(), FILE_NAME_BYTES_MAX)?;
    if let Some(media_type) = &offer.media_type {
        check_length(media_type.len(), MEDIA_TYPE_BYTES_MAX)?;
    }
    if offer.left_out_names.len() > LEFT_OUT_NAMES_MAX {
        let (bytes, max) = (offer.left_out_names.len(), LEFT_OUT_NAMES_MAX);
        return Err(TextError::TooLong { bytes, max });
    }
    for name in &offer.left_out_names {
        check_length(name.len(), FILE_NAME_BYTES_MAX)?;
    }
    match &offer.thumbnail {
        Some(thumbnail) => check_length(thumbnail.len(), THUMBNAIL_BYTES_MAX),
        None => Ok(()),
    }
}
