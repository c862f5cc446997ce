//! The `keys` file: a text a person can read, of which every byte is checked.
//!
//! ```toml
//! # comments
//! version = 1
//! id = "…"              # whose keys they are
//! store = "file"        # then: created, identity, device, database
//!                       # or "passphrase": kdf, memory_kib, passes, lanes, salt, sealed
//!                       # or "keyring": entry
//! check = "…"           # of all bytes before this line
//! ```
//!
//! What is sealed or in the keyring is the text of a `store = "file"`. Lines come in this order and
//! in this form only, so that there is one text for each content and no parser to wipe after.

use super::{KeyStore, Passphrase, Secrets};
use argon2::{Algorithm, Argon2, Params, Version};
use hallway_model::{PeerId, WallTime};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use std::str::Lines;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Longest file that is read. The longest that is written, a sealed one, has under 2,000 bytes.
pub(super) const KEYS_BYTES_MAX: usize = 4096;

const VERSION: u32 = 1;

/// What a new seal and each guess costs: the second choice of RFC 9106, section 4, on one lane.
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 1,
};
/// The highest cost that is paid for a file: room to raise [`COST`], and no more memory than the
/// smallest computer that runs a desktop can give.
const COST_MAX: Cost = Cost {
    memory_kib: 256 * 1024,
    passes: 16,
    lanes: 4,
};

const SALT_BYTES: usize = 16;
/// Half of SHA-256: it is there against accidents, which 128 bits never miss.
const CHECK_BYTES: usize = 16;

const ABOUT_HERE: &str = "\
# The secret keys of a Hallway node. Whoever has this file can pose as you: keep it to yourself.
# A copy of it is a backup. An edited file is refused.
";
const ABOUT_KEYRING: &str = "\
# The secret keys of this Hallway node are in the keyring of this computer, and this file says
# where. A copy of it is no backup. An edited file is refused.
";
const ABOUT_SEALED: &str = "\
# The secret keys of a Hallway node, encrypted with a passphrase. A copy of this file together
# with the passphrase is a backup. An edited file is refused.
";

/// Why a `keys` file or item cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Over the longest that is ever written.
    #[error("they are over {KEYS_BYTES_MAX} bytes long; restore them from a backup")]
    TooLong,
    /// The bytes are not those that were written.
    #[error("they are damaged or were edited; restore them from a backup")]
    Check,
    /// Written by a later Hallway.
    #[error("a newer Hallway wrote them (format {0}); update this one")]
    Newer(u32),
    /// A line is not there or not as expected.
    #[error("line `{0}` is not as expected; restore them from a backup")]
    Line(&'static str),
    /// They ask for more memory or time than any seal of ours.
    #[error("they ask for too much memory or time; restore them from a backup")]
    Cost,
    /// The secrets make another identity than the one that is named.
    #[error("the secrets are of somebody else; restore them from a backup")]
    Id,
}

/// Text that holds secrets or leads to them.
pub(super) type KeysText = Zeroizing<String>;

/// The name of an item in the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub(super) [u8; 16]);

/// What a `keys` file says.
#[derive(Debug)]
pub(super) struct KeysFile {
    pub(super) id: PeerId,
    pub(super) kept: Kept,
}

#[derive(Debug)]
pub(super) enum Kept {
    Here(Secrets),
    Keyring(Entry),
    Sealed(Sealed),
}

impl Kept {
    pub(super) fn store(&self) -> KeyStore {
        match self {
            Self::Here(_) => KeyStore::File,
            Self::Keyring(_) => KeyStore::Keyring,
            Self::Sealed(_) => KeyStore::Passphrase,
        }
    }

    pub(super) fn entry(&self) -> Option<Entry> {
        match self {
            Self::Keyring(entry) => Some(entry.clone()),
            Self::Here(_) | Self::Sealed(_) => None,
        }
    }
}

/// Secrets behind a passphrase.
#[derive(Debug)]
pub(super) struct Sealed {
    cost: Cost,
    salt: [u8; SALT_BYTES],
    /// All that stands before the sealed bytes: it is sealed with them.
    head: String,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Reads a `keys` file.
pub(super) fn parse(bytes: &[u8]) -> Result<KeysFile, Damage> {
    if bytes.len() > KEYS_BYTES_MAX {
        return Err(Damage::TooLong);
    }
    let text = str::from_utf8(bytes).map_err(|_| Damage::Check)?;
    let body = text
        .rfind("check = ")
        .and_then(|at| text.get(..at))
        .ok_or(Damage::Check)?;
    if text.get(body.len()..) != Some(check_line(body).as_str()) {
        return Err(Damage::Check);
    }
    let mut lines = body.lines();
    let version = number(field_after_comments(&mut lines, "version")?, "version")?;
    if version != VERSION {
        return Err(Damage::Newer(version));
    }
    let id = quoted(&mut lines, "id")?
        .parse()
        .map_err(|_| Damage::Line("id"))?;
    let kept = match quoted(&mut lines, "store")? {
        "file" => Kept::Here(secrets(&mut lines, id)?),
        "keyring" => Kept::Keyring(Entry(bytes_of(&mut lines, "entry")?)),
        "passphrase" => Kept::Sealed(sealed(&mut lines, body)?),
        _ => return Err(Damage::Line("store")),
    };
    match lines.next() {
        None => Ok(KeysFile { id, kept }),
        Some(_) => Err(Damage::Line("check")),
    }
}

/// Reads a text that holds the secrets of `id` themselves.
pub(super) fn parse_secrets(text: &[u8], id: PeerId) -> Result<Secrets, Damage> {
    let file = parse(text)?;
    match file.kept {
        Kept::Here(_) if file.id != id => Err(Damage::Id),
        Kept::Here(secrets) => Ok(secrets),
        Kept::Keyring(_) | Kept::Sealed(_) => Err(Damage::Line("store")),
    }
}

/// The text with the secrets in it.
pub(super) fn here(secrets: &Secrets) -> KeysText {
    let hex = |bytes| Zeroizing::new(hex::encode::<&[u8; 32]>(bytes));
    let body = Zeroizing::new(format!(
        "{}created = {}\nidentity = \"{}\"\ndevice = \"{}\"\ndatabase = \"{}\"\n",
        *head(ABOUT_HERE, secrets.peer_id(), KeyStore::File),
        secrets.created.0,
        *hex(&secrets.identity_seed),
        *hex(&secrets.device_secret),
        *hex(&secrets.database_key),
    ));
    finish(&body)
}

/// The text that leads to an item in the keyring.
pub(super) fn in_keyring(id: PeerId, entry: &Entry) -> KeysText {
    let head = head(ABOUT_KEYRING, id, KeyStore::Keyring);
    finish(&format!("{}entry = \"{}\"\n", *head, hex::encode(entry.0)))
}

/// The text with the secrets behind a passphrase. The salt must be random, and with it the key
/// is never used twice.
pub(super) fn seal(secrets: &Secrets, passphrase: &str, salt: [u8; SALT_BYTES]) -> KeysText {
    let Cost {
        memory_kib,
        passes,
        lanes,
    } = COST;
    let head = format!(
        "{}kdf = \"argon2id\"\nmemory_kib = {memory_kib}\npasses = {passes}\nlanes = {lanes}\nsalt = \"{}\"\n",
        *head(ABOUT_SEALED, secrets.peer_id(), KeyStore::Passphrase),
        hex::encode(salt),
    );
    let key = COST
        .key(passphrase, &salt)
        .expect("our own cost is within its limits");
    let mut bytes = here(secrets).as_bytes().to_vec();
    // Room for the tag, so that the clear bytes are not left behind where the buffer grew.
    bytes.reserve_exact(CHACHA20_POLY1305.tag_len());
    key.seal_in_place_append_tag(nonce(), Aad::from(&head), &mut bytes)
        .expect("two kilobytes are not too long to seal");
    finish(&format!("{head}sealed = \"{}\"\n", hex::encode(bytes)))
}

impl Sealed {
    /// The secrets, or `None` when the passphrase is another: the check of the file has shown
    /// already that its bytes are as they were written.
    pub(super) fn open(&self, id: PeerId, passphrase: &Passphrase) -> Option<Secrets> {
        let key = self.cost.key(passphrase, &self.salt)?;
        let mut bytes = Zeroizing::new(self.bytes.clone());
        let text = key
            .open_in_place(nonce(), Aad::from(&self.head), &mut bytes)
            .ok()?;
        parse_secrets(text, id).ok()
    }
}

impl Cost {
    fn is_payable(self) -> bool {
        self.memory_kib <= COST_MAX.memory_kib
            && self.passes <= COST_MAX.passes
            && self.lanes <= COST_MAX.lanes
            && self.params().is_some()
    }

    fn params(self) -> Option<Params> {
        Params::new(self.memory_kib, self.passes, self.lanes, None).ok()
    }

    fn key(self, passphrase: &str, salt: &[u8; SALT_BYTES]) -> Option<LessSafeKey> {
        // NFC as in RFC 8265, section 4.2.2: keyboards differ in how they compose an accent.
        let typed: Zeroizing<String> = Zeroizing::new(passphrase.nfc().collect());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params()?);
        let mut key = Zeroizing::new([0; 32]);
        argon2
            .hash_password_into(typed.as_bytes(), salt, &mut *key)
            .ok()?;
        UnboundKey::new(&CHACHA20_POLY1305, &*key)
            .ok()
            .map(LessSafeKey::new)
    }
}

/// Each salt makes a key that seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn head(about: &str, id: PeerId, store: KeyStore) -> KeysText {
    let lines = format!("{about}version = {VERSION}\nid = \"{id}\"\nstore = \"{store}\"\n");
    Zeroizing::new(lines)
}

fn finish(body: &str) -> KeysText {
    Zeroizing::new([body, &check_line(body)].concat())
}

fn check_line(body: &str) -> String {
    let hash = digest(&SHA256, body.as_bytes());
    let half: String = hash
        .as_ref()
        .iter()
        .take(CHECK_BYTES)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("check = \"{half}\"\n")
}

fn secrets(lines: &mut Lines<'_>, id: PeerId) -> Result<Secrets, Damage> {
    let secrets = Secrets {
        created: WallTime(number(field(lines, "created")?, "created")?),
        identity_seed: bytes_of(lines, "identity")?,
        device_secret: bytes_of(lines, "device")?,
        database_key: bytes_of(lines, "database")?,
    };
    if secrets.peer_id() == id {
        Ok(secrets)
    } else {
        Err(Damage::Id)
    }
}

fn sealed(lines: &mut Lines<'_>, body: &str) -> Result<Sealed, Damage> {
    if quoted(lines, "kdf")? != "argon2id" {
        return Err(Damage::Line("kdf"));
    }
    let cost = Cost {
        memory_kib: number(field(lines, "memory_kib")?, "memory_kib")?,
        passes: number(field(lines, "passes")?, "passes")?,
        lanes: number(field(lines, "lanes")?, "lanes")?,
    };
    if !cost.is_payable() {
        return Err(Damage::Cost);
    }
    let salt = bytes_of(lines, "salt")?;
    let bytes = hex::decode(quoted(lines, "sealed")?).map_err(|_| Damage::Line("sealed"))?;
    let head = body
        .rfind("sealed = ")
        .and_then(|at| body.get(..at))
        .unwrap_or_default();
    Ok(Sealed {
        cost,
        salt,
        head: head.to_owned(),
        bytes,
    })
}

fn field_after_comments<'a>(lines: &mut Lines<'a>, name: &'static str) -> Result<&'a str, Damage> {
    let line = lines.find(|line| !line.starts_with('#'));
    line.and_then(|line| value(line, name))
        .ok_or(Damage::Line(name))
}

fn field<'a>(lines: &mut Lines<'a>, name: &'static str) -> Result<&'a str, Damage> {
    lines
        .next()
        .and_then(|line| value(line, name))
        .ok_or(Damage::Line(name))
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix(" = ")
}

fn quoted<'a>(lines: &mut Lines<'a>, name: &'static str) -> Result<&'a str, Damage> {
    let value = field(lines, name)?;
    let inside = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inside.ok_or(Damage::Line(name))
}

fn number<N: std::str::FromStr>(text: &str, name: &'static str) -> Result<N, Damage> {
    text.parse().map_err(|_| Damage::Line(name))
}

fn bytes_of<const N: usize>(lines: &mut Lines<'_>, name: &'static str) -> Result<[u8; N], Damage> {
    let mut bytes = [0; N];
    let text = quoted(lines, name)?;
    hex::decode_to_slice(text, &mut bytes).map_err(|_| Damage::Line(name))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> Secrets {
        Secrets {
            identity_seed: [1; 32],
            device_secret: [2; 32],
            database_key: [3; 32],
            created: WallTime(1_760_000_000_000),
        }
    }

    const ENTRY: Entry = Entry([0xab; 16]);
    const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

    fn every_form() -> [(KeyStore, KeysText); 3] {
        [
            (KeyStore::File, here(&known())),
            (KeyStore::Keyring, in_keyring(known().peer_id(), &ENTRY)),
            (KeyStore::Passphrase, seal(&known(), "correct horse", SALT)),
        ]
    }

    fn passphrase(text: &str) -> Passphrase {
        Zeroizing::new(text.to_owned())
    }

    fn sealed_in(text: &str) -> Sealed {
        let Kept::Sealed(sealed) = parse(text.as_bytes()).unwrap().kept else {
            panic!("not sealed");
        };
        sealed
    }

    /// The text with one line changed and a check that fits.
    fn edited(text: &str, from: &str, to: &str) -> KeysText {
        let body = text.split_at(text.rfind("check = ").unwrap()).0;
        assert!(body.contains(from), "{from} is not in {body}");
        finish(&body.replace(from, to))
    }

    #[test]
    fn every_form_reads_back_and_fits() {
        for (store, text) in every_form() {
            assert!(text.len() < 2000, "{store}: {}", text.len());
            let file = parse(text.as_bytes()).unwrap();
            assert_eq!((file.id, file.kept.store()), (known().peer_id(), store));
            match file.kept {
                Kept::Here(secrets) => assert_eq!(secrets, known()),
                Kept::Keyring(entry) => assert_eq!(entry, ENTRY),
                Kept::Sealed(sealed) => {
                    let opened = sealed.open(file.id, &passphrase("correct horse"));
                    assert_eq!(opened, Some(known()));
                }
            }
        }
    }

    #[test]
    fn a_file_of_the_first_version_reads_for_ever() {
        let text = "\
# The secret keys of a Hallway node. Whoever has this file can pose as you: keep it to yourself.
# A copy of it is a backup. An edited file is refused.
version = 1
id = \"rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa6mn\"
store = \"file\"
created = 1760000000000
identity = \"0101010101010101010101010101010101010101010101010101010101010101\"
device = \"0202020202020202020202020202020202020202020202020202020202020202\"
database = \"0303030303030303030303030303030303030303030303030303030303030303\"
check = \"5e9fb8d51cfc976b8eb057ae6905546b\"
";
        assert_eq!(*here(&known()), text);
        // Made by another implementation: argon2-cffi and pyca/cryptography.
        let sealed = include_str!("sealed-v1.keys");
        assert_eq!(*seal(&known(), "correct horse", SALT), sealed);
        let file = parse(sealed.as_bytes()).unwrap();
        let opened = sealed_in(sealed).open(file.id, &passphrase("correct horse"));
        assert_eq!(opened, Some(known()));
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_seen() {
        for (_, text) in every_form() {
            for length in 0..text.len() {
                let cut = parse(&text.as_bytes()[..length]).unwrap_err();
                assert_eq!(cut, Damage::Check, "cut to {length} bytes");
            }
            let mut bytes = text.as_bytes().to_vec();
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    bytes[at] ^= 1 << bit;
                    let flipped = parse(&bytes).unwrap_err();
                    assert_eq!(flipped, Damage::Check, "bit {bit} of byte {at}");
                    bytes[at] ^= 1 << bit;
                }
            }
            for longer in [
                [text.as_bytes(), b"\n"].concat(),
                [text.as_bytes(), b"x"].concat(),
            ] {
                assert_eq!(parse(&longer).unwrap_err(), Damage::Check);
            }
        }
    }

    #[test]
    fn a_file_that_was_edited_with_care_is_still_no_other_identity() {
        let [(_, plain), (_, ring), (_, sealed)] = every_form();
        let damage = |text: &KeysText| parse(text.as_bytes()).unwrap_err();
        let seed = "01".repeat(32);
        assert_eq!(damage(&edited(&plain, &seed, &"02".repeat(32))), Damage::Id);
        assert_eq!(
            damage(&edited(&plain, &seed, "01")),
            Damage::Line("identity")
        );
        assert_eq!(
            damage(&edited(&plain, "created = 1", "created = -1")),
            Damage::Line("created")
        );
        assert_eq!(
            damage(&edited(&plain, "store = \"file\"", "store = \"f\"")),
            Damage::Line("store")
        );
        assert_eq!(
            damage(&edited(&plain, "database = ", "more = ")),
            Damage::Line("database")
        );
        assert_eq!(
            damage(&edited(&plain, "version = 1", "version = 2")),
            Damage::Newer(2)
        );
        assert_eq!(
            damage(&edited(&plain, "version = 1\n", "")),
            Damage::Line("version")
        );
        assert_eq!(
            damage(&edited(&plain, "id = \"", "id = \"2")),
            Damage::Line("id")
        );
        assert_eq!(
            damage(&edited(&ring, "abab\"", "abab\"\nmore = 1")),
            Damage::Line("check")
        );
        assert_eq!(
            damage(&edited(&sealed, "argon2id", "none")),
            Damage::Line("kdf")
        );
        assert_eq!(
            damage(&edited(&sealed, "sealed = \"", "sealed = \"g")),
            Damage::Line("sealed")
        );

        let other = Secrets {
            identity_seed: [9; 32],
            ..known()
        };
        assert_eq!(
            parse_secrets(here(&other).as_bytes(), known().peer_id()),
            Err(Damage::Id)
        );
        let pointer = parse_secrets(ring.as_bytes(), known().peer_id());
        assert_eq!(
            pointer,
            Err(Damage::Line("store")),
            "a pointer must not lead to a pointer"
        );
        // What stands before the sealed bytes is sealed with them.
        let renamed = edited(
            &sealed,
            &known().peer_id().to_string(),
            &other.peer_id().to_string(),
        );
        let opened = sealed_in(&renamed).open(other.peer_id(), &passphrase("correct horse"));
        assert_eq!(opened, None);
    }

    #[test]
    fn a_file_is_read_up_to_its_longest() {
        assert_eq!(parse(&[b'#'; KEYS_BYTES_MAX]).unwrap_err(), Damage::Check);
        assert_eq!(
            parse(&[b'#'; KEYS_BYTES_MAX + 1]).unwrap_err(),
            Damage::TooLong
        );
    }

    #[test]
    fn a_passphrase_opens_what_it_sealed_and_no_other_does() {
        let id = known().peer_id();
        let sealed = sealed_in(&seal(&known(), "café 王", SALT));
        assert_eq!(
            sealed.open(id, &passphrase("cafe\u{301} 王")),
            Some(known()),
            "NFD opens it"
        );
        for wrong in ["cafe 王", "café 王 ", ""] {
            assert_eq!(sealed.open(id, &passphrase(wrong)), None, "{wrong:?}");
        }
        let again = seal(&known(), "café 王", [8; SALT_BYTES]);
        assert_ne!(
            sealed_in(&again).bytes,
            sealed.bytes,
            "the salt makes another key"
        );
    }

    #[test]
    fn a_file_cannot_ask_for_more_than_the_highest_cost() {
        let sealed = seal(&known(), "x", SALT);
        let asks = |line: &str, value: u32| {
            let from = sealed.lines().find(|l| l.starts_with(line)).unwrap();
            let text = edited(&sealed, from, &format!("{line} = {value}"));
            parse(text.as_bytes()).map(|file| file.kept.store())
        };
        let limits = [
            ("memory_kib", COST_MAX.memory_kib, 8),
            ("passes", COST_MAX.passes, 1),
            ("lanes", COST_MAX.lanes, 1),
        ];
        for (line, most, least) in limits {
            assert_eq!(asks(line, most), Ok(KeyStore::Passphrase), "{line}");
            assert_eq!(asks(line, least), Ok(KeyStore::Passphrase), "{line}");
            for refused in [most + 1, u32::MAX, least - 1] {
                assert_eq!(asks(line, refused), Err(Damage::Cost), "{line} = {refused}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes).is_err());
        }

        #[test]
        fn no_text_with_a_good_check_panics_or_is_another_identity(
            form in 0..3usize,
            line in 0..12usize,
            to in "(#|version|id|store|created|sealed)?( = )?\"?[ -~]{0,40}\"?",
        ) {
            static FORMS: std::sync::LazyLock<[(KeyStore, KeysText); 3]> =
                std::sync::LazyLock::new(every_form);
            let mut lines: Vec<_> = FORMS[form].1.lines().collect();
            lines.pop();
            let at = line % lines.len();
            lines[at] = &to;
            let text = finish(&(lines.join("\n") + "\n"));
            if let Ok(KeysFile { id, kept: Kept::Here(secrets) }) = parse(text.as_bytes()) {
                prop_assert_eq!(secrets.peer_id(), id);
            }
        }
    }
}
