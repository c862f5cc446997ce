//! Two contacts in fair weather.

use hallway_tests::sim::{World, explore, secs, swarm};

#[test]
fn what_one_says_the_other_gets() {
    explore("what_one_says_the_other_gets", 20, |world| {
        let (a, b) = world.couple();
        let marks = [world.say(a, b), world.say(b, a), world.say_anything(a, b)];
        world.run_until(secs(2), |world| {
            marks.iter().all(|mark| world.is_told_delivered(*mark))
        });
        world.settle();
    });
}

#[test]
fn a_seed_always_gives_the_same_run() {
    explore("a_seed_always_gives_the_same_run", 20, |world| {
        let seed = world.seed();
        let mut again = World::new(seed, false);
        for world in [&mut *world, &mut again] {
            swarm(world);
        }
        assert_eq!(world.elapsed(), again.elapsed());
        assert_eq!(world.digest(), again.digest());
    });
}
