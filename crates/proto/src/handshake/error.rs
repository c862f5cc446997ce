//! How a handshake fails, and whose fault that is.

use super::{CertificateError, MalformedHello, Reject, RejectReason};
use crate::cbor::CborError;
use hallway_model::PeerId;

/// Why a handshake came to nothing. The connection is of no further use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer's fault: not our protocol at all.
    #[error(transparent)]
    MalformedHello(#[from] MalformedHello),
    /// The peer's fault: a message longer or shorter than any honest one.
    #[error("a handshake message of {0} bytes, which no Hallway node sends")]
    Length(usize),
    /// The peer's fault: bytes before it was their turn.
    #[error("the other side went on before it was answered")]
    OutOfTurn,
    /// The peer's, or of somebody between us: a message that does not decrypt. A stale address,
    /// a changed byte, a replay and a missing private key all end here.
    #[error("the handshake was tampered with, or the other side lacks the key it claims")]
    Tampered,
    /// The peer's fault: a key share for which anybody could know the secret.
    #[error("the other side sent a weak key")]
    WeakKey,
    /// The peer's fault.
    #[error("the handshake payload is malformed: {0}")]
    MalformedPayload(#[from] CborError),
    /// The peer's fault.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The peer's fault: the certificate is somebody else's.
    #[error("the certificate is for another device than the one that presented it")]
    ForeignCertificate,
    /// Nobody's fault: a peer of a later version wants what we do not know.
    #[error("a connection for purpose {0}, which is not known here; one side needs an update")]
    UnsupportedPurpose(u64),
    /// Nobody's fault, or an attack: somebody else answers at the address.
    #[error("{found:?} answered instead of {expected:?}")]
    WrongPeer {
        /// Who was dialled.
        expected: PeerId,
        /// Who answered, and proved it.
        found: PeerId,
    },
    /// Nobody's fault: we dialled ourselves. A second node with a copy of our keys looks alike.
    #[error("that is this node itself, or another that uses its keys")]
    Oneself,
    /// We refuse the peer's `Hello`.
    #[error("the other side asked for something not spoken here: {0:?}")]
    Refused(Reject),
    /// The peer refused our `Hello`.
    #[error("the other side refused: {0:?}")]
    Rejected(Reject),
    /// A bug here: the handshake was used after it ended.
    #[error("the handshake has ended already; this is a bug in Hallway")]
    Over,
}

impl HandshakeError {
    /// What to send before closing, if anything.
    pub fn reject(&self) -> Option<[u8; super::HELLO_BYTES]> {
        if let Self::Refused(reject) = self {
            Some(reject.encode())
        } else {
            None
        }
    }

    /// The stable name under which such failures are counted.
    pub fn counter(&self) -> &'static str {
        match self {
            Self::MalformedHello(_) => "not_hallway",
            Self::Length(_) | Self::OutOfTurn | Self::Tampered | Self::MalformedPayload(_) => {
                "bad_handshake"
            }
            Self::WeakKey
            | Self::Certificate(CertificateError::WeakIdentity | CertificateError::WeakDevice) => {
                "weak_key"
            }
            Self::Certificate(_) | Self::ForeignCertificate => "bad_certificate",
            Self::UnsupportedPurpose(_) => "unsupported_purpose",
            Self::WrongPeer { .. } => "wrong_peer",
            Self::Oneself => "oneself",
            Self::Refused(reject) => match reject.reason {
                RejectReason::UnsupportedVersion => "unsupported_version",
                RejectReason::UnsupportedSuite => "unsupported_suite",
                RejectReason::Downgrade => "downgrade",
                RejectReason::Busy | RejectReason::Other(_) => "busy",
            },
            Self::Rejected(_) => "rejected",
            Self::Over => "bug",
        }
    }
}

impl From<snow::Error> for HandshakeError {
    fn from(error: snow::Error) -> Self {
        // Everything else snow may say is about its use, which no peer has a say in.
        if matches!(error, snow::Error::Dh | snow::Error::Kem) {
            Self::WeakKey
        } else {
            Self::Tampered
        }
    }
}
