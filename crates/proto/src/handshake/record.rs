//! Records: what flows after the handshake. Each is a length of 2 bytes, most significant first,
//! and that many bytes of ciphertext.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::noise::TAG_BYTES;
use snow::TransportState;
use std::fmt;
use std::time::Duration;

/// Longest plaintext of one record: Noise allows messages of 65,535 bytes, tag included.
pub const RECORD_PLAINTEXT_MAX: usize = 65_535 - TAG_BYTES;

/// Bytes by which a record is longer than its plaintext: its length and its tag.
pub const RECORD_OVERHEAD: usize = 2 + TAG_BYTES;

/// A sender rekeys after this many records,
pub const REKEY_RECORDS: u64 = 1 << 16;
/// or this many bytes of plaintext,
pub const REKEY_BYTES: u64 = 1 << 30;
/// or this long, whichever is first: what is exposed by a stolen key stays small.
pub const REKEY_INTERVAL: Duration = Duration::from_secs(600);

/// A key takes this many times what a sender should use it for. Slack, because a sender may not
/// come to it at once; far inside what either cipher can bear (2^32 blocks for AES-GCM).
const OVERUSE: u64 = 4;

/// How much one key has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Records sealed or opened.
    pub records: u64,
    /// Bytes of plaintext in them.
    pub bytes: u64,
}

impl Usage {
    /// The sender should rekey before its next record.
    pub fn rekey_due(self) -> bool {
        self.records >= REKEY_RECORDS || self.bytes >= REKEY_BYTES
    }

    /// The key must not be used any more.
    fn overused(self) -> bool {
        self.records >= REKEY_RECORDS.saturating_mul(OVERUSE)
            || self.bytes >= REKEY_BYTES.saturating_mul(OVERUSE)
    }

    fn add(&mut self, plaintext: usize) {
        self.records = self.records.saturating_add(1);
        let bytes = u64::try_from(plaintext).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Why a record was not sealed or opened. The session is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The peer's fault, or of somebody between us: changed, replayed, out of order, or under a
    /// key that the other side should not be using.
    #[error("a record was tampered with, or the keys of both sides differ")]
    Tampered,
    /// The peer's fault: it went on under one key for too long.
    #[error("the other side did not rekey")]
    PeerDidNotRekey,
    /// A bug here: this side went on under one key for too long.
    #[error("this side did not rekey; this is a bug in Hallway")]
    DidNotRekey,
    /// A bug here.
    #[error("{0} bytes do not fit one record; this is a bug in Hallway")]
    TooLong(usize),
}

/// Seals records to the peer and opens those from it.
pub struct Transport {
    noise: TransportState,
    outgoing: Usage,
    incoming: Usage,
    received: Received,
}

impl Transport {
    pub(super) fn new(noise: TransportState) -> Self {
        Self {
            noise,
            outgoing: Usage::default(),
            incoming: Usage::default(),
            received: Received::default(),
        }
    }

    /// Appends one record that holds `plaintext`.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let ciphertext = plaintext.len().saturating_add(TAG_BYTES);
        let length =
            u16::try_from(ciphertext).map_err(|_| RecordError::TooLong(plaintext.len()))?;
        if self.outgoing.overused() {
            return Err(RecordError::DidNotRekey);
        }
        out.extend_from_slice(&length.to_be_bytes());
        let start = out.len();
        out.resize(start.saturating_add(ciphertext), 0);
        let (_, record) = out.split_at_mut(start);
        let sealed = self.noise.write_message(plaintext, record);
        // The lengths are right and the nonce cannot run out before the key is overused.
        assert_eq!(sealed, Ok(ciphertext), "a record that fits was not sealed");
        self.outgoing.add(plaintext.len());
        Ok(())
    }

    /// Puts one record that holds `plaintext` at the front of `out` and returns its length. For
    /// much data: nothing is allocated. `out` has room for [`RECORD_OVERHEAD`] more bytes than
    /// the plaintext.
    pub fn seal_into(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, RecordError> {
        let ciphertext = plaintext.len().saturating_add(TAG_BYTES);
        let too_long = RecordError::TooLong(plaintext.len());
        let length = u16::try_from(ciphertext).map_err(|_| too_long)?;
        if self.outgoing.overused() {
            return Err(RecordError::DidNotRekey);
        }
        let (head, rest) = out.split_first_chunk_mut().ok_or(too_long)?;
        let record = rest.get_mut(..ciphertext).ok_or(too_long)?;
        *head = length.to_be_bytes();
        let sealed = self.noise.write_message(plaintext, record);
        // The lengths are right and the nonce cannot run out before the key is overused.
        assert_eq!(sealed, Ok(ciphertext), "a record that fits was not sealed");
        self.outgoing.add(plaintext.len());
        Ok(ciphertext.saturating_add(2))
    }

    /// Opens one whole record, without its length, and puts its plaintext at the front of `out`,
    /// which is at least as long as the record. For a caller that keeps what it received itself:
    /// not to be mixed with [`Self::push`]. After an error every later call fails too.
    pub fn open_into(&mut self, record: &[u8], out: &mut [u8]) -> Result<usize, RecordError> {
        if self.incoming.overused() {
            return Err(RecordError::PeerDidNotRekey);
        }
        let opened = self.noise.read_message(record, out);
        let length = opened.map_err(|_| RecordError::Tampered)?;
        self.incoming.add(length);
        Ok(length)
    }

    /// Takes received bytes. [`Self::open`] until it says that there is no more, and at most one
    /// record is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.push(bytes);
    }

    /// Puts the plaintext of the next record into `plaintext`, which is cleared first. False when
    /// there is no whole record. After an error every later call fails too.
    pub fn open(&mut self, plaintext: &mut Vec<u8>) -> Result<bool, RecordError> {
        let Some(record) = self.received.record() else {
            plaintext.clear();
            self.received.release();
            return Ok(false);
        };
        // As long as the ciphertext: ring then decrypts in place, with less room in a copy. Not
        // cleared before, so that only what was never used is filled with zeros.
        plaintext.resize(record.len(), 0);
        let opened = if self.incoming.overused() {
            Err(RecordError::PeerDidNotRekey)
        } else {
            let opened = self.noise.read_message(record, plaintext);
            opened.map_err(|_| RecordError::Tampered)
        };
        // A bad record stays at the front and is found bad again.
        plaintext.truncate(*opened.as_ref().unwrap_or(&0));
        let length = opened?;
        self.received.consume();
        self.incoming.add(length);
        Ok(true)
    }

    /// Goes on with the next key in our direction. The peer must do the same before it opens the
    /// next record, so it was told in the last one.
    pub fn rekey_outgoing(&mut self) {
        self.noise.rekey_outgoing();
        self.outgoing = Usage::default();
    }

    /// Goes on with the next key in the peer's direction.
    pub fn rekey_incoming(&mut self) {
        self.noise.rekey_incoming();
        self.incoming = Usage::default();
    }

    /// The use of the outgoing key since the last rekey.
    pub fn outgoing(&self) -> Usage {
        self.outgoing
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("outgoing", &self.outgoing)
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

/// Received bytes in which records are found. Consumed bytes are moved out only when they are at
/// least as many as the rest, so each byte is moved once on average.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    consumed: usize,
}

/// An idle session keeps no more than this.
const IDLE_BYTES: usize = 4096;

impl Received {
    fn push(&mut self, bytes: &[u8]) {
        let left = self.bytes.len().saturating_sub(self.consumed);
        if self.consumed >= left {
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The ciphertext at the front, if all of it is there.
    fn record(&self) -> Option<&[u8]> {
        let (length, rest) = self.bytes.get(self.consumed..)?.split_first_chunk()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }

    fn consume(&mut self) {
        let record = self
            .record()
            .map_or(0, |record| record.len().saturating_add(2));
        self.consumed = self.consumed.saturating_add(record);
    }

    fn release(&mut self) {
        if self.consumed == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(IDLE_BYTES);
            self.consumed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_wears_out_by_records_or_by_bytes() {
        let used = |records, bytes| Usage { records, bytes };
        assert!(!used(65_535, (1 << 30) - 1).rekey_due());
        assert!(used(65_536, 0).rekey_due());
        assert!(used(0, 1 << 30).rekey_due());
        assert!(!used(4 * 65_536 - 1, (4 << 30) - 1).overused());
        assert!(used(4 * 65_536, 0).overused());
        assert!(used(0, 4 << 30).overused());
        let mut usage = used(5, u64::MAX);
        usage.add(1);
        assert_eq!(usage, used(6, u64::MAX));
    }

    #[test]
    fn received_bytes_do_not_pile_up() {
        let mut received = Received::default();
        let record = [&[0x03, 0xe8][..], &[7; 1000]].concat();
        let stream = record.repeat(10_000);
        let (mut found, mut most) = (0, 0);
        // Pieces that end inside records, as a socket delivers them.
        for piece in stream.chunks(65_536) {
            received.push(piece);
            while let Some(record) = received.record() {
                assert_eq!(record, [7; 1000]);
                received.consume();
                found += 1;
            }
            received.release();
            most = most.max(received.bytes.capacity());
        }
        assert_eq!(found, 10_000);
        assert!(most <= 2 * (65_536 + 65_537), "{most}");
        assert!(received.bytes.is_empty());
        assert_eq!(received.bytes.capacity(), IDLE_BYTES);
    }
}
