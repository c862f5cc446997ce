//! The Noise suites on stock snow: ring for ciphers and hash, x25519-dalek for Diffie-Hellman,
//! libcrux for ML-KEM, and randomness that is given beforehand.

use super::Role;
use super::kem::MlKem768;
use snow::{
    Builder, Error, HandshakeState,
    params::{
        BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifier,
        HandshakeModifierList, HandshakePattern, HashChoice, KemChoice, NoiseParams,
    },
    resolvers::{CryptoResolver, RingResolver},
    types::{Cipher, Dh, Hash, Kem, Random},
};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the tag that ends every encrypted part.
pub(super) const TAG_BYTES: usize = 16;

/// Which Noise protocol protects a session. Both are as strong; which is faster depends on the
/// processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256`, which everybody speaks.
    ChaChaPoly,
    /// `Noise_XXhfs_25519+MLKEM768_AESGCM_SHA256`, twice as fast where both have AES in hardware.
    AesGcm,
}

impl Suite {
    /// All suites, as [`super::Reject::suites`] has them.
    pub(super) const BITS: u8 = Self::ChaChaPoly.bit() | Self::AesGcm.bit();

    /// The number in a [`super::Hello`].
    pub fn number(self) -> u8 {
        match self {
            Self::ChaChaPoly => 1,
            Self::AesGcm => 2,
        }
    }

    /// The suite of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::ChaChaPoly),
            2 => Some(Self::AesGcm),
            _ => None,
        }
    }

    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::ChaChaPoly => 1,
            Self::AesGcm => 2,
        }
    }

    fn params(self) -> NoiseParams {
        let (name, cipher) = match self {
            Self::ChaChaPoly => (
                "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256",
                CipherChoice::ChaChaPoly,
            ),
            Self::AesGcm => (
                "Noise_XXhfs_25519+MLKEM768_AESGCM_SHA256",
                CipherChoice::AESGCM,
            ),
        };
        // snow knows no name for ML-KEM: Kyber1024 is but the slot that our resolver fills, and
        // the name is only hashed.
        NoiseParams::new(
            name.into(),
            BaseChoice::Noise,
            HandshakeChoice {
                pattern: HandshakePattern::XX,
                modifiers: HandshakeModifierList {
                    list: vec![HandshakeModifier::Hfs],
                },
            },
            DHChoice::Curve25519,
            Some(KemChoice::Kyber1024),
            cipher,
            HashChoice::SHA256,
        )
    }
}

/// All the randomness one handshake consumes. It must never be used twice.
pub struct Entropy {
    ephemeral: Zeroizing<[u8; 32]>,
    key_seed: Zeroizing<[u8; 64]>,
    encapsulation_seed: Zeroizing<[u8; 32]>,
}

impl Entropy {
    /// The X25519 ephemeral secret, then the seed (d, z) of the ML-KEM key pair, then the
    /// randomness (m) of the encapsulation. The bytes must come from the system's generator; the
    /// caller wipes its own copy.
    pub fn from_bytes(mut bytes: [u8; 128]) -> Self {
        let mut entropy = Self {
            ephemeral: Zeroizing::default(),
            key_seed: Zeroizing::new([0; 64]),
            encapsulation_seed: Zeroizing::default(),
        };
        entropy.ephemeral.copy_from_slice(&bytes[..32]);
        entropy.key_seed.copy_from_slice(&bytes[32..96]);
        entropy.encapsulation_seed.copy_from_slice(&bytes[96..]);
        bytes.zeroize();
        entropy
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entropy").finish_non_exhaustive()
    }
}

/// A fresh Noise handshake.
pub(super) fn start(
    suite: Suite,
    role: Role,
    prologue: &[u8],
    device_secret: &[u8; 32],
    entropy: Entropy,
) -> Box<HandshakeState> {
    let builder = Builder::with_resolver(suite.params(), Box::new(Resolver(entropy)))
        .local_private_key(device_secret)
        .and_then(|builder| builder.prologue(prologue));
    let built = builder.and_then(|builder| match role {
        Role::Initiator => builder.build_initiator(),
        Role::Responder => builder.build_responder(),
    });
    // Nothing a peer sends has a part in this: it fails always or never.
    Box::new(built.expect("the suites are known to snow and the resolver"))
}

struct Resolver(Entropy);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Ephemeral(Some(self.0.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        (*choice == DHChoice::Curve25519).then(|| Box::<X25519>::default() as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        RingResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }

    fn resolve_kem(&self, _: &KemChoice) -> Option<Box<dyn Kem>> {
        let Entropy {
            key_seed,
            encapsulation_seed,
            ..
        } = &self.0;
        Some(Box::new(MlKem768::new(
            key_seed.clone(),
            encapsulation_seed.clone(),
        )))
    }
}

/// The random source of one handshake: it yields the ephemeral secret, once.
struct Ephemeral(Option<Zeroizing<[u8; 32]>>);

impl Random for Ephemeral {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        match self.0.take() {
            Some(secret) if dest.len() == secret.len() => {
                dest.copy_from_slice(&*secret);
                Ok(())
            }
            _ => Err(Error::Rng),
        }
    }
}

/// X25519 that refuses what RFC 7748 leaves to the protocol, as [`is_device_key`] does.
struct X25519 {
    secret: StaticSecret,
    public: PublicKey,
}

impl Default for X25519 {
    fn default() -> Self {
        Self {
            secret: StaticSecret::from([0; 32]),
            public: PublicKey::from([0; 32]),
        }
    }
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
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(privkey);
        self.secret = StaticSecret::from(*secret);
        self.public = PublicKey::from(&self.secret);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *secret)?;
        self.set(&*secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        // snow hands over its whole buffer of MAXDHLEN bytes.
        let (pubkey, out) = pubkey
            .first_chunk::<32>()
            .zip(out.first_chunk_mut::<32>())
            .ok_or(Error::Dh)?;
        if !is_canonical(pubkey) {
            return Err(Error::Dh);
        }
        let shared = self.secret.diffie_hellman(&PublicKey::from(*pubkey));
        // All zero: the other key is of low order.
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        *out = shared.to_bytes();
        Ok(())
    }
}

/// The public key of a device.
pub(super) fn device_key(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// An X25519 public key that is the only encoding of its point and not of low order. With a
/// point of low order everybody shares the same secret, so it would authenticate anybody; with a
/// second encoding one key would have two identities.
pub(super) fn is_device_key(key: &[u8; 32]) -> bool {
    is_canonical(key) && !LOW_ORDER.contains(key)
}

/// Below 2^255 - 19, least significant byte first.
pub(super) fn is_canonical(element: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = element;
    *highest < 0x7f || (*highest == 0x7f && (*lowest < 0xed || middle.iter().any(|b| *b != 0xff)))
}

/// The points of order 1, 2, 4 and 8 on Curve25519 and its twist, in canonical encoding: u = 0,
/// 1, -1 and the two of order 8 (the list in <https://cr.yp.to/ecdh.html#validate>).
pub(super) const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    u_1(),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];

const fn u_1() -> [u8; 32] {
    let mut one = [0; 32];
    one[0] = 1;
    one
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn bytes(of: &Value, key: &str) -> Vec<u8> {
        hex::decode(of[key].as_str().unwrap()).unwrap()
    }

    /// One side of a published vector, through the resolver that handshakes use.
    fn side(params: &NoiseParams, vector: &Value, role: Role) -> HandshakeState {
        let of = |field: &str| {
            let who = if role == Role::Initiator {
                "init"
            } else {
                "resp"
            };
            let value = vector[format!("{who}_{field}")].as_str();
            hex::decode(value.unwrap_or_default()).unwrap()
        };
        let mut entropy = [0; 128];
        entropy[..32].copy_from_slice(&of("ephemeral"));
        if vector["resp_encapsulation_seed"].is_string() {
            match role {
                Role::Initiator => entropy[32..96].copy_from_slice(&of("kem_seed")),
                Role::Responder => entropy[96..].copy_from_slice(&of("encapsulation_seed")),
            }
        }
        let resolver = Resolver(Entropy::from_bytes(entropy));
        let (secret, prologue) = (of("static"), of("prologue"));
        let builder = Builder::with_resolver(params.clone(), Box::new(resolver))
            .local_private_key(&secret)
            .and_then(|builder| builder.prologue(&prologue))
            .unwrap();
        match role {
            Role::Initiator => builder.build_initiator().unwrap(),
            Role::Responder => builder.build_responder().unwrap(),
        }
    }

    /// Both sides through the three messages of a vector, each byte compared.
    fn run(params: &NoiseParams, vector: &Value) -> [snow::TransportState; 2] {
        let mut writer = side(params, vector, Role::Initiator);
        let mut reader = side(params, vector, Role::Responder);
        for message in &vector["messages"].as_array().unwrap()[..3] {
            let (mut sent, mut read) = (vec![0; 4096], vec![0; 4096]);
            let payload = bytes(message, "payload");
            let length = writer.write_message(&payload, &mut sent).unwrap();
            assert_eq!(hex::encode(&sent[..length]), message["ciphertext"]);
            let length = reader.read_message(&sent[..length], &mut read).unwrap();
            assert_eq!(read[..length], payload);
            std::mem::swap(&mut writer, &mut reader);
        }
        assert_eq!(
            hex::encode(writer.get_handshake_hash()),
            vector["handshake_hash"]
        );
        assert_eq!(
            hex::encode(reader.get_handshake_hash()),
            vector["handshake_hash"]
        );
        [writer, reader].map(|side| side.into_transport_mode().unwrap())
    }

    #[test]
    fn published_vectors_of_the_classic_suites() {
        let file: Value =
            serde_json::from_str(include_str!("../../vectors/noise_xx.json")).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 2);
        for vector in vectors {
            let params = vector["protocol_name"].as_str().unwrap().parse().unwrap();
            let [mut writer, mut reader] = run(&params, vector);
            for message in &vector["messages"].as_array().unwrap()[3..] {
                let (mut sent, mut read) = (vec![0; 4096], vec![0; 4096]);
                let payload = bytes(message, "payload");
                let length = writer.write_message(&payload, &mut sent).unwrap();
                assert_eq!(hex::encode(&sent[..length]), message["ciphertext"]);
                let length = reader.read_message(&sent[..length], &mut read).unwrap();
                assert_eq!(read[..length], payload);
                std::mem::swap(&mut writer, &mut reader);
            }
        }
    }

    #[test]
    fn the_published_vector_of_the_hybrid_suite() {
        let file = include_str!("../../vectors/noise_xxhfs_mlkem768.json");
        let vector: Value = serde_json::from_str(file).unwrap();
        let params = Suite::ChaChaPoly.params();
        assert_eq!(vector["protocol_name"], params.name);
        let [mut initiator, mut responder] = run(&params, &vector);
        if !initiator.is_initiator() {
            std::mem::swap(&mut initiator, &mut responder);
        }
        // The two keys, by what they encrypt.
        for (side, key) in [(initiator, "initiator_key"), (responder, "responder_key")] {
            let mut cipher = RingResolver
                .resolve_cipher(&CipherChoice::ChaChaPoly)
                .unwrap();
            cipher.set(bytes(&vector, key).first_chunk().unwrap());
            let (mut ours, mut theirs, mut side) = ([0; 21], [0; 21], side);
            cipher.encrypt(0, &[], b"hello", &mut theirs);
            side.write_message(b"hello", &mut ours).unwrap();
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn entropy_is_used_once_and_not_printed() {
        let entropy = Entropy::from_bytes([1; 128]);
        assert_eq!(format!("{entropy:?}"), "Entropy { .. }");
        let mut source = Resolver(entropy).resolve_rng().unwrap();
        let mut drawn = [0; 32];
        assert_eq!(source.try_fill_bytes(&mut drawn), Ok(()));
        assert_eq!(drawn, [1; 32]);
        assert_eq!(source.try_fill_bytes(&mut drawn), Err(Error::Rng));
        let mut source = Ephemeral(Some([1; 32].into()));
        assert_eq!(source.try_fill_bytes(&mut [0; 31]), Err(Error::Rng));
    }

    fn dh(public: &[u8; 32]) -> Result<[u8; 32], Error> {
        let mut ours = X25519::default();
        ours.set(&[5; 32]);
        let mut shared = [0; 32];
        ours.dh(public, &mut shared).map(|()| shared)
    }

    #[test]
    fn points_of_low_order_share_nothing() {
        for point in LOW_ORDER {
            for secret in [[1; 32], [0x5a; 32], [0xff; 32]] {
                assert_eq!(x25519_dalek::x25519(secret, point), [0; 32]);
            }
            assert!(!is_device_key(&point));
            assert_eq!(dh(&point), Err(Error::Dh));
        }
    }

    #[test]
    fn second_encodings_are_refused() {
        let good = device_key(&[9; 32]);
        assert_eq!(dh(&good), Ok(x25519_dalek::x25519([5; 32], good)));
        let mut twin = good;
        twin[31] |= 0x80;
        assert_eq!(x25519_dalek::x25519([5; 32], twin), dh(&good).unwrap());
        assert_eq!(dh(&twin), Err(Error::Dh));
        // p - 2 is the greatest that is neither of low order nor a second encoding; p to 2^255-1
        // are those of 0 to 18.
        let mut element = [0xff; 32];
        element[31] = 0x7f;
        element[0] = 0xeb;
        assert!(is_device_key(&element) && dh(&element).is_ok());
        for lowest in 0xed..=0xff {
            element[0] = lowest;
            assert!(!is_canonical(&element));
            assert_eq!(dh(&element), Err(Error::Dh));
        }
        element[0] = 0xec;
        assert!(is_canonical(&element));
        // Only the whole of the middle makes it p or more.
        for at in 1..31 {
            let mut smaller = [0xff; 32];
            smaller[31] = 0x7f;
            smaller[at] = 0xfe;
            assert!(is_canonical(&smaller));
        }
    }
}
