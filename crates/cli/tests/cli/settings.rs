//! What a person chooses, by commands.

use crate::run::{Home, assert_said, friends, pair};
use serde_json::json;

#[test]
fn settings_are_shown_changed_and_kept() {
    let mut home = Home::up("Ann");
    let changed = home.run(&[
        "settings",
        "--accept",
        "2MB",
        "--read-receipts",
        "off",
        "--downloads",
        "/srv/files",
        "--add-peer",
        "127.0.0.1:9",
        "--add-peer",
        "bo.local",
    ]);
    assert_said!(changed.all(), @"
    exit 0
    --accept         files of contacts up to 2.0 MB are taken unasked
    --read-receipts  nobody is told what you have read
    --downloads      /srv/files
    --add-peer       127.0.0.1:[port]
    --add-peer       bo.local
    ");
    home.run(&["stop"]);
    home.ended();
    home.start(&["--key-store", "file"]);
    let kept = home.run(&["settings", "--json"]).json();
    assert_eq!(
        kept,
        [json!({
            "accept_files_bytes": 2_000_000,
            "read_receipts": false,
            "downloads": "/srv/files",
            "static_peers": ["127.0.0.1:9", "bo.local"],
        })]
    );
    let removed = home.run(&["settings", "--remove-peer", "bo.local", "--json"]);
    assert_eq!(removed.json()[0]["static_peers"], json!(["127.0.0.1:9"]));
    let unknown = home.run(&["settings", "--remove-peer", "bo.local"]);
    assert_said!(unknown.all(), @"
    exit 1
    -- stderr
    hallway: bo.local was not chosen; `hallway settings` lists the addresses that were
    ");
    assert_eq!(home.run(&["settings", "--add-peer", "a:b:c"]).code, 1);
}

#[test]
fn an_address_that_is_chosen_is_connected_and_no_longer_when_it_is_not() {
    let (ann, bo) = (Home::up("Ann"), Home::up("Bo"));
    let mut peers = ann.follow(&["peers", "--watch", "--json"]);
    let added = ann.run(&["settings", "--add-peer", &bo.address()]);
    assert_eq!(added.code, 0, "{}", added.err);
    peers.until(|peer| peer["id"] == bo.ready["id"] && peer["state"] == "live");
    let removed = ann.run(&["settings", "--remove-peer", &bo.address()]);
    assert_eq!(removed.code, 0, "{}", removed.err);
    peers.until(|peer| peer["id"] == bo.ready["id"] && peer["state"] != "live");
}

#[test]
fn a_talk_is_silenced_and_heard_again() {
    let (ann, bo) = friends("Bo");
    let notified = |args: &[&str]| {
        let said = ann.run(&[&["notify"], args, &["--json"]].concat()).json();
        assert_eq!(said[0]["id"], bo.ready["id"]);
        said[0]["notified"].as_bool().unwrap()
    };
    assert!(notified(&["Bo"]));
    assert!(!notified(&["Bo", "off"]));
    assert!(!notified(&["Bo"]));
    assert_said!(ann.run(&["notify", "Bo"]).all(), @"
    exit 0
    nothing of Bo~[tg] is notified
    ");
    assert!(notified(&["Bo", "on"]));
    let (stranger, _) = pair("Cy");
    assert_eq!(stranger.run(&["notify", "Di"]).code, 1);
}
