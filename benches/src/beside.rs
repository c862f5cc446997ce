//! A call while files move between the same two people, beside the same call without them.

use crate::table::{Quantity, Row, Table, Target};
use anyhow::Context;
use hallway_tests::audio::{Call, Rooms, Score, Voice, score, speech, talk};
use hallway_tests::files::{downloads, large_file, send, until_state};
use hallway_tests::host::{Host, Plan};
use hallway_tests::lab::Lan;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Small enough to be taken unasked, and sent again and again as long as somebody speaks.
const FILE_BYTES: u64 = 90 << 20;
/// A line that files fill without any effort.
const LINE_BYTES_PER_SECOND: u32 = 12_500_000;
/// What a call may lose of its mark.
const PESQ_SHARE_MIN: f64 = 0.95;

/// What is beside the call, on which line.
struct Case {
    name: &'static str,
    rate: Option<u32>,
}

const CASES: [Case; 2] = [
    Case {
        name: "as fast as the machine can",
        rate: None,
    },
    Case {
        name: "on a line of 100 Mbit/s",
        rate: Some(LINE_BYTES_PER_SECOND),
    },
];

pub(crate) fn measure() -> anyhow::Result<Table> {
    let (lan, rooms) = (Lan::of(2), Rooms::of(2));
    let hosts = [("Ann", 0), ("Ben", 1)]
        .map(|(name, host)| rooms.furnish(Plan::new(name), host).start(&lan, host));
    hosts[0].befriend(&hosts[1]);
    let path = large_file(&hosts[0], "disk.img", FILE_BYTES, 1);
    let text = speech(Voice::High);
    let mut table = Table::default();
    let alone = speak(&rooms, &hosts, &text).context("without files")?;
    for Case { name, rate } in CASES {
        lan.rate(0, rate);
        let (beside, bytes_per_second) = beside(&hosts, &path, || speak(&rooms, &hosts, &text));
        lan.rate(0, None);
        let beside = beside.context(name)?;
        let ms = |score: &Score| Quantity::Seconds(score.latency.as_secs_f64());
        table.add(
            Row::new(format!("files {name}: mouth to ear"), ms(&beside))
                .beside("without files", ms(&alone)),
        );
        table.add(
            Row::new(format!("files {name}: PESQ"), Quantity::Number(beside.pesq))
                .beside("without files", Quantity::Number(alone.pesq))
                .target(Target::RatioAtLeast(PESQ_SHARE_MIN)),
        );
        let moved = Quantity::BytesPerSecond(bytes_per_second);
        table.add(Row::new(
            format!("files {name}: what moved beside it"),
            moved,
        ));
    }
    table.note(format!(
        "One side says half a minute, and the other hears it, while that side sends one file of {} MiB \
         after the other to the same person. Mouth to ear is the middle of all seconds, PESQ (wideband) \
         the mean of samples of 8 s. Both hosts share the cores.",
        FILE_BYTES >> 20
    ));
    Ok(table)
}

/// A call in which something is said.
fn speak(rooms: &Rooms, hosts: &[Host; 2], text: &[f32]) -> anyhow::Result<Score> {
    let call = Call::connect(&hosts[0], &hosts[1]);
    let recording = talk(rooms, 0, text, Duration::from_millis(500));
    call.hang_up();
    Ok(score(recording.said(0), recording.heard(1))?)
}

/// Does something while files move; with the bytes that moved in a second of it.
#[allow(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn beside<T>([from, to]: &[Host; 2], path: &Path, job: impl FnOnce() -> T) -> (T, f64) {
    let (over, moved) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let start = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let id = send(from, to.id(), path);
                let done = until_state(to, &id, "done");
                let place = done["path"]
                    .as_str()
                    .map_or_else(|| downloads(to), Into::into);
                fs::remove_file(place).expect("it has arrived");
                moved.fetch_add(FILE_BYTES, Ordering::Relaxed);
            }
            start.elapsed()
        });
        let result = job();
        over.store(true, Ordering::Relaxed);
        let took = sending.join().expect("files move");
        let moved = moved.load(Ordering::Relaxed) as f64;
        (result, moved / took.as_secs_f64())
    })
}
