//! Calls between engines: what is said while they run, and what is kept of them.

use crate::calls::{ANN, BO, CY, set_last};
use crate::party::{Manner, Party, call_in, secs};
use hallway_model::{
    CallEnd, CallOutcome, CallQuality, CallState, CallStatsView, Command, EventKind, Problem,
};
use hallway_proto::io::{Input, Output};
use hallway_proto::limits::{PING_AFTER_ACTIVE, PING_AFTER_IDLE, RECORDS_WAITING_MAX};
use std::collections::BTreeSet;

#[test]
fn mute_hold_and_devices_are_told_to_both() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    let mute = |on| Command::Mute { call: None, on };
    let hold = |on| Command::Hold { call: None, on };
    assert!(call_in(party.ask(ANN, mute(true))).muted);
    assert!(party.only(BO).muted_by_them);
    assert_eq!(set_last(&party, ANN, id), Some((true, false)));
    assert_eq!(set_last(&party, BO, id), None);
    party.ask(ANN, mute(false)).unwrap();
    assert!(!party.only(BO).muted_by_them);

    party.ask(BO, hold(true)).unwrap();
    party.ask(ANN, hold(true)).unwrap();
    let named = |on| Command::Hold { call: Some(id), on };
    party.ask(ANN, named(true)).unwrap();
    party.ask(BO, hold(false)).unwrap();
    assert_eq!(
        set_last(&party, BO, id),
        Some((false, true)),
        "the other holds it still"
    );
    assert!(party.ask(BO, hold(false)).is_err(), "it is not held");
    party.ask(ANN, hold(false)).unwrap();
    assert_eq!(set_last(&party, BO, id), Some((false, false)));

    let (microphone, speaker) = (false, true);
    party.tell(
        BO,
        Input::MediaDevices {
            call: id,
            microphone,
            speaker,
        },
    );
    assert!(!party.only(BO).can_speak && !party.only(ANN).they_can_speak);
    assert!(party.only(ANN).they_can_hear && party.only(ANN).can_speak);
}

#[test]
fn a_call_is_muted_before_it_is_answered() {
    let mut party = Party::of_friends(2);
    let id = party.call(ANN, BO).id;
    assert!(
        party
            .ask(
                ANN,
                Command::Hold {
                    call: None,
                    on: true
                }
            )
            .is_err()
    );
    let on = true;
    party.ask(ANN, Command::Mute { call: None, on }).unwrap();
    party.answer(BO);
    assert_eq!(set_last(&party, ANN, id), Some((true, false)));
    assert!(party.only(BO).muted_by_them);
}

#[test]
fn a_call_without_any_sound_fails_and_says_why() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    party.tell(BO, Input::MediaFailed(id, "no sound here".into()));
    assert_eq!(
        (party.ends(ANN), party.ends(BO)),
        (vec![CallEnd::Failed], vec![CallEnd::Failed])
    );
    let told = party.nodes[BO].events.iter().any(|event| {
        matches!(event, EventKind::Call { call } if call.detail.as_deref() == Some("no sound here"))
    });
    assert!(told);
    assert_eq!(party.records(BO)[0].1, CallOutcome::Interrupted);
    for late in [
        Input::MediaHeard(id),
        Input::MediaFailed(id, "again".into()),
    ] {
        party.tell(BO, late);
    }
    assert_eq!(party.ends(BO).len(), 1);
}

#[test]
fn figures_of_a_call_are_shown() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    let stats = CallStatsView {
        mouth_to_ear_ms: Some(31.5),
        loss: 0.02,
        jitter_ms: 1.5,
        rtt_ms: Some(0.4),
        bitrate_in: 48_000,
        bitrate_out: 49_000,
        playout_delay_ms: 12.0,
        quality: CallQuality::Good,
    };
    party.tell(ANN, Input::MediaStats(id, Box::new(stats)));
    assert_eq!(party.only(ANN).stats, Some(stats));
    assert!(party.only(ANN).connected);
}

#[test]
fn a_node_that_stops_hangs_up() {
    let mut party = Party::of_friends(3);
    party.talk(ANN, BO);
    party.call(CY, ANN);
    party.pass(secs(3));
    party.tell(ANN, Input::Shutdown);
    assert_eq!(
        (party.ends(BO), party.ends(CY)),
        (vec![CallEnd::HungUp], vec![CallEnd::Stopped])
    );
    assert_eq!(
        party.records(ANN)[0],
        (party.id(ANN), CallOutcome::Answered, 3000)
    );
    assert_eq!(party.records(CY), [(party.id(CY), CallOutcome::Missed, 0)]);
    let bo = party.id(BO);
    assert_eq!(
        party.ask(ANN, Command::Call(bo)).unwrap_err().problem,
        Problem::Unreachable
    );
}

#[test]
fn a_record_waits_for_the_disk() {
    let mut party = Party::of_friends(2);
    party.nodes[ANN].disk_full = true;
    party.talk(ANN, BO);
    party.hang_up(ANN);
    assert_eq!(party.records(ANN), []);
    party.nodes[ANN].disk_full = false;
    party.pass(secs(15));
    for at in [ANN, BO] {
        assert_eq!(
            party.records(at),
            [(party.id(ANN), CallOutcome::Answered, 0)]
        );
    }
    assert_eq!(party.nodes[ANN].settings["calls"], "");
}

#[test]
fn so_many_records_wait_for_the_disk_and_no_more() {
    for calls in [RECORDS_WAITING_MAX, RECORDS_WAITING_MAX + 1] {
        let mut party = Party::of_friends(2);
        party.nodes[ANN].disk_full = true;
        for _ in 0..calls {
            party.call(ANN, BO);
            party.hang_up(ANN);
        }
        party.nodes[ANN].disk_full = false;
        party.pass(secs(15));
        assert_eq!(party.records(ANN).len(), RECORDS_WAITING_MAX, "of {calls}");
    }
}

#[test]
fn a_test_contact_answers_at_once() {
    let mut party = Party::new(&[
        Manner::default(),
        Manner {
            reserved: false,
            answers: true,
        },
    ]);
    party.connect(ANN, BO);
    assert_eq!(party.call(ANN, BO).state, CallState::Active);
}

#[test]
fn sessions_ping_in_a_call_as_in_a_talk() {
    let mut party = Party::of_friends(2);
    party.pass(secs(100));
    let pings = |party: &mut Party| {
        party.nodes[ANN].spoke_at.clear();
        party.nodes[BO].spoke_at.clear();
        party.pass(secs(60));
        party.nodes[ANN].spoke_at.len() + party.nodes[BO].spoke_at.len()
    };
    let idle = pings(&mut party);
    party.talk(ANN, BO);
    party.pass(secs(100));
    let in_call = pings(&mut party);
    let ratio = usize::try_from(PING_AFTER_IDLE.as_secs() / PING_AFTER_ACTIVE.as_secs()).unwrap();
    assert!(
        idle > 0 && in_call >= idle * (ratio - 1),
        "{idle} and then {in_call}"
    );
    party.hang_up(ANN);
    party.pass(secs(100));
    assert_eq!(pings(&mut party), idle);
}

#[test]
fn no_key_and_no_key_id_is_used_twice() {
    let mut party = Party::of_friends(3);
    let (mut keys, mut kids) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..6 {
        let (from, to) = [(ANN, BO), (BO, CY), (CY, ANN)][round % 3];
        let id = party.talk(from, to);
        for at in [from, to] {
            let plan = &party.nodes[at].plans[&id];
            assert!(keys.insert(*plan.send_key.bytes()));
            assert!(kids.insert((at, plan.receive_kid)));
            assert!(
                !format!("{plan:?}").contains("key: ["),
                "keys are not shown"
            );
        }
        party.hang_up(from);
    }
}

#[test]
fn a_peer_that_moves_is_looked_for_in_its_new_place() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    let new = "10.0.7.7:42550".parse().unwrap();
    let sighting = hallway_proto::io::Sighting {
        name: None,
        status: hallway_model::Status::Available,
        fast_aes: false,
        addresses: vec![new],
    };
    let bo = party.id(BO);
    party.tell(ANN, Input::Sighted(bo, sighting));
    let told = party.nodes[ANN].media.iter().any(|output| {
        matches!(output, Output::MediaCandidates(call, all) if *call == id && all.contains(&new))
    });
    assert!(told);
}
