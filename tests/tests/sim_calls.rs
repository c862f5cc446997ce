//! Calls: named scenarios, and random lives in which people call each other.

use hallway_model::{CallEnd, CallState, Command};
use hallway_tests::sim::{Crash, Host, World, explore, ms, secs, swarm_with_calls};

/// Two contacts in a call; the first has called.
fn in_call(world: &mut World) -> (Host, Host) {
    let (a, b) = world.couple();
    world.call(a, b);
    world.run_until(secs(5), |world| world.is_in_call(b, CallState::Ringing));
    world.command(b, Command::Answer(None));
    world.run_until(secs(5), |world| {
        is_talking(world, a) && is_talking(world, b)
    });
    world.run_for(secs(3));
    (a, b)
}

fn is_talking(world: &World, host: Host) -> bool {
    world.is_in_call(host, CallState::Active)
}

fn is_over(world: &World, host: Host) -> bool {
    world.calls(host).is_empty()
}

#[test]
fn whatever_happens_calls_are_one_and_end_once() {
    let test = "whatever_happens_calls_are_one_and_end_once";
    explore(test, 1_000, swarm_with_calls);
}

#[test]
fn both_calling_at_once_talk_in_one_call() {
    explore("both_calling_at_once_talk_in_one_call", 300, |world| {
        let (a, b) = world.couple();
        world.call(a, b);
        let apart = world.between(ms(0), ms(20));
        world.later(apart, move |world| {
            world.call(b, a);
        });
        world.run_until(secs(5), |world| {
            is_talking(world, a) && is_talking(world, b)
        });
        assert_eq!(world.calls(a)[0].id, world.calls(b)[0].id);
        world.command(a, Command::HangUp(None));
        world.run_until(secs(2), |world| is_over(world, a) && is_over(world, b));
        world.settle();
        world.check_records();
    });
}

#[test]
fn a_call_survives_the_loss_of_its_session() {
    explore("a_call_survives_the_loss_of_its_session", 100, |world| {
        let (a, b) = in_call(world);
        for _ in 0..3 {
            world.reset_some();
            let pause = world.between(ms(1), secs(20));
            world.run_for(pause);
        }
        assert!(is_talking(world, a) && is_talking(world, b));
        world.command(b, Command::HangUp(None));
        world.run_until(secs(20), |world| is_over(world, a));
        for host in [a, b] {
            assert_eq!(world.call_ends(host), [CallEnd::HungUp]);
        }
        world.settle();
        world.check_records();
    });
}

#[test]
fn a_side_that_dies_is_given_up_by_the_other() {
    explore("a_side_that_dies_is_given_up_by_the_other", 100, |world| {
        let (a, b) = in_call(world);
        let (dies, stays) = if world.chance(500_000) {
            (a, b)
        } else {
            (b, a)
        };
        let how = if world.chance(500_000) {
            Crash::Kill
        } else {
            Crash::Power
        };
        world.crash(dies, how);
        world.run_for(secs(10));
        assert!(!is_over(world, stays), "it may come back");
        world.run_until(secs(16), |world| is_over(world, stays));
        assert_eq!(world.call_ends(stays), [CallEnd::Lost]);
        world.settle();
        world.check_records();
    });
}

#[test]
fn a_side_that_comes_right_back_has_lost_the_call() {
    explore(
        "a_side_that_comes_right_back_has_lost_the_call",
        100,
        |world| {
            let (a, b) = in_call(world);
            let (dies, stays) = if world.chance(500_000) {
                (a, b)
            } else {
                (b, a)
            };
            world.crash(dies, Crash::Kill);
            world.start(dies);
            world.run_until(secs(30), |world| is_over(world, stays));
            assert!(is_over(world, dies), "no call begins again");
            world.settle();
            world.check_records();
        },
    );
}

#[test]
fn a_wire_that_is_cut_ends_the_call_on_both_sides() {
    explore(
        "a_wire_that_is_cut_ends_the_call_on_both_sides",
        100,
        |world| {
            let (a, b) = in_call(world);
            world.part(a, b);
            world.run_for(secs(8));
            assert!(!is_over(world, a) && !is_over(world, b));
            world.run_until(secs(20), |world| is_over(world, a) && is_over(world, b));
            for host in [a, b] {
                assert_eq!(world.call_ends(host), [CallEnd::Lost]);
            }
            world.join(a, b);
            world.settle();
            world.check_records();
        },
    );
}
