//! Calls between real nodes with real sound devices: who rings, and what stays of it.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::audio::{Call, Rooms, running, until_state};
use hallway_tests::host::{Host, PATIENCE, Plan, Tail};
use hallway_tests::lab::Lan;
use hallway_tests::room_tests;
use serde_json::Value;
use std::thread;
use std::time::Duration;

room_tests![
    what_is_not_answered_stays_in_the_history,
    a_stranger_may_not_ring,
    a_caller_that_is_killed_is_missed,
];

/// Longer than a peer takes to be missed, and longer than a telephone rings.
const LONG: Duration = Duration::from_secs(120);

/// Nodes that know each other, on hosts with microphone and speaker.
fn people<const N: usize>(lan: &Lan, rooms: &Rooms, names: [&str; N]) -> [Host; N] {
    let mut host = 0..;
    let hosts = names.map(|name| {
        let host = host.next().unwrap();
        rooms.furnish(Plan::new(name), host).start(lan, host)
    });
    for other in &hosts[1..] {
        hosts[0].befriend(other);
    }
    hosts
}

/// Waits for the end of a call and returns why it was over.
#[track_caller]
fn end(tail: &mut Tail) -> String {
    let ended = |event: &Value| event["kind"] == "call" && event["call"]["state"] == "ended";
    let event = tail.wait_for(ended, LONG);
    event["call"]["end"].as_str().unwrap().into()
}

/// Waits until so many calls are in the history with a peer, and returns how they went.
#[track_caller]
fn outcomes(host: &Host, other: &Host, count: usize) -> Vec<String> {
    host.until(&format!("{count} calls are told"), PATIENCE, |host| {
        let messages = host.messages(other.id()).into_iter();
        let calls = messages.filter(|message| message["kind"] == "call");
        let outcomes = calls.map(|message| message["call"]["outcome"].as_str().unwrap().into());
        let outcomes: Vec<String> = outcomes.collect();
        (outcomes.len() >= count).then_some(outcomes)
    })
}

fn what_is_not_answered_stays_in_the_history() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let mut tails = [ann.tail(), bo.tail()];
    let mut ends = || tails.each_mut().map(end);

    // Whoever calls without `--detach` stays until it is over, and is told how.
    thread::scope(|scope| {
        scope.spawn(|| assert!(ann.refused(&["call", "Bo"], 4).contains("declined")));
        until_state(&bo, &ann, "ringing");
        bo.cli(&["hang-up", "--json"]);
    });
    assert_eq!(ends(), ["declined", "declined"]);

    Call::ring(&ann, &bo);
    ann.cli(&["hang-up", "--json"]);
    assert_eq!(ends(), ["cancelled", "cancelled"]);

    Call::ring(&ann, &bo);
    assert_eq!(ends(), ["unanswered", "unanswered"]);

    let expected = ["declined", "cancelled", "missed"];
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        assert_eq!(outcomes(host, other, 3), expected);
        assert_eq!(running(host), [] as [Value; 0]);
    }
    // There is nothing left to answer or to end.
    for command in ["answer", "hang-up", "mute"] {
        ann.refused(&[command], 1);
    }

    bo.stop();
    ann.until_peer(bo.id(), "offline", PATIENCE);
    let mut tail = ann.tail();
    ann.cli_raw(&["call", bo.id(), "--detach", "--json"]);
    assert_eq!(end(&mut tail), "not_here");
}

fn a_stranger_may_not_ring() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let names = [("Ann", 0), ("Bo", 1)];
    let [ann, bo] =
        names.map(|(name, host)| rooms.furnish(Plan::new(name), host).start(&lan, host));
    ann.until_seen(&bo);
    bo.until_seen(&ann);
    let (mut at_ann, mut at_bo) = (ann.tail(), bo.tail());
    ann.cli_raw(&["call", bo.id(), "--detach", "--json"]);
    assert_eq!(end(&mut at_ann), "refused");
    // Whatever he was told, no call was in it.
    while let Some(event) = at_bo.next(Duration::ZERO) {
        assert_ne!(event["kind"], "call", "{event}");
    }
    assert_eq!(running(&bo), [] as [Value; 0]);
}

fn a_caller_that_is_killed_is_missed() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let _call = Call::connect(&ann, &bo);
    let mut tail = bo.tail();
    ann.kill();
    assert_eq!(end(&mut tail), "lost");
    ann.up();
    // What she knew of it, she lost; both can call again.
    Call::connect(&bo, &ann).hang_up();
}
