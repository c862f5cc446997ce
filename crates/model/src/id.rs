//! Identifiers and their text forms.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// RFC 4648 base32, lower case: no digit can be taken for a letter of the alphabet (0, 1, 8 and
/// 9 are absent).
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 256 bits in groups of five, the last padded with four zero bits.
const DATA_CHARS: usize = 52;
/// Check characters: two sums modulo [`CHECK_PRIME`] packed in 15 bits.
const CHECK_CHARS: usize = 3;
const TEXT_CHARS: usize = DATA_CHARS + CHECK_CHARS;
/// The largest prime whose square fits 15 bits. Being prime and larger than the length times
/// one, it makes every single wrong character locatable and every swap of neighbours visible.
const CHECK_PRIME: u32 = 181;
/// Characters of the tag that stands beside a name.
const TAG_CHARS: usize = 4;

/// Who somebody is: their 32-byte Ed25519 identity key.
///
/// In text it is 52 characters of base32 and three check characters, so that a typo is caught
/// and the wrong character can be named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

/// Why a text is not a [`PeerId`]. Positions count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// A character outside the alphabet.
    #[error(
        "character {at} of this id, '{found}', is not used in ids (only a to z and 2 to 7 are)"
    )]
    Character {
        /// Position of the character.
        at: usize,
        /// The character.
        found: char,
    },
    /// Too short or too long.
    #[error("an id has {TEXT_CHARS} characters; this one has {0}")]
    Length(usize),
    /// A character outside the digits of a message or group id.
    #[error("character {at} of this id, '{found}', is not a hexadecimal digit (0 to 9, a to f)")]
    Digit {
        /// Position of the character.
        at: usize,
        /// The character.
        found: char,
    },
    /// A message or group id that is too short or too long.
    #[error("the id of a message or group has 32 digits; this one has {0}")]
    Digits(usize),
    /// One wrong character explains the failed check.
    #[error("character {at} of this id is mistyped: '{found}' should be '{expected}'")]
    Mistyped {
        /// Position of the character.
        at: usize,
        /// What was given.
        found: char,
        /// What makes the check come out right.
        expected: char,
    },
    /// Two neighbours in the wrong order explain the failed check.
    #[error("characters {at} and {} of this id are swapped", .at + 1)]
    Swapped {
        /// Position of the first of the two.
        at: usize,
    },
    /// More than one mistake.
    #[error("this id is mistyped in more than one place; copy it again")]
    Check,
}

impl PeerId {
    /// The four characters that tell people of one name apart: the start of the text form.
    /// A tag can be forged with some effort; it is no proof of identity.
    pub fn tag(&self) -> String {
        self.to_string().chars().take(TAG_CHARS).collect()
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = base32_values(&self.0);
        values.extend(check_values(&values));
        f.pad(&text_of(&values))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}", self.tag())
    }
}

impl FromStr for PeerId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let mut values = Vec::with_capacity(TEXT_CHARS);
        let mut chars = 0;
        for (at, c) in text.chars().enumerate() {
            chars = at + 1;
            match value_of(c) {
                Some(v) if at < TEXT_CHARS => values.push(v),
                Some(_) => {}
                None => {
                    return Err(ParseIdError::Character {
                        at: at + 1,
                        found: c,
                    });
                }
            }
        }
        if chars != TEXT_CHARS {
            return Err(ParseIdError::Length(chars));
        }
        match bytes_if_valid(&values) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(explain(&values)),
        }
    }
}

fn value_of(c: char) -> Option<u8> {
    match c.to_ascii_lowercase() {
        l @ 'a'..='z' => Some(l as u8 - b'a'),
        d @ '2'..='7' => Some(d as u8 - b'2' + 26),
        _ => None,
    }
}

fn char_of(value: u8) -> char {
    char::from(ALPHABET[usize::from(value & 31)])
}

fn text_of(values: &[u8]) -> String {
    values.iter().map(|v| char_of(*v)).collect()
}

/// Groups of five bits, most significant first, the last padded with zero bits.
fn base32_values(bytes: &[u8]) -> Vec<u8> {
    let mut values = Vec::with_capacity(TEXT_CHARS);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            values.push(low5(bits >> held));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        values.push(low5(bits << (5 - held)));
    }
    values
}

fn low5(bits: u32) -> u8 {
    (bits & 31).to_le_bytes()[0]
}

fn check_values(data: &[u8]) -> [u8; CHECK_CHARS] {
    let (mut sum, mut weighted) = (0u32, 0u32);
    for (position, value) in (1u32..).zip(data) {
        sum = (sum + u32::from(*value)) % CHECK_PRIME;
        weighted = (weighted + position * u32::from(*value)) % CHECK_PRIME;
    }
    let packed = sum * CHECK_PRIME + weighted;
    [low5(packed >> 10), low5(packed >> 5), low5(packed)]
}

fn bytes_if_valid(values: &[u8]) -> Option<[u8; 32]> {
    let (data, check) = values.split_at_checked(DATA_CHARS)?;
    if check != check_values(data) || data.last()? & 0x0f != 0 {
        return None;
    }
    let mut bytes = [0u8; 32];
    for (i, bit) in (0..256usize).map(|i| (i, data[i / 5] >> (4 - i % 5) & 1)) {
        bytes[i / 8] |= bit << (7 - i % 8);
    }
    Some(bytes)
}

/// Looks for the one change that makes the text valid, to tell the person where to look.
fn explain(values: &[u8]) -> ParseIdError {
    let mut tried = values.to_vec();
    let mut found = None;
    for at in 0..values.len() {
        for candidate in 0..32u8 {
            tried[at] = candidate;
            if bytes_if_valid(&tried).is_some() {
                if found.is_some() {
                    return ParseIdError::Check;
                }
                found = Some(ParseIdError::Mistyped {
                    at: at + 1,
                    found: char_of(values[at]),
                    expected: char_of(candidate),
                });
            }
        }
        tried[at] = values[at];
    }
    for at in 0..values.len() - 1 {
        tried.swap(at, at + 1);
        if found.is_none() && bytes_if_valid(&tried).is_some() {
            return ParseIdError::Swapped { at: at + 1 };
        }
        tried.swap(at, at + 1);
    }
    found.unwrap_or(ParseIdError::Check)
}

/// Names one message for good: 128 random bits chosen by its author.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

/// Names one call for good: 128 random bits chosen by the caller. The record that the caller leaves
/// in the history has the same bytes as its [`MessageId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub [u8; 16]);

/// Names what is in an offer. Offers of the same files to several people carry the same one, and
/// whoever was made one may fetch these files from anybody who has them: it is 128 random bits
/// that only travel inside sessions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 16]);

/// Names one group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub [u8; 16]);

macro_rules! hex_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0
                    .iter()
                    .take(4)
                    .try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0u8; 16];
                let chars = text.chars().count();
                if chars != 32 {
                    return Err(ParseIdError::Digits(chars));
                }
                for (at, found) in text.chars().enumerate() {
                    let digit = found
                        .to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                        .ok_or(ParseIdError::Digit { at: at + 1, found })?;
                    bytes[at / 2] |= if at % 2 == 0 { digit << 4 } else { digit };
                }
                Ok(Self(bytes))
            }
        }
    };
}
hex_id!(MessageId);
hex_id!(CallId);
hex_id!(ContentId);
hex_id!(GroupId);

/// In JSON an id is its text; in CBOR and other binary forms it is its bytes.
macro_rules! serde_as_text_or_bytes {
    ($name:ident, $length:literal, $pattern:literal) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} bytes, or their text form", $length)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<$name, E> {
                        <[u8; $length]>::try_from(bytes)
                            .map($name)
                            .map_err(|_| E::invalid_length(bytes.len(), &self))
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Visitor)
                } else {
                    deserializer.deserialize_bytes(Visitor)
                }
            }
        }
    };
}
serde_as_text_or_bytes!(PeerId, 32, "^[a-z2-7]{55}$");
serde_as_text_or_bytes!(MessageId, 16, "^[0-9a-f]{32}$");
serde_as_text_or_bytes!(CallId, 16, "^[0-9a-f]{32}$");
serde_as_text_or_bytes!(ContentId, 16, "^[0-9a-f]{32}$");
serde_as_text_or_bytes!(GroupId, 16, "^[0-9a-f]{32}$");

/// Where a message belongs: a talk between two, or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationId {
    /// The talk with one peer.
    Peer(PeerId),
    /// A group.
    Group(GroupId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_of_known_ids_never_changes() {
        let zero = PeerId([0; 32]).to_string();
        assert_eq!(zero, "a".repeat(55));
        let ff = PeerId([0xff; 32]).to_string();
        assert_eq!(&ff[..52], &format!("{}q", "7".repeat(51)));
        assert_eq!(ff.parse(), Ok(PeerId([0xff; 32])));
        assert_eq!(PeerId([0xff; 32]).tag(), "7777");
    }

    #[test]
    fn wrong_characters_and_lengths_are_named() {
        let mut text = PeerId([7; 32]).to_string();
        text.replace_range(9..10, "1");
        assert_eq!(
            text.parse::<PeerId>(),
            Err(ParseIdError::Character { at: 10, found: '1' })
        );
        assert_eq!("abc".parse::<PeerId>(), Err(ParseIdError::Length(3)));
        assert_eq!(
            "a".repeat(4000).parse::<PeerId>(),
            Err(ParseIdError::Length(4000))
        );
        assert_eq!(
            "王".parse::<PeerId>(),
            Err(ParseIdError::Character {
                at: 1, found: '王'
            })
        );
    }

    #[test]
    fn a_wrong_message_id_is_explained_as_such() {
        let of = |text: &str| text.parse::<MessageId>();
        assert_eq!(of("12ab"), Err(ParseIdError::Digits(4)));
        let found = 'x';
        assert_eq!(
            of(&format!("0{}", "x".repeat(31))),
            Err(ParseIdError::Digit { at: 2, found })
        );
    }

    proptest! {
        #[test]
        fn text_round_trips_in_either_case(bytes: [u8; 32]) {
            let id = PeerId(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        }

        #[test]
        fn one_wrong_data_character_is_found(bytes: [u8; 32], at in 0..52usize, by in 1..32u8) {
            let text = PeerId(bytes).to_string();
            let right = text.chars().nth(at).unwrap();
            let wrong = char_of((value_of(right).unwrap() + by) % 32);
            let typo: String =
                text.chars().enumerate().map(|(i, c)| if i == at { wrong } else { c }).collect();
            let error = typo.parse::<PeerId>().unwrap_err();
            // A second explanation through a check character is possible, a wrong one is not.
            let expected = ParseIdError::Mistyped { at: at + 1, found: wrong, expected: right };
            prop_assert!(error == expected || error == ParseIdError::Check, "{error}");
        }

        #[test]
        fn swapped_neighbours_are_noticed(bytes: [u8; 32], at in 0..54usize) {
            let mut chars: Vec<char> = PeerId(bytes).to_string().chars().collect();
            prop_assume!(chars[at] != chars[at + 1]);
            chars.swap(at, at + 1);
            prop_assert!(chars.iter().collect::<String>().parse::<PeerId>().is_err());
        }

        #[test]
        fn message_ids_round_trip(bytes: [u8; 16]) {
            prop_assert_eq!(MessageId(bytes).to_string().parse(), Ok(MessageId(bytes)));
        }
    }

    #[test]
    fn json_uses_text() {
        let id = PeerId([3; 32]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<PeerId>(&json).unwrap(), id);
    }
}
