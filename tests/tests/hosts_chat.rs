//! People on one network: they see each other, write, and decide whom to trust.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::host::{DELIVERED, Host, PATIENCE};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use serde_json::{Value, json};
use std::collections::BTreeSet;

lan_tests![
    two_hosts_see_each_other_and_talk,
    the_json_has_what_scripts_rely_on,
    changes_to_a_message_are_seen_on_the_other_side,
    typing_is_seen_and_a_new_name_too,
    two_people_of_one_name_are_never_mixed_up,
    a_mistyped_id_is_explained,
    safety_numbers_agree_and_only_the_right_one_verifies,
    a_block_keeps_everything_out_until_it_is_lifted,
    a_request_can_be_declined_and_a_contact_forgotten,
    several_nodes_on_one_host_are_several_people,
    a_newcomer_alone_without_a_network_can_talk_to_echo,
];

fn two_hosts_see_each_other_and_talk() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    assert_eq!(ann.until_peer(bo.id(), "nearby", PATIENCE)["name"], "Bo");
    assert_eq!(bo.until_peer(ann.id(), "nearby", PATIENCE)["name"], "Ann");

    // The first message of a stranger waits as a request.
    let (mut at_ann, mut at_bo) = (ann.tail(), bo.tail());
    let first = ann.tell("Bo", "你好，一起吃午饭吗？");
    let came = |event: &Value| event["message"]["id"] == *first && event["new"] == true;
    at_bo.wait_for(came, PATIENCE);
    let request = at_bo.wait_for(|event| event["kind"] == "request", PATIENCE);
    assert_eq!(request["peer"]["id"], ann.id());
    let waiting = bo.one(&["requests", "--json"]);
    assert_eq!(
        (&waiting["id"], &waiting["contact"]),
        (&json!(ann.id()), &json!(false))
    );

    // The sender is told of each step, in order.
    at_ann.wait_for(came, PATIENCE);
    for state in ["sent", "delivered"] {
        let event = at_ann.wait_for(|event| event["id"] == *first, PATIENCE);
        assert_eq!(
            (&event["kind"], &event["state"]),
            (&json!("state"), &json!(state))
        );
    }

    // An answer makes both contacts, whose session stays.
    let second = bo.tell("Ann", "Lunch? 好的，十二点");
    assert!(bo.cli(&["requests", "--json"]).is_empty());
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        let peer = host.until_peer(other.id(), "live", PATIENCE);
        assert_eq!(peer["contact"], true);
    }

    // Shown to a person means read, and the author is told.
    bo.cli(&["log", "Ann", "--json"]);
    assert_eq!(ann.messages("Bo")[0]["state"], "delivered");
    bo.cli(&["log", "Ann", "--json", "--mark-read"]);
    at_ann.wait_for(
        |event| event["kind"] == "read_up_to" && event["author"] == ann.id() && event["seq"] == 1,
        PATIENCE,
    );
    let log = ann.messages("Bo");
    let ids: Vec<_> = log
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [&first, &second]);
    assert_eq!(log[0]["state"], "read");

    // One Chinese character, two, and the beginning of a Latin word.
    for (words, found) in [
        ("饭", &first),
        ("午饭", &first),
        ("lun", &second),
        ("点", &second),
    ] {
        let hits = bo.cli(&["log", "Ann", "--search", words, "--json"]);
        assert_eq!(hits.len(), 1, "{words}: {hits:?}");
        assert_eq!(hits[0]["id"], **found, "{words}");
    }
    assert!(
        bo.cli(&["log", "Ann", "--search", "晚", "--json"])
            .is_empty()
    );
}

fn the_json_has_what_scripts_rely_on() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);

    let status = ann.one(&["status", "--json"]);
    assert_eq!(status["id"], ann.id());
    assert_eq!(status["name"], "Ann");
    assert_eq!(status["port"], ann.port());
    assert_eq!(status["pid"], ann.pid());
    assert_eq!(status["sessions"], 1);
    let addresses = status["addresses"].as_array().unwrap().iter();
    let addresses: BTreeSet<_> = addresses.map(|address| address.as_str().unwrap()).collect();
    let scope = lan.scope_id(0);
    let expected = [
        "10.77.0.1:42550",
        "[fd77::1]:42550",
        &format!("[fe80::77:1%{scope}]:42550"),
    ];
    assert_eq!(addresses, BTreeSet::from(expected));

    // A session that has just begun has not measured it yet.
    let peer = ann.until("the round trip is known", PATIENCE, |ann| {
        ann.peer(&bo).filter(|peer| peer["rtt_ms"].is_number())
    });
    assert_eq!(peer["tag"], bo.tag());
    assert_eq!(peer["name"], "Bo");
    assert_eq!(peer["state"], "live");
    assert_eq!(
        (&peer["verified"], &peer["blocked"]),
        (&json!(false), &json!(false))
    );
    assert!(peer["rtt_ms"].as_f64().unwrap() > 0.0);
    let address = peer["addresses"][0].as_str().unwrap();
    assert!(address.contains("77"), "{address}");

    let sent = ann.one(&[&["send", "Bo", "one more"], DELIVERED.as_slice()].concat());
    assert_eq!(
        (&sent["to"], &sent["state"]),
        (&json!(bo.id()), &json!("delivered"))
    );
    let log = bo.messages("Ann");
    let last = log.last().unwrap();
    assert_eq!(last["id"], sent["id"]);
    assert_eq!(
        (&last["from"], &last["to"]),
        (&json!(ann.id()), &json!(bo.id()))
    );
    assert_eq!(
        (&last["text"], &last["seq"]),
        (&json!("one more"), &json!(2))
    );
    assert_eq!(last["state"], "delivered");
    let at: Vec<_> = log
        .iter()
        .map(|message| message["at"].as_u64().unwrap())
        .collect();
    assert!(at[0] > 1_700_000_000_000, "milliseconds since 1970: {at:?}");

    // The cursor of an event leads to everything after it.
    let since = ann.one(&["status", "--json"])["event"].as_u64().unwrap();
    let id = bo.tell("Ann", "missed");
    let mut tail = ann.tail_with(&["--since", &since.to_string()]);
    let missed = |event: &Value| event["message"]["id"] == *id;
    let event = tail.wait_for(missed, PATIENCE);
    assert_eq!(event["new"], true);
    assert!(event["event"].as_u64().unwrap() > since);

    let verify = ann.one(&["verify", "Bo", "--json"]);
    assert_eq!(
        (&verify["id"], &verify["verified"]),
        (&json!(bo.id()), &json!(false))
    );
    assert_eq!(ann.one(&["id", "--json"])["id"], ann.id());
    assert_eq!(ann.one(&["name", "--json"])["name"], "Ann");

    // Whoever says goodbye is gone at once, and is still known.
    assert!(bo.stop().success());
    ann.until_peer(bo.id(), "offline", PATIENCE);
    assert_eq!(ann.peer(&bo).unwrap()["rtt_ms"], Value::Null);
}

fn changes_to_a_message_are_seen_on_the_other_side() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let mut at_bo = bo.tail();
    let id = ann.tell("Bo", "at twelv");
    let mut change = |args: &[&str]| {
        let host = if args.contains(&"Bo") { &ann } else { &bo };
        host.one(&[&["send"], args, &DELIVERED].concat());
        let seen = at_bo.wait_for(
            |event| event["message"]["id"] == *id && event["new"] == false,
            PATIENCE,
        );
        let shown = |host: &Host, other| {
            let mut log = host.messages(other).into_iter();
            let mut message = log.find(|message| message["id"] == *id).unwrap();
            // The two sides count their changes each on its own.
            message["change"].take();
            message["state"].take();
            message
        };
        let (at_ann, at_bo) = (shown(&ann, "Bo"), shown(&bo, "Ann"));
        assert_eq!(at_ann, at_bo);
        assert_eq!(seen["message"]["text"], at_bo["text"]);
        at_bo
    };
    let edited = change(&["Bo", "at twelve", "--edit", &id]);
    assert_eq!(
        (&edited["text"], &edited["edited"]),
        (&json!("at twelve"), &json!(true))
    );
    let reacted = change(&["Ann", "--react", &id, "👍"]);
    assert_eq!(
        reacted["reactions"],
        json!([{ "emoji": "👍", "by": bo.id() }])
    );
    let unreacted = change(&["Ann", "--unreact", &id, "👍"]);
    assert_eq!(unreacted["reactions"], json!([]));
    let deleted = change(&["Bo", "--delete", &id]);
    assert_eq!(
        (&deleted["text"], &deleted["deleted"]),
        (&Value::Null, &json!(true))
    );

    let asked = bo.tell("Ann", "where?");
    let answer = ["send", "Bo", "at Lena's", "--reply", &asked];
    ann.one(&[answer.as_slice(), &DELIVERED].concat());
    let quote = json!({ "id": asked, "from": bo.id(), "text": "where?" });
    assert_eq!(bo.messages("Ann").last().unwrap()["reply_to"], quote);

    // What somebody else wrote is not ours to change.
    let refused = ann.refused(
        &["send", "Bo", "mine now", "--edit", &asked, "--wait", "sent"],
        1,
    );
    assert!(!refused.is_empty());
    assert_eq!(
        bo.messages("Ann")
            .iter()
            .filter(|m| m["text"] == "where?")
            .count(),
        1
    );
}

fn typing_is_seen_and_a_new_name_too() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    // Also of somebody who is only announced.
    ann.until_seen(&bo);
    bo.one(&["name", "Bo Li", "--json"]);
    ann.until("the new name is announced", PATIENCE, |ann| {
        (ann.peer(&bo)?["name"] == "Bo Li").then_some(())
    });

    ann.befriend(&bo);
    let mut at_bo = bo.tail();
    ann.post(&format!("peers/{}/typing", bo.id()));
    let typing = at_bo.wait_for(|event| event["kind"] == "typing", PATIENCE);
    assert_eq!(
        (&typing["id"], &typing["typing"]),
        (&json!(ann.id()), &json!(true))
    );
    ann.tell("Bo Li", "typed");
    let stopped = at_bo.wait_for(|event| event["kind"] == "typing", PATIENCE);
    assert_eq!(stopped["typing"], false);

    ann.one(&["name", "安娜", "--json"]);
    ann.cli(&["set-status", "away", "--json"]);
    let is_told = |event: &Value| {
        let peer = &event["peer"];
        peer["id"] == ann.id() && peer["name"] == "安娜" && peer["status"] == "away"
    };
    at_bo.wait_for(is_told, PATIENCE);
    bo.tell("安娜", "nice name");
    // A name lasts, and the one that was given at the first start does not come back.
    ann.restart();
    assert_eq!(ann.one(&["name", "--json"])["name"], "安娜");
}

fn two_people_of_one_name_are_never_mixed_up() {
    let lan = Lan::of(3);
    let ann = Host::start(&lan, 0, "Ann");
    let (bo, other) = (Host::start(&lan, 1, "Bo"), Host::start(&lan, 2, "Bo"));
    ann.until_seen(&bo);
    ann.until_seen(&other);

    let said = ann.refused(&["send", "Bo", "which of you?"], 4);
    for host in [&bo, &other] {
        assert!(said.contains(&format!("Bo~{}", host.tag())), "{said}");
    }
    let said = ann.refused(&["send", "bo", "which of you?", "--json"], 4);
    let problem: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(problem["code"], "ambiguous_name");
    let candidates = problem["candidates"].as_array().unwrap();
    let candidates: BTreeSet<_> = candidates
        .iter()
        .map(|c| c["id"].as_str().unwrap())
        .collect();
    assert_eq!(candidates, BTreeSet::from([bo.id(), other.id()]));
    for args in [
        ["log", "Bo"],
        ["verify", "Bo"],
        ["block", "Bo"],
        ["forget", "Bo"],
    ] {
        ann.refused(&args, 4);
    }

    for reference in [
        format!("Bo~{}", other.tag()),
        other.tag().into(),
        other.id().into(),
    ] {
        ann.tell(&reference, &reference);
    }
    assert_eq!(other.texts_of(&ann).len(), 3);
    assert!(bo.texts_of(&ann).is_empty());
    // A contact has no right to the name either.
    ann.refused(&["send", "Bo", "which of you?"], 4);
}

fn a_mistyped_id_is_explained() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.until_seen(&bo);
    let mut id: Vec<char> = bo.id().chars().collect();
    let right = id[16];
    let wrong = if right == 'q' { 'r' } else { 'q' };
    id[16] = wrong;
    let said = ann.refused(&["send", &id.iter().collect::<String>(), "hi"], 1);
    let expected = format!("character 17 of this id is mistyped: '{wrong}' should be '{right}'");
    assert!(said.contains(&expected), "{said}");
    id[16] = '1';
    let said = ann.refused(&["send", &id.iter().collect::<String>(), "hi"], 1);
    assert!(said.contains("character 17 of this id, '1'"), "{said}");
    let said = ann.refused(&["send", "Boris", "hi"], 1);
    assert!(
        said.contains("Boris") && said.contains("hallway peers"),
        "{said}"
    );
    let said = ann.refused(&["send", ann.id(), "hi"], 1);
    assert!(said.contains("this node itself"), "{said}");

    let longest = "字".repeat(32 * 1024 / 3);
    ann.tell("Bo", &longest);
    let said = ann.refused(&["send", "Bo", &format!("{longest}字")], 1);
    assert!(
        said.contains("32768") && said.contains("as a file"),
        "{said}"
    );
    assert_eq!(bo.texts_of(&ann), [longest]);
}

fn safety_numbers_agree_and_only_the_right_one_verifies() {
    let lan = Lan::of(3);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let number = |host: &Host, other: &str| {
        let shown = host.one(&["verify", other, "--json"]);
        shown["safety_number"].as_str().unwrap().to_owned()
    };
    let right = number(&ann, "Bo");
    assert_eq!(number(&bo, "Ann"), right);
    let groups: Vec<_> = right.split(' ').collect();
    assert_eq!((groups.len(), right.len()), (12, 71));

    let last = if right.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{last}", &right[..right.len() - 1]);
    let said = ann.refused(&["verify", "Bo", &wrong], 4);
    assert!(said.contains("NOT verified"), "{said}");
    assert_eq!(ann.peer(&bo).unwrap()["verified"], false);

    // As a person types it: in one word, or group by group.
    let view = ann.one(&["verify", "Bo", &right.replace(' ', ""), "--json"]);
    assert_eq!(view["verified"], true);
    bo.one(&[&["verify", "Ann", "--json"], groups.as_slice()].concat());
    ann.restart();
    assert_eq!(ann.peer(&bo).unwrap()["verified"], true, "it lasts");
    assert_eq!(bo.peer(&ann).unwrap()["verified"], true);

    // Somebody else with the name of a verified contact: sending waits for a decision.
    ann.until_peer(bo.id(), "live", PATIENCE);
    let mut at_ann = ann.tail();
    let mallory = Host::start(&lan, 2, "Bo");
    mallory.until_seen(&ann);
    mallory.tell(ann.id(), "hi, it's Bo, new phone");
    let warned = at_ann.wait_for(|event| event["kind"] == "name_collision", PATIENCE);
    assert_eq!(warned["contact"]["id"], bo.id());
    assert_eq!(warned["newcomer"]["id"], mallory.id());
    let said = ann.refused(&["send", bo.id(), "secret"], 4);
    let advice = said.replace('~', "");
    assert!(
        advice.contains(&format!("hallway block {}", mallory.tag())),
        "{said}"
    );
    assert!(mallory.texts_of(&ann).is_empty());
    ann.one(&["block", mallory.id(), "--json"]);
    ann.tell(bo.id(), "secret");
    assert_eq!(bo.texts_of(&ann).last().unwrap(), "secret");
}

fn a_block_keeps_everything_out_until_it_is_lifted() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let blocked = bo.one(&["block", "Ann", "--json"]);
    assert_eq!(
        (&blocked["id"], &blocked["blocked"]),
        (&json!(ann.id()), &json!(true))
    );
    ann.until("the session is gone", PATIENCE, |ann| {
        (ann.peer(&bo)?["state"] != "live").then_some(())
    });
    let kept = ann.queue("Bo", "are you there?");
    assert!(bo.refused(&["send", "Ann", "no"], 4).contains("blocked"));
    bo.restart();
    ann.refused(
        &[
            "send",
            "Bo",
            "hello?",
            "--wait",
            "delivered",
            "--timeout",
            "1",
        ],
        5,
    );
    assert_eq!(bo.texts_of(&ann), ["hello"]);

    let mut at_ann = ann.tail();
    bo.one(&["unblock", "Ann", "--json"]);
    let delivered = |event: &Value| event["id"] == *kept && event["state"] == "delivered";
    at_ann.wait_for(delivered, PATIENCE);
    bo.until_texts(&ann, &["hello", "are you there?", "hello?"]);
    bo.tell("Ann", "now");
}

fn a_request_can_be_declined_and_a_contact_forgotten() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.until_seen(&bo);
    ann.tell("Bo", "hello stranger");
    bo.one(&["requests", "decline", "Ann", "--json"]);
    assert!(bo.cli(&["requests", "--json"]).is_empty());
    assert!(bo.texts_of(&ann).is_empty());

    // A stranger may leave three messages; the rest waits on their side.
    for n in 1..=3 {
        ann.tell("Bo", &format!("again {n}"));
    }
    let fourth = ann.queue("Bo", "again 4");
    let mut at_ann = ann.tail();
    assert_eq!(bo.texts_of(&ann).len(), 3);
    bo.one(&["requests", "accept", "Ann", "--json"]);
    let delivered = |event: &Value| event["id"] == *fourth && event["state"] == "delivered";
    at_ann.wait_for(delivered, PATIENCE);
    bo.until_texts(&ann, &["again 1", "again 2", "again 3", "again 4"]);

    let forgotten = bo.one(&["forget", "Ann", "--yes", "--json"]);
    assert_eq!(forgotten["forgotten"], true);
    assert!(bo.cli(&["log", "--search", "again", "--json"]).is_empty());
    ann.tell("Bo", "who, me?");
    assert_eq!(bo.one(&["requests", "--json"])["id"], ann.id());
    assert_eq!(bo.texts_of(&ann), ["who, me?"]);
}

fn several_nodes_on_one_host_are_several_people() {
    let lan = Lan::of(2);
    let near = [Host::start(&lan, 0, "Ann"), Host::start(&lan, 0, "Bo")];
    let far = Host::start(&lan, 1, "Cy");
    assert_ne!(near[0].port(), near[1].port());
    let everybody = [&near[0], &near[1], &far];
    for host in everybody {
        for other in everybody
            .into_iter()
            .filter(|other| other.id() != host.id())
        {
            host.until_seen(other);
        }
    }
    near[0].befriend(&near[1]);
    near[1].befriend(&far);
    assert_eq!(near[0].texts_of(&near[1]), ["hello back"]);
    assert_eq!(far.texts_of(&near[1]), ["hello"]);
    assert!(far.texts_of(&near[0]).is_empty());
}

fn a_newcomer_alone_without_a_network_can_talk_to_echo() {
    let lan = Lan::of(1);
    lan.run(0, "ip", &["link", "del", "eth0"]);
    let ann = Host::start(&lan, 0, "Ann");
    let _echo = ann.launch(&["echo"]);
    let echo = ann.until("Echo is here", PATIENCE, |ann| {
        let mut peers = ann.cli(&["peers", "--json"]).into_iter();
        peers.find(|peer| peer["name"] == "Echo" && peer["state"] != "offline")
    });
    let mut at_ann = ann.tail();
    ann.tell("Echo", "hello 你好");
    let answer = at_ann.wait_for(
        |event| event["kind"] == "message" && event["message"]["from"] == echo["id"],
        PATIENCE,
    );
    assert_eq!(answer["message"]["text"], "hello 你好");
    assert_eq!(
        ann.cli(&["log", "Echo", "--search", "你", "--json"]).len(),
        2
    );
}
