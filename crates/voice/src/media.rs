//! All of one call with one peer: samples in, datagrams out, and back.
//!
//! The thread that drives it hands over what the microphone gave and what the socket received,
//! asks for what the speaker needs, and after each of these sends whatever
//! [`Media::poll_transmit`] has.

use crate::SAMPLE_RATE;
use crate::adapt::Adaptation;
use crate::codec::{CodecError, EncoderConfig, FrameLength};
use crate::level::{Level, Meter};
use crate::packet::{self, CaptureState, DATAGRAM_BYTES_MAX, MediaPacket, Packet, Report};
use crate::path::Paths;
use crate::playout::{self, Playout};
use crate::reception::{Rate, Reception};
use crate::replay::ReplayError;
use crate::sender::Sender;
use crate::sframe::{Header, OpenError, Opener, Sealer};
use hallway_model::Instant;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Datagrams that wait to be sent: more than one call can cause, for a shell that sends after each.
pub const TRANSMITS_MAX: usize = 64;

/// When the microphone gives nothing for so long, a packet says so, and again each time this has
/// passed: two can be lost before the peer looks elsewhere. Longer than the period of any device.
pub const KEEP_ALIVE: Duration = Duration::from_millis(30);

/// A round trip longer than this is a clock that jumped.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// What a call is made of. The keys are fresh for each call and direction, and were exchanged in
/// the session.
#[derive(Clone)]
pub struct MediaConfig {
    /// What this side seals with; it has never been used.
    pub send_key: [u8; 32],
    /// How the peer wants its packets marked.
    pub send_kid: u64,
    /// What the peer seals with.
    pub receive_key: [u8; 32],
    /// How this side wants its packets marked; differs from that of every other call.
    pub receive_kid: u64,
    /// Random, used for nothing else.
    pub seed: [u8; 32],
    /// Where the peer may be.
    pub candidates: Vec<SocketAddr>,
    /// How long frames are while the network allows it.
    pub frame: FrameLength,
    /// How they are encoded while the network allows it.
    pub encoder: EncoderConfig,
    /// How far sound may be held back.
    pub playout: playout::Config,
}

/// Why a call cannot have media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The peer gave our own key as its key, so that our packets would open as its packets.
    #[error("the peer uses our key as its own")]
    SameKey,
    /// The codec does not start.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why a datagram was not taken. Always the fault of whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// It is longer than any packet.
    #[error("a datagram of {0} bytes")]
    TooLong(usize),
    /// It is not for this call, forged, or damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It has been received before, or may have been.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The peer made it, and it says nothing we know.
    #[error(transparent)]
    Packet(#[from] packet::PacketError),
}

/// How many datagrams became of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets opened and understood.
    pub received: u64,
    /// Datagrams handed out to be sent.
    pub sent: u64,
    /// Too long, cut short, for another key, forged or damaged.
    pub refused: u64,
    /// Received before, or too old to know.
    pub replayed: u64,
    /// Made by the peer, and not understood.
    pub malformed: u64,
    /// Of a kind that a later version may know.
    pub unknown: u64,
}

/// How a call is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// There and back, without the time packets waited at the peer.
    pub round_trip: Option<Duration>,
    /// The share of the peer's packets lost lately, 0 to 1.
    pub receive_loss: f32,
    /// The share of our packets lost lately, as the peer says.
    pub send_loss: f32,
    /// The longest run of the peer's packets lost lately.
    pub receive_burst: u32,
    /// Interarrival jitter of the peer's packets (RFC 3550).
    pub receive_jitter: Duration,
    /// The same of ours, as the peer says.
    pub send_jitter: Duration,
    /// By how much the peer's packets are slower than on an empty path.
    pub receive_queue: Duration,
    /// Bits a second from the peer, with all headers.
    pub receive_rate: u32,
    /// Bits a second to the peer, with all headers.
    pub send_rate: u32,
    /// How long our frames are now.
    pub frame: FrameLength,
    /// Copies of earlier frames in each of our packets.
    pub copies: usize,
    /// Steps by which less is sent than was asked for, because the network is narrow.
    pub grade: usize,
    /// From the peer's microphone to this speaker, without the devices of both: half a round trip,
    /// a frame of the peer, what its encoder looks ahead, and the playout delay. Once there is sound
    /// and a round trip.
    pub mouth_to_ear: Option<Duration>,
    /// From packets to samples.
    pub playout: playout::Stats,
    /// The share of the sound so far that had to be made up, 0 to 1.
    pub concealed: f32,
    /// How loud this side is sent.
    pub sent_level: Level,
    /// How loud the peer is played.
    pub heard_level: Level,
    /// What became of datagrams.
    pub counters: Counters,
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// The sound of one call with one peer.
pub struct Media {
    sealer: Sealer,
    opener: Opener,
    reception: Reception,
    paths: Paths,
    sender: Sender,
    playout: Playout,
    adaptation: Adaptation,
    muted: bool,
    held: bool,
    keep_alive_at: Instant,
    /// Frames encoded since the last packet.
    unsent: usize,
    /// What the peer last said.
    peer_capture: CaptureState,
    peer_report: Option<Report>,
    peer_frame: Option<FrameLength>,
    round_trip: Option<Duration>,
    transmits: VecDeque<Transmit>,
    send_rate: Rate,
    sent_meter: Meter,
    heard_meter: Meter,
    counters: Counters,
    exhausted: bool,
    /// Kept for their capacity.
    datagram: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Media {
    /// Starts to look for the peer; sound is sent as soon as one of its addresses has answered.
    pub fn new(config: &MediaConfig, now: Instant) -> Result<Self, MediaError> {
        if config.send_key == config.receive_key {
            return Err(MediaError::SameKey);
        }
        let mut media = Self {
            sealer: Sealer::new(&config.send_key, config.send_kid),
            opener: Opener::new(&config.receive_key, config.receive_kid),
            reception: Reception::new(),
            paths: Paths::new(&config.seed, &config.candidates, now),
            sender: Sender::new(config.encoder)?,
            playout: Playout::new(config.playout)?,
            adaptation: Adaptation::new(config.frame, config.encoder.bitrate, now),
            muted: false,
            held: false,
            keep_alive_at: now,
            unsent: 0,
            peer_capture: CaptureState::default(),
            peer_report: None,
            peer_frame: None,
            round_trip: None,
            transmits: VecDeque::new(),
            send_rate: Rate::default(),
            sent_meter: Meter::new(),
            heard_meter: Meter::new(),
            counters: Counters::default(),
            exhausted: false,
            datagram: Vec::with_capacity(DATAGRAM_BYTES_MAX),
            plaintext: Vec::with_capacity(DATAGRAM_BYTES_MAX),
        };
        media.handle_timeout(now);
        Ok(media)
    }

    /// Takes a datagram that came from there, whoever made it.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), DatagramError> {
        let mut datagram = std::mem::take(&mut self.datagram);
        let result = self.take_datagram(from, bytes, &mut datagram, now);
        self.datagram = datagram;
        self.send_challenges(now);
        let counter = match result {
            Ok(()) => &mut self.counters.received,
            Err(DatagramError::TooLong(_) | DatagramError::Open(_)) => &mut self.counters.refused,
            Err(DatagramError::Replay(_)) => &mut self.counters.replayed,
            Err(DatagramError::Packet(packet::PacketError::Kind(_))) => &mut self.counters.unknown,
            Err(DatagramError::Packet(_)) => &mut self.counters.malformed,
        };
        *counter += 1;
        result
    }

    /// Takes what the microphone gave since the last time, any number of samples, after all
    /// processing.
    pub fn handle_capture(&mut self, samples: &[f32], now: Instant) {
        let silent = self.muted || self.held;
        if silent {
            self.sent_meter.handle_samples(&[0.0].repeat(samples.len()));
        } else {
            self.sent_meter.handle_samples(samples);
        }
        self.sender.handle_capture(samples, silent, now);
        self.keep_alive_at = now + KEEP_ALIVE;
        loop {
            let plan = self.adaptation.plan(now);
            match self.sender.encode(&plan) {
                Ok(true) => {
                    self.unsent += 1;
                    if self.unsent >= plan.every {
                        self.send_media(true, now);
                    }
                }
                Ok(false) => return,
                // The frame is lost, as it might be on the network.
                Err(error) => tracing::warn!(%error, "a frame was not encoded"),
            }
        }
    }

    /// Fills `out` with what the speaker plays next.
    pub fn fill_playback(&mut self, out: &mut [f32], now: Instant) {
        self.playout.fill(out, now);
        if self.held {
            out.fill(0.0);
        }
        self.heard_meter.handle_samples(out);
    }

    /// Addresses that the peer names in the session, at any time.
    pub fn handle_candidates(&mut self, candidates: &[SocketAddr], now: Instant) {
        self.paths.handle_candidates(candidates, now);
        self.send_challenges(now);
    }

    /// To be called at [`poll_timeout`](Self::poll_timeout), or at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.paths.handle_timeout(now);
        self.send_challenges(now);
        if now >= self.keep_alive_at {
            self.keep_alive_at = now + KEEP_ALIVE;
            self.send_media(false, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Instant {
        self.paths.poll_timeout().min(self.keep_alive_at)
    }

    /// A datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Whether silence is sent instead of the microphone. The packets stay as they are, so that
    /// nobody else can tell.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Whether the call is on hold: silence both ways.
    pub fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// What the peer last said about its microphone.
    pub fn peer_capture(&self) -> CaptureState {
        self.peer_capture
    }

    /// Where sound is sent, once that is known.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.paths.active()
    }

    /// When a packet of the peer last came.
    pub fn last_heard(&self) -> Option<Instant> {
        self.paths.heard()
    }

    /// Whether the key has sealed all that it may, and nothing can be sent any more.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// How the call is doing.
    pub fn stats(&mut self, now: Instant) -> Statistics {
        let plan = self.adaptation.plan(now);
        let playout = self.playout.stats();
        let delay = Duration::from_secs_f32(playout.delay_ms.max(0.0) / 1_000.0);
        let report = self.peer_report.unwrap_or_default();
        let lookahead = Duration::from_micros(
            self.sender.lookahead() as u64 * 1_000_000 / u64::from(SAMPLE_RATE),
        );
        let mouth_to_ear = self
            .round_trip
            .zip(self.peer_frame)
            .map(|(round_trip, frame)| {
                let frame = Duration::from_millis(frame.ms().into());
                round_trip / 2 + frame + lookahead + delay
            });
        Statistics {
            round_trip: self.round_trip,
            receive_loss: self.reception.loss(),
            send_loss: report.loss(),
            receive_burst: self.reception.burst(),
            receive_jitter: self.reception.jitter(),
            send_jitter: report.jitter(),
            receive_queue: self.reception.queue(),
            receive_rate: self.reception.rate(now),
            send_rate: self.send_rate.get(now),
            frame: plan.length,
            copies: plan.copies,
            grade: self.adaptation.grade(),
            mouth_to_ear,
            playout,
            concealed: share(playout.concealed, playout.decoded),
            sent_level: self.sent_meter.level(),
            heard_level: self.heard_meter.level(),
            counters: self.counters,
        }
    }

    fn take_datagram(
        &mut self,
        from: SocketAddr,
        bytes: &[u8],
        datagram: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), DatagramError> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(DatagramError::TooLong(bytes.len()));
        }
        let header = Header::decode(bytes)?;
        let number = header.0.counter;
        if header.0.kid != self.opener.kid() {
            return Err(OpenError::WrongKey.into());
        }
        self.reception.window().check(number)?;
        datagram.clear();
        datagram.extend_from_slice(bytes);
        let plaintext = self.opener.open(header, datagram)?;
        let newest = self.reception.handle_packet(number, bytes.len(), now);
        let packet = Packet::decode(plaintext);
        if let Ok(Packet::Response(token)) = packet
            && self.paths.handle_response(from, token, now)
        {
            self.handle_path_change(now);
        }
        let leads = newest && matches!(packet, Ok(Packet::Media(_)));
        if self.paths.handle_heard(from, leads, now) {
            self.handle_path_change(now);
        }
        match packet? {
            Packet::Media(media) => self.take_media(&media, newest, now),
            Packet::Challenge(token) => self.send(from, &Packet::Response(token), now),
            Packet::Response(_) => {}
        }
        Ok(())
    }

    fn take_media(&mut self, media: &MediaPacket<'_>, newest: bool, now: Instant) {
        if newest {
            self.reception.handle_sent(media.sent, now);
            self.peer_capture = media.capture;
            self.peer_frame = media.frames.first().map(|frame| frame.length);
            if let Some(report) = media.report {
                self.take_report(report, now);
            }
        }
        // The newest first: it tells the playout whether the network is late, and copies that are
        // as old only that something was lost.
        for frame in &media.frames {
            let timestamp = frame.timestamp(media.timestamp);
            self.playout
                .handle_frame(timestamp, frame.length, frame.payload, now);
        }
    }

    fn take_report(&mut self, report: Report, now: Instant) {
        self.peer_report = Some(report);
        let sample = Duration::from_micros(clock(now).wrapping_sub(report.echo).into());
        if sample > ROUND_TRIP_MAX {
            return;
        }
        let before = self.round_trip.unwrap_or(sample);
        self.round_trip = Some((before * 7 + sample) / 8);
        self.adaptation.handle_report(&report, sample, now);
    }

    fn handle_path_change(&mut self, now: Instant) {
        tracing::debug!(remote = ?self.paths.active(), "sound goes another way");
        self.adaptation.handle_path_change(now);
        self.round_trip = None;
    }

    /// Sends the newest frame with its copies, or says that there is no microphone.
    fn send_media(&mut self, captured: bool, now: Instant) {
        self.unsent = 0;
        let Some(to) = self.paths.active() else {
            return;
        };
        let plan = self.adaptation.plan(now);
        // While it pauses the reports go on, or the peer would look for us elsewhere.
        let (timestamp, frames) = if captured && !self.adaptation.is_paused(now) {
            self.sender.frames(&plan)
        } else {
            (0, Vec::new())
        };
        let packet = Packet::Media(MediaPacket {
            timestamp,
            sent: clock(now),
            capture: CaptureState {
                muted: self.muted,
                silent: !captured || self.held,
            },
            report: self.reception.report(now),
            frames,
        });
        packet.encode(&mut self.plaintext);
        self.seal(to, now);
    }

    fn send_challenges(&mut self, now: Instant) {
        while let Some((to, token)) = self.paths.poll_challenge() {
            self.send(to, &Packet::Challenge(token), now);
        }
    }

    fn send(&mut self, to: SocketAddr, packet: &Packet<'_>, now: Instant) {
        packet.encode(&mut self.plaintext);
        self.seal(to, now);
    }

    /// Seals what was just encoded, and queues it.
    fn seal(&mut self, to: SocketAddr, now: Instant) {
        let mut bytes = Vec::with_capacity(self.plaintext.len() + 40);
        if let Err(error) = self.sealer.seal(&self.plaintext, &mut bytes) {
            if !self.exhausted {
                tracing::warn!(%error, "nothing is sent any more");
            }
            self.exhausted = true;
            return;
        }
        if self.transmits.len() >= TRANSMITS_MAX {
            self.transmits.pop_front();
        }
        self.counters.sent += 1;
        self.send_rate.add(bytes.len(), now);
        self.transmits.push_back(Transmit { to, bytes });
    }
}

/// A clock of microseconds that wraps after 71 minutes.
#[allow(clippy::cast_possible_truncation, reason = "it wraps")]
fn clock(now: Instant) -> u32 {
    now.0 as u32
}

/// How much of the whole a part is, given the rest.
#[allow(clippy::cast_precision_loss, reason = "shown, and no more")]
fn share(part: u64, rest: u64) -> f32 {
    part as f32 / (part + rest).max(1) as f32
}
