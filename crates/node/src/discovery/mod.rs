//! Finding other nodes on the network, and being found: DNS-SD over multicast DNS (RFC 6763,
//! RFC 6762) for `_hallway._tcp.local.`.
//!
//! [`mdns`] is the library, [`schedule`] says when to do what, [`sightings`] bounds what comes of
//! it; here they are joined. There is no task of ours: [`Discovery::next`] does everything while it
//! is awaited.

mod mdns;
mod rate;
mod schedule;
mod sightings;
pub mod txt;

use crate::links::Snapshot;
use hallway_model::{Instant, Name, PeerId, Status};
use mdns::{Event, Mdns, Profile};
use mdns_sd::{DaemonStatus, Receiver};
use rate::Rate;
use schedule::{Due, Schedule};
use sightings::{Change, Sightings};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::{sleep_until, timeout, timeout_at};

/// Records and timers in mdns-sd beyond which its memory is thrown away, since it knows no limit:
/// the five records of each of 4,096 nodes, and some eight timers for each record that came.
const RECORDS_MAX: i64 = 200_000;
/// Events read from mdns-sd at once: a thousand nodes that start together.
const EVENTS_BURST: u32 = 8_000;
/// Events read in a second after that, at 5 µs each. When more come, mdns-sd ends the
/// subscription, and we start it again with an empty memory.
const EVENTS_PER_SECOND: u32 = 1_000;
/// After it was stopped or has failed, mdns-sd rests for so long.
const RESTART_AFTER: Duration = Duration::from_secs(5);
/// Whoever has not answered so long after such a restart is gone.
const RETURN_WITHIN: Duration = Duration::from_secs(15);
/// How long a goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_millis(300);
/// When so many are known, the first question was not lost. A second one would list them all.
const ANSWERS_ENOUGH: usize = 12;
/// Another node with our id is told about at most so often.
const CLONE_AGAIN_AFTER: Duration = Duration::from_secs(60);

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
    /// Where, those announced now before earlier ones; at most
    /// [`hallway_model::ADDRESSES_MAX`], and all on a link of ours.
    pub addresses: Vec<SocketAddr>,
}

/// What discovery found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An announcement is new or changed.
    Seen(Seen),
    /// An announcement was withdrawn or ran out. Sessions live on until they die.
    Gone(PeerId),
    /// Another node announces our own id: a copied data directory.
    Clone {
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Discovery does not work as it should, and why.
    Trouble(String),
}

/// Whether mdns-sd runs.
enum State {
    Running(Box<Mdns>, Schedule),
    /// It is saying goodbye; until then it may not be started again, or the goodbye would come
    /// after the new announcement.
    Closing(Receiver<DaemonStatus>, Instant),
    Resting(Instant),
}

/// Announces this node and finds others.
pub struct Discovery {
    profile: Profile,
    links: Snapshot,
    /// Every address this host had: an old one of ours in a cache is no other node.
    own_addresses: BTreeSet<IpAddr>,
    state: State,
    sightings: Sightings,
    reading: Rate,
    findings: VecDeque<Found>,
    clone_told_at: Option<Instant>,
    started: tokio::time::Instant,
}

impl Discovery {
    /// Announces this node and starts to look for others.
    pub fn start(id: PeerId, port: u16, fast_aes: bool, name: &Name, links: &Snapshot) -> Self {
        let (name, status) = (name.clone(), Status::default());
        let mut discovery = Self {
            profile: Profile {
                id,
                port,
                name,
                status,
                fast_aes,
            },
            links: links.clone(),
            own_addresses: addresses_of(links),
            state: State::Resting(Instant::default()),
            sightings: Sightings::new(),
            reading: Rate::new(EVENTS_BURST, EVENTS_PER_SECOND),
            findings: VecDeque::new(),
            clone_told_at: None,
            started: tokio::time::Instant::now(),
        };
        discovery.open(Instant::default());
        discovery
    }

    /// Announces another name or availability.
    pub fn announce(&mut self, name: &Name, status: Status) {
        if self.profile.name != *name || self.profile.status != status {
            self.profile.name = name.clone();
            self.profile.status = status;
            self.register();
        }
    }

    /// From now on this peer always finds room and is told of first, however many strangers are
    /// announced. For contacts.
    pub fn expect(&mut self, peer: PeerId) {
        self.sightings.expect(peer);
    }

    /// Asks whether a peer whose session died is still there; if not, it is [`Found::Gone`] within
    /// ten seconds.
    pub fn verify(&mut self, peer: &PeerId) {
        self.tell(|mdns, _| mdns.verify(peer));
    }

    /// Takes a peer for gone that said so, until it is announced again.
    pub fn left(&mut self, peer: &PeerId) {
        let now = self.now();
        self.sightings.handle_left(*peer, now);
    }

    /// Asks again who is there.
    pub fn refresh(&mut self) {
        let now = self.now();
        self.tell(|mdns, schedule| {
            schedule.handle_asked(now, chance());
            mdns.ask()
        });
    }

    /// Takes part on new interfaces and addresses, announces us there, and asks who is there.
    pub fn links_changed(&mut self, links: &Snapshot) {
        self.links = links.clone();
        self.own_addresses.extend(addresses_of(links));
        let now = self.now();
        self.tell(|mdns, schedule| {
            schedule.handle_links(now);
            mdns.select(links)?;
            mdns.look(true)
        });
        self.register();
        self.refresh();
    }

    /// The next thing found, never `None`. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Found> {
        loop {
            // Events may come faster than they are read: the rest of the node has its turn too.
            tokio::task::coop::consume_budget().await;
            let now = self.now();
            self.handle_timeout(now);
            if let Some(found) = self.poll_found(now) {
                return Some(found);
            }
            let deadline = self.started + self.deadline().since(Instant::default());
            match &mut self.state {
                State::Running(..) if self.reading.ready_at() > now => sleep_until(deadline).await,
                State::Running(mdns, _) => {
                    match timeout_at(deadline, mdns.next(&self.links)).await {
                        Ok(Some(event)) => {
                            self.reading.admit(now);
                            self.handle_event(event);
                        }
                        Ok(None) => self.close("it was told about more than it can take"),
                        Err(_) => {}
                    }
                }
                State::Closing(done, _) => {
                    let ended = timeout_at(deadline, done.recv_async()).await;
                    tracing::debug!(ended = ended.is_ok(), "multicast DNS stopped");
                    self.state = State::Resting(self.now() + RESTART_AFTER);
                }
                State::Resting(_) => sleep_until(deadline).await,
            }
        }
    }

    /// Says goodbye and waits until it is out.
    pub async fn shutdown(self) {
        if let State::Running(mdns, _) = self.state
            && let Some(done) = mdns.close()
        {
            // A goodbye that does not make it is no loss: the record runs out.
            let _ = timeout(GOODBYE_WITHIN, done.recv_async()).await;
        }
    }

    fn open(&mut self, now: Instant) {
        match Mdns::open(&self.profile, &self.links) {
            Ok(mdns) => {
                self.state = State::Running(Box::new(mdns), Schedule::new(now, chance()));
                self.sightings.doubt_all(now + RETURN_WITHIN);
            }
            Err(error) => {
                self.trouble(format!(
                    "nobody can be discovered: multicast DNS does not start: {error}"
                ));
                self.state = State::Resting(now + RESTART_AFTER);
            }
        }
    }

    /// Throws away what mdns-sd knows; it starts again after a rest.
    fn close(&mut self, why: &str) {
        tracing::warn!(why, "multicast DNS is started again");
        let now = self.now();
        let ending = match &self.state {
            State::Running(mdns, _) => mdns.close(),
            State::Closing(..) | State::Resting(_) => return,
        };
        self.state = match ending {
            Some(done) => State::Closing(done, now + RESTART_AFTER),
            None => State::Resting(now + RESTART_AFTER),
        };
    }

    fn register(&mut self) {
        let now = self.now();
        let (profile, links) = (self.profile.clone(), self.links.clone());
        self.tell(|mdns, schedule| {
            schedule.handle_announced(now, chance());
            mdns.register(&profile, &links)
        });
    }

    /// Tells mdns-sd something. When it does not run, it will be told everything at its start.
    fn tell(&mut self, what: impl FnOnce(&mut Mdns, &mut Schedule) -> mdns_sd::Result<()>) {
        let State::Running(mdns, schedule) = &mut self.state else {
            return;
        };
        if let Err(error) = what(mdns, schedule) {
            let error = error.to_string();
            self.trouble(format!("multicast DNS failed and starts again: {error}"));
            self.close(&error);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.sightings.handle_timeout(now);
        if let State::Resting(until) = self.state
            && until <= now
        {
            self.open(now);
        }
        while let State::Running(_, schedule) = &mut self.state
            && let Some(due) = schedule.poll(now, chance())
        {
            match due {
                Due::Announce => {
                    self.measure();
                    if self.sightings.take_refused() {
                        // A new subscription begins with everybody who is known.
                        self.tell(|mdns, _| mdns.listen());
                    }
                    self.register();
                }
                Due::Ask if self.sightings.len() > ANSWERS_ENOUGH => {}
                Due::Ask => self.tell(|mdns, _| mdns.ask()),
                Due::StopAsking => self.tell(|mdns, _| mdns.listen()),
                Due::StopLooking => self.tell(|mdns, _| mdns.look(false)),
                Due::MissEcho => self.trouble(
                    "our own announcement does not come back: multicast is blocked here, or \
                     another program holds UDP port 5353; `hallway doctor` finds out"
                        .into(),
                ),
            }
        }
    }

    /// Looks how much mdns-sd holds. Each time it is awake anyway: to wake it more often would
    /// double what an idle node costs, and would not stop a flood, which takes seconds.
    fn measure(&mut self) {
        let mut held = Some(0);
        self.tell(|mdns, _| {
            held = mdns.cached_records()?;
            Ok(())
        });
        match held {
            None => self.trouble("multicast DNS is flooded and cannot keep up".into()),
            Some(records) if records > RECORDS_MAX => self.close("too many records"),
            // Records may claim to live for 68 years: only forgetting all makes room.
            Some(_) if self.sightings.is_full() => self.close("too many announcements"),
            Some(_) => {}
        }
    }

    fn handle_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Seen(seen) if seen.id == self.profile.id => self.handle_own_id(seen, now),
            Event::Seen(seen) => self.sightings.handle_seen(seen, now),
            Event::Gone(peer) => self.sightings.handle_gone(peer, now),
            Event::Other => {}
        }
    }

    /// Our own words come back to us, unless they are somebody else's.
    fn handle_own_id(&mut self, seen: Seen, now: Instant) {
        let is_foreign = |address: &SocketAddr| {
            !self.own_addresses.contains(&address.ip()) || address.port() != self.profile.port
        };
        let addresses: Vec<_> = seen.addresses.into_iter().filter(is_foreign).collect();
        if addresses.is_empty() {
            if let State::Running(_, schedule) = &mut self.state {
                schedule.handle_echo();
            }
        } else if self
            .clone_told_at
            .is_none_or(|at| now.since(at) >= CLONE_AGAIN_AFTER)
        {
            self.clone_told_at = Some(now);
            self.findings.push_back(Found::Clone { addresses });
        }
    }

    /// The same trouble waits to be told only once.
    fn trouble(&mut self, why: String) {
        let trouble = Found::Trouble(why);
        if !self.findings.contains(&trouble) {
            self.findings.push_back(trouble);
        }
    }

    fn poll_found(&mut self, now: Instant) -> Option<Found> {
        let found = self.findings.pop_front();
        found.or_else(|| {
            self.sightings.poll(now).map(|change| match change {
                Change::Seen(seen) => Found::Seen(seen),
                Change::Gone(peer) => Found::Gone(peer),
            })
        })
    }

    fn deadline(&self) -> Instant {
        let due = match &self.state {
            State::Running(_, schedule) => schedule.deadline(),
            State::Closing(_, until) | State::Resting(until) => *until,
        };
        let now = self.now();
        let throttled = Some(self.reading.ready_at()).filter(|at| *at > now);
        due.min(self.sightings.deadline())
            .min(throttled.unwrap_or(due))
    }

    fn now(&self) -> Instant {
        Instant::default() + self.started.elapsed()
    }
}

fn addresses_of(links: &Snapshot) -> BTreeSet<IpAddr> {
    let all = links
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses);
    all.map(|subnet| subnet.address).collect()
}

/// Chance enough for spreading announcements out.
fn chance() -> u8 {
    let mut byte = [0];
    // Without entropy all nodes wait equally long, which is no fault.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    //! These run on loopback alone, with real packets.
    use super::*;
    use crate::links::Kind;

    fn loopback() -> Snapshot {
        let mut links = Snapshot::take().unwrap();
        links
            .interfaces
            .retain(|interface| interface.kind == Kind::Loopback);
        links
    }

    fn stranger() -> PeerId {
        let mut id = [0; 32];
        getrandom::fill(&mut id).unwrap();
        PeerId(id)
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn start(id: PeerId, port: u16, text: &str) -> Discovery {
        Discovery::start(id, port, true, &name(text), &loopback())
    }

    /// Everything of interest happens within this time, or something is broken.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Waits for a finding; other nodes may be on this host, and are passed over.
    async fn wait<T>(discovery: &mut Discovery, wanted: impl Fn(Found) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = discovery.next().await.and_then(&wanted) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("nothing was found")
    }

    fn seen_of(id: PeerId) -> impl Fn(Found) -> Option<Seen> {
        move |found| {
            let Found::Seen(seen) = found else {
                return None;
            };
            (seen.id == id).then_some(seen)
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn two_nodes_on_one_host_find_each_other_rename_and_leave() {
        let (a, b) = (stranger(), stranger());
        let (mut first, mut second) = (start(a, 1111, "Ann"), start(b, 2222, "Bob"));
        let (bob, ann) = tokio::join!(wait(&mut first, seen_of(b)), wait(&mut second, seen_of(a)));
        assert_eq!(
            (bob.name, bob.status, bob.fast_aes),
            (Some(name("Bob")), Status::Available, true)
        );
        assert!(bob.addresses.contains(&"127.0.0.1:2222".parse().unwrap()));
        assert!(ann.addresses.contains(&"127.0.0.1:1111".parse().unwrap()));

        second.announce(&name("Robert"), Status::Away);
        let renamed = |found| seen_of(b)(found).filter(|seen| seen.name == Some(name("Robert")));
        let robert = wait(&mut first, renamed).await;
        assert_eq!(robert.status, Status::Away);

        second.shutdown().await;
        wait(&mut first, |found| (found == Found::Gone(b)).then_some(())).await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn another_node_with_our_id_is_told() {
        let id = stranger();
        let (mut first, mut second) = (start(id, 1111, "Ann"), start(id, 2222, "Ann"));
        let clone = |found| {
            let Found::Clone { addresses } = found else {
                return None;
            };
            Some(addresses)
        };
        let addresses = tokio::select! {
            addresses = wait(&mut first, clone) => addresses,
            addresses = wait(&mut second, clone) => addresses,
        };
        assert!(
            addresses
                .iter()
                .all(|address| [1111, 2222].contains(&address.port()))
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_restart_of_the_library_forgets_nobody_who_is_there() {
        let (a, b) = (stranger(), stranger());
        let (mut first, mut second) = (start(a, 1111, "Ann"), start(b, 2222, "Bob"));
        tokio::join!(wait(&mut first, seen_of(b)), wait(&mut second, seen_of(a)));
        first.close("a test wants it");
        second.announce(&name("Robert"), Status::Busy);
        let renamed = |found| {
            assert_ne!(found, Found::Gone(b));
            seen_of(b)(found).filter(|seen| seen.status == Status::Busy)
        };
        wait(&mut first, renamed).await;
        assert!(matches!(first.state, State::Running(..)));
    }
}
