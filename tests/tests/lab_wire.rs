//! The wire: what it does to a line it does to real traffic, and to nothing else.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_tests::lab::{Jitter, Lan, Line, Wire};
use hallway_tests::lan_tests;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

lan_tests![
    every_kind_of_traffic_passes,
    a_wire_delays_each_direction,
    a_wire_loses_its_share_and_can_be_changed,
    jitter_lets_datagrams_overtake,
    what_is_spoilt_does_not_arrive,
    the_plain_cable_comes_back,
];

/// Traffic within one machine takes microseconds; only what never comes is waited for this long.
const ARRIVES: Duration = Duration::from_secs(10);
/// What was lost does not come later. Only a lost datagram costs this time.
const LOST: Duration = Duration::from_secs(1);
/// More than all buffers on the way hold, so that checksums and segments of all sizes are tried.
const BULK: usize = 20_000_000;

fn every_kind_of_traffic_passes() {
    let lan = Lan::of(2);
    let _wire = lan.wire(0, Line::default(), 1);
    for address in [lan.ipv4(1), lan.ipv6(1)] {
        let listener = lan.inside(1, || TcpListener::bind((address, 0)).unwrap());
        let to = listener.local_addr().unwrap();
        let mut near = lan.inside(0, || TcpStream::connect(to).unwrap());
        let (mut far, _) = listener.accept().unwrap();
        pass(&mut near, &mut far);
        pass(&mut far, &mut near);
        assert_eq!(echo(&lan, 0, 1, address, 3, ARRIVES).len(), 3);
        assert_eq!(echo(&lan, 1, 0, lan.ipv4(0), 3, ARRIVES).len(), 3);
    }
}

fn a_wire_delays_each_direction() {
    const DELAY: Duration = Duration::from_millis(30);
    let lan = Lan::of(2);
    let wire = lan.wire(
        0,
        Line {
            delay: DELAY,
            ..Line::default()
        },
        1,
    );
    let times = echo(&lan, 0, 1, lan.ipv4(1), 20, ARRIVES);
    assert_eq!(times.len(), 20);
    let fastest = times.iter().map(|(_, time)| *time).min().unwrap();
    assert!(fastest >= 2 * DELAY, "{fastest:?}");
    for tally in wire.tally() {
        assert!(
            tally.frames >= 20 && tally.lost + tally.dropped == 0,
            "{tally:?}"
        );
        assert!(tally.late(0.0) <= tally.late(0.5) && tally.late(0.5) <= tally.late(1.0));
    }
}

fn a_wire_loses_its_share_and_can_be_changed() {
    let lan = Lan::of(2);
    let wire = lan.wire(0, Line::default(), 1);
    // Addresses are resolved before anything is lost.
    assert_eq!(echo(&lan, 0, 1, lan.ipv4(1), 1, ARRIVES).len(), 1);
    wire.set(Line {
        loss: 0.3,
        ..Line::default()
    });
    let back = echo(&lan, 0, 1, lan.ipv4(1), 1000, LOST).len();
    // Both ways: 49 %.
    assert!((400..580).contains(&back), "{back} of 1000 came back");
    wire.set(Line::default());
    assert_eq!(echo(&lan, 0, 1, lan.ipv4(1), 100, ARRIVES).len(), 100);
}

fn jitter_lets_datagrams_overtake() {
    let lan = Lan::of(2);
    let mut line = Line {
        jitter: Jitter::UpTo(Duration::from_millis(50)),
        ..Line::default()
    };
    let wire = lan.wire(0, line, 1);
    let order = |wire: &Wire, line| {
        wire.set(line);
        let echoed = echo(&lan, 0, 1, lan.ipv4(1), 100, ARRIVES);
        let numbers: Vec<u32> = echoed.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers.len(), 100);
        numbers.is_sorted()
    };
    assert!(!order(&wire, line));
    line.in_order = true;
    assert!(order(&wire, line));
}

fn what_is_spoilt_does_not_arrive() {
    let lan = Lan::of(2);
    let wire = lan.wire(0, Line::default(), 1);
    assert_eq!(echo(&lan, 0, 1, lan.ipv4(1), 1, ARRIVES).len(), 1);
    wire.set(Line {
        spoilt: 0.5,
        ..Line::default()
    });
    // What comes back says what was sent, or `echo` fails.
    let back = echo(&lan, 0, 1, lan.ipv4(1), 200, LOST).len();
    assert!((20..80).contains(&back), "{back} of 200 came back");
}

fn the_plain_cable_comes_back() {
    let lan = Lan::of(2);
    let delay = Duration::from_secs(1);
    let wire = lan.wire(
        0,
        Line {
            delay,
            ..Line::default()
        },
        1,
    );
    drop(wire);
    assert_eq!(echo(&lan, 0, 1, lan.ipv4(1), 3, ARRIVES).len(), 3);
    assert_eq!(echo(&lan, 1, 0, lan.ipv6(0), 3, ARRIVES).len(), 3);
    // And it can be taken out again.
    let _wire = lan.wire(0, Line::default(), 1);
    assert_eq!(echo(&lan, 0, 1, lan.ipv4(1), 3, ARRIVES).len(), 3);
}

/// All bytes arrive as they were sent.
fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    let bytes: Vec<u8> = (0..=250).cycle().take(BULK).collect();
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(&bytes).unwrap());
        let mut arrived = vec![0; BULK];
        to.read_exact(&mut arrived).unwrap();
        assert!(arrived == bytes);
    });
}

/// Sends so many datagrams at once, one a millisecond, that the other host sends back: which
/// came back, in the order in which they did, and after what time.
fn echo(
    lan: &Lan,
    from: usize,
    to: usize,
    address: IpAddr,
    count: u32,
    patience: Duration,
) -> Vec<(u32, Duration)> {
    let bind = |host| {
        let any: SocketAddr = if address.is_ipv4() {
            "0.0.0.0:0".parse().unwrap()
        } else {
            "[::]:0".parse().unwrap()
        };
        let socket = lan.inside(host, || UdpSocket::bind(any).unwrap());
        socket.set_read_timeout(Some(patience)).unwrap();
        socket
    };
    let (near, far) = (bind(from), bind(to));
    let to = SocketAddr::new(address, far.local_addr().unwrap().port());
    let mut back = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            let mut left = count;
            while let Ok((length, from)) = far.recv_from(&mut buffer) {
                far.send_to(&buffer[..length], from).unwrap();
                left -= 1;
                if left == 0 {
                    return;
                }
            }
        });
        let start = Instant::now();
        let near = &near;
        scope.spawn(move || {
            for number in 0..count {
                let due = start + Duration::from_millis(number.into());
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let sent: [u8; 4] = number.to_be_bytes();
                near.send_to(&[sent; 4].concat(), to).unwrap();
            }
        });
        let mut buffer = [0; 64];
        while back.len() < count as usize
            && let Ok((length, _)) = near.recv_from(&mut buffer)
        {
            let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
            assert_eq!(buffer[..length], buffer[..4].repeat(4));
            let sent = start + Duration::from_millis(number.into());
            back.push((number, Instant::now() - sent));
        }
    });
    back
}
