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
use failure::Failure;
use hallway_tui::safe;
use out::Out;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    complete::answer();
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(answer) => return print(&answer),
    };
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

/// Prints help, which was asked for, or what is wrong with the command line.
fn print(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        // Whoever closed the pipe has what they wanted.
        Err(error) if error.kind() != ErrorKind::BrokenPipe && !answer.use_stderr() => {
            return Failure::from(error).report(&Out::new(false));
        }
        Ok(()) | Err(_) => {}
    }
    let json = std::env::args_os().any(|word| word == OsStr::new("--json"));
    if json && answer.use_stderr() {
        let said = answer.to_string();
        let what = said.lines().next().unwrap_or_default();
        let what = what.trim_start_matches("error: ");
        Out::new(true).note(&failure::json_of("usage", what));
    }
    ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(1))
}
