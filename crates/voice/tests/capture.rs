//! The way from the microphone: what is taken out of a voice, and what is not.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test, whose numbers are small"
)]

mod lab;
#[path = "voices/mod.rs"]
mod voices;

use hallway_voice::capture::{BLOCK, Capture, CaptureConfig};
use hallway_voice::echo::EchoCanceller;
use hallway_voice::noise::NoiseSuppressor;
use voices::{db, noise, pesq, room, speech, sum};

const SECOND: usize = 48_000;

const ECHO_ONLY: CaptureConfig = CaptureConfig {
    echo: true,
    noise: false,
    gain: false,
};

/// What a canceller leaves of what the microphone hears while `far` is played.
fn cancel(far: &[f32], microphone: &[f32]) -> (Vec<f32>, EchoCanceller) {
    let mut canceller = EchoCanceller::new();
    let mut left = microphone.to_vec();
    for (far, block) in far.chunks_exact(BLOCK).zip(left.chunks_exact_mut(BLOCK)) {
        canceller.handle_render(far);
        canceller.process(block);
    }
    (left, canceller)
}

/// By how many dB the echo is less, from `from` on.
fn enhancement(microphone: &[f32], left: &[f32], from: usize) -> f32 {
    db(&microphone[from..]) - db(&left[from..])
}

fn capture(config: CaptureConfig, microphone: &[f32]) -> Vec<f32> {
    let mut capture = Capture::new(config);
    let mut out = Vec::new();
    capture.process(microphone, &mut out);
    out
}

#[test]
fn an_echo_is_cancelled_at_any_delay() {
    let far = speech(1, 5);
    for delay_ms in [20, 50, 80] {
        let echo = room(&far, delay_ms * 48, 0.3);
        let microphone = sum(&echo, &noise(2, far.len(), 0.0003));
        let (left, canceller) = cancel(&far, &microphone);
        let enhanced = enhancement(&microphone, &left, 3 * SECOND);
        assert!(enhanced > 25.0, "{enhanced} dB at {delay_ms} ms");
        assert!(canceller.is_echo_present());
    }
}

#[test]
fn an_echo_is_cancelled_when_clocks_drift() {
    // The pauses of this voice are long enough for the path to change in.
    let far = lab::speech(include_bytes!("lab/speech.wav"));
    // The microphone's clock is 100 ppm slow, or fast.
    for drift in [100e-6, -100e-6] {
        let echo = voices::stretched(&room(&far, 40 * 48, 0.3), 1.0 + drift);
        let microphone = sum(&echo, &noise(4, far.len(), 0.0003));
        let (left, _) = cancel(&far, &microphone);
        let enhanced = enhancement(&microphone, &left, 3 * SECOND);
        assert!(enhanced > 25.0, "{enhanced} dB for {drift}");
    }
}

#[test]
fn an_echo_is_cancelled_though_devices_work_in_bursts() {
    let far = speech(5, 8);
    let microphone = room(&far, 60 * 48, 0.3);
    let mut pipeline = Capture::new(ECHO_ONLY);
    let mut left = Vec::new();
    let mut bursts = far.chunks(1_024);
    let mut played = 0;
    for (i, heard) in microphone.chunks(441).enumerate() {
        while played <= i * 441
            && let Some(burst) = bursts.next()
        {
            pipeline.handle_render(burst);
            played += burst.len();
        }
        pipeline.process(heard, &mut left);
    }
    let enhanced = enhancement(&microphone[..left.len()], &left, 4 * SECOND);
    assert!(enhanced > 25.0, "{enhanced} dB");
}

#[test]
fn a_near_speaker_is_left_alone_while_nothing_is_played() {
    let near = speech(6, 3);
    let (left, _) = cancel(&vec![0.0; near.len()], &near);
    assert_eq!(left, near);
}

#[test]
fn a_near_speaker_with_a_headset_is_soon_left_alone() {
    let near = speech(7, 6);
    let (left, canceller) = cancel(&speech(8, 6), &near);
    assert!(!canceller.is_echo_present());
    assert_eq!(left[3 * SECOND..], near[3 * SECOND..]);
}

#[test]
fn a_near_speaker_comes_through_when_the_far_end_is_done() {
    let (far, near) = (speech(9, 4), speech(10, 8));
    let mut microphone = sum(&near, &vec![0.0; near.len()]);
    microphone[..4 * SECOND].copy_from_slice(&room(&far, 40 * 48, 0.3));
    let mut played = far;
    played.resize(near.len(), 0.0);
    let (left, _) = cancel(&played, &microphone);
    let score = pesq(
        &near[4 * SECOND + SECOND / 2..],
        &left[4 * SECOND + SECOND / 2..],
    );
    assert!(score > 4.0, "{score}");
}

#[test]
fn double_talk_keeps_the_near_speaker() {
    let (far, near) = (speech(11, 9), speech(12, 9));
    let echo = room(&far, 40 * 48, 0.2);
    let mut microphone = echo.clone();
    for (sample, near) in microphone[4 * SECOND..].iter_mut().zip(&near[4 * SECOND..]) {
        *sample += near;
    }
    let (left, _) = cancel(&far, &microphone);
    let (near, left) = (&near[4 * SECOND..], &left[4 * SECOND..]);
    let score = pesq(near, left);
    assert!(score > 2.8, "{score}");
    let before = pesq(near, &microphone[4 * SECOND..]);
    assert!(score > before + 0.8, "{score}, {before} with the echo");
}

#[test]
fn clean_speech_passes_the_whole_pipeline_at_once() {
    let near = speech(13, 6);
    let out = capture(CaptureConfig::default(), &near);
    assert_eq!(out.len(), near.len());
    let score = pesq(&near, &out);
    assert!(score > 4.4, "{score}");
    assert_eq!(voices::lag(&near, &out), 0);
}

#[test]
fn noise_is_turned_down_and_speech_is_not() {
    let near = speech(14, 8);
    let hiss = noise(15, near.len(), 0.01);
    let microphone = sum(&near, &hiss);
    let config = CaptureConfig {
        echo: false,
        noise: true,
        gain: false,
    };
    let quiet = capture(config, &hiss);
    let less = db(&hiss[2 * SECOND..]) - db(&quiet[2 * SECOND..]);
    assert!(less > 6.0, "{less} dB");
    let out = capture(config, &microphone);
    let change = db(&out[2 * SECOND..]) - db(&near[2 * SECOND..]);
    assert!(change.abs() < 3.0, "{change} dB");
}

#[test]
fn a_voice_in_noise_is_better_without() {
    let near = speech(19, 10);
    // So that the voice is 10 dB louder.
    let height = 3f32.sqrt() * 10f32.powf((db(&near) - 10.0) / 20.0);
    let microphone = sum(&near, &noise(20, near.len(), height));
    let mut out = microphone.clone();
    NoiseSuppressor::new().process(&mut out);
    let from = 2 * SECOND;
    let (before, after) = (
        pesq(&near[from..], &microphone[from..]),
        pesq(&near[from..], &out[from..]),
    );
    assert!(after > before + 0.25, "{before} became {after}");
    let lag = voices::lag(&near, &out);
    assert!(lag <= 5, "{lag} samples late");
    // And one without noise stays what it is.
    let mut out = near.clone();
    NoiseSuppressor::new().process(&mut out);
    let score = pesq(&near, &out);
    assert!(score > 4.5, "{score}");
}

#[test]
fn music_survives() {
    // A chord that changes twice a second.
    let music: Vec<f32> = (0..8 * SECOND)
        .map(|i| {
            let root = 220.0 * [1.0, 1.125, 1.335, 1.5][i / (SECOND / 2) % 4];
            let t = i as f32 / SECOND as f32;
            let fade = (-4.0 * (t % 0.5)).exp();
            [1.0, 1.25, 1.5, 2.0, 3.0]
                .map(|ratio| {
                    0.06 * fade * (std::f32::consts::TAU * root * ratio * (t % 60.0)).sin()
                })
                .iter()
                .sum()
        })
        .collect();
    let out = capture(CaptureConfig::default(), &music);
    let change = db(&out[2 * SECOND..]) - db(&music[2 * SECOND..]);
    assert!(change.abs() < 3.0, "{change} dB");
}

#[test]
fn silence_stays_silence() {
    let out = capture(CaptureConfig::default(), &vec![0.0; SECOND]);
    assert_eq!(out, vec![0.0; SECOND]);
}

#[test]
fn broken_samples_are_repaired_and_counted() {
    let mut pipeline = Capture::new(CaptureConfig::default());
    let mut out = Vec::new();
    pipeline.handle_render(&[f32::NAN, f32::INFINITY, 1e30]);
    pipeline.process(&[f32::NAN, f32::NEG_INFINITY, 7.0, 1e-40], &mut out);
    pipeline.process(&speech(16, 1), &mut out);
    assert!(out.iter().all(|x| x.is_finite() && x.abs() <= 1.0));
    assert!(db(&out) > -40.0, "speech is heard again");
    assert_eq!(pipeline.faults().not_finite, 2);
    assert_eq!(pipeline.faults().too_large, 1);
}

#[test]
fn a_constant_offset_is_removed() {
    let out = capture(ECHO_ONLY, &vec![0.25; SECOND]);
    assert!(out[SECOND / 2..].iter().all(|x| x.abs() < 1e-4));
}

#[test]
fn any_block_size_gives_the_same() {
    let near = speech(17, 1);
    let whole = capture(CaptureConfig::default(), &near);
    let mut pipeline = Capture::new(CaptureConfig::default());
    let mut out = Vec::new();
    for (i, _) in near.iter().enumerate().step_by(7 * 13) {
        pipeline.process(&near[i..(i + 7 * 13).min(near.len())], &mut out);
    }
    assert_eq!(out, whole);
}

#[test]
fn a_muted_speaker_is_silent_but_metered() {
    let mut pipeline = Capture::new(CaptureConfig::default());
    pipeline.set_muted(true);
    let mut out = Vec::new();
    let near = speech(18, 2);
    let mut spoke = false;
    for block in near.chunks(480) {
        pipeline.process(block, &mut out);
        spoke |= pipeline.level().voice;
    }
    assert!(spoke);
    assert_eq!(out, vec![0.0; near.len()]);
}
