//! Full handshakes, both sides on one thread, in memory.

use crate::stats::median;
use crate::table::{Quantity, Row, Table, Target};
use anyhow::ensure;
use hallway_model::{Name, PeerId, WallTime};
use hallway_proto::handshake::{
    Entropy, Established, Handshake, LocalKeys, Policy, Purpose, Step, Suite,
};
use snow::params::{CipherChoice, DHChoice, HashChoice, KemChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Kem, Random};
use snow::{Builder, Error};
use std::sync::Arc;
use std::time::Instant;
use x25519_dalek::{PublicKey, StaticSecret};

/// Rounds in which everything is measured in turn.
const ROUNDS: usize = 15;
/// Handshakes of each kind in a round: some 0.2 s.
const HANDSHAKES: usize = 250;

pub(crate) fn measure() -> anyhow::Result<Table> {
    let (ours, theirs) = (local_keys("Ann", 1)?, local_keys("Ben", 2)?);
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        rates[0].push(rate(plain)?);
        rates[1].push(rate(|| {
            connect(&ours, &theirs, Suite::ChaChaPoly).map(drop)
        })?);
        rates[2].push(rate(|| connect(&ours, &theirs, Suite::AesGcm).map(drop))?);
    }
    let ratio = |of: &[f64]| {
        median(
            &mut of
                .iter()
                .zip(&rates[0])
                .map(|(ours, plain)| ours / plain)
                .collect::<Vec<_>>(),
        )
    };
    let ratios = [ratio(&rates[1]), ratio(&rates[2])];
    let [plain, chacha, aes] = rates.map(|mut rates| Quantity::PerSecond(median(&mut rates)));
    let mut table = Table::default();
    let target = Target::AtLeast(Quantity::PerSecond(1300.0));
    let beside = "Noise_XX_25519_ChaChaPoly_SHA256";
    for (what, rate, ratio) in [
        ("suite 1, ChaChaPoly", chacha, ratios[0]),
        ("suite 2, AES-GCM", aes, ratios[1]),
    ] {
        table.add(
            Row::new(what, rate)
                .beside(beside, plain)
                .ratio(ratio)
                .target(target),
        );
    }
    table.note(
        "Both sides on one core. Hallway's also make and take an ML-KEM-768 key, check two \
         certificates (Ed25519) and decode CBOR; plain XX only agrees on X25519 keys.",
    );
    Ok(table)
}

fn rate(mut handshake: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    for _ in 0..HANDSHAKES {
        handshake()?;
    }
    Ok(HANDSHAKES as f64 / start.elapsed().as_secs_f64())
}

/// Keys of somebody for measurements.
pub(crate) fn local_keys(name: &str, seed: u8) -> anyhow::Result<Arc<LocalKeys>> {
    let name = Name::new(name)?;
    Ok(Arc::new(LocalKeys::new(
        [seed; 32],
        [seed + 100; 32],
        &name,
        WallTime(0),
    )))
}

/// A whole handshake in memory: both ends of the session.
pub(crate) fn connect(
    ours: &Arc<LocalKeys>,
    theirs: &Arc<LocalKeys>,
    suite: Suite,
) -> anyhow::Result<(Box<Established>, Box<Established>)> {
    let policy = Policy {
        fast_aes: true,
        ..Policy::default()
    };
    let expected: PeerId = theirs.id();
    let (mut initiator, first) = Handshake::initiate(
        ours.clone(),
        &policy,
        Some(expected),
        suite,
        Purpose::Session,
        entropy()?,
    );
    let mut responder = Handshake::respond(theirs.clone(), &policy, entropy()?);
    ensure!(responder.push(&first)?, "message 1 is whole");
    let Step::Send(second) = responder.step()? else {
        anyhow::bail!("no message 2")
    };
    ensure!(initiator.push(&second)?, "message 2 is whole");
    let Step::Done { send, established } = initiator.step()? else {
        anyhow::bail!("no message 3")
    };
    ensure!(responder.push(&send)?, "message 3 is whole");
    let Step::Done {
        established: answered,
        ..
    } = responder.step()?
    else {
        anyhow::bail!("message 3 did not end it")
    };
    Ok((established, answered))
}

fn entropy() -> anyhow::Result<Entropy> {
    let mut bytes = [0; 128];
    getrandom::fill(&mut bytes)?;
    Ok(Entropy::from_bytes(bytes))
}

/// A whole handshake of plain XX with the same arithmetic.
fn plain() -> anyhow::Result<()> {
    let params: NoiseParams = "Noise_XX_25519_ChaChaPoly_SHA256".parse()?;
    let side = |secret: &[u8; 32], initiator: bool| {
        let builder =
            Builder::with_resolver(params.clone(), Box::new(Dalek)).local_private_key(secret)?;
        if initiator {
            builder.build_initiator()
        } else {
            builder.build_responder()
        }
    };
    let (mut initiator, mut responder) = (side(&[1; 32], true)?, side(&[2; 32], false)?);
    let (mut message, mut payload) = ([0; 256], [0; 256]);
    let length = initiator.write_message(&[], &mut message)?;
    responder.read_message(&message[..length], &mut payload)?;
    let length = responder.write_message(&[], &mut message)?;
    initiator.read_message(&message[..length], &mut payload)?;
    let length = initiator.write_message(&[], &mut message)?;
    responder.read_message(&message[..length], &mut payload)?;
    initiator.into_transport_mode()?;
    responder.into_transport_mode()?;
    Ok(())
}

/// Ciphers and hash of ring and the X25519 of x25519-dalek, as Hallway has them.
struct Dalek;

impl CryptoResolver for Dalek {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(System))
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
        let secret = StaticSecret::from([0; 32]);
        Some(Box::new(X25519 {
            public: PublicKey::from([0; 32]),
            secret,
        }))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        RingResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }

    fn resolve_kem(&self, _: &KemChoice) -> Option<Box<dyn Kem>> {
        None
    }
}

struct System;

impl Random for System {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(dest).map_err(|_| Error::Rng)
    }
}

struct X25519 {
    secret: StaticSecret,
    public: PublicKey,
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        let mut secret = [0; 32];
        secret.copy_from_slice(privkey);
        self.secret = StaticSecret::from(secret);
        self.public = PublicKey::from(&self.secret);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = [0; 32];
        rng.try_fill_bytes(&mut secret)?;
        self.set(&secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let pubkey = pubkey.first_chunk::<32>().ok_or(Error::Dh)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(*pubkey));
        let out = out.first_chunk_mut::<32>().ok_or(Error::Dh)?;
        *out = shared.to_bytes();
        Ok(())
    }
}
