//! Calls on good and on bad lines: from mouth to ear, how good it sounds, processor time.

use crate::table::{Quantity, Row, Table, Target};
use anyhow::Context;
use hallway_tests::audio::{Call, Rooms, Score, Voice, score, speech, talk};
use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::lab::{Bursts, Flood, Jitter, Lan, Line, Rate, Stalls};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Which frames are lost and how late they are is the same in every run.
const SEED: u64 = 1;
/// A call may take so much of one processor core.
const CPU_TARGET: f64 = 0.08;
/// Packets a second of a flood, where the machine is fast enough to make it beside the call.
const FLOOD_RATE: u64 = 100_000;
const RUNS: &str = "Each row is a call of its own over that line, from the command line, in which one side says \
     the same half minute. Mouth to ear is the middle of all seconds, PESQ (wideband) the mean of \
     samples of 8 s.";

/// A line, and what a call on it is held against.
struct Case {
    name: &'static str,
    line: Line,
    ms_max: Option<u64>,
    pesq_min: f64,
    way: Way,
}

/// What else there is to it.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    /// A third host floods the one that listens.
    Flooded,
    /// For music and the least delay, as set by the configuration of both.
    Studio,
}

fn cases() -> Vec<Case> {
    let ms = Duration::from_millis;
    let plain = Line::default();
    let loss = |loss| Line { loss, ..plain };
    let jitter = Line {
        jitter: Jitter::UpTo(ms(30)),
        ..plain
    };
    let stalls = Stalls {
        every: ms(2000),
        lasting: ms(80),
    };
    let bursts = Bursts {
        share: 0.05,
        length: 4.0,
    };
    let rate = Rate {
        bytes_per_second: 8000.0,
        queue_bytes: 4000.0,
    };
    let case = |name, line, ms_max, pesq_min| Case {
        name,
        line,
        ms_max,
        pesq_min,
        way: Way::Plain,
    };
    vec![
        case("clean", plain, Some(40), 4.4),
        case("5 % loss", loss(0.05), Some(55), 4.3),
        case("20 % loss", loss(0.2), Some(70), 4.2),
        case("30 ms jitter", jitter, Some(75), 4.2),
        case(
            "30 ms jitter and 20 % loss",
            Line {
                loss: 0.2,
                ..jitter
            },
            Some(95),
            4.2,
        ),
        case(
            "80 ms spikes",
            Line {
                stalls: Some(stalls),
                ..plain
            },
            Some(90),
            4.0,
        ),
        case(
            "5 % loss in bursts of 4",
            Line {
                bursts: Some(bursts),
                ..plain
            },
            Some(70),
            3.8,
        ),
        case(
            "64 kbit/s",
            Line {
                rate: Some(rate),
                ..plain
            },
            None,
            3.0,
        ),
        Case {
            way: Way::Flooded,
            ..case("100,000 forged packets a second", plain, Some(40), 4.4)
        },
        // Once they are in the studio, they stay there: this is the last.
        Case {
            way: Way::Studio,
            ..case("clean, studio", plain, Some(25), 4.35)
        },
    ]
}

/// What one call came to.
struct Measured {
    score: Score,
    /// Share of one core that each node took.
    cpu: [f64; 2],
    /// By how much the wire itself was late, for 99 % of the frames.
    wire_late: Duration,
    /// Forged packets a second.
    flood: Option<f64>,
}

pub(crate) fn measure() -> anyhow::Result<Table> {
    let (lan, rooms) = (Lan::of(3), Rooms::of(2));
    let hosts = [("Ann", 0), ("Ben", 1)]
        .map(|(name, host)| rooms.furnish(Plan::new(name), host).start(&lan, host));
    hosts[0].befriend(&hosts[1]);
    let text = speech(Voice::High);
    let mut table = Table::default();
    let mut wire_late = Duration::ZERO;
    for case in cases() {
        if case.way == Way::Studio {
            enter_studio(&hosts);
        }
        let measured = one(&lan, &rooms, &hosts, &case, &text).context(case.name)?;
        eprintln!("{}: {}", case.name, in_short(&measured));
        let latency = Quantity::Seconds(measured.score.latency.as_secs_f64());
        let row = Row::new(format!("{}: mouth to ear", case.name), latency);
        table.add(match case.ms_max {
            Some(ms) => row.target(Target::AtMost(Quantity::Seconds(ms as f64 / 1000.0))),
            None => row,
        });
        let pesq = Quantity::Number(measured.score.pesq);
        let row = Row::new(format!("{}: PESQ", case.name), pesq);
        table.add(row.target(Target::AtLeast(Quantity::Number(case.pesq_min))));
        if case.line == Line::default() && case.way == Way::Plain {
            let most = measured.cpu[0].max(measured.cpu[1]);
            let row = Row::new("of one core, the busier side", Quantity::Number(most));
            table.add(row.target(Target::AtMost(Quantity::Number(CPU_TARGET))));
        }
        wire_late = wire_late.max(measured.wire_late);
        if let Some(rate) = measured.flood {
            table.note(format!(
                "The machine made {rate:.0} forged packets a second."
            ));
        }
    }
    table.note(RUNS);
    table.note(format!(
        "The wire itself was at most {wire_late:.1?} late for 99 % of the frames."
    ));
    Ok(table)
}

/// Both start again with frames of 5 ms.
fn enter_studio(hosts: &[Host; 2]) {
    for host in hosts {
        let written = fs::write(host.home().join("config.toml"), "studio = true\n");
        written.expect("the data directory can be written");
        host.restart();
    }
    for (host, other) in [(&hosts[0], &hosts[1]), (&hosts[1], &hosts[0])] {
        host.until_peer(other.id(), "live", PATIENCE);
    }
}

fn one(
    lan: &Lan,
    rooms: &Rooms,
    hosts: &[Host; 2],
    case: &Case,
    text: &[f32],
) -> anyhow::Result<Measured> {
    let wire = lan.wire(0, case.line, SEED);
    let call = Call::connect(&hosts[0], &hosts[1]);
    let flood = (case.way == Way::Flooded).then(|| {
        let at = SocketAddr::new(lan.ipv4(1), hosts[1].port());
        Flood::start(lan, 2, at, FLOOD_RATE)
    });
    let (start, before) = (Instant::now(), hosts.each_ref().map(Host::cpu_ms));
    let recording = talk(rooms, 0, text, Duration::from_millis(500));
    let (passed, after) = (start.elapsed(), hosts.each_ref().map(Host::cpu_ms));
    let tallies = wire.tally();
    drop(wire);
    let flood = flood.map(|flood| flood.rate());
    call.hang_up();
    let cpu =
        [0, 1].map(|host| (after[host] - before[host]) as f64 / 1000.0 / passed.as_secs_f64());
    Ok(Measured {
        score: score(recording.said(0), recording.heard(1))?,
        cpu,
        wire_late: tallies[0].late(0.99),
        flood,
    })
}

/// For those who watch: the table comes only at the end, and says less.
fn in_short(measured: &Measured) -> String {
    let Measured {
        score,
        cpu,
        wire_late,
        flood: _,
    } = measured;
    let lags = score.lags.iter().map(|lag| lag.latency.as_millis());
    let lags: Vec<String> = lags.map(|ms| ms.to_string()).collect();
    format!(
        "{:.1?}, PESQ {:.2}, CPU {:.1} and {:.1} %, wire {wire_late:.1?} late, ms by the second {}",
        score.latency,
        score.pesq,
        cpu[0] * 100.0,
        cpu[1] * 100.0,
        lags.join(" ")
    )
}
