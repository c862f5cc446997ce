//! Two contacts in fair weather.

use hallway_tests::sim::{explore, secs};

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
