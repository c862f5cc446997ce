//! The database as a file: made in one step, and looked at before it is used.

use crate::backup;
use crate::connection::{Access, PAGE_BYTES, connect};
use crate::error::OpenError;
use crate::key::{DatabaseKey, SALT_BYTES};
use crate::schema;
use rusqlite::{Connection, ErrorCode};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Makes sure that there is a whole database of this key at `path`, or says why not.
pub(crate) fn prepare(path: &Path, key: &DatabaseKey) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let backup = fitting(&backup::path_of(path), key);
    let has_log = beside_log(path).metadata().is_ok_and(|log| log.len() > 0);
    match path.metadata() {
        Ok(_) => inspect(path, key, backup, has_log),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
        Err(_) if has_log || backup.is_some() => Err(OpenError::Missing {
            path: path.to_owned(),
            backup,
        }),
        Err(_) => create(path, key),
    }
}

/// `hallway.db` and `backup` make `hallway.db.backup`.
pub(crate) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// The log of SQLite that belongs to the database.
fn beside_log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// The path, when what is there starts as a database of this key does.
fn fitting(path: &Path, key: &DatabaseKey) -> Option<PathBuf> {
    let salt = read_salt(path).ok()?;
    key.fits(&salt).then(|| path.to_owned())
}

fn read_salt(path: &Path) -> io::Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    File::open(path)?.read_exact(&mut salt)?;
    Ok(salt)
}

/// Looks at the database without changing a byte of it.
fn inspect(
    path: &Path,
    key: &DatabaseKey,
    backup: Option<PathBuf>,
    has_log: bool,
) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let corrupt = |reason: &str| OpenError::Corrupt {
        path: path.to_owned(),
        backup: backup.clone(),
        reason: reason.to_owned(),
    };
    let bytes = path.metadata().map_err(io)?.len();
    if bytes < PAGE_BYTES {
        return Err(corrupt("it is cut short"));
    }
    if !key.fits(&read_salt(path).map_err(io)?) {
        // A copy that fits shows that the key is right.
        return Err(match backup {
            Some(_) => corrupt("its first bytes are not as they were"),
            None => OpenError::WrongKey {
                path: path.to_owned(),
            },
        });
    }
    // A log left by a crash may still hold the end of the file.
    if !has_log && bytes % PAGE_BYTES != 0 {
        return Err(corrupt("its length is not a whole number of pages"));
    }
    // A connection that only reads makes sense of the log and moves nothing of it.
    let access = if has_log {
        Access::Read
    } else {
        Access::Inspect
    };
    let found = connect(path, key, &access).and_then(|connection| {
        touch_tables(&connection)?;
        schema::version(&connection)
    });
    match found {
        Ok(found) if found > schema::NEWEST => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: schema::NEWEST,
        }),
        Ok(0) => Err(corrupt("it is empty")),
        Ok(_) => Ok(()),
        Err(error) if is_damage(&error) => Err(corrupt(&error.to_string())),
        Err(source) => Err(OpenError::Engine {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the first page, which knows how long the file must be, the schema and the top of each
/// table. More would take too long for a start; every page is checked when it is read, and all of
/// them when a copy is made.
fn touch_tables(connection: &Connection) -> rusqlite::Result<()> {
    for table in table_names(connection)? {
        connection
            .prepare(&format!("SELECT 1 FROM \"{table}\" LIMIT 1"))?
            .exists([])?;
    }
    Ok(())
}

/// The tables that are trees of the file, those of the search index included.
pub(crate) fn table_names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The error tells of the contents of the file, and not of the disk or the machine.
fn is_damage(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
        )
    )
}

/// Makes a database under another name and gives it its name when it is whole.
fn create(path: &Path, key: &DatabaseKey) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let engine = |source| OpenError::Engine {
        path: path.to_owned(),
        source,
    };
    let new = beside(path, "new");
    let mut connection = create_empty(&new, key).map_err(|fault| match fault {
        CreateError::Io(source) => io(source),
        CreateError::Engine(source) => engine(source),
    })?;
    schema::migrate(&mut connection).map_err(engine)?;
    drop(connection);
    put_in_place(&new, path).map_err(io)
}

/// Why an empty database could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Engine(#[from] rusqlite::Error),
}

/// An empty database that only we can read, in place of what was left there before. It becomes
/// durable with [`put_in_place`].
pub(crate) fn create_empty(path: &Path, key: &DatabaseKey) -> Result<Connection, CreateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    let salt = key.new_salt().map_err(io::Error::other)?;
    let connection = connect(path, key, &Access::Create(&salt))?;
    // Nobody sees the file before it is whole, so it needs neither a way back nor syncs.
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    Ok(connection)
}

/// Makes a closed file durable and gives it its name.
pub(crate) fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
