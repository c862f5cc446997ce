//! Failing writes, full disks and sudden death.

use crate::common::*;
use hallway_model::{Added, ConversationId, StorageFault, Write};
use hallway_store::{Completion, Reader, Request, Writer, open};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use tempfile::TempDir;

fn write(text: &str, seq: u64) -> Write {
    Write::Message(Box::new(theirs(ANN, seq, text)))
}

/// Makes the database refuse every message that says "bad".
fn refuse_bad_messages(store: &Store) {
    raw(&store.path())
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN new.text = 'bad'
             BEGIN SELECT raise(ABORT, 'refused'); END",
        )
        .unwrap();
}

#[test]
fn a_group_is_kept_whole_or_not_at_all() {
    let mut store = Store::new();
    refuse_bad_messages(&store);
    let before = store.writer.snapshot().unwrap().last_change;
    let (first, second) = (
        [write("good", 1), write("good", 2)],
        [write("good", 3), write("bad", 4)],
    );
    let setting = [Write::Setting("name", "Ann".into())];
    let result = store.writer.commit(&[&first, &setting, &second]);
    assert_eq!(result, Err(StorageFault::Failed));
    assert_eq!(store.page(ANN), []);
    assert_eq!(store.search("good"), Vec::<String>::new());
    let snapshot = store.writer.snapshot().unwrap();
    assert_eq!((snapshot.last_change, snapshot.settings.len()), (before, 0));

    let again = store.writer.commit(&[&first, &[], &first[1..]]).unwrap();
    let new = |change| Added::New { change };
    assert_eq!(
        again,
        [
            vec![new(before + 1), new(before + 2)],
            vec![],
            vec![Added::Duplicate]
        ]
    );
    assert_eq!(store.search("good").len(), 2);
}

/// A writer on its thread, asked and answered by channels.
struct Line {
    requests: mpsc::Sender<Request>,
    completions: mpsc::Receiver<Completion>,
    thread: thread::JoinHandle<()>,
}

impl Line {
    fn new(writer: Writer) -> Self {
        let (requests, waiting) = mpsc::channel();
        let (done, completions) = mpsc::channel();
        let report = move |completion| done.send(completion).unwrap();
        let thread = thread::spawn(move || writer.run(waiting, report));
        Self {
            requests,
            completions,
            thread,
        }
    }

    fn send(&self, token: u64, epoch: u64, text: &str) {
        let writes = vec![write(text, token)];
        self.requests
            .send(Request {
                token,
                epoch,
                writes,
            })
            .unwrap();
    }

    fn expect(&self, token: u64, result: Result<(), StorageFault>) {
        let completion = self.completions.recv().unwrap();
        let kept = completion.result.map(|added| assert_eq!(added.len(), 1));
        assert_eq!((completion.token, kept), (token, result));
    }
}

#[test]
fn after_a_failure_nothing_passes_until_the_engine_knows() {
    let store = Store::new();
    refuse_bad_messages(&store);
    let line = Line::new(store.writer);
    let failed = Err(StorageFault::Failed);
    line.send(1, 0, "good");
    line.expect(1, Ok(()));
    line.send(2, 0, "bad");
    line.expect(2, failed);
    // These were on their way before the engine could know.
    line.send(3, 0, "good");
    line.send(4, 0, "good");
    line.expect(3, failed);
    line.expect(4, failed);
    line.send(5, 1, "good");
    line.expect(5, Ok(()));
    // A second failure, at a later epoch, and again what is behind it waits for a later one.
    line.send(6, 3, "bad");
    line.expect(6, failed);
    for (token, epoch) in [(7, 1), (8, 3)] {
        line.send(token, epoch, "good");
        line.expect(token, failed);
    }
    line.send(9, 4, "good");
    line.expect(9, Ok(()));
    drop(line.requests);
    line.thread.join().unwrap();
    let kept: Vec<u64> = store
        .reader
        .page(&ConversationId::Peer(ANN), None, 100)
        .unwrap()
        .iter()
        .map(|stored| stored.message.seq)
        .collect();
    assert_eq!(kept, [1, 5, 9]);
}

#[test]
fn what_has_queued_is_answered_in_order_and_before_the_end() {
    let store = Store::new();
    let (requests, waiting) = mpsc::channel();
    for token in 1..=2000 {
        let writes = vec![write("queued", token)];
        requests
            .send(Request {
                token,
                epoch: 0,
                writes,
            })
            .unwrap();
    }
    drop(requests);
    let mut answered = Vec::new();
    store.writer.run(waiting, |completion| {
        assert_eq!(
            completion.result,
            Ok(vec![Added::New {
                change: completion.token
            }])
        );
        answered.push(completion.token);
    });
    assert_eq!(answered, (1..=2000).collect::<Vec<_>>());
    assert_eq!(store.reader.unread(&ANN, 0).unwrap(), 2000);
}

/// Messages of one request in the process that is killed.
const BURST: u64 = 7;

/// Writes for ever and says what is durable.
fn write_until_killed(folder: &Path) {
    let (writer, reader) = open(&folder.join("hallway.db"), &key()).unwrap();
    let mut seq = reader.unread(&ANN, 0).unwrap();
    let (requests, waiting) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let writes = (1..=BURST)
                .map(|n| write("survives 你好", seq + n))
                .collect();
            seq += BURST;
            requests
                .send(Request {
                    token: seq,
                    epoch: 0,
                    writes,
                })
                .unwrap();
            thread::yield_now();
        }
    });
    writer.run(waiting, |completion| {
        completion.result.unwrap();
        println!("durable {}", completion.token);
    });
}

#[test]
fn what_was_confirmed_survives_kill_9() {
    const NAME: &str = "faults::what_was_confirmed_survives_kill_9";
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_until_killed(Path::new(&folder));
        return;
    }
    let folder = TempDir::new().unwrap();
    let command = again(NAME, folder.path());
    let mut confirmed = 0;
    for round in 1..=6 {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut durable = lines.by_ref().filter_map(|line| {
            line.strip_prefix("durable ")
                .map(|n| n.parse::<u64>().unwrap())
        });
        confirmed = durable.by_ref().take(40 * round).last().unwrap();
        // `env` has become the program, so this is the process that writes.
        child.kill().unwrap();
        confirmed = durable.last().unwrap_or(confirmed);
        child.wait().unwrap();

        let (_writer, reader) = open(&folder.path().join("hallway.db"), &key()).unwrap();
        let kept = messages_of(&reader);
        assert_eq!(kept, (1..=kept.len() as u64).collect::<Vec<_>>());
        assert!(
            kept.len() as u64 >= confirmed,
            "{} of {confirmed}",
            kept.len()
        );
        assert_eq!(kept.len() as u64 % BURST, 0, "a request was torn");
        let found = reader.search("surv 好", None, usize::MAX).unwrap();
        assert_eq!(found.len(), kept.len());
    }
    assert!(confirmed > 0);
}

fn messages_of(reader: &Reader) -> Vec<u64> {
    let page = reader
        .page(&ConversationId::Peer(ANN), None, usize::MAX)
        .unwrap();
    page.iter().map(|stored| stored.message.seq).collect()
}

/// Fills the disk, then makes room.
fn fill_the_disk(folder: &Path) {
    let path = folder.join("hallway.db");
    let (mut writer, reader) = open(&path, &key()).unwrap();
    let mut seq = 0;
    // Where there is no room for many there may be some for one.
    for count in [20, 1] {
        let fault = loop {
            let group: Vec<Write> = (1..=count)
                .map(|n| write(&"long 字 ".repeat(50), seq + n))
                .collect();
            match writer.commit(&[&group]) {
                Ok(_) => seq += count,
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault, StorageFault::Full);
        assert!(seq > 0);
        assert_eq!(messages_of(&reader), (1..=seq).collect::<Vec<_>>());
    }
    std::fs::remove_file(folder.join("ballast")).unwrap();
    writer.commit(&[&[write("room again", seq + 1)]]).unwrap();
    drop((writer, reader));
    let (writer, reader) = open(&path, &key()).unwrap();
    assert_eq!(messages_of(&reader), (1..=seq + 1).collect::<Vec<_>>());
    assert_eq!(reader.search("room", None, 10).unwrap().len(), 1);
    drop(writer);
}

/// A disk of our own takes a mount namespace, as root or through a user namespace. Where neither
/// is allowed, the limit on pages that `writer` tests with has to do.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_costs_nothing_that_was_confirmed() {
    const NAME: &str = "faults::a_full_disk_is_told_and_costs_nothing_that_was_confirmed";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(folder)
            .status();
        assert!(mounted.unwrap().success());
        std::fs::write(folder.join("ballast"), vec![1; 1 << 20]).unwrap();
        return fill_the_disk(folder);
    }
    let namespaces: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let allowed = |flags: &&&[&str]| {
        Command::new("unshare")
            .args(**flags)
            .arg("true")
            .status()
            .is_ok_and(|s| s.success())
    };
    let Some(flags) = namespaces.iter().find(allowed) else {
        eprintln!("no mount namespaces here: not tested on a real disk");
        return;
    };
    let folder = TempDir::new().unwrap();
    let ended = Command::new("unshare")
        .args(*flags)
        .args(again(NAME, folder.path()))
        .output()
        .unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}
