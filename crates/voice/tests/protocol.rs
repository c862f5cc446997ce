//! Test vectors of media, `crates/proto/vectors/media.json`: what is encoded, sealed and decoded
//! here must be what the file says. `HALLWAY_WRITE_VECTORS=1` writes it anew.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use hallway_voice::codec::FrameLength;
use hallway_voice::packet::{CaptureState, Frame, MediaPacket, Packet, Report};
use hallway_voice::sframe::{Header, Opener, Sealer};
use serde_json::{Value, json};
use std::path::Path;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn packets() -> Vec<(&'static str, Packet<'static>)> {
    let frame = |age, length, payload| Frame {
        age,
        length,
        payload,
    };
    let report = Report {
        echo: 0x0102_0304,
        loss: 51,
        burst: 4,
        jitter: 75,
        queue_ms: 12,
        rate_kbps: 328,
    };
    let media = |muted, silent, report, frames: &[Frame<'static>]| {
        Packet::Media(MediaPacket {
            timestamp: 4_294_967_040,
            sent: 123_456_789,
            capture: CaptureState { muted, silent },
            report,
            frames: frames.to_vec(),
        })
    };
    let copies = [
        frame(0, FrameLength::Ms10, &[0xd0, 1, 2][..]),
        frame(2, FrameLength::Ms10, &[0xd0, 3][..]),
        frame(63, FrameLength::Ms20, &[0xd8, 4][..]),
        frame(1, FrameLength::Ms5, &[0xc8][..]),
    ];
    vec![
        (
            "first, nothing to report yet",
            media(false, false, None, &copies[..1]),
        ),
        (
            "with copies and a report",
            media(false, false, Some(report), &copies),
        ),
        ("muted", media(true, false, Some(report), &copies[..2])),
        ("no microphone", media(false, true, Some(report), &[])),
        ("challenge", Packet::Challenge(*b"question")),
        ("response", Packet::Response(*b"question")),
    ]
}

fn fields(packet: &Packet<'_>) -> Value {
    match packet {
        Packet::Challenge(token) => json!({"kind": 2, "token": hex(token)}),
        Packet::Response(token) => json!({"kind": 3, "token": hex(token)}),
        Packet::Media(media) => json!({
            "kind": 1,
            "timestamp": media.timestamp,
            "sent": media.sent,
            "muted": media.capture.muted,
            "silent": media.capture.silent,
            "report": media.report.map(|report| json!({
                "echo": report.echo,
                "loss": report.loss,
                "burst": report.burst,
                "jitter": report.jitter,
                "queue": report.queue_ms,
                "rate": report.rate_kbps,
            })),
            "frames": media.frames.iter().map(|frame| json!({
                "age": frame.age,
                "ms": frame.length.ms(),
                "payload": hex(frame.payload),
            })).collect::<Vec<_>>(),
        }),
    }
}

/// Plaintexts that are refused, and why.
fn refused() -> [(&'static str, Vec<u8>); 7] {
    let mut media = Vec::new();
    packets()[0].1.encode(&mut media);
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = media.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    [
        ("truncated", Vec::new()),
        ("truncated", media[..media.len() - 1].to_vec()),
        ("frames", changed(22, &[6])),
        ("payload", changed(24, &[0, 0])),
        ("payload", changed(24, &1_276_u16.to_be_bytes())),
        ("duration", changed(23, &[0xc0])),
        ("kind", changed(0, &[4])),
    ]
}

fn vectors() -> Value {
    let mut encoded = Vec::new();
    let packets = packets().into_iter().map(|(name, packet)| {
        packet.encode(&mut encoded);
        json!({"name": name, "fields": fields(&packet), "bytes": hex(&encoded)})
    });
    let packets: Vec<_> = packets.collect();
    let (key, kid) = ([0x42; 32], 0x0123_4567_89ab_cdef);
    let mut sealer = Sealer::new(&key, kid);
    let sealed = packets.iter().cycle().take(10).map(|packet| {
        let (plaintext, mut datagram) = (bytes(&packet["bytes"]), Vec::new());
        let counter = sealer.seal(&plaintext, &mut datagram).unwrap();
        json!({"counter": counter, "plaintext": hex(&plaintext), "datagram": hex(&datagram)})
    });
    json!({
        "sealed": {
            "base_key": hex(&key),
            "kid": format!("{kid:016x}"),
            "packets": sealed.collect::<Vec<_>>(),
        },
        "refused": refused().map(|(why, bytes)| json!({"why": why, "bytes": hex(&bytes)})),
        "packets": packets,
    })
}

fn written() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/vectors/media.json");
    if std::env::var_os("HALLWAY_WRITE_VECTORS").is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&vectors()).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

#[test]
fn what_is_written_is_what_the_vectors_say() {
    assert!(
        written() == vectors(),
        "media.json differs: has the protocol changed?"
    );
}

#[test]
fn what_the_vectors_say_is_understood() {
    let written = written();
    for vector in written["packets"].as_array().unwrap() {
        let bytes = bytes(&vector["bytes"]);
        assert_eq!(fields(&Packet::decode(&bytes).unwrap()), vector["fields"]);
    }
    for vector in written["refused"].as_array().unwrap() {
        let error = format!(
            "{:?}",
            Packet::decode(&bytes(&vector["bytes"])).unwrap_err()
        );
        let why = error.split('(').next().unwrap().to_lowercase();
        assert_eq!(why, vector["why"].as_str().unwrap());
    }
    let sealed = &written["sealed"];
    let kid = u64::from_str_radix(sealed["kid"].as_str().unwrap(), 16).unwrap();
    let opener = Opener::new(&bytes(&sealed["base_key"]).try_into().unwrap(), kid);
    for vector in sealed["packets"].as_array().unwrap() {
        let mut datagram = bytes(&vector["datagram"]);
        let header = Header::decode(&datagram).unwrap();
        assert_eq!(header.0.counter, vector["counter"].as_u64().unwrap());
        let plaintext = opener.open(header, &mut datagram).unwrap();
        assert_eq!(plaintext, bytes(&vector["plaintext"]));
    }
}
