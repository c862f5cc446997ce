//! Messages between two nodes on a veth link: how long one takes, and how many a second.

use crate::baseline::{Blocking, Sizes, Tokio, noise_stream, scratch};
use crate::handshake::{connect, local_keys};
use crate::pair::{Near, PATIENCE, next_delivered, with_pair};
use crate::place::{Link, Place};
use crate::stats::{median, quantile, seconds};
use crate::table::{Quantity, Row, Table, Target};
use futures_util::{StreamExt, TryStreamExt, stream};
use hallway_model::{Body, ConversationId, Delivery, Message, MessageId, PeerId, WallTime};
use hallway_proto::frame::{Envelope, Frame};
use hallway_proto::handshake::{Suite, Transport};
use hallway_tests::lab::Lan;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Bytes of text whose round trip is measured, as the peers' figures have it.
const SHORT_BYTES: usize = 64;
/// Bytes of text that are sent as fast as possible.
const TEXT_BYTES: usize = 100;
/// Where round trips are measured. Two hosts have no core in common; with one, there is nothing
/// but work to compare.
const PLACES: [(Place, &str); 2] = [(Place::Apart, "a core each"), (Place::Together, "one core")];
/// Rounds in which everything is measured in turn, so that whatever else the machine does meets
/// all alike.
const ROUNDS: usize = 15;
/// Round trips of each kind in a round: enough for a 99th percentile.
const ROUND_TRIPS: usize = 1000;
/// The same where each waits for a disk.
const DURABLE_ROUND_TRIPS: usize = 100;
/// Messages in a round of sending as fast as possible.
const BURST: usize = 50_000;
/// The same where each waits for a disk.
const DURABLE_BURST: usize = 20_000;
/// Rounds of it.
const BURST_ROUNDS: usize = 5;
/// Messages of the Noise stream in a round.
const STREAMED: u32 = 1_000_000;
/// Messages on their way at the same time. It is less than the window of a session, beyond which
/// a node reads its outbox from disk: one that keeps nothing there would lose them.
const UNDELIVERED: usize = 1000;

pub(crate) fn measure() -> anyhow::Result<Table> {
    let lan = Lan::of(2);
    let folder = scratch()?;
    let mut table = Table::default();
    for (place, name) in PLACES {
        let link = Link { lan: &lan, place };
        with_pair(&link, &folder.path().join(name), false, async |near| {
            volatile_round_trips(&link, &near, name, &mut table).await
        })?;
    }
    let link = Link {
        lan: &lan,
        place: Place::Anywhere,
    };
    with_pair(
        &link,
        &folder.path().join("volatile"),
        false,
        async |near| volatile_rate(&link, &near, &mut table).await,
    )?;
    with_pair(&link, &folder.path().join("durable"), true, async |near| {
        durable_round_trips(&link, &near, folder.path(), &mut table).await?;
        durable_rate(&near, &mut table).await
    })?;
    table.note(format!(
        "Round trips: a text of {SHORT_BYTES} bytes, from the command to the event `delivered`, \
         both seen in the sender's process; TCP carries as many bytes there and back. Blocking: \
         std sockets, a thread at each end; tokio: a runtime at each end, as in a node."
    ));
    table.note(format!(
        "Rates: texts of {TEXT_BYTES} bytes, {UNDELIVERED} on their way at a time, until the last is \
         `delivered`. Each ratio is the median of ratios measured in turn."
    ));
    Ok(table)
}

async fn volatile_round_trips(
    link: &Link<'_>,
    near: &Near,
    place: &str,
    table: &mut Table,
) -> anyhow::Result<()> {
    let sizes = wire_sizes(SHORT_BYTES);
    let mut blocking = Blocking::connect(link, sizes, None)?;
    let mut tokio = Tokio::connect(link, sizes).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..ROUND_TRIPS {
            times[1].push(blocking.round_trip()?);
        }
        for _ in 0..ROUND_TRIPS {
            times[2].push(tokio.round_trip().await?);
        }
        times[0] = round_trips(near, ROUND_TRIPS).await?;
        rounds.push(times.map(|times| seconds(&times)));
    }
    let beside = [(1, "TCP ping-pong, blocking"), (2, "TCP ping-pong, tokio")];
    for (share, percentile, most) in [(0.5, "p50", 1.3), (0.99, "p99", 1.5)] {
        for (other, name) in beside {
            let what = format!("round trip without disk, {place}, {percentile}");
            let row = compare(what, share, &mut rounds, (other, name));
            table.add(row.target(Target::RatioAtMost(most)));
        }
    }
    Ok(())
}

async fn durable_round_trips(
    link: &Link<'_>,
    near: &Near,
    logs: &Path,
    table: &mut Table,
) -> anyhow::Result<()> {
    let mut blocking = Blocking::connect(link, wire_sizes(SHORT_BYTES), Some(logs))?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut times = [const { Vec::new() }; 2];
        for _ in 0..DURABLE_ROUND_TRIPS {
            times[1].push(blocking.round_trip()?);
        }
        times[0] = round_trips(near, DURABLE_ROUND_TRIPS).await?;
        rounds.push(times.map(|times| seconds(&times)));
    }
    for (share, percentile) in [(0.5, "p50"), (0.99, "p99")] {
        let what = format!("round trip, durable, {percentile}");
        table.add(compare(
            what,
            share,
            &mut rounds,
            (1, "TCP ping-pong with an fdatasync each side"),
        ));
    }
    Ok(())
}

/// A row about the first kind of times beside another kind.
fn compare<const N: usize>(
    what: String,
    share: f64,
    rounds: &mut [[Vec<f64>; N]],
    (other, name): (usize, &str),
) -> Row {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in rounds {
        let (our, their) = (
            quantile(&mut round[0], share),
            quantile(&mut round[other], share),
        );
        ours.push(our);
        theirs.push(their);
        ratios.push(our / their);
    }
    Row::new(what, Quantity::Seconds(median(&mut ours)))
        .beside(name, Quantity::Seconds(median(&mut theirs)))
        .ratio(median(&mut ratios))
}

async fn round_trips(near: &Near, count: usize) -> anyhow::Result<Vec<Duration>> {
    let text = "x".repeat(SHORT_BYTES);
    let mut events = near.handle.events();
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        let id = near.send(&text).await?.to_string();
        while next_delivered(&mut events).await? != id {}
        times.push(start.elapsed());
    }
    Ok(times)
}

async fn volatile_rate(link: &Link<'_>, near: &Near, table: &mut Table) -> anyhow::Result<()> {
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BURST_ROUNDS {
        let took = noise_stream(link, transports()?, STREAMED.into(), TEXT_BYTES)?;
        let stream = f64::from(STREAMED) / took.as_secs_f64();
        let messages = rate(near, BURST).await?;
        ours.push(messages);
        bare.push(stream);
        ratios.push(messages / stream);
    }
    let row = Row::new(
        "messages without disk",
        Quantity::PerSecond(median(&mut ours)),
    )
    .beside(
        "Noise stream, writes of 64 KiB",
        Quantity::PerSecond(median(&mut bare)),
    )
    .ratio(median(&mut ratios));
    table.add(row.target(Target::RatioAtLeast(0.5)));
    Ok(())
}

async fn durable_rate(near: &Near, table: &mut Table) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    for _ in 0..BURST_ROUNDS {
        rates.push(rate(near, DURABLE_BURST).await?);
    }
    let row = Row::new("messages, durable", Quantity::PerSecond(median(&mut rates)));
    table.add(row.target(Target::AtLeast(Quantity::PerSecond(20_000.0))));
    Ok(())
}

/// Messages a second.
async fn rate(near: &Near, count: usize) -> anyhow::Result<f64> {
    let text = "x".repeat(TEXT_BYTES);
    let mut events = near.handle.events();
    let room = Semaphore::new(UNDELIVERED);
    let start = Instant::now();
    let sending = stream::iter(0..count)
        .then(|_| room.acquire())
        .map(async |permit| {
            permit?.forget();
            near.send(&text).await
        })
        .buffered(UNDELIVERED)
        .try_for_each(async |_| Ok(()));
    let delivering = async {
        for _ in 0..count {
            next_delivered(&mut events).await?;
            room.add_permits(1);
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, async { tokio::try_join!(sending, delivering) }).await??;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Both ends of a Noise session in the suite that nodes with hardware AES choose.
fn transports() -> anyhow::Result<(Transport, Transport)> {
    let (near, far) = connect(
        &local_keys("Ann", 1)?,
        &local_keys("Ben", 2)?,
        Suite::AesGcm,
    )?;
    Ok((near.transport, far.transport))
}

/// What a text and its acknowledgement take on the wire.
fn wire_sizes(text_bytes: usize) -> Sizes {
    let (peer, id) = (PeerId([1; 32]), MessageId([2; 16]));
    let message = Message {
        id,
        conversation: ConversationId::Peer(peer),
        author: peer,
        seq: 1000,
        at: WallTime(1_800_000_000_000),
        body: Body::Text {
            text: "x".repeat(text_bytes),
            reply_to: None,
        },
        raw: None,
        delivery: Delivery::Queued,
    };
    let record = |frame: Frame| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // The length of the record and its tag.
        bytes.len() + 2 + 16
    };
    Sizes {
        request: record(Frame::Message(Envelope::of(&message))),
        reply: record(Frame::Ack(vec![id])),
    }
}
