//! Measures Hallway beside what it is compared with and prints a table for each topic.
//!
//! Nothing here is a test: a missed target is printed as one and fails nothing. Only a
//! measurement that could not be made does.
#![allow(
    clippy::print_stdout,
    reason = "tables on standard output are its purpose"
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod baseline;
mod beside;
mod bulk;
mod decode;
mod files;
mod handshake;
mod history;
mod idle;
mod messages;
mod page;
mod pair;
mod place;
mod redraw;
mod rivals;
mod size;
mod start;
mod stats;
mod survival;
mod swarm;
mod table;
mod voice;

use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use std::process::ExitCode;
use std::time::Instant;
use table::Table;

/// What can be measured.
struct Topic {
    name: &'static str,
    about: &'static str,
    /// It builds hosts out of network namespaces.
    needs_root: bool,
    run: fn() -> anyhow::Result<Table>,
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "handshake",
        about: "handshakes a second",
        needs_root: false,
        run: handshake::measure,
    },
    Topic {
        name: "messages",
        about: "round trip and rate of messages between two hosts",
        needs_root: true,
        run: messages::measure,
    },
    Topic {
        name: "start",
        about: "from the second start to seeing, sessions and the first message",
        needs_root: true,
        run: start::measure,
    },
    Topic {
        name: "idle",
        about: "memory, processor time and packets of nodes with nothing to do",
        needs_root: true,
        run: idle::measure,
    },
    Topic {
        name: "history",
        about: "a million messages: open, page, search",
        needs_root: false,
        run: history::measure,
    },
    Topic {
        name: "size",
        about: "the program, its start, silent peers, hostile frames",
        needs_root: false,
        run: size::measure,
    },
    Topic {
        name: "page",
        about: "the page in a browser: first paint, a key, a message, scrolling",
        needs_root: true,
        run: page::measure,
    },
    Topic {
        name: "redraw",
        about: "the terminal app: from a key or a message to the screen",
        needs_root: false,
        run: redraw::measure,
    },
    Topic {
        name: "swarm",
        about: "one file to eight receivers over one narrow line",
        needs_root: true,
        run: swarm::measure,
    },
    Topic {
        name: "survival",
        about: "a file of 4 GiB that is interrupted, and 100,000 small ones",
        needs_root: true,
        run: survival::measure,
    },
    Topic {
        name: "files",
        about: "a large file and many small ones between two hosts",
        needs_root: true,
        run: files::measure,
    },
    Topic {
        name: "beside",
        about: "a call with and without files on their way beside it",
        needs_root: true,
        run: beside::measure,
    },
    Topic {
        name: "voice",
        about: "calls on good and bad lines: mouth to ear, PESQ, processor time",
        needs_root: true,
        run: voice::measure,
    },
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted == [decode::ARGUMENT] {
        return measure_decoding();
    }
    let unknown = wanted
        .iter()
        .find(|name| TOPICS.iter().all(|topic| topic.name != **name));
    if let Some(unknown) = unknown {
        eprintln!("There is no topic {unknown:?}. The topics are:");
        for topic in TOPICS {
            eprintln!("  {:<10} {}", topic.name, topic.about);
        }
        return ExitCode::from(2);
    }
    let mut code = ExitCode::SUCCESS;
    raise_file_limit();
    let selected = |topic: &&Topic| wanted.is_empty() || wanted.iter().any(|w| w == topic.name);
    for topic in TOPICS.iter().filter(selected) {
        if topic.needs_root && !geteuid().is_root() {
            println!(
                "\n{}: left out, for it needs root or user namespaces",
                topic.name
            );
            continue;
        }
        let start = Instant::now();
        match (topic.run)() {
            Ok(table) => {
                let seconds = start.elapsed().as_secs();
                println!("\n{}: {} ({seconds} s)\n{table}", topic.name, topic.about);
            }
            Err(error) => {
                println!("\n{}: could not be measured: {error:#}", topic.name);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The part of `size` that runs in a process of its own.
fn measure_decoding() -> ExitCode {
    match decode::peak() {
        Ok(bytes) => {
            println!("{bytes}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A hundred hosts take some descriptors each. Where the limit stays low, the topic that needs
/// more fails and says so.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
