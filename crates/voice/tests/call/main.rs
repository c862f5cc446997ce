//! Whole calls: two [`Media`] on a virtual network, speech in at one end, judged at the other.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a test, whose numbers are small"
)]

mod ears;
#[path = "../lab/mod.rs"]
mod lab;
#[path = "../voices/mod.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod voices;
mod wire;

use hallway_voice::codec::{FrameLength, Mode};
use hallway_voice::media::Statistics;
use hallway_voice::sframe::Sealer;
use std::sync::LazyLock;
use std::time::Duration;
use wire::{Conditions, World, address};

static SPEECH: LazyLock<Vec<f32>> = LazyLock::new(|| voices::speech(1, 24));

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The speech, and somebody else who says something at the same time.
fn speakers() -> [Vec<f32>; 2] {
    let mut other = SPEECH.clone();
    other.rotate_left(100_000);
    [SPEECH.clone(), other]
}

fn call(seed: u64, conditions: Conditions, length: u64) -> World {
    let mut world = World::new(seed, conditions, speakers());
    world.run(seconds(length));
    world
}

fn stats(world: &mut World, end: usize) -> Statistics {
    world.ends[end].media.stats(world.now)
}

/// What the second end hears of the first.
fn judge(world: &World, skip: usize) -> ears::Score {
    ears::judge(&world.ends[0].sound, &world.ends[1].played, skip)
}

const JITTER: Conditions = Conditions {
    jitter: Duration::from_millis(30),
    duplicate: 0.02,
    ..Conditions::CLEAN
};

#[test]
fn a_clean_network_costs_a_frame_and_little_more() {
    let mut world = call(1, Conditions::CLEAN, 12);
    let score = judge(&world, 0);
    assert!(score.pesq > 4.0 && score.delay_ms < 30.0, "{score:?}");
    let stats = stats(&mut world, 1);
    assert_eq!(
        (stats.receive_loss, stats.playout.concealed, stats.grade),
        (0.0, 0, 0)
    );
    assert_eq!(stats.round_trip, Some(Duration::from_micros(600)));
    let estimate = stats.mouth_to_ear.unwrap().as_secs_f64() * 1e3;
    assert!(
        (estimate - score.delay_ms).abs() < 10.0,
        "{estimate} {score:?}"
    );
}

#[test]
fn losses_are_made_up_for_by_copies() {
    for (loss, burst) in [(0.05, 1), (0.2, 1), (0.0125, 4)] {
        let conditions = Conditions {
            loss,
            burst,
            ..Conditions::CLEAN
        };
        let mut world = call(2, conditions, 16);
        let score = judge(&world, 4);
        let stats = stats(&mut world, 1);
        assert!(
            score.pesq > 3.0 && score.delay_ms < 90.0,
            "{loss} {burst} {score:?}"
        );
        assert_eq!(stats.copies, 4);
        assert!(stats.concealed < 0.02, "{loss} {burst} {stats:?}");
    }
}

/// Both sides of a call in real speech are heard so soon, and so well on average, once it has gone
/// on for 4 s. Sound cards and their buffers need some 15 ms more.
#[track_caller]
fn reaches(conditions: Conditions, delay_ms: f64, pesq: f32) {
    let mut speech = lab::speech(include_bytes!("../lab/speech.wav")).repeat(2);
    speech.truncate(20 * 48_000);
    let mut other = speech.clone();
    other.rotate_left(150_000);
    let mut world = World::new(1, conditions, [speech, other]);
    world.run(seconds(20));
    let heard = [0, 1].map(|end| {
        let [said, heard] = [&world.ends[1 - end].sound, &world.ends[end].played];
        ears::judge(said, heard, 4)
    });
    let mean = f32::midpoint(heard[0].pesq, heard[1].pesq);
    assert!(
        heard.iter().all(|score| score.delay_ms <= delay_ms) && mean >= pesq,
        "{heard:?}"
    );
}

#[test]
fn a_clean_network_reaches_its_target() {
    reaches(Conditions::CLEAN, 18.0, 4.3);
}

#[test]
fn heavy_loss_reaches_its_target() {
    let conditions = Conditions {
        loss: 0.2,
        ..Conditions::CLEAN
    };
    reaches(conditions, 60.0, 4.2);
}

#[test]
fn bursts_reach_their_target() {
    let conditions = Conditions {
        loss: 0.0131,
        burst: 4,
        ..Conditions::CLEAN
    };
    reaches(conditions, 62.0, 4.2);
}

#[test]
fn jitter_with_heavy_loss_reaches_its_target() {
    let conditions = Conditions {
        loss: 0.2,
        ..JITTER
    };
    reaches(conditions, 78.0, 4.05);
}

#[test]
fn stalls_reach_their_target() {
    let every = |every| Conditions {
        stalls: Some((seconds(every), Duration::from_millis(80))),
        ..Conditions::CLEAN
    };
    reaches(every(2), 75.0, 3.95);
    reaches(every(5), 75.0, 4.15);
}

#[test]
fn jitter_reordering_and_duplicates_are_smoothed() {
    for loss in [0.0, 0.2] {
        let mut world = call(3, Conditions { loss, ..JITTER }, 14);
        let score = judge(&world, 2);
        assert!(
            score.pesq > 3.2 && score.delay_ms < 110.0,
            "{loss} {score:?}"
        );
        let stats = stats(&mut world, 1);
        assert!(stats.counters.replayed > 0 && stats.counters.malformed == 0);
    }
}

#[test]
fn a_narrow_network_carries_speech() {
    // A queue of eight seconds, of a fifth, and none to speak of.
    for queue in [64_000, 1_500, 500] {
        let narrow = Some((64_000, queue));
        let mut world = call(
            4,
            Conditions {
                narrow,
                ..Conditions::CLEAN
            },
            22,
        );
        let score = judge(&world, 10);
        let stats = stats(&mut world, 1);
        assert!(score.pesq > 3.0, "{queue} {score:?}");
        assert!(
            stats.send_rate < 64_000 && stats.grade == 4,
            "{queue} {stats:?}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_call_to_the_bit() {
    let conditions = Conditions {
        loss: 0.1,
        burst: 2,
        ..JITTER
    };
    let run = |seed| {
        let mut world = World::new(seed, conditions, speakers());
        world.run(seconds(4));
        let [first, second] = world.ends;
        (first.played, second.played, first.sent, second.sent)
    };
    let first = run(5);
    assert!(first == run(5));
    assert!(first != run(6));
}

/// How long the second end heard nothing of the first since `before`, at most.
fn gap(world: &mut World, before: &Statistics) -> Duration {
    let after = stats(world, 1).playout;
    let made_up = after.concealed + after.silent - before.playout.concealed - before.playout.silent;
    Duration::from_secs_f64(made_up as f64 / 48_000.0)
}

#[test]
fn a_change_of_address_on_either_side_is_survived() {
    for loss in [0.0, 0.1] {
        for (moves, tell) in [(0, false), (1, false), (0, true), (1, true)] {
            let mut world = World::new(
                7,
                Conditions {
                    loss,
                    ..Conditions::CLEAN
                },
                speakers(),
            );
            world.run(seconds(4));
            let before = stats(&mut world, 1);
            let new = address(7);
            world.ends[moves].address = new;
            if tell {
                let now = world.now;
                world.ends[1 - moves].media.handle_candidates(&[new], now);
            }
            world.run(seconds(2));
            let gap = gap(&mut world, &before);
            assert!(gap < Duration::from_millis(300), "{gap:?}");
            assert_eq!(world.ends[1 - moves].media.remote(), Some(new));
            assert_eq!(
                world.ends[moves].media.remote(),
                Some(address(1 - moves as u8))
            );
            let score = judge(&world, 0);
            assert!(score.pesq > 3.0, "{score:?}");
        }
    }
}

#[test]
fn both_addresses_may_change_at_once_when_the_session_tells() {
    let mut world = World::new(8, Conditions::CLEAN, speakers());
    world.run(seconds(2));
    let before = stats(&mut world, 1);
    for end in 0..2 {
        world.ends[end].address = address(10 + end as u8);
    }
    // The session is found again later than the sound was lost.
    world.run(Duration::from_millis(150));
    for end in 0..2 {
        let now = world.now;
        world.ends[end]
            .media
            .handle_candidates(&[address(11 - end as u8)], now);
    }
    world.run(seconds(2));
    let gap = gap(&mut world, &before);
    assert!(gap < Duration::from_millis(300), "{gap:?}");
}

#[test]
fn nobody_is_sent_sound_who_did_not_answer() {
    let mut world = World::new(9, Conditions::CLEAN, speakers());
    world.ends[1].address = address(99);
    world.conditions[1].loss = 1.0;
    world.run(seconds(20));
    let sent = &world.ends[0].sent;
    let bytes: usize = sent.iter().map(|(_, _, bytes)| bytes).sum();
    assert!(
        sent.iter()
            .all(|(_, to, bytes)| *to == address(1) && *bytes < 60)
    );
    assert!(
        sent.len() < 40 && bytes < 2_000,
        "{} packets, {bytes} bytes",
        sent.len()
    );
    assert_eq!(world.ends[0].media.remote(), None);
}

#[test]
fn sound_ends_when_the_peer_is_gone() {
    let mut world = World::new(9, Conditions::CLEAN, speakers());
    world.run(seconds(1));
    assert_eq!(world.ends[0].media.remote(), Some(address(1)));
    world.ends[1].address = address(99);
    world.ends[1].sound.clear();
    world.conditions[1].loss = 1.0;
    world.run(seconds(12));
    assert_eq!(world.ends[0].media.remote(), None);
    let late = world.now;
    world.run(seconds(2));
    assert!(
        world.ends[0]
            .sent
            .iter()
            .all(|(at, _, bytes)| *at < late || *bytes < 60)
    );
}

#[test]
fn lengths_of_packets_do_not_depend_on_what_is_said() {
    let tone = |samples: usize| {
        (0..samples)
            .map(|at| (at as f32 * 0.06).sin() * 0.5)
            .collect::<Vec<f32>>()
    };
    let length = SPEECH.len() / 4;
    let sounds = [SPEECH[..length].to_vec(), vec![0.0; length], tone(length)];
    for (frame, mode) in [
        (FrameLength::Ms5, Mode::Studio),
        (FrameLength::Ms10, Mode::Voice),
        (FrameLength::Ms20, Mode::Voice),
    ] {
        let mut sent = sounds.iter().map(|sound| {
            let sounds = [sound.clone(), SPEECH.clone()];
            let mut world = World::with(10, Conditions::CLEAN, sounds, |config| {
                (config.frame, config.encoder.mode) = (frame, mode);
            });
            world.run(seconds(2));
            world.ends[0].media.set_muted(true);
            world.run(seconds(1));
            assert!(world.ends[1].media.peer_capture().muted);
            world.ends[0].sent.split_off(0)
        });
        let first = sent.next().unwrap();
        assert!(sent.all(|sent| sent == first));
    }
}

#[test]
fn muted_and_held_calls_are_silent() {
    let mut world = World::new(11, Conditions::CLEAN, speakers());
    world.run(seconds(2));
    world.ends[0].media.set_muted(true);
    world.run(Duration::from_millis(300));
    let from = world.ends[1].played.len();
    world.run(seconds(2));
    let loud = |samples: &[f32]| samples.iter().any(|sample| sample.abs() > 0.003);
    assert!(!loud(&world.ends[1].played[from..]) && loud(&world.ends[0].played[from..]));
    world.ends[0].media.set_muted(false);
    world.ends[0].media.set_held(true);
    world.run(Duration::from_millis(300));
    let from = world.ends[1].played.len();
    world.run(seconds(2));
    assert!(!loud(&world.ends[1].played[from..]) && !loud(&world.ends[0].played[from..]));
    world.ends[0].media.set_held(false);
    world.run(seconds(2));
    assert!(loud(&world.ends[1].played[from..]) && loud(&world.ends[0].played[from..]));
}

#[test]
fn without_a_microphone_one_still_listens() {
    let mut world = World::new(12, Conditions::CLEAN, [SPEECH.clone(), Vec::new()]);
    world.run(seconds(10));
    assert!(world.ends[0].media.peer_capture().silent);
    assert!(!world.ends[1].media.peer_capture().silent);
    let stats = stats(&mut world, 1);
    assert_eq!((stats.playout.concealed, stats.send_loss), (0, 0.0));
    let score = judge(&world, 0);
    assert!(score.pesq > 4.0, "{score:?}");
}

#[test]
fn a_microphone_that_stalls_adds_no_delay() {
    let mut world = World::new(13, Conditions::CLEAN, speakers());
    world.run(seconds(4));
    // It gives nothing for a second, and what it had kept all at once.
    let sound = world.ends[0].sound.split_off(world.ends[0].captured);
    world.run(seconds(1));
    let now = world.now;
    world.ends[0].media.handle_capture(&sound[..48_000], now);
    world.ends[0].sound.extend(sound);
    world.ends[0].captured += 48_000;
    world.run(seconds(6));
    let end = &world.ends[0];
    let (heard, said) = (&world.ends[1].played, &end.sound);
    let score = ears::judge(said, heard, 6);
    assert!(score.pesq > 3.7 && score.delay_ms < 60.0, "{score:?}");
    assert!(stats(&mut world, 1).playout.delay_ms < 50.0);
}

#[test]
fn a_flood_from_a_third_host_changes_nothing() {
    let run = |flood: u32| {
        let mut world = World::new(15, Conditions::CLEAN, speakers());
        // With the key id of the call, which everybody can see, and numbers that are due.
        let mut forger = Sealer::new(&[66; 32], wire::config(1, Vec::new()).receive_kid);
        let mut forged = Vec::new();
        for _ in 0..500 {
            world.run(Duration::from_millis(1));
            for _ in 0..flood {
                forger.seal(&[1; 300], &mut forged).unwrap();
                let now = world.now;
                let media = &mut world.ends[1].media;
                assert!(media.handle_datagram(address(66), &forged, now).is_err());
            }
        }
        let remote = world.ends[1].media.remote();
        assert_eq!(remote, Some(address(0)));
        world.ends.map(|end| (end.played, end.sent))
    };
    // A hundred each millisecond.
    assert!(run(0) == run(100));
}

#[test]
fn studio_is_quicker() {
    let mut world = World::with(14, Conditions::CLEAN, speakers(), |config| {
        (config.frame, config.encoder.mode) = (FrameLength::Ms5, Mode::Studio);
        config.encoder.bitrate = 96_000;
    });
    world.run(seconds(12));
    let score = judge(&world, 2);
    assert!(score.pesq > 4.0 && score.delay_ms < 20.0, "{score:?}");
}
