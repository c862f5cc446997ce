//! The handshake as a state machine without IO: bytes in, bytes out, and in the end a transport.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use super::kem::{CIPHERTEXT_BYTES, PUBLIC_KEY_BYTES};
use super::noise::{self, TAG_BYTES};
use super::{
    Capabilities, Certificate, Entropy, HELLO_BYTES, HandshakeError, Hello, LocalKeys,
    PAYLOAD_BYTES_MAX, Payload, Purpose, Reject, Suite, Transport,
};
use hallway_model::PeerId;
use snow::HandshakeState;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What is kept of a peer that has proved nothing yet. Either side's part of a handshake takes
/// 2,316 bytes at most; twice that is for the records that may follow it at once.
pub const HANDSHAKE_BYTES_MAX: usize = 4096;

/// `e`, `e1`.
const MESSAGE_1_BYTES: usize = 32 + PUBLIC_KEY_BYTES;
/// `e`, `ekem1`, `s` and the tag of the payload.
const MESSAGE_2_OVERHEAD: usize = 32 + CIPHERTEXT_BYTES + TAG_BYTES + 32 + TAG_BYTES + TAG_BYTES;
/// `s` and the tag of the payload.
const MESSAGE_3_OVERHEAD: usize = 32 + TAG_BYTES + TAG_BYTES;

/// What this node speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Versions of the protocol.
    pub versions: RangeInclusive<u8>,
    /// This processor has AES in hardware; told to the peer.
    pub fast_aes: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            versions: 1..=1,
            fast_aes: false,
        }
    }
}

/// Which side of a connection one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Dialled.
    Initiator,
    /// Was dialled.
    Responder,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    /// The next message is not there yet.
    NeedMore,
    /// To be sent; the handshake goes on.
    Send(Vec<u8>),
    /// The handshake is done.
    Done {
        /// To be sent first; may be empty.
        send: Vec<u8>,
        /// The peer, proven, and the way to talk to it.
        established: Box<Established>,
    },
}

/// The outcome of a handshake.
///
/// The responder has proof of everything in it. The initiator has proof of who the responder is,
/// but learns that its own message 3 arrived, and was accepted, only from the first record.
#[derive(Debug)]
pub struct Established {
    /// Who it is.
    pub peer: PeerId,
    /// The certificate of the peer's device.
    pub certificate: Certificate,
    /// What the connection is for and what the peer can do.
    pub capabilities: Capabilities,
    /// The protocol version agreed on.
    pub version: u8,
    /// The suite agreed on.
    pub suite: Suite,
    /// Which side we are.
    pub role: Role,
    /// Seals and opens records.
    pub transport: Transport,
    /// Bytes after the last handshake message: the first records, for [`Transport::push`].
    pub leftover: Vec<u8>,
    /// The same on both sides and unique to this session.
    pub handshake_hash: [u8; 32],
}

/// One handshake. [`Self::push`] takes what was received and is cheap; [`Self::step`] does the
/// arithmetic, some tenths of a millisecond, and belongs on a pool. After an error the handshake
/// is over.
pub struct Handshake {
    keys: Arc<LocalKeys>,
    policy: Policy,
    state: State,
    received: Vec<u8>,
}

enum State {
    /// Initiator, message 1 sent.
    Dialled {
        noise: Box<HandshakeState>,
        agreed: Agreed,
        expected: Option<PeerId>,
        purpose: Purpose,
    },
    /// Responder, before the `Hello`.
    Listening(Entropy),
    /// Responder, before message 1.
    Greeted {
        entropy: Entropy,
        hello: Hello,
        agreed: Agreed,
    },
    /// Responder, message 2 sent.
    Answered {
        noise: Box<HandshakeState>,
        agreed: Agreed,
    },
    /// Done or failed.
    Over,
}

#[derive(Clone, Copy)]
struct Agreed {
    version: u8,
    suite: Suite,
}

impl Handshake {
    /// Dials with the best version we speak. Returns the `Hello` and message 1, to be sent.
    pub fn initiate(
        keys: Arc<LocalKeys>,
        policy: &Policy,
        expected: Option<PeerId>,
        suite: Suite,
        purpose: Purpose,
        entropy: Entropy,
    ) -> (Self, Vec<u8>) {
        let best = *policy.versions.end();
        Self::initiate_at(best, keys, policy, expected, suite, purpose, entropy)
    }

    /// Dials again with the version that [`Reject::retry_version`] named.
    pub fn initiate_at(
        version: u8,
        keys: Arc<LocalKeys>,
        policy: &Policy,
        expected: Option<PeerId>,
        suite: Suite,
        purpose: Purpose,
        entropy: Entropy,
    ) -> (Self, Vec<u8>) {
        let hello = Hello {
            version,
            highest: *policy.versions.end(),
            suite: suite.number(),
        }
        .encode();
        let secret = keys.device_secret();
        let mut noise = noise::start(suite, Role::Initiator, &hello, secret, entropy);
        let mut send = hello.to_vec();
        write(&mut noise, &[], MESSAGE_1_BYTES, &mut send)
            .expect("message 1 depends on nothing of the peer");
        let state = State::Dialled {
            noise,
            agreed: Agreed { version, suite },
            expected,
            purpose,
        };
        (Self::new(keys, policy, state), send)
    }

    /// Answers whoever dialled.
    pub fn respond(keys: Arc<LocalKeys>, policy: &Policy, entropy: Entropy) -> Self {
        Self::new(keys, policy, State::Listening(entropy))
    }

    fn new(keys: Arc<LocalKeys>, policy: &Policy, state: State) -> Self {
        Self {
            keys,
            policy: policy.clone(),
            state,
            received: Vec::new(),
        }
    }

    /// Takes received bytes. True when a whole message is there and [`Self::step`] is due; until
    /// then no more than [`HANDSHAKE_BYTES_MAX`] and what the last call brought are kept.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, HandshakeError> {
        let taken = self.take(bytes);
        if taken.is_err() {
            self.state = State::Over;
            self.received = Vec::new();
        }
        taken
    }

    fn take(&mut self, bytes: &[u8]) -> Result<bool, HandshakeError> {
        let total = self.received.len().saturating_add(bytes.len());
        if total > HANDSHAKE_BYTES_MAX && self.message_length()?.is_some() {
            return Err(HandshakeError::Length(total));
        }
        self.received.extend_from_slice(bytes);
        self.greet()?;
        self.message_length().map(|length| length.is_some())
    }

    /// Judges the `Hello` as soon as it is whole: what follows it may differ in other versions.
    fn greet(&mut self) -> Result<(), HandshakeError> {
        let (State::Listening(_), Some(hello)) = (&self.state, self.received.first_chunk()) else {
            return Ok(());
        };
        let hello = Hello::decode(*hello)?;
        let judged = hello.judge(&self.policy.versions);
        let suite = judged.map_err(HandshakeError::Refused)?;
        self.received.drain(..HELLO_BYTES);
        if let State::Listening(entropy) = std::mem::replace(&mut self.state, State::Over) {
            let agreed = Agreed {
                version: hello.version,
                suite,
            };
            self.state = State::Greeted {
                entropy,
                hello,
                agreed,
            };
        }
        Ok(())
    }

    /// The length of the message at the front of what was received, once all of it is there.
    fn message_length(&self) -> Result<Option<usize>, HandshakeError> {
        let (overhead, payload_max) = match &self.state {
            State::Listening(_) => return Ok(None),
            State::Greeted { .. } => (MESSAGE_1_BYTES, 0),
            State::Dialled { .. } => (MESSAGE_2_OVERHEAD, PAYLOAD_BYTES_MAX),
            State::Answered { .. } => (MESSAGE_3_OVERHEAD, PAYLOAD_BYTES_MAX),
            State::Over => return Err(HandshakeError::Over),
        };
        if matches!(self.state, State::Dialled { .. }) && Reject::begins(&self.received) {
            return match self.received.first_chunk() {
                Some(reject) => Err(HandshakeError::Rejected(Reject::decode(*reject)?)),
                None => Ok(None),
            };
        }
        let Some((length, rest)) = self.received.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if !(overhead..=overhead.saturating_add(payload_max)).contains(&length) {
            return Err(HandshakeError::Length(length));
        }
        // Only message 3 may be followed by something before we have said anything.
        if rest.len() > length && !matches!(self.state, State::Answered { .. }) {
            return Err(HandshakeError::OutOfTurn);
        }
        Ok((rest.len() >= length).then_some(length))
    }

    /// Works on the next message, if all of it is there.
    pub fn step(&mut self) -> Result<Step, HandshakeError> {
        let Some(length) = self.message_length()? else {
            return Ok(Step::NeedMore);
        };
        let mut message = self.received.split_off(2);
        let leftover = message.split_off(length);
        self.received = Vec::new();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeted {
                entropy,
                hello,
                agreed,
            } => self.answer(entropy, hello, agreed, &message),
            State::Dialled {
                noise,
                agreed,
                expected,
                purpose,
            } => self.conclude(noise, agreed, expected, purpose, &message),
            State::Answered { noise, agreed } => self.accept(noise, agreed, &message, leftover),
            State::Listening(_) | State::Over => Err(HandshakeError::Over),
        }
    }

    /// Responder: reads message 1, writes message 2.
    fn answer(
        &mut self,
        entropy: Entropy,
        hello: Hello,
        agreed: Agreed,
        message: &[u8],
    ) -> Result<Step, HandshakeError> {
        let secret = self.keys.device_secret();
        let prologue = hello.encode();
        let mut noise = noise::start(agreed.suite, Role::Responder, &prologue, secret, entropy);
        noise.read_message(message, &mut [])?;
        let payload = Payload::encode(self.keys.certificate(), self.policy.fast_aes, None);
        let mut send = Vec::new();
        write(&mut noise, &payload, MESSAGE_2_OVERHEAD, &mut send)?;
        self.state = State::Answered { noise, agreed };
        Ok(Step::Send(send))
    }

    /// Initiator: reads message 2 and, only if the right one answered, writes message 3, which
    /// tells who we are.
    fn conclude(
        &self,
        mut noise: Box<HandshakeState>,
        agreed: Agreed,
        expected: Option<PeerId>,
        purpose: Purpose,
        message: &[u8],
    ) -> Result<Step, HandshakeError> {
        let theirs = self.read(&mut noise, message)?;
        let found = theirs.certificate.identity();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(HandshakeError::WrongPeer { expected, found });
        }
        let ours = Payload::encode(self.keys.certificate(), self.policy.fast_aes, Some(purpose));
        let mut send = Vec::new();
        write(&mut noise, &ours, MESSAGE_3_OVERHEAD, &mut send)?;
        let established = establish(*noise, agreed, theirs, purpose, Vec::new())?;
        Ok(Step::Done { send, established })
    }

    /// Responder: reads message 3.
    fn accept(
        &self,
        mut noise: Box<HandshakeState>,
        agreed: Agreed,
        message: &[u8],
        leftover: Vec<u8>,
    ) -> Result<Step, HandshakeError> {
        let theirs = self.read(&mut noise, message)?;
        let purpose = theirs.purpose.ok_or(HandshakeError::MalformedPayload(
            crate::cbor::CborError::Shape,
        ))?;
        let established = establish(*noise, agreed, theirs, purpose, leftover)?;
        Ok(Step::Done {
            send: Vec::new(),
            established,
        })
    }

    /// Decrypts a message with a payload and checks that the speaker owns the certificate in it
    /// and is not us.
    fn read(&self, noise: &mut HandshakeState, message: &[u8]) -> Result<Payload, HandshakeError> {
        let mut payload = vec![0; message.len()];
        let length = noise.read_message(message, &mut payload)?;
        payload.truncate(length);
        let payload = Payload::decode(&payload)?;
        let proven = noise.get_remote_static();
        if proven != Some(payload.certificate.device_key().as_slice()) {
            return Err(HandshakeError::ForeignCertificate);
        }
        if payload.certificate.identity() == self.keys.id() {
            return Err(HandshakeError::Oneself);
        }
        Ok(payload)
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Dialled { .. } => "Dialled",
            State::Listening(_) => "Listening",
            State::Greeted { .. } => "Greeted",
            State::Answered { .. } => "Answered",
            State::Over => "Over",
        };
        f.debug_struct("Handshake")
            .field("state", &state)
            .field("received", &self.received.len())
            .finish_non_exhaustive()
    }
}

/// Appends the next Noise message and its length.
fn write(
    noise: &mut HandshakeState,
    payload: &[u8],
    overhead: usize,
    out: &mut Vec<u8>,
) -> Result<(), snow::Error> {
    // snow wants room for a tag even where it writes none.
    let mut message = vec![
        0;
        overhead
            .saturating_add(payload.len())
            .saturating_add(TAG_BYTES)
    ];
    let length = noise.write_message(payload, &mut message)?;
    message.truncate(length);
    let length = u16::try_from(length).map_err(|_| snow::Error::Input)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&message);
    Ok(())
}

fn establish(
    noise: HandshakeState,
    agreed: Agreed,
    theirs: Payload,
    purpose: Purpose,
    leftover: Vec<u8>,
) -> Result<Box<Established>, HandshakeError> {
    let hash = noise.get_handshake_hash().first_chunk().copied();
    let role = if noise.is_initiator() {
        Role::Initiator
    } else {
        Role::Responder
    };
    Ok(Box::new(Established {
        peer: theirs.certificate.identity(),
        certificate: theirs.certificate,
        capabilities: Capabilities {
            purpose,
            fast_aes: theirs.fast_aes,
        },
        version: agreed.version,
        suite: agreed.suite,
        role,
        transport: Transport::new(noise.into_transport_mode()?),
        leftover,
        handshake_hash: hash.expect("SHA-256 has 32 bytes"),
    }))
}
