//! Sessions: opening at once from both sides, renewal, idle close, goodbye, clones, limits.

use hallway_model::{Command, EventKind, SESSIONS_MAX};
use hallway_proto::limits::{IDLE_CLOSE, SESSION_LIFETIME, STRANGER_SESSIONS_MAX};
use hallway_tests::sim::{Chop, Crash, explore, mins, ms, secs};
use std::time::Duration;

#[test]
fn both_dial_at_the_same_instant() {
    // One host starts from 2 ms before the other until 2 ms after, in steps of 20 µs: the
    // handshakes cross at every point.
    explore("both_dial_at_the_same_instant", 200, |world| {
        let hosts = world.hosts(2);
        let (a, b) = (hosts[0], hosts[1]);
        world.befriend(a, b);
        world.weather.latency_us = 500..501;
        let (first, second) = if world.seed() < 100 { (a, b) } else { (b, a) };
        world.start(first);
        let lead = Duration::from_micros(20 * (world.seed() % 100));
        world.later(lead, move |world| {
            world.start(second);
            world.say(a, b);
            world.say(b, a);
        });
        world.run_for(secs(1));
        assert!(world.are_joined(a, b));
        // One more when the first found nobody at home yet.
        assert!(world.dials() <= 3, "{} dials", world.dials());
        for (one, other) in [(a, b), (b, a)] {
            let changes = world.presence_changes(one, other);
            assert!(changes <= 2, "{changes} changes of presence");
        }
        world.settle();
        assert!(world.dials() <= 3, "{} dials", world.dials());
    });
}

#[test]
fn a_session_is_renewed_under_traffic_and_nobody_notices() {
    explore(
        "a_session_is_renewed_under_traffic_and_nobody_notices",
        50,
        |world| {
            let (a, b) = world.couple();
            world.weather.chop = Chop::Anywhere;
            world.run_for(secs(10));
            let before = [(a, b), (b, a)].map(|(one, other)| world.presence_changes(one, other));
            world.run_for(SESSION_LIFETIME - secs(12));
            // Sessions are an hour old somewhere in these four seconds.
            let dials = world.dials();
            for _ in 0..400 {
                world.say(a, b);
                world.say(b, a);
                world.run_for(ms(10));
            }
            assert_eq!(world.dials() - dials, 1, "one side renews, once");
            world.run_for(secs(10));
            let after = [(a, b), (b, a)].map(|(one, other)| world.presence_changes(one, other));
            assert_eq!(before, after, "somebody was shown to come or go");
            world.settle();
        },
    );
}

#[test]
fn a_renewal_that_fails_leaves_the_old_session() {
    explore("a_renewal_that_fails_leaves_the_old_session", 20, |world| {
        let hosts = world.hosts(2);
        let (small, large) = (hosts[0], hosts[1]);
        world.befriend(small, large);
        // Only the larger can dial: the smaller knows no address that works.
        world.forget_address(small, large);
        world.options(large).discovery = false;
        world.start(large);
        world.start(small);
        world.run_until(secs(5), |world| world.are_joined(small, large));
        world.close_port(large);
        world.run_for(SESSION_LIFETIME + mins(20));
        assert!(world.are_joined(small, large));
        let mark = world.say(small, large);
        world.run_until(secs(1), |world| world.is_told_delivered(mark));
        assert!(world.dials() < 10, "{} dials", world.dials());
    });
}

#[test]
fn a_goodbye_is_shown_at_once_and_the_next_start_too() {
    explore(
        "a_goodbye_is_shown_at_once_and_the_next_start_too",
        20,
        |world| {
            let (a, b) = world.couple();
            world.run_for(mins(5));
            let before = world.presence_changes(a, b);
            world.stop(b);
            assert_eq!(world.presence_changes(a, b), before + 1, "gone");
            let dials = world.dials();
            world.run_for(secs(20));
            assert_eq!(world.dials(), dials, "nobody is dialled who said goodbye");
            let mark = world.say(a, b);
            world.run_for(secs(1));
            world.start(b);
            world.run_until(secs(2), |world| world.is_told_delivered(mark));
            world.settle();
        },
    );
}

#[test]
fn a_short_break_is_not_shown() {
    explore("a_short_break_is_not_shown", 50, |world| {
        let (a, b) = world.couple();
        world.run_for(secs(10));
        let before = [(a, b), (b, a)].map(|(one, other)| world.presence_changes(one, other));
        for _ in 0..5 {
            world.reset_some();
            world.run_for(secs(8));
        }
        let after = [(a, b), (b, a)].map(|(one, other)| world.presence_changes(one, other));
        assert_eq!(before, after, "somebody was shown to come or go");
        world.settle();
    });
}

#[test]
fn a_dead_peer_is_noticed_in_time() {
    explore("a_dead_peer_is_noticed_in_time", 20, |world| {
        let (a, b) = world.couple();
        let mark = world.say(a, b);
        world.run_until(secs(1), |world| world.is_told_delivered(mark));
        world.run_for(secs(5));
        world.crash(b, Crash::Power);
        world.run_until(secs(12), |world| !world.is_live(a, b));
        world.start(b);
        world.run_until(secs(20), |world| world.are_joined(a, b));
        world.run_for(mins(5));
        world.crash(b, Crash::Power);
        world.run_until(secs(47), |world| !world.is_live(a, b));
        world.settle();
    });
}

#[test]
fn a_session_nobody_needs_is_closed_and_opened_again_for_a_message() {
    let test = "a_session_nobody_needs_is_closed_and_opened_again_for_a_message";
    explore(test, 20, |world| {
        let hosts = world.hosts(2);
        let (a, b) = (hosts[0], hosts[1]);
        world.start(a);
        world.start(b);
        world.run_for(secs(1));
        // A message to somebody near opens a session, even when the disk then refuses it.
        world.set_room(a, Some(0));
        let refused = world.say(a, b);
        world.run_until(secs(2), |world| world.are_joined(a, b));
        world.run_for(secs(1));
        assert!(world.is_refused(refused));
        world.run_for(IDLE_CLOSE + secs(2));
        assert!(!world.are_joined(a, b), "nobody needs it");
        let dials = world.dials();
        world.run_for(mins(10));
        assert_eq!(world.dials(), dials);
        world.set_room(a, None);
        let mark = world.say(a, b);
        world.run_until(secs(2), |world| world.is_told_delivered(mark));
        world.settle();
    });
}

#[test]
fn a_cloned_identity_is_noticed_and_calms_down() {
    explore("a_cloned_identity_is_noticed_and_calms_down", 20, |world| {
        let (a, b) = world.couple();
        let clone = world.clone_of(b);
        world.start(clone);
        world.run_for(mins(10));
        let told = |host| {
            let is_clone = |kind: &&EventKind| matches!(kind, EventKind::Notice { code, .. } if code == "cloned_identity");
            world.notices(host).into_iter().filter(is_clone).count()
        };
        assert!(told(b) > 0 && told(clone) > 0, "a clone does not say so");
        assert!(
            world.dials() < 100,
            "{} dials in ten minutes",
            world.dials()
        );
        for _ in 0..20 {
            world.say(a, b);
            world.say(b, a);
            world.say(clone, a);
            world.run_for(secs(20));
        }
        world.crash(clone, Crash::Kill);
        world.retire(clone);
        world.settle();
    });
}

#[test]
fn contacts_find_room_among_strangers() {
    explore("contacts_find_room_among_strangers", 1, |world| {
        let hosts = world.hosts(2);
        let (a, friend) = (hosts[0], hosts[1]);
        world.befriend(a, friend);
        world.start(a);
        let mut crowd = Vec::new();
        for stranger in world.hosts(STRANGER_SESSIONS_MAX + 20) {
            world.possess(stranger);
            let conn = world.puppet_meet(stranger, a);
            crowd.push((stranger, conn));
            world.run_for(ms(20));
        }
        let open = crowd
            .iter()
            .filter(|(stranger, conn)| world.is_open(*stranger, *conn))
            .count();
        assert_eq!(open, STRANGER_SESSIONS_MAX);
        world.start(friend);
        world.run_until(secs(2), |world| world.are_joined(a, friend));
        for (stranger, conn) in crowd {
            world.puppet_close(stranger, conn);
        }
        world.run_for(secs(5));
        assert_eq!(
            world.peers_in_memory(a),
            1,
            "strangers who left are forgotten"
        );
    });
}

#[test]
fn no_more_sessions_than_the_limit() {
    explore("no_more_sessions_than_the_limit", 1, |world| {
        let hosts = world.hosts(1);
        let a = hosts[0];
        let friends = world.hosts(SESSIONS_MAX + 10);
        for friend in &friends {
            world.befriend(a, *friend);
            world.possess(*friend);
            world.let_greet(*friend);
        }
        world.options(a).discovery = false;
        world.rings_max = 2000;
        world.start(a);
        world.run_for(mins(2));
        let answer = world.ask(a, Command::Status).expect("a status");
        let hallway_model::Answer::Status(status) = answer else {
            panic!("{answer:?} is no status");
        };
        assert_eq!(status.sessions, SESSIONS_MAX);
    });
}
