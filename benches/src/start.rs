//! From the start of the second host to the first message, with the real program.

use crate::stats::quantile;
use crate::table::{Quantity, Row, Table, Target};
use anyhow::{Context, bail};
use hallway_api::Client;
use hallway_model::{Delivery, EventKind, PeerId, PeerView, Presence};
use hallway_node::home::Home;
use hallway_tests::host::Host;
use hallway_tests::lab::Lan;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Starts of two people who know each other, each first as often as the other.
const STARTS: u32 = 50;
/// Starts of two people who never met.
const MEETINGS: u32 = 20;
/// The first has been there for up to so long; the starts differ in it.
const HEAD_START_MAX: Duration = Duration::from_secs(3);
/// Far more than anything here takes, so that only what hangs is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a node tells of another.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It is on the network.
    Seen,
    /// There is a session with it.
    Connected,
    /// A message reached it.
    Delivered,
}

/// Seconds between moments of all starts.
#[derive(Default)]
struct Times {
    ready: Vec<f64>,
    seen: Vec<f64>,
    connected: Vec<f64>,
    delivered: Vec<f64>,
    stranger_sees: Vec<f64>,
    stranger_is_seen: Vec<f64>,
}

/// One start of the second host.
struct Start {
    exec: Instant,
    ready: Instant,
    /// What the second one told of the first.
    ours: Vec<Instant>,
    /// What the first one told of the second.
    theirs: Vec<Instant>,
}

pub(crate) fn measure() -> anyhow::Result<Table> {
    use Moment::{Connected, Delivered, Seen};
    let lan = Lan::of(2);
    let mut times = Times::default();
    let hosts = [Host::start(&lan, 0, "Ann"), Host::start(&lan, 1, "Ben")];
    stop(&hosts);
    for n in 0..MEETINGS {
        let (first, second) = in_turn(&hosts, n);
        first.up();
        thread::sleep(HEAD_START_MAX * n / MEETINGS);
        let start = start(first, second, &[Seen])?;
        times.stranger_sees.push(latest(start.ready, &start.ours));
        times
            .stranger_is_seen
            .push(latest(start.ready, &start.theirs));
        stop(&hosts);
    }
    hosts.iter().for_each(Host::up);
    hosts[0].befriend(&hosts[1]);
    stop(&hosts);
    for n in 0..STARTS {
        let (first, second) = in_turn(&hosts, n);
        first.up();
        first.queue(second.id(), "welcome back");
        thread::sleep(HEAD_START_MAX * n / STARTS);
        let start = start(first, second, &[Seen, Connected, Delivered])?;
        times.ready.push(latest(start.exec, &[start.ready]));
        let both = |moment: usize| latest(start.ready, &[start.ours[moment], start.theirs[moment]]);
        times.seen.push(both(0));
        times.connected.push(both(1));
        times.delivered.push(latest(start.exec, &[start.theirs[2]]));
        stop(&hosts);
    }
    Ok(times.table())
}

fn in_turn(hosts: &[Host; 2], n: u32) -> (&Host, &Host) {
    let [ann, ben] = hosts;
    if n.is_multiple_of(2) {
        (ann, ben)
    } else {
        (ben, ann)
    }
}

fn stop(hosts: &[Host]) {
    for host in hosts {
        host.stop();
    }
}

/// Starts the second one and waits for these moments, messages only of the first one.
fn start(first: &Host, second: &Host, moments: &[Moment]) -> anyhow::Result<Start> {
    let (subscribed, is_subscribed) = mpsc::channel();
    thread::scope(|scope| {
        // Whoever waits for it is there until this ends.
        let subscribed = move || subscribed.send(()).unwrap_or_default();
        let theirs = scope.spawn(|| follow(first, second.id(), moments, subscribed));
        is_subscribed.recv_timeout(PATIENCE)?;
        let exec = Instant::now();
        second.up();
        let ready = Instant::now();
        let ours = follow(second, first.id(), &moments[..moments.len().min(2)], || {})?;
        let theirs = theirs
            .join()
            .map_err(|_| anyhow::anyhow!("following panicked"))??;
        Ok(Start {
            exec,
            ready,
            ours,
            theirs,
        })
    })
}

/// Seconds to the last of these; 0 when all were before.
fn latest(from: Instant, moments: &[Instant]) -> f64 {
    let times = moments.iter().map(|at| at.saturating_duration_since(from));
    times.max().unwrap_or_default().as_secs_f64()
}

/// Follows what the node of a host tells of somebody until all these moments have come.
fn follow(
    host: &Host,
    who: &str,
    moments: &[Moment],
    subscribed: impl FnOnce(),
) -> anyhow::Result<Vec<Instant>> {
    let who: PeerId = who.parse()?;
    let client = Client::new(Home::locate(Some(&host.home()))?.socket()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut come = vec![None; moments.len()];
    let following = async {
        let mut events = client.events(None).await?;
        subscribed();
        let peers = client.peers().await?;
        if let Some(peer) = peers.into_iter().find(|peer| peer.id == who) {
            note(
                &EventKind::Peer {
                    peer: Box::new(peer),
                },
                who,
                moments,
                &mut come,
            );
        }
        while come.contains(&None) {
            let event = events.next().await.context("the node has stopped")??;
            note(&event.kind, who, moments, &mut come);
        }
        anyhow::Ok(())
    };
    let followed = runtime.block_on(async { timeout(PATIENCE, following).await });
    let Ok(followed) = followed else {
        bail!("of {moments:?} came only {come:?}")
    };
    followed?;
    Ok(come.into_iter().flatten().collect())
}

/// Notes the time for each moment that this event is the first of.
fn note(event: &EventKind, who: PeerId, moments: &[Moment], come: &mut [Option<Instant>]) {
    let now = Instant::now();
    for (moment, slot) in moments.iter().zip(come) {
        if is(event, who, *moment) {
            slot.get_or_insert(now);
        }
    }
}

fn is(event: &EventKind, who: PeerId, moment: Moment) -> bool {
    let state = |peer: &PeerView| (peer.id == who).then_some(peer.state);
    if let EventKind::Peer { peer } = event {
        match moment {
            Moment::Seen => state(peer).is_some_and(|state| state != Presence::Offline),
            Moment::Connected => state(peer) == Some(Presence::Live),
            Moment::Delivered => false,
        }
    } else if let EventKind::State {
        peer,
        state: Delivery::Delivered,
        ..
    } = event
    {
        *peer == who && matches!(moment, Moment::Delivered)
    } else {
        false
    }
}

impl Times {
    fn table(mut self) -> Table {
        let mut table = Table::default();
        let mut add =
            |what: &str, times: &mut [f64], median_max: Option<f64>, worst: Option<f64>| {
                for (share, name, most) in [(0.5, "median", median_max), (1.0, "worst", worst)] {
                    let value = Quantity::Seconds(quantile(times, share));
                    let row = Row::new(format!("{what}, {name}"), value);
                    table.add(match most {
                        Some(most) => row.target(Target::AtMost(Quantity::Seconds(most))),
                        None => row,
                    });
                }
            };
        add("exec to ready", &mut self.ready, None, None);
        add(
            "contacts: ready to both see each other",
            &mut self.seen,
            None,
            None,
        );
        let connected = &mut self.connected;
        add(
            "contacts: ready to both connected",
            connected,
            Some(0.015),
            Some(0.100),
        );
        let delivered = &mut self.delivered;
        add(
            "contacts: exec to first message delivered",
            delivered,
            None,
            Some(0.300),
        );
        let (sees, seen) = (&mut self.stranger_sees, &mut self.stranger_is_seen);
        add("strangers: ready to seeing the first", sees, None, None);
        add("strangers: ready to being seen by it", seen, None, None);
        table.note(format!(
            "{STARTS} starts of the second of two contacts, {MEETINGS} of two strangers; either is \
             first in turn, up to {HEAD_START_MAX:?} before. `exec` includes setpriv and prlimit, \
             through which the lab starts programs. The message waited in the first one's outbox. \
             Times are those at which the API told it."
        ));
        table
    }
}
