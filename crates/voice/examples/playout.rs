//! Speech through bad networks: mouth-to-ear delay (without sound cards) and quality of each.
//!
//! `cargo run --release -p hallway-voice --example playout [speech.wav]`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it prints, and what it counts is small"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;

use hallway_voice::codec::Mode;
use lab::{Call, Jitter, Wire};

/// Seconds after which a call is judged.
const SETTLED: usize = 2;

fn main() {
    let speech = match std::env::args().nth(1) {
        Some(path) => lab::speech(&std::fs::read(path).expect("a file that can be read")),
        None => lab::speech(include_bytes!("../tests/lab/speech.wav")).repeat(3),
    };
    let jitter = Wire {
        jitter: Jitter::UpTo(30.0),
        ..Wire::default()
    };
    let wires: Vec<(&str, Wire)> = vec![
        ("clean", Wire::default()),
        (
            "5% loss",
            Wire {
                loss: 0.05,
                ..Wire::default()
            },
        ),
        (
            "20% loss",
            Wire {
                loss: 0.2,
                ..Wire::default()
            },
        ),
        ("jitter to 30", jitter),
        (
            "jitter to 30 ordered",
            Wire {
                in_order: true,
                ..jitter
            },
        ),
        (
            "jitter to 60",
            Wire {
                jitter: Jitter::UpTo(60.0),
                ..jitter
            },
        ),
        (
            "jitter normal 30",
            Wire {
                jitter: Jitter::Normal(30.0),
                ..jitter
            },
        ),
        (
            "jitter to 30 + 20%",
            Wire {
                loss: 0.2,
                ..jitter
            },
        ),
        (
            "jitter to 60 + 20%",
            Wire {
                loss: 0.2,
                jitter: Jitter::UpTo(60.0),
                ..jitter
            },
        ),
        (
            "normal 30 + 20%",
            Wire {
                loss: 0.2,
                jitter: Jitter::Normal(30.0),
                ..jitter
            },
        ),
        (
            "80 ms each 1 s",
            Wire {
                stalls: Some((1000.0, 80.0)),
                ..Wire::default()
            },
        ),
        (
            "80 ms each 2 s",
            Wire {
                stalls: Some((2000.0, 80.0)),
                ..Wire::default()
            },
        ),
        (
            "80 ms each 5 s",
            Wire {
                stalls: Some((5000.0, 80.0)),
                ..Wire::default()
            },
        ),
        (
            "5% in bursts of 4",
            Wire {
                loss: 0.05,
                burst: 4.0,
                ..Wire::default()
            },
        ),
    ];
    let mut strides = vec![(0, 1), (1, 1), (2, 1), (3, 1), (3, 2)];
    if let Ok(only) = std::env::var("COPIES") {
        strides.retain(|(copies, stride)| format!("{copies}/{stride}") == only);
    }
    print!("{:22}", "copies/stride");
    for (copies, stride) in &strides {
        print!(" {:>26}", format!("{copies}/{stride}"));
    }
    println!("\n{:22}  (ms, PESQ, concealed %, stretched %)", "");
    let only = std::env::args().nth(2).unwrap_or_default();
    let env = |name| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let base = Call {
        bitrate: env("BITRATE").unwrap_or(64_000),
        mode: if env("STUDIO").is_some() {
            Mode::Studio
        } else {
            Mode::Voice
        },
        ..Call::default()
    };
    for (name, wire) in wires
        .into_iter()
        .filter(|(name, _)| only.split(',').any(|part| name.contains(part)))
    {
        print!("{name:22}");
        for (copies, stride) in &strides {
            let call = Call {
                copies: *copies,
                stride: *stride,
                ..base
            };
            let heard = lab::hold(&speech, &wire, &call);
            let score = lab::judge(&speech, &heard.samples, SETTLED);
            let all = heard.samples.len() as f64 / 100.0;
            let stats = heard.stats;
            print!(
                " {:6.1} {:4.2} ({:4.1} {:4.1} {:2})",
                score.delay_ms,
                score.pesq,
                stats.concealed as f64 / all,
                (stats.shortened + stats.lengthened) as f64 / all,
                stats.restarts,
            );
        }
        println!();
    }
}
