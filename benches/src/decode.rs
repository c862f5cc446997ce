//! The most memory that one frame of a peer can take while it is decoded.

use anyhow::{Context, ensure};
use hallway_model::PeerId;
use hallway_proto::frame::Frame;
use hallway_proto::handshake::RECORD_PLAINTEXT_MAX;
use std::fs;
use std::process::Command;

/// The argument with which this program measures itself and prints a number of bytes.
pub(crate) const ARGUMENT: &str = "decode-hostile-frames";
/// Types of frames, known and of a later version.
const TYPES: std::ops::RangeInclusive<u8> = 1..=UNKNOWN;
/// A type that no version has yet.
const UNKNOWN: u8 = 40;
/// Names of fields, known and of a later version.
const FIELDS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
/// Items to fill a frame with, in CBOR: 0, h'', "", [], {}, "x", an id, and nested arrays.
const ITEMS: [&[u8]; 8] = [
    &[0x00],
    &[0x40],
    &[0x60],
    &[0x80],
    &[0xa0],
    &[0x61, b'x'],
    &[0x50, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    &[0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x00],
];
/// Room for what stands around the items.
const AROUND: usize = 64;

/// Measures in a process of its own: memory that was freed before and is used again would not
/// be seen.
pub(crate) fn peak_in_a_child() -> anyhow::Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .arg(ARGUMENT)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Decodes frames as long as a record allows, each made to grow in another way, and returns by
/// how many bytes memory has grown at most.
pub(crate) fn peak() -> anyhow::Result<f64> {
    let before = resident("VmRSS:")?;
    for field in FIELDS {
        for map in maps(*field) {
            for kind in TYPES {
                decode(&[&[kind], &map[..]].concat())?;
            }
        }
    }
    let mut decoded = 0;
    for map in FIELDS.iter().flat_map(|field| maps(*field)) {
        decoded += usize::from(decode(&message(&map))?);
    }
    ensure!(decoded > 0, "no message reached the decoder of bodies");
    Ok(resident("VmHWM:")? - before)
}

/// Decodes a frame, and the body when it is a message; true for a message. What it decodes to,
/// or why it does not, is for the tests of the decoder.
fn decode(frame: &[u8]) -> anyhow::Result<bool> {
    ensure!(
        frame.len() <= RECORD_PLAINTEXT_MAX,
        "a frame of {} bytes",
        frame.len()
    );
    let Ok(Frame::Message(envelope)) = Frame::decode(frame) else {
        return Ok(false);
    };
    let _ = envelope.open(PeerId([1; 32]));
    Ok(true)
}

/// Maps of one field as long as a record allows.
fn maps(field: u8) -> Vec<Vec<u8>> {
    let room = RECORD_PLAINTEXT_MAX - 2 * AROUND;
    let map = |major: u8, count: usize, content: &[u8]| {
        let mut map = vec![0xa1, 0x61, field];
        head(major, count, &mut map);
        map.extend_from_slice(content);
        map
    };
    let string = vec![b'x'; room];
    let mut maps = vec![map(2, room, &string), map(3, room, &string)];
    for item in ITEMS {
        let count = room / item.len();
        maps.push(map(4, count, &item.repeat(count)));
        let pair = [&[0x61, b'k'], item].concat();
        let count = room / pair.len();
        maps.push(map(5, count, &pair.repeat(count)));
    }
    maps
}

/// A message with this body.
fn message(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0xa5, 0x61, b'i', 0x50];
    frame.extend_from_slice(&[1; 16]);
    frame.extend_from_slice(&[0x61, b'q', 1, 0x61, b't', 1, 0x61, b'k', 1, 0x61, b'b']);
    head(2, body.len(), &mut frame);
    frame.extend_from_slice(body);
    frame
}

/// An initial byte and its argument, in the shortest form.
fn head(major: u8, count: usize, out: &mut Vec<u8>) {
    match u16::try_from(count).map(u16::to_be_bytes) {
        Ok([0, low @ 0..24]) => out.push(major << 5 | low),
        Ok([0, low]) => out.extend([major << 5 | 24, low]),
        Ok([high, low]) => out.extend([major << 5 | 25, high, low]),
        Err(_) => unreachable!("a record is shorter"),
    }
}

/// A line of `/proc/self/status`, in bytes.
fn resident(line: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|text| text.strip_prefix(line));
    let kib = value
        .and_then(|value| value.split_whitespace().next())
        .context("no such line")?;
    Ok(kib.parse::<f64>()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_are_well_formed() {
        for map in maps(b'z') {
            assert_eq!(
                Frame::decode(&[&[UNKNOWN], &map[..]].concat()),
                Ok(Frame::Unknown(UNKNOWN))
            );
            assert!(decode(&message(&map)).unwrap());
        }
    }
}
