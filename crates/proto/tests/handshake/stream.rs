//! A byte stream has no message boundaries: however it is cut, the outcome is the same, and what
//! a stranger can make us keep is bounded.

use super::{Chance, alice, bob, done, exchange, mallory, receive, reference, sent};
use hallway_proto::handshake::{
    HANDSHAKE_BYTES_MAX, Handshake, HandshakeError, Purpose, Role, Step, Suite,
};
use proptest::prelude::*;

/// Feeds a stream in pieces, stepping whenever a message is whole.
fn feed<'a>(
    handshake: &mut Handshake,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Step, HandshakeError> {
    for piece in pieces {
        match receive(handshake, piece)? {
            Step::NeedMore => {}
            step @ (Step::Send(_) | Step::Done { .. }) => return Ok(step),
        }
    }
    Ok(Step::NeedMore)
}

fn pieces<'a>(bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    lengths.iter().cycle().map_while(move |length| {
        let (piece, left) = rest.split_at((*length).min(rest.len()));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_the_stream_gives_the_same_session(
        lengths in proptest::collection::vec(1..700usize, 1..12),
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..4),
    ) {
        let (mut dialling, first) = alice().dial(Some(bob().id()), Chance(1));
        let mut answering = bob().listen(Chance(2));
        let second = sent(feed(&mut answering, pieces(&first, &lengths)));
        let (mut stream, mut initiator) = done(feed(&mut dialling, pieces(&second, &lengths)));
        for record in &records {
            initiator.transport.seal(record, &mut stream).unwrap();
        }
        // Message 3 and the first records in one stream: the step takes what it needs, and what
        // is read after it goes to the transport.
        let mut parts = pieces(&stream, &lengths);
        let (_, mut responder) = done(feed(&mut answering, parts.by_ref()));
        prop_assert_eq!(initiator.handshake_hash, responder.handshake_hash);
        let mut opened = Vec::new();
        let mut plaintext = Vec::new();
        let leftover = std::mem::take(&mut responder.leftover);
        let mut open = |part: &[u8]| {
            responder.transport.push(part);
            while responder.transport.open(&mut plaintext).unwrap() {
                opened.push(plaintext.clone());
            }
        };
        open(&leftover);
        parts.for_each(open);
        prop_assert_eq!(opened, records);
    }

    #[test]
    fn any_bytes_are_refused_or_waited_for(bytes: Vec<u8>, after_hello: bool, cut in 1..64usize) {
        let hello = reference::hello(1, 1, 1);
        let stream = if after_hello { [&hello[..], &bytes].concat() } else { bytes };
        let step = feed(&mut bob().listen(Chance(2)), stream.chunks(cut));
        let established = matches!(step, Ok(Step::Done { .. }));
        prop_assert!(!established);
        let (mut dialling, _) = alice().dial(Some(bob().id()), Chance(1));
        let step = feed(&mut dialling, stream.chunks(cut));
        prop_assert!(matches!(step, Err(_) | Ok(Step::NeedMore)));
    }
}

#[test]
fn both_sides_agree_on_what_was_established() {
    for suite in super::BOTH_SUITES {
        let exchange = exchange(suite, Chance(1), Chance(2));
        let (initiator, responder) = (&exchange.initiator, &exchange.responder);
        assert_eq!(initiator.handshake_hash, responder.handshake_hash);
        assert_eq!((initiator.peer, responder.peer), (bob().id(), alice().id()));
        assert_eq!(initiator.certificate, *bob().keys.certificate());
        assert_eq!(responder.certificate, *alice().keys.certificate());
        assert_eq!(
            (initiator.role, responder.role),
            (Role::Initiator, Role::Responder)
        );
        for side in [initiator, responder] {
            assert_eq!((side.suite, side.version), (suite, 1));
            assert_eq!(side.capabilities.purpose, Purpose::Session);
            assert!(!side.capabilities.fast_aes);
            assert!(side.leftover.is_empty());
        }
    }
}

#[test]
fn capabilities_reach_the_other_side() {
    use hallway_proto::handshake::Policy;
    let fast = Policy {
        fast_aes: true,
        ..Policy::default()
    };
    let (alice, bob) = (alice(), bob());
    let entropy = Chance(1).entropy();
    let (mut dialling, first) = Handshake::initiate(
        alice.keys,
        &fast,
        None,
        Suite::AesGcm,
        Purpose::Bulk,
        entropy,
    );
    let mut answering = bob.listen(Chance(2));
    let second = sent(receive(&mut answering, &first));
    let (third, initiator) = done(receive(&mut dialling, &second));
    let (_, responder) = done(receive(&mut answering, &third));
    assert_eq!(initiator.capabilities.purpose, Purpose::Bulk);
    assert_eq!(responder.capabilities.purpose, Purpose::Bulk);
    assert!(!initiator.capabilities.fast_aes);
    assert!(responder.capabilities.fast_aes);
}

#[test]
fn early_records_are_kept_up_to_the_limit() {
    let third = exchange(Suite::ChaChaPoly, Chance(1), Chance(2)).third;
    let answering = || {
        let mut answering = bob().listen(Chance(2));
        let (_, first) = alice().dial(Some(bob().id()), Chance(1));
        sent(receive(&mut answering, &first));
        answering
    };
    // In pieces: up to the limit and not beyond it.
    let mut answer = answering();
    assert_eq!(answer.push(&third), Ok(true));
    let early = vec![9; HANDSHAKE_BYTES_MAX - third.len()];
    assert_eq!(answer.push(&early), Ok(true));
    let (_, established) = done(answer.step());
    assert_eq!(established.leftover, early);

    let mut answer = answering();
    assert_eq!(answer.push(&third), Ok(true));
    assert_eq!(answer.push(&early), Ok(true));
    let past = HandshakeError::Length(HANDSHAKE_BYTES_MAX + 1);
    assert_eq!(answer.push(&[9]), Err(past));

    // What arrives together with the end of the message is kept, however much was read at once.
    let mut answer = answering();
    assert_eq!(answer.push(&third[..100]), Ok(false));
    let much = vec![9; 65_536];
    assert_eq!(answer.push(&[&third[100..], &much].concat()), Ok(true));
    assert_eq!(done(answer.step()).1.leftover, much);
}

#[test]
fn nobody_may_go_on_before_it_is_their_turn() {
    let original = exchange(Suite::ChaChaPoly, Chance(1), Chance(2));
    let mut answering = bob().listen(Chance(2));
    let early = [&original.first[..], &[0]].concat();
    assert_eq!(answering.push(&early), Err(HandshakeError::OutOfTurn));
    let (mut dialling, _) = alice().dial(Some(bob().id()), Chance(1));
    let early = [&original.second[..], &[0]].concat();
    assert_eq!(dialling.push(&early), Err(HandshakeError::OutOfTurn));
}

/// A payload with something of a later version in it, to make it this long.
fn padded(payload: &[u8], length: usize) -> Vec<u8> {
    let mut padded = [&[payload[0] + 1], &payload[1..], b"\x61z\x59"].concat();
    let filler = length - padded.len() - 2;
    padded.extend(u16::try_from(filler).unwrap().to_be_bytes());
    padded.resize(length, 0);
    padded
}

#[test]
fn a_payload_has_its_greatest_length_and_no_more() {
    let (bob, mallory) = (bob(), mallory());
    for (length, fits) in [(1024, true), (1025, false)] {
        // As initiator.
        let ours = reference::payload(mallory.certificate(), false, Some(1));
        let (mut answering, mut noise, _, e) = super::attacks::greet(&bob);
        let se = reference::dh(&mallory.device, &e);
        let third = noise.write_3(&mallory.device_key(), &se, &padded(&ours, length));
        let step = receive(&mut answering, &third);
        if fits {
            assert_eq!(done(step).1.peer, mallory.id());
        } else {
            assert_eq!(step.unwrap_err(), HandshakeError::Length(64 + length));
        }
        // As responder.
        let ours = reference::payload(mallory.certificate(), false, None);
        let (mut dialling, first) = bob.dial(None, Chance(1));
        let second =
            super::attacks::answer(&first, &mallory.device_key(), &padded(&ours, length), |e| {
                reference::dh(&mallory.device, e)
            });
        let step = receive(&mut dialling, &second);
        if fits {
            assert_eq!(done(step).1.peer, mallory.id());
        } else {
            assert_eq!(step.unwrap_err(), HandshakeError::Length(1200 + length));
        }
    }
}

#[test]
fn an_unknown_purpose_is_unsupported_and_a_missing_one_malformed() {
    let (bob, mallory) = (bob(), mallory());
    for (purpose, error) in [
        (Some(3), HandshakeError::UnsupportedPurpose(3)),
        (
            None,
            HandshakeError::MalformedPayload(hallway_proto::cbor::CborError::Shape),
        ),
    ] {
        let ours = reference::payload(mallory.certificate(), false, purpose);
        let (mut answering, mut noise, _, e) = super::attacks::greet(&bob);
        let se = reference::dh(&mallory.device, &e);
        let third = noise.write_3(&mallory.device_key(), &se, &ours);
        assert_eq!(receive(&mut answering, &third).unwrap_err(), error);
    }
}
