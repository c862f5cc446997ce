//! What the desktop is told, and what is answered there.

use crate::run::Home;
use dbus::Message;
use dbus::arg::PropMap;
use dbus::blocking::Connection;
use dbus::channel::{Channel, MatchingReceiver, Sender as _};
use dbus::message::MatchRule;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

const NAME: &str = "org.freedesktop.Notifications";
/// How often the desktop looks whether its person does something.
const LOOK: Duration = Duration::from_millis(20);
/// Far more than anything of this takes.
const PATIENCE: Duration = Duration::from_secs(60);

type Notify = (
    String,
    u32,
    String,
    String,
    String,
    Vec<String>,
    PropMap,
    i32,
);

/// A session bus with a desktop on it that shows notifications.
struct Desktop {
    bus: Child,
    address: String,
    shown: Receiver<Shown>,
    replies: Sender<(u32, String)>,
}

#[derive(Debug)]
enum Shown {
    Note {
        id: u32,
        before: u32,
        title: String,
        body: String,
        actions: Vec<String>,
    },
    Closed(u32),
}

impl Desktop {
    fn start() -> Self {
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let stdout = bus.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let mut channel = Channel::open_private(&address).unwrap();
        channel.register().unwrap();
        let desktop = Connection::from(channel);
        desktop.request_name(NAME, false, true, true).unwrap();
        let (told, shown) = mpsc::channel();
        let mut count = 0;
        desktop.start_receive(
            MatchRule::new_method_call(),
            Box::new(move |call, bus| {
                let reply = call.method_return();
                let reply = match call.member().as_deref() {
                    Some("GetCapabilities") => {
                        reply.append1(vec!["actions", "body-markup", "inline-reply"])
                    }
                    Some("Notify") => {
                        let (_, before, _, title, body, actions, _, _) = notify(&call);
                        count += 1;
                        let id = count;
                        let note = Shown::Note {
                            id,
                            before,
                            title,
                            body,
                            actions,
                        };
                        told.send(note).unwrap();
                        reply.append1(id)
                    }
                    Some("CloseNotification") => {
                        told.send(Shown::Closed(call.read1().unwrap())).unwrap();
                        reply
                    }
                    other => panic!("nobody needs {other:?}"),
                };
                bus.send(reply).unwrap();
                true
            }),
        );
        let (replies, typed) = mpsc::channel::<(u32, String)>();
        // It ends with the test program.
        thread::spawn(move || {
            while desktop.process(LOOK).is_ok() {
                for (id, text) in typed.try_iter() {
                    let path = "/org/freedesktop/Notifications";
                    let signal =
                        Message::signal(&path.into(), &NAME.into(), &"NotificationReplied".into());
                    desktop.send(signal.append2(id, text)).unwrap();
                }
            }
        });
        Self {
            bus,
            address,
            shown,
            replies,
        }
    }

    fn next(&self) -> Shown {
        self.shown.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.bus.kill().unwrap();
        self.bus.wait().unwrap();
    }
}

fn notify(call: &Message) -> Notify {
    call.read_all().unwrap()
}

#[test]
fn who_writes_is_announced_and_can_be_answered_there() {
    let desktop = Desktop::start();
    let mut ann = Home::empty();
    ann.vars
        .push(("DBUS_SESSION_BUS_ADDRESS", desktop.address.clone()));
    ann.start(&["--key-store", "file", "--name", "Ann"]);
    let bo = Home::up("Bo");
    assert_eq!(ann.run(&["connect", &bo.address()]).code, 0);

    bo.tell("Ann", "hello");
    let Shown::Note {
        id,
        title,
        body,
        actions,
        ..
    } = desktop.next()
    else {
        panic!("nothing was shown");
    };
    assert_eq!((&*title, &*body), ("Bo", "would like to write with you"));
    assert_eq!(
        actions,
        ["default", "Open"],
        "a stranger is not answered unasked"
    );

    // The next one of the talk takes its place.
    assert_eq!(ann.run(&["requests", "accept", "Bo"]).code, 0);
    bo.tell("Ann", "lunch <b>?</b>");
    let first = id;
    let Shown::Note {
        id,
        before,
        body,
        actions,
        ..
    } = desktop.next()
    else {
        panic!("nothing was shown");
    };
    assert_eq!((before, &*body), (first, "lunch &lt;b&gt;?&lt;/b&gt;"));
    assert_eq!(actions, ["default", "Open", "inline-reply", "Reply"]);
    let mut told = bo.follow(&["tail", "--json", "--since", "0"]);
    desktop.replies.send((id, "twelve".into())).unwrap();
    told.until(|event| event["message"]["text"] == "twelve");

    // What is read elsewhere goes.
    bo.tell("Ann", "good");
    let Shown::Note { id, .. } = desktop.next() else {
        panic!("nothing was shown");
    };
    assert_eq!(ann.run(&["log", "Bo", "--mark-read"]).code, 0);
    let closed = desktop.next();
    assert!(
        matches!(closed, Shown::Closed(closed) if closed == id),
        "{closed:?}"
    );
}
