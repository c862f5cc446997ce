//! The devices of this side of the calls: what the microphone heard, and what the speaker wants.

use crate::audio::keeper::{self, Keeping, News};
use crate::audio::ring::{Microphone, Spare, Speaker};
use crate::audio::wake::Wake;
use crate::audio::{AudioError, Choices, Sound};
use hallway_model::{Instant, SoundDirection};
use hallway_voice::SAMPLE_RATE;
use hallway_voice::capture::Capture;
use hallway_voice::convert::{Converter, Format};
use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Sound taken at once at most: what a speaker may want after a stall is not made up.
const SAMPLES_MAX: usize = 4_800;
/// Without a speaker sound is thrown away in blocks of 10 ms, so that a call goes on as if heard.
const DISCARD_EVERY: Duration = Duration::from_millis(10);

/// The devices.
pub(super) struct Room {
    input: Option<Keeping>,
    output: Option<Keeping>,
    news: Receiver<News>,
    capture: Capture,
    microphone: Ear,
    speaker: Mouth,
    heard: Vec<f32>,
    converted: Vec<f32>,
    ready: Vec<f32>,
}

enum Ear {
    /// Nothing is known yet.
    Unknown,
    None(AudioError),
    Open(Microphone, Box<Converter>),
}

enum Mouth {
    Unknown {
        discard_at: Instant,
    },
    None {
        discard_at: Instant,
        why: AudioError,
    },
    Open(Speaker, Box<Converter>),
}

/// Which devices there are, once that is known of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Devices {
    pub(super) microphone: bool,
    pub(super) speaker: bool,
}

impl Room {
    /// Opens the chosen devices, each on a thread of its own.
    pub(super) fn open(sound: &Sound, wake: &Wake, now: Instant) -> Self {
        let (tell, news) = channel();
        let choices = sound.choices();
        let keep = |direction| -> io::Result<Keeping> {
            let hosts = sound.hosts();
            let choice = choices.of(direction).clone();
            keeper::keep(
                direction,
                move || hosts(),
                choice,
                Spare::new(sound.studio()),
                wake.clone(),
                tell.clone(),
            )
        };
        let started = |direction| {
            keep(direction)
                .inspect_err(|error| tracing::error!(%error, "no thread for a sound device"))
                .ok()
        };
        Self {
            input: started(SoundDirection::Input),
            output: started(SoundDirection::Output),
            news,
            capture: Capture::new(sound.capture()),
            microphone: Ear::Unknown,
            speaker: Mouth::Unknown { discard_at: now },
            heard: Vec::new(),
            converted: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Uses other devices from now on.
    pub(super) fn choose(&self, choices: &Choices) {
        for (keeping, direction) in [
            (&self.input, SoundDirection::Input),
            (&self.output, SoundDirection::Output),
        ] {
            if let Some(keeping) = keeping {
                keeping.choose(choices.of(direction).clone());
            }
        }
    }

    /// Takes in what the devices' threads have to tell.
    pub(super) fn handle_news(&mut self, now: Instant) {
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Microphone(microphone) => match converter(microphone.rate(), SAMPLE_RATE) {
                    Ok(converter) => self.microphone = Ear::Open(microphone, converter),
                    Err(why) => self.lose(SoundDirection::Input, why, now),
                },
                News::Speaker(speaker) => match converter(SAMPLE_RATE, speaker.rate()) {
                    Ok(converter) => self.speaker = Mouth::Open(speaker, converter),
                    Err(why) => self.lose(SoundDirection::Output, why, now),
                },
                News::None(direction, why) => self.lose(direction, why, now),
            }
        }
    }

    fn lose(&mut self, direction: SoundDirection, why: AudioError, now: Instant) {
        tracing::info!(%direction, %why, "calls go on without");
        match direction {
            SoundDirection::Input => self.microphone = Ear::None(why),
            SoundDirection::Output => {
                let discard_at = now;
                self.speaker = Mouth::None { discard_at, why };
            }
        }
    }

    /// Which devices there are, once that is known of both.
    pub(super) fn devices(&self) -> Option<Devices> {
        let microphone = match self.microphone {
            Ear::Unknown => return None,
            Ear::None(_) => false,
            Ear::Open(..) => true,
        };
        let speaker = match self.speaker {
            Mouth::Unknown { .. } => return None,
            Mouth::None { .. } => false,
            Mouth::Open(..) => true,
        };
        Some(Devices {
            microphone,
            speaker,
        })
    }

    /// Why there is no device of this kind.
    pub(super) fn why_none(&self, direction: SoundDirection) -> Option<&AudioError> {
        match (direction, &self.microphone, &self.speaker) {
            (SoundDirection::Input, Ear::None(why), _)
            | (SoundDirection::Output, _, Mouth::None { why, .. }) => Some(why),
            _ => None,
        }
    }

    /// What the microphone heard since the last call, ready to be sent.
    pub(super) fn heard(&mut self) -> &[f32] {
        self.ready.clear();
        if let Ear::Open(microphone, converter) = &mut self.microphone {
            self.heard.clear();
            self.converted.clear();
            let lost = microphone.read(&mut self.heard);
            if lost > 0 {
                tracing::debug!(lost, "sound of a stalled microphone was left out");
            }
            converter.process(&self.heard, &mut self.converted);
            self.capture.process(&self.converted, &mut self.ready);
        }
        &self.ready
    }

    /// How loud the microphone is, in dBFS; nothing without one.
    pub(super) fn heard_dbfs(&self) -> Option<f32> {
        let open = matches!(self.microphone, Ear::Open(..));
        open.then(|| self.capture.level().rms_dbfs)
    }

    /// There is a speaker.
    pub(super) fn has_speaker(&self) -> bool {
        matches!(self.speaker, Mouth::Open(..))
    }

    /// How many samples are to be played now.
    pub(super) fn wanted(&mut self, now: Instant) -> usize {
        match &mut self.speaker {
            Mouth::Open(speaker, _) => {
                let wanted = speaker.wanted() as u64 * u64::from(SAMPLE_RATE);
                let wanted = wanted.div_ceil(u64::from(speaker.rate().max(1)));
                usize::try_from(wanted)
                    .unwrap_or(SAMPLES_MAX)
                    .min(SAMPLES_MAX)
            }
            Mouth::Unknown { discard_at } | Mouth::None { discard_at, .. } => {
                let passed = now.since(*discard_at);
                if passed < DISCARD_EVERY {
                    return 0;
                }
                *discard_at = now;
                let samples = passed.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000;
                usize::try_from(samples)
                    .unwrap_or(SAMPLES_MAX)
                    .min(SAMPLES_MAX)
            }
        }
    }

    /// Plays these.
    pub(super) fn play(&mut self, sound: &[f32]) {
        if let Mouth::Open(speaker, converter) = &mut self.speaker {
            self.capture.handle_render(sound);
            self.converted.clear();
            converter.process(sound, &mut self.converted);
            speaker.write(&self.converted);
        }
    }

    /// When there is something to do that no device wakes for.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.speaker {
            Mouth::Open(..) => None,
            Mouth::Unknown { discard_at } | Mouth::None { discard_at, .. } => {
                Some(*discard_at + DISCARD_EVERY)
            }
        }
    }
}

fn converter(from: u32, to: u32) -> Result<Box<Converter>, AudioError> {
    let mono = |sample_rate| Format {
        sample_rate,
        channels: 1,
    };
    Converter::new(mono(from), mono(to))
        .map(Box::new)
        .map_err(|error| AudioError::System(error.to_string()))
}
