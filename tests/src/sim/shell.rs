//! The shell of one node: what the driver, the dial race and the disk thread do on a real host.

use super::disk::Request;
use super::network::{End, EndState, HANDSHAKE_WITHIN_US};
use super::puppet::Puppet;
use super::world::{Crash, Happening, Host, Mind, World, micros};
use super::{ms, secs};
use hallway_model::{Name, PeerId, Status};
use hallway_proto::handshake::{Entropy, Established, Handshake, Policy, Purpose, Step, Suite};
use hallway_proto::io::{ConnId, DialId, Input, Output, Sighting, StaticId};
use hallway_proto::limits::DIALS_MAX;
use hallway_proto::{Config, Engine};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;

/// The next address of a race gets its chance after this.
const STAGGER_US: u64 = 250_000;
/// How long the driver may be busy with something else.
const BUSY_US: Range<u64> = 0..200;
/// How long a report of the disk takes to its engine.
const REPORT_US: Range<u64> = 0..300;
/// How long a read takes before it looks, and then again until its engine has the result.
const READ_US: Range<u64> = 0..3_000;
/// Announcements are repeated within their time to live.
const ANNOUNCE_EVERY_US: Range<u64> = 60_000_000..90_000_000;
const ANNOUNCEMENT_LIVES_US: u64 = 120_000_000;
/// Outputs after one turn. More is an endless loop.
const OUTPUTS_MAX: usize = 100_000;

/// A node that runs.
pub(super) struct Running {
    pub(super) engine: Engine,
    pub(super) booted_at: u64,
    /// How far the monotonic clock has leapt, in microseconds.
    pub(super) slept: u64,
    inbox: VecDeque<Input>,
    turn_due: bool,
    alarm_at: Option<u64>,
    pub(super) conns: BTreeMap<ConnId, Conn>,
    /// The connections that the engine has been told of, and not of their end.
    pub(super) known: BTreeMap<ConnId, PeerId>,
    /// With whom there was one at any time since the last turn: what the engine says may be about
    /// a moment between two inputs.
    pub(super) lately: BTreeSet<PeerId>,
    races: BTreeMap<DialId, Race>,
    announced: Option<(Name, Status)>,
    rings: (u64, u32),
}

/// An open connection.
pub(super) struct Conn {
    pub(super) end: End,
    pub(super) peer: PeerId,
}

/// Addresses of one peer, raced.
struct Race {
    expected: Option<PeerId>,
    suite: Suite,
    waiting: VecDeque<SocketAddr>,
    running: BTreeSet<u64>,
}

/// A handshake under way.
pub(super) struct Shake {
    handshake: Handshake,
    dial: Option<DialId>,
    deadline: u64,
}

impl World {
    // Starting and stopping.

    pub(super) fn boot(&mut self, host: Host) {
        let machine = self.machine(host);
        let config = Config {
            id: machine.keys.id(),
            name: machine.name.clone(),
            port: machine.port,
            fast_aes: machine.options.fast_aes,
            read_receipts: machine.options.read_receipts,
            accept_all: machine.options.accept_all,
            accept_files_bytes: 0,
            auto_answer: machine.options.auto_answer,
        };
        let (snapshot, life) = (machine.disk.snapshot(), machine.life);
        let (statics, address) = (machine.options.statics.clone(), machine.address);
        let seed = self.bytes();
        let wall = self.clock(host).wall;
        let now = hallway_model::Now {
            wall,
            ..Default::default()
        };
        let engine = Engine::new(config, snapshot, seed, now);
        self.machine_mut(host).mind = Mind::Node(Box::new(Running {
            engine,
            booted_at: self.now,
            slept: 0,
            inbox: VecDeque::new(),
            turn_due: false,
            alarm_at: None,
            conns: BTreeMap::new(),
            known: BTreeMap::new(),
            lately: BTreeSet::new(),
            races: BTreeMap::new(),
            announced: None,
            rings: (0, 0),
        }));
        self.input(host, Input::Links(vec![address]));
        for (id, address) in (0..).map(StaticId).zip(statics) {
            self.input(host, Input::Static(id, vec![address]));
        }
        let next = self.range(ANNOUNCE_EVERY_US);
        self.after(next, Happening::Announce(host, life));
        // Whoever starts asks who is there.
        for other in self.all() {
            let life = self.machine(other).life;
            let latency = self.range(self.weather.latency_us.clone());
            if other != host && self.running(other).is_some() {
                self.after(2 * latency, Happening::Hear(host, other, life));
            }
        }
    }

    /// Announces that a node stops.
    pub(super) fn farewell(&mut self, host: Host) {
        let peer = self.id(host);
        if let Some(running) = self.running_mut(host) {
            running.announced = None;
        }
        for other in self.all() {
            if other != host && !self.cuts.contains(&(host, other)) {
                self.after(300, Happening::Unhear(other, peer, true));
            }
        }
    }

    pub(super) fn running(&self, host: Host) -> Option<&Running> {
        match &self.machine(host).mind {
            Mind::Node(running) => Some(running),
            Mind::Off | Mind::Puppet(_) => None,
        }
    }

    pub(super) fn running_mut(&mut self, host: Host) -> Option<&mut Running> {
        match &mut self.machine_mut(host).mind {
            Mind::Node(running) => Some(running),
            Mind::Off | Mind::Puppet(_) => None,
        }
    }

    fn puppet_mut(&mut self, host: Host) -> Option<&mut Puppet> {
        match &mut self.machine_mut(host).mind {
            Mind::Puppet(puppet) => Some(puppet),
            Mind::Off | Mind::Node(_) => None,
        }
    }

    /// The far ends of the sessions that the shell of a host holds with a peer.
    pub(super) fn sessions(&self, host: Host, peer: PeerId) -> Vec<End> {
        let conns = self
            .running(host)
            .into_iter()
            .flat_map(|running| running.conns.values());
        conns
            .filter(|conn| conn.peer == peer)
            .map(|conn| conn.end)
            .collect()
    }

    /// Peers that a node holds in memory.
    pub fn peers_in_memory(&self, host: Host) -> usize {
        self.running(host)
            .map_or(0, |running| running.engine.peers())
    }

    // Into the engine.

    /// Something happened on a host: its driver takes it when its turn comes.
    pub(super) fn input(&mut self, host: Host, input: Input) {
        let life = self.machine(host).life;
        let busy = self.range(BUSY_US);
        let Some(running) = self.running_mut(host) else {
            return;
        };
        running.inbox.push_back(input);
        if !std::mem::replace(&mut running.turn_due, true) {
            self.after(busy, Happening::Turn(host, life));
        }
    }

    /// The driver takes what has gathered, or some of it, and then does what the engine wants.
    pub(super) fn turn(&mut self, host: Host) {
        let some = self.chance(200_000);
        let waiting = self.running_mut(host).map_or(0, |running| {
            running.lately = running.known.values().copied().collect();
            running.inbox.len()
        });
        let most = u64::try_from(waiting).expect("a length");
        let taken = if some { self.range(1..most + 1) } else { most };
        for _ in 0..taken {
            let now = self.clock(host);
            let Some(running) = self.running_mut(host) else {
                return;
            };
            if let Some(input) = running.inbox.pop_front() {
                self.trace(|_| format!("{host:?} <- {}", shown(&input)));
                if let Some(running) = self.running_mut(host) {
                    if let Input::Established {
                        conn, established, ..
                    } = &input
                    {
                        running.known.insert(*conn, established.peer);
                        running.lately.insert(established.peer);
                    } else if let Input::Closed(conn) = &input {
                        running.known.remove(conn);
                    }
                    running.engine.handle(input, now);
                }
            }
        }
        let (life, busy) = (self.machine(host).life, self.range(BUSY_US));
        if let Some(running) = self.running_mut(host) {
            running.turn_due = !running.inbox.is_empty();
            if running.turn_due {
                self.after(busy, Happening::Turn(host, life));
            }
        }
        self.drain(host);
    }

    /// The alarm of a node rings.
    pub(super) fn ring(&mut self, host: Host) {
        let now = self.clock(host);
        let (at, most) = (self.now, self.rings_max);
        let Some(running) = self.running_mut(host) else {
            return;
        };
        if running.alarm_at != Some(at) {
            return;
        }
        running.alarm_at = None;
        let second = at / 1_000_000;
        let rings = if running.rings.0 == second {
            running.rings.1 + 1
        } else {
            1
        };
        running.rings = (second, rings);
        assert!(rings <= most, "{host:?} is woken {rings} times in a second");
        running.engine.handle(Input::Timeout, now);
        self.trace(|_| format!("{host:?} <- Timeout"));
        self.drain(host);
        let due = self
            .running(host)
            .and_then(|running| running.engine.poll_timeout());
        let is_later = due.is_none_or(|due| due > now.mono);
        assert!(
            is_later,
            "{host:?} wants to be woken at {due:?}, and it is {:?}",
            now.mono
        );
    }

    /// Does everything the engine wants done.
    fn drain(&mut self, host: Host) {
        let now = self.clock(host);
        let mut outputs = 0;
        while let Some(output) = self
            .running_mut(host)
            .and_then(|running| running.engine.poll_output(now))
        {
            outputs += 1;
            assert!(outputs <= OUTPUTS_MAX, "{host:?} has no end of outputs");
            if matches!(output, Output::Store { .. } | Output::Transmit(..)) {
                let machine = self.machine_mut(host);
                machine.handed += 1;
                machine.crash_after = machine.crash_after.map(|left| left - 1);
                if machine.crash_after == Some(0) {
                    let how = if self.chance(500_000) {
                        Crash::Kill
                    } else {
                        Crash::Power
                    };
                    self.crash(host, how);
                    return;
                }
            }
            self.carry_out(host, output);
        }
        self.set_alarm(host);
    }

    /// Sets the alarm for when the engine wants to be woken.
    pub(super) fn set_alarm(&mut self, host: Host) {
        let now = self.clock(host).mono;
        let (life, late) = (self.machine(host).life, self.range(0..200));
        let Some(running) = self.running_mut(host) else {
            return;
        };
        let Some(due) = running.engine.poll_timeout() else {
            running.alarm_at = None;
            return;
        };
        let at = (due.0.max(now.0) - running.slept + running.booted_at).max(running.booted_at);
        if running
            .alarm_at
            .is_none_or(|alarm| alarm < at || alarm > at + 200)
        {
            running.alarm_at = Some(at + late);
            self.at(at + late, Happening::Ring(host, life));
        }
    }

    // Out of the engine.

    fn carry_out(&mut self, host: Host, output: Output) {
        self.trace(|_| format!("{host:?} -> {}", told(&output)));
        match output {
            Output::Dial {
                dial,
                expected,
                addresses,
                suite,
            } => {
                self.oracle.dialled(host, expected, self.now);
                let (waiting, running) = (addresses.into(), BTreeSet::new());
                let race = Race {
                    expected,
                    suite,
                    waiting,
                    running,
                };
                if let Some(running) = self.running_mut(host) {
                    running.races.insert(dial, race);
                    let of_peers = running
                        .races
                        .values()
                        .filter(|race| race.expected.is_some());
                    assert!(
                        of_peers.count() <= DIALS_MAX,
                        "{host:?} dials too many at once"
                    );
                }
                self.attempt(host, dial);
            }
            Output::CancelDial(dial) => self.end_race(host, dial, None),
            Output::Transmit(conn, bytes) => {
                let conns = self.running(host).map(|running| &running.conns);
                if let Some(end) = conns
                    .and_then(|conns| conns.get(&conn))
                    .map(|conn| conn.end)
                {
                    self.write(end, &bytes);
                }
            }
            Output::Close(conn) => {
                if let Some(running) = self.running_mut(host) {
                    running.known.remove(&conn);
                }
                let conns = self.running(host).map(|running| &running.conns);
                if let Some(end) = conns
                    .and_then(|conns| conns.get(&conn))
                    .map(|conn| conn.end)
                {
                    self.hang_up(end, false);
                }
            }
            Output::Store {
                token,
                epoch,
                writes,
            } => {
                let request = Request {
                    token,
                    epoch,
                    writes,
                };
                if self.machine_mut(host).disk.submit(request) {
                    self.begin_commit(host);
                }
            }
            Output::LoadOutbox {
                peer,
                after_seq,
                limit,
            } => {
                let (life, delay) = (self.machine(host).life, self.range(READ_US));
                self.after(delay, Happening::Read(host, life, peer, after_seq, limit));
            }
            Output::Event(kind) => self.witness_event(host, kind),
            Output::Added { message, .. } => {
                self.witness_added(host, &message);
            }
            Output::Reply(command, answer) => {
                self.witness_answer(host, command, &answer);
                let again = self.machine_mut(host).replies.insert(command, answer);
                assert!(again.is_none(), "{command:?} was answered twice");
            }
            Output::Announce(name, status) => {
                if let Some(running) = self.running_mut(host) {
                    running.announced = Some((name, status));
                }
                self.announce_now(host);
            }
            Output::Doubt(peer) => self.doubt(host, peer),
            Output::StartMedia { call, plan } => self.start_sound(host, call, *plan),
            Output::MediaCandidates(call, _) | Output::SetMedia { call, .. } => {
                self.check_sound(host, call);
            }
            Output::StopMedia(call) => self.stop_sound(host, call),
            Output::Files(order) => self.handle_files(host, order),
            // Every announcement is told of here.
            Output::Left(_) => {}
        }
    }

    // Dialling.

    /// The next address of a race gets its chance.
    pub(super) fn attempt(&mut self, host: Host, dial: DialId) {
        let race = |world: &mut Self| {
            let running = world.running_mut(host)?;
            let race = running.races.get_mut(&dial)?;
            Some((race.waiting.pop_front()?, !race.waiting.is_empty()))
        };
        let Some((address, more)) = race(self) else {
            return;
        };
        let stream = self.connect(host, dial, address);
        if let Some(race) = self.running_mut(host).and_then(|r| r.races.get_mut(&dial)) {
            race.running.insert(stream);
        }
        if more {
            let life = self.machine(host).life;
            self.after(STAGGER_US, Happening::Attempt(host, life, dial));
        }
    }

    /// One address of a race is out. When it was the last, so is the race.
    pub(super) fn attempt_failed(&mut self, host: Host, dial: DialId, end: End, why: &str) {
        self.hang_up(end, false);
        let Some(running) = self.running_mut(host) else {
            return;
        };
        let Some(race) = running.races.get_mut(&dial) else {
            return;
        };
        race.running.remove(&end.stream);
        if !race.running.is_empty() {
            return;
        }
        if race.waiting.is_empty() {
            running.races.remove(&dial);
            self.input(host, Input::DialFailed(dial, why.into()));
        } else {
            self.attempt(host, dial);
        }
    }

    /// Ends a race, for a winner or for nobody.
    fn end_race(&mut self, host: Host, dial: DialId, winner: Option<u64>) {
        let race = self
            .running_mut(host)
            .and_then(|running| running.races.remove(&dial));
        for stream in race.into_iter().flat_map(|race| race.running) {
            if winner != Some(stream) {
                self.hang_up(End { stream, side: 0 }, false);
            }
        }
    }

    // Handshakes.

    /// Somebody connects to a host that listens.
    pub(super) fn accept(&mut self, host: Host, end: End) {
        let entropy = Entropy::from_bytes(self.bytes());
        let machine = self.machine(host);
        let handshake = Handshake::respond(machine.keys.clone(), &self.policy(host), entropy);
        self.begin(end, handshake, None);
    }

    /// A host that was dialled has taken the connection.
    pub(super) fn begin_handshake(&mut self, host: Host, dial: DialId, end: End) {
        let terms = match &self.machine(host).mind {
            Mind::Node(running) => running
                .races
                .get(&dial)
                .map(|race| (race.expected, race.suite)),
            Mind::Puppet(_) => Some((None, Suite::ChaChaPoly)),
            Mind::Off => None,
        };
        let Some((expected, suite)) = terms else {
            self.hang_up(end, false);
            return;
        };
        let (keys, policy) = (self.machine(host).keys.clone(), self.policy(host));
        let entropy = Entropy::from_bytes(self.bytes());
        let (handshake, hello) =
            Handshake::initiate(keys, &policy, expected, suite, Purpose::Session, entropy);
        self.begin(end, handshake, Some(dial));
        self.write(end, &hello);
    }

    fn policy(&self, host: Host) -> Policy {
        Policy {
            fast_aes: self.machine(host).options.fast_aes,
            ..Policy::default()
        }
    }

    fn begin(&mut self, at: End, handshake: Handshake, dial: Option<DialId>) {
        let deadline = self.now + HANDSHAKE_WITHIN_US;
        if let Some(end) = self.end_mut(at) {
            end.state = EndState::Shaking(Box::new(Shake {
                handshake,
                dial,
                deadline,
            }));
        }
        self.at(deadline, Happening::Overdue(at));
    }

    /// Bytes of a handshake have come in.
    pub(super) fn shake(&mut self, host: Host, at: End, bytes: &[u8]) {
        let Some(end) = self.end_mut(at) else {
            return;
        };
        let EndState::Shaking(shake) = &mut end.state else {
            return;
        };
        let outcome = match shake.handshake.push(bytes) {
            Ok(false) => Ok(Step::NeedMore),
            Ok(true) => shake.handshake.step(),
            Err(error) => Err(error),
        };
        let dial = shake.dial;
        match outcome {
            Ok(Step::NeedMore) => {}
            Ok(Step::Send(bytes)) => self.write(at, &bytes),
            Ok(Step::Done { send, established }) => {
                self.write(at, &send);
                self.established(host, at, dial, established);
            }
            Err(error) => {
                if let Some(reject) = error.reject() {
                    self.write(at, &reject);
                }
                self.shake_failed(host, at, &error.to_string());
            }
        }
    }

    fn established(
        &mut self,
        host: Host,
        at: End,
        dial: Option<DialId>,
        established: Box<Established>,
    ) {
        let conn = ConnId(self.number());
        let peer = established.peer;
        let mut remote = self.end(at.other()).expect("it was just there").address;
        if at.side == 1 {
            let offset = u16::try_from(at.stream % 20_000).expect("a remainder");
            remote.set_port(40_000 + offset);
        }
        let end = self.end_mut(at).expect("it was just there");
        end.state = EndState::Open(conn);
        let local = end.address.ip();
        if self.puppet_mut(host).is_some() {
            self.puppet_established(host, conn, at, *established);
            return;
        }
        let Some(running) = self.running_mut(host) else {
            return;
        };
        running.conns.insert(conn, Conn { end: at, peer });
        if let Some(dial) = dial {
            self.end_race(host, dial, Some(at.stream));
        }
        self.input(
            host,
            Input::Established {
                conn,
                dial,
                remote,
                local,
                established,
            },
        );
    }

    /// A handshake came to nothing.
    pub(super) fn shake_failed(&mut self, host: Host, at: End, why: &str) {
        self.trace(|_| format!("{host:?}: a handshake at {at:?} failed: {why}"));
        let dial = match self.end(at).map(|end| &end.state) {
            Some(EndState::Shaking(shake)) => shake.dial,
            _ => None,
        };
        match dial {
            Some(dial) => self.attempt_failed(host, dial, at, why),
            None => self.hang_up(at, false),
        }
    }

    /// The time of an attempt is up, if it is still under way.
    pub(super) fn overdue(&mut self, at: End) {
        let now = self.now;
        let Some(end) = self.end(at) else {
            return;
        };
        let Some(host) = end.host else {
            return;
        };
        match &end.state {
            EndState::Connecting(dial) => {
                let dial = *dial;
                self.attempt_failed(host, dial, at, "timed out");
            }
            EndState::Shaking(shake) if shake.deadline <= now => {
                self.shake_failed(host, at, "too slow");
            }
            EndState::Shaking(_) | EndState::Open(_) | EndState::Closed => {}
        }
    }

    // Connections.

    pub(super) fn received(&mut self, host: Host, conn: ConnId, bytes: Vec<u8>) {
        if self.puppet_mut(host).is_some() {
            self.puppet_received(host, conn, &bytes);
        } else {
            self.input(host, Input::Received(conn, bytes));
        }
    }

    pub(super) fn conn_ended(&mut self, host: Host, conn: ConnId, tell: bool) {
        if let Some(puppet) = self.puppet_mut(host) {
            puppet.ended(conn);
        } else if let Some(running) = self.running_mut(host) {
            running.conns.remove(&conn);
            if tell {
                self.input(host, Input::Closed(conn));
            }
        }
    }

    // The disk.

    fn begin_commit(&mut self, host: Host) {
        let limit = usize::try_from(self.range(1..65)).expect("a small number");
        let life = self.machine(host).life;
        let takes = self.range(self.commit_us.clone());
        if self.machine_mut(host).disk.begin(limit) {
            self.after(takes, Happening::Commit(host, life));
        }
        self.pass_reports_on(host);
    }

    /// The disk ends a commit: it is durable, or it failed.
    pub(super) fn commit(&mut self, host: Host) {
        self.end_commit(host);
        self.begin_commit(host);
    }

    pub(super) fn end_commit(&mut self, host: Host) {
        let me = self.id(host);
        let durable = self.machine_mut(host).disk.commit(me);
        for write in &durable {
            self.witness_durable(host, write);
        }
    }

    fn pass_reports_on(&mut self, host: Host) {
        let life = self.machine(host).life;
        let reports = self.machine(host).disk.reports.len();
        for _ in 0..reports {
            let delay = self.range(REPORT_US);
            self.after(delay, Happening::Report(host, life));
        }
    }

    /// A report of the disk reaches the node. Reports keep their order.
    pub(super) fn report(&mut self, host: Host) {
        if let Some((token, result)) = self.machine_mut(host).disk.reports.pop_front() {
            self.input(
                host,
                match result {
                    Ok(added) => Input::Stored(token, added),
                    Err(fault) => Input::StoreFailed(token, fault),
                },
            );
        }
    }

    /// A reader looks at the outbox. Its result takes its time too.
    pub(super) fn read_outbox(&mut self, host: Host, peer: PeerId, after: u64, limit: usize) {
        let (me, life) = (self.id(host), self.machine(host).life);
        let disk = &self.machine(host).disk;
        let messages = (!disk.failing).then(|| disk.outbox(me, peer, after, limit));
        let delay = self.range(READ_US);
        let delay = std::time::Duration::from_micros(delay);
        self.later(delay, move |world| {
            if world.machine(host).life == life {
                world.input(
                    host,
                    match messages {
                        Some(messages) => Input::OutboxLoaded(peer, messages),
                        None => Input::OutboxUnread(peer),
                    },
                );
            }
        });
    }

    // Discovery.

    pub(super) fn announce(&mut self, host: Host) {
        self.announce_now(host);
        let (life, next) = (self.machine(host).life, self.range(ANNOUNCE_EVERY_US));
        self.after(next, Happening::Announce(host, life));
    }

    pub(super) fn announce_now(&mut self, host: Host) {
        let life = self.machine(host).life;
        for other in self.all() {
            if other != host {
                let latency = self.range(self.weather.latency_us.clone());
                self.after(latency, Happening::Hear(other, host, life));
            }
        }
    }

    pub(super) fn hear(&mut self, host: Host, from: Host, life: u32) {
        let listens = self.machine(host).options.discovery && self.running(host).is_some();
        let speaks = self.machine(from).options.discovery && self.machine(from).life == life;
        let lost = self.chance(self.weather.deafness) || self.cuts.contains(&(from, host));
        let (peer, address) = (self.id(from), self.address(from));
        let fast_aes = self.machine(from).options.fast_aes;
        let announced = self
            .running(from)
            .and_then(|running| running.announced.clone());
        let Some((name, status)) = announced.filter(|_| listens && speaks && !lost) else {
            return;
        };
        let end = self.now + ANNOUNCEMENT_LIVES_US;
        self.machine_mut(host).heard.insert(peer, end);
        self.at(end, Happening::Unhear(host, peer, false));
        let sighting = Sighting {
            name: Some(name),
            status,
            fast_aes,
            addresses: vec![address],
        };
        self.input(host, Input::Sighted(peer, sighting));
    }

    pub(super) fn unhear(&mut self, host: Host, peer: PeerId, goodbye: bool) {
        let now = self.now;
        let heard = &mut self.machine_mut(host).heard;
        let over = heard.get(&peer).is_some_and(|end| goodbye || *end <= now);
        if over {
            heard.remove(&peer);
            self.input(host, Input::Unsighted(peer));
        }
    }

    /// Asks the network whether somebody is still announced.
    fn doubt(&mut self, host: Host, peer: PeerId) {
        let owners = self
            .all()
            .into_iter()
            .filter(|other| self.id(*other) == peer);
        let answers = |other: &Host| {
            self.running(*other).is_some()
                && !self.cuts.contains(&(*other, host))
                && !self.cuts.contains(&(host, *other))
        };
        if owners.filter(answers).count() == 0 {
            let delay = self.between(ms(500), secs(3));
            self.after(micros(delay), Happening::Unhear(host, peer, true));
        }
    }

    /// Announces something false.
    pub fn spoof(&mut self, host: Host, peer: PeerId, addresses: Vec<SocketAddr>) {
        let sighting = Sighting {
            name: None,
            status: Status::Available,
            fast_aes: false,
            addresses,
        };
        self.input(host, Input::Sighted(peer, sighting));
    }
}

fn shown(input: &Input) -> String {
    match input {
        Input::Received(conn, bytes) => format!("{} bytes on {conn:?}", bytes.len()),
        Input::Established {
            conn,
            dial,
            established,
            ..
        } => {
            format!("Established {conn:?} with {:?}, {dial:?}", established.peer)
        }
        Input::Command(..)
        | Input::Sighted(..)
        | Input::Unsighted(_)
        | Input::Static(..)
        | Input::Unstatic(_)
        | Input::DialFailed(..)
        | Input::Closed(_)
        | Input::Stored(..)
        | Input::StoreFailed(..)
        | Input::OutboxLoaded(..)
        | Input::OutboxUnread(_)
        | Input::Links(_)
        | Input::MediaDevices { .. }
        | Input::MediaHeard(_)
        | Input::MediaSilent(_)
        | Input::MediaStats(..)
        | Input::MediaFailed(..)
        | Input::Files(..)
        | Input::Timeout
        | Input::Shutdown => format!("{input:?}"),
    }
}

fn told(output: &Output) -> String {
    match output {
        Output::Transmit(conn, bytes) => format!("{} bytes to {conn:?}", bytes.len()),
        Output::Dial { .. }
        | Output::CancelDial(_)
        | Output::Close(_)
        | Output::Store { .. }
        | Output::LoadOutbox { .. }
        | Output::StartMedia { .. }
        | Output::MediaCandidates(..)
        | Output::SetMedia { .. }
        | Output::StopMedia(_)
        | Output::Files(_)
        | Output::Event(_)
        | Output::Added { .. }
        | Output::Reply(..)
        | Output::Announce(..)
        | Output::Left(_)
        | Output::Doubt(_) => format!("{output:?}"),
    }
}
