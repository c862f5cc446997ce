//! Keys with which everybody shares the same secret, and second encodings of good ones, in every
//! place where a key can stand.

use super::attacks::{answer, greet};
use super::reference::{self, Key, Noise, Second, dh, kem_public};
use super::{Chance, alice, bob, mallory, receive};
use hallway_proto::handshake::{CertificateError, HandshakeError, Suite};

/// Points of low order and encodings that are not the only one of their point.
fn weak_keys() -> Vec<Key> {
    let mut keys: Vec<Key> = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // p, p + 1 and p + 9, the last being the base point once more.
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .iter()
    .map(|key| hex::decode(key).unwrap().try_into().unwrap())
    .collect();
    // With the top bit set all of them, and good keys, are the same points to RFC 7748.
    let mut good = vec![mallory().device_key(), bob().device_key()];
    good.extend(keys.clone());
    keys.extend(good.into_iter().map(|mut key| {
        key[31] |= 0x80;
        key
    }));
    keys
}

const ALICES: Chance = Chance(1);

#[test]
fn as_ephemeral_key_of_the_initiator() {
    for weak in weak_keys() {
        let hello = reference::hello(1, 1, 1);
        let mut noise = Noise::new(Suite::ChaChaPoly, &hello);
        let first = noise.write_1(&weak, &kem_public(&[7; 64]));
        let refused = receive(&mut bob().listen(Chance(2)), &[&hello[..], &first].concat());
        assert_eq!(refused.unwrap_err(), HandshakeError::WeakKey);
    }
}

#[test]
fn as_ephemeral_key_of_the_responder() {
    let mallory = mallory();
    for weak in weak_keys() {
        let (mut dialling, first) = alice().dial(None, ALICES);
        let (hello, message_1) = first.split_at(8);
        let mut noise = Noise::new(Suite::ChaChaPoly, hello);
        let (e, e1) = noise.read_1(message_1);
        let (ciphertext, shared) = reference::encapsulate(&e1, &[8; 32]);
        let second = noise.write_2(&Second {
            e: weak,
            // What the initiator would compute, were it not to look.
            ee: dh(&ALICES.ephemeral(), &weak),
            ciphertext,
            shared,
            s: mallory.device_key(),
            es: dh(&mallory.device, &e),
            payload: &reference::payload(mallory.certificate(), false, None),
        });
        let refused = receive(&mut dialling, &second);
        assert_eq!(refused.unwrap_err(), HandshakeError::WeakKey);
    }
}

/// A peer without any private key, whose certificate names a key that needs none.
#[test]
fn as_static_key_and_in_the_certificate() {
    let mallory = mallory();
    for weak in weak_keys() {
        let named = reference::certificate(&mallory.seed, &weak, "any", 1_750_000_000_000);

        let (mut dialling, first) = alice().dial(None, ALICES);
        let payload = reference::payload(&named, false, None);
        // What the initiator would compute, were it not to look.
        let es = |_: &Key| dh(&ALICES.ephemeral(), &weak);
        let refused = receive(&mut dialling, &answer(&first, &weak, &payload, es));
        assert_eq!(refused.unwrap_err(), HandshakeError::WeakKey);

        let (mut answering, mut noise, _, _) = greet(&bob());
        let payload = reference::payload(&named, false, Some(1));
        let se = dh(&Chance(2).ephemeral(), &weak);
        let third = noise.write_3(&weak, &se, &payload);
        let refused = receive(&mut answering, &third);
        assert_eq!(refused.unwrap_err(), HandshakeError::WeakKey);
    }
}

#[test]
fn in_the_certificate_only() {
    let mallory = mallory();
    for weak in weak_keys() {
        let named = reference::certificate(&mallory.seed, &weak, "any", 1_750_000_000_000);
        let (mut answering, mut noise, _, e) = greet(&bob());
        let payload = reference::payload(&named, false, Some(1));
        let se = dh(&mallory.device, &e);
        let third = noise.write_3(&mallory.device_key(), &se, &payload);
        let refused = receive(&mut answering, &third).unwrap_err();
        assert_eq!(
            refused,
            HandshakeError::Certificate(CertificateError::WeakDevice)
        );
        assert_eq!(refused.counter(), "weak_key");
    }
}

#[test]
fn as_identity_key() {
    let mallory = mallory();
    let device = mallory.device_key();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for identity in [[0; 32], neutral] {
        // R neutral and s = 0 is a signature of anything under a key of low order.
        let mut named = reference::statement(&identity, &device, "any", 1_750_000_000_000);
        named.push(1);
        named.extend([0; 63]);
        let (mut answering, mut noise, _, e) = greet(&bob());
        let payload = reference::payload(&named, false, Some(1));
        let third = noise.write_3(&device, &dh(&mallory.device, &e), &payload);
        let refused = receive(&mut answering, &third).unwrap_err();
        assert_eq!(
            refused,
            HandshakeError::Certificate(CertificateError::WeakIdentity)
        );
    }
}

#[test]
fn an_ml_kem_key_that_is_none() {
    for place in [0, 3 * 100, 1149] {
        let mut e1 = kem_public(&[7; 64]);
        e1[place..place + 3].fill(0xff);
        let hello = reference::hello(1, 1, 1);
        let mut noise = Noise::new(Suite::ChaChaPoly, &hello);
        let first = noise.write_1(&mallory().device_key(), &e1);
        let refused = receive(&mut bob().listen(Chance(2)), &[&hello[..], &first].concat());
        assert_eq!(refused.unwrap_err(), HandshakeError::WeakKey);
    }
}
