//! CBOR as it goes over the wire: of RFC 8949 the shortest forms and definite lengths only, without
//! floats, tags and simple values other than false, true and null. Map entries come in the order in
//! which our types declare them. Everything a peer sends passes [`decode`].
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Deepest nesting of arrays and maps. Our deepest type has two levels; the rest is for unknown
/// fields of later versions.
pub const DEPTH_MAX: usize = 16;

/// Why bytes of a peer are not what they should be. Always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside an item.
    #[error("the item is cut off")]
    Truncated,
    /// Bytes follow the item.
    #[error("bytes follow the item")]
    Trailing,
    /// A number or a length is not in its shortest form.
    #[error("a number is not in its shortest form")]
    NotShortest,
    /// Indefinite length, float, tag, simple value or reserved bits.
    #[error("an item of a kind that is not used here")]
    Unsupported,
    /// Deeper than [`DEPTH_MAX`].
    #[error("nested too deeply")]
    TooDeep,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// Well formed, but not of the expected shape.
    #[error("not of the expected shape")]
    Shape,
}

/// Encodes a value. Our types always encode: maps with text keys in declared order.
pub fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail and none of our types refuses to serialise.
    let written = ciborium::into_writer(value, out);
    assert!(written.is_ok(), "a wire type did not encode");
}

/// Decodes exactly one value from all of `bytes`. Memory stays within a small multiple of the
/// input: every item is checked before any of it is built.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
    check(bytes)?;
    ciborium::de::from_reader_with_recursion_limit(bytes, DEPTH_MAX).map_err(|_| CborError::Shape)
}

/// Accepts one item in the deterministic form and nothing else.
pub fn check(bytes: &[u8]) -> Result<(), CborError> {
    let mut rest = bytes;
    // Items still to come at each open level.
    let mut open: Vec<u64> = vec![1];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left = left.saturating_sub(1);
        let (major, value) = head(&mut rest)?;
        match major {
            0 | 1 | 7 => {}
            2 => {
                take(&mut rest, value)?;
            }
            3 => {
                let text = take(&mut rest, value)?;
                std::str::from_utf8(text).map_err(|_| CborError::NotUtf8)?;
            }
            4 | 5 => {
                if open.len() > DEPTH_MAX {
                    return Err(CborError::TooDeep);
                }
                let items = if major == 4 {
                    Some(value)
                } else {
                    value.checked_mul(2)
                };
                // Every item takes at least a byte, so a longer claim is a lie.
                match items {
                    Some(n) if n <= u64::try_from(rest.len()).unwrap_or(u64::MAX) => open.push(n),
                    _ => return Err(CborError::Truncated),
                }
            }
            _ => return Err(CborError::Unsupported),
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(CborError::Trailing)
    }
}

/// Reads an initial byte and its argument.
fn head(rest: &mut &[u8]) -> Result<(u8, u64), CborError> {
    let initial = *take(rest, 1)?.first().ok_or(CborError::Truncated)?;
    let (major, info) = (initial >> 5, initial & 0x1f);
    if major == 7 {
        // false, true, null
        return if matches!(info, 20..=22) {
            Ok((7, 0))
        } else {
            Err(CborError::Unsupported)
        };
    }
    let (length, least): (u64, u64) = match info {
        0..=23 => return Ok((major, u64::from(info))),
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        _ => return Err(CborError::Unsupported),
    };
    let value = take(rest, length)?
        .iter()
        .fold(0u64, |acc, byte| (acc << 8) | u64::from(*byte));
    if value < least {
        Err(CborError::NotShortest)
    } else {
        Ok((major, value))
    }
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], CborError> {
    let length = usize::try_from(length).map_err(|_| CborError::Truncated)?;
    let (taken, left) = rest.split_at_checked(length).ok_or(CborError::Truncated)?;
    *rest = left;
    Ok(taken)
}

/// Reads a list and stops at the limit, so that it is never built before it is judged.
pub(crate) fn bounded<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    most: usize,
) -> Result<Vec<T>, D::Error> {
    struct Items<T>(usize, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {}", self.0)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() >= self.0 {
                    return Err(serde::de::Error::custom("a list over its limit"));
                }
                items.push(item);
            }
            Ok(items)
        }
    }
    deserializer.deserialize_seq(Items(most, PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 8949 appendix A: every example, and what the deterministic subset says to it.
    const APPENDIX_A: &str = include_str!("../vectors/rfc8949_appendix_a.txt");

    #[test]
    fn appendix_a_is_accepted_or_refused_as_the_subset_says() {
        let mut examples = 0;
        for line in APPENDIX_A
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
        {
            let (encoded, expected) = line.split_once(' ').unwrap();
            let verdict = match check(&hex::decode(encoded).unwrap()) {
                Ok(()) => "accepted",
                Err(CborError::Unsupported) => "unsupported",
                Err(other) => panic!("{encoded}: {other}"),
            };
            assert_eq!(verdict, expected, "{encoded}");
            examples += 1;
        }
        assert_eq!(examples, 81);
    }

    #[test]
    fn lying_lengths_depth_and_long_forms_are_refused() {
        assert_eq!(
            check(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(CborError::Truncated)
        );
        assert_eq!(
            check(&[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            Err(CborError::Truncated)
        );
        assert_eq!(check(&[0x18, 0x17]), Err(CborError::NotShortest));
        assert_eq!(check(&[0x19, 0, 0xff]), Err(CborError::NotShortest));
        assert_eq!(check(&[0x62, 0xc3, 0x28]), Err(CborError::NotUtf8));
        assert_eq!(check(&[0x00, 0x00]), Err(CborError::Trailing));
        assert_eq!(check(&[]), Err(CborError::Truncated));
        let nested = |levels: usize| {
            let mut bytes = vec![0x81; levels];
            bytes.push(0);
            check(&bytes)
        };
        assert_eq!(nested(DEPTH_MAX), Ok(()));
        assert_eq!(nested(DEPTH_MAX + 1), Err(CborError::TooDeep));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes: Vec<u8>) {
            let _ = check(&bytes);
        }

        #[test]
        fn what_we_encode_is_deterministic(numbers: Vec<u64>, text: String) {
            let mut bytes = Vec::new();
            encode(&(&numbers, &text), &mut bytes);
            prop_assert_eq!(check(&bytes), Ok(()));
            prop_assert_eq!(decode::<(Vec<u64>, String)>(&bytes), Ok((numbers, text)));
        }
    }
}
