//! Versions and suites: nodes of different versions find the best they share, and nobody between
//! them can make it less.

use super::{Chance, alice, bob, done, receive, sent};
use hallway_proto::handshake::{
    Handshake, HandshakeError, Policy, Purpose, Reject, RejectReason, Step, Suite,
};
use std::ops::RangeInclusive;

fn speaking(versions: RangeInclusive<u8>) -> Policy {
    Policy {
        versions,
        ..Policy::default()
    }
}

fn dial(policy: &Policy, version: u8, suite: Suite) -> (Handshake, Vec<u8>) {
    let (keys, entropy) = (alice().keys, Chance(1).entropy());
    let expected = Some(bob().id());
    Handshake::initiate_at(
        version,
        keys,
        policy,
        expected,
        suite,
        Purpose::Session,
        entropy,
    )
}

fn listen(policy: &Policy) -> Handshake {
    Handshake::respond(bob().keys, policy, Chance(2).entropy())
}

fn refused(policy: &Policy, first: &[u8]) -> Reject {
    let refused = receive(&mut listen(policy), first).unwrap_err();
    let HandshakeError::Refused(reject) = refused else {
        panic!("not refused but {refused:?}");
    };
    assert_eq!(refused.reject(), Some(reject.encode()));
    reject
}

fn with(first: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut changed = first.to_vec();
    changed[at] = value;
    changed
}

const VERSION: usize = 4;
const HIGHEST: usize = 5;
const SUITE: usize = 6;

#[test]
fn a_newer_node_comes_down_to_an_older_one() {
    let (new, old) = (speaking(1..=2), speaking(1..=1));
    let (mut dialling, first) = dial(&new, 2, Suite::ChaChaPoly);
    let reject = refused(&old, &first);
    assert_eq!(reject.reason, RejectReason::UnsupportedVersion);
    let rejected = dialling.push(&reject.encode()).unwrap_err();
    assert_eq!(rejected, HandshakeError::Rejected(reject));
    let version = reject.retry_version(&new.versions).unwrap();

    let (mut dialling, first) = dial(&new, version, Suite::ChaChaPoly);
    let mut answering = listen(&old);
    let second = sent(receive(&mut answering, &first));
    let (third, initiator) = done(receive(&mut dialling, &second));
    let (_, responder) = done(receive(&mut answering, &third));
    assert_eq!((initiator.version, responder.version), (1, 1));
}

#[test]
fn two_newer_nodes_speak_the_newer_version() {
    let new = speaking(1..=2);
    let (mut dialling, first) = dial(&new, 2, Suite::AesGcm);
    let mut answering = listen(&new);
    let second = sent(receive(&mut answering, &first));
    let (third, initiator) = done(receive(&mut dialling, &second));
    assert_eq!((initiator.version, initiator.suite), (2, Suite::AesGcm));
    assert_eq!(done(receive(&mut answering, &third)).1.version, 2);
}

#[test]
fn a_forged_reject_does_not_talk_two_newer_nodes_down() {
    let new = speaking(1..=2);
    let (mut dialling, _) = dial(&new, 2, Suite::ChaChaPoly);
    let forged = Reject::new(RejectReason::UnsupportedVersion, &(1..=1));
    assert!(dialling.push(&forged.encode()).is_err());
    let version = forged.retry_version(&new.versions).unwrap();
    let (mut dialling, first) = dial(&new, version, Suite::ChaChaPoly);
    assert_eq!(refused(&new, &first).reason, RejectReason::Downgrade);
    // Hiding what the initiator can do gets an answer, but not one the initiator believes.
    let hidden = with(&first, HIGHEST, 1);
    let second = sent(receive(&mut listen(&new), &hidden));
    let refused = receive(&mut dialling, &second);
    assert_eq!(refused.unwrap_err(), HandshakeError::Tampered);
}

#[test]
fn a_stripped_version_or_changed_suite_is_noticed() {
    let new = speaking(1..=2);
    let (_, first) = dial(&new, 2, Suite::AesGcm);
    let stripped = with(&with(&first, VERSION, 1), HIGHEST, 1);
    let weaker = with(&first, SUITE, 1);
    let raised = with(&first, HIGHEST, 3);
    for changed in [stripped, weaker, raised] {
        let (mut dialling, _) = dial(&new, 2, Suite::AesGcm);
        let mut answering = listen(&new);
        let second = sent(receive(&mut answering, &changed));
        let refused = receive(&mut dialling, &second);
        assert_eq!(refused.unwrap_err(), HandshakeError::Tampered);
    }
    assert_eq!(
        refused(&new, &with(&first, VERSION, 1)).reason,
        RejectReason::Downgrade
    );
    let suite = refused(&new, &with(&first, SUITE, 3));
    assert_eq!(suite.reason, RejectReason::UnsupportedSuite);
    assert!(suite.speaks(Suite::ChaChaPoly) && suite.speaks(Suite::AesGcm));
}

#[test]
fn a_hello_is_judged_before_anything_follows_it() {
    let (_, first) = dial(&speaking(7..=9), 9, Suite::ChaChaPoly);
    let mut answering = listen(&Policy::default());
    assert_eq!(answering.push(&first[..7]), Ok(false));
    let refused = answering.push(&first[7..8]).unwrap_err();
    assert_eq!(refused.counter(), "unsupported_version");
}

#[test]
fn a_reject_is_told_from_an_answer_at_any_split() {
    let reject = Reject::new(RejectReason::Busy, &(1..=1));
    for split in 0..8 {
        let (mut dialling, _) = dial(&Policy::default(), 1, Suite::ChaChaPoly);
        let whole = reject.encode();
        let (one, two) = whole.split_at(split);
        assert_eq!(dialling.push(one), Ok(false));
        assert!(matches!(dialling.step(), Ok(Step::NeedMore)));
        assert_eq!(dialling.push(two), Err(HandshakeError::Rejected(reject)));
    }
    let (mut dialling, _) = dial(&Policy::default(), 1, Suite::ChaChaPoly);
    let garbled = dialling.push(b"HLWX\x04\x01\x01\x03").unwrap_err();
    assert!(matches!(garbled, HandshakeError::MalformedHello(_)));
    assert_eq!(garbled.reject(), None);
}
