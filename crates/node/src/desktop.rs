//! Calls and messages on the desktop: notifications over the session bus, where there is one.

use hallway_model::{CallDirection, CallId, CallState, CallView, PeerId};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What is read this soon was on screen: the page and the terminal tell it within milliseconds.
const READ_WITHIN: Duration = Duration::from_millis(700);
/// As much of a text as a notification shows.
const SHOWN_CHARS_MAX: usize = 200;

/// Shows who is calling and what was written, on a thread of its own: the desktop may take its
/// time. Where there is no desktop nothing is shown, and nothing is said about it.
#[derive(Default)]
pub(crate) struct Desktop {
    /// To the thread, once there was something to show.
    words: Option<mpsc::Sender<Word>>,
}

/// What the thread is to do.
enum Word {
    /// It rings.
    Ring(CallId, String),
    /// It rings no longer.
    Hush(CallId),
    /// Somebody has written.
    Message(Said),
    /// What a peer has written up to this number was read.
    Read(PeerId, u64),
}

/// What somebody has written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    peer: PeerId,
    name: String,
    seq: u64,
    text: String,
}

/// Pure: what waits to be shown, the latest of each person.
#[derive(Debug, Default)]
struct Waiting(BTreeMap<PeerId, (Instant, Said)>);

impl Waiting {
    /// The time of the first stays: who writes on and on is shown, too.
    fn handle_message(&mut self, said: Said, now: Instant) {
        let due = now + READ_WITHIN;
        let known = self.0.get(&said.peer).map_or(due, |(due, _)| *due);
        self.0.insert(said.peer, (known, said));
    }

    fn handle_read(&mut self, peer: PeerId, seq: u64) {
        self.0.retain(|id, (_, said)| *id != peer || said.seq > seq);
    }

    fn timeout(&self) -> Option<Instant> {
        self.0.values().map(|(due, _)| *due).min()
    }

    fn poll(&mut self, now: Instant) -> Option<Said> {
        let peer = self.0.values().find(|(due, _)| *due <= now)?.1.peer;
        self.0.remove(&peer).map(|(_, said)| said)
    }
}

/// As a notification shows it: short, and with nothing in it taken for markup.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        match c {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            c => shown.push(c),
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

impl Desktop {
    /// A call began, changed or ended; `name` is who it is with.
    pub(crate) fn handle_call(&mut self, call: &CallView, name: impl FnOnce() -> String) {
        let rings = call.state == CallState::Ringing && call.direction == CallDirection::Incoming;
        if rings {
            let words = self.words.get_or_insert_with(start);
            // A thread that ended has found no desktop.
            let _ = words.send(Word::Ring(call.id, name()));
        } else if let Some(words) = &self.words {
            let _ = words.send(Word::Hush(call.id));
        }
    }
}

impl Desktop {
    /// A person whose messages are to be noticed has written.
    pub(crate) fn handle_message(&mut self, peer: PeerId, name: String, seq: u64, text: &str) {
        let text = shown(text);
        let said = Said {
            peer,
            name,
            seq,
            text,
        };
        let words = self.words.get_or_insert_with(start);
        let _ = words.send(Word::Message(said));
    }

    /// What a peer has written up to this number was read somewhere.
    pub(crate) fn handle_read(&mut self, peer: PeerId, seq: u64) {
        if let Some(words) = &self.words {
            let _ = words.send(Word::Read(peer, seq));
        }
    }
}

fn start() -> mpsc::Sender<Word> {
    let (words, heard) = mpsc::channel();
    let thread = std::thread::Builder::new().name("desktop".into());
    if let Err(error) = thread.spawn(move || show(&heard)) {
        tracing::debug!(%error, "no thread for the desktop");
    }
    words
}

#[cfg(target_os = "linux")]
fn show(words: &mpsc::Receiver<Word>) {
    if let Err(error) = bus::show(words) {
        tracing::debug!(%error, "no notification is shown");
    }
}

#[cfg(not(target_os = "linux"))]
fn show(_: &mpsc::Receiver<Word>) {}

/// The interface `org.freedesktop.Notifications`, version 1.2.
#[cfg(target_os = "linux")]
mod bus {
    use super::{Said, Waiting, Word};
    use dbus::arg::{RefArg, Variant};
    use dbus::blocking::{Connection, Proxy};
    use hallway_model::{CallId, PeerId};
    use std::collections::HashMap;
    use std::path::Path;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::{Duration, Instant};

    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";
    /// The desktop is asked to start it if need be.
    const ANSWER_WITHIN: Duration = Duration::from_secs(10);
    /// Shown until it is taken back: it rings for 50 s at most.
    const NEVER: i32 = 0;
    const CRITICAL: u8 = 2;
    const NORMAL: u8 = 1;
    /// As long as the desktop thinks right.
    const USUAL: i32 = -1;
    /// Waiting when there is nothing to wait for.
    const LONG: Duration = Duration::from_hours(1);

    pub(super) fn show(words: &mpsc::Receiver<Word>) -> Result<(), dbus::Error> {
        if !has_bus() {
            return Ok(());
        }
        let bus = Connection::new_session()?;
        let desktop = bus.with_proxy(NAME, PATH, ANSWER_WITHIN);
        let close = |id: u32| desktop.method_call(NAME, "CloseNotification", (id,));
        let mut rings: HashMap<CallId, u32> = HashMap::new();
        let mut said: HashMap<PeerId, (u64, u32)> = HashMap::new();
        let mut waiting = Waiting::default();
        loop {
            let now = Instant::now();
            while let Some(next) = waiting.poll(now) {
                let before = said.get(&next.peer).map_or(0, |(_, id)| *id);
                let id = tell(&desktop, &next, before)?;
                said.insert(next.peer, (next.seq, id));
            }
            let patience = waiting
                .timeout()
                .map_or(LONG, |due| due.saturating_duration_since(now));
            match words.recv_timeout(patience) {
                Ok(Word::Ring(call, name)) => {
                    rings.insert(call, notify(&desktop, &name)?);
                }
                Ok(Word::Hush(call)) => {
                    if let Some(id) = rings.remove(&call) {
                        let () = close(id)?;
                    }
                }
                Ok(Word::Message(said)) => waiting.handle_message(said, Instant::now()),
                Ok(Word::Read(peer, seq)) => {
                    waiting.handle_read(peer, seq);
                    if let Some((last, id)) = said.get(&peer).copied()
                        && last <= seq
                    {
                        said.remove(&peer);
                        let () = close(id)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Shows what was written, in the place of what was shown of this person before.
    fn tell(
        desktop: &Proxy<'_, &Connection>,
        said: &Said,
        before: u32,
    ) -> Result<u32, dbus::Error> {
        let mut hints: HashMap<&str, Variant<Box<dyn RefArg>>> = HashMap::new();
        hints.insert("urgency", Variant(Box::new(NORMAL)));
        hints.insert("category", Variant(Box::new("im.received".to_owned())));
        let actions: Vec<&str> = Vec::new();
        let notification = (
            "Hallway",
            before,
            "mail-unread",
            &*said.name,
            &*said.text,
            actions,
            hints,
            USUAL,
        );
        let (id,) = desktop.method_call(NAME, "Notify", notification)?;
        Ok(id)
    }

    /// Without an address libdbus would start a bus of its own.
    fn has_bus() -> bool {
        let told = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
        let folder = std::env::var_os("XDG_RUNTIME_DIR");
        told || folder.is_some_and(|folder| Path::new(&folder).join("bus").exists())
    }

    fn notify(desktop: &Proxy<'_, &Connection>, name: &str) -> Result<u32, dbus::Error> {
        let mut hints: HashMap<&str, Variant<Box<dyn RefArg>>> = HashMap::new();
        hints.insert("urgency", Variant(Box::new(CRITICAL)));
        hints.insert("category", Variant(Box::new("call.incoming".to_owned())));
        // The summary is plain text; only the body may be taken for markup, and stays ours.
        let summary = format!("{name} is calling");
        let body = "hallway answer, or hallway hang-up to decline";
        let actions: Vec<&str> = Vec::new();
        let notification = (
            "Hallway",
            0u32,
            "call-start",
            &*summary,
            body,
            actions,
            hints,
            NEVER,
        );
        let (id,) = desktop.method_call(NAME, "Notify", notification)?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(peer: u8, seq: u64) -> Said {
        Said {
            peer: PeerId([peer; 32]),
            name: "Bo".into(),
            seq,
            text: format!("text {seq}"),
        }
    }

    #[test]
    fn what_is_read_at_once_is_not_shown_and_the_latest_of_the_rest_is() {
        let begin = Instant::now();
        let mut waiting = Waiting::default();
        waiting.handle_message(said(1, 1), begin);
        waiting.handle_message(said(2, 1), begin);
        waiting.handle_message(said(2, 2), begin + READ_WITHIN / 2);
        waiting.handle_read(PeerId([1; 32]), 1);
        waiting.handle_read(PeerId([2; 32]), 1);
        assert_eq!(waiting.poll(begin + READ_WITHIN / 2), None);
        assert_eq!(waiting.timeout(), Some(begin + READ_WITHIN));
        assert_eq!(waiting.poll(begin + READ_WITHIN), Some(said(2, 2)));
        assert_eq!(waiting.poll(begin + READ_WITHIN * 9), None);
        assert_eq!(waiting.timeout(), None);
    }

    #[test]
    fn a_notification_is_short_and_no_markup() {
        assert_eq!(shown("<b>1 & 2</b>"), "&lt;b&gt;1 &amp; 2&lt;/b&gt;");
        assert_eq!(shown(&"汉".repeat(200)), "汉".repeat(200));
        assert_eq!(shown(&"汉".repeat(201)), "汉".repeat(200) + "…");
    }
}
