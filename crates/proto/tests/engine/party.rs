//! Several engines in one room: what they send arrives at once and in order, disks work at once,
//! and the test moves the clock. What a whole simulation would only blur is told here step by step.

use hallway_model::{
    Added, Answer, CallEnd, CallId, CallOutcome, CallView, Command, Delivery, EventKind, Instant,
    Message, Name, Now, PeerId, Refusal, Snapshot, StorageFault, Transfer, WallTime, Write,
};
use hallway_proto::frame::{Frame, Profile};
use hallway_proto::handshake::{
    Entropy, Established, Handshake, LocalKeys, Policy, Purpose, Step, Suite,
};
use hallway_proto::io::{CommandId, ConnId, DialId, Input, MediaPlan, Output};
use hallway_proto::transfer::Order;
use hallway_proto::{Config, Engine};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Index of a node in the room.
pub(crate) type At = usize;

/// What a node is started with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Takes nobody as a contact by itself.
    pub(crate) reserved: bool,
    /// Answers every call.
    pub(crate) answers: bool,
}

/// One node, and all it has told the outside.
pub(crate) struct Node {
    pub(crate) engine: Engine,
    keys: Arc<LocalKeys>,
    manner: Manner,
    runs: bool,
    conns: BTreeMap<ConnId, (At, ConnId)>,
    pub(crate) events: Vec<EventKind>,
    pub(crate) media: Vec<Output>,
    pub(crate) plans: BTreeMap<CallId, MediaPlan>,
    pub(crate) disk: Vec<Message>,
    delivered: BTreeSet<hallway_model::MessageId>,
    peers: BTreeMap<PeerId, hallway_model::Peer>,
    pub(crate) settings: BTreeMap<&'static str, String>,
    pub(crate) transfers: Vec<Transfer>,
    /// What this node has asked its shell to do with files.
    pub(crate) orders: Vec<Order>,
    pub(crate) disk_full: bool,
    replies: BTreeMap<CommandId, Result<Answer, Refusal>>,
    /// When frames of this node's sessions last left.
    pub(crate) spoke_at: Vec<Instant>,
}

/// The room.
pub(crate) struct Party {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Now,
    mail: VecDeque<(At, Input)>,
    /// Pairs between whom no byte passes, without either noticing.
    pub(crate) mute: BTreeSet<(At, At)>,
    /// Nodes nobody can dial, and who can dial nobody.
    pub(crate) cut: BTreeSet<At>,
    last: u64,
    /// Bytes that went nowhere, or to a [`Voice`].
    unheard: BTreeMap<ConnId, Vec<u8>>,
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn keys(seed: u8) -> Arc<LocalKeys> {
    let device = Name::new("desk").unwrap();
    let keys = LocalKeys::new([seed; 32], [seed + 100; 32], &device, WallTime(1));
    Arc::new(keys)
}

/// Both ends of a finished handshake, the initiator's first.
fn shake(from: &Arc<LocalKeys>, to: &Arc<LocalKeys>) -> (Box<Established>, Box<Established>) {
    let policy = Policy::default();
    let suite = Suite::ChaChaPoly;
    let expected = Some(to.id());
    let entropy = Entropy::from_bytes([7; 128]);
    let purpose = Purpose::Session;
    let (mut initiator, first) =
        Handshake::initiate(from.clone(), &policy, expected, suite, purpose, entropy);
    let mut responder = Handshake::respond(to.clone(), &policy, Entropy::from_bytes([8; 128]));
    let (mut bytes, mut done) = (first, None);
    loop {
        responder.push(&bytes).unwrap();
        bytes = match responder.step().unwrap() {
            Step::Done { established, .. } => return (done.unwrap(), established),
            Step::Send(bytes) => bytes,
            Step::NeedMore => panic!("a whole message is there"),
        };
        initiator.push(&bytes).unwrap();
        bytes = match initiator.step().unwrap() {
            Step::Done { send, established } => {
                done = Some(established);
                send
            }
            Step::Send(send) => send,
            Step::NeedMore => panic!("a whole message is there"),
        };
    }
}

fn address(at: At) -> SocketAddr {
    let last = u8::try_from(at + 1).unwrap();
    SocketAddr::new(Ipv4Addr::new(10, 0, 0, last).into(), 42550)
}

impl Party {
    /// So many nodes that have never met, all told where the others are, with ids in rising order.
    pub(crate) fn new(manners: &[Manner]) -> Self {
        let mut all: Vec<_> = (1u8..).take(manners.len()).map(keys).collect();
        all.sort_by_key(|keys| keys.id());
        let mut party = Self {
            nodes: Vec::new(),
            now: Now {
                mono: Instant(1),
                wall: WallTime(1_700_000_000_000),
            },
            mail: VecDeque::new(),
            mute: BTreeSet::new(),
            cut: BTreeSet::new(),
            last: 0,
            unheard: BTreeMap::new(),
        };
        for (at, (keys, manner)) in all.into_iter().zip(manners).enumerate() {
            let engine = party.engine(at, &keys, *manner, Snapshot::default());
            party.nodes.push(Node {
                engine,
                keys,
                manner: *manner,
                runs: true,
                conns: BTreeMap::new(),
                events: Vec::new(),
                media: Vec::new(),
                plans: BTreeMap::new(),
                disk: Vec::new(),
                delivered: BTreeSet::new(),
                peers: BTreeMap::new(),
                settings: BTreeMap::new(),
                transfers: Vec::new(),
                orders: Vec::new(),
                disk_full: false,
                replies: BTreeMap::new(),
                spoke_at: Vec::new(),
            });
        }
        party
    }

    /// Two contacts with a session, and a third who is one to both.
    pub(crate) fn of_friends(count: usize) -> Self {
        let mut party = Self::new(&vec![Manner::default(); count]);
        for one in 0..count {
            for other in one + 1..count {
                party.connect(one, other);
            }
        }
        party
    }

    fn engine(&self, at: At, keys: &LocalKeys, manner: Manner, snapshot: Snapshot) -> Engine {
        let config = Config {
            id: keys.id(),
            name: Name::new(["Ann", "Bo", "Cy", "Di", "Ed", "Flo"][at]).unwrap(),
            port: 42550,
            fast_aes: false,
            read_receipts: true,
            accept_all: !manner.reserved,
            accept_files_bytes: 100,
            auto_answer: manner.answers,
        };
        let seed = u8::try_from(at).unwrap() + self.now.mono.0.to_le_bytes()[2];
        Engine::new(config, snapshot, [seed; 32], self.now)
    }

    pub(crate) fn id(&self, at: At) -> PeerId {
        self.nodes[at].keys.id()
    }

    /// Opens a session that `from` dialled.
    pub(crate) fn connect(&mut self, from: At, to: At) {
        let dial = None;
        self.join(from, to, dial);
        self.run();
    }

    fn join(&mut self, from: At, to: At, dial: Option<DialId>) {
        let (initiator, responder) = shake(&self.nodes[from].keys, &self.nodes[to].keys);
        let (near, far) = (ConnId(self.fresh()), ConnId(self.fresh()));
        self.nodes[from].conns.insert(near, (to, far));
        self.nodes[to].conns.insert(far, (from, near));
        let of = |conn, dial, at: At, remote: SocketAddr, established| Input::Established {
            conn,
            dial,
            remote,
            local: address(at).ip(),
            established,
        };
        let ephemeral = SocketAddr::new(address(from).ip(), 50_000);
        self.mail
            .push_back((to, of(far, None, to, ephemeral, responder)));
        self.mail
            .push_back((from, of(near, dial, from, address(to), initiator)));
    }

    /// Carries out all there is to do at this moment.
    pub(crate) fn run(&mut self) {
        loop {
            if let Some((at, input)) = self.mail.pop_front() {
                if self.nodes[at].runs {
                    self.nodes[at].engine.handle(input, self.now);
                }
            } else if !self.drain() {
                return;
            }
        }
    }

    fn drain(&mut self) -> bool {
        let mut any = false;
        for at in 0..self.nodes.len() {
            while let Some(output) = self.nodes[at]
                .runs
                .then(|| self.nodes[at].engine.poll_output(self.now))
                .flatten()
            {
                any = true;
                self.carry_out(at, output);
            }
        }
        any
    }

    fn carry_out(&mut self, at: At, output: Output) {
        match output {
            Output::Transmit(conn, bytes) => {
                self.nodes[at].spoke_at.push(self.now.mono);
                if let Some((to, far)) = self.nodes[at].conns.get(&conn).copied()
                    && !self.mute.contains(&(at.min(to), at.max(to)))
                {
                    self.mail.push_back((to, Input::Received(far, bytes)));
                } else {
                    self.unheard.entry(conn).or_default().extend(bytes);
                }
            }
            Output::Close(conn) => {
                if let Some((to, far)) = self.nodes[at].conns.remove(&conn)
                    && !self.mute.contains(&(at.min(to), at.max(to)))
                {
                    self.nodes[to].conns.remove(&far);
                    self.mail.push_back((to, Input::Closed(far)));
                }
            }
            Output::Dial { dial, expected, .. } => {
                let is_it = |other: &At| Some(self.id(*other)) == expected;
                let to = (0..self.nodes.len()).find(is_it).unwrap();
                let there = self.nodes[to].runs && !self.cut.contains(&to);
                let open = !self.mute.contains(&(at.min(to), at.max(to)));
                if there && open && !self.cut.contains(&at) {
                    self.join(at, to, Some(dial));
                } else {
                    let failed = Input::DialFailed(dial, "nobody there".into());
                    self.mail.push_back((at, failed));
                }
            }
            Output::Store { token, writes, .. } => {
                let node = &mut self.nodes[at];
                let input = match node.disk_full {
                    true => Input::StoreFailed(token, StorageFault::Full),
                    false => Input::Stored(token, node.store(writes)),
                };
                self.mail.push_back((at, input));
            }
            Output::LoadOutbox {
                peer, after_seq, ..
            } => {
                let loaded = self.nodes[at].outbox(peer, after_seq);
                self.mail.push_back((at, Input::OutboxLoaded(peer, loaded)));
            }
            Output::Files(order) => self.nodes[at].orders.push(order),
            Output::Event(kind) => self.nodes[at].events.push(kind),
            Output::Reply(command, reply) => {
                self.nodes[at].replies.insert(command, reply);
            }
            Output::StartMedia { call, plan } => {
                assert!(self.nodes[at].plans.insert(call, *plan).is_none());
            }
            Output::MediaCandidates(..) | Output::SetMedia { .. } => {
                self.nodes[at].media.push(output);
            }
            Output::StopMedia(call) => {
                assert!(self.nodes[at].plans.remove(&call).is_some());
            }
            Output::CancelDial(_)
            | Output::Added { .. }
            | Output::Announce(..)
            | Output::Left(_)
            | Output::Doubt(_) => {}
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        loop {
            self.run();
            let due = |node: &Node| node.engine.poll_timeout().filter(|_| node.runs);
            let next = self.nodes.iter().filter_map(due).min();
            let next = next.filter(|at| *at <= until);
            let at = next.unwrap_or(until).max(self.now.mono);
            self.now.wall.0 += (at.0 - self.now.mono.0) / 1000;
            self.now.mono = at;
            if next.is_none() {
                return;
            }
            for node in &mut self.nodes {
                if due(node).is_some_and(|due| due <= at) {
                    node.engine.handle(Input::Timeout, self.now);
                }
            }
        }
    }

    /// Asks a node and returns its answer.
    pub(crate) fn ask(&mut self, at: At, command: Command) -> Result<Answer, Refusal> {
        let id = CommandId(self.fresh());
        self.tell(at, Input::Command(id, command));
        self.nodes[at].replies.remove(&id).expect("an answer")
    }

    pub(crate) fn tell(&mut self, at: At, input: Input) {
        self.nodes[at].engine.handle(input, self.now);
        self.run();
    }

    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Has one call the other, as far as it comes at once.
    pub(crate) fn call(&mut self, from: At, to: At) -> CallView {
        let peer = self.id(to);
        let begun = call_in(self.ask(from, Command::Call(peer)));
        let mut calls = self.calls(from).into_iter();
        calls.find(|call| call.id == begun.id).unwrap_or(begun)
    }

    pub(crate) fn answer(&mut self, at: At) -> CallView {
        call_in(self.ask(at, Command::Answer(None)))
    }

    pub(crate) fn hang_up(&mut self, at: At) -> CallView {
        call_in(self.ask(at, Command::HangUp(None)))
    }

    /// A call that both are in.
    pub(crate) fn talk(&mut self, from: At, to: At) -> CallId {
        let id = self.call(from, to).id;
        self.answer(to);
        for at in [from, to] {
            self.tell(at, Input::MediaHeard(id));
        }
        id
    }

    pub(crate) fn calls(&mut self, at: At) -> Vec<CallView> {
        match self.ask(at, Command::Calls) {
            Ok(Answer::Calls(calls)) => calls,
            other => panic!("{other:?}"),
        }
    }

    /// The only call of a node.
    pub(crate) fn only(&mut self, at: At) -> CallView {
        let calls = self.calls(at);
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls[0].clone()
    }

    /// The node dies without a word; its disk stays.
    pub(crate) fn kill(&mut self, at: At) {
        self.nodes[at].runs = false;
        self.nodes[at].plans.clear();
        for (to, far) in std::mem::take(&mut self.nodes[at].conns).into_values() {
            self.nodes[to].conns.remove(&far);
            self.mail.push_back((to, Input::Closed(far)));
        }
        self.run();
    }

    /// Starts it again from its disk.
    pub(crate) fn restart(&mut self, at: At) {
        let node = &self.nodes[at];
        let settings = node.settings.iter();
        let waits = |peer: &PeerId| !node.outbox(*peer, 0).is_empty();
        let snapshot = Snapshot {
            peers: node.peers.values().cloned().collect(),
            undelivered: node.peers.keys().copied().filter(waits).collect(),
            settings: settings.map(|(n, v)| ((*n).into(), v.clone())).collect(),
            transfers: node.transfers.clone(),
            ..Snapshot::default()
        };
        let engine = self.engine(at, &node.keys.clone(), node.manner, snapshot);
        self.nodes[at].engine = engine;
        self.nodes[at].runs = true;
        self.run();
    }

    /// The records of calls that are on the disk of a node, oldest first.
    pub(crate) fn records(&self, at: At) -> Vec<(PeerId, CallOutcome, u64)> {
        let records = self.nodes[at].disk.iter();
        let records = records.filter_map(|m| Some((m.author, m.call()?)));
        records
            .map(|(author, call)| (author, call.outcome, call.duration_ms))
            .collect()
    }

    /// Why a node said that its calls ended.
    pub(crate) fn ends(&self, at: At) -> Vec<CallEnd> {
        let events = self.nodes[at].events.iter();
        let end = |event: &EventKind| {
            if let EventKind::Call { call } = event {
                call.end
            } else {
                None
            }
        };
        events.filter_map(end).collect()
    }

    /// A session of `as_whom`, who is gone, whose frames the test says itself.
    pub(crate) fn impersonate(&mut self, as_whom: At, to: At) -> Voice {
        let (initiator, responder) = shake(&self.nodes[as_whom].keys, &self.nodes[to].keys);
        self.kill(as_whom);
        // Sessions that both open within some seconds count as opened at once.
        self.pass(secs(11));
        let conn = ConnId(self.fresh());
        let remote = SocketAddr::new(address(as_whom).ip(), 50_001);
        let established = Input::Established {
            conn,
            dial: None,
            remote,
            local: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
            established: responder,
        };
        self.nodes[to].engine.handle(established, self.now);
        let mut voice = Voice {
            to,
            conn,
            established: initiator,
        };
        let status = hallway_model::Status::Available;
        let profile = Profile::new(Name::new("Eve").unwrap(), status, self.now.wall, 0);
        voice.say(self, &[Frame::Profile(profile)]);
        voice
    }
}

/// See [`Party::impersonate`].
pub(crate) struct Voice {
    to: At,
    conn: ConnId,
    established: Box<Established>,
}

impl Voice {
    /// Says frames and returns what is answered.
    pub(crate) fn say(&mut self, party: &mut Party, frames: &[Frame]) -> Vec<Frame> {
        let mut bytes = Vec::new();
        for frame in frames {
            let mut plaintext = Vec::new();
            frame.encode(&mut plaintext);
            self.established
                .transport
                .seal(&plaintext, &mut bytes)
                .unwrap();
        }
        let input = Input::Received(self.conn, bytes);
        party.nodes[self.to].engine.handle(input, party.now);
        self.hear(party)
    }

    fn hear(&mut self, party: &mut Party) -> Vec<Frame> {
        party.run();
        let bytes = party.unheard.remove(&self.conn).unwrap_or_default();
        self.established.transport.push(&bytes);
        let (mut heard, mut plaintext) = (Vec::new(), Vec::new());
        while self.established.transport.open(&mut plaintext).unwrap() {
            heard.push(Frame::decode(&plaintext).unwrap());
        }
        heard
    }
}

/// The call in an answer.
pub(crate) fn call_in(answer: Result<Answer, Refusal>) -> CallView {
    match answer {
        Ok(Answer::Call(call)) => *call,
        other => panic!("{other:?}"),
    }
}

impl Node {
    fn store(&mut self, writes: Vec<Write>) -> Vec<Added> {
        let mut added = Vec::new();
        for write in writes {
            match write {
                Write::Message(message) => {
                    let known = |m: &Message| (m.author, m.id) == (message.author, message.id);
                    if self.disk.iter().any(known) {
                        added.push(Added::Duplicate);
                        continue;
                    }
                    if let (hallway_model::ConversationId::Peer(peer), Delivery::Queued) =
                        (message.conversation, message.delivery)
                        && let Some(record) = self.peers.get_mut(&peer)
                    {
                        record.last_seq = record.last_seq.max(message.seq);
                    }
                    self.disk.push(*message);
                    let change = u64::try_from(self.disk.len()).unwrap();
                    added.push(Added::New { change });
                }
                Write::Peer(peer) => {
                    self.peers.insert(peer.id, *peer);
                }
                Write::Read(peer, seq) => {
                    if let Some(record) = self.peers.get_mut(&peer) {
                        record.read_by_us = record.read_by_us.max(seq);
                    }
                }
                Write::ForgetPeer(peer) => {
                    self.peers.remove(&peer);
                    let theirs = hallway_model::ConversationId::Peer(peer);
                    self.disk.retain(|m| m.conversation != theirs);
                }
                Write::Delivered(_, ids) => self.delivered.extend(ids),
                Write::NewTransfer(transfer) => {
                    if self.transfers.iter().all(|known| known.id != transfer.id) {
                        self.transfers.push(*transfer);
                    }
                }
                Write::Transfer(transfer) => {
                    let known = self.transfers.iter_mut().find(|t| t.id == transfer.id);
                    *known.expect("a transfer that was offered") = *transfer;
                }
                Write::Setting(name, value) => {
                    self.settings.insert(name, value);
                }
            }
        }
        added
    }

    fn outbox(&self, peer: PeerId, after_seq: u64) -> Vec<Message> {
        let theirs = hallway_model::ConversationId::Peer(peer);
        let waits = |m: &&Message| {
            m.conversation == theirs
                && m.delivery == Delivery::Queued
                && m.seq > after_seq
                && !self.delivered.contains(&m.id)
        };
        self.disk.iter().filter(waits).cloned().collect()
    }
}
