//! Which groups are there, which are on their way, and which to ask for next.

use super::{GroupSet, Manifest, Want};
use std::ops::Range;

/// The groups of one transfer, shared by its connections.
#[derive(Clone, Debug)]
pub struct Plan {
    have: GroupSet,
    /// Asked for on some connection.
    claimed: GroupSet,
    groups: u64,
    /// Everything before it is there or claimed.
    cursor: u64,
    missing: u64,
    bytes: u64,
}

impl Plan {
    /// A plan without anything.
    pub fn new(manifest: &Manifest) -> Self {
        let groups = manifest.groups();
        Self {
            have: GroupSet::new(groups),
            claimed: GroupSet::new(groups),
            groups,
            cursor: 0,
            missing: groups,
            bytes: 0,
        }
    }

    /// Takes note that a group is there and checked. False when it was before, or there is none.
    pub fn handle_have(&mut self, group: u64, manifest: &Manifest) -> bool {
        let Some(piece) = manifest.piece(group).filter(|_| !self.have.contains(group)) else {
            return false;
        };
        self.have.set(group, true);
        self.claimed.set(group, false);
        self.missing -= 1;
        self.bytes += u64::from(piece.bytes);
        true
    }

    /// Takes note that a group is not there after all.
    pub fn handle_lost(&mut self, group: u64, manifest: &Manifest) {
        let Some(piece) = manifest.piece(group).filter(|_| self.have.contains(group)) else {
            return;
        };
        self.have.set(group, false);
        self.missing += 1;
        self.bytes -= u64::from(piece.bytes);
        self.cursor = self.cursor.min(group);
    }

    /// The next groups to ask for: a run of them, at most so many groups, and as few as reach so
    /// many bytes. `None` when all are there or on their way.
    pub fn claim(&mut self, groups_max: u32, bytes: u64, manifest: &Manifest) -> Option<Want> {
        let wanted =
            |plan: &Self, group| !plan.have.contains(group) && !plan.claimed.contains(group);
        while self.cursor < self.groups && !wanted(self, self.cursor) {
            self.cursor += 1;
        }
        let first = self.cursor;
        let (mut count, mut sum) = (0, 0);
        while count < groups_max
            && sum < bytes
            && let Some(piece) = manifest.piece(self.cursor)
            && wanted(self, self.cursor)
        {
            self.claimed.set(self.cursor, true);
            sum += u64::from(piece.bytes);
            count += 1;
            self.cursor += 1;
        }
        (count > 0).then_some(Want { first, count })
    }

    /// Gives back what a connection asked for and will not get.
    pub fn unclaim(&mut self, groups: Range<u64>) {
        self.cursor = self.cursor.min(groups.start);
        for group in groups {
            self.claimed.set(group, false);
        }
    }

    /// This group is there.
    pub fn has(&self, group: u64) -> bool {
        self.have.contains(group)
    }

    /// All groups are there.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Bytes that are there.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, GROUP_BYTES, Kind};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn manifest(groups: u64, last: u64) -> Manifest {
        let mut manifest = Manifest::default();
        let entry = Entry {
            parent: 0,
            name: "x".into(),
            kind: Kind::File,
            bytes: (groups - 1) * GROUP_BYTES + last,
            modified_ms: 0,
            executable: false,
            version: 0,
        };
        manifest.push(entry).unwrap();
        manifest
    }

    #[test]
    fn what_is_claimed_is_asked_for_once_until_it_is_given_back() {
        let manifest = manifest(10, 5);
        let mut plan = Plan::new(&manifest);
        assert!(plan.handle_have(2, &manifest) && !plan.handle_have(2, &manifest));
        let want = |first, count| Some(Want { first, count });
        assert_eq!(plan.claim(8, u64::MAX, &manifest), want(0, 2));
        assert_eq!(plan.claim(3, u64::MAX, &manifest), want(3, 3));
        assert_eq!(plan.claim(9, GROUP_BYTES + 1, &manifest), want(6, 2));
        assert_eq!(plan.claim(9, u64::MAX, &manifest), want(8, 2));
        assert_eq!(plan.claim(9, u64::MAX, &manifest), None);
        plan.unclaim(4..6);
        assert_eq!(plan.claim(9, u64::MAX, &manifest), want(4, 2));
        for group in 0..10 {
            plan.handle_have(group, &manifest);
        }
        assert!(plan.is_complete() && plan.bytes() == manifest.bytes());
        assert!(!plan.handle_have(10, &manifest));
        plan.handle_lost(9, &manifest);
        assert_eq!(plan.bytes(), 9 * GROUP_BYTES);
        assert_eq!(plan.claim(9, u64::MAX, &manifest), want(9, 1));
    }

    proptest! {
        #[test]
        fn whatever_fails_everything_arrives_once(
            groups in 1..200u64,
            steps in prop::collection::vec((1..20u32, any::<bool>()), 0..400),
        ) {
            let manifest = manifest(groups, 1);
            let mut plan = Plan::new(&manifest);
            let steps = steps.into_iter().chain(std::iter::repeat((7, true)));
            for (count, arrives) in steps {
                let Some(Want { first, count }) = plan.claim(count, u64::MAX, &manifest) else {
                    break;
                };
                let range = first..first + u64::from(count);
                prop_assert!(range.clone().all(|group| !plan.has(group)));
                if arrives {
                    range.for_each(|group| assert!(plan.handle_have(group, &manifest)));
                } else {
                    plan.unclaim(range);
                }
            }
            prop_assert!(plan.is_complete());
        }

        #[test]
        fn it_knows_what_a_list_of_groups_knows(
            groups in 1..200u64,
            steps in prop::collection::vec((0..4u8, 0..210u64, 1..70u32), 0..200),
        ) {
            let manifest = manifest(groups, 1);
            let mut plan = Plan::new(&manifest);
            let (mut there, mut claimed) = (BTreeSet::new(), BTreeSet::new());
            for (step, group, count) in steps {
                match step {
                    0 => {
                        let new = group < groups && there.insert(group);
                        claimed.remove(&group);
                        prop_assert_eq!(plan.handle_have(group, &manifest), new);
                    }
                    1 => {
                        there.remove(&group);
                        plan.handle_lost(group, &manifest);
                    }
                    2 => {
                        let wanted = |group: &u64| !there.contains(group) && !claimed.contains(group);
                        let first = (0..groups).find(wanted);
                        let run = first.map(|first| (first..groups).take_while(wanted));
                        let run: Vec<u64> = run.into_iter().flatten().take(count as usize).collect();
                        let want = plan.claim(count, u64::MAX, &manifest);
                        let asked = want.map(|want| (want.first, u64::from(want.count)));
                        prop_assert_eq!(asked, run.first().map(|first| (*first, run.len() as u64)));
                        claimed.extend(run);
                    }
                    _ => {
                        let range = group.min(groups)..(group + u64::from(count)).min(groups);
                        claimed.retain(|group| !range.contains(group));
                        plan.unclaim(range);
                    }
                }
                prop_assert_eq!(plan.is_complete(), there.len() as u64 == groups);
                let bytes = there.iter().filter_map(|group| manifest.piece(*group));
                prop_assert_eq!(plan.bytes(), bytes.map(|piece| u64::from(piece.bytes)).sum::<u64>());
                prop_assert!((0..=groups).all(|group| plan.has(group) == there.contains(&group)));
            }
        }
    }
}
