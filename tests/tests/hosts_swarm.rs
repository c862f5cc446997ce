//! One file to many: it leaves its sender little more than once, whoever comes, goes or cannot be
//! reached.

use hallway_tests::crowd::Crowd;
use hallway_tests::files::{transfer, until_moved};
use hallway_tests::lan_tests;

lan_tests![
    eight_receivers_cost_the_sender_little_more_than_one,
    receivers_that_cannot_reach_each_other_have_the_sender,
    who_comes_late_is_helped_and_who_is_killed_holds_nobody_up,
];

#[expect(clippy::cast_precision_loss, reason = "a ratio needs no more digits")]
fn eight_receivers_cost_the_sender_little_more_than_one() {
    let crowd = Crowd::of(8);
    crowd.lan.rate(0, Some(6_000_000));
    let bytes = 48 << 20;
    let before = crowd.lan.payload_sent(0);
    let ids = crowd.offer(bytes, &[0, 1, 2, 3, 4, 5, 6, 7]);
    // Each has a card of its own.
    for (to, id) in ids.iter().enumerate() {
        let card = transfer(&crowd.ann, id).expect("it is listed");
        assert_eq!(card["peer"], crowd.receivers[to].id());
    }
    for (to, id) in ids.iter().enumerate() {
        crowd.until_done(to, id);
    }
    let copies = (crowd.lan.payload_sent(0) - before) as f64 / bytes as f64;
    assert!((1.0..=2.5).contains(&copies), "{copies}");
}

fn receivers_that_cannot_reach_each_other_have_the_sender() {
    let crowd = Crowd::of(3);
    for host in 1..=3 {
        crowd.lan.isolate(host, true);
    }
    let ids = crowd.offer(16 << 20, &[0, 1, 2]);
    for (to, id) in ids.iter().enumerate() {
        crowd.until_done(to, id);
    }
}

fn who_comes_late_is_helped_and_who_is_killed_holds_nobody_up() {
    let crowd = Crowd::of(4);
    crowd.receivers[3].stop();
    crowd.lan.rate(0, Some(4_000_000));
    let ids = crowd.offer(32 << 20, &[0, 1, 2, 3]);
    until_moved(&crowd.receivers[1], &ids[1], 8 << 20);
    // What it was given and has not passed on is lost to the others for now.
    crowd.receivers[0].kill();
    crowd.until_done(1, &ids[1]);
    crowd.until_done(2, &ids[2]);
    crowd.receivers[3].up();
    crowd.receivers[0].up();
    crowd.until_done(3, &ids[3]);
    crowd.until_done(0, &ids[0]);
}
