//! From frames that arrive whenever they like to a steady stream of samples.
//!
//! The clock is the count of samples put out, so that the same trace gives the same samples and the
//! drift of the sound card needs no care of its own. A frame's *transit* is that count at its
//! arrival minus its timestamp; a frame is in time when its transit is at most the count minus the
//! position in the sender's sound that is being played.

use crate::SAMPLE_RATE;
use crate::codec::{CodecError, Decoder, FrameLength, PAYLOAD_BYTES_MAX};
use crate::drift::{Baseline, Shown};
use crate::jitter::{DELAY_MAX, Delays};
use crate::stretch::{PERIOD_MAX, PIECE_MIN, Stretch};
use hallway_model::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Samples in a millisecond.
const MS: i64 = SAMPLE_RATE as i64 / 1000;

/// Frames that wait at most: [`DELAY_MAX`] of the shortest, twice.
pub const FRAMES_MAX: usize = 200;

/// Timestamps that are remembered to know a copy as one: those of the frames that wait and a second
/// of the shortest more.
const HEARD_MAX: usize = 400;

/// Samples of nothing after which the stream is taken as interrupted: concealment has nothing left
/// to say then.
const OUTAGE: i64 = 200 * MS;

/// Samples of made-up sound after which it fades: what was said is no guide for longer.
const FADE_FROM: i64 = 60 * MS;

/// Where the sound is not quiet, a whole period is left out or repeated, which may overshoot by
/// most of one: a delay that is longer than it should be by less, in samples, is left alone.
const SHORTEN_FROM: i64 = 10 * MS;
/// A delay that is shorter than it should be by less waits for quiet, too: few frames come so late,
/// and each change of the speed is heard.
const LENGTHEN_FROM: i64 = 5 * MS;
/// In quiet any piece will do, and the delay is set right to the sample nearly.
const QUIET_FROM: i64 = MS;

/// Between two changes of the speed so many times the changed piece is played as it is.
const PAUSE: i64 = 3;

/// A delay that is off by so much is not mended by speed but at once.
const JUMP: i64 = 150 * MS;

/// So much is made up at once: a frame that comes a little late is still good for the rest.
const CONCEALED: FrameLength = FrameLength::Ms10;

/// Samples over which one sound fades into another.
const FADE: usize = 240;

/// Frames after an interruption whose delays are not counted: which one is the fastest is not
/// known yet.
const SETTLING: usize = 12;

/// The network has stalled when nothing came for so long and then a frame that is this late.
const STALL: Duration = Duration::from_millis(40);
const STALL_BEHIND: i64 = 30 * MS;

/// What it held back comes within so long.
const STALL_BURST: Duration = Duration::from_millis(5);

/// The end of a stall, in samples, is not waited for: so much in a row is concealed, once in each
/// stall, while the delay would be there all the time. In whole pieces of [`CONCEALED`], as more
/// than that is then made up. 80 ms of stall every 2 s then cost 60 ms of delay and not 80, in
/// simulated calls, at a PESQ of 4.1.
const FORGIVEN: i64 = 20 * MS;

/// How a [`Playout`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The least delay, whatever the network allows.
    pub delay_ms_min: u32,
    /// The largest delay, at most 500.
    pub delay_ms_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            delay_ms_min: 0,
            delay_ms_max: 500,
        }
    }
}

/// What happened so far. Counts of frames and samples only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// By how long sound is now held back after the fastest frames' arrival.
    pub delay_ms: f32,
    /// By how long it should be.
    pub target_ms: f32,
    /// Frames that came, each counted once.
    pub frames: u64,
    /// Frames that came again, as a copy or in a packet that came twice.
    pub duplicates: u64,
    /// Frames that came after their turn.
    pub late: u64,
    /// Frames that found no room.
    pub dropped: u64,
    /// Payloads that did not decode.
    pub malformed: u64,
    /// Samples that were decoded from frames.
    pub decoded: u64,
    /// Samples that were made up because their frame was not there.
    pub concealed: u64,
    /// Samples of comfort noise, before the first frame and in interruptions.
    pub silent: u64,
    /// Samples that were left out to play faster.
    pub shortened: u64,
    /// Samples that were added to play slower.
    pub lengthened: u64,
    /// Interruptions: times that the stream had to start anew.
    pub restarts: u64,
    /// By how many millionths our sound card is faster than the sender's, once that is known.
    pub drift_ppm: Option<f64>,
}

#[derive(Debug)]
struct Frame {
    length: FrameLength,
    payload: Vec<u8>,
}

/// The stream of one sender, from frames to samples.
pub struct Playout {
    config: Config,
    /// What is heard comes from here.
    decoder: Decoder,
    /// Decodes the same frames but makes up none: when frames come too late to be heard, it goes on
    /// from them as if they had come in time, and takes over.
    shadow: Decoder,
    baseline: Baseline,
    delays: Delays,
    settling: usize,
    /// The newest timestamp, counted on past 2^32.
    newest: Option<i64>,
    waiting: BTreeMap<i64, Frame>,
    heard: BTreeSet<i64>,
    sound: Stretch,
    state: State,
    /// When the last new frame came.
    arrived: Option<Instant>,
    /// When the first frame came that the network had held back.
    stalled: Option<Instant>,
    /// Samples put out.
    produced: i64,
    /// Of them, those before the last call of [`Playout::fill`], and when that was.
    filled: Option<(i64, Instant)>,
    /// The speed is not changed before so many samples were put out.
    pause_until: i64,
    stats: Stats,
}

#[derive(Debug, PartialEq)]
enum State {
    /// No sound is decoded: before the first frame, and when none came for a while.
    Silent,
    /// Sound is decoded up to a position in the sender's sound.
    Playing { decoded_to: i64, concealed: i64 },
}

impl Playout {
    /// A stream that has heard nothing yet.
    pub fn new(config: Config) -> Result<Self, CodecError> {
        Ok(Self {
            config,
            decoder: Decoder::new()?,
            shadow: Decoder::new()?,
            baseline: Baseline::default(),
            delays: Delays::default(),
            settling: 0,
            newest: None,
            waiting: BTreeMap::new(),
            heard: BTreeSet::new(),
            sound: Stretch::default(),
            state: State::Silent,
            arrived: None,
            stalled: None,
            produced: 0,
            filled: None,
            pause_until: 0,
            stats: Stats::default(),
        })
    }

    /// Takes in a frame that arrived: its own packet's or a copy in a later one. `timestamp` counts
    /// the sender's samples and starts anew after 2^32. Of one packet the newest frame comes first,
    /// as it tells a network that is late from one that lost what the copies make good.
    pub fn handle_frame(
        &mut self,
        timestamp: u32,
        duration: FrameLength,
        payload: &[u8],
        arrival: Instant,
    ) {
        if payload.is_empty() || payload.len() > PAYLOAD_BYTES_MAX {
            self.stats.malformed += 1;
            return;
        }
        let at = self.count_on(timestamp);
        if !self.heard.insert(at) {
            self.stats.duplicates += 1;
            return;
        }
        if self.heard.len() > HEARD_MAX {
            self.heard.pop_first();
        }
        self.stats.frames += 1;
        self.measure(at, arrival);
        if let State::Playing {
            decoded_to,
            concealed,
        } = self.state
            && at < decoded_to
        {
            self.stats.late += 1;
            if at < decoded_to - concealed {
                return;
            }
        }
        let payload = payload.to_vec();
        self.waiting.insert(
            at,
            Frame {
                length: duration,
                payload,
            },
        );
        if self.waiting.len() > FRAMES_MAX {
            self.waiting.pop_first();
            self.stats.dropped += 1;
        }
    }

    /// Puts out the next samples.
    pub fn fill(&mut self, out: &mut [f32], now: Instant) {
        self.filled = Some((self.produced, now));
        let mut done = 0;
        while done < out.len() {
            let rest = &mut out[done..];
            let n = match self.state {
                State::Silent => self.fill_silent(rest),
                State::Playing { .. } => self.fill_playing(rest),
            };
            done += n;
            self.produced += i64::try_from(n).unwrap_or(0);
        }
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let ms = |samples: i64| samples as f32 / MS as f32;
        let delay = self.delay().zip(self.baseline.base());
        Stats {
            delay_ms: delay.map_or(0.0, |(delay, base)| ms(delay - base)),
            target_ms: ms(self.held_back()),
            drift_ppm: self.baseline.ppm(),
            ..self.stats
        }
    }

    /// Counts a timestamp on past 2^32.
    fn count_on(&mut self, timestamp: u32) -> i64 {
        let newest = self.newest.unwrap_or(i64::from(timestamp));
        let low = newest.rem_euclid(1 << 32);
        let mut step = i64::from(timestamp) - low;
        if step > 1 << 31 {
            step -= 1 << 32;
        } else if step < -(1 << 31) {
            step += 1 << 32;
        }
        let at = newest + step;
        self.newest = Some(at.max(newest));
        at
    }

    /// Learns from a frame's arrival how long frames take.
    fn measure(&mut self, at: i64, arrival: Instant) {
        // When the last fill is longer ago than what it put out lasts, our own thread is late.
        let overdue = self.filled.map_or(0, |(before, when)| {
            let micros = i64::try_from(arrival.since(when).as_micros()).unwrap_or(0);
            micros * MS / 1000 - (self.produced - before)
        });
        let clock = self.produced + overdue.clamp(0, DELAY_MAX);
        match self.baseline.handle(clock - at, clock) {
            Shown::Behind(_) if self.settling > 0 => self.settling -= 1,
            Shown::Behind(behind) if self.in_stall(at, behind, arrival) => {
                self.delays.handle((behind - FORGIVEN).max(0));
            }
            Shown::Behind(behind) => self.delays.handle(behind),
            Shown::Jumped(frames) => self.delays.forget(frames - 1),
        }
    }

    /// Whether a frame is one of those that the network held back and let go together, as Wi-Fi
    /// does: for a while nothing came, and then not copies of what was lost but new frames.
    fn in_stall(&mut self, at: i64, behind: i64, arrival: Instant) -> bool {
        let gap = self
            .arrived
            .map_or(Duration::ZERO, |last| arrival.since(last));
        self.arrived = Some(arrival);
        if gap >= STALL && behind >= STALL_BEHIND && self.newest == Some(at) {
            self.stalled = Some(arrival);
        }
        self.stalled
            .is_some_and(|since| arrival.since(since) <= STALL_BURST)
    }

    /// By how many samples the fastest frames should be held back.
    fn held_back(&self) -> i64 {
        let ms = |ms: u32| i64::from(ms) * MS;
        let most = ms(self.config.delay_ms_max).min(DELAY_MAX);
        self.delays
            .delay()
            .clamp(ms(self.config.delay_ms_min).min(most), most)
    }

    /// The transit that a frame may have to be in time.
    fn delay(&self) -> Option<i64> {
        match self.state {
            State::Silent => None,
            State::Playing { decoded_to, .. } => {
                let waiting = i64::try_from(self.sound.waiting()).unwrap_or(0);
                Some(self.produced - (decoded_to - waiting))
            }
        }
    }

    /// Comfort noise until the first frame that waits has its turn.
    fn fill_silent(&mut self, out: &mut [f32]) -> usize {
        let mut quiet = out.len();
        if let Some(base) = self.baseline.base() {
            let position = self.produced - base - self.held_back();
            while let Some((at, frame)) = self.waiting.first_key_value()
                && at + samples(frame.length) <= position
            {
                self.waiting.pop_first();
                self.stats.late += 1;
            }
            if let Some((at, _)) = self.waiting.first_key_value() {
                let at = *at;
                match usize::try_from(at - position) {
                    Ok(ahead) if ahead > 0 => quiet = quiet.min(ahead),
                    _ => {
                        self.start(at, position - at);
                        return 0;
                    }
                }
            }
        }
        out[..quiet].fill(0.0);
        self.stats.silent += quiet as u64;
        quiet
    }

    fn start(&mut self, at: i64, skip: i64) {
        let left = self.sound.waiting();
        self.sound.skip(left);
        self.state = State::Playing {
            decoded_to: at,
            concealed: 0,
        };
        self.decode_more();
        self.sound.skip(usize::try_from(skip).unwrap_or(0));
        for (i, sample) in self.sound.waiting_mut().iter_mut().take(FADE).enumerate() {
            *sample *= i as f32 / FADE as f32;
        }
    }

    fn interrupt(&mut self) {
        self.state = State::Silent;
        self.stats.restarts += 1;
        let left = self.sound.waiting();
        self.sound.skip(left);
    }

    fn fill_playing(&mut self, out: &mut [f32]) -> usize {
        if self.sound.waiting() == 0 {
            self.decode_more();
        }
        self.adjust();
        self.sound.play(out)
    }

    /// Decodes the next frame, or makes it up.
    fn decode_more(&mut self) {
        let State::Playing {
            decoded_to,
            concealed,
        } = self.state
        else {
            return;
        };
        let mut tail = Vec::new();
        let mut tail_from_shadow = true;
        while let Some((at, frame)) = self.waiting.pop_first() {
            if at > decoded_to {
                self.waiting.insert(at, frame);
                break;
            }
            let end = at + samples(frame.length);
            let over = at < decoded_to;
            if at < decoded_to - concealed {
                continue;
            }
            if over && tail.is_empty() {
                // What was made up instead goes on for a moment, to fade over to what is true.
                self.decoder.conceal(FrameLength::Ms5, &mut tail);
            }
            if over && tail_from_shadow {
                std::mem::swap(&mut self.decoder, &mut self.shadow);
                tail_from_shadow = false;
            }
            let mut sound = Vec::new();
            if self.decoder.decode(&frame.payload, &mut sound) != Ok(frame.length) {
                self.stats.malformed += 1;
                continue;
            }
            let mut unheard = Vec::new();
            if self.shadow.decode(&frame.payload, &mut unheard).is_err() {
                self.stats.malformed += 1;
            }
            if end <= decoded_to {
                // Too late to be heard, but the decoder goes on better from here.
                continue;
            }
            let sound = &mut sound[usize::try_from(decoded_to - at).unwrap_or(0)..];
            fade(&tail, sound);
            self.stats.decoded += sound.len() as u64;
            self.sound.input().extend_from_slice(sound);
            self.state = State::Playing {
                decoded_to: end,
                concealed: 0,
            };
            return;
        }
        let mut sound = Vec::new();
        self.decoder.conceal(CONCEALED, &mut sound);
        fade(&tail, &mut sound);
        for (i, sample) in (concealed..).zip(&mut sound) {
            // The vocoder would go on for ever. Nothing of it is left when the state changes.
            let left = (OUTAGE - i).clamp(0, OUTAGE - FADE_FROM);
            *sample *= left as f32 / (OUTAGE - FADE_FROM) as f32;
        }
        self.sound.input().extend_from_slice(&sound);
        self.stats.concealed += sound.len() as u64;
        let concealed = concealed + samples(CONCEALED);
        self.state = State::Playing {
            decoded_to: decoded_to + samples(CONCEALED),
            concealed,
        };
        if concealed >= OUTAGE {
            self.interrupt();
            self.baseline.reset();
            self.settling = SETTLING;
        }
    }

    /// Plays faster or slower when sound is held back too long or too short.
    fn adjust(&mut self) {
        let Some((delay, base)) = self.delay().zip(self.baseline.base()) else {
            return;
        };
        let excess = delay - base - self.held_back();
        if excess.abs() > JUMP {
            self.interrupt();
            return;
        }
        if self.produced < self.pause_until {
            return;
        }
        let quiet = self.sound.is_quiet();
        let changed = if excess > if quiet { QUIET_FROM } else { SHORTEN_FROM } {
            let n = self.sound.shorten(usize::try_from(excess).unwrap_or(0));
            self.stats.shortened += n as u64;
            n
        } else if excess < if quiet { 0 } else { -LENGTHEN_FROM } {
            let short = usize::try_from(-excess).unwrap_or(0).max(PIECE_MIN);
            let n = self.sound.lengthen(if quiet { short } else { PERIOD_MAX });
            self.stats.lengthened += n as u64;
            n
        } else {
            0
        };
        self.pause_until = self.produced + PAUSE * i64::try_from(changed).unwrap_or(0);
    }
}

/// The samples of a frame, to count with.
fn samples(length: FrameLength) -> i64 {
    i64::from(length.ms()) * MS
}

/// From `tail` over to the start of `sound`.
fn fade(tail: &[f32], sound: &mut [f32]) {
    let n = tail.len().min(sound.len());
    for (i, (old, new)) in tail.iter().zip(sound).enumerate() {
        let share = (i as f32 + 0.5) / n as f32;
        *new = old + (*new - old) * share;
    }
}
