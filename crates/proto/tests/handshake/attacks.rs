//! Posing as somebody else, replaying, reflecting, and passing somebody else's key off as one's
//! own. Each attack is shown to work once the attacker has the one secret it lacks, so that it
//! fails for want of that secret and not because it was written badly.

use super::reference::{self, Key, Noise, Second, dh, encapsulate, kem_public, public};
use super::{BOTH_SUITES, Chance, Person, alice, bob, done, exchange, mallory, receive, sent};
use hallway_model::{Name, PeerId, WallTime};
use hallway_proto::handshake::{Handshake, HandshakeError, LocalKeys, RecordError, Step, Suite};
use std::sync::Arc;

const MALLORYS: Chance = Chance(66);

/// Mallory dials the victim and reads its message 2, as any stranger can. Returns the victim's
/// handshake, the state before message 3, the victim's payload and its ephemeral key.
pub(crate) fn greet(victim: &Person) -> (Handshake, Noise, Vec<u8>, Key) {
    let hello = reference::hello(1, 1, 1);
    let mut noise = Noise::new(Suite::ChaChaPoly, &hello);
    let secret = MALLORYS.ephemeral();
    let first = noise.write_1(&public(&secret), &kem_public(&MALLORYS.key_seed()));
    let mut answering = victim.listen(Chance(2));
    let second = sent(receive(&mut answering, &[&hello[..], &first].concat()));
    let read = noise.read_2(
        &second,
        |e| dh(&secret, e),
        |ciphertext| reference::decapsulate(&MALLORYS.key_seed(), ciphertext),
        |s| dh(&secret, s),
    );
    let (e, s, payload) = read.unwrap();
    assert_eq!(s, victim.device_key());
    (answering, noise, payload, e)
}

/// Mallory answers a dialling victim with this static key and payload, computing `es` from the
/// victim's ephemeral key as told.
pub(crate) fn answer(first: &[u8], s: &Key, payload: &[u8], es: impl Fn(&Key) -> Key) -> Vec<u8> {
    let (hello, message_1) = first.split_at(8);
    let mut noise = Noise::new(Suite::ChaChaPoly, hello);
    let (e, e1) = noise.read_1(message_1);
    let secret = MALLORYS.ephemeral();
    let (ciphertext, shared) = encapsulate(&e1, &MALLORYS.encapsulation_seed());
    noise.write_2(&Second {
        e: public(&secret),
        ee: dh(&secret, &e),
        ciphertext,
        shared,
        s: *s,
        es: es(&e),
        payload,
    })
}

/// Every secret that can be made of what a thief of Alice's keys has, where Bob's is wanted.
fn guesses(alice: &Person, bob: &Person, alices_ephemeral: &Key) -> Vec<Key> {
    let ephemeral = MALLORYS.ephemeral();
    vec![
        dh(&alice.device, &bob.device_key()),
        dh(&alice.device, alices_ephemeral),
        dh(&alice.device, &public(&ephemeral)),
        dh(&alice.device, &alice.device_key()),
        dh(&ephemeral, alices_ephemeral),
        dh(&ephemeral, &alice.device_key()),
        dh(&ephemeral, &bob.device_key()),
        dh(&alice.seed, alices_ephemeral),
        [0; 32],
    ]
}

/// Key compromise impersonation: with every secret of Alice, and all that is public of Bob,
/// nobody can pose as Bob to her.
#[test]
fn with_alices_keys_nobody_dials_her_as_bob() {
    let (alice, bob) = (alice(), bob());
    let pose = |se: &dyn Fn(&Key) -> Key| {
        let (mut answering, mut noise, _, e) = greet(&alice);
        let payload = reference::payload(bob.certificate(), false, Some(1));
        let third = noise.write_3(&bob.device_key(), &se(&e), &payload);
        receive(&mut answering, &third)
    };
    for guess in 0..guesses(&alice, &bob, &[9; 32]).len() {
        let refused = pose(&|e| guesses(&alice, &bob, e)[guess]);
        assert_eq!(
            refused.unwrap_err(),
            HandshakeError::Tampered,
            "guess {guess}"
        );
    }
    assert_eq!(done(pose(&|e| dh(&bob.device, e))).1.peer, bob.id());
}

#[test]
fn with_alices_keys_nobody_answers_her_as_bob() {
    let (alice, bob) = (alice(), bob());
    let pose = |es: &dyn Fn(&Key) -> Key| {
        let (mut dialling, first) = alice.dial(Some(bob.id()), Chance(1));
        let payload = reference::payload(bob.certificate(), false, None);
        receive(
            &mut dialling,
            &answer(&first, &bob.device_key(), &payload, es),
        )
    };
    for guess in 0..guesses(&alice, &bob, &[9; 32]).len() {
        let refused = pose(&|e| guesses(&alice, &bob, e)[guess]);
        assert_eq!(
            refused.unwrap_err(),
            HandshakeError::Tampered,
            "guess {guess}"
        );
    }
    assert_eq!(done(pose(&|e| dh(&bob.device, e))).1.peer, bob.id());
}

#[test]
fn a_replayed_session_convinces_neither_side() {
    for suite in BOTH_SUITES {
        let mut old = exchange(suite, Chance(1), Chance(2));
        let mut record = Vec::new();
        old.initiator
            .transport
            .seal(b"pay Mallory", &mut record)
            .unwrap();

        // To the responder: the first message is answered anew, the third fits no more.
        let mut answering = bob().listen(Chance(3));
        assert_ne!(sent(receive(&mut answering, &old.first)), old.second);
        let replayed = [&old.third[..], &record].concat();
        let refused = receive(&mut answering, &replayed);
        assert_eq!(refused.unwrap_err(), HandshakeError::Tampered);

        // To the initiator.
        let (mut dialling, _) = alice().dial_with(Some(bob().id()), suite, Chance(3));
        let refused = receive(&mut dialling, &old.second);
        assert_eq!(refused.unwrap_err(), HandshakeError::Tampered);

        // A record of one session in another between the same two.
        let mut new = exchange(suite, Chance(3), Chance(4));
        new.responder.transport.push(&record);
        let refused = new.responder.transport.open(&mut Vec::new());
        assert_eq!(refused, Err(RecordError::Tampered));
    }
}

#[test]
fn nobody_talks_to_their_own_reflection() {
    // One's own bytes, sent back.
    let (mut dialling, first) = alice().dial(Some(bob().id()), Chance(1));
    assert!(matches!(
        dialling.push(&first),
        Err(HandshakeError::MalformedHello(_))
    ));
    let (mut dialling, first) = alice().dial(Some(bob().id()), Chance(1));
    let refused = receive(&mut dialling, &first[8..]);
    assert_eq!(refused.unwrap_err(), HandshakeError::Tampered);
    let original = exchange(Suite::ChaChaPoly, Chance(1), Chance(2));
    let mut answering = bob().listen(Chance(2));
    sent(receive(&mut answering, &original.first));
    assert!(receive(&mut answering, &original.second).is_err());
    let mut answering = bob().listen(Chance(2));
    sent(receive(&mut answering, &original.first));
    let refused = receive(&mut answering, &original.first[8..]);
    assert_eq!(refused.unwrap_err(), HandshakeError::Length(1216));
}

#[test]
fn a_dial_that_ends_at_oneself_is_noticed_before_message_3() {
    let alice = alice();
    for expected in [None, Some(alice.id()), Some(bob().id())] {
        let (mut dialling, first) = alice.dial(expected, Chance(1));
        let second = sent(receive(&mut alice.listen(Chance(2)), &first));
        assert_eq!(
            receive(&mut dialling, &second).unwrap_err(),
            HandshakeError::Oneself
        );
    }
    // And by the responder, should the initiator not mind.
    let (mut answering, mut noise, _, e) = greet(&alice);
    let payload = reference::payload(alice.certificate(), false, Some(1));
    let se = dh(&alice.device, &e);
    let third = noise.write_3(&alice.device_key(), &se, &payload);
    assert_eq!(
        receive(&mut answering, &third).unwrap_err(),
        HandshakeError::Oneself
    );
}

#[test]
fn a_second_device_of_oneself_is_oneself() {
    let alice = alice();
    let name = Name::new("other laptop").unwrap();
    let other = LocalKeys::new(alice.seed, [0x55; 32], &name, WallTime(0));
    let (mut dialling, first) = alice.dial(None, Chance(1));
    let entropy = Chance(2).entropy();
    let mut answering = Handshake::respond(Arc::new(other), &Default::default(), entropy);
    let second = sent(receive(&mut answering, &first));
    assert_eq!(
        receive(&mut dialling, &second).unwrap_err(),
        HandshakeError::Oneself
    );
}

#[test]
fn the_wrong_peer_learns_nothing_of_who_dialled() {
    let (alice, bob, mallory) = (alice(), bob(), mallory());
    let (mut dialling, first) = alice.dial(Some(bob.id()), Chance(1));
    let mut answering = mallory.listen(Chance(2));
    let second = sent(receive(&mut answering, &first));
    let refused = receive(&mut dialling, &second);
    let (expected, found) = (bob.id(), mallory.id());
    assert_eq!(
        refused.unwrap_err(),
        HandshakeError::WrongPeer { expected, found }
    );
    // Nothing but a key made for the occasion has left Alice.
    for known in [alice.id().0, alice.device_key()] {
        assert!(!first.windows(32).any(|window| window == known));
    }
}

/// Unknown key share: Mallory must not make one side believe that it talks to her while it talks
/// to the other.
#[test]
fn nobody_passes_anothers_device_off_as_their_own() {
    let (alice, bob, mallory) = (alice(), bob(), mallory());
    let stolen = |owner: &Person| {
        reference::certificate(
            &mallory.seed,
            &owner.device_key(),
            "mine",
            1_750_000_000_000,
        )
    };

    // Alice dials Mallory, who shows Bob's device as hers and proves her own.
    let payload = reference::payload(&stolen(&bob), false, None);
    let own_key = |e: &Key| dh(&mallory.device, e);
    let (mut dialling, first) = alice.dial(Some(mallory.id()), Chance(1));
    let second = answer(&first, &mallory.device_key(), &payload, own_key);
    let refused = receive(&mut dialling, &second);
    assert_eq!(refused.unwrap_err(), HandshakeError::ForeignCertificate);
    // Who claims Bob's device for real lacks its secret; with it, it would be Mallory's too.
    let (mut dialling, first) = alice.dial(Some(mallory.id()), Chance(1));
    let second = answer(&first, &bob.device_key(), &payload, own_key);
    assert_eq!(
        receive(&mut dialling, &second).unwrap_err(),
        HandshakeError::Tampered
    );
    let (mut dialling, first) = alice.dial(Some(mallory.id()), Chance(1));
    let second = answer(&first, &bob.device_key(), &payload, |e| dh(&bob.device, e));
    assert_eq!(done(receive(&mut dialling, &second)).1.peer, mallory.id());
    // Alice dials Mallory, who passes everything on to Bob and his answer back.
    let (mut dialling, first) = alice.dial(Some(mallory.id()), Chance(1));
    let second = sent(receive(&mut bob.listen(Chance(2)), &first));
    let wrong = HandshakeError::WrongPeer {
        expected: mallory.id(),
        found: bob.id(),
    };
    assert_eq!(receive(&mut dialling, &second).unwrap_err(), wrong);

    // Mallory dials Bob and shows Alice's device as hers.
    let payload = reference::payload(&stolen(&alice), false, Some(1));
    let (mut answering, mut noise, _, e) = greet(&bob);
    let third = noise.write_3(&mallory.device_key(), &own_key(&e), &payload);
    let refused = receive(&mut answering, &third);
    assert_eq!(refused.unwrap_err(), HandshakeError::ForeignCertificate);
    let (mut answering, mut noise, _, e) = greet(&bob);
    let third = noise.write_3(&alice.device_key(), &own_key(&e), &payload);
    assert_eq!(
        receive(&mut answering, &third).unwrap_err(),
        HandshakeError::Tampered
    );
}

#[test]
fn a_certificate_of_anothers_person_needs_their_signature() {
    let (bob, mallory) = (bob(), mallory());
    // Bob's identity over Mallory's device, signed by Mallory.
    let mut forged =
        reference::statement(&bob.id().0, &mallory.device_key(), bob.name, bob.created.0);
    let signature = mallory.certificate().last_chunk::<64>().unwrap();
    forged.extend(signature);
    let payload = reference::payload(&forged, false, None);
    let (mut dialling, first) = alice().dial(Some(bob.id()), Chance(1));
    let own_key = |e: &Key| dh(&mallory.device, e);
    let second = answer(&first, &mallory.device_key(), &payload, own_key);
    let refused = receive(&mut dialling, &second).unwrap_err();
    assert_eq!(refused.counter(), "bad_certificate");
}

#[test]
fn strangers_see_no_more_of_a_responder_than_its_certificate() {
    let bob = bob();
    let (_, _, payload, _) = greet(&bob);
    assert_eq!(payload, reference::payload(bob.certificate(), false, None));
    assert!(
        !payload
            .windows(32)
            .any(|window| window == bob.seed || window == bob.device)
    );
}

#[test]
fn simultaneous_dials_into_each_other_fail_both() {
    let (alice, bob) = (alice(), bob());
    let (mut a, from_a) = alice.dial(Some(bob.id()), Chance(1));
    let (mut b, from_b) = bob.dial(Some(alice.id()), Chance(2));
    assert!(a.push(&from_b).is_err() && b.push(&from_a).is_err());
    assert!(matches!(a.step(), Err(HandshakeError::Over)));
}

#[test]
fn the_peer_is_always_one_that_was_proven() {
    let expected: Option<PeerId> = None;
    let (mut dialling, first) = alice().dial(expected, Chance(1));
    let second = sent(receive(&mut bob().listen(Chance(2)), &first));
    assert!(matches!(
        receive(&mut dialling, &second),
        Ok(Step::Done { established, .. }) if established.peer == bob().id()
    ));
}
