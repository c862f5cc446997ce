//! The configuration file, and addresses as people write them.
//!
//! ```toml
//! name = "Ann"             # until another is chosen with `hallway name`
//! device = "laptop"        # which of Ann's computers this is
//! port = 42550             # TCP; without it the next free one is taken
//! peers = ["192.168.7.20", "bo.local:42550", "[fe80::1%eth0]:42550"]
//! mdns = true              # announce, and look for others
//! read_receipts = true     # tell others what was read
//! downloads = "/home/ann/Downloads"   # where files go; the default is this folder
//! accept_files_mb = 100    # taken unasked of contacts, until `hallway files limit`; 0: nothing
//! files_kb_per_second = 5000   # files leave no faster, all together; without it as fast as they can
//! aes = true               # use AES where both sides compute it in hardware
//! input = "Blue Yeti"      # the microphone of calls, until another is chosen; or "default"
//! output = "USB Headset"   # their speaker
//! echo_cancellation = true # what the speaker plays is not sent back
//! noise_suppression = true # the fan stays here
//! gain_control = true      # a quiet voice is sent louder
//! studio = false           # music and the least delay, for more bandwidth
//! ring = true              # calls are heard before they are answered
//! log = "info"             # off, error, warn, info, debug or trace
//! ```

mod address;

pub use address::{Address, AddressError, Host, ResolveError, parse_address};

use crate::audio::Choice;
use crate::home::Home;
use hallway_model::{Name, NameError, PORT_DEFAULT};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tracing::level_filters::LevelFilter;

/// Longest configuration file: some thousand peers, but nothing that was put there by mistake.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;

const KEYS: [&str; 18] = [
    "name",
    "device",
    "port",
    "peers",
    "mdns",
    "read_receipts",
    "downloads",
    "accept_files_mb",
    "files_kb_per_second",
    "aes",
    "input",
    "output",
    "echo_cancellation",
    "noise_suppression",
    "gain_control",
    "studio",
    "ring",
    "log",
];
/// Pictures and documents, but nothing that fills a disk unasked.
const ACCEPT_FILES_BYTES_DEFAULT: u64 = 100_000_000;
/// Slower than this a transfer stands still for so long that the other side gives it up.
const FILES_BYTES_PER_SECOND_MIN: u64 = 10_000;
/// A key this many edits away from a known one was meant to be that one.
const TYPO_EDITS_MAX: usize = 3;
/// As much of a wrong value as an error repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// What the file says, and what holds where it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name of a new person; see [`default_name`].
    pub name: Name,
    /// The name of this device; see [`device_name`].
    pub device: Name,
    /// The one port to use; `None` takes [`PORT_DEFAULT`] or the next free one.
    pub port: Option<u16>,
    /// Nodes to stay connected with where they are not found by themselves.
    pub peers: Vec<Address>,
    /// Announce this node, and look for others.
    pub mdns: bool,
    /// Tell others which of their messages were read.
    pub read_receipts: bool,
    /// The folder for files; `None` for the usual one.
    pub downloads: Option<PathBuf>,
    /// Files of contacts up to so many bytes are taken without asking.
    pub accept_files_bytes: u64,
    /// Files leave with at most so many bytes a second, all together.
    pub files_bytes_per_second: Option<NonZeroU64>,
    /// Use AES where both sides compute it in hardware.
    pub aes: bool,
    /// The microphone of calls while no other was chosen.
    pub input: Choice,
    /// The speaker of calls while no other was chosen.
    pub output: Choice,
    /// Take out of what the microphone hears what the speaker plays.
    pub echo_cancellation: bool,
    /// Take out steady noise.
    pub noise_suppression: bool,
    /// Send quiet and loud voices alike.
    pub gain_control: bool,
    /// Send music with the least delay.
    pub studio: bool,
    /// Calls are heard before they are answered.
    pub ring: bool,
    /// The least level that is logged; `None` where the file does not say.
    pub log: Option<LevelFilter>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: default_name(),
            device: device_name(),
            port: None,
            peers: Vec::new(),
            mdns: true,
            read_receipts: true,
            downloads: None,
            accept_files_bytes: ACCEPT_FILES_BYTES_DEFAULT,
            files_bytes_per_second: None,
            aes: true,
            input: Choice::Default,
            output: Choice::Default,
            echo_cancellation: true,
            noise_suppression: true,
            gain_control: true,
            studio: false,
            ring: true,
            log: None,
        }
    }
}

/// What is wrong with the text of a configuration. Each message names the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Over [`CONFIG_BYTES_MAX`].
    #[error("it is longer than {CONFIG_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("line {line}: this is not text in UTF-8")]
    NotText {
        /// Counted from 1.
        line: usize,
    },
    /// Not TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing.
    #[error("line {line}: unknown key '{key}'; {}", meant(*.nearest))]
    UnknownKey {
        /// Counted from 1.
        line: usize,
        /// The key, as far as it is shown.
        key: String,
        /// The known key it is most like.
        nearest: Option<&'static str>,
    },
    /// A value that the key cannot have.
    #[error("line {line}: '{key}' must be {expected}, not {found}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// What it can have.
        expected: &'static str,
        /// What it has, as far as it is shown.
        found: String,
    },
    /// A name that nobody can have.
    #[error("line {line}: '{key}': {error}")]
    Name {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// Why not.
        error: NameError,
    },
    /// An address that leads nowhere.
    #[error("line {line}: 'peers': {error}")]
    Peer {
        /// Counted from 1.
        line: usize,
        /// Why not.
        error: AddressError,
    },
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!("did you mean '{key}'?"),
        None => format!("the known keys are {}", KEYS.join(", ")),
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system refused.
    #[error("could not read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The text is wrong.
    #[error("{}: {source}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
}

impl Config {
    /// Reads the configuration of a data directory; a missing file says nothing.
    pub fn load(home: &Home) -> Result<Self, LoadError> {
        let path = home.config();
        let bytes = match read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(LoadError::Read { path, source }),
            Ok(bytes) => bytes,
        };
        let config = text_of(&bytes).and_then(parse);
        config.map_err(|source| LoadError::Config { path, source })
    }
}

/// At most one byte more than is allowed, which tells that there is more.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(CONFIG_BYTES_MAX + 1).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: &[u8]) -> Result<&str, ConfigError> {
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLong);
    }
    str::from_utf8(bytes).map_err(|e| ConfigError::NotText {
        line: line_at(bytes, e.valid_up_to()),
    })
}

fn line_at(text: &[u8], offset: usize) -> usize {
    1 + text
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Reads the text of a configuration. Every text gives a configuration or an error, in bounded
/// time and memory.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let text = text_of(text.as_bytes())?;
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        line: line_at(
            text.as_bytes(),
            error.span().map_or(text.len(), |span| span.start),
        ),
        message: error.message().to_owned(),
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    // The first mistake in the file is the first to be told.
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut config = Config::default();
    for (key, value) in entries {
        let at = key.span().start;
        Entry {
            text,
            at,
            key: key.get_ref(),
            value: value.get_ref(),
        }
        .read_into(&mut config)?;
    }
    Ok(config)
}

/// One key of the file and its value.
struct Entry<'a> {
    text: &'a str,
    at: usize,
    key: &'a str,
    value: &'a DeValue<'a>,
}

impl Entry<'_> {
    fn read_into(&self, config: &mut Config) -> Result<(), ConfigError> {
        match self.key {
            "name" => config.name = self.name()?,
            "device" => config.device = self.name()?,
            "port" => config.port = Some(self.port()?),
            "peers" => config.peers = self.peers()?,
            "mdns" => config.mdns = self.bool()?,
            "read_receipts" => config.read_receipts = self.bool()?,
            "downloads" => config.downloads = Some(self.folder()?),
            "accept_files_mb" => config.accept_files_bytes = self.megabytes()?,
            "files_kb_per_second" => config.files_bytes_per_second = Some(self.rate()?),
            "aes" => config.aes = self.bool()?,
            "input" => config.input = self.device()?,
            "output" => config.output = self.device()?,
            "echo_cancellation" => config.echo_cancellation = self.bool()?,
            "noise_suppression" => config.noise_suppression = self.bool()?,
            "gain_control" => config.gain_control = self.bool()?,
            "studio" => config.studio = self.bool()?,
            "ring" => config.ring = self.bool()?,
            "log" => config.log = Some(self.level()?),
            _ => {
                let (line, key) = (self.line(), shown(self.key));
                return Err(ConfigError::UnknownKey {
                    line,
                    key,
                    nearest: nearest(self.key),
                });
            }
        }
        Ok(())
    }

    fn name(&self) -> Result<Name, ConfigError> {
        let text = self
            .value
            .as_str()
            .ok_or_else(|| self.is_not("a name in quotes"))?;
        Name::new(text).map_err(|error| ConfigError::Name {
            line: self.line(),
            key: self.key.to_owned(),
            error,
        })
    }

    fn port(&self) -> Result<u16, ConfigError> {
        let number = self.value.as_integer();
        let port = number.and_then(|n| u16::from_str_radix(n.as_str(), n.radix()).ok());
        port.filter(|p| *p != 0)
            .ok_or_else(|| self.is_not("a number from 1 to 65535"))
    }

    fn peers(&self) -> Result<Vec<Address>, ConfigError> {
        const EXPECTED: &str = "a list of addresses, such as [\"192.168.1.5\", \"bo.local:42550\"]";
        let list = self.value.as_array().ok_or_else(|| self.is_not(EXPECTED))?;
        let read = |value: &Spanned<DeValue<'_>>| {
            let entry = Entry {
                at: value.span().start,
                value: value.get_ref(),
                ..*self
            };
            let text = entry.value.as_str().ok_or_else(|| entry.is_not(EXPECTED))?;
            parse_address(text, PORT_DEFAULT).map_err(|error| ConfigError::Peer {
                line: entry.line(),
                error,
            })
        };
        list.iter().map(read).collect()
    }

    fn folder(&self) -> Result<PathBuf, ConfigError> {
        let folder = self.value.as_str().map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute()).ok_or_else(|| {
            self.is_not("the whole path of a folder, such as \"/home/ann/Downloads\"")
        })
    }

    fn megabytes(&self) -> Result<u64, ConfigError> {
        let number = self.value.as_integer();
        let megabytes = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        megabytes
            .and_then(|megabytes| megabytes.checked_mul(1_000_000))
            .ok_or_else(|| self.is_not("a number of megabytes"))
    }

    fn rate(&self) -> Result<NonZeroU64, ConfigError> {
        let number = self.value.as_integer();
        let kilobytes = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        kilobytes
            .and_then(|kilobytes| kilobytes.checked_mul(1000))
            .filter(|rate| *rate >= FILES_BYTES_PER_SECOND_MIN)
            .and_then(NonZeroU64::new)
            .ok_or_else(|| self.is_not("a number of kilobytes from 10"))
    }

    fn device(&self) -> Result<Choice, ConfigError> {
        let text = self.value.as_str().map(Choice::new);
        text.ok_or_else(|| self.is_not("the name of a sound device in quotes"))
    }

    fn bool(&self) -> Result<bool, ConfigError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.is_not("true or false"))
    }

    fn level(&self) -> Result<LevelFilter, ConfigError> {
        let level = match self.value.as_str() {
            Some("off") => Some(LevelFilter::OFF),
            Some("error") => Some(LevelFilter::ERROR),
            Some("warn") => Some(LevelFilter::WARN),
            Some("info") => Some(LevelFilter::INFO),
            Some("debug") => Some(LevelFilter::DEBUG),
            Some("trace") => Some(LevelFilter::TRACE),
            Some(_) | None => None,
        };
        let expected = r#""off", "error", "warn", "info", "debug" or "trace""#;
        level.ok_or_else(|| self.is_not(expected))
    }

    fn is_not(&self, expected: &'static str) -> ConfigError {
        let found = match self.value {
            DeValue::String(text) => format!("\"{}\"", shown(text)),
            DeValue::Integer(number) => shown(&number.to_string()),
            DeValue::Float(number) => shown(&number.to_string()),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        ConfigError::Value {
            line: self.line(),
            key: self.key.to_owned(),
            expected,
            found,
        }
    }

    /// Counted only for an error: there can be thousands of peers.
    fn line(&self) -> usize {
        line_at(self.text.as_bytes(), self.at)
    }
}

fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect()
}

fn nearest(key: &str) -> Option<&'static str> {
    // A longer key is no typo of any, and comparing it would take long.
    let key = key
        .get(..2 * SHOWN_CHARS_MAX)
        .unwrap_or(key)
        .to_lowercase()
        .replace('-', "_");
    let edits = |known: &&str| strsim::osa_distance(known, &key);
    KEYS.into_iter().min_by_key(edits).filter(|known| {
        // Half of a short word changed is another word.
        edits(known) <= TYPO_EDITS_MAX.min(known.len() / 2)
    })
}

/// The name a new person gets: the real name of the user account, or else the account's own.
pub fn default_name() -> Name {
    first_name(
        [whoami::realname().ok(), whoami::username().ok()],
        "Hallway",
    )
}

/// The name of this device: the one people read, or else the host name without its domain.
pub fn device_name() -> Name {
    let host = whoami::hostname().ok();
    let host = host.and_then(|name| name.split('.').next().map(str::to_owned));
    first_name([whoami::devicename().ok(), host], "computer")
}

fn first_name(candidates: [Option<String>; 2], otherwise: &str) -> Name {
    let found = candidates
        .into_iter()
        .flatten()
        .find_map(|name| Name::lenient(&name));
    found.unwrap_or_else(|| Name::new(otherwise).expect("our own words are names"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn everything_is_optional_and_can_be_set() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse("# nothing\r\n\r\n"), Ok(Config::default()));
        let defaults = Config::default();
        assert!(defaults.mdns && defaults.read_receipts && defaults.peers.is_empty());
        assert_eq!((defaults.port, defaults.log), (None, None));
        let text = r#"
            name = " Zoe  K "
            device = "Büro"
            port = 42_551
            peers = [
                "192.168.1.5", # the office
                'bo.local:80',
                "[fe80::1%eth0]:42550",
            ]
            mdns = false
            read_receipts = false
            downloads = "/srv/in"
            accept_files_mb = 2_000
            files_kb_per_second = 10
            aes = false
            input = "yeti"
            output = "default"
            echo_cancellation = false
            noise_suppression = false
            gain_control = false
            studio = true
            ring = false
            log = "debug"
        "#;
        let address = |text| parse_address(text, PORT_DEFAULT).unwrap();
        let expected = Config {
            name: Name::new("Zoe K").unwrap(),
            device: Name::new("Büro").unwrap(),
            port: Some(42551),
            peers: vec![
                address("192.168.1.5:42550"),
                address("bo.local:80"),
                address("fe80::1%eth0"),
            ],
            mdns: false,
            read_receipts: false,
            downloads: Some("/srv/in".into()),
            accept_files_bytes: 2_000_000_000,
            files_bytes_per_second: NonZeroU64::new(FILES_BYTES_PER_SECOND_MIN),
            aes: false,
            input: Choice::Device("yeti".into()),
            output: Choice::Default,
            echo_cancellation: false,
            noise_suppression: false,
            gain_control: false,
            studio: true,
            ring: false,
            log: Some(LevelFilter::DEBUG),
        };
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse("port = 0xA637").unwrap().port, Some(42551));
        for level in ["off", "error", "warn", "info", "debug", "trace"] {
            let config = parse(&format!("log = '{level}'")).unwrap();
            assert_eq!(config.log.unwrap().to_string(), level);
        }
    }

    #[test]
    fn the_example_at_the_top_is_valid() {
        let lines = include_str!("config.rs").lines();
        let example = lines.skip_while(|line| !line.ends_with("```toml")).skip(1);
        let example = example.take_while(|line| !line.ends_with("```"));
        let example: Vec<_> = example
            .map(|line| line.trim_start_matches("//! "))
            .collect();
        assert_eq!(example.len(), KEYS.len());
        assert_eq!(parse(&example.join("\n")).unwrap().peers.len(), 3);
    }

    #[test]
    fn every_mistake_names_its_line() {
        let folder = "the whole path of a folder, such as \"/home/ann/Downloads\"";
        let port = "'port' must be a number from 1 to 65535, not";
        let peers = "'peers' must be a list of addresses, such as \
                     [\"192.168.1.5\", \"bo.local:42550\"], not";
        let known = "the known keys are name, device, port, peers, mdns, read_receipts, downloads, \
                     accept_files_mb, files_kb_per_second, aes, input, output, \
                     echo_cancellation, noise_suppression, gain_control, studio, ring, \
                     log";
        let level = r#"'log' must be "off", "error", "warn", "info", "debug" or "trace", not"#;
        for (text, expected) in [
            (
                "\nnmae = 'Ann'",
                "line 2: unknown key 'nmae'; did you mean 'name'?".to_owned(),
            ),
            (
                "Read-Receipt = true",
                "line 1: unknown key 'Read-Receipt'; did you mean 'read_receipts'?".to_owned(),
            ),
            (
                "[[peer]]\naddress = 'bo'",
                "line 1: unknown key 'peer'; did you mean 'peers'?".to_owned(),
            ),
            (
                "colour = 'red'",
                format!("line 1: unknown key 'colour'; {known}"),
            ),
            (
                "\"\\u001b[2J\" = 1",
                format!(r"line 1: unknown key '\u{{1b}}[2J'; {known}"),
            ),
            (
                "zzz = 1\nport = 0",
                format!("line 1: unknown key 'zzz'; {known}"),
            ),
            (
                "downloads = 'in'",
                format!("line 1: 'downloads' must be {folder}, not \"in\""),
            ),
            (
                "input = 1",
                "line 1: 'input' must be the name of a sound device in quotes, not 1".to_owned(),
            ),
            (
                "accept_files_mb = -1",
                "line 1: 'accept_files_mb' must be a number of megabytes, not -1".to_owned(),
            ),
            (
                "accept_files_mb = 18446744073710",
                "line 1: 'accept_files_mb' must be a number of megabytes, not 18446744073710"
                    .to_owned(),
            ),
            (
                "files_kb_per_second = 9",
                "line 1: 'files_kb_per_second' must be a number of kilobytes from 10, not 9"
                    .to_owned(),
            ),
            ("port = 0", format!("line 1: {port} 0")),
            ("port = 65536", format!("line 1: {port} 65536")),
            ("port = -1", format!("line 1: {port} -1")),
            ("port = '42550'", format!("line 1: {port} \"42550\"")),
            ("port = 1.5", format!("line 1: {port} 1.5")),
            ("port = 1979-05-27", format!("line 1: {port} a date")),
            ("port.tcp = 1", format!("line 1: {port} a table")),
            (
                "name = true",
                "line 1: 'name' must be a name in quotes, not true".to_owned(),
            ),
            (
                "\n\nname = ''",
                "line 3: 'name': a name needs at least one visible character".to_owned(),
            ),
            (
                "mdns = 'no'",
                "line 1: 'mdns' must be true or false, not \"no\"".to_owned(),
            ),
            (
                "mdns = []",
                "line 1: 'mdns' must be true or false, not a list".to_owned(),
            ),
            ("log = 'verbose'", format!("line 1: {level} \"verbose\"")),
            ("log = 3", format!("line 1: {level} 3")),
            ("peers = 'bo'", format!("line 1: {peers} \"bo\"")),
            ("peers = [\n'bo',\n7]", format!("line 3: {peers} 7")),
            (
                "peers = [\n'bo',\n'bo:x']",
                "line 3: 'peers': 'x' is not a port; a port is a number from 1 to 65535".to_owned(),
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        let long = format!("name = {}", "9".repeat(1000));
        let error = parse(&long).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "line 1: 'name' must be a name in quotes, not {}",
                "9".repeat(40)
            )
        );
    }

    #[test]
    fn what_is_not_toml_names_its_line() {
        for (text, line) in [
            ("name = 'Ann'\nport =", 2),
            ("name = 'Ann'\n\nname = 'Bo'", 3),
            ("name = \"Ann", 1),
            ("mdns = yes", 1),
            ("port = 1\nlog", 2),
        ] {
            let error = parse(text).unwrap_err();
            let ConfigError::Syntax {
                line: found,
                message,
            } = &error
            else {
                panic!("{text}: {error}");
            };
            assert_eq!(*found, line, "{text}: {error}");
            assert!(
                !message.is_empty() && !message.contains('\n'),
                "{message:?}"
            );
            assert_eq!(error.to_string(), format!("line {line}: {message}"));
        }
    }

    #[test]
    fn a_text_is_read_up_to_its_longest() {
        let comment = |length: usize| format!("#{}", "x".repeat(length - 1));
        assert_eq!(parse(&comment(CONFIG_BYTES_MAX)), Ok(Config::default()));
        assert_eq!(
            parse(&comment(CONFIG_BYTES_MAX + 1)),
            Err(ConfigError::TooLong)
        );
        // As deep and as long as it gets, in the time and memory of a start.
        for deep in ["[", "{a=", "a.", "peers=[", "[["] {
            let text = "peers = ".to_owned() + &deep.repeat((CONFIG_BYTES_MAX - 8) / deep.len());
            assert!(parse(&text).is_err(), "{deep}");
        }
        let many = format!("peers = [{}]", "'bo',\n".repeat(10_000));
        assert_eq!(parse(&many).unwrap().peers.len(), 10_000);
        let key = "k".repeat(CONFIG_BYTES_MAX - 4) + " = 1";
        assert!(matches!(
            parse(&key),
            Err(ConfigError::UnknownKey { nearest: None, .. })
        ));
    }

    #[test]
    fn every_known_key_is_read() {
        for key in KEYS {
            let error = parse(&format!("{key} = 1.5")).unwrap_err();
            assert!(matches!(error, ConfigError::Value { .. }), "{error}");
        }
    }

    #[test]
    fn the_file_may_be_missing_and_names_itself_when_it_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::create(Some(directory.path())).unwrap();
        let path = home.config();
        let error = || Config::load(&home).unwrap_err().to_string();
        assert_eq!(Config::load(&home).unwrap(), Config::default());
        fs::write(&path, "port = 7").unwrap();
        assert_eq!(Config::load(&home).unwrap().port, Some(7));
        let shown = path.display();
        fs::write(&path, "\nprt = 7").unwrap();
        let expected = format!("{shown}: line 2: unknown key 'prt'; did you mean 'port'?");
        assert_eq!(error(), expected);
        fs::write(&path, b"port = 7\nname = '\xff'").unwrap();
        assert_eq!(
            error(),
            format!("{shown}: line 2: this is not text in UTF-8")
        );
        fs::write(&path, vec![b'#'; CONFIG_BYTES_MAX * 2]).unwrap();
        assert_eq!(error(), format!("{shown}: it is longer than 65536 bytes"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            error().starts_with(&format!("could not read {shown}: ")),
            "{}",
            error()
        );
    }

    #[test]
    fn names_come_from_the_account_and_the_host() {
        let of = |first: Option<&str>, second: Option<&str>| {
            let name = first_name([first, second].map(|n| n.map(str::to_owned)), "Hallway");
            name.as_str().to_owned()
        };
        assert_eq!(of(Some("Ann Ötzi"), Some("ann")), "Ann Ötzi");
        assert_eq!(of(Some("\u{202e} "), Some("ann")), "ann");
        assert_eq!(of(None, Some("ann")), "ann");
        assert_eq!(of(None, None), "Hallway");
        assert!(!device_name().as_str().is_empty() && !default_name().as_str().is_empty());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in prop_oneof![
            ".*",
            "([a-z_]{0,9} ?=? ?[\\[\\]{}\"'a-z0-9:.,%# -]{0,20}\n){0,6}",
            "(name|port|peers|log|mdns) = [\"'\\[]{0,2}[a-z0-9:.%]{0,9}[\"'\\]]{0,2}",
        ]) {
            // It gives one or the other, and either way comes back.
            let parsed = parse(&text);
            prop_assert_eq!(parsed.is_ok(), parse(&text).is_ok());
        }
    }
}
