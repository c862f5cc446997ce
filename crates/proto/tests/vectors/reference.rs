//! A second encoder of frames, by hand and for clarity: CBOR from RFC 8949, fields from
//! `PROTOCOL.md`.

use serde_json::{Map, Value, json};

/// A CBOR item.
#[derive(Clone)]
pub(crate) enum Item {
    Unsigned(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Item>),
    Map(Fields),
    Bool(bool),
}

/// The entries of a CBOR map with text keys, in the order in which they are written.
pub(crate) type Fields = Vec<(&'static str, Item)>;

pub(crate) fn unsigned(value: u64) -> Item {
    Item::Unsigned(value)
}

pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> Item {
    Item::Bytes(value.into())
}

pub(crate) fn text(value: &str) -> Item {
    Item::Text(value.into())
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, fields: &Fields) -> Vec<u8> {
    [vec![kind], map(fields)].concat()
}

/// The bytes of a map.
pub(crate) fn map(fields: &Fields) -> Vec<u8> {
    let mut out = head(5, fields.len());
    for (key, value) in fields {
        out.extend(cbor(&text(key)));
        out.extend(cbor(value));
    }
    out
}

fn cbor(item: &Item) -> Vec<u8> {
    match item {
        Item::Unsigned(value) => argument(0, *value),
        Item::Bytes(value) => [head(2, value.len()), value.clone()].concat(),
        Item::Text(value) => [head(3, value.len()), value.clone().into_bytes()].concat(),
        Item::Array(items) => {
            let inside: Vec<u8> = items.iter().flat_map(cbor).collect();
            [head(4, items.len()), inside].concat()
        }
        Item::Map(fields) => map(fields),
        Item::Bool(value) => vec![0xf4 + u8::from(*value)],
    }
}

fn head(major: u8, length: usize) -> Vec<u8> {
    argument(major, u64::try_from(length).unwrap())
}

/// An initial byte and its argument, in the shortest form.
fn argument(major: u8, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let (info, from) = match value {
        0..=23 => return vec![major << 5 | bytes[7]],
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    [&[major << 5 | info], &bytes[from..]].concat()
}

/// The fields as JSON, byte strings in hexadecimal.
pub(crate) fn json(fields: &Fields) -> Value {
    let entries = fields
        .iter()
        .map(|(key, value)| ((*key).to_string(), json_item(value)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn json_item(item: &Item) -> Value {
    match item {
        Item::Unsigned(value) => json!(value),
        Item::Bytes(value) => json!(hex::encode(value)),
        Item::Text(value) => json!(value),
        Item::Array(items) => items.iter().map(json_item).collect(),
        Item::Map(fields) => json(fields),
        Item::Bool(value) => json!(value),
    }
}
