//! Plays sound a little faster or slower without changing its pitch: whole periods are left out or
//! said twice, with a smooth passage between them (overlap-add of similar waveforms, WSOLA).

use crate::SAMPLE_RATE;

/// Samples in a millisecond.
const MS: usize = SAMPLE_RATE as usize / 1000;

/// The shortest and longest piece that is left out or repeated: the periods of voices between
/// 400 Hz and 66 Hz.
const PERIOD_MIN: usize = 5 * MS / 2;
const PERIOD_MAX: usize = 15 * MS;

/// The piece over which two waveforms are compared.
const COMPARED: usize = 10 * MS;

/// The shortest passage from one waveform to the other.
const PASSAGE_MIN: usize = 5 * MS / 2;

/// Two pieces are alike from this normalised correlation on.
const ALIKE: f32 = 0.85;

/// The mean square below which all pieces are alike: -50 dB of full scale.
const QUIET: f32 = 1e-5;

/// Sound that was decoded and is not played yet, with what was played last before it.
#[derive(Debug, Default)]
pub struct Stretch {
    samples: Vec<f32>,
    read: usize,
}

impl Stretch {
    /// Samples that wait to be played.
    pub fn waiting(&self) -> usize {
        self.samples.len() - self.read
    }

    /// The buffer onto whose end a decoder writes.
    pub fn input(&mut self) -> &mut Vec<f32> {
        if self.read > 4 * PERIOD_MAX {
            self.samples.drain(..self.read - 2 * PERIOD_MAX);
            self.read = 2 * PERIOD_MAX;
        }
        &mut self.samples
    }

    /// The samples that wait, for changes in place.
    pub fn waiting_mut(&mut self) -> &mut [f32] {
        &mut self.samples[self.read..]
    }

    /// Plays as many samples as wait and fit; says how many.
    pub fn play(&mut self, out: &mut [f32]) -> usize {
        let n = out.len().min(self.waiting());
        out[..n].copy_from_slice(&self.samples[self.read..self.read + n]);
        self.read += n;
        n
    }

    /// Leaves samples out.
    pub fn skip(&mut self, samples: usize) {
        self.read += samples.min(self.waiting());
    }

    /// Leaves out one period of at most `most` samples, when a good one is found: says how many.
    pub fn shorten(&mut self, most: usize) -> usize {
        let future = &self.samples[self.read..];
        let most = most
            .min(PERIOD_MAX)
            .min(future.len().saturating_sub(PASSAGE_MIN));
        let Some(period) = period(
            most,
            future.len(),
            |lag, n| (&future[..n], &future[lag..lag + n]),
            |lag| future.len() - lag,
        ) else {
            return 0;
        };
        let passage = period.min(future.len() - period);
        for i in 0..passage {
            let (a, b) = (
                self.samples[self.read + i],
                self.samples[self.read + period + i],
            );
            self.samples[self.read + period + i] = pass(a, b, i, passage);
        }
        self.read += period;
        period
    }

    /// Repeats one period of at most `most` samples, when a good one is found: says how many.
    pub fn lengthen(&mut self, most: usize) -> usize {
        let at = self.read;
        let waiting = self.waiting();
        let samples = &self.samples;
        if waiting < PASSAGE_MIN {
            return 0;
        }
        let Some(period) = period(
            most.min(PERIOD_MAX).min(at),
            waiting,
            |lag, n| (&samples[at..at + n], &samples[at - lag..at - lag + n]),
            |_| waiting,
        ) else {
            return 0;
        };
        // From what comes next over to what came one period before it, and on from there.
        let passage = period.min(waiting);
        let mut piece: Vec<f32> = self.samples[at - period..at].to_vec();
        for (i, sample) in piece.iter_mut().take(passage).enumerate() {
            *sample = pass(self.samples[at + i], *sample, i, passage);
        }
        self.samples.splice(at..at, piece);
        period
    }
}

/// The piece of at most `most` samples after which the sound is most like itself.
fn period<'a>(
    most: usize,
    _waiting: usize,
    pieces: impl Fn(usize, usize) -> (&'a [f32], &'a [f32]),
    room: impl Fn(usize) -> usize,
) -> Option<usize> {
    if most < PERIOD_MIN {
        return None;
    }
    let score = |lag: usize, step: usize| {
        let n = COMPARED.min(room(lag));
        let (a, b) = pieces(lag, n);
        let (mut ab, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
        for (a, b) in a.iter().zip(b).step_by(step) {
            ab += a * b;
            aa += a * a;
            bb += b * b;
        }
        let quiet = (aa.max(bb)) * step as f32 <= QUIET * n as f32;
        (ab / (aa * bb).sqrt().max(1e-9), quiet)
    };
    let coarse = (PERIOD_MIN..=most)
        .step_by(4)
        .map(|lag| (score(lag, 4).0, lag))
        .max_by(|a, b| a.0.total_cmp(&b.0))?
        .1;
    let (best, lag) = (coarse.saturating_sub(3).max(PERIOD_MIN)..=(coarse + 3).min(most))
        .map(|lag| (score(lag, 1).0, lag))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best >= ALIKE || score(lag, 1).1).then_some(lag)
}

/// From `a` to `b`, at sample `i` of `n`.
fn pass(a: f32, b: f32, i: usize, n: usize) -> f32 {
    let share = (i as f32 + 0.5) / n as f32;
    a + (b - a) * share
}
