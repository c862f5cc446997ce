//! A try of the devices without a call: what is said is played back.

use super::room::Room;
use crate::audio::{AudioError, Devices, wake};
use crate::clock::Clock;
use hallway_model::SoundDirection;
use hallway_voice::SAMPLE_RATE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::Duration;

/// How long devices may take to open.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// How often the level is told.
const LEVELS_EVERY: Duration = Duration::from_millis(100);
/// Between two looks at devices that are silent.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How far a try is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trial {
    /// The microphone hears this loud, in dB of full scale.
    Hearing(f32),
    /// What was heard is played this loud.
    Playing(f32),
}

impl Devices {
    /// Records for so long and plays it back, and tells of its progress ten times a second, for as
    /// long as it is wanted. Blocks the caller. Returns the loudest that was heard, in dB of full
    /// scale.
    pub fn try_out(
        &self,
        length: Duration,
        is_wanted: impl Fn() -> bool,
        mut tell: impl FnMut(Trial),
    ) -> Result<f32, AudioError> {
        let system = |error: std::io::Error| AudioError::System(error.to_string());
        let (wake, woken) = wake::pair().map_err(system)?;
        let clock = Clock::start();
        let mut room = Room::open(self.sound(), &wake, clock.mono());
        let wait = || {
            let mut fds = [PollFd::new(&woken, PollFlags::IN)];
            let timeout = Timespec::try_from(LOOK_EVERY).unwrap_or_default();
            // A signal wakes too early, which does no harm.
            let _ = poll(&mut fds, Some(&timeout));
            woken.clear();
            clock.mono()
        };
        let mut loudest = f32::NEG_INFINITY;
        while room.devices().is_none() {
            if !is_wanted() {
                return Ok(loudest);
            }
            let now = wait();
            room.handle_news(now);
            if now.0 > u64::try_from(OPEN_WITHIN.as_micros()).unwrap_or(u64::MAX) {
                return Err(AudioError::Stalled);
            }
        }
        if let Some(why) = room.why_none(SoundDirection::Input) {
            return Err(why.clone());
        }
        let samples = length.as_millis() * u128::from(SAMPLE_RATE) / 1000;
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        let mut recording = Vec::with_capacity(samples);
        let mut told_at = clock.mono();
        while recording.len() < samples {
            if !is_wanted() {
                return Ok(loudest);
            }
            let now = wait();
            room.handle_news(now);
            if let Some(why) = room.why_none(SoundDirection::Input) {
                return Err(why.clone());
            }
            recording.extend_from_slice(room.heard());
            // What plays meanwhile is silence.
            let wanted = room.wanted(now);
            room.play(&vec![0.0; wanted]);
            if now.since(told_at) >= LEVELS_EVERY
                && let Some(level) = room.heard_dbfs()
            {
                told_at = now;
                loudest = loudest.max(level);
                tell(Trial::Hearing(level));
            }
        }
        let mut meter = hallway_voice::level::Meter::new();
        let mut left = recording.as_slice();
        while !left.is_empty() && is_wanted() {
            let now = wait();
            room.handle_news(now);
            if let Some(why) = room.why_none(SoundDirection::Output) {
                return Err(why.clone());
            }
            room.heard();
            let wanted = room.wanted(now).min(left.len());
            let (next, rest) = left.split_at(wanted);
            meter.handle_samples(next);
            room.play(next);
            left = rest;
            if now.since(told_at) >= LEVELS_EVERY {
                told_at = now;
                tell(Trial::Playing(meter.level().rms_dbfs));
            }
        }
        Ok(loudest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Source;
    use std::cell::Cell;

    #[test]
    fn a_try_that_nobody_wants_any_more_ends() {
        let dir = tempfile::tempdir().unwrap();
        let devices = Devices::new(Source::Parrot, dir.path().join("devices"));
        let told = Cell::new(0);
        // It would go on for long otherwise.
        let length = Duration::from_mins(10);
        let tried = devices.try_out(length, || told.get() == 0, |_| told.set(told.get() + 1));
        assert!(tried.is_ok());
        assert_eq!(told.get(), 1);
        let never = devices.try_out(length, || false, |_| panic!("nobody asked"));
        assert_eq!(never.unwrap(), f32::NEG_INFINITY);
    }
}
