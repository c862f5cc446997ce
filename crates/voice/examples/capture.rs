//! What the capture pipeline costs beside the Opus encoder.
//!
//! `cargo run --release -p hallway-voice --example capture`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it measures and prints"
)]

#[path = "../tests/voices/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod voices;

use hallway_voice::capture::{Capture, CaptureConfig};
use hallway_voice::codec::{Encoder, EncoderConfig};
use std::time::Instant;

const SECONDS: usize = 20;

fn main() {
    let far = voices::speech(1, SECONDS);
    let near = voices::sum(
        &voices::speech(2, SECONDS),
        &voices::noise(3, far.len(), 0.01),
    );
    let microphone = voices::sum(&near, &voices::room(&far, 40 * 48, 0.3));
    let mut encoder = Encoder::new(EncoderConfig::default()).unwrap();
    let encode = per_frame(|i| {
        let mut payload = Vec::new();
        encoder
            .encode(&microphone[i..i + 480], &mut payload)
            .unwrap();
    });
    println!("Opus, 10 ms: {encode:.0} µs");
    let off = CaptureConfig {
        echo: false,
        noise: false,
        gain: false,
    };
    for (name, config) in [
        ("nothing", off),
        ("echo", CaptureConfig { echo: true, ..off }),
        ("noise", CaptureConfig { noise: true, ..off }),
        ("gain", CaptureConfig { gain: true, ..off }),
        ("all", CaptureConfig::default()),
    ] {
        let mut capture = Capture::new(config);
        let mut out = Vec::new();
        let time = per_frame(|i| {
            out.clear();
            capture.handle_render(&far[i..i + 480]);
            capture.process(&microphone[i..i + 480], &mut out);
        });
        println!(
            "{name:8} {time:5.0} µs, {:.2} of the encoder",
            time / encode
        );
    }
}

/// Microseconds that a frame of 10 ms takes in the mean.
fn per_frame(mut work: impl FnMut(usize)) -> f64 {
    let frames = SECONDS * 100;
    let start = Instant::now();
    for i in 0..frames {
        work(i * 480);
    }
    start.elapsed().as_secs_f64() * 1e6 / frames as f64
}
