//! One file to one receiver and to eight, on a line of the sender that all share.

use crate::table::{Quantity, Row, Table, Target};
use hallway_tests::crowd::Crowd;
use std::time::Instant;

const RECEIVERS: usize = 8;
/// What contacts take unasked.
const FILE_BYTES: usize = 90 << 20;
/// Of the sender's line, in each direction: slow enough that processors do not count.
const LINE_BYTES_PER_SECOND: u32 = 6_000_000;

#[allow(clippy::cast_precision_loss, reason = "a ratio needs no more digits")]
pub(crate) fn measure() -> anyhow::Result<Table> {
    let crowd = Crowd::of(RECEIVERS);
    crowd.lan.rate(0, Some(LINE_BYTES_PER_SECOND));
    let run = |to: &[usize]| {
        let (before, start) = (crowd.lan.payload_sent(0), Instant::now());
        for (to, id) in to.iter().zip(crowd.offer(FILE_BYTES, to)) {
            crowd.until_done(*to, &id);
        }
        let copies = (crowd.lan.payload_sent(0) - before) as f64 / FILE_BYTES as f64;
        (copies, start.elapsed().as_secs_f64())
    };
    let (one_copies, one_time) = run(&[0]);
    for receiver in &crowd.receivers {
        // The next one is to come under the same name.
        let _ = std::fs::remove_file(receiver.home().join("downloads/disk.img"));
    }
    let all: Vec<usize> = (0..RECEIVERS).collect();
    let (copies, time) = run(&all);
    let mut table = Table::default();
    table.add(
        Row::new(
            format!("sent to {RECEIVERS} receivers, in copies"),
            Quantity::Number(copies),
        )
        .beside("to one", Quantity::Number(one_copies))
        .target(Target::RatioAtMost(2.5)),
    );
    table.add(
        Row::new(
            format!("until all {RECEIVERS} have it"),
            Quantity::Seconds(time),
        )
        .beside("until one has it", Quantity::Seconds(one_time))
        .target(Target::RatioAtMost(2.5)),
    );
    table.note(format!(
        "A file of {} MiB; the sender's line passes {} MB/s. Sent is all that left the sender's \
         interface without headers of TCP, also messages of its node.",
        FILE_BYTES >> 20,
        LINE_BYTES_PER_SECOND / 1_000_000
    ));
    Ok(table)
}
