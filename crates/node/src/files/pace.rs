//! The limit on what leaves: so many bytes a second for all transfers together.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Slices in a second: short enough that others on the line find gaps, and long enough that
/// waiting for them costs nothing.
const SLICES_PER_SECOND: u64 = 50;
/// Shorter slices would be more headers than bytes.
const SLICE_BYTES_MIN: u64 = 4096;

/// See the module. Whoever comes first goes first, and nobody takes more than a slice at a time,
/// so that all connections get the same.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: NonZeroU64,
    free_at: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: NonZeroU64, now: Instant) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(now),
        }
    }

    /// Most that may be sent after one [`Pace::wait`].
    pub(super) fn slice_bytes(&self) -> usize {
        let slice = self.bytes_per_second.get() / SLICES_PER_SECOND;
        usize::try_from(slice.max(SLICE_BYTES_MIN)).unwrap_or(usize::MAX)
    }

    /// Returns when so many bytes may leave.
    pub(super) fn wait(&self, bytes: usize) {
        thread::sleep(self.reserve(bytes, Instant::now()));
    }

    /// Takes the next free time on the line for so many bytes, and tells how far off it is.
    fn reserve(&self, bytes: usize, now: Instant) -> Duration {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX) * 1_000_000_000
            / u128::from(self.bytes_per_second.get());
        let taken = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let at = now.max(*free_at);
        *free_at = at + taken;
        at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(bytes_per_second: u64, now: Instant) -> Pace {
        Pace::new(NonZeroU64::new(bytes_per_second).unwrap(), now)
    }

    #[test]
    fn a_second_has_room_for_as_many_bytes_as_it_says() {
        let start = Instant::now();
        for rate in [10_000, 1_000_000, 3_000_000_000] {
            let pace = pace(rate, start);
            let slice = pace.slice_bytes();
            let slices = 10 * rate / slice as u64;
            // As threads do: the next is asked for when the one before has left.
            let mut now = start;
            for _ in 0..slices {
                now += pace.reserve(slice, now);
            }
            // All but the last have had their time, and part of one did not fit.
            let off = (10.0 - (now - start).as_secs_f64()) * rate as f64 / slice as f64;
            assert!((0.9..=2.1).contains(&off), "{rate}: {off} slices");
        }
    }

    #[test]
    fn time_that_nobody_used_is_not_made_up_for() {
        let start = Instant::now();
        let pace = pace(1000, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.reserve(500, later), Duration::ZERO);
        assert_eq!(pace.reserve(500, later), Duration::from_millis(500));
    }

    #[test]
    fn who_comes_again_waits_behind_those_who_wait() {
        let start = Instant::now();
        let pace = pace(1000, start);
        let waits = [0, 1, 2, 3].map(|_| pace.reserve(100, start));
        let expected = [0, 100, 200, 300].map(Duration::from_millis);
        assert_eq!(waits, expected);
        let now = start + Duration::from_millis(100);
        assert_eq!(pace.reserve(100, now), Duration::from_millis(300));
    }
}
