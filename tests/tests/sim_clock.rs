//! Clocks that jump.

use hallway_proto::limits::SESSION_LIFETIME;
use hallway_tests::sim::{Crash, explore, mins, ms, secs};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

#[test]
fn a_wall_clock_may_say_anything() {
    explore("a_wall_clock_may_say_anything", 40, |world| {
        let (a, b) = world.couple();
        for _ in 0..20 {
            let host = world.pick(&[a, b]);
            let jump = world.pick(&[
                -60 * YEAR_MS,
                -YEAR_MS,
                -1,
                1,
                3_600_000,
                500 * YEAR_MS,
                i64::MAX,
            ]);
            world.jump_wall(host, jump);
            let before = world.dials();
            let marks = [world.say(a, b), world.say(b, a)];
            world.run_until(secs(2), |world| {
                marks.iter().all(|mark| world.is_told_delivered(*mark))
            });
            assert_eq!(world.dials(), before, "time of day ended a session");
            if world.chance(200_000) {
                world.crash(host, Crash::Power);
                world.start(host);
                world.run_until(secs(20), |world| world.are_joined(a, b));
            }
        }
        world.settle();
    });
}

#[test]
fn a_suspended_host_comes_back() {
    explore("a_suspended_host_comes_back", 60, |world| {
        let (a, b) = world.couple();
        for _ in 0..6 {
            let long = world.pick(&[
                secs(2),
                secs(11),
                secs(50),
                SESSION_LIFETIME,
                mins(1_000_000),
            ]);
            let host = world.pick(&[a, b]);
            world.say(a, b);
            world.say(b, a);
            let pause = world.between(ms(0), ms(3));
            world.run_for(pause);
            world.sleep(host, long);
            let marks = [world.say(a, b), world.say(b, a)];
            world.run_until(secs(50), |world| {
                marks.iter().all(|mark| world.is_told_delivered(*mark))
            });
            let pause = world.between(ms(0), secs(20));
            world.run_for(pause);
        }
        world.settle();
    });
}

#[test]
fn a_day_of_two_idle_hosts() {
    explore("a_day_of_two_idle_hosts", 1, |world| {
        let (a, b) = world.couple();
        let before = [(a, b), (b, a)].map(|(one, other)| world.presence_changes(one, other));
        world.run_for(mins(24 * 60));
        let after = [(a, b), (b, a)].map(|(one, other)| world.presence_changes(one, other));
        assert_eq!(before, after);
        assert!(
            (20..=30).contains(&world.dials()),
            "{} dials, one an hour is due",
            world.dials()
        );
        world.settle();
    });
}
