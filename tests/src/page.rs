//! People at their browsers: a real Chromium on every host, driven by a script of `tests/page`.
//!
//! A script finds each node by its Unix socket and each browser by a small program that starts
//! it on its host. What only this side can do, it asks for: a line of JSON on its standard
//! output is a request, and an empty line on its standard input the answer.

use crate::host::Host;
use crate::lab::{LabError, Process, mortal};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The Debian packages.
const PACKAGES: &str = "chromium nodejs npm; then run `npm ci` in tests/page";
const BROWSER: &str = "chromium";

/// Where the scripts are.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("page")
}

/// What tests in browsers need besides a network.
pub fn installed() -> Result<(), LabError> {
    let missing = |program: &str| LabError::Missing {
        program: program.into(),
        packages: PACKAGES,
    };
    for program in ["node", BROWSER] {
        let found = Command::new(program)
            .arg("--version")
            .stderr(Stdio::null())
            .output();
        found.map_err(|_| missing(program))?;
    }
    for library in ["playwright-core", "axe-core"] {
        let path = scripts().join("node_modules").join(library);
        path.exists()
            .then_some(())
            .ok_or_else(|| missing(library))?;
    }
    Ok(())
}

/// Makes the `main` of a test program out of test functions that need browsers, one at a time:
/// browsers keep two cores busy.
#[macro_export]
macro_rules! page_tests {
    ($($test:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            let tests = [$((stringify!($test), $test as fn())),+];
            $crate::lab::main_with($crate::page::installed, 1, tests)
        }
    };
}

/// Runs `tests/page/cases/CASE.js` with browsers on these hosts, to its end, and returns what it
/// has measured, if anything. The case fails when the script does.
#[track_caller]
pub fn run(case: &str, hosts: &[&Host]) -> Vec<Value> {
    let folder = TempDir::with_prefix("hallway-").expect("a place for temporary files");
    let described: Vec<Value> = hosts
        .iter()
        .enumerate()
        .map(|(number, host)| describe(host, number, folder.path()))
        .collect();
    let mut command = mortal("node");
    command
        .arg(scripts().join("run.js"))
        .args([case, &Value::from(described).to_string()])
        // What browsers leave behind goes with the folder.
        .env("TMPDIR", folder.path())
        .env("HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let first = hosts.first().expect("somebody takes part");
    let mut script = first.spawn(command);
    let pipes = script.take_stdin().zip(script.take_stdout());
    let (mut stdin, stdout) = pipes.expect("both were asked for");
    let mut measured = Vec::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("{case}.js prints what is no request: {e}: {line}"));
        let host = || {
            let number = request["host"]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok());
            hosts[number.expect("a request names a host")]
        };
        match request["do"].as_str() {
            Some("kill") => host().kill(),
            Some("up") => host().up(),
            Some("measured") => measured.push(request["values"].clone()),
            _ => panic!("{case}.js asks for what there is not: {line}"),
        }
        // A script that has ended tells why by itself.
        let _ = stdin.write_all(b"\n");
    }
    ended(case, &mut script);
    measured
}

#[track_caller]
fn ended(case: &str, script: &mut Process) {
    let status = script.wait(crate::host::PATIENCE);
    let status = status.unwrap_or_else(|| panic!("{case}.js does not end"));
    assert!(status.success(), "{case}.js: {status}");
}

/// What a script is told of a host. Its browser is a program there, as far as the network goes.
fn describe(host: &Host, number: usize, folder: &Path) -> Value {
    let browser = folder.join(format!("browser-{number}"));
    let text = format!(
        "#!/bin/sh\nexec nsenter --net={} -- {BROWSER} \"$@\"\n",
        host.namespace_path()
    );
    fs::write(&browser, text).expect("the folder is new");
    fs::set_permissions(&browser, Permissions::from_mode(0o700)).expect("the file is ours");
    json!({ "number": number, "id": host.id(), "home": host.home(), "browser": browser })
}
