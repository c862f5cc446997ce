//! Streams as TCP gives them, and what may befall them: delay, silence, resets, and an attacker
//! in the middle who changes what passes.

use super::shell::Shake;
use super::world::{Happening, Host, Mind, World};
use hallway_proto::io::{ConnId, DialId};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// A host that does not answer in this time is not there.
const CONNECT_WITHIN_US: u64 = 4_000_000;
/// A handshake that takes this long is dead.
pub(super) const HANDSHAKE_WITHIN_US: u64 = 5_000_000;
/// How long TCP may take to send again what was lost while nothing passed.
const RETRANSMIT_US: Range<u64> = 10_000..1_000_000;
/// Bytes the shell lets gather for a peer that does not read.
const BACKLOG_BYTES_MAX: usize = 16 << 20;

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Weather {
    /// One way, in microseconds.
    pub latency_us: Range<u64>,
    /// Bytes a millisecond in each direction of each stream.
    pub bytes_per_ms: u64,
    /// How writes are cut into what arrives at once.
    pub chop: Chop,
    /// How many segments of a million an attacker changes.
    pub tamper: u32,
    /// How many announcements of a million are lost.
    pub deafness: u32,
}

/// How writes are cut into what arrives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chop {
    /// Not at all.
    Whole,
    /// As Ethernet does.
    Packets,
    /// Anywhere.
    Anywhere,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            latency_us: 100..500,
            bytes_per_ms: 100_000,
            chop: Chop::Whole,
            tamper: 0,
            deafness: 0,
        }
    }
}

/// One end of a stream: side 0 has dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) stream: u64,
    pub(super) side: usize,
}

impl End {
    pub(super) fn other(self) -> Self {
        Self {
            side: 1 - self.side,
            ..self
        }
    }
}

/// A connection.
pub(super) struct Stream {
    pub(super) ends: [Endpoint; 2],
}

pub(super) struct Endpoint {
    pub(super) host: Option<Host>,
    pub(super) address: SocketAddr,
    pub(super) state: EndState,
    /// On its way to this end.
    incoming: VecDeque<(u64, Segment)>,
    incoming_bytes: usize,
    /// The last segment cannot overtake those before it.
    last_at: u64,
    /// Something waits for the path to open.
    blocked: bool,
    /// Somebody takes what arrives.
    pub(super) reading: bool,
}

pub(super) enum EndState {
    Connecting(DialId),
    Shaking(Box<Shake>),
    Open(ConnId),
    Closed,
}

enum Segment {
    Data(Vec<u8>),
    /// The other side has closed.
    Fin,
    /// There is no such connection any more.
    Rst,
}

impl Endpoint {
    fn new(host: Option<Host>, address: SocketAddr, state: EndState) -> Self {
        Self {
            host,
            address,
            state,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            last_at: 0,
            blocked: false,
            reading: true,
        }
    }
}

impl World {
    pub(super) fn end(&self, end: End) -> Option<&Endpoint> {
        Some(&self.streams.get(&end.stream)?.ends[end.side])
    }

    pub(super) fn end_mut(&mut self, end: End) -> Option<&mut Endpoint> {
        Some(&mut self.streams.get_mut(&end.stream)?.ends[end.side])
    }

    // Connecting.

    /// Dials an address.
    pub(super) fn connect(&mut self, host: Host, dial: DialId, address: SocketAddr) -> u64 {
        let number = self.number();
        let ours = SocketAddr::new(self.machine(host).address, 0);
        let ends = [
            Endpoint::new(Some(host), ours, EndState::Connecting(dial)),
            Endpoint::new(None, address, EndState::Closed),
        ];
        self.streams.insert(number, Stream { ends });
        let latency = self.latency();
        self.after(latency, Happening::Syn(number));
        self.after(
            CONNECT_WITHIN_US,
            Happening::Overdue(End {
                stream: number,
                side: 0,
            }),
        );
        number
    }

    /// A request to connect reaches its host, if there is one.
    pub(super) fn syn(&mut self, stream: u64) {
        let (from, to) = (End { stream, side: 0 }, End { stream, side: 1 });
        let (Some(dialler), Some(target)) = (self.end(from), self.end(to)) else {
            return;
        };
        let (source, address) = (dialler.address, target.address);
        let owner = self.all().into_iter().find(|host| {
            let machine = self.machine(*host);
            machine.powered && machine.address == address.ip()
        });
        let dialler = dialler
            .host
            .filter(|host| self.machine(*host).address == source.ip());
        let open = |owner: &Host| dialler.is_some_and(|from| self.is_path_open(from, *owner));
        let Some(owner) = owner.filter(open) else {
            return;
        };
        let machine = self.machine(owner);
        let port = machine.listens && machine.port == address.port();
        let listens = port && !matches!(machine.mind, Mind::Off);
        if let Some(end) = self.end_mut(to) {
            end.host = Some(owner);
        }
        if listens {
            self.accept(owner, to);
        }
        let latency = self.latency();
        self.after(latency, Happening::SynAck(stream, listens));
    }

    /// The answer to a request to connect.
    pub(super) fn syn_ack(&mut self, stream: u64, taken: bool) {
        let (ours, theirs) = (End { stream, side: 0 }, End { stream, side: 1 });
        let host = self.end(ours).and_then(|end| end.host);
        let Some(host) = host.filter(|_| self.is_way_open(ours)) else {
            return;
        };
        match self.end(ours).map(|end| &end.state) {
            Some(EndState::Connecting(dial)) => {
                let dial = *dial;
                if taken {
                    self.begin_handshake(host, dial, ours);
                } else {
                    self.attempt_failed(host, dial, ours, "connection refused");
                }
            }
            // Nobody waits for it any more.
            _ => self.put(theirs, Segment::Rst),
        }
    }

    // Sending.

    /// Sends bytes from an end.
    pub(super) fn write(&mut self, from: End, bytes: &[u8]) {
        let to = from.other();
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = match self.weather.chop {
                Chop::Whole => 65_536,
                Chop::Packets => 1448,
                Chop::Anywhere => {
                    let most = self.pick(&[3, 40, 600, 20_000]);
                    usize::try_from(self.range(1..most)).expect("a length")
                }
            };
            let (now, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            let now = now.to_vec();
            if self.chance(self.weather.tamper) {
                self.tamper(to, now);
            } else {
                self.put(to, Segment::Data(now));
            }
        }
        let backlog = self.end(to).map_or(0, |end| end.incoming_bytes);
        if backlog > BACKLOG_BYTES_MAX {
            self.hang_up(from, true);
        }
    }

    /// Whoever is in the middle changes what passes.
    fn tamper(&mut self, to: End, mut bytes: Vec<u8>) {
        match self.range(0..5) {
            0 => self.trace(|_| format!("{to:?}: {} bytes are taken out", bytes.len())),
            1 => {
                self.trace(|_| format!("{to:?}: {} bytes are doubled", bytes.len()));
                self.put(to, Segment::Data(bytes.clone()));
                self.put(to, Segment::Data(bytes));
            }
            2 => {
                self.trace(|_| format!("{to:?}: a bit of {} bytes is flipped", bytes.len()));
                let length = u64::try_from(bytes.len()).expect("a length");
                let at = usize::try_from(self.range(0..length)).expect("below a length");
                let bit = self.range(0..8);
                bytes[at] ^= 1 << bit;
                self.put(to, Segment::Data(bytes));
            }
            3 => {
                self.trace(|_| format!("{to:?}: bytes are put in"));
                let strange: [u8; 24] = self.bytes();
                self.put(to, Segment::Data(strange.to_vec()));
                self.put(to, Segment::Data(bytes));
            }
            _ => {
                self.trace(|_| format!("{to:?}: segments change places"));
                self.put(to, Segment::Data(bytes));
                if let Some(end) = self.end_mut(to) {
                    let last = end.incoming.len() - 1;
                    if last > 0 {
                        // Their times stay in order.
                        let at = end.incoming[last].0;
                        end.incoming[last].0 = end.incoming[last - 1].0;
                        end.incoming[last - 1].0 = at;
                        end.incoming.swap(last, last - 1);
                    }
                }
            }
        }
    }

    /// Puts a segment on its way to an end.
    fn put(&mut self, to: End, segment: Segment) {
        let latency = self.latency();
        let per_ms = self.weather.bytes_per_ms;
        let now = self.now;
        let Some(end) = self.end_mut(to) else {
            return;
        };
        let bytes = match &segment {
            Segment::Data(bytes) => bytes.len(),
            Segment::Fin | Segment::Rst => 0,
        };
        let transfer = u64::try_from(bytes).expect("a length") * 1000 / per_ms;
        let at = (now + latency).max(end.last_at) + transfer;
        end.last_at = at;
        end.incoming_bytes += bytes;
        end.incoming.push_back((at, segment));
        self.at(at, Happening::Arrive(to));
    }

    fn latency(&mut self) -> u64 {
        self.range(self.weather.latency_us.clone())
    }

    // Arriving.

    /// What was sent to an end arrives there, if the path is open.
    pub(super) fn arrive(&mut self, to: End) {
        let Some(end) = self.end(to) else {
            return;
        };
        let Some(host) = end.host else {
            return;
        };
        if end.incoming.front().is_none_or(|(at, _)| *at > self.now) {
            return;
        }
        let open = self.is_way_open(to);
        let Some(end) = self.end_mut(to) else {
            return;
        };
        if !open || !end.reading {
            end.blocked = true;
            return;
        }
        let Some((_, segment)) = end.incoming.pop_front() else {
            return;
        };
        if let Segment::Data(bytes) = &segment {
            end.incoming_bytes -= bytes.len();
        }
        match (&mut end.state, segment) {
            (EndState::Open(conn), Segment::Data(bytes)) => {
                let conn = *conn;
                self.received(host, conn, bytes);
            }
            (EndState::Open(_), Segment::Fin | Segment::Rst) => self.hang_up(to, true),
            (EndState::Shaking(_), Segment::Data(bytes)) => self.shake(host, to, &bytes),
            (EndState::Shaking(_), Segment::Fin | Segment::Rst) => {
                self.shake_failed(host, to, "the connection was closed");
            }
            (EndState::Closed | EndState::Connecting(_), Segment::Data(_)) => {
                self.put(to.other(), Segment::Rst);
            }
            (EndState::Closed | EndState::Connecting(_), Segment::Fin | Segment::Rst) => {
                self.forget_stream(to.stream);
            }
        }
    }

    /// Whether something reaches this end from the other now: both must still have their address.
    fn is_way_open(&self, to: End) -> bool {
        let at = |end: End| {
            let end = self.end(end)?;
            end.host
                .filter(|host| self.machine(*host).address == end.address.ip())
        };
        match (at(to.other()), at(to)) {
            (Some(from), Some(to)) => self.is_path_open(from, to),
            _ => false,
        }
    }

    fn is_path_open(&self, from: Host, to: Host) -> bool {
        self.machine(to).powered && !self.cuts.contains(&(from, to))
    }

    /// What waited for a path to open is sent again.
    pub(super) fn unblock_paths(&mut self) {
        let blocked = |(number, stream): (&u64, &Stream)| {
            let ends = [0, 1].map(|side| stream.ends[side].blocked.then_some(side));
            ends.into_iter()
                .flatten()
                .map(|side| End {
                    stream: *number,
                    side,
                })
                .collect::<Vec<_>>()
        };
        let all: Vec<End> = self.streams.iter().flat_map(blocked).collect();
        for end in all {
            self.resend(end);
        }
    }

    fn resend(&mut self, to: End) {
        let mut at = self.now + self.range(RETRANSMIT_US);
        let Some(end) = self.end_mut(to) else {
            return;
        };
        end.blocked = false;
        let mut times = Vec::new();
        for (time, _) in &mut end.incoming {
            at = at.max(*time);
            *time = at;
            times.push(at);
        }
        end.last_at = at;
        for at in times {
            self.at(at, Happening::Arrive(to));
        }
    }

    /// Whoever is at this end takes what arrives, or lets it wait.
    pub(super) fn set_reading(&mut self, at: End, reading: bool) {
        if let Some(end) = self.end_mut(at) {
            end.reading = reading;
        }
        if reading {
            self.resend(at);
        }
    }

    // Ending.

    /// Closes this end. What was written still leaves. `tell` reports it to the node.
    pub(super) fn hang_up(&mut self, at: End, tell: bool) {
        let rude = self.chance(300_000);
        let Some(end) = self.end_mut(at) else {
            return;
        };
        let unread = !end.incoming.is_empty();
        let host = end.host;
        let was = std::mem::replace(&mut end.state, EndState::Closed);
        if matches!(was, EndState::Closed) {
            return;
        }
        // As the system does when something was not read.
        let last = if unread && rude {
            Segment::Rst
        } else {
            Segment::Fin
        };
        if !matches!(was, EndState::Connecting(_)) {
            self.put(at.other(), last);
        }
        if let (EndState::Open(conn), Some(host)) = (was, host) {
            self.conn_ended(host, conn, tell);
        }
        self.forget_stream(at.stream);
    }

    /// Somebody in the middle resets a connection: what was on its way is lost.
    pub(super) fn reset(&mut self, stream: u64) {
        for side in [0, 1] {
            let end = End { stream, side };
            if let Some(end) = self.end_mut(end) {
                end.incoming.clear();
                end.incoming_bytes = 0;
            }
            self.put(end, Segment::Rst);
        }
    }

    /// Resets one connection that is open, if there is any.
    pub fn reset_some(&mut self) {
        let is_open = |stream: &&u64| {
            let ends = &self.streams[*stream].ends;
            ends.iter()
                .any(|end| matches!(end.state, EndState::Open(_)))
        };
        let open: Vec<u64> = self.streams.keys().filter(is_open).copied().collect();
        if !open.is_empty() {
            let stream = self.pick(&open);
            self.trace(|_| format!("stream {stream} is reset"));
            self.reset(stream);
        }
    }

    /// Every connection of a host ends with its node. With the power nothing leaves any more.
    pub(super) fn hang_up_all(&mut self, host: Host, silently: bool) {
        let is_ours = |(number, stream): (&u64, &Stream)| {
            let sides = [0, 1]
                .into_iter()
                .filter(|side| stream.ends[*side].host == Some(host));
            sides
                .map(|side| End {
                    stream: *number,
                    side,
                })
                .collect::<Vec<_>>()
        };
        let ours: Vec<End> = self.streams.iter().flat_map(is_ours).collect();
        for end in ours {
            if silently {
                let lost = usize::try_from(self.range(0..4)).expect("a small number");
                if let Some(end) = self.end_mut(end) {
                    end.state = EndState::Closed;
                }
                if let Some(other) = self.end_mut(end.other()) {
                    // Some of it may have left already.
                    let kept = other.incoming.len().saturating_sub(lost);
                    other.incoming.truncate(kept);
                    other.incoming_bytes = other.incoming.iter().map(|(_, s)| length(s)).sum();
                }
                self.forget_stream(end.stream);
            } else {
                self.hang_up(end, false);
            }
        }
    }

    /// Forgets a stream that neither end knows.
    fn forget_stream(&mut self, number: u64) {
        let over = self.streams.get(&number).is_some_and(|stream| {
            stream
                .ends
                .iter()
                .all(|end| matches!(end.state, EndState::Closed))
        });
        if over {
            self.streams.remove(&number);
        }
    }

    /// A host moves to another address: what it had open there is dead, and it is told.
    pub fn move_to(&mut self, host: Host, address: IpAddr) {
        self.trace(|_| format!("{host:?} moves to {address}"));
        self.machine_mut(host).address = address;
        self.input(host, hallway_proto::io::Input::Links(vec![address]));
        self.announce_now(host);
        self.unblock_paths();
    }
}

fn length(segment: &Segment) -> usize {
    match segment {
        Segment::Data(bytes) => bytes.len(),
        Segment::Fin | Segment::Rst => 0,
    }
}
