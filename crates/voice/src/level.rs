//! How loud it is, for meters, and whether somebody speaks.

use crate::SAMPLE_RATE;

/// Samples that one reading covers: ten readings a second.
pub const READING_SAMPLES: usize = SAMPLE_RATE as usize / 10;

/// What silence is shown as, in dBFS: the step of 16-bit samples is larger.
pub const SILENCE_DBFS: f32 = -100.0;

/// Samples over which voice is decided: 10 ms.
const FRAME_SAMPLES: usize = SAMPLE_RATE as usize / 100;

/// Power of a frame that is voice for sure is this many times the background: 9 dB.
const VOICE_OVER_BACKGROUND: f32 = 8.0;

/// Power of the quietest voice, -55 dBFS: below it a listener hears nothing either.
const VOICE_POWER_MIN: f32 = 3.2e-6;

/// Frames in a row that make a voice: a click is shorter.
const VOICE_FRAMES: u32 = 3;

/// Frames that a voice outlasts its last frame, 250 ms: the gaps between words do not flicker.
const HOLD_FRAMES: u32 = 25;

/// The background rises so much per frame, 3 dB a second: a fan that starts is background soon.
const BACKGROUND_RISE: f32 = 1.007;

/// One reading of a [`Meter`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The largest sample, in dB of full scale, at least [`SILENCE_DBFS`].
    pub peak_dbfs: f32,
    /// The root of the mean square, in dB of full scale (a sine at full scale has -3).
    pub rms_dbfs: f32,
    /// Whether somebody spoke.
    pub voice: bool,
}

impl Level {
    /// What a meter shows that heard nothing.
    pub const SILENCE: Self = Self {
        peak_dbfs: SILENCE_DBFS,
        rms_dbfs: SILENCE_DBFS,
        voice: false,
    };
}

/// Reads the level of a stream of samples ten times a second.
pub struct Meter {
    voice: VoiceActivity,
    level: Level,
    peak: f32,
    energy: f32,
    spoke: bool,
    samples: usize,
    frame_energy: f32,
    frame_samples: usize,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

impl Meter {
    /// A meter that heard nothing yet.
    pub fn new() -> Self {
        Self {
            voice: VoiceActivity::default(),
            level: Level::SILENCE,
            peak: 0.0,
            energy: 0.0,
            spoke: false,
            samples: 0,
            frame_energy: 0.0,
            frame_samples: 0,
        }
    }

    /// Takes the next samples, any number of them.
    pub fn handle_samples(&mut self, samples: &[f32]) {
        for &sample in samples {
            self.peak = self.peak.max(sample.abs());
            self.frame_energy += sample * sample;
            self.frame_samples += 1;
            if self.frame_samples == FRAME_SAMPLES {
                self.finish_frame();
            }
        }
    }

    /// The last whole tenth of a second.
    pub fn level(&self) -> Level {
        self.level
    }

    fn finish_frame(&mut self) {
        self.spoke |= self
            .voice
            .handle_frame(mean(self.frame_energy, FRAME_SAMPLES));
        self.energy += self.frame_energy;
        self.samples += FRAME_SAMPLES;
        self.frame_energy = 0.0;
        self.frame_samples = 0;
        if self.samples < READING_SAMPLES {
            return;
        }
        self.level = Level {
            peak_dbfs: dbfs(self.peak * self.peak),
            rms_dbfs: dbfs(mean(self.energy, self.samples)),
            voice: self.spoke,
        };
        self.peak = 0.0;
        self.energy = 0.0;
        self.spoke = false;
        self.samples = 0;
    }
}

/// Tells voice from background by how it stands out.
pub(crate) struct VoiceActivity {
    background: f32,
    frames: u32,
    hold: u32,
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self {
            background: VOICE_POWER_MIN,
            frames: 0,
            hold: 0,
        }
    }
}

impl VoiceActivity {
    /// Takes the mean power of the next 10 ms and returns whether they belong to a voice.
    pub(crate) fn handle_frame(&mut self, power: f32) -> bool {
        self.background = if power < self.background {
            // Down at once, but not to one silent frame between two words of a gated microphone.
            self.background + 0.2 * (power - self.background)
        } else {
            (self.background * BACKGROUND_RISE).min(power)
        }
        .max(1e-10);
        if power > VOICE_POWER_MIN.max(self.background * VOICE_OVER_BACKGROUND) {
            self.frames += 1;
        } else {
            self.frames = 0;
            self.hold = self.hold.saturating_sub(1);
        }
        if self.frames >= VOICE_FRAMES {
            self.hold = HOLD_FRAMES;
        }
        self.hold > 0
    }

    /// Power of what is there while nobody speaks.
    pub(crate) fn background(&self) -> f32 {
        self.background
    }
}

/// The mean of `count` values from their sum.
#[allow(
    clippy::cast_precision_loss,
    reason = "counts of samples in a fraction of a second"
)]
pub(crate) fn mean(sum: f32, count: usize) -> f32 {
    sum / count as f32
}

/// The level of a power, at least [`SILENCE_DBFS`].
pub(crate) fn dbfs(power: f32) -> f32 {
    (10.0 * power.log10()).max(SILENCE_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(height: f32, samples: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU / 48.0;
        #[allow(clippy::cast_precision_loss, reason = "a second of samples")]
        (0..samples)
            .map(|i| height * (step * i as f32).sin())
            .collect()
    }

    #[test]
    fn a_full_sine_reads_its_levels() {
        let mut meter = Meter::new();
        meter.handle_samples(&sine(1.0, READING_SAMPLES));
        let level = meter.level();
        assert!(level.peak_dbfs.abs() < 0.01, "{level:?}");
        assert!((level.rms_dbfs + 3.01).abs() < 0.01, "{level:?}");
    }

    #[test]
    fn a_reading_covers_a_tenth_of_a_second() {
        let mut meter = Meter::new();
        for part in sine(0.5, READING_SAMPLES - 1).chunks(37) {
            meter.handle_samples(part);
        }
        assert_eq!(meter.level(), Level::SILENCE);
        meter.handle_samples(&[0.0]);
        assert!(meter.level().peak_dbfs > -7.0);
        meter.handle_samples(&vec![0.0; READING_SAMPLES]);
        assert_eq!(meter.level().peak_dbfs, SILENCE_DBFS);
    }

    #[test]
    fn a_voice_stands_out_and_a_fan_does_not() {
        let mut voice = VoiceActivity::default();
        let fan = 1e-4;
        let early = (0..1_000).filter(|_| voice.handle_frame(fan)).count();
        assert!(early < 1_000, "a fan is background in the end");
        assert!(!voice.handle_frame(fan));
        let spoken = (0..20).filter(|_| voice.handle_frame(0.01)).count();
        assert_eq!(spoken, 18, "from the third frame on");
        let held = (0..100).filter(|_| voice.handle_frame(fan)).count();
        assert!((20..=26).contains(&held), "{held}");
    }

    #[test]
    fn a_click_is_no_voice() {
        let mut voice = VoiceActivity::default();
        assert!(!voice.handle_frame(0.5));
        assert!(!voice.handle_frame(0.5));
        assert!(!voice.handle_frame(0.0));
    }
}
