//! Notifications: the interface `org.freedesktop.Notifications`, version 1.2, on the session bus.

use super::bus::escaped;
use super::{Act, Note, Topic};
use crate::text;
use dbus::arg::{RefArg, Variant};
use dbus::blocking::{Connection, Proxy};
use dbus::message::MatchRule;
use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// The desktop is asked to start it if need be.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// While something is shown, the bus is listened to this often; otherwise never.
const LISTEN_EVERY: Duration = Duration::from_millis(250);
/// After this time nothing is expected of a notification any more, shown or not.
const ANSWERABLE: Duration = Duration::from_mins(15);
const AS_THE_DESKTOP_LIKES: i32 = -1;
const NEVER: i32 = 0;
/// What a click on the notification itself invokes.
const DEFAULT: &str = "default";
/// What a text typed there comes by, where there is that.
const INLINE_REPLY: &str = "inline-reply";
const ANSWER: &str = "answer";
const DECLINE: &str = "decline";
/// Not hidden by what is shown full screen, nor gone before it is answered.
const CRITICAL: u8 = 2;

/// Notifications, on a thread of their own: the desktop may take its time.
pub(super) struct Desktop {
    words: Sender<Word>,
}

enum Word {
    Show(Note),
    Hush(Topic),
}

impl Desktop {
    pub(super) fn new(acts: UnboundedSender<Act>) -> Self {
        let (words, heard) = mpsc::channel();
        let thread = std::thread::Builder::new().name("notifications".into());
        let started = thread.spawn(move || {
            // Nothing of this is needed before there is something to show.
            while let Ok(word) = heard.recv() {
                // The desktop may come later than we, and go before.
                if let Err(error) = run(word, &heard, &acts) {
                    tracing::debug!(%error, "a notification was not shown");
                }
            }
        });
        if let Err(error) = started {
            tracing::debug!(%error, "no thread for notifications");
        }
        Self { words }
    }

    pub(super) fn show(&mut self, note: Note) {
        // A thread that ended has found no desktop.
        let _ = self.words.send(Word::Show(note));
    }

    pub(super) fn hush(&mut self, topic: Topic) {
        let _ = self.words.send(Word::Hush(topic));
    }
}

/// What the desktop says of a notification.
enum Said {
    /// Comes before what is invoked, and lets the window that opens then come to the front.
    Activation(u32, String),
    Invoked(u32, String),
    Replied(u32, String),
    Closed(u32),
}

/// Does this and what follows, until the node stops.
fn run(
    mut word: Word,
    words: &Receiver<Word>,
    acts: &UnboundedSender<Act>,
) -> Result<(), dbus::Error> {
    let bus = Connection::new_session()?;
    let said = listen(&bus)?;
    let desktop = bus.with_proxy(NAME, PATH, ANSWER_WITHIN);
    let (able,): (Vec<String>,) = desktop.method_call(NAME, "GetCapabilities", ())?;
    let mut shown: HashMap<Topic, (u32, Instant)> = HashMap::new();
    let mut activation = None;
    loop {
        match word {
            Word::Show(note) => {
                let before = shown.get(&note.topic).map_or(0, |(id, _)| *id);
                let id = notify(&desktop, &able, &note, before)?;
                shown.insert(note.topic, (id, Instant::now()));
            }
            Word::Hush(topic) => {
                if let Some((id, _)) = shown.remove(&topic) {
                    let () = desktop.method_call(NAME, "CloseNotification", (id,))?;
                }
            }
        }
        word = loop {
            shown.retain(|_, (_, since)| since.elapsed() < ANSWERABLE);
            let next = match shown.is_empty() {
                true => words.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => words.recv_timeout(LISTEN_EVERY),
            };
            match next {
                Ok(word) => break word,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            while bus.process(Duration::ZERO)? {}
            for said in said.try_iter() {
                handle(said, &mut shown, &mut activation, acts);
            }
        };
    }
}

fn listen(bus: &Connection) -> Result<Receiver<Said>, dbus::Error> {
    let (sender, said) = mpsc::channel();
    let signal = |name: &'static str| MatchRule::new_signal(NAME, name);
    let say = sender.clone();
    bus.add_match(
        signal("ActivationToken"),
        move |(id, token): (u32, String), _, _| say.send(Said::Activation(id, token)).is_ok(),
    )?;
    let say = sender.clone();
    bus.add_match(
        signal("ActionInvoked"),
        move |(id, key): (u32, String), _, _| say.send(Said::Invoked(id, key)).is_ok(),
    )?;
    let say = sender.clone();
    bus.add_match(
        signal("NotificationReplied"),
        move |(id, text): (u32, String), _, _| say.send(Said::Replied(id, text)).is_ok(),
    )?;
    bus.add_match(
        signal("NotificationClosed"),
        move |(id, _): (u32, u32), _, _| sender.send(Said::Closed(id)).is_ok(),
    )?;
    Ok(said)
}

fn handle(
    said: Said,
    shown: &mut HashMap<Topic, (u32, Instant)>,
    activation: &mut Option<String>,
    acts: &UnboundedSender<Act>,
) {
    let (Said::Activation(id, _) | Said::Invoked(id, _) | Said::Replied(id, _) | Said::Closed(id)) =
        &said;
    // Those of other programs are told to all.
    let Some((topic, _)) = shown.iter().find(|(_, (shown, _))| shown == id) else {
        return;
    };
    let topic = *topic;
    let act = match (said, topic) {
        (Said::Activation(_, token), _) => {
            *activation = Some(token);
            None
        }
        (Said::Invoked(_, key), _) if key == DEFAULT => {
            Some(Act::Open(topic.peer(), activation.take()))
        }
        (Said::Invoked(_, key), Topic::Call(call, _)) if key == ANSWER => Some(Act::Answer(call)),
        (Said::Invoked(_, key), Topic::Call(call, _)) if key == DECLINE => Some(Act::Decline(call)),
        (Said::Invoked(..), _) => None,
        (Said::Replied(_, text), _) => Some(Act::Reply(topic.peer(), text)),
        (Said::Closed(_), _) => {
            shown.remove(&topic);
            None
        }
    };
    if let Some(act) = act {
        // Nobody is left to do it when the node stops.
        let _ = acts.send(act);
    }
}

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Call,
    Trouble,
}

/// Shows something that nobody has to do anything about there.
pub(super) fn tell(title: &str, body: &str) -> Result<(), dbus::Error> {
    let bus = Connection::new_session()?;
    let desktop = bus.with_proxy(NAME, PATH, ANSWER_WITHIN);
    let (able,): (Vec<String>,) = desktop.method_call(NAME, "GetCapabilities", ())?;
    show(&desktop, &able, 0, (title, body), &[], Kind::Trouble).map(drop)
}

fn notify(
    desktop: &Proxy<'_, &Connection>,
    able: &[String],
    note: &Note,
    before: u32,
) -> Result<u32, dbus::Error> {
    let can = |what: &str| able.iter().any(|able| able == what);
    let words = text::desktop();
    let mut actions = Vec::new();
    if can("actions") {
        actions.extend([DEFAULT, words.open]);
    }
    let kind = match note.topic {
        Topic::Talk(_) => Kind::Message,
        Topic::Call(..) => Kind::Call,
    };
    if kind == Kind::Call && can("actions") {
        actions.extend([ANSWER, words.answer, DECLINE, words.decline]);
    }
    if note.can_reply && can(INLINE_REPLY) {
        actions.extend([INLINE_REPLY, words.reply]);
    }
    let said = (&*note.title, &*note.body);
    show(desktop, able, before, said, &actions, kind)
}

fn show(
    desktop: &Proxy<'_, &Connection>,
    able: &[String],
    before: u32,
    (title, body): (&str, &str),
    actions: &[&str],
    kind: Kind,
) -> Result<u32, dbus::Error> {
    let mut hints: HashMap<&str, Variant<Box<dyn RefArg>>> = HashMap::new();
    let (category, icon) = match kind {
        Kind::Trouble => ("im.error", "hallway"),
        Kind::Message => ("im.received", "hallway"),
        Kind::Call => ("call.incoming", "call-start"),
    };
    hints.insert("category", Variant(Box::new(category.to_owned())));
    if kind == Kind::Call {
        hints.insert("urgency", Variant(Box::new(CRITICAL)));
    }
    hints.insert("desktop-entry", Variant(Box::new("hallway".to_owned())));
    // Only the body may be taken for markup.
    let body = match able.iter().any(|able| able == "body-markup") {
        true => escaped(body),
        false => body.to_owned(),
    };
    let notification = (
        "Hallway",
        before,
        icon,
        title,
        &*body,
        actions,
        hints,
        match kind {
            // Until it is taken back: it rings for 50 s at most.
            Kind::Call => NEVER,
            Kind::Message | Kind::Trouble => AS_THE_DESKTOP_LIKES,
        },
    );
    let (id,) = desktop.method_call(NAME, "Notify", notification)?;
    Ok(id)
}
