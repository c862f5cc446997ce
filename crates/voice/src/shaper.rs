//! A filter without delay whose gain at each frequency is set anew for each block.
//!
//! Spectral gains are usually applied by overlapping windows, which delays the signal by a window.
//! Here each set of gains becomes the minimum-phase filter of that magnitude (by folding its real
//! cepstrum; Oppenheim and Schafer, Discrete-Time Signal Processing, section 13.8): it answers a
//! sample with that same sample.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Samples in a block of the capture pipeline: 5 ms, the shortest frame that a call uses.
pub const BLOCK: usize = 240;

/// A real Fourier transform of one length with the memory that it works in.
pub(crate) struct Fourier {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Complex32>,
    scale: f32,
}

impl Fourier {
    /// Transforms of `len` samples to `len / 2 + 1` bins.
    pub(crate) fn new(len: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(len);
        let inverse = planner.plan_fft_inverse(len);
        let scratch_len = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            forward,
            inverse,
            scratch: vec![Complex32::ZERO; scratch_len],
            #[allow(clippy::cast_precision_loss, reason = "a length of some hundreds")]
            scale: 1.0 / len as f32,
        }
    }

    /// The spectrum of `samples`, which are overwritten.
    pub(crate) fn forward(&mut self, samples: &mut [f32], bins: &mut [Complex32]) {
        self.forward
            .process_with_scratch(samples, bins, &mut self.scratch)
            .expect("the lengths are those of the plan");
    }

    /// The samples of the spectrum `bins`, which are overwritten.
    pub(crate) fn inverse(&mut self, bins: &mut [Complex32], samples: &mut [f32]) {
        bins[0].im = 0.0;
        bins[bins.len() - 1].im = 0.0;
        self.inverse
            .process_with_scratch(bins, samples, &mut self.scratch)
            .expect("the lengths are those of the plan");
        for sample in samples {
            *sample *= self.scale;
        }
    }
}

/// Gains this near to one leave the samples alone, bit for bit.
const UNITY: f32 = 0.999;

/// Filters blocks by gains per bin.
pub(crate) struct Shaper {
    fourier: Fourier,
    /// The last samples, as many as one transform takes.
    history: Vec<f32>,
    /// Of the block before, faded out while the new one is faded in.
    old_filter: Vec<Complex32>,
    filter: Vec<Complex32>,
    /// Whether each of these is the identity.
    old_is_unity: bool,
    is_unity: bool,
    spectrum: Vec<Complex32>,
    bins: Vec<Complex32>,
    samples: Vec<f32>,
    faded: Vec<f32>,
}

impl Shaper {
    /// A filter with `fft_len / 2 + 1` gains, all one at first. A block fits into a transform
    /// beside the filter's impulse response, whose length is `fft_len - BLOCK`.
    pub(crate) fn new(fft_len: usize) -> Self {
        assert!(fft_len > BLOCK, "no room for the impulse response");
        let bins = fft_len / 2 + 1;
        Self {
            fourier: Fourier::new(fft_len),
            history: vec![0.0; fft_len],
            old_filter: vec![Complex32::ONE; bins],
            filter: vec![Complex32::ONE; bins],
            old_is_unity: true,
            is_unity: true,
            spectrum: vec![Complex32::ZERO; bins],
            bins: vec![Complex32::ZERO; bins],
            samples: vec![0.0; fft_len],
            faded: vec![0.0; BLOCK],
        }
    }

    /// Appends a block to the history and returns it: the newest samples are last.
    pub(crate) fn push(&mut self, block: &[f32]) -> &[f32] {
        assert_eq!(block.len(), BLOCK, "a block has one length");
        self.history.copy_within(BLOCK.., 0);
        let start = self.history.len() - BLOCK;
        self.history[start..].copy_from_slice(block);
        &self.history
    }

    /// Writes the block last pushed into `block`, filtered by `gains`.
    pub(crate) fn shape(&mut self, gains: &[f32], block: &mut [f32]) {
        std::mem::swap(&mut self.old_filter, &mut self.filter);
        self.old_is_unity = self.is_unity;
        self.is_unity = gains.iter().all(|&gain| gain > UNITY);
        if self.is_unity {
            self.filter.fill(Complex32::ONE);
            if self.old_is_unity {
                return;
            }
        } else {
            self.minimum_phase(gains);
        }
        self.samples.copy_from_slice(&self.history);
        self.fourier.forward(&mut self.samples, &mut self.spectrum);
        let start = self.history.len() - BLOCK;
        for (bin, (&x, &h)) in self
            .bins
            .iter_mut()
            .zip(self.spectrum.iter().zip(&self.old_filter))
        {
            *bin = x * h;
        }
        self.fourier.inverse(&mut self.bins, &mut self.samples);
        self.faded.copy_from_slice(&self.samples[start..]);
        for (bin, (&x, &h)) in self
            .bins
            .iter_mut()
            .zip(self.spectrum.iter().zip(&self.filter))
        {
            *bin = x * h;
        }
        self.fourier.inverse(&mut self.bins, &mut self.samples);
        #[allow(clippy::cast_precision_loss, reason = "a length of some hundreds")]
        let step = 1.0 / BLOCK as f32;
        let mut weight = 0.0;
        for (sample, (&new, &old)) in block
            .iter_mut()
            .zip(self.samples[start..].iter().zip(&self.faded))
        {
            weight += step;
            *sample = old + (new - old) * weight;
        }
    }

    /// Sets the filter to the minimum-phase one of these magnitudes.
    fn minimum_phase(&mut self, gains: &[f32]) {
        for (bin, &gain) in self.bins.iter_mut().zip(gains) {
            *bin = Complex32::new(gain.max(1e-4).ln(), 0.0);
        }
        self.fourier.inverse(&mut self.bins, &mut self.samples);
        let half = self.samples.len() / 2;
        for value in &mut self.samples[1..half] {
            *value *= 2.0;
        }
        self.samples[half + 1..].fill(0.0);
        self.fourier.forward(&mut self.samples, &mut self.bins);
        for bin in &mut self.bins {
            *bin = bin.exp();
        }
        self.fourier.inverse(&mut self.bins, &mut self.samples);
        // What lies beyond the room beside a block would wrap around.
        let taps = self.samples.len() - BLOCK;
        self.samples[taps..].fill(0.0);
        #[allow(clippy::cast_precision_loss, reason = "a length of some hundreds")]
        for (i, value) in self.samples[taps / 2..taps].iter_mut().enumerate() {
            let phase = std::f32::consts::PI * i as f32 / (taps - taps / 2) as f32;
            *value *= 0.5 + 0.5 * phase.cos();
        }
        self.fourier.forward(&mut self.samples, &mut self.filter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FFT: usize = 2 * BLOCK;
    const BINS: usize = FFT / 2 + 1;

    /// What comes out for a click at the start of the second of four blocks.
    fn click(gains: &[f32]) -> Vec<f32> {
        let mut shaper = Shaper::new(FFT);
        let mut out = Vec::new();
        for i in 0..4 {
            let mut block = vec![0.0; BLOCK];
            if i == 1 {
                block[0] = 1.0;
            }
            shaper.push(&block);
            shaper.shape(gains, &mut block);
            out.extend(block);
        }
        out
    }

    #[test]
    fn gains_of_one_pass_bit_for_bit() {
        let out = click(&[1.0; BINS]);
        assert_eq!(out[BLOCK], 1.0);
        assert_eq!(out.iter().filter(|x| **x != 0.0).count(), 1);
    }

    #[test]
    fn a_click_is_answered_at_once_and_never_before() {
        #[allow(clippy::cast_precision_loss, reason = "some hundreds")]
        let gains: Vec<f32> = (0..BINS).map(|k| 1.0 / (1.0 + k as f32 / 40.0)).collect();
        let out = click(&gains);
        assert!(out[..BLOCK].iter().all(|x| x.abs() < 1e-5));
        let loudest = out.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert_eq!(out[BLOCK].abs(), loudest);
        assert!(loudest > 0.1, "{loudest}");
    }

    #[test]
    fn a_gain_for_all_frequencies_is_that_gain() {
        let out = click(&[0.25; BINS]);
        assert!((out[BLOCK] - 0.25).abs() < 1e-3, "{}", out[BLOCK]);
    }

    #[test]
    fn gains_of_nothing_are_finite() {
        assert!(click(&[0.0; BINS]).iter().all(|x| x.abs() < 1e-2));
    }

    #[test]
    #[should_panic(expected = "a block has one length")]
    fn another_block_size_is_a_bug() {
        Shaper::new(FFT).push(&[0.0; BLOCK - 1]);
    }
}
