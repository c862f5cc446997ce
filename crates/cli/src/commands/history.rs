//! What was written, and what happens.

use super::{Context, exactly, names};
use crate::args::LogArgs;
use crate::failure::{Failure, Result};
use crate::{text, when};
use hallway_api::{Client, LOG_MESSAGES_MAX, LogQuery};
use hallway_model::{EventKind, MessageView, PeerView};
use jiff::Zoned;

/// Messages shown when nothing says how many.
const MESSAGES_DEFAULT: usize = 50;

pub(super) async fn log(cx: &Context<'_>, args: LogArgs) -> Result {
    let since = args
        .since
        .as_deref()
        .map(|text| when::parse_since(text, &Zoned::now()));
    let since = since.transpose().map_err(Failure::Usage)?;
    let client = cx.client()?;
    let peer = match &args.peer {
        Some(peer) => Some(client.peer(peer).await?),
        None => None,
    };
    let query = LogQuery {
        peer: peer.as_ref().map(exactly),
        since,
        search: args.search,
        ..LogQuery::default()
    };
    let wanted = match (args.limit, query.since) {
        (Some(limit), _) => limit,
        (None, Some(_)) if query.search.is_none() => usize::MAX,
        (None, _) => MESSAGES_DEFAULT,
    };
    if query.search.is_some() && wanted > LOG_MESSAGES_MAX {
        return Err(Failure::Usage(text::log_limit(LOG_MESSAGES_MAX)));
    }
    let messages = pages(&client, query, wanted).await?;
    if cx.out.json {
        cx.out.values(&messages)?;
    } else if messages.is_empty() {
        cx.out.note(text::NO_MESSAGES);
    } else {
        let names = names(&client).await?;
        let has_files = messages.iter().any(|message| message.file.is_some());
        let transfers = match has_files {
            true => client.files().await?,
            false => Vec::new(),
        };
        let mut layout = cx.layout(&names, peer.is_none());
        layout.transfers = &transfers;
        layout.ids = args.ids;
        cx.out.text(&layout.log(&messages))?;
    }
    match peer {
        Some(peer) if args.mark_read || !cx.out.json => mark_read(&client, &peer, &messages).await,
        _ => Ok(()),
    }
}

/// The latest `wanted` messages, oldest first, fetched from the newest page backwards.
async fn pages(client: &Client, mut query: LogQuery, wanted: usize) -> Result<Vec<MessageView>> {
    let mut pages = Vec::new();
    let mut missing = wanted;
    while missing > 0 {
        let limit = missing.min(LOG_MESSAGES_MAX);
        query.limit = Some(limit);
        let page = client.log(&query).await?;
        missing -= page.len();
        query.before = page.first().and_then(|oldest| oldest.id.parse().ok());
        let last = page.len() < limit || query.search.is_some();
        pages.push(page);
        if last {
            break;
        }
    }
    Ok(pages.into_iter().rev().flatten().collect())
}

/// What has been put before a person's eyes is read.
async fn mark_read(client: &Client, peer: &PeerView, messages: &[MessageView]) -> Result {
    let theirs = messages.iter().filter(|message| message.from == peer.id);
    if let Some(seq) = theirs.map(|message| message.seq).max() {
        client.read(&exactly(peer), seq).await?;
    }
    Ok(())
}

pub(super) async fn tail(cx: &Context<'_>, since: Option<u64>) -> Result {
    let client = cx.client()?;
    let mut events = client.events(since).await?;
    let mut names = names(&client).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if let EventKind::Peer { peer } | EventKind::Request { peer } = &event.kind {
            names.learn(peer);
        }
        cx.out
            .either(&event, || cx.layout(&names, true).event(&event))?;
    }
    cx.out.note(text::STOPPED);
    Ok(())
}

pub(super) async fn export(cx: &Context<'_>) -> Result {
    let mut lines = cx.client()?.export().await?;
    while let Some(line) = lines.next().await {
        cx.out.value(&line?)?;
    }
    Ok(())
}
