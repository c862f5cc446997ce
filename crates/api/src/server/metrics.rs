//! Figures for Prometheus, in its text format 0.0.4. Every label has few values that no peer
//! chooses.

use super::{Result, ask, off_the_reactor, this_node, unexpected, unreadable};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hallway_model::{Answer, CallView, Command, PeerView, StatusView, TransferView};
use hallway_node::Handle;
use hallway_node::home::Home;
use serde::Serialize;
use std::collections::BTreeMap;

/// The media type of the format.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters that have a name of their own here: how they begin, and what is told of the rest.
const COUNTERS: [(&str, &str, &str, &str); 3] = [
    (
        "messages_",
        "hallway_messages_total",
        "direction",
        "Messages stored.",
    ),
    (
        "file_bytes_",
        "hallway_transfer_bytes_total",
        "direction",
        "Bytes of files that have moved.",
    ),
    (
        "voice_packets_",
        "hallway_voice_packets_total",
        "fate",
        "Packets of sound.",
    ),
];

/// All that is told.
pub(super) struct Figures {
    status: Box<StatusView>,
    peers: Vec<PeerView>,
    transfers: Vec<TransferView>,
    calls: Vec<CallView>,
    queued: u64,
    unread: u64,
    /// Files of the store, and their bytes.
    store: Vec<(&'static str, u64)>,
}

pub(super) async fn metrics(home: &Home, State(node): State<Handle>) -> Result<Response> {
    let figures = gather(home, &node).await?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], page(&figures)).into_response())
}

async fn gather(home: &Home, node: &Handle) -> Result<Figures> {
    let status = this_node(node).await?;
    let Answer::Peers(peers) = ask(node, Command::Peers).await? else {
        return Err(unexpected());
    };
    let Answer::Transfers(transfers) = ask(node, Command::Transfers).await? else {
        return Err(unexpected());
    };
    let Answer::Calls(calls) = ask(node, Command::Calls).await? else {
        return Err(unexpected());
    };
    // What is read from disk is then no older than what was told.
    ask(node, Command::Flush).await?;
    let (node, database) = (node.clone(), home.database());
    off_the_reactor(move || {
        let queued = node.reader().queued().map_err(unreadable)?;
        let summaries = node.reader().summaries().map_err(unreadable)?;
        let bytes = |suffix: &str| {
            let mut path = database.clone().into_os_string();
            path.push(suffix);
            // What is not there takes no room.
            std::fs::metadata(path).map_or(0, |found| found.len())
        };
        let store = [("database", ""), ("log", "-wal"), ("backup", ".backup")];
        Ok(Figures {
            status,
            peers,
            transfers,
            calls,
            queued,
            unread: summaries.iter().map(|summary| summary.unread).sum(),
            store: store.map(|(file, suffix)| (file, bytes(suffix))).into(),
        })
    })
    .await
}

fn page(figures: &Figures) -> String {
    let Figures { status, peers, .. } = figures;
    let mut page = Page(String::new());
    let version = [("version", status.version.clone())];
    page.gauge("hallway_info", "The program.", [(version.into(), 1)]);
    let mut one = |name, help, value| page.gauge(name, help, [(Vec::new(), value)]);
    one(
        "hallway_uptime_seconds",
        "Since the node started.",
        status.uptime_ms / 1000,
    );
    one(
        "hallway_sessions",
        "Sessions open now.",
        number(status.sessions),
    );
    let requests = peers.iter().filter(|peer| peer.request).count();
    one(
        "hallway_requests",
        "Strangers who wait for a decision.",
        number(requests),
    );
    one(
        "hallway_messages_queued",
        "Messages of ours not delivered yet.",
        figures.queued,
    );
    one(
        "hallway_messages_unread",
        "Messages of others not read yet.",
        figures.unread,
    );
    let labels = peers.iter().map(|peer| {
        let relation = match (peer.blocked, peer.contact) {
            (true, _) => "blocked",
            (false, true) => "contact",
            (false, false) => "stranger",
        };
        vec![
            ("relation", relation.to_owned()),
            ("state", word(&peer.state)),
        ]
    });
    page.gauge("hallway_peers", "Everybody known or near.", counted(labels));
    let labels = figures.transfers.iter().map(|transfer| {
        let direction = if transfer.incoming {
            "received"
        } else {
            "sent"
        };
        vec![
            ("direction", direction.to_owned()),
            ("state", word(&transfer.state)),
        ]
    });
    page.gauge("hallway_transfers", "Transfers of files.", counted(labels));
    let labels = figures.calls.iter();
    let labels = labels.map(|call| {
        vec![
            ("direction", word(&call.direction)),
            ("state", word(&call.state)),
        ]
    });
    page.gauge("hallway_calls", "Calls that are not over.", counted(labels));
    let store = figures.store.iter();
    let store = store.map(|(file, bytes)| (vec![("file", (*file).to_owned())], *bytes));
    page.gauge("hallway_store_bytes", "The database on disk.", store);
    let events = [(Vec::new(), status.event)];
    page.family(
        "hallway_changes_total",
        "counter",
        "Changes to messages, ever.",
        events,
    );
    counters(&mut page, status);
    page.0
}

/// What the node has counted: some under names of their own, the rest as faults.
fn counters(page: &mut Page, status: &StatusView) {
    let value = |prefix: &str, name: &str| name.strip_prefix(prefix).map(str::to_owned);
    for (prefix, name, label, help) in COUNTERS {
        let samples = status.counters.iter().filter_map(|counter| {
            let value = value(prefix, &counter.name)?;
            Some((vec![(label, value)], counter.count))
        });
        page.family(name, "counter", help, samples);
    }
    let faults = status.counters.iter().filter(|counter| {
        let known = COUNTERS
            .iter()
            .any(|(prefix, ..)| counter.name.starts_with(prefix));
        !known && counter.name != "connections"
    });
    let faults = faults.map(|fault| (vec![("reason", fault.name.clone())], fault.count));
    let help = "What went wrong with peers or this machine.";
    page.family("hallway_faults_total", "counter", help, faults);
}

type Labels = Vec<(&'static str, String)>;

/// How often each set of labels is there.
fn counted(all: impl Iterator<Item = Labels>) -> BTreeMap<Labels, u64> {
    let mut counted = BTreeMap::new();
    for labels in all {
        *counted.entry(labels).or_default() += 1;
    }
    counted
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A state as the JSON of the API has it.
fn word(state: &impl Serialize) -> String {
    let value = serde_json::to_value(state).unwrap_or_default();
    value.as_str().unwrap_or("other").to_owned()
}

/// What is told so far.
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, u64)>) {
        self.family(name, "gauge", help, samples);
    }

    fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
            self.0 += &match labels.is_empty() {
                true => format!("{name} {value}\n"),
                false => format!("{name}{{{}}} {value}\n", labels.join(",")),
            };
        }
    }
}
