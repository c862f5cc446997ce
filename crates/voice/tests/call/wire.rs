//! Two ends of a call on a virtual network: seeded, without a clock of its own, and the same every
//! time.

use hallway_model::Instant;
use hallway_voice::codec::{EncoderConfig, FrameLength};
use hallway_voice::media::{Media, MediaConfig, Transmit};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

/// What a device takes and gives at a time: 5 ms.
pub const PERIOD: usize = 240;
pub const PERIOD_TIME: Duration = Duration::from_millis(5);

/// Xorshift64*, with the seed mixed so that small ones differ.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// What happens to the packets of one direction.
#[derive(Clone, Copy)]
pub struct Conditions {
    pub delay: Duration,
    /// Added to the delay, evenly from nothing to this. Packets overtake each other.
    pub jitter: Duration,
    /// The chance that a loss begins with a packet.
    pub loss: f64,
    /// How many packets are then lost.
    pub burst: u32,
    pub duplicate: f64,
    /// Every so long nothing arrives for so long, and then all at once.
    pub stalls: Option<(Duration, Duration)>,
    /// Bits a second, with headers of 28 bytes, and how many bytes may wait.
    pub narrow: Option<(u32, usize)>,
}

impl Conditions {
    pub const CLEAN: Self = Self {
        delay: Duration::from_micros(300),
        jitter: Duration::ZERO,
        loss: 0.0,
        burst: 1,
        duplicate: 0.0,
        stalls: None,
        narrow: None,
    };
}

struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// One end.
pub struct End {
    pub media: Media,
    pub address: SocketAddr,
    /// Where the microphone is in `sound`, and what the speaker played.
    pub sound: Vec<f32>,
    pub captured: usize,
    pub played: Vec<f32>,
    /// The lengths of all datagrams sent, with the time.
    pub sent: Vec<(Instant, SocketAddr, usize)>,
}

pub struct World {
    pub now: Instant,
    pub ends: [End; 2],
    pub conditions: [Conditions; 2],
    random: Random,
    flights: BinaryHeap<Reverse<(Instant, u64)>>,
    cargo: std::collections::HashMap<u64, (usize, Flight)>,
    flown: u64,
    losing: [u32; 2],
    free_at: [Instant; 2],
    device_at: Instant,
}

pub fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 47_000))
}

pub fn config(end: usize, candidates: Vec<SocketAddr>) -> MediaConfig {
    let keys = [[1; 32], [2; 32]];
    MediaConfig {
        send_key: keys[end],
        send_kid: 0x1111_0000_0000_0000 + end as u64,
        receive_key: keys[1 - end],
        receive_kid: 0x1111_0000_0000_0000 + 1 - end as u64,
        seed: [7 + end as u8; 32],
        candidates,
        frame: FrameLength::Ms10,
        encoder: EncoderConfig {
            complexity: 5,
            ..EncoderConfig::default()
        },
        playout: hallway_voice::playout::Config::default(),
    }
}

impl World {
    pub fn new(seed: u64, conditions: Conditions, sound: [Vec<f32>; 2]) -> Self {
        Self::with(seed, conditions, sound, |_| {})
    }

    /// As `new`, after `change` has changed the settings of both ends.
    pub fn with(
        seed: u64,
        conditions: Conditions,
        sound: [Vec<f32>; 2],
        change: impl Fn(&mut MediaConfig),
    ) -> Self {
        // Both clocks are the same, and late enough that the clock in packets wraps on the way.
        let now = Instant(u64::from(u32::MAX) - 2_000_000);
        let mut end = 0;
        let ends = sound.map(|sound| {
            let mut config = config(end, vec![address(1 - u8::try_from(end).unwrap())]);
            change(&mut config);
            let this = End {
                media: Media::new(&config, now).unwrap(),
                address: address(u8::try_from(end).unwrap()),
                sound,
                captured: 0,
                played: Vec::new(),
                sent: Vec::new(),
            };
            end += 1;
            this
        });
        Self {
            now,
            ends,
            conditions: [conditions; 2],
            random: Random::new(seed),
            flights: BinaryHeap::new(),
            cargo: std::collections::HashMap::new(),
            flown: 0,
            losing: [0; 2],
            free_at: [now; 2],
            device_at: now,
        }
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.send();
        loop {
            let timers = self
                .ends
                .iter()
                .map(|end| end.media.poll_timeout().max(self.now));
            let timer = timers.min().unwrap();
            let flight = self.flights.peek().map(|Reverse((at, _))| *at);
            let next = timer.min(self.device_at).min(flight.unwrap_or(timer));
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
            if flight == Some(next) {
                self.land();
            } else if self.device_at == next {
                self.turn_devices();
            } else {
                for end in &mut self.ends {
                    end.media.handle_timeout(next);
                }
            }
            self.send();
        }
    }

    fn turn_devices(&mut self) {
        let now = self.now;
        for end in &mut self.ends {
            if let Some(samples) = end.sound.get(end.captured..end.captured + PERIOD) {
                end.media.handle_capture(samples, now);
                end.captured += PERIOD;
            }
            let mut out = [0.0; PERIOD];
            end.media.fill_playback(&mut out, now);
            end.played.extend(out);
        }
        self.device_at = now + PERIOD_TIME;
    }

    fn land(&mut self) {
        let Reverse((_, flight)) = self.flights.pop().unwrap();
        let (to, flight) = self.cargo.remove(&flight).unwrap();
        let end = &mut self.ends[to];
        if end.address == flight.to {
            // Duplicates are refused, and nothing else ever is.
            let result = end
                .media
                .handle_datagram(flight.from, &flight.bytes, self.now);
            let fine = matches!(
                result,
                Ok(()) | Err(hallway_voice::media::DatagramError::Replay(_))
            );
            assert!(fine, "{result:?}");
        }
    }

    fn send(&mut self) {
        for from in 0..2 {
            while let Some(transmit) = self.ends[from].media.poll_transmit() {
                let bytes = transmit.bytes.len();
                self.ends[from].sent.push((self.now, transmit.to, bytes));
                self.fly(from, transmit);
            }
        }
    }

    fn fly(&mut self, from: usize, transmit: Transmit) {
        let conditions = self.conditions[from];
        if self.losing[from] > 0 {
            self.losing[from] -= 1;
            return;
        }
        if self.random.chance(conditions.loss) {
            self.losing[from] = conditions.burst - 1;
            return;
        }
        let mut leaves = self.now;
        if let Some((rate, queue)) = conditions.narrow {
            let waiting = (self.free_at[from] - self.now).as_secs_f64() * f64::from(rate) / 8.0;
            let bytes = transmit.bytes.len() + 28;
            if waiting as usize + bytes > queue {
                return;
            }
            let time = Duration::from_secs_f64(bytes as f64 * 8.0 / f64::from(rate));
            leaves = self.free_at[from].max(self.now) + time;
            self.free_at[from] = leaves;
        }
        let copies = 1 + usize::from(self.random.chance(conditions.duplicate));
        for _ in 0..copies {
            let jitter = conditions.jitter.mul_f64(self.random.unit());
            let mut at = leaves + conditions.delay + jitter;
            if let Some((every, lasting)) = conditions.stalls {
                let into = Duration::from_micros(at.0 % every.as_micros() as u64);
                at = at + lasting.saturating_sub(into);
            }
            let flight = Flight {
                from: self.ends[from].address,
                to: transmit.to,
                bytes: transmit.bytes.clone(),
            };
            self.flown += 1;
            self.flights.push(Reverse((at, self.flown)));
            self.cargo.insert(self.flown, (1 - from, flight));
        }
    }
}
