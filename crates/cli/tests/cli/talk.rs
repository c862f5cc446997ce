//! Sending, reading, searching.

use crate::run::{DELIVERED, Home, assert_said, friends, pair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn message_id(home: &Home, line: usize) -> String {
    let log = home.run(&["log", "Bo", "--json"]).json();
    log[line]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_talk_as_people_see_it() {
    let (ann, bo) = pair("王小明");
    let words = ["send", "王小明", "hello", "王小明"];
    assert_said!(ann.run(&[&words[..], &DELIVERED].concat()).all(), @"
    exit 0
    -- stderr
    delivered to 王小明~[tg]
    ");
    assert_said!(ann.run(&["peers"]).all(), @"
    exit 0
    王小明~[tg]  live  [rtt]  127.0.0.1:[port]
    ");
    assert_said!(bo.run(&["peers"]).all(), @"
    exit 0
    Ann~[tg]  live  wants to write  1 new  [rtt]  127.0.0.1:[port]
    ");
    assert_said!(bo.run(&["requests"]).all(), @"
    exit 0
    Ann~[tg]  live  wants to write  1 new  [rtt]  127.0.0.1:[port]
    ");
    assert_said!(bo.run(&["requests", "accept", "Ann"]).all(), @"
    exit 0
    -- stderr
    Ann~[tg] is a contact now
    ");
    assert_said!(bo.run(&["requests"]).all(), @"
    exit 0
    -- stderr
    No requests
    ");
    let lines = "午饭吃什么?\n\tnoodles \x1b[31mor\u{202e} rice\u{9b}2J\n";
    let piped = [&["send", "Ann"], &DELIVERED[..]].concat();
    assert_said!(bo.run_with(&piped, lines.as_bytes()).all(), @"
    exit 0
    -- stderr
    delivered to Ann~[tg]
    ");
    assert_said!(ann.run(&["log", "王小明"]).all(), @"
    exit 0
    [day]
    [time]  you     hello 王小明
    [time]  王小明  午饭吃什么?
                       noodles ␛[31mor� rice�2J
    ");
    assert_said!(ann.run(&["log", "--search", "午"]).all(), @"
    exit 0
    [day]
    [time]  王小明 → you  午饭吃什么?
                             noodles ␛[31mor� rice�2J
    ");
    assert_said!(ann.run(&["log", "--search", "dinner"]).all(), @"
    exit 0
    -- stderr
    No messages
    ");
    let log = std::fs::read_to_string(ann.log()).unwrap();
    assert!(
        !log.contains("午饭") && !log.contains("hello"),
        "texts are not logged: {log}"
    );
}

#[test]
fn json_is_what_scripts_rely_on() {
    let (ann, bo) = friends("Bo");
    let (me, them) = (&ann.ready["id"], &bo.ready["id"]);
    let peer = &ann.run(&["peers", "--json"]).json()[0];
    assert_eq!(peer["id"], *them);
    assert_eq!(
        (&peer["name"], &peer["state"]),
        (&json!("Bo"), &json!("live"))
    );
    assert_eq!(
        (&peer["verified"], &peer["blocked"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(peer["addresses"], json!([bo.address()]));
    assert_eq!(peer["tag"].as_str().unwrap(), &them.as_str().unwrap()[..4]);
    assert!(peer["rtt_ms"].is_number() || peer["rtt_ms"].is_null());

    let args = [&["send", "Bo", "line", "--json"], &DELIVERED[..]].concat();
    let sent = ann.run(&args).json().remove(0);
    assert_eq!((&sent["to"], &sent["state"]), (them, &json!("delivered")));
    let log = ann.run(&["log", "Bo", "--json"]).json();
    let last: &Value = log.last().unwrap();
    assert_eq!((log.len(), &last["id"]), (2, &sent["id"]));
    assert_eq!((&last["from"], &last["to"]), (me, them));
    assert_eq!((&last["seq"], &last["text"]), (&json!(2), &json!("line")));
    assert_eq!(last["state"], "delivered");
    assert!(last["at"].is_u64());
    // The terminal is as safe from JSON as from text.
    assert_eq!(ann.run_with(&["send", "Bo"], "\u{9b}2J".as_bytes()).code, 0);
    let raw = ann.run(&["log", "Bo", "--json", "--limit", "1"]).out;
    assert!(raw.contains(r#""text":"\u009b2J""#), "{raw}");
}

#[test]
fn messages_are_answered_changed_marked_and_taken_back() {
    let (ann, bo) = friends("Bo");
    let send = |home: &Home, args: &[&str]| {
        let ran = home.run(&[args, &DELIVERED].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
    };
    let hello = message_id(&ann, 0);
    send(&bo, &["send", "Ann", "hello yourself", "--reply", &hello]);
    send(&ann, &["send", "Bo", "hello there", "--edit", &hello]);
    send(&bo, &["send", "Ann", "--react", &hello, "👍"]);
    send(&ann, &["send", "Bo", "oops"]);
    send(&ann, &["send", "Bo", "--delete", &message_id(&ann, 2)]);
    assert_said!(ann.run(&["log", "Bo"]).all(), @"
    exit 0
    [day]
    [time]  you  hello there  (edited)  👍 Bo
    [time]  Bo   ↪ you: hello there
                hello yourself
    [time]  you  (deleted)
    ");
    assert_said!(bo.run(&["log", "Ann", "--ids", "--limit", "2"]).all(), @"
    exit 0
    [day]
    [message]  [time]  you  ↪ Ann: hello there
                                                  hello yourself
    [message]  [time]  Ann  (deleted)
    ");
    send(&bo, &["send", "Ann", "--unreact", &hello, "👍"]);
    assert_eq!(
        ann.run(&["log", "Bo", "--json"]).json()[0]["reactions"],
        json!([])
    );
    let theirs = message_id(&ann, 1);
    for (what, id) in [
        ("--edit", &"0".repeat(32)),
        ("--edit", &theirs),
        ("--reply", &"0".repeat(32)),
    ] {
        let refused = ann.run(&["send", "Bo", "x", what, id]);
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("in this talk"), "{}", refused.err);
    }
}

#[test]
fn who_is_away_gets_it_later_and_the_exit_code_says_so() {
    let (ann, mut bo) = friends("Bo");
    assert_eq!(bo.run(&["stop"]).code, 0);
    assert_eq!(bo.ended(), 0);
    let mut changes = ann.follow(&["peers", "--watch", "--json"]);
    changes.until(|peer| peer["state"] == "offline");
    assert_said!(ann.run(&["send", "Bo", "later"]).all(), @"
    exit 0
    -- stderr
    queued: goes out when Bo~[tg] is back
    ");
    let wait = ["--wait", "delivered", "--timeout", "0.2"];
    assert_said!(ann.run(&[&["send", "Bo", "waited for"], &wait[..]].concat()).all(), @"
    exit 5
    -- stderr
    hallway: not delivered: Bo~[tg] is not here. It is kept and goes out when they are back
    ");
    let json = ann.run(&[&["send", "Bo", "waited for", "--json"], &wait[..]].concat());
    assert_eq!((json.code, &json.json()[0]["state"]), (5, &json!("queued")));
    assert_said!(ann.run(&["log", "Bo"]).all(), @"
    exit 0
    [day]
    [time]  you  hello
    [time]  you  later  [queued]
    [time]  you  waited for  [queued]
    [time]  you  waited for  [queued]
    ");

    bo.start(&[]);
    ann.run(&["connect", &bo.address()]);
    let mut events = bo.follow(&["tail", "--json", "--since", "0"]);
    events.until(|event| event["message"]["seq"] == 4);
}

#[test]
fn who_does_not_answer_in_time_is_told_from_who_is_away() {
    let (ann, bo) = friends("Bo");
    let pid = Pid::from_raw(bo.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    // Sent once, and asked after twice.
    let wait = |state, seconds| {
        let line = ["send", "Bo", "line", "--client-id", "1"];
        ann.run(&[&line[..], &["--wait", state, "--timeout", seconds]].concat())
    };
    assert_eq!(wait("sent", "60").code, 0);
    assert_said!(wait("delivered", "0.2").all(), @"
    exit 6
    -- stderr
    hallway: timed out: handed to Bo~[tg]'s session, but no receipt has come yet
    ");
    assert_said!(ann.run(&["log", "Bo"]).all(), @"
    exit 0
    [day]
    [time]  you  hello
    [time]  you  line  [sent]
    ");
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(wait("delivered", "60").code, 0);
}

#[test]
fn texts_that_cannot_be_sent_are_refused_with_the_reason() {
    let (ann, _bo) = pair("Bo");
    assert_said!(ann.run(&["send", "Bo", ""]).all(), @"
    exit 1
    -- stderr
    hallway: there is nothing to send: the text is empty
    ");
    assert_said!(ann.run_with(&["send", "Bo"], &[b'x'; 40_000]).all(), @"
    exit 1
    -- stderr
    hallway: this text takes more than 32768 bytes, the limit; send it as a file instead
    ");
    assert_said!(ann.run(&["send", "Bo", &"x".repeat(40_000)]).all(), @"
    exit 1
    -- stderr
    hallway: this text takes 40000 bytes and the limit is 32768; send it as a file instead
    ");
    assert_said!(ann.run_with(&["send", "Bo", "-"], b"\xff\xfe").all(), @"
    exit 1
    -- stderr
    hallway: stdin is not UTF-8 text; send it as a file instead
    ");
    assert_said!(ann.run(&["send", "Cy", "hi"]).all(), @r#"
    exit 1
    -- stderr
    hallway: nobody here is called "Cy"; `hallway peers` lists who is known
    "#);
    assert_said!(ann.run(&["log", "Bo"]).all(), @"
    exit 0
    -- stderr
    No messages
    ");
}

#[test]
fn a_repeated_send_with_a_client_id_is_one_message() {
    let (ann, _bo) = pair("Bo");
    let send = || {
        ann.run(&["send", "Bo", "once", "--client-id", "order 7", "--json"])
            .json()
    };
    assert_eq!(send()[0]["id"], send()[0]["id"]);
    assert_eq!(ann.run(&["log", "Bo", "--json"]).json().len(), 1);
}

#[test]
fn the_log_shows_a_part_and_reading_it_is_told() {
    let (ann, bo) = friends("Bo");
    for n in 1..=3 {
        ann.run(&["send", "Bo", &format!("line {n}"), "--wait", "queued"]);
    }
    let texts = |args: &[&str]| {
        let log = ann.run(&[&["log", "Bo", "--json"], args].concat()).json();
        log.iter()
            .map(|m| m["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&["--limit", "2"]), ["line 2", "line 3"]);
    assert_eq!(texts(&["--search", "line"]).len(), 3);
    assert_eq!(texts(&["--since", "1h"]).len(), 4);
    assert_eq!(texts(&["--since", "today"]).len(), 4);
    assert_eq!(texts(&["--since", "2999-01-01"]).len(), 0);

    let mut events = ann.follow(&["tail", "--json", "--since", "0"]);
    // It listens once it has told what was before.
    events.until(|event| event["message"]["seq"] == 4);
    bo.follow(&["tail", "--json", "--since", "0"])
        .until(|e| e["message"]["seq"] == 4);
    bo.run(&["log", "Ann", "--json"]);
    assert_eq!(bo.run(&["log", "Ann", "--json", "--mark-read"]).code, 0);
    let read = events.until(|event| event["kind"] == "read_up_to");
    assert_eq!(
        (&read["seq"], &read["author"]),
        (&json!(4), &ann.ready["id"])
    );
}
