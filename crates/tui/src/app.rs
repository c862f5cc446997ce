//! All that the app knows. It reads no clock, no terminal and no socket: [`App::update`] takes what
//! happened and says what is to be done, and [`crate::view`] draws what is.

use crate::choices::Choices;
use crate::editor::Editor;
use crate::io::{Effect, Entry, Input, Request, Snapshot};
use crate::picture::{PICTURES_MAX, Picture};
use crate::rows::LongTexts;
use crate::safe;
use crate::settings::{Asked, Prompt, SettingsList};
use crate::talk::{Key, Part, Place, Purpose, Spot, Talk};
use crate::theme::Theme;
use crate::words::{Language, Words};
use hallway_model::{
    CallDirection, CallId, CallState, CallView, MessageView, PeerId, PeerView, Presence,
    StatusView, TransferView, VerifyView, WallTime,
};
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// How long a notice stands, in milliseconds: time to read two lines.
const NOTICE_MS: u64 = 8000;

/// How the app shall be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its language.
    pub language: Language,
    /// Its colours.
    pub theme: Theme,
    /// Where its person is.
    pub zone: TimeZone,
    /// The terminal's size in cells.
    pub size: (u16, u16),
    /// It has more than 256 colours.
    pub true_colour: bool,
    /// What was chosen before: some of it may be overruled above.
    pub choices: Choices,
    /// Nobody has used this node before: ask for the name.
    pub welcome: bool,
}

/// How the way to the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not reached yet.
    Connecting,
    Up,
    /// Lost, and why.
    Down(String),
}

/// A call, and what has come of it since its last event.
#[derive(Clone, Debug)]
pub(crate) struct CallNow {
    pub(crate) view: CallView,
    pub(crate) told_at: WallTime,
    pub(crate) microphone_dbfs: Option<f32>,
    pub(crate) speaker_dbfs: Option<f32>,
}

/// The key for talking is down, or was pressed at a terminal that does not tell when it is let go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talking {
    pub(crate) call: CallId,
    /// When it was pressed, or repeated, last.
    pub(crate) pressed_at: WallTime,
}

/// A line that says what happened, for a while.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) bad: bool,
    until: WallTime,
}

/// What lies over the conversation.
#[derive(Debug)]
pub(crate) enum Overlay {
    /// Lines to read.
    Lines {
        title: String,
        lines: Vec<(String, String)>,
        scroll: usize,
    },
    /// Finding people and messages.
    Find(Find),
    /// Choosing a file.
    File(FilePrompt),
    /// Choosing an emoji for a message.
    React { message: Key, editor: Editor },
    /// Comparing a safety number.
    Safety {
        peer: PeerId,
        number: Option<VerifyView>,
    },
    /// Everything that can be chosen.
    Settings(SettingsList),
    /// One line that is asked for.
    Prompt(Prompt),
    /// A question, and what a yes does.
    Sure { question: String, yes: Effect },
}

/// See [`Overlay::Find`].
#[derive(Debug, Default)]
pub(crate) struct Find {
    pub(crate) editor: Editor,
    /// The search whose results count.
    pub(crate) number: u64,
    pub(crate) people: Vec<PeerId>,
    pub(crate) messages: Vec<MessageView>,
    pub(crate) at: usize,
}

/// See [`Overlay::File`].
#[derive(Debug, Default)]
pub(crate) struct FilePrompt {
    pub(crate) editor: Editor,
    /// The folder whose entries are known.
    pub(crate) folder: Option<String>,
    /// `None` when there is no such folder.
    pub(crate) entries: Option<Vec<Entry>>,
}

/// See the module.
#[derive(Debug)]
pub struct App {
    pub(crate) words: &'static Words,
    pub(crate) language: Language,
    pub(crate) theme: Theme,
    /// What was chosen for the next time, too.
    pub(crate) choices: Choices,
    /// The name is asked for as soon as it is known.
    welcome: bool,
    pub(crate) zone: TimeZone,
    pub(crate) size: (u16, u16),
    pub(crate) now: WallTime,
    /// The person looks here, as far as the terminal says.
    pub(crate) focused: bool,
    pub(crate) link: Link,
    pub(crate) me: Option<StatusView>,
    pub(crate) peers: BTreeMap<PeerId, PeerView>,
    /// Names that more than one of them has: there the tag stands beside the name.
    twins: HashSet<String>,
    pub(crate) talks: BTreeMap<PeerId, Talk>,
    pub(crate) calls: Vec<CallNow>,
    pub(crate) transfers: BTreeMap<String, TransferView>,
    /// Small pictures that were asked for; `None` until they are here, and where there is none.
    pub(crate) pictures: BTreeMap<String, Option<Picture>>,
    pub(crate) long_texts: LongTexts,
    pub(crate) true_colour: bool,
    /// A key that is held to be heard.
    pub(crate) talking: Option<Talking>,
    pub(crate) selected: Option<PeerId>,
    /// What is written while nobody is chosen: commands.
    pub(crate) loose: Editor,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) notice: Option<Notice>,
    /// When our typing was last told.
    pub(crate) typing_told: WallTime,
    /// Counts searches and texts on their way.
    counter: u64,
    /// What is to be done, gathered during an update.
    pub(crate) effects: Vec<Effect>,
}

/// People in the order in which they are listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    pub(crate) requests: Vec<PeerId>,
    pub(crate) contacts: Vec<PeerId>,
    pub(crate) nearby: Vec<PeerId>,
}

impl Lists {
    pub(crate) fn all(&self) -> impl Iterator<Item = PeerId> {
        let all = self.requests.iter().chain(&self.contacts);
        all.chain(&self.nearby).copied()
    }
}

impl App {
    /// Nothing is known yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            words: settings.language.words(),
            language: settings.language,
            theme: settings.theme,
            choices: settings.choices,
            welcome: settings.welcome,
            zone: settings.zone,
            size: settings.size,
            now: WallTime(0),
            focused: true,
            link: Link::Connecting,
            me: None,
            peers: BTreeMap::new(),
            twins: HashSet::new(),
            talks: BTreeMap::new(),
            calls: Vec::new(),
            transfers: BTreeMap::new(),
            pictures: BTreeMap::new(),
            long_texts: LongTexts::default(),
            true_colour: settings.true_colour,
            talking: None,
            selected: None,
            loose: Editor::default(),
            overlay: None,
            notice: None,
            typing_told: WallTime(0),
            counter: 0,
            effects: Vec::new(),
        }
    }

    /// Takes what happened, at this time of the wall clock, and says what is to be done.
    pub fn update(&mut self, input: Input, now: WallTime) -> Vec<Effect> {
        self.now = now;
        if self
            .notice
            .as_ref()
            .is_some_and(|notice| notice.until <= now)
        {
            self.notice = None;
        }
        match input {
            Input::Terminal(event) => self.handle_terminal(event),
            Input::Up(snapshot) => self.handle_up(*snapshot),
            Input::Down(why) => self.link = Link::Down(why),
            Input::Told(event) => self.handle_event(event.kind),
            Input::Page {
                peer,
                part,
                messages,
            } => self.handle_page(peer, &part, messages),
            Input::Newest(peer, message) => {
                let talk = self.talks.entry(peer).or_default();
                if talk.last.is_none() {
                    talk.last = message.map(|message| *message);
                }
            }
            Input::Peer(peer) => self.put_peer(*peer),
            Input::Found { number, messages } => self.handle_found(number, messages),
            Input::Listed { folder, entries } => self.handle_listed(folder, entries),
            Input::Picture(id, picture) => {
                self.pictures.insert(id, picture);
            }
            Input::Done { request, reply } => self.handle_done(*request, reply),
            Input::Tick => {}
        }
        self.fill_screen();
        self.want_pictures();
        self.tell_seen();
        std::mem::take(&mut self.effects)
    }

    /// The terminal has this size now.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.size = (width, height);
    }

    /// Something on screen changes by itself: a clock that runs, a notice that ends.
    pub fn is_moving(&self) -> bool {
        self.notice.is_some()
            || self
                .calls
                .iter()
                .any(|call| call.view.state == CallState::Active)
    }

    /// There is a text that would be lost.
    pub(crate) fn has_unsent(&self) -> bool {
        self.talks.values().any(Talk::has_unsent)
    }

    pub(crate) fn ask(&mut self, request: Request) {
        self.effects.push(Effect::Ask(request));
    }

    pub(crate) fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn tell(&mut self, text: impl Into<String>) {
        self.show_notice(text.into(), false);
    }

    pub(crate) fn complain(&mut self, text: impl Into<String>) {
        self.show_notice(text.into(), true);
    }

    fn show_notice(&mut self, text: String, bad: bool) {
        self.notice = Some(Notice {
            text: safe::one_line(&text),
            bad,
            until: WallTime(self.now.0 + NOTICE_MS),
        });
    }

    fn handle_up(&mut self, snapshot: Snapshot) {
        if self.link != Link::Up {
            // What was said about it holds no more.
            self.notice = None;
        }
        self.link = Link::Up;
        self.me = Some(snapshot.status);
        let peers = snapshot.peers.into_iter();
        self.peers = peers.map(|peer| (peer.id, peer)).collect();
        self.find_twins();
        self.calls.clear();
        for call in snapshot.calls {
            self.put_call(call);
        }
        let transfers = snapshot.transfers.into_iter();
        self.transfers = transfers.map(|t| (t.id.clone(), t)).collect();
        self.pictures.retain(|_, picture| picture.is_some());
        if self
            .selected
            .is_some_and(|peer| !self.peers.contains_key(&peer))
        {
            self.selected = None;
        }
        // Whoever was away missed what happened; what is read again replaces what is shown.
        for talk in self.talks.values_mut() {
            (talk.asked, talk.stuck, talk.last) = (None, false, None);
            if talk.place == Place::Latest {
                talk.has_newest = false;
            }
        }
        let written = self
            .peers
            .values()
            .filter(|peer| peer.contact || peer.request);
        let written = written.map(|peer| peer.id).collect();
        self.effects.push(Effect::Newest(written));
        if let Some(peer) = self.selected {
            self.load(peer);
        }
        if std::mem::take(&mut self.welcome) {
            let name = self.me.as_ref().map(|me| me.name.as_str().to_owned());
            self.ask_for(Asked::Welcome, &name.unwrap_or_default());
        }
    }

    pub(crate) fn put_peer(&mut self, peer: PeerView) {
        let name = peer.name.clone();
        let before = self.peers.insert(peer.id, peer);
        if before.is_none_or(|before| before.name != name) {
            self.find_twins();
        }
    }

    pub(crate) fn find_twins(&mut self) {
        let mut names = HashSet::new();
        let twice = self.peers.values().filter(|peer| !names.insert(&peer.name));
        self.twins = twice.map(|peer| peer.name.clone()).collect();
    }

    /// Reads the end of a conversation unless it is here.
    fn load(&mut self, peer: PeerId) {
        let talk = self.talks.entry(peer).or_default();
        if !talk.has_newest && talk.may_ask() && talk.place == Place::Latest {
            talk.asked = Some(Part::Latest);
            self.effects.push(Effect::Read(peer, Part::Latest));
        }
    }

    pub(crate) fn select(&mut self, peer: Option<PeerId>) {
        if self.selected == peer {
            return;
        }
        if let Some(before) = self.selected.and_then(|before| self.talks.get_mut(&before)) {
            before.leave();
        }
        self.selected = peer;
        self.notice = None;
        let Some(peer) = peer else { return };
        self.talks.entry(peer).or_default().stuck = false;
        self.load(peer);
        let unread = self.peers.get(&peer).map_or(0, |peer| peer.unread);
        if let Some(talk) = self.talks.get_mut(&peer) {
            talk.mark_new(&peer, unread);
        }
    }

    /// Shows a message of any age.
    pub(crate) fn go_to(&mut self, peer: PeerId, spot: Spot) {
        self.select(Some(peer));
        let talk = self.talks.entry(peer).or_default();
        match talk.at(&spot).filter(|_| talk.reaches(&spot)) {
            Some(key) => talk.show(key),
            None => {
                let part = Part::Around(spot);
                talk.asked = Some(part.clone());
                self.effects.push(Effect::Read(peer, part));
            }
        }
    }

    /// Back to the end of the conversation.
    pub(crate) fn go_to_latest(&mut self) {
        let Some(peer) = self.selected else { return };
        let talk = self.talks.entry(peer).or_default();
        talk.place = Place::Latest;
        talk.chosen = None;
        if !talk.has_newest {
            talk.asked = None;
            self.load(peer);
        }
    }

    fn handle_page(
        &mut self,
        peer: PeerId,
        part: &Part,
        messages: Result<Vec<MessageView>, String>,
    ) {
        let unread = self.peers.get(&peer).map_or(0, |peer| peer.unread);
        let talk = self.talks.entry(peer).or_default();
        if talk.asked.as_ref() != Some(part) {
            return;
        }
        match messages {
            Ok(messages) => {
                talk.put_page(part, messages);
                if *part == Part::Latest && talk.new_from.is_none() {
                    talk.mark_new(&peer, unread);
                }
                if let Part::Around(spot) = part {
                    match talk.at(spot) {
                        Some(key) => talk.show(key),
                        None => self.complain(self.words.no_message),
                    }
                }
            }
            Err(why) => {
                (talk.asked, talk.stuck) = (None, true);
                self.complain((self.words.failed)(&why));
            }
        }
    }

    /// Asks for the small pictures of the offers that may be on screen.
    fn want_pictures(&mut self) {
        if self.theme == Theme::Plain || self.link != Link::Up {
            return;
        }
        let Some(talk) = self.talk() else { return };
        let Some((lowest, _)) = self.lowest(talk) else {
            return;
        };
        // Each message has a row at least.
        let highest = lowest.saturating_sub(usize::from(self.size.1));
        let shown = talk.messages.iter().take(lowest + 1).skip(highest);
        let offers = shown.filter(|message| {
            let file = message.file.as_ref().filter(|_| !message.deleted);
            file.is_some_and(|file| file.thumbnail)
        });
        let offers = offers.map(|message| message.id.clone());
        let missing: Vec<String> = offers
            .filter(|id| !self.pictures.contains_key(id))
            .collect();
        if self.pictures.len() + missing.len() > PICTURES_MAX {
            self.pictures.clear();
        }
        for id in missing {
            self.pictures.insert(id.clone(), None);
            self.effects.push(Effect::Picture(id));
        }
    }

    /// Tells the author that what is on screen was seen.
    fn tell_seen(&mut self) {
        if !self.focused || self.overlay.is_some() || self.link != Link::Up {
            return;
        }
        let Some(peer) = self.selected.and_then(|peer| self.peers.get_mut(&peer)) else {
            return;
        };
        let Some(talk) = self.talks.get_mut(&peer.id) else {
            return;
        };
        let seq = talk.last_seq_of(&peer.id);
        let at_end = talk.has_newest && talk.place == Place::Latest;
        talk.untold |= at_end && peer.request;
        if at_end && !peer.request && (peer.unread > 0 || talk.untold) && seq > 0 {
            (peer.unread, talk.untold) = (0, false);
            self.effects.push(Effect::Ask(Request::Seen(peer.id, seq)));
        }
    }

    pub(crate) fn put_call(&mut self, view: CallView) {
        let at = self.calls.iter().position(|call| call.view.id == view.id);
        match (at, view.state) {
            (Some(at), CallState::Ended) => {
                self.calls.remove(at);
                self.talking = self.talking.filter(|talking| talking.call != view.id);
                if let Some(said) = (self.words.call_end)(&view, &self.name_of(&view.peer)) {
                    self.tell(said);
                }
            }
            (None, CallState::Ended) => {}
            (Some(at), CallState::Dialling | CallState::Ringing | CallState::Active) => {
                if let Some(call) = self.calls.get_mut(at) {
                    (call.view, call.told_at) = (view, self.now);
                }
            }
            (None, CallState::Dialling | CallState::Ringing | CallState::Active) => {
                if view.direction == CallDirection::Incoming {
                    self.effects.push(Effect::Bell);
                }
                self.calls.push(CallNow {
                    view,
                    told_at: self.now,
                    microphone_dbfs: None,
                    speaker_dbfs: None,
                });
            }
        }
    }

    pub(crate) fn my_id(&self) -> Option<PeerId> {
        self.me.as_ref().map(|me| me.id)
    }

    pub(crate) fn is_own(&self, message: &MessageView) -> bool {
        self.my_id() == Some(message.from)
    }

    /// With whom a message was exchanged.
    pub(crate) fn other_side(&self, message: &MessageView) -> Option<PeerId> {
        let me = self.my_id()?;
        Some(if message.from == me {
            message.to
        } else {
            message.from
        })
    }

    /// Their name, with the tag where two have it.
    pub(crate) fn name_of(&self, id: &PeerId) -> String {
        if self.my_id() == Some(*id) {
            return self.words.you.to_owned();
        }
        let Some(peer) = self.peers.get(id) else {
            return format!("~{}", id.tag());
        };
        let name = safe::one_line(&peer.name);
        if self.twins.contains(&peer.name) {
            format!("{name}~{}", peer.tag)
        } else {
            name
        }
    }

    pub(crate) fn selected_peer(&self) -> Option<&PeerView> {
        self.selected.and_then(|peer| self.peers.get(&peer))
    }

    pub(crate) fn talk(&self) -> Option<&Talk> {
        self.selected.and_then(|peer| self.talks.get(&peer))
    }

    pub(crate) fn talk_mut(&mut self) -> Option<&mut Talk> {
        self.selected
            .map(|peer| self.talks.entry(peer).or_default())
    }

    /// Where what is typed goes when nothing lies over the conversation.
    pub(crate) fn editor(&mut self) -> &mut Editor {
        match self.selected {
            Some(peer) => &mut self.talks.entry(peer).or_default().draft,
            None => &mut self.loose,
        }
    }

    /// The same, to look at.
    pub(crate) fn draft(&self) -> &str {
        match self.selected {
            Some(_) => self.talk().map_or("", |talk| talk.draft.text()),
            None => self.loose.text(),
        }
    }

    /// What the text at hand will do.
    pub(crate) fn purpose(&self) -> &Purpose {
        self.talk().map_or(&Purpose::Say, |talk| &talk.purpose)
    }

    /// Everybody in three lists: who needs an answer first, then by the last word.
    pub(crate) fn lists(&self) -> Lists {
        let mut lists = Lists::default();
        for peer in self.peers.values() {
            if peer.request && !peer.blocked {
                lists.requests.push(peer.id);
            } else if peer.contact {
                lists.contacts.push(peer.id);
            } else if !peer.blocked
                && (peer.state != Presence::Offline || self.selected == Some(peer.id))
            {
                lists.nearby.push(peer.id);
            }
        }
        lists.requests.sort_by_cached_key(|id| self.rank(*id));
        lists.contacts.sort_by_cached_key(|id| self.rank(*id));
        let name = |id: &PeerId| self.peers.get(id).map(|peer| peer.name.as_str());
        lists.nearby.sort_by(|a, b| (name(a), a).cmp(&(name(b), b)));
        lists
    }

    fn rank(&self, id: PeerId) -> impl Ord {
        let peer = self.peers.get(&id);
        let needs_us = peer.is_some_and(|peer| peer.unread > 0 && !peer.blocked);
        let last = self.talks.get(&id).and_then(|talk| talk.last.as_ref());
        let seen = peer.and_then(|peer| peer.last_seen);
        let at = last.map(|last| last.at).or(seen).unwrap_or_default();
        let blocked = peer.is_some_and(|peer| peer.blocked);
        let name = peer.map(|peer| peer.name.as_str());
        (blocked, Reverse((needs_us, at)), name, id)
    }

    /// Messages that nobody has seen, of all people.
    pub(crate) fn unread(&self) -> u64 {
        let let_through = self.peers.values().filter(|peer| !peer.blocked);
        let_through.map(|peer| peer.unread).sum()
    }

    /// The call that a key means: the one with the person on screen, else one that rings here, else
    /// any.
    pub(crate) fn meant_call(&self) -> Option<&CallView> {
        let calls = self.calls.iter().map(|call| &call.view);
        calls.min_by_key(|call| {
            let here = self.selected == Some(call.peer);
            (Reverse(here), Reverse(rings_here(call)))
        })
    }
}

/// Somebody waits for our answer.
pub(crate) fn rings_here(call: &CallView) -> bool {
    call.state == CallState::Ringing && call.direction == CallDirection::Incoming
}
