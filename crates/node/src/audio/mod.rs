//! Sound devices: what there is, which one is meant, and streams from and to them that come back
//! by themselves.
#![cfg_attr(
    not(feature = "audio"),
    allow(dead_code, reason = "what only real devices need")
)]

mod chosen;
pub(crate) mod keeper;
pub(crate) mod parrot;
#[cfg(feature = "audio")]
mod pulse;
pub(crate) mod ring;
#[cfg(feature = "audio")]
mod system;
pub(crate) mod wake;

pub(crate) use chosen::{Choices, Sound};
pub use chosen::{Devices, Preferences, Source};
use hallway_model::{DeviceView, SoundDirection};
use ring::{CaptureEnd, PlaybackEnd};
use std::sync::mpsc;

/// Devices that an ambiguous name may mean, as far as they are listed.
const LISTED_MAX: usize = 8;

/// Why there is no sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// Built without.
    #[error("this build of Hallway has no sound; build it with the feature `audio`")]
    NotBuilt,
    /// Neither a server nor a card.
    #[error("this computer has no sound card, and no sound server runs")]
    NoCard,
    /// The card is somebody else's.
    #[error(
        "there is a sound card that this user may not use: \
         `sudo usermod -aG audio \"$USER\"`, then log in again"
    )]
    NotAllowed,
    /// Nothing of this kind is plugged in.
    #[error("no {0} is plugged in")]
    NonePlugged(SoundDirection),
    /// The one that was chosen is not plugged in.
    #[error("no {0} called \"{1}\" is plugged in; `hallway devices` lists what is")]
    NotPlugged(SoundDirection, String),
    /// Several are called that.
    #[error("\"{text}\" may mean several devices: {}", .devices.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// What it may mean.
        devices: Vec<String>,
    },
    /// Another program has it.
    #[error("another program uses the device")]
    Busy,
    /// It gives or takes no sound although it is open.
    #[error("the device has stopped")]
    Stalled,
    /// What the system says.
    #[error("{0}")]
    System(String),
}

/// Which device is to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Whichever the system calls its default, now and when it changes.
    #[default]
    Default,
    /// The one that this means, when it is plugged in: its id or name, or a part of them that only
    /// one has.
    Device(String),
}

impl Choice {
    /// What a person asks for: `default`, or what means a device.
    pub fn new(text: &str) -> Self {
        match text.trim() {
            text if text.is_empty() || text.eq_ignore_ascii_case("default") => Self::Default,
            text => Self::Device(text.to_owned()),
        }
    }

    /// The same, to be kept.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::Device(text) => text,
        }
    }

    /// The device it means among these.
    pub fn find<'a>(
        &self,
        direction: SoundDirection,
        devices: &'a [DeviceView],
    ) -> Result<&'a DeviceView, AudioError> {
        let there: Vec<_> = devices
            .iter()
            .filter(|device| device.direction == direction)
            .collect();
        let Self::Device(text) = self else {
            let default = there.into_iter().find(|device| device.default);
            return default.ok_or(AudioError::NonePlugged(direction));
        };
        let wanted = text.to_lowercase();
        let fields = |device: &DeviceView| [device.id.to_lowercase(), device.name.to_lowercase()];
        let exact = there
            .iter()
            .filter(|device| fields(device).contains(&wanted));
        let mut meant: Vec<_> = exact.copied().collect();
        if meant.is_empty() {
            let holds = |device: &&&DeviceView| fields(device).iter().any(|f| f.contains(&wanted));
            meant = there.iter().filter(holds).copied().collect();
        }
        match meant.as_slice() {
            [] => Err(AudioError::NotPlugged(direction, text.clone())),
            [device] => Ok(device),
            several => Err(AudioError::Ambiguous {
                text: text.clone(),
                devices: several
                    .iter()
                    .take(LISTED_MAX)
                    .map(|device| format!("{} ({})", device.name, device.id))
                    .collect(),
            }),
        }
    }
}

/// What plays and hears: the system's sound devices, or something that stands in for them.
pub(crate) trait Host: Send {
    /// Everything that is plugged in now. May take a while.
    fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError>;

    /// Opens a microphone: its callback gives what it hears to `end`, mono at the returned rate.
    fn open_input(
        &mut self,
        id: &str,
        end: CaptureEnd,
        failed: Failed,
    ) -> Result<Opened, AudioError>;

    /// Opens a speaker: its callback takes what it plays from `end`, mono at the returned rate.
    fn open_output(
        &mut self,
        id: &str,
        end: PlaybackEnd,
        failed: Failed,
    ) -> Result<Opened, AudioError>;
}

/// Makes a host for each thread that needs one.
pub(crate) type Hosts = std::sync::Arc<dyn Fn() -> Box<dyn Host> + Send + Sync>;

/// An open stream; it closes when dropped.
pub(crate) struct Opened {
    /// Samples a second.
    pub(crate) rate: u32,
    /// Whatever keeps it open.
    pub(crate) stream: Box<dyn Send>,
    /// Of a speaker that asks for its sound: who takes it, instead of the end of the ring.
    pub(crate) asking: Option<Box<dyn Asking>>,
}

/// A speaker that asks for each block, and takes it as soon as it is made.
pub(crate) trait Asking: std::fmt::Debug + Send {
    /// Samples that it wants now.
    fn wanted(&self) -> usize;

    /// Plays these.
    fn play(&mut self, sound: &[f32]);
}

/// Where a stream tells that it has come to an end.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    to: mpsc::Sender<keeper::Order>,
    stream: u64,
}

impl Failed {
    /// It has failed, and why.
    pub(crate) fn tell(&self, why: AudioError) {
        // A keeper that is gone has closed it.
        let _ = self.to.send(keeper::Order::Failed(self.stream, why));
    }
}

/// What the scheduler prefers, where it is allowed: as PulseAudio and PipeWire run.
const NICE: i32 = -11;

/// Lets the thread that calls this run before others.
pub(crate) fn hurry() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread of sound runs like any other");
    }
}

/// The sound devices of this computer.
pub(crate) fn system() -> Box<dyn Host> {
    #[cfg(feature = "audio")]
    return Box::new(system::System::find());
    #[cfg(not(feature = "audio"))]
    return Box::new(Without);
}

/// Of a build without sound.
#[cfg(not(feature = "audio"))]
struct Without;

#[cfg(not(feature = "audio"))]
impl Host for Without {
    fn devices(&mut self) -> Result<Vec<DeviceView>, AudioError> {
        Err(AudioError::NotBuilt)
    }

    fn open_input(&mut self, _: &str, _: CaptureEnd, _: Failed) -> Result<Opened, AudioError> {
        Err(AudioError::NotBuilt)
    }

    fn open_output(&mut self, _: &str, _: PlaybackEnd, _: Failed) -> Result<Opened, AudioError> {
        Err(AudioError::NotBuilt)
    }
}

/// Whether what is played there is surely not heard by the microphone: a guess by the words that
/// makers use.
pub(crate) fn is_headphones(id: &str, name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "headphone",
        "headset",
        "earphone",
        "earbud",
        "airpod",
        "handsfree",
        "hands-free",
        "kopfhörer",
        "耳机",
    ];
    let text = format!("{id} {name}").to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, name: &str, direction: SoundDirection, default: bool) -> DeviceView {
        DeviceView {
            id: id.into(),
            name: name.into(),
            direction,
            default,
            chosen: false,
            headphones: is_headphones(id, name),
        }
    }

    fn devices() -> Vec<DeviceView> {
        use SoundDirection::{Input, Output};
        vec![
            device("pulseaudio:usb.mic", "Blue Yeti", Input, false),
            device("pulseaudio:pci.mic", "Built-in Audio", Input, true),
            device("pulseaudio:pci.out", "Built-in Audio", Output, true),
            device("pulseaudio:usb.out", "USB Headset 2", Output, false),
            device("pulseaudio:usb.out.2", "USB Headset", Output, false),
        ]
    }

    #[test]
    fn a_device_is_meant_by_what_only_it_is_called() {
        use SoundDirection::{Input, Output};
        let found = |text: &str, direction| {
            let found = Choice::new(text).find(direction, &devices()).cloned();
            found
                .map(|device| device.id)
                .map_err(|error| error.to_string())
        };
        let is = |id: &str| Ok(id.to_owned());
        assert_eq!(found("yeti", Input), is("pulseaudio:usb.mic"));
        assert_eq!(found(" BUILT-IN ", Input), is("pulseaudio:pci.mic"));
        assert_eq!(found("built-in", Output), is("pulseaudio:pci.out"));
        assert_eq!(
            found("pulseaudio:usb.out", Output),
            is("pulseaudio:usb.out")
        );
        assert_eq!(found("usb headset", Output), is("pulseaudio:usb.out.2"));
        for default in ["default", "Default", "", " "] {
            assert_eq!(found(default, Output), is("pulseaudio:pci.out"));
        }
        let several = "\"usb\" may mean several devices: USB Headset 2 (pulseaudio:usb.out), \
                       USB Headset (pulseaudio:usb.out.2)";
        assert_eq!(found("usb", Output), Err(several.into()));
        let none = "no speaker called \"yeti\" is plugged in; `hallway devices` lists what is";
        assert_eq!(found("yeti", Output), Err(none.into()));
    }

    #[test]
    fn without_a_default_there_is_none() {
        let mut devices = devices();
        devices.retain(|device| !device.default);
        let found = Choice::Default.find(SoundDirection::Input, &devices);
        assert_eq!(
            found.unwrap_err().to_string(),
            "no microphone is plugged in"
        );
    }

    #[test]
    fn headphones_are_guessed_by_their_name() {
        assert!(is_headphones("bluez_output.00_11", "WH-1000XM4 Headset"));
        assert!(is_headphones("alsa_output.headphones", "Analog"));
        assert!(!is_headphones(
            "alsa_output.pci",
            "Built-in Audio Analog Stereo"
        ));
    }
}
