//! Finding others: DNS-SD over multicast DNS (RFC 6762, RFC 6763) for `_hallway._tcp.local.`.
//!
//! The instance name is the text form of the peer id. It is unique, so no name is ever probed for
//! or in conflict, and a node is seen with its first packet.
//!
//! The library asks again for every record at 80 % of its time to live, and every node would do so
//! for every other: a storm on a large network. So each node repeats its announcement before that
//! time comes. One packet then refreshes everybody's cache and nobody has to ask.

pub mod txt;

use crate::links::{Snapshot, scoped};
use hallway_model::{ADDRESSES_MAX, Name, PeerId, Status};
use mdns_sd::{IfKind, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use txt::{Txt, parse_txt};

/// The service as DNS-SD names it.
pub const SERVICE: &str = "_hallway._tcp.local.";
/// How long to ask for others after a start and after a change of the network.
const ASK_FOR: Duration = Duration::from_secs(15);
/// When to repeat our announcement: before 96 s, which is 80 % of the 120 s that addresses live.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(76);
/// Added at random, so that nodes which started together drift apart.
const ANNOUNCE_JITTER: Duration = Duration::from_secs(12);
/// How long the library looks at the interfaces by itself after a change of the network.
const LOOK_FOR: Duration = Duration::from_millis(2500);
/// How long a doubted peer may take to answer (RFC 6762 section 10.4).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Records of all services in the library's cache, which knows no limit of its own, beyond which
/// it is thrown away: 4,096 nodes with four records each.
const CACHED_RECORDS_MAX: i64 = 16_384;
/// How long the library may take to count its cache.
const COUNT_WITHIN: Duration = Duration::from_millis(20);
/// How long a goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_millis(300);

/// What an announcement says. A hint: only the handshake proves who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whose announcement it claims to be.
    pub id: PeerId,
    /// The name claimed.
    pub name: Option<Name>,
    /// The availability claimed.
    pub status: Status,
    /// Hardware AES claimed.
    pub fast_aes: bool,
    /// Where, in no order; at most [`ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
}

/// What discovery found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An announcement is new or changed.
    Seen(Seen),
    /// An announcement was withdrawn or ran out.
    Gone(PeerId),
    /// Another host announces our own id.
    Clone {
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Discovery does not work, and why.
    Trouble(String),
}

/// Our announcement, and everybody else's.
pub struct Discovery {
    id: PeerId,
    port: u16,
    fast_aes: bool,
    name: Name,
    status: Status,
    links: Snapshot,
    /// Every address this host had: an old one of ours in a cache is no other node.
    own_addresses: BTreeSet<IpAddr>,
    running: Option<Running>,
    trouble: Option<String>,
    announce_at: Instant,
    /// When to stop asking.
    ask_until: Option<Instant>,
    /// When to stop looking at the interfaces.
    look_until: Option<Instant>,
}

struct Running {
    daemon: ServiceDaemon,
    /// `None` for as long as nothing was asked for.
    events: Option<Receiver<ServiceEvent>>,
}

impl Discovery {
    /// Announces this node and starts to look for others.
    pub fn start(id: PeerId, port: u16, fast_aes: bool, name: &Name, links: &Snapshot) -> Self {
        let mut discovery = Self {
            id,
            port,
            fast_aes,
            name: name.clone(),
            status: Status::default(),
            links: links.clone(),
            own_addresses: addresses_of(links),
            running: None,
            trouble: None,
            announce_at: Instant::now(),
            ask_until: None,
            look_until: None,
        };
        discovery.open();
        discovery
    }

    /// Announces another name or availability.
    pub fn announce(&mut self, name: &Name, status: Status) {
        if self.name != *name || self.status != status {
            self.name = name.clone();
            self.status = status;
            self.register();
        }
    }

    /// Asks whether a peer whose session died is still there; if not, it is [`Found::Gone`].
    pub fn verify(&mut self, peer: &PeerId) {
        self.attempt(|running| running.daemon.verify(fullname(peer), ANSWER_WITHIN));
    }

    /// Takes part on new interfaces and addresses, and asks who is there.
    pub fn links_changed(&mut self, links: &Snapshot) {
        self.links = links.clone();
        self.own_addresses.extend(addresses_of(links));
        if self.running.is_none() {
            return self.open();
        }
        self.select_interfaces();
        // New interfaces are joined with the selection; gone ones are noticed by the library's
        // own look at them, which is off otherwise: it costs processor time every few seconds.
        self.attempt(|running| running.daemon.set_ip_check_interval(1));
        self.look_until = Some(Instant::now() + LOOK_FOR);
        self.register();
        self.ask();
    }

    /// The next thing found. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(trouble) = self.trouble.take() {
                return Some(Found::Trouble(trouble));
            }
            let due = self.due();
            let events = self.running.as_ref().and_then(|running| running.events.as_ref());
            let event = match events {
                Some(events) => tokio::select! {
                    event = events.recv_async() => Some(event),
                    () = sleep_until(due) => None,
                },
                None => {
                    sleep_until(due).await;
                    None
                }
            };
            match event {
                None => self.handle_timeout(),
                Some(Ok(event)) => {
                    if let Some(found) = self.found(event) {
                        return Some(found);
                    }
                }
                // The library ends a subscription that fell behind.
                Some(Err(_)) => self.listen(),
            }
        }
    }

    /// Says goodbye and waits until it is out.
    pub async fn shutdown(self) {
        if let Some(Running { daemon, .. }) = self.running
            && let Ok(done) = daemon.shutdown()
        {
            // A goodbye that does not make it is no loss: the record runs out.
            let _ = tokio::time::timeout(GOODBYE_WITHIN, done.recv_async()).await;
        }
    }

    fn open(&mut self) {
        self.running = None;
        match ServiceDaemon::new() {
            Ok(daemon) => {
                self.running = Some(Running { daemon, events: None });
                self.attempt(|running| running.daemon.set_ip_check_interval(0));
                self.attempt(|running| running.daemon.accept_unsolicited(true));
                self.select_interfaces();
                self.register();
                self.ask();
            }
            Err(error) => {
                self.trouble =
                    Some(format!("nobody can be discovered: multicast DNS does not start: {error}"));
                self.announce_at = Instant::now() + ANNOUNCE_EVERY;
            }
        }
    }

    /// Loopback takes part only where there is nothing else, so that nodes on one host find each
    /// other without a network.
    fn select_interfaces(&mut self) {
        let alone = !self.links.has_network();
        self.attempt(|running| running.daemon.enable_interface(IfKind::All));
        if !alone {
            let loopback = vec![IfKind::LoopbackV4, IfKind::LoopbackV6];
            self.attempt(|running| running.daemon.disable_interface(loopback));
        }
    }

    /// Sends our announcement, and plans the next.
    fn register(&mut self) {
        let jitter = ANNOUNCE_JITTER.mul_f64(f64::from(random_byte()) / 256.0);
        self.announce_at = Instant::now() + ANNOUNCE_EVERY + jitter;
        let txt = Txt {
            version: Some(txt::VERSION),
            id: Some(self.id),
            name: Some(self.name.clone()),
            status: self.status,
            fast_aes: self.fast_aes,
        };
        let text = self.id.to_string();
        let host = format!("{text}.local.");
        let properties = txt.properties();
        match ServiceInfo::new(SERVICE, &text, &host, "", self.port, properties.as_slice()) {
            Ok(info) => {
                let mut info = info.enable_addr_auto();
                info.set_requires_probe(false);
                self.attempt(|running| running.daemon.register(info));
            }
            Err(error) => self.trouble = Some(format!("this node is not announced: {error}")),
        }
    }

    /// Asks everybody to answer, for a while.
    fn ask(&mut self) {
        self.ask_until = Some(Instant::now() + ASK_FOR);
        self.attempt(|running| {
            running.events = Some(running.daemon.browse(SERVICE)?);
            Ok(())
        });
    }

    /// Hears announcements without asking.
    fn listen(&mut self) {
        self.ask_until = None;
        self.attempt(|running| {
            running.events = Some(running.daemon.browse_cache(SERVICE)?);
            Ok(())
        });
    }

    fn due(&self) -> Instant {
        [Some(self.announce_at), self.ask_until, self.look_until]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.announce_at)
    }

    fn handle_timeout(&mut self) {
        let now = Instant::now();
        if self.look_until.is_some_and(|at| at <= now) {
            self.look_until = None;
            self.attempt(|running| running.daemon.set_ip_check_interval(0));
        }
        if self.ask_until.is_some_and(|at| at <= now) {
            self.listen();
        }
        if self.announce_at <= now {
            if self.running.is_none() || self.cached_records() > CACHED_RECORDS_MAX {
                return self.open();
            }
            self.register();
        }
    }

    /// Records in the library's cache, as of its last count.
    fn cached_records(&self) -> i64 {
        let metrics = self.running.as_ref().and_then(|running| running.daemon.get_metrics().ok());
        let metrics = metrics.and_then(|metrics| metrics.recv_timeout(COUNT_WITHIN).ok());
        let cached = |name: &String| name.starts_with("cached-");
        metrics.iter().flatten().filter(|(name, _)| cached(name)).map(|(_, count)| count).sum()
    }

    /// Tells the library something; when it is gone, it is started again at the next announcement.
    fn attempt(&mut self, tell: impl FnOnce(&mut Running) -> mdns_sd::Result<()>) {
        let Some(running) = &mut self.running else { return };
        match tell(running) {
            Ok(()) | Err(mdns_sd::Error::Again) => {}
            Err(error) => {
                self.trouble = Some(format!("multicast DNS stopped and starts again: {error}"));
                self.running = None;
                self.announce_at = Instant::now() + Duration::from_secs(1);
            }
        }
    }

    fn found(&self, event: ServiceEvent) -> Option<Found> {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let seen = seen(&service)?;
                if seen.id != self.id {
                    return Some(Found::Seen(seen));
                }
                let foreign =
                    |address: &SocketAddr| !self.own_addresses.contains(&address.ip());
                let addresses: Vec<_> = seen.addresses.into_iter().filter(foreign).collect();
                (!addresses.is_empty()).then_some(Found::Clone { addresses })
            }
            ServiceEvent::ServiceRemoved(_, fullname) => {
                let id = id_of(&fullname).filter(|id| *id != self.id)?;
                Some(Found::Gone(id))
            }
            _ => None,
        }
    }
}

fn seen(service: &ResolvedService) -> Option<Seen> {
    let id = id_of(&service.fullname)?;
    let txt = parse_txt(&txt::raw(&service.txt_properties));
    if txt.id.is_some_and(|other| other != id) {
        return None;
    }
    let mut addresses: Vec<_> = service
        .addresses
        .iter()
        .flat_map(|scoped_ip| endpoints(scoped_ip, service.port))
        .collect();
    addresses.sort();
    addresses.truncate(ADDRESSES_MAX);
    Some(Seen { id, name: txt.name, status: txt.status, fast_aes: txt.fast_aes, addresses })
}

/// A link-local address is one endpoint on each interface it was heard on.
fn endpoints(ip: &ScopedIp, port: u16) -> Vec<SocketAddr> {
    match ip {
        ScopedIp::V4(v4) => vec![SocketAddr::new(IpAddr::V4(*v4.addr()), port)],
        ScopedIp::V6(v6) => vec![scoped(IpAddr::V6(*v6.addr()), port, v6.scope_id().index)],
        _ => Vec::new(),
    }
}

fn fullname(peer: &PeerId) -> String {
    format!("{peer}.{SERVICE}")
}

fn id_of(fullname: &str) -> Option<PeerId> {
    fullname.strip_suffix(SERVICE)?.strip_suffix('.')?.parse().ok()
}

fn addresses_of(links: &Snapshot) -> BTreeSet<IpAddr> {
    let all = links.interfaces.iter().flat_map(|interface| &interface.addresses);
    all.map(|subnet| subnet.address).collect()
}

/// Chance enough for spreading announcements out.
fn random_byte() -> u8 {
    let mut byte = [0];
    // Without entropy all nodes wait equally long, which is no fault.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}
