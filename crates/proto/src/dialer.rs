//! When to dial: at once on good news, later and later after failures.

use crate::io::DialId;
use hallway_model::Instant;
use std::time::Duration;

/// Attempts to reach one peer or one configured address.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    state: State,
    failures: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Waiting(Instant),
    Dialing(DialId),
}

impl Dialer {
    /// A dial may start now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        match self.state {
            State::Idle => true,
            State::Waiting(until) => until <= now,
            State::Dialing(_) => false,
        }
    }

    pub(crate) fn start(&mut self, dial: DialId) {
        self.state = State::Dialing(dial);
    }

    /// The attempt under way.
    pub(crate) fn dialing(&self) -> Option<DialId> {
        match self.state {
            State::Dialing(dial) => Some(dial),
            State::Idle | State::Waiting(_) => None,
        }
    }

    /// The next wait is over at this time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            State::Idle | State::Dialing(_) => None,
        }
    }

    /// Doubles the wait from `first` up to `longest`, less up to a quarter of it by `jitter`
    /// (0 to 255).
    pub(crate) fn handle_failed(
        &mut self,
        now: Instant,
        first: Duration,
        longest: Duration,
        jitter: u8,
    ) {
        let doubled = first.saturating_mul(1 << self.failures.min(16));
        let wait = doubled.min(longest);
        self.failures += 1;
        self.state = State::Waiting(now + (wait - wait * u32::from(jitter) / 1024));
    }

    /// Nothing before this time.
    pub(crate) fn wait_until(&mut self, until: Instant) {
        self.state = State::Waiting(until);
    }

    /// Good news: the next dial may go at once. A dial under way goes on.
    pub(crate) fn encourage(&mut self) {
        self.failures = 0;
        if !matches!(self.state, State::Dialing(_)) {
            self.state = State::Idle;
        }
    }

    /// A connection is there; whether the peer wants it shows with its first frame.
    pub(crate) fn handle_connected(&mut self) {
        self.state = State::Idle;
    }

    /// The peer talks to us.
    pub(crate) fn handle_reached(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(15);

    #[test]
    fn waits_double_up_to_the_longest_and_never_vanish() {
        let mut dialer = Dialer::default();
        let now = Instant(0);
        let mut waits = Vec::new();
        for _ in 0..40 {
            dialer.handle_failed(now, FIRST, LONGEST, 0);
            waits.push(dialer.deadline().unwrap().since(now).as_secs());
        }
        assert_eq!(&waits[..6], &[1, 2, 4, 8, 15, 15]);
        assert_eq!(waits.last(), Some(&15));
        dialer.handle_failed(now, FIRST, LONGEST, 255);
        assert!(dialer.deadline().unwrap().since(now) >= LONGEST * 3 / 4);
    }

    #[test]
    fn encouragement_does_not_disturb_a_dial_under_way() {
        let mut dialer = Dialer::default();
        dialer.start(DialId(4));
        dialer.encourage();
        assert_eq!(dialer.dialing(), Some(DialId(4)));
        dialer.handle_failed(Instant(0), FIRST, LONGEST, 0);
        assert!(!dialer.is_due(Instant(0)));
        dialer.encourage();
        assert!(dialer.is_due(Instant(0)));
    }
}
