//! What is said about transfers in a session, and what the shell is asked to do for them.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::cbor;
use crate::handshake::Suite;
use hallway_model::{ContentId, Instant, MessageId, Offer, PeerId, TransferFailure, TransferId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// One side's word on a transfer. All are idempotent and said again on each new session, until
/// they have been answered or no longer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The message that offers.
    #[serde(rename = "i")]
    pub message: MessageId,
    /// The sender of the frame is the one who offers.
    #[serde(rename = "o")]
    pub offering: bool,
    /// What is said.
    #[serde(rename = "s", with = "code")]
    pub says: Says,
}

/// What is said of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The receiver wants it, and fetches it as soon as it can.
    Accept,
    /// The receiver does not want it.
    Decline,
    /// The speaker holds it.
    Pause,
    /// The speaker no longer holds it.
    Resume,
    /// The speaker gives it up.
    Cancel,
    /// The receiver has all of it.
    Done,
    /// The speaker cannot do it.
    Failed(TransferFailure),
    /// The speaker knows that it is over.
    Settled,
    /// The receiver cannot connect to the sender: the sender is to connect to it.
    Dial,
    /// The receiver has no room; it goes on by itself once there is some.
    Full,
    /// At the receiver other transfers come first; it goes on by itself once it is its turn.
    Queued,
    /// Of a later version; skipped.
    Other(u8),
}

impl Says {
    fn code(self) -> u8 {
        match self {
            Self::Accept => 1,
            Self::Decline => 2,
            Self::Pause => 3,
            Self::Resume => 4,
            Self::Cancel => 5,
            Self::Done => 6,
            Self::Settled => 7,
            Self::Dial => 8,
            Self::Full => 9,
            Self::Queued => 10,
            Self::Failed(TransferFailure::Source) => 16,
            Self::Failed(TransferFailure::Destination) => 17,
            Self::Failed(TransferFailure::Protocol) => 18,
            Self::Failed(TransferFailure::TooMany) => 19,
            Self::Failed(TransferFailure::Changed) => 20,
            Self::Other(code) => code,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Accept,
            2 => Self::Decline,
            3 => Self::Pause,
            4 => Self::Resume,
            5 => Self::Cancel,
            6 => Self::Done,
            7 => Self::Settled,
            8 => Self::Dial,
            9 => Self::Full,
            10 => Self::Queued,
            16 => Self::Failed(TransferFailure::Source),
            17 => Self::Failed(TransferFailure::Destination),
            18 => Self::Failed(TransferFailure::Protocol),
            19 => Self::Failed(TransferFailure::TooMany),
            20 => Self::Failed(TransferFailure::Changed),
            other => Self::Other(other),
        }
    }
}

/// A word on a transfer is a number on the wire.
mod code {
    use super::Says;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(says: &Says, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(says.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Says, D::Error> {
        u8::deserialize(d).map(Says::of_code)
    }
}

/// Others in one [`Introduction`]: those who fetch from a receiver, and those whom it fetches from.
pub const OTHERS_MAX: usize = 32;
/// Addresses told of each: one of IPv4 and one of IPv6, or the two best.
pub const ADDRESSES_TOLD_MAX: usize = 2;

/// Who else receives what the sender of the frame offers. Each replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The message that offers.
    #[serde(rename = "i")]
    pub message: MessageId,
    /// The others, at most [`OTHERS_MAX`].
    #[serde(rename = "p", deserialize_with = "bounded_others")]
    pub others: Vec<Other>,
}

/// Another receiver, as its sender knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// Who.
    #[serde(rename = "p")]
    pub peer: PeerId,
    /// Where, the best first, at most [`ADDRESSES_TOLD_MAX`].
    #[serde(rename = "a", deserialize_with = "bounded_addresses")]
    pub addresses: Vec<Address>,
    /// It computes AES quickly.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub fast_aes: bool,
}

/// An address on the wire: 4 or 16 bytes, and the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Address {
    /// It means the same host everywhere in a network, and is not the listener's own.
    pub(crate) fn may_be_told(&self) -> bool {
        let ip = self.0.ip().to_canonical();
        let one = !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast();
        let scoped = match ip {
            IpAddr::V4(ip) => ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        one && !scoped && self.0.port() != 0
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = match self.0.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.extend(self.0.port().to_be_bytes());
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let address = bytes.split_last_chunk().and_then(|(ip, port)| {
            let ip = match *ip {
                [a, b, c, d] => IpAddr::from([a, b, c, d]),
                _ => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
            };
            Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
        });
        let wrong = || serde::de::Error::custom("not an address and a port");
        address.map(Self).ok_or_else(wrong)
    }
}

fn bounded_others<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Other>, D::Error> {
    cbor::bounded(deserializer, OTHERS_MAX)
}

fn bounded_addresses<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Address>, D::Error> {
    cbor::bounded(d, ADDRESSES_TOLD_MAX)
}

/// What the shell is to do with files. The bytes never pass through the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Fetch what a peer offers, going on from what is there already.
    Fetch(Box<Fetch>),
    /// Let a peer fetch from us.
    Serve(Box<Serve>),
    /// The peer who may fetch from us cannot connect: connect to it, and let it fetch there.
    Reach(Box<Reach>),
    /// These are the other receivers of something that we fetch or have fetched: fetch from them
    /// too, and let them fetch what is there. Each replaces the order before it.
    Introduce {
        /// Which transfer.
        id: TransferId,
        /// What it offers.
        content: ContentId,
        /// The others; nobody any more when empty.
        others: Vec<Introduced>,
    },
    /// Neither any more; what has come so far stays. No report is owed.
    Stop(TransferId),
    /// Remove what was put aside for something that we no longer fetch.
    Discard {
        /// Which transfer.
        id: TransferId,
        /// The folder it went to; `None` for the usual one.
        folder: Option<PathBuf>,
    },
}

/// What is needed to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Which transfer.
    pub id: TransferId,
    /// Who has it.
    pub peer: PeerId,
    /// What was offered.
    pub offer: Offer,
    /// What it may have grown to since.
    pub bytes_max: u64,
    /// The folder to put it in; `None` for the usual one.
    pub folder: Option<PathBuf>,
    /// Where the peer is, the best first.
    pub addresses: Vec<SocketAddr>,
    /// The cipher suite to offer.
    pub suite: Suite,
}

/// What is needed to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Which transfer.
    pub id: TransferId,
    /// Who may fetch.
    pub peer: PeerId,
    /// What was offered.
    pub offer: Offer,
    /// Where it is.
    pub source: PathBuf,
}

/// Another receiver of what we fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduced {
    /// Who.
    pub peer: PeerId,
    /// Where, the best first, at most twice [`ADDRESSES_TOLD_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// The cipher suite to offer.
    pub suite: Suite,
}

/// What is needed to connect to a peer who fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Which transfer; it is served already.
    pub id: TransferId,
    /// Where the peer is, the best first.
    pub addresses: Vec<SocketAddr>,
    /// The cipher suite to offer.
    pub suite: Suite,
}

/// How an [`Order`] comes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The folder of something that we fetch is settled, and so much of it was there already.
    /// Also what the peer who fetches from us has.
    Began {
        /// Bytes.
        moved: u64,
        /// All there is to fetch, which need not be what was offered: files grow and shrink.
        bytes: u64,
        /// The folder, when we fetch.
        folder: Option<PathBuf>,
    },
    /// So many bytes are with the receiver, checked.
    Progress(u64),
    /// All of it is there, on disk, under this name.
    Done(PathBuf),
    /// Something of it changed at its owner; what changed is sent again.
    Changed,
    /// No connection to the peer who has it. The attempt goes on for a while: the peer may
    /// connect to us.
    Unreachable,
    /// No connection, or no longer, and why, in words.
    Lost(String),
    /// The disk is full.
    NoRoom,
    /// It cannot be done.
    Failed(TransferFailure),
}

/// How fast a transfer is, over its last seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    last: Option<(Instant, u64)>,
    rate: u64,
}

/// A sample counts once it is so long: shorter ones say more of the clock than of the line.
const METER_SAMPLE: Duration = Duration::from_millis(200);
/// Nothing for so long is standstill.
const METER_STANDSTILL: Duration = Duration::from_secs(3);

impl Meter {
    /// So many bytes have moved in all.
    pub(crate) fn handle(&mut self, moved: u64, now: Instant) {
        let Some((at, before)) = self.last else {
            self.last = Some((now, moved));
            return;
        };
        let passed = now.since(at);
        if passed < METER_SAMPLE {
            return;
        }
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        let sample = moved
            .saturating_sub(before)
            .saturating_mul(1000)
            .checked_div(millis);
        let sample = sample.unwrap_or_default();
        // Half of each new sample: follows a change within a second, without flicker.
        self.rate = match self.rate {
            0 => sample,
            rate => rate.midpoint(sample),
        };
        self.last = Some((now, moved));
    }

    /// Bytes a second.
    pub(crate) fn rate(&self, now: Instant) -> u64 {
        let recent = self
            .last
            .is_some_and(|(at, _)| now.since(at) < METER_STANDSTILL);
        if recent { self.rate } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_comes_back_from_the_wire_and_is_bounded() {
        let other = |addresses: &[&str]| Other {
            peer: PeerId([1; 32]),
            addresses: addresses
                .iter()
                .map(|address| Address(address.parse().unwrap()))
                .collect(),
            fast_aes: true,
        };
        let both = other(&["10.0.0.1:42550", "[fd77::1]:65535"]);
        let of = |others| Introduction {
            message: MessageId([3; 16]),
            others,
        };
        let through = |introduction: &Introduction| {
            let mut bytes = Vec::new();
            cbor::encode(introduction, &mut bytes);
            assert!(bytes.len() < 8 * 1024);
            cbor::decode::<Introduction>(&bytes)
        };
        let most = of(vec![both.clone(); OTHERS_MAX]);
        assert_eq!(through(&most), Ok(most));
        assert_eq!(through(&of(Vec::new())), Ok(of(Vec::new())));
        assert!(through(&of(vec![both; OTHERS_MAX + 1])).is_err());
        let three = other(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        assert!(through(&of(vec![three])).is_err());
    }

    #[test]
    fn only_addresses_that_mean_one_other_host_are_told() {
        let told = |address: &str| Address(address.parse().unwrap()).may_be_told();
        assert!(told("10.0.0.1:42550") && told("[fd77::1]:1"));
        let never = [
            "127.0.0.1:80",
            "0.0.0.0:80",
            "224.0.0.251:5353",
            "255.255.255.255:9",
            "10.0.0.1:0",
            "[::1]:80",
            "[::]:80",
            "[ff02::fb]:5353",
            "[fe80::1]:80",
            "[::ffff:127.0.0.1]:80",
        ];
        for address in never {
            assert!(!told(address), "{address}");
        }
    }

    #[test]
    fn every_word_comes_back_from_the_wire() {
        for code in 0..=u8::MAX {
            let signal = Signal {
                message: MessageId([3; 16]),
                offering: code % 2 == 0,
                says: Says::of_code(code),
            };
            assert_eq!(signal.says.code(), code);
            let mut bytes = Vec::new();
            cbor::encode(&signal, &mut bytes);
            assert_eq!(cbor::decode(&bytes), Ok(signal));
        }
    }

    #[test]
    fn the_meter_follows_a_change_and_knows_standstill() {
        let mut meter = Meter::default();
        let at = |ms: u64| Instant(ms * 1000);
        for step in 0..=10 {
            meter.handle(step * 1000, at(step * 250));
        }
        assert_eq!(meter.rate(at(2500)), 4000);
        for step in 1..=10 {
            meter.handle(10_000 + step * 4000, at(2500 + step * 250));
        }
        assert!(
            (15_900..=16_000).contains(&meter.rate(at(5000))),
            "{}",
            meter.rate(at(5000))
        );
        assert_eq!(meter.rate(at(8000)), 0);
    }
}
