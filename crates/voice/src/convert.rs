//! Between a device's rate and channels and ours.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

/// The lowest and the highest rate of a device, in Hz.
pub const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// The most channels of a device.
pub const CHANNELS_MAX: usize = 8;

/// Length of the filter in samples of the lower rate. Half of it is the delay: 0.7 ms at 48 kHz.
const FILTER_SAMPLES: usize = 64;

/// How a device wants or gives its samples, interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// Samples in a frame.
    pub channels: usize,
}

impl Format {
    /// What the rest of this crate works in.
    pub const VOICE: Self = Self {
        sample_rate: crate::SAMPLE_RATE,
        channels: 1,
    };
}

/// Why a device cannot be used: its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// Its rate is not one of [`SAMPLE_RATES`].
    #[error("the device works at {0} Hz, and only 8,000 to 192,000 Hz are supported")]
    SampleRate(u32),
    /// It has no channel, or more than [`CHANNELS_MAX`].
    #[error("the device has {0} channels, and only 1 to 8 are supported")]
    Channels(usize),
}

/// Converts interleaved samples of one format to another.
pub struct Converter {
    from: Format,
    to: Format,
    resampler: Option<Chunks>,
}

/// A resampler and the samples that wait until its next chunk is full.
struct Chunks {
    resampler: Async<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Converter {
    /// A converter between two formats.
    pub fn new(from: Format, to: Format) -> Result<Self, ConvertError> {
        for format in [from, to] {
            if !SAMPLE_RATES.contains(&format.sample_rate) {
                return Err(ConvertError::SampleRate(format.sample_rate));
            }
            if !(1..=CHANNELS_MAX).contains(&format.channels) {
                return Err(ConvertError::Channels(format.channels));
            }
        }
        Ok(Self {
            from,
            to,
            resampler: (from.sample_rate != to.sample_rate).then(|| Chunks::new(from, to)),
        })
    }

    /// Converts whole frames, and appends to `out` what is ready. Where only the channels differ,
    /// that is all of it.
    pub fn process(&mut self, interleaved: &[f32], out: &mut Vec<f32>) {
        assert_eq!(interleaved.len() % self.from.channels, 0, "whole frames");
        let to_channels = self.to.channels;
        if self.from == self.to {
            out.extend_from_slice(interleaved);
            return;
        }
        for frame in interleaved.chunks_exact(self.from.channels) {
            // The mean keeps a voice that is in one channel and one that is in all within scale.
            let mono = crate::level::mean(frame.iter().sum(), frame.len());
            match &mut self.resampler {
                None => out.extend(std::iter::repeat_n(mono, to_channels)),
                Some(chunks) => {
                    for &sample in chunks.push(mono) {
                        out.extend(std::iter::repeat_n(sample, to_channels));
                    }
                }
            }
        }
    }

    /// Frames of the output format by which it lags behind the input, the filling of a chunk
    /// (at most 1 ms) not included.
    pub fn delay_frames(&self) -> usize {
        self.resampler
            .as_ref()
            .map_or(0, |chunks| chunks.resampler.output_delay())
    }
}

impl Chunks {
    fn new(from: Format, to: Format) -> Self {
        let ratio = f64::from(to.sample_rate) / f64::from(from.sample_rate);
        // The filter works at the input's rate, and must span as much time when that is higher.
        let decimation = from.sample_rate.div_ceil(to.sample_rate) as usize;
        let parameters =
            SincInterpolationParameters::new(FILTER_SAMPLES * decimation, WindowFunction::Hann2)
                .oversampling_factor(128)
                .interpolation(SincInterpolationType::Quadratic);
        // A chunk is 1 ms, so that little waits for its end.
        let chunk = from.sample_rate as usize / 1000;
        let resampler = Async::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .expect("rates within the supported ones make a resampler");
        let output = vec![0.0; resampler.output_frames_max()];
        Self {
            resampler,
            input: Vec::with_capacity(chunk),
            output,
        }
    }

    /// Takes one sample, and returns what came out with it: nothing until a chunk is full.
    fn push(&mut self, sample: f32) -> &[f32] {
        self.input.push(sample);
        if self.input.len() < self.resampler.input_frames_next() {
            return &[];
        }
        let (input_len, output_len) = (self.input.len(), self.output.len());
        let input = InterleavedSlice::new(&self.input, 1, input_len);
        let output = InterleavedSlice::new_mut(&mut self.output, 1, output_len);
        let (_, made) = self
            .resampler
            .process_into_buffer(
                &input.expect("as long as it says"),
                &mut output.expect("as long as it says"),
                None,
            )
            .expect("both buffers are as long as the resampler asked");
        self.input.clear();
        &self.output[..made]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn format(sample_rate: u32, channels: usize) -> Format {
        Format {
            sample_rate,
            channels,
        }
    }

    /// A tone in each channel.
    #[allow(clippy::cast_precision_loss, reason = "a second of samples")]
    fn tone(format: Format, frequency: f32, seconds: f32) -> Vec<f32> {
        let step = std::f32::consts::TAU * frequency / format.sample_rate as f32;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let frames = (format.sample_rate as f32 * seconds) as usize;
        (0..frames)
            .flat_map(|i| std::iter::repeat_n(0.5 * (step * i as f32).sin(), format.channels))
            .collect()
    }

    fn convert(from: Format, to: Format, samples: &[f32]) -> Vec<f32> {
        let mut converter = Converter::new(from, to).unwrap();
        let mut out = Vec::new();
        // Devices give frames in odd numbers.
        for block in samples.chunks(from.channels * 113) {
            converter.process(block, &mut out);
        }
        out
    }

    /// Power of a tone of 1 kHz, and of all else, without the first 20 ms.
    #[allow(clippy::cast_precision_loss, reason = "a second of samples")]
    fn split(samples: &[f32], sample_rate: u32) -> (f32, f32) {
        let samples = &samples[sample_rate as usize / 50..];
        let whole = samples.len() / 1_000 * 1_000;
        let step = std::f32::consts::TAU * 1_000.0 / sample_rate as f32;
        let (mut a, mut b, mut power) = (0.0f32, 0.0f32, 0.0f32);
        for (i, x) in samples[..whole].iter().enumerate() {
            let phase = step * (i % sample_rate as usize) as f32;
            a += x * phase.cos();
            b += x * phase.sin();
            power += x * x;
        }
        let n = whole as f32;
        let tone = 2.0 * (a * a + b * b) / (n * n);
        (tone, (power / n - tone).max(0.0))
    }

    #[test]
    fn a_tone_survives_every_rate_both_ways() {
        for rate in [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000] {
            for (from, to) in [
                (format(rate, 1), Format::VOICE),
                (Format::VOICE, format(rate, 1)),
            ] {
                let out = convert(from, to, &tone(from, 1_000.0, 0.5));
                let expected = to.sample_rate as usize / 2;
                assert!(out.len().abs_diff(expected) <= to.sample_rate as usize / 100);
                let (tone, rest) = split(&out, to.sample_rate);
                assert!((tone - 0.125).abs() < 0.01, "{from:?} {to:?}: {tone}");
                assert!(rest < tone * 1e-3, "{from:?} {to:?}: {rest}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_filtered_out() {
        let from = format(192_000, 1);
        let out = convert(from, Format::VOICE, &tone(from, 40_000.0, 0.2));
        let (tone, rest) = split(&out, 48_000);
        assert!(tone + rest < 1e-5, "{tone} {rest}");
    }

    #[test]
    fn channels_are_averaged_and_copied() {
        let out = convert(format(48_000, 2), Format::VOICE, &[1.0, 0.0, 0.5, 0.5]);
        assert_eq!(out, [0.5, 0.5]);
        let out = convert(Format::VOICE, format(48_000, 8), &[0.25]);
        assert_eq!(out, [0.25; 8]);
        let same = format(44_100, 2);
        assert_eq!(convert(same, same, &[1.0, -1.0]), [1.0, -1.0]);
    }

    #[test]
    fn the_delay_is_short() {
        for rate in [8_000, 44_100, 192_000] {
            let converter = Converter::new(format(rate, 2), Format::VOICE).unwrap();
            assert!(
                converter.delay_frames() <= 240,
                "{}",
                converter.delay_frames()
            );
        }
    }

    #[test]
    fn the_limits_hold() {
        let to = |format| Converter::new(format, Format::VOICE).map(|_| ());
        assert_eq!(to(format(8_000, 1)), Ok(()));
        assert_eq!(to(format(192_000, CHANNELS_MAX)), Ok(()));
        assert_eq!(to(format(7_999, 1)), Err(ConvertError::SampleRate(7_999)));
        assert_eq!(
            to(format(192_001, 1)),
            Err(ConvertError::SampleRate(192_001))
        );
        assert_eq!(to(format(48_000, 0)), Err(ConvertError::Channels(0)));
        assert_eq!(
            to(format(48_000, CHANNELS_MAX + 1)),
            Err(ConvertError::Channels(9))
        );
    }
}
