//! What a call is worth: how late what was said is heard (mouth to ear), and how good it sounds.

use super::{SAMPLE_RATE, samples_in};
use realfft::RealFftPlanner;
use std::ops::Range;
use std::time::Duration;

/// Latency is measured once for each second.
const WINDOW: usize = SAMPLE_RATE as usize;
/// Later than this nothing is looked for; a conversation is hardly possible then.
const LAG_MAX: usize = SAMPLE_RATE as usize;
/// A window that is less loud has only pauses in it.
const LOUDNESS_MIN: f64 = 5e-3;
/// Windows that resemble less are not counted: their lag is chance.
const CORRELATION_MIN: f64 = 0.4;
/// PESQ is made for samples of 8 to 12 s and worth most there (ITU-T P.862, 7.4).
const SAMPLE: usize = 8 * SAMPLE_RATE as usize;
/// The wideband variant (ITU-T P.862.2) takes 16,000 samples a second: every third of ours.
const DECIMATION: usize = 3;

/// Why there is no score.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// Nothing that was said is found again in what was heard.
    #[error("what was said is not heard")]
    Unheard,
    /// PESQ finds no speech in it.
    #[error("no speech to judge: {0}")]
    NoSpeech(pesq::PesqError),
}

/// How late one second of speech was heard, and how much it resembles what was said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// From mouth to ear.
    pub latency: Duration,
    /// 1 when nothing but loudness differs, 0 when nothing is alike.
    pub correlation: f64,
}

/// What a call is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// From mouth to ear, the middle of all seconds.
    pub latency: Duration,
    /// The same, of each second in which something was said and heard.
    pub lags: Vec<Lag>,
    /// Wideband PESQ, the mean of the samples of 8 s: 4.64 is as good as can be, 1 is noise.
    pub pesq: f64,
}

/// Compares what was said with what was heard; both begin at the same moment.
pub fn score(said: &[f32], heard: &[f32]) -> Result<Score, ScoreError> {
    let lags = lags(said, heard);
    let mut sorted: Vec<Duration> = lags.iter().map(|lag| lag.latency).collect();
    sorted.sort_unstable();
    let latency = sorted.get(sorted.len() / 2);
    Ok(Score {
        latency: *latency.ok_or(ScoreError::Unheard)?,
        pesq: pesq(said, heard)?,
        lags,
    })
}

/// How late each second of speech is heard. Pauses, and seconds that are not heard at all, are
/// left out.
pub fn lags(said: &[f32], heard: &[f32]) -> Vec<Lag> {
    let starts = (0..said.len().saturating_sub(WINDOW)).step_by(WINDOW);
    starts
        .filter_map(|start| {
            let window = said.get(start..start + WINDOW)?;
            if (energy(window) / WINDOW as f64).sqrt() < LOUDNESS_MIN {
                return None;
            }
            let end = (start + WINDOW + LAG_MAX).min(heard.len());
            let found = lag(window, heard.get(start..end)?, 0..LAG_MAX)?;
            (found.correlation >= CORRELATION_MIN).then_some(found)
        })
        .collect()
}

/// Wideband PESQ (ITU-T P.862.2), the mean of all samples of 8 s from the first sound on, or of
/// one that is shorter.
pub fn pesq(said: &[f32], heard: &[f32]) -> Result<f64, ScoreError> {
    let found = lag(said, heard, 0..2 * LAG_MAX).ok_or(ScoreError::Unheard)?;
    let heard = heard.get(samples_in(found.latency)..).unwrap_or_default();
    let first = said.iter().position(|sample| sample.abs() > 1e-3);
    let range = first.unwrap_or(0)..said.len().min(heard.len());
    let cut = |all: &[f32]| decimate(all.get(range.clone()).unwrap_or_default());
    let (said, heard) = (cut(said), cut(heard));
    let length = (SAMPLE / DECIMATION).min(said.len());
    let scores: Result<Vec<f32>, _> = said
        .chunks_exact(length.max(1))
        .zip(heard.chunks_exact(length.max(1)))
        .map(|(said, heard)| pesq::pesq_wb(said, heard))
        .collect();
    let scores = scores.map_err(ScoreError::NoSpeech)?;
    if scores.is_empty() {
        return Err(ScoreError::Unheard);
    }
    Ok(scores.iter().copied().map(f64::from).sum::<f64>() / scores.len() as f64)
}

/// At which of these lags, in samples, the one resembles the other most.
fn lag(said: &[f32], heard: &[f32], lags: Range<usize>) -> Option<Lag> {
    let products = cross_correlate(said, heard);
    let best = lags
        .take(heard.len())
        .max_by(|a, b| products[*a].abs().total_cmp(&products[*b].abs()))?;
    let overlap = said.len().min(heard.len() - best);
    let energy = energy(&said[..overlap]) * energy(&heard[best..best + overlap]);
    if energy <= 0.0 {
        return None;
    }
    Some(Lag {
        latency: Duration::from_secs(best as u64) / SAMPLE_RATE,
        correlation: f64::from(products[best].abs()) / energy.sqrt(),
    })
}

/// The sum of products of one and the other, for every lag of the second from 0 on.
fn cross_correlate(said: &[f32], heard: &[f32]) -> Vec<f32> {
    let length = (said.len() + heard.len()).next_power_of_two();
    let mut planner = RealFftPlanner::new();
    let (forward, inverse) = (
        planner.plan_fft_forward(length),
        planner.plan_fft_inverse(length),
    );
    let transform = |signal: &[f32]| {
        let mut padded = signal.to_vec();
        padded.resize(length, 0.0);
        let mut spectrum = forward.make_output_vec();
        let done = forward.process(&mut padded, &mut spectrum);
        done.expect("the lengths fit");
        spectrum
    };
    let mut product = transform(heard);
    for (heard, said) in product.iter_mut().zip(transform(said)) {
        *heard *= said.conj() / length as f32;
    }
    let mut lags = inverse.make_output_vec();
    let done = inverse.process(&mut product, &mut lags);
    done.expect("the first and the last are real, as they are of real signals");
    lags
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|s| f64::from(*s).powi(2)).sum()
}

/// Every third sample, of 16 bits, less the tones that those cannot have.
#[allow(
    clippy::cast_possible_truncation,
    reason = "what is too loud becomes as loud as can be"
)]
fn decimate(samples: &[f32]) -> Vec<i16> {
    let kept = samples.len().div_ceil(DECIMATION);
    // Both lengths are even, and quick to transform.
    let length = samples.len().next_multiple_of(DECIMATION * 1024).max(1);
    let mut planner = RealFftPlanner::new();
    let mut padded = samples.to_vec();
    padded.resize(length, 0.0);
    let forward = planner.plan_fft_forward(length);
    let mut spectrum = forward.make_output_vec();
    forward
        .process(&mut padded, &mut spectrum)
        .expect("the lengths fit");
    let inverse = planner.plan_fft_inverse(length / DECIMATION);
    let mut low = spectrum[..=length / DECIMATION / 2].to_vec();
    low.last_mut().expect("there is one").im = 0.0;
    let mut third = inverse.make_output_vec();
    inverse
        .process(&mut low, &mut third)
        .expect("the lengths fit");
    let scale = f32::from(i16::MAX) / length as f32;
    third
        .iter()
        .take(kept)
        .map(|sample| (sample * scale) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Voice, speech};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    use std::f32::consts::PI;

    /// Enough for two samples of PESQ.
    fn some(voice: Voice) -> Vec<f32> {
        let mut said = speech(voice);
        said.truncate(17 * WINDOW);
        said
    }

    /// What a call without any fault but this delay makes heard.
    fn delayed(said: &[f32], delay: usize) -> Vec<f32> {
        let mut heard = vec![0.0; delay];
        heard.extend_from_slice(said);
        heard.truncate(said.len());
        heard
    }

    #[test]
    fn what_is_heard_as_it_was_said_has_its_delay_and_full_marks() {
        let said = some(Voice::High);
        let score = score(&said, &delayed(&said, 1234)).unwrap();
        assert_eq!(samples_in(score.latency), 1234);
        assert!(score.lags.iter().all(|lag| samples_in(lag.latency) == 1234));
        assert!(score.lags.iter().all(|lag| lag.correlation > 0.999));
        assert!(score.lags.len() > 12, "{}", score.lags.len());
        // The best that P.862.2 gives to anything.
        assert!((4.63..4.65).contains(&score.pesq), "{}", score.pesq);
    }

    #[test]
    fn a_delay_that_changes_is_seen_second_by_second() {
        let said = some(Voice::Low);
        let (early, late) = (delayed(&said, 960), delayed(&said, 4800));
        let middle = 10 * WINDOW;
        let heard = [&early[..middle], &late[middle..]].concat();
        let lags = lags(&said, &heard);
        let (first, last) = (lags.first().unwrap(), lags.last().unwrap());
        assert_eq!(samples_in(first.latency), 960);
        assert_eq!(samples_in(last.latency), 4800);
    }

    /// The reference implementation of the ITU gives 3.7605, 2.1294 and 1.2812 for these.
    #[test]
    fn what_is_missing_costs_marks() {
        let said = some(Voice::High);
        let marks = [0.01, 0.05, 0.2].map(|share| {
            let mut heard = delayed(&said, 960);
            let mut chance = ChaCha8Rng::seed_from_u64(1);
            for frame in heard.chunks_mut(480) {
                if f64::from(chance.next_u32()) < share * f64::from(u32::MAX) {
                    frame.fill(0.0);
                }
            }
            pesq(&said, &heard).unwrap()
        });
        // Synthesizers of different versions do not say quite the same.
        let expected = [3.76, 2.13, 1.28];
        let near = |(mark, expected): (&f64, f64)| (*mark - expected).abs() < 0.25;
        assert!(marks.iter().zip(expected).all(near), "{marks:?}");
    }

    #[test]
    fn silence_and_noise_are_not_speech() {
        let said = some(Voice::High);
        let silence = vec![0.0; said.len()];
        assert_eq!(score(&said, &silence), Err(ScoreError::Unheard));
        assert_eq!(lags(&silence, &said), []);
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        let mut noise = || chance.next_u32() as f32 / u32::MAX as f32 - 0.5;
        let noise: Vec<f32> = said.iter().map(|_| noise()).collect();
        assert_eq!(lags(&said, &noise), []);
        assert_eq!(score(&said, &noise), Err(ScoreError::Unheard));
        assert_eq!(score(&[], &[]), Err(ScoreError::Unheard));
    }

    #[test]
    fn a_third_of_the_samples_has_what_is_low_and_not_what_is_high() {
        let tone = |frequency: f32| -> Vec<f32> {
            let step = 2.0 * PI * frequency / SAMPLE_RATE as f32;
            (0..4800).map(|i| (i as f32 * step).sin() * 0.5).collect()
        };
        let loudest = |frequency| {
            let kept = decimate(&tone(frequency));
            assert_eq!(kept.len(), 1600);
            // Without the ends: a tone that begins at once has more than its own frequency.
            let middle = kept[100..1500].iter();
            f32::from(middle.map(|sample| sample.abs()).max().unwrap()) / f32::from(i16::MAX)
        };
        assert!((0.49..0.51).contains(&loudest(1000.0)));
        assert!((0.49..0.51).contains(&loudest(6000.0)));
        assert!(loudest(10_500.0) < 0.005);
        assert!(loudest(20_000.0) < 0.001);
    }
}
