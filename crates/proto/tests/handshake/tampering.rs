//! Changed, cut and lengthened messages: nobody ends up established on a wrong transcript.

use super::{BOTH_SUITES, Chance, Exchange, alice, bob, exchange, receive, sent};
use hallway_proto::handshake::{HandshakeError, Step, Suite};

const ALICES: Chance = Chance(1);
const BOBS: Chance = Chance(2);

/// What a fresh responder says to these first bytes.
fn first(bytes: &[u8]) -> Result<Step, HandshakeError> {
    receive(&mut bob().listen(BOBS), bytes)
}

/// What a fresh initiator, with the randomness of the original, says to this second message.
fn second(suite: Suite, bytes: &[u8]) -> Result<Step, HandshakeError> {
    let (mut dialling, _) = alice().dial_with(Some(bob().id()), suite, ALICES);
    receive(&mut dialling, bytes)
}

/// What a responder that has seen the original first message says to this third one.
fn third(original: &Exchange, bytes: &[u8]) -> Result<Step, HandshakeError> {
    let mut answering = bob().listen(BOBS);
    sent(receive(&mut answering, &original.first));
    receive(&mut answering, bytes)
}

fn established(step: &Result<Step, HandshakeError>) -> bool {
    matches!(step, Ok(Step::Done { .. }))
}

/// A changed first message may be answered; then the answer convinces nobody.
fn assert_first_fails(suite: Suite, changed: &[u8], what: &str) {
    match first(changed) {
        Err(_) | Ok(Step::NeedMore) => {}
        Ok(Step::Send(answer)) => {
            let refused = second(suite, &answer);
            assert!(
                matches!(refused, Err(HandshakeError::Tampered)),
                "{what}: {refused:?}"
            );
        }
        done @ Ok(Step::Done { .. }) => panic!("{what}: {done:?}"),
    }
}

#[test]
fn every_changed_byte_fails_closed() {
    for suite in BOTH_SUITES {
        let original = exchange(suite, ALICES, BOBS);
        let flipped = |message: &[u8], at: usize| {
            let mut message = message.to_vec();
            message[at] ^= 1 << (at % 8);
            message
        };
        for at in 0..original.first.len() {
            assert_first_fails(
                suite,
                &flipped(&original.first, at),
                &format!("first, {at}"),
            );
        }
        for at in 0..original.second.len() {
            let step = second(suite, &flipped(&original.second, at));
            assert!(!established(&step), "second, {at}: {step:?}");
        }
        for at in 0..original.third.len() {
            let step = third(&original, &flipped(&original.third, at));
            assert!(!established(&step), "third, {at}: {step:?}");
        }
        // The harness itself changes nothing.
        assert_eq!(sent(first(&original.first)), original.second);
        assert!(established(&second(suite, &original.second)));
        assert!(established(&third(&original, &original.third)));
    }
}

#[test]
fn every_value_of_the_bytes_in_clear_fails_closed() {
    let original = exchange(Suite::ChaChaPoly, ALICES, BOBS);
    // The Hello and the length of message 1, then the length of message 2.
    for at in 0..10 {
        for value in (0..=255).filter(|value| *value != original.first[at]) {
            let mut changed = original.first.clone();
            changed[at] = value;
            assert_first_fails(
                Suite::ChaChaPoly,
                &changed,
                &format!("byte {at} is {value}"),
            );
        }
    }
    for at in 0..2 {
        for value in (0..=255).filter(|value| *value != original.second[at]) {
            let mut changed = original.second.clone();
            changed[at] = value;
            let step = second(Suite::ChaChaPoly, &changed);
            assert!(!established(&step), "byte {at} is {value}: {step:?}");
        }
    }
}

#[test]
fn a_message_that_ends_early_is_waited_for() {
    let original = exchange(Suite::ChaChaPoly, ALICES, BOBS);
    let waits = |handshake: &mut super::Handshake, message: &[u8]| {
        let (last, before) = message.split_last().unwrap();
        for byte in before {
            assert!(matches!(receive(handshake, &[*byte]), Ok(Step::NeedMore)));
        }
        receive(handshake, &[*last])
    };
    let (mut dialling, _) = alice().dial(Some(bob().id()), ALICES);
    let mut answering = bob().listen(BOBS);
    assert_eq!(
        sent(waits(&mut answering, &original.first)),
        original.second
    );
    assert!(established(&waits(&mut dialling, &original.second)));
    assert!(established(&waits(&mut answering, &original.third)));
}

#[test]
fn a_message_that_claims_to_be_shorter_or_longer_is_refused() {
    let original = exchange(Suite::ChaChaPoly, ALICES, BOBS);
    let resized = |message: &[u8], length: usize| {
        let mut resized = message[2..].to_vec();
        resized.resize(length, 0);
        super::reference::frame(&resized)
    };
    let (hello, message_1) = original.first.split_at(8);
    let lengths = |message: &[u8]| {
        let whole = message.len() - 2;
        (0..whole).chain([whole + 1, whole + 16, 4000])
    };
    for length in lengths(message_1) {
        let step = first(&[hello, &resized(message_1, length)].concat());
        assert_eq!(step.unwrap_err(), HandshakeError::Length(length));
    }
    for length in lengths(&original.second) {
        let expected = if (1200..=2224).contains(&length) {
            HandshakeError::Tampered
        } else {
            HandshakeError::Length(length)
        };
        let step = second(Suite::ChaChaPoly, &resized(&original.second, length));
        assert_eq!(step.unwrap_err(), expected);
    }
    for length in lengths(&original.third) {
        let expected = if (64..=1088).contains(&length) {
            HandshakeError::Tampered
        } else {
            HandshakeError::Length(length)
        };
        let step = third(&original, &resized(&original.third, length));
        assert_eq!(step.unwrap_err(), expected);
    }
}

#[test]
fn nothing_follows_a_failure() {
    let original = exchange(Suite::ChaChaPoly, ALICES, BOBS);
    let mut changed = original.third.clone();
    *changed.last_mut().unwrap() ^= 1;
    let mut answering = bob().listen(BOBS);
    sent(receive(&mut answering, &original.first));
    assert_eq!(
        receive(&mut answering, &changed).unwrap_err(),
        HandshakeError::Tampered
    );
    assert_eq!(answering.push(&original.third), Err(HandshakeError::Over));
    assert_eq!(answering.step().unwrap_err(), HandshakeError::Over);
    let mut answering = bob().listen(BOBS);
    assert!(answering.push(b"GET / HTTP/1.1\r\n").is_err());
    assert_eq!(answering.push(&original.first), Err(HandshakeError::Over));
}
