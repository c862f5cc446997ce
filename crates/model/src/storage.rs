//! What the pure engine asks the disk to keep, and what it gets back.

use crate::{Message, MessageId, Peer, PeerId, Transfer};

/// One change to the database. The writes of one request are applied together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Inserts or replaces the record of a peer. A record that replaces another never raises
    /// [`Peer::read_by_us`]: it may be older than a message that has just lowered it.
    Peer(Box<Peer>),
    /// What a peer has written up to this number was read: raises [`Peer::read_by_us`].
    Read(PeerId, u64),
    /// Forgets a peer: record, messages and outbox.
    ForgetPeer(PeerId),
    /// Adds a message unless one with its author and id is there, and applies edits, deletions
    /// and reactions to their target. One that is queued is ours: its number raises
    /// [`Peer::last_seq`]. One of a peer that lost its count, and starts again, was not read: it
    /// lowers [`Peer::read_by_us`] below its number.
    Message(Box<Message>),
    /// The peer acknowledged these messages of ours: they leave the outbox.
    Delivered(PeerId, Vec<MessageId>),
    /// Adds the record of a transfer unless one with its id is there.
    NewTransfer(Box<Transfer>),
    /// Replaces the record of a transfer.
    Transfer(Box<Transfer>),
    /// Sets a value of the node itself, such as its name.
    Setting(&'static str, String),
}

/// What became of one [`Write::Message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was not there before; it got this number in the order of changes.
    New {
        /// Rises with every change to a message; the durable cursor of the event stream.
        change: u64,
    },
    /// It was there already, with this author and id.
    Duplicate,
}

/// Why the disk did not take a request. Nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageFault {
    /// No room left.
    #[error("the disk is full; free some space and try again")]
    Full,
    /// The disk or the database answered with an error.
    #[error("the database could not be written; see the log for the reason")]
    Failed,
}

/// All the engine needs from disk to start.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every known peer.
    pub peers: Vec<Peer>,
    /// Peers with messages still to be delivered.
    pub undelivered: Vec<PeerId>,
    /// Every transfer that is not over or not settled, and the latest of the others.
    pub transfers: Vec<Transfer>,
    /// Settings of the node, by name.
    pub settings: Vec<(String, String)>,
    /// The highest change number.
    pub last_change: u64,
}
