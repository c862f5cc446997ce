//! The one loop that joins the pure engine to sockets, disk, discovery and faces.

use crate::arithmetic::{ConnectError, Handshaker};
use crate::audio::Devices;
use crate::calls::{Calls, Report, Ringer};
use crate::clock::Clock;
use crate::config::{Address, parse_address};
use crate::connection::Connection;
use crate::dial::{self, Reached};
use crate::discovery::{Discovery, Found};
use crate::disk::Disk;
use crate::files::Files;
use crate::handle::Request;
use crate::links::{self, Links};
use crate::listener::{Incoming, counter};
use crate::node::keep_reachable;
use crate::publisher::News;
use hallway_model::{Answer, Command, CounterView, EventKind, PORT_DEFAULT, Refusal, Setting};
use hallway_proto::Engine;
use hallway_proto::handshake::{Purpose, Suite};
use hallway_proto::io::{CommandId, ConnId, DialId, Input, Output, Sighting, StaticId, StoreToken};
use hallway_store::{Completion, Reader};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep_until;

/// Inputs handled before their outputs are carried out: one acknowledgement, one write to a
/// socket and one request to the disk then serve them all.
const BURST: usize = 512;
/// How long the last words may take when the node stops.
const FAREWELL: Duration = Duration::from_millis(500);
/// An address nobody asked to be woken for.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Everything the loop listens to.
pub(crate) struct Sources {
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    pub(crate) dialled: mpsc::UnboundedReceiver<(DialId, Result<Reached, ConnectError>)>,
    pub(crate) loaded: mpsc::UnboundedReceiver<Input>,
    pub(crate) stored: mpsc::UnboundedReceiver<Completion>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    pub(crate) discovery: Option<Discovery>,
    pub(crate) links: Links,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Everything the loop acts on.
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) handshaker: Handshaker,
    pub(crate) port: u16,
    /// Where others reach us, by interface.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) version: &'static str,
    /// Addresses that were chosen while it runs or before, and what looks for each.
    pub(crate) chosen: HashMap<String, (StaticId, JoinHandle<()>)>,
    pub(crate) reader: Reader,
    pub(crate) disk: Disk,
    pub(crate) files: Files,
    pub(crate) news: mpsc::UnboundedSender<News>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) dialled: mpsc::UnboundedSender<(DialId, Result<Reached, ConnectError>)>,
    pub(crate) loaded: mpsc::UnboundedSender<Input>,
    pub(crate) connections: HashMap<ConnId, Connection>,
    pub(crate) dials: HashMap<DialId, AbortHandle>,
    pub(crate) answers: HashMap<CommandId, oneshot::Sender<Result<Answer, Refusal>>>,
    pub(crate) calls: Calls,
    pub(crate) devices: Devices,
    pub(crate) ringer: Ringer,
    pub(crate) last_id: u64,
    pub(crate) trouble: BTreeMap<&'static str, String>,
}

impl Driver {
    /// Runs until asked to stop, then says goodbye.
    pub(crate) async fn run(mut self, mut sources: Sources) -> Disk {
        let wake = sleep_until(self.clock.at(self.clock.mono()));
        tokio::pin!(wake);
        self.handle_links(&sources.links);
        loop {
            self.carry_out(&mut sources.discovery);
            let due = self
                .engine
                .poll_timeout()
                .unwrap_or(self.clock.mono() + FAR);
            if wake.deadline() != self.clock.at(due) {
                wake.as_mut().reset(self.clock.at(due));
            }
            let disk_free = self.disk.has_room();
            tokio::select! {
                Some(completion) = sources.stored.recv() => self.handle_stored(completion),
                Some(input) = sources.inputs.recv(), if disk_free => self.handle(input),
                Some(request) = sources.requests.recv() => self.handle_request(request),
                Some(report) = sources.reports.recv() => self.handle_report(report),
                () = self.devices.changed() => self.calls.devices_chosen(),
                Some(incoming) = sources.incoming.recv() => self.handle_incoming(incoming),
                Some((dial, outcome)) = sources.dialled.recv() => self.handle_dialled(dial, outcome),
                Some(input) = sources.loaded.recv() => self.handle(input),
                Some(found) = next_found(&mut sources.discovery) => {
                    self.handle_found(found, sources.links.snapshot());
                }
                () = changed(&mut sources.links) => {
                    if let Some(discovery) = &mut sources.discovery {
                        discovery.links_changed(sources.links.snapshot());
                    }
                    self.handle_links(&sources.links);
                }
                () = &mut wake => self.handle(Input::Timeout),
                () = stopping(&mut sources.stop) => break,
            }
            self.drain_ready(&mut sources);
        }
        self.say_goodbye(sources).await
    }

    /// Takes what is ready without waiting, so that one round of outputs serves a burst.
    fn drain_ready(&mut self, sources: &mut Sources) {
        for _ in 0..BURST {
            if let Ok(completion) = sources.stored.try_recv() {
                self.handle_stored(completion);
            } else if let Ok(request) = sources.requests.try_recv() {
                self.handle_request(request);
            } else if self.disk.has_room()
                && let Ok(input) = sources.inputs.try_recv()
            {
                self.handle(input);
            } else {
                break;
            }
        }
    }

    fn handle(&mut self, input: Input) {
        if let Input::Closed(conn) = &input {
            tracing::debug!(?conn, "closed by the other end");
            self.connections.remove(conn);
        } else if let Input::Received(conn, bytes) = &input {
            tracing::trace!(?conn, bytes = bytes.len(), "received");
        }
        self.engine.handle(input, self.clock.now());
    }

    fn handle_request(&mut self, request: Request) {
        let chooses = matches!(&request.command, Command::Set(Setting::StaticPeers(_)));
        let command = CommandId(self.next_id());
        self.answers.insert(command, request.answer);
        self.handle(Input::Command(command, request.command));
        if chooses {
            self.keep_chosen();
        }
    }

    /// Keeps an address reachable, from when it is known.
    pub(crate) fn keep_reachable(&mut self, address: Address) -> (StaticId, JoinHandle<()>) {
        let id = StaticId(self.next_id());
        let looking = keep_reachable(id, address, self.loaded.clone());
        (id, tokio::spawn(looking))
    }

    /// Keeps reachable what is chosen now, and no longer what was chosen before.
    pub(crate) fn keep_chosen(&mut self) {
        let chosen = self.engine.static_peers().to_vec();
        for (_, (id, looking)) in self.chosen.extract_if(|text, _| !chosen.contains(text)) {
            looking.abort();
            let loaded = self.loaded.clone();
            tokio::spawn(async move {
                // Whatever it has found is handed in by then. A driver that is gone keeps nothing.
                let _ = looking.await;
                let _ = loaded.send(Input::Unstatic(id));
            });
        }
        for text in chosen {
            // What is no address was refused before it came here.
            if !self.chosen.contains_key(&text)
                && let Ok(address) = parse_address(&text, PORT_DEFAULT)
            {
                let kept = self.keep_reachable(address);
                self.chosen.insert(text, kept);
            }
        }
    }

    /// The voice thread tells something.
    fn handle_report(&mut self, report: Report) {
        match report {
            Report::Input(input) => self.handle(input),
            Report::Event(kind) => self.tell(News::Event(kind)),
            Report::Packets(packets) => {
                for (name, number) in packets {
                    self.engine.count_many(name, number);
                }
            }
        }
    }

    fn handle_stored(&mut self, completion: Completion) {
        self.disk.handle_completion();
        let token = StoreToken(completion.token);
        self.handle(match completion.result {
            Ok(added) => Input::Stored(token, added),
            Err(fault) => Input::StoreFailed(token, fault),
        });
    }

    fn handle_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Session {
                stream,
                remote,
                established,
            } if established.capabilities.purpose == Purpose::Bulk => match stream.into_std() {
                Ok(stream) => self.files.accept(stream, *established),
                Err(error) => tracing::warn!(%remote, %error, "could not take a connection"),
            },
            Incoming::Session {
                stream,
                remote,
                established,
            } => {
                self.establish(stream, remote, None, established);
            }
            Incoming::Failed(name) => self.engine.count(name),
        }
    }

    fn handle_dialled(&mut self, dial: DialId, outcome: Result<Reached, ConnectError>) {
        if self.dials.remove(&dial).is_none() {
            return;
        }
        match outcome {
            Ok(reached) => {
                self.establish(
                    reached.stream,
                    reached.remote,
                    Some(dial),
                    reached.established,
                );
            }
            Err(error) => {
                if matches!(error, ConnectError::Handshake(_)) {
                    self.engine.count(counter(&error));
                }
                tracing::debug!(?dial, %error, "nobody reached");
                self.handle(Input::DialFailed(dial, error.to_string()));
            }
        }
    }

    fn establish(
        &mut self,
        stream: TcpStream,
        remote: SocketAddr,
        dial: Option<DialId>,
        established: Box<hallway_proto::handshake::Established>,
    ) {
        let Ok(local) = stream.local_addr() else {
            if let Some(dial) = dial {
                self.handle(Input::DialFailed(
                    dial,
                    "the connection is gone again".into(),
                ));
            }
            return;
        };
        let conn = ConnId(self.next_id());
        tracing::debug!(?conn, peer = ?established.peer, %remote, ours = dial.is_some(), "authenticated");
        self.connections
            .insert(conn, Connection::open(conn, stream, self.inputs.clone()));
        let local = local.ip();
        self.handle(Input::Established {
            conn,
            dial,
            remote,
            local,
            established,
        });
    }

    fn handle_found(&mut self, found: Found, snapshot: &links::Snapshot) {
        match found {
            Found::Seen(seen) => {
                self.trouble.remove("discovery");
                let sighting = Sighting {
                    name: seen.name,
                    status: seen.status,
                    fast_aes: seen.fast_aes,
                    addresses: links::rank(&seen.addresses, snapshot),
                };
                self.handle(Input::Sighted(seen.id, sighting));
            }
            Found::Gone(peer) => self.handle(Input::Unsighted(peer)),
            Found::Clone { addresses } => {
                tracing::warn!(?addresses, "another node announces this node's id");
                self.engine.count("own_id_announced");
            }
            Found::Trouble(why) => {
                tracing::warn!(%why, "discovery");
                self.trouble.insert("discovery", why);
            }
        }
    }

    fn handle_links(&mut self, links: &Links) {
        self.addresses = links.snapshot().addresses(self.port);
        let ips = self.addresses.iter().map(SocketAddr::ip).collect();
        self.handle(Input::Links(ips));
        if links.snapshot().has_network() {
            self.trouble.remove("network");
        } else {
            let why = "no network: no interface is up with an address; plug in a cable or join a \
                       Wi-Fi network";
            self.trouble.insert("network", why.into());
        }
    }

    /// Carries out what the engine has decided.
    fn carry_out(&mut self, discovery: &mut Option<Discovery>) {
        let now = self.clock.now();
        while let Some(output) = self.engine.poll_output(now) {
            match output {
                Output::Dial {
                    dial,
                    expected,
                    addresses,
                    suite,
                } => {
                    self.dial(dial, expected, addresses, suite);
                }
                Output::CancelDial(dial) => {
                    if let Some(racing) = self.dials.remove(&dial) {
                        racing.abort();
                    }
                }
                Output::Transmit(conn, bytes) => self.transmit(conn, bytes),
                Output::Close(conn) => {
                    self.connections.remove(&conn);
                }
                Output::Store {
                    token,
                    epoch,
                    writes,
                } => {
                    self.disk.write(token.0, epoch, writes);
                }
                Output::LoadOutbox {
                    peer,
                    after_seq,
                    limit,
                } => {
                    self.load_outbox(peer, after_seq, limit);
                }
                Output::StartMedia { call, plan } => self.calls.start(call, plan),
                Output::MediaCandidates(call, candidates) => {
                    self.calls.candidates(call, candidates);
                }
                Output::SetMedia { call, muted, held } => self.calls.set(call, muted, held),
                Output::StopMedia(call) => self.calls.stop(call),
                Output::Files(order) => self.files.handle(order),
                Output::Event(kind) => {
                    if let EventKind::Call { call } = &kind {
                        let may_ring = self.engine.may_disturb(&call.peer);
                        self.ringer.handle_call(call, may_ring);
                    }
                    // In a flood of strangers our contacts come first.
                    if let (EventKind::Peer { peer }, Some(discovery)) = (&kind, &mut *discovery)
                        && peer.contact
                    {
                        discovery.expect(peer.id);
                    }
                    self.tell(News::Event(kind));
                }
                Output::Added { message, change } => self.tell(News::Added { message, change }),
                Output::Reply(command, answer) => self.reply(command, answer),
                Output::Announce(name, status) => {
                    if let Some(discovery) = discovery {
                        discovery.announce(&name, status);
                    }
                }
                Output::Left(peer) => {
                    if let Some(discovery) = discovery {
                        discovery.left(&peer);
                    }
                }
                Output::Doubt(peer) => {
                    if let Some(discovery) = discovery {
                        discovery.verify(&peer);
                    }
                }
            }
        }
    }

    fn transmit(&mut self, conn: ConnId, bytes: Vec<u8>) {
        tracing::trace!(?conn, bytes = bytes.len(), "to be sent");
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        if connection.transmit(bytes).is_err() {
            tracing::warn!("closed a session: the peer does not read");
            self.engine.count("stalled");
            self.handle(Input::Closed(conn));
        }
    }

    fn dial(
        &mut self,
        dial: DialId,
        expected: Option<hallway_model::PeerId>,
        addresses: Vec<SocketAddr>,
        suite: Suite,
    ) {
        tracing::debug!(?dial, ?expected, ?addresses, "dialling");
        let (handshaker, dialled) = (self.handshaker.clone(), self.dialled.clone());
        let race = async move {
            let outcome =
                dial::race(&handshaker, addresses, expected, suite, Purpose::Session).await;
            // A driver that is gone needs no report.
            let _ = dialled.send((dial, outcome));
        };
        self.dials.insert(dial, tokio::spawn(race).abort_handle());
    }

    fn load_outbox(&self, peer: hallway_model::PeerId, after_seq: u64, limit: usize) {
        let (reader, loaded) = (self.reader.clone(), self.loaded.clone());
        tokio::task::spawn_blocking(move || {
            let input = match reader.outbox(&peer, after_seq, limit) {
                Ok(messages) => Input::OutboxLoaded(peer, messages),
                Err(error) => {
                    tracing::error!(%error, "could not read the outbox");
                    Input::OutboxUnread(peer)
                }
            };
            // A driver that is gone needs no report.
            let _ = loaded.send(input);
        });
    }

    fn reply(&mut self, command: CommandId, mut answer: Result<Answer, Refusal>) {
        if let Ok(Answer::Status(status)) = &mut answer {
            status.pid = std::process::id();
            status.addresses.clone_from(&self.addresses);
            status.version = self.version.into();
            if status.downloads.as_os_str().is_empty() {
                status.downloads = self.files.folder().to_owned();
            }
            status.uptime_ms = self.clock.mono().0 / 1000;
            status.notices = self.trouble.values().cloned().collect();
            let connections = u64::try_from(self.connections.len()).unwrap_or(u64::MAX);
            status.counters.push(CounterView {
                name: "connections".into(),
                count: connections,
            });
        }
        if let Some(asked) = self.answers.remove(&command) {
            // Whoever asked may have gone away.
            let _ = asked.send(answer);
        }
    }

    fn tell(&self, news: News) {
        // The publisher lives as long as this sender.
        let _ = self.news.send(news);
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Tells everybody, lets the last bytes leave and the last writes reach the disk.
    async fn say_goodbye(mut self, mut sources: Sources) -> Disk {
        self.handle(Input::Shutdown);
        let mut discovery = sources.discovery.take();
        self.carry_out(&mut discovery);
        let disk = async {
            while !self.disk.is_idle() {
                let Some(completion) = sources.stored.recv().await else {
                    break;
                };
                self.handle_stored(completion);
                self.carry_out(&mut None);
            }
        };
        let withdrawal = async {
            if let Some(discovery) = discovery {
                discovery.shutdown().await;
            }
        };
        let farewell = async { tokio::join!(disk, withdrawal) };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("stopped before every goodbye was out");
        }
        let files = self.files;
        if tokio::task::spawn_blocking(move || files.shutdown())
            .await
            .is_err()
        {
            tracing::error!("the threads for files could not be waited for");
        }
        self.disk
    }
}

/// The next thing discovery found; pending for ever without discovery.
async fn next_found(discovery: &mut Option<Discovery>) -> Option<Found> {
    match discovery {
        Some(discovery) => discovery.next().await,
        None => std::future::pending().await,
    }
}

async fn changed(links: &mut Links) {
    links.changed().await;
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could ask for anything.
    let _ = stop.wait_for(|stop| *stop).await;
}
