//! Several speakers into one stream of samples.

use crate::gain::Limiter;

/// Samples that can be mixed at once without new memory: 100 ms, more than a device asks for.
const CAPACITY: usize = crate::SAMPLE_RATE as usize / 10;

/// Adds up what several peers say. One peer alone passes bit for bit.
pub struct Mixer {
    sum: Vec<f32>,
    limiter: Limiter,
}

impl Default for Mixer {
    fn default() -> Self {
        Self::new()
    }
}

impl Mixer {
    /// A mixer that has mixed nothing.
    pub fn new() -> Self {
        Self {
            sum: Vec::with_capacity(CAPACITY),
            limiter: Limiter::default(),
        }
    }

    /// Begins the next `count` samples, silent so far.
    pub fn begin(&mut self, count: usize) {
        self.sum.clear();
        self.sum.resize(count, 0.0);
    }

    /// Adds a peer's samples. What exceeds the count begun is a bug; what is missing is silence.
    pub fn add(&mut self, samples: &[f32]) {
        assert!(samples.len() <= self.sum.len(), "more samples than begun");
        for (sum, sample) in self.sum.iter_mut().zip(samples) {
            *sum += sample;
        }
    }

    /// The sum, kept within full scale.
    pub fn finish(&mut self) -> &[f32] {
        self.limiter.process(&mut self.sum);
        &self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_passes_bit_for_bit() {
        let mut mixer = Mixer::new();
        mixer.begin(4);
        mixer.add(&[0.1, -0.9, 0.3]);
        assert_eq!(mixer.finish(), [0.1, -0.9, 0.3, 0.0]);
        mixer.begin(2);
        assert_eq!(mixer.finish(), [0.0, 0.0]);
    }

    #[test]
    fn eight_loud_peers_stay_within_full_scale() {
        let mut mixer = Mixer::new();
        #[allow(clippy::cast_precision_loss, reason = "a second of samples")]
        let loud: Vec<f32> = (0..48_000).map(|i| 0.9 * (i as f32 * 0.05).sin()).collect();
        let mut last = Vec::new();
        for block in loud.chunks(480) {
            mixer.begin(block.len());
            for _ in 0..8 {
                mixer.add(block);
            }
            last = mixer.finish().to_vec();
            assert!(last.iter().all(|x| x.abs() <= 1.0));
        }
        // Limited by a gain, not clipped: the wave keeps its shape.
        let loudest = last.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!((0.5..1.0).contains(&loudest), "{loudest}");
    }

    #[test]
    #[should_panic(expected = "more samples than begun")]
    fn more_samples_than_begun_are_a_bug() {
        let mut mixer = Mixer::new();
        mixer.begin(1);
        mixer.add(&[0.0, 0.0]);
    }
}
