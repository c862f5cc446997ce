//! The tray, where the desktop has one: an icon that shows whether something is unread, and a menu.
//! The interfaces are `org.kde.StatusNotifierItem`
//! (<https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/>) and
//! `com.canonical.dbusmenu`. Without a desktop that asks for them, nothing is done.

use super::bus::{self, escaped};
use super::icon::{Pixmap, pixmap};
use super::menu::{Choice, Menu, Talk};
use super::open;
use crate::{safe, show, text};
use dbus::arg::{PropMap, RefArg, Variant};
use dbus::channel::{BusType, Channel, default_reply};
use dbus::{Message, MessageType};
use hallway_model::{
    Answer, Command, ConversationId, Event, EventKind, PeerId, PeerView, Status, StatusView,
};
use hallway_node::Handle;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Whoever collects the icons for all trays that there are.
const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const WATCHER_PATH: &str = "/StatusNotifierWatcher";
const ITEM: &str = "org.kde.StatusNotifierItem";
const ITEM_PATH: &str = "/StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";
const MENU_PATH: &str = "/StatusNotifierItem/Menu";
/// The version of `com.canonical.dbusmenu` that is spoken here.
const MENU_VERSION: u32 = 3;
/// What happens within this time is shown together: a tray needs no more than two looks a second.
const GATHERED: Duration = Duration::from_millis(500);
/// Names in the text beside the icon; more would cover the screen.
const NAMES_MAX: usize = 5;

/// Of which item, what, with which data, and when.
type MenuEvent = (i32, String, Variant<Box<dyn RefArg>>, u32);

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    /// Messages of all who may ask for attention.
    unread: u64,
    busy: bool,
    /// Where they are, the latest first.
    talks: Vec<Talk>,
}

/// Shows the node in the tray until it stops.
pub(super) async fn follow(node: Handle, home: PathBuf) {
    let connected = tokio::task::spawn_blocking(|| Channel::get_private(BusType::Session)).await;
    let mut bus = match connected {
        Ok(Ok(bus)) => bus,
        Ok(Err(error)) => return tracing::debug!(%error, "no session bus for the tray"),
        // The node stops.
        Err(_) => return,
    };
    bus.set_watch_enabled(true);
    let mut tray = Tray::new(node.clone(), home, bus);
    tokio::select! {
        () = tray.run() => {}
        () = node.stopping() => {}
    }
}

struct Tray {
    node: Handle,
    home: PathBuf,
    bus: Channel,
    /// By which the watcher knows us.
    name: String,
    view: View,
    menu: Menu,
    /// Counts what the menu has been.
    revision: u32,
    /// Without and with the spot.
    icons: [Pixmap; 2],
    /// The question to the watcher that it has not answered.
    asked: Option<u32>,
    /// Somebody collects icons and has ours.
    taken: bool,
    /// When to look at the node again.
    due: Option<Instant>,
    /// What lets the next window come to the front.
    activation: Option<String>,
}

impl Tray {
    fn new(node: Handle, home: PathBuf, bus: Channel) -> Self {
        Self {
            node,
            home,
            bus,
            name: format!("{ITEM}-{}-1", process::id()),
            view: View::default(),
            menu: Menu::default(),
            revision: 1,
            icons: [pixmap(false), pixmap(true)],
            asked: None,
            taken: false,
            due: None,
            activation: None,
        }
    }

    async fn run(&mut self) {
        let mut events = self.node.events();
        self.call_bus("RequestName", (&*self.name.clone(), 0u32));
        let come_and_gone = format!(
            "type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{WATCHER}'"
        );
        self.call_bus("AddMatch", (&*come_and_gone,));
        self.register();
        loop {
            while let Some(message) = self.bus.pop_message() {
                if let Some(choice) = self.handle(&message) {
                    self.choose(choice).await;
                }
            }
            let due = self.due.filter(|_| self.taken);
            tokio::select! {
                ready = bus::ready(&self.bus) => {
                    let lasts = ready.is_ok() && self.bus.read_write(Some(Duration::ZERO)).is_ok();
                    if !lasts {
                        return;
                    }
                }
                event = events.recv() => match event {
                    Ok(event) => if changes_view(&event) {
                        self.look_soon();
                    },
                    Err(RecvError::Lagged(_)) => self.look_soon(),
                    Err(RecvError::Closed) => return,
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.due = None;
                    if let Some(view) = look(&self.node).await {
                        self.set(view);
                    }
                }
            }
        }
    }

    fn look_soon(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + GATHERED);
    }

    fn send(&self, message: Message) -> Option<u32> {
        // Refused only without memory; a bus that is gone is noticed where it is read.
        self.bus.send(message).ok()
    }

    fn call_bus(&self, member: &str, arguments: impl dbus::arg::AppendAll) {
        let call = Message::call_with_args(BUS, BUS_PATH, BUS, member, arguments);
        self.send(call);
    }

    /// Offers our icon to the watcher, if there is one.
    fn register(&mut self) {
        let member = "RegisterStatusNotifierItem";
        let mut call =
            Message::call_with_args(WATCHER, WATCHER_PATH, WATCHER, member, (&*self.name,));
        call.set_auto_start(false);
        self.asked = self.send(call);
    }

    fn signal(&self, path: &str, interface: &str, member: &str) -> Message {
        Message::signal(&path.into(), &interface.into(), &member.into())
    }

    fn set(&mut self, view: View) {
        if view == self.view {
            return;
        }
        self.menu.set(&view.talks, view.busy);
        self.view = view;
        self.revision = self.revision.wrapping_add(1);
        for member in ["NewTitle", "NewIcon", "NewAttentionIcon", "NewToolTip"] {
            self.send(self.signal(ITEM_PATH, ITEM, member));
        }
        let status = self.signal(ITEM_PATH, ITEM, "NewStatus");
        self.send(status.append1(self.status()));
        let layout = self.signal(MENU_PATH, MENU, "LayoutUpdated");
        self.send(layout.append2(self.revision, 0i32));
    }

    /// Takes a message in, answers it if it asks, and returns what the person has chosen by it.
    fn handle(&mut self, message: &Message) -> Option<Choice> {
        match message.msg_type() {
            MessageType::MethodCall => {
                let (reply, choice) = self.answer(message);
                if let Some(reply) = reply.or_else(|| default_reply(message)) {
                    self.send(reply);
                }
                return choice;
            }
            MessageType::Signal => self.handle_signal(message),
            reply if message.get_reply_serial() == self.asked && self.asked.is_some() => {
                self.asked = None;
                self.taken = reply == MessageType::MethodReturn;
                if self.taken {
                    self.due = Some(Instant::now());
                }
            }
            MessageType::MethodReturn | MessageType::Error => {}
        }
        None
    }

    /// A watcher has come, gone, or another has taken its place.
    fn handle_signal(&mut self, message: &Message) {
        let of_bus = message.sender().as_deref() == Some(BUS);
        let changed = message.member().as_deref() == Some("NameOwnerChanged");
        let (name, _, new): (Option<&str>, Option<&str>, Option<&str>) = message.get3();
        if !of_bus || !changed || name != Some(WATCHER) {
            return;
        }
        self.taken = false;
        if new.is_some_and(|new| !new.is_empty()) {
            self.register();
        }
    }

    /// The reply to a call, if we know it, and what the person has chosen by it.
    fn answer(&mut self, call: &Message) -> (Option<Message>, Option<Choice>) {
        let (Some(interface), Some(member)) = (call.interface(), call.member()) else {
            return (None, None);
        };
        let path = call.path();
        let of_menu = path.as_deref() == Some(MENU_PATH);
        if !of_menu && path.as_deref() != Some(ITEM_PATH) {
            return (None, None);
        }
        match (of_menu, &*interface) {
            (_, PROPERTIES) => (self.property(of_menu, &member, call), None),
            (true, MENU) => self.answer_menu(&member, call),
            (false, ITEM) => self.answer_item(&member, call),
            _ => (None, None),
        }
    }

    fn answer_item(&mut self, member: &str, call: &Message) -> (Option<Message>, Option<Choice>) {
        let choice = match member {
            "Activate" | "SecondaryActivate" => Some(Choice::Open(None)),
            "ProvideXdgActivationToken" => {
                self.activation = call.get1();
                None
            }
            "ContextMenu" | "Scroll" => None,
            _ => return (None, None),
        };
        (Some(call.method_return()), choice)
    }

    fn answer_menu(&mut self, member: &str, call: &Message) -> (Option<Message>, Option<Choice>) {
        let reply = call.method_return();
        let reply = match member {
            "GetLayout" => {
                let (parent, depth) = call.get2();
                let layout = self.menu.layout(parent.unwrap_or(0), depth.unwrap_or(-1));
                layout.map(|layout| reply.append2(self.revision, layout))
            }
            "GetGroupProperties" => {
                let numbers: Vec<i32> = call.get1().unwrap_or_default();
                Some(reply.append1(self.menu.properties(&numbers)))
            }
            "GetProperty" => {
                let (number, name): (Option<i32>, Option<&str>) = call.get2();
                let properties = self.menu.properties(&[number.unwrap_or(-1)]).pop();
                let value = properties.and_then(|(_, mut all)| all.remove(name?));
                value.map(|value| reply.append1(value))
            }
            "Event" => {
                let (number, event): (Option<i32>, Option<&str>) = call.get2();
                let choice = self.clicked(number, event);
                return (Some(reply), choice);
            }
            "EventGroup" => {
                let events: Vec<MenuEvent> = call.get1().unwrap_or_default();
                let mut choices = events
                    .iter()
                    .filter_map(|(number, event, ..)| self.clicked(Some(*number), Some(event)));
                let choice = choices.next();
                return (Some(reply.append1(Vec::<i32>::new())), choice);
            }
            "AboutToShow" => {
                self.due = Some(Instant::now());
                Some(reply.append1(false))
            }
            "AboutToShowGroup" => {
                self.due = Some(Instant::now());
                Some(reply.append2(Vec::<i32>::new(), Vec::<i32>::new()))
            }
            _ => None,
        };
        (reply, None)
    }

    fn clicked(&self, number: Option<i32>, event: Option<&str>) -> Option<Choice> {
        let clicked = event == Some("clicked");
        self.menu.choice(number.filter(|_| clicked)?)
    }

    fn property(&self, of_menu: bool, member: &str, call: &Message) -> Option<Message> {
        let mut all = match of_menu {
            true => self.menu_properties(),
            false => self.item_properties(),
        };
        let reply = call.method_return();
        match member {
            "GetAll" => Some(reply.append1(all)),
            "Get" => {
                let (_, name): (Option<&str>, Option<&str>) = call.get2();
                all.remove(name?).map(|value| reply.append1(value))
            }
            _ => None,
        }
    }

    fn menu_properties(&self) -> PropMap {
        let mut all = PropMap::new();
        put(&mut all, "Version", MENU_VERSION);
        put(&mut all, "TextDirection", "ltr".to_owned());
        put(&mut all, "Status", "normal".to_owned());
        put(&mut all, "IconThemePath", Vec::<String>::new());
        all
    }

    fn item_properties(&self) -> PropMap {
        let words = text::desktop();
        let icon = &self.icons[usize::from(self.view.unread > 0)];
        let title = match self.view.unread {
            0 => "Hallway".to_owned(),
            unread => format!("Hallway ({unread})"),
        };
        let mut lines = vec![(words.unread)(self.view.unread)];
        if self.view.unread > 0 {
            lines.push(self.names());
        }
        if self.view.busy {
            lines.push(words.do_not_disturb.to_owned());
        }
        let none = Vec::<Pixmap>::new();
        let tip = (String::new(), none, title.clone(), lines.join("\n"));
        let mut all = PropMap::new();
        put(&mut all, "Category", "Communications".to_owned());
        put(&mut all, "Id", "hallway".to_owned());
        put(&mut all, "Title", title);
        put(&mut all, "Status", self.status().to_owned());
        put(&mut all, "WindowId", 0i32);
        put(&mut all, "IconName", String::new());
        put(&mut all, "IconPixmap", vec![icon.clone()]);
        put(&mut all, "AttentionIconName", String::new());
        put(&mut all, "AttentionIconPixmap", vec![icon.clone()]);
        put(&mut all, "ToolTip", tip);
        put(&mut all, "ItemIsMenu", false);
        let menu = dbus::Path::from(MENU_PATH);
        put(&mut all, "Menu", menu);
        all
    }

    /// Who has written, where markup is understood.
    fn names(&self) -> String {
        let shown = self.view.talks.iter().take(NAMES_MAX);
        let mut names: Vec<_> = shown.map(|talk| escaped(&talk.name)).collect();
        if self.view.talks.len() > NAMES_MAX {
            names.push("…".to_owned());
        }
        names.join(", ")
    }

    /// Who is busy sees what waits, and is not called to it.
    fn status(&self) -> &'static str {
        match self.view.unread > 0 && !self.view.busy {
            true => "NeedsAttention",
            false => "Active",
        }
    }

    async fn choose(&mut self, choice: Choice) {
        match choice {
            Choice::Open(peer) => open(self.home.clone(), peer, self.activation.take()),
            Choice::Disturb(busy) => {
                let status = match busy {
                    true => Status::Busy,
                    false => Status::Available,
                };
                // What became of it is seen at the next look.
                let _ = self.node.ask(Command::SetStatus(status)).await;
                self.due = Some(Instant::now());
            }
            Choice::Quit => self.node.stop(),
        }
    }
}

fn put(properties: &mut PropMap, name: &str, value: impl RefArg + 'static) {
    properties.insert(name.to_owned(), Variant(Box::new(value)));
}

/// Whether more or fewer messages may be unread after it, or another name is shown.
fn changes_view(event: &Arc<Event>) -> bool {
    matches!(
        event.kind,
        EventKind::Message { .. }
            | EventKind::ReadUpTo { .. }
            | EventKind::Peer { .. }
            | EventKind::PeerGone { .. }
            | EventKind::Request { .. }
    )
}

/// What the tray shows of the node now; `None` when the node stops or cannot read its history.
async fn look(node: &Handle) -> Option<View> {
    let Ok(Ok(Answer::Status(status))) = node.ask(Command::Status).await else {
        return None;
    };
    let Ok(Ok(Answer::Peers(peers))) = node.ask(Command::Peers).await else {
        return None;
    };
    // What we were told just now must be on disk before it is read.
    let _ = node.ask(Command::Flush).await;
    let reader = node.reader().clone();
    let summaries = tokio::task::spawn_blocking(move || reader.summaries()).await;
    let summaries = summaries.ok()?.ok()?.into_iter();
    let summaries = summaries.filter(|summary| summary.unread > 0);
    let unread = summaries.filter_map(|summary| match summary.conversation {
        ConversationId::Peer(peer) => Some((peer, summary.unread)),
        ConversationId::Group(_) => None,
    });
    Some(view_of(&status, &peers, unread))
}

/// The unread talks, those with the latest words first, become what is shown.
fn view_of(
    status: &StatusView,
    peers: &[PeerView],
    unread: impl Iterator<Item = (PeerId, u64)>,
) -> View {
    let peers: HashMap<PeerId, &PeerView> = peers.iter().map(|peer| (peer.id, peer)).collect();
    let mut view = View {
        busy: status.status == Status::Busy,
        ..View::default()
    };
    for (id, unread) in unread {
        let wanted = |peer: &&&PeerView| !peer.blocked && !status.muted.contains(&id);
        let Some(peer) = peers.get(&id).filter(wanted) else {
            continue;
        };
        let alike = peers.values().filter(|other| other.name == peer.name);
        let name = match alike.count() {
            1 => safe::one_line(&peer.name),
            _ => show::label(peer),
        };
        view.unread += unread;
        let peer = peer.id;
        view.talks.push(Talk { peer, name, unread });
    }
    view
}
