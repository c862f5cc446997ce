//! The sender's clock against ours: how long the fastest frames take, and how that creeps.

use crate::SAMPLE_RATE;
use std::collections::VecDeque;

/// Samples of our own output over which the fastest frame is sought: long enough to meet one that
/// did not wait anywhere, short enough that 100 ppm move it by no more than 0.2 ms.
const WINDOW: i64 = 2 * SAMPLE_RATE as i64;

/// The window moves on in so many steps.
const STEPS: i64 = 20;

/// This many frames in a row that are all slower by [`SHIFT`] are no jitter: the path or a clock
/// has jumped. Ten in a row would be a common stall of 100 ms.
const SHIFT_FRAMES: usize = 12;

/// Samples.
const SHIFT: i64 = 40 * SAMPLE_RATE as i64 / 1000;

/// Samples of our own output between two points of the slope.
const POINT: i64 = 10 * SAMPLE_RATE as i64;

/// The slope is taken over so many points, 160 s: below a tenth of a ppm of noise for each
/// millisecond of it in a point.
const POINTS: usize = 16;

/// What a frame's transit has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Samples by which the frame was slower than the fastest.
    Behind(i64),
    /// All recent frames are slower than before by a jump: what was said about so many frames,
    /// with this one, was wrong.
    Jumped(usize),
}

/// The transit of the fastest frames. A transit is the count of samples that we have put out minus
/// the frame's timestamp: it has no meaning but in comparison.
#[derive(Debug, Default)]
pub struct Baseline {
    /// The least transit of each step, oldest first.
    steps: VecDeque<(i64, i64)>,
    /// Transit, time and timestamp of the newest frames.
    recent: VecDeque<(i64, i64)>,
    points: VecDeque<(i64, i64)>,
}

impl Baseline {
    /// Takes in a frame's transit. `at` is the count of samples that we have put out.
    pub fn handle(&mut self, transit: i64, at: i64) -> Shown {
        push_least(&mut self.steps, at.div_euclid(WINDOW / STEPS), transit);
        while self
            .steps
            .front()
            .is_some_and(|(step, _)| *step <= at.div_euclid(WINDOW / STEPS) - STEPS)
        {
            self.steps.pop_front();
        }
        if self.recent.len() == SHIFT_FRAMES {
            self.recent.pop_front();
        }
        self.recent.push_back((transit, at));
        let base = self.base().unwrap_or(transit);
        if let Some(base) = self.jump(base) {
            self.reset();
            push_least(&mut self.steps, at.div_euclid(WINDOW / STEPS), base);
            return Shown::Jumped(SHIFT_FRAMES);
        }
        push_least(&mut self.points, at.div_euclid(POINT), base);
        if self.points.len() > POINTS {
            self.points.pop_front();
        }
        Shown::Behind(transit - base)
    }

    /// The transit of the fastest recent frame.
    pub fn base(&self) -> Option<i64> {
        self.steps.iter().map(|(_, transit)| *transit).min()
    }

    /// Forgets everything: what comes next has nothing to do with what came before.
    pub fn reset(&mut self) {
        self.steps.clear();
        self.recent.clear();
        self.points.clear();
    }

    /// By how many millionths our clock is faster than the sender's, once that can be told.
    pub fn ppm(&self) -> Option<f64> {
        // The newest point is not complete.
        let n = self.points.len().checked_sub(1).filter(|n| *n >= 3)?;
        let points = || {
            self.points
                .iter()
                .take(n)
                .map(|(x, y)| (*x as f64, *y as f64))
        };
        let (sx, sy) = points().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let (mx, my) = (sx / n as f64, sy / n as f64);
        let (xx, xy) = points().fold((0.0, 0.0), |(a, b), (x, y)| {
            (a + (x - mx) * (x - mx), b + (x - mx) * (y - my))
        });
        Some(xy / xx / POINT as f64 * 1e6)
    }

    /// The new base, when the recent frames are all slower than the old one by a jump. Frames that
    /// come all at once were only held back.
    fn jump(&self, base: i64) -> Option<i64> {
        let (first, last) = (self.recent.front()?, self.recent.back()?);
        let took = last.1 - first.1;
        let sent = took - (last.0 - first.0);
        let least = self.recent.iter().map(|(transit, _)| *transit).min()?;
        let jumped = self.recent.len() == SHIFT_FRAMES && least > base + SHIFT && took * 2 >= sent;
        jumped.then_some(least)
    }
}

/// Keeps the least value of each step.
fn push_least(steps: &mut VecDeque<(i64, i64)>, step: i64, value: i64) {
    match steps.back_mut() {
        Some((last, least)) if *last == step => *least = value.min(*least),
        _ => steps.push_back((step, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_frame_counts_and_is_forgotten_after_a_while() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.handle(1_000, 0), Shown::Behind(0));
        assert_eq!(baseline.handle(400, 480), Shown::Behind(0));
        assert_eq!(baseline.handle(1_000, 960), Shown::Behind(600));
        assert_eq!(baseline.handle(1_000, WINDOW + 4_800), Shown::Behind(0));
    }

    #[test]
    fn a_clock_that_jumps_is_told_from_frames_held_back() {
        let mut baseline = Baseline::default();
        for i in 0..50 {
            baseline.handle(0, i * 480);
        }
        // A second of frames that come all at once.
        for i in 0..100 {
            let shown = baseline.handle((100 - i) * 480, 150 * 480);
            assert!(matches!(shown, Shown::Behind(_)), "{i}: {shown:?}");
        }
        // A second in which the sender recorded nothing.
        let jumped = (0..SHIFT_FRAMES as i64)
            .map(|i| baseline.handle(48_000, (250 + i) * 480))
            .filter(|shown| *shown == Shown::Jumped(SHIFT_FRAMES))
            .count();
        assert_eq!(jumped, 1);
        assert_eq!(baseline.base(), Some(48_000));
    }

    #[test]
    fn the_slope_is_the_drift() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.ppm(), None);
        for i in 0..12_000 {
            let at = i * 480;
            // Every other frame waits somewhere.
            baseline.handle(at / 10_000 + (i % 2) * 700, at);
        }
        let ppm = baseline.ppm().unwrap();
        assert!((ppm - 100.0).abs() < 5.0, "{ppm}");
        assert!(baseline.points.len() <= POINTS && baseline.steps.len() <= 20);
    }
}
