//! What travels on connections for files, and the bookkeeping of both ends. Pure: threads of the
//! shell move the bytes, and keep here what they may trust.
//!
//! ```text
//! receiver                                   whoever has the files
//!   Open {content}                        ─▶
//!                                         ◀─   Opened {revision, …}, or Refused
//!   List {from}                           ─▶
//!                                         ◀─   Page {entries} …
//!   Want {first, count} …                 ─▶
//!                                         ◀─   Group {number, bytes}, then these bytes and their
//!                                              32 bytes of tree hash, as many records as it takes
//! ```
//!
//! Of a file that changed meanwhile a receiver first asks for the hashes of what it has (`Check`,
//! `Hashes`), so that only groups that differ are sent again; and a group of nothing but zeros is
//! told and not sent (`Zeros`).
//!
//! Every file is cut into groups of [`GROUP_BYTES`], and all groups of all files are numbered in
//! the order of the manifest. A small file is one short group, so a single `Want` fetches hundreds
//! of them without a round trip each; and any group may come from anybody who has it.

mod circle;
mod groups;
mod lending;
mod manifest;
mod name;
mod plan;
mod pool;
mod tree;
mod wire;

pub use circle::{Choice, Circle, Loss, SLOTS};
pub use groups::{GroupSet, runs};
pub use lending::{Lending, Turn};
pub use manifest::{DEPTH_MAX, ENTRIES_MAX, Entry, Kind, Manifest, ManifestError, Piece};
pub use name::{NAME_BYTES_MAX, fold, numbered, safe_name};
pub use plan::Plan;
pub use pool::{Overdue, Pool};
pub use tree::{CHAIN_BYTES, chain, is_zeros, root};
pub use wire::{
    Ask, BulkError, CHECK_GROUPS_MAX, Hashes, Message, Open, Opened, PAGE_ENTRIES_MAX, Page,
    RUNS_MAX, RefusedWhy, Revision, Want,
};

/// Contents with fewer bytes are fetched from their sender alone: passing them on saves nothing
/// that anybody would notice, and the receivers need not hear of each other.
pub const SHARED_BYTES_MIN: u64 = 8 << 20;
/// Of contents with more groups each side would keep hashes and bits of more than some megabytes.
pub const SHARED_GROUPS_MAX: u64 = 1 << 16;
/// A smaller group comes from the sender: its hash and the asking cost as much.
pub const SHARED_GROUP_BYTES_MIN: u32 = 16 << 10;

/// Bytes of a group: what is checked, recorded and fetched again as one. A power of two of BLAKE3
/// chunks (1,024 bytes each), so that it is a subtree. Large enough that its record costs nothing,
/// small enough that what a crash wastes does not count.
pub const GROUP_BYTES: u64 = 1 << 20;
