//! Why somebody is not seen: looks at this host, its network and its peers, in the order in which
//! a message would meet them, and says what to do and whose side it is on.

use crate::audio::{Devices, Preferences, Source};
use crate::config::Config;
use crate::handle::Handle;
use crate::home::{Home, HomeError};
use crate::links::{Interface, Kind, Snapshot, scoped};
use hallway_model::{
    Answer, Check, Command, Outcome, PORT_DEFAULT, PeerView, Presence, Report, SoundDirection,
    StatusView,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long a host of the same network may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a multicast packet may take to come back to its own host.
const ECHO_WITHIN: Duration = Duration::from_millis(500);
/// Peers that are tried, so that the answer comes soon on a large network.
const PEERS_TRIED: usize = 8;
/// A clock this far off makes the times in a conversation misleading.
const SKEW_MS_MAX: u64 = 120_000;
/// Less room than this and the history will soon not fit.
const FREE_BYTES_MIN: u64 = 100 << 20;
/// The port and the groups of mDNS (RFC 6762 section 3).
const MDNS_PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Examines this host and, with a running node, its peers; `peer` narrows it to one of them.
pub async fn run(home: &Home, node: Option<&Handle>, peer: Option<&PeerView>) -> Report {
    let mut checks = Vec::new();
    let (status, peers) = match node {
        Some(node) => ask(node).await,
        None => (None, Vec::new()),
    };
    checks.push(check_node(home, status.as_ref()));
    checks.push(check_disk(home.path()));
    match Snapshot::take() {
        Ok(links) => {
            checks.push(check_interfaces(&links));
            for interface in links.usable() {
                checks.push(check_multicast(interface).await);
            }
        }
        Err(error) => checks.push(fail(
            "interfaces",
            format!("the network interfaces cannot be listed: {error}"),
            "run doctor as the user who runs the node, outside of any sandbox",
        )),
    }
    let port = status.as_ref().map_or(PORT_DEFAULT, |status| status.port);
    checks.push(check_firewall(port));
    if let Some(status) = &status {
        checks.push(check_own_port(status).await);
        checks.push(check_identity(status));
        match peer {
            Some(peer) => checks.push(check_reach(peer).await),
            None => {
                checks.push(check_company(&peers));
                let far = peers
                    .iter()
                    .filter(|p| p.state == Presence::Nearby && !p.blocked);
                for peer in far.take(PEERS_TRIED) {
                    checks.push(check_reach(peer).await);
                }
            }
        }
        let examined = peers
            .iter()
            .filter(|p| peer.is_none_or(|wanted| wanted.id == p.id));
        checks.extend(examined.filter_map(check_clock));
    }
    let devices = match node {
        Some(node) => Some(node.devices().clone()),
        None => Config::load(home).ok().map(|config| {
            let preferences = Preferences::new(&config, None, None);
            Devices::new(Source::Devices(preferences), home.devices())
        }),
    };
    if let Some(devices) = devices {
        checks.push(check_audio(devices).await);
    }
    Report { checks }
}

/// Whether calls have a microphone and a speaker.
async fn check_audio(devices: Devices) -> Check {
    let listing = tokio::task::spawn_blocking(move || devices.list());
    let Ok(Ok(view)) = timeout(ANSWER_WITHIN * 2, listing).await else {
        return warn(
            "audio",
            "the sound server does not answer".into(),
            "start it again: `systemctl --user restart pipewire pipewire-pulse wireplumber`, or \
             `pulseaudio --kill`; until then calls have no sound",
        );
    };
    if let Some(problem) = view.problem {
        return warn(
            "audio",
            problem,
            "`hallway devices` lists and chooses sound devices; without a microphone a call only \
             listens, without any device it still rings",
        );
    }
    let chosen = |direction| {
        let mut chosen = view.devices.iter().filter(|device| device.chosen);
        let device = chosen.find(|device| device.direction == direction);
        device.map_or("none", |device| device.name.as_str())
    };
    let (input, output) = (
        chosen(SoundDirection::Input),
        chosen(SoundDirection::Output),
    );
    ok("audio", format!("microphone {input}, speaker {output}"))
}

async fn ask(node: &Handle) -> (Option<StatusView>, Vec<PeerView>) {
    let status = match node.ask(Command::Status).await {
        Ok(Ok(Answer::Status(status))) => Some(*status),
        _ => None,
    };
    let peers = match node.ask(Command::Peers).await {
        Ok(Ok(Answer::Peers(peers))) => peers,
        _ => Vec::new(),
    };
    (status, peers)
}

fn check_node(home: &Home, status: Option<&StatusView>) -> Check {
    match status {
        Some(status) => ok(
            "node",
            format!("running as {} on port {}", status.name, status.port),
        ),
        None => match home.lock() {
            Err(error @ HomeError::Running { .. }) => fail(
                "node",
                format!("a node is there but does not answer: {error}"),
                "stop that process and start the node again with `hallway up`",
            ),
            // Whatever else stands in its way, starting it tells.
            Ok(_) | Err(_) => fail(
                "node",
                "no node is running".into(),
                "start it with `hallway up`",
            ),
        },
    }
}

fn check_disk(home: &Path) -> Check {
    // A new home is made on the disk of the folder that it will be in.
    let there = home.ancestors().find(|folder| folder.exists());
    match rustix::fs::statvfs(there.unwrap_or(home)) {
        Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < FREE_BYTES_MIN => fail(
            "disk",
            format!(
                "only {} MiB are free",
                disk.f_bavail.saturating_mul(disk.f_frsize) >> 20
            ),
            "free some space: messages that do not fit on the disk are refused",
        ),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
            ok("disk", format!("{free} MiB are free in {}", home.display()))
        }
        Err(error) => warn(
            "disk",
            format!("the free space of {} is unknown: {error}", home.display()),
            "check that the folder exists and may be read",
        ),
    }
}

fn check_interfaces(links: &Snapshot) -> Check {
    let listed = |interface: &Interface| {
        let addresses: Vec<_> = interface
            .addresses
            .iter()
            .map(|subnet| subnet.address.to_string())
            .collect();
        format!("{} ({})", interface.name, addresses.join(", "))
    };
    let usable: Vec<_> = links
        .usable()
        .filter(|interface| interface.kind != Kind::Loopback)
        .map(listed)
        .collect();
    if usable.is_empty() {
        return fail(
            "interfaces",
            "no network interface is up with an address".into(),
            "plug in a cable or join a Wi-Fi network; without one only nodes on this host are seen",
        );
    }
    ok("interfaces", usable.join("; "))
}

/// Sends a packet to the group and port of mDNS on one interface and waits for it to come back,
/// which takes the same way through this host's own firewall as an announcement.
async fn check_multicast(interface: &Interface) -> Check {
    let name = &interface.name;
    let mut heard = Vec::new();
    let mut failed = Vec::new();
    let v4 = interface
        .addresses
        .iter()
        .find_map(|subnet| match subnet.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
    if let Some(address) = v4 {
        match echo(multicast_v4(address)).await {
            Ok(()) => heard.push("IPv4"),
            Err(error) => failed.push(format!("IPv4: {error}")),
        }
    }
    if interface
        .addresses
        .iter()
        .any(|subnet| subnet.address.is_ipv6())
    {
        match echo(multicast_v6(interface.index)).await {
            Ok(()) => heard.push("IPv6"),
            Err(error) => failed.push(format!("IPv6: {error}")),
        }
    }
    let advice = "a firewall on this host or the interface itself drops multicast: allow UDP port \
                  5353 in and out; until then `hallway connect ADDRESS` reaches people directly";
    match (heard.is_empty(), failed.is_empty()) {
        (false, _) => ok(
            "multicast",
            format!("works on {name} ({})", heard.join(" and ")),
        ),
        (true, false) => fail(
            "multicast",
            format!("{name}: {}", failed.join("; ")),
            advice,
        ),
        (true, true) => warn("multicast", format!("{name} has no usable address"), advice),
    }
}

/// A socket on the interface that has joined the group, and where to send.
fn multicast_v4(address: Ipv4Addr) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = shared_socket(Domain::IPV4)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, MDNS_PORT).into())?;
    socket.join_multicast_v4(&GROUP_V4, &address)?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_loop_v4(true)?;
    let group = SocketAddr::new(GROUP_V4.into(), MDNS_PORT);
    Ok((UdpSocket::from_std(socket.into())?, group))
}

fn multicast_v6(index: u32) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = shared_socket(Domain::IPV6)?;
    socket.set_only_v6(true)?;
    socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, MDNS_PORT, 0, 0).into())?;
    socket.join_multicast_v6(&GROUP_V6, index)?;
    socket.set_multicast_if_v6(index)?;
    socket.set_multicast_loop_v6(true)?;
    let group = scoped(GROUP_V6.into(), MDNS_PORT, index);
    Ok((UdpSocket::from_std(socket.into())?, group))
}

/// Every program that speaks mDNS shares its port.
fn shared_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

async fn echo(prepared: io::Result<(UdpSocket, SocketAddr)>) -> io::Result<()> {
    let (socket, group) = prepared?;
    let question = question()?;
    socket.send_to(&question, group).await?;
    let back = async {
        let mut heard = [0; 1500];
        // Others may be talking, too.
        while socket.recv(&mut heard).await? != question.len()
            || heard[..question.len()] != question
        {}
        Ok(())
    };
    timeout(ECHO_WITHIN, back).await.unwrap_or_else(|_| {
        let why = "a packet sent to the group did not come back";
        Err(io::Error::other(why))
    })
}

/// A question (RFC 1035 section 4.1) for the address of a host that nobody is, by which this
/// packet is told from all others.
fn question() -> io::Result<Vec<u8>> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let label = format!("hallway-doctor-{:016x}", u64::from_be_bytes(random));
    // No id, no flags, one question, nothing else.
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [label.as_str(), "local"] {
        packet.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        packet.extend(label.as_bytes());
    }
    // The root, then type A and class IN.
    packet.extend([0, 0, 1, 0, 1]);
    Ok(packet)
}

/// Firewalls that Debian, Ubuntu and Fedora ship, by what they leave on the disk.
fn check_firewall(port: u16) -> Check {
    let ufw = std::fs::read_to_string("/etc/ufw/ufw.conf").unwrap_or_default();
    if ufw
        .lines()
        .any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
    {
        return warn(
            "firewall",
            "ufw is switched on here".into(),
            &format!("let others in: `sudo ufw allow {port}` and `sudo ufw allow 5353/udp`"),
        );
    }
    if Path::new("/run/firewalld").exists() {
        return warn(
            "firewall",
            "firewalld runs here".into(),
            &format!(
                "let others in: `sudo firewall-cmd --permanent --add-service=mdns \
                 --add-port={port}/tcp --add-port={port}/udp && sudo firewall-cmd --reload`"
            ),
        );
    }
    ok("firewall", "no ufw and no firewalld on this host".into())
}

async fn check_own_port(status: &StatusView) -> Check {
    let mut refused = Vec::new();
    for address in &status.addresses {
        match timeout(ANSWER_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => refused.push(format!("{address}: {error}")),
            Err(_) => refused.push(format!("{address}: no answer")),
        }
    }
    if refused.is_empty() {
        return ok(
            "port",
            format!("this node answers at its port {}", status.port),
        );
    }
    fail(
        "port",
        format!(
            "this node does not answer at its own address: {}",
            refused.join("; ")
        ),
        "a firewall on this host blocks the port: allow it for incoming TCP and UDP",
    )
}

fn check_identity(status: &StatusView) -> Check {
    let count = |name: &str| {
        status
            .counters
            .iter()
            .find(|counter| counter.name == name)
            .map_or(0, |c| c.count)
    };
    if count("own_id_announced") + count("cloned_identity") == 0 {
        return ok("identity", "no other node uses this node's key".into());
    }
    fail(
        "identity",
        "another node on this network uses this node's key".into(),
        "a data directory was copied and runs on two hosts: stop one, or give it a fresh directory",
    )
}

fn check_company(peers: &[PeerView]) -> Check {
    let here = peers
        .iter()
        .filter(|peer| peer.state != Presence::Offline)
        .count();
    match here {
        0 => {}
        1 => return ok("company", "one other node is seen".into()),
        _ => return ok("company", format!("{here} other nodes are seen")),
    }
    warn(
        "company",
        "no other node is seen".into(),
        "either nobody else runs Hallway on this network yet, or the network keeps its hosts \
         apart: guest Wi-Fi with client isolation, different VLANs or subnets, or a switch that \
         drops multicast. `hallway connect ADDRESS` tries one host directly; `hallway echo` gives \
         you somebody to talk to on this host",
    )
}

async fn check_reach(peer: &PeerView) -> Check {
    let name = format!("{}~{}", peer.name, peer.tag);
    if peer.blocked {
        let advice = format!("`hallway unblock {}` lets them in again", peer.tag);
        return warn("peer", format!("{name} is blocked here"), &advice);
    }
    if peer.state == Presence::Live {
        return ok("peer", format!("{name} is connected"));
    }
    if peer.addresses.is_empty() {
        return fail(
            "peer",
            format!("{name} is not announced and no address is known"),
            "their node may be off, or on another network; ask them to run `hallway doctor`",
        );
    }
    let mut silent = Vec::new();
    let mut refused = Vec::new();
    for address in &peer.addresses {
        match timeout(ANSWER_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return ok("peer", format!("{name} answers at {address}")),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                refused.push(address.to_string());
            }
            Ok(Err(_)) | Err(_) => silent.push(address.to_string()),
        }
    }
    if !refused.is_empty() {
        return fail(
            "peer",
            format!(
                "{name}: the host at {} answers, but no node does",
                refused.join(", ")
            ),
            "their node has stopped or uses another port; on their side, start it again",
        );
    }
    let advice = if peer.state == Presence::Nearby {
        "they are announced but cannot be reached: either their host has a firewall (on their \
         side, allow the port), or the Wi-Fi isolates its clients (in the access point, switch off \
         client isolation)"
    } else {
        "their host is off, away, or on another network"
    };
    fail(
        "peer",
        format!("{name} does not answer at {}", silent.join(", ")),
        advice,
    )
}

fn check_clock(peer: &PeerView) -> Option<Check> {
    let skew = peer
        .clock_skew_ms
        .filter(|skew| skew.unsigned_abs() > SKEW_MS_MAX)?;
    let (name, minutes) = (&peer.name, skew.unsigned_abs() / 60_000);
    let side = if skew > 0 { "ahead of" } else { "behind" };
    Some(warn(
        "clock",
        format!("the clock of {name} is {minutes} minutes {side} this one"),
        "times in the conversation will look wrong, nothing is lost; set the clock that is off",
    ))
}

fn ok(name: &str, detail: String) -> Check {
    Check {
        name: name.into(),
        outcome: Outcome::Ok,
        detail,
        advice: None,
    }
}

fn warn(name: &str, detail: String, advice: &str) -> Check {
    Check {
        name: name.into(),
        outcome: Outcome::Warn,
        detail,
        advice: Some(advice.into()),
    }
}

fn fail(name: &str, detail: String, advice: &str) -> Check {
    Check {
        name: name.into(),
        outcome: Outcome::Fail,
        detail,
        advice: Some(advice.into()),
    }
}
