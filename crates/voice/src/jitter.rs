//! How long frames are best held back before they are played.

use crate::SAMPLE_RATE;
use std::collections::VecDeque;

/// Samples in one bin of the histogram, 2.5 ms.
const BIN: i64 = SAMPLE_RATE as i64 / 400;

/// The most that frames are ever held back, in samples: 500 ms.
pub const DELAY_MAX: i64 = SAMPLE_RATE as i64 / 2;

/// Frames that are remembered: 10 s of the default length.
const FRAMES: usize = 1_000;

/// Until so many frames came, their delays tell little and [`START`] is the least.
const FRAMES_START: usize = 50;

/// Samples of delay at the start of a call: one frame and a bit.
const START: i64 = 15 * SAMPLE_RATE as i64 / 1000;

/// Samples of delay that are worth one frame in a hundred: less, and simulated calls with jitter and
/// loss lose a tenth in PESQ; more, and they wait longer for nothing.
const WORTH: i64 = 60 * SAMPLE_RATE as i64 / 1000;

/// Samples of delay, or their worth in frames, that must be gained before less is held back, unless
/// nothing at all would be late: every change of the speed is heard a little, and what was needed once is often needed again.
const GAIN: i64 = 10 * SAMPLE_RATE as i64 / 1000;

/// The delays with which frames became available: a frame counts once, when the first packet that
/// carries it arrives, so that the delay covers losses which later copies make good.
#[derive(Debug)]
pub struct Delays {
    bins: Vec<usize>,
    recent: VecDeque<usize>,
    delay: i64,
}

impl Default for Delays {
    fn default() -> Self {
        let bins = usize::try_from(DELAY_MAX / BIN).unwrap_or(0) + 1;
        Self {
            bins: vec![0; bins],
            recent: VecDeque::with_capacity(FRAMES),
            delay: START,
        }
    }
}

impl Delays {
    /// Takes in by how many samples a frame came later than the fastest one.
    pub fn handle(&mut self, behind: i64) {
        if self.recent.len() == FRAMES
            && let Some(bin) = self.recent.pop_front()
        {
            self.bins[bin] -= 1;
        }
        let bin = usize::try_from((behind + BIN - 1) / BIN).unwrap_or(0);
        let bin = bin.min(self.bins.len() - 1);
        self.bins[bin] += 1;
        self.recent.push_back(bin);
        self.update();
    }

    /// Takes back the last so many frames.
    pub fn forget(&mut self, frames: usize) {
        for _ in 0..frames {
            if let Some(bin) = self.recent.pop_back() {
                self.bins[bin] -= 1;
            }
        }
        self.update();
    }

    /// Samples for which the fastest frames are best held back.
    pub fn delay(&self) -> i64 {
        self.delay
    }

    fn update(&mut self) {
        let all = i64::try_from(self.recent.len()).unwrap_or(1).max(1);
        let mut late = all;
        let mut best = (i64::MAX, 0, 0);
        let mut now = 0;
        let mut delay = 0;
        for count in &self.bins {
            late -= i64::try_from(*count).unwrap_or(0);
            let cost = delay + 100 * WORTH * late / all;
            best = best.min((cost, delay, late));
            if delay <= self.delay {
                // Past the slowest frame, only the delay itself costs.
                now = cost + self.delay - delay;
            }
            delay += BIN;
        }
        let sure = best.2 == 0 || self.recent.len() == FRAMES_START;
        if best.1 > self.delay || best.0 + GAIN < now || sure {
            self.delay = best.1;
        }
        if self.recent.len() < FRAMES_START {
            self.delay = self.delay.max(START);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> i64 {
        ms * SAMPLE_RATE as i64 / 1000
    }

    #[test]
    fn a_clean_network_costs_no_delay_once_it_is_known() {
        let mut delays = Delays::default();
        assert_eq!(delays.delay(), START);
        for _ in 0..FRAMES_START {
            delays.handle(0);
        }
        assert_eq!(delays.delay(), 0);
    }

    #[test]
    fn copies_of_lost_frames_are_waited_for_when_they_are_many() {
        let mut delays = Delays::default();
        for i in 0..2_000 {
            delays.handle(if i % 20 == 0 { ms(10) } else { 0 });
        }
        assert_eq!(delays.delay(), ms(10));
        for _ in 0..FRAMES {
            delays.handle(0);
        }
        assert_eq!(delays.delay(), 0);
        // One frame in a thousand is not worth 100 ms.
        for i in 0..2_000 {
            delays.handle(if i % 1_000 == 0 { ms(100) } else { 0 });
        }
        assert_eq!(delays.delay(), 0);
    }

    #[test]
    fn it_rises_at_once_and_falls_when_the_frames_are_forgotten() {
        let mut delays = Delays::default();
        for _ in 0..FRAMES {
            delays.handle(0);
        }
        let rose = (1..).take_while(|_| {
            delays.handle(ms(50));
            delays.delay() < ms(50)
        });
        assert!(rose.count() < 30);
        for _ in 0..FRAMES / 2 {
            delays.handle(0);
        }
        assert_eq!(delays.delay(), ms(50));
        for _ in 0..FRAMES / 2 {
            delays.handle(0);
        }
        assert_eq!(delays.delay(), 0);
    }

    #[test]
    fn it_is_bounded_and_takes_back_what_was_wrong() {
        let mut delays = Delays::default();
        for _ in 0..FRAMES_START {
            delays.handle(0);
        }
        for _ in 0..FRAMES {
            delays.handle(DELAY_MAX * 9);
        }
        assert_eq!(delays.delay(), DELAY_MAX);
        assert_eq!(delays.recent.len(), FRAMES);
        let mut delays = Delays::default();
        for _ in 0..100 {
            delays.handle(0);
        }
        for _ in 0..11 {
            delays.handle(ms(400));
        }
        delays.forget(11);
        assert_eq!(delays.delay(), 0);
    }
}
