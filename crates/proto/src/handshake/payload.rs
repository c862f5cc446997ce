//! What messages 2 and 3 carry: who is speaking, and what this connection is for.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{Certificate, HandshakeError};
use crate::cbor;
use serde::{Deserialize, Serialize};

/// Longest payload. A certificate and the capabilities take at most 240 bytes; the rest is for
/// the capabilities of later versions. With it both messages of either side stay inside
/// [`super::HANDSHAKE_BYTES_MAX`].
pub const PAYLOAD_BYTES_MAX: usize = 1024;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Messages and signalling.
    Session,
    /// File contents, so that messages never wait behind them.
    Bulk,
}

impl Purpose {
    /// The number on the wire.
    pub fn number(self) -> u64 {
        match self {
            Self::Session => 1,
            Self::Bulk => 2,
        }
    }

    /// The purpose of a number.
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Session),
            2 => Some(Self::Bulk),
            _ => None,
        }
    }
}

/// What both sides agreed on besides their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What the initiator opened this connection for.
    pub purpose: Purpose,
    /// The peer has AES in hardware.
    pub fast_aes: bool,
}

/// The payload of message 2 or 3, in CBOR: `{"a": {"f": has AES in hardware, "p": purpose},
/// "c": certificate}`. The purpose is the initiator's to name and absent from message 2. Unknown
/// keys are skipped in both maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The speaker's certificate, checked.
    pub certificate: Certificate,
    /// The speaker has AES in hardware.
    pub fast_aes: bool,
    /// What the initiator wants.
    pub purpose: Option<Purpose>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "a")]
    capabilities: WireCapabilities,
    #[serde(rename = "c", with = "serde_bytes")]
    certificate: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct WireCapabilities {
    #[serde(rename = "f", default)]
    fast_aes: bool,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    purpose: Option<u64>,
}

impl Payload {
    pub(super) fn encode(
        certificate: &Certificate,
        fast_aes: bool,
        purpose: Option<Purpose>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let capabilities = WireCapabilities {
            fast_aes,
            purpose: purpose.map(Purpose::number),
        };
        let certificate = certificate.encoded().to_vec();
        cbor::encode(
            &Wire {
                capabilities,
                certificate,
            },
            &mut out,
        );
        out
    }

    /// Decodes a payload and checks the certificate in it. Whether the speaker owns the
    /// certificate is for the handshake to prove.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let wire: Wire = cbor::decode(bytes)?;
        let purpose = wire.capabilities.purpose.map(|number| {
            Purpose::from_number(number).ok_or(HandshakeError::UnsupportedPurpose(number))
        });
        Ok(Self {
            certificate: Certificate::decode(&wire.certificate)?,
            fast_aes: wire.capabilities.fast_aes,
            purpose: purpose.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::CborError;
    use crate::handshake::{CERTIFICATE_BYTES_MAX, CertificateError, LocalKeys};
    use hallway_model::{Name, WallTime};

    fn certificate() -> Certificate {
        let name = Name::new(&"x".repeat(64)).unwrap();
        let keys = LocalKeys::new([1; 32], [2; 32], &name, WallTime(u64::MAX));
        keys.certificate().clone()
    }

    /// A payload with these capabilities, in CBOR, and this certificate.
    fn payload(capabilities: &[u8], certificate: &[u8]) -> Vec<u8> {
        let length = u8::try_from(certificate.len()).unwrap();
        [
            b"\xa2\x61a",
            capabilities,
            b"\x61c\x58",
            &[length],
            certificate,
        ]
        .concat()
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let certificate = certificate();
        for (fast_aes, purpose) in [
            (false, None),
            (true, Some(Purpose::Session)),
            (true, Some(Purpose::Bulk)),
        ] {
            let encoded = Payload::encode(&certificate, fast_aes, purpose);
            let certificate = certificate.clone();
            assert!(
                encoded.len() <= CERTIFICATE_BYTES_MAX + 15,
                "{}",
                encoded.len()
            );
            assert_eq!(
                Payload::decode(&encoded),
                Ok(Payload {
                    certificate,
                    fast_aes,
                    purpose
                })
            );
        }
    }

    #[test]
    fn what_later_versions_add_is_skipped() {
        let certificate = certificate();
        let read =
            |capabilities: &[u8]| Payload::decode(&payload(capabilities, certificate.encoded()));
        let minimal = read(b"\xa0").unwrap();
        assert_eq!((minimal.fast_aes, minimal.purpose), (false, None));
        // {"f": true, "p": 2, "z": ["new", {"x": h'00'}]}
        let later = read(b"\xa3\x61f\xf5\x61p\x02\x61z\x82\x63new\xa1\x61x\x41\x00").unwrap();
        assert_eq!((later.fast_aes, later.purpose), (true, Some(Purpose::Bulk)));
        let unknown = read(b"\xa1\x61p\x19\xff\xff");
        assert_eq!(unknown, Err(HandshakeError::UnsupportedPurpose(65_535)));
        let mut outer = payload(b"\xa0", certificate.encoded());
        outer[0] = 0xa3;
        outer.extend_from_slice(b"\x61z\xf6");
        assert_eq!(Payload::decode(&outer), Ok(minimal));
    }

    #[test]
    fn malformed_payloads_are_refused() {
        let certificate = certificate();
        let good = payload(b"\xa1\x61f\xf5", certificate.encoded());
        assert!(Payload::decode(&good).is_ok());
        for cut in 0..good.len() {
            assert!(Payload::decode(&good[..cut]).is_err(), "cut at {cut}");
        }
        let shape = |capabilities: &[u8]| {
            assert_eq!(
                Payload::decode(&payload(capabilities, certificate.encoded())),
                Err(HandshakeError::MalformedPayload(CborError::Shape))
            );
        };
        shape(b"\xa1\x61f\x01");
        shape(b"\xa1\x61p\x61x");
        shape(b"\xa2\x61f\xf5\x61f\xf5");
        shape(b"\x80");
        let twice = [&good[..], b"\x61a\xa0"].concat();
        assert_eq!(
            Payload::decode(&[b"\xa3", &twice[1..]].concat()),
            Err(HandshakeError::MalformedPayload(CborError::Shape))
        );
        let too_long = [certificate.encoded(), b"\x00"].concat();
        assert_eq!(
            Payload::decode(&payload(b"\xa0", &too_long)),
            Err(HandshakeError::Certificate(CertificateError::TooLong(220)))
        );
    }
}
