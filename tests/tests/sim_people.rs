//! People: strangers, requests, blocks, names that are alike, read marks, edits, forgetting.

use hallway_model::{
    Answer, Command, EventKind, OUTBOX_MAX, Problem, REQUEST_MESSAGES_MAX, REQUESTS_MAX, Relation,
};
use hallway_tests::sim::{Crash, Host, Mark, World, explore, mins, ms, secs};

fn strangers(world: &mut World) -> (Host, Host) {
    let hosts = world.hosts(2);
    for host in &hosts {
        world.start(*host);
    }
    world.run_for(secs(1));
    if world.seed().is_multiple_of(2) {
        (hosts[0], hosts[1])
    } else {
        (hosts[1], hosts[0])
    }
}

fn arrived(world: &World, marks: &[Mark]) -> usize {
    marks.iter().filter(|mark| world.arrived(**mark)).count()
}

fn requests(world: &World, host: Host) -> usize {
    let notices = world.notices(host);
    notices
        .iter()
        .filter(|kind| matches!(kind, EventKind::Request { .. }))
        .count()
}

#[test]
fn a_stranger_leaves_three_messages_and_the_rest_after_accept() {
    explore(
        "a_stranger_leaves_three_messages_and_the_rest_after_accept",
        60,
        |world| {
            let (stranger, b) = strangers(world);
            let mut marks = Vec::new();
            let one_burst = world.chance(500_000);
            for _ in 0..12 {
                marks.push(world.say(stranger, b));
                if !one_burst {
                    let pause = world.between(ms(0), secs(1));
                    world.run_for(pause);
                }
            }
            // Accepted at once, or after breaks in which messages come again.
            let soon = world.chance(500_000);
            if !soon {
                world.run_for(secs(20));
                let most = usize::try_from(REQUEST_MESSAGES_MAX).expect("a small number");
                assert_eq!(arrived(world, &marks), most);
                assert_eq!(requests(world, b), 1, "one request");
                world.crash(b, Crash::Power);
                world.start(b);
                world.reset_some();
                world.run_for(secs(60));
                assert_eq!(arrived(world, &marks), most);
                assert_eq!(requests(world, b), 1, "it is not told of again");
            }
            let peer = world.id(stranger);
            world.run_until(secs(10), |world| world.record(b, stranger).is_some());
            world.ask(b, Command::Accept(peer)).expect("accepted");
            world.run_until(secs(20), |world| arrived(world, &marks) == marks.len());
            let answer = world.say(b, stranger);
            world.run_until(secs(5), |world| world.is_told_delivered(answer));
            world.settle();
        },
    );
}

#[test]
fn a_request_is_accepted_while_messages_are_on_their_way() {
    // What had left before the stranger knew that it is held back does not overtake what was.
    explore(
        "a_request_is_accepted_while_messages_are_on_their_way",
        100,
        |world| {
            let (stranger, b) = strangers(world);
            world.weather.latency_us = 20_000..40_000;
            let marks: Vec<Mark> = (0..10).map(|_| world.say(stranger, b)).collect();
            world.run_until(secs(10), |world| arrived(world, &marks) == 3);
            for _ in 0..20 {
                world.say(stranger, b);
                let pause = world.between(ms(0), ms(5));
                world.run_for(pause);
            }
            let peer = world.id(stranger);
            world.command(b, Command::Accept(peer));
            for _ in 0..20 {
                world.say(stranger, b);
                let pause = world.between(ms(0), ms(5));
                world.run_for(pause);
            }
            let dials = world.dials();
            world.settle();
            assert_eq!(world.dials(), dials, "the session broke");
        },
    );
}

#[test]
fn no_more_requests_than_the_limit() {
    explore("no_more_requests_than_the_limit", 2, |world| {
        let a = world.hosts(1)[0];
        world.start(a);
        let crowd = world.hosts(REQUESTS_MAX + 5);
        for stranger in &crowd {
            world.start(*stranger);
            world.say(*stranger, a);
            world.say(*stranger, a);
            world.run_for(ms(200));
        }
        world.run_for(secs(5));
        assert_eq!(requests(world, a), REQUESTS_MAX);
        // Deciding about one makes room for another.
        let first = world.id(crowd[0]);
        world.ask(a, Command::Block(first)).expect("blocked");
        world.reset_some();
        for stranger in &crowd[REQUESTS_MAX..] {
            world.crash(*stranger, Crash::Kill);
            world.start(*stranger);
        }
        world.run_for(secs(5));
        assert_eq!(requests(world, a), REQUESTS_MAX + 1);
    });
}

#[test]
fn a_blocked_peer_gets_nothing_in_and_calms_down() {
    explore(
        "a_blocked_peer_gets_nothing_in_and_calms_down",
        20,
        |world| {
            let (a, b) = world.couple();
            let (peer, me) = (world.id(b), world.id(a));
            let before = world.say(b, a);
            world.run_until(secs(1), |world| world.is_told_delivered(before));
            world.ask(a, Command::Block(peer)).expect("blocked");
            let kept = [world.say(b, a), world.say(b, a)];
            let refused = world.say(a, b);
            world.run_for(mins(5));
            assert!(world.is_refused(refused));
            assert_eq!(arrived(world, &kept), 0);
            let dials = world.dials();
            world.run_for(mins(10));
            assert!(
                world.dials() - dials <= 6,
                "{} dials in ten minutes",
                world.dials() - dials
            );
            let view = world.ask(a, Command::Resolve(peer.to_string()));
            assert!(matches!(view, Ok(Answer::Peer(view)) if view.blocked));
            // Both block: still nothing, and peace after both undo it.
            world.ask(b, Command::Block(me)).expect("blocked");
            world.run_for(mins(3));
            world.ask(a, Command::Unblock(peer)).expect("unblocked");
            world.run_for(secs(10));
            assert_eq!(arrived(world, &kept), 0);
            world.ask(b, Command::Unblock(me)).expect("unblocked");
            world.run_until(mins(3), |world| arrived(world, &kept) == 2);
            world.settle();
        },
    );
}

#[test]
fn an_impostor_of_a_verified_contact_stops_sending_until_decided() {
    explore(
        "an_impostor_of_a_verified_contact_stops_sending_until_decided",
        20,
        |world| {
            let hosts = world.hosts(3);
            let (a, bo, impostor) = (hosts[0], hosts[1], hosts[2]);
            world.befriend(a, bo);
            world.name(bo, "Bo");
            // A Cyrillic letter that looks like the Latin one.
            world.name(impostor, "B\u{43e}");
            world.start(a);
            world.start(bo);
            world.run_until(secs(5), |world| world.is_live(a, bo));
            let peer = world.id(bo);
            let number = match world.ask(a, Command::Verify { peer, number: None }) {
                Ok(Answer::Verify(view)) => view.safety_number,
                other => panic!("{other:?}"),
            };
            let verify = Command::Verify {
                peer,
                number: Some(number),
            };
            world.ask(a, verify).expect("the numbers are the same");
            world.start(impostor);
            let lure = world.say(impostor, a);
            world.run_until(secs(5), |world| world.arrived(lure));
            world.run_for(secs(1));
            let collides = |kind: &&EventKind| matches!(kind, EventKind::NameCollision { .. });
            assert_eq!(world.notices(a).into_iter().filter(collides).count(), 1);
            let (to_bo, to_impostor) = (world.say(a, bo), world.id(impostor));
            world.run_for(secs(1));
            assert!(world.is_refused(to_bo));
            // What Bo says still comes, and a restart changes nothing.
            let from_bo = world.say(bo, a);
            world.run_until(secs(1), |world| world.is_told_delivered(from_bo));
            world.crash(a, Crash::Power);
            world.start(a);
            let still = world.say(a, bo);
            world.run_for(secs(1));
            assert!(world.is_refused(still));
            let decision = match world.range(0..3) {
                0 => Command::KeepName(peer),
                1 => Command::Block(to_impostor),
                _ => Command::Forget(to_impostor),
            };
            world.ask(a, decision).expect("decided");
            let mark = world.say(a, bo);
            world.run_until(secs(60), |world| world.is_told_delivered(mark));
            world.settle();
        },
    );
}

#[test]
fn two_peers_with_one_name_stay_two() {
    explore("two_peers_with_one_name_stay_two", 20, |world| {
        let hosts = world.hosts(3);
        let (a, one, other) = (hosts[0], hosts[1], hosts[2]);
        for host in [one, other] {
            world.befriend(a, host);
            world.name(host, "Bo");
        }
        for host in &hosts {
            world.start(*host);
        }
        world.run_until(secs(5), |world| {
            world.is_live(a, one) && world.is_live(a, other)
        });
        let refusal = world
            .ask(a, Command::Resolve("Bo".into()))
            .expect_err("two are called Bo");
        assert_eq!(refusal.problem, Problem::AmbiguousName);
        assert_eq!(refusal.candidates, [world.id(one), world.id(other)]);
        let marks = [world.say(a, one), world.say(a, other)];
        world.run_until(secs(2), |world| {
            marks.iter().all(|mark| world.is_told_delivered(*mark))
        });
        world.settle();
    });
}

#[test]
fn what_was_read_is_told_and_kept() {
    explore("what_was_read_is_told_and_kept", 60, |world| {
        let (a, b) = world.couple();
        for round in 0..8 {
            for _ in 0..3 {
                world.say(a, b);
            }
            let pause = world.between(ms(0), ms(20));
            world.run_for(pause);
            let seq = world.range(1..30);
            world.read_up_to(b, a, seq);
            match world.range(0..4) {
                0 => world.reset_some(),
                1 if round % 3 == 0 => {
                    let victim = world.pick(&[a, b]);
                    world.crash(victim, Crash::Power);
                    world.start(victim);
                }
                _ => {}
            }
            let pause = world.between(ms(0), secs(3));
            world.run_for(pause);
        }
        world.settle();
        world.read_up_to(b, a, u64::MAX);
        world.run_for(secs(2));
        let (ours, theirs) = (world.record(b, a), world.record(a, b));
        let read = ours.map(|record| record.read_by_us);
        assert!(read > Some(0));
        assert_eq!(theirs.map(|record| record.read_by_them), read);
    });
}

#[test]
fn thousands_of_messages_are_read_one_by_one() {
    // A face that marks each message as read does not break the session with it.
    explore("thousands_of_messages_are_read_one_by_one", 2, |world| {
        let (a, b) = world.couple();
        let dials = world.dials();
        for _ in 1..2_000 {
            world.say(a, b);
        }
        world.run_for(secs(2));
        for seq in 1..2_000 {
            world.read_up_to(b, a, seq);
            if seq % 20 == 0 {
                world.run_for(ms(5));
            }
        }
        world.run_for(secs(5));
        assert_eq!(world.dials(), dials, "the session broke");
        world.read_up_to(b, a, u64::MAX);
        world.run_for(secs(2));
        let theirs = world.record(a, b).map(|record| record.read_by_them);
        assert_eq!(theirs, Some(1_999));
        world.settle();
    });
}

#[test]
fn typing_is_shown_and_ends_by_itself() {
    explore("typing_is_shown_and_ends_by_itself", 10, |world| {
        let (a, b) = world.couple();
        let (me, peer) = (world.id(a), world.id(b));
        world.run_for(secs(1));
        world.command(a, Command::Typing(peer));
        world.run_for(secs(1));
        let typing = |world: &mut World| match world.ask(b, Command::Resolve(me.to_string())) {
            Ok(Answer::Peer(view)) => view.typing,
            other => panic!("{other:?}"),
        };
        assert!(typing(world));
        world.run_for(secs(7));
        assert!(!typing(world));
        // A thousand words a second are told once in three seconds.
        let dials = world.dials();
        for _ in 0..2_000 {
            world.command(a, Command::Typing(peer));
            world.run_for(ms(1));
        }
        assert!(typing(world));
        world.say(a, b);
        world.run_for(secs(1));
        assert!(!typing(world), "the message is there");
        assert_eq!(world.dials(), dials);
    });
}

#[test]
fn forgetting_somebody_starts_anew() {
    explore("forgetting_somebody_starts_anew", 60, |world| {
        let (a, b) = world.couple();
        let (me, peer) = (world.id(a), world.id(b));
        for _ in 0..5 {
            world.say(a, b);
            world.say(b, a);
            let pause = world.between(ms(0), ms(3));
            world.run_for(pause);
        }
        let forget = world.command(a, Command::Forget(peer));
        let (early, late) = (world.say(a, b), world.between(ms(0), ms(8)));
        world.run_for(late);
        world.say(a, b);
        world.run_until(secs(1), |world| world.answer(a, forget).is_some());
        assert!(!world.is_promised(early) || world.arrived(early) || world.is_refused(early));
        world.run_for(secs(30));
        // Both write again: whoever forgot counts from 1.
        let mark = world.say(a, b);
        world.run_until(mins(3), |world| world.arrived(mark));
        world.run_for(secs(5));
        let answer = world.say(b, a);
        world.run_until(mins(3), |world| world.arrived(answer));
        assert_eq!(
            world.record(a, b).map(|r| r.relation),
            Some(Relation::Contact)
        );
        assert_eq!(world.record(b, a).map(|r| r.id), Some(me));
        world.settle();
    });
}

#[test]
fn an_outbox_has_a_limit() {
    explore("an_outbox_has_a_limit", 1, |world| {
        let (a, b) = world.couple();
        world.crash(b, Crash::Kill);
        world.commit_us = 10..20;
        for n in 0..=OUTBOX_MAX {
            let mark = world.say(a, b);
            if n % 1000 == 0 || n == OUTBOX_MAX {
                world.run_for(ms(20));
                assert_eq!(world.is_refused(mark), n == OUTBOX_MAX, "message {n}");
            }
        }
    });
}
