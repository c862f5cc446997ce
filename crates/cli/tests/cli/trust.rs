//! Verifying, blocking, forgetting, and names that two people have.

use crate::run::{Home, assert_said, friends, pair};
use serde_json::json;

#[test]
fn a_safety_number_is_shown_compared_and_remembered() {
    let (ann, bo) = friends("Bo");
    assert_said!(ann.run(&["verify", "Bo"]).all(), @"
    exit 0
    Safety number with Bo~[tg]:

        [twenty digits]
        [twenty digits]
        [twenty digits]
    -- stderr
    Compare it with Bo~[tg] on the phone or face to face: they see theirs with
    `hallway verify` and your name, and it must be the same. To have it compared
    for you, give the number that they read out: `hallway verify [tg] NUMBER`
    ");
    let ours = ann.run(&["verify", "Bo", "--json"]).json().remove(0);
    let theirs = bo.run(&["verify", "Ann", "--json"]).json().remove(0);
    assert_eq!(ours["safety_number"], theirs["safety_number"]);
    assert_eq!(
        (&ours["id"], &ours["verified"]),
        (&bo.ready["id"], &json!(false))
    );

    let wrong = ann.run(&["verify", "Bo", "12345"]);
    assert_eq!(wrong.code, 4);
    assert!(wrong.err.contains("NOT verified"), "{}", wrong.err);
    // As it is read out: in groups, as arguments of their own.
    let number = theirs["safety_number"].as_str().unwrap();
    let groups: Vec<&str> = number.split(' ').collect();
    assert_said!(ann.run(&[&["verify", "Bo"], &groups[..]].concat()).all(), @"
    exit 0
    Bo~[tg] is verified
    ");
    assert_said!(ann.run(&["peers"]).all(), @"
    exit 0
    Bo~[tg]  live  verified  [rtt]  127.0.0.1:[port]
    ");
}

#[test]
fn nothing_goes_to_the_blocked() {
    let (ann, bo) = friends("Bo");
    assert_said!(ann.run(&["block", "Bo"]).all(), @"
    exit 0
    -- stderr
    Bo~[tg] is blocked
    ");
    assert_said!(ann.run(&["send", "Bo", "hi"]).all(), @"
    exit 4
    -- stderr
    hallway: Bo is blocked; `hallway unblock [tg]` lets them in again
    ");
    let json = ann.run(&["send", "Bo", "hi", "--json"]);
    let problem = json.err.lines().last().unwrap();
    let problem: serde_json::Value = serde_json::from_str(problem).unwrap();
    assert_eq!((json.code, &problem["code"]), (4, &json!("blocked")));
    assert!(json.out.is_empty());
    assert_said!(ann.run(&["peers"]).all(), @"
    exit 0
    Bo~[tg]  offline  blocked  127.0.0.1:[port]
    ");
    assert_said!(ann.run(&["unblock", "Bo"]).all(), @"
    exit 0
    -- stderr
    Bo~[tg] is not blocked any more
    ");
    ann.tell("Bo", "back");
    assert_eq!(bo.run(&["log", "Ann", "--json"]).json().len(), 2);
}

#[test]
fn the_forgotten_are_gone_with_what_they_wrote() {
    let (ann, bo) = friends("Bo");
    for nobody_to_ask in [&["forget", "Ann"][..], &["forget", "Ann", "--json"]] {
        let refused = bo.run(nobody_to_ask);
        assert_eq!((refused.code, refused.out.as_str()), (2, ""));
        assert!(refused.err.contains("--yes"), "{}", refused.err);
    }
    assert_said!(bo.run(&["forget", "Ann", "--yes"]).all(), @"
    exit 0
    -- stderr
    Ann~[tg] is forgotten
    ");
    let log = bo.run(&["log", ann.ready["id"].as_str().unwrap()]);
    assert_eq!((log.code, log.out.as_str()), (0, ""));
    let forgotten = ann.run(&["forget", "Bo", "--yes", "--json"]).json();
    assert_eq!(
        forgotten[0],
        json!({ "id": bo.ready["id"], "forgotten": true })
    );
}

#[test]
fn a_declined_stranger_is_gone() {
    let (ann, bo) = pair("Bo");
    ann.tell("Bo", "buy this");
    // Not so a contact, which Bo is to Ann by now.
    assert_said!(ann.run(&["requests", "decline", "Bo"]).all(), @"
    exit 1
    -- stderr
    hallway: Bo~[tg] waits for no decision; `hallway forget` removes whoever you know
    ");
    assert_said!(bo.run(&["requests", "decline", "Ann"]).all(), @"
    exit 0
    -- stderr
    Ann~[tg] is declined, and what they wrote is gone
    ");
    assert_said!(bo.run(&["requests"]).all(), @"
    exit 0
    -- stderr
    No requests
    ");
    assert!(bo.run(&["log", "--search", "buy"]).out.is_empty());
}

#[test]
fn a_name_of_two_people_needs_a_tag() {
    let (ann, bo) = friends("Bo");
    let other = Home::up("Bo");
    ann.run(&["connect", &other.address()]);
    let refused = ann.run(&["send", "Bo", "which?"]);
    assert_eq!(refused.code, 4);
    for home in [&bo, &other] {
        let tag = &home.ready["id"].as_str().unwrap()[..4];
        assert!(
            refused.err.contains(&format!("\n  Bo~{tag}\n")),
            "{}",
            refused.err
        );
        for reference in [
            tag,
            &format!("Bo~{tag}"),
            home.ready["id"].as_str().unwrap(),
        ] {
            assert_eq!(ann.run(&["send", reference, "you"]).code, 0);
        }
    }
    let json = ann.run(&["send", "Bo", "which?", "--json"]).err;
    let problem: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(problem["candidates"].as_array().unwrap().len(), 2);
}

#[test]
fn a_typo_in_an_id_is_pointed_at() {
    let (ann, bo) = pair("Bo");
    let mut id = bo.ready["id"].as_str().unwrap().to_owned();
    id.replace_range(9..10, "1");
    assert_said!(ann.run(&["send", &id, "hi"]).all(), @"
    exit 1
    -- stderr
    hallway: character 10 of this id, '1', is not used in ids (only a to z and 2 to 7 are)
    ");
}
