//! The engine from outside, where a whole simulation would say no more.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod calls;
mod in_calls;
mod party;
mod to_many;
mod transfers;

use hallway_model::{Name, Now, Snapshot, WallTime};
use hallway_proto::handshake::{
    Entropy, Established, Handshake, LocalKeys, Policy, Purpose, Step, Suite,
};
use hallway_proto::io::{ConnId, Input, Output};
use hallway_proto::{Config, Engine};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

fn keys(seed: u8) -> Arc<LocalKeys> {
    let device = Name::new("desk").unwrap();
    Arc::new(LocalKeys::new(
        [seed; 32],
        [seed + 100; 32],
        &device,
        WallTime(1),
    ))
}

/// What a responder with the keys `ours` gets from an initiator who asks for `purpose`.
fn answered(ours: &Arc<LocalKeys>, theirs: &Arc<LocalKeys>, purpose: Purpose) -> Box<Established> {
    let policy = Policy::default();
    let suite = Suite::ChaChaPoly;
    let (mut initiator, mut bytes) = Handshake::initiate(
        theirs.clone(),
        &policy,
        None,
        suite,
        purpose,
        Entropy::from_bytes([7; 128]),
    );
    let mut responder = Handshake::respond(ours.clone(), &policy, Entropy::from_bytes([8; 128]));
    loop {
        responder.push(&bytes).unwrap();
        bytes = match responder.step().unwrap() {
            Step::Done { established, .. } => return established,
            Step::Send(bytes) => bytes,
            Step::NeedMore => panic!("a whole message is there"),
        };
        initiator.push(&bytes).unwrap();
        bytes = match initiator.step().unwrap() {
            Step::Done { send, .. } | Step::Send(send) => send,
            Step::NeedMore => panic!("a whole message is there"),
        };
    }
}

fn outcome_of(purpose: Purpose) -> (usize, Vec<Output>) {
    let (ours, theirs) = (keys(1), keys(2));
    let config = Config {
        id: ours.id(),
        name: Name::new("Ann").unwrap(),
        port: 42550,
        fast_aes: false,
        read_receipts: true,
        accept_all: true,
        accept_files_bytes: 0,
        auto_answer: false,
    };
    let now = Now::default();
    let mut engine = Engine::new(config, Snapshot::default(), [9; 32], now);
    let remote = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 50_000);
    let established = answered(&ours, &theirs, purpose);
    let local = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let conn = ConnId(1);
    engine.handle(
        Input::Established {
            conn,
            dial: None,
            remote,
            local,
            established,
        },
        now,
    );
    let outputs: Vec<_> = std::iter::from_fn(|| engine.poll_output(now)).collect();
    let closed = outputs
        .iter()
        .filter(|output| matches!(output, Output::Close(ConnId(1))));
    (closed.count(), outputs)
}

#[test]
fn a_connection_for_files_is_no_session() {
    let (closed, outputs) = outcome_of(Purpose::Bulk);
    assert_eq!(closed, 1);
    assert!(
        !outputs
            .iter()
            .any(|output| matches!(output, Output::Transmit(..)))
    );
    let (closed, outputs) = outcome_of(Purpose::Session);
    assert_eq!(closed, 0);
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Transmit(..)))
    );
}
