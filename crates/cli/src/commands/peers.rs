//! Who is here, and reaching who is not seen.

use super::Context;
use crate::failure::Result;
use crate::{show, text};
use hallway_api::{Client, ConnectRequest};
use hallway_model::{Event, EventKind, PeerView};
use serde_json::json;

pub(super) async fn peers(cx: &Context<'_>, watch: bool) -> Result {
    let client = cx.client()?;
    // Listen before looking, so that no change falls between the two.
    let events = if watch {
        Some(client.events(None).await?)
    } else {
        None
    };
    let peers = client.peers().await?;
    list(cx, &peers, text::NOBODY)?;
    let Some(mut events) = events else {
        return Ok(());
    };
    while let Some(event) = events.next().await {
        show_change(cx, &client, event?).await?;
    }
    cx.out.note(text::STOPPED);
    Ok(())
}

/// A line for each peer; a word to the person when there are none.
pub(super) fn list(cx: &Context<'_>, peers: &[PeerView], none: &str) -> Result {
    if cx.out.json {
        cx.out.values(peers)?;
    } else if peers.is_empty() {
        cx.out.note(none);
    } else {
        cx.out.text(&show::peers(cx.out, peers))?;
    }
    Ok(())
}

async fn show_change(cx: &Context<'_>, client: &Client, event: Event) -> Result {
    match event.kind {
        EventKind::Peer { peer } | EventKind::Request { peer } => list(cx, &[*peer], ""),
        EventKind::PeerGone { id } => Ok(cx
            .out
            .either(&json!({ "id": id, "gone": true }), || text::gone(&id.tag()))?),
        EventKind::Notice { code, .. } if code == "lagged" => {
            list(cx, &client.peers().await?, text::NOBODY)
        }
        EventKind::Message { .. }
        | EventKind::State { .. }
        | EventKind::ReadUpTo { .. }
        | EventKind::Typing { .. }
        | EventKind::NameCollision { .. }
        | EventKind::Call { .. }
        | EventKind::CallLevels { .. }
        | EventKind::Transfer { .. }
        | EventKind::Notice { .. } => Ok(()),
    }
}

pub(super) async fn connect(cx: &Context<'_>, address: String) -> Result {
    let peer = cx.client()?.connect(&ConnectRequest { address }).await?;
    let address = peer.addresses.first().map(ToString::to_string);
    let said = || text::connected(&show::label(&peer), address.as_deref().unwrap_or_default());
    Ok(cx.out.either(&peer, said)?)
}
