//! Which devices calls use: chosen by a person, kept beside the database, read by the voice thread.

use crate::audio::parrot::Parrot;
use crate::audio::{AudioError, Choice, Hosts, system};
use crate::config::Config;
use crate::home::write_atomic;
use hallway_model::{DevicesView, SoundDirection};
use hallway_voice::capture::CaptureConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// For what is no microphone.
const AS_IT_CAME: CaptureConfig = CaptureConfig {
    echo: false,
    noise: false,
    gain: false,
};

/// Where the sound of calls comes from and goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The devices of this computer.
    Devices(Preferences),
    /// None: what is heard is said again a moment later.
    Parrot,
}

impl Default for Source {
    fn default() -> Self {
        Self::Devices(Preferences::default())
    }
}

/// What a person wants of sound, before they chose a device with [`Devices::choose`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The microphone for this run, whatever was chosen.
    pub input: Option<Choice>,
    /// The same for the speaker.
    pub output: Option<Choice>,
    /// The microphone while none was chosen.
    pub input_otherwise: Choice,
    /// The same for the speaker.
    pub output_otherwise: Choice,
    /// What is done to what the microphone hears.
    pub capture: CaptureConfig,
    /// Music and the least delay, for more bandwidth.
    pub studio: bool,
    /// Calls are heard before they are answered.
    pub ring: bool,
}

impl Preferences {
    /// What the configuration says, with the devices for this run.
    pub fn new(config: &Config, input: Option<&str>, output: Option<&str>) -> Self {
        Self {
            input: input.map(Choice::new),
            output: output.map(Choice::new),
            input_otherwise: config.input.clone(),
            output_otherwise: config.output.clone(),
            capture: CaptureConfig {
                echo: config.echo_cancellation,
                // A tone that is held is no noise in music.
                noise: config.noise_suppression && !config.studio,
                gain: config.gain_control,
            },
            studio: config.studio,
            ring: config.ring,
        }
    }
}

/// Which devices are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    input: Choice,
    output: Choice,
}

impl Choices {
    /// The choice of this direction.
    pub(crate) fn of(&self, direction: SoundDirection) -> &Choice {
        match direction {
            SoundDirection::Input => &self.input,
            SoundDirection::Output => &self.output,
        }
    }
}

/// What the voice thread needs of it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sound {
    hosts: Hosts,
    capture: CaptureConfig,
    studio: bool,
    ring: bool,
    choices: Arc<Mutex<Choices>>,
}

impl Sound {
    /// Of these hosts, with their default devices and nothing done to what they hear.
    #[cfg(test)]
    pub(crate) fn of(hosts: Hosts) -> Self {
        Self {
            hosts,
            capture: AS_IT_CAME,
            studio: false,
            ring: true,
            choices: Arc::default(),
        }
    }

    /// Makes hosts of devices.
    pub(crate) fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// What is done to what the microphone hears.
    pub(crate) fn capture(&self) -> CaptureConfig {
        self.capture
    }

    /// Music and the least delay are wanted.
    pub(crate) fn studio(&self) -> bool {
        self.studio
    }

    /// Calls are heard before they are answered.
    pub(crate) fn rings(&self) -> bool {
        self.ring
    }

    /// The devices that are meant now.
    pub(crate) fn choices(&self) -> Choices {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Choices> {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of the choices.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    input: Option<String>,
    output: Option<String>,
}

/// The devices there are and which of them calls use. Cheap to clone.
#[derive(Clone)]
pub struct Devices {
    sound: Sound,
    file: Arc<PathBuf>,
    changed: Arc<Notify>,
}

impl Devices {
    /// Of this source, with the choices kept in this file.
    pub fn new(source: Source, file: PathBuf) -> Self {
        let (hosts, preferences): (Hosts, _) = match source {
            Source::Devices(preferences) => (Arc::new(system), preferences),
            Source::Parrot => {
                let preferences = Preferences {
                    capture: AS_IT_CAME,
                    ..Preferences::default()
                };
                let parrot = Parrot::default();
                (Arc::new(move || Box::new(parrot.clone())), preferences)
            }
        };
        let kept = read(&file);
        let choice = |now: Option<Choice>, kept: Option<String>, otherwise: Choice| {
            now.or_else(|| kept.as_deref().map(Choice::new))
                .unwrap_or(otherwise)
        };
        let choices = Choices {
            input: choice(preferences.input, kept.input, preferences.input_otherwise),
            output: choice(
                preferences.output,
                kept.output,
                preferences.output_otherwise,
            ),
        };
        Self {
            sound: Sound {
                hosts,
                capture: preferences.capture,
                studio: preferences.studio,
                ring: preferences.ring,
                choices: Arc::new(Mutex::new(choices)),
            },
            file: Arc::new(file),
            changed: Arc::default(),
        }
    }

    /// What there is. Asks the system, which may take a second or two.
    pub fn list(&self) -> DevicesView {
        let choices = self.sound.choices();
        let (mut devices, problem) = match (self.sound.hosts)().devices() {
            Ok(devices) => (devices, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let mut problems: Vec<_> = problem.into_iter().collect();
        for direction in [SoundDirection::Input, SoundDirection::Output] {
            let found = choices.of(direction).find(direction, &devices);
            match found.map(|device| device.id.clone()) {
                Ok(id) => {
                    let is_it =
                        |d: &&mut hallway_model::DeviceView| d.direction == direction && d.id == id;
                    devices
                        .iter_mut()
                        .filter(is_it)
                        .for_each(|d| d.chosen = true);
                }
                // Without any device at all, one reason is enough.
                Err(why) if problems.is_empty() || !devices.is_empty() => problems.push(why),
                Err(_) => {}
            }
        }
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        DevicesView {
            devices,
            input: choices.input.as_str().to_owned(),
            output: choices.output.as_str().to_owned(),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }

    /// Uses these from now on, also in a call that runs, and after a restart. `default` follows the
    /// system's.
    pub fn choose(&self, input: Option<&str>, output: Option<&str>) -> Result<(), AudioError> {
        let devices = (self.sound.hosts)().devices();
        let chosen = |text: Option<&str>, direction| -> Result<Option<Choice>, AudioError> {
            match text.map(Choice::new) {
                Some(choice @ Choice::Device(_)) => {
                    let devices = devices.as_deref().map_err(Clone::clone)?;
                    let device = choice.find(direction, devices)?;
                    Ok(Some(Choice::Device(device.id.clone())))
                }
                other => Ok(other),
            }
        };
        let input = chosen(input, SoundDirection::Input)?;
        let output = chosen(output, SoundDirection::Output)?;
        let mut kept = read(&self.file);
        let keep = |choice: Option<Choice>, field: &mut Choice, kept: &mut Option<String>| {
            if let Some(choice) = choice {
                *kept = Some(choice.as_str().to_owned());
                *field = choice;
            }
        };
        {
            let mut choices = self.sound.lock();
            keep(input, &mut choices.input, &mut kept.input);
            keep(output, &mut choices.output, &mut kept.output);
        }
        self.changed.notify_one();
        let kept =
            serde_json::to_vec(&kept).map_err(|error| AudioError::System(error.to_string()))?;
        write_atomic(&self.file, &kept)
            .map_err(|error| AudioError::System(format!("the choice could not be kept: {error}")))
    }

    /// Resolves when others were chosen.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn sound(&self) -> &Sound {
        &self.sound
    }
}

/// What was kept; nothing where the file is missing or spoiled.
fn read(file: &PathBuf) -> Kept {
    let text = std::fs::read(file).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
