//! Files: threads that move bytes between disk and connections of their own, off the reactor.
//!
//! The engine says what is to be fetched and served ([`Order`]) and hears how it goes ([`Report`]).

mod desk;
mod fetch;
mod help;
mod link;
mod lot;
mod opening;
mod pace;
mod picture;
mod ring;
mod serve;
mod source;
mod staging;

use crate::arithmetic::Handshaker;
use crate::dial;
use crate::home::Home;
use desk::{Desk, Door};
use fetch::{Others, Outcome};
use hallway_model::{PROGRESS_PER_SECOND, PeerId, TransferId};
use hallway_proto::handshake::{Established, Purpose, Suite};
use hallway_proto::io::Input;
use hallway_proto::transfer::{Fetch, Order, Reach, Report};
use link::{Link, LinkError};
use pace::Pace;
use serve::Share;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

pub use hallway_proto::bulk::safe_name;
pub use opening::{OpeningError, Shown, open_with_desktop};
pub use picture::{PICTURE_HEAD_BYTES, picture_type};
pub use source::{SourceError, offer};

/// Connections of one transfer: the second makes up for what the line of the first loses, where it
/// is needed, and more only share the line.
const CONNECTIONS: usize = 2;
/// For so few bytes one connection is enough.
const SMALL_BYTES: u64 = 4 << 20;

/// How long a sender that was asked to connect to us may take: two addresses that do not answer.
const REACHED_WITHIN: Duration = Duration::from_secs(10);
/// Its further connections follow the first at once.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);

/// What the scheduler takes second: voices and texts go before files.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Less than this is done sooner than it takes to let others in.
const GIVE_WAY_BYTES: usize = 256 << 10;

/// The folder for files of this user: the usual one with the usual data directory, and one inside
/// of any other.
pub fn usual_folder(home: &Home) -> PathBuf {
    let usual = Home::locate(None).is_ok_and(|usual| usual == *home);
    match std::env::home_dir().filter(|_| usual) {
        Some(own) => own.join("Downloads"),
        None => home.path().join("downloads"),
    }
}

/// See the module.
pub(crate) struct Files {
    handshaker: Handshaker,
    folder: PathBuf,
    inputs: UnboundedSender<Input>,
    desk: Desk,
    /// Transfers to whose receivers we are connecting.
    reaching: Arc<Mutex<HashSet<TransferId>>>,
    fetches: HashMap<TransferId, Fetching>,
}

/// How an attempt to fetch gets its connections.
enum Reached {
    /// By our dial.
    Dialled(Vec<(TcpStream, Established)>),
    /// Not by our dial, and why.
    Unreachable(String),
    /// The sender connected to us.
    Came(Box<Link>),
}

/// One attempt to fetch, possibly on its way out.
struct Fetching {
    stopped: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    thread: JoinHandle<()>,
    dialling: tokio::task::AbortHandle,
}

/// Tells the engine how one transfer comes along, of progress only so often.
#[derive(Clone)]
pub(crate) struct Reporter {
    id: TransferId,
    inputs: UnboundedSender<Input>,
    next: Arc<Mutex<Instant>>,
}

impl Reporter {
    fn new(id: TransferId, inputs: UnboundedSender<Input>) -> Self {
        let next = Arc::new(Mutex::new(Instant::now()));
        Self { id, inputs, next }
    }

    fn report(&self, report: Report) {
        // A driver that is gone needs no report.
        let _ = self.inputs.send(Input::Files(self.id, report));
    }

    fn progress(&self, moved: u64) {
        let now = Instant::now();
        let mut next = lock(&self.next);
        if now >= *next {
            *next = now + Duration::from_secs(1) / PROGRESS_PER_SECOND;
            drop(next);
            self.report(Report::Progress(moved));
        }
    }
}

impl Files {
    pub(crate) fn new(
        handshaker: Handshaker,
        folder: PathBuf,
        bytes_per_second: Option<NonZeroU64>,
        inputs: UnboundedSender<Input>,
    ) -> Self {
        let pace = bytes_per_second.map(|rate| Arc::new(Pace::new(rate, Instant::now())));
        let own = folder.clone();
        thread::spawn(move || staging::sweep(&own, None));
        Self {
            handshaker,
            folder,
            inputs,
            desk: Desk::new(pace),
            reaching: Arc::default(),
            fetches: HashMap::new(),
        }
    }

    /// Carries out what the engine has decided.
    pub(crate) fn handle(&mut self, order: Order) {
        match order {
            Order::Fetch(fetch) => self.fetch(*fetch),
            Order::Serve(order) => {
                let reporter = Reporter::new(order.id, self.inputs.clone());
                let lot = self.desk.lot(order.offer.content, &order.source);
                self.desk.share(Share::new(*order, lot, reporter));
            }
            Order::Reach(order) => self.reach(*order),
            Order::Introduce {
                id,
                content,
                others,
            } => {
                let fetched = self.fetches.contains_key(&id);
                let ring = self.desk.ring(id, content, self.handshaker.me());
                ring.introduce(others);
                self.desk.tidy(&id, fetched);
            }
            Order::Stop(id) => self.stop(&id),
            Order::Discard { id, folder } => self.discard(id, folder),
        }
    }

    fn stop(&mut self, id: &TransferId) {
        self.desk.unshare(id);
        self.stop_fetching(id);
    }

    fn stop_fetching(&self, id: &TransferId) {
        self.desk.expect_no_longer(id);
        if let Some(fetching) = self.fetches.get(id) {
            fetching.stop();
        }
    }

    /// The folder for files unless another was chosen.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn discard(&mut self, id: TransferId, folder: Option<PathBuf>) {
        let folder = folder.unwrap_or_else(|| self.folder.clone());
        self.stop_fetching(&id);
        let fetching = self.fetches.remove(&id);
        self.desk.tidy(&id, false);
        thread::spawn(move || {
            if let Some(fetching) = fetching {
                fetching.wait();
            }
            if let Err(error) = staging::discard(&folder, &id) {
                tracing::warn!(%error, folder = %folder.display(), "parts of a file stay");
            }
        });
    }

    fn fetch(&mut self, order: Fetch) {
        self.stop_fetching(&order.id);
        let before = self.fetches.remove(&order.id);
        let (id, folder) = (order.id, order.folder.clone());
        let folder = folder.unwrap_or_else(|| self.folder.clone());
        let stopped = Arc::new(AtomicBool::new(false));
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (links_in, links) = mpsc::channel();
        let door = Door {
            peer: order.peer,
            content: order.offer.content,
            links: links_in.clone(),
        };
        self.desk.expect(id, door);
        let handshaker = self.handshaker.clone();
        let target = order.clone();
        let dialling = tokio::spawn(async move {
            let Fetch { peer, suite, .. } = target;
            let bytes = target.offer.bytes;
            let dialled = dial_all(&handshaker, peer, target.addresses, suite, bytes).await;
            // The thread may have been told to stop.
            let _ = links_in.send(dialled.map_or_else(Reached::Unreachable, Reached::Dialled));
        });
        let reporter = Reporter::new(id, self.inputs.clone());
        let content = order.offer.content;
        let others = Others {
            ring: self.desk.ring(id, content, self.handshaker.me()),
            handshaker: self.handshaker.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let attempt = Attempt {
            order,
            others,
            folder,
            reporter,
            stopped: stopped.clone(),
            streams: streams.clone(),
        };
        let thread = thread::spawn(move || {
            if let Some(before) = before {
                before.wait();
            }
            attempt.run(links);
        });
        let fetching = Fetching {
            stopped,
            streams,
            thread,
            dialling: dialling.abort_handle(),
        };
        self.fetches.insert(id, fetching);
    }

    /// Connects to a peer that fetches from us and cannot connect itself.
    fn reach(&self, order: Reach) {
        let share = self.desk.shared(&order.id);
        let Some(share) = share.filter(|_| lock(&self.reaching).insert(order.id)) else {
            return;
        };
        let (handshaker, desk) = (self.handshaker.clone(), self.desk.clone());
        let reaching = self.reaching.clone();
        tokio::spawn(async move {
            let (peer, bytes) = (share.order.peer, share.order.offer.bytes);
            let Reach {
                id,
                addresses,
                suite,
            } = order;
            let dialled = dial_all(&handshaker, peer, addresses, suite, bytes).await;
            lock(&reaching).remove(&id);
            match dialled {
                Ok(dialled) => {
                    for (stream, established) in dialled {
                        desk.serve(stream, established, share.clone());
                    }
                }
                Err(error) => tracing::debug!(?peer, %error, "nor can we connect"),
            }
        });
    }

    /// Takes a connection on which a peer wants to fetch from us, or lets us fetch.
    pub(crate) fn accept(&self, stream: TcpStream, established: Established) {
        self.desk.accept(stream, established);
    }

    /// Ends everything; what has come stays.
    pub(crate) fn shutdown(mut self) {
        self.desk.unshare_all();
        for id in self.fetches.keys() {
            self.desk.expect_no_longer(id);
        }
        for (_, fetching) in self.fetches.drain() {
            fetching.stop();
            fetching.wait();
        }
    }
}

impl Fetching {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.dialling.abort();
        for stream in &*lock(&self.streams) {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn wait(self) {
        if self.thread.join().is_err() {
            tracing::error!("a thread for files ended badly");
        }
    }
}

/// What the thread of one attempt needs.
struct Attempt {
    order: Fetch,
    others: Others,
    folder: PathBuf,
    reporter: Reporter,
    stopped: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Attempt {
    fn run(self, reached: mpsc::Receiver<Reached>) {
        let links = match self.links(reached) {
            Ok(links) => links,
            Err(why) => return self.reporter.report(Report::Lost(why)),
        };
        let streams = links.iter().filter_map(|link| link.stream().ok());
        lock(&self.streams).extend(streams);
        // Whoever stopped it before now has seen none of them.
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let outcome = fetch::fetch(
            &self.order,
            self.folder,
            links,
            self.others,
            &self.reporter,
            &self.stopped,
        );
        match outcome {
            Outcome::Report(report) => self.reporter.report(report),
            Outcome::Stopped => {}
        }
    }

    /// The first connections there are: of our own dial or of the sender's.
    fn links(&self, reached: mpsc::Receiver<Reached>) -> Result<Vec<Link>, String> {
        let Ok(mut first) = reached.recv() else {
            return Ok(Vec::new());
        };
        if let Reached::Unreachable(why) = first {
            self.reporter.report(Report::Unreachable);
            first = match reached.recv_timeout(REACHED_WITHIN) {
                Ok(came) => came,
                Err(_) => Reached::Unreachable(why),
            };
        }
        let mut links = Vec::new();
        match first {
            Reached::Dialled(dialled) => {
                for (stream, established) in dialled {
                    let link = Link::new(stream, established);
                    links.push(link.map_err(|error| error.to_string())?);
                }
            }
            Reached::Unreachable(why) => return Err(why),
            Reached::Came(link) => {
                links.push(*link);
                while links.len() < connections(self.order.offer.bytes)
                    && let Ok(Reached::Came(link)) = reached.recv_timeout(FOLLOWED_WITHIN)
                {
                    links.push(*link);
                }
            }
        }
        Ok(links)
    }
}

/// How many connections are of use for so many bytes.
fn connections(bytes: u64) -> usize {
    if bytes > SMALL_BYTES { CONNECTIONS } else { 1 }
}

/// Connects as often as is of use; the first must work.
async fn dial_all(
    handshaker: &Handshaker,
    peer: PeerId,
    mut addresses: Vec<SocketAddr>,
    suite: Suite,
    bytes: u64,
) -> Result<Vec<(TcpStream, Established)>, String> {
    let mut reached = Vec::new();
    for number in 0..connections(bytes) {
        let (to, peer) = (addresses.clone(), Some(peer));
        let raced = dial::race(handshaker, to, peer, suite, Purpose::Bulk);
        match raced.await {
            Ok(found) => {
                addresses = vec![found.remote];
                let stream = found.stream.into_std().map_err(|error| error.to_string())?;
                reached.push((stream, *found.established));
            }
            Err(error) if number == 0 => return Err(error.to_string()),
            Err(_) => break,
        }
    }
    Ok(reached)
}

/// Lets whoever waits for the processor have it, after so much work: a text takes several threads on
/// its way, and each would wait until the slice of a thread for files is over.
fn give_way(bytes: usize) {
    if bytes >= GIVE_WAY_BYTES {
        thread::yield_now();
    }
}

/// Lets the thread that calls this run after others.
fn step_back() {
    // It works where that is forbidden too. Elsewhere this would slow the whole program.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread for files runs like any other");
    }
}

/// The other side closed the connection, as it may once it has all.
fn is_gone(error: &LinkError) -> bool {
    let LinkError::Io(error) = error else {
        return false;
    };
    let gone = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::BrokenPipe,
    ];
    gone.contains(&error.kind())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
