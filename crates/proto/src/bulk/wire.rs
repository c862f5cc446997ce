//! Messages on connections for files: a type byte, then one CBOR map, in a record of their own.
//! The bytes of a group follow its [`Message::Group`] in records that hold nothing else.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{CHAIN_BYTES, Entry, GROUP_BYTES};
use crate::cbor::{self, CborError};
use hallway_model::ContentId;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

/// Entries in one page. A name takes up to 1,024 bytes and the rest of an entry 40, so that a
/// sender also ends a page at [`Page::BYTES`].
pub const PAGE_ENTRIES_MAX: usize = 1024;

/// Groups whose hashes are asked for at once: their hashes take half a record.
pub const CHECK_GROUPS_MAX: u32 = 1024;

/// What one record carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The first one, of the side that connected.
    Open(Open),
    /// The answer: here they are.
    Opened(Opened),
    /// The answer: no.
    Refused(RefusedWhy),
    /// Send entries of the manifest from this one on.
    List(u32),
    /// Some entries.
    Page(Page),
    /// Send groups, or say that somebody else has them.
    Want(Want, Ask),
    /// One group: so many of its bytes follow, and 32 bytes of hash.
    Group {
        /// Its number.
        group: u64,
        /// Its bytes.
        bytes: u32,
    },
    /// This group cannot be sent: its file is not what it was, or this receiver has not got it.
    Gone(u64),
    /// This group, which was wanted, is all zeros: nothing follows.
    Zeros(u64),
    /// Send the hashes of groups, at most [`CHECK_GROUPS_MAX`].
    Check(Want),
    /// They are these.
    Hashes(Hashes),
    /// Somebody else has got this group or is getting it, and this is its hash.
    Elsewhere {
        /// Its number.
        group: u64,
        /// Its hash.
        hash: [u8; CHAIN_BYTES],
    },
    /// Say which groups have come since the last such answer, as soon as there are any.
    Follow,
    /// These are there: the answer, at most [`RUNS_MAX`], perhaps none.
    Have(Vec<Want>),
    /// The fetching side has so many bytes, for show.
    Progress(u64),
    /// Every later record of this direction is under the next key.
    Rekey,
    /// Of a later version; skipped.
    Unknown(u8),
}

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The content.
    #[serde(rename = "c")]
    pub content: ContentId,
    /// The side that connected is the one that has it, and answers requests.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub serving: bool,
    /// Bytes that the fetching side has, for the other side's information; only on the first
    /// connection of an attempt.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub have: Option<u64>,
    /// The revision of what it has, if any.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The same for as long as the manifest is.
    #[serde(rename = "r")]
    pub revision: Revision,
    /// Entries of the manifest.
    #[serde(rename = "e")]
    pub entries: u32,
}

/// See [`super::Manifest::revision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedWhy {
    /// Nothing of that is offered to the other side, or not now.
    NotNow,
    /// It can no longer be read.
    Unreadable,
    /// A reason of a later version.
    Other(u8),
}

/// Some entries of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The number of the first one.
    #[serde(rename = "f")]
    pub first: u32,
    /// The entries, at most [`PAGE_ENTRIES_MAX`].
    #[serde(rename = "e", deserialize_with = "bounded_entries")]
    pub entries: Vec<Entry>,
}

impl Page {
    /// Bytes of names after which a sender ends a page, so that it fits a record.
    pub const BYTES: usize = 16 * 1024;
}

/// Whom a group is wanted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// From who is asked.
    #[default]
    You,
    /// From whoever has it.
    Anybody,
    /// From who is asked, because nobody else brought it.
    YouAfterAll,
}

/// A run of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The first of them.
    #[serde(rename = "f")]
    pub first: u64,
    /// How many.
    #[serde(rename = "n")]
    pub count: u32,
}

/// Hashes of groups in a row, as [`super::chain`] makes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// The first of the groups.
    #[serde(rename = "f")]
    pub first: u64,
    /// All hashes, one after the other.
    #[serde(rename = "h", with = "serde_bytes")]
    pub hashes: Vec<u8>,
}

impl Hashes {
    /// Each group with its hash.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8; CHAIN_BYTES])> {
        let (hashes, _) = self.hashes.as_chunks();
        (self.first..).zip(hashes)
    }
}

/// What is wrong with what the other side sent. Always its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// A record without a type byte.
    #[error("an empty record")]
    Empty,
    /// Not the CBOR that the type asks for.
    #[error("message type {message}: {error}")]
    Cbor {
        /// The type byte.
        message: u8,
        /// What is wrong.
        error: CborError,
    },
    /// A group longer than a group.
    #[error("a group of {0} bytes")]
    TooLong(u32),
}

const OPEN: u8 = 1;
const OPENED: u8 = 2;
const REFUSED: u8 = 3;
const LIST: u8 = 4;
const PAGE: u8 = 5;
const WANT: u8 = 6;
const GROUP: u8 = 7;
const GONE: u8 = 8;
const REKEY: u8 = 9;
const ZEROS: u8 = 10;
const CHECK: u8 = 11;
const HASHES: u8 = 12;
const ELSEWHERE: u8 = 13;
const FOLLOW: u8 = 14;
const HAVE: u8 = 15;
const PROGRESS: u8 = 16;

/// Runs in one [`Message::Have`]: with the largest numbers they take 20 KiB.
pub const RUNS_MAX: usize = 1024;

#[derive(Serialize, Deserialize)]
struct WantFields {
    #[serde(rename = "f")]
    first: u64,
    #[serde(rename = "n")]
    count: u32,
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    ask: u8,
}

#[derive(Serialize, Deserialize)]
struct ElsewhereFields {
    #[serde(rename = "f")]
    group: u64,
    #[serde(rename = "h", with = "serde_bytes")]
    hash: [u8; CHAIN_BYTES],
}

#[derive(Serialize, Deserialize)]
struct HaveFields {
    #[serde(rename = "g", deserialize_with = "bounded_runs")]
    runs: Vec<Want>,
}

#[derive(Serialize, Deserialize)]
struct BytesField {
    #[serde(rename = "s")]
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct NumberField {
    #[serde(rename = "f")]
    number: u64,
}

#[derive(Serialize, Deserialize)]
struct EntryField {
    #[serde(rename = "f")]
    entry: u32,
}

#[derive(Serialize, Deserialize)]
struct ReasonField {
    #[serde(rename = "r")]
    reason: u8,
}

#[derive(Serialize, Deserialize)]
struct GroupFields {
    #[serde(rename = "f")]
    group: u64,
    #[serde(rename = "s")]
    bytes: u32,
}

#[derive(Serialize, Deserialize)]
struct NoFields {}

impl Message {
    /// Appends the message's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open(open) => put(out, OPEN, open),
            Self::Opened(opened) => put(out, OPENED, opened),
            Self::Refused(why) => put(out, REFUSED, &ReasonField { reason: why.code() }),
            Self::List(entry) => put(out, LIST, &EntryField { entry: *entry }),
            Self::Page(page) => put(out, PAGE, page),
            Self::Want(Want { first, count }, ask) => {
                let (first, count, ask) = (*first, *count, ask.code());
                put(out, WANT, &WantFields { first, count, ask });
            }
            Self::Group { group, bytes } => {
                let (group, bytes) = (*group, *bytes);
                put(out, GROUP, &GroupFields { group, bytes });
            }
            Self::Gone(number) => put(out, GONE, &NumberField { number: *number }),
            Self::Zeros(number) => put(out, ZEROS, &NumberField { number: *number }),
            Self::Check(want) => put(out, CHECK, want),
            Self::Hashes(hashes) => put(out, HASHES, hashes),
            Self::Rekey => put(out, REKEY, &NoFields {}),
            Self::Elsewhere { group, hash } => {
                let (group, hash) = (*group, *hash);
                put(out, ELSEWHERE, &ElsewhereFields { group, hash });
            }
            Self::Follow => put(out, FOLLOW, &NoFields {}),
            Self::Have(runs) => put(out, HAVE, &HaveFields { runs: runs.clone() }),
            Self::Progress(bytes) => put(out, PROGRESS, &BytesField { bytes: *bytes }),
            Self::Unknown(kind) => put(out, *kind, &NoFields {}),
        }
    }

    /// Decodes one record's plaintext.
    pub fn decode(bytes: &[u8]) -> Result<Self, BulkError> {
        let (&message, map) = bytes.split_first().ok_or(BulkError::Empty)?;
        let decoded = match message {
            OPEN => cbor::decode(map).map(Self::Open),
            OPENED => cbor::decode(map).map(Self::Opened),
            REFUSED => {
                cbor::decode(map).map(|f: ReasonField| Self::Refused(RefusedWhy::of_code(f.reason)))
            }
            LIST => cbor::decode(map).map(|f: EntryField| Self::List(f.entry)),
            PAGE => cbor::decode(map).map(Self::Page),
            WANT => cbor::decode(map).map(|WantFields { first, count, ask }| {
                Self::Want(Want { first, count }, Ask::of_code(ask))
            }),
            GROUP => {
                let fields: Result<GroupFields, _> = cbor::decode(map);
                if let Ok(GroupFields { bytes, .. }) = fields
                    && u64::from(bytes) > GROUP_BYTES
                {
                    return Err(BulkError::TooLong(bytes));
                }
                fields.map(|GroupFields { group, bytes }| Self::Group { group, bytes })
            }
            GONE => cbor::decode(map).map(|f: NumberField| Self::Gone(f.number)),
            ZEROS => cbor::decode(map).map(|f: NumberField| Self::Zeros(f.number)),
            CHECK => cbor::decode(map).map(Self::Check),
            HASHES => cbor::decode(map).map(Self::Hashes),
            REKEY => cbor::decode(map).map(|_: NoFields| Self::Rekey),
            ELSEWHERE => cbor::decode(map)
                .map(|ElsewhereFields { group, hash }| Self::Elsewhere { group, hash }),
            FOLLOW => cbor::decode(map).map(|_: NoFields| Self::Follow),
            HAVE => cbor::decode(map).map(|f: HaveFields| Self::Have(f.runs)),
            PROGRESS => cbor::decode(map).map(|f: BytesField| Self::Progress(f.bytes)),
            other => cbor::check(map).map(|()| Self::Unknown(other)),
        };
        decoded.map_err(|error| BulkError::Cbor { message, error })
    }
}

fn put<T: Serialize>(out: &mut Vec<u8>, message: u8, fields: &T) {
    out.push(message);
    cbor::encode(fields, out);
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Ask {
    fn code(self) -> u8 {
        match self {
            Self::You => 0,
            Self::Anybody => 1,
            Self::YouAfterAll => 2,
        }
    }

    /// A later version's way of asking is answered with the group.
    fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Anybody,
            2 => Self::YouAfterAll,
            _ => Self::You,
        }
    }
}

impl RefusedWhy {
    fn code(self) -> u8 {
        match self {
            Self::NotNow => 1,
            Self::Unreadable => 2,
            Self::Other(code) => code,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            1 => Self::NotNow,
            2 => Self::Unreadable,
            other => Self::Other(other),
        }
    }
}

fn bounded_entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    cbor::bounded(deserializer, PAGE_ENTRIES_MAX)
}

fn bounded_runs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Want>, D::Error> {
    cbor::bounded(deserializer, RUNS_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            parent: 0,
            name: "x".into(),
            kind: Kind::File,
            bytes: 1 << 40,
            modified_ms: 1_700_000_000_000,
            executable: true,
            version: u64::MAX,
        }
    }

    fn page(entries: usize) -> Message {
        let entries = vec![entry(); entries];
        Message::Page(Page { first: 3, entries })
    }

    fn run() -> Want {
        Want {
            first: u64::MAX,
            count: u32::MAX,
        }
    }

    fn encoded(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let content = ContentId([7; 16]);
        let revision = Revision([8; 16]);
        let messages = [
            Message::Open(Open {
                content,
                serving: false,
                have: None,
                revision: None,
            }),
            Message::Open(Open {
                content,
                serving: true,
                have: Some(u64::MAX),
                revision: Some(revision),
            }),
            Message::Opened(Opened {
                revision,
                entries: 9,
            }),
            Message::Refused(RefusedWhy::NotNow),
            Message::Refused(RefusedWhy::Unreadable),
            Message::Refused(RefusedWhy::Other(9)),
            Message::List(u32::MAX),
            page(0),
            page(PAGE_ENTRIES_MAX),
            Message::Want(run(), Ask::You),
            Message::Want(run(), Ask::Anybody),
            Message::Want(run(), Ask::YouAfterAll),
            Message::Group {
                group: 1,
                bytes: 1 << 20,
            },
            Message::Gone(5),
            Message::Zeros(u64::MAX),
            Message::Check(Want { first: 1, count: 2 }),
            Message::Hashes(Hashes {
                first: 1,
                hashes: vec![9; 64],
            }),
            Message::Rekey,
            Message::Elsewhere {
                group: 1,
                hash: [9; CHAIN_BYTES],
            },
            Message::Follow,
            Message::Have(Vec::new()),
            Message::Have(vec![run(); RUNS_MAX]),
            Message::Progress(7),
            Message::Unknown(99),
        ];
        for message in messages {
            assert_eq!(Message::decode(&encoded(&message)), Ok(message));
        }
    }

    #[test]
    fn what_is_over_a_limit_is_refused() {
        let group = Message::Group {
            group: 0,
            bytes: (1 << 20) + 1,
        };
        let over = BulkError::TooLong((1 << 20) + 1);
        assert_eq!(Message::decode(&encoded(&group)), Err(over));
        let page = Message::decode(&encoded(&page(PAGE_ENTRIES_MAX + 1)));
        assert!(matches!(page, Err(BulkError::Cbor { message: PAGE, .. })));
        assert_eq!(Message::decode(&[]), Err(BulkError::Empty));
        let have = encoded(&Message::Have(vec![run(); RUNS_MAX + 1]));
        let have = Message::decode(&have);
        assert!(matches!(have, Err(BulkError::Cbor { message: HAVE, .. })));
        assert!(encoded(&Message::Have(vec![run(); RUNS_MAX])).len() < 32 * 1024);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>) {
            let _ = Message::decode(&bytes);
        }
    }
}
