//! The two clocks, read here and nowhere else.

use hallway_model::{Instant, Now, WallTime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts from the start of the node.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that starts at zero.
    pub fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }

    /// Monotonic time since the start.
    pub fn mono(&self) -> Instant {
        Instant(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let wall = WallTime(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Now {
            mono: self.mono(),
            wall,
        }
    }

    /// The runtime's form of a time of this clock.
    pub(crate) fn at(&self, at: Instant) -> tokio::time::Instant {
        (self.start + at.since(Instant(0))).into()
    }
}
