//! Plays sound a little faster or slower without changing its pitch: whole periods are left out or
//! said twice, with a smooth passage between them (overlap-add of similar waveforms, WSOLA).

use crate::SAMPLE_RATE;

/// Samples in a millisecond.
const MS: usize = SAMPLE_RATE as usize / 1000;

/// The shortest and longest piece that is left out or repeated: the periods of voices between
/// 400 Hz and 66 Hz.
const PERIOD_MIN: usize = 5 * MS / 2;

/// In quiet, even this little.
pub const PIECE_MIN: usize = MS / 2;

/// See [`PERIOD_MIN`].
pub const PERIOD_MAX: usize = 15 * MS;

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

    /// Whether what comes next is so quiet that any piece of it may be left out or repeated.
    pub fn is_quiet(&self) -> bool {
        let n = COMPARED.min(self.waiting());
        let next = &self.samples[self.read.saturating_sub(COMPARED)..self.read + n];
        next.iter().map(|s| s * s).sum::<f32>() <= QUIET * next.len() as f32
    }

    /// Leaves out one period of at most `most` samples, when a good one is found: says how many.
    pub fn shorten(&mut self, most: usize) -> usize {
        let next = &self.samples[self.read..];
        let most = most.min(next.len().saturating_sub(PASSAGE_MIN));
        let found = self.period(most, |lag, n| {
            let n = n.min(next.len() - lag);
            (&next[..n], &next[lag..lag + n])
        });
        let Some(period) = found else {
            return 0;
        };
        let passage = period.max(PASSAGE_MIN).min(next.len() - period);
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
        let (played, next) = self.samples.split_at(self.read);
        if next.len() < PASSAGE_MIN {
            return 0;
        }
        let found = self.period(most.min(played.len()), |lag, n| {
            let n = n.min(next.len());
            (
                &next[..n],
                &self.samples[self.read - lag..self.read - lag + n],
            )
        });
        let Some(period) = found else {
            return 0;
        };
        // From what comes next over to what came one period before it, and on from there.
        let passage = period.max(PASSAGE_MIN).min(next.len());
        let before = self.read - period;
        let mut piece = self.samples[before..before + passage.max(period)].to_vec();
        for (i, sample) in piece.iter_mut().take(passage).enumerate() {
            *sample = pass(next[i], *sample, i, passage);
        }
        // A passage longer than the piece also covers the start of what comes next.
        let covered = passage.saturating_sub(period);
        self.samples.splice(self.read..self.read + covered, piece);
        period
    }

    /// The piece of at most `most` samples after which the sound is most like itself. `pieces` are
    /// those that lie so far apart, at most as long as asked.
    fn period<'a>(
        &self,
        most: usize,
        pieces: impl Fn(usize, usize) -> (&'a [f32], &'a [f32]),
    ) -> Option<usize> {
        let most = most.min(PERIOD_MAX);
        if self.is_quiet() {
            return (most >= PIECE_MIN).then_some(most);
        }
        if most < PERIOD_MIN {
            return None;
        }
        let alike = |lag: usize, step: usize| {
            let (a, b) = pieces(lag, COMPARED);
            let (mut ab, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
            for (a, b) in a.iter().zip(b).step_by(step) {
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            ab / (aa * bb).sqrt().max(f32::MIN_POSITIVE)
        };
        let best = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
            lags.map(|lag| (alike(lag, step), lag))
                .max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let (_, coarse) = best(&mut (PERIOD_MIN..=most).step_by(4), 4)?;
        let fine = coarse.saturating_sub(3).max(PERIOD_MIN)..=(coarse + 3).min(most);
        let (found, lag) = best(&mut fine.into_iter(), 1)?;
        (found >= ALIKE).then_some(lag)
    }
}

/// From `a` to `b`, at sample `i` of `n`.
fn pass(a: f32, b: f32, i: usize, n: usize) -> f32 {
    let share = (i as f32 + 0.5) / n as f32;
    a + (b - a) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like sound: a fundamental and harmonics.
    fn voice(samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|i| {
                let t = i as f32 / SAMPLE_RATE as f32;
                (1..6)
                    .map(|h| 0.2 / h as f32 * (t * 130.0 * h as f32 * std::f32::consts::TAU).sin())
                    .sum()
            })
            .collect()
    }

    fn noise(samples: usize, level: f32) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..samples).map(|_| level * next()).collect()
    }

    fn loaded(sound: &[f32], played: usize) -> Stretch {
        let mut stretch = Stretch::default();
        stretch.input().extend_from_slice(sound);
        assert_eq!(stretch.play(&mut vec![0.0; played]), played);
        stretch
    }

    fn rest(mut stretch: Stretch) -> Vec<f32> {
        let mut out = vec![0.0; stretch.waiting()];
        stretch.play(&mut out);
        out
    }

    fn steepest(sound: &[f32]) -> f32 {
        sound
            .windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn a_voice_is_shortened_and_lengthened_by_whole_periods_without_a_click() {
        let sound = voice(9_600);
        let periods = |n: usize| (n as f32 * 130.0 / SAMPLE_RATE as f32).fract();
        let mut shorter = loaded(&sound, 4_800);
        let left_out = shorter.shorten(PERIOD_MAX);
        assert!(left_out > 0 && (periods(left_out) < 0.02 || periods(left_out) > 0.98));
        let shorter = rest(shorter);
        assert_eq!(shorter.len(), 4_800 - left_out);
        let mut longer = loaded(&sound, 4_800);
        let added = longer.lengthen(PERIOD_MAX);
        assert!(added > 0 && (periods(added) < 0.02 || periods(added) > 0.98));
        let longer = rest(longer);
        assert_eq!(longer.len(), 4_800 + added);
        for changed in [shorter, longer] {
            let all = [&sound[..4_800], &changed].concat();
            assert!(steepest(&all) < 1.1 * steepest(&sound));
        }
    }

    #[test]
    fn loud_noise_is_left_alone_and_quiet_noise_is_not() {
        let mut loud = loaded(&noise(9_600, 0.3), 4_800);
        assert_eq!(
            (loud.shorten(PERIOD_MAX), loud.lengthen(PERIOD_MAX)),
            (0, 0)
        );
        let mut quiet = loaded(&noise(9_600, 0.001), 4_800);
        assert_eq!(quiet.shorten(200), 200);
        assert_eq!(quiet.lengthen(100), 100);
        assert_eq!(quiet.shorten(PIECE_MIN - 1), 0);
        assert_eq!(quiet.waiting(), 4_700);
        assert!(rest(quiet).iter().all(|s| s.abs() <= 0.001));
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        let mut stretch = Stretch::default();
        assert_eq!((stretch.shorten(500), stretch.lengthen(500)), (0, 0));
        let mut stretch = loaded(&voice(100), 50);
        assert_eq!((stretch.shorten(500), stretch.lengthen(500)), (0, 0));
    }

    #[test]
    fn what_was_played_is_forgotten() {
        let mut stretch = Stretch::default();
        for _ in 0..1_000 {
            stretch.input().extend_from_slice(&voice(480));
            stretch.play(&mut [0.0; 480]);
        }
        assert!(stretch.samples.len() < 6 * PERIOD_MAX);
    }
}
