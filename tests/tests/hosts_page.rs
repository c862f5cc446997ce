//! The page in real browsers, between hosts; what happens there is in `tests/page/cases`.

use hallway_tests::files;
use hallway_tests::host::{Host, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::{page, page_tests, past};
use std::fs::File;

page_tests![
    two_people_meet_and_talk_in_two_languages,
    an_input_method_keeps_its_keys,
    what_was_begun_outlasts_a_reload_and_a_restart,
    files_are_dropped_and_pictures_pasted,
    a_hundred_thousand_messages_scroll,
    hostile_texts_stay_texts,
    everybody_can_use_every_screen,
    one_tab_is_live,
    a_window_gives_way_to_the_next,
    a_call_rings_is_answered_and_ends,
    a_bot_gets_a_token_and_loses_it,
    files_on_their_way_tell_how_they_stand,
    what_is_chosen_is_done_at_once,
    a_finger_reaches_what_can_be_done,
];

/// Two people who have not met.
fn strangers(case: &str) {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    page::run(case, &[&ann, &bo]);
}

/// Two people who write with each other.
fn contacts(case: &str) {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    page::run(case, &[&ann, &bo]);
}

fn two_people_meet_and_talk_in_two_languages() {
    strangers("meet");
}

fn an_input_method_keeps_its_keys() {
    contacts("compose");
}

fn what_was_begun_outlasts_a_reload_and_a_restart() {
    contacts("restart");
}

fn files_are_dropped_and_pictures_pasted() {
    let lan = Lan::of(3);
    let ann = Host::start(&lan, 0, "Ann");
    let (bo, cy) = (Host::start(&lan, 1, "Bo"), Host::start(&lan, 2, "Cy"));
    ann.befriend(&bo);
    ann.befriend(&cy);
    page::run("files", &[&ann, &bo, &cy]);
}

fn a_hundred_thousand_messages_scroll() {
    let lan = Lan::of(2);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let bo = Plan::new("Bo").prepare(&lan, 1);
    past::invent((&ann, "Ann"), (&bo, "Bo"), 100_000);
    ann.up();
    bo.up();
    page::run("crowd", &[&ann, &bo]);
}

fn hostile_texts_stay_texts() {
    contacts("hostile");
}

fn everybody_can_use_every_screen() {
    contacts("everybody");
}

fn one_tab_is_live() {
    contacts("tabs");
}

fn a_window_gives_way_to_the_next() {
    contacts("windows");
}

fn a_call_rings_is_answered_and_ends() {
    contacts("calls");
}

fn a_bot_gets_a_token_and_loses_it() {
    contacts("tokens");
}

fn what_is_chosen_is_done_at_once() {
    contacts("settings");
}

fn a_finger_reaches_what_can_be_done() {
    contacts("touch");
}

fn files_on_their_way_tell_how_they_stand() {
    let lan = Lan::of(2);
    // Slow enough for all of it to be seen on its way.
    lan.rate(0, Some(2_000_000));
    let ann = Host::start(&lan, 0, "Ann");
    let bo = Plan::new("Bo").disk(400 << 20).start(&lan, 1);
    ann.befriend(&bo);
    for number in 1..=5 {
        files::large_file(&ann, &format!("{number}.img"), 15_000_000, number);
    }
    for name in ["large.img", "unwanted.img"] {
        let file = File::create(files::outbox(&ann).join(name)).expect("a new file");
        file.set_len(500_000_000).expect("holes take no room");
    }
    page::run("transfers", &[&ann, &bo]);
}
