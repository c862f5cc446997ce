//! The interfaces of this host: what they are now, when they change, and which address of a peer
//! to try first.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Time between two looks at the interfaces. Plugging in a cable gives a dozen messages within
/// some milliseconds; the first is acted on at once and the rest are looked at together.
const SETTLE: Duration = Duration::from_millis(100);
/// Time between two looks where the system does not tell of changes.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// Names of adapters that software makes. A guess is enough: it decides the order, nothing else.
const VIRTUAL_PREFIXES: [&str; 26] = [
    "awdl",
    "br-",
    "bridge",
    "cali",
    "cni",
    "docker",
    "flannel",
    "gif",
    "ipsec",
    "llw",
    "lxc",
    "lxd",
    "nebula",
    "podman",
    "ppp",
    "stf",
    "tailscale",
    "tap",
    "tun",
    "utun",
    "vbox",
    "veth",
    "virbr",
    "vmnet",
    "wg",
    "zt",
];
/// The same on Windows, where names are words.
const VIRTUAL_WORDS: [&str; 5] = ["vethernet", "virtual", "vmware", "vpn", "wsl"];

/// An address of an interface and the length of its network prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    /// The address.
    pub address: IpAddr,
    /// Bits of it that the whole subnet shares.
    pub prefix: u8,
}

impl Subnet {
    /// Whether `ip` is in this subnet.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let differing = u32::from(ours) ^ u32::from(other);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let differing = u128::from(ours) ^ u128::from(other);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What an interface seems to be. The order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A network card.
    Physical,
    /// Made by software: a bridge, a container, a virtual machine.
    Virtual,
    /// Point to point, such as a VPN. It carries no multicast.
    Tunnel,
    /// This host only.
    Loopback,
}

/// One interface that has addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What it seems to be.
    pub kind: Kind,
    /// The number the system knows it by: the scope id of its link-local addresses.
    pub index: u32,
    /// The name the system knows it by.
    pub name: String,
    /// It is switched on and has a carrier.
    pub running: bool,
    /// Its addresses, sorted. IPv6 addresses whose uniqueness is still being checked are not
    /// among them, since nothing can be sent from them yet.
    pub addresses: Vec<Subnet>,
}

/// All interfaces at one moment, the preferred first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The interfaces.
    pub interfaces: Vec<Interface>,
}

impl Snapshot {
    /// Looks at the interfaces of this host.
    pub fn take() -> io::Result<Self> {
        let unready = unready_addresses();
        let mut interfaces: Vec<Interface> = Vec::new();
        for found in if_addrs::get_if_addrs()? {
            let Some(index) = found.index else { continue };
            let (address, prefix) = match &found.addr {
                if_addrs::IfAddr::V4(v4) => (IpAddr::V4(v4.ip), v4.prefixlen),
                if_addrs::IfAddr::V6(v6) => (IpAddr::V6(v6.ip), v6.prefixlen),
            };
            if unready.contains(&(address, index)) {
                continue;
            }
            let subnet = Subnet { address, prefix };
            match interfaces.iter_mut().find(|known| known.index == index) {
                Some(known) => known.addresses.push(subnet),
                None => interfaces.push(Interface {
                    kind: kind_of(&found.name, address.is_loopback(), found.is_p2p),
                    index,
                    running: found.is_oper_up(),
                    name: found.name,
                    addresses: vec![subnet],
                }),
            }
        }
        for interface in &mut interfaces {
            interface.addresses.sort();
            interface.addresses.dedup();
        }
        interfaces.sort_by_key(|interface| (interface.kind, interface.index));
        Ok(Self { interfaces })
    }

    /// The interfaces that can be used: those that run, and the loopback interface only where
    /// there is nothing else, so that nodes on one host find each other without a network.
    pub fn usable(&self) -> impl Iterator<Item = &Interface> {
        let alone = !self.has_network();
        let running = self.interfaces.iter().filter(|interface| interface.running);
        running.filter(move |interface| alone || interface.kind != Kind::Loopback)
    }

    /// Whether other hosts can be reached at all.
    pub fn has_network(&self) -> bool {
        let mut interfaces = self.interfaces.iter();
        interfaces.any(|interface| interface.running && interface.kind != Kind::Loopback)
    }

    /// Whether an interface that carries multicast to other hosts is up.
    pub fn has_multicast(&self) -> bool {
        let mut running = self.interfaces.iter().filter(|interface| interface.running);
        running.any(|interface| matches!(interface.kind, Kind::Physical | Kind::Virtual))
    }

    /// The addresses of the usable interfaces with this port, the preferred first.
    pub fn addresses(&self, port: u16) -> Vec<SocketAddr> {
        let on = |interface: &Interface| {
            let index = interface.index;
            let addresses = interface.addresses.clone();
            addresses
                .into_iter()
                .map(move |subnet| scoped(subnet.address, port, index))
        };
        self.usable().flat_map(on).collect()
    }
}

/// A socket address on an interface: link-local IPv6 addresses mean nothing without its number.
pub fn scoped(address: IpAddr, port: u16, index: u32) -> SocketAddr {
    let mut socket = SocketAddr::new(address, port);
    if let SocketAddr::V6(v6) = &mut socket
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(index);
    }
    socket
}

/// Where an address is as seen from here. The order is the order in which to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    InSubnet,
    /// After the others of the link: a peer with several interfaces may be announced with the
    /// link-local addresses of all of them on each, and only one is right.
    LinkLocal,
    Routed,
    OnVirtualLink,
}

/// Puts the addresses of a peer in the order in which to race them (RFC 8305 section 4): those in
/// a subnet of ours first, those behind virtual adapters last, IPv6 and IPv4 by turns. Link-local
/// addresses without the number of an interface of ours cannot be reached and are left out.
pub fn rank(addresses: &[SocketAddr], links: &Snapshot) -> Vec<SocketAddr> {
    let mut ranked: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    let placed: Vec<(Place, SocketAddr)> = addresses
        .iter()
        .filter_map(|address| Some((place_of(address, links)?, *address)))
        .collect();
    for place in [
        Place::InSubnet,
        Place::LinkLocal,
        Place::Routed,
        Place::OnVirtualLink,
    ] {
        let here = || {
            placed
                .iter()
                .filter(|(at, _)| *at == place)
                .map(|(_, address)| *address)
        };
        let mut v6 = here().filter(SocketAddr::is_ipv6);
        let mut v4 = here().filter(SocketAddr::is_ipv4);
        loop {
            let pair = [v6.next(), v4.next()];
            if pair == [None, None] {
                break;
            }
            for address in pair.into_iter().flatten() {
                if !ranked.contains(&address) {
                    ranked.push(address);
                }
            }
        }
    }
    ranked
}

/// `None` when the address cannot be reached from here at all.
fn place_of(address: &SocketAddr, links: &Snapshot) -> Option<Place> {
    let on = |interface: &Interface, place: Place| match interface.kind {
        Kind::Physical | Kind::Loopback => place,
        Kind::Virtual | Kind::Tunnel => Place::OnVirtualLink,
    };
    let mut running = links
        .interfaces
        .iter()
        .filter(|interface| interface.running);
    if let SocketAddr::V6(v6) = address
        && v6.ip().is_unicast_link_local()
    {
        let interface = running.find(|interface| interface.index == v6.scope_id())?;
        return Some(on(interface, Place::LinkLocal));
    }
    let ip = address.ip();
    let interface =
        running.find(|interface| interface.addresses.iter().any(|subnet| subnet.contains(ip)));
    Some(interface.map_or(Place::Routed, |interface| on(interface, Place::InSubnet)))
}

fn kind_of(name: &str, loopback: bool, point_to_point: bool) -> Kind {
    let lower = name.to_lowercase();
    if loopback {
        Kind::Loopback
    } else if point_to_point {
        Kind::Tunnel
    } else if VIRTUAL_PREFIXES
        .iter()
        .any(|prefix| lower.starts_with(prefix))
        || VIRTUAL_WORDS.iter().any(|word| lower.contains(word))
    {
        Kind::Virtual
    } else {
        Kind::Physical
    }
}

/// IPv6 addresses that cannot be used: duplicate detection (RFC 4862 section 5.4) is not over or
/// has failed. Other systems leave them out by themselves or do not tell.
fn unready_addresses() -> HashSet<(IpAddr, u32)> {
    if cfg!(target_os = "linux") {
        let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
        table.lines().filter_map(unready_address).collect()
    } else {
        HashSet::new()
    }
}

/// One line of `/proc/net/if_inet6`: address, index, prefix, scope and flags in hexadecimal, name.
fn unready_address(line: &str) -> Option<(IpAddr, u32)> {
    /// `IFA_F_TENTATIVE | IFA_F_DADFAILED` of `linux/if_addr.h`.
    const UNREADY: u32 = 0x40 | 0x08;
    let mut fields = line.split_whitespace();
    let address = Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
    let index = u32::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(2)?, 16).ok()?;
    (flags & UNREADY != 0).then_some((IpAddr::V6(address), index))
}

/// Watches the interfaces. Costs nothing while nothing changes.
#[derive(Debug)]
pub struct Links {
    snapshot: Snapshot,
    watch: Watch,
    stirred: bool,
    look_from: Instant,
}

impl Links {
    /// Takes the first snapshot and starts to watch. Needs a running tokio reactor.
    pub fn open() -> io::Result<Self> {
        // The watch comes first, so that no change falls between the two.
        let watch = Watch::open();
        Ok(Self {
            snapshot: Snapshot::take()?,
            watch,
            stirred: false,
            look_from: Instant::now(),
        })
    }

    /// The interfaces as last seen.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Waits until the interfaces or their addresses differ from the last snapshot. May be dropped
    /// and called again at any time: no change is lost.
    pub async fn changed(&mut self) -> &Snapshot {
        loop {
            if !self.stirred {
                self.watch.stirred().await;
                self.stirred = true;
            }
            sleep_until(self.look_from).await;
            self.watch.drain();
            self.stirred = false;
            self.look_from = Instant::now() + SETTLE;
            match Snapshot::take() {
                Ok(now) if now != self.snapshot => {
                    self.snapshot = now;
                    return &self.snapshot;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the interfaces cannot be listed"),
            }
        }
    }
}

/// Tells that something may have changed.
#[derive(Debug)]
enum Watch {
    #[cfg(target_os = "linux")]
    Netlink(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>),
    Poll(tokio::time::Interval),
}

impl Watch {
    #[cfg(target_os = "linux")]
    fn open() -> Self {
        netlink().map_or_else(
            |error| {
                tracing::debug!(%error, "no netlink here: interfaces are polled");
                Self::poll()
            },
            Self::Netlink,
        )
    }

    #[cfg(not(target_os = "linux"))]
    fn open() -> Self {
        Self::poll()
    }

    fn poll() -> Self {
        Self::Poll(tokio::time::interval_at(
            Instant::now() + POLL_EVERY,
            POLL_EVERY,
        ))
    }

    async fn stirred(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Netlink(socket) => {
                if let Err(error) = socket.readable().await {
                    tracing::warn!(%error, "the netlink socket failed: interfaces are polled");
                    *self = Self::poll();
                }
            }
            Self::Poll(interval) => {
                interval.tick().await;
            }
        }
    }

    /// Throws away the messages that have come: whatever they say, the answer is to look.
    fn drain(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Netlink(socket) => {
                let mut failures = 0;
                // One failure (the queue ran over) is a reason to look like any message is.
                while failures < 2 {
                    let outcome = socket.try_io(tokio::io::Interest::READABLE, |socket| {
                        let flags = rustix::net::RecvFlags::DONTWAIT;
                        Ok(rustix::net::recv(socket, &mut [0; 64], flags)?)
                    });
                    match outcome {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(_) => failures += 1,
                    }
                }
            }
            Self::Poll(_) => {}
        }
    }
}

/// A socket that gets a message whenever an interface or an address changes (rtnetlink(7)).
#[cfg(target_os = "linux")]
fn netlink() -> io::Result<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink, socket_with};
    const GROUP_LINK: u32 = 1;
    const GROUP_IPV4_ADDRESS: u32 = 0x10;
    const GROUP_IPV6_ADDRESS: u32 = 0x100;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol means `NETLINK_ROUTE`.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let groups = GROUP_LINK | GROUP_IPV4_ADDRESS | GROUP_IPV6_ADDRESS;
    bind(&socket, &netlink::SocketAddrNetlink::new(0, groups))?;
    // The replacement is unsafe to call, for types that lie about their descriptor; this one is
    // an `OwnedFd`.
    #[allow(
        deprecated,
        reason = "its safe form is deprecated for types other than ours"
    )]
    tokio::io::unix::AsyncFd::with_interest(socket, tokio::io::Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, index: u32, addresses: &[(&str, u8)]) -> Interface {
        let subnet = |(ip, prefix): &(&str, u8)| Subnet {
            address: ip.parse().unwrap(),
            prefix: *prefix,
        };
        let addresses: Vec<Subnet> = addresses.iter().map(subnet).collect();
        Interface {
            kind: kind_of(name, addresses[0].address.is_loopback(), false),
            index,
            name: name.to_owned(),
            running: true,
            addresses,
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            interfaces: vec![
                interface(
                    "eth0",
                    2,
                    &[("10.0.0.2", 24), ("fd00::2", 64), ("fe80::2", 64)],
                ),
                interface("docker0", 3, &[("172.17.0.1", 16), ("fe80::3", 64)]),
                interface("lo", 1, &[("127.0.0.1", 8), ("::1", 128)]),
            ],
        }
    }

    fn ranked(addresses: &[&str], links: &Snapshot) -> Vec<String> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        rank(&addresses, links)
            .iter()
            .map(SocketAddr::to_string)
            .collect()
    }

    #[test]
    fn a_subnet_contains_what_shares_its_prefix() {
        let subnet = |ip: &str, prefix| Subnet {
            address: ip.parse().unwrap(),
            prefix,
        };
        let holds = |subnet: Subnet, ip: &str| subnet.contains(ip.parse().unwrap());
        assert!(holds(subnet("10.1.2.3", 24), "10.1.2.255"));
        assert!(!holds(subnet("10.1.2.3", 24), "10.1.3.3"));
        assert!(holds(subnet("10.1.2.3", 0), "9.9.9.9"));
        assert!(holds(subnet("10.1.2.3", 32), "10.1.2.3"));
        assert!(!holds(subnet("10.1.2.3", 32), "10.1.2.2"));
        assert!(holds(subnet("fd00::1", 64), "fd00::ffff"));
        assert!(!holds(subnet("fd00::1", 64), "fd00:0:0:1::1"));
        assert!(!holds(subnet("0.0.0.0", 0), "::1"));
    }

    #[test]
    fn software_adapters_are_told_from_cards() {
        for name in [
            "eth0",
            "enp3s0",
            "wlan0",
            "wlp2s0",
            "en0",
            "br0",
            "Ethernet 2",
            "Wi-Fi",
        ] {
            assert_eq!(kind_of(name, false, false), Kind::Physical, "{name}");
        }
        for name in [
            "docker0",
            "br-3fa2",
            "veth12ab",
            "virbr0",
            "vmnet8",
            "vboxnet0",
            "zt5u4y",
            "wg0",
            "tailscale0",
            "utun3",
            "tap0",
            "vEthernet (WSL)",
            "VMware Network Adapter VMnet1",
        ] {
            assert_eq!(kind_of(name, false, false), Kind::Virtual, "{name}");
        }
        assert_eq!(kind_of("anything", false, true), Kind::Tunnel);
        assert_eq!(kind_of("lo", true, false), Kind::Loopback);
    }

    #[test]
    fn our_subnets_come_first_virtual_ones_last_and_families_take_turns() {
        let order = ranked(
            &[
                "172.17.0.9:1",
                "192.168.9.9:1",
                "10.0.0.9:1",
                "10.0.0.8:1",
                "[fd00::9]:1",
                "[fe80::9%2]:1",
                "[2001:db8::9]:1",
                "10.0.0.9:1",
            ],
            &snapshot(),
        );
        assert_eq!(
            order,
            [
                "[fd00::9]:1",
                "10.0.0.9:1",
                "10.0.0.8:1",
                "[fe80::9%2]:1",
                "[2001:db8::9]:1",
                "192.168.9.9:1",
                "172.17.0.9:1"
            ]
        );
    }

    #[test]
    fn link_local_addresses_need_an_interface_of_ours() {
        let links = snapshot();
        assert!(ranked(&["[fe80::9]:1", "[fe80::9%7]:1"], &links).is_empty());
        let order = ranked(&["[fe80::9%3]:1", "[fe80::9%2]:1"], &links);
        assert_eq!(order, ["[fe80::9%2]:1", "[fe80::9%3]:1"]);
        let mut down = links;
        down.interfaces[0].running = false;
        assert!(ranked(&["[fe80::9%2]:1"], &down).is_empty());
    }

    #[test]
    fn loopback_is_used_only_where_there_is_nothing_else() {
        let mut links = snapshot();
        let names = |links: &Snapshot| -> Vec<String> {
            links
                .usable()
                .map(|interface| interface.name.clone())
                .collect()
        };
        assert_eq!(names(&links), ["eth0", "docker0"]);
        assert!(links.has_network());
        assert_eq!(
            links.addresses(7)[..3],
            ["10.0.0.2:7", "[fd00::2]:7", "[fe80::2%2]:7"].map(|a| a.parse().unwrap())
        );
        links.interfaces[0].running = false;
        links.interfaces[1].running = false;
        assert_eq!(names(&links), ["lo"]);
        assert!(!links.has_network());
        assert_eq!(links.addresses(7)[0], "127.0.0.1:7".parse().unwrap());
    }

    #[test]
    fn addresses_under_duplicate_detection_are_left_out() {
        let line = |flags| format!("fe800000000000000000000000000009 0b 40 20 {flags}     eth0");
        let address = "fe80::9".parse::<IpAddr>().unwrap();
        assert_eq!(unready_address(&line("c0")), Some((address, 11)));
        assert_eq!(unready_address(&line("88")), Some((address, 11)));
        assert_eq!(unready_address(&line("80")), None);
        assert_eq!(unready_address("nonsense"), None);
        assert_eq!(unready_address(""), None);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_snapshot_has_the_loopback_interface() {
        let links = Links::open().unwrap();
        let mut interfaces = links.snapshot().interfaces.iter();
        assert!(interfaces.any(|interface| interface.kind == Kind::Loopback));
    }
}
