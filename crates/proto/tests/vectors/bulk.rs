//! What travels on connections for files: messages, manifests and hashes of groups.

use crate::frames::{ID, reason_of};
use crate::hold;
use crate::reference::{self, Fields, Item, bytes, text, unsigned};
use hallway_model::ContentId;
use hallway_proto::bulk::{
    Ask, BulkError, CHAIN_BYTES, Entry, GROUP_BYTES, Hashes, Kind, Manifest, Message, Open, Opened,
    Page, RefusedWhy, Revision, Want, chain, root,
};
use serde_json::{Value, json};

const REVISION: [u8; 16] = [0x5a; 16];
const HASH: [u8; CHAIN_BYTES] = [0xc3; CHAIN_BYTES];
const GROUP: u8 = 7;

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

fn open(serving: bool, have: Option<u64>, revision: Option<Revision>) -> Message {
    Message::Open(Open {
        content: ContentId(ID.0),
        serving,
        have,
        revision,
    })
}

fn want(ask: Ask) -> Message {
    Message::Want(
        Want {
            first: 3,
            count: 512,
        },
        ask,
    )
}

fn run(first: u64, count: u64) -> Fields {
    vec![("f", unsigned(first)), ("n", unsigned(count))]
}

/// A folder with a file, a program, a folder, and what is left out.
fn entries() -> Vec<(Fields, Entry)> {
    let entry = |parent: u32, name: &str, kind: (u64, Kind), bytes: u64, more: (bool, u64)| {
        let mut fields = vec![
            ("p", unsigned(parent.into())),
            ("n", text(name)),
            ("k", unsigned(kind.0)),
            ("s", unsigned(bytes)),
            ("t", unsigned(1_750_000_000_123)),
        ];
        let (executable, version) = more;
        fields.extend(executable.then_some(("x", Item::Bool(true))));
        fields.extend((version > 0).then_some(("v", unsigned(version))));
        let entry = Entry {
            parent,
            name: name.into(),
            kind: kind.1,
            bytes,
            modified_ms: 1_750_000_000_123,
            executable,
            version,
        };
        (fields, entry)
    };
    let (file, folder) = ((0, Kind::File), (1, Kind::Folder));
    vec![
        entry(0, "旅行", folder, 0, (false, 0)),
        entry(0, "a.bin", file, 2 * GROUP_BYTES + 1, (false, 7)),
        entry(0, "bin", folder, 0, (false, 0)),
        entry(2, "run.sh", file, 10, (true, u64::MAX)),
        entry(2, "empty", file, 0, (false, 9)),
        entry(0, "link", (2, Kind::Skipped), 0, (false, 0)),
        entry(0, "secret", (3, Kind::Unreadable), 0, (false, 0)),
    ]
}

/// Every type of message.
fn messages() -> Vec<(&'static str, u8, Fields, Message)> {
    let revision = Revision(REVISION);
    let content = || ("c", bytes(ID.0));
    let number = |key, number| vec![(key, unsigned(number))];
    let (fields, list): (Vec<Fields>, Vec<Entry>) = entries().into_iter().unzip();
    let items = fields.into_iter().map(Item::Map).collect();
    let runs = [(0, 5), (9, 1)];
    vec![
        ("open", 1, vec![content()], open(false, None, None)),
        (
            "open: the first of an attempt that goes on",
            1,
            vec![content(), ("s", unsigned(1 << 40)), ("r", bytes(REVISION))],
            open(false, Some(1 << 40), Some(revision)),
        ),
        (
            "open: by the side that has it",
            1,
            vec![content(), ("h", Item::Bool(true))],
            open(true, None, None),
        ),
        (
            "opened",
            2,
            vec![("r", bytes(REVISION)), ("e", unsigned(7))],
            Message::Opened(Opened {
                revision,
                entries: 7,
            }),
        ),
        (
            "refused: not now",
            3,
            number("r", 1),
            Message::Refused(RefusedWhy::NotNow),
        ),
        (
            "refused: the source cannot be read",
            3,
            number("r", 2),
            Message::Refused(RefusedWhy::Unreadable),
        ),
        ("list", 4, number("f", 1024), Message::List(1024)),
        (
            "page",
            5,
            vec![("f", unsigned(0)), ("e", Item::Array(items))],
            Message::Page(Page {
                first: 0,
                entries: list,
            }),
        ),
        ("want", 6, run(3, 512), want(Ask::You)),
        (
            "want: from anybody",
            6,
            [run(3, 512), number("a", 1)].concat(),
            want(Ask::Anybody),
        ),
        (
            "want: after all",
            6,
            [run(3, 512), number("a", 2)].concat(),
            want(Ask::YouAfterAll),
        ),
        (
            "group",
            GROUP,
            vec![("f", unsigned(3)), ("s", unsigned(GROUP_BYTES))],
            Message::Group {
                group: 3,
                bytes: 1 << 20,
            },
        ),
        ("gone", 8, number("f", 3), Message::Gone(3)),
        ("rekey", 9, vec![], Message::Rekey),
        ("zeros", 10, number("f", u64::MAX), Message::Zeros(u64::MAX)),
        (
            "check",
            11,
            run(3, 1024),
            Message::Check(Want {
                first: 3,
                count: 1024,
            }),
        ),
        (
            "hashes",
            12,
            vec![("f", unsigned(3)), ("h", bytes([HASH, HASH].concat()))],
            Message::Hashes(Hashes {
                first: 3,
                hashes: [HASH, HASH].concat(),
            }),
        ),
        (
            "elsewhere",
            13,
            vec![("f", unsigned(3)), ("h", bytes(HASH))],
            Message::Elsewhere {
                group: 3,
                hash: HASH,
            },
        ),
        ("follow", 14, vec![], Message::Follow),
        (
            "have",
            15,
            vec![(
                "g",
                Item::Array(runs.map(|(first, n)| Item::Map(run(first, n))).to_vec()),
            )],
            Message::Have(runs.map(|(first, n)| want_of(first, n)).to_vec()),
        ),
        (
            "have: nothing new",
            15,
            vec![("g", Item::Array(Vec::new()))],
            Message::Have(Vec::new()),
        ),
        (
            "progress",
            16,
            number("s", 1 << 33),
            Message::Progress(1 << 33),
        ),
    ]
}

fn want_of(first: u64, count: u64) -> Want {
    let count = u32::try_from(count).unwrap();
    Want { first, count }
}

/// What later versions may send, and what this one reads.
fn later() -> Vec<Value> {
    let cases = [
        (
            "an unknown field is skipped",
            reference::frame(4, &vec![("f", unsigned(1)), ("z", text("new"))]),
            Message::List(1),
        ),
        (
            "a message of an unknown type is skipped",
            reference::frame(64, &vec![("z", Item::Bool(true))]),
            Message::Unknown(64),
        ),
        (
            "an unknown reason to refuse is one to try again",
            reference::frame(3, &vec![("r", unsigned(200))]),
            Message::Refused(RefusedWhy::Other(200)),
        ),
        (
            "an unknown way to want is answered with the group",
            reference::frame(6, &[run(3, 512), vec![("a", unsigned(200))]].concat()),
            want(Ask::You),
        ),
    ];
    cases
        .into_iter()
        .map(|(why, bytes, expected)| {
            assert_eq!(Message::decode(&bytes), Ok(expected), "{why}");
            json!({"why": why, "bytes": hex::encode(bytes)})
        })
        .collect()
}

/// What ends a connection.
fn refused() -> Vec<Value> {
    let cases = [
        ("an empty record", vec![]),
        ("a type without fields", vec![4]),
        ("a field is missing", reference::frame(4, &vec![])),
        (
            "a content of 15 bytes",
            reference::frame(1, &vec![("c", bytes([0; 15]))]),
        ),
        (
            "a group of a byte more than there may be",
            reference::frame(
                GROUP,
                &vec![("f", unsigned(0)), ("s", unsigned(GROUP_BYTES + 1))],
            ),
        ),
        (
            "a hash of 31 bytes",
            reference::frame(13, &vec![("f", unsigned(0)), ("h", bytes([0; 31]))]),
        ),
    ];
    cases
        .into_iter()
        .map(|(why, bytes)| {
            let error = match Message::decode(&bytes).expect_err(why) {
                BulkError::Empty => "empty",
                BulkError::TooLong(_) => "group_too_long",
                BulkError::Cbor { error, .. } => reason_of(error),
            };
            json!({"why": why, "bytes": hex::encode(bytes), "error": error})
        })
        .collect()
}

/// A list, its revision by hand, and where its groups are.
fn manifest() -> Value {
    let mut list = Manifest::default();
    let mut hasher = blake3::Hasher::new();
    let mut shown = Vec::new();
    for (fields, entry) in entries() {
        hasher.update(&reference::map(&fields));
        shown.push(reference::json(&fields));
        list.push(entry).unwrap();
    }
    let hash = hasher.finalize();
    let revision = &hash.as_bytes()[..16];
    assert_eq!(list.revision().0, revision);
    let groups: Vec<Value> = (0..list.groups())
        .map(|group| list.piece(group).unwrap())
        .map(|piece| json!({"entry": piece.entry, "offset": piece.offset, "bytes": piece.bytes}))
        .collect();
    // Three of the first file and one of the other; none of what has no bytes.
    assert_eq!(groups.len(), 4);
    json!({"entries": shown, "revision": hex::encode(revision), "groups": groups})
}

/// Files whose bytes are 0, 1, … 250, 0, 1, …, as in the vectors of BLAKE3 itself.
fn hashes() -> Vec<Value> {
    let lengths = [
        1,
        1024,
        102_400,
        GROUP_BYTES,
        GROUP_BYTES + 1,
        5 * GROUP_BYTES - 1,
    ];
    lengths
        .into_iter()
        .map(|length| {
            let file: Vec<u8> = (0u8..251)
                .cycle()
                .take(usize::try_from(length).unwrap())
                .collect();
            let pieces = file.chunks(usize::try_from(GROUP_BYTES).unwrap());
            let offsets = (0..).step_by(usize::try_from(GROUP_BYTES).unwrap());
            let groups: Vec<_> = pieces
                .zip(offsets)
                .map(|(piece, offset)| chain(piece, offset, length))
                .collect();
            let whole = blake3::hash(&file);
            assert_eq!(root(&groups), Some(*whole.as_bytes()));
            let groups: Vec<String> = groups.iter().map(hex::encode).collect();
            json!({"bytes": length, "groups": groups, "file": whole.to_hex().as_str()})
        })
        .collect()
}

#[test]
fn messages_manifests_and_hashes_of_files() {
    let messages: Vec<Value> = messages()
        .into_iter()
        .map(|(name, kind, fields, message)| {
            let bytes = reference::frame(kind, &fields);
            assert_eq!(encoded(&message), bytes, "{name}");
            assert_eq!(Message::decode(&bytes), Ok(message), "{name}");
            json!({
                "name": name,
                "type": kind,
                "fields": reference::json(&fields),
                "bytes": hex::encode(bytes),
            })
        })
        .collect();
    let vectors = json!({
        "messages": messages,
        "later": later(),
        "refused": refused(),
        "manifest": manifest(),
        "hashes": hashes(),
    });
    hold("bulk.json", &vectors);
}
