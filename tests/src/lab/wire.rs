//! A cable that treats its frames badly: it delays, loses, overtakes, holds back, doubles and
//! spoils them by chance. It is a part of this process, for few kernels bring `netem`.

use super::{Lan, Namespace, Port, done};
use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::f64::consts::TAU;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A thread that waits for frames looks this often whether the wire shall end.
const LOOK_UP: Duration = Duration::from_millis(50);
/// More than any frame has: the largest packet there is and an Ethernet header with a VLAN tag.
const FRAME_BYTES_MAX: usize = 65_536 + 18;
/// Only bytes behind the Ethernet, IPv4 and UDP headers are spoilt. The checksum then finds it
/// nearly always, as it does on real networks.
const HEADER_BYTES: usize = 14 + 20 + 8;

/// What a wire does to the frames of each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// How long every frame takes.
    pub delay: Duration,
    /// What comes on top of that by chance, for each frame anew.
    pub jitter: Jitter,
    /// A frame that takes longer holds those behind it back. Otherwise they overtake it.
    pub in_order: bool,
    /// The share of the frames that is lost, each by itself.
    pub loss: f64,
    /// Losses in a row.
    pub bursts: Option<Bursts>,
    /// Times at which nothing leaves.
    pub stalls: Option<Stalls>,
    /// How much passes, and how much may wait.
    pub rate: Option<Rate>,
    /// The share of the frames that arrives twice.
    pub doubled: f64,
    /// The share of the frames in which one bit is turned over.
    pub spoilt: f64,
}

/// Delay by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Jitter {
    /// None at all.
    #[default]
    None,
    /// From nothing up to this, all equally likely.
    UpTo(Duration),
    /// A normal distribution with this standard deviation; what would be too early is not.
    Normal(Duration),
}

/// Losses in a row (Gilbert's model): in the bad state all is lost, in the good one nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// The share of all frames that is lost.
    pub share: f64,
    /// How many are lost in a row, on average.
    pub length: f64,
}

/// Every so often nothing leaves for a while, and then all at once, as when Wi-Fi scans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stalls {
    /// From the start of one to the start of the next.
    pub every: Duration,
    /// How long each lasts.
    pub lasting: Duration,
}

/// A narrow line with a queue before it that drops what does not fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How much passes.
    pub bytes_per_second: f64,
    /// How much may wait.
    pub queue_bytes: f64,
}

/// What a wire has done in one direction so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Frames that came.
    pub frames: u64,
    /// Of them, those lost by chance.
    pub lost: u64,
    /// Of them, those that found the queue full or that the system did not take.
    pub dropped: u64,
    /// By how much the wire itself was late, for each frame that left.
    late: Vec<Duration>,
}

impl Tally {
    /// The lateness that this share of the frames did not exceed.
    pub fn late(&self, share: f64) -> Duration {
        let mut late = self.late.clone();
        late.sort_unstable();
        let last = late.len().saturating_sub(1);
        let at = (0..=last).find(|at| *at as f64 >= share * last as f64);
        at.and_then(|at| late.get(at)).copied().unwrap_or_default()
    }
}

impl Lan {
    /// Puts a wire between a port and its switch; dropping it puts the plain cable back.
    ///
    /// What [`Lan::mute`], [`Lan::loss`] and [`Lan::multicast`] forbid this port does not hold
    /// meanwhile.
    pub fn wire(&self, port: impl Into<Port>, line: Line, seed: u64) -> Wire {
        let port = port.into();
        let (near, far) = (port.name(), format!("w{}", port.name()));
        let inner = format!("x{}", port.name());
        let commands = format!(
            "link add {far} mtu {mtu} type veth peer name {inner} mtu {mtu}\n\
             link set {far} addrgenmode none\n\
             link set {inner} addrgenmode none\n\
             link set {near} nomaster\n\
             link set {far} master br{segment} up\n\
             link set {inner} up\n",
            mtu = self.plan.mtu,
            segment = port.segment
        );
        done(self.switch.feed("ip", &["-batch", "-"], &commands));
        // Otherwise frames come without checksums and longer than any frame may be.
        let host = &self.hosts[port.host];
        for (namespace, device) in [(host, &port.interface()), (&self.switch, &far)] {
            done(namespace.run("ethtool", &["--offload", device, "tx", "off"]));
        }
        let ends = self.switch.enter(|| [&near, &inner].map(|name| open(name)));
        Wire::start(
            ends.map(|end| end.unwrap_or_else(|e| panic!("a wire at {near}: {e}"))),
            line,
            seed,
            Plug {
                switch: self.switch.clone(),
                port,
                far,
            },
        )
    }
}

type End = (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>);

/// One end of a wire: all that comes out of an interface, and all that shall.
fn open(interface: &str) -> io::Result<End> {
    let is_it = |found: &NetworkInterface| found.name == interface;
    let found = pnet_datalink::interfaces().into_iter().find(is_it);
    let config = Config {
        read_timeout: Some(LOOK_UP),
        read_buffer_size: FRAME_BYTES_MAX,
        ..Config::default()
    };
    match pnet_datalink::channel(&found.ok_or(io::ErrorKind::NotFound)?, config)? {
        Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// A wire between a host and its switch, while it lives.
#[derive(Debug)]
pub struct Wire {
    /// From the host, and to the host.
    ways: [Arc<Way>; 2],
    threads: Vec<JoinHandle<()>>,
    plug: Plug,
}

/// Where the plain cable was.
#[derive(Debug)]
struct Plug {
    switch: Namespace,
    port: Port,
    far: String,
}

/// One direction, as its two threads share it.
#[derive(Debug)]
struct Way {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    course: Course,
    waiting: BinaryHeap<Reverse<Waiting>>,
    tally: Tally,
    ended: bool,
}

/// A frame on its way: in the order of their times, and at the same time as they came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at: Duration,
    number: u64,
    frame: Vec<u8>,
}

impl Wire {
    fn start(ends: [End; 2], line: Line, seed: u64, plug: Plug) -> Self {
        let start = Instant::now();
        let ways = [seed, !seed].map(|seed| {
            Arc::new(Way {
                state: Mutex::new(State {
                    course: Course::new(line, seed),
                    waiting: BinaryHeap::new(),
                    tally: Tally::default(),
                    ended: false,
                }),
                changed: Condvar::new(),
            })
        });
        let [(to_host, from_host), (to_switch, from_switch)] = ends;
        let [out, back] = &ways;
        let mut threads = Vec::new();
        for (way, receiver, sender) in [(out, from_host, to_switch), (back, from_switch, to_host)] {
            let (taking, giving) = (way.clone(), way.clone());
            threads.push(thread::spawn(move || taking.take(receiver, start)));
            threads.push(thread::spawn(move || giving.give(sender, start)));
        }
        Self {
            ways,
            threads,
            plug,
        }
    }

    /// Makes it another line; frames on their way stay as they are.
    pub fn set(&self, line: Line) {
        for way in &self.ways {
            way.lock().course.line = line;
        }
    }

    /// What it did so far with the frames from the host, and with those to it.
    pub fn tally(&self) -> [Tally; 2] {
        self.ways.each_ref().map(|way| way.lock().tally.clone())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for way in &self.ways {
            way.lock().ended = true;
            way.changed.notify_all();
        }
        for thread in self.threads.drain(..) {
            // A panic of it has been printed.
            let _ = thread.join();
        }
        let Plug { switch, port, far } = &self.plug;
        let commands = format!(
            "link del {far}\nlink set {} master br{}\n",
            port.name(),
            port.segment
        );
        // A test that fails may have taken the network down with it.
        let _ = switch.feed("ip", &["-batch", "-"], &commands);
    }
}

impl Way {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the frames of one end until the wire ends.
    fn take(&self, mut receiver: Box<dyn DataLinkReceiver>, start: Instant) {
        loop {
            let frame = receiver.next();
            let now = start.elapsed();
            let mut state = self.lock();
            if state.ended {
                return;
            }
            // The other errors are those of a cable that was pulled out.
            let Ok(frame) = frame else { continue };
            state.handle_frame(frame, now);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Gives each frame to the other end when its time has come.
    fn give(&self, mut sender: Box<dyn DataLinkSender>, start: Instant) {
        let mut state = self.lock();
        while !state.ended {
            let next = state.waiting.peek().map(|Reverse(next)| next.at);
            let left = next.map(|at| at.saturating_sub(start.elapsed()));
            state = match left {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    let Some(Reverse(due)) = state.waiting.pop() else {
                        continue;
                    };
                    drop(state);
                    let sent = sender
                        .send_to(&due.frame, None)
                        .is_some_and(|sent| sent.is_ok());
                    let late = start.elapsed().saturating_sub(due.at);
                    let mut state = self.lock();
                    match sent {
                        true => state.tally.late.push(late),
                        false => state.tally.dropped += 1,
                    }
                    state
                }
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl State {
    fn handle_frame(&mut self, frame: &[u8], now: Duration) {
        self.tally.frames += 1;
        match self.course.handle_frame(frame.len(), now) {
            Fate::Lost => self.tally.lost += 1,
            Fate::Dropped => self.tally.dropped += 1,
            Fate::Arrives { at, copies, spoil } => {
                let mut frame = frame.to_vec();
                let place = spoil.and_then(|place| usize::try_from(place).ok());
                let body = frame.get_mut(HEADER_BYTES..).unwrap_or_default();
                if let Some(place) = place.and_then(|place| place.checked_rem(body.len() * 8)) {
                    body[place / 8] ^= 1 << (place % 8);
                }
                for copy in 0..copies {
                    let number = self.tally.frames * 2 + copy;
                    let frame = frame.clone();
                    self.waiting.push(Reverse(Waiting { at, number, frame }));
                }
            }
        }
    }
}

/// What becomes of each frame: a matter of the line, the seed and the times alone.
#[derive(Debug)]
struct Course {
    line: Line,
    chance: ChaCha8Rng,
    /// The state of [`Bursts`].
    bad: bool,
    /// When the narrow line has passed all it took.
    busy_until: Duration,
    /// When the last one leaves, for lines that keep the order.
    last: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Lost,
    /// By the queue before the narrow line.
    Dropped,
    Arrives {
        at: Duration,
        copies: u64,
        /// Which bit is turned over, counted round and round.
        spoil: Option<u64>,
    },
}

impl Course {
    fn new(line: Line, seed: u64) -> Self {
        Self {
            line,
            chance: ChaCha8Rng::seed_from_u64(seed),
            bad: false,
            busy_until: Duration::ZERO,
            last: Duration::ZERO,
        }
    }

    /// Each frame takes the same numbers from the seed, whatever the line does with them: the
    /// same frames are lost with jitter and without.
    fn handle_frame(&mut self, bytes: usize, now: Duration) -> Fate {
        let line = self.line;
        let [change, loss, first, second, double, spoil] = [(); 6].map(|()| self.number());
        let place = self.chance.next_u64();
        let in_burst = line.bursts.is_some_and(|bursts| self.burst(bursts, change));
        if in_burst || loss < line.loss {
            return Fate::Lost;
        }
        let mut at = now;
        if let Some(rate) = line.rate {
            let start = self.busy_until.max(now);
            let waiting = (start - now).as_secs_f64() * rate.bytes_per_second;
            if waiting + bytes as f64 > rate.queue_bytes {
                return Fate::Dropped;
            }
            at = start + Duration::from_secs_f64(bytes as f64 / rate.bytes_per_second);
            self.busy_until = at;
        }
        let delay = line.delay.as_secs_f64() + line.jitter.seconds(first, second);
        at += Duration::from_secs_f64(delay.max(0.0));
        if let Some(Stalls { every, lasting }) = line.stalls {
            let into = at.as_nanos() % every.as_nanos();
            let left = lasting.as_nanos().saturating_sub(into);
            at += Duration::from_nanos(left.try_into().unwrap_or(u64::MAX));
        }
        if line.in_order {
            at = at.max(self.last);
            self.last = at;
        }
        Fate::Arrives {
            at,
            copies: if double < line.doubled { 2 } else { 1 },
            spoil: (spoil < line.spoilt).then_some(place),
        }
    }

    /// Whether this frame falls into a burst. Bursts last [`Bursts::length`] frames on average,
    /// and the good times between them so long that [`Bursts::share`] comes out.
    fn burst(&mut self, bursts: Bursts, change: f64) -> bool {
        let leave = 1.0 / bursts.length;
        let enter = leave * bursts.share / (1.0 - bursts.share);
        self.bad = change < if self.bad { 1.0 - leave } else { enter };
        self.bad
    }

    /// At least 0 and less than 1.
    fn number(&mut self) -> f64 {
        // The 53 bits that a number between 0 and 1 has.
        (self.chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Jitter {
    fn seconds(self, first: f64, second: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::UpTo(most) => first * most.as_secs_f64(),
            // Box and Muller's method.
            Self::Normal(deviation) => {
                let radius = (-2.0 * (1.0 - first).ln()).sqrt();
                radius * (TAU * second).cos() * deviation.as_secs_f64()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u64 = 20_000;
    const STEP: Duration = Duration::from_millis(10);
    const BYTES: usize = 100;

    /// The fates of frames that come every 10 ms.
    fn fates(line: Line, seed: u64) -> Vec<(Duration, Fate)> {
        let mut course = Course::new(line, seed);
        let times = (0..FRAMES).map(|i| STEP * u32::try_from(i).unwrap());
        times
            .map(|now| (now, course.handle_frame(BYTES, now)))
            .collect()
    }

    fn arrivals(line: Line) -> Vec<(Duration, Duration)> {
        let fates = fates(line, 7).into_iter();
        fates
            .filter_map(|(now, fate)| match fate {
                Fate::Arrives { at, .. } => Some((now, at)),
                Fate::Lost | Fate::Dropped => None,
            })
            .collect()
    }

    fn share(fates: &[(Duration, Fate)], is: impl Fn(&Fate) -> bool) -> f64 {
        let count = fates.iter().filter(|(_, fate)| is(fate)).count();
        count as f64 / fates.len() as f64
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_plain_line_changes_nothing() {
        let arrivals = arrivals(Line::default());
        assert_eq!(arrivals.len() as u64, FRAMES);
        assert!(arrivals.iter().all(|(now, at)| now == at));
    }

    #[test]
    fn the_seed_decides() {
        let line = Line {
            loss: 0.2,
            jitter: Jitter::Normal(ms(5)),
            ..Line::default()
        };
        assert_eq!(fates(line, 1), fates(line, 1));
        assert_ne!(fates(line, 1), fates(line, 2));
        let without = Line {
            jitter: Jitter::None,
            ..line
        };
        let lost = |line| {
            let fates = fates(line, 1).into_iter();
            fates
                .map(|(_, fate)| fate == Fate::Lost)
                .collect::<Vec<_>>()
        };
        assert_eq!(lost(line), lost(without));
    }

    #[test]
    fn losses_have_their_share_and_their_length() {
        let line = Line {
            loss: 0.2,
            ..Line::default()
        };
        let lost = share(&fates(line, 3), |fate| *fate == Fate::Lost);
        assert!((0.18..0.22).contains(&lost), "{lost}");

        let bursts = Bursts {
            share: 0.05,
            length: 4.0,
        };
        let line = Line {
            bursts: Some(bursts),
            ..Line::default()
        };
        let fates = fates(line, 3);
        let lost = share(&fates, |fate| *fate == Fate::Lost);
        assert!((0.035..0.065).contains(&lost), "{lost}");
        let runs = fates
            .chunk_by(|(_, a), (_, b)| (*a == Fate::Lost) == (*b == Fate::Lost))
            .filter(|run| run[0].1 == Fate::Lost);
        let length = lost * FRAMES as f64 / runs.count() as f64;
        assert!((3.4..4.6).contains(&length), "{length}");
    }

    #[test]
    fn jitter_overtakes_unless_the_order_is_kept() {
        let line = Line {
            delay: ms(5),
            jitter: Jitter::UpTo(ms(30)),
            ..Line::default()
        };
        let free = arrivals(line);
        let delays = || free.iter().map(|(now, at)| *at - *now);
        assert!(delays().min().unwrap() >= ms(5) && delays().max().unwrap() <= ms(35));
        assert!(delays().min().unwrap() < ms(6) && delays().max().unwrap() > ms(34));
        assert!(free.windows(2).any(|pair| pair[0].1 > pair[1].1));
        let kept = arrivals(Line {
            in_order: true,
            ..line
        });
        assert!(kept.is_sorted_by_key(|(_, at)| *at));
        assert!(
            kept.iter()
                .zip(&free)
                .all(|((_, kept), (_, free))| kept >= free)
        );
    }

    #[test]
    fn a_stall_holds_all_back_and_lets_them_go_at_once() {
        let line = Line {
            stalls: Some(Stalls {
                every: ms(2000),
                lasting: ms(80),
            }),
            ..Line::default()
        };
        let arrivals = arrivals(line);
        let at = |now| {
            arrivals
                .iter()
                .find(|(came, _)| *came == ms(now))
                .unwrap()
                .1
        };
        assert_eq!(at(1990), ms(1990));
        for now in [2000, 2010, 2070, 2080] {
            assert_eq!(at(now), ms(2080));
        }
        assert_eq!(at(2090), ms(2090));
    }

    #[test]
    fn a_narrow_line_spreads_what_comes_and_drops_what_does_not_fit() {
        let rate = Rate {
            bytes_per_second: 10_000.0,
            queue_bytes: 300.0,
        };
        let line = Line {
            rate: Some(rate),
            ..Line::default()
        };
        let mut course = Course::new(line, 1);
        let together = [(); 5].map(|()| course.handle_frame(BYTES, ms(50)));
        let at = |ms: u64| Fate::Arrives {
            at: Duration::from_millis(ms),
            copies: 1,
            spoil: None,
        };
        let expected = [at(60), at(70), at(80), Fate::Dropped, Fate::Dropped];
        assert_eq!(together, expected);
        assert_eq!(course.handle_frame(BYTES, ms(60)), at(90));
    }

    #[test]
    fn some_are_doubled_and_some_spoilt_in_one_bit() {
        let line = Line {
            doubled: 0.1,
            spoilt: 0.1,
            ..Line::default()
        };
        let fates = fates(line, 5);
        let doubled = share(&fates, |fate| {
            matches!(fate, Fate::Arrives { copies: 2, .. })
        });
        let spoilt = share(&fates, |fate| {
            matches!(fate, Fate::Arrives { spoil: Some(_), .. })
        });
        assert!((0.09..0.11).contains(&doubled), "{doubled}");
        assert!((0.09..0.11).contains(&spoilt), "{spoilt}");

        let mut state = State {
            course: Course::new(
                Line {
                    spoilt: 1.0,
                    ..Line::default()
                },
                1,
            ),
            waiting: BinaryHeap::new(),
            tally: Tally::default(),
            ended: false,
        };
        for length in [60, HEADER_BYTES + 1, HEADER_BYTES, 14] {
            state.handle_frame(&vec![0; length], ms(1));
        }
        let turned = |Reverse(waiting): Reverse<Waiting>| {
            assert!(
                waiting
                    .frame
                    .iter()
                    .take(HEADER_BYTES)
                    .all(|byte| *byte == 0)
            );
            waiting
                .frame
                .iter()
                .map(|byte| byte.count_ones())
                .sum::<u32>()
        };
        let turned: Vec<u32> = state
            .waiting
            .into_sorted_vec()
            .into_iter()
            .rev()
            .map(turned)
            .collect();
        assert_eq!(turned, [1, 1, 0, 0]);
    }
}
