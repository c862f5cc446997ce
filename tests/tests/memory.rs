//! How much memory one frame of a peer may cost, whatever is in it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hallway_model::PeerId;
use hallway_proto::frame::Frame;
use hallway_proto::handshake::RECORD_PLAINTEXT_MAX;
use peak_alloc::PeakAlloc;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that decoding one frame may take, above what there was before.
const BYTES_MAX: usize = 10_000_000;

/// The most memory in use during some work, above what there was before.
fn peak(work: impl FnOnce()) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}

/// Reads a frame as a session does.
fn read(bytes: &[u8]) {
    if let Ok(Frame::Message(envelope)) = Frame::decode(bytes) {
        // Whether it opens is no matter here.
        let _ = envelope.open(PeerId([1; 32]));
    }
}

/// A CBOR head whose length takes two bytes where it fits, and four elsewhere.
fn head(major: u8, length: u32) -> Vec<u8> {
    match u16::try_from(length) {
        Ok(length) => [&[major << 5 | 25], &length.to_be_bytes()[..]].concat(),
        Err(_) => [&[major << 5 | 26], &length.to_be_bytes()[..]].concat(),
    }
}

/// Items of about this size, of everything that may take more room in memory than in a record.
fn items(bytes: usize) -> Vec<Vec<u8>> {
    let count = bytes - 3;
    let of = |major, length, fill: &[u8]| {
        let claim = u32::try_from(length).unwrap();
        [head(major, claim), fill.repeat(length)].concat()
    };
    vec![
        of(2, count, b"x"),
        of(3, count, b"x"),
        of(4, count, b"\x00"),
        of(4, count, b"\x80"),
        of(4, count, b"\xa0"),
        of(4, count, b"\x60"),
        of(4, count / 17, b"\x50aaaaaaaaaaaaaaaa"),
        of(5, count / 2, b"\x00\x80"),
        of(5, count / 3, b"\x61a\x80"),
        [vec![0x81; 14], of(4, count - 14, b"\xa0")].concat(),
        [vec![0x81; count], vec![0]].concat(),
    ]
}

fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let envelope = |kind: u8, body: &[u8]| {
        let before = b"\x02\xa5\x61i\x50aaaaaaaaaaaaaaaa\x61q\x01\x61t\x00\x61k";
        [&before[..], &[kind], b"\x61b", body].concat()
    };
    let room = RECORD_PLAINTEXT_MAX - 64;
    for item in items(room) {
        for kind in 0..=12 {
            frames.push([&[kind], &item[..]].concat());
            for key in [b"\xa1\x61i", b"\xa1\x61n", b"\xa1\x61b", b"\xa1\x61z"] {
                frames.push([&[kind], &key[..], &item].concat());
            }
        }
        for kind in 0..=5 {
            frames.push(envelope(kind, &item));
        }
    }
    // A body that is right, and as large as may be.
    for inner in items(room - 64) {
        for key in [b"\xa1\x61x", b"\xa1\x61m", b"\xa1\x61e", b"\xa1\x61z"] {
            let body = [&key[..], &inner].concat();
            let body = [head(2, u32::try_from(body.len()).unwrap()), body].concat();
            for kind in 0..=5 {
                frames.push(envelope(kind, &body));
            }
        }
    }
    // Claims of more than there is.
    for major in 2..=5 {
        for claim in [65_536, 1 << 24, u32::MAX] {
            frames.push([b"\x06\xa1\x61q", &head(major, claim)[..]].concat());
            frames.push([b"\x02\xa1\x61b", &head(major, claim)[..]].concat());
        }
    }
    assert!(
        frames
            .iter()
            .all(|frame| frame.len() <= RECORD_PLAINTEXT_MAX)
    );
    frames
}

#[test]
fn a_frame_takes_ten_megabytes_at_most() {
    let megabyte = peak(|| drop(std::hint::black_box(vec![1u8; 1 << 20])));
    assert!(megabyte >= 1 << 20, "the meter shows {megabyte}");

    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let mut most = 0;
    for frame in frames() {
        most = most.max(peak(|| read(&frame)));
        let mut changed = frame;
        for _ in 0..2 {
            let at = usize::try_from(random.next_u32()).unwrap() % changed.len().min(64);
            changed[at] = random.next_u32().to_le_bytes()[0];
            most = most.max(peak(|| read(&changed)));
        }
    }
    eprintln!("the largest took {most} bytes");
    assert!(most <= BYTES_MAX, "{most} bytes");
}
