//! A virtual wire and two virtual sound cards around the playout, and the ears that judge it.
#![allow(dead_code, reason = "the test and the example each use their part")]

use hallway_model::Instant;
use hallway_voice::codec::{Encoder, EncoderConfig, FrameLength, Mode};
use hallway_voice::playout::{Config, Playout, Stats};
use std::time::Duration;

/// Samples in a millisecond.
const MS: usize = 48;

/// A reproducible source of chance (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normally distributed about 0 with deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().max(1e-12).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}

/// Delay by chance, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Jitter {
    /// None.
    None,
    /// Evenly from nothing up to this.
    UpTo(f64),
    /// Normally distributed with this deviation; what would be early is not.
    Normal(f64),
}

/// What the wire does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// On top of nothing.
    pub(crate) jitter: Jitter,
    /// The share of packets that is lost.
    pub(crate) loss: f64,
    /// How many are lost in a row on average; at most 1 for each by itself.
    pub(crate) burst: f64,
    /// Every so many milliseconds nothing leaves for so many.
    pub(crate) stalls: Option<(f64, f64)>,
    /// Packets do not overtake.
    pub in_order: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            jitter: Jitter::None,
            loss: 0.0,
            burst: 1.0,
            stalls: None,
            in_order: false,
        }
    }
}

/// How the call is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Earlier frames in each packet.
    pub(crate) copies: usize,
    /// By how many frames each copy is older than the one before it.
    pub(crate) stride: usize,
    /// How long a frame is.
    pub(crate) length: FrameLength,
    /// What the encoder is tuned for.
    pub(crate) mode: Mode,
    /// Bits a second.
    pub(crate) bitrate: u32,
    /// Samples in one block of the receiver's sound card.
    pub(crate) block: usize,
    /// Where the chance starts.
    pub(crate) seed: u64,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            copies: 3,
            stride: 1,
            length: FrameLength::Ms10,
            mode: Mode::Voice,
            bitrate: 64_000,
            block: 240,
            seed: 1,
        }
    }
}

/// What was heard, and how well.
pub(crate) struct Heard {
    /// What the receiver put out; sample 0 is put out when sample 0 is captured.
    pub(crate) samples: Vec<f32>,
    /// The receiver's statistics.
    pub(crate) stats: Stats,
    /// The playout delay after each second, in milliseconds.
    pub(crate) delays: Vec<f32>,
}

/// The arrival times of packets (index, microseconds), in order of arrival.
pub(crate) fn arrivals(wire: &Wire, sent: &[f64], dice: &mut Dice) -> Vec<(u64, usize)> {
    let mut bad = false;
    let mut last = 0.0f64;
    let mut arrivals = Vec::new();
    for (i, sent) in sent.iter().enumerate() {
        let lost = if wire.burst > 1.0 {
            let end = 1.0 / wire.burst;
            let begin = end * wire.loss / (1.0 - wire.loss);
            bad = if bad {
                dice.share() >= end
            } else {
                dice.share() < begin
            };
            bad
        } else {
            dice.share() < wire.loss
        };
        let jitter = match wire.jitter {
            Jitter::None => 0.0,
            Jitter::UpTo(most) => dice.share() * most,
            Jitter::Normal(deviation) => (dice.normal() * deviation).max(0.0),
        };
        let mut at = sent + jitter;
        if let Some((every, lasting)) = wire.stalls {
            let into = at.rem_euclid(every);
            // The first stall comes after the first while.
            if at >= every && into < lasting {
                at += lasting - into;
            }
        }
        if wire.in_order {
            at = at.max(last);
            last = at;
        }
        if !lost {
            arrivals.push(((at * 1000.0) as u64, i));
        }
    }
    arrivals.sort_unstable();
    arrivals
}

/// Sends speech through the wire into a [`Playout`].
pub(crate) fn hold(speech: &[f32], wire: &Wire, call: &Call) -> Heard {
    let frame = call.length.samples();
    let mut encoder = Encoder::new(EncoderConfig {
        mode: call.mode,
        bitrate: call.bitrate,
        ..EncoderConfig::default()
    })
    .expect("an encoder");
    let mut payloads = Vec::new();
    for samples in speech.chunks_exact(frame) {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).expect("a payload");
        payloads.push(payload);
    }
    let sent: Vec<f64> = (1..=payloads.len())
        .map(|i| (i * frame) as f64 / MS as f64)
        .collect();
    let arrivals = arrivals(wire, &sent, &mut Dice(call.seed));
    let mut playout = Playout::new(Config::default()).expect("a playout");
    let mut samples = vec![0.0; payloads.len() * frame / call.block * call.block];
    let mut delays = Vec::new();
    let mut arrivals = arrivals.into_iter().peekable();
    // The sound card's blocks do not start when the sender's frames end.
    let phase = 1_300;
    for (i, block) in samples.chunks_exact_mut(call.block).enumerate() {
        let now = (i * call.block * 1000 / MS) as u64 + phase;
        while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
            for copy in 0..=call.copies {
                let Some(n) = packet.checked_sub(copy * call.stride) else {
                    break;
                };
                // Close to the end, so that every call sees its timestamps start anew.
                let timestamp = (u32::MAX - 48_000).wrapping_add((n * frame) as u32);
                playout.handle_frame(timestamp, call.length, &payloads[n], Instant(at));
            }
        }
        playout.fill(block, Instant(now));
        if i * call.block / 48_000 != (i + 1) * call.block / 48_000 {
            delays.push(playout.stats().delay_ms);
        }
    }
    // What is put out at the block's time belongs there.
    let late = phase as usize * MS / 1000;
    samples.splice(0..0, std::iter::repeat_n(0.0, late));
    Heard {
        samples,
        stats: playout.stats(),
        delays,
    }
}

/// Speech from a WAV file of 16-bit samples, one channel, as samples of 48 kHz.
pub(crate) fn speech(wav: &[u8]) -> Vec<f32> {
    let rate = u32::from_le_bytes(wav[24..28].try_into().expect("four bytes"));
    let data = wav.windows(4).position(|w| w == b"data").expect("data") + 8;
    let samples: Vec<f32> = wav[data..]
        .chunks_exact(2)
        .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0)
        .collect();
    match rate {
        16_000 => {
            let spread = samples
                .iter()
                .flat_map(|s| [s * 3.0, 0.0, 0.0])
                .collect::<Vec<_>>();
            low_pass(&spread, 1)
        }
        48_000 => samples,
        _ => panic!("a rate of {rate}"),
    }
}

/// 48 kHz to 16-bit samples of 16 kHz.
fn narrow(samples: &[f32]) -> Vec<i16> {
    low_pass(samples, 3)
        .iter()
        .map(|s| (s * 32767.0).round().clamp(-32768.0, 32767.0) as i16)
        .collect()
}

/// Every so many samples of what is below 7.6 kHz, without delay.
fn low_pass(samples: &[f32], step: usize) -> Vec<f32> {
    const HALF: usize = 96;
    let cut = 2.0 * 7_600.0 / 48_000.0;
    let taps: Vec<f32> = (0..=2 * HALF)
        .map(|i| {
            let x = i as f64 - HALF as f64;
            let sinc = if x == 0.0 {
                cut
            } else {
                (std::f64::consts::PI * cut * x).sin() / (std::f64::consts::PI * x)
            };
            let window = 0.5 + 0.5 * (std::f64::consts::PI * x / (HALF + 1) as f64).cos();
            (sinc * window) as f32
        })
        .collect();
    let mut padded = vec![0.0; HALF];
    padded.extend_from_slice(samples);
    padded.resize(samples.len() + 2 * HALF, 0.0);
    padded
        .windows(2 * HALF + 1)
        .step_by(step)
        .map(|w| w.iter().zip(&taps).map(|(a, b)| a * b).sum())
        .collect()
}

/// By how many samples `heard` lags behind `spoken`, up to half a second.
pub(crate) fn lag(spoken: &[f32], heard: &[f32]) -> usize {
    let score = |lag: usize, step: usize| -> f32 {
        let heard = &heard[lag.min(heard.len())..];
        spoken
            .iter()
            .zip(heard)
            .step_by(step)
            .map(|(a, b)| a * b)
            .sum()
    };
    let coarse = (0..24_000)
        .step_by(12)
        .map(|lag| (score(lag, 11), lag))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .expect("lags")
        .1;
    (coarse.saturating_sub(12)..coarse + 12)
        .map(|lag| (score(lag, 3), lag))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .expect("lags")
        .1
}

/// What the ears say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    /// Mouth to ear without sound cards, the median of all seconds, in milliseconds.
    pub delay_ms: f64,
    /// PESQ, wide band, the mean of pieces of 8 s.
    pub(crate) pesq: f64,
}

/// Judges what was heard. The first `skip` seconds, in which the delay settles, count for nothing.
pub(crate) fn judge(spoken: &[f32], heard: &[f32], skip: usize) -> Score {
    let n = spoken.len().min(heard.len());
    let (spoken, heard) = (&spoken[skip * 48_000..n], &heard[skip * 48_000..n]);
    let mut lags: Vec<usize> = (0..(spoken.len() / 48_000).saturating_sub(1))
        .map(|s| (&spoken[s * 48_000..(s + 1) * 48_000], &heard[s * 48_000..]))
        .filter(|(spoken, _)| spoken.iter().map(|s| s * s).sum::<f32>() > 50.0)
        .map(|(spoken, heard)| lag(spoken, heard))
        .collect();
    lags.sort_unstable();
    let delay = lags[lags.len() / 2];
    let (spoken, heard) = (narrow(spoken), narrow(&heard[delay..]));
    let n = spoken.len().min(heard.len());
    let piece = 8 * 16_000;
    let scores: Vec<f64> = (0..(n / piece).max(1))
        .map(|i| i * piece..((i + 1) * piece).min(n))
        .map(|r| f64::from(pesq::pesq_wb(&spoken[r.clone()], &heard[r]).expect("a score")))
        .collect();
    Score {
        delay_ms: delay as f64 / MS as f64,
        pesq: scores.iter().sum::<f64>() / scores.len() as f64,
    }
}

/// A time on the virtual clock.
pub(crate) fn at(ms: u64) -> Instant {
    Instant::default() + Duration::from_millis(ms)
}
