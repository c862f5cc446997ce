//! Somebody recorded everything and later got hold of keys.

use super::reference::{self, CipherState, Key, Noise, dh};
use super::{BOTH_SUITES, Chance, Exchange, alice, bob, exchange};
use hallway_proto::handshake::Suite;

const ALICES: Chance = Chance(1);
const BOBS: Chance = Chance(2);

/// The four secrets that a session's keys are made of, or what somebody takes for them.
#[derive(Clone, Copy)]
struct Secrets {
    ee: Key,
    kem: Key,
    es: Key,
    se: Key,
}

/// Decrypts both payloads of a recorded handshake and derives the keys of its records.
fn decrypt(
    suite: Suite,
    recorded: &Exchange,
    secrets: Secrets,
) -> Option<(Vec<u8>, Vec<u8>, [CipherState; 2])> {
    let (hello, message_1) = recorded.first.split_at(8);
    let mut noise = Noise::new(suite, hello);
    noise.read_1(message_1);
    let Secrets { ee, kem, es, se } = secrets;
    let (_, _, second) = noise.read_2(&recorded.second, |_| ee, |_| kem, |_| es)?;
    let (_, third) = noise.read_3(&recorded.third, |_| se)?;
    assert_eq!(noise.hash, recorded.initiator.handshake_hash);
    Some((second, third, noise.split()))
}

/// The public keys that the recording shows: both ephemerals and Alice's ML-KEM key.
fn ephemerals(recorded: &Exchange) -> (Key, Key) {
    let from = |message: &[u8], at: usize| *message[at..].first_chunk().unwrap();
    (from(&recorded.first, 10), from(&recorded.second, 2))
}

/// What both sides computed.
fn all_secrets(recorded: &Exchange) -> Secrets {
    let (alices_e, bobs_e) = ephemerals(recorded);
    let e1 = &recorded.first[42..];
    Secrets {
        ee: dh(&ALICES.ephemeral(), &bobs_e),
        kem: reference::encapsulate(e1, &BOBS.encapsulation_seed()).1,
        // What the static keys give: everything but the two that need an ephemeral secret.
        es: dh(&bob().device, &alices_e),
        se: dh(&alice().device, &bobs_e),
    }
}

#[test]
fn the_participants_secrets_decrypt_everything() {
    for suite in BOTH_SUITES {
        let mut recorded = exchange(suite, ALICES, BOBS);
        let secrets = all_secrets(&recorded);
        let (second, third, [mut alices, mut bobs]) = decrypt(suite, &recorded, secrets).unwrap();
        assert_eq!(second, reference::payload(bob().certificate(), false, None));
        assert_eq!(
            third,
            reference::payload(alice().certificate(), false, Some(1))
        );
        let mut record = Vec::new();
        recorded
            .initiator
            .transport
            .seal(b"hello", &mut record)
            .unwrap();
        assert_eq!(alices.decrypt(&[], &record[2..]).unwrap(), b"hello");
        record.clear();
        recorded
            .responder
            .transport
            .seal(b"hi", &mut record)
            .unwrap();
        assert_eq!(bobs.decrypt(&[], &record[2..]).unwrap(), b"hi");
    }
}

/// Forward secrecy: with every long-term secret of both, but no ephemeral one, not even the
/// certificates can be read.
#[test]
fn both_static_keys_decrypt_nothing_recorded() {
    let recorded = exchange(Suite::ChaChaPoly, ALICES, BOBS);
    let (alice, bob) = (alice(), bob());
    let (alices_e, bobs_e) = ephemerals(&recorded);
    let mut guesses = vec![[0; 32]];
    for secret in [alice.device, alice.seed, bob.device, bob.seed] {
        for public in [alice.device_key(), bob.device_key(), alices_e, bobs_e] {
            guesses.push(dh(&secret, &public));
        }
    }
    let right = all_secrets(&recorded);
    for ee in &guesses {
        for kem in &guesses {
            let secrets = Secrets {
                ee: *ee,
                kem: *kem,
                ..right
            };
            assert!(decrypt(Suite::ChaChaPoly, &recorded, secrets).is_none());
        }
    }
}

/// Either half of the hybrid protects alone: neither a broken X25519 nor a broken ML-KEM opens
/// the recording, though the static keys are known as well.
#[test]
fn one_broken_half_of_the_hybrid_decrypts_nothing_recorded() {
    let recorded = exchange(Suite::ChaChaPoly, ALICES, BOBS);
    let right = all_secrets(&recorded);
    for guess in [[0; 32], right.ee, right.es, right.se] {
        let broken_x25519 = Secrets {
            kem: guess,
            ..right
        };
        assert!(decrypt(Suite::ChaChaPoly, &recorded, broken_x25519).is_none());
    }
    for guess in [[0; 32], right.kem, right.es, right.se] {
        let broken_ml_kem = Secrets { ee: guess, ..right };
        assert!(decrypt(Suite::ChaChaPoly, &recorded, broken_ml_kem).is_none());
    }
}
