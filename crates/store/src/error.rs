//! What can go wrong, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

/// Why the database was not opened. Each message says what to do; the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key is another one, or the file is no database of Hallway.
    #[error(
        "the key does not fit {}: it belongs to other data, or the file is not a database of \
         Hallway; nothing was changed", .path.display()
    )]
    WrongKey {
        /// The database.
        path: PathBuf,
    },
    /// The file was damaged or cut short.
    #[error("{} is damaged ({reason}); nothing was changed. {}",
        .path.display(), restore(.path, .backup.as_deref()))]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The latest checked copy, when there is one.
        backup: Option<PathBuf>,
        /// What was found.
        reason: String,
    },
    /// The file is gone while its copy or its log is still there.
    #[error("{} is missing although it was used before; nothing was changed. {}",
        .path.display(), restore(.path, .backup.as_deref()))]
    Missing {
        /// The database.
        path: PathBuf,
        /// The latest checked copy, when there is one.
        backup: Option<PathBuf>,
    },
    /// Written by a newer version.
    #[error(
        "{} was written by a newer version of Hallway (schema {found}; this one knows {known}): \
         use that version; nothing was changed", .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
    },
    /// This machine did not let us read or make the file.
    #[error("{} could not be opened: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database engine failed for another reason, such as a full disk.
    #[error("{} could not be opened: {source}", .path.display())]
    Engine {
        /// The database.
        path: PathBuf,
        /// What the engine said.
        source: rusqlite::Error,
    },
}

/// How a person gets their data back.
fn restore(path: &Path, backup: Option<&Path>) -> String {
    let path = path.display();
    let aside = format!("move {path}, {path}-wal and {path}-shm elsewhere, as far as they exist");
    match backup {
        Some(copy) => {
            let copy = copy.display();
            format!("The last checked copy is {copy}: to use it, {aside}, and rename it to {path}")
        }
        None => format!("There is no copy: to start afresh, {aside}"),
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database engine, the disk under it, or damaged contents.
    #[error("the database could not be read: {0}")]
    Engine(#[from] rusqlite::Error),
    /// Where an export was written to.
    #[error("the export could not be written: {0}")]
    Export(#[from] io::Error),
}
