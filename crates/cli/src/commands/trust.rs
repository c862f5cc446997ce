//! Whom to believe and whom to let in.

use super::peers::list;
use super::{Context, exactly};
use crate::args::Decision;
use crate::failure::{Failure, Result};
use crate::show::label;
use crate::text;
use hallway_model::{PeerView, VerifyView};
use serde_json::json;

/// Digits in a group of a safety number, and groups in a line.
const GROUP_DIGITS: usize = 5;
const LINE_GROUPS: usize = 4;

pub(super) async fn verify(cx: &Context<'_>, peer: &str, number: &[String]) -> Result {
    let client = cx.client()?;
    let peer = client.peer(peer).await?;
    if !number.is_empty() {
        let view = client.verify(&exactly(&peer), number.concat()).await?;
        return Ok(cx.out.either(&view, || text::verified(&label(&peer)))?);
    }
    let view = client.safety_number(&exactly(&peer)).await?;
    cx.out.either(&view, || safety_number(&peer, &view))?;
    if view.verified || cx.out.json {
        return Ok(());
    }
    if !cx.at_a_terminal() {
        cx.out.note(&text::how_to_compare(&label(&peer), &peer.tag));
    } else if cx.confirm(text::DO_THEY_MATCH)? {
        client.verify(&exactly(&peer), view.safety_number).await?;
        cx.out.note(&text::verified(&label(&peer)));
    } else {
        cx.out.note(text::NOT_VERIFIED);
    }
    Ok(())
}

/// Twelve groups of five, in three lines that two people can read to each other.
fn safety_number(peer: &PeerView, view: &VerifyView) -> String {
    let digits: Vec<char> = view
        .safety_number
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let groups: Vec<String> = digits
        .chunks(GROUP_DIGITS)
        .map(|g| g.iter().collect())
        .collect();
    let mut shown = text::safety_number(&label(peer), view.verified);
    shown.push_str("\n\n");
    for line in groups.chunks(LINE_GROUPS) {
        shown.push_str(&format!("    {}\n", line.join(" ")));
    }
    shown
}

pub(super) async fn keep_name(cx: &Context<'_>, peer: &str) -> Result {
    let peer = cx.client()?.keep_name(peer).await?;
    said(cx, &peer, &text::name_kept(&label(&peer)))
}

pub(super) async fn block(cx: &Context<'_>, peer: &str) -> Result {
    let peer = cx.client()?.block(peer).await?;
    said(cx, &peer, &text::blocked(&label(&peer)))
}

pub(super) async fn unblock(cx: &Context<'_>, peer: &str) -> Result {
    let peer = cx.client()?.unblock(peer).await?;
    said(cx, &peer, &text::unblocked(&label(&peer)))
}

fn said(cx: &Context<'_>, peer: &PeerView, what: &str) -> Result {
    cx.out.note(what);
    if cx.out.json {
        cx.out.value(peer)?;
    }
    Ok(())
}

pub(super) async fn forget(cx: &Context<'_>, peer: &str, yes: bool) -> Result {
    let client = cx.client()?;
    let peer = client.peer(peer).await?;
    if !yes && (cx.out.json || !cx.at_a_terminal()) {
        return Err(Failure::Usage(text::FORGET_NEEDS_YES.into()));
    }
    if !yes && !cx.confirm(&text::forget_question(&label(&peer)))? {
        cx.out.note(text::NOTHING_DONE);
        return Ok(());
    }
    client.forget(&exactly(&peer)).await?;
    cx.out.note(&text::forgotten(&label(&peer)));
    if cx.out.json {
        cx.out.value(&json!({ "id": peer.id, "forgotten": true }))?;
    }
    Ok(())
}

pub(super) async fn requests(cx: &Context<'_>, decision: Option<Decision>) -> Result {
    let client = cx.client()?;
    match decision {
        None => list(cx, &client.requests().await?, text::NO_REQUESTS),
        Some(Decision::Accept { peer }) => {
            let peer = client.accept(&peer).await?;
            said(cx, &peer, &text::accepted(&label(&peer)))
        }
        Some(Decision::Decline { peer }) => {
            let peer = client.peer(&peer).await?;
            // Whoever was let in is not removed by a word that is for strangers.
            if !peer.request {
                let known = anyhow::anyhow!(text::no_request(&label(&peer)));
                return Err(known.into());
            }
            let peer = client.forget(&exactly(&peer)).await?;
            said(cx, &peer, &text::declined(&label(&peer)))
        }
    }
}
