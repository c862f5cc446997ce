//! People and messages for tests.

use hallway_model::{
    Delivery, MessageView, Name, PeerId, PeerView, Presence, Status, StatusView, WallTime,
};

pub(crate) const ME: PeerId = PeerId([0; 32]);
pub(crate) const BO: PeerId = PeerId([1; 32]);
pub(crate) const WANG: PeerId = PeerId([2; 32]);
pub(crate) const CY: PeerId = PeerId([3; 32]);

/// Noon of the first of March 2026, in UTC.
pub(crate) const NOON: u64 = 1_772_366_400_000;

pub(crate) fn person(id: PeerId, name: &str) -> PeerView {
    PeerView {
        id,
        tag: id.tag(),
        name: name.into(),
        state: Presence::Live,
        status: Status::Available,
        contact: true,
        verified: false,
        blocked: false,
        request: false,
        impostor: None,
        addresses: Vec::new(),
        rtt_ms: None,
        clock_skew_ms: None,
        last_seen: None,
        unread: 0,
        typing: false,
    }
}

/// The message with this number of its author, a minute for each; mine are to Bo.
pub(crate) fn said(from: PeerId, seq: u64, text: &str) -> MessageView {
    MessageView {
        id: format!("{:02x}{seq:030x}", from.0[0]),
        from,
        to: if from == ME { BO } else { ME },
        seq,
        kind: "text".into(),
        text: Some(text.into()),
        call: None,
        file: None,
        state: Delivery::Delivered,
        at: WallTime(NOON + seq * 60_000),
        reply_to: None,
        edited: false,
        deleted: false,
        reactions: Vec::new(),
        change: seq,
    }
}

pub(crate) fn node() -> StatusView {
    StatusView {
        id: ME,
        tag: ME.tag(),
        name: Name::new("Ann").unwrap(),
        status: Status::Available,
        port: 42550,
        pid: 1,
        sessions: 1,
        addresses: Vec::new(),
        version: "0.1.0".into(),
        uptime_ms: 0,
        accept_files_bytes: 0,
        read_receipts: true,
        downloads: "/home/ann/Downloads".into(),
        static_peers: Vec::new(),
        muted: Vec::new(),
        event: 0,
        notices: Vec::new(),
        counters: Vec::new(),
    }
}
