//! Streams: events, changes of peers, pipes that close.

use crate::run::{Home, pair};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::process::Stdio;

#[test]
fn tail_goes_on_where_it_left_off() {
    let (ann, bo) = pair("Bo");
    let since = ann.run(&["status", "--json"]).json()[0]["event"].to_string();
    let mut events = ann.follow(&["tail", "--json", "--since", &since]);
    let texts = ["one", "two", "three"];
    ann.run(&["send", "Bo", texts[0]]);
    let text = |event: &serde_json::Value| event["message"]["text"].as_str().map(str::to_owned);
    let first = events.until(|event| text(event).is_some());
    assert_eq!(
        (
            text(&first).unwrap().as_str(),
            &first["kind"],
            &first["new"]
        ),
        (texts[0], &json!("message"), &json!(true))
    );
    assert_eq!(first["message"]["to"], bo.ready["id"]);
    drop(events);
    ann.run(&["send", "Bo", texts[1]]);
    ann.run(&["send", "Bo", texts[2]]);
    let since = first["event"].to_string();
    let mut events = ann.follow(&["tail", "--json", "--since", &since]);
    let is_new = |event: &serde_json::Value| event["new"] == json!(true);
    assert_eq!(text(&events.until(is_new)).unwrap(), texts[1]);
    assert_eq!(text(&events.until(is_new)).unwrap(), texts[2]);
    ann.run(&["stop"]);
    while !events.line().is_empty() {}
    assert_eq!(events.ended(), 0);
}

#[test]
fn a_reader_goes_on_after_its_node_was_killed() {
    let (mut ann, bo) = pair("Bo");
    let send = |ann: &Home, text: &str| {
        let sent = ann.run(&["send", bo.ready["id"].as_str().unwrap(), text]);
        assert_eq!(sent.code, 0, "{}", sent.err);
    };
    send(&ann, "before");
    let text = |event: &serde_json::Value| event["message"]["text"].as_str().map(str::to_owned);
    let is_new = |event: &serde_json::Value| event["new"] == json!(true);
    let mut events = ann.follow(&["tail", "--json", "--since", "0"]);
    let first = events.until(is_new);
    assert_eq!(text(&first).unwrap(), "before");
    // What is written is durable once it is said to be, so that no number is given twice.
    send(&ann, "told to nobody");
    ann.kill();
    while !events.line().is_empty() {}
    assert_eq!(events.ended(), 1, "the stream broke off");
    ann.start(&["--key-store", "file"]);
    let since = first["event"].to_string();
    let mut events = ann.follow(&["tail", "--json", "--since", &since]);
    let next = events.until(is_new);
    assert_eq!(text(&next).unwrap(), "told to nobody");
    assert!(next["event"].as_u64() > first["event"].as_u64());
    send(&ann, "after");
    assert_eq!(text(&events.until(is_new)).unwrap(), "after");
}

#[test]
fn a_full_disk_is_a_failure_that_says_so() {
    let home = Home::up("Ann");
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["export"],
        &["man"],
        &["--help"],
        &["help", "send"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = home.command(args).stdout(full).spawn().unwrap();
        let ended = ended.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("No space left on device"), "{args:?}: {said}");
    }
}

#[test]
fn peers_who_come_and_go_are_shown() {
    let (ann, bo) = (Home::up("Ann"), Home::up("Bo"));
    let mut json = ann.follow(&["peers", "--watch", "--json"]);
    let mut text = ann.follow(&["peers", "--watch"]);
    // Whoever comes before they listen is in the list that they begin with.
    ann.run(&["connect", &bo.address()]);
    let peer = json.until(|peer| peer["state"] == "live");
    assert_eq!(peer["id"], bo.ready["id"]);
    loop {
        let line = text.line();
        if line.contains("Bo~") && line.contains("live") {
            break;
        }
        assert!(!line.is_empty());
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let home = Home::up("Ann");
    for args in [
        &["status"][..],
        &["export"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let mut child = home.command(args).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), err.as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn a_stream_ends_with_its_reader_and_not_with_the_next_event() {
    let home = Home::up("Ann");
    for args in [
        &["tail"][..],
        &["tail", "--json"],
        &["peers", "--watch"],
        &["files", "watch"],
        &["files", "watch", "--json"],
    ] {
        let mut child = home.command(args).spawn().unwrap();
        // Nothing happens here that it could be told of.
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_stream_into_a_file_goes_on() {
    let (ann, _bo) = pair("Bo");
    ann.tell("Bo", "one");
    let path = ann.log().with_file_name("events");
    let file = File::create(&path).unwrap();
    let mut tail = ann.command(["tail", "--since", "0"]);
    let mut tail = tail.stdout(file).spawn().unwrap();
    while std::fs::read(&path).unwrap().is_empty() {
        assert_eq!(tail.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    assert_eq!(ann.run(&["stop"]).code, 0);
    let ended = tail.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.stderr, b"The node has stopped\n");
}

#[test]
fn export_is_json_on_each_line() {
    let (ann, _bo) = pair("Bo");
    ann.run(&["send", "Bo", "to keep"]);
    let export = ann.run(&["export"]);
    assert!(export.json().len() >= 3);
    assert!(export.out.contains("to keep"));
}
