//! Networks that lose, delay, repeat, reorder and change what passes, and addresses that move.

use hallway_model::{Command, SIGHTINGS_MAX};
use hallway_proto::limits::DIAL_BACKOFF_NEAR;
use hallway_tests::sim::{Chop, Crash, Mark, World, explore, mins, ms, secs};
use std::time::Duration;

fn all_arrived(world: &World, marks: &[Mark]) -> bool {
    marks.iter().all(|mark| world.is_told_delivered(*mark))
}

/// Both talk for a while.
fn talk(world: &mut World, rounds: u64, pause: Duration) -> Vec<Mark> {
    let hosts = world.all();
    let mut marks = Vec::new();
    for _ in 0..rounds {
        marks.push(world.say_anything(hosts[0], hosts[1]));
        marks.push(world.say_anything(hosts[1], hosts[0]));
        let pause = world.between(ms(0), pause);
        world.run_for(pause);
    }
    marks
}

#[test]
fn bytes_in_any_pieces() {
    explore("bytes_in_any_pieces", 30, |world| {
        world.weather.chop = Chop::Anywhere;
        world.couple();
        let marks = talk(world, 50, ms(5));
        world.run_until(secs(2), |world| all_arrived(world, &marks));
        world.settle();
    });
}

#[test]
fn an_attacker_who_changes_bytes_only_ends_sessions() {
    // Bytes are taken out, doubled, flipped, put in, and change places.
    explore(
        "an_attacker_who_changes_bytes_only_ends_sessions",
        100,
        |world| {
            let (a, b) = world.couple();
            world.weather.chop = if world.seed().is_multiple_of(2) {
                Chop::Packets
            } else {
                Chop::Whole
            };
            world.weather.tamper = 200_000;
            let before = world.dials();
            talk(world, 100, ms(400));
            assert!(!world.is_off(a) && !world.is_off(b));
            world.settle();
            assert!(world.dials() > before, "no session ended");
        },
    );
}

#[test]
fn resets_lose_nothing() {
    explore("resets_lose_nothing", 60, |world| {
        world.couple();
        world.weather.latency_us = 100..20_000;
        for _ in 0..20 {
            talk(world, 5, ms(20));
            world.reset_some();
        }
        world.settle();
    });
}

#[test]
fn a_silent_partition_of_any_length() {
    explore("a_silent_partition_of_any_length", 60, |world| {
        let (a, b) = world.couple();
        let long = world.between(ms(100), mins(8));
        let marks = talk(world, 3, ms(10));
        world.part(a, b);
        let more = talk(world, 10, ms(500));
        world.run_for(long);
        world.heal();
        // The longest wait between two dials, and a handshake.
        let limit = DIAL_BACKOFF_NEAR + secs(50);
        world.run_until(limit, |world| {
            all_arrived(world, &marks) && all_arrived(world, &more)
        });
        world.settle();
    });
}

#[test]
fn one_direction_is_silent() {
    explore("one_direction_is_silent", 60, |world| {
        let (a, b) = world.couple();
        let (from, to) = if world.seed().is_multiple_of(2) {
            (a, b)
        } else {
            (b, a)
        };
        for _ in 0..4 {
            world.cut(from, to);
            talk(world, 20, secs(2));
            let long = world.between(ms(0), secs(90));
            world.run_for(long);
            world.heal();
            talk(world, 5, secs(5));
        }
        world.settle();
    });
}

#[test]
fn a_link_that_is_slow_for_its_window() {
    // What waited takes forty seconds in each direction, which is longer than a peer may be
    // silent, and an answer to a ping may wait behind it. It comes through over one session.
    explore("a_link_that_is_slow_for_its_window", 10, |world| {
        let (a, b) = world.couple();
        world.crash(b, Crash::Power);
        world.run_for(mins(1));
        world.part(a, b);
        world.start(b);
        let long: String = " ".repeat(30_000);
        let mut marks = Vec::new();
        for _ in 0..130 {
            for (from, to) in [(a, b), (b, a)] {
                let mark = world.mark();
                marks.push(mark);
                world.say_with(from, world.id(to), mark.text_with(&long), None);
            }
        }
        world.run_for(mins(1));
        world.weather.bytes_per_ms = 100;
        world.weather.chop = Chop::Anywhere;
        world.heal();
        world.run_until(mins(2), |world| world.are_joined(a, b));
        let dials = world.dials();
        world.run_until(mins(3), |world| all_arrived(world, &marks));
        assert_eq!(world.dials(), dials, "the session was given up");
        world.settle();
    });
}

#[test]
fn thousands_of_messages_wait_for_a_peer() {
    explore("thousands_of_messages_wait_for_a_peer", 3, |world| {
        let (a, b) = world.couple();
        world.crash(b, Crash::Kill);
        let mut marks = Vec::new();
        for _ in 0..3_000 {
            marks.push(world.say(a, b));
            if world.chance(20_000) {
                world.run_for(ms(10));
            }
        }
        world.run_for(secs(10));
        if world.seed() == 1 {
            world.crash(a, Crash::Power);
            world.start(a);
        }
        world.start(b);
        // Some are written and some breaks happen while the rest is on its way.
        world.run_for(ms(50));
        marks.push(world.say(a, b));
        if world.seed() == 2 {
            world.reset_some();
        }
        let last = marks.pop().expect("a mark");
        world.run_until(secs(30), |world| world.arrived(last));
        world.settle();
    });
}

#[test]
fn a_static_peer_without_discovery() {
    explore("a_static_peer_without_discovery", 30, |world| {
        let hosts = world.hosts(2);
        let (a, b) = if world.seed().is_multiple_of(2) {
            (hosts[0], hosts[1])
        } else {
            (hosts[1], hosts[0])
        };
        for host in [a, b] {
            world.options(host).discovery = false;
        }
        let address = world.address(b);
        world.options(a).statics.push(address);
        world.start(a);
        let late = world.between(ms(0), secs(60));
        world.run_for(late);
        world.start(b);
        world.run_until(DIAL_BACKOFF_NEAR + secs(1), |world| world.are_joined(a, b));
        let mark = world.say(a, b);
        world.run_until(secs(1), |world| world.is_told_delivered(mark));
        world
            .ask(b, Command::Accept(world.id(a)))
            .expect("accepted");
        for _ in 0..5 {
            let how = if world.chance(500_000) {
                Crash::Kill
            } else {
                Crash::Power
            };
            let victim = world.pick(&[a, b]);
            world.crash(victim, how);
            let long = world.between(ms(0), secs(60));
            world.run_for(long);
            world.start(victim);
            world.run_until(secs(70), |world| world.are_joined(a, b));
        }
        world.settle();
    });
}

#[test]
fn a_new_address_is_found() {
    explore("a_new_address_is_found", 60, |world| {
        let (a, b) = world.couple();
        world.weather.deafness = if world.seed().is_multiple_of(2) {
            300_000
        } else {
            0
        };
        for number in 1..6 {
            talk(world, 3, ms(20));
            let mover = world.pick(&[a, b]);
            world.move_to(mover, [10, 2, 0, number].into());
            let marks = talk(world, 3, secs(1));
            // It is announced again within 90 s, and may be missed once or twice.
            world.run_until(mins(8), |world| all_arrived(world, &marks));
        }
        world.settle();
    });
}

#[test]
fn false_announcements_displace_nobody() {
    explore("false_announcements_displace_nobody", 20, |world| {
        let hosts = world.hosts(3);
        let (a, b, third) = (hosts[0], hosts[1], hosts[2]);
        world.befriend(a, b);
        for host in &hosts {
            world.start(*host);
        }
        world.run_until(secs(2), |world| world.are_joined(a, b));
        for round in 0..200u16 {
            // Of the contact, at an address where somebody else answers, and of ten thousand others.
            let wrong = [world.address(third), ([10, 9, 0, 1], 1 + round).into()];
            world.spoof(a, world.id(b), wrong.to_vec());
            for _ in 0..50 {
                let nobody = world.anybody();
                world.spoof(a, nobody, vec![([10, 9, 9, 9], 9).into()]);
            }
            world.say(a, b);
            world.run_for(ms(300));
        }
        assert!(world.are_joined(a, b));
        assert!(world.peers_in_memory(a) <= SIGHTINGS_MAX + 1);
        world.reset_some();
        world.run_until(secs(3), |world| world.are_joined(a, b));
        world.settle();
    });
}

#[test]
fn whoever_answers_at_a_static_address_is_not_remembered_for_ever() {
    explore("whoever_answers_at_a_static_address", 2, |world| {
        let a = world.hosts(1)[0];
        let crowd = world.hosts(60);
        world.options(a).discovery = false;
        world
            .options(a)
            .statics
            .push(([10, 3, 0, 1], 42_550).into());
        world.start(a);
        for stranger in &crowd {
            world.possess(*stranger);
            world.let_greet(*stranger);
            world.move_to(*stranger, [10, 3, 0, 1].into());
            let met = |world: &World| !world.lines(*stranger).is_empty();
            world.run_until(secs(60), met);
            world.run_for(secs(5));
            let conn = world.lines(*stranger)[0];
            world.puppet_close(*stranger, conn);
            world.move_to(*stranger, [10, 3, 0, 2].into());
        }
        world.run_for(mins(3));
        assert!(
            world.peers_in_memory(a) <= 2,
            "{} in memory",
            world.peers_in_memory(a)
        );
    });
}
