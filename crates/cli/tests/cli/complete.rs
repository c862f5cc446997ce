//! The Tab key in a real shell.

use crate::run::{Home, friends};
use std::os::unix::fs::symlink;
use std::process::Command;

/// What bash offers for the last of these words.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_hallway"), folder.path().join("hallway")).unwrap();
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let script = "source <(hallway completions bash); COMP_WORDS=(\"$@\"); COMP_TYPE=9; \
                  COMP_CWORD=$(($# - 1)); \"$(complete -p hallway | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" \
                  hallway \"${!#}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "bash"]).args(words);
    command.env("PATH", path).env("LC_ALL", "C.UTF-8");
    command.env("HALLWAY_HOME", home.path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn commands_options_and_values_are_offered() {
    let home = Home::empty();
    assert_eq!(offered(&home, &["hallway", "set-s"]), ["set-status"]);
    assert_eq!(offered(&home, &["hallway", "set-status", "aw"]), ["away"]);
    assert_eq!(offered(&home, &["hallway", "files", "acc"]), ["accept"]);
    assert_eq!(offered(&home, &["hallway", "send", "--rep"]), ["--reply"]);
    // No node, nobody to offer.
    assert_eq!(offered(&home, &["hallway", "call", "B"]), [""; 0]);
}

#[test]
fn peers_are_offered_by_what_names_only_them() {
    let (ann, bo) = friends("Bo");
    for command in ["send", "log", "call", "verify", "forget"] {
        assert_eq!(
            offered(&ann, &["hallway", command, "b"]),
            ["Bo"],
            "{command}"
        );
    }
    // What is more than one word to a shell is quoted, unless the person has begun to.
    for (name, typed, expected) in [
        ("Bo Li", "b", r"Bo\ Li"),
        ("Bo Li", r"Bo\ L", r"Bo\ Li"),
        ("Bo Li", "\"Bo L", "Bo Li"),
        ("Bo O'Neil", "bo", r"Bo\ O\'Neil"),
        ("Bo O'Neil", "\"bo", "Bo O'Neil"),
        ("Bo O'Neil", "'bo", r"Bo O'\''Neil"),
        ("王小明", "王", "王小明"),
        ("王 小明", "王", r"王\ 小明"),
    ] {
        assert_eq!(bo.run(&["name", name]).code, 0);
        bo.tell("Ann", "I have a new name");
        let offered = offered(&ann, &["hallway", "send", typed]);
        assert_eq!(offered, [expected], "{name}, {typed}");
    }
    // What a shell would run is offered by its tag.
    let tag = ann.run(&["peers", "--json"]).json()[0]["tag"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in ["$(reboot)", "Bo;ls", "`ls`"] {
        assert_eq!(bo.run(&["name", name]).code, 0);
        bo.tell("Ann", "I have a new name");
        let offered = offered(&ann, &["hallway", "send", ""]);
        assert_eq!(offered[0], tag, "{name}");
        assert!(
            offered[1..].iter().all(|word| word.starts_with("--")),
            "{offered:?}"
        );
    }
}
