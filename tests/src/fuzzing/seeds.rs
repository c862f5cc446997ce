//! What honest nodes send, for the fuzzers to start from: without it they would never get past a
//! signature or a cipher.

use super::{dialled, listening, receive, session};
use hallway_model::ContentId;
use hallway_proto::bulk::{
    Ask, Entry, Hashes, Kind, Message, Open, Opened, Page, RefusedWhy, Revision, Want,
};
use hallway_proto::handshake::{Step, Transport};
use hallway_voice::codec::FrameLength;
use hallway_voice::packet::{CaptureState, Frame, MediaPacket, Packet, Report};
use serde_json::Value;

/// A file in the corpus of a fuzzer.
pub struct Seed {
    /// The fuzzer.
    pub target: &'static str,
    /// The name of the file.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// All seeds.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, bytes: Vec<u8>| {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        seeds.push(Seed {
            target,
            name,
            bytes,
        });
    };
    let frames = vectors(include_str!("../../../crates/proto/vectors/frames.json"));
    for group in ["frames", "messages", "later"] {
        for vector in list(&frames, group) {
            let name = vector["name"].as_str().or(vector["why"].as_str());
            add("frame", name.expect("a name"), hex(vector, "bytes"));
        }
    }
    let handshakes = vectors(include_str!("../../../crates/proto/vectors/handshake.json"));
    for (number, vector) in (1..).zip(list(&handshakes, "handshakes")) {
        for payload in ["payload_2", "payload_3"] {
            add(
                "payload",
                &format!("{payload}_{number}"),
                hex(vector, payload),
            );
        }
    }
    for (number, vector) in (1..).zip(list(&handshakes, "hellos")) {
        add("preamble", &format!("hello_{number}"), hex(vector, "hello"));
        if vector["reject"].is_string() {
            add(
                "preamble",
                &format!("reject_{number}"),
                hex(vector, "reject"),
            );
            let reject = [vec![0], hex(vector, "reject")].concat();
            add("handshake", &format!("reject_{number}"), reject);
        }
    }
    let certificates = vectors(include_str!(
        "../../../crates/proto/vectors/certificate.json"
    ));
    for (number, vector) in (1..).zip(list(&certificates, "valid")) {
        add(
            "payload",
            &format!("certificate_{number}"),
            hex(vector, "certificate"),
        );
    }
    let [to_initiator, to_responder] = handshake();
    // In large pieces and in small ones.
    add(
        "handshake",
        "to_initiator",
        [&[0xfe], &to_initiator[..]].concat(),
    );
    add(
        "handshake",
        "to_initiator_slowly",
        [&[0x02], &to_initiator[..]].concat(),
    );
    add(
        "handshake",
        "to_responder",
        [&[0xff], &to_responder[..]].concat(),
    );
    add(
        "handshake",
        "to_responder_slowly",
        [&[0x03], &to_responder[..]].concat(),
    );
    let records = records(session().0.transport);
    add("record", "session", [&[0xfe], &records[..]].concat());
    add("record", "session_slowly", [&[0x00], &records[..]].concat());
    for (name, script) in scripts() {
        add("engine", name, script);
    }
    let id = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypqyus";
    let txt = format!("\x03v=1\x3aid={id}\x0bn=王小明\x06s=busy\x03a=1");
    add("txt", "busy", txt.into_bytes());
    add(
        "txt",
        "available",
        b"\x03v=1\x05n=Ann\x0bs=available".to_vec(),
    );
    let mut call = Vec::new();
    for (name, packet) in packets() {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        let length = u8::try_from(bytes.len()).expect("a short packet");
        call.extend([50, 4, length]);
        call.extend(&bytes);
        add("voice_packet", name, bytes);
    }
    add("voice_redundancy", "call", call);
    let mut records = Vec::new();
    for (name, message) in bulk_messages() {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let length = u16::try_from(bytes.len()).expect("a short record");
        records.extend(length.to_be_bytes());
        records.extend(&bytes);
        add("bulk", name, bytes);
    }
    add("manifest", "a folder", records);
    for (number, name) in (1..).zip(FILE_NAMES) {
        add("file_name", &format!("name_{number}"), name.into());
    }
    for (name, body) in BODIES {
        add("api_body", name, body.into());
    }
    for (name, text) in CONFIGS {
        add("config", name, text.into());
    }
    seeds
}

/// Names of files that mean no good, or no harm.
const FILE_NAMES: [&str; 8] = [
    "report.pdf",
    "../../etc/passwd",
    "C:\\autoexec.bat",
    "con.txt",
    "exe\u{202e}fdp.scr",
    "Zoe\u{308}. .",
    ".hallway-0123.part",
    "年報\u{200b}.tar.gz",
];

/// One message of each kind on a connection for files, together the transfer of a folder.
fn bulk_messages() -> Vec<(&'static str, Message)> {
    let revision = Revision([8; 16]);
    let entry = |parent, name: &str, kind, bytes| Entry {
        parent,
        name: name.into(),
        kind,
        bytes,
        modified_ms: 1_700_000_000_000,
        executable: bytes == 0 && kind == Kind::File,
        version: bytes,
    };
    let entries = vec![
        entry(0, "trip", Kind::Folder, 0),
        entry(0, "run.sh", Kind::File, 0),
        entry(0, "film.mp4", Kind::File, 3 << 20),
        entry(0, "照片", Kind::Folder, 0),
        entry(3, "1.jpg", Kind::File, 12_345),
        entry(3, "link", Kind::Skipped, 0),
        entry(3, "secret", Kind::Unreadable, 0),
    ];
    let hashes = vec![7; 64];
    let want = |first, count| Want { first, count };
    vec![
        (
            "open",
            Message::Open(Open {
                content: ContentId([7; 16]),
                serving: false,
                have: Some(1),
                revision: Some(revision),
            }),
        ),
        (
            "opened",
            Message::Opened(Opened {
                revision,
                entries: 7,
            }),
        ),
        ("refused", Message::Refused(RefusedWhy::NotNow)),
        ("list", Message::List(0)),
        ("page", Message::Page(Page { first: 0, entries })),
        ("want", Message::Want(want(0, 3), Ask::You)),
        (
            "group",
            Message::Group {
                group: 0,
                bytes: 1 << 20,
            },
        ),
        ("zeros", Message::Zeros(1)),
        ("want_again", Message::Want(want(1, 1), Ask::YouAfterAll)),
        ("gone", Message::Gone(2)),
        ("check", Message::Check(want(0, 2))),
        ("hashes", Message::Hashes(Hashes { first: 0, hashes })),
        ("rekey", Message::Rekey),
        (
            "elsewhere",
            Message::Elsewhere {
                group: 1,
                hash: [7; 32],
            },
        ),
        ("follow", Message::Follow),
        ("have", Message::Have(vec![want(0, 2), want(5, 1)])),
        ("progress", Message::Progress(2 << 20)),
    ]
}

/// One packet of each kind of a call.
fn packets() -> [(&'static str, Packet<'static>); 4] {
    let frame = |age, payload| Frame {
        age,
        length: FrameLength::Ms10,
        payload,
    };
    let media = MediaPacket {
        timestamp: 48_000,
        sent: 1_000_000,
        capture: CaptureState::default(),
        report: Some(Report::default()),
        frames: vec![
            frame(0, &[0x18, 1, 2, 3]),
            frame(2, &[0x18, 4, 5, 6]),
            frame(6, &[0x18, 7, 8, 9]),
        ],
    };
    [
        ("challenge", Packet::Challenge(*b"question")),
        ("response", Packet::Response(*b"question")),
        ("media", Packet::Media(media)),
        ("no_microphone", Packet::Media(MediaPacket::default())),
    ]
}

const BODIES: [(&str, &str); 9] = [
    (
        "text",
        r#"{"to": "Bo~aaaq", "text": "你好\n", "client_id": "1", "wait": "delivered", "timeout_ms": 10}"#,
    ),
    (
        "reply",
        r#"{"to": "Bo", "text": "hi", "reply_to": "00112233445566778899aabbccddeeff"}"#,
    ),
    (
        "edit",
        r#"{"to": "Bo", "text": "hi", "edit": "00112233445566778899AABBCCDDEEFF"}"#,
    ),
    (
        "reaction",
        r#"{"to": "Bo", "reaction": {"target": "00112233445566778899aabbccddeeff", "emoji": "👍", "on": false}}"#,
    ),
    ("connect", r#"{"address": "[fe80::1%eth0]:42550"}"#),
    ("name", r#"{"name": "王小明"}"#),
    ("status", r#"{"status": "away"}"#),
    ("verify", r#"{"number": "03457 22315"}"#),
    ("read", r#"{"seq": 18446744073709551615}"#),
];

const CONFIGS: [(&str, &str); 7] = [
    (
        "everything",
        "name = \"Ann\"\ndevice = \"laptop\"\nport = 42550\npeers = [\"192.168.7.20\", \"bo.local:42550\", \"[fe80::1%eth0]:42550\"]\nmdns = false\nread_receipts = false\nlog = \"debug\" # quiet\n",
    ),
    ("a typo", "prot = 42550\n"),
    ("a wrong type", "name = 7\nport = \"x\"\n"),
    ("no toml", "name = [\n"),
    ("an address", "192.168.7.20:42550"),
    ("an address on a link", "[fe80::1%eth0]:42550"),
    ("a host", "bo.local"),
];

/// What each side of a handshake receives.
fn handshake() -> [Vec<u8>; 2] {
    let ((mut initiator, first), mut responder) = (dialled(), listening());
    let Step::Send(second) = receive(&mut responder, &first) else {
        unreachable!("a responder answers");
    };
    let Step::Done { send, .. } = receive(&mut initiator, &second) else {
        unreachable!("an initiator has the last word");
    };
    [second, [first, send].concat()]
}

const PROFILE: &[u8] =
    b"\x01\xa4\x61n\x62Bo\x61s\x00\x61t\x1b\x00\x00\x01\x97\x74\x20\xdc\x7b\x61p\x00";
const READ: &[u8] = b"\x04\xa1\x61q\x01";
const TYPING: &[u8] = b"\x05\xa1\x61o\xf5";
const PING: &[u8] = b"\x06\xa1\x61q\x01";
const PONG: &[u8] = b"\x07\xa1\x61q\x01";
const REKEY: &[u8] = b"\x08\xa0";
const BYE: &[u8] = b"\x09\xa1\x61r\x01";
const HOLD: &[u8] = b"\x0a\xa1\x61r\x01";
const RESUME: &[u8] = b"\x0b\xa0";

/// The text "hi", with this id and number.
fn text(number: u8) -> Vec<u8> {
    [
        b"\x02\xa5\x61i\x50".as_slice(),
        &[number; 16],
        b"\x61q",
        &[number],
        b"\x61t\x00\x61k\x01\x61b\x46\xa1\x61x\x62hi",
    ]
    .concat()
}

fn records(mut transport: Transport) -> Vec<u8> {
    let mut records = Vec::new();
    for frame in [PROFILE, PING, &text(1), REKEY, &text(2), BYE] {
        let sealed = transport.seal(frame, &mut records);
        sealed.expect("a short frame fits");
        if frame == REKEY {
            transport.rekey_outgoing();
        }
    }
    records
}

/// Scripts for the engine: contacts and strangers, a full disk, and every command.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    let frame = |frame: &[u8]| {
        let length = u16::try_from(frame.len()).expect("a short frame");
        [&length.to_be_bytes(), frame].concat()
    };
    let user = |command: u8| vec![0xfd, command];
    let passes = |seconds: u8| vec![0xff, seconds];
    let (full, room) = (vec![0xfe, 0], vec![0xfe, 1]);
    let (again, ack) = (vec![0xfc, 0], vec![0xfc, 1]);
    let script = |contact: u8, steps: &[Vec<u8>]| [vec![contact], steps.concat()].concat();
    let profile = frame(PROFILE);
    vec![
        (
            "a talk with a contact",
            script(
                1,
                &[
                    profile.clone(),
                    frame(PONG),
                    frame(TYPING),
                    frame(&text(1)),
                    frame(&text(2)),
                    user(0),
                    ack.clone(),
                    frame(READ),
                    user(5),
                    user(6),
                    passes(70),
                    frame(PING),
                    frame(REKEY),
                    frame(&text(3)),
                    frame(BYE),
                ],
            ),
        ),
        (
            "a stranger",
            script(
                0,
                &[
                    profile.clone(),
                    frame(&text(1)),
                    frame(&text(2)),
                    frame(&text(3)),
                    frame(&text(4)),
                    user(1),
                    frame(&text(4)),
                    user(8),
                ],
            ),
        ),
        (
            "a full disk",
            script(
                1,
                &[
                    profile.clone(),
                    frame(&text(1)),
                    full,
                    frame(&text(2)),
                    frame(&text(3)),
                    user(0),
                    passes(11),
                    frame(&text(2)),
                    room,
                    passes(11),
                    frame(&text(2)),
                    frame(&text(3)),
                ],
            ),
        ),
        (
            "held back",
            script(
                1,
                &[
                    profile.clone(),
                    user(0),
                    frame(HOLD),
                    user(0),
                    frame(RESUME),
                    ack,
                ],
            ),
        ),
        (
            "a new session",
            script(
                1,
                &[
                    profile.clone(),
                    frame(&text(1)),
                    user(0),
                    again.clone(),
                    profile.clone(),
                    frame(&text(1)),
                    frame(&text(2)),
                    passes(46),
                    again.clone(),
                    profile.clone(),
                    frame(&text(2)),
                ],
            ),
        ),
        (
            "blocked and forgotten",
            script(
                0,
                &[
                    profile.clone(),
                    frame(&text(1)),
                    user(2),
                    again.clone(),
                    profile.clone(),
                    user(3),
                    again,
                    profile,
                    user(4),
                    user(7),
                ],
            ),
        ),
    ]
}

fn vectors(json: &str) -> Value {
    serde_json::from_str(json).expect("vectors are JSON")
}

fn list<'a>(vectors: &'a Value, key: &str) -> &'a Vec<Value> {
    vectors[key].as_array().expect("a list of vectors")
}

fn hex(vector: &Value, key: &str) -> Vec<u8> {
    let text = vector[key].as_str().expect("bytes in hexadecimal");
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs
        .map(|pair| byte(pair).expect("a pair of digits"))
        .collect()
}
