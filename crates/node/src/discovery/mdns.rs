//! mdns-sd as we use it: one service, no probing, our own choice of interfaces and addresses.
//!
//! The instance name is the text form of the peer id, and so is the host name: both are unique, so
//! nothing has to be probed for, there are no conflicts, and several nodes on one host do not meet
//! in one host name.

use super::Seen;
use super::txt::{self, Txt};
use crate::links::{Interface, Kind, Snapshot, scoped};
use hallway_model::{ADDRESSES_MAX, Name, PeerId, Status};
use mdns_sd::{
    DaemonStatus, IfKind, IfPredicate, Metrics, Receiver, ResolvedService, ScopedIp, ServiceDaemon,
    ServiceEvent, ServiceInfo,
};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The service as DNS-SD names it.
pub(crate) const SERVICE: &str = "_hallway._tcp.local.";
/// Addresses announced of one interface: with them an announcement fits one Ethernet frame.
pub(crate) const ADDRESSES_PER_INTERFACE_MAX: usize = 8;
/// How long a doubted peer may take to answer (RFC 6762 section 10.4).
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What we say of ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) id: PeerId,
    pub(crate) port: u16,
    pub(crate) name: Name,
    pub(crate) status: Status,
    pub(crate) fast_aes: bool,
}

/// What the library tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// An announcement, perhaps our own.
    Seen(Seen),
    /// An announcement was withdrawn or ran out.
    Gone(PeerId),
    /// Nothing of interest.
    Other,
}

/// A running mdns-sd. It has a thread of its own, which says goodbye and ends when this is dropped.
pub(crate) struct Mdns {
    daemon: ServiceDaemon,
    /// The present subscription, and before it those whose last events were not read yet.
    events: VecDeque<Receiver<ServiceEvent>>,
    metrics: Option<Receiver<Metrics>>,
    /// There is no network but loopback.
    alone: Arc<AtomicBool>,
}

impl Mdns {
    /// Starts it with these interfaces, announces us and asks who is there.
    pub(crate) fn open(profile: &Profile, links: &Snapshot) -> mdns_sd::Result<Self> {
        let daemon = ServiceDaemon::new()?;
        let (events, alone) = (VecDeque::new(), Arc::default());
        let mut mdns = Self {
            daemon,
            events,
            metrics: None,
            alone,
        };
        mdns.begin(profile, links)?;
        Ok(mdns)
    }

    fn begin(&mut self, profile: &Profile, links: &Snapshot) -> mdns_sd::Result<()> {
        // Changes are told to it. Looking for itself would wake it every five seconds.
        self.daemon.set_ip_check_interval(0)?;
        self.select(links)?;
        self.register(profile, links)?;
        self.ask()
    }

    /// Takes part on the interfaces there are now: on loopback only where there is no network, so
    /// that nodes on one host find each other all the same.
    pub(crate) fn select(&mut self, links: &Snapshot) -> mdns_sd::Result<()> {
        self.alone.store(!links.has_multicast(), Ordering::Relaxed);
        let alone = self.alone.clone();
        let unwanted = IfPredicate::new(move |interface| {
            interface.is_loopback() != alone.load(Ordering::Relaxed)
        });
        // Whenever it is told so, the library looks at the interfaces, and at what it was told
        // before: the same thing, with one answer for all.
        self.daemon.disable_interface(IfKind::Predicate(unwanted))
    }

    /// Announces us, for the first time or again.
    pub(crate) fn register(&mut self, profile: &Profile, links: &Snapshot) -> mdns_sd::Result<()> {
        let id = profile.id.to_string();
        let txt = Txt {
            version: Some(txt::VERSION),
            id: Some(profile.id),
            name: Some(profile.name.clone()),
            status: profile.status,
            fast_aes: profile.fast_aes,
        };
        let host = format!("{id}.local.");
        let addresses = announced_addresses(links);
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let (addresses, properties) = (addresses.join(","), txt.properties());
        let port = profile.port;
        let mut info = ServiceInfo::new(
            SERVICE,
            &id,
            &host,
            addresses.as_str(),
            port,
            properties.as_slice(),
        )?;
        info.set_requires_probe(false);
        self.daemon.register(info)
    }

    /// Asks everybody to answer until [`Mdns::listen`].
    pub(crate) fn ask(&mut self) -> mdns_sd::Result<()> {
        self.events.push_back(self.daemon.browse(SERVICE)?);
        Ok(())
    }

    /// Goes on without asking: announcements are heard all the same.
    pub(crate) fn listen(&mut self) -> mdns_sd::Result<()> {
        self.events.push_back(self.daemon.browse_cache(SERVICE)?);
        Ok(())
    }

    /// Asks for one peer. Without an answer it is [`Event::Gone`].
    pub(crate) fn verify(&mut self, peer: &PeerId) -> mdns_sd::Result<()> {
        self.daemon
            .verify(format!("{peer}.{SERVICE}"), ANSWER_WITHIN)
    }

    /// Whether it looks at the interfaces by itself, which finds those that are gone.
    pub(crate) fn look(&mut self, looking: bool) -> mdns_sd::Result<()> {
        self.daemon.set_ip_check_interval(u32::from(looking))
    }

    /// How many records of whatever service it held at the last call, and asks for the next
    /// count. `None` when it has not got round to answering.
    pub(crate) fn cached_records(&mut self) -> mdns_sd::Result<Option<i64>> {
        let next = self.daemon.get_metrics()?;
        let Some(asked) = self.metrics.replace(next) else {
            return Ok(Some(0));
        };
        let held = |(name, count): (&String, &i64)| {
            (name.starts_with("cached-") || name == "timer").then_some(*count)
        };
        Ok(asked
            .try_recv()
            .ok()
            .map(|metrics| metrics.iter().filter_map(held).sum()))
    }

    /// The next event; `None` when the subscription has ended. May be dropped at any time.
    pub(crate) async fn next(&mut self, links: &Snapshot) -> Option<Event> {
        loop {
            match self.events.front()?.recv_async().await {
                Ok(ServiceEvent::ServiceResolved(service)) => {
                    return Some(seen(&service, links).map_or(Event::Other, Event::Seen));
                }
                Ok(ServiceEvent::ServiceRemoved(_, instance)) => {
                    return Some(peer_of(&instance).map_or(Event::Other, Event::Gone));
                }
                Ok(_) => return Some(Event::Other),
                // A subscription that was replaced ends once its last event was read.
                Err(_) => {
                    self.events.pop_front();
                }
            }
        }
    }

    /// Says goodbye and ends the thread, which is done when something comes out. `None` when it
    /// has ended before.
    pub(crate) fn close(&self) -> Option<Receiver<DaemonStatus>> {
        // The queue of commands may be full; then the thread is busy, and there is no other way.
        self.daemon.shutdown().ok()
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        // Its thread would go on announcing us for as long as the process runs.
        drop(self.close());
    }
}

/// What we announce. A link-local IPv6 address is valid on its own interface only, but mdns-sd
/// cannot tell their subnets apart and would announce all of them on each; so those of virtual
/// adapters are left out where there is a card.
fn announced_addresses(links: &Snapshot) -> Vec<IpAddr> {
    let running = links
        .interfaces
        .iter()
        .filter(|interface| interface.running);
    let has_card = running
        .clone()
        .any(|interface| interface.kind == Kind::Physical);
    let taking_part = running.filter(|interface| match interface.kind {
        Kind::Physical | Kind::Virtual => true,
        Kind::Tunnel => false,
        Kind::Loopback => !links.has_multicast(),
    });
    let of = |interface: &Interface| {
        let announced = interface.kind == Kind::Physical || !has_card;
        let addresses = interface.addresses.iter().map(|subnet| subnet.address);
        let addresses = addresses.filter(|address| announced || !is_link_local_v6(address));
        addresses
            .take(ADDRESSES_PER_INTERFACE_MAX)
            .collect::<Vec<_>>()
    };
    taking_part.flat_map(of).collect()
}

fn is_link_local_v6(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The peer that an instance of the service belongs to.
fn peer_of(instance: &str) -> Option<PeerId> {
    instance
        .strip_suffix(SERVICE)?
        .strip_suffix('.')?
        .parse()
        .ok()
}

fn seen(service: &ResolvedService, links: &Snapshot) -> Option<Seen> {
    let id = peer_of(&service.fullname)?;
    let txt = txt::parse_txt(&txt::raw(&service.txt_properties));
    if service.port == 0 || txt.id.is_some_and(|claimed| claimed != id) {
        return None;
    }
    let endpoint = |ip: &ScopedIp| match ip {
        ScopedIp::V4(v4) => Some(SocketAddr::new(IpAddr::V4(*v4.addr()), service.port)),
        ScopedIp::V6(v6) => Some(scoped(
            IpAddr::V6(*v6.addr()),
            service.port,
            v6.scope_id().index,
        )),
        _ => None,
    };
    let endpoints = service.addresses.iter().filter_map(endpoint);
    let mut addresses: Vec<_> = endpoints
        .filter(|address| is_on_link(address, links))
        .collect();
    addresses.sort();
    addresses.truncate(ADDRESSES_MAX);
    let Txt {
        name,
        status,
        fast_aes,
        ..
    } = txt;
    (!addresses.is_empty()).then_some(Seen {
        id,
        name,
        status,
        fast_aes,
        addresses,
    })
}

/// Whether the address is on one of our links. Announcements are about the link they are heard on:
/// nobody there can make us dial a host somewhere else.
fn is_on_link(address: &SocketAddr, links: &Snapshot) -> bool {
    let mut usable = links.usable();
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            usable.any(|interface| interface.index == v6.scope_id())
        }
        SocketAddr::V4(v4) if v4.ip().is_link_local() => {
            usable.any(|interface| interface.kind != Kind::Loopback)
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => {
            let mut subnets = usable.flat_map(|interface| &interface.addresses);
            subnets.any(|subnet| subnet.contains(address.ip()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Subnet;

    fn interface(kind: Kind, name: &str, index: u32, addresses: &[(&str, u8)]) -> Interface {
        let subnet = |(ip, prefix): &(&str, u8)| Subnet {
            address: ip.parse().unwrap(),
            prefix: *prefix,
        };
        let addresses = addresses.iter().map(subnet).collect();
        Interface {
            kind,
            index,
            name: name.to_owned(),
            running: true,
            addresses,
        }
    }

    fn laptop() -> Snapshot {
        Snapshot {
            interfaces: vec![
                interface(
                    Kind::Physical,
                    "eth0",
                    2,
                    &[("10.0.0.2", 24), ("fe80::2", 64)],
                ),
                interface(
                    Kind::Virtual,
                    "docker0",
                    3,
                    &[("172.17.0.1", 16), ("fe80::3", 64)],
                ),
                interface(Kind::Tunnel, "wg0", 4, &[("10.9.0.1", 24)]),
                interface(Kind::Loopback, "lo", 1, &[("127.0.0.1", 8), ("::1", 128)]),
            ],
        }
    }

    fn announced(links: &Snapshot) -> Vec<String> {
        announced_addresses(links)
            .iter()
            .map(IpAddr::to_string)
            .collect()
    }

    #[test]
    fn every_multicast_interface_is_announced_and_no_tunnel() {
        let mut links = laptop();
        assert_eq!(announced(&links), ["10.0.0.2", "fe80::2", "172.17.0.1"]);
        links.interfaces[0].running = false;
        assert_eq!(announced(&links), ["172.17.0.1", "fe80::3"]);
        links.interfaces[1].running = false;
        assert_eq!(announced(&links), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn an_interface_with_many_addresses_announces_the_first() {
        let many: Vec<(String, u8)> = (1..=20).map(|n| (format!("10.0.0.{n}"), 24)).collect();
        let many: Vec<(&str, u8)> = many
            .iter()
            .map(|(ip, prefix)| (ip.as_str(), *prefix))
            .collect();
        let of = |count: usize| Snapshot {
            interfaces: vec![interface(Kind::Physical, "eth0", 2, &many[..count])],
        };
        let max = ADDRESSES_PER_INTERFACE_MAX;
        assert_eq!(announced(&of(max)).len(), max);
        assert_eq!(announced(&of(max + 1)).len(), max);
    }

    #[test]
    fn only_addresses_on_our_links_are_believed() {
        let links = laptop();
        let on_link = |address: &str| is_on_link(&address.parse().unwrap(), &links);
        for address in [
            "10.0.0.77:1",
            "172.17.3.4:1",
            "[fe80::9%2]:1",
            "169.254.3.4:1",
        ] {
            assert!(on_link(address), "{address}");
        }
        for address in [
            "8.8.8.8:1",
            "127.0.0.1:1",
            "0.0.0.0:1",
            "224.0.0.251:1",
            "255.255.255.255:1",
            "[::1]:1",
            "[2001:db8::1]:1",
            "[ff02::fb]:1",
            "[::]:1",
            "[fe80::9]:1",
            "[fe80::9%1]:1",
        ] {
            assert!(!on_link(address), "{address}");
        }
    }

    fn service(
        instance: &str,
        port: u16,
        addresses: &[&str],
        txt: &[(&str, &str)],
    ) -> ResolvedService {
        let info = ServiceInfo::new(
            SERVICE,
            instance,
            "h.local.",
            addresses.join(",").as_str(),
            port,
            txt,
        );
        info.unwrap().as_resolved_service()
    }

    #[test]
    fn an_announcement_is_read_and_nonsense_is_not() {
        let links = laptop();
        let id = PeerId([5; 32]);
        let name = id.to_string();
        let txt = [
            ("id", name.as_str()),
            ("n", "Ann"),
            ("s", "away"),
            ("a", "1"),
        ];
        let read = |service: &ResolvedService| seen(service, &links);
        assert_eq!(
            read(&service(&name, 7, &["10.0.0.9", "8.8.8.8"], &txt)),
            Some(Seen {
                id,
                name: Name::lenient("Ann"),
                status: Status::Away,
                fast_aes: true,
                addresses: vec!["10.0.0.9:7".parse().unwrap()],
            })
        );
        let bare = read(&service(&name, 7, &["10.0.0.9"], &[])).unwrap();
        assert_eq!(
            (bare.id, bare.name, bare.status),
            (id, None, Status::Available)
        );
        let other = PeerId([6; 32]).to_string();
        assert_eq!(
            read(&service(&name, 7, &["10.0.0.9"], &[("id", &other)])),
            None
        );
        assert_eq!(read(&service("printer", 7, &["10.0.0.9"], &txt)), None);
        assert_eq!(read(&service(&name, 0, &["10.0.0.9"], &txt)), None);
        assert_eq!(read(&service(&name, 7, &["8.8.8.8"], &txt)), None);
        assert_eq!(read(&service(&name, 7, &[], &txt)), None);
    }

    #[test]
    fn no_more_addresses_are_kept_than_a_peer_may_have() {
        let id = PeerId([5; 32]).to_string();
        let addresses: Vec<String> = (10..60).map(|n| format!("10.0.0.{n}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let kept = |count: usize| {
            seen(&service(&id, 7, &addresses[..count], &[]), &laptop())
                .unwrap()
                .addresses
                .len()
        };
        assert_eq!(kept(ADDRESSES_MAX), ADDRESSES_MAX);
        assert_eq!(kept(ADDRESSES_MAX + 1), ADDRESSES_MAX);
    }
}
