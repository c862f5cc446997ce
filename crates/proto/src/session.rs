//! One authenticated connection: records, keepalive, rekeying and holds.

use crate::frame::{Frame, FrameError, Hold, Profile};
use crate::handshake::{Established, REKEY_INTERVAL, RecordError, Role, Transport};
use crate::io::ConnId;
use crate::limits::*;
use hallway_model::{Instant, MessageId};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use zeroize::Zeroize;

/// More than a frame with a key takes: it is never moved to a larger place, which would leave the
/// key behind in the smaller one.
const OFFER_ROOM: usize = 128;

/// Why the peer loses this session. Always the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A record that does not open.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// A record that opens to nonsense.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The first frame was not a profile.
    #[error("the session did not start with a profile")]
    NoProfile,
    /// Sequence numbers that do not rise.
    #[error("message {seq} came after {last}")]
    Order {
        /// The number.
        seq: u64,
        /// The one before.
        last: u64,
    },
    /// More control frames than any client needs.
    #[error("a flood of control frames")]
    Flood,
    /// No sign of life in time.
    #[error("no answer to a ping")]
    Silent,
}

/// One authenticated connection to a peer.
pub(crate) struct Session {
    pub(crate) conn: ConnId,
    pub(crate) role: Role,
    pub(crate) opened_at: Instant,
    pub(crate) remote: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) profile: Option<Profile>,
    /// How far the peer's wall clock is ahead of ours.
    pub(crate) clock_skew_ms: Option<i64>,
    /// The peer drops our messages until it resumes.
    pub(crate) held_by_them: bool,
    /// We drop the peer's messages until we resume.
    pub(crate) held_by_us: Option<Hold>,
    /// Messages that come before the answer to this ping had left before the peer knew that they
    /// are dropped: taken, they would overtake those that were.
    draining: Option<u64>,
    /// When to try the disk again.
    pub(crate) storage_retry_at: Option<Instant>,
    /// Stored, to be acknowledged with the next write.
    pub(crate) acks: Vec<MessageId>,
    /// We have read up to here, to be told with the next write.
    pub(crate) read: Option<u64>,
    /// They say that they have read up to here.
    pub(crate) read_by_them: u64,
    /// The last message or typing either way.
    pub(crate) active_at: Option<Instant>,
    /// A call rings or runs.
    pub(crate) in_call: bool,
    /// When to replace it by a fresh handshake.
    pub(crate) renew_at: Instant,
    transport: Transport,
    outgoing: Vec<u8>,
    scratch: Vec<u8>,
    rekeyed_at: Instant,
    last_seq: u64,
    heard_at: Instant,
    ping: Option<Ping>,
    pings: u64,
    rtt: Option<Duration>,
    control: u32,
    control_at: Instant,
}

struct Ping {
    number: u64,
    sent_at: Instant,
}

impl Session {
    pub(crate) fn new(
        conn: ConnId,
        remote: SocketAddr,
        local: IpAddr,
        established: Established,
        now: Instant,
    ) -> Self {
        let mut transport = established.transport;
        transport.push(&established.leftover);
        Self {
            conn,
            role: established.role,
            opened_at: now,
            remote,
            local,
            profile: None,
            clock_skew_ms: None,
            held_by_them: false,
            held_by_us: None,
            draining: None,
            storage_retry_at: None,
            acks: Vec::new(),
            read: None,
            read_by_them: 0,
            active_at: None,
            in_call: false,
            renew_at: now + SESSION_LIFETIME,
            transport,
            outgoing: Vec::new(),
            scratch: Vec::with_capacity(OFFER_ROOM),
            rekeyed_at: now,
            last_seq: 0,
            heard_at: now,
            ping: None,
            pings: 0,
            rtt: None,
            control: CONTROL_BURST,
            control_at: now,
        }
    }

    /// Takes what came in; [`Session::poll_frame`] gives the frames.
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.heard_at = now;
        self.transport.push(bytes);
    }

    /// The next frame that is whole. Pings, pongs and rekeying are dealt with here.
    pub(crate) fn poll_frame(&mut self, now: Instant) -> Result<Option<Frame>, SessionError> {
        while self.transport.open(&mut self.scratch)? {
            let frame = Frame::decode(&self.scratch)?;
            self.wipe(&frame);
            // A person's messages and files bring these, hundreds at the start of a session; each
            // costs as little as a message.
            if !matches!(
                frame,
                Frame::Message(_)
                    | Frame::Ack(_)
                    | Frame::Read(_)
                    | Frame::Transfer(_)
                    | Frame::Introduction(_)
            ) {
                self.spend_control(now)?;
            }
            match frame {
                Frame::Profile(_) | Frame::Bye(_) => {}
                _ if self.profile.is_none() => return Err(SessionError::NoProfile),
                Frame::Ping(number) => {
                    self.send(&Frame::Pong(number), now);
                    continue;
                }
                Frame::Pong(number) => {
                    self.handle_pong(number, now);
                    continue;
                }
                Frame::Rekey => {
                    self.transport.rekey_incoming();
                    continue;
                }
                Frame::Message(_)
                | Frame::Resume
                | Frame::Ack(_)
                | Frame::Read(_)
                | Frame::Typing(_)
                | Frame::Hold(_)
                | Frame::Ring(_)
                | Frame::Ringing(_)
                | Frame::Accept(_)
                | Frame::CallState(_)
                | Frame::CallEnd(..)
                | Frame::Transfer(_)
                | Frame::Introduction(_)
                | Frame::Unknown(_) => {}
            }
            return Ok(Some(frame));
        }
        Ok(None)
    }

    /// Seals a frame; it leaves with the next [`Session::poll_transmit`].
    pub(crate) fn send(&mut self, frame: &Frame, now: Instant) {
        if self.transport.outgoing().rekey_due() || now - self.rekeyed_at >= REKEY_INTERVAL {
            self.seal(&Frame::Rekey);
            self.transport.rekey_outgoing();
            self.rekeyed_at = now;
        }
        self.seal(frame);
    }

    fn seal(&mut self, frame: &Frame) {
        self.scratch.clear();
        frame.encode(&mut self.scratch);
        let sealed = self.transport.seal(&self.scratch, &mut self.outgoing);
        // Every frame of ours fits a record and the nonce cannot run out between rekeyings.
        assert!(
            sealed.is_ok(),
            "a frame of ours did not fit a record: {sealed:?}"
        );
        self.wipe(frame);
    }

    /// Leaves nothing of a key behind.
    fn wipe(&mut self, frame: &Frame) {
        if matches!(frame, Frame::Ring(_) | Frame::Accept(_)) {
            self.scratch.zeroize();
        }
    }

    /// What is to be sent now, what was read and acknowledgements included.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        // A peer that has lost its count must know what was not read before it is acknowledged.
        if let Some(seq) = self.read.take() {
            self.send(&Frame::Read(seq), now);
        }
        for ids in std::mem::take(&mut self.acks).chunks(crate::frame::ACK_IDS_MAX) {
            self.send(&Frame::Ack(ids.to_vec()), now);
        }
        if self.outgoing.is_empty() {
            None
        } else {
            Some(std::mem::take(&mut self.outgoing))
        }
    }

    /// Sends what is due; an error means that the peer is gone.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        if now < self.keepalive_deadline() {
            return Ok(());
        }
        if self.ping.is_some() {
            return Err(SessionError::Silent);
        }
        self.send_ping(now);
        Ok(())
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub(crate) fn keepalive_deadline(&self) -> Instant {
        let active = self
            .active_at
            .is_some_and(|at| self.heard_at - at < ACTIVE_FOR);
        let (silence, answer) = if active || self.in_call {
            (PING_AFTER_ACTIVE, PONG_WITHIN_ACTIVE)
        } else {
            (PING_AFTER_IDLE, PONG_WITHIN_IDLE)
        };
        match &self.ping {
            Some(ping) => {
                let last_sign = ping.sent_at.max(self.heard_at);
                (last_sign + answer).min(ping.sent_at + PONG_WITHIN_BUSY)
            }
            None => self.heard_at + silence,
        }
    }

    pub(crate) fn send_ping(&mut self, now: Instant) {
        self.pings += 1;
        self.ping = Some(Ping {
            number: self.pings,
            sent_at: now,
        });
        self.send(&Frame::Ping(self.pings), now);
    }

    fn handle_pong(&mut self, number: u64, now: Instant) {
        if self.draining.is_some_and(|awaited| awaited <= number) {
            self.draining = None;
        }
        if self.ping.as_ref().is_some_and(|ping| ping.number == number)
            && let Some(ping) = self.ping.take()
        {
            let sample = now - ping.sent_at;
            // As in RFC 6298, an eighth of each new sample.
            self.rtt = Some(self.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
        }
    }

    /// Whether a message with this number is taken; otherwise it is dropped.
    pub(crate) fn takes(&mut self, seq: u64) -> Result<bool, SessionError> {
        if self.held_by_us.is_some() || self.draining.is_some() {
            return Ok(false);
        }
        if seq <= self.last_seq {
            return Err(SessionError::Order {
                seq,
                last: self.last_seq,
            });
        }
        self.last_seq = seq;
        Ok(true)
    }

    fn spend_control(&mut self, now: Instant) -> Result<(), SessionError> {
        let whole_seconds = (now - self.control_at).as_secs();
        if whole_seconds > 0 {
            let gained = u32::try_from(whole_seconds).unwrap_or(u32::MAX);
            let refilled = self
                .control
                .saturating_add(gained.saturating_mul(CONTROL_PER_SECOND));
            self.control = refilled.min(CONTROL_BURST);
            self.control_at = now;
        }
        self.control = self.control.checked_sub(1).ok_or(SessionError::Flood)?;
        Ok(())
    }

    /// Messages are taken again; the peer starts over from its oldest.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.held_by_us = None;
        self.storage_retry_at = None;
        self.last_seq = 0;
        self.send(&Frame::Resume, now);
    }

    /// Messages after this are dropped until [`Session::resume`].
    pub(crate) fn hold(&mut self, reason: Hold, now: Instant) {
        if self.held_by_us.is_none() {
            self.held_by_us = Some(reason);
            self.send(&Frame::Hold(reason), now);
            self.send_ping(now);
            self.draining = Some(self.pings);
        }
        if reason == Hold::Storage {
            self.storage_retry_at = Some(now + STORAGE_RETRY);
        }
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }
}
