//! `hallway`: the node, and the commands that speak with it.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod args;
mod commands;
mod complete;
#[cfg(target_os = "linux")]
mod desktop;
mod failure;
mod out;
mod progress;
mod show;
mod text;
mod when;

use args::CommandLine;
use clap::Parser;
use hallway_tui::safe;
use out::Out;
use std::process::ExitCode;

fn main() -> ExitCode {
    complete::answer();
    let line = CommandLine::parse();
    let out = Out::new(line.json);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(commands::run(line, &out));
            // A thread that still waits for a person at the keyboard must not keep us.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&out),
    }
}
