//! Everybody on the network may send anything. It costs them a connection, and nobody else
//! anything.

#![allow(
    clippy::unwrap_used,
    reason = "tests fail by panicking, and these are not functions marked #[test]"
)]

use hallway_model::{MessageId, Name, PeerId, Status, WallTime};
use hallway_proto::frame::{Envelope, Frame, Profile};
use hallway_proto::handshake::Hello;
use hallway_tests::host::{Host, PATIENCE, Plan};
use hallway_tests::hostile::{self, Announcement, Mdns, Relay, Stranger};
use hallway_tests::lab::Lan;
use hallway_tests::lan_tests;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

lan_tests![
    whoever_breaks_the_handshake_loses_the_connection,
    whoever_breaks_the_protocol_loses_the_session,
    ten_thousand_half_open_connections_leave_a_live_session_alone,
    ten_thousand_spoofed_announcements_displace_no_contact,
    a_contact_announced_at_a_wrong_address_is_found_all_the_same,
    a_recorded_session_replayed_is_worth_nothing,
];

/// The node at an address that is attacked, and what must go on meanwhile.
struct Victim {
    ann: Host,
    bo: Host,
    at: SocketAddr,
    pid: u32,
    said: usize,
}

impl Victim {
    fn start(lan: &Lan) -> Self {
        let (ann, bo) = (Host::start(lan, 0, "Ann"), Host::start(lan, 1, "Bo"));
        ann.befriend(&bo);
        let at = SocketAddr::new(lan.ipv4(0), ann.port());
        let pid = ann.pid();
        Self {
            ann,
            bo,
            at,
            pid,
            said: 0,
        }
    }

    /// Waits until this was counted so often.
    #[track_caller]
    fn until_counted(&self, counter: &str, count: u64) {
        self.ann
            .until(&format!("{count} {counter}"), PATIENCE, |ann| {
                (ann.counter(counter) >= count).then_some(())
            });
    }

    /// Waits until there are so many lines in the log about host 2, and no more. A race that the
    /// contact's own dials have lost may have left lines about them.
    #[track_caller]
    fn until_complained(&self, lan: &Lan, lines: usize) {
        let from = format!("remote={}:", lan.ipv4(2));
        let complaints = |ann: &Host| {
            let log = ann.log();
            let failed = log
                .lines()
                .filter(|line| line.contains("a handshake failed"));
            failed.filter(|line| line.contains(&from)).count()
        };
        let what = format!("{lines} lines about {from}");
        let found = self.ann.until(&what, PATIENCE, |ann| {
            Some(complaints(ann)).filter(|found| *found >= lines)
        });
        assert_eq!(found, lines);
    }

    /// The same process, the same session, and messages both ways.
    #[track_caller]
    fn assert_unharmed(&mut self) {
        self.said += 1;
        let text = format!("still here {}", self.said);
        self.ann.tell("Bo", &text);
        self.bo.tell("Ann", &text);
        assert_eq!(self.ann.one(&["status", "--json"])["pid"], self.pid);
        assert!(!self.ann.log().contains("panicked"), "{}", self.ann.log());
    }
}

fn whoever_breaks_the_handshake_loses_the_connection() {
    let lan = Lan::of(3);
    let mut victim = Victim::start(&lan);
    let (_, well_meant) = hostile::first_words(1);
    let hello = Hello {
        version: 1,
        highest: 1,
        suite: 1,
    }
    .encode();
    let later = Hello {
        version: 7,
        highest: 7,
        suite: 1,
    }
    .encode();
    let garbage = [hello.to_vec(), vec![0xff; 70_000]].concat();
    let mut weak = well_meant.clone();
    // The key share that is all zeros.
    weak[10..42].fill(0);
    let attacks: [(&str, &[u8], &str); 6] = [
        (
            "another protocol",
            b"GET / HTTP/1.1\r\nHost: hallway\r\n\r\n",
            "not_hallway",
        ),
        ("zeros", &[0; 4096], "not_hallway"),
        ("a later version", &later, "unsupported_version"),
        ("an over-long message", &garbage, "bad_handshake"),
        (
            "a changed length",
            &[&hello[..], &[0, 1, 7]].concat(),
            "bad_handshake",
        ),
        ("a weak key", &weak, "weak_key"),
    ];
    for (what, bytes, counter) in attacks {
        let before = victim.ann.counter(counter);
        let mut stream = hostile::connect(&lan, 2, None, victim.at).unwrap();
        // The victim may hang up before it has heard all.
        let _ = stream.write_all(bytes);
        let reply = hostile::read_until_closed(&mut stream, PATIENCE);
        let reply = reply.unwrap_or_else(|| panic!("{what}: no hang-up"));
        assert_eq!(
            reply.starts_with(b"HLWN"),
            what == "a later version",
            "{what}: {reply:?}"
        );
        victim.until_counted(counter, before + 1);
        assert_eq!(victim.ann.counter(counter), before + 1, "{what}");
    }

    // Half a handshake: gone, or silent until the time is up.
    drop(hostile::half_open(&lan, 2, victim.at, 1, &well_meant).unwrap());
    victim.until_complained(&lan, attacks.len() + 1);
    let mut silent = hostile::half_open(&lan, 2, victim.at, 1, &well_meant).unwrap();
    assert!(hostile::read_until_closed(&mut silent[0], PATIENCE).is_some());
    victim.until_complained(&lan, attacks.len() + 2);
    for counter in ["handshake_broken_off", "handshake_slow"] {
        victim.until_counted(counter, 1);
    }
    victim.assert_unharmed();
}

/// What somebody with a valid key and a name of their own can still do wrong.
fn whoever_breaks_the_protocol_loses_the_session() {
    let lan = Lan::of(3);
    let mut victim = Victim::start(&lan);
    let name = Name::new("Mallory").unwrap();
    let profile = Frame::Profile(Profile::new(name, Status::Available, WallTime(0), 9));
    let message = |seq| {
        let body = vec![0xa1, 0x61, b'x', 0x62, b'h', b'i'];
        let id = MessageId([7; 16]);
        Frame::Message(Envelope {
            id,
            seq,
            at: WallTime(0),
            kind: 1,
            body,
        })
    };
    type Attack<'a> = &'a dyn Fn(&mut Stranger);
    let attacks: [(&str, Attack<'_>, &str); 7] = [
        ("no record", &|m| m.say_bytes(&[0xff; 70_000]), "bad_record"),
        ("a record of nothing", &|m| m.say_record(&[]), "bad_frame"),
        ("no frame", &|m| m.say_record(&[2, 0xbf, 0xff]), "bad_frame"),
        (
            "a bomb",
            &|m| m.say_record(&[&[2][..], &[0x81; 60_000]].concat()),
            "bad_frame",
        ),
        (
            "a second before a first",
            &|m| [2, 2].into_iter().for_each(|seq| m.say(&message(seq))),
            "bad_order",
        ),
        (
            "a flood",
            &|m| (0..1000).for_each(|n| m.say(&Frame::Ping(n))),
            "flood",
        ),
        ("no name", &|_| {}, "bad_order"),
    ];
    for (seed, (what, attack, counter)) in (1..).zip(attacks) {
        let before = victim.ann.counter(counter);
        let mut mallory = Stranger::dial(&lan, 2, victim.at, seed).unwrap();
        if what == "no name" {
            mallory.say(&Frame::Ping(1));
        } else {
            mallory.say(&profile);
            attack(&mut mallory);
        }
        assert!(mallory.is_hung_up_on(PATIENCE), "{what}");
        victim.until_counted(counter, before + 1);
        assert_eq!(victim.ann.counter(counter), before + 1, "{what}");
    }
    victim.assert_unharmed();
}

fn ten_thousand_half_open_connections_leave_a_live_session_alone() {
    const CONNECTIONS: usize = 10_000;
    const SOURCES: usize = 20;
    let lan = Lan::of(4);
    let mut victim = Victim::start(&lan);
    // Nobody attacks these, and they share the machine: how long they take is the measure.
    let (cy, di) = (Host::start(&lan, 3, "Cy"), Host::start(&lan, 3, "Di"));
    cy.befriend(&di);
    let sources: Vec<IpAddr> = (100..)
        .take(SOURCES)
        .map(|n| Ipv4Addr::new(10, 77, 0, n).into())
        .collect();
    for source in &sources {
        lan.add_address(2, *source);
    }
    let (_, first) = hostile::first_words(1);
    let round_trip = |from: &Host, to: &str| {
        let start = Instant::now();
        from.tell(to, "how long?");
        start.elapsed()
    };
    let before = victim.ann.rss_kib();
    let (under_fire, calm, most) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let one = |n: usize| {
                let source = Some(sources[n % SOURCES]);
                let mut stream = hostile::connect(&lan, 2, source, victim.at)?;
                let _ = stream.write_all(&first);
                Ok(stream)
            };
            (0..CONNECTIONS)
                .map(one)
                .collect::<std::io::Result<Vec<_>>>()
                .unwrap()
        });
        let (mut times, mut calm, mut most) = (Vec::new(), Vec::new(), 0);
        while !flood.is_finished() || times.len() < 9 {
            times.push(round_trip(&victim.ann, "Bo"));
            calm.push(round_trip(&cy, "Di"));
            most = most.max(victim.ann.rss_kib());
        }
        // They stay open until here.
        assert_eq!(flood.join().unwrap().len(), CONNECTIONS);
        (times, calm, most)
    });
    // Measured: 15 ms each, most of it the start of a program; and 1.1 MiB more.
    let (calm, under_fire) = (median(&calm), median(&under_fire));
    assert!(under_fire < calm * 10, "{calm:?} became {under_fire:?}");
    assert!(most < before + 16 * 1024, "{before} KiB became {most}");
    assert!(victim.ann.counter("half_open_refused") > 0);
    victim.assert_unharmed();
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn ten_thousand_spoofed_announcements_displace_no_contact() {
    const IDS: usize = 10_000;
    let lan = Lan::of(3);
    let mut victim = Victim::start(&lan);
    let before = victim.ann.rss_kib();
    let nowhere = SocketAddr::new(lan.ipv4(2), 9);
    let made_up: Vec<_> = hostile::made_up_ids(IDS, 1)
        .into_iter()
        .map(|id| Announcement::of(id, "Nobody", nowhere))
        .collect();
    let mdns = Mdns::open(&lan, 2);
    for some in made_up.chunks(100) {
        mdns.announce(some);
    }
    // Not all packets get through, and those that do are told of at a bounded rate.
    let mut again = made_up.chunks(100).cycle();
    victim.ann.until("the flood has arrived", PATIENCE, |ann| {
        again.by_ref().take(5).for_each(|some| mdns.announce(some));
        (ann.cli(&["peers", "--json"]).len() > 200).then_some(())
    });
    assert_eq!(victim.ann.peer(&victim.bo).unwrap()["state"], "live");
    victim.assert_unharmed();
    victim.bo.restart();
    victim.ann.until_peer(victim.bo.id(), "live", PATIENCE);
    victim.assert_unharmed();
    let peers = victim.ann.cli(&["peers", "--json"]);
    assert!(
        peers.len() <= hallway_model::SIGHTINGS_MAX + 1,
        "{}",
        peers.len()
    );
    // Measured: 12 MiB more with 1,000 of them told.
    let after = victim.ann.rss_kib();
    assert!(after < before + 64 * 1024, "{before} KiB became {after}");
}

fn a_contact_announced_at_a_wrong_address_is_found_all_the_same() {
    let lan = Lan::of(3);
    let mut victim = Victim::start(&lan);
    let bo: PeerId = victim.bo.id().parse().unwrap();
    // Somebody listens there, and answers with nonsense.
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let trap = lan.inside(2, || TcpListener::bind(any)).unwrap();
    let wrong = SocketAddr::new(lan.ipv4(2), trap.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut stream in trap.incoming().flatten() {
            let _ = stream.write_all(&[0x55; 4096]);
        }
    });
    let mdns = Mdns::open(&lan, 2);
    let lie = Announcement::of(bo, "Bo", wrong);
    let gone = Announcement {
        ttl_s: 0,
        ..lie.clone()
    };
    mdns.announce(std::slice::from_ref(&lie));
    mdns.announce(std::slice::from_ref(&gone));
    victim.assert_unharmed();
    assert_eq!(victim.ann.peer(&victim.bo).unwrap()["state"], "live");

    // The lie is told again and again while the contact is away and comes back.
    for round in 0..3 {
        victim.bo.stop();
        mdns.announce(std::slice::from_ref(&lie));
        victim.ann.queue("Bo", &format!("round {round}"));
        mdns.announce(&[lie.clone(), gone.clone(), lie.clone()]);
        victim.bo.up();
        victim.ann.until_peer(victim.bo.id(), "live", PATIENCE);
        victim.assert_unharmed();
    }
    let rounds = victim.bo.texts_of(&victim.ann);
    let rounds: Vec<_> = rounds
        .iter()
        .filter(|text| text.starts_with("round"))
        .collect();
    assert_eq!(rounds, ["round 0", "round 1", "round 2"]);
}

fn a_recorded_session_replayed_is_worth_nothing() {
    let lan = Lan::of(3);
    let host = |name, host| Plan::new(name).arg("--no-mdns").start(&lan, host);
    let (ann, bo) = (host("Ann", 0), host("Bo", 1));
    let at_bo = SocketAddr::new(lan.ipv4(1), bo.port());
    let relay = Relay::start(&lan, 2, at_bo);
    let peer = ann.one(&["connect", &relay.address().to_string(), "--json"]);
    assert_eq!(peer["id"], bo.id(), "a relay is no obstacle");
    ann.tell(bo.id(), "transfer 1,000 to Mallory");
    bo.tell(ann.id(), "done");
    ann.stop();
    bo.until_peer(ann.id(), "offline", PATIENCE);

    let recordings = relay.heard();
    assert_eq!(recordings.len(), 1);
    let recording = &recordings[0];
    for said in [&recording.dialler, &recording.dialled] {
        let is_in = |text: &[u8]| said.windows(text.len()).any(|window| window == text);
        assert!(said.len() > 1000 && !is_in(b"Mallory") && !is_in(b"done"));
    }
    let before = bo.messages(ann.id());
    for _ in 0..3 {
        let failed = bo.counter("bad_handshake");
        let mut stream = hostile::connect(&lan, 2, None, at_bo).unwrap();
        stream.write_all(&recording.dialler).unwrap();
        assert!(hostile::read_until_closed(&mut stream, PATIENCE).is_some());
        bo.until("the replay is counted", PATIENCE, |bo| {
            (bo.counter("bad_handshake") > failed).then_some(())
        });
        assert_eq!(bo.one(&["status", "--json"])["sessions"], 0);
    }
    assert_eq!(bo.peer(&ann).unwrap()["state"], "offline");
    assert_eq!(bo.messages(ann.id()), before);

    // Nor does anybody pass for Bo with what Bo has said.
    bo.stop();
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let impostor = lan.inside(2, || TcpListener::bind(any)).unwrap();
    let at = SocketAddr::new(lan.ipv4(2), impostor.local_addr().unwrap().port());
    let said = recording.dialled.clone();
    thread::spawn(move || {
        for mut stream in impostor.incoming().flatten() {
            let _ = stream.write_all(&said);
            let _ = hostile::read_until_closed(&mut stream, PATIENCE);
        }
    });
    ann.up();
    ann.refused(&["connect", &at.to_string()], 1);
    assert_eq!(ann.peer(&bo).unwrap()["state"], "offline");
}
