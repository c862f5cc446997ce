//! Gain control: a quiet and a loud speaker are heard alike.
//!
//! The level of speech is measured over seconds, and only speech moves the gain: silence and noise
//! are never pumped up. A speaker whose level is right is left alone, bit for bit.

use crate::level::{VoiceActivity, mean};
use crate::shaper::BLOCK;

/// Speech is brought to within [`TOLERANCE_DB`] of this level, in dBFS: what telephone headsets
/// give, with room for peaks.
const TARGET_DBFS: f32 = -24.0;

/// Speech so near to the target is not touched.
const TOLERANCE_DB: f32 = 6.0;

/// The most that a quiet speaker is raised by.
const GAIN_DB_MAX: f32 = 20.0;

/// The most that a loud speaker is lowered by.
const GAIN_DB_MIN: f32 = -12.0;

/// The room's noise is not raised above this level, in dBFS.
const NOISE_DBFS_MAX: f32 = -50.0;

/// Samples above this are limited: -0.4 dBFS.
const CEILING: f32 = 0.95;

/// Speech over which a level is averaged: 1.5 s, in frames of 10 ms.
const LEVEL_FRAMES: f32 = 150.0;

/// Speech heard before the gain moves: 0.5 s, in frames of 10 ms.
const LEVEL_FRAMES_MIN: f32 = 50.0;

/// How fast the gain follows, in dB per frame of speech: 4 dB a second.
const SLEW_DB: f32 = 0.04;

const FRAME_BLOCKS: usize = 2;

/// Brings one speaker to the usual level.
pub struct GainControl {
    voice: VoiceActivity,
    limiter: Limiter,
    frame_energy: f32,
    frame_blocks: usize,
    /// Mean power of the speech heard, and over how many frames.
    speech_power: f32,
    speech_frames: f32,
    gain_db: f32,
    /// The gain at the end of the last block.
    gain: f32,
}

impl Default for GainControl {
    fn default() -> Self {
        Self::new()
    }
}

impl GainControl {
    /// Gain control that has heard nobody yet and changes nothing.
    pub fn new() -> Self {
        Self {
            voice: VoiceActivity::default(),
            limiter: Limiter::default(),
            frame_energy: 0.0,
            frame_blocks: 0,
            speech_power: 0.0,
            speech_frames: 0.0,
            gain_db: 0.0,
            gain: 1.0,
        }
    }

    /// Changes samples in place, a whole number of [`BLOCK`]s.
    pub fn process(&mut self, samples: &mut [f32]) {
        assert_eq!(samples.len() % BLOCK, 0, "whole blocks");
        for block in samples.chunks_exact_mut(BLOCK) {
            self.frame_energy += block.iter().map(|x| x * x).sum::<f32>();
            self.frame_blocks += 1;
            if self.frame_blocks == FRAME_BLOCKS {
                let power = mean(self.frame_energy, FRAME_BLOCKS * BLOCK);
                self.frame_energy = 0.0;
                self.frame_blocks = 0;
                self.handle_frame(power);
            }
            let gain = if self.gain_db == 0.0 {
                1.0
            } else {
                10f32.powf(self.gain_db / 20.0)
            };
            ramp(block, self.gain, gain);
            self.gain = gain;
            self.limiter.process(block);
        }
    }

    /// The gain now, in dB.
    pub fn gain_db(&self) -> f32 {
        self.gain_db
    }

    fn handle_frame(&mut self, power: f32) {
        let voice = self.voice.handle_frame(power);
        // The hold after a word is not speech: it would make a slow speaker seem quiet.
        if !voice || power < 10.0 * self.voice.background() {
            return;
        }
        self.speech_frames = (self.speech_frames + 1.0).min(LEVEL_FRAMES);
        self.speech_power += (power - self.speech_power) / self.speech_frames;
        if self.speech_frames < LEVEL_FRAMES_MIN {
            return;
        }
        let off_db = TARGET_DBFS - 10.0 * self.speech_power.log10();
        // Only what exceeds the tolerance is corrected, so that the gain has no steps.
        let wanted_db = off_db - off_db.clamp(-TOLERANCE_DB, TOLERANCE_DB);
        let noise_db = 10.0 * self.voice.background().log10();
        let most_db = GAIN_DB_MAX.min(NOISE_DBFS_MAX - noise_db).max(0.0);
        let wanted_db = wanted_db.clamp(GAIN_DB_MIN, most_db);
        self.gain_db += (wanted_db - self.gain_db).clamp(-SLEW_DB, SLEW_DB);
        if wanted_db == 0.0 && self.gain_db.abs() < SLEW_DB {
            self.gain_db = 0.0;
        }
    }
}

/// Keeps samples within full scale without delay: the gain drops at once, and recovers in a fifth
/// of a second. Samples that need no limit are left alone, bit for bit.
pub(crate) struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Limiter {
    /// How much of the way back to one the gain goes per sample.
    const RECOVERY: f32 = 1e-4;

    pub(crate) fn process(&mut self, samples: &mut [f32]) {
        for sample in samples {
            if self.gain > 0.9999 {
                self.gain = 1.0;
            } else {
                self.gain += (1.0 - self.gain) * Self::RECOVERY;
            }
            if sample.abs() * self.gain > CEILING {
                // A small step per sample is a short fade; what it misses is clipped.
                self.gain = (self.gain * 0.99).max(CEILING / sample.abs());
            }
            if self.gain < 1.0 {
                *sample *= self.gain;
            }
            *sample = sample.clamp(-1.0, 1.0);
        }
    }
}

/// Multiplies samples by a gain that goes from one value to another, and by one not at all.
fn ramp(samples: &mut [f32], from: f32, to: f32) {
    if from == 1.0 && to == 1.0 {
        return;
    }
    let step = mean(to - from, samples.len());
    let mut gain = from;
    for sample in samples {
        gain += step;
        *sample *= gain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds of bursts at a level, over noise, a burst and a pause to the second.
    fn talk(speech: f32, noise: f32) -> Vec<f32> {
        let mut dice = 1u32;
        (0..480_000)
            .map(|i| {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                #[allow(clippy::cast_precision_loss, reason = "any value will do")]
                let hiss = (dice >> 8) as f32 / 8_388_608.0 - 1.0;
                #[allow(clippy::cast_precision_loss, reason = "ten seconds of samples")]
                let tone = (i as f32 * 0.03).sin();
                let spoken = if i % 48_000 < 28_800 {
                    speech * tone
                } else {
                    0.0
                };
                spoken + noise * hiss
            })
            .collect()
    }

    /// Level of the last burst, in dBFS.
    fn level(samples: &[f32]) -> f32 {
        let burst = &samples[432_000..460_800];
        10.0 * mean(burst.iter().map(|x| x * x).sum(), burst.len()).log10()
    }

    #[test]
    fn the_right_level_is_left_alone() {
        let mut samples = talk(0.1, 0.0001);
        let before = samples.clone();
        GainControl::new().process(&mut samples);
        assert_eq!(samples, before);
    }

    #[test]
    fn quiet_is_raised_and_loud_is_lowered() {
        let mut quiet = talk(0.01, 0.000_01);
        GainControl::new().process(&mut quiet);
        assert!((-31.0..-27.0).contains(&level(&quiet)), "{}", level(&quiet));
        let mut loud = talk(0.9, 0.000_01);
        GainControl::new().process(&mut loud);
        assert!((-20.0..-15.0).contains(&level(&loud)), "{}", level(&loud));
    }

    #[test]
    fn noise_alone_is_never_raised() {
        let mut noise = talk(0.0, 0.003);
        let before = noise.clone();
        GainControl::new().process(&mut noise);
        assert_eq!(noise, before);
    }

    #[test]
    fn noise_beside_a_quiet_voice_stays_low() {
        let mut control = GainControl::new();
        // Noise of -55 dBFS leaves 5 dB until it is loud.
        control.process(&mut talk(0.012, 0.003_08));
        assert!(control.gain_db() <= 6.5, "{}", control.gain_db());
    }
}
