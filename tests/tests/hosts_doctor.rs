//! `hallway doctor` finds what is wrong with a network, and says whose side it is on.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_model::{Name, Status, WallTime};
use hallway_proto::frame::{Frame, Profile};
use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::hostile::Stranger;
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

lan_tests![
    a_healthy_network_is_called_healthy,
    a_node_that_does_not_run_is_missed,
    a_host_without_a_network_is_told_so,
    a_firewall_of_this_host_that_drops_multicast_is_found,
    a_network_that_drops_multicast_or_isolates_is_suspected,
    a_firewall_in_front_of_the_port_is_found_from_both_sides,
    a_peer_that_has_gone_is_told_from_a_host_that_has,
    a_copied_node_is_found_out,
    a_wrong_clock_is_noticed,
];

/// The checks of this name, and the exit code. Each has an outcome and says what was seen; what
/// is not in order comes with advice.
#[track_caller]
fn examine(host: &Host, args: &[&str], name: &str) -> (Vec<Value>, i32) {
    let output = host.cli_raw(&[&["doctor", "--json"], args].concat());
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        assert!(!check["detail"].as_str().unwrap().is_empty());
        assert_eq!(
            check["outcome"] == "ok",
            check["advice"].is_null(),
            "{check}"
        );
    }
    let found: Vec<_> = checks
        .iter()
        .filter(|check| check["name"] == name)
        .cloned()
        .collect();
    assert!(!found.is_empty(), "no {name} in {report:#}");
    (found, output.status.code().unwrap())
}

/// The only check of this name.
#[track_caller]
fn one(host: &Host, args: &[&str], name: &str) -> Value {
    let (mut found, _) = examine(host, args, name);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[track_caller]
fn assert_says(check: &Value, outcome: &str, words: &[&str]) {
    assert_eq!(check["outcome"], outcome, "{check:#}");
    let text = format!("{} {}", check["detail"], check["advice"]).to_lowercase();
    for word in words {
        assert!(
            text.contains(&word.to_lowercase()),
            "no {word} in {check:#}"
        );
    }
}

fn a_healthy_network_is_called_healthy() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    let names = [
        "node",
        "disk",
        "interfaces",
        "multicast",
        "port",
        "identity",
        "company",
    ];
    for name in names {
        let (checks, code) = examine(&ann, &[], name);
        assert!(
            checks.iter().all(|check| check["outcome"] == "ok"),
            "{checks:#?}"
        );
        assert_eq!(code, 0);
    }
    assert_says(&one(&ann, &["Bo"], "peer"), "ok", &["Bo", "connected"]);
    // For people it is the same in words.
    let shown = ann.cli_raw(&["doctor"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("ok    running as Ann"), "{shown}");
    // The node was called at each of its addresses, which is no trouble that a log should tell.
    let addresses = ann.one(&["status", "--json"])["addresses"].take();
    let addresses: Vec<SocketAddr> = serde_json::from_value(addresses).unwrap();
    let examinations = names.len() + 2;
    ann.until("the calls have ended", PATIENCE, |ann| {
        let calls = usize::try_from(ann.counter("connection_unused")).unwrap();
        (calls >= addresses.len() * examinations).then_some(())
    });
    let log = ann.log();
    let about_itself = |line: &&str| {
        let from = |address: &SocketAddr| line.contains(&address.ip().to_string());
        line.contains("a handshake failed") && addresses.iter().any(from)
    };
    assert_eq!(log.lines().find(about_itself), None, "{log}");
}

fn a_node_that_does_not_run_is_missed() {
    let lan = Lan::of(1);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let (node, code) = examine(&ann, &[], "node");
    assert_says(&node[0], "fail", &["no node is running", "hallway up"]);
    assert_eq!(code, 1);
}

fn a_host_without_a_network_is_told_so() {
    let lan = Lan::of(1);
    let ann = Host::start(&lan, 0, "Ann");
    lan.run(0, "ip", &["link", "set", "eth0", "down"]);
    assert_says(
        &one(&ann, &[], "interfaces"),
        "fail",
        &["interface", "cable"],
    );
    let notices = ann.until("the status says so", PATIENCE, |ann| {
        let notices = ann.one(&["status", "--json"])["notices"].take();
        (!notices.as_array()?.is_empty()).then_some(notices)
    });
    assert!(
        notices[0].as_str().unwrap().contains("no network"),
        "{notices}"
    );
    lan.run(0, "ip", &["link", "set", "eth0", "up"]);
    ann.until("the notice goes away", PATIENCE, |ann| {
        ann.one(&["status", "--json"])["notices"]
            .as_array()?
            .is_empty()
            .then_some(())
    });
}

/// A rule of this host's own firewall for what comes in.
fn firewall(lan: &Lan, host: usize, rule: &str) {
    let chain = "chain inet filter input { type filter hook input priority 0; }";
    for command in ["table inet filter", chain] {
        lan.run(host, "nft", &["add", command]);
    }
    lan.run(
        host,
        "nft",
        &["add", &format!("rule inet filter input {rule}")],
    );
}

fn a_firewall_of_this_host_that_drops_multicast_is_found() {
    let lan = Lan::of(2);
    firewall(&lan, 0, "udp dport 5353 drop");
    let ann = Host::start(&lan, 0, "Ann");
    let (checks, code) = examine(&ann, &[], "multicast");
    assert_says(
        &checks[0],
        "fail",
        &["eth0", "firewall", "5353", "hallway connect"],
    );
    assert_eq!(code, 1);
}

fn a_network_that_drops_multicast_or_isolates_is_suspected() {
    let lan = Lan::of(3);
    lan.multicast(0, false);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    let company = one(&ann, &[], "company");
    assert_says(
        &company,
        "warn",
        &["no other node", "multicast", "isolation", "connect"],
    );

    // With an address at hand the two cases can be told apart.
    lan.isolate(0, true);
    lan.isolate(2, true);
    let cy = Host::start(&lan, 2, "Cy");
    cy.until_seen(&bo);
    let said = ann.refused(&["connect", "10.77.0.3"], 1);
    assert!(
        said.contains("nobody answered at 10.77.0.3:42550"),
        "{said}"
    );
    ann.one(&["connect", "10.77.0.2", "--json"]);
    assert_says(&one(&ann, &[], "company"), "ok", &["one other"]);
}

fn a_firewall_in_front_of_the_port_is_found_from_both_sides() {
    let lan = Lan::of(2);
    firewall(&lan, 1, "tcp dport 42550 drop");
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.until_seen(&bo);
    assert_says(
        &one(&bo, &[], "port"),
        "fail",
        &["10.77.0.2:42550", "firewall"],
    );
    let seen = one(&ann, &[], "peer");
    assert_says(
        &seen,
        "fail",
        &["Bo", "announced", "firewall", "their", "isolat"],
    );
    assert_says(&one(&ann, &["Bo"], "peer"), "fail", &["does not answer"]);
    // It takes one of the two to reach the other.
    bo.tell("Ann", "I can reach you");
    ann.tell("Bo", "and so can I");
}

fn a_peer_that_has_gone_is_told_from_a_host_that_has() {
    let lan = Lan::of(2);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    ann.befriend(&bo);
    bo.stop();
    ann.until_peer(bo.id(), "offline", PATIENCE);
    assert_says(
        &one(&ann, &["Bo"], "peer"),
        "fail",
        &["answers, but no node does", "start it"],
    );
    lan.mute(1);
    assert_says(
        &one(&ann, &["Bo"], "peer"),
        "fail",
        &["does not answer", "off, away"],
    );
    assert!(ann.refused(&["doctor", "Boris"], 1).contains("Boris"));
}

fn a_copied_node_is_found_out() {
    let lan = Lan::of(2);
    let ann = Host::start(&lan, 0, "Ann");
    ann.stop();
    let copy = Plan::new("Ann").prepare(&lan, 1);
    for file in ["keys", "hallway.db"] {
        fs::copy(ann.home().join(file), copy.home().join(file)).unwrap();
    }
    copy.up();
    ann.up();
    assert_eq!(ann.id(), copy.id());
    for host in [&ann, &copy] {
        let report = host.until("the other is noticed", PATIENCE, |host| {
            let identity = one(host, &[], "identity");
            (identity["outcome"] != "ok").then_some(identity)
        });
        assert_says(
            &report,
            "fail",
            &["another node", "copied", "fresh directory"],
        );
    }
}

fn a_wrong_clock_is_noticed() {
    let lan = Lan::of(2);
    let ann = Host::start(&lan, 0, "Ann");
    let at = SocketAddr::new(lan.ipv4(0), ann.port());
    let mut stranger = Stranger::dial(&lan, 1, at, 1).unwrap();
    let name = Name::new("Methuselah").unwrap();
    let past = SystemTime::now() - Duration::from_secs(3600);
    let past = past.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let past = WallTime(u64::try_from(past).unwrap());
    stranger.say(&Frame::Profile(Profile::new(
        name,
        Status::Available,
        past,
        9,
    )));
    ann.until("the stranger is here", PATIENCE, |ann| {
        let peers = ann.cli(&["peers", "--json"]);
        peers
            .iter()
            .any(|peer| peer["name"] == "Methuselah")
            .then_some(())
    });
    let clock = one(&ann, &[], "clock");
    assert_says(&clock, "warn", &["Methuselah", "minutes behind"]);
}
