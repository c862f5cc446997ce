//! Files that are not as they should be: refused with what to do, and left as they are.

use crate::common::*;
use hallway_model::{ConversationId, Message};
use hallway_store::{DatabaseKey, OpenError, open};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

const PAGE: usize = 4096;

/// A database of some hundred messages, closed cleanly: its files by name.
fn closed_store() -> Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    let make = || {
        let mut store = Store::new();
        let text = |seq| format!("你好 message number {seq} {}", "x".repeat(200));
        store.add_all((1..=300).map(|seq| theirs(ANN, seq, &text(seq))));
        Files::of(store.close().path())
    };
    FILES.get_or_init(make).clone()
}

/// The files of a folder with their contents.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn of(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
        Self(
            entries
                .map(|entry| (name(&entry), fs::read(entry.path()).unwrap()))
                .collect(),
        )
    }

    fn only(&self, names: &[&str]) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        Self(
            kept.map(|(name, bytes)| (name.clone(), bytes.clone()))
                .collect(),
        )
    }

    fn database(&mut self) -> &mut Vec<u8> {
        self.0.get_mut("hallway.db").unwrap()
    }

    fn in_a_folder(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in &self.0 {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    /// Opens it, which must fail and change nothing.
    fn refusal(&self) -> (OpenError, PathBuf) {
        let folder = self.in_a_folder();
        let path = folder.path().join("hallway.db");
        let refusal = open(&path, &key()).map(|_| "opened").unwrap_err();
        assert_eq!(Files::of(folder.path()), *self, "{refusal}");
        (refusal, path)
    }
}

#[test]
fn another_key_is_told_from_damage() {
    let files = closed_store();
    let folder = files.in_a_folder();
    let path = folder.path().join("hallway.db");
    let refusal = open(&path, &DatabaseKey::new([8; 32]))
        .map(|_| "opened")
        .unwrap_err();
    assert!(matches!(&refusal, OpenError::WrongKey { path: told } if *told == path));
    assert!(
        refusal.to_string().contains("the key does not fit"),
        "{refusal}"
    );
    assert_eq!(Files::of(folder.path()), files);
}

#[test]
fn a_file_of_somebody_else_is_not_touched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hallway.db");
    let plain = rusqlite::Connection::open(&path).unwrap();
    plain
        .execute_batch("CREATE TABLE things (a); CREATE TABLE others (b)")
        .unwrap();
    drop(plain);
    let (refusal, _) = Files::of(folder.path()).refusal();
    assert!(matches!(refusal, OpenError::WrongKey { .. }), "{refusal}");
    fs::write(&path, "notes of mine".repeat(1000)).unwrap();
    let (refusal, _) = Files::of(folder.path()).refusal();
    assert!(matches!(refusal, OpenError::WrongKey { .. }), "{refusal}");
}

#[test]
fn a_file_cut_anywhere_is_refused_and_the_copy_named() {
    let whole = closed_store();
    let bytes = whole.0["hallway.db"].len();
    assert!(bytes > 40 * PAGE);
    for length in [
        0,
        1,
        15,
        100,
        PAGE - 1,
        PAGE,
        PAGE + 1,
        bytes / 2 / PAGE * PAGE,
        bytes - PAGE,
        bytes - 1,
    ] {
        let mut cut = whole.clone();
        cut.database().truncate(length);
        let (refusal, path) = cut.refusal();
        let OpenError::Corrupt {
            path: told,
            backup: Some(backup),
            ..
        } = &refusal
        else {
            panic!("{length}: {refusal}");
        };
        let text = refusal.to_string();
        assert_eq!((told, backup), (&path, &path.with_extension("db.backup")));
        assert!(
            text.contains(&format!("{} is damaged", path.display())),
            "{text}"
        );
        assert!(
            text.contains(&format!("copy is {}", backup.display())),
            "{text}"
        );

        let (refusal, _) = cut.only(&["hallway.db"]).refusal();
        assert!(
            matches!(&refusal, OpenError::Corrupt { backup: None, .. }),
            "{refusal}"
        );
        assert!(
            refusal.to_string().contains("There is no copy"),
            "{refusal}"
        );
    }
}

#[test]
fn following_the_advice_brings_everything_back() {
    let mut files = closed_store();
    files.database().truncate(10 * PAGE);
    let folder = files.in_a_folder();
    let path = folder.path().join("hallway.db");
    let Err(OpenError::Corrupt {
        backup: Some(backup),
        ..
    }) = open(&path, &key())
    else {
        panic!("it was opened");
    };
    fs::rename(&path, path.with_extension("elsewhere")).unwrap();
    fs::rename(backup, &path).unwrap();
    let mut store = Store::open_in(folder).unwrap();
    assert_eq!(store.page(ANN).len(), 300);
    assert_eq!(store.search("number 好 300").len(), 1);
    store.add_new(&theirs(ANN, 301, "and on it goes"));
}

/// Reads all there is in every way; what comes back must be true.
fn read_everything(store: &mut Store, truth: &[Message]) -> usize {
    let mut faults = 0;
    let talk = ConversationId::Peer(ANN);
    let answers = [
        store.reader.page(&talk, None, 1000),
        store.reader.search("message", None, 1000),
        store.reader.search("你", Some(&talk), 1000),
        store.reader.changes_since(0, 1000),
        store.reader.since(&talk, Default::default(), 1000),
        store
            .reader
            .summaries()
            .map(|lines| lines.into_iter().map(|line| line.last).collect()),
    ];
    for answer in answers {
        match answer {
            Err(_) => faults += 1,
            Ok(messages) => {
                for stored in messages {
                    assert!(truth.contains(&stored.message), "{stored:?}");
                }
            }
        }
    }
    faults += usize::from(store.reader.export(&mut Vec::new()).is_err());
    faults += usize::from(store.reader.unread(&ANN, 0).is_err());
    faults += usize::from(store.writer.snapshot().is_err());
    let next = hallway_model::Write::Message(Box::new(theirs(ANN, 301, "one more")));
    faults + usize::from(store.writer.commit(&[&[next]]).is_err())
}

#[test]
fn a_flipped_byte_anywhere_is_found_and_never_believed() {
    let whole = closed_store();
    let truth = {
        let store = Store::open_in(whole.in_a_folder()).unwrap();
        store
            .page(ANN)
            .into_iter()
            .map(|stored| stored.message)
            .collect::<Vec<_>>()
    };
    let pages = whole.0["hallway.db"].len() / PAGE;
    let (mut refused, mut noticed) = (0, 0);
    for page in 0..pages {
        let mut flipped = whole.only(&["hallway.db"]);
        flipped.database()[page * PAGE + (page * 977 + 20) % PAGE] ^= 1 << (page % 8);
        let folder = flipped.in_a_folder();
        match Store::open_in(folder) {
            Err(refusal) => {
                assert!(
                    matches!(refusal, OpenError::Corrupt { .. }),
                    "{page}: {refusal}"
                );
                refused += 1;
            }
            Ok(mut store) => {
                if read_everything(&mut store, &truth) > 0 {
                    noticed += 1;
                }
            }
        }
    }
    assert!(
        refused > 5,
        "the first page and the top of each table: {refused}"
    );
    assert!(
        refused + noticed > pages * 3 / 4,
        "{refused} and {noticed} of {pages}"
    );
}

#[test]
fn a_flipped_byte_of_the_salt_is_damage_when_a_copy_shows_it() {
    let whole = closed_store();
    for at in 0..16 {
        let mut flipped = whole.clone();
        flipped.database()[at] ^= 0x10;
        assert!(matches!(
            flipped.refusal().0,
            OpenError::Corrupt {
                backup: Some(_),
                ..
            }
        ));
        let alone = flipped.only(&["hallway.db"]);
        assert!(matches!(alone.refusal().0, OpenError::WrongKey { .. }));
    }
}

/// What a crash leaves: a database that was not closed, with a log.
fn crashed_store() -> Files {
    let mut store = Store::open_in(closed_store().in_a_folder()).unwrap();
    store.add_all((301..=400).map(|seq| theirs(ANN, seq, "only in the log")));
    let files = Files::of(store.folder.path());
    assert!(files.0["hallway.db-wal"].len() > PAGE);
    files.only(&["hallway.db", "hallway.db-wal"])
}

#[test]
fn a_log_left_by_a_crash_is_no_damage() {
    let crashed = crashed_store();
    let store = Store::open_in(crashed.in_a_folder()).unwrap();
    assert_eq!(store.page(ANN).len(), 400);
    // A crash while the log was moved over can leave a part of a page at the end.
    let mut torn = crashed.clone();
    torn.database().extend([0; 100]);
    assert_eq!(
        Store::open_in(torn.in_a_folder()).unwrap().page(ANN).len(),
        400
    );
}

#[test]
fn a_damaged_database_keeps_its_log() {
    let mut damaged = crashed_store();
    // The log holds newer versions of the first pages, so it is the tables' that are hit.
    for page in 2..30 {
        damaged.database()[page * PAGE + 77] ^= 1;
    }
    let folder = damaged.in_a_folder();
    let refusal = open(&folder.path().join("hallway.db"), &key())
        .map(|_| "opened")
        .unwrap_err();
    assert!(matches!(refusal, OpenError::Corrupt { .. }), "{refusal}");
    assert_eq!(
        Files::of(folder.path()).only(&["hallway.db", "hallway.db-wal"]),
        damaged
    );
}

#[test]
fn a_missing_database_is_not_made_anew_over_its_copy_or_log() {
    let (refusal, path) = closed_store().only(&["hallway.db.backup"]).refusal();
    assert!(
        matches!(
            &refusal,
            OpenError::Missing {
                backup: Some(_),
                ..
            }
        ),
        "{refusal}"
    );
    assert!(
        refusal
            .to_string()
            .contains(&format!("{}.backup", path.display())),
        "{refusal}"
    );
    let (refusal, _) = crashed_store().only(&["hallway.db-wal"]).refusal();
    assert!(
        matches!(&refusal, OpenError::Missing { backup: None, .. }),
        "{refusal}"
    );
}

#[test]
fn a_newer_schema_is_left_to_the_newer_version() {
    let folder = closed_store().in_a_folder();
    let path = folder.path().join("hallway.db");
    raw(&path)
        .execute_batch("PRAGMA user_version = 4711")
        .unwrap();
    let (refusal, _) = Files::of(folder.path()).refusal();
    assert!(
        matches!(
            refusal,
            OpenError::Newer {
                found: 4711,
                known: 1..4711,
                ..
            }
        ),
        "{refusal}"
    );
}

#[test]
fn half_made_files_of_a_crash_are_replaced() {
    let folder = TempDir::new().unwrap();
    for name in ["hallway.db.new", "hallway.db.backup.new"] {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    let mut store = Store::open_in(folder).unwrap();
    store.add_new(&theirs(ANN, 1, "hi"));
    let files = Files::of(store.close().path());
    assert_eq!(
        files.0.keys().collect::<Vec<_>>(),
        ["hallway.db", "hallway.db.backup"]
    );
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nowhere").join("hallway.db");
    let refusal = open(&path, &key()).map(|_| "opened").unwrap_err();
    assert!(matches!(refusal, OpenError::Io { .. }), "{refusal}");
    assert!(
        refusal.to_string().contains(path.to_str().unwrap()),
        "{refusal}"
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_any_of_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let check = |folder: &Path, expected: &[&str]| {
        let files = Files::of(folder);
        assert_eq!(files.0.keys().collect::<Vec<_>>(), expected);
        for name in expected {
            let permissions = folder.join(name).metadata().unwrap().permissions();
            assert_eq!(permissions.mode() & 0o777, 0o600, "{name}");
        }
    };
    let mut store = Store::new();
    store.add_new(&theirs(ANN, 1, "hi"));
    check(
        store.folder.path(),
        &["hallway.db", "hallway.db-shm", "hallway.db-wal"],
    );
    check(store.close().path(), &["hallway.db", "hallway.db.backup"]);
}

#[test]
fn a_damaged_database_never_replaces_its_copy() {
    let files = closed_store();
    let mut store = Store::open_in(files.in_a_folder()).unwrap();
    store.add_new(&theirs(ANN, 301, "new"));
    let mut bytes = fs::read(store.path()).unwrap();
    let middle = bytes.len() / PAGE / 2 * PAGE;
    bytes[middle + 99] ^= 1;
    fs::write(store.path(), bytes).unwrap();
    let after = Files::of(store.close().path());
    assert_eq!(after.0["hallway.db.backup"], files.0["hallway.db.backup"]);
}

#[test]
fn nothing_is_printed_about_damage() {
    let test = again(
        "damage::a_damaged_database_never_replaces_its_copy",
        Path::new(""),
    );
    let ran = Command::new(&test[0]).args(&test[1..]).output().unwrap();
    assert!(ran.status.success());
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
}

#[test]
fn a_clean_stop_renews_the_copy_when_something_was_written() {
    let files = closed_store();
    let unchanged = Files::of(Store::open_in(files.in_a_folder()).unwrap().close().path());
    assert_eq!(
        unchanged.0["hallway.db.backup"],
        files.0["hallway.db.backup"]
    );
    let mut store = Store::open_in(files.in_a_folder()).unwrap();
    store.add_new(&theirs(ANN, 301, "new"));
    let folder = store.close();
    fs::rename(
        folder.path().join("hallway.db.backup"),
        folder.path().join("hallway.db"),
    )
    .unwrap();
    assert_eq!(Store::open_in(folder).unwrap().page(ANN).len(), 301);
}
