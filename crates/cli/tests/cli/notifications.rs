//! What the desktop is told, and what is answered there.

use crate::desktop::{Browser, LOOK, PATIENCE, SessionBus};
use crate::run::Home;
use dbus::Message;
use dbus::arg::PropMap;
use dbus::channel::{MatchingReceiver, Sender as _};
use dbus::message::MatchRule;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

const NAME: &str = "org.freedesktop.Notifications";

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
    bus: SessionBus,
    shown: Receiver<Shown>,
    /// What is done with a notification, as the signal that tells of it.
    done: Sender<(&'static str, u32, &'static str)>,
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
        let bus = SessionBus::start();
        let desktop = bus.connect();
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
        let (done, signals) = mpsc::channel::<(&str, u32, &str)>();
        // It ends with the test program.
        thread::spawn(move || {
            while desktop.process(LOOK).is_ok() {
                for (signal, id, text) in signals.try_iter() {
                    let path = "/org/freedesktop/Notifications";
                    let signal = Message::signal(&path.into(), &NAME.into(), &signal.into());
                    desktop.send(signal.append2(id, text)).unwrap();
                }
            }
        });
        Self { bus, shown, done }
    }

    fn next(&self) -> Shown {
        self.shown.recv_timeout(PATIENCE).unwrap()
    }
}

fn notify(call: &Message) -> Notify {
    call.read_all().unwrap()
}

#[test]
fn who_writes_is_announced_and_can_be_answered_there() {
    let desktop = Desktop::start();
    let browser = Browser::install();
    let mut ann = Home::empty();
    ann.vars.push(desktop.bus.var());
    ann.vars.extend(browser.vars());
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
    let did = |signal, text| desktop.done.send((signal, id, text)).unwrap();
    did("NotificationReplied", "twelve");
    told.until(|event| event["message"]["text"] == "twelve");

    // A click opens the talk, in a window that may come to the front.
    bo.tell("Ann", "good");
    let Shown::Note { id, .. } = desktop.next() else {
        panic!("nothing was shown");
    };
    let did = |signal, text| desktop.done.send((signal, id, text)).unwrap();
    did("ActivationToken", "by-a-click");
    did("ActionInvoked", "default");
    let (address, token) = browser.next();
    let talk = format!("&peer={}", bo.ready["id"].as_str().unwrap());
    assert!(address.ends_with(&talk), "{address}");
    assert_eq!(token, "by-a-click");

    // What is read elsewhere goes.
    assert_eq!(ann.run(&["log", "Bo", "--mark-read"]).code, 0);
    let closed = desktop.next();
    assert!(
        matches!(closed, Shown::Closed(closed) if closed == id),
        "{closed:?}"
    );
}

#[test]
fn a_call_is_answered_and_declined_there() {
    let desktop = Desktop::start();
    let mut ann = Home::empty();
    ann.vars.push(desktop.bus.var());
    ann.start(&["--key-store", "file", "--name", "Ann"]);
    let bo = Home::up("Bo");
    assert_eq!(ann.run(&["connect", &bo.address()]).code, 0);
    ann.tell("Bo", "may I call?");
    assert_eq!(bo.run(&["requests", "accept", "Ann"]).code, 0);
    let rings = || {
        let Shown::Note {
            id, title, actions, ..
        } = desktop.next()
        else {
            panic!("nothing was shown");
        };
        assert_eq!(title, "Bo is calling");
        assert_eq!(
            actions,
            ["default", "Open", "answer", "Answer", "decline", "Decline"]
        );
        id
    };
    for (action, state) in [("answer", "active"), ("decline", "ended")] {
        let mut call = bo.follow(&["call", "Ann", "--json"]);
        let id = rings();
        desktop.done.send(("ActionInvoked", id, action)).unwrap();
        call.until(|call| call["state"] == state);
        let closed = desktop.next();
        assert!(
            matches!(closed, Shown::Closed(closed) if closed == id),
            "{closed:?}"
        );
        // What is over already cannot be hung up.
        bo.run(&["hang-up"]);
        call.ended();
    }

    // Who was not there is told so.
    let call = bo.follow(&["call", "Ann", "--json"]);
    let id = rings();
    assert_eq!(bo.run(&["hang-up"]).code, 0);
    call.ended();
    let closed = desktop.next();
    assert!(
        matches!(closed, Shown::Closed(closed) if closed == id),
        "{closed:?}"
    );
    let Shown::Note { title, body, .. } = desktop.next() else {
        panic!("nothing was shown");
    };
    assert_eq!((&*title, &*body), ("Bo", "Missed call"));

    // Who is busy is not disturbed: what comes after it is the next that is told.
    assert_eq!(ann.run(&["set-status", "busy"]).code, 0);
    let mut told = ann.follow(&["tail", "--json"]);
    let mut call = bo.follow(&["call", "Ann", "--json"]);
    call.until(|call| call["state"] == "ringing");
    assert_eq!(bo.run(&["hang-up"]).code, 0);
    call.ended();
    told.until(|event| event["kind"] == "message" && event["new"] == true);
    assert_eq!(ann.run(&["log", "Bo", "--mark-read"]).code, 0);
    let closed = desktop.next();
    assert!(matches!(closed, Shown::Closed(_)), "{closed:?}");
    assert_eq!(ann.run(&["set-status", "available"]).code, 0);
    let _call = bo.follow(&["call", "Ann", "--json"]);
    rings();
}

#[test]
fn who_started_it_by_its_icon_is_told_there_what_is_wrong() {
    let desktop = Desktop::start();
    let mut ann = Home::empty();
    ann.vars.push(desktop.bus.var());
    let told = || match desktop.next() {
        Shown::Note { title, body, .. } => (title, body),
        closed @ Shown::Closed(_) => panic!("{closed:?}"),
    };
    let mut folder = fs::DirBuilder::new();
    folder.mode(0o700).create(ann.path()).unwrap();
    let config = ann.path().join("config.toml");
    for command in [&[][..], &["up"]] {
        fs::write(&config, "prot = 1\n").unwrap();
        assert_eq!(ann.run(command).code, 1);
        let (title, body) = told();
        assert_eq!(title, "Hallway did not start");
        assert!(body.contains("did you mean 'port'?"), "{body}");
    }

    // It is no surprise at login that it runs already; a script reads what is printed.
    fs::remove_file(&config).unwrap();
    ann.start(&["--key-store", "file"]);
    assert_eq!(ann.run(&["up"]).code, 1);
    assert_eq!(ann.run(&["open", "Nobody", "--json"]).code, 1);
    assert_eq!(ann.run(&["peers", "--nonsense"]).code, 2);
    assert_eq!(ann.run(&["open", "Nobody"]).code, 1);
    let (title, body) = told();
    assert_eq!(title, "Hallway cannot be opened");
    assert!(body.contains("Nobody"), "{body}");
    // Nothing failed, but nobody sees the address that is printed instead.
    assert_eq!(ann.run(&["open"]).code, 0);
    let (_, body) = told();
    assert!(body.contains("No browser starts here"), "{body}");
    assert_eq!(ann.run(&["stop"]).code, 0);
    assert_eq!(ann.ended(), 0);
    ann.vars.push(("LANG", "zh_CN.UTF-8".into()));
    assert_eq!(ann.run(&["open"]).code, 3);
    let (title, _) = told();
    assert_eq!(title, "无法打开 Hallway");
}
