//! The icon in the tray and its menu, as a desktop sees them.

use crate::desktop::{Browser, LOOK, PATIENCE, SessionBus};
use crate::run::{DELIVERED, Home};
use dbus::Message;
use dbus::arg::{AppendAll, Arg, Get, PropMap, ReadAll, RefArg, Variant, prop_cast};
use dbus::blocking::{BlockingSender, Connection};
use dbus::channel::{MatchingReceiver, Sender as _};
use dbus::message::MatchRule;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const ITEM: &str = "org.kde.StatusNotifierItem";
const ITEM_PATH: &str = "/StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

type Layout = (
    i32,
    PropMap,
    Vec<Variant<(i32, PropMap, Vec<Variant<Box<dyn RefArg>>>)>>,
);
type Pixmaps = Vec<(i32, i32, Vec<u8>)>;

/// Collects icons, as the part of a desktop that can be restarted.
struct Watcher {
    registered: Receiver<String>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    fn start(bus: &SessionBus) -> Self {
        let watcher = bus.connect();
        let (told, registered) = mpsc::channel();
        watcher.start_receive(
            MatchRule::new_method_call(),
            Box::new(move |call, bus| {
                assert_eq!(
                    call.member().as_deref(),
                    Some("RegisterStatusNotifierItem"),
                    "nobody needs more"
                );
                told.send(call.read1().unwrap()).unwrap();
                bus.send(call.method_return()).unwrap();
                true
            }),
        );
        watcher.request_name(WATCHER, false, true, true).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                watcher.process(LOOK).unwrap();
            }
        });
        Self {
            registered,
            ended,
            thread: Some(thread),
        }
    }

    fn next(&self) -> String {
        self.registered.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Shows an icon and its menu.
struct Tray {
    bus: Connection,
    item: String,
    menu: String,
    /// Signals that came since they were looked at.
    told: Arc<Mutex<Vec<String>>>,
}

impl Tray {
    fn of(bus: &SessionBus, item: String) -> Self {
        let bus = bus.connect();
        let told = Arc::new(Mutex::new(Vec::new()));
        for interface in [ITEM, MENU] {
            let told = Arc::clone(&told);
            let mut signals = MatchRule::new();
            signals.interface = Some(interface.into());
            let hear = move |(): (), _: &Connection, signal: &Message| {
                let member = signal.member().unwrap();
                told.lock().unwrap().push(member.to_string());
                true
            };
            bus.add_match(signals, hear).unwrap();
        }
        let mut tray = Self {
            bus,
            item,
            menu: String::new(),
            told,
        };
        let menu: dbus::Path<'static> = tray.property("Menu");
        tray.menu = menu.to_string();
        tray
    }

    fn call<R: ReadAll>(&self, path: &str, call: (&str, &str), arguments: impl AppendAll) -> R {
        let proxy = self.bus.with_proxy(&*self.item, path, PATIENCE);
        proxy.method_call(call.0, call.1, arguments).unwrap()
    }

    fn property<T: for<'a> Get<'a> + Arg>(&self, name: &str) -> T {
        let (Variant(value),) = self.call(ITEM_PATH, (PROPERTIES, "Get"), (ITEM, name));
        value
    }

    /// Title, status and the text beside the icon.
    fn said(&self) -> (String, String, String) {
        let (all,): (PropMap,) = self.call(ITEM_PATH, (PROPERTIES, "GetAll"), (ITEM,));
        let text = |name| prop_cast::<String>(&all, name).unwrap().clone();
        let tip: (String, Pixmaps, String, String) = self.property("ToolTip");
        assert_eq!(tip.2, text("Title"));
        (text("Title"), text("Status"), tip.3)
    }

    /// The number and label of each item, with what a check says; lines are left out.
    fn items(&self) -> Vec<(i32, String, Option<i32>)> {
        let names: Vec<&str> = Vec::new();
        let (_, layout): (u32, Layout) = self.call(&self.menu, (MENU, "GetLayout"), (0, -1, names));
        let items = layout.2.into_iter().map(|Variant(item)| item);
        items
            .filter_map(|(id, properties, _)| {
                let label = prop_cast::<String>(&properties, "label")?.clone();
                let check = prop_cast(&properties, "toggle-state").copied();
                Some((id, label, check))
            })
            .collect()
    }

    fn number_of(&self, label: &str) -> i32 {
        let items = self.items();
        let found = items.iter().find(|item| item.1 == label);
        found.unwrap_or_else(|| panic!("{label}: {items:?}")).0
    }

    fn click(&self, label: &str) {
        self.event(self.number_of(label));
    }

    fn event(&self, number: i32) {
        let event = (number, "clicked", Variant(0i32), 0u32);
        let () = self.call(&self.menu, (MENU, "Event"), event);
    }

    /// Waits until it looks like this; it must say each time that it looks otherwise.
    fn until<T: std::fmt::Debug>(&self, look: impl Fn(&Self) -> T, wanted: impl Fn(&T) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = look(self);
            if wanted(&seen) {
                return;
            }
            assert!(Instant::now() < end, "{seen:?}");
            while self.told.lock().unwrap().drain(..).next().is_none() {
                assert!(Instant::now() < end, "nothing was told since {seen:?}");
                self.bus.process(LOOK).unwrap();
            }
        }
    }
}

fn node(bus: &SessionBus, name: &str, vars: &[(&'static str, String)]) -> Home {
    let mut home = Home::empty();
    home.vars.push(bus.var());
    home.vars.extend(vars.iter().cloned());
    home.start(&["--key-store", "file", "--name", name]);
    home
}

#[test]
fn the_tray_shows_what_is_unread_and_opens_it() {
    let bus = SessionBus::start();
    let browser = Browser::install();
    // Without a tray it runs as ever, and one that comes later is found.
    let ann = node(&bus, "Ann", &browser.vars());
    let bo = Home::up("B_o <b>");
    assert_eq!(ann.run(&["connect", &bo.address()]).code, 0);
    let watcher = Watcher::start(&bus);
    let tray = Tray::of(&bus, watcher.next());
    let nothing = ("Hallway".into(), "Active".into(), "Nothing new".into());
    assert_eq!(tray.said(), nothing);
    let icon: Pixmaps = tray.property("IconPixmap");
    assert_eq!(
        (icon[0].0, icon[0].1, icon[0].2.len()),
        (48, 48, 48 * 48 * 4)
    );
    let labels: Vec<_> = tray.items().into_iter().map(|item| item.1).collect();
    let quit = "Quit: nobody reaches you until you start it again";
    assert_eq!(labels, ["Open Hallway", "Do not disturb", quit]);

    for text in ["hello", "are you there?"] {
        bo.tell("Ann", text);
    }
    let two = (
        "Hallway (2)",
        "NeedsAttention",
        "2 new messages\nB_o &lt;b&gt;",
    );
    tray.until(Tray::said, |said| (&*said.0, &*said.1, &*said.2) == two);
    let spotted: Pixmaps = tray.property("IconPixmap");
    assert_ne!(spotted, icon);
    assert_eq!(tray.property::<Pixmaps>("AttentionIconPixmap"), spotted);
    let talk = "B__o <b> (2)";
    assert_eq!(tray.items()[1].1, talk, "its underline is no key");

    // A click opens that talk, one on the icon all of it; the window may come to the front.
    let () = tray.call(
        ITEM_PATH,
        (ITEM, "ProvideXdgActivationToken"),
        ("by-a-click",),
    );
    tray.click(talk);
    let (address, token) = browser.next();
    let peer = format!("&peer={}", bo.ready["id"].as_str().unwrap());
    assert!(address.ends_with(&peer), "{address}");
    assert_eq!(token, "by-a-click");
    let () = tray.call(ITEM_PATH, (ITEM, "Activate"), (0, 0));
    let (address, token) = browser.next();
    assert!(!address.contains("peer"), "{address}");
    assert_eq!(token, "");

    // A watcher that is started again, as with its panel, gets it as it is now.
    let number = tray.number_of(talk);
    drop(watcher);
    bo.tell("Ann", "?");
    let watcher = Watcher::start(&bus);
    let tray = Tray::of(&bus, watcher.next());
    tray.until(Tray::said, |said| said.0 == "Hallway (3)");
    assert_eq!(tray.number_of("B__o <b> (3)"), number);
    assert_eq!(ann.run(&["requests", "accept", "B_o <b>"]).code, 0);
    assert_eq!(ann.run(&["log", "B_o <b>", "--mark-read"]).code, 0);
    tray.until(Tray::said, |said| *said == nothing);
    // A menu that is still open means whom it said.
    tray.event(number);
    assert!(browser.next().0.ends_with(&peer));
    assert_eq!(tray.property::<Pixmaps>("IconPixmap"), icon);
}

#[test]
fn the_tray_says_whether_we_are_disturbed_and_stops_the_node() {
    let bus = SessionBus::start();
    let watcher = Watcher::start(&bus);
    let mut ann = node(&bus, "Ann", &[("LANG", "zh_CN.UTF-8".into())]);
    let tray = Tray::of(&bus, watcher.next());
    let disturb = "请勿打扰";
    let check = |tray: &Tray| {
        let items = tray.items();
        items.into_iter().find(|item| item.1 == disturb).unwrap().2
    };
    let busy = || ann.run(&["status", "--json"]).json()[0]["status"] == "busy";
    assert_eq!(check(&tray), Some(0));
    tray.click(disturb);
    tray.until(check, |check| *check == Some(1));
    assert!(busy());
    // Who is busy sees what is new, and is not called to it.
    let bo = Home::up("Bo");
    assert_eq!(ann.run(&["connect", &bo.address()]).code, 0);
    assert_eq!(
        bo.run(&[&["send", "Ann", "hello"], &DELIVERED[..]].concat())
            .code,
        0
    );
    let seen = ("Hallway (1)", "Active", "1 条新消息\nBo\n请勿打扰");
    tray.until(Tray::said, |said| (&*said.0, &*said.1, &*said.2) == seen);
    tray.click(disturb);
    tray.until(check, |check| *check == Some(0));
    assert!(!busy());
    // What another face has done is seen when the menu opens.
    assert_eq!(ann.run(&["set-status", "busy"]).code, 0);
    let (_,): (bool,) = tray.call(&tray.menu, (MENU, "AboutToShow"), (0,));
    tray.until(check, |check| *check == Some(1));

    // All at once and one by one are the same.
    let numbers: Vec<i32> = vec![tray.number_of(disturb)];
    let names: Vec<&str> = Vec::new();
    let (group,): (Vec<(i32, PropMap)>,) = tray.call(
        &tray.menu,
        (MENU, "GetGroupProperties"),
        (numbers.clone(), names),
    );
    assert_eq!(group[0].0, numbers[0]);
    let (Variant(label),): (Variant<String>,) =
        tray.call(&tray.menu, (MENU, "GetProperty"), (numbers[0], "label"));
    assert_eq!(label, disturb);
    assert_eq!(prop_cast(&group[0].1, "label"), Some(&label));

    // What nobody knows is refused, and nothing happens by it.
    let unknown = Message::new_method_call(&*tray.item, ITEM_PATH, ITEM, "Explode").unwrap();
    assert!(
        tray.bus
            .send_with_reply_and_block(unknown, PATIENCE)
            .is_err()
    );
    tray.event(7);

    tray.click("退出：再次启动之前，别人联系不到你");
    assert_eq!(ann.ended(), 0);
}
