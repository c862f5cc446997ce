//! The BLAKE3 tree over the groups of a file (BLAKE3 paper, section 2.1).

use super::GROUP_BYTES;
use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of a hash.
pub const CHAIN_BYTES: usize = 32;

/// The hash of one group: its chaining value in the tree of its file, or the hash of the file
/// itself when that is no longer than a group.
pub fn chain(bytes: &[u8], offset: u64, file_bytes: u64) -> [u8; CHAIN_BYTES] {
    if file_bytes <= GROUP_BYTES {
        return *blake3::hash(bytes).as_bytes();
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// All these bytes are 0.
pub fn is_zeros(bytes: &[u8]) -> bool {
    // Each is the one before it: a comparison of memory, which ends at once for most data.
    let (but_last, but_first) = (bytes.split_last(), bytes.split_first());
    but_last
        .zip(but_first)
        .is_none_or(|((_, left), (first, right))| *first == 0 && left == right)
}

/// The BLAKE3 hash of a file from those of all its groups; `None` without any.
pub fn root(chains: &[[u8; CHAIN_BYTES]]) -> Option<[u8; CHAIN_BYTES]> {
    match chains {
        [] => None,
        [only] => Some(*only),
        _ => {
            let (left, right) = chains.split_at(left_groups(chains.len()));
            let root = merge_subtrees_root(&merged(left), &merged(right), Mode::Hash);
            Some(*root.as_bytes())
        }
    }
}

fn merged(chains: &[[u8; CHAIN_BYTES]]) -> [u8; CHAIN_BYTES] {
    match chains {
        [] => unreachable!("a tree has no empty half"),
        [only] => *only,
        _ => {
            let (left, right) = chains.split_at(left_groups(chains.len()));
            merge_subtrees_non_root(&merged(left), &merged(right), Mode::Hash)
        }
    }
}

/// The left half of a tree is the largest power of two that leaves something for the right.
fn left_groups(groups: usize) -> usize {
    groups.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_merge_to_the_hash_of_the_whole() {
        let group = usize::try_from(GROUP_BYTES).unwrap();
        let data: Vec<u8> = (0..251).cycle().take(group * 5 + 4321).collect();
        let lengths = [
            1,
            1024,
            group - 1,
            group,
            group + 1,
            2 * group,
            3 * group,
            4 * group + 7,
        ];
        for length in lengths.into_iter().chain([data.len()]) {
            let data = &data[..length];
            let chains: Vec<_> = data
                .chunks(group)
                .zip(0u64..)
                .map(|(bytes, n)| chain(bytes, n * GROUP_BYTES, length as u64))
                .collect();
            assert_eq!(
                root(&chains),
                Some(*blake3::hash(data).as_bytes()),
                "{length}"
            );
        }
        assert_eq!(root(&[]), None);
    }

    #[test]
    fn zeros_are_told_from_anything_else() {
        for length in [0, 1, 2, 1000] {
            assert!(is_zeros(&vec![0; length]));
            assert!(length == 0 || !is_zeros(&vec![1; length]));
            for at in 0..length {
                let mut bytes = vec![0; length];
                bytes[at] = 1;
                assert!(!is_zeros(&bytes), "{at} of {length}");
            }
        }
    }
}
