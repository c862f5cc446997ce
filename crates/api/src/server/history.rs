//! What was written: pages, search, export.

use super::request::Asked;
use super::stream::NDJSON;
use super::{Result, ask, off_the_reactor, this_node, unexpected, unreadable};
use crate::caller::Caller;
use crate::problem::ProblemView;
use crate::schema::{LOG_MESSAGES_MAX, LogQuery};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use futures_util::stream;
use hallway_model::{
    Answer, Command, ConversationId, Delivery, MessageId, MessageView, PeerId, Problem, Refusal,
    WallTime,
};
use hallway_node::Handle;
use std::collections::BTreeSet;
use std::io;
use tokio::sync::mpsc;

/// Messages in a reply when the request does not say how many.
const LOG_MESSAGES_DEFAULT: usize = 50;

/// Bytes of an export gathered before they are sent.
const EXPORT_CHUNK_BYTES: usize = 64 * 1024;

/// Chunks of an export that may wait for a slow reader.
const EXPORT_CHUNKS_WAITING: usize = 4;

pub(super) async fn log(
    State(node): State<Handle>,
    caller: Caller,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<Vec<MessageView>>> {
    if query.limit.is_some_and(|limit| limit > LOG_MESSAGES_MAX) {
        let detail = format!("`limit` is at most {LOG_MESSAGES_MAX}; use `before` to go on");
        return Err(ProblemView::bad_request(detail));
    }
    let conversation = match &query.peer {
        Some(peer) => Some(ConversationId::Peer(caller.resolve(&node, peer).await?.id)),
        None if caller.sees_all() => None,
        None => {
            let detail = "the token is not for all conversations: say which with `peer`";
            return Err(ProblemView::not_allowed(detail));
        }
    };
    let me = this_node(&node).await?.id;
    ask(&node, Command::Flush).await?;
    let reading = node.clone();
    let read = move || read(&reading, &me, conversation, &query);
    let mut messages = off_the_reactor(read).await?;
    mark_sent(&node, &me, &mut messages).await?;
    Ok(Json(messages))
}

fn read(
    node: &Handle,
    me: &PeerId,
    conversation: Option<ConversationId>,
    query: &LogQuery,
) -> Result<Vec<MessageView>> {
    let reader = node.reader();
    let limit = query.limit.unwrap_or(LOG_MESSAGES_DEFAULT);
    let mark = match (query.before, query.after, query.from) {
        (None, None, None) => None,
        (Some(id), None, None) => Some((Side::Before, row_of(node, conversation, &id)?)),
        (None, Some(id), None) => Some((Side::After, row_of(node, conversation, &id)?)),
        (None, None, Some(at)) => {
            let Some(conversation) = &conversation else {
                return Err(ProblemView::bad_request("`from` needs `peer`"));
            };
            let first = reader.first_from(conversation, at).map_err(unreadable)?;
            // After the message before it.
            Some((
                Side::After,
                first.map_or(u64::MAX, |row| row.saturating_sub(1)),
            ))
        }
        _ => {
            let detail = "`before`, `after` and `from` do not go with each other";
            return Err(ProblemView::bad_request(detail));
        }
    };
    let stored = match (&query.search, &conversation, mark, query.since) {
        (Some(_), _, Some(_), _) => {
            let detail =
                "`before`, `after` and `from` do not go with `search`; raise `limit` instead";
            return Err(ProblemView::bad_request(detail));
        }
        (Some(words), conversation, None, _) => reader.search(words, conversation.as_ref(), limit),
        (None, None, ..) => {
            let detail = "say whose log with `peer`, or `search` in all of them";
            return Err(ProblemView::bad_request(detail));
        }
        (None, Some(conversation), Some((Side::Before, row)), _) => {
            reader.page(conversation, Some(row), limit)
        }
        (None, Some(conversation), Some((Side::After, row)), _) => {
            reader.page_after(conversation, row, limit)
        }
        (None, Some(conversation), None, Some(since)) => reader.since(conversation, since, limit),
        (None, Some(conversation), None, None) => reader.page(conversation, None, limit),
    };
    let since = query.since.unwrap_or(WallTime(0));
    let stored = stored.map_err(unreadable)?.into_iter();
    Ok(stored
        .filter(|s| s.message.at >= since)
        .map(|s| s.view(me))
        .collect())
}

/// On which side of a message a page lies.
enum Side {
    Before,
    After,
}

/// Where the message given as `before` or `after` stands in this conversation. A message of another
/// one is not here: a bot is not even told that there is such a message.
fn row_of(node: &Handle, within: Option<ConversationId>, id: &MessageId) -> Result<u64> {
    let found = node.reader().message(None, id).map_err(unreadable)?;
    let found = found.filter(|stored| {
        within.is_none_or(|conversation| stored.message.conversation == conversation)
    });
    found.map(|stored| stored.row).ok_or_else(|| {
        let detail = "the message given as `before` or `after` is not in this talk";
        ProblemView::refused(&Refusal::new(Problem::NoSuchMessage, detail))
    })
}

/// `sent` is never on disk: the engine knows which messages a live session has.
pub(crate) async fn mark_sent(
    node: &Handle,
    me: &PeerId,
    messages: &mut [MessageView],
) -> Result<()> {
    let is_queued = |m: &MessageView| m.from == *me && m.state == Delivery::Queued;
    let peers: BTreeSet<PeerId> = messages
        .iter()
        .filter(|m| is_queued(m))
        .map(|m| m.to)
        .collect();
    for peer in peers {
        let Answer::InFlight(sent) = ask(node, Command::InFlight(peer)).await? else {
            return Err(unexpected());
        };
        let sent: BTreeSet<String> = sent.iter().map(ToString::to_string).collect();
        for message in messages
            .iter_mut()
            .filter(|m| is_queued(m) && sent.contains(&m.id))
        {
            message.state = Delivery::Sent;
        }
    }
    Ok(())
}

pub(super) async fn export(State(node): State<Handle>) -> impl IntoResponse {
    let (chunks, taken) = mpsc::channel(EXPORT_CHUNKS_WAITING);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(EXPORT_CHUNK_BYTES, Chunks(&chunks));
        let done = node.reader().export(&mut out).map_err(io::Error::other);
        if let Err(error) = done.and_then(|_| io::Write::flush(&mut out)) {
            tracing::warn!(%error, "the export broke off");
            // The reader of the stream must not take a part for the whole.
            let _ = chunks.blocking_send(Err(error));
        }
    });
    let body = stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken)));
    ([(CONTENT_TYPE, NDJSON)], Body::from_stream(body))
}

/// The sending end of an export.
struct Chunks<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = Ok(Bytes::copy_from_slice(bytes));
        match self.0.blocking_send(chunk) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
