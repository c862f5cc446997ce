//! The node on the desktop: an icon in the tray, and a notification for each call that rings, which
//! can be answered there, and for each talk with something new, to which one can reply where the
//! desktop has that. Who is busy is not disturbed, and not by whom they muted.

use crate::{safe, text};
use hallway_api::Feed;
use hallway_model::{
    Answer, Body, CallDirection, CallId, CallState, CallView, Command, ConversationId, EventKind,
    MessageView, PeerId, PeerView, Status,
};
use hallway_node::Handle;
use notifications::Desktop;
use std::collections::{HashMap, VecDeque};
use std::env;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

mod bus;
mod icon;
mod menu;
mod notifications;
mod tray;

/// A face that shows the talk has told by then that the message was read.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(1);
/// Messages that wait for that; of more, the latest are told.
const WAITING_MAX: usize = 100;
/// Characters of a text that a notification shows.
const SHOWN_CHARS_MAX: usize = 200;

/// What a notification is about; each has one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Talk(PeerId),
    /// A call of this peer that rings here.
    Call(CallId, PeerId),
}

impl Topic {
    fn peer(self) -> PeerId {
        match self {
            Self::Talk(peer) | Self::Call(_, peer) => peer,
        }
    }
}

/// What is done at a notification.
enum Act {
    Reply(PeerId, String),
    /// The talk is opened, with what lets its window come to the front.
    Open(PeerId, Option<String>),
    Answer(CallId),
    Decline(CallId),
}

/// Follows a node until it stops; nothing happens where there is no desktop.
pub(crate) fn watch(node: Handle, home: PathBuf) {
    if bus::is_there() {
        tokio::spawn(follow(node.clone(), home.clone()));
        tokio::spawn(tray::follow(node, home));
    }
}

/// Tells somebody who sees nothing of what is printed; nothing happens where there is no desktop.
pub(crate) fn tell(title: &str, body: &str) {
    if bus::is_there() {
        // There is nobody left to tell what keeps it from being told.
        let _ = notifications::tell(title, body);
    }
}

async fn follow(node: Handle, home: PathBuf) {
    let Ok(mut feed) = Feed::open(node.clone(), None).await else {
        return;
    };
    let me = feed.me();
    let (told, mut events) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(event) = feed.next().await {
            if told.send(event.kind).await.is_err() {
                return;
            }
        }
    });
    let (acted, mut acts) = mpsc::unbounded_channel();
    let mut desktop = Desktop::new(acted);
    let mut waiting: VecDeque<(Instant, MessageView)> = VecDeque::new();
    // The latest message of each talk that was shown.
    let mut shown: HashMap<PeerId, u64> = HashMap::new();
    loop {
        let due = waiting.front().map(|(due, _)| *due);
        tokio::select! {
            event = events.recv() => match event {
                None => return,
                Some(EventKind::Message { message, new: true })
                    if message.to == me && is_news(&message) =>
                {
                    if waiting.len() == WAITING_MAX {
                        waiting.pop_front();
                    }
                    waiting.push_back((Instant::now() + LOOKED_AT_WITHIN, *message));
                }
                Some(EventKind::ReadUpTo { author, seq, .. }) if author != me => {
                    waiting.retain(|(_, message)| message.from != author || message.seq > seq);
                    if shown.get(&author).is_some_and(|last| *last <= seq) {
                        shown.remove(&author);
                        desktop.hush(Topic::Talk(author));
                    }
                }
                Some(EventKind::PeerGone { id }) => {
                    waiting.retain(|(_, message)| message.from != id);
                    shown.remove(&id);
                    desktop.hush(Topic::Talk(id));
                }
                Some(EventKind::Call { call }) if call.direction == CallDirection::Incoming => {
                    ring(&node, &mut desktop, &call).await;
                }
                Some(_) => {}
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let Some((_, message)) = waiting.pop_front() else { continue };
                if let Some(peer) = who(&node, message.from).await {
                    shown.insert(message.from, message.seq);
                    desktop.show(note_of(&peer, &message));
                }
            }
            act = acts.recv() => match act {
                None => return,
                Some(Act::Open(peer, activation)) => open(home.clone(), Some(peer), activation),
                Some(Act::Reply(peer, text)) => {
                    let seq = shown.remove(&peer).unwrap_or_default();
                    reply(&node, peer, seq, text).await;
                }
                Some(Act::Answer(call)) => ask(&node, Command::Answer(Some(call))).await,
                Some(Act::Decline(call)) => ask(&node, Command::HangUp(Some(call))).await,
            },
        }
    }
}

/// Who wrote, if that may be told now.
async fn who(node: &Handle, id: PeerId) -> Option<PeerView> {
    let Ok(Ok(Answer::Status(status))) = node.ask(Command::Status).await else {
        return None;
    };
    let Ok(Ok(Answer::Peers(peers))) = node.ask(Command::Peers).await else {
        return None;
    };
    let peer = peers.into_iter().find(|peer| peer.id == id)?;
    let wanted = status.status != Status::Busy && !status.muted.contains(&id) && !peer.blocked;
    wanted.then_some(peer)
}

/// Shows a call as long as it rings.
async fn ring(node: &Handle, desktop: &mut Desktop, call: &CallView) {
    let topic = Topic::Call(call.id, call.peer);
    if call.state != CallState::Ringing {
        desktop.hush(topic);
    } else if let Some(peer) = who(node, call.peer).await {
        desktop.show(Note {
            topic,
            title: (text::desktop().calls)(&safe::one_line(&peer.name)),
            body: String::new(),
            can_reply: false,
        });
    }
}

/// A notification to be shown.
struct Note {
    topic: Topic,
    title: String,
    body: String,
    can_reply: bool,
}

/// Who has answered or declined a call knows of it.
fn is_news(message: &MessageView) -> bool {
    message.call.is_none_or(|call| call.outcome.is_missed())
}

fn note_of(peer: &PeerView, message: &MessageView) -> Note {
    let words = text::desktop();
    let body = match (&message.text, &message.file, &message.call) {
        // What a stranger writes waits until it is asked for.
        _ if !peer.contact => words.request.to_owned(),
        (Some(text), ..) => safe::one_line(text).chars().take(SHOWN_CHARS_MAX).collect(),
        (None, Some(file), _) => (words.file)(&safe::one_line(&file.name)),
        (None, None, Some(_)) => words.missed.to_owned(),
        (None, None, None) => String::new(),
    };
    Note {
        topic: Topic::Talk(peer.id),
        title: safe::one_line(&peer.name),
        body,
        can_reply: peer.contact,
    }
}

/// Whoever answers has read.
async fn reply(node: &Handle, peer: PeerId, seq: u64, text: String) {
    let send = Command::Send {
        to: ConversationId::Peer(peer),
        body: Body::Text {
            text,
            reply_to: None,
        },
        client_id: None,
    };
    if seq > 0 {
        // The node that stops has no use for it.
        let _ = node.ask(Command::MarkRead(peer, seq)).await;
    }
    ask(node, send).await;
}

/// Does what was asked for at a notification.
async fn ask(node: &Handle, command: Command) {
    if let Ok(Err(refusal)) = node.ask(command).await {
        tracing::warn!(%refusal, "what was asked for at a notification was not done");
    }
}

/// Opens the page as `hallway open` does, in a process of its own, which says by itself what goes
/// wrong.
fn open(home: PathBuf, peer: Option<PeerId>, activation: Option<String>) {
    tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(env::current_exe()?);
        command.arg("--home").arg(home).arg("open");
        command.args(peer.map(|peer| peer.to_string()));
        if let Some(token) = activation {
            // The first for Wayland, the second for X11.
            command.env("XDG_ACTIVATION_TOKEN", &token);
            command.env("DESKTOP_STARTUP_ID", token);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    });
}
