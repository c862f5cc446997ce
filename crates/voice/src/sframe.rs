//! Sealing and opening of packets: SFrame (RFC 9605) with `AES_256_GCM_SHA512_128`.
//!
//! Each direction of a call has its own base key and key id, so no nonce is ever shared; the
//! counter is the number of the packet. Written on `ring`, which the handshake already trusts: the
//! header and the key schedule are less code than an adapter to somebody else's would be.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA512, KeyType, Salt};

/// What the tag adds to a plaintext.
pub const TAG_BYTES: usize = MAX_TAG_LEN;

/// The longest header: one byte, then key id and counter of eight each.
pub const HEADER_BYTES_MAX: usize = 17;

/// How many packets one key seals: at 400 packets a second four months of talk, and so few blocks
/// that the bounds of AES-GCM are never near.
pub const COUNTER_END: u64 = 1 << 32;

/// `AES_256_GCM_SHA512_128` in the registry of RFC 9605 section 8.1.
const CIPHER_SUITE: u16 = 5;

/// The largest number that the config byte itself holds.
const INLINE_MAX: u64 = 7;

/// Why a datagram was not opened. All of these are the fault of whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It ends within its header, or has no room for a tag.
    #[error("the packet is cut short")]
    Truncated,
    /// A number in the header is written longer than it needs to be.
    #[error("the header is not in its shortest form")]
    NotShortest,
    /// It is not for this key.
    #[error("the packet belongs to another key")]
    WrongKey,
    /// It was not made with this key, or was changed on its way.
    #[error("the packet is forged or damaged")]
    Forged,
}

/// The key has sealed as many packets as it may: the call needs a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of this call has sealed all the packets it may")]
pub struct Exhausted;

/// The part of a packet that everybody may read (RFC 9605 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Chosen by the receiver, so that it knows which call and peer a packet belongs to.
    pub kid: u64,
    /// The number of the packet.
    pub counter: u64,
}

impl Header {
    /// Reads the header of a datagram, and says where the ciphertext begins.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), OpenError> {
        let (config, rest) = bytes.split_first().ok_or(OpenError::Truncated)?;
        let (kid, rest) = take_number(config >> 4, rest)?;
        let (counter, rest) = take_number(config & 0xf, rest)?;
        Ok((Self { kid, counter }, bytes.len() - rest.len()))
    }

    fn encode(self, out: &mut Vec<u8>) {
        let config = out.len();
        out.push(0);
        let kid = put_number(self.kid, out);
        let counter = put_number(self.counter, out);
        out[config] = kid << 4 | counter;
    }
}

/// Reads a number whose four bits in the config byte are `bits`: it is those bits, or as many bytes
/// as they say.
fn take_number(bits: u8, rest: &[u8]) -> Result<(u64, &[u8]), OpenError> {
    if bits & 8 == 0 {
        return Ok((bits.into(), rest));
    }
    let count = usize::from(bits & 7) + 1;
    let (digits, rest) = rest.split_at_checked(count).ok_or(OpenError::Truncated)?;
    let number = digits.iter().fold(0, |n, digit| n << 8 | u64::from(*digit));
    if number <= INLINE_MAX || digits.first() == Some(&0) {
        return Err(OpenError::NotShortest);
    }
    Ok((number, rest))
}

/// Appends the bytes of a number, and returns its four bits.
fn put_number(number: u64, out: &mut Vec<u8>) -> u8 {
    let bytes = number.to_be_bytes();
    if number <= INLINE_MAX {
        return bytes[7];
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    out.extend_from_slice(&bytes[zeros..]);
    8 | u8::try_from(bytes.len() - zeros - 1).expect("at most seven")
}

/// Key and salt of one direction (RFC 9605 section 4.4.2).
struct Keys {
    key: LessSafeKey,
    salt: [u8; NONCE_LEN],
    kid: u64,
}

struct NonceLength;

impl KeyType for NonceLength {
    fn len(&self) -> usize {
        NONCE_LEN
    }
}

impl Keys {
    fn derive(base_key: &[u8], kid: u64) -> Self {
        let secret = Salt::new(HKDF_SHA512, &[]).extract(base_key);
        let (kid_bytes, suite) = (kid.to_be_bytes(), CIPHER_SUITE.to_be_bytes());
        let key_label = [b"SFrame 1.0 Secret key ", &kid_bytes[..], &suite[..]];
        let salt_label = [b"SFrame 1.0 Secret salt ", &kid_bytes[..], &suite[..]];
        let key = secret.expand(&key_label, &AES_256_GCM);
        let key = UnboundKey::from(key.expect("a key is shorter than what HKDF gives"));
        let mut salt = [0; NONCE_LEN];
        secret
            .expand(&salt_label, NonceLength)
            .and_then(|okm| okm.fill(&mut salt))
            .expect("a nonce is shorter than what HKDF gives");
        let key = LessSafeKey::new(key);
        Self { key, salt, kid }
    }

    fn nonce(&self, counter: u64) -> Nonce {
        let mut nonce = self.salt;
        for (byte, counter) in nonce[NONCE_LEN - 8..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, counter: u64, metadata: &[u8], plaintext: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let header = Header {
            kid: self.kid,
            counter,
        };
        header.encode(out);
        let header_bytes = out.len();
        let aad = [out, metadata].concat();
        out.extend_from_slice(plaintext);
        let nonce = self.nonce(counter);
        let body = &mut out[header_bytes..];
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body);
        out.extend_from_slice(
            tag.expect("a packet is shorter than AES-GCM allows")
                .as_ref(),
        );
    }

    fn open<'a>(
        &self,
        (header, header_bytes): (Header, usize),
        metadata: &[u8],
        datagram: &'a mut [u8],
    ) -> Result<&'a [u8], OpenError> {
        if header.kid != self.kid {
            return Err(OpenError::WrongKey);
        }
        let (head, body) = datagram
            .split_at_mut_checked(header_bytes)
            .ok_or(OpenError::Truncated)?;
        if body.len() < TAG_BYTES {
            return Err(OpenError::Truncated);
        }
        let aad = Aad::from([head, metadata].concat());
        let plaintext = self
            .key
            .open_in_place(self.nonce(header.counter), aad, body)
            .map_err(|_| OpenError::Forged)?;
        Ok(plaintext)
    }
}

/// The sending half of one direction. It owns the counter, cannot be copied, and is the only way to
/// seal, so that no number is used twice under its key.
pub struct Sealer {
    keys: Keys,
    counter: u64,
}

impl Sealer {
    /// The first packet has number 0: a base key must never be given to two sealers.
    pub fn new(base_key: &[u8; 32], kid: u64) -> Self {
        let keys = Keys::derive(base_key, kid);
        Self { keys, counter: 0 }
    }

    /// Seals one packet into `out`, whose content it replaces, and returns its number.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<u64, Exhausted> {
        if self.counter >= COUNTER_END {
            return Err(Exhausted);
        }
        let counter = self.counter;
        self.counter += 1;
        self.keys.seal(counter, &[], plaintext, out);
        Ok(counter)
    }

    /// How many packets have been sealed.
    pub fn sealed(&self) -> u64 {
        self.counter
    }
}

/// The receiving half of one direction. What it opens may still be a replay.
pub struct Opener {
    keys: Keys,
}

impl Opener {
    /// `kid` is what this side told the peer to write into its packets.
    pub fn new(base_key: &[u8; 32], kid: u64) -> Self {
        Self {
            keys: Keys::derive(base_key, kid),
        }
    }

    /// The key id that packets for this opener have.
    pub fn kid(&self) -> u64 {
        self.keys.kid
    }

    /// Opens a datagram in place and returns its plaintext. The header has been decoded before, to
    /// find this opener and to look for a replay.
    pub fn open<'a>(
        &self,
        header: (Header, usize),
        datagram: &'a mut [u8],
    ) -> Result<&'a [u8], OpenError> {
        self.keys.open(header, &[], datagram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../tests/vectors/rfc9605.json")).unwrap()
    }

    fn bytes(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        let digits = (0..text.len()).step_by(2);
        digits
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn number(value: &Value) -> u64 {
        u64::from_str_radix(value.as_str().unwrap(), 16).unwrap()
    }

    #[test]
    fn headers_are_those_of_the_rfc() {
        let vectors = vectors();
        let headers = vectors["headers"].as_array().unwrap();
        assert_eq!(headers.len(), 289);
        for vector in headers {
            let (kid, counter) = (number(&vector[0]), number(&vector[1]));
            let header = Header { kid, counter };
            let expected = bytes(&vector[2]);
            let mut encoded = Vec::new();
            header.encode(&mut encoded);
            assert_eq!(encoded, expected);
            assert_eq!(Header::decode(&expected), Ok((header, expected.len())));
            assert!(expected.len() <= HEADER_BYTES_MAX);
            for cut in 0..expected.len() {
                assert_eq!(Header::decode(&expected[..cut]), Err(OpenError::Truncated));
            }
        }
    }

    #[test]
    fn keys_and_ciphertext_are_those_of_the_rfc() {
        let suite = &vectors()["suite"];
        let keys = Keys::derive(&bytes(&suite["base_key"]), number(&suite["kid"]));
        assert_eq!(&keys.salt[..], bytes(&suite["sframe_salt"]));
        let counter = number(&suite["ctr"]);
        assert_eq!(&keys.nonce(counter).as_ref()[..], bytes(&suite["nonce"]));
        let (metadata, plaintext) = (bytes(&suite["metadata"]), bytes(&suite["pt"]));
        let mut sealed = Vec::new();
        keys.seal(counter, &metadata, &plaintext, &mut sealed);
        assert_eq!(sealed, bytes(&suite["ct"]));
        let header = Header::decode(&sealed).unwrap();
        let opened = keys.open(header, &metadata, &mut sealed);
        assert_eq!(opened, Ok(&plaintext[..]));
    }

    #[test]
    fn numbers_longer_than_they_need_to_be_are_refused() {
        for header in [
            &[0x80, 7][..],
            &[0x08, 0],
            &[0x90, 0, 8],
            &[0x0f, 0, 1, 1, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(Header::decode(header), Err(OpenError::NotShortest));
        }
        let header = Header { kid: 8, counter: 0 };
        assert_eq!(Header::decode(&[0x80, 8]), Ok((header, 2)));
    }

    #[test]
    fn no_number_is_used_twice_and_none_after_the_last() {
        let mut sealer = Sealer::new(&[1; 32], 9);
        let mut out = Vec::new();
        for number in 0..100 {
            assert_eq!(sealer.seal(b"x", &mut out), Ok(number));
            let (header, _) = Header::decode(&out).unwrap();
            assert_eq!(header.counter, number);
        }
        sealer.counter = COUNTER_END - 1;
        assert_eq!(sealer.seal(b"x", &mut out), Ok(COUNTER_END - 1));
        for _ in 0..3 {
            assert_eq!(sealer.seal(b"x", &mut out), Err(Exhausted));
            assert_eq!(sealer.sealed(), COUNTER_END);
        }
    }

    #[test]
    fn another_key_or_key_id_opens_nothing() {
        let mut out = Vec::new();
        Sealer::new(&[1; 32], 9).seal(b"x", &mut out).unwrap();
        let header = Header::decode(&out).unwrap();
        let open = |key, kid| {
            Opener::new(&[key; 32], kid)
                .open(header, &mut out.clone())
                .map(<[u8]>::to_vec)
        };
        assert_eq!(open(1, 9), Ok(b"x".to_vec()));
        assert_eq!(open(1, 8), Err(OpenError::WrongKey));
        assert_eq!(open(2, 9), Err(OpenError::Forged));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_until_a_bit_is_changed(
            kid: u64,
            counter: u64,
            plaintext in prop::collection::vec(any::<u8>(), 0..64),
            bit: prop::sample::Index,
        ) {
            let keys = Keys::derive(&[7; 32], kid);
            let mut sealed = Vec::new();
            keys.seal(counter, &[], &plaintext, &mut sealed);
            let header = Header::decode(&sealed).unwrap();
            let mut copy = sealed.clone();
            prop_assert_eq!(keys.open(header, &[], &mut copy), Ok(&plaintext[..]));
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            let opened = Header::decode(&sealed)
                .and_then(|header| keys.open(header, &[], &mut sealed).map(<[u8]>::len));
            prop_assert!(opened.is_err());
        }

        #[test]
        fn no_header_is_read_that_would_not_be_written(
            bytes in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            if let Ok((header, length)) = Header::decode(&bytes) {
                let mut again = Vec::new();
                header.encode(&mut again);
                prop_assert_eq!(&again[..], &bytes[..length]);
            }
        }
    }
}
