//! What goes into the app, and what it wants done.

use crate::choices::Choices;
use crate::picture::Picture;
use crate::talk::Part;
use crossterm::event::Event as TerminalEvent;
use hallway_api::{SendRequest, SendView, SettingsRequest};
use hallway_model::{
    CallView, DevicesView, Event, MessageView, Name, PeerId, PeerView, Report, SoundDirection,
    Status, StatusView, TransferView, VerifyView,
};
use std::path::PathBuf;

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// At the terminal: a key, the mouse, a paste, another size.
    Terminal(TerminalEvent),
    /// The node can be spoken to: this is how it is, and its events follow.
    Up(Box<Snapshot>),
    /// It cannot be spoken to: why, in its words.
    Down(String),
    /// The node tells an event.
    Told(Box<Event>),
    /// Messages that were asked for.
    Page {
        /// The conversation.
        peer: PeerId,
        /// Which of it.
        part: Part,
        /// Oldest first, or why there are none.
        messages: Result<Vec<MessageView>, String>,
    },
    /// The newest message of a conversation, for the list.
    Newest(PeerId, Option<Box<MessageView>>),
    /// How a person is now.
    Peer(Box<PeerView>),
    /// What a search found; `number` is the search's.
    Found {
        /// Which search.
        number: u64,
        /// Newest last, or why there is nothing.
        messages: Result<Vec<MessageView>, String>,
    },
    /// What is in a folder.
    Listed {
        /// The folder, as it was asked for.
        folder: String,
        /// Its entries in order; `None` when there is no such folder.
        entries: Option<Vec<Entry>>,
    },
    /// The small picture of an offer, where it can be shown.
    Picture(String, Option<Picture>),
    /// The node has done what was asked of it, or says why not.
    Done {
        /// What was asked.
        request: Box<Request>,
        /// What came of it.
        reply: Result<Reply, String>,
    },
    /// Time has passed, and nothing else has happened.
    Tick,
}

/// The node as it is when the app begins to follow it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The node itself.
    pub status: StatusView,
    /// Everybody.
    pub peers: Vec<PeerView>,
    /// Calls that are not over.
    pub calls: Vec<CallView>,
    /// Every transfer.
    pub transfers: Vec<TransferView>,
}

/// A line of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// It is a folder itself.
    pub folder: bool,
    /// How long it is, if it is a file.
    pub bytes: u64,
}

/// What the app wants done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Ask the node; [`Input::Done`] follows. Texts go one after the other.
    Ask(Request),
    /// Read messages of a conversation; [`Input::Page`] follows.
    Read(PeerId, Part),
    /// Read the newest message of each of these conversations; [`Input::Newest`] follows for each.
    Newest(Vec<PeerId>),
    /// Look somebody up; [`Input::Peer`] follows.
    LookUp(PeerId),
    /// Search all messages; [`Input::Found`] follows.
    Search {
        /// To tell the latest search from those before.
        number: u64,
        /// What for.
        words: String,
    },
    /// Get the small picture of this offer; [`Input::Picture`] follows.
    Picture(String),
    /// Look into a folder; [`Input::Listed`] follows.
    List(String),
    /// Keep what was chosen for the next time.
    Keep(Choices),
    /// Put this on the clipboard of the terminal.
    Copy(String),
    /// Make the terminal call for its person.
    Bell,
    /// Draw everything again.
    Redraw,
    /// Go to the background, as other programs at a terminal do.
    Suspend,
    /// Leave.
    Quit,
}

/// What is asked of the node.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Send, change, take back or mark a message.
    Send {
        /// To whom.
        peer: PeerId,
        /// What.
        request: Box<SendRequest>,
        /// Tells it from others on their way; it is also part of the `client_id`.
        number: u64,
    },
    /// Offer a file or folder.
    Offer(PeerId, PathBuf),
    /// Do something about a transfer.
    Transfer(String, FileAct),
    /// Do something about a person.
    Person(PeerId, PersonAct),
    /// Their messages up to this one were seen.
    Seen(PeerId, u64),
    /// We are typing.
    Typing(PeerId),
    /// Show the safety number.
    SafetyNumber(PeerId),
    /// Compare it.
    Verify(PeerId, String),
    /// Ring somebody.
    Ring(PeerId),
    /// Do something about the call with this id.
    Call(String, CallAct),
    /// Take a new name.
    Name(Name),
    /// Tell another availability.
    Status(Status),
    /// Change what can be chosen.
    Settings(SettingsRequest),
    /// Notify nothing of this person, or again.
    Quiet(PeerId, bool),
    /// Connect to an address.
    Connect(String),
    /// Show the sound devices.
    Devices,
    /// Use the device of this name for calls.
    Choose(SoundDirection, String),
    /// Look for what is wrong, also on the way to this person.
    Doctor(Option<PeerId>),
}

/// What can be done about a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileAct {
    /// Take it, into this folder or the usual one.
    Accept(Option<PathBuf>),
    /// Do not take it.
    Decline,
    /// Hold it.
    Pause,
    /// Go on.
    Resume,
    /// Give it up.
    Cancel,
}

/// What can be done about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonAct {
    /// Take a stranger as a contact.
    Accept,
    /// Let nothing pass.
    Block,
    /// Undo that.
    Unblock,
    /// Remove them and everything exchanged.
    Forget,
    /// Keep them although another uses their name.
    KeepName,
}

/// What can be done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallAct {
    /// Answer it.
    Answer,
    /// Hang up, give up or decline.
    HangUp,
    /// Let nothing of the microphone through, or again.
    Mute(bool),
    /// Hold it, or go on.
    Hold(bool),
    /// Let the microphone through while a key is down.
    Talk(bool),
}

/// What came of a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing to show.
    Done,
    /// A message is on disk.
    Sent(SendView),
    /// A transfer as it is now.
    Transfer(Box<TransferView>),
    /// A person as they are now.
    Person(Box<PeerView>),
    /// A safety number.
    Safety(VerifyView),
    /// A call as it is now.
    Call(Box<CallView>),
    /// The sound devices as they are now.
    Devices(DevicesView),
    /// What `doctor` found.
    Report(Report),
    /// The node as it is now.
    Status(Box<StatusView>),
}
