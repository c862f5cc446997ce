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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::BITRATE_MAX;

    fn at(ms: u64) -> Instant {
        Instant(ms * 1_000)
    }

    fn plan(length: FrameLength, copies: usize, spread: usize) -> Plan {
        Plan {
            length,
            bitrate: 64_000,
            copies,
            spread,
            every: 1,
        }
    }

    fn sender() -> Sender {
        Sender::new(EncoderConfig::default()).unwrap()
    }

    fn frames(sender: &Sender, plan: &Plan) -> (u32, Vec<u8>) {
        let (timestamp, frames) = sender.frames(plan);
        (timestamp, frames.iter().map(|frame| frame.age).collect())
    }

    #[test]
    fn any_number_of_samples_makes_the_same_frames() {
        let plan = plan(FrameLength::Ms10, 3, 6);
        let mut sender = sender();
        assert_eq!(frames(&sender, &plan), (0, vec![]));
        let mut encoded = 0;
        for (tick, samples) in (0..).zip([1, 478, 1, 480, 959, 1, 4_000, 80]) {
            sender.handle_capture(&[0.1].repeat(samples), false, at(tick * 10));
            while sender.encode(&plan).unwrap() {
                encoded += 1;
            }
        }
        assert_eq!(encoded, 12);
        // Copies one, two and six frames back, in steps of 5 ms.
        assert_eq!(frames(&sender, &plan), (11 * 480, vec![0, 2, 4, 12]));
    }

    #[test]
    fn copies_survive_a_change_of_length_and_stop_where_time_is_missing() {
        let mut sender = sender();
        let (short, long) = (plan(FrameLength::Ms10, 3, 3), plan(FrameLength::Ms20, 3, 3));
        sender.handle_capture(&[0.1; 960], false, at(20));
        assert!(sender.encode(&short).unwrap() && sender.encode(&short).unwrap());
        sender.handle_capture(&[0.1; 1_920], false, at(60));
        assert!(sender.encode(&long).unwrap() && sender.encode(&long).unwrap());
        assert_eq!(frames(&sender, &long), (1_920, vec![0, 4, 6, 8]));
        // A second without samples: what was before is older than a copy may be.
        sender.handle_capture(&[0.1; 480], false, at(1_070));
        assert!(sender.encode(&short).unwrap());
        let (timestamp, ages) = frames(&sender, &short);
        assert!(timestamp > 48_000 && ages == [0], "{timestamp} {ages:?}");
    }

    #[test]
    fn a_packet_is_never_too_long() {
        let mut sender = Sender::new(EncoderConfig {
            bitrate: BITRATE_MAX,
            ..EncoderConfig::default()
        })
        .unwrap();
        let plan = Plan {
            bitrate: BITRATE_MAX,
            ..plan(FrameLength::Ms20, 4, 4)
        };
        for tick in 0..10 {
            sender.handle_capture(&[0.1; 960], false, at(tick * 20));
            assert!(sender.encode(&plan).unwrap());
        }
        let (_, frames) = sender.frames(&plan);
        let bytes = MediaPacket::bytes(frames.iter().map(|frame| frame.payload.len()));
        assert!(frames.len() == 3 && bytes <= PACKET_BYTES_MAX);
    }

    #[test]
    fn a_backlog_is_cut_to_its_newest_part() {
        let plan = plan(FrameLength::Ms20, 0, 0);
        let mut sender = sender();
        sender.handle_capture(&[0.1; 960], false, at(0));
        assert!(sender.encode(&plan).unwrap());
        // A second comes at once, after a second.
        sender.handle_capture(&[0.1; 48_000], false, at(1_000));
        let mut newest = 0;
        let mut encoded = 0;
        while sender.encode(&plan).unwrap() {
            (newest, _) = frames(&sender, &plan);
            encoded += 1;
        }
        assert_eq!((encoded, newest), (BACKLOG_MAX / 960, 48_000));
    }

    #[test]
    fn a_clock_that_drifts_is_no_stall() {
        let plan = plan(FrameLength::Ms10, 0, 0);
        let mut sender = sender();
        // Ten minutes at 200 ppm: the device is 120 ms behind in the end.
        for tick in 0..60_000_u64 {
            sender.handle_capture(&[0.0; 480], true, Instant(tick * 10_002));
            sender.samples.clear();
            sender.skip(2);
        }
        sender.handle_capture(&[0.0; 480], true, Instant(60_000 * 10_002));
        assert!(sender.encode(&plan).unwrap());
        assert_eq!(frames(&sender, &plan).0, 60_000 * 480);
    }
}
