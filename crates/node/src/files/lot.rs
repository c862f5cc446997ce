//! One content that several peers may fetch from us: listed once, and each group hashed once.

use super::lock;
use super::source::{self, Listing};
use hallway_proto::bulk::{
    Ask, CHAIN_BYTES, Lending, Piece, SHARED_BYTES_MIN, SHARED_GROUP_BYTES_MIN, SHARED_GROUPS_MAX,
    Turn,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What was listed so lately is not listed again for the next receiver.
const LISTED_FOR: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Lot {
    pub(super) source: PathBuf,
    listed: Mutex<Option<(Instant, Arc<Listed>)>>,
}

/// A list of what there is, and what of it was given to whom.
pub(super) struct Listed {
    pub(super) listing: Listing,
    lending: Option<Mutex<Lending>>,
    begun: Instant,
}

impl Lot {
    pub(super) fn new(source: PathBuf) -> Self {
        Self {
            source,
            listed: Mutex::default(),
        }
    }

    /// What there is now.
    pub(super) fn list(&self) -> Result<Arc<Listed>, source::SourceError> {
        // Those who come meanwhile wait for it.
        let mut before = lock(&self.listed);
        let now = Instant::now();
        if let Some((at, listed)) = &*before
            && now.duration_since(*at) < LISTED_FOR
        {
            return Ok(listed.clone());
        }
        let listing = source::list(&self.source)?;
        let revision = listing.manifest.revision();
        let same = before.take().map(|(_, listed)| listed);
        let same = same.filter(|listed| listed.listing.manifest.revision() == revision);
        let listed = same.unwrap_or_else(|| Arc::new(Listed::new(listing, now)));
        *before = Some((Instant::now(), listed.clone()));
        Ok(listed)
    }

    /// Its receivers are of use to each other, and its list has no more than so many entries.
    pub(super) fn is_shared_and_below(&self, entries_max: usize) -> bool {
        let listed = lock(&self.listed);
        let small = |listed: &Listed| listed.listing.manifest.entries().len() <= entries_max;
        listed
            .as_ref()
            .is_some_and(|(_, listed)| listed.lending.is_some() && small(listed))
    }

    /// Something is not what was listed.
    pub(super) fn forget(&self) {
        *lock(&self.listed) = None;
    }
}

impl Listed {
    fn new(listing: Listing, begun: Instant) -> Self {
        let (bytes, groups) = (listing.manifest.bytes(), listing.manifest.groups());
        let shared = bytes >= SHARED_BYTES_MIN && groups <= SHARED_GROUPS_MAX;
        Self {
            lending: shared.then(|| Mutex::new(Lending::new(groups))),
            listing,
            begun,
        }
    }

    /// How a wish for a group is to be answered.
    pub(super) fn turn(&self, group: u64, piece: Piece, ask: Ask) -> Turn {
        match &self.lending {
            Some(lending) if piece.bytes >= SHARED_GROUP_BYTES_MIN => {
                lock(lending).turn(group, ask, self.begun.elapsed())
            }
            _ => Turn::Give,
        }
    }

    pub(super) fn handle_hash(&self, group: u64, hash: [u8; CHAIN_BYTES]) {
        if let Some(lending) = &self.lending {
            lock(lending).handle_hash(group, hash);
        }
    }
}
