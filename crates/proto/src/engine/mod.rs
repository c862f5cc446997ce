//! The engine: takes what happened, decides, and says what is to be done.
//!
//! After every [`Engine::handle`] the shell drains [`Engine::poll_output`] and then waits until
//! [`Engine::poll_timeout`]. The engine only routes; each concern has a type of its own.

mod calls;
mod commands;
mod messages;
mod records;
mod sessions;
mod settings;
mod transfers;

use crate::directory::{Directory, Entry};
use crate::handshake::Suite;
use crate::io::{CommandId, ConnId, DialId, Input, Output, Sighting, StaticId};
use crate::ledger::{Ledger, Then};
use crate::limits::*;
use crate::outbox::Outbox;
use hallway_model::{
    EventKind, Instant, MessageId, Name, Now, PeerId, Presence, Problem, Refusal, Snapshot, Status,
    Write,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// What the engine must know of its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our id.
    pub id: PeerId,
    /// Our name, unless the disk holds another.
    pub name: Name,
    /// The port we listen on.
    pub port: u16,
    /// Our hardware does AES.
    pub fast_aes: bool,
    /// Tell peers what was read.
    pub read_receipts: bool,
    /// Take everybody as a contact at once: for test contacts and bots.
    pub accept_all: bool,
    /// Take files of contacts up to so many bytes without asking.
    pub accept_files_bytes: u64,
    /// Answer every call at once: for test contacts.
    pub auto_answer: bool,
}

/// The sans-IO engine of one node.
pub struct Engine {
    config: Config,
    chosen: settings::Chosen,
    name: Name,
    status: Status,
    directory: Directory,
    ledger: Ledger,
    dials: BTreeMap<DialId, Purpose>,
    statics: BTreeMap<StaticId, Static>,
    last_dial: u64,
    /// Entries by the time they need attention.
    agenda: BTreeSet<(Instant, PeerId)>,
    outputs: VecDeque<Output>,
    /// Sessions with something to send.
    dirty: BTreeSet<PeerId>,
    /// Answers to `send` that wait until it is known whether the message went out.
    sent: Vec<(CommandId, PeerId, MessageId)>,
    links: Vec<IpAddr>,
    /// The highest change number on disk, as far as known.
    last_change: u64,
    counters: BTreeMap<&'static str, u64>,
    noticed: BTreeMap<&'static str, Instant>,
    collisions_told: BTreeSet<(PeerId, PeerId)>,
    rng: ChaCha20Rng,
    calls: calls::Calls,
    records: records::Records,
    transfers: transfers::Transfers,
    stopping: bool,
}

/// What a dial is for.
enum Purpose {
    /// A session with this peer.
    Peer(PeerId),
    /// One of [`Engine::statics`].
    Static(StaticId),
    /// `hallway connect`, to be answered.
    Connect(CommandId, Vec<SocketAddr>),
}

/// An address from the configuration.
struct Static {
    addresses: Vec<SocketAddr>,
    /// Who answered there last.
    peer: Option<PeerId>,
    dialer: crate::dialer::Dialer,
}

impl Engine {
    /// An engine with what the disk holds. `seed` must be fresh from the system's random source.
    pub fn new(config: Config, snapshot: Snapshot, seed: [u8; 32], now: Now) -> Self {
        let mut directory = Directory::default();
        for record in snapshot.peers {
            let undelivered = snapshot.undelivered.contains(&record.id);
            let outbox = Outbox::restored(record.last_seq, undelivered);
            directory.insert(Entry::new(record, true, outbox));
        }
        let setting = |name: &str| {
            snapshot
                .settings
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, value)| value.as_str())
        };
        let name = setting("name")
            .and_then(|n| Name::new(n).ok())
            .unwrap_or(config.name.clone());
        let status = match setting("status") {
            Some("away") => Status::Away,
            Some("busy") => Status::Busy,
            _ => Status::Available,
        };
        let config = settings::configured(config, setting);
        let chosen = settings::Chosen::restored(setting);
        let records = records::Records::restored(setting(records::SETTING));
        let mut engine = Self {
            config,
            chosen,
            name,
            status,
            directory,
            ledger: Ledger::default(),
            dials: BTreeMap::new(),
            statics: BTreeMap::new(),
            last_dial: 0,
            agenda: BTreeSet::new(),
            outputs: VecDeque::new(),
            dirty: BTreeSet::new(),
            sent: Vec::new(),
            links: Vec::new(),
            last_change: snapshot.last_change,
            counters: BTreeMap::new(),
            noticed: BTreeMap::new(),
            collisions_told: BTreeSet::new(),
            rng: ChaCha20Rng::from_seed(seed),
            calls: calls::Calls::default(),
            records,
            transfers: transfers::Transfers::restored(snapshot.transfers),
            stopping: false,
        };
        engine
            .outputs
            .push_back(Output::Announce(engine.name.clone(), engine.status));
        for peer in engine.directory.ids() {
            // Nobody has been told of anybody yet, and nobody needs to hear who is offline.
            if let Some(entry) = engine.directory.get_mut(&peer) {
                entry.shown = Some(entry.shown_now());
            }
            engine.settle(peer, now);
        }
        engine.record_interrupted(now);
        engine
    }

    /// Takes one thing that happened.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Command(command, what) => self.handle_command(command, what, now),
            Input::Sighted(peer, sighting) => self.handle_sighted(peer, sighting, now),
            Input::Unsighted(peer) => {
                self.directory.clear_sighting(&peer);
                self.settle(peer, now);
            }
            Input::Static(id, addresses) => {
                let dialer = crate::dialer::Dialer::default();
                let target = Static {
                    addresses,
                    peer: None,
                    dialer,
                };
                self.statics.insert(id, target);
                self.dial_statics(now);
            }
            Input::Unstatic(id) => self.handle_unstatic(id, now),
            Input::Established {
                conn,
                dial,
                remote,
                local,
                established,
            } => {
                self.handle_established(conn, dial, remote, local, *established, now);
            }
            Input::DialFailed(dial, why) => self.handle_dial_failed(dial, &why, now),
            Input::Received(conn, bytes) => self.handle_received(conn, &bytes, now),
            Input::Closed(conn) => self.handle_closed(conn, now),
            Input::Stored(token, added) => self.handle_stored(token, &added, now),
            Input::StoreFailed(token, fault) => self.handle_store_failed(token, fault, now),
            Input::OutboxLoaded(peer, messages) => {
                if let Some(entry) = self.directory.get_mut(&peer) {
                    entry.outbox.handle_loaded(messages);
                }
                self.believe_read(peer);
                self.settle(peer, now);
            }
            Input::OutboxUnread(peer) => {
                if let Some(entry) = self.directory.get_mut(&peer) {
                    entry.outbox.handle_load_failed();
                    entry.save_at = Some(now.mono + STORAGE_RETRY);
                }
                self.schedule(peer, now);
            }
            Input::Links(addresses) => self.handle_links(addresses, now),
            Input::MediaDevices {
                call,
                microphone,
                speaker,
            } => self.handle_devices(call, microphone, speaker, now),
            Input::MediaHeard(call) => self.handle_heard(call, true, now),
            Input::MediaSilent(call) => self.handle_heard(call, false, now),
            Input::MediaStats(call, stats) => self.handle_stats(call, *stats, now),
            Input::MediaFailed(call, why) => self.handle_media_failed(call, why, now),
            Input::Files(id, report) => self.handle_report(id, report, now),
            Input::Timeout => self.handle_timeout(now),
            Input::Shutdown => self.handle_shutdown(now),
        }
    }

    /// The next thing to be done; `None` when all is done for now.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        while let Some(peer) = self.dirty.pop_first() {
            let entry = self.directory.get_mut(&peer);
            if let Some(session) = entry.and_then(|entry| entry.session.as_mut())
                && let Some(bytes) = session.poll_transmit(now.mono)
            {
                return Some(Output::Transmit(session.conn, bytes));
            }
        }
        for (command, to, id) in std::mem::take(&mut self.sent) {
            self.answer_sent(command, to, id);
        }
        if let Some((token, epoch, writes)) = self.ledger.poll_request() {
            self.outputs.push_back(Output::Store {
                token,
                epoch,
                writes,
            });
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let statics = self.statics.values();
        let statics = statics.filter(|s| !self.stopping && !self.is_reached(s));
        let statics = statics.filter_map(|s| s.dialer.deadline()).min();
        let transfers = self.transfers.deadline().filter(|_| !self.stopping);
        self.agenda
            .first()
            .map(|(at, _)| *at)
            .into_iter()
            .chain(statics)
            .chain(transfers)
            .min()
    }

    /// How many peers are held in memory now.
    pub fn peers(&self) -> usize {
        self.directory.len()
    }

    /// Whether what this peer does may ask for attention now.
    pub fn may_disturb(&self, peer: &PeerId) -> bool {
        self.status != Status::Busy && !self.chosen.muted.contains(peer)
    }

    /// Our name now.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Everything that depends on the state of one entry: dials, sends, loads, events, and when
    /// to look at it again. Called after every change to it.
    fn settle(&mut self, peer: PeerId, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        if entry.session.is_none()
            && entry.needs_session()
            && entry.dialer.is_due(now.mono)
            && !self.stopping
        {
            let addresses = entry.addresses();
            if !addresses.is_empty() {
                self.dial(Purpose::Peer(peer), Some(peer), addresses, now);
            }
        }
        self.tend_call(peer, now);
        self.pump(peer, now);
        self.settle_transfers(peer, now);
        self.tend_circles(peer, now);
        self.tell_presence(peer, now);
        self.schedule(peer, now);
    }

    /// Starts a dial and notes it where its outcome will be looked for.
    fn dial(
        &mut self,
        purpose: Purpose,
        expected: Option<PeerId>,
        addresses: Vec<SocketAddr>,
        now: Now,
    ) {
        let suite = expected.map_or(Suite::ChaChaPoly, |peer| self.suite_for(&peer));
        let dial = DialId(self.last_dial + 1);
        let full = self.dials.len() >= DIALS_MAX;
        let retry_at = now.mono + std::time::Duration::from_millis(100 + u64::from(self.jitter()));
        let dialer = match &purpose {
            Purpose::Peer(peer) => self.directory.get_mut(peer).map(|entry| &mut entry.dialer),
            Purpose::Static(id) => self.statics.get_mut(id).map(|s| &mut s.dialer),
            Purpose::Connect(..) => None,
        };
        match dialer {
            Some(dialer) if full => return dialer.wait_until(retry_at),
            Some(dialer) => dialer.start(dial),
            None => {}
        }
        self.last_dial = dial.0;
        self.dials.insert(dial, purpose);
        self.outputs.push_back(Output::Dial {
            dial,
            expected,
            addresses,
            suite,
        });
    }

    /// The faster suite of those that both have hardware for.
    fn suite_for(&self, peer: &PeerId) -> Suite {
        self.suite_of(self.has_fast_aes(peer))
    }

    fn has_fast_aes(&self, peer: &PeerId) -> bool {
        let aes = |entry: &Entry| {
            entry.record.fast_aes || entry.sighting.as_ref().is_some_and(|s| s.fast_aes)
        };
        self.directory.get(peer).is_some_and(aes)
    }

    fn suite_of(&self, fast_aes: bool) -> Suite {
        if self.config.fast_aes && fast_aes {
            Suite::AesGcm
        } else {
            Suite::ChaChaPoly
        }
    }

    fn handle_dial_failed(&mut self, dial: DialId, why: &str, now: Now) {
        if let Some(purpose) = self.dials.remove(&dial) {
            self.fail_dial(purpose, why, now);
        }
    }

    /// A dial led to no session.
    fn fail_dial(&mut self, purpose: Purpose, why: &str, now: Now) {
        let jitter = self.jitter();
        match purpose {
            Purpose::Peer(peer) => {
                if let Some(entry) = self.directory.get_mut(&peer) {
                    let near = entry.sighting.is_some() || entry.outbox.is_waiting();
                    let longest = if near {
                        DIAL_BACKOFF_NEAR
                    } else {
                        DIAL_BACKOFF_FAR
                    };
                    entry
                        .dialer
                        .handle_failed(now.mono, DIAL_BACKOFF_FIRST, longest, jitter);
                }
                self.settle(peer, now);
            }
            Purpose::Static(id) => {
                if let Some(target) = self.statics.get_mut(&id) {
                    let longest = DIAL_BACKOFF_NEAR;
                    target
                        .dialer
                        .handle_failed(now.mono, DIAL_BACKOFF_FIRST, longest, jitter);
                }
            }
            Purpose::Connect(command, addresses) => {
                let tried: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let detail = format!("nobody answered at {}: {why}", tried.join(", "));
                self.refuse(command, Refusal::new(Problem::Unreachable, detail));
            }
        }
    }

    /// Whoever answered there last has a session, is being dialled anyway, or is blocked.
    fn is_reached(&self, target: &Static) -> bool {
        let entry = target
            .peer
            .as_ref()
            .and_then(|peer| self.directory.get(peer));
        entry.is_some_and(|entry| {
            entry.session.is_some() || entry.dialer.dialing().is_some() || entry.record.blocked
        })
    }

    fn dial_statics(&mut self, now: Now) {
        let due = self.statics.iter().filter(|(_, target)| {
            !self.stopping && !self.is_reached(target) && target.dialer.is_due(now.mono)
        });
        let due: Vec<_> = due
            .map(|(id, target)| (*id, target.addresses.clone()))
            .collect();
        for (id, addresses) in due {
            self.dial(Purpose::Static(id), None, addresses, now);
        }
    }

    fn handle_sighted(&mut self, peer: PeerId, sighting: Sighting, now: Now) {
        if peer == self.config.id {
            return;
        }
        let before = self
            .directory
            .get(&peer)
            .and_then(|entry| entry.sighting.clone());
        let news = before.is_none_or(|before| before.addresses != sighting.addresses);
        if !self.directory.set_sighting(peer, sighting, now.wall) {
            self.count("sightings_refused");
            return;
        }
        if let Some(entry) = self.directory.get_mut(&peer).filter(|_| news) {
            entry.dialer.encourage();
        }
        self.settle(peer, now);
    }

    fn handle_links(&mut self, addresses: Vec<IpAddr>, now: Now) {
        self.links = addresses;
        for peer in self.directory.ids() {
            let Some(entry) = self.directory.get_mut(&peer) else {
                continue;
            };
            let gone = entry.session.as_ref().is_some_and(|session| {
                !session.local.is_loopback() && !self.links.contains(&session.local)
            });
            entry.dialer.encourage();
            if gone {
                self.lose_session(peer, now);
            }
            self.settle(peer, now);
        }
        for target in self.statics.values_mut() {
            target.dialer.encourage();
        }
        self.dial_statics(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        while let Some((at, peer)) = self.agenda.first().copied() {
            if at > now.mono {
                break;
            }
            self.agenda.pop_first();
            if let Some(entry) = self.directory.get_mut(&peer) {
                entry.deadline = None;
            }
            self.attend(peer, now);
            self.settle(peer, now);
        }
        self.attend_transfers(now);
        self.dial_statics(now);
    }

    /// What has come due for one entry.
    fn attend(&mut self, peer: PeerId, now: Now) {
        if let Some(entry) = self.directory.get_mut(&peer)
            && entry.typing_until.is_some_and(|until| until <= now.mono)
        {
            entry.typing_until = None;
            self.event(EventKind::Typing {
                id: peer,
                typing: false,
            });
        }
        self.attend_session(peer, now);
        self.attend_call(peer, now);
        if let Some(entry) = self.directory.get_mut(&peer)
            && entry.save_at.is_some_and(|at| at <= now.mono)
        {
            entry.save_at = None;
            let acked = std::mem::take(&mut entry.unsaved);
            if !acked.is_empty() {
                self.note_acked(peer, acked);
            }
            self.update(peer);
            self.note_read(peer);
            self.write_records(peer, now);
        }
    }

    /// Puts the entry on the agenda for its next deadline, or drops it when nothing is left of it.
    fn schedule(&mut self, peer: PeerId, now: Now) {
        let stopping = self.stopping;
        let renewal = self.renewal_deadline(&peer);
        let idle = self.idle_deadline(&peer);
        let call = self.calls.deadline(&peer);
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        if let Some(at) = entry.deadline.take() {
            self.agenda.remove(&(at, peer));
        }
        let present = entry.session.is_some() || entry.sighting.is_some() || entry.wanted;
        let present = present || entry.forgetting;
        if !entry.kept && !present && entry.dialer.dialing().is_none() && entry.receiving == 0 {
            self.directory.remove(&peer);
            return;
        }
        let session = entry.session.as_ref();
        let dial = entry.dialer.deadline().filter(|_| {
            let needed = entry.session.is_none() && entry.needs_session();
            needed && !stopping && !entry.addresses().is_empty()
        });
        let deadline = [
            session.map(|session| session.keepalive_deadline()),
            session.and_then(|session| session.storage_retry_at),
            renewal,
            idle,
            call,
            dial,
            entry.typing_until,
            entry.lost_at.map(|at| at + LOSS_GRACE),
            entry.save_at,
        ]
        .into_iter()
        .flatten()
        .min();
        // A deadline in the past would spin; whatever it is gets another look a moment later.
        entry.deadline = deadline.map(|at| at.max(now.mono + std::time::Duration::from_millis(1)));
        if let Some(at) = entry.deadline {
            self.agenda.insert((at, peer));
        }
    }

    /// Tells the faces when somebody came, went or changed.
    fn tell_presence(&mut self, peer: PeerId, now: Now) {
        let Some(entry) = self.directory.get_mut(&peer) else {
            return;
        };
        if entry.presence() == Presence::Live {
            entry.lost_at = None;
        }
        if entry.lost_at.is_some_and(|at| now.mono - at < LOSS_GRACE) {
            return;
        }
        entry.lost_at = None;
        let shown = entry.shown_now();
        if entry.shown.as_ref() == Some(&shown) {
            return;
        }
        entry.shown = Some(shown);
        if !entry.kept && !entry.is_request() && entry.presence() == Presence::Offline {
            self.event(EventKind::PeerGone { id: peer });
        } else {
            let view = Box::new(entry.view(now.mono));
            self.event(EventKind::Peer { peer: view });
        }
    }

    /// Tells the faces of a peer whose record changed.
    fn tell_peer(&mut self, peer: PeerId, now: Now) {
        if let Some(entry) = self.directory.get_mut(&peer) {
            entry.shown = Some(entry.shown_now());
            let view = Box::new(entry.view(now.mono));
            self.event(EventKind::Peer { peer: view });
        }
    }

    /// Writes the record of a peer to disk.
    fn keep(&mut self, peer: PeerId, then: Then) {
        let entry = self.directory.get_mut(&peer);
        let Some(entry) = entry.filter(|entry| !entry.forgetting) else {
            return;
        };
        entry.kept = true;
        entry.record.last_seq = entry.outbox.last_seq();
        let write = Write::Peer(Box::new(entry.record.clone()));
        self.ledger.add([write], then);
    }

    /// Writes the record of a peer when it is on disk already: now, or when the disk takes it.
    fn update(&mut self, peer: PeerId) {
        if self.directory.get(&peer).is_some_and(|entry| entry.kept) {
            let acked = Vec::new();
            self.keep(peer, Then::Noted { peer, acked });
        }
    }

    /// Writes how far a peer was read: now, or when the disk takes it.
    fn note_read(&mut self, peer: PeerId) {
        let known = self.directory.get(&peer).filter(|entry| entry.kept);
        if let Some(entry) = known.filter(|entry| !entry.forgetting) {
            let write = Write::Read(peer, entry.record.read_by_us);
            let acked = Vec::new();
            self.ledger.add([write], Then::Noted { peer, acked });
        }
    }

    /// Writes that a peer has messages of ours: now, or when the disk takes it.
    fn note_acked(&mut self, peer: PeerId, acked: Vec<MessageId>) {
        let write = Write::Delivered(peer, acked.clone());
        self.ledger.add([write], Then::Noted { peer, acked });
    }

    fn event(&mut self, kind: EventKind) {
        self.outputs.push_back(Output::Event(kind));
    }

    /// A notice to the user, at most once in a while for each code.
    fn notice(&mut self, code: &'static str, detail: String, now: Now) {
        let last = self.noticed.get(code);
        if last.is_none_or(|at| now.mono - *at >= NOTICE_EVERY) {
            self.noticed.insert(code, now.mono);
            self.event(EventKind::Notice {
                code: code.into(),
                detail,
            });
        }
    }

    /// Counts something that happened, most often something that went wrong, by its stable name.
    pub fn count(&mut self, name: &'static str) {
        self.count_many(name, 1);
    }

    /// The same for so many at once.
    pub fn count_many(&mut self, name: &'static str, number: u64) {
        let counted = self.counters.entry(name).or_default();
        *counted = counted.saturating_add(number);
    }

    fn jitter(&mut self) -> u8 {
        self.rng.next_u32().to_le_bytes()[0]
    }

    fn close(&mut self, conn: ConnId) {
        self.outputs.push_back(Output::Close(conn));
    }
}
