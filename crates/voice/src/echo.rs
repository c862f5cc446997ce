//! Echo cancellation: what the speaker plays is taken out of what the microphone hears.
//!
//! A partitioned-block frequency-domain Kalman filter (Kuech, Mabande, Enzner: State-space
//! architecture of the partitioned-block-based acoustic echo controller, ICASSP 2014) learns the
//! path from speaker to microphone and subtracts the echo it predicts. What the filter cannot
//! know (a path that just moved, a speaker that rattles) is then turned down where it outweighs
//! the near speaker. Neither adds a sample of delay, and where there is no echo, as with a
//! headset, both soon step aside: the canceller can stay on for everybody.

use std::collections::VecDeque;

use realfft::num_complex::Complex32;

use crate::level::mean;
use crate::shaper::{BLOCK, Fourier, Shaper};

/// A block and the one before it: overlap-save.
const FFT: usize = 2 * BLOCK;
const BINS: usize = FFT / 2 + 1;

/// Blocks that the echo path spans: 320 ms, for device buffers, a Bluetooth speaker's 200 ms and
/// the room's first reverberation.
const PARTITIONS: usize = 64;

/// How much of the echo path is taken to persist from one block to the next. Lower follows a
/// moving path and drifting clocks sooner, higher cancels deeper.
const PERSISTENCE: f32 = 0.985;

/// Power gain of the echo path at the start, spread over the partitions: a loud speaker beside
/// the microphone.
const PATH_POWER: f32 = 0.5;

/// Partitions made causal again per block. Each costs two transforms; all come round in 40 ms.
const CONSTRAINED_PER_BLOCK: usize = 8;

/// How fast the part of the echo that leaks through is believed to grow, per block (2.6 dB a
/// second): a near speaker looks like a leak, and must not be taken for one.
const LEAK_RISE: f32 = 1.003;

/// The leak varies, and its least is known: so many times that is taken off while only the far
/// end speaks.
const LEAK_MARGIN: f32 = 14.0;

/// So many times while both speak: the near speaker hides what is left of the echo, and would
/// suffer from more.
const LEAK_MARGIN_DOUBLE_TALK: f32 = 4.0;

/// Never more than so many times the whole echo is taken off.
const OVERSUBTRACTION: f32 = 2.0;

/// Bins that tell whether the near speaker talks: 300 Hz to 8 kHz.
const TALK_BINS: std::ops::Range<usize> = 3..80;

/// Mean of the squared analysis window.
const WINDOW_POWER: f32 = 0.375;

/// Mean power of a block below which nothing is played: -80 dBFS.
const RENDER_POWER_MIN: f32 = 1e-8;

/// Render samples that may wait for their capture block, 200 ms: devices deliver in bursts.
const RENDER_QUEUE_MAX: usize = 40 * BLOCK;

/// Cancels the echo of what is played.
pub struct EchoCanceller {
    render: RenderQueue,
    filter: Filter,
    suppressor: Suppressor,
    presence: Presence,
    /// How much of the predicted echo was subtracted at the end of the last block.
    share: f32,
    render_block: Vec<f32>,
    /// The echo predicted for this block, and what is left without it.
    echo: Vec<f32>,
    left: Vec<f32>,
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}

impl EchoCanceller {
    /// A canceller that knows nothing of the room yet.
    pub fn new() -> Self {
        Self {
            render: RenderQueue::new(),
            filter: Filter::new(),
            suppressor: Suppressor::new(),
            presence: Presence::default(),
            share: 1.0,
            render_block: vec![0.0; BLOCK],
            echo: vec![0.0; BLOCK],
            left: vec![0.0; BLOCK],
        }
    }

    /// Takes samples that are about to be played, in order, any number of them.
    pub fn handle_render(&mut self, samples: &[f32]) {
        self.render.push(samples);
    }

    /// Takes the echo out of samples just captured, a whole number of [`BLOCK`]s.
    pub fn process(&mut self, samples: &mut [f32]) {
        assert_eq!(samples.len() % BLOCK, 0, "whole blocks");
        for block in samples.chunks_exact_mut(BLOCK) {
            self.render.pop(&mut self.render_block);
            if !self.filter.handle_render(&self.render_block) {
                self.suppressor.pass(block);
                continue;
            }
            self.left.copy_from_slice(block);
            self.filter.cancel(&mut self.left, &mut self.echo);
            self.presence.handle_block(block, &self.left);
            let share = if self.presence.is_absent() { 0.0 } else { 1.0 };
            if self.share == 1.0 && share == 1.0 {
                block.copy_from_slice(&self.left);
            } else {
                self.subtract(share, block);
            }
            if share == 0.0 {
                self.suppressor.pass(block);
            } else {
                let missed = &self.filter.missed;
                self.suppressor.process(block, &self.echo, missed);
            }
        }
    }

    /// Whether what is played was found in what is captured.
    pub fn is_echo_present(&self) -> bool {
        self.presence.found && !self.presence.is_absent()
    }

    /// Subtracts a share of the echo that changes over the block from what it was.
    fn subtract(&mut self, share: f32, block: &mut [f32]) {
        let step = mean(share - self.share, BLOCK);
        for (sample, echo) in block.iter_mut().zip(&self.echo) {
            self.share += step;
            *sample -= self.share * echo;
        }
        self.share = share;
    }
}

/// Whether there is an echo at all. A headset has none, and then a filter that looks for one only
/// harms the near speaker.
#[derive(Default)]
struct Presence {
    /// Smoothed power of what is captured, and of what is left of it.
    captured: f32,
    left: f32,
    /// Whether an echo was ever cancelled.
    found: bool,
    /// Blocks since then in which one could have been.
    blocks: u32,
}

impl Presence {
    /// An echo is found where so little of the power is left: 6 dB less. No filter does that to a
    /// near speaker, whom it cannot predict.
    const LEFT: f32 = 0.25;
    /// Power captured below which nothing can be told: -75 dBFS.
    const POWER_MIN: f32 = 3e-8;
    /// Blocks without an echo, while something is played, after which there is none: 1.5 s.
    const ABSENT_BLOCKS: u32 = 300;
    /// As many once there was one, 20 s: the near speaker may talk all over it.
    const LOST_BLOCKS: u32 = 4_000;

    fn handle_block(&mut self, captured: &[f32], left: &[f32]) {
        let power = |samples: &[f32]| mean(samples.iter().map(|x| x * x).sum(), BLOCK);
        self.captured += 0.1 * (power(captured) - self.captured);
        self.left += 0.1 * (power(left) - self.left);
        if self.captured < Self::POWER_MIN {
            return;
        }
        if self.left < Self::LEFT * self.captured {
            self.found = true;
            self.blocks = 0;
        } else {
            self.blocks = self.blocks.saturating_add(1);
        }
    }

    fn is_absent(&self) -> bool {
        let most = if self.found {
            Self::LOST_BLOCKS
        } else {
            Self::ABSENT_BLOCKS
        };
        self.blocks > most
    }
}

/// Pairs what is played with what is captured, in spite of bursts and of two clocks.
struct RenderQueue {
    samples: VecDeque<f32>,
    /// Fewest samples left over, and blocks taken, since the last look.
    left_min: usize,
    blocks: usize,
}

impl RenderQueue {
    /// Blocks between two looks at the drift: half a second.
    const LOOK_BLOCKS: usize = 100;
    /// Samples held in hand: 1 ms.
    const LEFT: usize = 48;

    fn new() -> Self {
        Self {
            samples: VecDeque::with_capacity(RENDER_QUEUE_MAX + Self::LEFT),
            left_min: 0,
            blocks: 0,
        }
    }

    fn push(&mut self, samples: &[f32]) {
        let samples = &samples[samples.len().saturating_sub(RENDER_QUEUE_MAX)..];
        // One sample that is no number would never leave the filter again.
        let repaired = samples.iter().map(|&x| {
            if x.is_finite() {
                x.clamp(-1.0, 1.0)
            } else {
                0.0
            }
        });
        // The oldest make room before the newest come, so that the queue never grows.
        let excess = (self.samples.len() + samples.len()).saturating_sub(RENDER_QUEUE_MAX);
        self.samples.drain(..excess.min(self.samples.len()));
        self.samples.extend(repaired);
    }

    fn pop(&mut self, block: &mut [f32]) {
        for sample in block.iter_mut() {
            *sample = self.samples.pop_front().unwrap_or(0.0);
        }
        self.left_min = self.left_min.min(self.samples.len());
        self.blocks += 1;
        if self.blocks < Self::LOOK_BLOCKS {
            return;
        }
        // Bursts leave more one time and less another; only what exceeds that is drift.
        if self.left_min > Self::LEFT + BLOCK {
            self.samples.drain(..self.left_min - Self::LEFT);
        } else if let Some(&first) = self.samples.front() {
            for _ in self.left_min..Self::LEFT / 4 {
                self.samples.push_front(first);
            }
        }
        self.left_min = usize::MAX;
        self.blocks = 0;
    }
}

/// The linear part: a model of the path from speaker to microphone.
struct Filter {
    fourier: Fourier,
    /// Spectra of the newest render blocks, in a ring whose newest is at `newest`.
    render: Vec<Complex32>,
    newest: usize,
    /// Render blocks in a row that were silent.
    silent: usize,
    last_render: Vec<f32>,
    /// The echo path, by partition, and the variance of each coefficient's error.
    path: Vec<Complex32>,
    uncertainty: Vec<f32>,
    constrain_next: usize,
    /// Smoothed power of what is not echo: the near speaker and the room.
    near: Vec<f32>,
    /// Power of the echo still to be expected after cancellation, given the uncertainty.
    missed: Vec<f32>,
    error: Vec<Complex32>,
    /// One over the power expected of the error.
    scale: Vec<f32>,
    bins: Vec<Complex32>,
    samples: Vec<f32>,
}

impl Filter {
    fn new() -> Self {
        let len = PARTITIONS * BINS;
        #[allow(clippy::cast_precision_loss, reason = "a small constant")]
        let uncertainty = PATH_POWER / PARTITIONS as f32;
        Self {
            fourier: Fourier::new(FFT),
            render: vec![Complex32::ZERO; len],
            newest: 0,
            silent: PARTITIONS,
            last_render: vec![0.0; BLOCK],
            path: vec![Complex32::ZERO; len],
            uncertainty: vec![uncertainty; len],
            constrain_next: 0,
            near: vec![0.0; BINS],
            missed: vec![0.0; BINS],
            error: vec![Complex32::ZERO; BINS],
            scale: vec![0.0; BINS],
            bins: vec![Complex32::ZERO; BINS],
            samples: vec![0.0; FFT],
        }
    }

    /// Takes the next block played, and returns whether any echo can be heard now.
    fn handle_render(&mut self, block: &[f32]) -> bool {
        let power = block.iter().map(|x| x * x).sum::<f32>();
        #[allow(clippy::cast_precision_loss, reason = "a small constant")]
        let silent = power < RENDER_POWER_MIN * BLOCK as f32;
        self.silent = if silent {
            (self.silent + 1).min(PARTITIONS + 1)
        } else {
            0
        };
        self.newest = (self.newest + PARTITIONS - 1) % PARTITIONS;
        self.samples[..BLOCK].copy_from_slice(&self.last_render);
        self.samples[BLOCK..].copy_from_slice(block);
        self.last_render.copy_from_slice(block);
        let at = self.newest * BINS;
        self.fourier
            .forward(&mut self.samples, &mut self.render[at..at + BINS]);
        self.silent <= PARTITIONS
    }

    /// Partitions of the path with the render spectrum that each meets.
    fn render_of(newest: usize, partition: usize) -> std::ops::Range<usize> {
        let at = (newest + partition) % PARTITIONS * BINS;
        at..at + BINS
    }

    /// Subtracts the predicted echo, which is written to `echo`, and learns from what is left.
    fn cancel(&mut self, block: &mut [f32], echo: &mut [f32]) {
        self.bins.fill(Complex32::ZERO);
        for (p, path) in self.path.chunks_exact(BINS).enumerate() {
            let render = &self.render[Self::render_of(self.newest, p)];
            for (y, (x, w)) in self.bins.iter_mut().zip(render.iter().zip(path)) {
                *y += x * w;
            }
        }
        self.fourier.inverse(&mut self.bins, &mut self.samples);
        echo.copy_from_slice(&self.samples[BLOCK..]);
        for (sample, echo) in block.iter_mut().zip(echo.iter()) {
            *sample -= echo;
        }
        self.samples[..BLOCK].fill(0.0);
        self.samples[BLOCK..].copy_from_slice(block);
        self.fourier.forward(&mut self.samples, &mut self.error);
        self.learn();
        self.constrain();
    }

    fn learn(&mut self) {
        for (near, e) in self.near.iter_mut().zip(&self.error) {
            *near = (0.8 * *near + 0.2 * e.norm_sqr()).max(e.norm_sqr());
        }
        self.missed.fill(0.0);
        for (p, uncertainty) in self.uncertainty.chunks_exact(BINS).enumerate() {
            let render = &self.render[Self::render_of(self.newest, p)];
            for (missed, (x, u)) in self.missed.iter_mut().zip(render.iter().zip(uncertainty)) {
                *missed += x.norm_sqr() * u;
            }
        }
        const KEPT: f32 = PERSISTENCE * PERSISTENCE;
        // Half the samples of the error's transform are zero.
        for k in 0..BINS {
            let scale = 1.0 / (0.5 * self.missed[k] + self.near[k] + 1e-10);
            self.error[k] *= scale;
            self.scale[k] = scale;
        }
        for p in 0..PARTITIONS {
            let render = &self.render[Self::render_of(self.newest, p)];
            let own = p * BINS..(p + 1) * BINS;
            let path = &mut self.path[own.clone()];
            let uncertainty = &mut self.uncertainty[own];
            for k in 0..BINS {
                let x = render[k];
                let u = uncertainty[k];
                path[k] += x.conj() * self.error[k] * u;
                let certain = (1.0 - 0.5 * u * x.norm_sqr() * self.scale[k]).max(0.0);
                uncertainty[k] = KEPT * certain * u + (1.0 - KEPT) * path[k].norm_sqr();
            }
        }
    }

    /// Keeps some partitions of the path causal and as long as a block.
    fn constrain(&mut self) {
        for _ in 0..CONSTRAINED_PER_BLOCK {
            let at = self.constrain_next * BINS;
            self.constrain_next = (self.constrain_next + 1) % PARTITIONS;
            let path = &mut self.path[at..at + BINS];
            self.fourier.inverse(path, &mut self.samples);
            self.samples[BLOCK..].fill(0.0);
            self.fourier.forward(&mut self.samples, path);
        }
    }
}

/// Turns down what the linear part left, where it outweighs the near speaker.
struct Suppressor {
    shaper: Shaper,
    fourier: Fourier,
    window: Vec<f32>,
    echo_history: Vec<f32>,
    left: Vec<f32>,
    echo: Vec<f32>,
    /// The predicted echo's power, with what the filter does not know yet.
    expected: Vec<f32>,
    /// The part of it that is left in spite of subtraction.
    leak: Vec<f32>,
    /// How much of what is left is not explained by the leak, 0 to 1: the near speaker's share.
    near_share: f32,
    /// Power of the room's noise, which is left in place of the echo.
    floor: Vec<f32>,
    gains: Vec<f32>,
    samples: Vec<f32>,
    bins: Vec<Complex32>,
    active: bool,
}

impl Suppressor {
    fn new() -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a small constant")]
        let window = (0..FFT)
            .map(|i| {
                (std::f32::consts::PI * (i as f32 + 0.5) / FFT as f32)
                    .sin()
                    .powi(2)
            })
            .collect();
        Self {
            shaper: Shaper::new(FFT),
            fourier: Fourier::new(FFT),
            window,
            echo_history: vec![0.0; FFT],
            left: vec![0.0; BINS],
            echo: vec![0.0; BINS],
            expected: vec![0.0; BINS],
            leak: vec![1.0; BINS],
            near_share: 0.0,
            floor: vec![1e-6; BINS],
            gains: vec![1.0; BINS],
            samples: vec![0.0; FFT],
            bins: vec![Complex32::ZERO; BINS],
            active: false,
        }
    }

    /// Takes a block that can hold no echo.
    fn pass(&mut self, block: &mut [f32]) {
        self.shaper.push(block);
        if self.active {
            self.gains.fill(1.0);
            self.shaper.shape(&self.gains, block);
            self.active = false;
        }
    }

    fn process(&mut self, block: &mut [f32], echo: &[f32], missed: &[f32]) {
        self.active = true;
        self.echo_history.copy_within(BLOCK.., 0);
        self.echo_history[BLOCK..].copy_from_slice(echo);
        let history = self.shaper.push(block);
        for (s, (h, w)) in self
            .samples
            .iter_mut()
            .zip(history.iter().zip(&self.window))
        {
            *s = h * w;
        }
        self.fourier.forward(&mut self.samples, &mut self.bins);
        for (power, bin) in self.left.iter_mut().zip(&self.bins) {
            *power = 0.5 * *power + 0.5 * bin.norm_sqr();
        }
        for (s, (h, w)) in self
            .samples
            .iter_mut()
            .zip(self.echo_history.iter().zip(&self.window))
        {
            *s = h * w;
        }
        self.fourier.forward(&mut self.samples, &mut self.bins);
        for (power, bin) in self.echo.iter_mut().zip(&self.bins) {
            *power = 0.5 * *power + 0.5 * bin.norm_sqr();
        }
        for (expected, (echo, missed)) in self.expected.iter_mut().zip(self.echo.iter().zip(missed))
        {
            *expected = echo + WINDOW_POWER * missed;
        }
        self.track();
        self.set_gains();
        self.shaper.shape(&self.gains, block);
    }

    /// Learns the floor, the leak, and how much of what is left the near speaker says.
    fn track(&mut self) {
        let (mut explained, mut heard) = (0.0, 1e-12);
        for k in 0..BINS {
            let (left, expected) = (self.left[k] + 1e-12, self.expected[k]);
            self.floor[k] = if left < self.floor[k] {
                0.8 * self.floor[k] + 0.2 * left
            } else {
                self.floor[k] * 1.003
            };
            if expected > 4.0 * self.floor[k] {
                let ratio = left / expected;
                let leak = &mut self.leak[k];
                *leak = if ratio < *leak {
                    *leak + 0.05 * (ratio - *leak)
                } else {
                    (*leak * LEAK_RISE).min(1.0)
                };
            }
            if TALK_BINS.contains(&k) {
                explained += (LEAK_MARGIN * self.leak[k]).min(OVERSUBTRACTION) * expected;
                heard += left;
            }
        }
        let share = (1.5 * (1.0 - explained / heard)).clamp(0.0, 1.0);
        // The start of a word counts at once, its end not until the next.
        let pace = if share > self.near_share { 0.3 } else { 0.05 };
        self.near_share += pace * (share - self.near_share);
    }

    fn set_gains(&mut self) {
        let margin = LEAK_MARGIN + (LEAK_MARGIN_DOUBLE_TALK - LEAK_MARGIN) * self.near_share;
        for k in 0..BINS {
            let left = self.left[k] + 1e-12;
            let residual = (margin * self.leak[k]).min(OVERSUBTRACTION) * self.expected[k];
            let gain = (1.0 - residual / left).max(0.0);
            let least = (self.floor[k] / left).sqrt().min(1.0);
            self.gains[k] = gain.max(least).max(0.003);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(value: f32) -> Vec<f32> {
        vec![value; BLOCK]
    }

    #[test]
    fn the_newest_of_too_much_that_is_played_waits() {
        let mut queue = RenderQueue::new();
        let capacity = queue.samples.capacity();
        queue.push(&vec![0.1; RENDER_QUEUE_MAX]);
        assert_eq!(queue.samples.len(), RENDER_QUEUE_MAX);
        queue.push(&[0.2]);
        assert_eq!(queue.samples.len(), RENDER_QUEUE_MAX);
        assert_eq!(queue.samples.back(), Some(&0.2));
        queue.push(&vec![0.3; RENDER_QUEUE_MAX + 1]);
        assert!(queue.samples.iter().all(|&x| x == 0.3));
        assert_eq!(queue.samples.len(), RENDER_QUEUE_MAX);
        assert_eq!(queue.samples.capacity(), capacity);
    }

    #[test]
    fn what_is_left_over_time_and_again_is_dropped() {
        let mut queue = RenderQueue::new();
        queue.push(&vec![0.1; 4 * BLOCK]);
        let mut popped = block(0.0);
        for _ in 0..2 * RenderQueue::LOOK_BLOCKS {
            queue.push(&block(0.1));
            queue.pop(&mut popped);
        }
        assert_eq!(queue.samples.len(), RenderQueue::LEFT);
    }

    #[test]
    fn what_is_played_can_be_anything() {
        let mut canceller = EchoCanceller::new();
        for i in 0..600u32 {
            let sample = match i % 5 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::MAX,
                3 => f32::MIN_POSITIVE / 2.0,
                _ => 0.5,
            };
            canceller.handle_render(&vec![sample; 1 + (i as usize * 37) % 700]);
            let mut captured = block(if i % 2 == 0 { 0.5 } else { -0.5 });
            canceller.process(&mut captured);
            assert!(captured.iter().all(|x| x.is_finite()), "block {i}");
        }
    }

    #[test]
    fn silence_stays_silence_while_something_is_played() {
        let mut canceller = EchoCanceller::new();
        for _ in 0..600 {
            canceller.handle_render(&block(0.5));
            let mut captured = block(0.0);
            canceller.process(&mut captured);
            assert_eq!(captured, block(0.0));
        }
    }

    #[test]
    #[should_panic(expected = "whole blocks")]
    fn a_part_of_a_block_is_a_bug() {
        EchoCanceller::new().process(&mut [0.0; BLOCK + 1]);
    }
}
