//! What a face asks of the node, and what it answers.

use crate::{
    Body, CallId, CallView, ConversationId, Delivery, MessageId, Name, Offer, PeerId, PeerView,
    Status, StatusView, TransferAct, TransferView, VerifyView,
};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a face asks of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Describe the node.
    Status,
    /// Which of our messages to this peer are handed to its live session, not yet acknowledged.
    InFlight(PeerId),
    /// Wait until what was told so far is on disk, or the disk has refused it: whoever reads
    /// history then does not see less than they were told.
    Flush,
    /// Describe everybody known or near.
    Peers,
    /// Find the one peer that a name, tag, id or `name~tag` means.
    Resolve(String),
    /// Send a message. It is answered once the message is on disk.
    Send {
        /// To whom.
        to: ConversationId,
        /// What.
        body: Body,
        /// Chosen by the face so that a repeated request sends once.
        client_id: Option<String>,
    },
    /// Offer what is at a path of this host. It is answered once the offer is on disk.
    Offer {
        /// To whom.
        to: PeerId,
        /// What.
        offer: Box<Offer>,
        /// An absolute path.
        source: PathBuf,
        /// Chosen by the face so that a repeated request offers once.
        client_id: Option<String>,
    },
    /// Describe all transfers.
    Transfers,
    /// Do something with the transfer whose id begins with this text.
    Transfer {
        /// Some first digits of the id.
        id: String,
        /// What to do.
        act: TransferAct,
    },
    /// We are typing to a peer.
    Typing(PeerId),
    /// Messages of a peer up to this sequence number were shown to the person.
    MarkRead(PeerId, u64),
    /// Take a new name.
    Rename(Name),
    /// Change the availability.
    SetStatus(Status),
    /// Choose something about the node, for good.
    Set(Setting),
    /// Dial these addresses, whoever answers there.
    Connect(Vec<SocketAddr>),
    /// Show a safety number, and with a number compare it.
    Verify {
        /// With whom.
        peer: PeerId,
        /// The number the other person reads out.
        number: Option<String>,
    },
    /// Keep this contact as they are although somebody else uses their name.
    KeepName(PeerId),
    /// Let nothing of this person through any more.
    Block(PeerId),
    /// Undo a block.
    Unblock(PeerId),
    /// Accept a stranger's request.
    Accept(PeerId),
    /// Remove a person and everything exchanged with them.
    Forget(PeerId),
    /// Ring a peer. Answered at once with the call; what becomes of it, events tell.
    Call(PeerId),
    /// Answer the call that rings, or this one; another that runs is held.
    Answer(Option<CallId>),
    /// Hang up, give up or decline: the only call there is, or this one.
    HangUp(Option<CallId>),
    /// Let nothing of our microphone through, or let it through again.
    Mute {
        /// The only call there is when absent.
        call: Option<CallId>,
        /// Whether nothing passes.
        on: bool,
    },
    /// Hold a call, or go on with it; another that runs is then held.
    Hold {
        /// The only call there is when absent.
        call: Option<CallId>,
        /// Whether nothing passes either way.
        on: bool,
    },
    /// Describe the calls that are not over.
    Calls,
}

/// Something about the node that its person chooses. The status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Files of contacts up to so many bytes are taken without asking.
    AcceptFiles(u64),
    /// Others are told which of their messages were read.
    ReadReceipts(bool),
    /// The folder for files that arrive from now on, an absolute path.
    Downloads(PathBuf),
    /// Addresses to stay connected with, as people write them; at most
    /// [`crate::STATIC_PEERS_MAX`].
    StaticPeers(Vec<String>),
    /// Nothing of this person is notified, or again.
    Mute(PeerId, bool),
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done, nothing to show.
    Done,
    /// Messages with [`Delivery::Sent`].
    InFlight(Vec<MessageId>),
    /// The node.
    Status(Box<StatusView>),
    /// Everybody.
    Peers(Vec<PeerView>),
    /// The one peer meant or changed.
    Peer(Box<PeerView>),
    /// The message is on disk.
    Sent {
        /// Its id.
        id: MessageId,
        /// Whom it goes to.
        to: PeerId,
        /// How far it has come.
        state: Delivery,
    },
    /// All transfers, the latest last.
    Transfers(Vec<TransferView>),
    /// One transfer, as it is now.
    Transfer(Box<TransferView>),
    /// A safety number.
    Verify(VerifyView),
    /// The call begun or changed.
    Call(Box<CallView>),
    /// Calls that are not over, the oldest first.
    Calls(Vec<CallView>),
}

/// A refused command: a stable code, what failed and what to do, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Stable, for programs.
    pub problem: Problem,
    /// For people.
    pub detail: String,
    /// The peers an ambiguous name may mean.
    pub candidates: Vec<PeerId>,
}

/// The stable reasons for refusing a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// Nobody by that name, tag or id.
    NoSuchPeer,
    /// More than one; the candidates are listed.
    AmbiguousName,
    /// The id has a typo.
    BadId,
    /// The peer is blocked.
    Blocked,
    /// Somebody else uses this verified contact's name; decide first.
    NameCollision,
    /// The safety number is another one.
    NumberMismatch,
    /// Over a limit.
    TooLong,
    /// Not a valid value.
    BadValue,
    /// The message is not there, or not ours to change.
    NoSuchMessage,
    /// No transfer has this id, or more than one.
    NoSuchTransfer,
    /// The transfer is not in a state for that.
    TransferState,
    /// The file cannot be read.
    FileUnreadable,
    /// The outbox for this contact is full.
    OutboxFull,
    /// The disk did not take it; nothing was sent.
    Storage,
    /// That is ourselves.
    Oneself,
    /// Nobody answered there.
    Unreachable,
    /// No call like that, or not in a state for it.
    NoSuchCall,
    /// More calls than may be at once, or another with this peer.
    CallBusy,
}

impl Problem {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NoSuchPeer,
        Self::AmbiguousName,
        Self::BadId,
        Self::Blocked,
        Self::NameCollision,
        Self::NumberMismatch,
        Self::TooLong,
        Self::BadValue,
        Self::NoSuchMessage,
        Self::NoSuchTransfer,
        Self::TransferState,
        Self::FileUnreadable,
        Self::OutboxFull,
        Self::Storage,
        Self::Oneself,
        Self::Unreachable,
        Self::NoSuchCall,
        Self::CallBusy,
    ];

    /// The code in `application/problem+json`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSuchPeer => "no_such_peer",
            Self::AmbiguousName => "ambiguous_name",
            Self::BadId => "bad_id",
            Self::Blocked => "blocked",
            Self::NameCollision => "name_collision",
            Self::NumberMismatch => "number_mismatch",
            Self::TooLong => "too_long",
            Self::BadValue => "bad_value",
            Self::NoSuchMessage => "no_such_message",
            Self::NoSuchTransfer => "no_such_transfer",
            Self::TransferState => "transfer_state",
            Self::FileUnreadable => "file_unreadable",
            Self::OutboxFull => "outbox_full",
            Self::Storage => "storage",
            Self::Oneself => "oneself",
            Self::Unreachable => "unreachable",
            Self::NoSuchCall => "no_such_call",
            Self::CallBusy => "call_busy",
        }
    }
}

impl Refusal {
    /// A refusal without candidates.
    pub fn new(problem: Problem, detail: impl Into<String>) -> Self {
        Self {
            problem,
            detail: detail.into(),
            candidates: Vec::new(),
        }
    }
}
