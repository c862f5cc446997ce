//! Disks that are full, failing or slow, and crashes at every point at which something is kept.

use hallway_model::{Command, EventKind};
use hallway_proto::limits::STORAGE_RETRY;
use hallway_tests::sim::{Crash, Host, Mark, World, explore, mins, ms, secs};

fn all_arrived(world: &World, marks: &[Mark]) -> bool {
    marks.iter().all(|mark| world.is_told_delivered(*mark))
}

#[test]
fn a_full_disk_of_the_author_refuses_and_later_takes() {
    explore(
        "a_full_disk_of_the_author_refuses_and_later_takes",
        50,
        |world| {
            let (a, b) = world.couple();
            world.set_room(a, Some(3));
            // In bursts, so that some wait for the disk when others fail.
            let mut marks = Vec::new();
            for _ in 0..20 {
                let burst = world.range(1..4);
                marks.extend((0..burst).map(|_| world.say(a, b)));
                let pause = world.between(ms(0), ms(3));
                world.run_for(pause);
            }
            world.run_for(secs(1));
            let refused = marks.iter().filter(|mark| world.is_refused(**mark)).count();
            assert!(
                refused >= marks.len() - 3,
                "{refused} of {} refused",
                marks.len()
            );
            assert!(is_told(world, a, "disk_full"));
            world.set_room(a, None);
            let later = [world.say(a, b), world.say(a, b)];
            world.run_until(secs(2), |world| all_arrived(world, &later));
            world.settle();
            for mark in marks {
                assert_eq!(world.arrived(mark), world.is_promised(mark));
            }
        },
    );
}

#[test]
fn a_full_disk_of_the_receiver_holds_and_loses_nothing() {
    explore(
        "a_full_disk_of_the_receiver_holds_and_loses_nothing",
        50,
        |world| {
            let (a, b) = world.couple();
            let room = world.range(0..10);
            world.set_room(b, usize::try_from(room).ok());
            let mut marks = Vec::new();
            for _ in 0..40 {
                marks.push(world.say_anything(a, b));
                let pause = world.between(ms(0), ms(3));
                world.run_for(pause);
            }
            // Tried again and again meanwhile, at most once in each ten seconds.
            let before = world.handed(b);
            world.run_for(mins(2));
            assert!(is_told(world, b, "disk_full"));
            let often = u64::from(world.handed(b) - before);
            let tries = 120 / STORAGE_RETRY.as_secs();
            assert!(
                often < 20 * tries,
                "{often} requests and writes in two minutes"
            );
            world.set_room(b, None);
            world.run_until(STORAGE_RETRY + secs(2), |world| all_arrived(world, &marks));
            world.settle();
        },
    );
}

#[test]
fn a_failing_disk_takes_nothing_back_that_was_told() {
    explore(
        "a_failing_disk_takes_nothing_back_that_was_told",
        100,
        |world| {
            let (a, b) = world.couple();
            world.commit_us = 500..20_000;
            for round in 0..6 {
                let failing = if round % 2 == 0 { a } else { b };
                for _ in 0..world.range(1..6) {
                    world.say(a, b);
                    world.say_anything(b, a);
                }
                let pause = world.between(ms(0), ms(30));
                world.run_for(pause);
                world.set_failing(failing, true);
                for _ in 0..world.range(1..20) {
                    world.say(a, b);
                    world.say(b, a);
                    world.read_up_to(a, b, 1000);
                    let pause = world.between(ms(0), ms(20));
                    world.run_for(pause);
                }
                let pause = world.between(ms(0), secs(15));
                world.run_for(pause);
                world.set_failing(failing, false);
            }
            world.settle();
        },
    );
}

#[test]
fn a_disk_that_fails_now_and_then() {
    explore("a_disk_that_fails_now_and_then", 100, |world| {
        let (a, b) = world.couple();
        world.commit_us = 500..5_000;
        for _ in 0..60 {
            let flaky = world.pick(&[a, b]);
            world.set_failing(flaky, true);
            let long = world.between(ms(0), ms(10));
            world.later(long, move |world| world.set_failing(flaky, false));
            world.say(a, b);
            world.say(b, a);
            let pause = world.between(ms(0), ms(40));
            world.run_for(pause);
        }
        world.settle();
    });
}

#[test]
fn a_change_that_is_refused_is_undone() {
    explore("a_change_that_is_refused_is_undone", 20, |world| {
        let (a, b) = world.couple();
        let peer = world.id(b);
        let before = world.record(a, b).cloned();
        world.run_for(secs(1));
        world.set_failing(a, true);
        let commands = [
            Command::Block(peer),
            Command::Unblock(peer),
            Command::Accept(peer),
            Command::Block(peer),
            Command::Forget(peer),
        ];
        for command in commands {
            assert!(world.ask(a, command).is_err());
            let pause = world.between(ms(0), ms(2));
            world.run_for(pause);
        }
        let both = [Command::Block(peer), Command::KeepName(peer)];
        let both = both.map(|command| world.command(a, command));
        world.run_for(secs(1));
        assert!(
            both.iter()
                .all(|id| world.answer(a, *id).is_some_and(Result::is_err))
        );
        world.set_failing(a, false);
        let mark = world.say(a, b);
        world.run_until(secs(30), |world| world.is_told_delivered(mark));
        world.settle();
        let (before, after) = (
            before.expect("a contact"),
            world.record(a, b).expect("a contact"),
        );
        assert_eq!(
            (before.blocked, before.relation),
            (after.blocked, after.relation)
        );
    });
}

/// What the crash tests do: enough that both have something in every stage.
fn busy(world: &mut World, a: Host, b: Host) {
    for round in 0..4 {
        world.say(a, b);
        world.say_anything(b, a);
        world.say(a, b);
        let pause = world.between(ms(0), ms(4));
        world.run_for(pause);
        if round == 1 {
            world.read_up_to(b, a, 2);
        }
    }
    world.run_for(ms(50));
}

#[test]
fn a_crash_at_every_point_loses_nothing() {
    // How many things are handed over varies with the seed; the points are those of each.
    explore("a_crash_at_every_point_loses_nothing", 6, |world| {
        let seed = world.seed();
        let points = [0, 1].map(|victim| {
            let mut world = World::new(seed, false);
            let (a, b) = world.couple();
            let victim = [a, b][victim];
            let before = world.handed(victim);
            busy(&mut world, a, b);
            world.handed(victim) - before
        });
        for (victim, points) in points.into_iter().enumerate() {
            assert!(points > 8, "only {points} points");
            for point in 1..=points {
                crash_at(seed, victim, point);
            }
        }
    });
}

fn crash_at(seed: u64, victim: usize, point: u32) {
    let mut world = World::new(seed, false);
    let (a, b) = world.couple();
    let victim = [a, b][victim];
    world.crash_after(victim, point);
    busy(&mut world, a, b);
    world.run_for(ms(500));
    world.settle();
}

#[test]
fn a_message_written_while_the_outbox_is_read_is_not_skipped() {
    // A number that a repeated request left unused is looked for on disk, and nothing is found;
    // what is written in that moment comes after it.
    explore(
        "a_message_written_while_the_outbox_is_read_is_not_skipped",
        200,
        |world| {
            let (a, b) = world.couple();
            world.crash(b, Crash::Kill);
            let (peer, mark) = (world.id(b), world.mark());
            let again = move |world: &mut World| {
                world.say_with(a, peer, mark.text(), Some("the same".into()));
            };
            again(world);
            world.run_for(ms(20));
            world.crash(a, Crash::Power);
            world.start(a);
            again(world);
            world.run_for(ms(20));
            world.start(b);
            world.run_until(secs(10), |world| world.arrived(mark));
            for _ in 0..40 {
                world.say(a, b);
                let pause = world.between(ms(0), ms(1));
                world.run_for(pause);
            }
            world.settle();
        },
    );
}

#[test]
fn crashes_one_after_the_other_lose_nothing() {
    explore("crashes_one_after_the_other_lose_nothing", 60, |world| {
        let (a, b) = world.couple();
        for _ in 0..15 {
            let victim = world.pick(&[a, b]);
            let point = u32::try_from(world.range(1..12)).expect("a small number");
            world.crash_after(victim, point);
            busy(world, a, b);
            if world.is_off(victim) {
                world.start(victim);
            }
        }
        world.settle();
    });
}

#[test]
fn both_lose_power_at_once() {
    explore("both_lose_power_at_once", 60, |world| {
        let (a, b) = world.couple();
        for _ in 0..5 {
            busy(world, a, b);
            world.say(a, b);
            world.say(b, a);
            let pause = world.between(ms(0), ms(4));
            world.run_for(pause);
            world.crash(a, Crash::Power);
            world.crash(b, Crash::Power);
            let pause = world.between(ms(0), secs(20));
            world.run_for(pause);
            world.start(a);
            world.start(b);
        }
        world.settle();
    });
}

fn is_told(world: &World, host: Host, what: &str) -> bool {
    let notices = world.notices(host);
    let is_it = |kind: &&EventKind| matches!(kind, EventKind::Notice { code, .. } if code == what);
    notices.iter().any(is_it)
}

#[test]
fn an_outbox_that_cannot_be_read_is_read_later() {
    explore("an_outbox_that_cannot_be_read_is_read_later", 20, |world| {
        let (a, b) = world.couple();
        world.crash(b, Crash::Kill);
        let marks: Vec<Mark> = (0..20).map(|_| world.say(a, b)).collect();
        world.run_for(secs(1));
        world.crash(a, Crash::Power);
        world.set_failing(a, true);
        world.start(a);
        world.start(b);
        world.run_until(secs(5), |world| world.are_joined(a, b));
        let before = world.handed(a);
        world.run_for(mins(1));
        assert!(marks.iter().all(|mark| !world.arrived(*mark)));
        assert!(world.handed(a) - before < 100, "it reads again and again");
        world.set_failing(a, false);
        world.run_until(STORAGE_RETRY + secs(1), |world| all_arrived(world, &marks));
        world.settle();
    });
}
