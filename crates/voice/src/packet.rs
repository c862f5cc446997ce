//! What one datagram says once it is opened: sound and its copies, or a question about a path.
//!
//! Fixed, most significant byte first, as PROTOCOL.md lays it out in its section on media. The
//! length depends on the settings of the encoder alone, never on what is said.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::codec::{FrameLength, PAYLOAD_BYTES_MAX};
use crate::sframe::{HEADER_BYTES_MAX, TAG_BYTES};
use std::time::Duration;

/// The longest datagram: what every network carries in one piece (IPv6 demands 1,280 bytes, less
/// its headers and a tunnel's).
pub const DATAGRAM_BYTES_MAX: usize = 1_200;

/// The longest plaintext that still fits when it is sealed.
pub const PACKET_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - HEADER_BYTES_MAX - TAG_BYTES;

/// Frames in a packet: the newest and four copies, which is what 5 ms frames need to outlive a
/// burst as well as 10 ms frames with three.
pub const FRAMES_MAX: usize = 5;

/// How many samples one step of a frame's age stands for: 5 ms, which every frame is a multiple of.
pub const AGE_STEP: u32 = 240;

/// The oldest copy, in steps: six bits, 315 ms. Anything older would be late for any playout.
pub const AGE_MAX: u8 = 63;

const KIND_MEDIA: u8 = 1;
const KIND_CHALLENGE: u8 = 2;
const KIND_RESPONSE: u8 = 3;

const FLAG_MUTED: u8 = 1;
const FLAG_SILENT: u8 = 2;
const FLAG_REPORT: u8 = 4;

/// One step of the jitter in a report.
const JITTER_STEP: Duration = Duration::from_micros(100);

/// What a challenge asks to have sent back.
pub type Token = [u8; 8];

/// Why an opened packet is not understood: the peer's fault, or it speaks a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It ends before it says all that it must.
    #[error("the packet is cut short")]
    Truncated,
    /// It has more than [`FRAMES_MAX`] frames.
    #[error("the packet has {0} frames")]
    Frames(u8),
    /// A frame is of no length that Opus has.
    #[error("the packet has a frame of {0} bytes")]
    Payload(u16),
    /// A frame lasts as long as none of ours.
    #[error("the packet has a frame of unknown duration")]
    Duration,
    /// What it is, a later version may know. Such a packet is skipped, and is no violation.
    #[error("the packet is of unknown kind {0}")]
    Kind(u8),
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Sound.
    Media(MediaPacket<'a>),
    /// A question whether its receiver is at the address it was sent to.
    Challenge(Token),
    /// The answer.
    Response(Token),
}

/// Sound, and how well the sound of the other direction arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaPacket<'a> {
    /// The first sample of the newest frame, counted by its sender; wraps.
    pub timestamp: u32,
    /// When it was sent: microseconds on its sender's clock; wraps.
    pub sent: u32,
    /// What becomes of the microphone.
    pub capture: CaptureState,
    /// How the other direction is doing, once there is something to say.
    pub report: Option<Report>,
    /// The newest frame, then copies of earlier ones. Empty without a microphone.
    pub frames: Vec<Frame<'a>>,
}

/// What a sender says about its microphone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureState {
    /// Muted by its user.
    pub muted: bool,
    /// Nothing comes from it: there is none, it failed, or the call is on hold.
    pub silent: bool,
}

/// A frame in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// How many steps of [`AGE_STEP`] samples its first sample is before that of the newest frame:
    /// at most [`AGE_MAX`].
    pub age: u8,
    /// How long it lasts.
    pub length: FrameLength,
    /// What Opus made of it.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The first sample of this frame.
    pub fn timestamp(&self, newest: u32) -> u32 {
        newest.wrapping_sub(u32::from(self.age).wrapping_mul(AGE_STEP))
    }
}

/// What a receiver tells the sender about the packets that it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The sender's own clock ([`MediaPacket::sent`]) one way there and one way back ago.
    pub echo: u32,
    /// How many packets were lost lately, of 255.
    pub loss: u8,
    /// The longest run of packets lost lately.
    pub burst: u8,
    /// Interarrival jitter (RFC 3550 section 6.4.1) in steps of 100 µs.
    pub jitter: u16,
    /// By how many milliseconds packets are now slower than the fastest ones were: what waits in
    /// queues on the way.
    pub queue_ms: u16,
    /// What arrived during the last second, in kilobits with all headers.
    pub rate_kbps: u16,
}

impl Report {
    /// The jitter.
    pub fn jitter(&self) -> Duration {
        JITTER_STEP.saturating_mul(self.jitter.into())
    }

    /// A jitter as a report tells it.
    pub fn jitter_steps(jitter: Duration) -> u16 {
        let steps = jitter.as_micros().checked_div(JITTER_STEP.as_micros());
        steps
            .and_then(|steps| u16::try_from(steps).ok())
            .unwrap_or(u16::MAX)
    }

    /// The share of packets lost, 0 to 1.
    pub fn loss(&self) -> f32 {
        f32::from(self.loss) / 255.0
    }

    fn decode(input: &mut &[u8]) -> Result<Self, PacketError> {
        Ok(Self {
            echo: u32::from_be_bytes(take(input)?),
            loss: byte(input)?,
            burst: byte(input)?,
            jitter: u16::from_be_bytes(take(input)?),
            queue_ms: u16::from_be_bytes(take(input)?),
            rate_kbps: u16::from_be_bytes(take(input)?),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.echo.to_be_bytes());
        out.extend([self.loss, self.burst]);
        for number in [self.jitter, self.queue_ms, self.rate_kbps] {
            out.extend(number.to_be_bytes());
        }
    }
}

impl<'a> Packet<'a> {
    /// Reads a packet. What follows it is for later versions, and is skipped.
    pub fn decode(mut input: &'a [u8]) -> Result<Self, PacketError> {
        match byte(&mut input)? {
            KIND_MEDIA => MediaPacket::decode(input).map(Self::Media),
            KIND_CHALLENGE => take(&mut input).map(Self::Challenge),
            KIND_RESPONSE => take(&mut input).map(Self::Response),
            unknown => Err(PacketError::Kind(unknown)),
        }
    }

    /// Writes the packet into `out`, whose content it replaces.
    ///
    /// # Panics
    /// When the packet breaks a limit of this module.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Media(media) => {
                out.push(KIND_MEDIA);
                media.encode(out);
            }
            Self::Challenge(token) => {
                out.push(KIND_CHALLENGE);
                out.extend(token);
            }
            Self::Response(token) => {
                out.push(KIND_RESPONSE);
                out.extend(token);
            }
        }
        assert!(
            out.len() <= PACKET_BYTES_MAX,
            "a packet of {} bytes",
            out.len()
        );
    }
}

impl<'a> MediaPacket<'a> {
    /// How many bytes a packet with payloads of these lengths has, before it is sealed.
    pub fn bytes(payloads: impl IntoIterator<Item = usize>) -> usize {
        let frames = payloads
            .into_iter()
            .map(|payload| payload.saturating_add(3));
        frames.fold(23, usize::saturating_add)
    }

    fn decode(mut input: &'a [u8]) -> Result<Self, PacketError> {
        let flags = byte(&mut input)?;
        let timestamp = u32::from_be_bytes(take(&mut input)?);
        let sent = u32::from_be_bytes(take(&mut input)?);
        let report = Report::decode(&mut input)?;
        let count = byte(&mut input)?;
        if usize::from(count) > FRAMES_MAX {
            return Err(PacketError::Frames(count));
        }
        let frames = (0..count).map(|_| Frame::decode(&mut input));
        Ok(Self {
            timestamp,
            sent,
            capture: CaptureState {
                muted: flags & FLAG_MUTED != 0,
                silent: flags & FLAG_SILENT != 0,
            },
            report: (flags & FLAG_REPORT != 0).then_some(report),
            frames: frames.collect::<Result<_, _>>()?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let capture = flag(self.capture.muted, FLAG_MUTED) | flag(self.capture.silent, FLAG_SILENT);
        out.push(capture | flag(self.report.is_some(), FLAG_REPORT));
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.sent.to_be_bytes());
        // Without a report its place stays, so that the length says nothing.
        self.report.unwrap_or_default().encode(out);
        assert!(self.frames.len() <= FRAMES_MAX, "too many frames");
        out.extend(u8::try_from(self.frames.len()));
        self.frames.iter().for_each(|frame| frame.encode(out));
    }
}

impl<'a> Frame<'a> {
    fn decode(input: &mut &'a [u8]) -> Result<Self, PacketError> {
        let head = byte(input)?;
        let length = match head >> 6 {
            0 => FrameLength::Ms5,
            1 => FrameLength::Ms10,
            2 => FrameLength::Ms20,
            _ => return Err(PacketError::Duration),
        };
        let bytes = u16::from_be_bytes(take(input)?);
        if bytes == 0 || usize::from(bytes) > PAYLOAD_BYTES_MAX {
            return Err(PacketError::Payload(bytes));
        }
        let (payload, rest) = input
            .split_at_checked(bytes.into())
            .ok_or(PacketError::Truncated)?;
        *input = rest;
        Ok(Self {
            age: head & AGE_MAX,
            length,
            payload,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.age <= AGE_MAX, "a copy of age {}", self.age);
        let length = match self.length {
            FrameLength::Ms5 => 0,
            FrameLength::Ms10 => 1,
            FrameLength::Ms20 => 2,
        };
        out.push(length << 6 | self.age);
        let bytes = self.payload.len();
        assert!(
            (1..=PAYLOAD_BYTES_MAX).contains(&bytes),
            "a payload of {bytes} bytes"
        );
        out.extend(
            u16::try_from(bytes)
                .expect("a payload is short")
                .to_be_bytes(),
        );
        out.extend_from_slice(self.payload);
    }
}

fn byte(input: &mut &[u8]) -> Result<u8, PacketError> {
    let [byte] = take(input)?;
    Ok(byte)
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], PacketError> {
    let (taken, rest) = input.split_first_chunk().ok_or(PacketError::Truncated)?;
    *input = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(packet: &Packet<'_>) -> Vec<u8> {
        let mut out = vec![9; 9];
        packet.encode(&mut out);
        out
    }

    fn frame(age: u8, payload: &[u8]) -> Frame<'_> {
        Frame {
            age,
            length: FrameLength::Ms10,
            payload,
        }
    }

    fn media<'a>(frames: &[Frame<'a>]) -> Packet<'a> {
        Packet::Media(MediaPacket {
            frames: frames.to_vec(),
            ..MediaPacket::default()
        })
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let packet = Packet::Media(MediaPacket {
            timestamp: 0x0102_0304,
            sent: 0x0506_0708,
            capture: CaptureState {
                muted: true,
                silent: false,
            },
            report: Some(Report {
                echo: 0x1112_1314,
                loss: 0x15,
                burst: 0x16,
                jitter: 0x1718,
                queue_ms: 0x191a,
                rate_kbps: 0x1b1c,
            }),
            frames: vec![frame(0, b"ab"), frame(6, b"c")],
        });
        let expected = [
            &[1, 5, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[
                0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c,
            ],
            &[2, 0x40, 0, 2, b'a', b'b', 0x46, 0, 1, b'c'],
        ]
        .concat();
        assert_eq!(encoded(&packet), expected);
        assert_eq!(MediaPacket::bytes([2, 1]), expected.len());
        assert_eq!(Packet::decode(&expected), Ok(packet));
        assert_eq!(
            encoded(&Packet::Challenge([7; 8])),
            [2, 7, 7, 7, 7, 7, 7, 7, 7]
        );
        assert_eq!(
            encoded(&Packet::Response([7; 8])),
            [3, 7, 7, 7, 7, 7, 7, 7, 7]
        );
    }

    #[test]
    fn every_cut_is_noticed_and_what_follows_is_skipped() {
        for packet in [
            Packet::Challenge([1; 8]),
            Packet::Response([1; 8]),
            media(&[]),
            media(&[frame(0, b"abc"), frame(2, b"de")]),
        ] {
            let mut bytes = encoded(&packet);
            for cut in 0..bytes.len() {
                assert_eq!(Packet::decode(&bytes[..cut]), Err(PacketError::Truncated));
            }
            bytes.extend([1, 2, 3]);
            assert_eq!(Packet::decode(&bytes), Ok(packet));
        }
    }

    #[test]
    fn limits_hold_at_their_edge() {
        let frames = [frame(AGE_MAX, b"x"); FRAMES_MAX];
        let mut bytes = encoded(&media(&frames));
        assert_eq!(Packet::decode(&bytes), Ok(media(&frames)));
        bytes[22] = 6;
        assert_eq!(Packet::decode(&bytes), Err(PacketError::Frames(6)));

        let fits = vec![1; PACKET_BYTES_MAX - MediaPacket::bytes([0])];
        let mut bytes = encoded(&media(&[frame(0, &fits)]));
        assert_eq!(bytes.len(), PACKET_BYTES_MAX);
        bytes[24..26].copy_from_slice(&[0, 0]);
        assert_eq!(Packet::decode(&bytes), Err(PacketError::Payload(0)));
        bytes[24..26].copy_from_slice(&1_275_u16.to_be_bytes());
        assert_eq!(Packet::decode(&bytes), Err(PacketError::Truncated));
        bytes[24..26].copy_from_slice(&1_276_u16.to_be_bytes());
        assert_eq!(Packet::decode(&bytes), Err(PacketError::Payload(1_276)));
        bytes[23] = 0xc0;
        assert_eq!(Packet::decode(&bytes), Err(PacketError::Duration));
        for kind in [0, 4, 255] {
            bytes[0] = kind;
            assert_eq!(Packet::decode(&bytes), Err(PacketError::Kind(kind)));
        }
    }

    #[test]
    #[should_panic(expected = "a packet of")]
    fn a_packet_too_long_to_seal_is_our_bug() {
        let long = vec![1; PACKET_BYTES_MAX - MediaPacket::bytes([0]) + 1];
        encoded(&media(&[frame(0, &long)]));
    }

    #[test]
    fn the_age_of_a_copy_wraps_with_the_timestamp() {
        assert_eq!(frame(0, b"x").timestamp(5), 5);
        assert_eq!(frame(2, b"x").timestamp(5), 5_u32.wrapping_sub(480));
        assert_eq!(frame(AGE_MAX, b"x").timestamp(20_000), 20_000 - 15_120);
    }

    #[test]
    fn a_report_tells_jitter_in_its_steps() {
        assert_eq!(Report::jitter_steps(Duration::from_micros(2_399)), 23);
        assert_eq!(Report::jitter_steps(Duration::from_secs(60)), u16::MAX);
        let report = Report {
            jitter: 23,
            ..Report::default()
        };
        assert_eq!(report.jitter(), Duration::from_micros(2_300));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::decode(&bytes) {
                let again = encoded(&packet);
                prop_assert_eq!(Packet::decode(&again), Ok(packet));
            }
        }

        #[test]
        fn what_is_written_is_what_is_read(
            (timestamp, sent, muted, silent) in any::<(u32, u32, bool, bool)>(),
            report: Option<(u32, u8, u8, u16, u16, u16)>,
            payloads in prop::collection::vec(
                (0..=AGE_MAX, 0..3_usize, prop::collection::vec(any::<u8>(), 1..200)), 0..=FRAMES_MAX),
        ) {
            let lengths = [FrameLength::Ms5, FrameLength::Ms10, FrameLength::Ms20];
            let report = report.map(|(echo, loss, burst, jitter, queue_ms, rate_kbps)| {
                Report { echo, loss, burst, jitter, queue_ms, rate_kbps }
            });
            let frames = payloads.iter().map(|(age, length, payload)| Frame {
                age: *age,
                length: lengths[*length],
                payload,
            });
            let packet = Packet::Media(MediaPacket {
                timestamp,
                sent,
                capture: CaptureState { muted, silent },
                report,
                frames: frames.collect(),
            });
            let bytes = encoded(&packet);
            prop_assert_eq!(Packet::decode(&bytes), Ok(packet));
        }
    }
}
