//! What only a person at a terminal meets: colour and questions.

use crate::run::{Home, friends};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// Runs a command at a terminal of its own, and types each answer once its question is there; a
/// question that ends in a colon asks for a secret.
/// Returns what the screen was sent, and the exit code.
pub(crate) fn at_terminal(mut command: Command, answers: &[(&str, &str)]) -> (String, i32) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let name = Path::new(OsStr::from_bytes(name.as_bytes()));
    let other_end = File::options().read(true).write(true).open(name).unwrap();
    command.stdin(other_end.try_clone().unwrap());
    command
        .stdout(other_end.try_clone().unwrap())
        .stderr(other_end);
    let mut child = command.spawn().unwrap();
    // Only the child may hold the other end: then its end is the end of what there is to read.
    drop(command);
    let mut terminal = File::from(terminal);
    let mut screen = Vec::new();
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut seen = 0;
    let mut bytes = [0; 1024];
    while let Ok(count) = terminal.read(&mut bytes) {
        screen.extend_from_slice(&bytes[..count]);
        let said = String::from_utf8_lossy(&screen[seen..]).into_owned();
        if let Some((question, answer)) = next
            && said.contains(question)
        {
            seen = screen.len();
            if question.ends_with(": ") {
                // A secret is hidden a moment after it is asked for, of which nobody is told.
                while tcgetattr(&terminal)
                    .unwrap()
                    .local_modes
                    .contains(LocalModes::ECHO)
                {
                    std::thread::yield_now();
                }
            }
            terminal
                .write_all(format!("{answer}\n").as_bytes())
                .unwrap();
            next = answers.next();
        }
    }
    let screen = String::from_utf8(screen).unwrap();
    assert!(next.is_none(), "not asked {next:?} in: {screen}");
    (screen, child.wait().unwrap().code().unwrap())
}

#[test]
fn colour_is_for_terminals_that_have_it_and_people_who_want_it() {
    let (ann, _bo) = friends("Bo");
    let coloured = |env: &[(&str, &str)]| {
        let mut command = ann.command(["peers"]);
        command.envs(env.iter().copied());
        let (screen, code) = at_terminal(command, &[]);
        assert_eq!(code, 0, "{screen}");
        assert!(screen.contains("live"), "{screen}");
        screen.contains('\x1b')
    };
    assert!(coloured(&[("TERM", "xterm")]));
    assert!(coloured(&[("TERM", "xterm"), ("NO_COLOR", "")]));
    assert!(!coloured(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
    assert!(!coloured(&[("TERM", "dumb")]));
    assert!(!coloured(&[]));
}

#[test]
fn what_goes_through_a_pipe_is_plain() {
    let (ann, _bo) = friends("Bo");
    for args in [
        &["--help"][..],
        &["send", "--help"],
        &["sned"],
        &["status"],
        &["peers"],
        &["log", "Bo"],
        &["verify", "Bo"],
        &["files"],
        &["calls"],
        &["tokens", "add", "bot", "--read"],
        &["tokens"],
        &["doctor"],
        &["send", "Nobody", "x"],
    ] {
        let mut command = ann.command(args);
        let output = command.env("TERM", "xterm-256color").output().unwrap();
        for said in [output.stdout, output.stderr] {
            let said = String::from_utf8(said).unwrap();
            assert!(!said.contains(['\x1b', '\r']), "{args:?}: {said}");
        }
    }
}

#[test]
fn numbers_that_are_the_same_to_the_eye_verify() {
    let (ann, _bo) = friends("Bo");
    let verify = |answer| {
        let question = "the same number on both sides? [y/N] ";
        at_terminal(ann.command(["verify", "Bo"]), &[(question, answer)])
    };
    let is_verified = || ann.run(&["verify", "Bo", "--json"]).json()[0]["verified"] == true;
    for no in ["n", "", "what"] {
        let (screen, code) = verify(no);
        assert_eq!(code, 0);
        assert!(screen.contains("Not verified"), "{screen}");
        assert!(!is_verified());
    }
    let (screen, _) = verify("Y");
    assert!(screen.contains("is verified"), "{screen}");
    assert!(is_verified());
    let (again, _) = at_terminal(ann.command(["verify", "Bo"]), &[]);
    assert!(again.contains("(verified)"), "{again}");
}

#[test]
fn forgetting_is_asked_about_unless_it_is_meant() {
    let (ann, _bo) = friends("Bo");
    let question = "for good? [y/N] ";
    let (screen, _) = at_terminal(ann.command(["forget", "Bo"]), &[(question, "n")]);
    assert!(screen.contains("Nothing was done"), "{screen}");
    assert_eq!(ann.run(&["log", "Bo", "--json"]).json().len(), 1);
    let (screen, _) = at_terminal(ann.command(["forget", "Bo"]), &[(question, "yes")]);
    assert!(screen.contains("is forgotten"), "{screen}");
    assert!(ann.run(&["log", "--search", "hello"]).out.is_empty());
    let (screen, _) = at_terminal(ann.command(["forget", "Bo", "--yes"]), &[]);
    assert!(!screen.contains("[y/N]"), "{screen}");
}

#[test]
fn a_text_is_missed_at_a_terminal() {
    let home = Home::empty();
    let (screen, code) = at_terminal(home.command(["send", "Bo"]), &[]);
    assert_eq!(code, 2);
    assert!(screen.contains("there is no text"), "{screen}");
}

/// `setsid` gives the command the terminal for its own, from which passphrases are read. The
/// start ends at a port that cannot be had, after the keys are open.
fn open_keys(home: &Home, args: &[&str], answers: &[(&str, &str)]) -> String {
    let taken = std::net::TcpListener::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = Command::new("setsid");
    command.args([
        "--ctty",
        "--wait",
        env!("CARGO_BIN_EXE_hallway"),
        "up",
        "--no-mdns",
    ]);
    command
        .args(["--port", &port])
        .args(args)
        .env("HALLWAY_HOME", home.path());
    let (screen, code) = at_terminal(command, answers);
    assert_eq!(code, 1, "{screen}");
    screen
}

#[test]
fn a_passphrase_is_typed_twice_at_first_and_again_when_it_was_wrong() {
    let home = Home::empty();
    let open = |args: &[&str], answers: &[(&str, &str)], outcome: &str| {
        let screen = open_keys(&home, args, answers);
        assert!(screen.contains(outcome), "{screen}");
        assert!(
            !screen.contains("sesame"),
            "what is typed is not shown: {screen}"
        );
    };
    let keep = ["--key-store", "passphrase"];
    let new = "New passphrase for the keys: ";
    // An empty line gives up, and nothing is made.
    open(&keep, &[(new, "")], "none was given");
    let answers = [
        (new, "sesame"),
        ("The same again: ", "seasme"),
        ("two different ones. New passphrase: ", "sesame"),
        ("The same again: ", "sesame"),
    ];
    open(&keep, &answers, "cannot be used");
    let wrong = ("Passphrase of the keys: ", "barley");
    let again = "Try again (nothing gives up): ";
    open(&[], &[wrong, (again, "sesame")], "cannot be used");
    open(&[], &[wrong, (again, "")], "wrong passphrase");
}
