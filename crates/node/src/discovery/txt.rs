//! The TXT record of an announcement (RFC 6763 section 6): what a node says of itself before
//! anything is proven. It is a hint; only the handshake proves who answers.
//!
//! | key | value |
//! |---|---|
//! | `v` | version of the protocol, decimal |
//! | `id` | the text form of the peer id, the same as the instance name |
//! | `n` | display name, UTF-8 |
//! | `s` | `available`, `away` or `busy` |
//! | `a` | `1` when the hardware does AES |
//!
//! Unknown keys are ignored, of repeated ones the first counts, and a value that makes no sense is
//! as good as absent.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use hallway_model::{Name, PeerId, Status};
use mdns_sd::TxtProperties;

/// Version of the protocol that is announced.
pub const VERSION: u16 = 1;

/// Strings of one record that are looked at: six times as many as we write, and few enough that
/// a record of empty strings costs nothing.
pub const STRINGS_MAX: usize = 32;

/// What a TXT record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txt {
    /// `v`, when it is a number.
    pub version: Option<u16>,
    /// `id`, when it is a valid one.
    pub id: Option<PeerId>,
    /// `n`, made into the nearest valid name.
    pub name: Option<Name>,
    /// `s`; available unless it says otherwise.
    pub status: Status,
    /// `a`.
    pub fast_aes: bool,
}

/// Reads the data of a TXT record: strings of up to 255 bytes, each led by its length.
pub fn parse_txt(data: &[u8]) -> Txt {
    Txt {
        version: value_of(data, "v").and_then(|value| value.parse().ok()),
        id: value_of(data, "id").and_then(|value| value.parse().ok()),
        name: value_of(data, "n").and_then(Name::lenient),
        status: value_of(data, "s").map(status_of).unwrap_or_default(),
        fast_aes: value_of(data, "a") == Some("1"),
    }
}

/// The value of the first string with this key.
fn value_of<'a>(data: &'a [u8], key: &str) -> Option<&'a str> {
    let value = strings(data).take(STRINGS_MAX).find_map(|string| {
        let (start, value) = string.split_at_checked(key.len())?;
        let value = value.strip_prefix(b"=")?;
        start.eq_ignore_ascii_case(key.as_bytes()).then_some(value)
    })?;
    std::str::from_utf8(value).ok()
}

impl Txt {
    /// The keys and values to be written, in order.
    pub fn properties(&self) -> Vec<(String, String)> {
        let version = self.version.map(|version| ("v", version.to_string()));
        let id = self.id.map(|id| ("id", id.to_string()));
        let name = self.name.as_ref().map(|name| ("n", name.to_string()));
        let status = Some(("s", status_text(self.status).to_owned()));
        let fast_aes = self.fast_aes.then(|| ("a", "1".to_owned()));
        let written = [version, id, name, status, fast_aes].into_iter().flatten();
        written
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

/// Writes the data of our TXT record.
pub fn write_txt(txt: &Txt) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in txt.properties() {
        push(&mut data, format!("{key}={value}").as_bytes());
    }
    data
}

/// The data of a TXT record that the library has taken apart.
pub(super) fn raw(properties: &TxtProperties) -> Vec<u8> {
    let mut data = Vec::new();
    for property in properties.iter() {
        let mut string = property.key().as_bytes().to_vec();
        if let Some(value) = property.val() {
            string.push(b'=');
            string.extend_from_slice(value);
        }
        push(&mut data, &string);
    }
    data
}

/// Every value of ours is far shorter than 255 bytes: a name has at most 64.
fn push(data: &mut Vec<u8>, string: &[u8]) {
    if let Ok(length) = u8::try_from(string.len()) {
        data.push(length);
        data.extend_from_slice(string);
    }
}

fn strings(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        data = rest;
        Some(string)
    })
}

fn status_of(text: &str) -> Status {
    match text {
        "away" => Status::Away,
        "busy" => Status::Busy,
        _ => Status::Available,
    }
}

fn status_text(status: Status) -> &'static str {
    match status {
        Status::Available => "available",
        Status::Away => "away",
        Status::Busy => "busy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::NAME_BYTES_MAX;
    use proptest::prelude::*;

    fn record(strings: &[&[u8]]) -> Vec<u8> {
        let mut data = Vec::new();
        for string in strings {
            data.push(u8::try_from(string.len()).unwrap());
            data.extend_from_slice(string);
        }
        data
    }

    #[test]
    fn our_own_record_is_read_back() {
        let txt = Txt {
            version: Some(VERSION),
            id: Some(PeerId([7; 32])),
            name: Some(Name::new("王小明").unwrap()),
            status: Status::Busy,
            fast_aes: true,
        };
        let data = write_txt(&txt);
        assert_eq!(parse_txt(&data), txt);
        let id = PeerId([7; 32]).to_string();
        let expected = format!("\x03v=1\x3aid={id}\x0bn=王小明\x06s=busy\x03a=1");
        assert_eq!(data, expected.as_bytes());
    }

    #[test]
    fn the_longest_name_fits_and_a_longer_one_is_cut() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        let of = |name: &str| parse_txt(&record(&[format!("n={name}").as_bytes()])).name;
        assert_eq!(of(&longest), Some(Name::new(&longest).unwrap()));
        assert_eq!(
            of(&"x".repeat(NAME_BYTES_MAX + 1)),
            Some(Name::new(&longest).unwrap())
        );
        assert_eq!(of(&"x".repeat(253)), Some(Name::new(&longest).unwrap()));
    }

    #[test]
    fn the_first_of_repeated_keys_counts_whatever_its_case() {
        let txt = parse_txt(&record(&[b"N=Ann", b"n=Bob", b"s=away", b"S=busy"]));
        assert_eq!(txt.name, Some(Name::new("Ann").unwrap()));
        assert_eq!(txt.status, Status::Away);
        let txt = parse_txt(&record(&[b"n=\xff\xfe", b"n=Bob", b"v=9x", b"v=1"]));
        assert_eq!((txt.name, txt.version), (None, None));
    }

    #[test]
    fn nonsense_is_as_good_as_absent() {
        for data in [
            record(&[]),
            record(&[b""]),
            record(&[b"=", b"=x", b"n", b"s", b"v", b"id", b"a"]),
            record(&[b"v=", b"id=x", b"n=", b"s=asleep", b"a=2", b"zz=9"]),
            vec![200, b'n', b'=', b'x'],
            vec![0; 70_000],
        ] {
            assert_eq!(parse_txt(&data), Txt::default());
        }
        let cut = [record(&[b"s=busy"]), vec![9, b'n', b'=', b'x']].concat();
        assert_eq!(parse_txt(&cut).status, Status::Busy);
    }

    #[test]
    fn only_the_first_strings_are_looked_at() {
        let mut strings = vec![b"x=y".as_slice(); STRINGS_MAX - 1];
        strings.push(b"s=busy");
        assert_eq!(parse_txt(&record(&strings)).status, Status::Busy);
        strings.insert(0, b"x=y");
        assert_eq!(parse_txt(&record(&strings)).status, Status::Available);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(data in proptest::collection::vec(any::<u8>(), 0..600)) {
            let txt = parse_txt(&data);
            prop_assert_eq!(parse_txt(&write_txt(&txt)), txt);
        }

        #[test]
        fn any_profile_survives_the_wire(
            version: Option<u16>, id: Option<[u8; 32]>, name in "\\PC{0,40}",
            status in proptest::sample::select(vec![Status::Available, Status::Away, Status::Busy]),
            fast_aes: bool,
        ) {
            let txt = Txt {
                version,
                id: id.map(PeerId),
                name: Name::lenient(&name),
                status,
                fast_aes,
            };
            prop_assert_eq!(parse_txt(&write_txt(&txt)), txt);
        }
    }
}
