//! Frames: what one record carries. A type byte, then one CBOR map.
//!
//! A later version may add fields to any map and new types; both are skipped here, so that old
//! and new nodes understand each other. `PROTOCOL.md` lists every field.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::call::MediaKey;
use crate::cbor::{self, CborError};
use crate::transfer::{Introduction, Signal};
use hallway_model::{
    Body, CallEnd, CallId, CallOutcome, CallRecord, ConversationId, Delivery, Message, MessageId,
    Name, PeerId, Reaction, Status, TextError, WallTime, check_text,
};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Message ids in one acknowledgement: 17 KiB of them, well inside a record.
pub const ACK_IDS_MAX: usize = 1024;

/// What one record carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Who is speaking, as they want to be shown. The first frame of a session.
    Profile(Profile),
    /// A message to be kept and acknowledged.
    Message(Envelope),
    /// These messages are on disk here.
    Ack(Vec<MessageId>),
    /// The receiver's messages up to this sequence number were shown.
    Read(u64),
    /// The sender of the frame is typing, or stopped.
    Typing(bool),
    /// To be answered with the same number.
    Ping(u64),
    /// The answer to a ping.
    Pong(u64),
    /// Every later record of this direction is under the next key.
    Rekey,
    /// The session ends here.
    Bye(Bye),
    /// Messages after this are dropped, not kept, until [`Frame::Resume`].
    Hold(Hold),
    /// Send everything that is not acknowledged again, from the oldest.
    Resume,
    /// The sender calls. Repeated on each session until it is answered or over.
    Ring(Offer),
    /// The person called hears of it.
    Ringing(Ringing),
    /// The call is answered. Repeated on each session while it runs.
    Accept(Offer),
    /// What the sender of the frame lets through. Sent when answered, after each change and on
    /// each session.
    CallState(CallStanding),
    /// The call is over.
    CallEnd(CallId, EndReason),
    /// A word on a transfer of files.
    Transfer(Signal),
    /// Who else receives what the sender of the frame offers.
    Introduction(Introduction),
    /// Of a later version; skipped.
    Unknown(u8),
}

/// How somebody wants to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Display name.
    #[serde(rename = "n")]
    pub name: Name,
    /// 0 available, 1 away, 2 busy.
    #[serde(rename = "s")]
    status: u8,
    /// The speaker's wall clock, to tell a wrong clock from a late message.
    #[serde(rename = "t")]
    pub at: WallTime,
    /// TCP and UDP port the speaker listens on, so that an inbound session teaches a dialable
    /// address.
    #[serde(rename = "p")]
    pub port: u16,
}

/// A message on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Chosen by the author.
    #[serde(rename = "i")]
    pub id: MessageId,
    /// The author's count in this conversation.
    #[serde(rename = "q")]
    pub seq: u64,
    /// The author's wall clock in milliseconds.
    #[serde(rename = "t")]
    pub at: WallTime,
    /// What `body` is.
    #[serde(rename = "k")]
    pub kind: u16,
    /// One CBOR map whose fields depend on the kind.
    #[serde(rename = "b", with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// A side of a call: how the sender of the frame protects its media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Which call.
    #[serde(rename = "c")]
    pub call: CallId,
    /// The base key of what the sender sends, fresh for each call.
    #[serde(rename = "k")]
    pub key: MediaKey,
    /// The key id that the sender wants to see on what it receives.
    #[serde(rename = "i")]
    pub kid: u64,
}

/// The answer to a ring before the person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ringing {
    /// Which call.
    #[serde(rename = "c")]
    pub call: CallId,
    /// The person talks to somebody else now.
    #[serde(rename = "w")]
    pub waiting: bool,
}

/// What one side of a call lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStanding {
    /// Which call.
    #[serde(rename = "c")]
    pub call: CallId,
    /// Nothing of its microphone goes out.
    #[serde(rename = "m")]
    pub muted: bool,
    /// It holds the call: nothing goes out or is heard.
    #[serde(rename = "h")]
    pub held: bool,
    /// It has a microphone.
    #[serde(rename = "s")]
    pub can_speak: bool,
    /// It has a speaker.
    #[serde(rename = "l")]
    pub can_hear: bool,
}

/// Why a call is over, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// For one of the reasons that travel.
    Known(CallEnd),
    /// The sender knows of no such call: it was restarted.
    NoSuchCall,
    /// A reason of a later version.
    Other(u8),
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bye {
    /// The node stops.
    Goodbye,
    /// A newer session carries on.
    Replaced,
    /// Nothing to say for a while.
    Idle,
    /// The receiver of this frame broke the protocol.
    Protocol,
    /// No room for this session.
    Busy,
    /// A reason of a later version.
    Other(u8),
}

/// Why messages are not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The person has not accepted the request yet.
    Request,
    /// The disk does not take it.
    Storage,
    /// A reason of a later version.
    Other(u8),
}

/// Why a frame is refused. Always the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A record without a type byte.
    #[error("an empty record")]
    Empty,
    /// Not the CBOR that the type asks for.
    #[error("frame type {frame}: {error}")]
    Cbor {
        /// The type byte.
        frame: u8,
        /// What is wrong.
        error: CborError,
    },
    /// A text over its limit, or empty.
    #[error("a message over its limit: {0}")]
    Text(#[from] TextError),
}

const PROFILE: u8 = 1;
const MESSAGE: u8 = 2;
const ACK: u8 = 3;
const READ: u8 = 4;
const TYPING: u8 = 5;
const PING: u8 = 6;
const PONG: u8 = 7;
const REKEY: u8 = 8;
const BYE: u8 = 9;
const HOLD: u8 = 10;
const RESUME: u8 = 11;

const RING: u8 = 12;
const RINGING: u8 = 13;
const ACCEPT: u8 = 14;
const CALL_STATE: u8 = 15;
const CALL_END: u8 = 16;

const TRANSFER: u8 = 20;
const INTRODUCTION: u8 = 21;

const TEXT: u16 = 1;
const EDIT: u16 = 2;
const DELETE: u16 = 3;
const REACTION: u16 = 4;
const OFFER: u16 = 5;
const CALL: u16 = 6;

#[derive(Serialize, Deserialize)]
struct AckFields {
    #[serde(rename = "i", deserialize_with = "bounded_ids")]
    ids: Vec<MessageId>,
}

#[derive(Serialize, Deserialize)]
struct NumberField {
    #[serde(rename = "q")]
    number: u64,
}

#[derive(Serialize, Deserialize)]
struct FlagField {
    #[serde(rename = "o")]
    on: bool,
}

#[derive(Serialize, Deserialize)]
struct ReasonField {
    #[serde(rename = "r")]
    reason: u8,
}

#[derive(Serialize, Deserialize)]
struct CallEndFields {
    #[serde(rename = "c")]
    call: CallId,
    #[serde(rename = "r")]
    reason: u8,
}

#[derive(Serialize, Deserialize)]
struct CallFields {
    #[serde(rename = "o")]
    outcome: u8,
    #[serde(rename = "d")]
    duration_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct NoFields {}

#[derive(Serialize, Deserialize)]
struct TextFields {
    #[serde(rename = "x")]
    text: String,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<MessageId>,
}

#[derive(Serialize, Deserialize)]
struct EditFields {
    #[serde(rename = "m")]
    target: MessageId,
    #[serde(rename = "x")]
    text: String,
}

#[derive(Serialize, Deserialize)]
struct DeleteFields {
    #[serde(rename = "m")]
    target: MessageId,
}

#[derive(Serialize, Deserialize)]
struct ReactionFields {
    #[serde(rename = "m")]
    target: MessageId,
    #[serde(rename = "e")]
    emoji: String,
    #[serde(rename = "o")]
    on: bool,
}

impl Frame {
    /// Appends the frame's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Profile(profile) => put(out, PROFILE, profile),
            Self::Message(envelope) => put(out, MESSAGE, envelope),
            Self::Ack(ids) => put(out, ACK, &AckFields { ids: ids.clone() }),
            Self::Read(number) => put(out, READ, &NumberField { number: *number }),
            Self::Typing(on) => put(out, TYPING, &FlagField { on: *on }),
            Self::Ping(number) => put(out, PING, &NumberField { number: *number }),
            Self::Pong(number) => put(out, PONG, &NumberField { number: *number }),
            Self::Rekey => put(out, REKEY, &NoFields {}),
            Self::Bye(bye) => put(out, BYE, &ReasonField { reason: bye.code() }),
            Self::Hold(hold) => put(
                out,
                HOLD,
                &ReasonField {
                    reason: hold.code(),
                },
            ),
            Self::Resume => put(out, RESUME, &NoFields {}),
            Self::Ring(offer) => put(out, RING, offer),
            Self::Ringing(ringing) => put(out, RINGING, ringing),
            Self::Accept(offer) => put(out, ACCEPT, offer),
            Self::CallState(standing) => put(out, CALL_STATE, standing),
            Self::CallEnd(call, reason) => {
                let (call, reason) = (*call, reason.code());
                put(out, CALL_END, &CallEndFields { call, reason });
            }
            Self::Transfer(signal) => put(out, TRANSFER, signal),
            Self::Introduction(introduction) => put(out, INTRODUCTION, introduction),
            Self::Unknown(kind) => put(out, *kind, &NoFields {}),
        }
    }

    /// Decodes one record's plaintext.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let (&frame, map) = bytes.split_first().ok_or(FrameError::Empty)?;
        let decoded = match frame {
            PROFILE => cbor::decode(map).map(Self::Profile),
            MESSAGE => cbor::decode(map).map(Self::Message),
            ACK => cbor::decode(map).map(|f: AckFields| Self::Ack(f.ids)),
            READ => cbor::decode(map).map(|f: NumberField| Self::Read(f.number)),
            TYPING => cbor::decode(map).map(|f: FlagField| Self::Typing(f.on)),
            PING => cbor::decode(map).map(|f: NumberField| Self::Ping(f.number)),
            PONG => cbor::decode(map).map(|f: NumberField| Self::Pong(f.number)),
            REKEY => cbor::decode(map).map(|_: NoFields| Self::Rekey),
            BYE => cbor::decode(map).map(|f: ReasonField| Self::Bye(Bye::of_code(f.reason))),
            HOLD => cbor::decode(map).map(|f: ReasonField| Self::Hold(Hold::of_code(f.reason))),
            RESUME => cbor::decode(map).map(|_: NoFields| Self::Resume),
            RING => cbor::decode(map).map(Self::Ring),
            RINGING => cbor::decode(map).map(Self::Ringing),
            ACCEPT => cbor::decode(map).map(Self::Accept),
            CALL_STATE => cbor::decode(map).map(Self::CallState),
            CALL_END => cbor::decode(map)
                .map(|f: CallEndFields| Self::CallEnd(f.call, EndReason::of_code(f.reason))),
            TRANSFER => cbor::decode(map).map(Self::Transfer),
            INTRODUCTION => cbor::decode(map).map(Self::Introduction),
            other => cbor::check(map).map(|()| Self::Unknown(other)),
        };
        decoded.map_err(|error| FrameError::Cbor { frame, error })
    }
}

fn put<T: Serialize>(out: &mut Vec<u8>, frame: u8, fields: &T) {
    out.push(frame);
    cbor::encode(fields, out);
}

impl Profile {
    /// How we want to be shown.
    pub fn new(name: Name, status: Status, at: WallTime, port: u16) -> Self {
        let status = match status {
            Status::Available => 0,
            Status::Away => 1,
            Status::Busy => 2,
        };
        Self {
            name,
            status,
            at,
            port,
        }
    }

    /// The availability; one of a later version counts as available.
    pub fn status(&self) -> Status {
        match self.status {
            1 => Status::Away,
            2 => Status::Busy,
            _ => Status::Available,
        }
    }
}

impl Bye {
    fn code(self) -> u8 {
        match self {
            Self::Goodbye => 1,
            Self::Replaced => 2,
            Self::Idle => 3,
            Self::Protocol => 4,
            Self::Busy => 5,
            Self::Other(code) => code,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Goodbye,
            2 => Self::Replaced,
            3 => Self::Idle,
            4 => Self::Protocol,
            5 => Self::Busy,
            other => Self::Other(other),
        }
    }
}

impl EndReason {
    fn code(self) -> u8 {
        match self {
            Self::Known(end) => match end {
                CallEnd::HungUp => 1,
                CallEnd::Declined => 2,
                CallEnd::Busy => 3,
                CallEnd::Cancelled => 4,
                CallEnd::Unanswered => 5,
                CallEnd::Lost | CallEnd::NotHere | CallEnd::Refused => 6,
                CallEnd::Failed => 7,
                CallEnd::Stopped => 8,
                CallEnd::Merged => 9,
            },
            Self::NoSuchCall => 10,
            Self::Other(code) => code,
        }
    }

    fn of_code(code: u8) -> Self {
        Self::Known(match code {
            1 => CallEnd::HungUp,
            2 => CallEnd::Declined,
            3 => CallEnd::Busy,
            4 => CallEnd::Cancelled,
            5 => CallEnd::Unanswered,
            6 => CallEnd::Lost,
            7 => CallEnd::Failed,
            8 => CallEnd::Stopped,
            9 => CallEnd::Merged,
            10 => return Self::NoSuchCall,
            other => return Self::Other(other),
        })
    }
}

/// The numbers of outcomes on the wire; one of a later version is of an unknown kind here.
const OUTCOMES: [(u8, CallOutcome); 7] = [
    (1, CallOutcome::Answered),
    (2, CallOutcome::Missed),
    (3, CallOutcome::Declined),
    (4, CallOutcome::Busy),
    (5, CallOutcome::Cancelled),
    (6, CallOutcome::Failed),
    (7, CallOutcome::Interrupted),
];

fn outcome_code(outcome: CallOutcome) -> u8 {
    let found = OUTCOMES.iter().find(|(_, known)| *known == outcome);
    found.map_or(0, |(code, _)| *code)
}

/// The record of a call, or a message of an unknown kind when its outcome is of a later version.
fn call_body(fields: &CallFields, raw: &[u8]) -> Body {
    let CallFields {
        outcome,
        duration_ms,
    } = *fields;
    match OUTCOMES.iter().find(|(code, _)| *code == outcome) {
        Some((_, outcome)) => Body::Call(CallRecord {
            outcome: *outcome,
            duration_ms,
        }),
        None => Body::Unknown {
            kind: CALL,
            raw: raw.to_vec(),
        },
    }
}

impl Hold {
    fn code(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Storage => 2,
            Self::Other(code) => code,
        }
    }

    fn of_code(code: u8) -> Self {
        match code {
            1 => Self::Request,
            2 => Self::Storage,
            other => Self::Other(other),
        }
    }
}

impl Envelope {
    /// The wire form of a message.
    pub fn of(message: &Message) -> Self {
        let mut body = Vec::new();
        let kind = match &message.body {
            Body::Text { text, reply_to } => {
                cbor::encode(
                    &TextFields {
                        text: text.clone(),
                        reply_to: *reply_to,
                    },
                    &mut body,
                );
                TEXT
            }
            Body::Edit { target, text } => {
                cbor::encode(
                    &EditFields {
                        target: *target,
                        text: text.clone(),
                    },
                    &mut body,
                );
                EDIT
            }
            Body::Delete { target } => {
                cbor::encode(&DeleteFields { target: *target }, &mut body);
                DELETE
            }
            Body::Reaction(Reaction { target, emoji, on }) => {
                let fields = ReactionFields {
                    target: *target,
                    emoji: emoji.clone(),
                    on: *on,
                };
                cbor::encode(&fields, &mut body);
                REACTION
            }
            Body::Call(CallRecord {
                outcome,
                duration_ms,
            }) => {
                let fields = CallFields {
                    outcome: outcome_code(*outcome),
                    duration_ms: *duration_ms,
                };
                cbor::encode(&fields, &mut body);
                CALL
            }
            Body::Offer(offer) => {
                cbor::encode(offer, &mut body);
                OFFER
            }
            Body::Unknown { kind, raw } => {
                body.clone_from(raw);
                *kind
            }
        };
        Self {
            id: message.id,
            seq: message.seq,
            at: message.at,
            kind,
            body,
        }
    }

    /// The message of `author` that this envelope carries, from a direct session.
    pub fn open(self, author: PeerId) -> Result<Message, FrameError> {
        let of = |error| FrameError::Cbor {
            frame: MESSAGE,
            error,
        };
        let body = match self.kind {
            TEXT => cbor::decode(&self.body)
                .map(|TextFields { text, reply_to }| Body::Text { text, reply_to }),
            EDIT => cbor::decode(&self.body)
                .map(|EditFields { target, text }| Body::Edit { target, text }),
            DELETE => {
                cbor::decode(&self.body).map(|DeleteFields { target }| Body::Delete { target })
            }
            REACTION => cbor::decode(&self.body).map(|ReactionFields { target, emoji, on }| {
                Body::Reaction(Reaction { target, emoji, on })
            }),
            CALL => cbor::decode(&self.body).map(|fields| call_body(&fields, &self.body)),
            OFFER => cbor::decode(&self.body).map(Body::Offer),
            kind => cbor::check(&self.body).map(|()| Body::Unknown {
                kind,
                raw: self.body.clone(),
            }),
        }
        .map_err(of)?;
        check_text(&body)?;
        let mut message = Message {
            id: self.id,
            conversation: ConversationId::Peer(author),
            author,
            seq: self.seq,
            at: self.at,
            body,
            raw: None,
            delivery: Delivery::Delivered,
        };
        // Fields of a later version do not come out again when the body is encoded: keep them.
        if Self::of(&message).body != self.body {
            message.raw = Some(self.body);
        }
        Ok(message)
    }
}

/// Reads ids and stops at the limit, so that a list is never built before it is judged.
fn bounded_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MessageId>, D::Error> {
    struct Ids;
    impl<'de> Visitor<'de> for Ids {
        type Value = Vec<MessageId>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {ACK_IDS_MAX} message ids")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut ids = Vec::new();
            while let Some(id) = seq.next_element()? {
                if ids.len() == ACK_IDS_MAX {
                    return Err(serde::de::Error::invalid_length(ids.len(), &self));
                }
                ids.push(id);
            }
            Ok(ids)
        }
    }
    deserializer.deserialize_seq(Ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::TEXT_BYTES_MAX;
    use proptest::prelude::*;

    fn bytes_of(frame: &Frame) -> Vec<u8> {
        let mut out = Vec::new();
        frame.encode(&mut out);
        out
    }

    fn message(body: Body) -> Message {
        Message {
            id: MessageId([7; 16]),
            conversation: ConversationId::Peer(PeerId([1; 32])),
            author: PeerId([1; 32]),
            seq: 9,
            at: WallTime(1_700_000_000_000),
            body,
            raw: None,
            delivery: Delivery::Delivered,
        }
    }

    #[test]
    fn every_frame_round_trips() {
        let name = Name::new("王小明").unwrap();
        let frames = [
            Frame::Profile(Profile::new(name, Status::Busy, WallTime(5), 42550)),
            Frame::Message(Envelope::of(&message(Body::Delete {
                target: MessageId([2; 16]),
            }))),
            Frame::Ack(vec![MessageId([1; 16]), MessageId([2; 16])]),
            Frame::Read(u64::MAX),
            Frame::Typing(true),
            Frame::Ping(1),
            Frame::Pong(2),
            Frame::Rekey,
            Frame::Bye(Bye::Other(99)),
            Frame::Hold(Hold::Request),
            Frame::Resume,
            Frame::Unknown(200),
        ];
        for frame in frames {
            assert_eq!(Frame::decode(&bytes_of(&frame)), Ok(frame));
        }
    }

    #[test]
    fn every_body_round_trips() {
        let target = MessageId([3; 16]);
        for body in [
            Body::Text {
                text: "你好".into(),
                reply_to: None,
            },
            Body::Text {
                text: "hi".into(),
                reply_to: Some(target),
            },
            Body::Edit {
                target,
                text: "x".into(),
            },
            Body::Delete { target },
            Body::Reaction(Reaction {
                target,
                emoji: "👍".into(),
                on: true,
            }),
            Body::Unknown {
                kind: 999,
                raw: vec![0xa0],
            },
        ] {
            let message = message(body);
            assert_eq!(Envelope::of(&message).open(message.author), Ok(message));
        }
    }

    #[test]
    fn fields_of_a_later_version_are_kept() {
        #[derive(Serialize)]
        struct Later {
            x: &'static str,
            z: u8,
        }
        let mut body = Vec::new();
        cbor::encode(&Later { x: "hi", z: 1 }, &mut body);
        let mut envelope = Envelope::of(&message(Body::Delete {
            target: MessageId([0; 16]),
        }));
        envelope.kind = TEXT;
        envelope.body.clone_from(&body);
        let opened = envelope.open(PeerId([1; 32])).unwrap();
        assert_eq!(
            opened.body,
            Body::Text {
                text: "hi".into(),
                reply_to: None
            }
        );
        assert_eq!(opened.raw, Some(body));
    }

    #[test]
    fn limits_hold_at_and_past_their_edge() {
        let text = |bytes: usize| {
            let body = Body::Text {
                text: "x".repeat(bytes),
                reply_to: None,
            };
            Envelope::of(&message(body))
                .open(PeerId([1; 32]))
                .map(|_| ())
        };
        assert_eq!(text(TEXT_BYTES_MAX), Ok(()));
        assert!(matches!(text(TEXT_BYTES_MAX + 1), Err(FrameError::Text(_))));
        assert!(matches!(text(0), Err(FrameError::Text(_))));
        let ids = |n: usize| Frame::decode(&bytes_of(&Frame::Ack(vec![MessageId([1; 16]); n])));
        assert!(ids(ACK_IDS_MAX).is_ok());
        assert!(ids(ACK_IDS_MAX + 1).is_err());
        assert_eq!(Frame::decode(&[]), Err(FrameError::Empty));
    }

    #[test]
    fn the_longest_text_fits_one_record() {
        let body = Body::Text {
            text: "x".repeat(TEXT_BYTES_MAX),
            reply_to: None,
        };
        let frame = Frame::Message(Envelope::of(&message(body)));
        assert!(bytes_of(&frame).len() < 65_519);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_a_panic(bytes: Vec<u8>) {
            if let Ok(Frame::Message(envelope)) = Frame::decode(&bytes) {
                let _ = envelope.open(PeerId([1; 32]));
            }
        }

        #[test]
        fn a_flipped_byte_never_panics(at in 0..60usize, to: u8) {
            let text = Body::Text { text: "hello".into(), reply_to: None };
            let mut bytes = bytes_of(&Frame::Message(Envelope::of(&message(text))));
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(Frame::Message(envelope)) = Frame::decode(&bytes) {
                let _ = envelope.open(PeerId([1; 32]));
            }
        }
    }
}
