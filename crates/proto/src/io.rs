//! What goes into the engine and what comes out of it.

use crate::call::MediaKey;
use crate::handshake::{Established, Suite};
use crate::transfer::{Order, Report};
use hallway_model::{
    Added, Answer, CallId, CallStatsView, Command, EventKind, Message, Name, PeerId, Refusal,
    Status, StorageFault, TransferId, Write,
};
use std::net::{IpAddr, SocketAddr};

/// Names a connection for as long as it lives. The shell counts them up and never reuses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Names an attempt to reach somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Names an address that is kept reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaticId(pub u64);

/// Names a command until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Names a request to the disk until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreToken(pub u64);

/// What the network says of a peer without proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The name claimed.
    pub name: Option<Name>,
    /// The availability claimed.
    pub status: Status,
    /// Hardware AES claimed.
    pub fast_aes: bool,
    /// Where it may be reached, the best first.
    pub addresses: Vec<SocketAddr>,
}

/// All that is needed to carry the sound of a call.
#[derive(Debug)]
pub struct MediaPlan {
    /// SFrame base key of what we send (RFC 9605).
    pub send_key: MediaKey,
    /// The key id that the peer wants to see on it.
    pub send_kid: u64,
    /// Base key of what the peer sends.
    pub receive_key: MediaKey,
    /// The key id we asked the peer for; no two calls of a run have the same.
    pub receive_kid: u64,
    /// Where the peer may be reached over UDP, the best first. Unproven.
    pub candidates: Vec<SocketAddr>,
}

/// What happened outside.
#[derive(Debug)]
pub enum Input {
    /// A face asks.
    Command(CommandId, Command),
    /// An announcement was seen.
    Sighted(PeerId, Sighting),
    /// An announcement was withdrawn or ran out.
    Unsighted(PeerId),
    /// An address that was configured or chosen is to be kept reachable.
    Static(StaticId, Vec<SocketAddr>),
    /// No longer.
    Unstatic(StaticId),
    /// A handshake has proved who is at the other end.
    Established {
        /// The new connection.
        conn: ConnId,
        /// Our attempt that led to it; `None` for one that came in.
        dial: Option<DialId>,
        /// The other end.
        remote: SocketAddr,
        /// Our end.
        local: IpAddr,
        /// What the handshake gave.
        established: Box<Established>,
    },
    /// No address of a dial led to a session, and why, in words.
    DialFailed(DialId, String),
    /// Bytes came in.
    Received(ConnId, Vec<u8>),
    /// The connection is gone.
    Closed(ConnId),
    /// A request to the disk is durable.
    Stored(StoreToken, Vec<Added>),
    /// A request to the disk was not kept.
    StoreFailed(StoreToken, StorageFault),
    /// Messages of the outbox, in order of their sequence numbers.
    OutboxLoaded(PeerId, Vec<Message>),
    /// The outbox could not be read; the engine asks again later. Never to be reported as empty.
    OutboxUnread(PeerId),
    /// The addresses of this host, after a change.
    Links(Vec<IpAddr>),
    /// What sound devices there are for a call, at its start and after each change.
    MediaDevices {
        /// Which call.
        call: CallId,
        /// There is a microphone.
        microphone: bool,
        /// There is a speaker.
        speaker: bool,
    },
    /// Packets of the peer that open come in, after none did.
    MediaHeard(CallId),
    /// None has come for a second.
    MediaSilent(CallId),
    /// How the call sounds; about once a second.
    MediaStats(CallId, Box<CallStatsView>),
    /// The sound of a call cannot be carried, and why, in words.
    MediaFailed(CallId, String),
    /// How the files of a transfer come along.
    Files(TransferId, Report),
    /// The time asked for by `poll_timeout` has come.
    Timeout,
    /// The node is about to stop.
    Shutdown,
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Output {
    /// Race these addresses (RFC 8305) and report with `Established` or `DialFailed`.
    Dial {
        /// Names the attempt.
        dial: DialId,
        /// Who must answer; `None` takes anybody.
        expected: Option<PeerId>,
        /// The best first.
        addresses: Vec<SocketAddr>,
        /// The cipher suite to offer.
        suite: Suite,
    },
    /// The attempt is no longer needed. No report is owed.
    CancelDial(DialId),
    /// Bytes to send, in order.
    Transmit(ConnId, Vec<u8>),
    /// Close after what was transmitted.
    Close(ConnId),
    /// Writes to be made durable together; requests in order. See `Store::run` for epochs.
    Store {
        /// To be named in the report.
        token: StoreToken,
        /// Raised after a failure was noticed; requests of an older epoch fail untried.
        epoch: u64,
        /// The writes.
        writes: Vec<Write>,
    },
    /// Read undelivered messages to a peer after a sequence number.
    LoadOutbox {
        /// To whom.
        peer: PeerId,
        /// Later ones than this.
        after_seq: u64,
        /// At most so many.
        limit: usize,
    },
    /// Carry the sound of a call from now on, neither muted nor held.
    StartMedia {
        /// Which call.
        call: CallId,
        /// How.
        plan: Box<MediaPlan>,
    },
    /// Where the peer of a call may be reached now, the best first. Unproven.
    MediaCandidates(CallId, Vec<SocketAddr>),
    /// What is to pass from now on.
    SetMedia {
        /// Which call.
        call: CallId,
        /// Nothing of the microphone goes out.
        muted: bool,
        /// Nothing goes out and nothing is played: one side holds the call.
        held: bool,
    },
    /// The call is over.
    StopMedia(CallId),
    /// Do something with files.
    Files(Order),
    /// Tell the faces.
    Event(EventKind),
    /// A message is new on disk: tell the faces.
    Added {
        /// The message.
        message: Box<Message>,
        /// Its number in the order of changes.
        change: u64,
    },
    /// Answer a command.
    Reply(CommandId, Result<Answer, Refusal>),
    /// Announce this name and availability from now on.
    Announce(Name, Status),
    /// A peer said goodbye and is taken for gone: tell of its announcement anew, should it stand.
    Left(PeerId),
    /// A session died: ask the network whether the peer is still announced.
    Doubt(PeerId),
}
