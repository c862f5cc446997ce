//! Runs tests that need a network of their own, or says why it cannot.

use super::namespace::{cannot_start, tool};
use super::{LabError, Lan};
use libtest_mimic::{Arguments, Trial};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

/// LANs at a time: a LAN of nodes that start at once keeps two cores busy by itself.
const THREADS: usize = 2;

/// The whole of a test program without the built-in harness; see [`crate::lan_tests`].
///
/// The tests run as root, or as root of a user namespace that this enters. Where the system
/// allows neither, or lacks a program, they are reported as ignored with the reason; with
/// `CI=true` they fail.
pub fn main(tests: impl IntoIterator<Item = (&'static str, fn())>) -> ExitCode {
    main_with(|| Ok(()), THREADS, tests)
}

/// As [`main`], for tests that need more than a network, so many of them at a time; see
/// [`crate::room_tests`].
pub fn main_with(
    more: fn() -> Result<(), LabError>,
    threads: usize,
    tests: impl IntoIterator<Item = (&'static str, fn())>,
) -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(threads);
    let possible = if args.list {
        Ok(())
    } else {
        prepare().and_then(|()| more())
    };
    if let Err(reason) = &possible {
        eprintln!("These tests cannot be run here. {reason}");
        if env::var("CI").is_ok_and(|ci| ci == "true") {
            eprintln!("CI=true, so that is a failure.");
            return ExitCode::FAILURE;
        }
    }
    let trials = tests
        .into_iter()
        .map(|(name, test)| {
            let trial = Trial::test(name, move || {
                test();
                Ok(())
            });
            trial.with_ignored_flag(possible.is_err())
        })
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}

/// Makes the `main` of a test program out of test functions, for [`lab::main`](main).
#[macro_export]
macro_rules! lan_tests {
    ($($test:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::lab::main([$((stringify!($test), $test as fn())),+])
        }
    };
}

fn prepare() -> Result<(), LabError> {
    if !geteuid().is_root() {
        enter_user_namespace()?;
    }
    raise_file_limit();
    Lan::builder().hosts(1).try_build().map(drop)
}

/// Starts this program anew as root of its own user namespace. Returns only when it cannot.
fn enter_user_namespace() -> Result<(), LabError> {
    // Some systems allow the namespace and then every power in it is refused: try one.
    let probe = [
        "--user",
        "--map-root-user",
        "--net",
        "ip",
        "link",
        "set",
        "lo",
        "up",
    ];
    let output = tool("unshare")
        .args(probe)
        .output()
        .map_err(|e| cannot_start("unshare", e))?;
    if !output.status.success() {
        return Err(LabError::Failed {
            command: "Without root they need user namespaces; unshare --user --net".into(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().into(),
        });
    }
    let this = env::current_exe().map_err(|e| LabError::Io("this program".into(), e))?;
    let failed = tool("unshare")
        .args(["--user", "--map-root-user", "--"])
        .arg(this)
        .args(env::args_os().skip(1))
        .exec();
    Err(cannot_start("unshare", failed))
}

/// A hostile host holds thousands of connections open. Where the limit stays low, the test that
/// needs them fails and says so.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, raised);
}
