//! What a node does when its disk is full, its data damaged, locked or in use, or when it does
//! not run at all.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

lan_tests![
    on_a_full_disk_nothing_is_sent_and_nothing_accepted_is_lost,
    a_full_disk_of_the_receiver_only_delays,
    damaged_data_is_left_as_it_is_and_the_copy_works,
    a_wrong_passphrase_locks_nobody_out,
    one_folder_is_for_one_node,
    without_a_node_every_command_says_how_to_start_one,
];

/// Room for a fresh database, its log and some hundred long messages.
const DISK_BYTES: u64 = 12 << 20;
/// Long messages fill a disk soon.
const LONG_BYTES: usize = 30_000;
/// More long messages than the disk has room for.
const LONG_MESSAGES_MAX: usize = 1000;

/// Takes all the room on the disk of a host; removing the file gives it back.
fn fill(host: &Host) -> PathBuf {
    let path = host.home().join("ballast");
    let mut file = File::create(&path).unwrap();
    let full = loop {
        match file.write(&[7; 4096]) {
            Ok(written) => assert!(written > 0),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(full, ErrorKind::StorageFull);
    path
}

fn long(n: usize) -> String {
    format!("{n} {}", "x".repeat(LONG_BYTES))
}

fn is_disk_full(event: &Value) -> bool {
    event["kind"] == "notice" && event["code"] == "disk_full"
}

fn on_a_full_disk_nothing_is_sent_and_nothing_accepted_is_lost() {
    let lan = Lan::of(2);
    let ann = Plan::new("Ann").disk(DISK_BYTES).start(&lan, 0);
    let bo = Host::start(&lan, 1, "Bo");
    ann.befriend(&bo);
    let mut at_ann = ann.tail();
    let ballast = fill(&ann);

    // There may be room left in files that are there already.
    let send = |n| ann.cli_input(&["send", "Bo", "-", "--wait", "queued"], &long(n));
    let sent = (0..LONG_MESSAGES_MAX).map(|n| (n, send(n)));
    let (accepted, refused) = sent
        .into_iter()
        .find(|(_, sent)| !sent.status.success())
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("nothing was sent: the disk is full"),
        "{said}"
    );
    at_ann.wait_for(is_disk_full, PATIENCE);
    assert!(ann.counter("storage_failed") > 0);

    // All that was accepted is there, on both sides, and can be read on the full disk.
    let texts: Vec<_> = ["hello".into()]
        .into_iter()
        .chain((0..accepted).map(long))
        .collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    bo.until_texts(&ann, &texts);
    let own = |ann: &Host| {
        ann.messages("Bo")
            .iter()
            .filter(|m| m["from"] == ann.id())
            .count()
    };
    assert_eq!(own(&ann), texts.len());

    ann.kill();
    fs::remove_file(ballast).unwrap();
    ann.up();
    assert_eq!(own(&ann), texts.len());
    ann.tell("Bo", "room again");
    bo.until_texts(&ann, &[texts.as_slice(), &["room again"]].concat());
}

fn a_full_disk_of_the_receiver_only_delays() {
    let lan = Lan::of(2);
    let ann = Host::start(&lan, 0, "Ann");
    let bo = Plan::new("Bo").disk(DISK_BYTES).start(&lan, 1);
    ann.befriend(&bo);
    let mut at_bo = bo.tail();
    let ballast = fill(&bo);

    let mut arrives = |n: &usize| {
        let sent = ann.cli_input(&["send", "Bo", "-", "--wait", "queued"], &long(*n));
        assert!(sent.status.success(), "{n}");
        ann.until("it is delivered, or the disk full", PATIENCE, |ann| {
            let log = ann.one(&["log", "Bo", "--json", "--limit", "1"]);
            let told = iter::from_fn(|| at_bo.next(Duration::ZERO)).any(|e| is_disk_full(&e));
            (told || log["state"] == "delivered").then_some(!told)
        })
    };
    let last = (0..LONG_MESSAGES_MAX).find(|n| !arrives(n)).unwrap();
    assert_ne!(ann.messages("Bo").last().unwrap()["state"], "delivered");
    ann.queue("Bo", "short");

    // No restart is needed, nor anything else.
    fs::remove_file(ballast).unwrap();
    let texts: Vec<_> = ["hello".into()]
        .into_iter()
        .chain((0..=last).map(long))
        .collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    bo.until_texts(&ann, &[texts.as_slice(), &["short"]].concat());
    ann.until("everything is delivered", PATIENCE, |ann| {
        (ann.messages("Bo").last()?["state"] == "delivered").then_some(())
    });
}

type Files = BTreeMap<String, Vec<u8>>;

/// All files of a node but the lock, in which a start leaves its process id.
fn files(host: &Host) -> Files {
    let entries = fs::read_dir(host.home()).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let named = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
    let named = named.filter(|(name, _)| name != "node.lock");
    named
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect()
}

fn damaged_data_is_left_as_it_is_and_the_copy_works() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    ann.stop();
    let database = ann.home().join("hallway.db");
    let whole = fs::read(&database).unwrap();
    let mut overwritten = whole.clone();
    let (from, to) = (whole.len() / 4, whole.len() * 3 / 4);
    overwritten[from..to].fill(b'?');
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    let truncated = whole[..whole.len() / 2 + 17].to_vec();
    for damaged in [overwritten, flipped, truncated] {
        fs::write(&database, damaged).unwrap();
        let before = files(&ann);
        let said = ann.refused(&["up"], 1);
        assert!(said.contains("is damaged"), "{said}");
        let copy = ann.home().join("hallway.db.backup");
        assert!(said.contains(&copy.display().to_string()), "{said}");
        assert!(files(&ann) == before, "a file was changed");
    }
    // As the message says.
    fs::rename(ann.home().join("hallway.db.backup"), &database).unwrap();
    ann.up();
    assert_eq!(ann.messages("Bo").len(), 2);
    ann.tell("Bo", "nothing happened");
    assert_eq!(bo.texts_of(&ann), ["hello", "nothing happened"]);
}

fn a_wrong_passphrase_locks_nobody_out() {
    let lan = Lan::of(1);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let (right, wrong) = (ann.home().join("right"), ann.home().join("wrong"));
    fs::write(&right, "correct horse 电池 staple\n").unwrap();
    fs::write(&wrong, "correct horse 电池 stable\n").unwrap();
    let ann = Plan::new("Ann")
        .arg("--passphrase-file")
        .arg(right.to_str().unwrap())
        .arg("--key-store")
        .arg("passphrase")
        .start(&lan, 0);
    ann.stop();
    let keys = fs::read_to_string(ann.home().join("keys")).unwrap();
    assert!(keys.contains("store = \"passphrase\""), "{keys}");
    for _ in 0..4 {
        let said = ann.refused(&["up", "--passphrase-file", wrong.to_str().unwrap()], 1);
        assert!(said.contains("wrong passphrase"), "{said}");
    }
    let said = ann.refused(&["up"], 1);
    assert!(said.contains("none was given"), "{said}");
    assert_eq!(fs::read_to_string(ann.home().join("keys")).unwrap(), keys);
    ann.up();
}

fn one_folder_is_for_one_node() {
    let lan = Lan::of(1);
    let ann = Host::start(&lan, 0, "Ann");
    let said = ann.refused(&["up"], 1);
    let pid = format!("(process {})", ann.pid());
    assert!(
        said.contains("is running on") && said.contains(&pid),
        "{said}"
    );
    assert_eq!(ann.one(&["status", "--json"])["pid"], ann.pid());
    // A node that was killed leaves nothing that stands in the way of the next.
    ann.kill();
    ann.up();
    assert!(ann.stop().success());
    ann.up();
    ann.cli_raw(&["stop"])
        .status
        .success()
        .then_some(())
        .unwrap();
    ann.refused(&["status"], 3);
}

fn without_a_node_every_command_says_how_to_start_one() {
    let lan = Lan::of(1);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let commands: [&[&str]; 17] = [
        &["stop"],
        &["status"],
        &["id"],
        &["name"],
        &["name", "Bo"],
        &["set-status", "away"],
        &["peers"],
        &["peers", "--watch"],
        &["requests"],
        &["connect", "10.77.0.2"],
        &["send", "Bo", "hi"],
        &["log", "Bo"],
        &["tail"],
        &["verify", "Bo"],
        &["block", "Bo"],
        &["unblock", "Bo"],
        &["forget", "Bo", "--yes"],
    ];
    for command in commands {
        let said = ann.refused(command, 3);
        assert!(said.contains("`hallway up`"), "{command:?}: {said}");
    }
    // These do without.
    assert!(ann.cli_raw(&["completions", "bash"]).status.success());
    assert!(ann.cli_raw(&["man"]).status.success());
}
