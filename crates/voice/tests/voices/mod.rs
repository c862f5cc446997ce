//! Voices, rooms and noise for tests, made from a seed, and how well a voice is heard.
#![allow(unreachable_pub, reason = "a part of several tests")]

use std::f32::consts::TAU;

const RATE: f32 = 48_000.0;

struct Dice(u32);

impl Dice {
    /// Evenly between -1 and 1.
    fn throw(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// Speech-like sound: syllables of a pulsed voice through two moving formants, hisses between
/// them, pauses after a few.
pub fn speech(seed: u32, seconds: usize) -> Vec<f32> {
    let mut dice = Dice(seed.wrapping_mul(2_654_435_761));
    let mut out = Vec::with_capacity(seconds * 48_000);
    let pitch = 130.0 + 60.0 * dice.throw();
    let (mut phase, mut states) = (0.0f32, [[0.0f32; 2]; 3]);
    while out.len() < seconds * 48_000 {
        let length = (9_000.0 + 3_000.0 * dice.throw()) as usize;
        let pause = dice.throw() > 0.0;
        let hiss = (length as f32 * 0.15 * (1.0 + dice.throw())) as usize;
        let formants = [
            500.0 + 250.0 * dice.throw(),
            1_600.0 + 700.0 * dice.throw(),
            3_200.0,
        ];
        let (bend, loud) = (dice.throw(), 0.7 + 0.3 * dice.throw());
        for i in 0..length {
            let at = i as f32 / length as f32;
            let envelope = loud * (at * std::f32::consts::PI).sin().powf(0.7);
            phase += pitch * (1.0 + 0.15 * bend * at) / RATE;
            let pulse = if phase >= 1.0 { 12.0 } else { 0.0 };
            phase %= 1.0;
            let source = if i < hiss {
                0.8 * dice.throw()
            } else {
                pulse + 0.05 * dice.throw()
            };
            let mut sample = 0.0;
            for (formant, state) in formants.iter().zip(&mut states) {
                let frequency = if i < hiss { formant * 1.9 } else { *formant };
                let radius = 1.0 - 150.0 / RATE;
                let feedback = 2.0 * radius * (TAU * frequency / RATE).cos();
                let next = 0.02 * source + feedback * state[0] - radius * radius * state[1];
                *state = [next, state[0]];
                sample += next;
            }
            out.push((0.13 * envelope * sample).clamp(-0.9, 0.9));
        }
        out.extend(std::iter::repeat_n(
            0.0,
            if pause { length } else { length / 4 },
        ));
    }
    out.truncate(seconds * 48_000);
    out
}

/// White noise up to this height.
pub fn noise(seed: u32, samples: usize, height: f32) -> Vec<f32> {
    let mut dice = Dice(seed);
    (0..samples).map(|_| height * dice.throw()).collect()
}

/// What a microphone hears of a loudspeaker: the direct sound and 60 reflections that die away.
pub fn room(sound: &[f32], delay: usize, gain: f32) -> Vec<f32> {
    let mut dice = Dice(99);
    let mut taps = vec![(delay, gain)];
    for _ in 0..60 {
        let later = 24.0 + 1_500.0 * (1.0 + dice.throw());
        taps.push((
            delay + later as usize,
            0.3 * gain * dice.throw() * (-later / 700.0).exp(),
        ));
    }
    let mut heard = vec![0.0; sound.len()];
    for (delay, gain) in taps {
        for (heard, sound) in heard[delay..].iter_mut().zip(sound) {
            *heard += gain * sound;
        }
    }
    heard
}

/// The same sound read `speed` times as fast, by cubic interpolation.
pub fn stretched(sound: &[f32], speed: f64) -> Vec<f32> {
    let sample = |i: usize| sound.get(i).copied().unwrap_or(0.0);
    (0..sound.len())
        .map(|i| {
            let at = i as f64 * speed;
            let (k, f) = (at as usize, at.fract() as f32);
            let [a, b, c, d] = [
                sample(k.max(1) - 1),
                sample(k),
                sample(k + 1),
                sample(k + 2),
            ];
            let cubic = 3.0 * (b - c) + d - a;
            b + 0.5 * f * (c - a + f * (2.0 * a - 5.0 * b + 4.0 * c - d + f * cubic))
        })
        .collect()
}

/// Two sounds at once.
pub fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Mean power in dB of full scale.
pub fn db(sound: &[f32]) -> f32 {
    10.0 * (sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32 + 1e-12).log10()
}

/// By how many samples `heard` lags behind, at most 20 ms.
pub fn lag(spoken: &[f32], heard: &[f32]) -> usize {
    let score = |lag: &usize| -> f32 {
        spoken
            .iter()
            .zip(&heard[*lag..])
            .step_by(3)
            .map(|(a, b)| a * b)
            .sum()
    };
    (0..960)
        .max_by(|a, b| score(a).total_cmp(&score(b)))
        .unwrap()
}

/// PESQ (wide band, ITU-T P.862.2).
pub fn pesq(spoken: &[f32], heard: &[f32]) -> f32 {
    let both = spoken.len().min(heard.len());
    let score = pesq::pesq_wb(&narrow(&spoken[..both]), &narrow(&heard[..both]));
    score.unwrap() as f32
}

/// 48 kHz to 16-bit samples of 16 kHz, by a windowed sinc.
fn narrow(sound: &[f32]) -> Vec<i16> {
    let taps: Vec<f32> = (-36i32..=36)
        .map(|i| {
            let x = i as f32 * std::f32::consts::PI;
            let sinc = if i == 0 { 0.3 } else { (x * 0.3).sin() / x };
            sinc * (0.5 + 0.5 * (x / 37.0).cos())
        })
        .collect();
    sound
        .windows(taps.len())
        .step_by(3)
        .map(|window| {
            let sample: f32 = window.iter().zip(&taps).map(|(a, b)| a * b).sum();
            (sample * 32_767.0).round() as i16
        })
        .collect()
}
