//! From the samples of a microphone to the frames of packets, with copies of those before.

use crate::SAMPLE_RATE;
use crate::adapt::Plan;
use crate::codec::{CodecError, Encoder, EncoderConfig, FrameLength};
use crate::packet::{AGE_MAX, AGE_STEP, Frame, MediaPacket, PACKET_BYTES_MAX};
use hallway_model::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Samples that wait to become frames: what is older when it arrives, because the device stalled,
/// nobody wants to hear late.
pub(crate) const BACKLOG_MAX: usize = SAMPLE_RATE as usize / 10;

/// When the microphone has fallen behind the clock by so much, the time is left out, so that it
/// is not heard as a delay from then on.
const STALL: Duration = Duration::from_millis(100);

/// A lag fades away over this long: clocks drift by some 100 µs a second, and that is no stall.
const LAG_FADES: Duration = Duration::from_secs(30);

/// Frames kept for copies: the spread of [`Plan`] at its shortest frames.
const HISTORY: usize = 16;

struct Sent {
    timestamp: u32,
    length: FrameLength,
    payload: Vec<u8>,
}

/// Cuts, encodes and remembers frames.
pub(crate) struct Sender {
    encoder: Encoder,
    bitrate: u32,
    samples: VecDeque<f32>,
    frame: Vec<f32>,
    /// Of the first sample that waits.
    timestamp: u32,
    /// The newest first.
    history: VecDeque<Sent>,
    captured: Option<Instant>,
    lag_us: f64,
}

impl Sender {
    pub(crate) fn new(config: EncoderConfig) -> Result<Self, CodecError> {
        Ok(Self {
            encoder: Encoder::new(config)?,
            bitrate: config.bitrate,
            samples: VecDeque::with_capacity(BACKLOG_MAX),
            frame: Vec::new(),
            timestamp: 0,
            history: VecDeque::with_capacity(HISTORY),
            captured: None,
            lag_us: 0.0,
        })
    }

    /// Samples between a sound at the microphone and its place in the decoded stream.
    pub(crate) fn lookahead(&self) -> usize {
        self.encoder.lookahead()
    }

    /// Takes samples, or so many of silence.
    pub(crate) fn handle_capture(&mut self, samples: &[f32], silent: bool, now: Instant) {
        self.follow_clock(samples.len(), now);
        let old = samples.len().saturating_sub(BACKLOG_MAX);
        let kept = samples[old..].iter();
        self.samples
            .extend(kept.map(|sample| if silent { 0.0 } else { *sample }));
        let excess = old + self.samples.len().saturating_sub(BACKLOG_MAX);
        self.samples.drain(..excess - old);
        // Timestamps advance in whole steps; the rest becomes a lag, and is made up for.
        let steps = excess / AGE_STEP as usize;
        self.skip(steps);
        self.lag_us += microseconds(excess - steps * AGE_STEP as usize);
    }

    fn follow_clock(&mut self, samples: usize, now: Instant) {
        let Some(before) = self.captured.replace(now) else {
            return;
        };
        let passed = now - before;
        self.lag_us += passed.as_secs_f64() * 1e6 - microseconds(samples);
        let stall = STALL.as_secs_f64() * 1e6;
        if self.lag_us > stall {
            let step_us = microseconds(AGE_STEP as usize);
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and a time"
            )]
            let steps = (self.lag_us / step_us) as usize;
            self.skip(steps);
            #[allow(clippy::cast_precision_loss, reason = "a time")]
            let skipped = steps as f64 * step_us;
            self.lag_us -= skipped;
        }
        // A device that delivers ahead of the clock gains nothing by it.
        self.lag_us = self.lag_us.max(-stall);
        self.lag_us *= 1.0 - (passed.as_secs_f64() / LAG_FADES.as_secs_f64()).min(1.0);
    }

    fn skip(&mut self, steps: usize) {
        #[allow(clippy::cast_possible_truncation, reason = "timestamps wrap")]
        let samples = (steps as u32).wrapping_mul(AGE_STEP);
        self.timestamp = self.timestamp.wrapping_add(samples);
    }

    /// Encodes the next frame, if there are samples for one. Returns whether it did; it is then
    /// the newest of [`packet`](Self::packet).
    pub(crate) fn encode(&mut self, plan: &Plan) -> Result<bool, CodecError> {
        let samples = plan.length.samples();
        if self.samples.len() < samples {
            return Ok(false);
        }
        if self.bitrate != plan.bitrate {
            self.encoder.set_bitrate(plan.bitrate)?;
            self.bitrate = plan.bitrate;
        }
        self.frame.clear();
        self.frame.extend(self.samples.drain(..samples));
        let timestamp = self.timestamp;
        self.skip(samples / AGE_STEP as usize);
        // The buffer of the frame that is forgotten holds the new one.
        let forgotten = (self.history.len() == HISTORY).then(|| self.history.pop_back());
        let mut payload = forgotten
            .flatten()
            .map_or_else(Vec::new, |sent| sent.payload);
        self.encoder.encode(&self.frame, &mut payload)?;
        self.history.push_front(Sent {
            timestamp,
            length: plan.length,
            payload,
        });
        Ok(true)
    }

    /// The newest frame and as many of its copies as fit.
    pub(crate) fn frames(&self, plan: &Plan) -> (u32, Vec<Frame<'_>>) {
        let Some(newest) = self.history.front() else {
            return (self.timestamp, Vec::new());
        };
        let mut frames = Vec::with_capacity(1 + plan.copies);
        let mut bytes = MediaPacket::bytes([]);
        for back in std::iter::once(0).chain(plan.copies()) {
            let Some(sent) = self.history.get(back) else {
                break;
            };
            let age = newest.timestamp.wrapping_sub(sent.timestamp) / AGE_STEP;
            let Some(age) = u8::try_from(age).ok().filter(|age| *age <= AGE_MAX) else {
                break;
            };
            bytes += MediaPacket::bytes([sent.payload.len()]) - MediaPacket::bytes([]);
            if bytes > PACKET_BYTES_MAX {
                break;
            }
            frames.push(Frame {
                age,
                length: sent.length,
                payload: &sent.payload,
            });
        }
        (newest.timestamp, frames)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number of samples")]
fn microseconds(samples: usize) -> f64 {
    samples as f64 * 1e6 / f64::from(SAMPLE_RATE)
}
