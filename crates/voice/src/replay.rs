//! The replay window: which numbers of packets have been seen (as RFC 4303 section 3.4.3 and
//! RFC 6479 do it), and what is missing among them.

/// How far behind the newest packet another may arrive: ten seconds of 10 ms frames, more than any
/// jitter buffer would wait.
pub const WINDOW: u64 = 1024;

const WORDS: usize = (WINDOW / 64) as usize;

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It has been seen.
    #[error("the packet has been received before")]
    Replayed,
    /// It is so old that nobody knows.
    #[error("the packet is older than the replay window")]
    TooOld,
}

/// Where the window stands.
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    newest: Option<u64>,
    /// One bit for each of the last [`WINDOW`] numbers, at the number modulo [`WINDOW`].
    seen: [u64; WORDS],
}

/// Which packets came, of a run of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// How many numbers there were.
    pub expected: u32,
    /// How many of them never came.
    pub lost: u32,
    /// The longest run of numbers in a row that never came.
    pub burst: u32,
}

impl ReplayWindow {
    /// An empty window.
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest number marked.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Whether a packet of this number may be opened.
    pub fn check(&self, number: u64) -> Result<(), ReplayError> {
        match self.newest {
            Some(newest) if number <= newest => {
                if newest - number >= WINDOW {
                    Err(ReplayError::TooOld)
                } else if self.has(number) {
                    Err(ReplayError::Replayed)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// Marks a number as seen, after its packet has been opened. Says whether it is the newest.
    ///
    /// # Panics
    /// When [`check`](Self::check) refuses the number: whoever calls has opened a replay.
    pub fn mark(&mut self, number: u64) -> bool {
        assert_eq!(self.check(number), Ok(()), "opened without a check");
        let newer = self.newest.is_none_or(|newest| number > newest);
        if newer {
            // The numbers skipped take the places of those that leave the window.
            if let Some(newest) = self.newest {
                let skipped = (number - newest).min(WINDOW) - 1;
                (number - skipped..number).for_each(|skipped| self.clear(skipped));
            }
            self.newest = Some(number);
        }
        let (word, bit) = place(number);
        self.seen[word] |= bit;
        newer
    }

    /// What arrived of up to `count` numbers, the last of them `wait` before the newest: later ones
    /// may only be late. Numbers before the first packet are not counted.
    pub fn arrived(&self, count: u64, wait: u64) -> Arrived {
        let (mut arrived, mut run) = (Arrived::default(), 0);
        let Some(last) = self.newest.and_then(|newest| newest.checked_sub(wait)) else {
            return arrived;
        };
        let count = count.min(WINDOW.saturating_sub(wait));
        let first = last.saturating_sub(count.saturating_sub(1));
        for number in first..=last {
            arrived.expected += 1;
            run = if self.has(number) { 0 } else { run + 1 };
            arrived.lost += u32::from(run > 0);
            arrived.burst = arrived.burst.max(run);
        }
        arrived
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.seen[word] & bit != 0
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.seen[word] &= !bit;
    }
}

fn place(number: u64) -> (usize, u64) {
    let place = usize::try_from(number % WINDOW).expect("small");
    (place / 64, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn window(numbers: impl IntoIterator<Item = u64>) -> ReplayWindow {
        let mut window = ReplayWindow::new();
        for number in numbers {
            window.mark(number);
        }
        window
    }

    #[test]
    fn the_window_ends_where_it_says() {
        let window = window([5000]);
        assert_eq!(window.check(5000 - WINDOW + 1), Ok(()));
        assert_eq!(window.check(5000 - WINDOW), Err(ReplayError::TooOld));
        assert_eq!(window.check(5000), Err(ReplayError::Replayed));
        assert_eq!(window.check(5001), Ok(()));
    }

    #[test]
    fn the_last_number_of_all_can_be_marked() {
        let mut window = window([0, u64::MAX - 1]);
        assert!(window.mark(u64::MAX));
        assert_eq!(window.check(u64::MAX), Err(ReplayError::Replayed));
        assert_eq!(window.check(0), Err(ReplayError::TooOld));
        assert_eq!(window.check(u64::MAX - WINDOW + 1), Ok(()));
        assert!(!window.mark(u64::MAX - WINDOW + 1));
        assert_eq!(window.arrived(4, 0).lost, 2);
    }

    #[test]
    #[should_panic(expected = "opened without a check")]
    fn a_number_cannot_be_marked_twice() {
        window([7, 7]);
    }

    #[test]
    fn losses_and_their_longest_run_are_counted() {
        // Of 0 to 19, 3 and 7 to 9 are lost; 18 is late.
        let window = window((0..20).filter(|n| ![3, 7, 8, 9, 18].contains(n)));
        let arrived = window.arrived(256, 2);
        assert_eq!((arrived.expected, arrived.lost, arrived.burst), (18, 4, 3));
        let arrived = window.arrived(10, 2);
        assert_eq!((arrived.expected, arrived.lost, arrived.burst), (10, 2, 2));
        assert_eq!(window.arrived(0, 20), Arrived::default());
        assert_eq!(ReplayWindow::new().arrived(256, 0), Arrived::default());
        assert_eq!(window.arrived(u64::MAX, 0).expected, 20);
        assert_eq!(window.arrived(u64::MAX, u64::MAX), Arrived::default());
    }

    proptest! {
        /// Against the obvious: a set of all numbers ever marked.
        #[test]
        fn nothing_passes_twice(
            start in prop_oneof![Just(0), Just(u64::MAX - 3000), any::<u64>()],
            steps in prop::collection::vec(
                prop_oneof![8 => 0..4u64, 2 => 0..40u64, 1 => 1000..3000u64], 0..300),
            back in prop::collection::vec(0..1100u64, 300),
        ) {
            let mut window = ReplayWindow::new();
            let (mut marked, mut top, mut newest) = (HashSet::new(), start, None);
            for (step, back) in steps.into_iter().zip(back) {
                top = top.saturating_add(step);
                for number in [top.saturating_sub(back), top] {
                    let old = newest.is_some_and(|newest: u64| {
                        newest.checked_sub(number).is_some_and(|age| age >= WINDOW)
                    });
                    let expected = if old {
                        Err(ReplayError::TooOld)
                    } else if marked.contains(&number) {
                        Err(ReplayError::Replayed)
                    } else {
                        Ok(())
                    };
                    prop_assert_eq!(window.check(number), expected);
                    if expected.is_ok() {
                        let newer = newest.is_none_or(|newest| number > newest);
                        prop_assert_eq!(window.mark(number), newer);
                        marked.insert(number);
                        newest = newest.max(Some(number));
                        prop_assert_eq!(window.newest(), newest);
                    }
                }
            }
        }
    }
}
