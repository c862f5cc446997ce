//! Which groups of one content have left its sender, so that to many receivers each leaves it
//! about once: who asks for one that somebody else has got hears its hash instead.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{Ask, CHAIN_BYTES};
use std::time::Duration;

/// Who has got a group has had the time to pass it on after so long.
const LENT_FOR: Duration = Duration::from_secs(3);

/// See the module. Times are since any one start.
#[derive(Clone, Debug)]
pub struct Lending(Vec<Slot>);

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// Nobody has got it.
    Here,
    /// Somebody has, or is about to.
    Lent {
        at: Duration,
        hash: Option<[u8; CHAIN_BYTES]>,
    },
}

/// What is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The group.
    Give,
    /// Its hash.
    Tell([u8; CHAIN_BYTES]),
    /// Its hash, which is not known yet.
    Compute,
}

impl Lending {
    /// Of so many groups none has left.
    pub fn new(groups: u64) -> Self {
        let groups = usize::try_from(groups).expect("a manifest is bounded");
        Self(vec![Slot::Here; groups])
    }

    /// Somebody asks for a group.
    pub fn turn(&mut self, group: u64, ask: Ask, now: Duration) -> Turn {
        let slot = usize::try_from(group).ok();
        let Some(slot) = slot.and_then(|at| self.0.get_mut(at)) else {
            return Turn::Give;
        };
        let (hash, recent) = match *slot {
            Slot::Here => (None, None),
            Slot::Lent { at, hash } => (hash, Some(now.saturating_sub(at) < LENT_FOR)),
        };
        let elsewhere = match ask {
            Ask::You => false,
            Ask::Anybody => recent.is_some(),
            Ask::YouAfterAll => recent == Some(true),
        };
        match (elsewhere, hash) {
            (true, Some(hash)) => Turn::Tell(hash),
            (true, None) => Turn::Compute,
            (false, hash) => {
                *slot = Slot::Lent { at: now, hash };
                Turn::Give
            }
        }
    }

    /// The hash of a group is known.
    pub fn handle_hash(&mut self, group: u64, known: [u8; CHAIN_BYTES]) {
        let slot = usize::try_from(group).ok();
        if let Some(Slot::Lent { hash, .. }) = slot.and_then(|at| self.0.get_mut(at)) {
            *hash = Some(known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_leaves_once_unless_it_got_lost() {
        let secs = Duration::from_secs;
        let mut lending = Lending::new(2);
        assert_eq!(lending.turn(1, Ask::Anybody, secs(0)), Turn::Give);
        assert_eq!(lending.turn(1, Ask::Anybody, secs(0)), Turn::Compute);
        lending.handle_hash(1, [7; 32]);
        let told = Turn::Tell([7; 32]);
        assert_eq!(lending.turn(1, Ask::Anybody, secs(99)), told);
        assert_eq!(lending.turn(1, Ask::YouAfterAll, secs(2)), told);
        // It got lost with the first: one of those who say so gets it, the others hear of that.
        assert_eq!(lending.turn(1, Ask::YouAfterAll, secs(3)), Turn::Give);
        assert_eq!(lending.turn(1, Ask::YouAfterAll, secs(4)), told);
        assert_eq!(lending.turn(1, Ask::You, secs(4)), Turn::Give);
        assert_eq!(lending.turn(0, Ask::YouAfterAll, secs(0)), Turn::Give);
        // What does not exist is refused elsewhere.
        assert_eq!(lending.turn(2, Ask::Anybody, secs(0)), Turn::Give);
        assert_eq!(lending.turn(u64::MAX, Ask::Anybody, secs(0)), Turn::Give);
        lending.handle_hash(2, [7; 32]);
    }
}
