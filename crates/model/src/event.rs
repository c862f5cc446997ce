//! What happens, as the event stream tells it.

use crate::{CallId, CallView, Delivery, MessageView, PeerId, PeerView, TransferView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of `hallway tail --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The durable cursor: `tail --since` with it shows every later change to messages.
    pub event: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A message is new, or its text or its reactions changed.
    Message {
        /// The message as it is now.
        message: Box<MessageView>,
        /// It was not there before.
        new: bool,
    },
    /// A file is offered, or its transfer has come further: at most [`crate::PROGRESS_PER_SECOND`]
    /// times a second for each.
    Transfer {
        /// The transfer as it is now.
        transfer: Box<TransferView>,
    },
    /// A message of ours has come further.
    State {
        /// The message.
        id: String,
        /// Whom it goes to.
        peer: PeerId,
        /// How far it has come.
        state: Delivery,
    },
    /// Messages were shown to the person they are for.
    ReadUpTo {
        /// Whose messages: ours when they have read, theirs when we have.
        author: PeerId,
        /// The talk with whom.
        peer: PeerId,
        /// All of the author's messages up to this sequence number.
        seq: u64,
    },
    /// A person came, went or changed.
    Peer {
        /// As they are now.
        peer: Box<PeerView>,
    },
    /// A person was forgotten, or their announcement is gone.
    PeerGone {
        /// Who.
        id: PeerId,
    },
    /// A person is typing, or stopped.
    Typing {
        /// Who.
        id: PeerId,
        /// Typing now.
        typing: bool,
    },
    /// A stranger's first message waits for a decision.
    Request {
        /// Who.
        peer: Box<PeerView>,
    },
    /// Somebody proved a key of their own under the name of a contact.
    NameCollision {
        /// The contact whose name it is.
        contact: Box<PeerView>,
        /// The newcomer.
        newcomer: Box<PeerView>,
    },
    /// A call began, changed or ended; while one runs, its figures come about every second.
    Call {
        /// The call as it is now.
        call: Box<CallView>,
    },
    /// How loud a call is now, ten times a second, in dB below the loudest there is. Digital
    /// silence is -127.
    CallLevels {
        /// Which call.
        id: CallId,
        /// What goes out; `null` without a microphone.
        microphone_dbfs: Option<f32>,
        /// What is heard; `null` without a speaker.
        speaker_dbfs: Option<f32>,
    },
    /// Something the user should know, such as a full disk.
    Notice {
        /// A stable name.
        code: String,
        /// What it is and what to do.
        detail: String,
    },
}
