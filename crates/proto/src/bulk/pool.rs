//! The groups that a receiver is to get from other receivers, and when it asks the sender for
//! them after all.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::{CHAIN_BYTES, GroupSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Who was asked for a group and has not brought it after so long has it no longer to itself.
const HELD_FOR: Duration = Duration::from_secs(2);
/// The sender is not asked before nothing else was left to do for so long, or for as long as
/// [`PACES`] groups of its own lately took.
const PATIENCE: Duration = Duration::from_secs(2);
const PACES: u32 = 3;
/// Groups that it is then asked for at first; twice as many each time while that brings more
/// than the others do.
const BATCH_FIRST: usize = 4;
/// And at most.
const BATCH_MOST: usize = 64;

/// See the module. Times are since any one start.
#[derive(Clone, Debug)]
pub struct Pool {
    /// What each of them must hash to: the sender has said so.
    hashes: BTreeMap<u64, [u8; CHAIN_BYTES]>,
    /// Those that nobody was asked for.
    free: GroupSet,
    /// Those that somebody was asked for, and when.
    asked: VecDeque<(Duration, u64)>,
    /// How many others have brought.
    brought: u64,
    /// Nothing else is left to do since then.
    idle_since: Option<Duration>,
    pace: Duration,
    batch: Option<Batch>,
}

/// What the sender was asked for after all.
#[derive(Clone, Debug)]
struct Batch {
    size: usize,
    left: BTreeSet<u64>,
    brought_before: u64,
}

/// What the sender is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// Nothing: all is there.
    Nothing,
    /// Nothing for so long.
    Wait(Duration),
    /// These, which are no longer in the pool.
    Ask(Vec<u64>),
}

impl Pool {
    /// Nothing, of so many groups.
    pub fn new(groups: u64) -> Self {
        Self {
            hashes: BTreeMap::new(),
            free: GroupSet::new(groups),
            asked: VecDeque::new(),
            brought: 0,
            idle_since: None,
            pace: Duration::ZERO,
            batch: None,
        }
    }

    /// The sender has given a group to somebody else.
    pub fn handle_elsewhere(&mut self, group: u64, hash: [u8; CHAIN_BYTES]) {
        self.settle(group);
        self.hashes.insert(group, hash);
        self.free.set(group, true);
    }

    /// A group is there, whoever it came from.
    pub fn handle_have(&mut self, group: u64) {
        self.settle(group);
        self.free.set(group, false);
        if self.hashes.remove(&group).is_some() {
            self.brought = self.brought.saturating_add(1);
        }
    }

    /// The sender has given us a group, so long after the one before or our asking.
    pub fn handle_given(&mut self, took: Duration) {
        let before = self
            .pace
            .saturating_sub(self.pace.checked_div(4).unwrap_or_default());
        self.pace = before.max(took);
        if self.batch.is_none() {
            self.idle_since = None;
        }
    }

    /// Who was asked does not bring it.
    pub fn handle_refused(&mut self, group: u64) {
        self.free.set(group, self.hashes.contains_key(&group));
    }

    fn settle(&mut self, group: u64) {
        if let Some(batch) = &mut self.batch {
            batch.left.remove(&group);
        }
    }

    /// The next group to ask somebody for who has these, and what it must hash to.
    pub fn claim(&mut self, has: &GroupSet, now: Duration) -> Option<(u64, [u8; CHAIN_BYTES])> {
        while let Some((at, group)) = self.asked.front().copied()
            && now.saturating_sub(at) >= HELD_FOR
        {
            self.asked.pop_front();
            self.handle_refused(group);
        }
        let group = self.free.first_common(has)?;
        self.free.set(group, false);
        self.asked.push_back((now, group));
        Some((group, *self.hashes.get(&group)?))
    }

    /// There is something to ask somebody for who has these.
    pub fn may_claim(&self, has: &GroupSet) -> bool {
        self.free.first_common(has).is_some()
    }

    /// The sender has nothing else for us: whether it is to be asked for what others do not bring.
    /// Without hope for any others all is asked for.
    pub fn overdue(&mut self, hope: bool, now: Duration) -> Overdue {
        if self.hashes.is_empty() {
            return Overdue::Nothing;
        }
        if !hope {
            return Overdue::Ask(self.take(BATCH_MOST));
        }
        let since = *self.idle_since.get_or_insert(now);
        let patience = PATIENCE.max(self.pace.saturating_mul(PACES));
        let waited = now.saturating_sub(since);
        if let Some(left) = patience.checked_sub(waited).filter(|left| !left.is_zero()) {
            return Overdue::Wait(left);
        }
        let size = match &self.batch {
            Some(batch) if !batch.left.is_empty() => return Overdue::Wait(PATIENCE),
            Some(batch) => {
                let brought = self.brought.saturating_sub(batch.brought_before);
                let size = batch.size;
                if brought >= u64::try_from(size).unwrap_or(u64::MAX) {
                    // The others are at it.
                    self.batch = None;
                    self.idle_since = Some(now);
                    return Overdue::Wait(patience);
                }
                size.saturating_mul(2).min(BATCH_MOST)
            }
            None => BATCH_FIRST,
        };
        let groups = self.take(size);
        self.batch = Some(Batch {
            size,
            left: groups.iter().copied().collect(),
            brought_before: self.brought,
        });
        Overdue::Ask(groups)
    }

    fn take(&mut self, most: usize) -> Vec<u64> {
        let groups: Vec<u64> = self.hashes.keys().copied().take(most).collect();
        for group in &groups {
            self.hashes.remove(group);
            self.free.set(*group, false);
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::Want;
    use super::*;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn all(groups: u64) -> GroupSet {
        let mut has = GroupSet::new(groups);
        has.insert(Want {
            first: 0,
            count: u32::try_from(groups).unwrap(),
        });
        has
    }

    /// Of a pool with these groups.
    fn pool(groups: u8) -> Pool {
        let mut pool = Pool::new(groups.into());
        for group in 0..groups {
            pool.handle_elsewhere(group.into(), [group; 32]);
        }
        pool
    }

    #[test]
    fn each_is_asked_of_one_who_has_it_until_that_takes_too_long() {
        let mut pool = pool(4);
        let mut two = GroupSet::new(4);
        two.set(2, true);
        assert_eq!(pool.claim(&two, MS(0)), Some((2, [2; 32])));
        assert_eq!(pool.claim(&two, MS(1999)), None);
        assert!(!pool.may_claim(&two));
        assert_eq!(pool.claim(&two, MS(2000)), Some((2, [2; 32])));
        pool.handle_refused(2);
        assert!(pool.may_claim(&two) && !pool.may_claim(&GroupSet::new(4)));
        assert_eq!(pool.claim(&two, MS(2000)), Some((2, [2; 32])));
        pool.handle_have(2);
        assert_eq!(pool.claim(&two, MS(9000)), None);
        for group in [0, 1, 3] {
            assert_eq!(pool.claim(&all(4), MS(9000)).unwrap().0, group);
            pool.handle_have(group);
        }
        assert_eq!(pool.overdue(true, MS(9000)), Overdue::Nothing);
    }

    #[test]
    fn the_sender_is_asked_late_and_for_more_while_others_bring_less() {
        let mut pool = pool(100);
        let mut now = MS(0);
        assert_eq!(pool.overdue(true, now), Overdue::Wait(PATIENCE));
        now += PATIENCE;
        let mut asked = 0..;
        for size in [4, 8, 16, 32] {
            let Overdue::Ask(groups) = pool.overdue(true, now) else {
                panic!("it is asked for {size}");
            };
            let expected: Vec<u64> = asked.by_ref().take(size).collect();
            assert_eq!(groups, expected);
            // Not for more before these are there.
            assert_eq!(pool.overdue(true, now), Overdue::Wait(PATIENCE));
            groups.into_iter().for_each(|group| pool.handle_have(group));
        }
        let Overdue::Ask(groups) = pool.overdue(true, now) else {
            panic!("it is asked for the rest");
        };
        assert_eq!(groups.len(), 40);
        groups.into_iter().for_each(|group| pool.handle_have(group));
        assert_eq!(pool.overdue(true, now), Overdue::Nothing);
    }

    #[test]
    fn while_others_bring_as_much_they_are_waited_for() {
        let mut pool = pool(50);
        pool.handle_given(MS(5000));
        assert_eq!(pool.overdue(true, MS(0)), Overdue::Wait(MS(15_000)));
        let Overdue::Ask(groups) = pool.overdue(true, MS(15_000)) else {
            panic!("four are asked for");
        };
        for group in 10..14 {
            pool.handle_have(group);
        }
        groups.into_iter().for_each(|group| pool.handle_have(group));
        let wait = Overdue::Wait(MS(15_000));
        assert_eq!(pool.overdue(true, MS(15_001)), wait);
        // Without anybody else nothing is waited for.
        assert!(matches!(pool.overdue(false, MS(15_001)), Overdue::Ask(all) if all.len() == 42));
    }

    proptest! {
        #[test]
        fn whatever_others_do_everything_is_asked_for_in_the_end(
            groups in 1..40u8,
            steps in prop::collection::vec((0..4u8, 0..40u8, 0..3000u64), 0..200),
        ) {
            let mut pool = pool(groups);
            let mut missing: BTreeSet<u64> = (0..u64::from(groups)).collect();
            let mut now = Duration::ZERO;
            for (what, group, pause) in steps {
                now += MS(pause);
                let group = u64::from(group);
                match what {
                    0 => {
                        if let Some((claimed, hash)) = pool.claim(&all(groups.into()), now) {
                            prop_assert!(missing.contains(&claimed));
                            prop_assert_eq!(u64::from(hash[0]), claimed);
                        }
                    }
                    1 => {
                        missing.remove(&group);
                        pool.handle_have(group);
                    }
                    2 => pool.handle_refused(group),
                    _ => {
                        if let Overdue::Ask(asked) = pool.overdue(true, now) {
                            prop_assert!(asked.iter().all(|group| missing.remove(group)));
                            asked.into_iter().for_each(|group| pool.handle_have(group));
                        }
                    }
                }
            }
            for _ in 0..200 {
                now += PATIENCE;
                if let Overdue::Ask(asked) = pool.overdue(true, now) {
                    prop_assert!(asked.iter().all(|group| missing.remove(group)));
                    asked.into_iter().for_each(|group| pool.handle_have(group));
                }
            }
            prop_assert!(missing.is_empty());
        }
    }
}
