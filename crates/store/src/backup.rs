//! The copy beside the database, which is only replaced by one that was checked.

use crate::connection::{Access, connect};
use crate::file::{CreateError, beside, create_empty, put_in_place, table_names};
use crate::key::DatabaseKey;
use rusqlite::backup::{Backup, StepResult};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use tracing::warn;

/// A copy is this old when the next quiet moment replaces it.
const AGE_WHEN_QUIET: Duration = Duration::from_hours(24);

/// A copy is this old when it is replaced without waiting for a quiet moment.
const AGE_WHEN_BUSY: Duration = Duration::from_hours(48);

/// A database up to this size is copied at each clean stop, for it takes less than a second.
const BYTES_AT_STOP_MAX: u64 = 64 * 1024 * 1024;

/// Pages copied at a time, between looks at whether to go on: some ten milliseconds.
const STEP_PAGES: i32 = 512;

/// Between two attempts, so that what fails or is asked for again and again stays cheap.
const PAUSE: Duration = Duration::from_hours(1);

/// Keeps the copy beside the database recent: daily while there are changes, in the background,
/// and at each stop when that is quick.
pub(crate) struct Copier {
    database: PathBuf,
    key: DatabaseKey,
    need: Need,
    last_attempt: Option<Instant>,
    copying: Option<Copying>,
}

/// How much a new copy is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Nothing was written since the last one.
    None,
    /// Something was.
    Daily,
    /// Somebody was forgotten, and must not stay in the copy.
    Soon,
}

/// A copy being made.
struct Copying {
    cancelled: Arc<AtomicBool>,
    /// What needed it, and whether it was made.
    thread: JoinHandle<(Need, bool)>,
}

impl Copier {
    pub(crate) fn new(database: &Path, key: &DatabaseKey) -> Self {
        Self {
            database: database.to_owned(),
            key: key.clone(),
            need: Need::None,
            last_attempt: None,
            copying: None,
        }
    }

    /// Something was written, and perhaps somebody forgotten.
    pub(crate) fn handle_written(&mut self, someone_forgotten: bool) {
        let need = if someone_forgotten {
            Need::Soon
        } else {
            Need::Daily
        };
        self.need = self.need.max(need);
    }

    /// Starts a copy when it is time for one.
    pub(crate) fn poll(&mut self, quiet: bool) {
        if self
            .copying
            .as_ref()
            .is_some_and(|copying| copying.thread.is_finished())
        {
            self.join();
        }
        let waited = self.last_attempt.is_none_or(|last| last.elapsed() >= PAUSE);
        if self.copying.is_none() && waited && self.is_due(quiet, SystemTime::now()) {
            self.start();
        }
    }

    /// A copy is being made.
    pub(crate) fn is_copying(&self) -> bool {
        self.copying.is_some()
    }

    /// The last copy before the end: gives up one that takes long.
    pub(crate) fn finish(mut self) {
        if let Some(copying) = &self.copying {
            copying.cancelled.store(true, Ordering::Relaxed);
        }
        self.join();
        let quick = self
            .database
            .metadata()
            .is_ok_and(|file| file.len() <= BYTES_AT_STOP_MAX);
        if quick && self.need > Need::None {
            make_and_tell(&self.database, &self.key, &AtomicBool::new(false));
        }
    }

    fn is_due(&self, quiet: bool, now: SystemTime) -> bool {
        let age = if quiet { AGE_WHEN_QUIET } else { AGE_WHEN_BUSY };
        match self.need {
            Need::None => false,
            Need::Soon if quiet => true,
            Need::Soon | Need::Daily => is_older(&path_of(&self.database), now, age),
        }
    }

    fn start(&mut self) {
        let cancelled = Arc::new(AtomicBool::new(false));
        let (database, key, flag) = (self.database.clone(), self.key.clone(), cancelled.clone());
        let need = std::mem::replace(&mut self.need, Need::None);
        let work = move || (need, make_and_tell(&database, &key, &flag));
        self.last_attempt = Some(Instant::now());
        match thread::Builder::new().name("backup".to_owned()).spawn(work) {
            Ok(thread) => self.copying = Some(Copying { cancelled, thread }),
            Err(error) => {
                self.need = need;
                warn!(%error, "no thread for the copy of the database");
            }
        }
    }

    /// Waits for the copy that is being made. What it did not reach is still needed.
    fn join(&mut self) {
        let ended = self.copying.take().map(|copying| copying.thread.join());
        match ended {
            None | Some(Ok((_, true))) => {}
            Some(Ok((need, false))) => self.need = self.need.max(need),
            Some(Err(_)) => self.need = Need::Soon,
        }
    }
}

/// Returns whether there is a new copy. The log gets the reason if not.
fn make_and_tell(database: &Path, key: &DatabaseKey, cancelled: &AtomicBool) -> bool {
    match make(database, key, cancelled) {
        Ok(()) => true,
        Err(BackupError::Cancelled) => false,
        Err(error) => {
            warn!(%error, "the copy of the database could not be renewed; the last one is kept");
            false
        }
    }
}

/// Why there is no new copy. The earlier one, if any, is still there.
#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("the node is stopping")]
    Cancelled,
    #[error("the database is damaged ({0})")]
    Damaged(String),
    #[error(transparent)]
    Engine(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<CreateError> for BackupError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Io(error) => error.into(),
            CreateError::Engine(error) => error.into(),
        }
    }
}

/// The file the copy is in.
pub(crate) fn path_of(database: &Path) -> PathBuf {
    beside(database, "backup")
}

/// Whether the copy has reached an age, or there is none. A copy from the future says that the
/// clock was wrong, so nothing of its age.
fn is_older(copy: &Path, now: SystemTime, age: Duration) -> bool {
    let made = copy.metadata().and_then(|file| file.modified());
    match made.map(|made| now.duration_since(made)) {
        Ok(Ok(passed)) => passed >= age,
        Ok(Err(_)) | Err(_) => true,
    }
}

/// Copies the database as it is at one moment while others read and write, checks the copy, and
/// puts it in the place of the last.
fn make(database: &Path, key: &DatabaseKey, cancelled: &AtomicBool) -> Result<(), BackupError> {
    let go_on = || match cancelled.load(Ordering::Relaxed) {
        true => Err(BackupError::Cancelled),
        false => Ok(()),
    };
    let new = beside(database, "backup.new");
    let made = copy(database, key, &new, go_on)
        .and_then(|()| check(&new, key, go_on))
        .and_then(|()| Ok(put_in_place(&new, &path_of(database))?));
    if made.is_err() {
        // The next attempt would replace it; until then it would only take room.
        let _ = fs::remove_file(&new);
    }
    made
}

fn copy(
    database: &Path,
    key: &DatabaseKey,
    new: &Path,
    go_on: impl Fn() -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let source = connect(database, key, &Access::Read)?;
    // One moment for all steps; otherwise each write of ours would start the copy over.
    let moment = source.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut target = create_empty(new, key)?;
    let backup = Backup::new(&moment, &mut target)?;
    while !matches!(backup.step(STEP_PAGES)?, StepResult::Done) {
        go_on()?;
    }
    Ok(())
}

/// Every page was authenticated when it was copied; this is about what stands in them.
fn check(
    new: &Path,
    key: &DatabaseKey,
    go_on: impl Fn() -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let copy = connect(new, key, &Access::Inspect)?;
    for table in table_names(&copy)? {
        go_on()?;
        let verdict: String =
            copy.query_row(&format!("PRAGMA quick_check(\"{table}\")"), [], |row| {
                row.get(0)
            })?;
        if verdict != "ok" {
            return Err(BackupError::Damaged(verdict));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Writer, open};
    use hallway_model::Write;
    use std::fs::File;

    struct Fixture {
        _folder: tempfile::TempDir,
        path: PathBuf,
        key: DatabaseKey,
        writer: Writer,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let (writer, _) = open(&path, &key).unwrap();
        Fixture {
            _folder: folder,
            path,
            key,
            writer,
        }
    }

    #[test]
    fn a_copy_is_made_daily_while_there_are_changes() {
        let Fixture {
            _folder, path, key, ..
        } = fixture();
        let mut copier = Copier::new(&path, &key);
        let now = SystemTime::now();
        let (day, hour) = (Duration::from_hours(24), Duration::from_hours(1));
        assert!(!copier.is_due(true, now), "nothing was written");
        copier.handle_written(false);
        assert!(
            copier.is_due(true, now) && copier.is_due(false, now),
            "there is no copy"
        );

        File::create(path_of(&path))
            .unwrap()
            .set_modified(now)
            .unwrap();
        assert!(!copier.is_due(true, now + day - hour) && copier.is_due(true, now + day));
        assert!(!copier.is_due(false, now + day) && copier.is_due(false, now + 2 * day));
        assert!(copier.is_due(false, now - hour), "the clock was set back");
        copier.handle_written(true);
        copier.handle_written(false);
        assert!(
            copier.is_due(true, now) && !copier.is_due(false, now),
            "somebody was forgotten"
        );
    }

    #[test]
    fn a_copy_in_the_background_is_whole_and_comes_once() {
        let Fixture {
            _folder,
            path,
            key,
            mut writer,
        } = fixture();
        let name = || Write::Setting("name", "Ann".into());
        writer.commit(&[&[name()]]).unwrap();
        let mut copier = Copier::new(&path, &key);
        copier.handle_written(false);
        copier.poll(true);
        assert!(copier.is_copying());
        // Writing goes on meanwhile.
        writer.commit(&[&[name()]]).unwrap();
        copier.join();
        assert_eq!(copier.need, Need::None);
        check(&path_of(&path), &key, || Ok(())).unwrap();
        assert!(!beside(&path, "backup.new").exists());
        copier.handle_written(true);
        copier.poll(true);
        assert!(!copier.is_copying(), "an attempt was made just now");
    }

    #[test]
    fn a_copy_given_up_leaves_the_last_one_and_the_need() {
        let Fixture {
            _folder, path, key, ..
        } = fixture();
        fs::write(path_of(&path), "the last one").unwrap();
        let stop = AtomicBool::new(true);
        assert!(matches!(
            make(&path, &key, &stop),
            Err(BackupError::Cancelled)
        ));
        assert_eq!(fs::read(path_of(&path)).unwrap(), b"the last one");
        assert!(!beside(&path, "backup.new").exists());

        let mut copier = Copier::new(&path, &key);
        let thread = thread::spawn(|| (Need::Soon, false));
        copier.copying = Some(Copying {
            cancelled: Arc::default(),
            thread,
        });
        copier.join();
        assert_eq!(copier.need, Need::Soon);
    }

    #[test]
    fn contents_that_contradict_each_other_are_noticed() {
        let Fixture {
            _folder, path, key, ..
        } = fixture();
        let connection = connect(&path, &key, &Access::Write).unwrap();
        // An index that misses a row: every page is authentic, and yet it is wrong.
        connection
            .execute_batch(
                "INSERT INTO ids (id) VALUES (x'01');
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET rootpage =
                     (SELECT rootpage FROM sqlite_schema WHERE name = 'outbox')
                     WHERE name = 'sqlite_autoindex_ids_1';",
            )
            .unwrap();
        drop(connection);
        let made = make(&path, &key, &AtomicBool::new(false));
        assert!(matches!(made, Err(BackupError::Damaged(_))), "{made:?}");
        assert!(!path_of(&path).exists());
    }
}
