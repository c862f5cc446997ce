//! How large the program is, how fast it is there, how soon it misses a peer, and what a
//! hostile frame can take.

use crate::decode;
use crate::stats::{median, quantile};
use crate::table::{Quantity, Row, Table, Target};
use anyhow::Context;
use hallway_tests::host::{Host, Plan};
use hallway_tests::lab::Lan;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const STARTS: usize = 20;
/// Conversations with somebody whose host falls silent.
const DEATHS: usize = 4;
/// Far more than it takes, so that only what hangs is given up.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure() -> anyhow::Result<Table> {
    let mut table = Table::default();
    let program = program()?;
    let bytes = program
        .metadata()
        .with_context(|| program.display().to_string())?
        .len();
    let target = Target::AtMost(Quantity::Bytes(20_000_000.0));
    table.add(Row::new("the program", Quantity::Bytes(bytes as f64)).target(target));
    let peak = decode::peak_in_a_child()?;
    let target = Target::AtMost(Quantity::Bytes(10_000_000.0));
    table.add(Row::new("memory to decode the worst frame", Quantity::Bytes(peak)).target(target));
    if !rustix::process::geteuid().is_root() {
        table.note("The rest is left out, for it needs root or user namespaces.");
        return Ok(table);
    }
    let lan = Lan::of(2);
    let mut first = Vec::new();
    let mut again = Vec::new();
    for _ in 0..STARTS {
        let host = Plan::new("Ann").prepare(&lan, 0);
        for times in [&mut first, &mut again] {
            let start = Instant::now();
            host.up();
            times.push(start.elapsed().as_secs_f64());
            host.stop();
        }
    }
    let target = Target::AtMost(Quantity::Seconds(0.150));
    for (what, mut times) in [("first start", first), ("later start", again)] {
        let time = Quantity::Seconds(median(&mut times));
        table.add(Row::new(format!("{what}, exec to ready, median"), time).target(target));
        let time = Quantity::Seconds(quantile(&mut times, 1.0));
        table.add(Row::new(format!("{what}, exec to ready, worst"), time).target(target));
    }
    let mut missed = deaths(&lan)?;
    let target = Target::AtMost(Quantity::Seconds(10.0));
    let worst = Quantity::Seconds(quantile(&mut missed, 1.0));
    table.add(
        Row::new(
            "a peer falls silent in a conversation, until told, worst",
            worst,
        )
        .target(target),
    );
    Ok(table)
}

/// Seconds from the moment on which nothing comes any more to the event that says so.
fn deaths(lan: &Lan) -> anyhow::Result<Vec<f64>> {
    let [ann, ben] = [Host::start(lan, 0, "Ann"), Host::start(lan, 1, "Ben")];
    ann.befriend(&ben);
    let mut times = Vec::new();
    for n in 0..DEATHS {
        ann.until_peer(ben.id(), "live", PATIENCE);
        let mut tail = ann.tail();
        ann.tell(ben.id(), &format!("are you there? {n}"));
        lan.mute(1);
        let start = Instant::now();
        let gone = |event: &serde_json::Value| {
            event["kind"] == "peer"
                && event["peer"]["id"] == ben.id()
                && event["peer"]["state"] != "live"
        };
        tail.wait_for(gone, PATIENCE);
        times.push(start.elapsed().as_secs_f64());
        lan.unmute(1);
    }
    Ok(times)
}

/// The program: `HALLWAY_BIN`, or what was built beside this one.
fn program() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("HALLWAY_BIN") {
        return Ok(path.into());
    }
    Ok(std::env::current_exe()?.with_file_name("hallway"))
}
