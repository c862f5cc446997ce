//! A message as it is now: edits and deletions applied, reactions gathered.

use crate::columns::{MESSAGE, message, number, peer_id};
use hallway_model::{
    Body, ConversationId, Delivery, Message, MessageId, MessageView, PeerId, QuoteView,
    ReactionView,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The message. Its text is the current one, empty once deleted; its delivery is `Read` when
    /// the person it is for has seen it, and never `Sent`.
    pub message: Message,
    /// Where it stands in the order of arrival: the cursor of [`crate::Reader::page`].
    pub row: u64,
    /// The number of its last change: the cursor of [`crate::Reader::changes_since`].
    pub change: u64,
    /// The text was changed after it was sent.
    pub edited: bool,
    /// It was taken back.
    pub deleted: bool,
    /// Emoji on it, in the order they were set.
    pub reactions: Vec<ReactionView>,
    /// What it answers, as that is now.
    pub quote: Option<QuoteView>,
}

impl StoredMessage {
    /// The message as faces show it. `me` tells the two sides of a talk apart.
    pub fn view(&self, me: &PeerId) -> MessageView {
        let message = &self.message;
        let (kind, text) = match &message.body {
            Body::Text { text, .. } => ("text", Some(text).filter(|_| !self.deleted)),
            Body::Call(_) => ("call", None),
            Body::Offer(_) => ("file", None),
            Body::Unknown { .. } => ("unknown", None),
            Body::Edit { .. } => ("edit", None),
            Body::Delete { .. } => ("delete", None),
            Body::Reaction(_) => ("reaction", None),
        };
        MessageView {
            id: message.id.to_string(),
            from: message.author,
            to: match message.conversation {
                ConversationId::Peer(peer) if message.author == *me => peer,
                ConversationId::Peer(_) | ConversationId::Group(_) => *me,
            },
            seq: message.seq,
            kind: kind.to_owned(),
            text: text.cloned(),
            call: message.call(),
            file: match &message.body {
                Body::Offer(offer) if !self.deleted => Some(offer.view()),
                Body::Offer(_)
                | Body::Text { .. }
                | Body::Edit { .. }
                | Body::Delete { .. }
                | Body::Reaction(_)
                | Body::Call(_)
                | Body::Unknown { .. } => None,
            },
            state: message.delivery,
            at: message.at,
            reply_to: self.quote.clone(),
            edited: self.edited,
            deleted: self.deleted,
            reactions: self.reactions.clone(),
            change: self.change,
        }
    }
}

pub(crate) const REACTIONS: &str = "SELECT r.emoji, a.id FROM reactions r \
     JOIN ids a ON a.n = r.author WHERE r.message = ?1 ORDER BY r.rowid";

/// The message that the one in row ?1 answers; the oldest, should two authors have chosen its id.
pub(crate) const QUOTE: &str = "SELECT a.id, q.text FROM messages m \
     CROSS JOIN messages q ON q.id = ?2 AND +q.conversation = m.conversation \
     CROSS JOIN ids a ON a.n = q.author WHERE m.row = ?1 AND +q.kind <= 2 ORDER BY q.row";

/// Reads the messages `m` that the rest of the statement, from `WHERE` on, tells.
pub(crate) fn select(
    connection: &Connection,
    rest: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut statement = connection.prepare_cached(&sql(rest))?;
    let mut messages: Vec<StoredMessage> = statement
        .query_map(params, from_row)?
        .collect::<Result<_, _>>()?;
    for stored in &mut messages {
        complete(connection, stored)?;
    }
    Ok(messages)
}

/// The statement of [`select`].
pub(crate) fn sql(rest: &str) -> String {
    // The joins look one row up for each message; they must not decide the order.
    format!(
        "SELECT {MESSAGE}, m.row, m.change, m.edited, m.deleted, \
             m.seq <= iif(m.author = m.conversation, p.read_by_us, p.read_by_them) \
         FROM messages m CROSS JOIN ids c ON c.n = m.conversation \
             CROSS JOIN ids a ON a.n = m.author LEFT JOIN peers p ON p.n = m.conversation {rest}"
    )
}

/// Reads what [`sql`] selects. Quote and reactions are still missing.
pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    let mut message = message(row)?;
    let seen: Option<bool> = row.get(15)?;
    if message.delivery == Delivery::Delivered && seen == Some(true) {
        message.delivery = Delivery::Read;
    }
    Ok(StoredMessage {
        message,
        row: number(row, 11)?,
        change: number(row, 12)?,
        edited: row.get(13)?,
        deleted: row.get(14)?,
        reactions: Vec::new(),
        quote: None,
    })
}

/// Adds quote and reactions.
pub(crate) fn complete(
    connection: &Connection,
    stored: &mut StoredMessage,
) -> rusqlite::Result<()> {
    stored.reactions = connection
        .prepare_cached(REACTIONS)?
        .query_map([stored.row.cast_signed()], |row| {
            Ok(ReactionView {
                emoji: row.get(0)?,
                by: peer_id(row, 1)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    if let Body::Text {
        reply_to: Some(target),
        ..
    } = &stored.message.body
    {
        stored.quote = Some(quote(connection, stored, target)?);
    }
    Ok(())
}

fn quote(
    connection: &Connection,
    reply: &StoredMessage,
    target: &MessageId,
) -> rusqlite::Result<QuoteView> {
    let found = connection
        .prepare_cached(QUOTE)?
        .query_row(params![reply.row.cast_signed(), target.0], |row| {
            Ok((peer_id(row, 0)?, row.get(1)?))
        })
        .optional()?;
    let (from, text) = found.map_or((None, None), |(from, text)| (Some(from), text));
    Ok(QuoteView {
        id: target.to_string(),
        from,
        text,
    })
}
