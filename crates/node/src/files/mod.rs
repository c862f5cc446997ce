//! Files: threads that move bytes between disk and connections of their own, off the reactor.
//!
//! The engine says what is to be fetched and served ([`Order`]) and hears how it goes ([`Report`]).

mod fetch;
mod link;
mod opening;
mod picture;
mod serve;
mod source;
mod staging;

use crate::arithmetic::Handshaker;
use crate::dial;
use crate::home::Home;
use fetch::Outcome;
use hallway_model::{PROGRESS_PER_SECOND, PeerId, TransferId};
use hallway_proto::bulk::{Message, RefusedWhy};
use hallway_proto::handshake::{Established, Purpose};
use hallway_proto::io::Input;
use hallway_proto::transfer::{Fetch, Order, Report};
use link::{Link, LinkError};
use serve::Share;
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

pub use hallway_proto::bulk::safe_name;
pub use opening::{OpeningError, Shown, open_with_desktop};
pub use picture::{PICTURE_HEAD_BYTES, picture_type};
pub use source::{SourceError, offer};

/// Connections of one transfer: two keep both ends' cores busy, and more only share the line.
const CONNECTIONS: usize = 2;
/// Connections that peers may have open to fetch from us.
const SERVED_MAX: usize = 64;

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
    shares: Arc<Mutex<HashMap<TransferId, Arc<Share>>>>,
    serving: Arc<Mutex<Vec<Serving>>>,
    fetches: HashMap<TransferId, Fetching>,
}

/// A connection on which a peer fetches from us.
struct Serving {
    stream: TcpStream,
    /// What it fetches, once that is known.
    share: Option<TransferId>,
    thread: thread::ThreadId,
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
        inputs: UnboundedSender<Input>,
    ) -> Self {
        let own = folder.clone();
        thread::spawn(move || staging::sweep(&own, None));
        Self {
            handshaker,
            folder,
            inputs,
            shares: Arc::default(),
            serving: Arc::default(),
            fetches: HashMap::new(),
        }
    }

    /// Carries out what the engine has decided.
    pub(crate) fn handle(&mut self, order: Order) {
        match order {
            Order::Fetch(fetch) => self.fetch(*fetch),
            Order::Serve(order) => {
                let reporter = Reporter::new(order.id, self.inputs.clone());
                let share = Arc::new(Share::new(*order, reporter));
                lock(&self.shares).insert(share.order.id, share);
            }
            Order::Stop(id) => self.stop(&id),
            Order::Discard { id, folder } => self.discard(id, folder),
        }
    }

    fn stop(&mut self, id: &TransferId) {
        if let Some(share) = lock(&self.shares).remove(id) {
            share.stopped.store(true, Ordering::Relaxed);
            for serving in lock(&self.serving).iter().filter(|s| s.share == Some(*id)) {
                // It may be gone already.
                let _ = serving.stream.shutdown(Shutdown::Both);
            }
        }
        if let Some(fetching) = self.fetches.get(id) {
            fetching.stop();
        }
    }

    fn discard(&mut self, id: TransferId, folder: Option<PathBuf>) {
        let folder = folder.unwrap_or_else(|| self.folder.clone());
        let fetching = self.fetches.remove(&id);
        if let Some(fetching) = &fetching {
            fetching.stop();
        }
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
        let before = self.fetches.remove(&order.id);
        if let Some(before) = &before {
            before.stop();
        }
        let (id, folder) = (order.id, order.folder.clone());
        let folder = folder.unwrap_or_else(|| self.folder.clone());
        let stopped = Arc::new(AtomicBool::new(false));
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (links_in, links) = std::sync::mpsc::channel();
        let handshaker = self.handshaker.clone();
        let target = order.clone();
        let dialling = tokio::spawn(async move {
            let reached = dial_all(&handshaker, &target).await;
            // The thread may have been told to stop.
            let _ = links_in.send(reached);
        });
        let reporter = Reporter::new(id, self.inputs.clone());
        let attempt = Attempt {
            order,
            folder,
            reporter,
            stopped: stopped.clone(),
            streams: streams.clone(),
        };
        let thread = thread::spawn(move || {
            if let Some(before) = before {
                before.wait();
            }
            // An error means that the dial was given up, and so was this.
            if let Ok(reached) = links.recv() {
                attempt.run(reached);
            }
        });
        let fetching = Fetching {
            stopped,
            streams,
            thread,
            dialling: dialling.abort_handle(),
        };
        self.fetches.insert(id, fetching);
    }

    /// Takes a connection on which a peer wants to fetch from us.
    pub(crate) fn accept(&self, stream: TcpStream, established: Established) {
        let peer = established.peer;
        let known = lock(&self.shares)
            .values()
            .any(|share| share.order.peer == peer);
        if !known || lock(&self.serving).len() >= SERVED_MAX {
            tracing::debug!(
                ?peer,
                "closed a connection for files: nothing is offered there"
            );
            return;
        }
        let (shares, serving) = (self.shares.clone(), self.serving.clone());
        thread::spawn(move || {
            let served = Link::new(stream, established)
                .map_err(LinkError::from)
                .and_then(|link| serve_one(link, peer, &shares, &serving));
            let own = thread::current().id();
            lock(&serving).retain(|serving| serving.thread != own);
            if let Err(error) = served {
                tracing::debug!(?peer, %error, "a connection for files ended");
            }
        });
    }

    /// Ends everything; what has come stays.
    pub(crate) fn shutdown(mut self) {
        let shares: Vec<_> = lock(&self.shares).keys().copied().collect();
        shares.iter().for_each(|id| self.stop(id));
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
    folder: PathBuf,
    reporter: Reporter,
    stopped: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Attempt {
    fn run(self, reached: Result<Vec<(TcpStream, Established)>, String>) {
        let links = reached.and_then(|reached| {
            let links = reached
                .into_iter()
                .map(|(stream, established)| Link::new(stream, established));
            let links = links.collect::<io::Result<Vec<_>>>();
            links.map_err(|error| error.to_string())
        });
        let links = match links {
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
            &self.reporter,
            &self.stopped,
        );
        match outcome {
            Outcome::Report(report) => self.reporter.report(report),
            Outcome::Stopped => {}
        }
    }
}

/// Connects as often as is of use; the first must work.
async fn dial_all(
    handshaker: &Handshaker,
    order: &Fetch,
) -> Result<Vec<(TcpStream, Established)>, String> {
    let connections = if order.offer.bytes > (4 << 20) {
        CONNECTIONS
    } else {
        1
    };
    let mut reached = Vec::new();
    let mut addresses = order.addresses.clone();
    for number in 0..connections {
        let peer = Some(order.peer);
        let raced = dial::race(
            handshaker,
            addresses.clone(),
            peer,
            order.suite,
            Purpose::Bulk,
        );
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

fn serve_one(
    mut link: Link,
    peer: PeerId,
    shares: &Mutex<HashMap<TransferId, Arc<Share>>>,
    serving: &Mutex<Vec<Serving>>,
) -> Result<(), LinkError> {
    let thread = thread::current().id();
    lock(serving).push(Serving {
        stream: link.stream()?,
        share: None,
        thread,
    });
    let Message::Open(open) = link.receive()? else {
        return Err(LinkError::Unexpected("something before it said what for"));
    };
    let share = lock(shares)
        .values()
        .find(|share| share.is_for(&peer, &open.content))
        .cloned();
    let Some(share) = share.filter(|_| !open.serving) else {
        return serve::refuse(&mut link, RefusedWhy::NotNow);
    };
    for own in lock(serving).iter_mut().filter(|s| s.thread == thread) {
        own.share = Some(share.order.id);
    }
    serve::serve(&mut link, open, &share)
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
