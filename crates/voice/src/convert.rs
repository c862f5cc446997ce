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
