//! Limits that more than one part of Hallway must agree on. Each says why it has its value.

/// Longest text of one message, in bytes of UTF-8. With its envelope it must fit one record of
/// 65,535 bytes; half of that leaves room for later fields. Anything longer travels as a file.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;

/// Longest name, in bytes of UTF-8 after NFC: 21 Chinese characters, and it fits a TXT string.
pub const NAME_BYTES_MAX: usize = 64;

/// Longest emoji of a reaction, in bytes: the longest family emoji takes 41.
pub const EMOJI_BYTES_MAX: usize = 64;

/// Addresses remembered for one peer: two interfaces with a few addresses each.
pub const ADDRESSES_MAX: usize = 16;

/// Addresses that a person may choose to stay connected with: an office on another subnet. Each
/// that nobody answers at is dialled again and again.
pub const STATIC_PEERS_MAX: usize = 64;

/// Messages that may wait for one contact. A person never writes as many; a bot gone wild does.
pub const OUTBOX_MAX: u64 = 100_000;

/// Strangers whose messages wait for a decision at the same time.
pub const REQUESTS_MAX: usize = 64;

/// Messages one stranger may leave before a decision.
pub const REQUEST_MESSAGES_MAX: u32 = 3;

/// Sightings kept in memory: a /20 network in which every host runs a node.
pub const SIGHTINGS_MAX: usize = 4096;

/// Live sessions: one per peer on a large flat network, at some 150 KiB of buffers each.
pub const SESSIONS_MAX: usize = 512;

/// Longest thumbnail of a picture, in bytes: 320 by 240 pixels of JPEG take some 20 KiB, and with
/// the rest of its message it must fit one record.
pub const THUMBNAIL_BYTES_MAX: usize = 48 * 1024;

/// Longest name of an offered file, in bytes: what most file systems allow.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// Names of what is left out that an offer tells: as many as a person reads.
pub const LEFT_OUT_NAMES_MAX: usize = 5;

/// Longest media type, in bytes: the longest registered ones take some 80.
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;

/// How often faces hear of the progress of one transfer: as often as an eye follows a number.
pub const PROGRESS_PER_SECOND: u32 = 4;

/// TCP and UDP port that is tried first.
pub const PORT_DEFAULT: u16 = 42550;
