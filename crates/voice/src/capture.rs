//! From a microphone's samples to samples worth sending.
//!
//! Samples leave in whole [`BLOCK`]s; beyond the wait for a block to fill, nothing adds delay.

use crate::echo::EchoCanceller;
use crate::gain::GainControl;
use crate::level::{Level, Meter};
use crate::noise::NoiseSuppressor;

pub use crate::shaper::BLOCK;

/// What is done to a microphone's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Take out what the speaker plays. It steps aside for a headset, so it can stay on.
    pub echo: bool,
    /// Turn down steady noise. Off for music: a tone that is held for seconds is taken for noise.
    pub noise: bool,
    /// Bring the speaker to the usual level.
    pub gain: bool,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            echo: true,
            noise: true,
            gain: true,
        }
    }
}

/// What a broken device delivered, and was repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureFaults {
    /// Samples that were no number, or infinite: now silence.
    pub not_finite: u64,
    /// Samples beyond full scale: now at full scale.
    pub too_large: u64,
}

/// Processes what a microphone hears.
pub struct Capture {
    high_pass: HighPass,
    echo: Option<EchoCanceller>,
    noise: Option<NoiseSuppressor>,
    gain: Option<GainControl>,
    meter: Meter,
    muted: bool,
    faults: CaptureFaults,
    /// The block being filled.
    block: Vec<f32>,
}

impl Capture {
    /// A pipeline that has heard nothing yet.
    pub fn new(config: CaptureConfig) -> Self {
        Self {
            high_pass: HighPass::default(),
            echo: config.echo.then(EchoCanceller::new),
            noise: config.noise.then(NoiseSuppressor::new),
            gain: config.gain.then(GainControl::new),
            meter: Meter::new(),
            muted: false,
            faults: CaptureFaults::default(),
            block: Vec::with_capacity(BLOCK),
        }
    }

    /// Takes samples that are about to be played, in order, any number of them.
    pub fn handle_render(&mut self, samples: &[f32]) {
        if let Some(echo) = &mut self.echo {
            echo.handle_render(samples);
        }
    }

    /// Takes any number of captured samples, and appends to `out` what is ready to be sent: as
    /// many samples, but in whole [`BLOCK`]s.
    pub fn process(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        for &sample in samples {
            let sample = self.repair(sample);
            self.block.push(self.high_pass.process(sample));
            if self.block.len() == BLOCK {
                self.process_block();
                out.extend_from_slice(&self.block);
                self.block.clear();
            }
        }
    }

    /// Muted, the pipeline sends digital silence, but still meters what it hears.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// How loud the microphone is, muted or not.
    pub fn level(&self) -> Level {
        self.meter.level()
    }

    /// What was repaired so far.
    pub fn faults(&self) -> CaptureFaults {
        self.faults
    }

    fn process_block(&mut self) {
        if let Some(echo) = &mut self.echo {
            echo.process(&mut self.block);
        }
        if let Some(noise) = &mut self.noise {
            noise.process(&mut self.block);
        }
        if let Some(gain) = &mut self.gain {
            gain.process(&mut self.block);
        }
        self.meter.handle_samples(&self.block);
        if self.muted {
            self.block.fill(0.0);
        }
    }

    fn repair(&mut self, sample: f32) -> f32 {
        if !sample.is_finite() {
            self.faults.not_finite += 1;
            0.0
        } else if sample.abs() > 1.0 {
            self.faults.too_large += 1;
            sample.clamp(-1.0, 1.0)
        } else if sample.abs() < DENORMAL {
            0.0
        } else {
            sample
        }
    }
}

/// Samples smaller than this, -300 dBFS, only slow the processor down.
const DENORMAL: f32 = 1e-15;

/// Takes out a constant offset and rumble: a zero at 0 Hz, a pole at 20 Hz.
#[derive(Default)]
struct HighPass {
    last_in: f32,
    last_out: f32,
}

impl HighPass {
    /// 1 - 2 pi 20 Hz / 48 kHz.
    const POLE: f32 = 0.997_382;

    fn process(&mut self, sample: f32) -> f32 {
        let out = sample - self.last_in + Self::POLE * self.last_out;
        self.last_in = sample;
        self.last_out = if out.abs() < DENORMAL { 0.0 } else { out };
        self.last_out
    }
}
