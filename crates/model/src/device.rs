//! Sound devices as faces show them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which way the sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoundDirection {
    /// A microphone.
    Input,
    /// A speaker.
    Output,
}

impl fmt::Display for SoundDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "microphone",
            Self::Output => "speaker",
        })
    }
}

/// One sound device that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceView {
    /// Stays the same when it is unplugged and plugged in again.
    pub id: String,
    /// For people.
    pub name: String,
    /// Which way the sound goes.
    pub direction: SoundDirection,
    /// The system's default of its direction.
    pub default: bool,
    /// Calls use it.
    pub chosen: bool,
    /// It is worn on the head, as far as its name tells: its sound does not reach the microphone.
    pub headphones: bool,
}

/// Every sound device, and which are to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DevicesView {
    /// What is plugged in.
    pub devices: Vec<DeviceView>,
    /// The id of the microphone that calls use, plugged in or not; `default` follows the system's.
    pub input: String,
    /// The same for the speaker.
    pub output: String,
    /// Why there is none, and what to do.
    pub problem: Option<String>,
}
