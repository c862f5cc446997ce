//! Whole calls in simulated time: how they sound, and what they survive.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is counted here is small"
)]

mod lab;

use hallway_model::Instant;
use hallway_voice::codec::{Encoder, EncoderConfig, FrameLength};
use hallway_voice::playout::{Config, FRAMES_MAX, Playout, Stats};
use lab::{Call, Dice, Heard, Jitter, Score, Wire};

fn spoken() -> Vec<f32> {
    lab::speech(include_bytes!("lab/speech.wav"))
}

fn call(wire: Wire) -> (Heard, Score) {
    let spoken = spoken();
    let heard = lab::hold(&spoken, &wire, &Call::default());
    let score = lab::judge(&spoken, &heard.samples, 2);
    (heard, score)
}

/// The targets of mouth to ear without 18 ms for sound cards and their buffers.
#[track_caller]
fn reaches(wire: Wire, delay_ms: f64, pesq: f64) {
    let (heard, score) = call(wire);
    assert!(
        score.delay_ms <= delay_ms && score.pesq >= pesq,
        "{score:?} {:?}",
        heard.stats
    );
}

#[test]
fn a_clean_network_costs_no_more_than_the_codec() {
    reaches(Wire::default(), 22.0, 4.4);
}

#[test]
fn losses_are_not_heard() {
    reaches(
        Wire {
            loss: 0.05,
            ..Wire::default()
        },
        38.0,
        4.3,
    );
    reaches(
        Wire {
            loss: 0.2,
            ..Wire::default()
        },
        52.0,
        4.2,
    );
}

#[test]
fn jitter_is_not_heard() {
    let jitter = Jitter::UpTo(30.0);
    reaches(
        Wire {
            jitter,
            ..Wire::default()
        },
        57.0,
        4.2,
    );
}

/// Sends payloads of 20 ms by a clock of its own.
struct Sender {
    payloads: Vec<Vec<u8>>,
    sent: usize,
    timestamp: u32,
}

impl Sender {
    fn new() -> Self {
        let mut encoder = Encoder::new(EncoderConfig::default()).expect("an encoder");
        let payloads = spoken()
            .chunks_exact(960)
            .map(|frame| {
                let mut payload = Vec::new();
                encoder.encode(frame, &mut payload).expect("a payload");
                payload
            })
            .collect();
        Self {
            payloads,
            sent: 0,
            timestamp: 0,
        }
    }

    fn send(&mut self, playout: &mut Playout, arrival: Instant) {
        let payload = &self.payloads[self.sent % self.payloads.len()];
        playout.handle_frame(self.timestamp, FrameLength::Ms20, payload, arrival);
        self.sent += 1;
        self.timestamp = self.timestamp.wrapping_add(960);
    }
}

/// Lost frames of which no copy comes, alone and some in a row.
fn without_copies(sound: &[f32], burst: f64) -> Heard {
    let wire = Wire {
        loss: 0.1,
        burst,
        ..Wire::default()
    };
    let call = Call {
        copies: 0,
        ..Call::default()
    };
    lab::hold(sound, &wire, &call)
}

fn rms(sound: &[f32]) -> f32 {
    (sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32).sqrt()
}

#[test]
fn silence_stays_silence_when_frames_are_made_up() {
    for burst in [1.0, 4.0] {
        let heard = without_copies(&vec![0.0; 6 * 48_000], burst);
        assert!(heard.stats.concealed > 0);
        let loudest = heard
            .samples
            .iter()
            .fold(0.0f32, |most, s| most.max(s.abs()));
        assert!(loudest < 1e-4, "{loudest}");
    }
}

#[test]
fn music_survives_when_frames_are_made_up() {
    // A chord that changes twice a second.
    let music: Vec<f32> = (0..8 * 48_000)
        .map(|i| {
            let root = 220.0 * [1.0, 1.125, 1.335, 1.5][i / 24_000 % 4];
            let t = i as f32 / 48_000.0;
            let fade = (-2.0 * (t % 0.5)).exp();
            let note = |ratio: f32| (std::f32::consts::TAU * root * ratio * t).sin();
            0.08 * fade * [1.0, 1.25, 1.5, 2.0].map(note).iter().sum::<f32>()
        })
        .collect();
    let loud = rms(&music);
    for burst in [1.0, 4.0] {
        let heard = without_copies(&music, burst);
        assert!(heard.stats.concealed > 0);
        let ratio = rms(&heard.samples[96_000..]) / loud;
        assert!((0.7..1.2).contains(&ratio), "{ratio} times as loud");
    }
    // With copies all of it is there.
    let wire = Wire {
        loss: 0.1,
        ..Wire::default()
    };
    let heard = lab::hold(&music, &wire, &Call::default());
    // Second by second, because the delay may change between them.
    let mut alike: Vec<f32> = (2..7)
        .map(|second| {
            let (from, to) = (second * 48_000, (second + 1) * 48_000);
            let heard = &heard.samples[from..];
            let lag = lab::lag(&music[from..to], heard);
            let heard = &heard[lag..heard.len().min(lag + 48_000)];
            let both: f32 = music[from..to].iter().zip(heard).map(|(a, b)| a * b).sum();
            both / (heard.len() as f32 * rms(&music[from..to]) * rms(heard))
        })
        .collect();
    alike.sort_by(f32::total_cmp);
    assert!(alike[2] > 0.9, "{alike:?} alike");
}

fn playout() -> Playout {
    Playout::new(Config::default()).expect("a playout")
}

/// Lets both run for so many frames, in step.
fn run(sender: &mut Sender, playout: &mut Playout, ms: &mut u64, frames: usize) -> Stats {
    let mut out = [0.0; 960];
    for _ in 0..frames {
        sender.send(playout, lab::at(*ms));
        playout.fill(&mut out, lab::at(*ms + 1));
        assert!(out.iter().all(|s| s.is_finite() && s.abs() <= 1.0));
        *ms += 20;
    }
    playout.stats()
}

#[test]
fn a_second_without_sound_from_the_sender_costs_no_delay() {
    let (mut sender, mut playout, mut ms) = (Sender::new(), playout(), 0);
    let before = run(&mut sender, &mut playout, &mut ms, 200);
    // Its microphone stalls: timestamps go on where they were.
    for _ in 0..50 {
        playout.fill(&mut [0.0; 960], lab::at(ms));
        ms += 20;
    }
    let after = run(&mut sender, &mut playout, &mut ms, 200);
    assert!(
        after.delay_ms <= before.delay_ms + 10.0,
        "{before:?} {after:?}"
    );
    assert_eq!(after.restarts, 1);
    // The network stalls: all come at once.
    for _ in 0..50 {
        playout.fill(&mut [0.0; 960], lab::at(ms));
        ms += 20;
    }
    for _ in 0..50 {
        sender.send(&mut playout, lab::at(ms));
    }
    let after = run(&mut sender, &mut playout, &mut ms, 200);
    assert!(
        after.delay_ms <= before.delay_ms + 10.0,
        "{before:?} {after:?}"
    );
    assert_eq!(after.restarts, 2);
}

#[test]
fn a_second_in_which_nothing_was_played_costs_no_delay() {
    let (mut sender, mut playout, mut ms) = (Sender::new(), playout(), 0);
    let before = run(&mut sender, &mut playout, &mut ms, 200);
    for _ in 0..50 {
        sender.send(&mut playout, lab::at(ms));
        ms += 20;
    }
    let after = run(&mut sender, &mut playout, &mut ms, 200);
    assert!(
        after.delay_ms <= before.delay_ms + 10.0,
        "{before:?} {after:?}"
    );
}

#[test]
fn a_sender_that_starts_anew_is_heard_at_once() {
    let (mut sender, mut playout, mut ms) = (Sender::new(), playout(), 0);
    run(&mut sender, &mut playout, &mut ms, 100);
    for timestamp in [4_000_000_000, 7, 960_000, u32::MAX - 9_600] {
        sender.timestamp = timestamp;
        let before = playout.stats();
        let after = run(&mut sender, &mut playout, &mut ms, 100);
        let decoded = (after.decoded - before.decoded) / 960;
        assert!(decoded >= 80, "{timestamp}: {decoded} of 100 frames");
        assert!(after.delay_ms < 30.0, "{timestamp}: {after:?}");
    }
}

#[test]
fn half_an_hour_of_drift_spikes_and_stalls_leaves_the_delay_where_it_was() {
    let mut sender = Sender::new();
    let mut playout = playout();
    let mut dice = Dice(5);
    let mut out = [0.0; 960];
    let (mut early, mut late) = (Vec::new(), Vec::new());
    // The sender's 20 ms are 20.002 of ours.
    let (mut next, mut lost) = (0.0, 0.0);
    const BLOCKS: usize = 90_000;
    for block in 0..BLOCKS {
        let now = block as f64 * 20_000.0;
        // Our sound card stalls for 100 ms each 5 minutes, the network for 80 ms each 20 s.
        if block % 15_000 == 7_500 {
            lost += 100_000.0;
        }
        let stall = now % 20e6 < 80_000.0;
        while next <= now + lost && !stall {
            sender.send(
                &mut playout,
                Instant((next + dice.share() * 3_000.0) as u64),
            );
            next += 20_002.0;
        }
        playout.fill(&mut out, Instant((now + lost) as u64));
        assert!(out.iter().all(|s| s.is_finite()));
        let delay = playout.stats().delay_ms;
        if (1_500..3_000).contains(&block) {
            early.push(delay);
        } else if block >= BLOCKS - 1_500 {
            late.push(delay);
        }
    }
    let mean = |delays: &[f32]| delays.iter().sum::<f32>() / delays.len() as f32;
    let (early, late) = (mean(&early), mean(&late));
    assert!((early - late).abs() < 10.0, "{early} ms, then {late} ms");
    assert!(late < 100.0, "{late}");
}

#[test]
fn the_same_trace_gives_the_same_samples() {
    let wire = Wire {
        loss: 0.1,
        jitter: Jitter::Normal(30.0),
        ..Wire::default()
    };
    let spoken = &spoken()[..4 * 48_000];
    let once = lab::hold(spoken, &wire, &Call::default());
    let again = lab::hold(spoken, &wire, &Call::default());
    assert_eq!(once.samples, again.samples);
    assert_eq!(once.stats, again.stats);
}

#[test]
fn any_block_size_is_filled() {
    let spoken = &spoken()[..2 * 48_000];
    for block in [1, 37, 120, 441, 960] {
        let call = Call {
            block,
            ..Call::default()
        };
        let heard = lab::hold(spoken, &Wire::default(), &call);
        assert!(heard.stats.concealed <= 960, "{block}: {:?}", heard.stats);
    }
}

#[test]
fn copies_late_frames_and_floods_are_counted_and_dropped() {
    let (mut sender, mut playout, mut ms) = (Sender::new(), playout(), 0);
    run(&mut sender, &mut playout, &mut ms, 50);
    let payload = sender.payloads[0].clone();
    let last = sender.timestamp - 960;
    let mut hand = |timestamp, payload: &[u8]| {
        playout.handle_frame(timestamp, FrameLength::Ms20, payload, lab::at(ms));
        playout.stats()
    };
    assert_eq!(hand(last, &payload).duplicates, 1);
    assert_eq!(hand(last.wrapping_sub(100_001), &payload).late, 1);
    assert_eq!(hand(last + 960, &[]).malformed, 1);
    assert_eq!(hand(last + 960, &[0; 1_276]).malformed, 2);
    let start = last + 960;
    for i in 0..FRAMES_MAX as u32 {
        assert_eq!(hand(start + i, &payload).dropped, 0);
    }
    assert_eq!(hand(start + FRAMES_MAX as u32, &payload).dropped, 1);
    let stats = run(&mut sender, &mut playout, &mut ms, 100);
    assert!(stats.delay_ms < 30.0, "{stats:?}");
}
