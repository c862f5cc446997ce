//! What the fuzzers feed with the bytes of a stranger: one function for each parser, which must
//! neither panic nor accept what it would not write again. The corpus in `tests/fuzz/corpus` is
//! replayed through the same functions by `tests/corpus.rs`.

mod call;
pub mod seeds;
mod victim;

use hallway_api::{
    ConnectRequest, NameRequest, ReadRequest, SendRequest, StatusRequest, VerifyRequest,
};
use hallway_model::{Name, PeerId, WallTime};
use hallway_node::config::{parse, parse_address};
use hallway_node::discovery::txt::{parse_txt, write_txt};
use hallway_proto::bulk::{
    GROUP_BYTES, GroupSet, Kind, Manifest, Message, NAME_BYTES_MAX, Plan, Want,
};
use hallway_proto::bulk::{fold, numbered, safe_name};
use hallway_proto::frame::Frame;
use hallway_proto::handshake::{
    Certificate, Entropy, Established, HANDSHAKE_BYTES_MAX, HELLO_BYTES, Handshake, Hello,
    LocalKeys, Payload, Policy, Purpose, RECORD_PLAINTEXT_MAX, Reject, Step, Suite,
};
use hallway_voice::packet::{PACKET_BYTES_MAX, Packet};
use hallway_voice::sframe::{HEADER_BYTES_MAX, Header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock};
use victim::Victim;

/// A parser of somebody else's bytes.
pub type Target = fn(&[u8]);

/// Every parser, under the name of its fuzzer and its corpus.
pub const TARGETS: [(&str, Target); 14] = [
    ("preamble", preamble),
    ("payload", payload),
    ("handshake", handshake),
    ("record", record),
    ("frame", frame),
    ("engine", engine),
    ("txt", txt),
    ("api_body", api_body),
    ("config", config),
    ("voice_packet", voice_packet),
    ("voice_redundancy", voice_redundancy),
    ("bulk", bulk),
    ("manifest", manifest),
    ("file_name", file_name),
];

/// `Hello` and `Reject`.
pub fn preamble(data: &[u8]) {
    let Some(bytes) = data.first_chunk::<HELLO_BYTES>() else {
        return;
    };
    if let Ok(hello) = Hello::decode(*bytes) {
        assert_eq!(hello.encode(), *bytes);
    }
    if let Ok(reject) = Reject::decode(*bytes) {
        assert_eq!(reject.encode(), *bytes);
        let _ = reject.retry_version(&(1..=3));
    }
}

/// The payload of a handshake message, and the certificate in it or by itself.
pub fn payload(data: &[u8]) {
    if let Ok(payload) = Payload::decode(data) {
        let certificate = payload.certificate;
        assert_eq!(Certificate::decode(certificate.encoded()), Ok(certificate));
    }
    if let Ok(certificate) = Certificate::decode(data) {
        assert_eq!(certificate.encoded(), data);
    }
}

/// The bytes that one side of a handshake receives, in pieces. The first byte says which side
/// and how large the pieces are.
pub fn handshake(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else {
        return;
    };
    let mut handshake = if how & 1 == 0 {
        dialled().0
    } else {
        listening()
    };
    for piece in stream.chunks(pieces(*how)) {
        let Ok(due) = handshake.push(piece) else {
            return;
        };
        if due && !matches!(handshake.step(), Ok(Step::Send(_) | Step::NeedMore)) {
            return;
        }
    }
    assert!(stream.len() <= 2 * HANDSHAKE_BYTES_MAX);
}

/// Records from the initiator of a session, in pieces whose size the first byte gives.
pub fn record(data: &[u8]) {
    let Some((how, stream)) = data.split_first() else {
        return;
    };
    let (_, mut responder) = session();
    let mut plaintext = Vec::new();
    for piece in stream.chunks(pieces(*how)) {
        responder.transport.push(piece);
        while responder.transport.open(&mut plaintext) == Ok(true) {
            assert!(plaintext.len() <= RECORD_PLAINTEXT_MAX);
            if Frame::decode(&plaintext) == Ok(Frame::Rekey) {
                responder.transport.rekey_incoming();
            }
        }
    }
}

/// The plaintext of one record, and the message in it.
pub fn frame(data: &[u8]) {
    let Ok(frame) = Frame::decode(data) else {
        return;
    };
    let mut again = Vec::new();
    frame.encode(&mut again);
    assert_eq!(Frame::decode(&again).as_ref(), Ok(&frame));
    if let Frame::Message(envelope) = frame {
        let author = PeerId([1; 32]);
        if let Ok(message) = envelope.open(author) {
            let same = hallway_proto::frame::Envelope::of(&message).open(author);
            assert_eq!(same.map(|same| same.body), Ok(message.body));
        }
    }
}

/// A node in the hands of a peer that has proved who it is and sends whatever it likes: see
/// [`Victim::run`] for the format.
pub fn engine(data: &[u8]) {
    Victim::new(data).run();
}

/// The TXT record of an announcement.
pub fn txt(data: &[u8]) {
    let read = parse_txt(data);
    assert_eq!(parse_txt(&write_txt(&read)), read);
}

/// The body of a request to the local API.
pub fn api_body(data: &[u8]) {
    same_again::<SendRequest>(data);
    same_again::<NameRequest>(data);
    same_again::<StatusRequest>(data);
    same_again::<VerifyRequest>(data);
    same_again::<ReadRequest>(data);
    same_again::<ConnectRequest>(data);
}

/// The configuration file, and the address of a peer in it.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(error) = parse(text) {
        assert!(!error.to_string().is_empty());
    }
    match parse_address(text, 1) {
        // It is written with its port, so the one that holds without makes no difference.
        Ok(address) => assert_eq!(parse_address(&address.to_string(), 2), Ok(address)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A datagram of a call, sealed or not, and the plaintext of one.
pub fn voice_packet(data: &[u8]) {
    if let Ok((header, length)) = Header::decode(data) {
        assert!(length <= HEADER_BYTES_MAX && length <= data.len());
        assert_eq!(Header::decode(&data[..length]), Ok((header, length)));
    }
    if let Ok(packet) = Packet::decode(data) {
        let mut again = Vec::new();
        if data.len() <= PACKET_BYTES_MAX {
            packet.encode(&mut again);
            assert_eq!(Packet::decode(&again), Ok(packet));
        }
    }
}

/// A call in the hands of a peer that has its keys and sends whatever it likes: see [`call::run`]
/// for the format.
pub fn voice_redundancy(data: &[u8]) {
    call::run(data);
}

/// The plaintext of one record on a connection for files.
pub fn bulk(data: &[u8]) {
    let Ok(message) = Message::decode(data) else {
        return;
    };
    if let Message::Group { bytes, .. } = message {
        assert!(u64::from(bytes) <= GROUP_BYTES);
    }
    let mut again = Vec::new();
    message.encode(&mut again);
    assert_eq!(Message::decode(&again), Ok(message));
}

/// Groups of a plan that are looked at; the limit of what a disk may take is the shell's.
const GROUPS_MAX: u64 = 1 << 16;

/// Records on a connection for files, of which the pages make a list, and all others ask for and
/// bring groups of it. Each has its length in front, in two bytes.
pub fn manifest(data: &[u8]) {
    let mut list = Manifest::default();
    let (mut wanted, mut had) = (Vec::new(), Vec::new());
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (record, next) = after.split_at(length);
        rest = next;
        match Message::decode(record) {
            Ok(Message::Page(page)) => {
                for entry in page.entries {
                    let before = (list.entries().len(), list.bytes());
                    if list.push(entry).is_err() {
                        assert_eq!((list.entries().len(), list.bytes()), before);
                    }
                }
            }
            Ok(Message::Want(want, _)) => wanted.push(want),
            Ok(Message::Have(runs)) => had.extend(runs),
            Ok(_) | Err(_) => {}
        }
    }
    let files = list
        .entries()
        .iter()
        .filter(|entry| entry.kind == Kind::File);
    assert_eq!(u64::from(list.files()), files.count() as u64);
    for group in (0..list.groups().min(GROUPS_MAX)).chain(list.groups().checked_sub(1)) {
        let piece = list.piece(group).expect("every group is somewhere");
        assert!(piece.bytes > 0 && list.groups_of(piece.entry).contains(&group));
    }
    assert_eq!(list.piece(list.groups()), None);
    if list.groups() <= GROUPS_MAX {
        plan(&list, &wanted);
        set(&list, &had);
    }
}

/// Some groups of a list are there, some get lost again, and in the end all are fetched once.
fn plan(list: &Manifest, wanted: &[Want]) {
    let mut plan = Plan::new(list);
    for (number, want) in wanted.iter().enumerate() {
        for group in (want.first..).take(want.count as usize).take(100) {
            if number % 2 == 0 {
                plan.handle_have(group, list);
            } else {
                plan.handle_lost(group, list);
            }
        }
    }
    while let Some(want) = plan.claim(7, 3 * GROUP_BYTES, list) {
        for group in want.first..want.first + u64::from(want.count) {
            assert!(plan.handle_have(group, list), "a group is fetched twice");
        }
    }
    assert!(plan.is_complete() && plan.bytes() == list.bytes());
}

/// Another receiver says what it has.
fn set(list: &Manifest, had: &[Want]) {
    let groups = list.groups();
    let told: u64 = had.iter().map(|run| u64::from(run.count)).sum();
    if told > groups {
        return;
    }
    let mut set = GroupSet::new(groups);
    had.iter().for_each(|run| set.insert(*run));
    for group in 0..groups {
        let is_told = |run: &Want| {
            let offset = group.checked_sub(run.first);
            offset.is_some_and(|offset| offset < u64::from(run.count))
        };
        assert_eq!(set.contains(group), had.iter().any(is_told), "{group}");
    }
    assert!(!set.contains(u64::MAX));
}

/// The name that somebody else has given a file.
pub fn file_name(data: &[u8]) {
    let name = String::from_utf8_lossy(data);
    let safe = safe_name(&name);
    for safe in [numbered(&safe, 2), safe] {
        assert!((1..=NAME_BYTES_MAX + 10).contains(&safe.len()), "{safe:?}");
        let forbidden = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
        assert!(!safe.contains(forbidden), "{safe:?}");
        assert!(
            !safe.ends_with(['.', ' ']) && !safe.starts_with(' '),
            "{safe:?}"
        );
        assert!(!safe.starts_with(".hallway-"), "{safe:?}");
        assert!(
            safe_name(&safe) == safe || safe.len() > NAME_BYTES_MAX,
            "{safe:?}"
        );
        assert_eq!(fold(&fold(&safe)), fold(&safe), "{safe:?}");
    }
}

fn same_again<T: DeserializeOwned + Serialize + PartialEq + Debug>(json: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(json) {
        let again = serde_json::to_vec(&value).expect("what was JSON is JSON");
        assert_eq!(serde_json::from_slice::<T>(&again).ok(), Some(value));
    }
}

fn pieces(how: u8) -> usize {
    1 + usize::from(how >> 1) * 32
}

/// The keys of the initiator and of the responder of every handshake here.
static KEYS: LazyLock<[Arc<LocalKeys>; 2]> = LazyLock::new(|| {
    [1, 2].map(|number| {
        let name = Name::new("device").expect("a valid name");
        let created = WallTime(1_750_000_000_000);
        Arc::new(LocalKeys::new(
            [number; 32],
            [0x80 | number; 32],
            &name,
            created,
        ))
    })
});

fn dialled() -> (Handshake, Vec<u8>) {
    Handshake::initiate(
        KEYS[0].clone(),
        &Policy::default(),
        None,
        Suite::ChaChaPoly,
        Purpose::Session,
        Entropy::from_bytes([3; 128]),
    )
}

fn listening() -> Handshake {
    let entropy = Entropy::from_bytes([4; 128]);
    Handshake::respond(KEYS[1].clone(), &Policy::default(), entropy)
}

/// Who the peer is that dials in every session here.
fn initiator() -> PeerId {
    KEYS[0].id()
}

/// Both ends of a session.
fn session() -> (Box<Established>, Box<Established>) {
    let ((mut initiator, first), mut responder) = (dialled(), listening());
    let Step::Send(second) = receive(&mut responder, &first) else {
        unreachable!("a responder answers");
    };
    let Step::Done { send, established } = receive(&mut initiator, &second) else {
        unreachable!("an initiator has the last word");
    };
    let Step::Done {
        established: other, ..
    } = receive(&mut responder, &send)
    else {
        unreachable!("a responder has all it needs");
    };
    (established, other)
}

fn receive(handshake: &mut Handshake, bytes: &[u8]) -> Step {
    assert_eq!(handshake.push(bytes), Ok(true));
    handshake.step().expect("both sides are honest")
}
