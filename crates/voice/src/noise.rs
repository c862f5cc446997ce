//! Noise suppression: the fan stays at the other end.
//!
//! Noise is what remains of each frequency while nobody speaks, and so its least power over a few
//! seconds (Martin, Noise power spectral density estimation based on optimal smoothing and minimum
//! statistics, 2001). Each frequency is turned down by the log-spectral amplitude estimator (Ephraim
//! and Malah, 1985). The gains are applied without delay. A room that is quiet enough is left
//! alone, bit for bit.

use realfft::num_complex::Complex32;

use crate::shaper::{BLOCK, Fourier, Shaper};

/// Samples looked at: 20 ms, so that the harmonics of a voice are told from what is between.
const FFT: usize = 4 * BLOCK;
const BINS: usize = FFT / 2 + 1;

/// Noise is turned down by at most 18 dB: what remains sounds like the same room.
const GAIN_MIN: f32 = 0.125;

/// Noise below this level, in dBFS, is left alone: nobody hears it beside a voice.
const AUDIBLE_DBFS: f32 = -62.0;

/// From so many dB above that on, noise is turned down in full.
const AUDIBLE_RANGE_DB: f32 = 8.0;

/// How much of a block's power goes into the smoothed power: so much that the gaps between two
/// words, and between two harmonics of a voice that moves, show the noise behind it.
const SMOOTHING: f32 = 0.5;

/// The mean power of noise is so many times the least smoothed power of [`SEARCHES`].
const MEAN_OVER_LEAST: f32 = 10.0;

/// Blocks of one search for the least power: 0.5 s.
const SEARCH_BLOCKS: usize = 100;

/// The noise is the least of so many searches, 3 s: longer than anybody speaks without a gap.
const SEARCHES: usize = 6;

/// Nothing is known to be noise before so many searches are over, 1.5 s: so long a word may be.
const SEARCHES_MIN: usize = 3;

/// Turns noise down.
pub struct NoiseSuppressor {
    shaper: Shaper,
    fourier: Fourier,
    window: Vec<f32>,
    /// Mean power of a white signal's bin per its power per sample.
    window_power: f32,
    noise: Vec<f32>,
    smoothed: Vec<f32>,
    /// The least in this search, in each of those before, the oldest of which is at `oldest`, and
    /// in all of those.
    least: Vec<f32>,
    searches: [Vec<f32>; SEARCHES],
    oldest: usize,
    least_before: Vec<f32>,
    /// Power of the speech estimated in the block before.
    speech: Vec<f32>,
    gains: Vec<f32>,
    samples: Vec<f32>,
    bins: Vec<Complex32>,
    /// Blocks of this search, and searches done.
    blocks: usize,
    searched: usize,
}

impl Default for NoiseSuppressor {
    fn default() -> Self {
        Self::new()
    }
}

impl NoiseSuppressor {
    /// A suppressor that knows no noise yet.
    pub fn new() -> Self {
        let window = window();
        let window_power = window.iter().map(|w| w * w).sum();
        Self {
            shaper: Shaper::new(FFT),
            fourier: Fourier::new(FFT),
            window,
            window_power,
            noise: vec![0.0; BINS],
            smoothed: vec![0.0; BINS],
            least: vec![f32::INFINITY; BINS],
            searches: [(); SEARCHES].map(|()| vec![f32::INFINITY; BINS]),
            oldest: 0,
            least_before: vec![f32::INFINITY; BINS],
            speech: vec![0.0; BINS],
            gains: vec![1.0; BINS],
            samples: vec![0.0; FFT],
            bins: vec![Complex32::ZERO; BINS],
            blocks: 0,
            searched: 0,
        }
    }

    /// Changes samples in place, a whole number of [`BLOCK`]s.
    pub fn process(&mut self, samples: &mut [f32]) {
        assert_eq!(samples.len() % BLOCK, 0, "whole blocks");
        for block in samples.chunks_exact_mut(BLOCK) {
            let history = self.shaper.push(block);
            for (s, (h, w)) in self
                .samples
                .iter_mut()
                .zip(history.iter().zip(&self.window))
            {
                *s = h * w;
            }
            self.fourier.forward(&mut self.samples, &mut self.bins);
            self.track();
            self.set_gains();
            self.shaper.shape(&self.gains, block);
        }
    }

    /// The noise now, in dBFS.
    pub fn noise_dbfs(&self) -> f32 {
        let sum: f32 = self.noise.iter().sum();
        crate::level::dbfs(crate::level::mean(2.0 * sum, FFT) / self.window_power)
    }

    fn track(&mut self) {
        for (smoothed, bin) in self.smoothed.iter_mut().zip(&self.bins) {
            *smoothed += SMOOTHING * (bin.norm_sqr() - *smoothed);
        }
        for (least, smoothed) in self.least.iter_mut().zip(&self.smoothed) {
            *least = least.min(*smoothed);
        }
        if self.searched >= SEARCHES_MIN {
            for k in 0..BINS {
                self.noise[k] = MEAN_OVER_LEAST * self.least[k].min(self.least_before[k]);
            }
        }
        self.blocks += 1;
        if self.blocks < SEARCH_BLOCKS {
            return;
        }
        self.blocks = 0;
        self.searched = (self.searched + 1).min(SEARCHES_MIN);
        self.searches[self.oldest].copy_from_slice(&self.least);
        self.oldest = (self.oldest + 1) % SEARCHES;
        for k in 0..BINS {
            let each = self.searches.iter().map(|least| least[k]);
            self.least_before[k] = each.fold(f32::INFINITY, f32::min);
        }
        self.least.copy_from_slice(&self.smoothed);
    }

    fn set_gains(&mut self) {
        let audible = ((self.noise_dbfs() - AUDIBLE_DBFS) / AUDIBLE_RANGE_DB).clamp(0.0, 1.0);
        for k in 0..BINS {
            let power = self.bins[k].norm_sqr();
            let noise = self.noise[k].max(1e-12);
            let posterior = (power / noise).min(1e4);
            let prior =
                (0.97 * self.speech[k] / noise + 0.03 * (posterior - 1.0).max(0.0)).max(0.003);
            let wiener = prior / (1.0 + prior);
            let gain = (wiener * (0.5 * exponential_integral(wiener * posterior)).exp()).min(1.0);
            self.speech[k] = gain * gain * power;
            self.gains[k] = if audible == 0.0 {
                1.0
            } else {
                gain.max(GAIN_MIN).powf(audible)
            };
        }
    }
}

/// Rises slowly and falls fast: old samples count less, so that the start of a word opens at once.
fn window() -> Vec<f32> {
    #[allow(clippy::cast_precision_loss, reason = "a few hundred samples")]
    (0..FFT)
        .map(|i| {
            let (position, length) = if i < FFT - BLOCK {
                (i as f32 + 0.5, (FFT - BLOCK) as f32)
            } else {
                ((FFT - i) as f32 - 0.5, BLOCK as f32)
            };
            (std::f32::consts::FRAC_PI_2 * position / length).sin()
        })
        .collect()
}

/// The exponential integral E1, to about a tenth (Martin, Wittke, Jax: Optimized estimation of
/// spectral parameters for the coding of noisy speech, ICASSP 2000).
fn exponential_integral(v: f32) -> f32 {
    if v < 0.1 {
        -2.31 * v.max(1e-6).log10() - 0.6
    } else if v <= 1.0 {
        -1.544 * v.log10() + 0.166
    } else {
        10f32.powf(-0.52 * v - 0.26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four seconds of white noise up to this height.
    fn noise(height: f32) -> Vec<f32> {
        let mut dice = 1u32;
        (0..4 * crate::SAMPLE_RATE as usize)
            .map(|_| {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                #[allow(clippy::cast_precision_loss, reason = "any value will do")]
                let value = (dice >> 8) as f32 / 8_388_608.0 - 1.0;
                height * value
            })
            .collect()
    }

    #[test]
    fn inaudible_noise_is_left_alone() {
        let mut samples = noise(0.001);
        let before = samples.clone();
        NoiseSuppressor::new().process(&mut samples);
        assert_eq!(samples, before);
    }

    #[test]
    fn noise_is_measured() {
        let mut suppressor = NoiseSuppressor::new();
        suppressor.process(&mut noise(0.03));
        // White noise has a third of the power of its height.
        let actual = crate::level::dbfs(0.03 * 0.03 / 3.0);
        let measured = suppressor.noise_dbfs();
        assert!((measured - actual).abs() < 4.0, "{measured} for {actual}");
    }

    #[test]
    fn silence_stays_silence_after_noise() {
        let mut suppressor = NoiseSuppressor::new();
        suppressor.process(&mut noise(0.03));
        let mut silence = vec![0.0; 20 * BLOCK];
        suppressor.process(&mut silence);
        assert!(silence[4 * BLOCK..].iter().all(|x| x.abs() < 1e-6));
    }

    #[test]
    #[should_panic(expected = "whole blocks")]
    fn a_part_of_a_block_is_a_bug() {
        NoiseSuppressor::new().process(&mut [0.0; BLOCK - 1]);
    }
}
