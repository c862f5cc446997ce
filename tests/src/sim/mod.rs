//! Whole engines on a virtual clock, network and disk, driven by one seed.
//!
//! A [`World`] holds hosts. Each host runs the real engine and the real handshake in a shell made
//! of events: nothing reads a clock, opens a socket or touches a disk, so that a day takes
//! milliseconds and a seed always gives the same run. An oracle looks on: a promise broken at any
//! step ends the run, and [`explore`] prints the seed and the command that replays it.

mod calls;
mod disk;
mod files;
mod network;
mod oracle;
mod puppet;
mod shell;
mod swarm;
mod world;

pub use network::{Chop, Weather};
pub use oracle::Mark;
pub use swarm::{swarm, swarm_with_calls, swarm_with_files};
pub use world::{Crash, Host, Options, World};

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Replays this seed alone, and tells everything that happens.
const SEED: &str = "HALLWAY_SEED";
/// Runs so many seeds of each scenario instead of its own number.
const SEEDS: &str = "HALLWAY_SEEDS";

/// Runs a scenario in a fresh [`World`] for each of `seeds` seeds, on all cores.
#[track_caller]
pub fn explore(test: &str, seeds: u64, scenario: impl Fn(&mut World) + Sync) {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    if let Some(seed) = number(SEED) {
        scenario(&mut World::new(seed, true));
        return;
    }
    let seeds = number(SEEDS).unwrap_or(seeds);
    let (next, stop, failed) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(None));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            let run = || scenario(&mut World::new(seed, false));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                stop.store(true, Ordering::Relaxed);
                let mut first = failed.lock().unwrap_or_else(|e| e.into_inner());
                if first.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *first = Some((seed, panic));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    if let Some((seed, panic)) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        let file = std::path::Path::new(std::panic::Location::caller().file());
        let file = file.file_stem().unwrap_or_default().to_string_lossy();
        eprintln!(
            "seed {seed} failed. To replay it:\n    {SEED}={seed} cargo test -p hallway-tests \
             --test {file} {test} -- --exact --nocapture"
        );
        resume_unwind(panic);
    }
}

/// So many milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// So many seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// So many minutes.
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}
