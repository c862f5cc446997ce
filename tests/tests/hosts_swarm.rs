//! One file to many: it leaves its sender little more than once, whoever comes, goes or cannot be
//! reached.

use hallway_tests::crowd::Crowd;
use hallway_tests::files::{accept, downloads, transfer, until_moved};
use hallway_tests::host::{Host, PATIENCE};
use hallway_tests::lan_tests;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

lan_tests![
    eight_receivers_cost_the_sender_little_more_than_one,
    receivers_that_cannot_reach_each_other_have_the_sender,
    who_comes_late_is_helped_and_who_is_killed_holds_nobody_up,
    a_receiver_with_other_bytes_is_asked_once_and_believed_never,
    a_receiver_that_says_it_has_what_it_has_not_costs_only_time,
    a_receiver_that_hangs_is_left,
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

/// Bytes of the file that Eve has and Bo wants.
const BYTES: usize = 24 << 20;
/// One group and what says so.
const GROUP: u64 = 1 << 20;

/// Eve has all of it, and Bo has been offered it: the sender will give Bo little but hashes while
/// there is hope that Eve gives the rest. Returns the id of Bo's transfer.
fn eve_is_before_bo(crowd: &Crowd) -> String {
    crowd.receivers[1].one(&["files", "limit", "0", "--json"]);
    let ids = crowd.offer(BYTES, &[0, 1]);
    crowd.until_done(0, &ids[0]);
    // Slow enough that Bo hears of Eve before the sender has given much.
    crowd.lan.rate(0, Some(6_000_000));
    ids[1].clone()
}

/// Bo gets it in the end, and right.
fn until_bo_has_it(crowd: &Crowd, id: &str) {
    accept(&crowd.receivers[1], id);
    crowd.until_done(1, id);
}

fn a_receiver_with_other_bytes_is_asked_once_and_believed_never() {
    let crowd = Crowd::of(2);
    let id = eve_is_before_bo(&crowd);
    let place = downloads(&crowd.receivers[0]).join("disk.img");
    let disk = File::options().write(true).open(place).expect("it is hers");
    let modified = disk.metadata().and_then(|found| found.modified());
    for group in 0..BYTES as u64 / GROUP {
        let written = disk.write_all_at(b"something else", group * GROUP);
        written.expect("there is room");
    }
    // Otherwise her node would see that she has touched it, and keep it to itself.
    let set = disk.set_modified(modified.expect("Linux has times"));
    set.expect("it is hers");
    let before = crowd.lan.payload_sent(1);
    until_bo_has_it(&crowd, &id);
    let given = crowd.lan.payload_sent(1) - before;
    // What was on its way before the first was looked at.
    assert!((GROUP..8 * GROUP).contains(&given), "{given} bytes of lies");
}

fn a_receiver_that_says_it_has_what_it_has_not_costs_only_time() {
    let crowd = Crowd::of(2);
    let id = eve_is_before_bo(&crowd);
    let removed = fs::remove_file(downloads(&crowd.receivers[0]).join("disk.img"));
    removed.expect("it is hers");
    let before = crowd.lan.payload_sent(1);
    until_bo_has_it(&crowd, &id);
    let given = crowd.lan.payload_sent(1) - before;
    assert!(given < GROUP, "{given} bytes of excuses");
}

fn a_receiver_that_hangs_is_left() {
    let crowd = Crowd::of(2);
    let id = eve_is_before_bo(&crowd);
    // Slow enough to be caught in the middle of it.
    crowd.lan.rate(1, Some(4_000_000));
    let before = crowd.lan.payload_sent(1);
    let [eve, bo] = &crowd.receivers[..] else {
        panic!("there are two");
    };
    accept(bo, &id);
    bo.until("Eve gives some of it", PATIENCE, |_: &Host| {
        (crowd.lan.payload_sent(1) - before > 4 * GROUP).then_some(())
    });
    eve.freeze();
    crowd.until_done(1, &id);
    let given = crowd.lan.payload_sent(1) - before;
    assert!(given < BYTES as u64, "she had given all before: {given}");
}
