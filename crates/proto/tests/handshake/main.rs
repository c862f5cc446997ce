//! The handshake and the records after it, from outside: whole exchanges, and what somebody on
//! the network can do to them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod attacks;
mod downgrade;
mod eavesdropping;
mod records;
mod reference;
mod stream;
mod tampering;
mod vectors;
mod weak_keys;

use hallway_model::{Name, PeerId, WallTime};
use hallway_proto::handshake::{
    Entropy, Established, Handshake, HandshakeError, LocalKeys, Policy, Purpose, Step, Suite,
};
use sha2::{Digest, Sha512};
use std::sync::Arc;

const BOTH_SUITES: [Suite; 2] = [Suite::ChaChaPoly, Suite::AesGcm];

/// Somebody, with all their secrets.
struct Person {
    name: &'static str,
    seed: [u8; 32],
    device: [u8; 32],
    created: WallTime,
    keys: Arc<LocalKeys>,
}

impl Person {
    fn new(name: &'static str, number: u8) -> Self {
        let (seed, device) = ([number; 32], [0x80 | number; 32]);
        let created = WallTime(1_750_000_000_000);
        let keys = LocalKeys::new(seed, device, &Name::new(name).unwrap(), created);
        Self {
            name,
            seed,
            device,
            created,
            keys: Arc::new(keys),
        }
    }

    fn id(&self) -> PeerId {
        self.keys.id()
    }

    fn device_key(&self) -> [u8; 32] {
        *self.keys.certificate().device_key()
    }

    fn certificate(&self) -> &[u8] {
        self.keys.certificate().encoded()
    }

    /// Dials whoever is expected.
    fn dial(&self, expected: Option<PeerId>, chance: Chance) -> (Handshake, Vec<u8>) {
        self.dial_with(expected, Suite::ChaChaPoly, chance)
    }

    fn dial_with(
        &self,
        expected: Option<PeerId>,
        suite: Suite,
        chance: Chance,
    ) -> (Handshake, Vec<u8>) {
        Handshake::initiate(
            self.keys.clone(),
            &Policy::default(),
            expected,
            suite,
            Purpose::Session,
            chance.entropy(),
        )
    }

    fn listen(&self, chance: Chance) -> Handshake {
        Handshake::respond(self.keys.clone(), &Policy::default(), chance.entropy())
    }
}

fn alice() -> Person {
    Person::new("Alice's laptop", 1)
}

fn bob() -> Person {
    Person::new("王小明的电脑", 2)
}

fn mallory() -> Person {
    Person::new("Mallory", 3)
}

/// The randomness of one handshake, told apart by a number.
#[derive(Clone, Copy)]
struct Chance(u8);

impl Chance {
    fn bytes(self) -> [u8; 128] {
        let mut bytes = [0; 128];
        bytes[..64].copy_from_slice(&Sha512::digest([self.0, 0]));
        bytes[64..].copy_from_slice(&Sha512::digest([self.0, 1]));
        bytes
    }

    fn entropy(self) -> Entropy {
        Entropy::from_bytes(self.bytes())
    }

    fn ephemeral(self) -> [u8; 32] {
        *self.bytes().first_chunk().unwrap()
    }

    fn key_seed(self) -> [u8; 64] {
        *self.bytes()[32..].first_chunk().unwrap()
    }

    fn encapsulation_seed(self) -> [u8; 32] {
        *self.bytes().last_chunk().unwrap()
    }
}

/// Hands bytes over and does the arithmetic that is due.
fn receive(handshake: &mut Handshake, bytes: &[u8]) -> Result<Step, HandshakeError> {
    let due = handshake.push(bytes)?;
    let step = handshake.step()?;
    assert_eq!(due, !matches!(step, Step::NeedMore));
    Ok(step)
}

fn sent(step: Result<Step, HandshakeError>) -> Vec<u8> {
    match step {
        Ok(Step::Send(bytes)) => bytes,
        other => panic!("nothing was sent: {other:?}"),
    }
}

fn done(step: Result<Step, HandshakeError>) -> (Vec<u8>, Box<Established>) {
    match step {
        Ok(Step::Done { send, established }) => (send, established),
        other => panic!("not established: {other:?}"),
    }
}

/// A whole handshake: every byte that went over the network, and what came of it.
struct Exchange {
    first: Vec<u8>,
    second: Vec<u8>,
    third: Vec<u8>,
    initiator: Box<Established>,
    responder: Box<Established>,
}

/// Alice dials Bob, with these randomnesses.
fn exchange(suite: Suite, alices: Chance, bobs: Chance) -> Exchange {
    let (alice, bob) = (alice(), bob());
    let (mut dialling, first) = alice.dial_with(Some(bob.id()), suite, alices);
    let mut answering = bob.listen(bobs);
    let second = sent(receive(&mut answering, &first));
    let (third, initiator) = done(receive(&mut dialling, &second));
    let (nothing, responder) = done(receive(&mut answering, &third));
    assert!(nothing.is_empty());
    Exchange {
        first,
        second,
        third,
        initiator,
        responder,
    }
}
