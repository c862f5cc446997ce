//! Calls between real nodes with real sound devices: who rings, who is heard, what stays of it.
//!
//! On a busy machine sound breaks up. What is said is said again until enough of it was heard, and
//! how late and how good it is, is measured elsewhere.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_proto::limits::CALLS_MAX;
use hallway_tests::audio::{
    Call, Recording, Rooms, SAMPLE_RATE, Voice, current, lags, running, speech, talk, until_over,
    until_state,
};
use hallway_tests::host::{Host, PATIENCE, Plan, Tail};
use hallway_tests::lab::{Bursts, Flood, Jitter, Lan, Line, Port};
use hallway_tests::room_tests;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

room_tests![
    // They wait more than they work.
    threads = 4;
    what_is_not_answered_stays_in_the_history,
    a_caller_that_is_killed_is_missed,
    a_call_goes_from_one_link_to_another,
    a_second_call_waits_and_then_holds_the_first,
    without_a_microphone_one_listens,
    both_hear_each_other_unless_muted,
    a_bad_line_is_still_a_call,
    both_call_at_once_and_have_one_call,
    a_call_follows_to_another_address,
    a_flood_of_forged_packets_is_not_heard,
    whoever_calls_echo_hears_herself,
    without_a_sound_server_both_are_told,
    a_fifth_call_is_busy,
    a_stranger_may_not_ring,
];

/// How much is said: a sentence.
const SENTENCE: Duration = Duration::from_secs(3);
/// So much alike are what was said and what was heard in a second that counts as heard.
const CORRELATION_MIN: f64 = 0.5;
/// Of the seconds in which something is said.
const SECONDS_MIN: usize = 2;
/// So often it is said until it is heard: the machine may be held up some times, not always.
const TRIES: usize = 8;
/// The noise that a silent line may have, as a share of the loudest.
const SILENCE: f32 = 1e-3;
/// So loud a voice is at its loudest, at least.
const LOUD: f32 = 0.1;
/// So loud it rings, at least.
const RING: f32 = 0.04;
/// It is heard once in this time.
const A_RING: Duration = Duration::from_secs(6);
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

fn sentence() -> Vec<f32> {
    let mut words = speech(Voice::High);
    words.truncate(SAMPLE_RATE as usize * usize::try_from(SENTENCE.as_secs()).unwrap());
    words
}

fn loudest(samples: &[f32]) -> f32 {
    samples
        .iter()
        .fold(0.0, |most, sample| most.max(sample.abs()))
}

/// Says something on one host until it is heard on another, and returns how that went.
#[track_caller]
fn until_heard(rooms: &Rooms, from: usize, to: usize) -> Recording {
    until_heard_after(Duration::ZERO, rooms, from, to)
}

/// As [`until_heard`], when what is said takes so much longer.
#[track_caller]
fn until_heard_after(delay: Duration, rooms: &Rooms, from: usize, to: usize) -> Recording {
    let words = sentence();
    let delay_samples = SAMPLE_RATE as usize * usize::try_from(delay.as_millis()).unwrap() / 1000;
    let mut tries = Vec::new();
    while tries.len() < TRIES {
        let recording = talk(rooms, from, &words, delay);
        let heard = &recording.heard(to)[delay_samples..];
        let lags = lags(recording.said(from), heard);
        let alike = lags.iter().filter(|lag| lag.correlation > CORRELATION_MIN);
        if alike.count() >= SECONDS_MIN {
            return recording;
        }
        tries.push((loudest(recording.said(from)), loudest(heard), lags));
    }
    panic!("too little of it was heard: {tries:#?}");
}

#[track_caller]
fn assert_silent(recording: &Recording, from: usize, at: usize) {
    assert!(loudest(recording.said(from)) > LOUD, "nothing was said");
    let loudest = loudest(recording.heard(at));
    assert!(loudest < SILENCE, "{loudest}");
}

/// Waits until a field of a call is so on one of its sides.
#[track_caller]
fn until_field(host: &Host, other: &Host, field: &str, value: bool) {
    host.until(&format!("{field} is {value}"), PATIENCE, |host| {
        current(host, other).filter(|call| call[field] == value)
    });
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

fn both_hear_each_other_unless_muted() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let call = Call::connect(&ann, &bo);
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        for can in ["can_speak", "can_hear", "they_can_speak", "they_can_hear"] {
            until_field(host, other, can, true);
        }
    }
    assert_eq!(
        call.views().map(|view| view["state"].clone()),
        ["active"; 2]
    );
    // In turns: who talks at the same time is held down by the echo cancellation.
    until_heard(&rooms, 1, 0);
    ann.cli(&["mute", "--json"]);
    until_field(&bo, &ann, "muted_by_them", true);
    let recording = talk(&rooms, 0, &sentence(), Duration::ZERO);
    assert_silent(&recording, 0, 1);
    ann.cli(&["mute", "off", "--json"]);
    until_field(&bo, &ann, "muted_by_them", false);
    until_heard(&rooms, 0, 1);

    let mut tails = [ann.tail(), bo.tail()];
    call.hang_up();
    assert_eq!(tails.each_mut().map(end), ["hung_up", "hung_up"]);
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        assert_eq!(outcomes(host, other, 1), ["answered"]);
        let messages = host.messages(other.id());
        let record = &messages.last().unwrap()["call"];
        let talked = Duration::from_millis(record["duration_ms"].as_u64().unwrap());
        assert!(talked > 2 * SENTENCE, "{record}");
    }
}

fn a_bad_line_is_still_a_call() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let line = Line {
        jitter: Jitter::UpTo(Duration::from_millis(30)),
        loss: 0.1,
        bursts: Some(Bursts {
            share: 0.05,
            length: 3.0,
        }),
        doubled: 0.05,
        spoilt: 0.02,
        ..Line::default()
    };
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let _wire = lan.wire(1, line, 1);
    let call = Call::connect(&ann, &bo);
    until_heard(&rooms, 0, 1);
    call.hang_up();
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
    // Both hear it ring, and no longer than that.
    let heard = || {
        let tape = rooms.record();
        tape.go_on(A_RING);
        let tape = tape.stop();
        [0, 1].map(|host| loudest(tape.heard(host)))
    };
    let rung = heard();
    assert!(rung.iter().all(|peak| *peak > RING), "{rung:?}");
    assert_eq!(ends(), ["unanswered", "unanswered"]);
    let after = heard();
    assert!(after.iter().all(|peak| *peak < SILENCE), "{after:?}");

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

fn both_call_at_once_and_have_one_call() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    thread::scope(|scope| {
        for (from, to) in [(&ann, &bo), (&bo, &ann)] {
            scope.spawn(|| from.cli_raw(&["call", to.id(), "--detach", "--json"]));
        }
    });
    // Either both rings met on the way, or one came first and the other's call was its answer.
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        until_state(host, other, "active");
        assert_eq!(running(host).len(), 1);
    }
    until_heard(&rooms, 0, 1);
    bo.cli(&["hang-up", "--json"]);
    until_over(&ann, &bo);
    assert_eq!(outcomes(&ann, &bo, 1), ["answered"]);
    assert_eq!(outcomes(&bo, &ann, 1), ["answered"]);
}

fn a_second_call_waits_and_then_holds_the_first() {
    let (lan, rooms) = (Lan::of(3), Rooms::of(3));
    let [ann, bo, cy] = people(&lan, &rooms, ["Ann", "Bo", "Cy"]);
    let _first = Call::connect(&bo, &ann);
    Call::ring(&cy, &ann);
    for (host, other) in [(&ann, &cy), (&cy, &ann)] {
        assert_eq!(until_state(host, other, "ringing")["waiting"], true);
    }
    until_heard(&rooms, 0, 1);

    ann.cli(&["answer", "--json"]);
    until_state(&cy, &ann, "active");
    until_field(&bo, &ann, "held_by_them", true);
    let recording = until_heard(&rooms, 0, 2);
    assert_silent(&recording, 0, 1);
    cy.cli(&["hang-up", "--json"]);
    until_over(&ann, &cy);
    assert_eq!(current(&ann, &bo).unwrap()["state"], "active");
}

fn a_fifth_call_is_busy() {
    // It needs no sound, which so many would make for nobody.
    let lan = Lan::of(CALLS_MAX + 2);
    // All of them are there before the first is looked for: who comes later is seen later.
    let hosts: Vec<Host> = (0..lan.hosts())
        .map(|host| Host::start(&lan, host, &format!("Host {host}")))
        .collect();
    let (ann, others) = hosts.split_first().unwrap();
    for other in others {
        ann.befriend(other);
    }
    let (fifth, four) = others.split_last().unwrap();
    for other in four {
        Call::ring(other, ann);
        // What rings ends by itself, maybe before the last of them begins.
        ann.cli(&["answer", "--json"]);
    }
    let mut tail = fifth.tail();
    fifth.cli_raw(&["call", ann.id(), "--detach", "--json"]);
    assert_eq!(end(&mut tail), "busy");
    assert_eq!(running(ann).len(), CALLS_MAX);
    // Whose call it was sees it, and so does who was busy: it may be worth a call back.
    assert_eq!(outcomes(fifth, ann, 1), ["busy"]);
    assert_eq!(outcomes(ann, fifth, 1), ["busy"]);
    // Nor is there room for one of hers.
    let said = ann.refused(&["call", fifth.id()], 4);
    assert!(said.contains("hang one up"), "{said}");
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
    assert_eq!(bo.messages(ann.id()), [] as [Value; 0]);
}

fn without_a_microphone_one_listens() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    rooms.unplug_microphone(1);
    let call = Call::connect(&ann, &bo);
    until_field(&ann, &bo, "they_can_speak", false);
    until_field(&bo, &ann, "can_speak", false);
    until_heard(&rooms, 0, 1);
    // It is plugged in during the call.
    rooms.plug_microphone(1);
    until_field(&ann, &bo, "they_can_speak", true);
    until_field(&bo, &ann, "can_speak", true);
    until_heard(&rooms, 1, 0);
    call.hang_up();
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

/// As from Ethernet to Wi-Fi: the link that carries the call goes, another is there.
fn a_call_goes_from_one_link_to_another() {
    let lan = Lan::of(2);
    lan.add_interface(0);
    lan.add_interface(1);
    let rooms = Rooms::of(2);
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let call = Call::connect(&ann, &bo);
    let id = call.views()[0]["id"].clone();
    // One after the other carries it all.
    for segment in [0, 1] {
        let port = Port { host: 1, segment };
        lan.cut(port);
        until_heard(&rooms, 0, 1);
        until_heard(&rooms, 1, 0);
        lan.heal(port);
        ann.until_peer(bo.id(), "live", PATIENCE);
        assert!(call.views().iter().all(|view| view["id"] == id));
    }
    call.hang_up();
    assert_eq!(outcomes(&bo, &ann, 1), ["answered"]);
}

/// As by a lease that is not renewed: the callee has another address, in another network, and the
/// old one is gone.
fn a_call_follows_to_another_address() {
    let (lan, rooms) = (Lan::builder().hosts(2).ipv6(false).build(), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let call = Call::connect(&ann, &bo);
    let id = call.views()[0]["id"].clone();
    for host in [0, 1] {
        lan.add_address(host, new_address(host));
    }
    lan.remove_address(1, lan.ipv4(1));
    until_heard(&rooms, 0, 1);
    until_heard(&rooms, 1, 0);
    assert!(call.views().iter().all(|view| view["id"] == id));
    call.hang_up();
    assert_eq!(outcomes(&ann, &bo, 1), ["answered"]);
}

fn new_address(host: usize) -> IpAddr {
    let host = u8::try_from(host + 1).unwrap();
    Ipv4Addr::new(10, 78, 0, host).into()
}

fn a_flood_of_forged_packets_is_not_heard() {
    let (lan, rooms) = (Lan::of(3), Rooms::of(2));
    let [ann, bo] = people(&lan, &rooms, ["Ann", "Bo"]);
    let call = Call::connect(&ann, &bo);
    let at = SocketAddr::new(lan.ipv4(1), bo.port());
    let flood = Flood::start(&lan, 2, at, FLOOD_RATE);
    until_heard(&rooms, 0, 1);
    let sent = flood.sent();
    assert!(sent > FLOOD_MIN, "{sent} is no flood");
    drop(flood);
    call.hang_up();
}

/// Packets a second of a flood, where the machine is fast enough to make it beside the call.
const FLOOD_RATE: u64 = 100_000;
/// More than a hundred calls send while one sentence is said.
const FLOOD_MIN: u64 = 50_000;

/// Echo says it after a second and a half (`DELAY_BLOCKS` of the parrot).
const ECHO_AFTER: Duration = Duration::from_millis(1500);

fn whoever_calls_echo_hears_herself() {
    let (lan, rooms) = (Lan::of(1), Rooms::of(1));
    let ann = rooms.furnish(Plan::new("Ann"), 0).start(&lan, 0);
    let _echo = ann.launch(&["echo"]);
    ann.until("Echo is here", PATIENCE, |ann| {
        let mut peers = ann.cli(&["peers", "--json"]).into_iter();
        peers.find(|peer| peer["name"] == "Echo" && peer["state"] != "offline")
    });
    ann.cli(&["call", "Echo", "--detach", "--json"]);
    ann.until("Echo answers", PATIENCE, |ann| {
        running(ann)
            .into_iter()
            .find(|call| call["connected"] == true)
    });
    until_heard_after(ECHO_AFTER, &rooms, 0, 0);
    ann.cli(&["hang-up", "--json"]);
}

fn without_a_sound_server_both_are_told() {
    let (lan, rooms) = (Lan::of(2), Rooms::of(1));
    let ann = rooms.furnish(Plan::new("Ann"), 0).start(&lan, 0);
    // Where the machine has a card, no test listens to the people around it.
    let bo = Plan::new("Bo")
        .env("PULSE_SERVER", "unix:/nonexistent/pulse")
        .env("ALSA_CONFIG_PATH", "/dev/null")
        .start(&lan, 1);
    ann.befriend(&bo);
    let call = Call::connect(&ann, &bo);
    for field in ["can_speak", "can_hear"] {
        until_field(&bo, &ann, field, false);
        until_field(&ann, &bo, &format!("they_{field}"), false);
    }
    let shown = |host: &Host, args: &[&str]| {
        let output = host.cli_raw(args);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let of_bo = shown(&bo, &["calls"]);
    assert!(
        of_bo.contains("you have no microphone and only listen, you have no speaker"),
        "{of_bo}"
    );
    let of_ann = shown(&ann, &["calls"]);
    assert!(
        of_ann.contains("they have no microphone and only listen, they have no speaker"),
        "{of_ann}"
    );
    call.hang_up();
    for args in [&["devices"], &["doctor"]] {
        let said = shown(&bo, args);
        assert!(
            said.contains("no sound card, and no sound server"),
            "{said}"
        );
    }
}
