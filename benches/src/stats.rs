//! What many samples come to.

use std::time::Duration;

/// The value below which this share of the samples lies; 0 for none.
pub(crate) fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let at = (0..=last).find(|at| *at as f64 >= share * last as f64);
    samples.get(at.unwrap_or(last)).copied().unwrap_or(0.0)
}

/// The middle one.
pub(crate) fn median(samples: &mut [f64]) -> f64 {
    quantile(samples, 0.5)
}

/// Seconds.
pub(crate) fn seconds(times: &[Duration]) -> Vec<f64> {
    times.iter().map(Duration::as_secs_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        assert_eq!(median(&mut samples), 51.0);
        assert_eq!(quantile(&mut samples, 0.99), 100.0);
        assert_eq!(quantile(&mut samples, 1.0), 101.0);
        assert_eq!(quantile(&mut samples, 0.0), 1.0);
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(quantile(&mut [7.0], 0.99), 7.0);
    }
}
