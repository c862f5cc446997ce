//! A throw-away LAN: hosts in network namespaces on one switch, driven from a test.
//!
//! The namespaces have no names. They live by the file descriptors of this process alone, so
//! that LANs of tests in parallel cannot meet and nothing remains, however the test ends.
//!
//! Operations panic when the system refuses them: in a test there is nothing else to do.

mod flood;
mod harness;
mod namespace;
mod process;
mod switch;
mod wire;

pub use flood::Flood;
pub use harness::{main, main_with};
pub use process::Process;
pub use switch::Port;
pub use wire::{Bursts, Jitter, Line, Rate, Stalls, Tally, Wire};

pub(crate) use namespace::{Namespace, tool};
pub(crate) use process::mortal;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use switch::Policy;

/// Debian packages with the programs the lab calls, as its error messages name them.
pub const PACKAGES: &str = "ethtool iproute2 nftables util-linux";

/// Ethernet's own, and what home networks use.
const MTU: u16 = 1500;
/// How long a shaped link may hold a packet before it drops it.
const RATE_QUEUE_MS: u32 = 50;
/// A cable carries at once; only one that never does is waited for this long.
const CARRIED_WITHIN: Duration = Duration::from_secs(60);
/// A shaped link lets this through at once: enough for one segment as large as TCP hands over.
const RATE_BURST_BYTES: u32 = 65_536;

/// Why the system refused something to the lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program is not installed.
    #[error("{program} is not installed: apt-get install {packages}")]
    Missing {
        /// Which.
        program: String,
        /// The Debian packages that have it and its like.
        packages: &'static str,
    },
    /// A program could not be started for another reason, or the kernel refused a call.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// A program ran and failed.
    #[error("{command} failed: {stderr}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        stderr: String,
    },
}

/// Hosts on one switch, without a router: no default route, no DNS, no Internet. Hosts count
/// from 0. Each has `eth0` with `10.77.0.(i+1)/24`, `fd77::(i+1)/64` and `fe80::77:(i+1)/64`.
#[derive(Debug)]
pub struct Lan {
    plan: Builder,
    switch: Namespace,
    hosts: Vec<Namespace>,
    policies: Mutex<BTreeMap<Port, Policy>>,
}

/// What a [`Lan`] shall be.
#[derive(Clone, Debug)]
pub struct Builder {
    hosts: usize,
    ipv4: bool,
    ipv6: bool,
    mtu: u16,
}

impl Builder {
    /// How many hosts.
    pub fn hosts(mut self, hosts: usize) -> Self {
        self.hosts = hosts;
        self
    }

    /// Whether the hosts have IPv4 addresses; they do unless told otherwise.
    pub fn ipv4(mut self, on: bool) -> Self {
        self.ipv4 = on;
        self
    }

    /// Whether the hosts have IPv6 addresses, link-local included; they do unless told otherwise.
    pub fn ipv6(mut self, on: bool) -> Self {
        self.ipv6 = on;
        self
    }

    /// Largest packet in bytes.
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// Sets the LAN up.
    pub fn build(self) -> Lan {
        self.try_build()
            .unwrap_or_else(|e| panic!("no LAN for this test: {e}"))
    }

    pub(crate) fn try_build(self) -> Result<Lan, LabError> {
        let lan = Lan {
            switch: Namespace::new()?,
            hosts: (0..self.hosts)
                .map(|_| Namespace::new())
                .collect::<Result<_, _>>()?,
            policies: Mutex::default(),
            plan: self,
        };
        lan.switch.feed("nft", &["-f", "-"], switch::TABLE)?;
        lan.add_segment(0)?;
        for host in 0..lan.hosts.len() {
            lan.hosts[host].run("ip", &["link", "set", "lo", "up"])?;
            lan.plug(Port::from(host))?;
        }
        Ok(lan)
    }
}

impl Lan {
    /// A LAN of two hosts, to be changed at will.
    pub fn builder() -> Builder {
        Builder {
            hosts: 2,
            ipv4: true,
            ipv6: true,
            mtu: MTU,
        }
    }

    /// A LAN of so many hosts with IPv4 and IPv6.
    pub fn of(hosts: usize) -> Self {
        Self::builder().hosts(hosts).build()
    }

    /// Runs something on a host: sockets it opens, and threads and processes it starts, belong
    /// to that host for good.
    pub fn inside<T: Send>(&self, host: usize, job: impl FnOnce() -> T + Send) -> T {
        self.hosts[host].enter(job)
    }

    /// Starts a program on a host. It dies with the returned value.
    pub fn spawn(&self, host: usize, program: &str, args: &[&str]) -> Process {
        let mut command = mortal(program);
        command.args(args);
        Process::spawn(&self.hosts[host], command)
            .unwrap_or_else(|e| panic!("{program} on host {host}: {e}"))
    }

    /// Runs a program on a host to its end and returns what it printed.
    #[track_caller]
    pub fn run(&self, host: usize, program: &str, args: &[&str]) -> String {
        done(self.hosts[host].run(program, args))
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    pub(crate) fn namespace(&self, host: usize) -> Namespace {
        self.hosts[host].clone()
    }

    /// The IPv4 address of a port's host there, whether it has one or not.
    pub fn ipv4(&self, port: impl Into<Port>) -> IpAddr {
        let [_, _, segment, host] = port.into().bytes();
        Ipv4Addr::new(10, 77, segment, host).into()
    }

    /// The unique local IPv6 address of a port's host there, whether it has one or not.
    pub fn ipv6(&self, port: impl Into<Port>) -> IpAddr {
        let [_, _, segment, host] = port.into().bytes().map(u16::from);
        Ipv6Addr::new(0xfd77, 0, 0, segment, 0, 0, 0, host).into()
    }

    /// The link-local IPv6 address of a port's host there, whether it has one or not.
    pub fn link_local(&self, port: impl Into<Port>) -> Ipv6Addr {
        let [_, _, segment, host] = port.into().bytes().map(u16::from);
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, segment, 0x77, host)
    }

    /// The index of an interface on its host: the scope of a link-local address there.
    pub fn scope_id(&self, port: impl Into<Port>) -> u32 {
        let port = port.into();
        self.hosts[port.host].enter(|| {
            let any = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("lo is up");
            rustix::net::netdevice::name_to_index(any, &port.interface()).expect("it is plugged in")
        })
    }

    /// Pulls the cable of a host: its interface loses carrier.
    #[track_caller]
    pub fn cut(&self, port: impl Into<Port>) {
        done(self.set_port(port.into(), &["down"]));
    }

    /// Puts the cable back. The host's interface has to be up.
    #[track_caller]
    pub fn heal(&self, port: impl Into<Port>) {
        let port = port.into();
        done(self.set_port(port, &["up"]));
        done(self.until_carried(port));
    }

    /// Lets nothing through to and from a host, in silence: its interface keeps carrier.
    #[track_caller]
    pub fn mute(&self, port: impl Into<Port>) {
        self.change(port.into(), |policy| policy.muted = true);
    }

    /// Ends [`Lan::mute`].
    #[track_caller]
    pub fn unmute(&self, port: impl Into<Port>) {
        self.change(port.into(), |policy| policy.muted = false);
    }

    /// Drops this share of the packets from and to a host, each by chance, less than all.
    #[track_caller]
    pub fn loss(&self, port: impl Into<Port>, percent: u32) {
        assert!(percent < 100, "{percent} % of loss: use mute");
        self.change(port.into(), |policy| policy.loss_percent = percent);
    }

    /// Whether multicast and broadcast datagrams pass from and to a host, as some access points
    /// forbid. Address resolution passes in any case.
    #[track_caller]
    pub fn multicast(&self, port: impl Into<Port>, on: bool) {
        self.change(port.into(), |policy| policy.no_multicast = !on);
    }

    /// Whether others can open TCP connections to a host, as many firewalls forbid; what the host
    /// opens itself works.
    #[track_caller]
    pub fn inbound(&self, host: usize, on: bool) {
        let rules = if on {
            switch::NO_FIREWALL
        } else {
            switch::FIREWALL
        };
        done(self.hosts[host].feed("nft", &["-f", "-"], rules));
    }

    /// Keeps isolated hosts from each other, as guest networks do: each still sees the rest.
    #[track_caller]
    pub fn isolate(&self, port: impl Into<Port>, on: bool) {
        let isolated = if on { "on" } else { "off" };
        done(self.set_port(port.into(), &["type", "bridge_slave", "isolated", isolated]));
    }

    /// Limits a host's link to so many bytes per second in each direction, or no longer.
    #[track_caller]
    pub fn rate(&self, port: impl Into<Port>, bytes_per_second: Option<u32>) {
        let port = port.into();
        let ends = [
            (&self.switch, port.name()),
            (&self.hosts[port.host], port.interface()),
        ];
        for (namespace, device) in ends {
            let shaped = namespace.run("tc", &["qdisc", "show", "dev", &device]);
            if done(shaped).contains("tbf") {
                done(namespace.run("tc", &["qdisc", "del", "dev", &device, "root"]));
            }
            if let Some(rate) = bytes_per_second {
                let line = format!(
                    "qdisc add dev {device} root tbf rate {rate}bps \
                     burst {RATE_BURST_BYTES} latency {RATE_QUEUE_MS}ms"
                );
                done(namespace.feed("tc", &["-batch", "-"], &line));
            }
        }
    }

    /// Gives a host one more address, with the prefix length of this LAN.
    #[track_caller]
    pub fn add_address(&self, port: impl Into<Port>, address: IpAddr) {
        let port = port.into();
        let line = add_address(&port.interface(), address);
        done(self.hosts[port.host].feed("ip", &["-batch", "-"], &line));
    }

    /// Takes one address from a host.
    #[track_caller]
    pub fn remove_address(&self, port: impl Into<Port>, address: IpAddr) {
        let port = port.into();
        let (address, device) = (with_prefix(address), port.interface());
        done(self.hosts[port.host].run("ip", &["addr", "del", &address, "dev", &device]));
    }

    /// Takes all addresses from a host's interface.
    #[track_caller]
    pub fn flush(&self, port: impl Into<Port>) {
        let port = port.into();
        let device = port.interface();
        done(self.hosts[port.host].run("ip", &["addr", "flush", "dev", &device]));
    }

    /// Gives a host a second interface, `eth1`, on a second switch with a network of its own:
    /// `10.77.1.(i+1)/24` and so on. The returned port names it.
    #[track_caller]
    pub fn add_interface(&self, host: usize) -> Port {
        let port = Port { host, segment: 1 };
        if self.switch.run("ip", &["link", "show", "br1"]).is_err() {
            done(self.add_segment(port.segment));
        }
        done(self.plug(port));
        port
    }

    /// mDNS packets that the hosts have sent so far, on all switches, each counted once.
    #[track_caller]
    pub fn mdns_packets(&self) -> u64 {
        let listed = done(self.switch.run("nft", switch::LIST_MDNS));
        switch::packets(&listed).unwrap_or_else(|| panic!("nft tells no count: {listed}"))
    }

    /// Bytes that a host has sent from `eth0` so far, without the headers of TCP over IPv4 that
    /// each packet has at least: what its programs have sent, and a little more.
    #[track_caller]
    pub fn payload_sent(&self, host: usize) -> u64 {
        const HEADERS: u64 = 14 + 20 + 32;
        let listed = self.run(host, "cat", &["/proc/net/dev"]);
        let line = listed
            .lines()
            .find_map(|line| line.trim().strip_prefix("eth0:"));
        let numbers: Option<Vec<u64>> = line.map(|line| {
            line.split_whitespace()
                .filter_map(|n| n.parse().ok())
                .collect()
        });
        // proc_net(5): eight numbers of what came in, then bytes and packets of what went out.
        match numbers.as_deref() {
            Some([_, _, _, _, _, _, _, _, bytes, packets, ..]) => bytes - packets * HEADERS,
            _ => panic!("no numbers of eth0: {listed}"),
        }
    }

    fn add_segment(&self, segment: u8) -> Result<(), LabError> {
        // Snooping would hold multicast back until the hosts' reports are in.
        let text = format!(
            "link add br{segment} mtu {mtu} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n\
             link set br{segment} addrgenmode none\n\
             link set br{segment} up\n",
            mtu = self.plan.mtu
        );
        self.switch.feed("ip", &["-batch", "-"], &text).map(drop)
    }

    fn plug(&self, port: Port) -> Result<(), LabError> {
        let host = &self.hosts[port.host];
        let [a, b, c, d] = port.bytes();
        let (name, device, mtu) = (port.name(), port.interface(), self.plan.mtu);
        let text = format!(
            "link add {name} mtu {mtu} type veth peer name {device} mtu {mtu} \
             address 02:77:{a:02x}:{b:02x}:{c:02x}:{d:02x} netns {path}\n\
             link set {name} addrgenmode none\n\
             link set {name} master br{segment} up\n",
            path = host.path(),
            segment = port.segment
        );
        self.switch.feed("ip", &["-batch", "-"], &text)?;

        // Link-local addresses are given, not generated: they are there at once, without the
        // second that duplicate address detection takes.
        let mut text = format!("link set {device} addrgenmode none\nlink set {device} up\n");
        let mut add = |address| text.push_str(&add_address(&device, address));
        if self.plan.ipv4 {
            add(self.ipv4(port));
        }
        if self.plan.ipv6 {
            add(self.ipv6(port));
            add(self.link_local(port).into());
        }
        host.feed("ip", &["-batch", "-"], &text)?;
        self.until_carried(port)
    }

    /// Waits until a cable carries packets: of a new carrier the kernel tells the switch and
    /// whoever asks the host a moment later, and until then the switch drops them.
    fn until_carried(&self, port: Port) -> Result<(), LabError> {
        let ends = [
            (&self.switch, port.name(), r#""state":"forwarding""#),
            (
                &self.hosts[port.host],
                port.interface(),
                r#""operstate":"UP""#,
            ),
        ];
        let until = Instant::now() + CARRIED_WITHIN;
        for (namespace, device, sign) in ends {
            let look = ["-json", "-details", "link", "show", "dev", &device];
            while !namespace.run("ip", &look)?.contains(sign) {
                assert!(Instant::now() < until, "{device} carries nothing");
            }
        }
        Ok(())
    }

    fn set_port(&self, port: Port, what: &[&str]) -> Result<(), LabError> {
        let name = port.name();
        let args = [&["link", "set", "dev", &name], what].concat();
        self.switch.run("ip", &args).map(drop)
    }

    #[track_caller]
    fn change(&self, port: Port, change: impl FnOnce(&mut Policy)) {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        change(policies.entry(port).or_default());
        done(
            self.switch
                .feed("nft", &["-f", "-"], &switch::rules(&policies)),
        );
    }
}

fn with_prefix(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 24 } else { 64 };
    format!("{address}/{length}")
}

fn add_address(device: &str, address: IpAddr) -> String {
    let mut line = format!("addr add {} dev {device} ", with_prefix(address));
    let how = if address.is_ipv4() { "brd +" } else { "nodad" };
    let _ = writeln!(line, "{how}");
    line
}

#[track_caller]
fn done<T>(result: Result<T, LabError>) -> T {
    result.unwrap_or_else(|e| panic!("lab: {e}"))
}
