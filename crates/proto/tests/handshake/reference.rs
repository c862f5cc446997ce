//! A second implementation of the protocol, written for clarity from the Noise specification,
//! revision 34, and its hybrid forward secrecy extension. It shares no code with the first but
//! the AEAD, does whatever it is told, and serves both to cross-check every byte and to attack.

use hallway_proto::handshake::Suite;
use ml_kem::kem::{Decapsulate, KeyExport, KeyInit, TryKeyInit};
use sha2::{Digest, Sha256};
use snow::params::CipherChoice;
use snow::resolvers::{CryptoResolver, RingResolver};
use snow::types::Cipher;

pub(crate) type Key = [u8; 32];

pub(crate) fn public(secret: &Key) -> Key {
    dh(secret, &x25519_dalek::X25519_BASEPOINT_BYTES)
}

/// X25519 without any check.
pub(crate) fn dh(secret: &Key, public: &Key) -> Key {
    x25519_dalek::x25519(*secret, *public)
}

type KemSecret = ml_kem::DecapsulationKey<ml_kem::MlKem768>;
type KemPublic = ml_kem::EncapsulationKey<ml_kem::MlKem768>;

pub(crate) fn kem_public(seed: &[u8; 64]) -> Vec<u8> {
    let secret = KemSecret::new(&(*seed).into());
    secret.encapsulation_key().to_bytes().to_vec()
}

/// The ciphertext and the shared secret.
pub(crate) fn encapsulate(public: &[u8], seed: &Key) -> (Vec<u8>, Key) {
    let public = KemPublic::new_from_slice(public).unwrap();
    let (ciphertext, shared) = public.encapsulate_deterministic(&(*seed).into());
    (ciphertext.to_vec(), shared.into())
}

pub(crate) fn decapsulate(seed: &[u8; 64], ciphertext: &[u8]) -> Key {
    let secret = KemSecret::new(&(*seed).into());
    secret.decapsulate_slice(ciphertext).unwrap().into()
}

fn sha256(parts: &[&[u8]]) -> Key {
    Sha256::digest(parts.concat()).into()
}

/// RFC 2104.
fn hmac(key: &Key, message: &[u8]) -> Key {
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(key);
    let inner = sha256(&[&padded.map(|byte| byte ^ 0x36), message]);
    sha256(&[&padded.map(|byte| byte ^ 0x5c), &inner])
}

/// HKDF with two outputs, as in section 4.3.
fn hkdf(chaining_key: &Key, input: &[u8]) -> [Key; 2] {
    let temporary = hmac(chaining_key, input);
    let one = hmac(&temporary, &[1]);
    let two = hmac(&temporary, &[&one[..], &[2]].concat());
    [one, two]
}

/// A CipherState that has a key.
#[derive(Clone)]
pub(crate) struct CipherState {
    suite: Suite,
    pub(crate) key: Key,
    pub(crate) nonce: u64,
}

impl CipherState {
    fn new(suite: Suite, key: Key) -> Self {
        Self {
            suite,
            key,
            nonce: 0,
        }
    }

    fn cipher(&self) -> Box<dyn Cipher> {
        let choice = match self.suite {
            Suite::ChaChaPoly => CipherChoice::ChaChaPoly,
            Suite::AesGcm => CipherChoice::AESGCM,
        };
        let mut cipher = RingResolver.resolve_cipher(&choice).unwrap();
        cipher.set(&self.key);
        cipher
    }

    pub(crate) fn encrypt(&mut self, data: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plaintext.len() + 16];
        self.cipher().encrypt(self.nonce, data, plaintext, &mut out);
        self.nonce += 1;
        out
    }

    pub(crate) fn decrypt(&mut self, data: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; ciphertext.len()];
        let opened = self
            .cipher()
            .decrypt(self.nonce, data, ciphertext, &mut out);
        out.truncate(opened.ok()?);
        self.nonce += 1;
        Some(out)
    }

    /// Section 4.2: the first 32 bytes of 32 zeros encrypted with the last nonce.
    pub(crate) fn rekey(&mut self) {
        let mut out = [0; 48];
        self.cipher().encrypt(u64::MAX, &[], &[0; 32], &mut out);
        self.key = *out.first_chunk().unwrap();
    }

    /// One record.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        frame(&self.encrypt(&[], plaintext))
    }
}

/// A SymmetricState.
#[derive(Clone)]
pub(crate) struct Noise {
    suite: Suite,
    chaining_key: Key,
    pub(crate) hash: Key,
    cipher: Option<CipherState>,
}

impl Noise {
    pub(crate) fn new(suite: Suite, prologue: &[u8]) -> Self {
        let name = match suite {
            Suite::ChaChaPoly => "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256",
            Suite::AesGcm => "Noise_XXhfs_25519+MLKEM768_AESGCM_SHA256",
        };
        let start = sha256(&[name.as_bytes()]);
        let mut noise = Self {
            suite,
            chaining_key: start,
            hash: start,
            cipher: None,
        };
        noise.mix_hash(prologue);
        noise
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = sha256(&[&self.hash, data]);
    }

    fn mix_key(&mut self, input: &Key) {
        let [chaining_key, key] = hkdf(&self.chaining_key, input);
        self.chaining_key = chaining_key;
        self.cipher = Some(CipherState::new(self.suite, key));
    }

    fn encrypt(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let out = match &mut self.cipher {
            Some(cipher) => cipher.encrypt(&self.hash, plaintext),
            None => plaintext.to_vec(),
        };
        self.mix_hash(&out);
        out
    }

    fn decrypt(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let out = match &mut self.cipher {
            Some(cipher) => cipher.decrypt(&self.hash, bytes)?,
            None => bytes.to_vec(),
        };
        self.mix_hash(bytes);
        Some(out)
    }

    /// The keys of the initiator's and of the responder's records.
    pub(crate) fn split(&self) -> [CipherState; 2] {
        hkdf(&self.chaining_key, &[]).map(|key| CipherState::new(self.suite, key))
    }

    /// `-> e, e1`
    pub(crate) fn write_1(&mut self, e: &Key, e1: &[u8]) -> Vec<u8> {
        self.mix_hash(e);
        frame(&[&e[..], &self.encrypt(e1), &self.encrypt(&[])].concat())
    }

    /// Returns `e` and `e1`.
    pub(crate) fn read_1(&mut self, message: &[u8]) -> (Key, Vec<u8>) {
        let (e, e1) = message[2..].split_first_chunk().unwrap();
        self.mix_hash(e);
        let e1 = self.decrypt(e1).unwrap();
        self.decrypt(&[]).unwrap();
        (*e, e1)
    }

    /// `<- e, ee, ekem1, s, es`
    pub(crate) fn write_2(&mut self, parts: &Second<'_>) -> Vec<u8> {
        self.mix_hash(&parts.e);
        self.mix_key(&parts.ee);
        let ekem1 = self.encrypt(&parts.ciphertext);
        self.mix_key(&parts.shared);
        let s = self.encrypt(&parts.s);
        self.mix_key(&parts.es);
        let payload = self.encrypt(parts.payload);
        frame(&[&parts.e[..], &ekem1, &s, &payload].concat())
    }

    /// Returns `e`, `s` and the payload, given how to come by each secret.
    pub(crate) fn read_2(
        &mut self,
        message: &[u8],
        ee: impl Fn(&Key) -> Key,
        shared: impl Fn(&[u8]) -> Key,
        es: impl Fn(&Key) -> Key,
    ) -> Option<(Key, Key, Vec<u8>)> {
        let (e, rest) = message[2..].split_first_chunk()?;
        let (ekem1, rest) = rest.split_at(1088 + 16);
        let (s, payload) = rest.split_at(32 + 16);
        self.mix_hash(e);
        self.mix_key(&ee(e));
        let ciphertext = self.decrypt(ekem1)?;
        self.mix_key(&shared(&ciphertext));
        let s = *self.decrypt(s)?.first_chunk()?;
        self.mix_key(&es(&s));
        Some((*e, s, self.decrypt(payload)?))
    }

    /// `-> s, se`
    pub(crate) fn write_3(&mut self, s: &Key, se: &Key, payload: &[u8]) -> Vec<u8> {
        let s = self.encrypt(s);
        self.mix_key(se);
        frame(&[s, self.encrypt(payload)].concat())
    }

    /// Returns `s` and the payload.
    pub(crate) fn read_3(
        &mut self,
        message: &[u8],
        se: impl Fn(&Key) -> Key,
    ) -> Option<(Key, Vec<u8>)> {
        let (s, payload) = message[2..].split_at(32 + 16);
        let s = *self.decrypt(s)?.first_chunk()?;
        self.mix_key(&se(&s));
        Some((s, self.decrypt(payload)?))
    }
}

/// What message 2 is made of: public keys, and the secrets that its author came by.
pub(crate) struct Second<'a> {
    pub(crate) e: Key,
    pub(crate) ee: Key,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) shared: Key,
    pub(crate) s: Key,
    pub(crate) es: Key,
    pub(crate) payload: &'a [u8],
}

pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

pub(crate) fn hello(version: u8, highest: u8, suite: u8) -> [u8; 8] {
    [b'H', b'L', b'W', b'Y', version, highest, suite, 0]
}

/// The signed part of a certificate.
pub(crate) fn statement(identity: &Key, device_key: &Key, name: &str, created: u64) -> Vec<u8> {
    let mut out = vec![0xa5, 0x61, b'c'];
    match created {
        0..=23 => out.push(created.to_le_bytes()[0]),
        24..=0xffff_ffff => unreachable!("a time in 1970"),
        _ => {
            out.push(0x1b);
            out.extend(created.to_be_bytes());
        }
    }
    out.extend([0x61, b'd', 0x58, 32]);
    out.extend(device_key);
    out.extend([0x61, b'i', 0x58, 32]);
    out.extend(identity);
    out.extend([0x61, b'n']);
    let length = u8::try_from(name.len()).unwrap();
    match length {
        0..=23 => out.push(0x60 | length),
        _ => out.extend([0x78, length]),
    }
    out.extend(name.as_bytes());
    out.extend([0x61, b'v', 1]);
    out
}

/// A certificate for any device, signed by any identity.
pub(crate) fn certificate(seed: &Key, device_key: &Key, name: &str, created: u64) -> Vec<u8> {
    use ed25519_dalek::Signer;
    let signer = ed25519_dalek::SigningKey::from_bytes(seed);
    let identity = signer.verifying_key().to_bytes();
    let statement = statement(&identity, device_key, name, created);
    let signed = [b"hallway device certificate v1\0", &statement[..]].concat();
    [statement, signer.sign(&signed).to_vec()].concat()
}

/// The payload of message 2, or with a purpose of message 3.
pub(crate) fn payload(certificate: &[u8], fast_aes: bool, purpose: Option<u8>) -> Vec<u8> {
    let mut out = vec![0xa2, 0x61, b'a', 0xa1 + u8::from(purpose.is_some())];
    out.extend([0x61, b'f', 0xf4 + u8::from(fast_aes)]);
    if let Some(purpose) = purpose {
        out.extend([0x61, b'p', purpose]);
    }
    out.extend([0x61, b'c', 0x58, u8::try_from(certificate.len()).unwrap()]);
    out.extend(certificate);
    out
}
