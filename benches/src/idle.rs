//! What nodes take that have nothing to do: memory, processor time, packets.

use crate::table::{Quantity, Row, Table, Target};
use anyhow::{Context, ensure};
use hallway_tests::host::Host;
use hallway_tests::lab::Lan;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Nodes on the link whose packets are counted.
const CROWD: usize = 50;
/// The one on a link with a hundred others, and they.
const LARGE_CROWD: usize = 101;
/// A conversation counts as open for 60 s, and threads that wait for work end after 10 s.
const SETTLING: Duration = Duration::from_secs(75);
/// How long is looked: several of the longest timers.
const WINDOW: Duration = Duration::from_secs(180);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn measure() -> anyhow::Result<Table> {
    let (lonely, link, hall) = (Lan::of(1), Lan::of(2), Lan::of(LARGE_CROWD));
    let alone = Host::start(&lonely, 0, "Ann");
    let pair = [Host::start(&link, 0, "Ann"), Host::start(&link, 1, "Ben")];
    pair[0].befriend(&pair[1]);
    let (mut crowd, arriving) = while_counting(&hall, || start(&hall, 0..CROWD));
    thread::sleep(SETTLING);

    let few = [
        (&alone, "alone"),
        (&pair[0], "with one peer"),
        (&crowd[0], "with 49 others"),
    ];
    let (times, steady) = while_counting(&hall, || spent(&few.map(|(host, _)| host)));
    let mut table = Table::default();
    for ((host, company), spent) in few.into_iter().zip(times?) {
        add_node(&mut table, host, company, spent);
    }

    crowd.extend(start(&hall, CROWD..LARGE_CROWD));
    thread::sleep(SETTLING);
    let others = crowd[0].cli(&["peers", "--json"]).len();
    ensure!(
        others == LARGE_CROWD - 1,
        "of 100 others a node sees {others}"
    );
    let [spent] = spent(&[&crowd[0]])?;
    add_node(&mut table, &crowd[0], "with 100 others", spent);

    add_packets(&mut table, "average", average(&steady), Some(10.0));
    add_packets(&mut table, "busiest second", busiest(&steady), Some(200.0));
    add_packets(
        &mut table,
        "busiest second while they start",
        busiest(&arriving),
        None,
    );
    table.note(format!(
        "Over {WINDOW:?}, from {SETTLING:?} after the last start on, while nobody writes. Processor \
         time is that of all threads, in the program and in the kernel."
    ));
    Ok(table)
}

fn start(lan: &Lan, hosts: Range<usize>) -> Vec<Host> {
    hosts
        .map(|host| Host::start(lan, host, &format!("Node {host}")))
        .collect()
}

fn add_node(table: &mut Table, host: &Host, company: &str, spent: Duration) {
    let resident = Quantity::Bytes(host.rss_kib() as f64 * 1024.0);
    let row = Row::new(format!("resident, {company}"), resident);
    table.add(row.target(Target::AtMost(Quantity::Bytes(15.0 * 1024.0 * 1024.0))));
    let share = spent.as_secs_f64() * MINUTE.as_secs_f64() / WINDOW.as_secs_f64();
    let row = Row::new(
        format!("processor time a minute, {company}"),
        Quantity::Seconds(share),
    );
    table.add(match company {
        "with one peer" => row.target(Target::AtMost(Quantity::Seconds(0.002))),
        _ => row,
    });
}

fn add_packets(table: &mut Table, what: &str, number: f64, most: Option<f64>) {
    let number = Quantity::PerSecond(number);
    let row = Row::new(format!("mDNS packets of {CROWD} nodes, {what}"), number);
    table.add(match most {
        Some(most) => row.target(Target::AtMost(Quantity::PerSecond(most))),
        None => row,
    });
}

/// Processor time that each of these nodes spends within [`WINDOW`].
fn spent<const N: usize>(hosts: &[&Host; N]) -> anyhow::Result<[Duration; N]> {
    let before = hosts.map(threads);
    thread::sleep(WINDOW);
    let mut spent = [Duration::ZERO; N];
    for ((spent, host), before) in spent.iter_mut().zip(hosts).zip(before) {
        let before = before?;
        for (thread, time) in threads(host)? {
            *spent += time - before.get(&thread).copied().unwrap_or_default();
        }
    }
    Ok(spent)
}

/// Processor time of each thread so far: `/proc/PID/stat` counts in steps of 10 ms only.
fn threads(host: &Host) -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{}/task", host.pid()))? {
        let thread = thread?;
        // A thread that has just ended has no file any more.
        let Ok(schedstat) = fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        let nanoseconds = schedstat
            .split_whitespace()
            .next()
            .context("schedstat is empty")?;
        let name = thread.file_name().to_string_lossy().into_owned();
        threads.insert(name, Duration::from_nanos(nanoseconds.parse()?));
    }
    Ok(threads)
}

/// Does something and counts mDNS packets meanwhile: so many in each second.
fn while_counting<T>(lan: &Lan, job: impl FnOnce() -> T) -> (T, Vec<u64>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let (mut counts, mut before) = (Vec::new(), lan.mdns_packets());
            let mut next = Instant::now();
            while !done.load(Ordering::Relaxed) {
                next += SECOND;
                thread::sleep(next.saturating_duration_since(Instant::now()));
                let now = lan.mdns_packets();
                counts.push(now - before);
                before = now;
            }
            counts
        });
        let result = job();
        done.store(true, Ordering::Relaxed);
        (result, counting.join().expect("counting does not panic"))
    })
}

fn average(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64 / counts.len() as f64
}

fn busiest(counts: &[u64]) -> f64 {
    counts.iter().copied().max().unwrap_or(0) as f64
}
