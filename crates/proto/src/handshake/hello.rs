//! The preamble in clear: `Hello` from the initiator, `Reject` from a responder that will not.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::noise::Suite;
use std::ops::RangeInclusive;

/// Length of a [`Hello`], and of a [`Reject`].
pub const HELLO_BYTES: usize = 8;

const HELLO_MAGIC: [u8; 4] = *b"HLWY";
const REJECT_MAGIC: [u8; 4] = *b"HLWN";

/// The first bytes of a connection: magic `HLWY`, version, highest version, suite, and a byte of
/// flags that is zero. They are the prologue of the Noise handshake, so that neither side gets
/// anywhere when somebody changed them on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version the initiator wants to speak.
    pub version: u8,
    /// The highest version it could speak. Above `version` only on a retry.
    pub highest: u8,
    /// The number of the [`Suite`].
    pub suite: u8,
}

/// These eight bytes are no [`Hello`], or no [`Reject`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what answers there does not speak Hallway")]
pub struct MalformedHello;

impl Hello {
    /// The bytes on the wire.
    pub fn encode(self) -> [u8; HELLO_BYTES] {
        let [a, b, c, d] = HELLO_MAGIC;
        [a, b, c, d, self.version, self.highest, self.suite, 0]
    }

    /// Accepts exactly what [`Self::encode`] can make.
    pub fn decode(bytes: [u8; HELLO_BYTES]) -> Result<Self, MalformedHello> {
        let [a, b, c, d, version, highest, suite, flags] = bytes;
        if [a, b, c, d] != HELLO_MAGIC || flags != 0 || version > highest {
            return Err(MalformedHello);
        }
        Ok(Self {
            version,
            highest,
            suite,
        })
    }

    /// What a responder that speaks `versions` says to it.
    pub(super) fn judge(self, versions: &RangeInclusive<u8>) -> Result<Suite, Reject> {
        let refuse = |reason| Err(Reject::new(reason, versions));
        if !versions.contains(&self.version) {
            return refuse(RejectReason::UnsupportedVersion);
        }
        // An initiator that could speak a better version was talked out of it by somebody.
        if self.highest.min(*versions.end()) > self.version {
            return refuse(RejectReason::Downgrade);
        }
        Suite::from_number(self.suite).map_or_else(|| refuse(RejectReason::UnsupportedSuite), Ok)
    }
}

/// Why a responder refuses a [`Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// It does not speak the version.
    UnsupportedVersion,
    /// It does not speak the suite.
    UnsupportedSuite,
    /// Both speak a better version than the one asked for.
    Downgrade,
    /// Too many handshakes at the moment; later may work.
    Busy,
    /// A reason of a later version.
    Other(u8),
}

impl RejectReason {
    fn code(self) -> u8 {
        match self {
            Self::UnsupportedVersion => 1,
            Self::UnsupportedSuite => 2,
            Self::Downgrade => 3,
            Self::Busy => 4,
            Self::Other(code) => code,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            1 => Self::UnsupportedVersion,
            2 => Self::UnsupportedSuite,
            3 => Self::Downgrade,
            4 => Self::Busy,
            other => Self::Other(other),
        }
    }
}

/// The answer of a responder that refuses: magic `HLWN`, code, lowest and highest version it
/// speaks, and its suites, suite n at bit n - 1. Nothing proves it: it may only ever make the
/// initiator try again or give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub reason: RejectReason,
    /// Lowest version the responder speaks.
    pub lowest: u8,
    /// Highest version the responder speaks.
    pub highest: u8,
    /// Its suites, as bits.
    pub suites: u8,
}

impl Reject {
    /// A refusal by a responder that speaks `versions` and our suites.
    pub fn new(reason: RejectReason, versions: &RangeInclusive<u8>) -> Self {
        Self {
            reason,
            lowest: *versions.start(),
            highest: *versions.end(),
            suites: Suite::BITS,
        }
    }

    /// The bytes on the wire.
    pub fn encode(self) -> [u8; HELLO_BYTES] {
        let [a, b, c, d] = REJECT_MAGIC;
        let code = self.reason.code();
        [a, b, c, d, code, self.lowest, self.highest, self.suites]
    }

    /// Accepts exactly what [`Self::encode`] can make.
    pub fn decode(bytes: [u8; HELLO_BYTES]) -> Result<Self, MalformedHello> {
        let [a, b, c, d, code, lowest, highest, suites] = bytes;
        if [a, b, c, d] != REJECT_MAGIC || lowest > highest {
            return Err(MalformedHello);
        }
        Ok(Self {
            reason: RejectReason::from_code(code),
            lowest,
            highest,
            suites,
        })
    }

    /// The version to try again with, for an initiator that speaks `versions`. The attempt still
    /// names the highest version, so a responder that was never asked refuses it as a downgrade.
    pub fn retry_version(&self, versions: &RangeInclusive<u8>) -> Option<u8> {
        let best = self.highest.min(*versions.end());
        let common = best >= self.lowest && versions.contains(&best);
        (self.reason == RejectReason::UnsupportedVersion && common).then_some(best)
    }

    /// The responder says that it speaks this suite.
    pub fn speaks(&self, suite: Suite) -> bool {
        self.suites & suite.bit() != 0
    }

    /// How an answer that is a [`Reject`] begins. As the length of a Noise message these two bytes
    /// would be far over the limit, so the two never look alike.
    pub(super) fn begins(answer: &[u8]) -> bool {
        let [a, b, ..] = REJECT_MAGIC;
        answer.starts_with(&[a, b])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_and_reject_are_eight_bytes_each() {
        let hello = Hello {
            version: 1,
            highest: 3,
            suite: 2,
        };
        assert_eq!(hello.encode(), *b"HLWY\x01\x03\x02\x00");
        assert_eq!(Hello::decode(hello.encode()), Ok(hello));
        let reject = Reject::new(RejectReason::Busy, &(1..=2));
        assert_eq!(reject.encode(), *b"HLWN\x04\x01\x02\x03");
        for code in 0..=255 {
            let mut bytes = reject.encode();
            bytes[4] = code;
            assert_eq!(Reject::decode(bytes).unwrap().encode(), bytes);
        }
    }

    #[test]
    fn other_bytes_are_malformed() {
        for bytes in [
            *b"HLWX\x01\x01\x01\x00",
            *b"HLWY\x01\x01\x01\x01",
            *b"HLWY\x02\x01\x01\x00",
            *b"GET / HT",
        ] {
            assert_eq!(Hello::decode(bytes), Err(MalformedHello));
        }
        for bytes in [
            *b"HLWY\x01\x01\x01\x00",
            *b"HLWN\x01\x02\x01\x03",
            *b"SSH-2.0-",
        ] {
            assert_eq!(Reject::decode(bytes), Err(MalformedHello));
        }
    }

    #[test]
    fn a_responder_takes_the_best_common_version_only() {
        let ask = |version, highest, versions| {
            Hello {
                version,
                highest,
                suite: 1,
            }
            .judge(&versions)
            .map_err(|r| r.reason)
        };
        assert_eq!(ask(1, 1, 1..=1), Ok(Suite::ChaChaPoly));
        assert_eq!(ask(1, 2, 1..=1), Ok(Suite::ChaChaPoly));
        assert_eq!(ask(1, 1, 1..=2), Ok(Suite::ChaChaPoly));
        assert_eq!(ask(2, 9, 1..=2), Ok(Suite::ChaChaPoly));
        assert_eq!(ask(1, 2, 1..=2), Err(RejectReason::Downgrade));
        assert_eq!(ask(2, 3, 1..=5), Err(RejectReason::Downgrade));
        assert_eq!(ask(2, 2, 1..=1), Err(RejectReason::UnsupportedVersion));
        assert_eq!(ask(0, 1, 1..=1), Err(RejectReason::UnsupportedVersion));
        assert_eq!(ask(1, 1, 2..=3), Err(RejectReason::UnsupportedVersion));
        for suite in [0, 3, 255] {
            let refused = Hello {
                version: 1,
                highest: 1,
                suite,
            }
            .judge(&(1..=1))
            .unwrap_err();
            assert_eq!(refused.reason, RejectReason::UnsupportedSuite);
            assert!(refused.speaks(Suite::ChaChaPoly) && refused.speaks(Suite::AesGcm));
        }
    }

    #[test]
    fn an_initiator_retries_with_the_best_common_version() {
        let retry = |theirs: RangeInclusive<u8>, ours| {
            Reject::new(RejectReason::UnsupportedVersion, &theirs).retry_version(&ours)
        };
        assert_eq!(retry(1..=1, 1..=2), Some(1));
        assert_eq!(retry(1..=3, 2..=4), Some(3));
        assert_eq!(retry(3..=4, 1..=2), None);
        assert_eq!(retry(1..=2, 3..=4), None);
        let busy = Reject::new(RejectReason::Busy, &(1..=1));
        assert_eq!(busy.retry_version(&(1..=1)), None);
    }
}
