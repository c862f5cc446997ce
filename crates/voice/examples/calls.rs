//! Whole calls through bad networks: mouth-to-ear delay (without sound cards) and quality of each,
//! after 3 s.
//!
//! `cargo run --release -p hallway-voice --example calls [other-speech.wav]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "it prints, and what it counts is small"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;
#[path = "../tests/call/wire.rs"]
mod wire;

use std::time::Duration;
use wire::{Conditions, World};

/// Seconds after which a call is judged.
const SETTLED: usize = 3;

const SEEDS: u64 = 4;

fn main() {
    let mine = lab::speech(include_bytes!("../tests/lab/speech.wav"));
    let other = match std::env::args().nth(1) {
        Some(path) => lab::speech(&std::fs::read(path).expect("a file that can be read")),
        None => mine.clone(),
    };
    let only = std::env::args().nth(2).unwrap_or_default();
    let clean = Conditions::CLEAN;
    let ms = Duration::from_millis;
    let jitter = ms(30);
    let stalls = |every| Conditions {
        stalls: Some((ms(every), ms(80))),
        ..clean
    };
    let rows = [
        ("clean", clean),
        (
            "5% loss",
            Conditions {
                loss: 0.05,
                ..clean
            },
        ),
        ("20% loss", Conditions { loss: 0.2, ..clean }),
        ("jitter to 30", Conditions { jitter, ..clean }),
        (
            "jitter to 30 + 20%",
            Conditions {
                jitter,
                loss: 0.2,
                ..clean
            },
        ),
        ("80 ms each 1 s", stalls(1_000)),
        ("80 ms each 2 s", stalls(2_000)),
        ("80 ms each 5 s", stalls(5_000)),
        (
            "5% in bursts of 4",
            Conditions {
                loss: 0.0131,
                burst: 4,
                ..clean
            },
        ),
    ];
    println!(
        "{:20} {:>6} {:>5} {:>5} {:>6} copies grade",
        "", "ms", "PESQ", "worst", "made up"
    );
    for (name, conditions) in rows {
        if !only.split(',').any(|part| name.contains(part)) {
            continue;
        }
        let mut scores = Vec::new();
        let mut last = String::new();
        for seed in 1..=SEEDS {
            let turned = |speech: &[f32]| {
                let mut speech = speech.repeat(2);
                speech.rotate_left(seed as usize * 150_000);
                speech.truncate(48_000 * 28);
                speech
            };
            let sound = [turned(&mine), turned(&other)];
            let mut world = World::with(seed, conditions, sound, |config| {
                config.encoder.complexity = 9;
            });
            world.run(Duration::from_secs(28));
            for end in 0..2 {
                let said = &world.ends[1 - end].sound;
                let heard = &world.ends[end].played;
                scores.push(lab::judge(said, heard, SETTLED));
            }
            let now = world.now;
            let stats = world.ends[1].media.stats(now);
            last = format!(
                "{:6.2}% {} {}",
                stats.concealed * 100.0,
                stats.copies,
                stats.grade
            );
        }
        let n = scores.len() as f64;
        let delay = scores.iter().map(|score| score.delay_ms).sum::<f64>() / n;
        let pesq = scores.iter().map(|score| score.pesq).sum::<f64>() / n;
        let worst = scores.iter().map(|score| score.pesq).fold(5.0, f64::min);
        println!("{name:20} {delay:6.1} {pesq:5.2} {worst:5.2} {last}");
    }
}
