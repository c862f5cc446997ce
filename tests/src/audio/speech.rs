//! Sentences to say: made by a synthesizer, so that every run says the same.

use super::{PACKAGES, SAMPLE_RATE};
use std::process::{Command, Stdio};

/// Who speaks. The sentences are from the lists that telephony is tested with (IEEE 297,
/// "Harvard sentences").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// A high voice, about half a minute.
    High,
    /// A low voice with other sentences, about half a minute.
    Low,
}

impl Voice {
    fn arguments(self) -> [&'static str; 5] {
        match self {
            Self::High => ["-v", "en-us+f3", "-s", "150", HIGH],
            Self::Low => ["-v", "en-gb+m3", "-s", "145", LOW],
        }
    }
}

const HIGH: &str = "The birch canoe slid on the smooth planks. \
    Glue the sheet to the dark blue background. It is easy to tell the depth of a well. \
    These days a chicken leg is a rare dish. Rice is often served in round bowls. \
    The juice of lemons makes fine punch. The box was thrown beside the parked truck. \
    The hogs were fed chopped corn and garbage. Four hours of steady work faced us. \
    A large size in stockings is hard to sell.";
const LOW: &str = "The boy was there when the sun rose. A rod is used to catch pink salmon. \
    The source of the huge river is the clear spring. Kick the ball straight and follow through. \
    Help the woman get back to her feet. A pot of tea helps to pass the evening. \
    Smoky fires lack flame and heat. The soft cushion broke the man's fall. \
    The salt breeze came across from the sea. The girl at the booth sold fifty bonds.";

/// What a voice says, at [`SAMPLE_RATE`], with half a second of silence before and after.
#[track_caller]
pub fn speech(voice: Voice) -> Vec<f32> {
    let missing = format!("this is installed: {PACKAGES}");
    let mut spoken = Command::new("espeak-ng")
        .arg("--stdout")
        .args(voice.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect(&missing);
    let output = Command::new("sox")
        .args(["-V1", "--ignore-length", "-t", "wav", "-"])
        .args(["-t", "raw", "-e", "float", "-b", "32", "-L", "-c", "1"])
        .args(["-r", &SAMPLE_RATE.to_string(), "-"])
        // As loud as speech can be that is resampled again later.
        .args(["gain", "-n", "-4", "pad", "0.5", "0.5"])
        .stdin(spoken.stdout.take().expect("it was asked for"))
        .output()
        .expect(&missing);
    let ended = spoken.wait().is_ok_and(|status| status.success());
    assert!(
        ended && output.status.success(),
        "espeak-ng or sox failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let samples = output.stdout.as_chunks().0.iter();
    samples.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
