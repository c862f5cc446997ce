//! What is heard before a call is answered: a ring, and for who called, that it rings there.

use crate::audio::Sound;
use crate::audio::keeper::{self, News};
use crate::audio::ring::Spare;
use crate::audio::wake::{self, Wake};
use hallway_model::{CallDirection, CallId, CallState, CallView, SoundDirection};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Between two looks at a speaker that does not wake.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    /// Somebody calls: three rising notes, twice in three seconds.
    Ring,
    /// Somebody calls while we talk: a short, soft tone every four seconds.
    Waiting,
    /// It rings there: 425 Hz for one second of five (ITU-T E.180, ETSI TS 101 041).
    Ringback,
}

impl Tone {
    fn period_ms(self) -> u32 {
        match self {
            Self::Ring => 3_000,
            Self::Waiting => 4_000,
            Self::Ringback => 5_000,
        }
    }

    /// A sample of it, so many samples after it began.
    fn at(self, sample: u64, rate: u32) -> f32 {
        let period = u64::from(self.period_ms()) * u64::from(rate) / 1_000;
        let seconds = (sample % period.max(1)) as f32 / rate as f32;
        match self {
            Self::Ring => {
                const NOTES: [(f32, f32); 6] = [
                    (0.0, 784.0),
                    (0.16, 987.8),
                    (0.32, 1174.7),
                    (0.96, 784.0),
                    (1.12, 987.8),
                    (1.28, 1174.7),
                ];
                let note = |(begin, hertz): (f32, f32)| match seconds - begin {
                    ..0.0 => 0.0,
                    t => (TAU * hertz * t).sin() * (-t / 0.2).exp() * (t / 0.004).min(1.0),
                };
                0.2 * NOTES.into_iter().map(note).sum::<f32>()
            }
            Self::Waiting => held(seconds, 0.2, 440.0, 0.05),
            Self::Ringback => held(seconds, 1.0, 425.0, 0.08),
        }
    }
}

/// A tone held so long, which neither begins nor ends with a click.
fn held(seconds: f32, length: f32, hertz: f32, amplitude: f32) -> f32 {
    let fade = (seconds / 0.01).min((length - seconds) / 0.01);
    amplitude * (TAU * hertz * seconds).sin() * fade.clamp(0.0, 1.0)
}

/// How far a call is, as far as it is heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    RingsHere,
    RingsThere,
    Talks,
}

/// The sound of calls that are not answered yet. Without a call it has no thread.
pub(crate) struct Ringer {
    sound: Sound,
    calls: BTreeMap<CallId, Stage>,
    playing: Option<Playing>,
}

impl Ringer {
    pub(crate) fn new(sound: Sound) -> Self {
        Self {
            sound,
            calls: BTreeMap::new(),
            playing: None,
        }
    }

    /// A call began, changed or ended; `may_ring` is whether its peer may be heard now.
    pub(crate) fn handle_call(&mut self, call: &CallView, may_ring: bool) {
        let stage = match (call.state, call.direction) {
            (CallState::Ringing, CallDirection::Incoming) => may_ring.then_some(Stage::RingsHere),
            (CallState::Ringing, CallDirection::Outgoing) => Some(Stage::RingsThere),
            (CallState::Active, _) => Some(Stage::Talks),
            (CallState::Dialling | CallState::Ended, _) => None,
        };
        match stage {
            Some(stage) => self.calls.insert(call.id, stage),
            None => self.calls.remove(&call.id),
        };
        let wanted = self.wanted();
        if self.playing.as_ref().map(|playing| playing.tone) == wanted {
            return;
        }
        // Devices that only one may use are given back first.
        self.playing = None;
        self.playing = wanted.and_then(|tone| {
            Playing::start(tone, &self.sound)
                .inspect_err(|error| tracing::warn!(%error, "no thread to ring"))
                .ok()
        });
    }

    fn wanted(&self) -> Option<Tone> {
        let any = |stage| self.calls.values().any(|other| *other == stage);
        match (any(Stage::RingsHere), any(Stage::Talks)) {
            _ if !self.sound.rings() => None,
            (true, false) => Some(Tone::Ring),
            (true, true) => Some(Tone::Waiting),
            (false, false) if any(Stage::RingsThere) => Some(Tone::Ringback),
            (false, _) => None,
        }
    }
}

/// A tone that is heard until this is dropped.
struct Playing {
    tone: Tone,
    over: Arc<AtomicBool>,
    wake: Wake,
}

impl Playing {
    fn start(tone: Tone, sound: &Sound) -> io::Result<Self> {
        let (wake, woken) = wake::pair()?;
        let (tell, news) = channel();
        let hosts = sound.hosts();
        let keeping = keeper::keep(
            SoundDirection::Output,
            move || hosts(),
            sound.choices().of(SoundDirection::Output).clone(),
            Spare::new(false),
            wake.clone(),
            tell,
        )?;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        thread::Builder::new().name("ring".into()).spawn(move || {
            let _keeping = keeping;
            let mut speaker = None;
            let mut block = Vec::new();
            let mut played = 0;
            while !is_over.load(Relaxed) {
                for news in news.try_iter() {
                    speaker = match news {
                        News::Speaker(speaker) => Some(speaker),
                        News::None(_, why) => {
                            tracing::info!(%why, "it rings without a sound");
                            None
                        }
                        News::Microphone(_) => None,
                    };
                }
                if let Some(speaker) = &mut speaker {
                    let rate = speaker.rate();
                    let next = played + speaker.wanted() as u64;
                    block.clear();
                    block.extend((played..next).map(|sample| tone.at(sample, rate)));
                    speaker.write(&block);
                    played = next;
                }
                let mut fds = [PollFd::new(&woken, PollFlags::IN)];
                let timeout = Timespec::try_from(LOOK_EVERY).unwrap_or_default();
                // A signal wakes too early, which does no harm.
                let _ = poll(&mut fds, Some(&timeout));
                woken.clear();
            }
        })?;
        Ok(Self { tone, over, wake })
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        self.wake.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    fn second_of(tone: Tone, begin: u32) -> Vec<f32> {
        let samples = u64::from(begin * RATE)..u64::from((begin + 1) * RATE);
        samples.map(|sample| tone.at(sample, RATE)).collect()
    }

    #[test]
    fn tones_are_heard_in_their_rhythm_and_never_too_loud() {
        for (tone, silent_from) in [(Tone::Ring, 2), (Tone::Waiting, 1), (Tone::Ringback, 1)] {
            let seconds = tone.period_ms() / 1_000;
            for second in 0..seconds * 2 {
                let sound = second_of(tone, second);
                let peak = sound
                    .iter()
                    .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
                assert!(peak < 0.5, "{tone:?}");
                let audible = second % seconds < silent_from;
                assert_eq!(peak > 0.04, audible, "{tone:?} in second {second}");
                // A click is a jump from one sample to the next.
                let jump = sound.windows(2).map(|pair| (pair[1] - pair[0]).abs());
                assert!(
                    jump.fold(0.0, f32::max) < 0.1,
                    "{tone:?} in second {second}"
                );
            }
        }
    }
}
