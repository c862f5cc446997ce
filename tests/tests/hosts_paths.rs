//! Networks that lack something: an IP version, routable addresses, multicast.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use std::fs;

lan_tests![
    ipv4_alone_is_enough,
    ipv6_alone_is_enough,
    link_local_ipv6_alone_is_enough,
    without_multicast_a_configured_peer_is_found_and_found_again,
    without_multicast_connect_reaches_a_host,
];

/// Both find each other by multicast, talk, and meet again after a restart.
#[track_caller]
fn talk(lan: &Lan, is_right: impl Fn(&str) -> bool) {
    let (ann, bo) = (Host::start(lan, 0, "Ann"), Host::start(lan, 1, "Bo"));
    ann.befriend(&bo);
    for (host, other) in [(&ann, &bo), (&bo, &ann)] {
        let peer = host.peer(other).unwrap();
        let address = peer["addresses"][0].as_str().unwrap();
        assert!(is_right(address), "{address}");
    }
    bo.restart();
    ann.tell("Bo", "again");
    bo.tell("Ann", "and again");
}

fn ipv4_alone_is_enough() {
    let lan = Lan::builder().ipv6(false).build();
    talk(&lan, |address| address.starts_with("10.77.0."));
}

fn ipv6_alone_is_enough() {
    let lan = Lan::builder().ipv4(false).build();
    talk(&lan, |address| address.starts_with("[f"));
}

fn link_local_ipv6_alone_is_enough() {
    let lan = Lan::builder().ipv4(false).build();
    for host in 0..2 {
        lan.remove_address(host, lan.ipv6(host));
    }
    talk(&lan, |address| {
        address.starts_with("[fe80::77:") && address.contains('%')
    });
}

fn without_multicast_a_configured_peer_is_found_and_found_again() {
    let lan = Lan::of(2);
    lan.multicast(1, false);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let config = format!("peers = [\"{}\"]\n", lan.ipv4(1));
    fs::write(ann.home().join("config.toml"), config).unwrap();
    // The peer may come up later.
    ann.up();
    let bo = Host::start(&lan, 1, "Bo");
    ann.until_peer(bo.id(), "live", PATIENCE);
    ann.tell("Bo", "found you");
    bo.tell("Ann", "without multicast");
    bo.stop();
    ann.until_peer(bo.id(), "offline", PATIENCE);
    ann.queue("Bo", "later");
    bo.up();
    bo.until_texts(&ann, &["found you", "later"]);
    ann.restart();
    bo.tell("Ann", "you, too");
}

fn without_multicast_connect_reaches_a_host() {
    let lan = Lan::of(2);
    lan.multicast(1, false);
    let (ann, bo) = (Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo"));
    let nobody = ann.refused(&["connect", "10.77.0.99"], 1);
    assert!(
        nobody.contains("nobody answered at 10.77.0.99:42550"),
        "{nobody}"
    );
    let nonsense = ann.refused(&["connect", "10.77.0.2:99999"], 1);
    assert!(nonsense.contains("99999"), "{nonsense}");
    assert_eq!(ann.peer(&bo), None, "multicast gets through");

    let link_local = format!("[{}%eth0]", lan.link_local(1));
    for address in [
        lan.ipv4(1).to_string(),
        format!("[{}]:42550", lan.ipv6(1)),
        link_local,
    ] {
        let peer = ann.one(&["connect", &address, "--json"]);
        assert_eq!(peer["id"], bo.id());
    }
    ann.tell("Bo", "hello");
    bo.tell("Ann", "hello back");
    // Addresses that worked are remembered: the one that returns dials.
    for host in [&ann, &bo] {
        host.restart();
        ann.until_peer(bo.id(), "live", PATIENCE);
        bo.until_peer(ann.id(), "live", PATIENCE);
    }
    ann.tell("Bo", "still there?");
}
