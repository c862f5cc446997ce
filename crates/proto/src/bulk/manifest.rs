//! The list of what is in an offer, and where each group of it belongs.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{CHAIN_BYTES, GROUP_BYTES, Revision, chain};
use crate::cbor;
use serde::{Deserialize, Serialize};

/// Most entries of one offer: the folders that people have are smaller, and this many take some
/// 20 MB of memory.
pub const ENTRIES_MAX: usize = 200_000;
/// Deepest folder below the offered one: what people make by hand has ten levels.
pub const DEPTH_MAX: u16 = 128;
/// Longest name in a manifest, in bytes: what file systems allow, and a few of another encoding.
const ENTRY_NAME_BYTES_MAX: usize = 1024;
/// Largest sum of sizes: more than any disk, and far from where sums overflow.
const BYTES_MAX: u64 = 1 << 56;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with its bytes.
    File,
    /// A folder.
    Folder,
    /// A link, socket or device: named, not sent.
    Skipped,
    /// A file that the sender cannot read: named, not sent.
    Unreadable,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Folder => 1,
            Self::Skipped => 2,
            Self::Unreadable => 3,
        }
    }

    /// A kind of a later version is one that is not sent.
    fn of_code(code: u8) -> Self {
        match code {
            0 => Self::File,
            1 => Self::Folder,
            3 => Self::Unreadable,
            _ => Self::Skipped,
        }
    }
}

mod kind_code {
    use super::Kind;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(kind.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Kind, D::Error> {
        u8::deserialize(d).map(Kind::of_code)
    }
}

/// One file or folder of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry of the folder it is in; the first entry is in none and says 0.
    #[serde(rename = "p")]
    pub parent: u32,
    /// Its name, as its owner has it: not safe to write under.
    #[serde(rename = "n")]
    pub name: String,
    /// What it is.
    #[serde(rename = "k", with = "kind_code")]
    pub kind: Kind,
    /// Bytes of a file; 0 otherwise.
    #[serde(rename = "s")]
    pub bytes: u64,
    /// When it was last changed, in milliseconds since 1970.
    #[serde(rename = "t")]
    pub modified_ms: u64,
    /// Its owner may run it.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// Of a file, another number once its owner's system has seen it change in any way; only to be
    /// compared.
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub version: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is wrong with a manifest. The fault of who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Over [`ENTRIES_MAX`].
    #[error("more than {ENTRIES_MAX} files and folders")]
    TooMany,
    /// A folder that is not there, or not a folder, or comes later.
    #[error("an entry in a folder that is none")]
    Parent,
    /// Over [`DEPTH_MAX`].
    #[error("folders deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Empty, or over its limit.
    #[error("an entry without a usable name")]
    Name,
    /// A size that cannot be.
    #[error("a size that cannot be")]
    Size,
}

/// Where the bytes of a group belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The entry.
    pub entry: u32,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes; at most [`GROUP_BYTES`], and 0 for an empty file, which has no group.
    pub bytes: u32,
}

/// Everything in an offer, checked as it is gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
    /// The first group of each entry, or of the next one that has any.
    first_groups: Vec<u64>,
    depths: Vec<u16>,
    groups: u64,
    bytes: u64,
}

impl Manifest {
    /// Adds an entry.
    pub fn push(&mut self, entry: Entry) -> Result<(), ManifestError> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(ManifestError::TooMany);
        }
        if !(1..=ENTRY_NAME_BYTES_MAX).contains(&entry.name.len()) {
            return Err(ManifestError::Name);
        }
        let depth = if self.entries.is_empty() {
            if entry.parent == 0 {
                Ok(0)
            } else {
                Err(ManifestError::Parent)
            }
        } else {
            self.depth_in(entry.parent)
        }?;
        if entry.kind != Kind::File && entry.bytes != 0 {
            return Err(ManifestError::Size);
        }
        let bytes = self.bytes.checked_add(entry.bytes);
        self.bytes = bytes
            .filter(|sum| *sum <= BYTES_MAX)
            .ok_or(ManifestError::Size)?;
        self.first_groups.push(self.groups);
        self.groups = self
            .groups
            .saturating_add(entry.bytes.div_ceil(GROUP_BYTES));
        self.depths.push(depth);
        self.entries.push(entry);
        Ok(())
    }

    fn depth_in(&self, parent: u32) -> Result<u16, ManifestError> {
        let index = usize::try_from(parent).map_err(|_| ManifestError::Parent)?;
        let folder = self
            .entries
            .get(index)
            .filter(|entry| entry.kind == Kind::Folder);
        let depth = self.depths.get(index).filter(|_| folder.is_some());
        let depth = depth.ok_or(ManifestError::Parent)?.saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(ManifestError::TooDeep);
        }
        Ok(depth)
    }

    /// All entries: folders before what is in them.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One of them.
    pub fn entry(&self, entry: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(entry).ok()?)
    }

    /// How many folders an entry is in.
    pub fn depth(&self, entry: u32) -> Option<u16> {
        self.depths.get(usize::try_from(entry).ok()?).copied()
    }

    /// How many groups there are.
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many files there are.
    pub fn files(&self) -> u32 {
        let files = self.entries.iter().filter(|entry| entry.kind == Kind::File);
        u32::try_from(files.count()).unwrap_or(u32::MAX)
    }

    /// Where a group belongs.
    pub fn piece(&self, group: u64) -> Option<Piece> {
        if group >= self.groups {
            return None;
        }
        // The last entry that begins at or before the group: those without groups come earlier.
        let after = self.first_groups.partition_point(|first| *first <= group);
        let index = after.checked_sub(1)?;
        let (entry, first) = (self.entries.get(index)?, self.first_groups.get(index)?);
        let offset = group.checked_sub(*first)?.checked_mul(GROUP_BYTES)?;
        let bytes = entry.bytes.checked_sub(offset)?.min(GROUP_BYTES);
        Some(Piece {
            entry: u32::try_from(index).ok()?,
            offset,
            bytes: u32::try_from(bytes).ok()?,
        })
    }

    /// The hash of the bytes of a group.
    pub fn hash_of(&self, piece: Piece, bytes: &[u8]) -> [u8; CHAIN_BYTES] {
        let whole = self.entry(piece.entry).map_or(0, |entry| entry.bytes);
        chain(bytes, piece.offset, whole)
    }

    /// The groups of an entry.
    pub fn groups_of(&self, entry: u32) -> std::ops::Range<u64> {
        let index = usize::try_from(entry).unwrap_or(usize::MAX);
        let of = |index: usize| self.first_groups.get(index).copied().unwrap_or(self.groups);
        of(index)..of(index.saturating_add(1))
    }

    /// The same for the same entries, and another for others.
    pub fn revision(&self) -> Revision {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::new();
        for entry in &self.entries {
            bytes.clear();
            cbor::encode(entry, &mut bytes);
            hasher.update(&bytes);
        }
        let mut revision = [0; 16];
        hasher.finalize_xof().fill(&mut revision);
        Revision(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(parent: u32, kind: Kind, bytes: u64) -> Entry {
        Entry {
            parent,
            name: "x".into(),
            kind,
            bytes,
            modified_ms: 0,
            executable: false,
            version: 0,
        }
    }

    #[test]
    fn groups_are_numbered_through_all_files() {
        let mut manifest = Manifest::default();
        manifest.push(entry(0, Kind::Folder, 0)).unwrap();
        for bytes in [0, 1, GROUP_BYTES, GROUP_BYTES + 1, 0] {
            manifest.push(entry(0, Kind::File, bytes)).unwrap();
        }
        manifest.push(entry(0, Kind::Skipped, 0)).unwrap();
        assert_eq!((manifest.groups(), manifest.files()), (4, 5));
        let pieces: Vec<_> = (0..5)
            .map(|group| manifest.piece(group).map(|p| (p.entry, p.offset, p.bytes)))
            .collect();
        let group = u32::try_from(GROUP_BYTES).unwrap();
        assert_eq!(
            pieces,
            [
                Some((2, 0, 1)),
                Some((3, 0, group)),
                Some((4, 0, group)),
                Some((4, GROUP_BYTES, 1)),
                None
            ]
        );
        let of = |entry| manifest.groups_of(entry);
        assert_eq!(
            [of(0), of(1), of(2), of(4), of(6)],
            [0..0, 0..0, 0..1, 2..4, 4..4]
        );
        assert_eq!(of(7), 4..4);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut manifest = Manifest::default();
        assert_eq!(
            manifest.push(entry(1, Kind::File, 1)),
            Err(ManifestError::Parent)
        );
        manifest.push(entry(0, Kind::Folder, 0)).unwrap();
        manifest.push(entry(0, Kind::File, 1)).unwrap();
        let refused = |entry| manifest.clone().push(entry).unwrap_err();
        assert_eq!(refused(entry(1, Kind::File, 1)), ManifestError::Parent);
        assert_eq!(refused(entry(2, Kind::File, 1)), ManifestError::Parent);
        assert_eq!(refused(entry(0, Kind::Folder, 1)), ManifestError::Size);
        assert_eq!(
            refused(entry(0, Kind::File, BYTES_MAX)),
            ManifestError::Size
        );
        assert_eq!(refused(entry(0, Kind::File, u64::MAX)), ManifestError::Size);
        let named = |name: String| Entry {
            name,
            ..entry(0, Kind::File, 0)
        };
        assert_eq!(refused(named(String::new())), ManifestError::Name);
        assert_eq!(refused(named("x".repeat(1025))), ManifestError::Name);
        assert!(manifest.clone().push(named("x".repeat(1024))).is_ok());
        assert!(manifest.push(entry(0, Kind::File, BYTES_MAX - 1)).is_ok());
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let mut manifest = Manifest::default();
        manifest.push(entry(0, Kind::Folder, 0)).unwrap();
        for parent in 0..u32::from(DEPTH_MAX) {
            manifest.push(entry(parent, Kind::Folder, 0)).unwrap();
        }
        let deepest = u32::from(DEPTH_MAX);
        assert_eq!(
            manifest.push(entry(deepest, Kind::File, 0)),
            Err(ManifestError::TooDeep)
        );
        while manifest.entries().len() < ENTRIES_MAX {
            manifest.push(entry(0, Kind::File, 0)).unwrap();
        }
        assert_eq!(
            manifest.push(entry(0, Kind::File, 0)),
            Err(ManifestError::TooMany)
        );
    }

    proptest! {
        #[test]
        fn every_byte_is_in_exactly_one_group(sizes in prop::collection::vec(0..5 * GROUP_BYTES, 0..20)) {
            let mut manifest = Manifest::default();
            manifest.push(entry(0, Kind::Folder, 0)).unwrap();
            for bytes in &sizes {
                manifest.push(entry(0, Kind::File, *bytes)).unwrap();
            }
            let mut found = vec![0; sizes.len() + 1];
            for group in 0..manifest.groups() {
                let piece = manifest.piece(group).unwrap();
                prop_assert_eq!(piece.offset, found[piece.entry as usize]);
                prop_assert!(manifest.groups_of(piece.entry).contains(&group));
                found[piece.entry as usize] += u64::from(piece.bytes);
            }
            prop_assert_eq!(&found[1..], &sizes[..]);
        }
    }
}
