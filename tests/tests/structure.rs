//! The shape of the project: who may import whom, what the pure crates must not touch, and the
//! small rules that nobody should have to remember.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hallway_tests::workspace::{packages, read, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Which of our crates each of our crates may import. Tests and benchmarks may import all.
const MAY_IMPORT: [(&str, &[&str]); 9] = [
    ("model", &[]),
    ("proto", &["model"]),
    ("voice", &["model"]),
    ("store", &["model"]),
    ("node", &["model", "proto", "voice", "store"]),
    ("api", &["model", "node"]),
    ("web", &[]),
    ("tui", &["model", "api"]),
    (
        "cli",
        &[
            "model", "proto", "voice", "store", "node", "api", "web", "tui",
        ],
    ),
];

/// The crates that do no IO and read no clock.
const PURE: [&str; 3] = ["model", "proto", "voice"];

/// What a pure crate must not depend on: runtimes, sockets, system calls, sources of randomness.
const IMPURE_DEPENDENCIES: [&str; 9] = [
    "tokio",
    "mio",
    "async-io",
    "socket2",
    "rustix",
    "libc",
    "nix",
    "getrandom",
    "rand",
];

/// What the `clippy.toml` of a pure crate must ban.
const BANS: [&str; 8] = [
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::fs::File",
];

/// Parts of the standard library that no file of a pure crate mentions outside its tests.
const IMPURE_PATHS: [&str; 5] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
];

/// Lines of a file before its tests, beyond which it has more than one purpose. About 700 is
/// the rule; nobody should have to split a file for one line.
const LINES_MAX: usize = 750;

/// Longer files, so many lines at most, and why they are not two.
const LONGER: [(&str, usize, &str); 2] = [
    (
        "tests/src/sim/shell.rs",
        900,
        "all that a simulated host does for its engine, so that one look shows what is left out",
    ),
    (
        "tests/src/sim/world.rs",
        800,
        "every step of a simulation in one place, since their order is what makes it repeatable",
    ),
];

/// Lines of a fuzzer.
const FUZZER_LINES_MAX: usize = 10;

/// The names of what a package depends on, less what only its tests do.
fn dependencies(package: &Value) -> BTreeSet<&str> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    let built = dependencies.filter(|dependency| dependency["kind"] != "dev");
    built
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect()
}

fn short_name(package: &Value) -> &str {
    let name = package["name"].as_str().unwrap();
    match name.strip_prefix("hallway-") {
        Some(short) => short,
        None if name == "hallway" => "cli",
        None => panic!("{name} is not named as ours"),
    }
}

/// Every Rust file of ours, by its path from the root.
fn sources() -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["crates", "tests", "benches"] {
        collect(&root().join(directory), &mut found);
    }
    assert!(found.len() > 50, "only {} files found", found.len());
    found.sort();
    found
}

fn collect(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let path = path.strip_prefix(root()).unwrap();
            found.push(path.to_str().unwrap().replace('\\', "/"));
        }
    }
}

/// The lines of a file before its unit tests.
fn before_tests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "#[cfg(test)]")
}

#[test]
fn crates_import_what_the_design_allows() {
    let mut seen = BTreeSet::new();
    for package in packages() {
        let name = short_name(&package);
        seen.insert(name.to_string());
        if ["tests", "benches"].contains(&name) {
            continue;
        }
        let row = MAY_IMPORT.iter().find(|(row, _)| *row == name);
        let (_, allowed) = row.unwrap_or_else(|| panic!("the table does not know {name}"));
        for ours in dependencies(&package)
            .iter()
            .filter_map(|d| d.strip_prefix("hallway-"))
        {
            assert!(allowed.contains(&ours), "{name} must not import {ours}");
        }
    }
    for (name, _) in MAY_IMPORT {
        assert!(
            seen.contains(name),
            "{name} is in the table and not in the workspace"
        );
    }
}

#[test]
fn pure_crates_depend_on_nothing_that_does_io() {
    for package in packages() {
        let name = short_name(&package);
        if PURE.contains(&name) {
            for impure in IMPURE_DEPENDENCIES {
                assert!(
                    !dependencies(&package).contains(impure),
                    "{name} imports {impure}"
                );
            }
        }
    }
}

#[test]
fn pure_crates_ban_clocks_threads_sockets_and_files() {
    for name in PURE {
        let bans = read(format!("crates/{name}/clippy.toml"));
        for ban in BANS {
            assert!(
                bans.contains(&format!("path = \"{ban}\"")),
                "{name} does not ban {ban}"
            );
        }
    }
    // It would take the place of every file above without a word.
    for file in ["scripts/check", "scripts/test", ".ci/run"] {
        assert!(!read(file).contains("CLIPPY_CONF_DIR"), "{file}");
    }
    let pure = |file: &&String| {
        PURE.iter()
            .any(|name| file.starts_with(&format!("crates/{name}/src/")))
    };
    for file in sources().iter().filter(pure) {
        for (line, text) in (1..).zip(before_tests(&read(file))) {
            let code = text.split("//").next().unwrap_or_default();
            for path in IMPURE_PATHS {
                assert!(!code.contains(path), "{file}:{line} mentions {path}");
            }
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let workspace = read("Cargo.toml");
    for lint in [
        "unsafe_code = \"forbid\"",
        "missing_docs",
        "unwrap_used",
        "print_stdout",
    ] {
        assert!(workspace.contains(lint), "{lint}");
    }
    for package in packages() {
        let manifest = fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true\n");
        assert!(inherits, "{} has lints of its own", short_name(&package));
    }
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // In two parts, or this file would find itself.
    let unfinished = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("#[ig", "nore"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("db", "g!"),
    ];
    for file in sources() {
        for (line, text) in (1..).zip(read(&file).lines()) {
            for word in unfinished {
                assert!(!text.contains(word), "{file}:{line}: {word}");
            }
        }
    }
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    for file in sources() {
        let text = read(&file);
        let lines = before_tests(&text).count();
        if file.starts_with("tests/fuzz/") {
            assert!(lines <= FUZZER_LINES_MAX, "{file} has {lines} lines");
            continue;
        }
        assert!(
            text.starts_with("//! "),
            "{file} does not say what it is for"
        );
        let exception = LONGER.iter().find(|(longer, ..)| *longer == file);
        let most = exception.map_or(LINES_MAX, |(_, most, _)| *most);
        assert!(lines <= most, "{file} has {lines} lines before its tests");
    }
    for (file, ..) in LONGER {
        assert!(sources().contains(&file.to_string()), "{file} is gone");
    }
}
