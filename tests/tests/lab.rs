//! The lab itself: each of its operations does to real traffic what it says.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::hostile::{self, Announcement, Mdns};
use hallway_tests::lab::{Lan, Port};
use hallway_tests::lan_tests;
use mdns_sd::{ServiceDaemon, ServiceEvent};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{fs, thread};

lan_tests![
    hosts_have_the_planned_addresses_and_no_way_out,
    a_lan_can_have_one_ip_version_only,
    two_lans_do_not_meet,
    the_mtu_is_kept,
    cut_drops_carrier_and_heal_returns_it,
    mute_is_silent_and_a_connection_survives_it,
    loss_drops_its_share,
    without_multicast_unicast_passes,
    isolated_hosts_see_only_the_others,
    rate_holds_both_directions_back,
    addresses_come_and_go,
    a_second_interface_is_a_second_way,
    mdns_packets_are_counted_once_each,
    nothing_outlives_a_test_that_panics,
    announcements_are_valid_dns_sd,
    half_open_connections_stay_open,
];

/// Traffic within one machine takes microseconds; only what never comes is waited for this long.
const ARRIVES: Duration = Duration::from_secs(60);
/// What was dropped does not come later. Only a lost datagram costs this time, and nothing that
/// is to arrive is given up after it.
const LOST: Duration = Duration::from_millis(200);

fn hosts_have_the_planned_addresses_and_no_way_out() {
    let lan = Lan::of(3);
    for host in 0..3 {
        let n = host + 1;
        let expected = [
            format!("10.77.0.{n}"),
            format!("fd77::{n}"),
            format!("fe80::77:{n}"),
        ];
        // fe80::77:1 is how fe80:0:0:0:0:0:77:1 is written.
        assert_eq!(addresses(&lan, host), BTreeSet::from(expected));
        for version in ["-4", "-6"] {
            let routes = lan.run(host, "ip", &[version, "route"]);
            assert!(!routes.contains("default"), "{routes}");
        }
        let outside: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let refused = hostile::connect(&lan, host, None, outside).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NetworkUnreachable);
    }
    assert!(reaches(&lan, 0, 1, lan.ipv4(1)));
    assert!(reaches(&lan, 2, 1, lan.ipv6(1)));
    assert!(hears(&lan, 0, 2, ARRIVES));

    let listener = listener(&lan, 1, "[::]:0");
    let mut scoped = std::net::SocketAddrV6::new(
        lan.link_local(1),
        listener.local_addr().unwrap().port(),
        0,
        lan.scope_id(0),
    );
    hostile::connect(&lan, 0, None, scoped.into()).unwrap();
    scoped.set_scope_id(0);
    assert!(hostile::connect(&lan, 0, None, scoped.into()).is_err());
}

fn a_lan_can_have_one_ip_version_only() {
    let six = Lan::builder().ipv4(false).build();
    assert!(addresses(&six, 0).iter().all(|a| a.contains(':')));
    assert!(!addresses(&six, 0).is_empty());
    assert!(reaches(&six, 0, 1, six.ipv6(1)));
    assert!(hears(&six, 0, 1, ARRIVES));

    let four = Lan::builder().ipv6(false).build();
    assert!(addresses(&four, 0).iter().all(|a| !a.contains(':')));
    assert!(!addresses(&four, 0).is_empty());
    assert!(reaches(&four, 0, 1, four.ipv4(1)));
    assert!(hears(&four, 0, 1, ARRIVES));
}

fn two_lans_do_not_meet() {
    let (one, other) = (Lan::of(2), Lan::of(2));
    let receiver = udp(&one, 1, "0.0.0.0:0");
    let to = SocketAddr::new(one.ipv4(1), receiver.local_addr().unwrap().port());
    udp(&other, 0, "0.0.0.0:0").send_to(b"other", to).unwrap();
    udp(&one, 0, "0.0.0.0:0").send_to(b"one", to).unwrap();
    assert_eq!(next(&receiver, ARRIVES), Some(b"one".to_vec()));
    assert_eq!(next(&receiver, LOST), None);
}

fn the_mtu_is_kept() {
    let lan = Lan::builder().mtu(1280).build();
    for port in [Port::from(0), lan.add_interface(0)] {
        let device = format!("eth{}", port.segment);
        assert_eq!(link(&lan, 0, &device)["mtu"], 1280);
    }
}

fn cut_drops_carrier_and_heal_returns_it() {
    let lan = Lan::of(2);
    until(|| has_carrier(&lan, 1));
    lan.cut(1);
    until(|| !has_carrier(&lan, 1));
    assert!(has_carrier(&lan, 0));
    assert!(is_lost(&lan, 0, 1, lan.ipv4(1)));
    lan.heal(1);
    until(|| has_carrier(&lan, 1));
    assert!(reaches(&lan, 0, 1, lan.ipv4(1)));
    assert!(reaches(&lan, 1, 0, lan.ipv6(0)));
    assert!(hears(&lan, 0, 1, ARRIVES));
}

fn mute_is_silent_and_a_connection_survives_it() {
    let lan = Lan::of(2);
    let (mut near, mut far) = connection(&lan, 0, 1);
    until(|| has_carrier(&lan, 1));
    lan.mute(1);
    assert!(is_lost(&lan, 0, 1, lan.ipv4(1)));
    assert!(is_lost(&lan, 1, 0, lan.ipv4(0)));
    assert!(!hears(&lan, 1, 0, LOST));
    near.write_all(b"later").unwrap();
    far.set_read_timeout(Some(LOST)).unwrap();
    far.read(&mut [0; 5]).unwrap_err();
    assert!(has_carrier(&lan, 1));

    lan.unmute(1);
    far.set_read_timeout(Some(ARRIVES)).unwrap();
    let mut said = [0; 5];
    far.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"later");
}

fn loss_drops_its_share() {
    let lan = Lan::of(3);
    assert_eq!(arrivals(&lan, 0, 1), SENT);
    lan.loss(1, 50);
    // The binomial distribution is outside of these bounds once in 10^15 times.
    for (from, to) in [(0, 1), (1, 0)] {
        let arrived = arrivals(&lan, from, to);
        assert!((370..630).contains(&arrived), "{arrived} of {SENT}");
    }
    assert_eq!(arrivals(&lan, 0, 2), SENT);
    lan.loss(1, 0);
    assert_eq!(arrivals(&lan, 0, 1), SENT);
}

fn without_multicast_unicast_passes() {
    for ipv4 in [true, false] {
        let lan = Lan::builder().hosts(3).ipv4(ipv4).ipv6(!ipv4).build();
        let address = |host| if ipv4 { lan.ipv4(host) } else { lan.ipv6(host) };
        lan.multicast(1, false);
        for (from, to) in [(0, 1), (1, 0)] {
            assert!(!hears(&lan, from, to, LOST));
            assert!(reaches(&lan, from, to, address(to)));
        }
        assert!(hears(&lan, 0, 2, ARRIVES));
        lan.multicast(1, true);
        assert!(hears(&lan, 0, 1, ARRIVES));
        assert!(hears(&lan, 1, 0, ARRIVES));
    }
}

fn isolated_hosts_see_only_the_others() {
    let lan = Lan::of(3);
    lan.isolate(0, true);
    assert!(
        reaches(&lan, 0, 1, lan.ipv4(1)),
        "one alone is isolated from nobody"
    );
    lan.isolate(1, true);
    assert!(is_lost(&lan, 0, 1, lan.ipv4(1)));
    assert!(!hears(&lan, 1, 0, LOST));
    assert!(reaches(&lan, 0, 2, lan.ipv4(2)));
    assert!(hears(&lan, 2, 1, ARRIVES));
    lan.isolate(1, false);
    assert!(reaches(&lan, 0, 1, lan.ipv4(1)));
}

fn rate_holds_both_directions_back() {
    const BYTES: usize = 600_000;
    // A shaper never sends early, but for one burst, however busy the machine is.
    const SHAPED: Duration = Duration::from_millis(500);
    let lan = Lan::of(2);
    for (from, to) in [(0, 1), (1, 0)] {
        until(|| transfer_time(&lan, from, to, BYTES) < SHAPED);
        lan.rate(1, Some(1_000_000));
        let shaped = transfer_time(&lan, from, to, BYTES);
        assert!(shaped >= SHAPED, "{shaped:?}");
        lan.rate(1, None);
        until(|| transfer_time(&lan, from, to, BYTES) < SHAPED);
    }
}

fn addresses_come_and_go() {
    let lan = Lan::of(2);
    for new in ["10.77.0.200", "fd77::200"] {
        let new: IpAddr = new.parse().unwrap();
        assert!(is_lost(&lan, 0, 1, new));
        lan.add_address(1, new);
        assert!(reaches(&lan, 0, 1, new));
        lan.remove_address(1, new);
        assert!(is_lost(&lan, 0, 1, new));
    }
    lan.flush(1);
    assert_eq!(addresses(&lan, 1), BTreeSet::new());
    assert!(is_lost(&lan, 0, 1, lan.ipv4(1)));
}

fn a_second_interface_is_a_second_way() {
    let lan = Lan::of(3);
    let (near, far) = (lan.add_interface(0), lan.add_interface(1));
    assert_eq!(lan.ipv4(far).to_string(), "10.77.1.2");
    assert_ne!(lan.scope_id(0), lan.scope_id(near));
    assert!(reaches(&lan, 0, 1, lan.ipv4(far)));
    assert!(is_lost(&lan, 2, 1, lan.ipv4(far)), "no router between them");
    lan.cut(0);
    assert!(is_lost(&lan, 0, 1, lan.ipv4(1)));
    assert!(reaches(&lan, 0, 1, lan.ipv6(far)));
    lan.mute(far);
    assert!(is_lost(&lan, 0, 1, lan.ipv4(far)));
    assert!(reaches(&lan, 2, 1, lan.ipv4(1)));
}

fn mdns_packets_are_counted_once_each() {
    let lan = Lan::of(3);
    assert_eq!(lan.mdns_packets(), 0);
    let (speaker, listener) = (Mdns::open(&lan, 0), Mdns::open(&lan, 2));
    for _ in 0..7 {
        speaker.send(b"not even DNS");
    }
    for _ in 0..7 {
        listener.receive(ARRIVES).unwrap();
    }
    assert!(reaches(&lan, 0, 1, lan.ipv4(1)), "other ports do not count");
    // Seven over IPv4 and seven over IPv6, to two hosts. The last may be on its way.
    until(|| lan.mdns_packets() >= 14);
    assert_eq!(lan.mdns_packets(), 14);
}

fn nothing_outlives_a_test_that_panics() {
    let mut noted = None;
    let test = AssertUnwindSafe(|| {
        let lan = Lan::of(1);
        let process = lan.spawn(0, "sleep", &["1000"]);
        let inside = lan.inside(0, || {
            fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
        });
        assert_ne!(inside, fs::metadata("/proc/self/ns/net").unwrap().ino());
        noted = Some((process.pid(), inside));
        // Without the message that a panic prints.
        std::panic::resume_unwind(Box::new("the test fails"));
    });
    catch_unwind(test).unwrap_err();
    let (pid, namespace) = noted.unwrap();
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter_map(|entry| fs::metadata(entry.ok()?.path()).ok());
    assert!(open.map(|file| file.ino()).all(|ino| ino != namespace));
}

fn announcements_are_valid_dns_sd() {
    let lan = Lan::of(2);
    let ids = hostile::made_up_ids(40, 1);
    let at = SocketAddr::new(lan.ipv4(1), 42550);
    let announcements: Vec<_> = ids
        .iter()
        .map(|id| Announcement::of(*id, "Mallory", at))
        .collect();
    assert!(hostile::packets(&announcements).len() < ids.len());

    let (daemon, events) = lan.inside(0, || {
        let daemon = ServiceDaemon::new().unwrap();
        let events = daemon.browse("_hallway._tcp.local.").unwrap();
        (daemon, events)
    });
    let speaker = Mdns::open(&lan, 1);
    // Its query shows that it listens.
    while !speaker
        .receive(ARRIVES)
        .unwrap()
        .0
        .windows(8)
        .any(|w| w == b"_hallway")
    {}
    speaker.announce(&announcements);

    let mut missing: BTreeSet<_> = ids.iter().map(ToString::to_string).collect();
    while !missing.is_empty() {
        if let ServiceEvent::ServiceResolved(found) = events.recv_timeout(ARRIVES).unwrap() {
            let id = found.get_property_val_str("id").unwrap();
            assert!(found.get_fullname().starts_with(id));
            assert_eq!(found.get_property_val_str("n"), Some("Mallory"));
            assert_eq!(found.get_port(), at.port());
            let addresses: Vec<_> = found.get_addresses().iter().collect();
            assert_eq!(addresses.len(), 1);
            assert_eq!(addresses[0].to_ip_addr(), at.ip());
            missing.remove(id);
        }
    }
    daemon.shutdown().unwrap();
}

fn half_open_connections_stay_open() {
    const COUNT: usize = 2000;
    let lan = Lan::of(2);
    let listener = listener(&lan, 1, "0.0.0.0:0");
    let to = SocketAddr::new(lan.ipv4(1), listener.local_addr().unwrap().port());
    let accept = thread::spawn(move || {
        let accepted = (0..COUNT).map(|_| listener.accept().unwrap().0);
        let mut accepted: Vec<_> = accepted.collect();
        for stream in &mut accepted {
            let mut first = [0; 4];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HLWY");
        }
        accepted
    });
    let mut opened = hostile::half_open(&lan, 0, to, COUNT, b"HLWY").unwrap();
    let mut accepted = accept.join().unwrap();

    let mut last = accepted.pop().unwrap();
    assert_eq!(hostile::read_until_closed(&mut opened[0], LOST), None);
    last.write_all(b"no").unwrap();
    drop(last);
    let said = hostile::read_until_closed(opened.last_mut().unwrap(), ARRIVES);
    assert_eq!(said, Some(b"no".to_vec()));

    let from = "10.77.0.9".parse().unwrap();
    lan.add_address(0, from);
    let again = self::listener(&lan, 1, "0.0.0.0:0");
    let to = SocketAddr::new(lan.ipv4(1), again.local_addr().unwrap().port());
    let _open = hostile::connect(&lan, 0, Some(from), to).unwrap();
    assert_eq!(again.accept().unwrap().1.ip(), from);
}

/// Looks again and again until it is so.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + ARRIVES;
    while !is_so() {
        assert!(Instant::now() < end, "in vain for {ARRIVES:?}");
    }
}

/// Whether a datagram gets from one host to an address of another.
///
/// It is sent again and again until it arrives: while a host looks for the hardware address, it
/// holds back only few datagrams, and it may just have given up.
fn reaches(lan: &Lan, from: usize, to: usize, address: IpAddr) -> bool {
    let (sender, to) = ping(lan, from, to, address);
    let end = Instant::now() + ARRIVES;
    while Instant::now() < end {
        // Without a route or an answering neighbour the kernel refuses at once.
        let _ = sender.send_to(b"ping", to.1);
        if next(&to.0, LOST).is_some() {
            return true;
        }
    }
    false
}

/// Whether a datagram from one host to an address of another is lost.
fn is_lost(lan: &Lan, from: usize, to: usize, address: IpAddr) -> bool {
    let (sender, to) = ping(lan, from, to, address);
    let _ = sender.send_to(b"ping", to.1);
    next(&to.0, LOST).is_none()
}

fn ping(
    lan: &Lan,
    from: usize,
    to: usize,
    address: IpAddr,
) -> (UdpSocket, (UdpSocket, SocketAddr)) {
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let receiver = udp(lan, to, any);
    let to = SocketAddr::new(address, receiver.local_addr().unwrap().port());
    (udp(lan, from, any), (receiver, to))
}

/// Whether another host hears what one says on the mDNS port to everybody.
fn hears(lan: &Lan, from: usize, to: usize, within: Duration) -> bool {
    let (speaker, listener) = (Mdns::open(lan, from), Mdns::open(lan, to));
    speaker.send(b"hello");
    let heard = listener.receive(within);
    heard.is_some_and(|(bytes, _)| bytes == b"hello")
}

const SENT: usize = 1000;
/// So few at a time that a receive buffer of the usual size holds all of them.
const ROUND: usize = 200;

/// How many of 1,000 datagrams from one host get to another.
fn arrivals(lan: &Lan, from: usize, to: usize) -> usize {
    let (sender, receiver) = (udp(lan, from, "0.0.0.0:0"), udp(lan, to, "0.0.0.0:0"));
    let to = SocketAddr::new(lan.ipv4(to), receiver.local_addr().unwrap().port());
    let round = |round: u8| {
        for _ in 0..ROUND {
            sender.send_to(&[round], to).unwrap();
        }
        // What is not there a while after a later one does not come. The later one may be lost as
        // well, so it is repeated.
        let (mut arrived, mut ended, later) = (0, false, [round, round]);
        until(|| {
            sender.send_to(&later, to).unwrap();
            while arrived < ROUND
                && let Some(datagram) = next(&receiver, LOST)
            {
                arrived += usize::from(datagram == [round]);
                ended |= datagram == later;
            }
            ended || arrived == ROUND
        });
        arrived
    };
    (0..SENT / ROUND)
        .map(|n| round(u8::try_from(n).unwrap()))
        .sum()
}

fn transfer_time(lan: &Lan, from: usize, to: usize, bytes: usize) -> Duration {
    let (mut near, far) = connection(lan, from, to);
    let start = Instant::now();
    let receive = thread::spawn(move || {
        let mut all = Vec::new();
        { far }.read_to_end(&mut all).map(|_| all.len())
    });
    near.write_all(&vec![7; bytes]).unwrap();
    drop(near);
    assert_eq!(receive.join().unwrap().unwrap(), bytes);
    start.elapsed()
}

fn connection(lan: &Lan, from: usize, to: usize) -> (TcpStream, TcpStream) {
    let listener = listener(lan, to, "0.0.0.0:0");
    let at = SocketAddr::new(lan.ipv4(to), listener.local_addr().unwrap().port());
    let near = hostile::connect(lan, from, None, at).unwrap();
    (near, listener.accept().unwrap().0)
}

fn listener(lan: &Lan, host: usize, at: &str) -> TcpListener {
    lan.inside(host, || TcpListener::bind(at)).unwrap()
}

fn udp(lan: &Lan, host: usize, at: &str) -> UdpSocket {
    lan.inside(host, || UdpSocket::bind(at)).unwrap()
}

fn next(receiver: &UdpSocket, within: Duration) -> Option<Vec<u8>> {
    let mut bytes = [0; 64];
    receiver.set_read_timeout(Some(within)).unwrap();
    let length = receiver.recv(&mut bytes).ok()?;
    Some(bytes[..length].to_vec())
}

/// The addresses of `eth0`.
fn addresses(lan: &Lan, host: usize) -> BTreeSet<String> {
    let listed = lan.run(host, "ip", &["-j", "addr", "show", "eth0"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let infos = listed[0]["addr_info"].as_array().unwrap().iter();
    infos
        .map(|info| info["local"].as_str().unwrap().into())
        .collect()
}

fn link(lan: &Lan, host: usize, device: &str) -> Value {
    let listed = lan.run(host, "ip", &["-j", "link", "show", device]);
    serde_json::from_str::<Value>(&listed).unwrap()[0].take()
}

fn has_carrier(lan: &Lan, host: usize) -> bool {
    let flags = link(lan, host, "eth0")["flags"].take();
    !flags.as_array().unwrap().contains(&"NO-CARRIER".into())
}
