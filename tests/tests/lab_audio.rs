//! The rooms: what is said into one microphone is heard there, and only there, with the delay and
//! the quality that it really has.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::audio::{Rooms, Voice, score, speech};
use hallway_tests::lab::{Lan, Line};
use hallway_tests::room_tests;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

room_tests![
    threads = 2;
    a_microphone_hears_what_is_said_there_and_nothing_else,
    the_delay_is_measured_to_the_sample,
    a_passage_over_a_wire_is_measured,
    rooms_do_not_meet,
];

/// A sentence or two.
const A_WHILE: Duration = Duration::from_secs(5);
/// More than a program of PulseAudio keeps in its buffers.
const BUFFERED: Duration = Duration::from_secs(1);

fn a_microphone_hears_what_is_said_there_and_nothing_else() {
    let rooms = Rooms::of(2);
    let (high, low) = (speech(Voice::High), speech(Voice::Low));
    let recorder = rooms.record();
    let speakers = [rooms.say(0, &high), rooms.say(1, &low)];
    recorder.go_on(A_WHILE + BUFFERED);
    drop(speakers);
    let recording = recorder.stop();
    for (host, text) in [(0, &high), (1, &low)] {
        let said = recording.said(host);
        let begun = said.iter().position(|sample| sample.abs() > 1e-3).unwrap();
        let begins = text.iter().position(|sample| sample.abs() > 1e-3).unwrap();
        let (said, text) = (&said[begun..], &text[begins..]);
        let mut differ = said.iter().zip(text).take(48_000 * 3).enumerate();
        let differs = differ.find(|(_, (said, text))| (*said - *text).abs() > 1e-4);
        assert_eq!(differs, None, "host {host}");
        assert!(recording.heard(host).iter().all(|sample| *sample == 0.0));
    }
}

/// What comes out of a speaker a tenth of a second after it was said, to the sample, is seen to.
fn the_delay_is_measured_to_the_sample() {
    const LATER: usize = 4800;
    let rooms = Rooms::of(2);
    let said = speech(Voice::High);
    let heard = [vec![0.0; LATER], said.clone()].concat();
    // One stream for all channels: whatever delays it delays both alike.
    let frames = said
        .iter()
        .zip(&heard)
        .flat_map(|(said, heard)| [*said, 0.0, 0.0, *heard]);
    let bytes: Vec<u8> = frames.flat_map(f32::to_le_bytes).collect();
    let recorder = rooms.record();
    let map = "--channel-map=aux0,aux1,aux2,aux3";
    let mut tool = pacat(&rooms, "pacat", "air", &["--channels=4", map]);
    let mut child = tool.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let writing = thread::spawn(move || pipe.write_all(&bytes));
    recorder.go_on(Duration::from_secs(10));
    child.kill().unwrap();
    child.wait().unwrap();
    // It may have been killed before it took all.
    let _ = writing.join().unwrap();
    let recording = recorder.stop();
    let score = score(recording.said(0), recording.heard(1)).unwrap();
    assert_eq!(score.latency, Duration::from_millis(100));
    assert!(
        score.lags.iter().all(|lag| lag.latency == score.latency),
        "{score:?}"
    );
    assert!(score.pesq > 4.63, "{score:?}");
    assert!(
        recording
            .said(1)
            .iter()
            .chain(recording.heard(0))
            .all(|sample| *sample == 0.0)
    );
}

/// From microphone to speaker by other programs, with so much in their buffers that no load of
/// the machine shows, and between hosts by a wire.
fn a_passage_over_a_wire_is_measured() {
    const DELAY: Duration = Duration::from_millis(150);
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let line = Line {
        delay: DELAY,
        ..Line::default()
    };
    let _wire = lan.wire(0, line, 1);
    let far = lan.inside(1, || UdpSocket::bind((lan.ipv4(1), 0)).unwrap());
    let near = lan.inside(0, || UdpSocket::bind((lan.ipv4(0), 0)).unwrap());
    near.connect(far.local_addr().unwrap()).unwrap();
    let said = speech(Voice::High);
    let recorder = rooms.record();
    let mono = ["--channels=1", "--latency-msec=200"];
    let mut from = pacat(&rooms, "parec", &rooms.microphone(0), &mono);
    let mut from = from.stdout(Stdio::piped()).spawn().unwrap();
    let mut to = pacat(&rooms, "pacat", &rooms.speaker(1), &mono);
    let mut to = to.stdin(Stdio::piped()).spawn().unwrap();
    let (mut heard, mut spoken) = (from.stdout.take().unwrap(), to.stdin.take().unwrap());
    let sending = thread::spawn(move || {
        let mut samples = [0; 960];
        while heard.read_exact(&mut samples).is_ok() && near.send(&samples).is_ok() {}
        // An empty datagram is the end.
        near.send(&[]).unwrap();
    });
    let receiving = thread::spawn(move || {
        let mut samples = [0; 960];
        while let Ok(length @ 1..) = far.recv(&mut samples)
            && spoken.write_all(&samples[..length]).is_ok()
        {}
    });
    let _speaker = rooms.say(0, &said);
    recorder.go_on(Duration::from_secs(12));
    let recording = recorder.stop();
    from.kill().unwrap();
    sending.join().unwrap();
    receiving.join().unwrap();
    for child in [&mut from, &mut to] {
        let _ = child.kill();
        child.wait().unwrap();
    }
    let score = score(recording.said(0), recording.heard(1)).unwrap();
    assert!(score.latency > DELAY && score.pesq > 4.0, "{score:?}");
}

fn rooms_do_not_meet() {
    let (one, other) = (Rooms::of(1), Rooms::of(1));
    let recorder = other.record();
    let said = speech(Voice::Low);
    let _speaker = one.say(0, &said);
    recorder.go_on(A_WHILE);
    assert!(recorder.stop().said(0).iter().all(|sample| *sample == 0.0));
}

/// One of PulseAudio's own programs.
fn pacat(rooms: &Rooms, name: &str, device: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command
        .args(["--raw", "--format=float32le", "--rate=48000"])
        .arg(format!("--device={device}"))
        .args(args)
        .envs(rooms.environment());
    command
}
