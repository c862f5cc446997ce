//! Ringing on the desktop: a notification over the session bus, where there is one.

use hallway_model::{CallDirection, CallId, CallState, CallView};
use std::sync::mpsc;

/// Shows who is calling, on a thread of its own: the desktop may take its time. Where there is no
/// desktop nothing is shown, and nothing is said about it.
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
    use super::Word;
    use dbus::arg::{RefArg, Variant};
    use dbus::blocking::{Connection, Proxy};
    use hallway_model::CallId;
    use std::collections::HashMap;
    use std::path::Path;
    use std::sync::mpsc;
    use std::time::Duration;

    const NAME: &str = "org.freedesktop.Notifications";
    const PATH: &str = "/org/freedesktop/Notifications";
    /// The desktop is asked to start it if need be.
    const ANSWER_WITHIN: Duration = Duration::from_secs(10);
    /// Shown until it is taken back: it rings for 50 s at most.
    const NEVER: i32 = 0;
    const CRITICAL: u8 = 2;

    pub(super) fn show(words: &mpsc::Receiver<Word>) -> Result<(), dbus::Error> {
        if !has_bus() {
            return Ok(());
        }
        let bus = Connection::new_session()?;
        let desktop = bus.with_proxy(NAME, PATH, ANSWER_WITHIN);
        let mut shown: HashMap<CallId, u32> = HashMap::new();
        for word in words {
            match word {
                Word::Ring(call, name) => {
                    shown.insert(call, notify(&desktop, &name)?);
                }
                Word::Hush(call) => {
                    if let Some(id) = shown.remove(&call) {
                        let () = desktop.method_call(NAME, "CloseNotification", (id,))?;
                    }
                }
            }
        }
        Ok(())
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
