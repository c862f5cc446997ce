//! A keyed connection with the settings of its purpose.

use crate::key::{DatabaseKey, SALT_BYTES};
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write;
use std::path::Path;
use std::sync::Once;

/// Bytes of a page of the database, cipher and all.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// Page cache of the writer, in KiB: the pages a group of messages touches.
const WRITE_CACHE_KIB: u32 = 2048;

/// Page cache of each connection that reads, in KiB: a search, or a few pages of history.
const READ_CACHE_KIB: u32 = 512;

/// Pages of log before they move to the database. The more, the more often a page that changes
/// again and again is moved only once; the log grows to 16 MiB, which a start after a crash
/// reads in a few milliseconds.
const LOG_PAGES: u32 = 4096;

/// Statements that each connection keeps ready.
const STATEMENTS: usize = 48;

/// Passed once SQLCipher has set itself up.
static SET_UP: Once = Once::new();

/// What a connection is for.
pub(crate) enum Access<'a> {
    /// The writer.
    Write,
    /// Reading beside the writer.
    Read,
    /// Looking at a file that nobody writes, without leaving a trace.
    Inspect,
    /// Filling an empty file, which gets this salt.
    Create(&'a [u8; SALT_BYTES]),
}

/// Has SQLCipher set itself up, which the first connection of the process does. To one that another
/// thread opens meanwhile SQLite seems ready, and its key is refused.
fn set_up() {
    // What is wrong with it the connection that is wanted will say.
    SET_UP.call_once(|| drop(Connection::open_in_memory()));
}

/// Opens the database at `path`, which exists. The file is read only when it is first used.
pub(crate) fn connect(
    path: &Path,
    key: &DatabaseKey,
    access: &Access<'_>,
) -> rusqlite::Result<Connection> {
    set_up();
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let write = flags | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let read = flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = match access {
        Access::Write | Access::Create(_) => Connection::open_with_flags(path, write)?,
        Access::Read => Connection::open_with_flags(path, read)?,
        Access::Inspect => {
            Connection::open_with_flags(immutable(path), read | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    // SQLCipher would print to standard error.
    connection.execute_batch("PRAGMA cipher_log_level = NONE")?;
    let salt = match access {
        Access::Create(salt) => Some(*salt),
        Access::Write | Access::Read | Access::Inspect => None,
    };
    connection.execute_batch(&key.pragma(salt))?;
    let cache = match access {
        Access::Write => WRITE_CACHE_KIB,
        Access::Read | Access::Inspect | Access::Create(_) => READ_CACHE_KIB,
    };
    // SHA-256 has instructions of its own on today's processors, SHA-512 (the default) not yet.
    connection.execute_batch(&format!(
        "PRAGMA cipher_hmac_algorithm = HMAC_SHA256;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{cache};"
    ))?;
    if matches!(access, Access::Write) {
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA wal_autocheckpoint = {LOG_PAGES};
             PRAGMA journal_size_limit = {};",
            u64::from(LOG_PAGES) * PAGE_BYTES
        ))?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The name by which SQLite opens a file that it must neither lock nor change.
fn immutable(path: &Path) -> String {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                name.push(char::from(*byte));
            }
            _ => write!(name, "%{byte:02x}").expect("a string takes everything"),
        }
    }
    name.push_str("?immutable=1");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_taken_literally() {
        let name = immutable(Path::new("/a b/ü?#%.db"));
        assert_eq!(name, "file:/a%20b/%c3%bc%3f%23%25.db?immutable=1");
    }
}
