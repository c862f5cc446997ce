//! Files on their way between hosts, as tests and measurements send and follow them.

use crate::host::{Host, PATIENCE};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Far more than a transfer over the slow lines of tests takes.
pub const ARRIVAL: Duration = Duration::from_secs(120);

/// Bytes that compress to nothing and repeat nowhere near.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes);
    write_noise(&mut out, bytes as u64, seed).expect("memory takes it");
    out
}

/// Writes so many bytes of [`noise`].
pub fn write_noise(to: &mut impl Write, bytes: u64, seed: u64) -> io::Result<()> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut left = bytes;
    while left > 0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_le_bytes();
        let taken = left.min(8);
        to.write_all(&word[..usize::try_from(taken).expect("at most 8")])?;
        left -= taken;
    }
    Ok(())
}

/// The folder from which a host sends.
pub fn outbox(host: &Host) -> PathBuf {
    let folder = host.home().join("outbox");
    fs::create_dir_all(&folder).expect("the host has a disk");
    folder
}

/// A file in the sender's own folder.
#[track_caller]
pub fn file(host: &Host, name: &str, contents: &[u8]) -> PathBuf {
    let path = outbox(host).join(name);
    fs::write(&path, contents).expect("there is room");
    path
}

/// A file of [`noise`] that memory would not hold.
#[track_caller]
pub fn large_file(host: &Host, name: &str, bytes: u64, seed: u64) -> PathBuf {
    let path = outbox(host).join(name);
    let mut to = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a new file"));
    write_noise(&mut to, bytes, seed).expect("there is room");
    to.flush().expect("there is room");
    path
}

/// Where files arrive.
pub fn downloads(host: &Host) -> PathBuf {
    host.home().join("downloads")
}

/// Offers something and returns the id of the transfer.
#[track_caller]
pub fn send(from: &Host, to: &str, path: &Path) -> String {
    let path = path.to_str().expect("tests give plain names");
    let offered = from.one(&["send", to, "--file", path, "--json"]);
    offered["id"].as_str().expect("it has an id").to_owned()
}

/// Takes what is offered.
#[track_caller]
pub fn accept(host: &Host, id: &str) {
    host.until("the offer is here", PATIENCE, |host| transfer(host, id));
    host.one(&["files", "accept", id, "--json"]);
}

/// A transfer as it is now.
#[track_caller]
pub fn transfer(host: &Host, id: &str) -> Option<Value> {
    let all = host.cli(&["files", "--json"]);
    all.into_iter().find(|transfer| transfer["id"] == id)
}

/// Waits until a transfer has this state.
#[track_caller]
pub fn until_state(host: &Host, id: &str, state: &str) -> Value {
    host.until(&format!("the transfer is {state}"), ARRIVAL, |host| {
        transfer(host, id).filter(|transfer| transfer["state"] == state)
    })
}

/// Waits until more than so many bytes have come.
#[track_caller]
pub fn until_moved(host: &Host, id: &str, more_than: u64) -> u64 {
    host.until("it has come further", ARRIVAL, |host| {
        let moved = transfer(host, id)?["moved"].as_u64()?;
        (moved > more_than).then_some(moved)
    })
}

/// What is right in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let inside = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = inside
        .map(|entry| entry.expect("it can be listed").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Everything below a folder: names, kinds, lengths, and of files what is in them.
///
/// Names are compared as they are, so both must have been safe.
#[track_caller]
pub fn assert_same_tree(one: &Path, other: &Path) {
    assert_eq!(
        names(one),
        names(other),
        "{} {}",
        one.display(),
        other.display()
    );
    for name in names(one) {
        let (a, b) = (one.join(&name), other.join(&name));
        let found = [&a, &b].map(|path| fs::symlink_metadata(path).expect("it is there"));
        assert_eq!(
            found[0].file_type(),
            found[1].file_type(),
            "{}",
            a.display()
        );
        if found[0].is_dir() {
            assert_same_tree(&a, &b);
        } else {
            assert_eq!(found[0].size(), found[1].size(), "{}", a.display());
            assert!(is_same(&a, &b), "{} differs", a.display());
        }
    }
}

/// Two files have the same bytes, however many.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let open = |path| BufReader::with_capacity(1 << 20, File::open(path).expect("it can be read"));
    let (mut one, mut other) = (open(one), open(other));
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = read_full(&mut one, &mut a);
        if read != read_full(&mut other, &mut b) || a[..read] != b[..read] {
            return false;
        }
        if read == 0 {
            return true;
        }
    }
}

fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]).expect("it can be read") {
            0 => break,
            read => filled += read,
        }
    }
    filled
}
