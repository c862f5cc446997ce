//! Our own test vectors, `vectors/*.json`: made by the implementation, agreed on byte by byte by
//! the reference, and held against the files. `HALLWAY_WRITE_VECTORS=1` writes the files anew.

use super::reference::{self, CipherState, Noise, Second, dh, public};
use super::{BOTH_SUITES, Chance, Exchange, Person, alice, bob, done, exchange, receive, sent};
use hallway_model::{PeerId, WallTime};
use hallway_proto::handshake::{
    Certificate, Handshake, Hello, LocalKeys, Policy, Purpose, Suite, safety_number,
};
use serde_json::{Value, json};
use std::path::Path;

/// Compares with a file of vectors, or writes it.
fn hold(file: &str, vectors: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(file);
    if std::env::var_os("HALLWAY_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(vectors).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert!(
        *vectors == written,
        "{file} differs: has the protocol changed?"
    );
}

/// One handshake of Alice with Bob.
#[derive(Clone, Copy)]
struct Case {
    suite: Suite,
    purpose: Purpose,
    fast_aes: bool,
    alices: Chance,
    bobs: Chance,
}

const CASES: [Case; 2] = [
    Case {
        suite: Suite::ChaChaPoly,
        purpose: Purpose::Session,
        fast_aes: false,
        alices: Chance(1),
        bobs: Chance(2),
    },
    Case {
        suite: Suite::AesGcm,
        purpose: Purpose::Bulk,
        fast_aes: true,
        alices: Chance(3),
        bobs: Chance(4),
    },
];

/// What the reference makes of a case.
struct Transcript {
    hello: [u8; 8],
    message_1: Vec<u8>,
    payload_2: Vec<u8>,
    message_2: Vec<u8>,
    payload_3: Vec<u8>,
    message_3: Vec<u8>,
    hash: [u8; 32],
    keys: [CipherState; 2],
}

fn by_reference(case: Case) -> Transcript {
    let (alice, bob) = (alice(), bob());
    let (alices_e, bobs_e) = (case.alices.ephemeral(), case.bobs.ephemeral());
    let certificate = |of: &Person| {
        let device_key = public(&of.device);
        reference::certificate(&of.seed, &device_key, of.name, of.created.0)
    };
    let purpose = match case.purpose {
        Purpose::Session => 1,
        Purpose::Bulk => 2,
    };
    let suite = match case.suite {
        Suite::ChaChaPoly => 1,
        Suite::AesGcm => 2,
    };
    let payload_2 = reference::payload(&certificate(&bob), case.fast_aes, None);
    let payload_3 = reference::payload(&certificate(&alice), case.fast_aes, Some(purpose));

    let hello = reference::hello(1, 1, suite);
    let mut noise = Noise::new(case.suite, &hello);
    let e1 = reference::kem_public(&case.alices.key_seed());
    let message_1 = noise.write_1(&public(&alices_e), &e1);
    let (ciphertext, shared) = reference::encapsulate(&e1, &case.bobs.encapsulation_seed());
    let message_2 = noise.write_2(&Second {
        e: public(&bobs_e),
        ee: dh(&bobs_e, &public(&alices_e)),
        ciphertext,
        shared,
        s: public(&bob.device),
        es: dh(&bob.device, &public(&alices_e)),
        payload: &payload_2,
    });
    let se = dh(&alice.device, &public(&bobs_e));
    let message_3 = noise.write_3(&public(&alice.device), &se, &payload_3);
    Transcript {
        hello,
        message_1,
        payload_2,
        message_2,
        payload_3,
        message_3,
        hash: noise.hash,
        keys: noise.split(),
    }
}

fn by_implementation(case: Case) -> Exchange {
    let policy = Policy {
        fast_aes: case.fast_aes,
        ..Policy::default()
    };
    let (alice, bob) = (alice(), bob());
    let (mut dialling, first) = Handshake::initiate(
        alice.keys.clone(),
        &policy,
        Some(bob.id()),
        case.suite,
        case.purpose,
        case.alices.entropy(),
    );
    let mut answering = Handshake::respond(bob.keys.clone(), &policy, case.bobs.entropy());
    let second = sent(receive(&mut answering, &first));
    let (third, initiator) = done(receive(&mut dialling, &second));
    let (_, responder) = done(receive(&mut answering, &third));
    Exchange {
        first,
        second,
        third,
        initiator,
        responder,
    }
}

/// The keys of the records of Alice and of Bob in [`exchange`].
pub(crate) fn keys(suite: Suite, alices: Chance, bobs: Chance) -> [CipherState; 2] {
    let case = Case {
        suite,
        alices,
        bobs,
        ..CASES[0]
    };
    by_reference(case).keys
}

fn person(person: &Person) -> Value {
    json!({
        "identity_seed": hex::encode(person.seed),
        "device_secret": hex::encode(person.device),
        "device_name": person.name,
        "created_ms": person.created.0,
        "id": person.id(),
        "identity_key": hex::encode(person.id().0),
        "device_key": hex::encode(person.device_key()),
        "certificate": hex::encode(person.certificate()),
    })
}

#[test]
fn handshakes() {
    let mut vectors = Vec::new();
    for case in CASES {
        let (expected, made) = (by_reference(case), by_implementation(case));
        assert_eq!(
            made.first,
            [&expected.hello[..], &expected.message_1].concat()
        );
        assert_eq!(made.second, expected.message_2);
        assert_eq!(made.third, expected.message_3);
        assert_eq!(made.initiator.handshake_hash, expected.hash);
        assert_eq!(made.responder.handshake_hash, expected.hash);
        let [initiator_key, responder_key] = &expected.keys;
        vectors.push(json!({
            "suite": case.suite.number(),
            "purpose": case.purpose.number(),
            "fast_aes": case.fast_aes,
            "initiator": person(&alice()),
            "initiator_ephemeral": hex::encode(case.alices.ephemeral()),
            "initiator_kem_seed": hex::encode(case.alices.key_seed()),
            "responder": person(&bob()),
            "responder_ephemeral": hex::encode(case.bobs.ephemeral()),
            "responder_encapsulation_seed": hex::encode(case.bobs.encapsulation_seed()),
            "hello": hex::encode(expected.hello),
            "message_1": hex::encode(&expected.message_1),
            "payload_2": hex::encode(&expected.payload_2),
            "message_2": hex::encode(&expected.message_2),
            "payload_3": hex::encode(&expected.payload_3),
            "message_3": hex::encode(&expected.message_3),
            "handshake_hash": hex::encode(expected.hash),
            "initiator_key": hex::encode(initiator_key.key),
            "responder_key": hex::encode(responder_key.key),
        }));
    }
    // What a responder answers to a Hello, where it does not go on.
    let mut hellos = Vec::new();
    for (version, highest, suite, lowest_spoken, highest_spoken) in [
        (1, 1, 1, 1, 1),
        (1, 2, 2, 1, 1),
        (2, 2, 1, 1, 1),
        (1, 1, 1, 2, 3),
        (1, 1, 3, 1, 1),
        (1, 2, 1, 1, 2),
        (1, 1, 1, 1, 2),
    ] {
        let hello = Hello {
            version,
            highest,
            suite,
        }
        .encode();
        let policy = Policy {
            versions: lowest_spoken..=highest_spoken,
            ..Policy::default()
        };
        let entropy = Chance(2).entropy();
        let judged = Handshake::respond(bob().keys, &policy, entropy).push(&hello);
        let reject = judged
            .err()
            .map(|error| hex::encode(error.reject().unwrap()));
        hellos.push(json!({
            "hello": hex::encode(hello),
            "responder_versions": [lowest_spoken, highest_spoken],
            "reject": reject,
        }));
    }
    hold(
        "handshake.json",
        &json!({ "handshakes": vectors, "hellos": hellos }),
    );
}

#[test]
fn records() {
    let mut sessions = Vec::new();
    for suite in BOTH_SUITES {
        let mut session = exchange(suite, Chance(1), Chance(2));
        let mut keys = keys(suite, Chance(1), Chance(2));
        let start = keys.clone().map(|state| hex::encode(state.key));
        let mut steps = Vec::new();
        let long = "long ".repeat(60);
        let script = [
            (0, Some("hello")),
            (1, Some("")),
            (0, Some("你好")),
            (0, None),
            (0, Some("under the second key")),
            (1, Some(&long)),
            (1, None),
            (1, Some("under the second key")),
            (0, None),
            (0, Some("under the third key")),
        ];
        for (from, plaintext) in script {
            let side = ["initiator", "responder"][from];
            let transport = match from {
                0 => &mut session.initiator.transport,
                _ => &mut session.responder.transport,
            };
            let Some(plaintext) = plaintext else {
                transport.rekey_outgoing();
                keys[from].rekey();
                steps.push(json!({ "rekey": side, "key": hex::encode(keys[from].key) }));
                continue;
            };
            let nonce = keys[from].nonce;
            let mut record = Vec::new();
            transport.seal(plaintext.as_bytes(), &mut record).unwrap();
            assert_eq!(record, keys[from].seal(plaintext.as_bytes()));
            steps.push(json!({
                "from": side,
                "nonce": nonce,
                "plaintext": hex::encode(plaintext),
                "record": hex::encode(record),
            }));
        }
        sessions.push(json!({
            "suite": suite.number(),
            "initiator_key": start[0],
            "responder_key": start[1],
            "steps": steps,
        }));
    }
    hold("records.json", &json!({ "sessions": sessions }));
}

#[test]
fn certificates() {
    let mut valid = Vec::new();
    for (number, name, created) in [
        (1, "x", 0),
        (2, "Alice's laptop", 1_750_000_000_000),
        (3, "会议室的电脑", 1_750_000_000_000),
        (4, &*"n".repeat(64), u64::MAX),
    ] {
        let (seed, secret) = ([number; 32], [0x80 | number; 32]);
        let name = hallway_model::Name::new(name).unwrap();
        let keys = LocalKeys::new(seed, secret, &name, WallTime(created));
        let encoded = keys.certificate().encoded();
        let device_key = public(&secret);
        let expected = reference::certificate(&seed, &device_key, name.as_str(), created);
        assert_eq!(encoded, expected);
        assert_eq!(
            Certificate::decode(encoded).as_ref(),
            Ok(keys.certificate())
        );
        valid.push(json!({
            "identity_seed": hex::encode(seed),
            "device_secret": hex::encode(secret),
            "device_name": name.as_str(),
            "created_ms": created,
            "id": keys.id(),
            "certificate": hex::encode(encoded),
        }));
    }
    let good = bob().certificate().to_vec();
    let (statement, signature) = good.split_last_chunk::<64>().unwrap();
    let [map, entries @ ..] = statement else {
        panic!("an empty statement");
    };
    let later = [&[map + 1], entries, b"\x61w\x00"].concat();
    let version = [&statement[..statement.len() - 1], &[2]].concat();
    let [first, others] = [&entries[..11], &entries[11..]];
    let mut twin = bob().device_key();
    twin[31] |= 0x80;
    let replaced = |old: &[u8; 32], new: &[u8; 32]| {
        let at = statement
            .windows(32)
            .position(|window| window == old)
            .unwrap();
        [&statement[..at], new, &statement[at + 32..]].concat()
    };
    let refused: Vec<_> = [
        ("nothing", vec![]),
        ("a byte is missing", good[1..].to_vec()),
        ("a byte follows", [&good[..], &[0]].concat()),
        ("signed by somebody else", reference_forgery()),
        ("an unknown field", sign(&later)),
        ("an unknown version", sign(&version)),
        (
            "another order of fields",
            sign(&[&[*map], others, first].concat()),
        ),
        (
            "indefinite length",
            sign(&[b"\xbf", entries, b"\xff"].concat()),
        ),
        ("signed without the prefix", bare(statement)),
        (
            "a device key that is zero",
            sign(&replaced(&bob().device_key(), &[0; 32])),
        ),
        (
            "a device key in its second encoding",
            sign(&replaced(&bob().device_key(), &twin)),
        ),
        (
            "an identity key that is zero",
            sign(&replaced(&bob().id().0, &[0; 32])),
        ),
        (
            "the signature twice",
            [statement, signature, signature].concat(),
        ),
    ]
    .into_iter()
    .map(|(why, certificate)| {
        let error = Certificate::decode(&certificate).unwrap_err();
        json!({
            "why": why,
            "certificate": hex::encode(certificate),
            "error": error.to_string(),
        })
    })
    .collect();
    hold(
        "certificate.json",
        &json!({ "valid": valid, "refused": refused }),
    );
}

fn sign(statement: &[u8]) -> Vec<u8> {
    let signed = [b"hallway device certificate v1\0", statement].concat();
    [statement, &signature(&signed)].concat()
}

fn bare(statement: &[u8]) -> Vec<u8> {
    [statement, &signature(statement)].concat()
}

/// By Bob.
fn signature(signed: &[u8]) -> [u8; 64] {
    use ed25519_dalek::Signer;
    ed25519_dalek::SigningKey::from_bytes(&bob().seed)
        .sign(signed)
        .to_bytes()
}

/// Bob's statement with Alice's signature over it.
fn reference_forgery() -> Vec<u8> {
    let bob = bob();
    let mut forged = reference::statement(&bob.id().0, &bob.device_key(), bob.name, bob.created.0);
    let signed = [b"hallway device certificate v1\0", &forged[..]].concat();
    use ed25519_dalek::Signer;
    let signer = ed25519_dalek::SigningKey::from_bytes(&alice().seed);
    forged.extend(signer.sign(&signed).to_bytes());
    forged
}

#[test]
fn safety_numbers() {
    let (alice, bob) = (alice().id(), bob().id());
    let pairs = [
        (alice, bob),
        (PeerId([0; 32]), PeerId([0xff; 32])),
        (bob, PeerId([7; 32])),
    ];
    let vectors = pairs.map(|(a, b)| {
        assert_eq!(safety_number(&a, &b), safety_number(&b, &a));
        json!({
            "a": hex::encode(a.0),
            "b": hex::encode(b.0),
            "safety_number": safety_number(&a, &b),
        })
    });
    hold("safety_number.json", &json!({ "pairs": vectors }));
}
