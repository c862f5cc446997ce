//! What can go wrong, and whose fault it is.

use std::io;
use std::path::PathBuf;

/// Why the database was not opened. Each message says what to do; the database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key is another one, or the file is no database of Hallway.
    #[error(
        "the key does not fit {path}: it belongs to other data, or the file is not a database of Hallway"
    )]
    WrongKey {
        /// The database.
        path: PathBuf,
    },
    /// The file was damaged or cut short.
    #[error("{path} is damaged ({reason}); nothing was changed. {}", restore(.path, .backup.as_ref()))]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The latest copy that was checked, when there is one.
        backup: Option<PathBuf>,
        /// What was found.
        reason: String,
    },
    /// The file is gone while its copy or its log is still there.
    #[error("{path} is missing although it was used before; nothing was changed. {}", restore(.path, .backup.as_ref()))]
    Missing {
        /// The database.
        path: PathBuf,
        /// The latest copy that was checked, when there is one.
        backup: Option<PathBuf>,
    },
    /// Written by a newer version.
    #[error(
        "{path} was written by a newer version of Hallway (schema {found}; this one knows {known}): use that version"
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
    #[error("{path} could not be opened: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database engine failed for another reason, such as a full disk.
    #[error("{path} could not be opened: {source}")]
    Engine {
        /// The database.
        path: PathBuf,
        /// What the engine said.
        source: rusqlite::Error,
    },
}

/// How a person gets their data back.
fn restore(path: &std::path::Path, backup: Option<&PathBuf>) -> String {
    let path = path.display();
    match backup {
        Some(backup) => format!(
            "The latest checked copy is {}: to go back to it, move {path}, {path}-wal and \
             {path}-shm elsewhere (as far as they exist) and rename the copy to {path}",
            backup.display()
        ),
        None => format!(
            "There is no copy yet; to start afresh, move {path}, {path}-wal and {path}-shm \
             elsewhere (as far as they exist)"
        ),
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database engine, or the disk under it.
    #[error("the database could not be read: {0}")]
    Engine(#[from] rusqlite::Error),
    /// Where an export was written to.
    #[error("the export could not be written: {0}")]
    Export(#[from] io::Error),
}
