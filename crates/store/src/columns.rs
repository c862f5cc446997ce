//! How the types of the model stand in columns.

use hallway_model::{
    Body, CallOutcome, CallRecord, ConversationId, Delivery, GroupId, Message, MessageId, Name,
    Offer, Peer, PeerId, Reaction, Relation, WallTime,
};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Row, ToSql, named_params};
use std::borrow::Cow;
use std::error::Error;

/// The column `messages.kind`. Up to 2 they are shown, the others are effects.
pub(crate) const CALL: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const UNKNOWN: u8 = 2;
pub(crate) const EDIT: u8 = 3;
pub(crate) const DELETE: u8 = 4;
pub(crate) const REACTION: u8 = 5;

/// The column `messages.delivery`; 2 is for a message taken back before it was delivered.
pub(crate) const QUEUED: u8 = 0;
pub(crate) const DELIVERED: u8 = 1;

/// A peer chooses its numbers and must not make a write fail: the largest that fit stand for
/// larger ones.
pub(crate) fn to_column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Limits are counts in memory, so they fit.
pub(crate) fn limit_to_column(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(crate) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|error| invalid(column, error))
}

fn optional_number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    let value = value.map(u64::try_from).transpose();
    value.map_err(|error| invalid(column, error))
}

/// A value that none of our versions writes.
pub(crate) fn invalid(column: usize, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, Box::new(error))
}

pub(crate) fn out_of_range(column: usize, value: i64) -> rusqlite::Error {
    invalid(column, FromSqlError::OutOfRange(value))
}

pub(crate) fn conversation_bytes(conversation: &ConversationId) -> &[u8] {
    match conversation {
        ConversationId::Peer(peer) => &peer.0,
        ConversationId::Group(group) => &group.0,
    }
}

pub(crate) fn conversation(row: &Row<'_>, column: usize) -> rusqlite::Result<ConversationId> {
    let bytes = row.get_ref(column)?.as_blob()?;
    if let Ok(peer) = bytes.try_into() {
        return Ok(ConversationId::Peer(PeerId(peer)));
    }
    match bytes.try_into() {
        Ok(group) => Ok(ConversationId::Group(GroupId(group))),
        Err(error) => Err(invalid(column, error)),
    }
}

pub(crate) fn peer_id(row: &Row<'_>, column: usize) -> rusqlite::Result<PeerId> {
    Ok(PeerId(row.get(column)?))
}

/// The kind of an offer on the wire, in `extra`.
const OFFER_ON_THE_WIRE: u16 = 5;

/// An offer as it is on the wire.
pub(crate) fn offer_bytes(offer: &Offer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(offer, &mut bytes);
    assert!(written.is_ok(), "an offer did not encode");
    bytes
}

/// The offer in these bytes, with the bytes themselves when it holds more than this version knows.
/// What a peer sent was judged before it came here.
fn offer(bytes: Vec<u8>) -> (Body, Option<Vec<u8>>) {
    match ciborium::from_reader::<Offer, _>(bytes.as_slice()) {
        Ok(offer) => {
            let more = offer_bytes(&offer) != bytes;
            (Body::Offer(Box::new(offer)), more.then_some(bytes))
        }
        // Taken back, and nothing of it is left.
        Err(_) => (
            Body::Unknown {
                kind: OFFER_ON_THE_WIRE,
                raw: bytes,
            },
            None,
        ),
    }
}

/// The columns of a body: kind, text, target, extra and raw.
pub(crate) struct BodyColumns<'a> {
    pub(crate) kind: u8,
    pub(crate) text: Option<&'a str>,
    pub(crate) target: Option<&'a MessageId>,
    pub(crate) extra: Option<i64>,
    pub(crate) raw: Option<Cow<'a, [u8]>>,
}

impl<'a> BodyColumns<'a> {
    pub(crate) fn new(message: &'a Message) -> Self {
        let (kind, text, target, extra) = match &message.body {
            Body::Text { text, reply_to } => (TEXT, Some(text), reply_to.as_ref(), None),
            Body::Call(record) => (CALL, None, None, Some(pack_call(record))),
            Body::Unknown { kind, .. } => (UNKNOWN, None, None, Some(i64::from(*kind))),
            // As one of a version that does not know them would be.
            Body::Offer(offer) => (
                UNKNOWN,
                Some(&offer.name),
                None,
                Some(i64::from(OFFER_ON_THE_WIRE)),
            ),
            Body::Edit { target, text } => (EDIT, Some(text), Some(target), None),
            Body::Delete { target } => (DELETE, None, Some(target), None),
            Body::Reaction(Reaction { target, emoji, on }) => {
                (REACTION, Some(emoji), Some(target), Some(i64::from(*on)))
            }
        };
        let raw = match (&message.body, &message.raw) {
            (Body::Unknown { raw, .. }, _) => Some(Cow::Borrowed(raw.as_slice())),
            (Body::Offer(offer), None) => Some(Cow::Owned(offer_bytes(offer))),
            (_, raw) => raw.as_deref().map(Cow::Borrowed),
        };
        let text = text.map(String::as_str);
        Self {
            kind,
            text,
            target,
            extra,
            raw,
        }
    }
}

/// Outcomes of calls as their lowest four bits of `extra`; the rest is the duration. Those at 1, 3
/// and 4 count as unread messages.
const OUTCOMES: [CallOutcome; 7] = [
    CallOutcome::Answered,
    CallOutcome::Missed,
    CallOutcome::Declined,
    CallOutcome::Busy,
    CallOutcome::Cancelled,
    CallOutcome::Failed,
    CallOutcome::Interrupted,
];

/// Longest call that fits: a peer that claims a longer one has had one of this length.
const CALL_MS_MAX: u64 = (1 << 59) - 1;

fn pack_call(record: &CallRecord) -> i64 {
    let outcome = OUTCOMES.iter().position(|known| *known == record.outcome);
    let duration = record.duration_ms.min(CALL_MS_MAX).cast_signed();
    duration * 16 + limit_to_column(outcome.unwrap_or_default())
}

fn unpack_call(extra: u64) -> Option<CallRecord> {
    let outcome = usize::try_from(extra % 16).ok()?;
    Some(CallRecord {
        outcome: *OUTCOMES.get(outcome)?,
        duration_ms: extra / 16,
    })
}

/// What [`message`] reads, as columns 0 to 10. `m` is the message, `c` its conversation, `a` its
/// author.
pub(crate) const MESSAGE: &str = "m.id, c.id, a.id, m.seq, m.at, m.kind, m.text, m.target, \
     m.extra, m.raw, m.delivery";

/// Reads a message from the columns [`MESSAGE`]. A text that was wiped comes as an empty one.
pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let text = || Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(6)?.unwrap_or_default());
    let target = || Ok::<_, rusqlite::Error>(MessageId(row.get(7)?));
    let mut raw: Option<Vec<u8>> = row.get(9)?;
    let body = match row.get(5)? {
        TEXT => Body::Text {
            text: text()?,
            reply_to: row.get::<_, Option<_>>(7)?.map(MessageId),
        },
        CALL => Body::Call(unpack_call(number(row, 8)?).ok_or_else(|| out_of_range(8, 0))?),
        UNKNOWN if row.get::<_, u16>(8)? == OFFER_ON_THE_WIRE => {
            let (body, rest) = offer(raw.take().unwrap_or_default());
            raw = rest;
            body
        }
        UNKNOWN => Body::Unknown {
            kind: row.get(8)?,
            raw: raw.take().unwrap_or_default(),
        },
        EDIT => Body::Edit {
            target: target()?,
            text: text()?,
        },
        DELETE => Body::Delete { target: target()? },
        REACTION => Body::Reaction(Reaction {
            target: target()?,
            emoji: text()?,
            on: row.get(8)?,
        }),
        other => return Err(out_of_range(5, other.into())),
    };
    Ok(Message {
        id: MessageId(row.get(0)?),
        conversation: conversation(row, 1)?,
        author: peer_id(row, 2)?,
        seq: number(row, 3)?,
        at: WallTime(number(row, 4)?),
        body,
        raw,
        delivery: match row.get(10)? {
            DELIVERED => Delivery::Delivered,
            _ => Delivery::Queued,
        },
    })
}

/// What [`peer`] reads. `p` is the peer, `i` its id.
pub(crate) const PEERS: &str = "SELECT i.id, name, relation, blocked, verified_at, impostor, \
     name_settled, first_seen, last_seen, addresses, fast_aes, last_seq, read_by_them, \
     read_by_us, request_messages FROM peers p JOIN ids i ON i.n = p.n ORDER BY p.n";

pub(crate) fn peer(row: &Row<'_>) -> rusqlite::Result<Peer> {
    let name: Option<String> = row.get(1)?;
    let name = name.map(|name| Name::new(&name)).transpose();
    let addresses: String = row.get(9)?;
    let addresses = addresses
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>();
    Ok(Peer {
        id: peer_id(row, 0)?,
        name: name.map_err(|error| invalid(1, error))?,
        relation: match row.get(2)? {
            0u8 => Relation::Stranger,
            1 => Relation::Contact,
            other => return Err(out_of_range(2, other.into())),
        },
        blocked: row.get(3)?,
        verified_at: optional_number(row, 4)?.map(WallTime),
        impostor: row.get::<_, Option<_>>(5)?.map(PeerId),
        name_settled: row.get(6)?,
        first_seen: WallTime(number(row, 7)?),
        last_seen: optional_number(row, 8)?.map(WallTime),
        addresses: addresses.map_err(|error| invalid(9, error))?,
        fast_aes: row.get(10)?,
        last_seq: number(row, 11)?,
        read_by_them: number(row, 12)?,
        read_by_us: number(row, 13)?,
        request_messages: row.get(14)?,
    })
}

/// Replaces the record of the peer with the number `:n`, whose read mark it does not raise.
pub(crate) const REPLACE_PEER: &str = "INSERT OR REPLACE INTO peers VALUES (:n, :name, :relation, \
     :blocked, :verified_at, :impostor, :name_settled, :first_seen, :last_seen, :addresses, \
     :fast_aes, :last_seq, :read_by_them, \
     min(:read_by_us, ifnull((SELECT read_by_us FROM peers WHERE n = :n), :read_by_us)), \
     :request_messages)";

/// Hands the parameters of [`REPLACE_PEER`] to `execute`.
pub(crate) fn with_peer<T>(
    n: i64,
    peer: &Peer,
    execute: impl FnOnce(&[(&str, &dyn ToSql)]) -> T,
) -> T {
    let addresses: Vec<String> = peer.addresses.iter().map(ToString::to_string).collect();
    execute(named_params! {
        ":n": n,
        ":name": peer.name.as_ref().map(Name::as_str),
        ":relation": match peer.relation {
            Relation::Stranger => 0,
            Relation::Contact => 1,
        },
        ":blocked": peer.blocked,
        ":verified_at": peer.verified_at.map(|time| to_column(time.0)),
        ":impostor": peer.impostor.map(|id| id.0),
        ":name_settled": peer.name_settled,
        ":first_seen": to_column(peer.first_seen.0),
        ":last_seen": peer.last_seen.map(|time| to_column(time.0)),
        ":addresses": addresses.join(" "),
        ":fast_aes": peer.fast_aes,
        ":last_seq": to_column(peer.last_seq),
        ":read_by_them": to_column(peer.read_by_them),
        ":read_by_us": to_column(peer.read_by_us),
        ":request_messages": peer.request_messages,
    })
}
