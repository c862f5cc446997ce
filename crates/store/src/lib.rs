//! The encrypted SQLite store of Hallway: contacts, history, outbox and search.
//!
//! One thread owns the [`Writer`]; any number share the [`Reader`]. A message goes from
//! [`Writer::run`] through `apply` into the schema of `schema/`, and comes back through `stored`.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod apply;
mod backup;
mod columns;
mod connection;
mod error;
mod export;
mod file;
mod key;
mod pool;
mod reader;
mod schema;
mod segment;
mod stored;
mod transfers;
mod writer;

pub use error::{OpenError, StoreError};
pub use key::DatabaseKey;
pub use reader::{Reader, Summary};
pub use stored::StoredMessage;
pub use writer::{Completion, Request, Writer};

use connection::{Access, connect};
use std::path::Path;

/// Opens the database at `path`, making it when there is none. The folder must exist, and nobody
/// else may have the database open.
///
/// A database that cannot be opened is left as it is, to the byte. Beside it are its log
/// (`-wal`, `-shm`) and a copy (`.backup`), which is renewed daily and under the same key.
pub fn open(path: &Path, key: &DatabaseKey) -> Result<(Writer, Reader), OpenError> {
    file::prepare(path, key)?;
    let engine = |source| OpenError::Engine {
        path: path.to_owned(),
        source,
    };
    let mut connection = connect(path, key, &Access::Write).map_err(engine)?;
    schema::migrate(&mut connection).map_err(engine)?;
    Ok((Writer::new(connection, path, key), Reader::new(path, key)))
}
