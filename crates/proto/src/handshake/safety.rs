//! Safety numbers: what two people compare to be sure that nobody is between them.

use hallway_model::PeerId;
use sha2::{Digest, Sha512};

/// Rounds of the hash. They make it 5,200 times as dear to search for a key whose number looks
/// like another's (Signal's figure, 2^12.3 more than the digits alone give).
const ROUNDS: u32 = 5200;

/// Version of the fingerprint format, as in Signal's version 2.
const VERSION: [u8; 2] = [0, 0];

/// Stands where Signal has the phone number, and keeps our numbers apart from others'.
const IDENTIFIER: &[u8] = b"hallway safety number v1";

/// The number two people compare: the same on both sides and 60 digits, in twelve groups of five
/// separated by single spaces.
///
/// Each person's half is Signal's numeric fingerprint. With `key` the 32 bytes of the id,
/// `h₁ = SHA-512(00 00 ‖ key ‖ "hallway safety number v1" ‖ key)` and `hₙ = SHA-512(hₙ₋₁ ‖ key)`;
/// the first 30 bytes of `h₅₂₀₀` are six numbers of five bytes, most significant first, and each
/// is written modulo 100,000 with five digits. The half that is smaller as a text comes first.
pub fn safety_number(a: &PeerId, b: &PeerId) -> String {
    let mut halves = [fingerprint(&a.0, IDENTIFIER), fingerprint(&b.0, IDENTIFIER)];
    halves.sort();
    halves.concat().join(" ")
}

/// Six groups of five digits.
fn fingerprint(key: &[u8], identifier: &[u8]) -> [String; 6] {
    let mut hash = Sha512::new()
        .chain_update(VERSION)
        .chain_update(key)
        .chain_update(identifier)
        .chain_update(key)
        .finalize();
    for _ in 1..ROUNDS {
        hash = Sha512::new()
            .chain_update(hash)
            .chain_update(key)
            .finalize();
    }
    std::array::from_fn(|group| {
        let number = hash[group * 5..][..5]
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libsignal, `rust/protocol/src/fingerprint.rs`: two keys of 33 bytes and two phone numbers.
    #[test]
    fn the_half_of_each_person_is_signals() {
        let alice =
            hex::decode("0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868");
        let bob = hex::decode("05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b");
        let alice = fingerprint(&alice.unwrap(), b"+14152222222").concat();
        let bob = fingerprint(&bob.unwrap(), b"+14153333333").concat();
        assert_eq!(
            [alice, bob].concat(),
            "300354477692869396892869876765458257569162576843440918079131"
        );
    }

    #[test]
    fn both_sides_see_the_same_sixty_digits() {
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        let number = safety_number(&a, &b);
        assert_eq!(number, safety_number(&b, &a));
        let groups: Vec<_> = number.split(' ').collect();
        assert_eq!(groups.len(), 12);
        assert!(
            groups
                .iter()
                .all(|g| g.len() == 5 && g.bytes().all(|d| d.is_ascii_digit()))
        );
        assert_ne!(number, safety_number(&a, &PeerId([3; 32])));
        assert_ne!(number, safety_number(&a, &a));
    }
}
