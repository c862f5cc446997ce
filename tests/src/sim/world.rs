//! The world: hosts, their clocks, and the order in which things happen.

use super::disk::Disk;
use super::network::{End, Stream, Weather};
use super::oracle::{Mark, Oracle};
use super::puppet::Puppet;
use super::shell::Running;
use super::{mins, ms, secs};
use hallway_model::{
    Answer, Body, Command, ConversationId, Instant, MessageId, Name, Now, Peer, PeerId, Reaction,
    Refusal, Relation, WallTime,
};
use hallway_proto::handshake::LocalKeys;
use hallway_proto::io::{CommandId, DialId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// When every simulation starts: 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600_000;
/// After all faults have ended, everything owed is delivered within this: the longest wait
/// between two dials is 120 s, and a dead session is noticed after 45 s.
const RECOVERY: Duration = mins(5);
/// How long a commit takes on a healthy disk.
const COMMIT_US: Range<u64> = 300..3_000;
/// Timers that may ring on one host in one second. More is a busy loop.
const RINGS_MAX: u32 = 100;

/// One host of a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub(super) usize);

/// How a host goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: the system closes the connections.
    Kill,
    /// The power fails: others hear nothing, until the host is back and resets what it does not
    /// know.
    Power,
}

/// Hosts on one network, under a virtual clock.
pub struct World {
    pub(super) rng: ChaCha8Rng,
    /// Microseconds since the start.
    pub(super) now: u64,
    pub(super) agenda: BTreeMap<(u64, u64), Happening>,
    pub(super) last_number: u64,
    pub(super) machines: Vec<Machine>,
    pub(super) streams: BTreeMap<u64, Stream>,
    /// Directions in which nothing passes.
    pub(super) cuts: BTreeSet<(Host, Host)>,
    pub(super) telephony: super::calls::Telephony,
    pub(super) parcels: super::files::Parcels,
    pub(super) oracle: Oracle,
    /// How the network behaves now.
    pub weather: Weather,
    /// How long a commit takes, in microseconds.
    pub commit_us: Range<u64>,
    /// Timers that may ring on one host in one second.
    pub rings_max: u32,
    seed: u64,
    tell: bool,
}

/// What a host is made of.
pub(super) struct Machine {
    pub(super) name: Name,
    pub(super) keys: Arc<LocalKeys>,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) options: Options,
    pub(super) disk: Disk,
    /// Counts the starts.
    pub(super) life: u32,
    /// Others can connect.
    pub(super) listens: bool,
    /// Never to be started again.
    retired: bool,
    /// The system answers, whether or not a node runs.
    pub(super) powered: bool,
    pub(super) mind: Mind,
    pub(super) wall_offset_ms: i64,
    pub(super) replies: BTreeMap<CommandId, Result<Answer, Refusal>>,
    /// Crash at the output that hands the disk or the network so many things from now.
    pub(super) crash_after: Option<u32>,
    /// Things handed to the disk or the network since the start.
    pub(super) handed: u32,
    /// When our announcements run out on this host, by whose they are.
    pub(super) heard: BTreeMap<PeerId, u64>,
}

/// What a host is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Announces itself and listens to announcements.
    pub discovery: bool,
    /// Addresses of the configuration.
    pub statics: Vec<SocketAddr>,
    /// Has AES in hardware.
    pub fast_aes: bool,
    /// Takes everybody as a contact.
    pub accept_all: bool,
    /// Answers every call at once.
    pub auto_answer: bool,
    /// Tells what was read.
    pub read_receipts: bool,
}

/// Who decides on a host.
pub(super) enum Mind {
    /// Nobody: the node does not run.
    Off,
    /// The engine.
    Node(Box<Running>),
    /// The test itself, through its puppet.
    Puppet(Puppet),
}

/// What is to happen.
pub(super) enum Happening {
    /// The first segment on its way to this end gets there.
    Arrive(End),
    /// A request to connect reaches its host.
    Syn(u64),
    /// The answer to it comes back; false refuses.
    SynAck(u64, bool),
    /// The next address of a race is to be tried.
    Attempt(Host, u32, DialId),
    /// An attempt or a handshake has taken too long.
    Overdue(End),
    /// A node takes what has gathered in its queue.
    Turn(Host, u32),
    /// A timer of a node rings.
    Ring(Host, u32),
    /// The disk ends a commit.
    Commit(Host, u32),
    /// The disk reports one request.
    Report(Host, u32),
    /// A read of the outbox is done.
    Read(Host, u32, PeerId, u64, usize),
    /// It is time to announce again.
    Announce(Host, u32),
    /// An announcement is heard here.
    Hear(Host, Host, u32),
    /// A goodbye of an announcement, or its end of life, is heard here.
    Unhear(Host, PeerId, bool),
    /// The script of a test goes on.
    Script(Box<dyn FnOnce(&mut World)>),
}

impl World {
    /// An empty network in fair weather. `tell` prints what happens.
    pub fn new(seed: u64, tell: bool) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: 0,
            agenda: BTreeMap::new(),
            last_number: 0,
            machines: Vec::new(),
            streams: BTreeMap::new(),
            cuts: BTreeSet::new(),
            telephony: super::calls::Telephony::default(),
            parcels: super::files::Parcels::default(),
            oracle: Oracle::default(),
            weather: Weather::default(),
            commit_us: COMMIT_US,
            rings_max: RINGS_MAX,
            seed,
            tell,
        }
    }

    /// Stands for everything that has happened: the next number of the generator, and how many
    /// things were numbered.
    pub fn digest(&mut self) -> (u64, u64) {
        (self.rng.next_u64(), self.last_number)
    }

    /// The seed of this world.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    // Hosts.

    /// So many hosts, off, in the order of their ids.
    pub fn hosts(&mut self, number: usize) -> Vec<Host> {
        let mut seeds: Vec<([u8; 32], [u8; 32])> =
            (0..number).map(|_| (self.bytes(), self.bytes())).collect();
        let keys = |world: &Self, seeds: &([u8; 32], [u8; 32]), number: usize| {
            let name = host_name(world.machines.len() + number);
            LocalKeys::new(seeds.0, seeds.1, &name, WallTime(START))
        };
        seeds.sort_by_cached_key(|seeds| keys(self, seeds, 0).id());
        let all = seeds
            .iter()
            .enumerate()
            .map(|(n, seeds)| Arc::new(keys(self, seeds, n)));
        let all: Vec<_> = all.collect();
        all.into_iter().map(|keys| self.add(keys)).collect()
    }

    /// A host with a copy of another's data directory.
    pub fn clone_of(&mut self, original: Host) -> Host {
        let machine = self.machine(original);
        let (keys, peers) = (machine.keys.clone(), machine.disk.snapshot().peers);
        let clone = self.add(keys);
        self.machines[clone.0].disk = Disk::new(self.id(original), peers);
        self.oracle.cloned.insert(self.id(original));
        clone
    }

    fn add(&mut self, keys: Arc<LocalKeys>) -> Host {
        let number = self.machines.len();
        let last = u16::try_from(number + 1).expect("few hosts").to_be_bytes();
        self.machines.push(Machine {
            name: host_name(number),
            disk: Disk::new(keys.id(), Vec::new()),
            keys,
            address: Ipv4Addr::new(10, 0, last[0], last[1]).into(),
            port: hallway_model::PORT_DEFAULT,
            options: Options {
                discovery: true,
                statics: Vec::new(),
                fast_aes: false,
                accept_all: false,
                auto_answer: false,
                read_receipts: true,
            },
            life: 0,
            listens: true,
            retired: false,
            powered: true,
            mind: Mind::Off,
            wall_offset_ms: 0,
            replies: BTreeMap::new(),
            crash_after: None,
            handed: 0,
            heard: BTreeMap::new(),
        });
        Host(number)
    }

    /// Makes two hosts that are off contacts of each other, as if they had met before.
    pub fn befriend(&mut self, one: Host, other: Host) {
        for (me, peer) in [(one, other), (other, one)] {
            let address = self.address(peer);
            let mut record = Peer::new(self.id(peer), WallTime(START));
            record.relation = Relation::Contact;
            record.name = Some(self.machine(peer).name.clone());
            record.addresses = vec![address];
            self.machines[me.0]
                .disk
                .peers_mut()
                .insert(record.id, record);
        }
    }

    /// Two contacts with a live session; the first has the smaller id.
    pub fn couple(&mut self) -> (Host, Host) {
        let hosts = self.hosts(2);
        self.befriend(hosts[0], hosts[1]);
        for host in &hosts {
            self.start(*host);
        }
        self.run_until(secs(10), |world| {
            let (one, other) = (hosts[0], hosts[1]);
            let shown = world.is_live(one, other) && world.is_live(other, one);
            shown && world.are_joined(one, other)
        });
        (hosts[0], hosts[1])
    }

    pub(super) fn machine(&self, host: Host) -> &Machine {
        &self.machines[host.0]
    }

    pub(super) fn machine_mut(&mut self, host: Host) -> &mut Machine {
        &mut self.machines[host.0]
    }

    /// What the host is started with, to be changed while it is off.
    pub fn options(&mut self, host: Host) -> &mut Options {
        &mut self.machines[host.0].options
    }

    /// Sets a host's name, while it is off.
    pub fn name(&mut self, host: Host, name: &str) {
        self.machines[host.0].name = Name::new(name).expect("a test gives proper names");
    }

    /// Everybody.
    pub fn all(&self) -> Vec<Host> {
        (0..self.machines.len()).map(Host).collect()
    }

    /// Has a host that is off know no address of another.
    pub fn forget_address(&mut self, host: Host, of: Host) {
        let id = self.id(of);
        if let Some(record) = self.machine_mut(host).disk.peers_mut().get_mut(&id) {
            record.addresses.clear();
        }
    }

    /// A firewall closes the port of a host: nobody can dial it any more.
    pub fn close_port(&mut self, host: Host) {
        self.machine_mut(host).listens = false;
    }

    /// Takes a host out of the network for good.
    pub fn retire(&mut self, host: Host) {
        self.machine_mut(host).retired = true;
    }

    /// Who a host is.
    pub fn id(&self, host: Host) -> PeerId {
        self.machine(host).keys.id()
    }

    /// Where a host is now.
    pub fn address(&self, host: Host) -> SocketAddr {
        let machine = self.machine(host);
        SocketAddr::new(machine.address, machine.port)
    }

    /// The record that a host has on disk of another.
    pub fn record(&self, host: Host, peer: Host) -> Option<&Peer> {
        self.machine(host).disk.peer(&self.id(peer))
    }

    // Time.

    /// Both clocks of a host.
    pub(super) fn clock(&self, host: Host) -> Now {
        let machine = self.machine(host);
        let mono = match &machine.mind {
            Mind::Node(running) => self.now - running.booted_at + running.slept,
            Mind::Off | Mind::Puppet(_) => 0,
        };
        let wall = START + self.now / 1000;
        Now {
            mono: Instant(mono),
            wall: WallTime(wall.saturating_add_signed(machine.wall_offset_ms)),
        }
    }

    /// Time passed since the start.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.now)
    }

    pub(super) fn at(&mut self, at: u64, what: Happening) {
        let number = self.number();
        self.agenda.insert((at.max(self.now), number), what);
    }

    pub(super) fn after(&mut self, us: u64, what: Happening) {
        self.at(self.now + us, what);
    }

    /// A number that was never given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Does something later.
    pub fn later(&mut self, delay: Duration, script: impl FnOnce(&mut Self) + 'static) {
        let at = self.now + micros(delay);
        self.at(at, Happening::Script(Box::new(script)));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + micros(duration);
        while let Some(first) = self.agenda.first_entry().filter(|e| e.key().0 <= end) {
            let ((at, _), what) = first.remove_entry();
            self.now = at;
            self.happen(what);
        }
        self.now = end;
    }

    /// Lets time pass until something is so; it must become so within `limit`.
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) {
        let end = self.now + micros(limit);
        while !is_so(self) {
            let first = self.agenda.first_entry().filter(|e| e.key().0 <= end);
            let Some(first) = first else {
                panic!("it was not so within {limit:?}, at {:?}", self.elapsed());
            };
            let ((at, _), what) = first.remove_entry();
            self.now = at;
            self.happen(what);
        }
    }

    fn happen(&mut self, what: Happening) {
        let lives = |world: &Self, host: Host, life| {
            let machine = world.machine(host);
            machine.life == life && !matches!(machine.mind, Mind::Off)
        };
        match what {
            Happening::Arrive(end) => self.arrive(end),
            Happening::Syn(stream) => self.syn(stream),
            Happening::SynAck(stream, taken) => self.syn_ack(stream, taken),
            Happening::Overdue(end) => self.overdue(end),
            Happening::Attempt(host, life, dial) if lives(self, host, life) => {
                self.attempt(host, dial);
            }
            Happening::Turn(host, life) if lives(self, host, life) => self.turn(host),
            Happening::Ring(host, life) if lives(self, host, life) => self.ring(host),
            Happening::Commit(host, life) if lives(self, host, life) => self.commit(host),
            Happening::Report(host, life) if lives(self, host, life) => self.report(host),
            Happening::Read(host, life, peer, after, limit) if lives(self, host, life) => {
                self.read_outbox(host, peer, after, limit);
            }
            Happening::Announce(host, life) if lives(self, host, life) => self.announce(host),
            Happening::Hear(host, from, life) => self.hear(host, from, life),
            Happening::Unhear(host, peer, goodbye) => self.unhear(host, peer, goodbye),
            Happening::Script(script) => script(self),
            Happening::Attempt(..)
            | Happening::Turn(..)
            | Happening::Ring(..)
            | Happening::Commit(..)
            | Happening::Report(..)
            | Happening::Read(..)
            | Happening::Announce(..) => {}
        }
    }

    // Chance.

    /// True so often out of a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.rng.next_u32() % 1_000_000 < per_million
    }

    /// A number of the range.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        match range.end.saturating_sub(range.start) {
            0 => range.start,
            width => range.start + self.rng.next_u64() % width,
        }
    }

    /// A duration between two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        Duration::from_micros(self.range(micros(least)..micros(most)))
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let number = u64::try_from(from.len()).expect("a length");
        let at = usize::try_from(self.range(0..number)).expect("below a length");
        from[at]
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// The id of somebody who is not here.
    pub fn anybody(&mut self) -> PeerId {
        PeerId(self.bytes())
    }

    // What people do.

    /// Has a face ask something, if the node runs. The answer comes in time; see
    /// [`World::answer`].
    pub fn command(&mut self, host: Host, command: Command) -> CommandId {
        let id = CommandId(self.number());
        if self.running(host).is_none() {
            return id;
        }
        self.trace(|_| format!("{host:?} is asked {id:?}: {command:?}"));
        self.oracle.asked(host, id, &command);
        self.input(host, hallway_proto::io::Input::Command(id, command));
        id
    }

    /// What a command was answered.
    pub fn answer(&self, host: Host, command: CommandId) -> Option<&Result<Answer, Refusal>> {
        self.machine(host).replies.get(&command)
    }

    /// Asks and waits for the answer.
    #[track_caller]
    pub fn ask(&mut self, host: Host, command: Command) -> Result<Answer, Refusal> {
        let id = self.command(host, command);
        self.run_until(secs(30), |world| world.answer(host, id).is_some());
        self.answer(host, id).expect("it is there").clone()
    }

    /// Has a person write a text nobody else writes.
    pub fn say(&mut self, from: Host, to: Host) -> Mark {
        let mark = self.mark();
        self.say_with(from, self.id(to), mark.text(), None);
        mark
    }

    /// Has a person write something of any kind.
    pub fn say_anything(&mut self, from: Host, to: Host) -> Mark {
        let mark = self.mark();
        let target = MessageId(self.bytes());
        let body = match self.range(0..4) {
            0 => Body::Edit {
                target,
                text: mark.to_string(),
            },
            1 => Body::Delete {
                target: mark.as_target(),
            },
            2 => Body::Reaction(Reaction {
                target,
                emoji: mark.to_string(),
                on: true,
            }),
            _ => mark.text(),
        };
        self.say_with(from, self.id(to), body, None);
        mark
    }

    /// A number nobody has used.
    pub fn mark(&mut self) -> Mark {
        Mark(self.number())
    }

    /// Has a person read what another wrote, as far as it is there.
    pub fn read_up_to(&mut self, host: Host, author: Host, seq: u64) {
        let author = self.id(author);
        let messages = self.machine(host).disk.messages();
        let last = messages
            .filter(|m| m.author == author)
            .map(|m| m.seq)
            .max()
            .unwrap_or(0);
        if last > 0 {
            self.command(host, Command::MarkRead(author, seq.min(last)));
        }
    }

    /// Has a face send something, perhaps again.
    pub fn say_with(&mut self, from: Host, to: PeerId, body: Body, client_id: Option<String>) {
        let to = ConversationId::Peer(to);
        self.command(
            from,
            Command::Send {
                to,
                body,
                client_id,
            },
        );
    }

    // What goes wrong.

    /// Starts a node.
    pub fn start(&mut self, host: Host) {
        assert!(
            matches!(self.machine(host).mind, Mind::Off),
            "{host:?} runs already"
        );
        let machine = self.machine_mut(host);
        machine.life += 1;
        machine.powered = true;
        let life = machine.life;
        self.trace(|_| format!("{host:?} starts for the {life}. time"));
        self.boot(host);
        self.unblock_paths();
    }

    /// Stops a node at once.
    pub fn crash(&mut self, host: Host, how: Crash) {
        self.trace(|_| format!("{host:?} crashes: {how:?}"));
        let power = how == Crash::Power;
        let finish_commit = !power || self.chance(500_000);
        self.hang_up_all(host, power);
        self.oracle.crashed(host);
        self.telephony.crashed(host);
        self.parcels.crashed(host);
        if finish_commit {
            // What had left for the disk may still get there.
            self.end_commit(host);
        }
        let machine = self.machine_mut(host);
        machine.powered = !power;
        machine.mind = Mind::Off;
        machine.disk.crash();
        machine.heard.clear();
        machine.crash_after = None;
    }

    /// Crashes a host instead of handing its disk or the network the `number`th thing from now.
    pub fn crash_after(&mut self, host: Host, number: u32) {
        self.machine_mut(host).crash_after = Some(number);
    }

    /// Things a host has handed its disk and the network since it was made.
    pub fn handed(&self, host: Host) -> u32 {
        self.machine(host).handed
    }

    /// A node that does not run.
    pub fn is_off(&self, host: Host) -> bool {
        matches!(self.machine(host).mind, Mind::Off)
    }

    /// Asks a node to stop and waits until it has.
    pub fn stop(&mut self, host: Host) {
        self.input(host, hallway_proto::io::Input::Shutdown);
        self.farewell(host);
        self.run_for(ms(500));
        self.crash(host, Crash::Kill);
    }

    /// Moves the wall clock of a host.
    pub fn jump_wall(&mut self, host: Host, ms: i64) {
        let offset = &mut self.machine_mut(host).wall_offset_ms;
        *offset = offset.saturating_add(ms);
    }

    /// The monotonic clock of a host leaps, as after a suspend on systems that count it.
    pub fn sleep(&mut self, host: Host, duration: Duration) {
        if let Mind::Node(running) = &mut self.machines[host.0].mind {
            running.slept += micros(duration);
            self.set_alarm(host);
        }
    }

    /// Lets nothing pass in one direction. Neither side is told.
    pub fn cut(&mut self, from: Host, to: Host) {
        self.cuts.insert((from, to));
    }

    /// Lets nothing pass between two hosts. Neither is told.
    pub fn part(&mut self, one: Host, other: Host) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Everything passes again between two hosts.
    pub fn join(&mut self, one: Host, other: Host) {
        self.cuts.remove(&(one, other));
        self.cuts.remove(&(other, one));
        self.unblock_paths();
    }

    /// Everything passes again.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.unblock_paths();
    }

    /// Commits fail for want of room when more messages than this are to be kept.
    pub fn set_room(&mut self, host: Host, room: Option<usize>) {
        self.machine_mut(host).disk.room = room;
    }

    /// Commits fail, or no longer do.
    pub fn set_failing(&mut self, host: Host, failing: bool) {
        self.machine_mut(host).disk.failing = failing;
    }

    // How it went.

    /// It is on the receiver's disk.
    pub fn arrived(&self, mark: Mark) -> bool {
        self.oracle.said(mark).is_some_and(|said| {
            let from = self.id(said.from);
            let to = self
                .machines
                .iter()
                .filter(|machine| machine.keys.id() == said.to);
            let found = |machine: &Machine| {
                let mut messages = machine.disk.messages();
                messages.any(|m| m.author == from && Mark::of(&m.body) == Some(mark))
            };
            to.into_iter().any(found)
        })
    }

    /// Two hosts have exactly one session, and it is the same.
    pub fn are_joined(&self, one: Host, other: Host) -> bool {
        let ends = |from: Host, to: Host| self.sessions(from, self.id(to));
        match (ends(one, other).as_slice(), ends(other, one).as_slice()) {
            ([a], [b]) => *a == b.other(),
            _ => false,
        }
    }

    /// Ends all faults and starts whoever is down.
    pub fn calm(&mut self) {
        self.trace(|_| "all faults end".into());
        let latency_us = self.weather.latency_us.clone();
        self.weather = Weather {
            latency_us,
            ..Weather::default()
        };
        self.commit_us = COMMIT_US;
        self.heal();
        for host in self.all() {
            let machine = self.machine_mut(host);
            machine.crash_after = None;
            (machine.disk.room, machine.disk.failing) = (None, false);
            if self.is_off(host) && !self.machine(host).retired {
                self.start(host);
            }
        }
    }

    /// Ends all faults and checks that everything promised is kept.
    #[track_caller]
    pub fn settle(&mut self) {
        self.calm();
        // A stream that was tampered with may be silent for this long before it is given up.
        self.run_for(secs(50));
        let end = self.now + micros(RECOVERY);
        while self.unsettled().is_some() && self.now < end {
            self.run_for(secs(1));
        }
        // It stays so: nobody dials, nobody hangs up.
        let before = self.dials_of_friends();
        self.run_for(mins(3));
        if let Some(why) = self.unsettled() {
            panic!("after {RECOVERY:?} of calm: {why}");
        }
        for (friends, dials) in self.dials_of_friends() {
            // One renewal may fall into this time.
            let fair = before.get(&friends).copied().unwrap_or(0) + 1;
            assert!(
                dials <= fair,
                "{friends:?} are dialled although all is well"
            );
        }
    }

    pub(super) fn trace(&self, what: impl FnOnce(&Self) -> String) {
        if self.tell {
            eprintln!("{:>14.6} {}", self.elapsed().as_secs_f64(), what(self));
        }
    }
}

fn host_name(number: usize) -> Name {
    Name::new(&format!("Host {number}")).expect("a proper name")
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("no test takes an age")
}
