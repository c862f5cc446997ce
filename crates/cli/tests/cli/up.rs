//! Starting, describing and ending a node.

use crate::run::{Home, assert_said};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};

fn signal(home: &Home, signal: Signal) {
    let pid = Pid::from_raw(home.pid().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn it_says_when_it_is_ready_and_goes_quietly() {
    let mut home = Home::up("Ann");
    assert_said!(home.ready.to_string(), @r#"{"event":"ready","id":"[id]","name":"Ann","pid":[pid],"port":[port]}"#);
    assert_eq!(home.ready["pid"], home.pid());
    signal(&home, Signal::TERM);
    assert_eq!(home.ended(), 0);
    home.start(&[]);
    assert_eq!(home.ready["name"], "Ann", "the name is kept");
    signal(&home, Signal::INT);
    assert_eq!(home.ended(), 0);
    assert_eq!(home.run(&["id"]).code, 3);
}

#[test]
fn stop_returns_when_the_home_is_free() {
    let mut home = Home::up("Ann");
    assert_said!(home.run(&["stop"]).all(), @"
    exit 0
    -- stderr
    The node has stopped
    ");
    home.start(&[]);
    let stopped = home.run(&["stop", "--json"]);
    assert_eq!(stopped.json()[0]["pid"], home.pid());
    assert_eq!(home.ended(), 0);
}

#[test]
fn one_home_has_one_node() {
    let home = Home::up("Ann");
    assert_said!(home.run(&["up"]).all(), @"
    exit 1
    -- stderr
    hallway: a node is running on [home] already (process [pid]); use it, stop it with `hallway stop`, or choose another directory with --home DIR
    ");
    assert_eq!(home.run(&["status"]).code, 0, "the first one is unharmed");
}

#[test]
fn status_id_and_name_are_for_people_and_for_programs() {
    let home = Home::up("Ann");
    let status = &home.run(&["status", "--json"]).json()[0];
    for field in [
        "id",
        "name",
        "port",
        "pid",
        "sessions",
        "addresses",
        "event",
    ] {
        assert!(!status[field].is_null(), "{field} is missing in {status}");
    }
    assert_eq!(status["port"], home.ready["port"]);
    let shown = home.run(&["status"]).out;
    assert!(shown.starts_with("Ann~"), "{shown}");
    assert!(
        shown.contains(&format!("\nport       {}\n", home.ready["port"])),
        "{shown}"
    );

    assert_eq!(home.run(&["id"]).out.trim(), home.ready["id"]);
    assert_eq!(
        home.run(&["id", "--json"]).json()[0]["id"],
        home.ready["id"]
    );
    assert_said!(home.run(&["name", " 王 小明 "]).all(), @"
    exit 0
    王 小明
    -- stderr
    you are 王 小明 now
    ");
    assert_said!(home.run(&["name", "--json"]).all(), @r#"
    exit 0
    {"name":"王 小明"}
    "#);
    assert_said!(home.run(&["set-status", "away"]).all(), @"
    exit 0
    -- stderr
    you are away now
    ");
    assert_eq!(home.run(&["status", "--json"]).json()[0]["status"], "away");
}

#[test]
fn a_passphrase_opens_the_keys_and_a_wrong_one_says_so() {
    let mut home = Home::empty();
    let file = home.log().with_file_name("passphrase");
    let give = |passphrase: &str| std::fs::write(&file, passphrase).unwrap();
    give("open sesame\n");
    let path = file.to_str().unwrap();
    home.start(&["--key-store", "passphrase", "--passphrase-file", path]);
    let id = home.ready["id"].clone();
    home.run(&["stop"]);
    home.ended();
    give("open barley\n");
    assert_said!(home.run(&["up", "--no-mdns", "--passphrase-file", path]).all(), @"
    exit 1
    -- stderr
    hallway: wrong passphrase; nothing was changed, and you can try again
    ");
    assert_said!(home.run(&["up", "--no-mdns"]).all(), @"
    exit 1
    -- stderr
    hallway: the keys are behind a passphrase, and none was given
    ");
    give("open sesame\n");
    home.start(&["--key-store", "file", "--passphrase-file", path]);
    home.run(&["stop"]);
    home.ended();
    home.start(&[]);
    assert_eq!(home.ready["id"], id, "the keys were moved, not made anew");
}

#[test]
fn what_keeps_a_node_from_starting_is_said_once() {
    let home = Home::empty();
    std::fs::create_dir(home.path()).unwrap();
    std::fs::write(home.path().join("config.toml"), "prot = 1").unwrap();
    assert_said!(home.run(&["up"]).all(), @"
    exit 1
    -- stderr
    hallway: [home]/config.toml: line 1: unknown key 'prot'; did you mean 'port'?
    ");
}

#[test]
fn a_person_reads_that_it_is_up() {
    let home = Home::empty();
    let args = [
        "up",
        "--no-mdns",
        "--port",
        "0",
        "--key-store",
        "file",
        "--name",
        "Ann",
    ];
    let mut node = home.command(args).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(home.run(&["stop"]).code, 0);
    assert!(node.wait().unwrap().success());
    assert!(
        line.starts_with("Ann~") && line.contains("is up on port"),
        "{line}"
    );
}

#[test]
fn the_doctor_works_without_a_node_too() {
    let home = Home::empty();
    let without = home.run(&["doctor", "--json"]);
    let checks = without.json()[0]["checks"].as_array().unwrap().clone();
    assert_eq!((without.code, &checks[0]["outcome"]), (1, &"fail".into()));
    assert!(checks[0]["advice"].as_str().unwrap().contains("hallway up"));
    let shown = home.run(&["doctor"]).out;
    assert!(shown.starts_with("FAIL  "), "{shown}");
    assert!(
        shown.contains("\n      → start it with `hallway up`\n"),
        "{shown}"
    );
    let home = Home::up("Ann");
    let with = home.run(&["doctor", "--json"]);
    assert_eq!(with.json()[0]["checks"][0]["outcome"], "ok");
}
