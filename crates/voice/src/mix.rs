//! Several speakers into one stream of samples.

use crate::gain::Limiter;

/// Adds up what several peers say. One peer alone passes bit for bit.
#[derive(Default)]
pub struct Mixer {
    sum: Vec<f32>,
    limiter: Limiter,
}

impl Mixer {
    /// A mixer that has mixed nothing.
    pub fn new() -> Self {
        Self::default()
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
