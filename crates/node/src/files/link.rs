//! One connection for files: blocking, with buffers that are used again and again.

use super::give_way;
use super::pace::Pace;
use hallway_proto::bulk::{BulkError, CHAIN_BYTES, GROUP_BYTES, Message, Piece};
use hallway_proto::handshake::{
    Established, RECORD_OVERHEAD, RECORD_PLAINTEXT_MAX, RecordError, Transport,
};
use rustix::net::RecvFlags;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a record, its length included.
const RECORD_BYTES_MAX: usize = RECORD_PLAINTEXT_MAX + RECORD_OVERHEAD;
/// Bytes taken from the socket at once: a group, so that its records need not be moved.
const RECEIVE_BYTES: usize = 17 * RECORD_BYTES_MAX;
const GROUP: usize = 1 << 20;
const _: () = assert!(GROUP as u64 == GROUP_BYTES);
/// A group with its hash and the messages around it, sealed, leaves in one write.
const SEND_BYTES: usize = (GROUP / RECORD_PLAINTEXT_MAX + 3) * RECORD_BYTES_MAX;
/// A buffer for a group has so many bytes: its hash, and room in which the cipher works.
pub(super) const GROUP_BUFFER_BYTES: usize = GROUP + CHAIN_BYTES + RECORD_OVERHEAD;
/// Silence of the other side after which a connection counts as dead while something is due.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Why a connection for files ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The network.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The disk with what is sent.
    #[error("what is sent cannot be read: {0}")]
    Source(io::Error),
    /// The peer's fault, or of somebody between us.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The peer's fault.
    #[error("{0}")]
    Bulk(#[from] BulkError),
    /// The peer's fault: out of turn, or not what was asked for.
    #[error("the other side sent {0}")]
    Unexpected(&'static str),
}

/// See the module.
pub(super) struct Link {
    stream: TcpStream,
    transport: Transport,
    /// Received, from `start` to `end` not yet opened.
    received: Vec<u8>,
    start: usize,
    end: usize,
    /// Sealed, up to `sealed` not yet sent.
    outgoing: Vec<u8>,
    sealed: usize,
    scratch: Vec<u8>,
    plain: Vec<u8>,
    pace: Option<Arc<Pace>>,
}

impl Link {
    /// Takes over a connection after its handshake.
    pub(super) fn new(stream: TcpStream, established: Established) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        let leftover = established.leftover;
        let mut received = vec![0; RECEIVE_BYTES.max(leftover.len())];
        received[..leftover.len()].copy_from_slice(&leftover);
        Ok(Self {
            stream,
            transport: established.transport,
            received,
            start: 0,
            end: leftover.len(),
            outgoing: vec![0; SEND_BYTES],
            sealed: 0,
            scratch: vec![0; RECORD_BYTES_MAX],
            plain: Vec::new(),
            pace: None,
        })
    }

    /// Sends no faster than this from now on.
    pub(super) fn limit(&mut self, pace: Option<Arc<Pace>>) {
        self.pace = pace;
    }

    /// A handle with which another thread can end the connection.
    pub(super) fn stream(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// How long silence may last: for ever while nothing is due from the other side.
    pub(super) fn expect_silence(&self, silence: bool) -> Result<(), LinkError> {
        self.stream
            .set_read_timeout(Some(SILENCE_MAX).filter(|_| !silence))?;
        Ok(())
    }

    /// How long silence may last from now on.
    pub(super) fn bear_silence(&self, most: Duration) -> Result<(), LinkError> {
        self.stream.set_read_timeout(Some(most))?;
        Ok(())
    }

    /// Seals a message; it leaves with the next [`Link::flush`].
    pub(super) fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        if self.transport.outgoing().rekey_due() {
            self.seal_message(&Message::Rekey)?;
            self.transport.rekey_outgoing();
        }
        self.seal_message(message)
    }

    fn seal_message(&mut self, message: &Message) -> Result<(), LinkError> {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        message.encode(&mut plain);
        let sealed = self.seal(&plain);
        self.plain = plain;
        sealed
    }

    /// Sends the bytes of a group, and behind them their hash, for which the buffer has room.
    pub(super) fn send_group(
        &mut self,
        group: u64,
        piece: Piece,
        hash: &[u8; CHAIN_BYTES],
        buffer: &mut [u8],
    ) -> Result<(), LinkError> {
        let bytes = piece.bytes as usize;
        buffer[bytes..bytes + CHAIN_BYTES].copy_from_slice(hash);
        self.send(&Message::Group {
            group,
            bytes: piece.bytes,
        })?;
        self.send_bytes(&buffer[..bytes + CHAIN_BYTES])?;
        give_way(bytes);
        Ok(())
    }

    /// Seals bytes as records that hold nothing else.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        for piece in bytes.chunks(RECORD_PLAINTEXT_MAX) {
            self.seal(piece)?;
        }
        Ok(())
    }

    fn seal(&mut self, plain: &[u8]) -> Result<(), LinkError> {
        if self.outgoing.len() - self.sealed < plain.len() + RECORD_OVERHEAD {
            self.flush()?;
        }
        let room = &mut self.outgoing[self.sealed..];
        self.sealed += self.transport.seal_into(plain, room)?;
        Ok(())
    }

    /// Sends what was sealed.
    pub(super) fn flush(&mut self) -> Result<(), LinkError> {
        let sealed = &self.outgoing[..self.sealed];
        if let Some(pace) = &self.pace {
            for slice in sealed.chunks(pace.slice_bytes()) {
                pace.wait(slice.len());
                self.stream.write_all(slice)?;
            }
        } else {
            self.stream.write_all(sealed)?;
        }
        self.sealed = 0;
        Ok(())
    }

    /// The next message, when it comes.
    pub(super) fn receive(&mut self) -> Result<Message, LinkError> {
        loop {
            let record = self.whole_record()?;
            if let Some(message) = self.open_message(record)? {
                return Ok(message);
            }
        }
    }

    /// The next message, if it is there already.
    pub(super) fn receive_ready(&mut self) -> Result<Option<Message>, LinkError> {
        loop {
            let Some(record) = self.record() else {
                self.make_room();
                let room = &mut self.received[self.end..];
                match rustix::net::recv(&self.stream, room, RecvFlags::DONTWAIT) {
                    Ok((0, _)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    Ok((read, _)) => self.end += read,
                    Err(rustix::io::Errno::AGAIN) => return Ok(None),
                    Err(error) => return Err(io::Error::from(error).into()),
                }
                continue;
            };
            if let Some(message) = self.open_message(record)? {
                return Ok(Some(message));
            }
        }
    }

    /// Fills the front of `out` with bytes that the other side sends as records of their own.
    /// `out` has room for [`RECORD_OVERHEAD`] bytes more.
    pub(super) fn receive_bytes(&mut self, out: &mut [u8], bytes: usize) -> Result<(), LinkError> {
        let mut filled = 0;
        while filled < bytes {
            let record = self.whole_record()?;
            let plain = record.len().saturating_sub(RECORD_OVERHEAD - 2);
            if plain == 0 || plain > bytes - filled {
                return Err(LinkError::Unexpected(
                    "another amount of bytes than it said",
                ));
            }
            let record = &self.received[record.clone()];
            filled += self.transport.open_into(record, &mut out[filled..])?;
            self.start += record.len() + 2;
        }
        Ok(())
    }

    fn open_message(
        &mut self,
        record: std::ops::Range<usize>,
    ) -> Result<Option<Message>, LinkError> {
        let record = &self.received[record];
        let length = self.transport.open_into(record, &mut self.scratch)?;
        self.start += record.len() + 2;
        let message = Message::decode(&self.scratch[..length])?;
        if message == Message::Rekey {
            self.transport.rekey_incoming();
            return Ok(None);
        }
        Ok(Some(message).filter(|message| !matches!(message, Message::Unknown(_))))
    }

    /// Where the next record is, once all of it is there.
    fn whole_record(&mut self) -> Result<std::ops::Range<usize>, LinkError> {
        loop {
            if let Some(record) = self.record() {
                return Ok(record);
            }
            self.make_room();
            match self.stream.read(&mut self.received[self.end..]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Where the next record is, without its length, if all of it is there.
    fn record(&self) -> Option<std::ops::Range<usize>> {
        let waiting = &self.received[self.start..self.end];
        let (length, rest) = waiting.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let first = self.start + 2;
        (rest.len() >= length).then_some(first..first + length)
    }

    /// Moves what waits to the front when the rest of its record might not fit behind it.
    fn make_room(&mut self) {
        if self.received.len() - self.start < RECORD_BYTES_MAX || self.start == self.end {
            self.received.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}
