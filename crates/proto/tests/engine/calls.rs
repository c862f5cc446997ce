//! Calls between engines: how they begin and end.

use crate::party::{At, Manner, Party, call_in, secs};
use hallway_model::{
    CallDirection, CallEnd, CallId, CallOutcome, CallState, Command, EventKind, MessageId, Problem,
};
use hallway_proto::call::MediaKey;
use hallway_proto::frame::{CallStanding, EndReason, Frame, Offer, Ringing};
use hallway_proto::io::{Input, Output};
use hallway_proto::limits::{
    CALL_LOST_AFTER, CALL_REACH_WITHIN, CALLS_MAX, CALLS_REMEMBERED, RING_FOR, RING_GRACE,
    RING_HEARD_WITHIN,
};
use std::time::Duration;

pub(crate) const ANN: At = 0;
pub(crate) const BO: At = 1;
pub(crate) const CY: At = 2;

const MOMENT: Duration = Duration::from_millis(1);

fn offer(id: u8) -> Offer {
    Offer {
        call: CallId([id; 16]),
        key: MediaKey::new([id; 32]),
        kid: 9,
    }
}

/// The last that was said about media of a call: muted and held.
pub(crate) fn set_last(party: &Party, at: At, id: CallId) -> Option<(bool, bool)> {
    let said = party.nodes[at].media.iter().rev();
    let mut said = said.filter_map(|output| {
        if let Output::SetMedia { call, muted, held } = output
            && *call == id
        {
            return Some((*muted, *held));
        }
        None
    });
    said.next()
}

#[test]
fn a_call_rings_is_answered_and_leaves_one_record_on_both_sides() {
    let mut party = Party::of_friends(2);
    let called = party.call(ANN, BO);
    assert_eq!(called.state, CallState::Ringing, "it rings at once");
    let ringing = party.only(BO);
    assert_eq!((ringing.id, ringing.state), (called.id, CallState::Ringing));
    assert_eq!(ringing.direction, CallDirection::Incoming);
    assert!(!ringing.waiting);

    party.pass(secs(7));
    assert_eq!(party.answer(BO).state, CallState::Active);
    assert_eq!(party.only(ANN).state, CallState::Active);
    let (ann, bo) = (
        &party.nodes[ANN].plans[&called.id],
        &party.nodes[BO].plans[&called.id],
    );
    assert_eq!(ann.send_key, bo.receive_key);
    assert_eq!(bo.send_key, ann.receive_key);
    assert_ne!(ann.send_key, bo.send_key);
    assert_eq!(
        (ann.send_kid, bo.send_kid),
        (bo.receive_kid, ann.receive_kid)
    );
    assert!(!ann.candidates.is_empty() && !bo.candidates.is_empty());

    party.pass(secs(90));
    assert_eq!(party.only(BO).duration_ms, 90_000);
    let over = party.hang_up(BO);
    assert_eq!(
        (over.state, over.end),
        (CallState::Ended, Some(CallEnd::HungUp))
    );
    for at in [ANN, BO] {
        assert!(party.nodes[at].plans.is_empty() && party.calls(at).is_empty());
        assert_eq!(party.ends(at), [CallEnd::HungUp]);
        let record = (party.id(ANN), CallOutcome::Answered, 90_000);
        assert_eq!(party.records(at), [record], "the caller writes it");
        assert_eq!(party.nodes[at].disk[0].id, MessageId(called.id.0));
    }
    assert_eq!(
        party.nodes[ANN].settings["calls"], "",
        "nothing is left to record"
    );
}

#[test]
fn whoever_does_not_want_it_declines_and_whoever_changed_their_mind_gives_up() {
    let mut party = Party::of_friends(2);
    party.call(ANN, BO);
    party.hang_up(BO);
    assert_eq!(party.ends(ANN), [CallEnd::Declined]);
    party.call(ANN, BO);
    party.hang_up(ANN);
    assert_eq!(party.ends(BO), [CallEnd::Declined, CallEnd::Cancelled]);
    let outcomes = [CallOutcome::Declined, CallOutcome::Cancelled];
    for at in [ANN, BO] {
        let records = party.records(at);
        assert_eq!(records.iter().map(|r| r.1).collect::<Vec<_>>(), outcomes);
    }
}

#[test]
fn nobody_answers_for_ever() {
    let mut party = Party::of_friends(2);
    party.call(ANN, BO);
    party.pass(RING_FOR - MOMENT);
    assert_eq!((party.calls(ANN).len(), party.calls(BO).len()), (1, 1));
    party.pass(MOMENT);
    assert_eq!(party.ends(ANN), [CallEnd::Unanswered]);
    assert_eq!(party.ends(BO), [CallEnd::Unanswered]);
    assert_eq!(party.records(BO), [(party.id(ANN), CallOutcome::Missed, 0)]);
}

#[test]
fn a_ring_ends_by_itself_should_the_caller_never_end_it() {
    let mut party = Party::of_friends(2);
    let mut eve = party.impersonate(ANN, BO);
    eve.say(&mut party, &[Frame::Ring(offer(1))]);
    // Pings want an answer, so somebody must go on speaking.
    for _ in 0..RING_FOR.as_secs() {
        party.pass(secs(1));
        eve.say(&mut party, &[Frame::Ring(offer(1))]);
    }
    assert_eq!(party.calls(BO).len(), 1);
    party.pass(RING_GRACE);
    assert_eq!(party.ends(BO), [CallEnd::Unanswered]);
}

#[test]
fn somebody_far_away_is_looked_for_and_then_has_missed_a_call() {
    let mut party = Party::of_friends(2);
    party.kill(BO);
    assert_eq!(party.call(ANN, BO).state, CallState::Dialling);
    party.pass(CALL_REACH_WITHIN - MOMENT);
    assert_eq!(party.only(ANN).state, CallState::Dialling);
    party.pass(MOMENT);
    assert_eq!(party.ends(ANN), [CallEnd::NotHere]);
    party.restart(BO);
    party.pass(secs(60));
    assert_eq!(party.records(BO), [(party.id(ANN), CallOutcome::Missed, 0)]);
    assert!(
        party.calls(BO).is_empty() && party.ends(BO).is_empty(),
        "no late ring"
    );
}

#[test]
fn somebody_who_comes_while_they_are_looked_for_is_rung() {
    let mut party = Party::of_friends(2);
    party.cut.insert(BO);
    let id = party.talk(ANN, BO);
    party.hang_up(ANN);
    party.kill(BO);
    party.restart(BO);
    party.call(ANN, BO);
    party.pass(secs(4));
    party.cut.remove(&BO);
    party.pass(secs(4));
    assert_eq!(party.only(BO).state, CallState::Ringing);
    assert_ne!(party.only(BO).id, id);
    party.answer(BO);
    assert_eq!(party.only(ANN).state, CallState::Active);
}

#[test]
fn a_stranger_does_not_ring_and_learns_nothing_by_it() {
    let mut party = Party::new(&[
        Manner::default(),
        Manner {
            reserved: true,
            answers: false,
        },
    ]);
    party.connect(ANN, BO);
    assert_eq!(party.call(ANN, BO).state, CallState::Dialling);
    party.pass(RING_HEARD_WITHIN - MOMENT);
    assert_eq!(party.only(ANN).state, CallState::Dialling);
    party.pass(MOMENT);
    assert_eq!(party.ends(ANN), [CallEnd::Refused]);
    assert!(party.calls(BO).is_empty() && party.ends(BO).is_empty());
    assert_eq!(party.nodes[ANN].settings["calls"], "");
    for at in [ANN, BO] {
        assert_eq!(party.records(at), []);
    }

    // Nor does it leave anything there when she gives up before she hears nothing.
    party.call(ANN, BO);
    party.ask(ANN, Command::HangUp(None)).unwrap();
    party.pass(MOMENT);
    assert_eq!(party.ends(ANN), [CallEnd::Refused, CallEnd::Cancelled]);
    assert_eq!(party.records(BO), []);
    let of_ann = party.records(ANN);
    assert_eq!(of_ann.len(), 1, "she did call: {of_ann:?}");

    let mut eve = party.impersonate(ANN, BO);
    let Offer { call, .. } = offer(1);
    let (muted, held, can_speak, can_hear) = (false, false, true, true);
    let standing = CallStanding {
        call,
        muted,
        held,
        can_speak,
        can_hear,
    };
    let frames = [
        Frame::Ring(offer(1)),
        Frame::Ringing(Ringing {
            call,
            waiting: false,
        }),
        Frame::Accept(offer(1)),
        Frame::CallState(standing),
        Frame::CallEnd(call, EndReason::NoSuchCall),
    ];
    assert_eq!(eve.say(&mut party, &frames), [], "as little as from nobody");
    assert!(party.calls(BO).is_empty());
}

#[test]
fn who_is_blocked_reaches_nobody_and_who_is_blocked_in_a_call_is_out_of_it() {
    let mut party = Party::of_friends(2);
    party.talk(ANN, BO);
    let ann = party.id(ANN);
    party.ask(BO, Command::Block(ann)).unwrap();
    assert_eq!(
        (party.ends(ANN), party.ends(BO)),
        (vec![CallEnd::HungUp], vec![CallEnd::HungUp])
    );
    party.call(ANN, BO);
    party.pass(CALL_REACH_WITHIN);
    assert_eq!(party.ends(ANN), [CallEnd::HungUp, CallEnd::NotHere]);
    assert!(party.calls(BO).is_empty());
    assert_eq!(
        party.ask(BO, Command::Call(ann)).unwrap_err().problem,
        Problem::Blocked
    );
}

#[test]
fn who_is_forgotten_in_a_call_is_out_of_it() {
    let mut party = Party::of_friends(2);
    party.talk(ANN, BO);
    let bo = party.id(BO);
    party.ask(ANN, Command::Forget(bo)).unwrap();
    assert_eq!(party.ends(BO), [CallEnd::HungUp]);
    assert_eq!(party.records(ANN), []);
    assert_eq!(party.nodes[ANN].settings["calls"], "");
}

#[test]
fn both_at_once_become_one_call() {
    for (first, second) in [(ANN, BO), (BO, ANN)] {
        let mut party = Party::of_friends(2);
        let wire = (ANN, BO);
        party.pass(secs(11));
        // Neither has heard of the other's ring when it calls.
        party.mute.insert(wire);
        let (one, other) = (party.call(first, second).id, party.call(second, first).id);
        party.mute.remove(&wire);
        let smaller = if first == ANN { one } else { other };
        party.connect(first, second);
        for at in [ANN, BO] {
            let call = party.only(at);
            assert_eq!((call.id, call.state), (smaller, CallState::Active));
        }
        assert_eq!(party.ends(BO), [CallEnd::Merged]);
        assert_eq!(party.ends(ANN), []);
        party.pass(secs(2));
        party.hang_up(BO);
        for at in [ANN, BO] {
            let record = (party.id(ANN), CallOutcome::Answered, 2000);
            assert_eq!(party.records(at), [record]);
        }
        assert_eq!(party.nodes[BO].settings["calls"], "");
    }
}

#[test]
fn calling_somebody_who_rings_answers_them() {
    let mut party = Party::of_friends(2);
    let id = party.call(ANN, BO).id;
    let answered = party.call(BO, ANN);
    assert_eq!((answered.id, answered.state), (id, CallState::Active));
    let (ann, bo) = (party.id(ANN), party.id(BO));
    for (at, peer) in [(ANN, bo), (BO, ann)] {
        let again = party.ask(at, Command::Call(peer));
        assert_eq!(again.unwrap_err().problem, Problem::CallBusy);
    }
}

#[test]
fn a_second_caller_waits_and_answering_them_holds_the_first() {
    let mut party = Party::of_friends(3);
    let first = party.talk(ANN, BO);
    let second = party.call(CY, BO);
    assert!(second.waiting && second.state == CallState::Ringing);
    assert!(
        party
            .calls(BO)
            .iter()
            .any(|c| c.id == second.id && c.waiting)
    );
    party.answer(BO);
    assert!(!party.only(CY).waiting);
    assert!(party.only(ANN).held_by_them && !party.only(CY).held_by_them);
    for at in [ANN, BO] {
        assert_eq!(set_last(&party, at, first), Some((false, true)));
    }
    assert_eq!(set_last(&party, BO, second.id), None, "as it began");

    // Without a word of which, the one that is talked in is meant.
    party.hang_up(BO);
    assert_eq!(party.ends(CY), [CallEnd::HungUp]);
    let still = party.only(BO);
    assert!(still.held && still.id == first);
    let back = call_in(party.ask(
        BO,
        Command::Hold {
            call: None,
            on: false,
        },
    ));
    assert!(!back.held && !party.only(ANN).held_by_them);
    assert_eq!(set_last(&party, ANN, first), Some((false, false)));
}

#[test]
fn one_call_too_many_is_told_to_be_so() {
    let mut party = Party::of_friends(CALLS_MAX + 2);
    let bo = 0;
    for other in 1..=CALLS_MAX {
        assert_eq!(party.call(other, bo).end, None);
        assert_eq!(party.only(other).state, CallState::Ringing);
    }
    let late = CALLS_MAX + 1;
    party.call(late, bo);
    assert_eq!(party.ends(late), [CallEnd::Busy]);
    assert_eq!(party.records(bo), [(party.id(late), CallOutcome::Busy, 0)]);
    let peer = party.id(late);
    assert_eq!(
        party.ask(bo, Command::Call(peer)).unwrap_err().problem,
        Problem::CallBusy
    );
    let several = party.ask(bo, Command::Answer(None)).unwrap_err();
    assert_eq!(several.problem, Problem::NoSuchCall);
    party.hang_up(1);
    party.call(bo, late);
    assert_eq!(party.calls(bo).len(), CALLS_MAX);
}

#[test]
fn the_callee_stops_ringing_when_the_caller_is_gone() {
    let mut party = Party::of_friends(2);
    party.call(ANN, BO);
    party.kill(ANN);
    party.pass(CALL_LOST_AFTER - MOMENT);
    assert_eq!(party.calls(BO).len(), 1);
    party.pass(MOMENT);
    assert_eq!(party.ends(BO), [CallEnd::Lost]);
    party.restart(ANN);
    party.pass(secs(60));
    let record = (party.id(ANN), CallOutcome::Interrupted, 0);
    assert_eq!(party.records(BO), [record]);
    party.kill(ANN);
    party.restart(ANN);
    party.pass(secs(60));
    assert_eq!(
        (party.records(ANN), party.records(BO)),
        (vec![record], vec![record])
    );
}

#[test]
fn a_call_outlives_its_session_while_it_is_heard_and_not_for_long_after() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    party.mute.insert((ANN, BO));
    party.pass(secs(120));
    assert_eq!((party.only(ANN).id, party.only(BO).id), (id, id));
    for at in [ANN, BO] {
        party.tell(at, Input::MediaSilent(id));
    }
    party.pass(CALL_LOST_AFTER - MOMENT);
    assert_eq!(party.calls(ANN).len(), 1);
    party.pass(MOMENT);
    assert_eq!(
        (party.ends(ANN), party.ends(BO)),
        (vec![CallEnd::Lost], vec![CallEnd::Lost])
    );
    party.mute.clear();
    party.pass(secs(200));
    let duration = 1000 * (120 + CALL_LOST_AFTER.as_secs());
    let record = (party.id(ANN), CallOutcome::Interrupted, duration);
    assert_eq!(
        (party.records(ANN), party.records(BO)),
        (vec![record], vec![record])
    );
}

#[test]
fn a_silent_wire_ends_a_call_twenty_seconds_after_the_last_word() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    party.pass(secs(1));
    party.mute.insert((ANN, BO));
    for at in [ANN, BO] {
        party.tell(at, Input::MediaSilent(id));
    }
    party.pass(secs(17));
    assert_eq!((party.calls(ANN).len(), party.calls(BO).len()), (1, 1));
    party.pass(secs(5));
    assert_eq!(
        (party.ends(ANN), party.ends(BO)),
        (vec![CallEnd::Lost], vec![CallEnd::Lost])
    );
}

#[test]
fn media_that_never_comes_ends_nothing_while_the_session_lives() {
    let mut party = Party::of_friends(2);
    party.call(ANN, BO);
    party.answer(BO);
    party.pass(secs(600));
    assert!(!party.only(ANN).connected && !party.only(BO).connected);
}

#[test]
fn a_new_session_carries_ringing_and_active_calls_on() {
    let mut party = Party::of_friends(2);
    let id = party.call(ANN, BO).id;
    let told = |party: &Party| {
        let events = party.nodes[BO].events.iter();
        let calls = events.filter(|e| matches!(e, EventKind::Call { .. }));
        calls.count()
    };
    let before = told(&party);
    for (from, to) in [(ANN, BO), (BO, ANN)] {
        party.pass(secs(11));
        party.connect(from, to);
        assert_eq!(party.only(BO).id, id);
        assert_eq!(told(&party), before, "no second ring is shown");
    }
    // The answer is lost with the session.
    party.mute.insert((ANN, BO));
    party.answer(BO);
    assert_eq!(party.only(ANN).state, CallState::Ringing);
    let on = true;
    party.ask(BO, Command::Mute { call: None, on }).unwrap();
    party.mute.clear();
    party.connect(BO, ANN);
    assert_eq!(party.only(ANN).state, CallState::Active);
    assert!(party.only(ANN).muted_by_them);
    // So is the end.
    party.mute.insert((ANN, BO));
    party.hang_up(BO);
    party.mute.clear();
    party.pass(secs(11));
    party.connect(ANN, BO);
    assert_eq!(party.ends(ANN), [CallEnd::HungUp]);
}

#[test]
fn a_callee_that_was_restarted_ends_the_call_of_before() {
    let mut party = Party::of_friends(2);
    let id = party.talk(ANN, BO);
    party.pass(secs(5));
    party.kill(BO);
    party.restart(BO);
    party.pass(secs(5));
    assert_eq!(party.ends(ANN), [CallEnd::Stopped]);
    assert_eq!(
        party.records(BO),
        [(party.id(ANN), CallOutcome::Interrupted, 5000)]
    );
    assert!(party.nodes[ANN].plans.is_empty());
    assert_eq!(party.nodes[BO].disk[0].id, MessageId(id.0));
}

#[test]
fn a_caller_that_was_restarted_rings_anew_and_the_call_of_before_is_over() {
    let mut party = Party::of_friends(2);
    party.talk(ANN, BO);
    party.cut.insert(ANN);
    party.kill(ANN);
    party.restart(ANN);
    party.cut.clear();
    let second = party.call(ANN, BO).id;
    party.pass(secs(2));
    assert_eq!(party.only(BO).id, second);
    assert_eq!(party.ends(BO).len(), 1);
    party.answer(BO);
    party.hang_up(ANN);
    let outcomes: Vec<_> = party.records(BO).iter().map(|r| r.1).collect();
    assert_eq!(outcomes, [CallOutcome::Interrupted, CallOutcome::Answered]);
}

#[test]
fn a_call_that_is_over_never_begins_again() {
    let mut party = Party::of_friends(2);
    let mut eve = party.impersonate(ANN, BO);
    let heard = eve.say(&mut party, &[Frame::Ring(offer(1))]);
    let call = offer(1).call;
    assert!(heard.contains(&Frame::Ringing(Ringing {
        call,
        waiting: false
    })));
    party.ask(BO, Command::HangUp(None)).unwrap();
    let declined = Frame::CallEnd(call, EndReason::Known(CallEnd::Declined));
    let heard = eve.say(
        &mut party,
        &[Frame::Ring(offer(1)), Frame::Accept(offer(1))],
    );
    assert!(heard.ends_with(&[declined.clone(), declined]), "{heard:?}");
    assert!(party.calls(BO).is_empty());
    // Of a call that never was there is nothing to say either.
    let heard = eve.say(&mut party, &[Frame::Accept(offer(2))]);
    let none = Frame::CallEnd(offer(2).call, EndReason::NoSuchCall);
    assert_eq!(heard, std::slice::from_ref(&none));
    assert_eq!(eve.say(&mut party, &[none]), [], "an end is not answered");
}

#[test]
fn so_many_calls_are_remembered_and_no_more() {
    let mut party = Party::of_friends(2);
    let mut eve = party.impersonate(ANN, BO);
    let last = u8::try_from(CALLS_REMEMBERED).unwrap();
    let rings = |party: &mut Party, eve: &mut crate::party::Voice, id: u8| {
        eve.say(party, &[Frame::Ring(offer(id))]);
        let rings = !party.calls(BO).is_empty();
        let end = Frame::CallEnd(offer(id).call, EndReason::Known(CallEnd::Cancelled));
        eve.say(party, &[end]);
        rings
    };
    assert!((1..=last).all(|id| rings(&mut party, &mut eve, id)));
    assert!(!rings(&mut party, &mut eve, 1), "the oldest is still known");
    assert!(rings(&mut party, &mut eve, last + 1));
    assert!(rings(&mut party, &mut eve, 1), "and now it is forgotten");
}

#[test]
fn what_a_peer_says_of_a_call_is_taken_for_its_own_only() {
    let mut party = Party::of_friends(3);
    let id = party.talk(ANN, BO);
    let mut eve = party.impersonate(CY, BO);
    let end = Frame::CallEnd(id, EndReason::Known(CallEnd::HungUp));
    eve.say(&mut party, &[end]);
    let mut taken = offer(1);
    taken.call = id;
    let heard = eve.say(&mut party, &[Frame::Ring(taken)]);
    assert_eq!(heard, [Frame::CallEnd(id, EndReason::Known(CallEnd::Busy))]);
    assert_eq!(party.only(BO).state, CallState::Active);
    assert!(party.ends(BO).is_empty());
}

#[test]
fn a_ring_that_crosses_an_answer_changes_nothing() {
    let mut party = Party::of_friends(2);
    let mut eve = party.impersonate(BO, ANN);
    party.ask(ANN, Command::Call(party.id(BO))).unwrap();
    let call = party.only(ANN).id;
    let accept = Offer { call, ..offer(5) };
    eve.say(
        &mut party,
        &[Frame::Ring(offer(1)), Frame::Accept(accept.clone())],
    );
    let active = party.only(ANN);
    assert_eq!((active.id, active.state), (call, CallState::Active));
    let other = Offer { call, ..offer(6) };
    eve.say(&mut party, &[Frame::Accept(other)]);
    let plan = &party.nodes[ANN].plans[&call];
    assert_eq!(plan.receive_key, accept.key, "no key is changed in a call");
}
