//! What goes wrong on the way: power, cables, addresses, bandwidth. Nothing is lost or told twice.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::host::{Host, PATIENCE};
use hallway_tests::lab::{Lan, Port};
use hallway_tests::lan_tests;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

lan_tests![
    what_is_written_to_somebody_away_arrives_when_they_return,
    sigkill_at_any_moment_loses_nothing_and_repeats_nothing,
    a_cable_out_and_in_again,
    a_silent_partition_is_noticed_and_healed,
    a_host_with_a_new_address_is_found_again,
    of_two_links_one_is_enough,
    a_slow_and_lossy_link_delivers_everything_in_order,
];

fn what_is_written_to_somebody_away_arrives_when_they_return() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    bo.stop();
    ann.until_peer(bo.id(), "offline", PATIENCE);
    ann.queue("Bo", "one");
    ann.queue("Bo", "二");
    let args = [
        "send",
        "Bo",
        "three",
        "--wait",
        "delivered",
        "--timeout",
        "0.1",
    ];
    assert!(ann.refused(&args, 5).contains("not delivered"));
    // The outbox outlives the author's own restart, too.
    ann.restart();
    assert_eq!(ann.messages("Bo").last().unwrap()["state"], "queued");
    bo.up();
    bo.until_texts(&ann, &["hello", "one", "二", "three"]);
    until_delivered(&ann, &bo);
}

/// Waits until there is a receipt for everything that was written.
#[track_caller]
fn until_delivered(from: &Host, to: &Host) {
    from.until("every receipt is in", PATIENCE, |from| {
        let log = from.messages(to.id()).into_iter();
        let mut own = log.filter(|message| message["from"] == from.id());
        own.all(|message| message["state"] == "delivered")
            .then_some(())
    });
}

/// Both write all the time, while one or the other is killed at moments that a seed decides.
fn sigkill_at_any_moment_loses_nothing_and_repeats_nothing() {
    const KILLS: usize = 20;
    const MESSAGES_MIN: usize = 100;
    const SEED: u64 = 20_260_301;
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let killing = AtomicBool::new(true);
    let write = |from: &Host, to: &Host| {
        let going_on = |n: &usize| *n < MESSAGES_MIN || killing.load(Ordering::Relaxed);
        let written = (0..).take_while(going_on);
        written
            .map(|n| write_until_accepted(from, to, n))
            .collect::<Vec<_>>()
    };
    let written = thread::scope(|scope| {
        let writers = [
            scope.spawn(|| write(&ann, &bo)),
            scope.spawn(|| write(&bo, &ann)),
        ];
        for _ in 0..KILLS {
            // Any moment is meant, so no event can be waited for.
            thread::sleep(Duration::from_millis(u64::from(random.next_u32() % 250)));
            let victim = if random.next_u32() % 2 == 0 {
                &ann
            } else {
                &bo
            };
            victim.kill();
            victim.up();
        }
        killing.store(false, Ordering::Relaxed);
        writers.map(|writer| writer.join().unwrap())
    });
    for ((from, to), written) in [(&ann, &bo), (&bo, &ann)].into_iter().zip(written) {
        until_delivered(from, to);
        let read = to.texts_of(from);
        assert_eq!(read[1..], written, "seed {SEED}");
    }
}

/// As a bot would: the same request again until it is answered, which sends once.
fn write_until_accepted(from: &Host, to: &Host, n: usize) -> String {
    let (text, number) = (format!("message {n}"), n.to_string());
    let args = [
        "send",
        to.id(),
        &text,
        "--wait",
        "queued",
        "--client-id",
        &number,
    ];
    while !from.cli_raw(&args).status.success() {}
    text
}

fn a_cable_out_and_in_again() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    lan.cut(1);
    // The host without a carrier knows at once.
    bo.until_peer(ann.id(), "offline", PATIENCE);
    ann.queue("Bo", "on my side");
    bo.queue("Ann", "on mine, too");
    lan.heal(1);
    bo.until_texts(&ann, &["hello", "on my side"]);
    ann.until_texts(&bo, &["hello back", "on mine, too"]);
}

fn a_silent_partition_is_noticed_and_healed() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    lan.mute(1);
    ann.queue("Bo", "into the void");
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        host.until("the session is given up", PATIENCE, |host| {
            (host.peer(other)?["state"] != "live").then_some(())
        });
    }
    assert_eq!(ann.messages("Bo").last().unwrap()["state"], "queued");
    bo.queue("Ann", "anybody?");
    lan.unmute(1);
    bo.until_texts(&ann, &["hello", "into the void"]);
    ann.until_texts(&bo, &["hello back", "anybody?"]);
}

fn a_host_with_a_new_address_is_found_again() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    // As when a lease ends, or somebody carries a laptop to another network.
    lan.flush(1);
    let new = "10.77.0.200".parse().unwrap();
    lan.add_address(1, new);
    ann.tell("Bo", "there you are");
    bo.tell("Ann", "here I am");
    let peer = ann.until_peer(bo.id(), "live", PATIENCE);
    assert_eq!(peer["addresses"][0], format!("{new}:42550"));
    // The two may have met at the new address before Bo's node looked at its interfaces again.
    let expected = serde_json::json!([format!("{new}:42550")]);
    bo.until("the status shows the new address", PATIENCE, |bo| {
        (bo.one(&["status", "--json"])["addresses"] == expected).then_some(())
    });
    assert_eq!(bo.texts_of(&ann), ["hello", "there you are"]);
}

fn of_two_links_one_is_enough() {
    let lan = Lan::of(2);
    let second = [lan.add_interface(0), lan.add_interface(1)];
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    for round in 0..2 {
        let link = link_of(&lan, &ann.until_peer(bo.id(), "live", PATIENCE), second);
        lan.cut(link);
        ann.tell("Bo", &format!("round {round}"));
        bo.tell("Ann", &format!("round {round}"));
        let other = link_of(&lan, &ann.until_peer(bo.id(), "live", PATIENCE), second);
        assert_ne!(link, other);
        lan.heal(link);
    }
    assert_eq!(bo.texts_of(&ann), ["hello", "round 0", "round 1"]);
    assert_eq!(ann.texts_of(&bo), ["hello back", "round 0", "round 1"]);
}

/// Which of the far host's ports a session goes to.
fn link_of(lan: &Lan, peer: &Value, second: [Port; 2]) -> Port {
    let address = peer["addresses"][0].as_str().unwrap();
    let is_on = |port: Port| {
        let scope = lan.scope_id(Port { host: 0, ..port });
        let link_local = format!("[{}%{scope}]", lan.link_local(port));
        let known = [
            lan.ipv4(port).to_string(),
            format!("[{}]", lan.ipv6(port)),
            link_local,
        ];
        known.iter().any(|known| address.starts_with(known))
    };
    let [first, second] = [Port::from(1), second[1]].map(|port| is_on(port).then_some(port));
    first
        .xor(second)
        .unwrap_or_else(|| panic!("no such address: {address}"))
}

fn a_slow_and_lossy_link_delivers_everything_in_order() {
    const MESSAGES: usize = 40;
    let lan = Lan::of(2);
    lan.rate(1, Some(1_000_000));
    lan.loss(1, 5);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let text = |n: usize| format!("{n} {}", "x".repeat(20_000));
    thread::scope(|scope| {
        for (from, to) in [(&ann, &bo), (&bo, &ann)] {
            scope.spawn(move || {
                for n in 0..MESSAGES {
                    let input = text(n);
                    let args = ["send", to.id(), "-", "--wait", "queued"];
                    assert!(from.cli_input(&args, &input).status.success());
                }
            });
        }
    });
    let written: Vec<_> = (0..MESSAGES).map(text).collect();
    for (from, to) in [(&ann, &bo), (&bo, &ann)] {
        until_delivered(from, to);
        assert!(to.texts_of(from)[1..] == written, "not what was sent");
    }
}
