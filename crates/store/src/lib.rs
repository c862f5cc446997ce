//! The encrypted SQLite store of Hallway: contacts, history, outbox and search.
//!
//! One thread owns the [`Writer`]; any number share the [`Reader`].
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod error;
mod key;
mod reader;
mod stored;
mod writer;

pub use error::{OpenError, StoreError};
pub use key::DatabaseKey;
pub use reader::{Reader, Summary};
pub use stored::StoredMessage;
pub use writer::{Completion, Request, Writer};

use std::path::Path;

/// Opens the database at `path`, making it when there is none. The folder must exist.
///
/// A database that cannot be opened is left as it is, to the byte.
pub fn open(path: &Path, key: &DatabaseKey) -> Result<(Writer, Reader), OpenError> {
    let _ = (path, key);
    unimplemented!()
}
