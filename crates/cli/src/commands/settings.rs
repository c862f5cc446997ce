//! What a person chooses about the node, and about who may disturb them.

use super::{Context, exactly};
use crate::args::{SettingsArgs, Switch};
use crate::failure::Result;
use crate::out::{Paint, table};
use crate::show::label;
use crate::{safe, text};
use hallway_api::SettingsRequest;
use hallway_model::StatusView;
use serde_json::json;
use std::path::absolute;

/// Changes what is given, and shows all of it.
pub(super) async fn settings(cx: &Context<'_>, args: SettingsArgs) -> Result {
    let client = cx.client()?;
    let before = client.status().await?.static_peers;
    let mut peers = before.clone();
    for address in args.add_peer {
        if !peers.contains(&address) {
            peers.push(address);
        }
    }
    for address in args.remove_peer {
        if !peers.contains(&address) {
            let unknown = anyhow::anyhow!(text::no_static_peer(&address));
            return Err(unknown.into());
        }
        peers.retain(|known| *known != address);
    }
    let request = SettingsRequest {
        accept_files_bytes: args.accept,
        read_receipts: args.read_receipts.map(Switch::is_on),
        downloads: args.downloads.map(absolute).transpose()?,
        static_peers: Some(peers).filter(|peers| *peers != before),
    };
    if request != SettingsRequest::default() {
        client.set_settings(&request).await?;
    }
    let status = client.status().await?;
    let value = json!({
        "accept_files_bytes": status.accept_files_bytes,
        "read_receipts": status.read_receipts,
        "downloads": status.downloads,
        "static_peers": status.static_peers,
    });
    Ok(cx.out.either(&value, || show(cx, &status))?)
}

fn show(cx: &Context<'_>, status: &StatusView) -> String {
    let downloads = safe::one_line(&status.downloads.to_string_lossy());
    let mut rows = vec![
        ("--accept", text::accept_up_to(status.accept_files_bytes)),
        (
            "--read-receipts",
            text::receipts(status.read_receipts).into(),
        ),
        ("--downloads", downloads),
    ];
    let peers = status.static_peers.iter();
    rows.extend(peers.map(|peer| ("--add-peer", safe::one_line(peer))));
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(option, value)| [(Paint::Dim, option.to_owned()), (Paint::Plain, value)])
        .collect();
    table(cx.out, &rows)
}

/// Whether what a peer writes is notified, or that it shall be or not.
pub(super) async fn notify(cx: &Context<'_>, peer: &str, switch: Option<Switch>) -> Result {
    let client = cx.client()?;
    let peer = client.peer(peer).await?;
    if let Some(switch) = switch {
        client.mute_peer(&exactly(&peer), !switch.is_on()).await?;
    }
    let notified = !client.status().await?.muted.contains(&peer.id);
    let value = json!({ "id": peer.id, "notified": notified });
    Ok(cx
        .out
        .either(&value, || text::notified(&label(&peer), notified))?)
}
