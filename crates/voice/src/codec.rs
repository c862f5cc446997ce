//! Opus: frames of samples to payloads, payloads and losses to samples.

use crate::SAMPLE_RATE;
use opusic_c::{Application, Bitrate, Channels, ErrorCode, SampleRate, Signal};

/// The longest payload that is made or decoded: one Opus frame (RFC 6716 section 3.4, R2).
pub const PAYLOAD_BYTES_MAX: usize = 1_275;

/// Bits a second: below this, speech is no longer easy to follow.
pub const BITRATE_MIN: u32 = 8_000;

/// Bits a second: above this, nobody hears a difference in one voice.
pub const BITRATE_MAX: u32 = 128_000;

/// Samples in the longest frame.
pub const FRAME_SAMPLES_MAX: usize = FrameLength::Ms20.samples();

/// The decoder hides losses with its neural vocoder from this complexity on; at the next one it
/// also starts to filter speech, which costs more than it brings at our bitrates.
const DECODER_COMPLEXITY: u8 = 5;

/// How much sound one payload carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameLength {
    /// 5 ms: the lowest delay, twice the packets.
    Ms5,
    /// 10 ms: the default.
    Ms10,
    /// 20 ms: where bandwidth is short.
    Ms20,
}

impl FrameLength {
    /// Milliseconds.
    pub const fn ms(self) -> u32 {
        match self {
            Self::Ms5 => 5,
            Self::Ms10 => 10,
            Self::Ms20 => 20,
        }
    }

    /// Samples.
    pub const fn samples(self) -> usize {
        self.ms() as usize * (SAMPLE_RATE as usize / 1000)
    }

    /// The frame length of so many samples, if it is one of ours.
    pub const fn of(samples: usize) -> Option<Self> {
        match samples {
            240 => Some(Self::Ms5),
            480 => Some(Self::Ms10),
            960 => Some(Self::Ms20),
            _ => None,
        }
    }
}

/// What the encoder is tuned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Speech at any bitrate. The encoder looks 6.5 ms ahead.
    Voice,
    /// The lowest delay at a good bitrate, also for music. The encoder looks 2.5 ms ahead.
    Studio,
}

/// What an [`Encoder`] is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// What it is tuned for.
    pub mode: Mode,
    /// Bits a second, brought between [`BITRATE_MIN`] and [`BITRATE_MAX`].
    pub bitrate: u32,
    /// Whether all payloads of a frame length are equally long: their lengths tell an eavesdropper
    /// about the words otherwise (Wright et al., "Spot me if you can", 2008).
    pub constant_bitrate: bool,
    /// Processor time against quality, 0 to 10.
    pub complexity: u8,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Voice,
            bitrate: 128_000,
            constant_bitrate: true,
            complexity: 9,
        }
    }
}

/// Why a codec was not made: always this machine's fault (memory) or a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Opus refused its settings: {0:?}")]
pub struct CodecError(ErrorCode);

impl From<ErrorCode> for CodecError {
    fn from(code: ErrorCode) -> Self {
        Self(code)
    }
}

/// Why a payload was not decoded: always its sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No byte, or more than [`PAYLOAD_BYTES_MAX`].
    #[error("a payload of {0} bytes")]
    Bytes(usize),
    /// It does not carry one of our frame lengths.
    #[error("a payload of {0} samples")]
    Samples(usize),
    /// It is not Opus.
    #[error("not an Opus payload: {0:?}")]
    Malformed(ErrorCode),
}

/// Samples to payloads.
pub struct Encoder {
    opus: opusic_c::Encoder,
    lookahead: usize,
}

impl Encoder {
    /// An encoder that has heard nothing yet.
    pub fn new(config: EncoderConfig) -> Result<Self, CodecError> {
        let application = match config.mode {
            Mode::Voice => Application::Voip,
            Mode::Studio => Application::LowDelay,
        };
        let mut opus = opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz48000, application)?;
        opus.set_vbr(!config.constant_bitrate)?;
        opus.set_complexity(config.complexity.min(10))?;
        opus.set_dtx(false)?;
        if config.mode == Mode::Voice {
            opus.set_signal(Signal::Voice)?;
        }
        let lookahead = opus.get_look_ahead()? as usize;
        let mut encoder = Self { opus, lookahead };
        encoder.set_bitrate(config.bitrate)?;
        Ok(encoder)
    }

    /// Changes the bits a second from the next frame on.
    pub fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        let bitrate = bitrate.clamp(BITRATE_MIN, BITRATE_MAX);
        Ok(self.opus.set_bitrate(Bitrate::Value(bitrate))?)
    }

    /// Samples by which what is decoded lags behind what was encoded.
    pub fn lookahead(&self) -> usize {
        self.lookahead
    }

    /// Encodes one frame, whose length may change from frame to frame. `payload` is replaced.
    ///
    /// # Panics
    /// When `frame` is not as long as one of [`FrameLength`].
    pub fn encode(&mut self, frame: &[f32], payload: &mut Vec<u8>) -> Result<(), CodecError> {
        assert!(
            FrameLength::of(frame.len()).is_some(),
            "a frame of {} samples",
            frame.len()
        );
        let mut clean = [0.0; FRAME_SAMPLES_MAX];
        let clean = &mut clean[..frame.len()];
        for (to, from) in clean.iter_mut().zip(frame) {
            // A device may return anything, and one NaN would stay in the encoder's memory.
            *to = if from.is_finite() {
                from.clamp(-1.0, 1.0)
            } else {
                0.0
            };
        }
        payload.clear();
        payload.resize(PAYLOAD_BYTES_MAX, 0);
        let bytes = self.opus.encode_float_to_slice(clean, payload)?;
        payload.truncate(bytes);
        Ok(())
    }
}

/// Payloads and losses to samples.
pub struct Decoder {
    opus: opusic_c::Decoder,
}

impl Decoder {
    /// A decoder that has heard nothing yet.
    pub fn new() -> Result<Self, CodecError> {
        let mut opus = opusic_c::Decoder::new(Channels::Mono, SampleRate::Hz48000)?;
        opus.set_complexity(DECODER_COMPLEXITY)?;
        Ok(Self { opus })
    }

    /// How much sound a payload says that it carries.
    pub fn length(&self, payload: &[u8]) -> Result<FrameLength, DecodeError> {
        if payload.is_empty() || payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::Bytes(payload.len()));
        }
        let samples = self
            .opus
            .get_nb_samples(payload)
            .map_err(DecodeError::Malformed)?;
        FrameLength::of(samples).ok_or(DecodeError::Samples(samples))
    }

    /// Decodes one payload onto the end of `samples`. On an error nothing is added.
    pub fn decode(
        &mut self,
        payload: &[u8],
        samples: &mut Vec<f32>,
    ) -> Result<FrameLength, DecodeError> {
        let length = self.length(payload)?;
        self.run(payload, length, samples)
            .map_err(DecodeError::Malformed)?;
        Ok(length)
    }

    /// Makes up a frame that was lost, onto the end of `samples`. It goes on for as long as it is
    /// asked to: whoever asks fades it.
    pub fn conceal(&mut self, length: FrameLength, samples: &mut Vec<f32>) {
        if self.run(&[], length, samples).is_err() {
            samples.resize(samples.len() + length.samples(), 0.0);
        }
    }

    fn run(
        &mut self,
        payload: &[u8],
        length: FrameLength,
        samples: &mut Vec<f32>,
    ) -> Result<(), ErrorCode> {
        let mut frame = [0.0; FRAME_SAMPLES_MAX];
        let frame = &mut frame[..length.samples()];
        let made = self.opus.decode_float_to_slice(payload, frame, false)?;
        let frame = &frame[..made.min(length.samples())];
        samples.extend(frame.iter().map(|sample| {
            if sample.is_finite() {
                sample.clamp(-1.0, 1.0)
            } else {
                0.0
            }
        }));
        samples.resize(samples.len() + length.samples() - frame.len(), 0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tone(samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|i| 0.3 * (i as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin())
            .collect()
    }

    fn power(samples: &[f32]) -> f32 {
        samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
    }

    /// Encodes and decodes all of it.
    fn passed(config: EncoderConfig, length: FrameLength, sound: &[f32]) -> (Vec<f32>, Vec<usize>) {
        let mut encoder = Encoder::new(config).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let (mut payload, mut out, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for frame in sound.chunks_exact(length.samples()) {
            encoder.encode(frame, &mut payload).unwrap();
            bytes.push(payload.len());
            assert_eq!(decoder.decode(&payload, &mut out), Ok(length));
        }
        (out, bytes)
    }

    #[test]
    fn every_mode_and_length_brings_the_sound_over() {
        let sound = tone(48_000);
        for mode in [Mode::Voice, Mode::Studio] {
            for length in [FrameLength::Ms5, FrameLength::Ms10, FrameLength::Ms20] {
                let config = EncoderConfig {
                    mode,
                    ..EncoderConfig::default()
                };
                let (out, bytes) = passed(config, length, &sound);
                let ratio = power(&out[4_800..]) / power(&sound);
                assert!((0.7..1.4).contains(&ratio), "{mode:?} {length:?}: {ratio}");
                assert!(bytes.iter().all(|n| *n == bytes[0]), "{bytes:?}");
            }
        }
    }

    #[test]
    fn silence_stays_silent_and_no_nan_comes_through() {
        let config = EncoderConfig::default();
        let (out, _) = passed(config, FrameLength::Ms10, &[0.0; 9_600]);
        assert!(power(&out) < 1e-8);
        let mut sound = tone(9_600);
        sound[100] = f32::NAN;
        sound[200] = f32::INFINITY;
        let (out, _) = passed(config, FrameLength::Ms10, &sound);
        assert!(out.iter().all(|s| s.is_finite() && s.abs() <= 1.0));
        assert!(power(&out[4_800..]) > 0.01);
    }

    #[test]
    fn a_loss_goes_on_as_before() {
        let mut encoder = Encoder::new(EncoderConfig::default()).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let (mut payload, mut out) = (Vec::new(), Vec::new());
        for frame in tone(24_000).chunks_exact(480) {
            encoder.encode(frame, &mut payload).unwrap();
            decoder.decode(&payload, &mut out).unwrap();
        }
        let before = out.len();
        for _ in 0..100 {
            decoder.conceal(FrameLength::Ms10, &mut out);
        }
        assert_eq!(out.len(), before + 48_000);
        assert!(power(&out[before..before + 480]) > 0.01);
    }

    #[test]
    fn only_our_frame_lengths_decode() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = Vec::new();
        assert_eq!(decoder.decode(&[], &mut out), Err(DecodeError::Bytes(0)));
        let long = vec![0; PAYLOAD_BYTES_MAX + 1];
        assert_eq!(
            decoder.decode(&long, &mut out),
            Err(DecodeError::Bytes(1_276))
        );
        // One SILK frame of 60 ms, and twice 20 ms (RFC 6716 section 3.1).
        assert_eq!(
            decoder.decode(&[3 << 3, 0], &mut out),
            Err(DecodeError::Samples(2_880))
        );
        assert_eq!(
            decoder.decode(&[1 << 3 | 1, 0, 0], &mut out),
            Err(DecodeError::Samples(960 * 2))
        );
        assert!(out.is_empty());
        assert!(
            decoder
                .decode(&vec![0xfc; PAYLOAD_BYTES_MAX], &mut out)
                .is_ok()
                || out.is_empty()
        );
    }

    proptest! {
        #[test]
        fn no_payload_panics_or_makes_more_than_a_frame(
            payload in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let mut decoder = Decoder::new().unwrap();
            let mut out = Vec::new();
            let done = decoder.decode(&payload, &mut out);
            prop_assert_eq!(out.len(), done.map_or(0, FrameLength::samples));
            prop_assert!(out.iter().all(|s| s.is_finite()));
        }
    }
}
