//! Once made, nothing on the way of the samples asks for memory: a device's deadline cannot wait.
#![allow(clippy::unwrap_used, reason = "a test")]

use hallway_model::Instant;
use hallway_voice::capture::{Capture, CaptureConfig};
use hallway_voice::codec::{EncoderConfig, FrameLength};
use hallway_voice::convert::{Converter, Format};
use hallway_voice::echo::EchoCanceller;
use hallway_voice::gain::GainControl;
use hallway_voice::media::{Media, MediaConfig};
use hallway_voice::mix::Mixer;
use hallway_voice::playout;
use std::net::SocketAddr;

/// 10 ms, and as many of them as make a second.
const FRAME: usize = 480;
const FRAMES: usize = 100;

/// A loud and lively sound, so that every stage has something to do.
fn frame(i: usize) -> [f32; FRAME] {
    let mut dice = u32::try_from(i).unwrap().wrapping_mul(2_654_435_761);
    std::array::from_fn(|_| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let height = if i % 50 < 30 { 0.5 } else { 0.001 };
        #[allow(clippy::cast_precision_loss, reason = "any value will do")]
        let value = (dice >> 8) as f32 / 8_388_608.0 - 1.0;
        height * value
    })
}

/// Allocations of a second of work, its first frame included.
fn allocations(mut work: impl FnMut([f32; FRAME])) -> u64 {
    allocation_counter::measure(|| (0..FRAMES).for_each(|i| work(frame(i)))).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        allocations(|frame| drop(std::hint::black_box(Box::new(frame)))),
        100
    );
}

#[test]
fn capture_does_not_allocate() {
    let mut capture = Capture::new(CaptureConfig {
        echo: true,
        noise: true,
        gain: true,
    });
    let mut out = Vec::with_capacity(2 * FRAME);
    let count = allocations(|frame| {
        out.clear();
        capture.handle_render(&frame);
        capture.process(&frame, &mut out);
    });
    assert_eq!(count, 0);
}

#[test]
fn echo_cancellation_does_not_allocate() {
    let mut canceller = EchoCanceller::new();
    // More is played than captured, so that the queue is full.
    let count = allocations(|mut frame| {
        canceller.handle_render(&frame);
        canceller.handle_render(&frame);
        canceller.process(&mut frame);
    });
    assert_eq!(count, 0);
}

#[test]
fn gain_control_does_not_allocate() {
    let mut control = GainControl::new();
    assert_eq!(allocations(|mut frame| control.process(&mut frame)), 0);
}

#[test]
fn mixing_does_not_allocate() {
    let mut mixer = Mixer::new();
    let count = allocations(|frame| {
        mixer.begin(FRAME);
        mixer.add(&frame);
        mixer.add(&frame);
        std::hint::black_box(mixer.finish());
    });
    assert_eq!(count, 0);
}

#[test]
fn conversion_does_not_allocate() {
    for (sample_rate, channels) in [(44_100, 2), (48_000, 2), (16_000, 1), (192_000, 1)] {
        let device = Format {
            sample_rate,
            channels,
        };
        let mut out = Vec::with_capacity(16 * FRAME);
        for (from, to) in [(device, Format::VOICE), (Format::VOICE, device)] {
            let mut converter = Converter::new(from, to).unwrap();
            let count = allocations(|frame| {
                out.clear();
                converter.process(&frame, &mut out);
            });
            assert_eq!(count, 0, "{from:?} to {to:?}");
        }
    }
}

/// One side of a call whose other side is at `their`.
fn media(own: u8, their: u8) -> Media {
    let config = MediaConfig {
        send_key: [own; 32],
        send_kid: their.into(),
        receive_key: [their; 32],
        receive_kid: own.into(),
        seed: [own; 32],
        candidates: vec![address(their)],
        frame: FrameLength::Ms10,
        encoder: EncoderConfig::default(),
        playout: playout::Config::default(),
    };
    Media::new(&config, Instant(0)).unwrap()
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 47_000))
}

#[test]
fn a_call_does_not_grow() {
    let mut sides = [media(1, 2), media(2, 1)];
    let mut heard = [0.0; FRAME];
    let mut packets = 0;
    let mut talk = |frames: std::ops::Range<usize>| {
        for i in frames {
            let now = Instant(i as u64 * 10_000);
            let samples = frame(i);
            for side in 0..2 {
                sides[side].handle_capture(&samples, now);
                sides[side].handle_timeout(now);
                while let Some(transmit) = sides[side].poll_transmit() {
                    packets += 1;
                    // Some are lost, one and several at a time.
                    if packets % 20 != 0 && packets % 200 > 6 {
                        let from = address(if side == 0 { 1 } else { 2 });
                        let other = &mut sides[1 - side];
                        other.handle_datagram(from, &transmit.bytes, now).unwrap();
                    }
                }
                sides[side].fill_playback(&mut heard, now);
            }
        }
    };
    // Until all there is to be held is held once.
    talk(0..10 * FRAMES);
    let grown = allocation_counter::measure(|| talk(10 * FRAMES..40 * FRAMES)).bytes_current;
    assert!(grown < 4_096, "{grown} bytes more");
    let statistics = sides[0].stats(Instant(40_000_000));
    assert!(statistics.playout.decoded > 0 && statistics.playout.concealed > 0);
}
