//! Device certificates: a person's identity key vouches for a device's Noise key.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::noise;
use crate::cbor::{self, CborError};
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, Signer, SigningKey, VerifyingKey};
use hallway_model::{Name, PeerId, WallTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// The only version so far.
const VERSION: u64 = 1;

/// What is signed starts with this, so that a signature of another purpose never passes here.
const DOMAIN: &[u8] = b"hallway device certificate v1\0";

/// Longest certificate: one map head, five one-letter keys of 2 bytes, a time of 9 bytes, two
/// keys of 34, a name of 66, a version of 1, and the signature of 64.
pub const CERTIFICATE_BYTES_MAX: usize = 219;

/// The signed statement, in CBOR. The order of the fields is that of RFC 8949 section 4.2.1.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "c")]
    created: WallTime,
    #[serde(rename = "d", with = "serde_bytes")]
    device_key: [u8; 32],
    #[serde(rename = "i")]
    identity: PeerId,
    #[serde(rename = "n")]
    device_name: Name,
    #[serde(rename = "v")]
    version: u64,
}

/// Read first, so that a later version is called that and not malformed.
#[derive(Deserialize)]
struct AnyVersion {
    #[serde(rename = "v")]
    version: u64,
}

/// A device certificate whose signature has been checked.
///
/// On the wire: a CBOR map `{"c": created in ms, "d": X25519 device key, "i": Ed25519 identity
/// key, "n": device name, "v": 1}` in deterministic form, then 64 bytes of Ed25519 signature
/// over `"hallway device certificate v1\0"` and that map.
#[derive(Clone)]
pub struct Certificate {
    body: Body,
    encoded: Vec<u8>,
}

/// Why bytes are not a certificate. Always the fault of whoever presented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Over [`CERTIFICATE_BYTES_MAX`].
    #[error("the certificate has {0} bytes; at most {CERTIFICATE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Not the CBOR map it should be.
    #[error("the certificate is malformed: {0}")]
    Malformed(#[from] CborError),
    /// The same statement in other bytes than the one form allowed.
    #[error("the certificate is not in its canonical form")]
    NotCanonical,
    /// Made by a later version of the program.
    #[error("the certificate has version {0}, only {VERSION} is known here")]
    UnknownVersion(u64),
    /// An identity key for which anybody could sign, or which is not a key.
    #[error("the identity key in the certificate is weak")]
    WeakIdentity,
    /// A device key with which everybody shares the same secret, or not in canonical form.
    #[error("the device key in the certificate is weak")]
    WeakDevice,
    /// Not signed by the identity key.
    #[error("the signature of the certificate is wrong")]
    Signature,
}

impl Certificate {
    /// Decodes and checks everything that can be checked without the owner.
    pub fn decode(encoded: &[u8]) -> Result<Self, CertificateError> {
        if encoded.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong(encoded.len()));
        }
        let (statement, signature) = encoded
            .split_last_chunk::<SIGNATURE_LENGTH>()
            .ok_or(CertificateError::Malformed(CborError::Truncated))?;
        let AnyVersion { version } = cbor::decode(statement)?;
        if version != VERSION {
            return Err(CertificateError::UnknownVersion(version));
        }
        let body: Body = cbor::decode(statement)?;
        let mut signed = Vec::with_capacity(DOMAIN.len().saturating_add(statement.len()));
        body.to_be_signed(&mut signed);
        if signed.strip_prefix(DOMAIN) != Some(statement) {
            return Err(CertificateError::NotCanonical);
        }
        if !noise::is_device_key(&body.device_key) {
            return Err(CertificateError::WeakDevice);
        }
        let identity = verifying_key(&body.identity).ok_or(CertificateError::WeakIdentity)?;
        identity
            .verify_strict(&signed, &Signature::from_bytes(signature))
            .map_err(|_| CertificateError::Signature)?;
        Ok(Self {
            body,
            encoded: encoded.to_vec(),
        })
    }

    /// The bytes that [`Self::decode`] accepts.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Whose device it is.
    pub fn identity(&self) -> PeerId {
        self.body.identity
    }

    /// The device's X25519 key: the static key of its handshakes.
    pub fn device_key(&self) -> &[u8; 32] {
        &self.body.device_key
    }

    /// What its owner calls the device.
    pub fn device_name(&self) -> &Name {
        &self.body.device_name
    }

    /// When it was made, by the clock of the device.
    pub fn created(&self) -> WallTime {
        self.body.created
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:?})", self.body.identity)
    }
}

impl Body {
    fn to_be_signed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(DOMAIN);
        cbor::encode(self, out);
    }
}

/// The key behind an id, unless it is not a point, is encoded in a second way, or is of low
/// order, so that one signature would fit almost every statement.
fn verifying_key(id: &PeerId) -> Option<VerifyingKey> {
    let mut y = id.0;
    if let Some(top) = y.last_mut() {
        // The sign of x; y itself is below 2^255 - 19.
        *top &= 0x7f;
    }
    if !noise::is_canonical(&y) {
        return None;
    }
    VerifyingKey::from_bytes(&id.0)
        .ok()
        .filter(|key| !key.is_weak())
}

/// The keys of this node: what a handshake needs and no more. The identity key's secret is used
/// once, to sign the certificate, and not kept.
pub struct LocalKeys {
    device_secret: Zeroizing<[u8; 32]>,
    certificate: Certificate,
}

impl LocalKeys {
    /// Derives the public keys and signs the device's certificate.
    pub fn new(
        identity_seed: [u8; 32],
        device_secret: [u8; 32],
        device_name: &Name,
        created: WallTime,
    ) -> Self {
        let identity_seed = Zeroizing::new(identity_seed);
        let device_secret = Zeroizing::new(device_secret);
        let identity = SigningKey::from_bytes(&identity_seed);
        let body = Body {
            created,
            device_key: noise::device_key(&device_secret),
            identity: PeerId(identity.verifying_key().to_bytes()),
            device_name: device_name.clone(),
            version: VERSION,
        };
        let mut encoded = Vec::with_capacity(CERTIFICATE_BYTES_MAX);
        body.to_be_signed(&mut encoded);
        let signature = identity.sign(&encoded);
        encoded.drain(..DOMAIN.len());
        encoded.extend_from_slice(&signature.to_bytes());
        Self {
            device_secret,
            certificate: Certificate { body, encoded },
        }
    }

    /// Who we are.
    pub fn id(&self) -> PeerId {
        self.certificate.identity()
    }

    /// What we show in every handshake.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(super) fn device_secret(&self) -> &[u8; 32] {
        &self.device_secret
    }
}

impl fmt::Debug for LocalKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKeys({:?})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u8; 32] = [7; 32];

    fn certificate() -> Certificate {
        let name = Name::new("phone").unwrap();
        let keys = LocalKeys::new(SEED, [8; 32], &name, WallTime(1_700_000_000_000));
        keys.certificate().clone()
    }

    /// Signs whatever is to pass for a statement.
    fn signed(seed: [u8; 32], statement: &[u8]) -> Vec<u8> {
        let signature = SigningKey::from_bytes(&seed).sign(&[DOMAIN, statement].concat());
        [statement, &signature.to_bytes()].concat()
    }

    fn statement() -> Vec<u8> {
        let certificate = certificate();
        let (statement, _) = certificate.encoded().split_last_chunk::<64>().unwrap();
        statement.to_vec()
    }

    /// The statement with its one occurrence of some bytes replaced.
    fn with(old: &[u8], new: &[u8]) -> Vec<u8> {
        let statement = statement();
        let at = statement.windows(old.len()).position(|w| w == old).unwrap();
        [&statement[..at], new, &statement[at + old.len()..]].concat()
    }

    #[test]
    fn what_is_signed_is_what_is_read() {
        let certificate = certificate();
        let read = Certificate::decode(certificate.encoded()).unwrap();
        assert_eq!(read, certificate);
        assert_eq!(signed(SEED, &statement()), certificate.encoded());
        assert_eq!(read.device_name().as_str(), "phone");
        assert_eq!(read.created(), WallTime(1_700_000_000_000));
        assert_eq!(*read.device_key(), noise::device_key(&[8; 32]));
        let id = SigningKey::from_bytes(&SEED).verifying_key().to_bytes();
        assert_eq!(read.identity(), PeerId(id));
    }

    #[test]
    fn the_longest_certificate_has_the_greatest_length_allowed() {
        let name = Name::new(&"x".repeat(64)).unwrap();
        let keys = LocalKeys::new(SEED, [8; 32], &name, WallTime(u64::MAX));
        let mut longest = keys.certificate().encoded().to_vec();
        assert_eq!(longest.len(), CERTIFICATE_BYTES_MAX);
        assert!(Certificate::decode(&longest).is_ok());
        longest.push(0);
        let past = Certificate::decode(&longest);
        assert_eq!(past, Err(CertificateError::TooLong(220)));
    }

    #[test]
    fn every_changed_missing_or_added_byte_is_noticed() {
        let certificate = certificate();
        let good = certificate.encoded();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.to_vec();
                bad[at] ^= 1 << bit;
                assert!(Certificate::decode(&bad).is_err(), "byte {at}, bit {bit}");
            }
            assert!(Certificate::decode(&good[..at]).is_err(), "cut at {at}");
        }
        assert!(Certificate::decode(&[good, &[0]].concat()).is_err());
    }

    #[test]
    fn a_signature_for_another_purpose_or_by_another_key_is_refused() {
        let statement = statement();
        let identity = SigningKey::from_bytes(&SEED);
        let bare = [&statement[..], &identity.sign(&statement).to_bytes()].concat();
        assert_eq!(Certificate::decode(&bare), Err(CertificateError::Signature));
        let foreign = Certificate::decode(&signed([9; 32], &statement));
        assert_eq!(foreign, Err(CertificateError::Signature));
    }

    #[test]
    fn the_signature_cannot_be_varied() {
        // s + L, L the order of the base point (RFC 8032 section 5.1), is another encoding of s.
        const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let mut varied = certificate().encoded().to_vec();
        let start = varied.len() - 32;
        let mut carry = 0;
        for (byte, l) in varied[start..].iter_mut().zip(hex::decode(L).unwrap()) {
            let sum = u16::from(*byte) + u16::from(l) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert_eq!(
            Certificate::decode(&varied),
            Err(CertificateError::Signature)
        );
    }

    #[test]
    fn only_the_canonical_statement_passes() {
        let refused = |statement: &[u8]| Certificate::decode(&signed(SEED, statement)).unwrap_err();
        let malformed = CertificateError::Malformed;
        // A later version is called so even when it has more to say.
        let later = with(b"\x61v\x01", b"\x61v\x02\x61w\x00");
        let later = [b"\xa6", &later[1..]].concat();
        assert_eq!(refused(&later), CertificateError::UnknownVersion(2));
        let more = with(b"\x61v\x01", b"\x61v\x01\x61w\x00");
        let more = [b"\xa6", &more[1..]].concat();
        assert_eq!(refused(&more), malformed(CborError::Shape));
        // The same map with its first entry last.
        let statement = statement();
        let (head, rest) = statement.split_at(1);
        let (first, others) = rest.split_at(11);
        let reordered = [head, others, first].concat();
        assert_eq!(refused(&reordered), CertificateError::NotCanonical);
        // A name that is not the one it normalises to.
        let spaced = with(b"\x65phone", b"\x66 phone");
        assert_eq!(refused(&spaced), CertificateError::NotCanonical);
        assert_eq!(
            refused(&with(b"\x65phone", b"\x60")),
            malformed(CborError::Shape)
        );
        let long_form = with(b"\x65phone", b"\x78\x05phone");
        assert_eq!(refused(&long_form), malformed(CborError::NotShortest));
        let indefinite = [b"\xbf", rest, b"\xff"].concat();
        assert_eq!(refused(&indefinite), malformed(CborError::Unsupported));
        let trailing = [&statement[..], b"\x00"].concat();
        assert_eq!(refused(&trailing), malformed(CborError::Trailing));
    }

    #[test]
    fn weak_keys_are_refused_whatever_the_signature() {
        let device = noise::device_key(&[8; 32]);
        for low_order in noise::LOW_ORDER {
            let certificate = signed(SEED, &with(&device, &low_order));
            let refused = Certificate::decode(&certificate);
            assert_eq!(refused, Err(CertificateError::WeakDevice));
        }
        let mut twin = device;
        twin[31] |= 0x80;
        let refused = Certificate::decode(&signed(SEED, &with(&device, &twin)));
        assert_eq!(refused, Err(CertificateError::WeakDevice));

        let id = certificate().identity().0;
        let weak = [
            // The points of order 1, 2, 4 and 8, as encoded by RFC 8032.
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            // y = 1 and y = 3 with p added; the second is a point of large order.
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            // Not on the curve.
            "0200000000000000000000000000000000000000000000000000000000000000",
        ];
        for key in weak {
            let statement = with(&id, &hex::decode(key).unwrap());
            // R = the neutral element and s = 0: valid for a key of low order to a lax verifier.
            let mut signature = [0; 64];
            signature[0] = 1;
            for signature in [signature, [0; 64]] {
                let refused = Certificate::decode(&[&statement[..], &signature].concat());
                assert_eq!(refused, Err(CertificateError::WeakIdentity), "{key}");
            }
        }
    }

    #[test]
    fn secrets_and_keys_are_not_printed() {
        let keys = LocalKeys::new(SEED, [8; 32], &Name::new("phone").unwrap(), WallTime(0));
        let tag = keys.id().tag();
        assert_eq!(format!("{keys:?}"), format!("LocalKeys(~{tag})"));
        let certificate = keys.certificate();
        assert_eq!(format!("{certificate:?}"), format!("Certificate(~{tag})"));
    }
}
