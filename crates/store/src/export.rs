//! Everything a person would want back, as JSON Lines.

use crate::StoreError;
use crate::columns::{self, PEERS};
use crate::stored::{self, StoredMessage};
use hallway_model::{
    Body, CallRecord, ConversationId, Delivery, FileView, MessageId, Name, Peer, PeerId,
    ReactionView, Relation, WallTime,
};
use rusqlite::Connection;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;

/// The form of the lines; a change that a reader must know of makes a new number.
const VERSION: u32 = 1;

pub(crate) const MESSAGES: &str = "WHERE m.kind <= 2 ORDER BY m.row";

/// One line.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Export {
        version: u32,
    },
    Peer {
        id: &'a PeerId,
        name: Option<&'a Name>,
        relation: Relation,
        blocked: bool,
        verified_at: Option<WallTime>,
        first_seen: WallTime,
        last_seen: Option<WallTime>,
        addresses: &'a [SocketAddr],
    },
    Message {
        id: &'a MessageId,
        conversation: &'a ConversationId,
        from: &'a PeerId,
        seq: u64,
        at: WallTime,
        state: Delivery,
        edited: bool,
        deleted: bool,
        #[serde(flatten)]
        body: BodyLine<'a>,
        reactions: &'a [ReactionView],
    },
}

/// What differs between the kinds that are shown.
#[derive(Serialize)]
#[serde(untagged)]
enum BodyLine<'a> {
    Text {
        text: Option<&'a str>,
        reply_to: Option<&'a MessageId>,
    },
    Call {
        call: &'a CallRecord,
    },
    File {
        file: FileView,
    },
    Unknown {
        unknown_kind: u16,
        raw_hex: String,
    },
}

/// Writes all lines and returns their number.
pub(crate) fn write(connection: &Connection, out: &mut dyn io::Write) -> Result<u64, StoreError> {
    let moment = connection.unchecked_transaction()?;
    let mut lines = 0;
    let mut put = |line: &Line<'_>| {
        serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
        lines += 1;
        out.write_all(b"\n")
    };
    put(&Line::Export { version: VERSION })?;
    let mut peers = moment.prepare(PEERS)?;
    let mut rows = peers.query([])?;
    while let Some(row) = rows.next()? {
        put(&peer_line(&columns::peer(row)?))?;
    }
    let mut messages = moment.prepare(&stored::sql(MESSAGES))?;
    let mut rows = messages.query([])?;
    while let Some(row) = rows.next()? {
        let mut message = stored::from_row(row)?;
        stored::complete(&moment, &mut message)?;
        put(&message_line(&message))?;
    }
    out.flush()?;
    Ok(lines)
}

fn peer_line(peer: &Peer) -> Line<'_> {
    Line::Peer {
        id: &peer.id,
        name: peer.name.as_ref(),
        relation: peer.relation,
        blocked: peer.blocked,
        verified_at: peer.verified_at,
        first_seen: peer.first_seen,
        last_seen: peer.last_seen,
        addresses: &peer.addresses,
    }
}

fn message_line(stored: &StoredMessage) -> Line<'_> {
    let message = &stored.message;
    let body = match &message.body {
        Body::Text { text, reply_to } => BodyLine::Text {
            text: Some(text.as_str()).filter(|_| !stored.deleted),
            reply_to: reply_to.as_ref(),
        },
        Body::Call(call) => BodyLine::Call { call },
        Body::Offer(offer) => BodyLine::File { file: offer.view() },
        Body::Unknown { kind, raw } => BodyLine::Unknown {
            unknown_kind: *kind,
            raw_hex: raw.iter().map(|byte| format!("{byte:02x}")).collect(),
        },
        // Effects are not selected: they are in what they had an effect on.
        Body::Edit { .. } | Body::Delete { .. } | Body::Reaction(_) => BodyLine::Text {
            text: None,
            reply_to: None,
        },
    };
    Line::Message {
        id: &message.id,
        conversation: &message.conversation,
        from: &message.author,
        seq: message.seq,
        at: message.at,
        state: message.delivery,
        edited: stored.edited,
        deleted: stored.deleted,
        body,
        reactions: &stored.reactions,
    }
}
