//! Files between two nodes, as a person and a script send and take them.

use crate::run::{Home, assert_said, friends};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// A file of so many bytes beside the home.
fn file(home: &Home, name: &str, bytes: usize) -> PathBuf {
    let path = home.log().with_file_name(name);
    fs::write(&path, vec![b'x'; bytes]).unwrap();
    path
}

/// What is said with the ids of transfers masked.
fn masked(said: &str) -> String {
    let is_id = |word: &str| word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let lines = said.lines().map(|line| {
        let words = line
            .split(' ')
            .map(|word| if is_id(word) { "[id]" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn sent(from: &Home, path: &Path) {
    let path = path.to_str().unwrap();
    let sent = from.run(&[
        "send",
        "Bo",
        "--file",
        path,
        "--wait",
        "delivered",
        "--timeout",
        "60",
    ]);
    assert_eq!(sent.code, 0, "{}", sent.err);
}

#[test]
fn a_file_is_awaited_listed_and_shown_in_the_log() {
    let (ann, bo) = friends("Bo");
    let path = file(&ann, "报价单.txt", 1234);
    let path = path.to_str().unwrap();
    let waited = ann.run(&["send", "Bo", "-f", path, "--wait", "delivered"]);
    assert_eq!((waited.code, waited.out.as_str()), (0, ""));
    let lines: Vec<String> = masked(&waited.err).lines().map(str::to_owned).collect();
    assert!(
        lines[0].starts_with("offered 报价单.txt (1.2 kB) to Bo~"),
        "{}",
        waited.err
    );
    assert_eq!(
        lines.last().unwrap(),
        "[id]  报价单.txt (1.2 kB) to Bo: done"
    );
    assert!(!waited.err.contains('\x1b'));
    assert_said!(masked(&ann.run(&["log", "Bo"]).out), @"
    [day]
    [time]  you  hello
    [time]  you  报价单.txt (1.2 kB): done
    ");
    let listed = masked(&bo.run(&["files"]).out);
    assert!(
        listed.starts_with("[id]  报价单.txt (1.2 kB)  from Ann  done"),
        "{listed}"
    );

    let json = ann
        .run(&["send", "Bo", "-f", path, "--wait", "delivered", "--json"])
        .json();
    let last = json.last().unwrap();
    assert_eq!(
        (&last["state"], &last["moved"]),
        (&"done".into(), &1234.into())
    );
}

#[test]
fn what_is_taken_unasked_is_set_and_kept() {
    let (ann, mut bo) = friends("Bo");
    let set = bo.run(&["files", "limit", "2kB"]);
    assert_eq!(
        (set.code, set.out.as_str()),
        (0, "files of contacts up to 2.0 kB are taken unasked\n")
    );
    sent(&ann, &file(&ann, "small", 2000));
    let large = file(&ann, "large", 2001);
    let offered = ann.run(&["send", "Bo", "-f", large.to_str().unwrap(), "--json"]);
    let id = offered.json()[0]["id"].as_str().unwrap().to_owned();
    let mut tail = bo.follow(&["tail", "--json", "--since", "0"]);
    tail.until(|event| event["message"]["id"] == id);
    let listed = bo.run(&["files", "--json"]).json();
    let state =
        |name: &str| listed.iter().find(|t| t["file"]["name"] == name).unwrap()["state"].clone();
    assert_eq!(
        (state("small"), state("large")),
        ("done".into(), "offered".into())
    );
    bo.run(&["stop"]);
    bo.ended();
    bo.start(&[]);
    let kept = bo.run(&["files", "limit", "--json"]).json();
    assert_eq!(kept[0]["accept_files_bytes"], 2000);
    assert_eq!(
        bo.run(&["files", "limit", "0"]).out,
        "every file waits for your answer\n"
    );
    assert_eq!(bo.run(&["files", "limit", "much"]).code, 2);
}

#[test]
fn what_has_arrived_is_opened_and_a_program_is_not() {
    let (ann, bo) = friends("Bo");
    sent(&ann, &file(&ann, "notes.txt", 5));
    sent(&ann, &file(&ann, "setup.exe", 5));
    let programs = bo.log().with_file_name("bin");
    fs::create_dir(&programs).unwrap();
    let (opener, seen) = (programs.join("xdg-open"), programs.join("seen"));
    fs::write(
        &opener,
        format!(
            "#!/bin/sh\necho \"$1\" > {0}.new\n/bin/mv {0}.new {0}\n",
            seen.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o700)).unwrap();
    let transfers = bo.run(&["files", "--json"]).json();
    let id = |name: &str| {
        let mut all = transfers.iter().filter(|t| t["file"]["name"] == name);
        all.next().unwrap()["id"].as_str().unwrap().to_owned()
    };
    let open = |args: &[&str], display: &str| {
        let mut command = bo.command(["files", "open"].iter().chain(args));
        command.env("PATH", &programs);
        if !display.is_empty() {
            command.env("DISPLAY", display);
        }
        let output = command.output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let opened = || {
        while !seen.exists() {
            std::thread::yield_now();
        }
        let path = fs::read_to_string(&seen).unwrap();
        fs::remove_file(&seen).unwrap();
        PathBuf::from(path.trim())
    };
    let downloads = bo.path().join("downloads");
    assert_eq!(open(&[&id("notes.txt")[..6]], ":9"), (0, String::new()));
    assert_eq!(opened(), downloads.join("notes.txt"));
    let (code, said) = open(&[&id("setup.exe")], ":9");
    assert_eq!(code, 4);
    assert!(said.contains("could be a program"), "{said}");
    assert_eq!(open(&[&id("setup.exe"), "--folder"], ":9").0, 0);
    assert_eq!(opened(), downloads);
    let (code, said) = open(&[&id("notes.txt")], "");
    assert_eq!(code, 1);
    assert!(said.contains("no desktop"), "{said}");
    // Nor has the node one to open it on.
    let mut stream = UnixStream::connect(bo.path().join("api.sock")).unwrap();
    let request = format!(
        "POST /api/v1/files/{}/open HTTP/1.0\r\nHost: h\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}",
        id("notes.txt")
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.contains(r#""code":"no_desktop""#), "{reply}");
    let (code, said) = open(&["fffffffffffffffffff"], ":9");
    assert_eq!(code, 1);
    assert!(said.contains("no transfer has an id"), "{said}");
}

#[test]
fn an_interrupt_ends_the_waiting_and_not_the_transfer() {
    let (ann, mut bo) = friends("Bo");
    bo.run(&["stop"]);
    bo.ended();
    let path = file(&ann, "x.bin", 9);
    let args = [
        "send",
        "Bo",
        "-f",
        path.to_str().unwrap(),
        "--wait",
        "delivered",
    ];
    let mut child = ann.command(args).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    // Two lines: it is offered, and how it stands. From then on it waits.
    err.read_line(&mut said).unwrap();
    err.read_line(&mut said).unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5), "{said}");
    assert!(said.contains("goes on without this"), "{said}");
    assert_eq!(ann.run(&["files", "--json"]).json()[0]["state"], "offered");
    let late = ann.run(&[
        "send",
        "Bo",
        "-f",
        path.to_str().unwrap(),
        "--wait",
        "sent",
        "--timeout",
        "0.1",
    ]);
    assert_eq!(late.code, 6, "{}", late.err);
}

#[test]
fn a_terminal_shows_one_line_that_stays() {
    let (ann, _bo) = friends("Bo");
    let path = file(&ann, "x.bin", 3_000_000);
    let args = [
        "send",
        "Bo",
        "-f",
        path.to_str().unwrap(),
        "--wait",
        "delivered",
    ];
    let mut command = ann.command(args);
    command.env("TERM", "xterm");
    let (screen, code) = crate::terminal::at_terminal(command, &[]);
    assert_eq!(code, 0, "{screen}");
    // What was drawn in place is gone, and what is left says how it ended.
    let last = screen.rsplit("\x1b[2K").next().unwrap();
    assert!(last.contains("x.bin (3.0 MB) to Bo: done"), "{screen}");
    assert!(screen.contains("> x.bin"), "{screen}");
}
