//! What files are compared with inside this program: bare TCP and a bare Noise stream, each from
//! file to file over one connection, and the cipher alone.

use crate::baseline::serve;
use crate::handshake::{connect, local_keys};
use crate::place::Link;
use hallway_proto::handshake::{RECORD_OVERHEAD, RECORD_PLAINTEXT_MAX, Suite, Transport};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one read or write of the bare streams: a record, or as good as one.
const BLOCK_BYTES: usize = RECORD_PLAINTEXT_MAX;
const RECORD_BYTES: usize = RECORD_PLAINTEXT_MAX + RECORD_OVERHEAD;
/// Bytes taken from a socket at once.
const RECEIVE_BYTES: usize = 4 * RECORD_BYTES;

/// Copies a file from host 0 to host 1 as it is. To be called on host 0.
pub(crate) fn tcp(link: &Link<'_>, from: &Path, to: &Path) -> anyhow::Result<Duration> {
    let mut to = File::create(to)?;
    let address = serve(link, move |mut stream| {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match stream.read(&mut block)? {
                0 => return stream.write_all(b"."),
                read => to.write_all(&block[..read])?,
            }
        }
    })?;
    let (mut from, mut block) = (File::open(from)?, vec![0; BLOCK_BYTES]);
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    loop {
        match from.read(&mut block)? {
            0 => break,
            read => stream.write_all(&block[..read])?,
        }
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok(start.elapsed())
}

/// Copies a file from host 0 to host 1 through a Noise session: a thread at each end, nothing
/// hashed, nothing checked but by the cipher. To be called on host 0.
pub(crate) fn noise(
    link: &Link<'_>,
    suite: Suite,
    from: &Path,
    to: &Path,
) -> anyhow::Result<Duration> {
    let (mut near, far) = transports(suite)?;
    let mut from = File::open(from)?;
    let (bytes, mut to) = (from.metadata()?.len(), File::create(to)?);
    let address = serve(link, move |stream| take(stream, far, &mut to, bytes))?;
    let (mut block, mut sealed) = (vec![0; BLOCK_BYTES], vec![0; RECORD_BYTES]);
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            break;
        }
        let length = near.seal_into(&block[..read], &mut sealed)?;
        stream.write_all(&sealed[..length])?;
        if near.outgoing().rekey_due() {
            near.rekey_outgoing();
        }
    }
    stream.read_exact(&mut [0])?;
    Ok(start.elapsed())
}

fn take(mut stream: TcpStream, mut far: Transport, to: &mut File, bytes: u64) -> io::Result<()> {
    let (mut sealed, mut block) = (vec![0; RECEIVE_BYTES], vec![0; RECORD_BYTES]);
    let (mut end, mut written, mut usage) = (0, 0, 0);
    while written < bytes {
        match stream.read(&mut sealed[end..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => end += read,
        }
        let mut start = 0;
        while let Some((length, rest)) = sealed[start..end].split_first_chunk()
            && let Some(record) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            let plain = far.open_into(record, &mut block);
            let plain = plain.map_err(io::Error::other)?;
            to.write_all(&block[..plain])?;
            start += record.len() + 2;
            written += plain as u64;
            usage += plain;
            // As the other end does: after the record with which a gibibyte is full.
            if usage >= 1 << 30 {
                far.rekey_incoming();
                usage = 0;
            }
        }
        sealed.copy_within(start..end, 0);
        end -= start;
    }
    stream.write_all(b".")
}

/// Seals and opens so many bytes on one core and returns how long each took.
pub(crate) fn cipher(suite: Suite, bytes: usize) -> anyhow::Result<[Duration; 2]> {
    let (mut near, mut far) = transports(suite)?;
    let (plain, mut sealed) = (vec![7; RECORD_PLAINTEXT_MAX], vec![0; 16 * RECORD_BYTES]);
    let mut opened = vec![0; RECORD_BYTES];
    let mut times = [Duration::ZERO; 2];
    for _ in 0..bytes.div_ceil(16 * RECORD_PLAINTEXT_MAX) {
        let start = Instant::now();
        for out in sealed.chunks_mut(RECORD_BYTES) {
            near.seal_into(&plain, out)?;
        }
        let between = Instant::now();
        for record in sealed.chunks(RECORD_BYTES) {
            far.open_into(&record[2..], &mut opened)?;
        }
        times[0] += between - start;
        times[1] += between.elapsed();
    }
    Ok(times)
}

fn transports(suite: Suite) -> anyhow::Result<(Transport, Transport)> {
    let (near, far) = connect(&local_keys("Ann", 1)?, &local_keys("Ben", 2)?, suite)?;
    Ok((near.transport, far.transport))
}
