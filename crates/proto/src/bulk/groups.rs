//! A set of groups of one content: a bit for each.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::Want;

/// See the module.
#[derive(Clone, Debug)]
pub struct GroupSet(Vec<u64>);

impl GroupSet {
    /// A set for so many groups, without any.
    pub fn new(groups: u64) -> Self {
        let words = usize::try_from(groups.div_ceil(64)).expect("a manifest is bounded");
        Self(vec![0; words])
    }

    /// It is in the set.
    pub fn contains(&self, group: u64) -> bool {
        let word = usize::try_from(group / 64)
            .ok()
            .and_then(|at| self.0.get(at));
        word.is_some_and(|word| word >> (group % 64) & 1 == 1)
    }

    /// Puts it in, or takes it out. One past the end stays out.
    pub fn set(&mut self, group: u64, on: bool) {
        if let Some(word) = usize::try_from(group / 64)
            .ok()
            .and_then(|at| self.0.get_mut(at))
        {
            let mask = 1 << (group % 64);
            *word = if on { *word | mask } else { *word & !mask };
        }
    }

    /// Puts a run of them in; those past the end stay out.
    pub fn insert(&mut self, run: Want) {
        let end = u64::try_from(self.0.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(64);
        let last = run.first.saturating_add(u64::from(run.count)).min(end);
        for group in run.first..last {
            self.set(group, true);
        }
    }

    /// The first that is in both.
    pub fn first_common(&self, other: &Self) -> Option<u64> {
        let both = self.0.iter().zip(&other.0).zip(0u64..);
        both.map(|((ours, theirs), at)| (ours & theirs, at))
            .find(|(both, _)| *both != 0)
            .map(|(both, at)| {
                at.saturating_mul(64)
                    .saturating_add(both.trailing_zeros().into())
            })
    }
}

/// Groups in the order in which they came, as runs.
pub fn runs(groups: &[u64]) -> Vec<Want> {
    let mut runs: Vec<Want> = Vec::new();
    for group in groups {
        match runs.last_mut() {
            Some(run) if run.first.saturating_add(u64::from(run.count)) == *group => {
                run.count = run.count.saturating_add(1);
            }
            _ => runs.push(Want {
                first: *group,
                count: 1,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_both_is_found_and_what_is_past_the_end_stays_out() {
        let (mut ours, mut theirs) = (GroupSet::new(130), GroupSet::new(130));
        ours.insert(Want {
            first: 120,
            count: u32::MAX,
        });
        assert!(ours.contains(129) && !ours.contains(119));
        ours.insert(Want {
            first: u64::MAX,
            count: 9,
        });
        assert_eq!(ours.first_common(&theirs), None);
        theirs.set(3, true);
        theirs.set(128, true);
        theirs.set(125, true);
        theirs.set(500, true);
        assert_eq!(ours.first_common(&theirs), Some(125));
        ours.set(125, false);
        assert_eq!(ours.first_common(&theirs), Some(128));
        assert!(!theirs.contains(500));
    }

    #[test]
    fn what_came_in_a_row_is_one_run() {
        let run = |first, count| Want { first, count };
        assert_eq!(runs(&[4, 5, 6, 2, 3, 9]), [run(4, 3), run(2, 2), run(9, 1)]);
        assert_eq!(runs(&[]), []);
    }
}
