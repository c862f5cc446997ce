//! Frames and the messages in them.

use crate::reference::{self, Fields, Item, bytes, text, unsigned};
use crate::{files, hold};
use hallway_model::{
    Body, CallEnd, CallId, CallOutcome, CallRecord, ConversationId, Delivery, Message, MessageId,
    Name, PeerId, Reaction, Status, TextError, WallTime,
};
use hallway_proto::call::MediaKey;
use hallway_proto::cbor::CborError;
use hallway_proto::frame::{
    Bye, CallStanding, EndReason, Envelope, Frame, FrameError, Hold, Offer, Profile, Ringing,
};
use serde_json::{Value, json};

pub(crate) const AUTHOR: PeerId = PeerId([1; 32]);
pub(crate) const ID: MessageId = MessageId([0xa5; 16]);
const CALL: CallId = CallId(ID.0);
pub(crate) const TARGET: MessageId = MessageId([0x5a; 16]);
const AT: u64 = 1_750_000_000_123;
const MESSAGE: u8 = 2;

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn profile(name: &str, status: Status, port: u16) -> Frame {
    Frame::Profile(Profile::new(
        Name::new(name).unwrap(),
        status,
        WallTime(AT),
        port,
    ))
}

fn profile_fields(name: &str, status: u64, port: u64) -> Fields {
    vec![
        ("n", text(name)),
        ("s", unsigned(status)),
        ("t", unsigned(AT)),
        ("p", unsigned(port)),
    ]
}

fn number(key: &'static str, number: u64) -> Fields {
    vec![(key, unsigned(number))]
}

fn offer(kid: u64) -> Offer {
    Offer {
        call: CALL,
        key: MediaKey::new([0x77; 32]),
        kid,
    }
}

fn offer_fields(kid: u64) -> Fields {
    vec![
        ("c", bytes(ID.0)),
        ("k", bytes([0x77; 32])),
        ("i", unsigned(kid)),
    ]
}

fn ringing(waiting: bool) -> Frame {
    Frame::Ringing(Ringing {
        call: CALL,
        waiting,
    })
}

fn standing([muted, held, can_speak, can_hear]: [bool; 4]) -> Frame {
    Frame::CallState(CallStanding {
        call: CALL,
        muted,
        held,
        can_speak,
        can_hear,
    })
}

fn standing_fields(flags: [bool; 4]) -> Fields {
    let flags = ["m", "h", "s", "l"].into_iter().zip(flags);
    let flags = flags.map(|(key, flag)| (key, Item::Bool(flag)));
    std::iter::once(("c", bytes(ID.0))).chain(flags).collect()
}

fn end_fields(reason: u64) -> Fields {
    vec![("c", bytes(ID.0)), ("r", unsigned(reason))]
}

fn ended(end: CallEnd) -> Frame {
    Frame::CallEnd(CALL, EndReason::Known(end))
}

fn call(outcome: CallOutcome, duration_ms: u64) -> Body {
    Body::Call(CallRecord {
        outcome,
        duration_ms,
    })
}

/// Every type of frame but messages.
fn frames() -> Vec<(&'static str, u8, Fields, Frame)> {
    let ids = vec![ID, TARGET];
    let id_items = ids.iter().map(|id| bytes(id.0)).collect();
    vec![
        (
            "profile",
            1,
            profile_fields("Bo", 0, 42550),
            profile("Bo", Status::Available, 42550),
        ),
        (
            "profile of somebody who is busy",
            1,
            profile_fields("王小明", 2, 0),
            profile("王小明", Status::Busy, 0),
        ),
        (
            "ack",
            3,
            vec![("i", Item::Array(id_items))],
            Frame::Ack(ids),
        ),
        ("read", 4, number("q", 7), Frame::Read(7)),
        (
            "read everything",
            4,
            number("q", u64::MAX),
            Frame::Read(u64::MAX),
        ),
        (
            "typing",
            5,
            vec![("o", Item::Bool(true))],
            Frame::Typing(true),
        ),
        (
            "no longer typing",
            5,
            vec![("o", Item::Bool(false))],
            Frame::Typing(false),
        ),
        ("ping", 6, number("q", 24), Frame::Ping(24)),
        ("pong", 7, number("q", 256), Frame::Pong(256)),
        ("rekey", 8, vec![], Frame::Rekey),
        ("bye: goodbye", 9, number("r", 1), Frame::Bye(Bye::Goodbye)),
        (
            "bye: replaced",
            9,
            number("r", 2),
            Frame::Bye(Bye::Replaced),
        ),
        ("bye: idle", 9, number("r", 3), Frame::Bye(Bye::Idle)),
        (
            "bye: protocol",
            9,
            number("r", 4),
            Frame::Bye(Bye::Protocol),
        ),
        ("bye: busy", 9, number("r", 5), Frame::Bye(Bye::Busy)),
        (
            "hold: request",
            10,
            number("r", 1),
            Frame::Hold(Hold::Request),
        ),
        (
            "hold: storage",
            10,
            number("r", 2),
            Frame::Hold(Hold::Storage),
        ),
        ("resume", 11, vec![], Frame::Resume),
        ("ring", 12, offer_fields(3), Frame::Ring(offer(3))),
        (
            "ringing",
            13,
            vec![("c", bytes(ID.0)), ("w", Item::Bool(false))],
            ringing(false),
        ),
        (
            "ringing while another call is on",
            13,
            vec![("c", bytes(ID.0)), ("w", Item::Bool(true))],
            ringing(true),
        ),
        ("accept", 14, offer_fields(300), Frame::Accept(offer(300))),
        (
            "call state: listening only",
            15,
            standing_fields([false, false, false, true]),
            standing([false, false, false, true]),
        ),
        (
            "call state: muted and held",
            15,
            standing_fields([true, true, true, true]),
            standing([true, true, true, true]),
        ),
        (
            "call end: hung up",
            16,
            end_fields(1),
            ended(CallEnd::HungUp),
        ),
        (
            "call end: declined",
            16,
            end_fields(2),
            ended(CallEnd::Declined),
        ),
        ("call end: busy", 16, end_fields(3), ended(CallEnd::Busy)),
        (
            "call end: cancelled",
            16,
            end_fields(4),
            ended(CallEnd::Cancelled),
        ),
        (
            "call end: unanswered",
            16,
            end_fields(5),
            ended(CallEnd::Unanswered),
        ),
        ("call end: lost", 16, end_fields(6), ended(CallEnd::Lost)),
        (
            "call end: failed",
            16,
            end_fields(7),
            ended(CallEnd::Failed),
        ),
        (
            "call end: stopping",
            16,
            end_fields(8),
            ended(CallEnd::Stopped),
        ),
        (
            "call end: merged",
            16,
            end_fields(9),
            ended(CallEnd::Merged),
        ),
        (
            "call end: no such call",
            16,
            end_fields(10),
            Frame::CallEnd(CALL, EndReason::NoSuchCall),
        ),
    ]
}

/// Every kind of message.
fn bodies() -> Vec<(&'static str, u16, Fields, Body)> {
    let target = ("m", bytes(TARGET.0));
    let emoji = |on| {
        let emoji = "👍".into();
        Body::Reaction(Reaction {
            target: TARGET,
            emoji,
            on,
        })
    };
    vec![
        (
            "text",
            1,
            vec![("x", text("你好, Bo"))],
            Body::Text {
                text: "你好, Bo".into(),
                reply_to: None,
            },
        ),
        (
            "reply",
            1,
            vec![("x", text("hello")), ("r", bytes(TARGET.0))],
            Body::Text {
                text: "hello".into(),
                reply_to: Some(TARGET),
            },
        ),
        (
            "edit",
            2,
            vec![target.clone(), ("x", text("better"))],
            Body::Edit {
                target: TARGET,
                text: "better".into(),
            },
        ),
        (
            "delete",
            3,
            vec![target.clone()],
            Body::Delete { target: TARGET },
        ),
        (
            "reaction",
            4,
            vec![target.clone(), ("e", text("👍")), ("o", Item::Bool(true))],
            emoji(true),
        ),
        (
            "reaction taken off",
            4,
            vec![target, ("e", text("👍")), ("o", Item::Bool(false))],
            emoji(false),
        ),
        (
            "call, answered",
            6,
            vec![("o", unsigned(1)), ("d", unsigned(185_000))],
            call(CallOutcome::Answered, 185_000),
        ),
        (
            "call, missed",
            6,
            vec![("o", unsigned(2)), ("d", unsigned(0))],
            call(CallOutcome::Missed, 0),
        ),
        (
            "call, cut off",
            6,
            vec![("o", unsigned(7)), ("d", unsigned(1000))],
            call(CallOutcome::Interrupted, 1000),
        ),
    ]
}

fn message(body: Body, raw: Option<Vec<u8>>) -> Message {
    Message {
        id: ID,
        conversation: ConversationId::Peer(AUTHOR),
        author: AUTHOR,
        seq: 3,
        at: WallTime(AT),
        body,
        raw,
        delivery: Delivery::Delivered,
    }
}

fn envelope(kind: u64, body: &[u8]) -> Fields {
    vec![
        ("i", bytes(ID.0)),
        ("q", unsigned(3)),
        ("t", unsigned(AT)),
        ("k", unsigned(kind)),
        ("b", bytes(body)),
    ]
}

fn with_body(kind: u64, body: &[u8]) -> Vec<u8> {
    reference::frame(MESSAGE, &envelope(kind, body))
}

/// Fields with one more at the end.
fn and(mut fields: Fields, key: &'static str, value: Item) -> Fields {
    fields.push((key, value));
    fields
}

/// What a node makes of a record: a frame, and of a message what is in it.
#[derive(Debug, PartialEq)]
enum Read {
    Frame(Frame),
    Message(Message),
}

fn read(bytes: &[u8]) -> Result<Read, FrameError> {
    let frame = Frame::decode(bytes)?;
    if let Frame::Message(envelope) = frame {
        return envelope.open(AUTHOR).map(Read::Message);
    }
    Ok(Read::Frame(frame))
}

#[test]
fn frames_and_messages() {
    let frames: Vec<Value> = [frames(), files::frames()]
        .concat()
        .into_iter()
        .map(|(name, kind, fields, frame)| {
            let bytes = reference::frame(kind, &fields);
            assert_eq!(encoded(&frame), bytes, "{name}");
            assert_eq!(read(&bytes), Ok(Read::Frame(frame)), "{name}");
            json!({
                "name": name,
                "type": kind,
                "fields": reference::json(&fields),
                "bytes": hex::encode(bytes),
            })
        })
        .collect();
    let messages: Vec<Value> = [bodies(), files::bodies()]
        .concat()
        .into_iter()
        .map(|(name, kind, fields, body)| {
            let body_bytes = reference::map(&fields);
            let envelope = envelope(kind.into(), &body_bytes);
            let bytes = reference::frame(MESSAGE, &envelope);
            let message = message(body, None);
            let frame = Frame::Message(Envelope::of(&message));
            assert_eq!(encoded(&frame), bytes, "{name}");
            assert_eq!(read(&bytes), Ok(Read::Message(message)), "{name}");
            json!({
                "name": name,
                "type": MESSAGE,
                "fields": reference::json(&envelope),
                "body": reference::json(&fields),
                "bytes": hex::encode(bytes),
            })
        })
        .collect();
    let vectors = json!({
        "frames": frames,
        "messages": messages,
        "later": later(),
        "refused": refused(),
    });
    hold("frames.json", &vectors);
}

/// What later versions may send, and what this one reads.
fn later() -> Vec<Value> {
    let known = profile_fields("Bo", 0, 42550);
    let nested = Item::Array(vec![Item::Array(vec![unsigned(1)]), text("new")]);
    let body = reference::map(&vec![("z", unsigned(1))]);
    let text_body = reference::map(&vec![("x", text("hi")), ("z", unsigned(1))]);
    let hi = Body::Text {
        text: "hi".into(),
        reply_to: None,
    };
    let unknown = Body::Unknown {
        kind: 999,
        raw: body.clone(),
    };
    let later_call = reference::map(&vec![("o", unsigned(99)), ("d", unsigned(0))]);
    let unknown_call = Body::Unknown {
        kind: 6,
        raw: later_call.clone(),
    };
    let profile = profile("Bo", Status::Available, 42550);
    let cases = [
        (
            "an unknown field is skipped",
            reference::frame(1, &and(known.clone(), "zz", nested)),
            Read::Frame(profile.clone()),
        ),
        (
            "fields in another order",
            reference::frame(1, &known.iter().rev().cloned().collect()),
            Read::Frame(profile),
        ),
        (
            "a frame of an unknown type is skipped",
            reference::frame(64, &vec![("z", Item::Bool(true))]),
            Read::Frame(Frame::Unknown(64)),
        ),
        (
            "an unknown reason to leave still ends the session",
            reference::frame(9, &number("r", 200)),
            Read::Frame(Frame::Bye(Bye::Other(200))),
        ),
        (
            "an unknown reason to hold still holds",
            reference::frame(10, &number("r", 200)),
            Read::Frame(Frame::Hold(Hold::Other(200))),
        ),
        (
            "an unknown field of a body is kept with the message",
            with_body(1, &text_body),
            Read::Message(message(hi, Some(text_body))),
        ),
        (
            "an unknown reason ends a call",
            reference::frame(16, &end_fields(200)),
            Read::Frame(Frame::CallEnd(CALL, EndReason::Other(200))),
        ),
        (
            "a call with an unknown outcome is kept as of an unknown kind",
            with_body(6, &later_call),
            Read::Message(message(unknown_call, None)),
        ),
        (
            "a message of an unknown kind is kept and acknowledged",
            with_body(999, &body),
            Read::Message(message(unknown, None)),
        ),
    ];
    cases
        .into_iter()
        .map(|(why, bytes, expected)| {
            assert_eq!(read(&bytes), Ok(expected), "{why}");
            json!({"why": why, "bytes": hex::encode(bytes)})
        })
        .collect()
}

fn reason(error: &FrameError) -> &'static str {
    match error {
        FrameError::Empty => "empty",
        FrameError::Cbor { error, .. } => reason_of(*error),
        FrameError::Text(TextError::Empty) => "text_empty",
        FrameError::Text(TextError::TooLong { .. }) => "text_too_long",
    }
}

pub(crate) fn reason_of(error: CborError) -> &'static str {
    match error {
        CborError::Truncated => "truncated",
        CborError::Trailing => "trailing",
        CborError::NotShortest => "not_shortest",
        CborError::Unsupported => "unsupported",
        CborError::TooDeep => "too_deep",
        CborError::NotUtf8 => "not_utf8",
        CborError::Shape => "shape",
    }
}

/// What ends a session.
fn refused() -> Vec<Value> {
    let named = |name: &str| reference::frame(1, &profile_fields(name, 0, 0));
    let body = |fields: Fields| reference::map(&fields);
    let target = || ("m", bytes(TARGET.0));
    let reaction = |emoji: &str| {
        with_body(
            4,
            &body(vec![target(), ("e", text(emoji)), ("o", Item::Bool(true))]),
        )
    };
    // {"q": 1, "z": [[…[0]…]]}: the map and so many arrays.
    let deep = |arrays: usize| {
        let nested = vec![0x81; arrays];
        [&b"\x06\xa2\x61q\x01\x61z"[..], &nested, b"\x00"].concat()
    };
    assert!(read(&deep(15)).is_ok());
    let without = |at: usize| {
        let mut fields = envelope(3, &body(vec![target()]));
        fields.remove(at);
        reference::frame(MESSAGE, &fields)
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an empty record", vec![]),
        ("a type without fields", b"\x08".to_vec()),
        ("a map that is cut off", b"\x06\xa1\x61q".to_vec()),
        (
            "a map that claims more than there is",
            b"\x06\xbb\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        ),
        ("a byte follows", b"\x08\xa0\x00".to_vec()),
        (
            "a number in two bytes that needs one",
            b"\x06\xa1\x61q\x18\x17".to_vec(),
        ),
        (
            "a length in two bytes that needs one",
            b"\x06\xa1\x78\x01q\x07".to_vec(),
        ),
        ("indefinite length", b"\x06\xbf\x61q\x01\xff".to_vec()),
        ("a tag", b"\x06\xa1\x61q\xc1\x01".to_vec()),
        ("a float", b"\x06\xa1\x61q\xf9\x3c\x00".to_vec()),
        ("undefined", b"\x06\xa2\x61q\x01\x61z\xf7".to_vec()),
        (
            "a text that is not UTF-8",
            b"\x06\xa2\x61q\x01\x61z\x61\xff".to_vec(),
        ),
        ("seventeen levels", deep(16)),
        ("no map", b"\x08\x00".to_vec()),
        ("a field is missing", b"\x06\xa0".to_vec()),
        ("a field twice", b"\x06\xa2\x61q\x01\x61q\x01".to_vec()),
        (
            "a key that is not a text",
            b"\x06\xa2\x61q\x01\x00\x01".to_vec(),
        ),
        ("a negative number", b"\x06\xa1\x61q\x20".to_vec()),
        ("a number for a flag", b"\x05\xa1\x61o\x01".to_vec()),
        ("a reason over 255", b"\x09\xa1\x61r\x19\x01\x00".to_vec()),
        (
            "a port over 65535",
            reference::frame(1, &profile_fields("Bo", 0, 65_536)),
        ),
        ("no name", named("")),
        ("a name of 65 bytes", named(&"x".repeat(65))),
        (
            "a media key of 31 bytes",
            reference::frame(
                12,
                &vec![
                    ("c", bytes(ID.0)),
                    ("k", bytes([0x77; 31])),
                    ("i", unsigned(1)),
                ],
            ),
        ),
        (
            "a name that changes the direction of writing",
            named("Bo\u{202e}b"),
        ),
        (
            "an id of 15 bytes",
            reference::frame(3, &vec![("i", Item::Array(vec![bytes([0; 15])]))]),
        ),
        (
            "an id as a text",
            reference::frame(3, &vec![("i", Item::Array(vec![text("00")]))]),
        ),
        ("a message without an id", without(0)),
        ("a message without a number", without(1)),
        ("a message without a time", without(2)),
        ("a message without a kind", without(3)),
        ("a message without a body", without(4)),
        (
            "a kind over 65535",
            with_body(65_536, &body(vec![target()])),
        ),
        (
            "a body that is cut off",
            with_body(3, &body(vec![target()])[..18]),
        ),
        (
            "a body followed by a byte",
            with_body(3, &[body(vec![target()]), vec![0]].concat()),
        ),
        (
            "a body of an unknown kind that is not CBOR",
            with_body(999, &[0xff]),
        ),
        ("an empty body", with_body(1, &[])),
        (
            "a text without a text",
            with_body(1, &body(vec![("r", bytes(TARGET.0))])),
        ),
        ("an empty text", with_body(1, &body(vec![("x", text(""))]))),
        (
            "an edit without a target",
            with_body(2, &body(vec![("x", text("hi"))])),
        ),
        (
            "an edit that leaves nothing",
            with_body(2, &body(vec![target(), ("x", text(""))])),
        ),
        ("an empty emoji", reaction("")),
        ("an emoji of 65 bytes", reaction(&"x".repeat(65))),
    ];
    cases
        .into_iter()
        .map(|(why, bytes)| {
            let error = read(&bytes).expect_err(why);
            json!({"why": why, "bytes": hex::encode(bytes), "error": reason(&error)})
        })
        .collect()
}
