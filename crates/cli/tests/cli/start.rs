//! `hallway` alone.

use crate::run::{Home, Ran, assert_said};
use crate::terminal::at_terminal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Where a person sits who has started nothing yet.
struct Desk {
    home: Home,
    /// All programs there are.
    programs: TempDir,
}

impl Desk {
    fn new() -> Self {
        let home = Home::empty();
        fs::create_dir(home.path()).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(home.path().join("config.toml"), "mdns = false\n").unwrap();
        let programs = tempfile::tempdir().unwrap();
        Self { home, programs }
    }

    /// Adds a program that notes what it is called with, and ends like this.
    fn install(&self, name: &str, code: i32) {
        let path = self.programs.path().join(name);
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$0.args\"\nexit {code}\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn args_of(&self, name: &str) -> Vec<String> {
        let path = self.programs.path().join(format!("{name}.args"));
        let args = fs::read_to_string(path).unwrap_or_default();
        args.lines().map(Into::into).collect()
    }

    fn command(&self, args: &[&str], display: bool) -> Command {
        let mut command = self.home.command(args);
        command.env("PATH", self.programs.path());
        if display {
            command.env("DISPLAY", ":7");
        }
        command
    }

    fn run(&self, args: &[&str], display: bool) -> Ran {
        ran(self.command(args, display).output().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("node.log")
    }
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Where a test failed there may be none.
        self.home.run(&["stop"]);
    }
}

fn is_address(text: &str) -> bool {
    text.starts_with("http://127.0.0.1:") && text.contains('#')
}

#[test]
fn it_starts_a_node_and_opens_a_window_of_its_own() {
    let desk = Desk::new();
    desk.install("chromium", 0);
    desk.install("xdg-open", 0);
    let first = desk.run(&[], true);
    assert_eq!((first.code, &*first.out), (0, ""), "{}", first.err);
    assert!(first.err.contains("Hallway runs now"), "{}", first.err);
    assert!(first.err.contains("opens in chromium"), "{}", first.err);
    let args = desk.args_of("chromium");
    assert!(is_address(args[0].strip_prefix("--app=").unwrap()));
    let profile = format!("--user-data-dir={}/browser", desk.home.path().display());
    assert_eq!(args[1], profile);
    assert!(desk.args_of("xdg-open").is_empty());
    assert_eq!(desk.home.run(&["status"]).code, 0, "it goes on");
    assert!(desk.log().is_file());

    // The second time there is nothing to start, and another ticket.
    let second = desk.run(&[], true);
    assert_eq!(second.code, 0);
    assert!(!second.err.contains("runs now"), "{}", second.err);
    assert_ne!(desk.args_of("chromium")[0], args[0]);
    let told = desk.run(&["--json"], true).json();
    assert_eq!(told[0]["started"], false);
    assert_eq!(told[0]["opened"], "chromium");

    // A browser may not know the language of the desktop.
    let mut chinese = desk.command(&["open"], true);
    ran(chinese.env("LC_ALL", "zh_CN.UTF-8").output().unwrap());
    assert!(desk.args_of("chromium")[0].ends_with("&lang=zh"));
}

#[test]
fn a_browser_that_does_not_start_gives_way_to_the_next() {
    let desk = Desk::new();
    desk.install("chromium", 1);
    desk.install("xdg-open", 0);
    let begun = desk.run(&[], true);
    assert_eq!(begun.code, 0);
    assert!(
        begun.err.contains("chromium did not start"),
        "{}",
        begun.err
    );
    assert!(begun.err.contains("opens in xdg-open"), "{}", begun.err);
    let given = desk.args_of("xdg-open");
    assert_eq!(given.len(), 1);
    assert!(is_address(&given[0]), "{given:?}");

    // With neither a desktop nor a terminal there is still the address.
    for (args, display) in [(&[][..], false), (&["open"], false)] {
        let told = desk.run(args, display);
        assert_eq!(told.code, 0, "{}", told.err);
        assert!(is_address(&told.out), "{}", told.out);
        assert!(told.err.contains("no desktop"), "{}", told.err);
    }
    let told = desk.run(&["--json"], false).json();
    assert!(is_address(told[0]["url"].as_str().unwrap()));
}

#[test]
fn what_keeps_the_node_from_starting_is_said() {
    let desk = Desk::new();
    fs::write(desk.home.path().join("config.toml"), "prot = 1\n").unwrap();
    let refused = desk.run(&[], true);
    assert_said!(refused.all(), @"
    exit 1
    -- stderr
    hallway: the node did not start: [home]/config.toml: line 1: unknown key 'prot'; did you mean 'port'? (all it said is in [home]/node.log)
    ");
}

#[test]
fn started_twice_at_once_it_runs_once() {
    let desk = Desk::new();
    desk.install("chromium", 0);
    let mut both: Vec<_> = (0..2)
        .map(|_| desk.command(&["--json"], true).spawn().unwrap())
        .collect();
    let both: Vec<Value> = both
        .drain(..)
        .map(|one| ran(one.wait_with_output().unwrap()))
        .flat_map(|ran| ran.json())
        .collect();
    let started = both.iter().filter(|told| told["started"] == true);
    assert_eq!((both.len(), started.count()), (2, 1), "{both:?}");
}

#[test]
fn a_passphrase_is_asked_for_before_the_terminal_is_left() {
    let desk = Desk::new();
    desk.install("chromium", 0);
    let file = desk.programs.path().join("passphrase");
    fs::write(&file, "open sesame").unwrap();
    let mut first = desk
        .home
        .command(["up", "--json", "--key-store", "passphrase"]);
    first.arg("--passphrase-file").arg(&file);
    let mut first = crate::run::Following::of(first);
    first.until(|line| line["event"] == "ready");
    assert_eq!(desk.home.run(&["stop"]).code, 0);
    // `setsid` gives it the terminal for its own, from which passphrases are read. The screen ends
    // when nobody has the terminal open any more, the node neither.
    let answers = [("Passphrase of the keys: ", "open sesame")];
    let mut command = Command::new("/usr/bin/setsid");
    command
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_hallway")])
        .env("HALLWAY_HOME", desk.home.path())
        .env("DISPLAY", ":7")
        .env("PATH", desk.programs.path());
    let (screen, code) = at_terminal(command, &answers);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("Hallway runs now"), "{screen}");
    assert_eq!(desk.home.run(&["status"]).code, 0);
}

#[test]
fn it_is_started_at_login_by_what_there_is() {
    let home = Home::empty();
    let config = tempfile::tempdir().unwrap();
    let entry = config.path().join("autostart/hallway.desktop");
    let enabled = config
        .path()
        .join("systemd/user/default.target.wants/hallway.service");
    let run = |args: &[&str], display: bool| {
        let mut command = home.command(args);
        command.env("XDG_CONFIG_HOME", config.path());
        if display {
            command.env("DISPLAY", ":7");
        }
        let ran = ran(command.output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran
    };
    let by = |args: &[&str], display: bool| run(args, display).json()[0]["by"].clone();
    assert_eq!(by(&["autostart", "--json"], true), Value::Null);
    let program = env!("CARGO_BIN_EXE_hallway");
    let home_path = home.path();
    let words = format!(
        "\"{program}\" \"--home\" \"{}\" \"up\"",
        home_path.display()
    );

    assert_eq!(by(&["autostart", "on", "--json"], true), "desktop");
    let told = fs::read_to_string(&entry).unwrap();
    assert!(
        told.lines().any(|line| line == format!("Exec={words}")),
        "{told}"
    );

    assert_eq!(by(&["autostart", "on", "--json"], false), "systemd");
    assert!(!entry.exists(), "one of the two");
    let told = fs::read_to_string(&enabled).unwrap();
    assert!(
        told.lines()
            .any(|line| line == format!("ExecStart={words}")),
        "{told}"
    );

    assert!(run(&["autostart"], false).out.contains("systemd starts"));
    assert!(
        run(&["autostart", "off"], false)
            .out
            .contains("not started at login")
    );
    assert!(!enabled.exists());
}
