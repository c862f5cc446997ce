//! What a large file and a large folder survive: programs killed and cables pulled, with the real
//! program on two hosts.

use crate::table::{Quantity, Row, Table, Target};
use anyhow::Context;
use hallway_tests::files::{
    accept, assert_same_tree, downloads, is_same, large_file, outbox, send, transfer,
};
use hallway_tests::host::Host;
use hallway_tests::lab::Lan;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The file that has to survive.
const FILE_BYTES: u64 = 4 << 30;
/// Interruptions of it.
const INTERRUPTIONS: u64 = 10;
/// Small files of the folder.
const FILES: u32 = 100_000;
/// Of these in one folder.
const FILES_PER_FOLDER: u32 = 1000;
/// Far more than anything here takes, so that only what hangs is given up.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a cable stays out at most.
const OUT_MAX: Duration = Duration::from_secs(3);

pub(crate) fn measure() -> anyhow::Result<Table> {
    let lan = Lan::of(2);
    let [ann, bo] = [Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Bo")];
    ann.befriend(&bo);
    let mut table = Table::default();
    large(&lan, &ann, &bo, &mut table)?;
    many(&ann, &bo, &mut table)?;
    table.note(format!(
        "The file is interrupted {INTERRUPTIONS} times at places that nobody has chosen: either program \
         is killed with SIGKILL, or the receiver's cable is out for up to {OUT_MAX:?}. What was sent \
         again is all that left the sender's interface without headers of TCP, less the file: \
         also messages of both nodes. A resume is timed from the start of the program that was \
         killed, or from when the cable is back, until new bytes are told."
    ));
    Ok(table)
}

/// Random enough to be nowhere in particular, and the same for every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn large(lan: &Lan, ann: &Host, bo: &Host, table: &mut Table) -> anyhow::Result<()> {
    let path = large_file(ann, "disk.img", FILE_BYTES, 1);
    let before = lan.payload_sent(0);
    let id = send(ann, "Bo", &path);
    accept(bo, &id);
    let mut dice = Dice(1);
    let mut resumes = Vec::new();
    for number in 0..INTERRUPTIONS {
        // Somewhere in its tenth.
        let share = FILE_BYTES / (INTERRUPTIONS + 1);
        let at = share * number + dice.below(share);
        let come = until_moved(bo, &id, at)?;
        if come == FILE_BYTES {
            break;
        }
        let start = match dice.below(3) {
            0 => again(bo),
            1 => again(ann),
            _ => {
                lan.cut(1);
                thread::sleep(Duration::from_millis(dice.below(OUT_MAX.as_secs() * 1000)));
                lan.heal(1);
                Instant::now()
            }
        };
        until_moved(bo, &id, come + (1 << 20))?;
        resumes.push(start.elapsed().as_secs_f64());
    }
    until_moved(bo, &id, FILE_BYTES - 1)?;
    until_done(bo, &id)?;
    let sent = lan.payload_sent(0) - before;
    let place = downloads(bo).join("disk.img");
    anyhow::ensure!(is_same(&path, &place), "the file that arrived differs");
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    let again = sent.saturating_sub(FILE_BYTES) as f64 / FILE_BYTES as f64 * 100.0;
    let times = resumes.len();
    table.add(
        Row::new(
            format!("4 GiB, interrupted {times} times, equal: % sent again"),
            Quantity::Number(again),
        )
        .target(Target::AtMost(Quantity::Number(1.0))),
    );
    let slowest = resumes.into_iter().fold(0.0, f64::max);
    table.add(Row::new("slowest resume", Quantity::Seconds(slowest)));
    fs::remove_file(path)?;
    fs::remove_file(place)?;
    Ok(())
}

/// Kills a node and starts it; when it was started.
fn again(host: &Host) -> Instant {
    host.kill();
    let start = Instant::now();
    host.up();
    start
}

fn many(ann: &Host, bo: &Host, table: &mut Table) -> anyhow::Result<()> {
    let root = outbox(ann).join("many");
    for number in 0..FILES {
        let folder = root.join(format!("{:03}", number / FILES_PER_FOLDER));
        if number % FILES_PER_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        write_small(&folder.join(format!("{number:06}.txt")), number)?;
    }
    let start = Instant::now();
    let id = send(ann, "Bo", &root);
    until_done(bo, &id)?;
    let took = start.elapsed().as_secs_f64();
    assert_same_tree(&root, &downloads(bo).join("many"));
    table.add(Row::new(
        format!("{FILES} small files, equal: from the offer to done"),
        Quantity::Seconds(took),
    ));
    Ok(())
}

/// Up to a kilobyte that no other file has.
fn write_small(path: &Path, number: u32) -> std::io::Result<()> {
    let line = format!("{number:06}\n");
    fs::write(
        path,
        line.repeat(usize::try_from(number % 150).unwrap_or(0)),
    )
}

fn until_moved(host: &Host, id: &str, at_least: u64) -> anyhow::Result<u64> {
    let end = Instant::now() + PATIENCE;
    let mut tail = host.tail();
    loop {
        let moved = transfer(host, id).and_then(|t| t["moved"].as_u64());
        if let Some(moved) = moved.filter(|moved| *moved >= at_least) {
            return Ok(moved);
        }
        let left = end.saturating_duration_since(Instant::now());
        anyhow::ensure!(!left.is_zero(), "the file does not come further");
        tail.next(left.min(Duration::from_millis(500)));
    }
}

fn until_done(host: &Host, id: &str) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut tail = host.tail();
    loop {
        let found = transfer(host, id).context("the transfer is gone")?;
        if found["state"] == "done" {
            return Ok(());
        }
        anyhow::ensure!(found["state"] != "failed", "it failed: {found}");
        let left = end.saturating_duration_since(Instant::now());
        anyhow::ensure!(!left.is_zero(), "it is not done: {found}");
        tail.next(left.min(Duration::from_millis(500)));
    }
}
