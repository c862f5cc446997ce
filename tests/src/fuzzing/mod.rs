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
pub const TARGETS: [(&str, Target); 11] = [
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
