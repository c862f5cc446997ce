//! Datagrams of everybody who is not the peer, and of a peer that means no good.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a test, whose numbers are small"
)]

use hallway_model::Instant;
use hallway_voice::codec::{EncoderConfig, FrameLength};
use hallway_voice::media::{DatagramError, Media, MediaConfig, MediaError};
use hallway_voice::packet::{
    CaptureState, DATAGRAM_BYTES_MAX, Frame, MediaPacket, Packet, PacketError, Report,
};
use hallway_voice::playout;
use hallway_voice::replay::{ReplayError, WINDOW};
use hallway_voice::sframe::{Header, OpenError, Opener, Sealer};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];
const KIDS: [u64; 2] = [0x1111, 0x2222];

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 47_000))
}

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000)
}

fn config() -> MediaConfig {
    MediaConfig {
        send_key: KEYS[0],
        send_kid: KIDS[0],
        receive_key: KEYS[1],
        receive_kid: KIDS[1],
        seed: [9; 32],
        candidates: vec![address(2)],
        frame: FrameLength::Ms10,
        encoder: EncoderConfig::default(),
        playout: playout::Config::default(),
    }
}

fn media() -> Media {
    Media::new(&config(), at(0)).unwrap()
}

/// The peer in the hands of a test.
struct Peer {
    sealer: Sealer,
    opener: Opener,
}

impl Peer {
    fn new() -> Self {
        Self {
            sealer: Sealer::new(&KEYS[1], KIDS[1]),
            opener: Opener::new(&KEYS[0], KIDS[0]),
        }
    }

    fn seal(&mut self, packet: &Packet<'_>) -> Vec<u8> {
        let mut plaintext = Vec::new();
        packet.encode(&mut plaintext);
        self.seal_bytes(&plaintext)
    }

    fn seal_bytes(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        self.sealer.seal(plaintext, &mut datagram).unwrap();
        datagram
    }

    /// Answers all challenges, so that sound is sent to it.
    fn meet(&mut self, media: &mut Media) {
        while let Some(transmit) = media.poll_transmit() {
            let mut bytes = transmit.bytes;
            let header = Header::decode(&bytes).unwrap();
            let plaintext = self.opener.open(header, &mut bytes).unwrap();
            if let Ok(Packet::Challenge(token)) = Packet::decode(plaintext) {
                let response = self.seal(&Packet::Response(token));
                media
                    .handle_datagram(transmit.to, &response, at(1))
                    .unwrap();
            }
        }
        assert_eq!(media.remote(), Some(address(2)));
    }
}

fn sound(payload: &[u8], timestamp: u32) -> Packet<'_> {
    Packet::Media(MediaPacket {
        timestamp,
        frames: vec![Frame {
            age: 0,
            length: FrameLength::Ms10,
            payload,
        }],
        ..MediaPacket::default()
    })
}

#[test]
fn what_the_peer_did_not_make_is_refused_and_leaves_nothing() {
    let (mut media, mut peer) = (media(), Peer::new());
    peer.meet(&mut media);
    let heard = media.last_heard();
    let good = peer.seal(&sound(b"x", 0));
    let mut refuse = |bytes: &[u8]| {
        let error = media
            .handle_datagram(address(66), bytes, at(50))
            .unwrap_err();
        assert_eq!(media.last_heard(), heard);
        assert_eq!(media.poll_transmit(), None);
        error
    };
    for bit in 0..good.len() * 8 {
        let mut forged = good.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        refuse(&forged);
    }
    for cut in 0..good.len() {
        refuse(&good[..cut]);
    }
    assert_eq!(refuse(&[]), OpenError::Truncated.into());
    let longer = [&good[..], &[0; DATAGRAM_BYTES_MAX][..]].concat();
    assert_eq!(
        refuse(&longer[..DATAGRAM_BYTES_MAX]),
        OpenError::Forged.into()
    );
    let too_long = &longer[..=DATAGRAM_BYTES_MAX];
    assert_eq!(
        refuse(too_long),
        DatagramError::TooLong(DATAGRAM_BYTES_MAX + 1)
    );
    // Of another call with the same peer, of the other direction, of another key id.
    for (key, kid, error) in [
        ([7; 32], KIDS[1], OpenError::Forged),
        (KEYS[0], KIDS[0], OpenError::WrongKey),
        (KEYS[1], KIDS[0], OpenError::WrongKey),
    ] {
        let mut other = Vec::new();
        Sealer::new(&key, kid).seal(b"x", &mut other).unwrap();
        // Its first packet would be a replay, if anybody looked at the number first.
        let mut sealer = Sealer::new(&key, kid);
        for _ in 0..10 {
            sealer.seal(b"x", &mut other).unwrap();
        }
        assert_eq!(refuse(&other), error.into());
    }
    let counters = media.stats(at(60)).counters;
    assert_eq!(counters.received, 1);
    assert_eq!(media.handle_datagram(address(2), &good, at(60)), Ok(()));
}

#[test]
fn replayed_packets_are_refused_in_any_order() {
    let (mut media, mut peer) = (media(), Peer::new());
    let packets: Vec<_> = (0..1_200_u32)
        .map(|n| peer.seal(&sound(b"x", n * 480)))
        .collect();
    let mut take = |n: usize| media.handle_datagram(address(2), &packets[n], at(5));
    assert_eq!(take(1_199), Ok(()));
    assert_eq!(take(1_199), Err(ReplayError::Replayed.into()));
    let oldest = 1_200 - WINDOW as usize;
    assert_eq!(take(oldest - 1), Err(ReplayError::TooOld.into()));
    for n in [oldest, 700, 699, 1_198] {
        assert_eq!(take(n), Ok(()));
        assert_eq!(take(n), Err(ReplayError::Replayed.into()));
    }
    let counters = media.stats(at(6)).counters;
    assert_eq!((counters.received, counters.replayed), (5, 6));
}

#[test]
fn a_forged_number_does_not_move_the_window() {
    let (mut media, mut peer) = (media(), Peer::new());
    let mut out = Vec::new();
    let mut forger = Sealer::new(&[66; 32], KIDS[1]);
    for _ in 0..5_000 {
        forger.seal(b"x", &mut out).unwrap();
    }
    let forged = media.handle_datagram(address(2), &out, at(1));
    assert_eq!(forged, Err(OpenError::Forged.into()));
    let first = peer.seal(&sound(b"x", 0));
    assert_eq!(media.handle_datagram(address(2), &first, at(1)), Ok(()));
}

#[test]
fn a_peer_that_gives_our_key_as_its_own_is_refused() {
    let mut config = config();
    config.receive_key = config.send_key;
    assert_eq!(Media::new(&config, at(0)).err(), Some(MediaError::SameKey));
}

#[test]
fn what_the_peer_made_and_nobody_understands_is_counted() {
    let (mut media, mut peer) = (media(), Peer::new());
    for (plaintext, error) in [
        (&[][..], PacketError::Truncated),
        (&[1, 0, 0], PacketError::Truncated),
        (&[2, 0], PacketError::Truncated),
        (&[77, 1, 2, 3], PacketError::Kind(77)),
    ] {
        let datagram = peer.seal_bytes(plaintext);
        let taken = media.handle_datagram(address(2), &datagram, at(1));
        assert_eq!(taken, Err(error.into()));
    }
    let counters = media.stats(at(6)).counters;
    assert_eq!((counters.malformed, counters.unknown), (3, 1));
    // It is there all the same.
    assert_eq!(media.last_heard(), Some(at(1)));
}

#[test]
fn payloads_that_do_not_decode_leave_sound_that_can_be_played() {
    let (mut media, mut peer) = (media(), Peer::new());
    let payloads: Vec<Vec<u8>> = (0..=255_u8)
        .map(|first| {
            (0..40)
                .map(|n| first.wrapping_mul(n | 1).wrapping_add(n))
                .collect()
        })
        .collect();
    let mut out = [0.0; 480];
    for (n, payload) in (0..).zip(&payloads) {
        let datagram = peer.seal(&sound(payload, n * 480));
        let now = at(u64::from(n) * 10);
        media.handle_datagram(address(2), &datagram, now).unwrap();
        media.fill_playback(&mut out, now);
        assert!(
            out.iter()
                .all(|sample| sample.is_finite() && sample.abs() <= 1.0)
        );
    }
    assert!(media.stats(at(3_000)).playout.malformed > 0);
}

#[test]
fn a_challenge_costs_one_short_answer_and_moves_nothing() {
    let (mut media, mut peer) = (media(), Peer::new());
    peer.meet(&mut media);
    for n in 0..100_u8 {
        let challenge = peer.seal(&Packet::Challenge([n; 8]));
        media
            .handle_datagram(address(66), &challenge, at(2))
            .unwrap();
        let sent: Vec<_> = std::iter::from_fn(|| media.poll_transmit()).collect();
        // The answer, and once the question whether anybody is there. Numbers may be longer.
        assert_eq!(sent.len(), if n == 0 { 2 } else { 1 });
        assert!(
            sent.iter()
                .all(|t| t.to == address(66) && t.bytes.len() <= challenge.len() + 2)
        );
    }
    assert_eq!(media.remote(), Some(address(2)));
}

#[test]
fn no_number_is_sealed_twice() {
    let (mut media, mut peer) = (media(), Peer::new());
    peer.meet(&mut media);
    let mut numbers = Vec::new();
    for tick in 0..300 {
        let now = at(10 + tick * 7);
        media.handle_capture(&[0.1; 336], now);
        media.handle_timeout(now);
        let challenge = peer.seal(&Packet::Challenge([1; 8]));
        media.handle_datagram(address(2), &challenge, now).unwrap();
        while let Some(transmit) = media.poll_transmit() {
            numbers.push(Header::decode(&transmit.bytes).unwrap().0.counter);
        }
    }
    assert!(numbers.len() > 400);
    assert!(numbers.is_sorted_by(|a, b| a < b));
}

#[test]
fn reports_that_lie_do_no_more_than_change_how_we_send() {
    let (mut media, mut peer) = (media(), Peer::new());
    peer.meet(&mut media);
    let extremes = [0, 1, u32::MAX / 2, u32::MAX];
    for (n, echo) in (0..2_000_u32).zip(extremes.iter().cycle()) {
        let now = at(10 + u64::from(n) * 10);
        let wild = |n: u32| (n.wrapping_mul(2_654_435_761) >> 16) as u16;
        let packet = Packet::Media(MediaPacket {
            timestamp: n.wrapping_mul(0x9e37_79b9),
            sent: n.wrapping_mul(*echo),
            capture: CaptureState::default(),
            report: Some(Report {
                echo: (now.0 as u32).wrapping_sub(*echo),
                loss: wild(n) as u8,
                burst: wild(n + 1) as u8,
                jitter: wild(n + 2),
                queue_ms: wild(n + 3),
                rate_kbps: wild(n + 4) % 100,
            }),
            frames: Vec::new(),
        });
        let datagram = peer.seal(&packet);
        media.handle_datagram(address(2), &datagram, now).unwrap();
        media.handle_capture(&[0.1; 480], now);
        let mut sent = 0;
        while media.poll_transmit().is_some() {
            sent += 1;
        }
        assert!(sent <= 2);
        media.stats(now);
    }
    // Sound still goes out, within the time that a call may pause.
    let end = 20_100;
    let sounded = (0..200).any(|tick| {
        media.handle_capture(&[0.1; 480], at(end + tick * 10));
        media
            .poll_transmit()
            .is_some_and(|transmit| transmit.bytes.len() > 100)
    });
    assert!(sounded);
}

#[test]
fn what_nobody_collects_does_not_pile_up() {
    let (mut media, mut peer) = (media(), Peer::new());
    for _ in 0..1_000 {
        let challenge = peer.seal(&Packet::Challenge([1; 8]));
        media
            .handle_datagram(address(2), &challenge, at(1))
            .unwrap();
    }
    let waiting = std::iter::from_fn(|| media.poll_transmit()).count();
    assert_eq!(waiting, hallway_voice::media::TRANSMITS_MAX);
}

/// Anything that can be done to a call.
#[derive(Clone, Debug)]
enum Step {
    Raw(Vec<u8>),
    Sealed(Vec<u8>),
    Capture(Vec<f32>),
    Fill(usize),
    Wait(u64),
    Candidates(Vec<u8>),
    Muted(bool),
    Held(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    let packet = (0..5_u8, bytes()).prop_map(|(kind, rest)| [&[kind][..], &rest].concat());
    prop_oneof![
        2 => bytes().prop_map(Step::Raw),
        6 => packet.prop_map(Step::Sealed),
        2 => prop::collection::vec(any::<f32>(), 0..1_500).prop_map(Step::Capture),
        2 => (0..1_500_usize).prop_map(Step::Fill),
        2 => prop_oneof![0..50_000_u64, any::<u64>()].prop_map(Step::Wait),
        1 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Step::Candidates),
        1 => any::<bool>().prop_map(Step::Muted),
        1 => any::<bool>().prop_map(Step::Held),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_at_any_time_is_a_panic(steps in prop::collection::vec(step(), 0..60)) {
        let (mut media, mut peer) = (media(), Peer::new());
        let mut now = at(0);
        for step in steps {
            match step {
                Step::Raw(bytes) => {
                    prop_assert!(media.handle_datagram(address(66), &bytes, now).is_err());
                }
                Step::Sealed(bytes) => {
                    let datagram = peer.seal_bytes(&bytes);
                    let _ = media.handle_datagram(address(bytes[0]), &datagram, now);
                }
                Step::Capture(samples) => media.handle_capture(&samples, now),
                Step::Fill(samples) => {
                    let mut out = vec![0.0; samples];
                    media.fill_playback(&mut out, now);
                    prop_assert!(out.iter().all(|sample| sample.abs() <= 1.0));
                }
                Step::Wait(micros) => now = now + Duration::from_micros(micros),
                Step::Candidates(hosts) => {
                    let hosts: Vec<_> = hosts.into_iter().map(address).collect();
                    media.handle_candidates(&hosts, now);
                }
                Step::Muted(muted) => media.set_muted(muted),
                Step::Held(held) => media.set_held(held),
            }
            media.handle_timeout(now);
            media.stats(now);
            let sent = std::iter::from_fn(|| media.poll_transmit());
            for transmit in sent {
                prop_assert!(transmit.bytes.len() <= DATAGRAM_BYTES_MAX);
            }
        }
    }
}
