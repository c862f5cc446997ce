//! A limit on how often something may happen: so many at once, so many a second after that.

use hallway_model::Instant;
use std::time::Duration;

/// A token bucket in the form of the generic cell rate algorithm (ITU-T I.371): one point in time
/// instead of a count of tokens.
#[derive(Debug)]
pub(crate) struct Rate {
    interval: Duration,
    /// How far the bookings may run ahead of the clock.
    credit: Duration,
    booked_until: Instant,
}

impl Rate {
    pub(crate) fn new(burst: u32, per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second;
        Self {
            interval,
            credit: interval * (burst - 1),
            booked_until: Instant::default(),
        }
    }

    /// Whether one more may happen now; if so, it is counted.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let admitted = self.ready_at() <= now;
        if admitted {
            self.booked_until = self.booked_until.max(now) + self.interval;
        }
        admitted
    }

    /// When one more may happen.
    pub(crate) fn ready_at(&self) -> Instant {
        let credit = u64::try_from(self.credit.as_micros()).unwrap_or(u64::MAX);
        Instant(self.booked_until.0.saturating_sub(credit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut rate = Rate::new(3, 10);
        let start = Instant(5_000_000);
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(
            [0, 0, 0, 0].map(|ms| rate.admit(at(ms))),
            [true, true, true, false]
        );
        assert_eq!(rate.ready_at(), at(100));
        assert_eq!(
            [99, 100, 100].map(|ms| rate.admit(at(ms))),
            [false, true, false]
        );
        // A long rest gives the burst back and no more.
        assert_eq!(
            [9_000, 9_000, 9_000, 9_000].map(|ms| rate.admit(at(ms))),
            [true, true, true, false]
        );
    }
}
