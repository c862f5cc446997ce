//! Plain data that every part of Hallway shares: ids, names, time, peers, messages, what is
//! written to disk, and the commands, events and views of the local API.
//!
//! Nothing here does IO, starts a thread or reads a clock.

mod call;
mod command;
mod device;
mod doctor;
mod event;
mod id;
mod limits;
mod message;
mod name;
mod peer;
mod storage;
mod time;
mod transfer;
mod view;

pub use call::{
    CallDirection, CallEnd, CallOutcome, CallQuality, CallRecord, CallState, CallStatsView,
    CallView,
};
pub use command::{Answer, Command, Problem, Refusal, Setting};
pub use device::{DeviceView, DevicesView, SoundDirection};
pub use doctor::{Check, Outcome, Report};
pub use event::{Event, EventKind};
pub use id::{CallId, ContentId, ConversationId, GroupId, MessageId, ParseIdError, PeerId};
pub use limits::*;
pub use message::{Body, Delivery, Message, Reaction, TextError, check_text};
pub use name::{Name, NameError};
pub use peer::{Peer, Presence, Relation, Status};
pub use storage::{Added, Snapshot, StorageFault, Write};
pub use time::{Instant, Now, WallTime};
pub use transfer::{
    FileView, Offer, Transfer, TransferAct, TransferFailure, TransferId, TransferPhase,
    TransferState, TransferView,
};
pub use view::{
    AddressView, CounterView, MessageView, PeerState, PeerView, QuoteView, ReactionView,
    StatusView, VerifyView,
};
