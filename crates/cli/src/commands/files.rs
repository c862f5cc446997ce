//! Files: sending them, and deciding about those that others offer.

use super::{Context, exactly, names, watch};
use crate::args::{FilesCommand, SendArgs, Wait};
use crate::failure::{Failure, Result};
use crate::{show, text};
use anyhow::anyhow;
use hallway_api::{Client, OffersRequest, SettingsRequest, TakeRequest};
use hallway_model::{TransferState, TransferView};
use hallway_node::files::{OpeningError, Shown, open_with_desktop};
use serde_json::json;
use std::path::{Path, PathBuf};

/// `hallway send PEER… --file PATH`
pub(super) async fn send(cx: &Context<'_>, args: &SendArgs) -> Result {
    let client = cx.client()?;
    let mut peers = vec![client.peer(&args.peer).await?];
    for peer in &args.text {
        peers.push(client.peer(peer).await?);
    }
    // Listen before offering, so that nothing falls between the two.
    let mut events = client.events(None).await?;
    let mut all = Vec::new();
    for (number, path) in args.file.iter().enumerate() {
        let of_this = |id: &String| match number {
            0 => id.clone(),
            _ => format!("{id} {number}"),
        };
        let offered = client
            .offer_to_many(&OffersRequest {
                to: peers.iter().map(exactly).collect(),
                path: absolute(path)?,
                client_id: args.client_id.as_ref().map(of_this),
            })
            .await?;
        for offered in offered {
            if cx.out.json {
                cx.out.value(&offered)?;
            }
            let file = text::file(&offered.file);
            let peer = peers.iter().find(|peer| peer.id == offered.peer);
            let label = peer.map(show::label).unwrap_or_default();
            cx.out.note(&text::offered(&file, &label));
            all.push(offered);
        }
    }
    match args.wait {
        Some(Wait::Sent | Wait::Delivered) => {
            watch::wait(cx, &client, &mut events, &all, args.timeout).await
        }
        // What is offered is on this disk.
        Some(Wait::Queued) | None => Ok(()),
    }
}

/// `hallway files …`
pub(super) async fn files(cx: &Context<'_>, command: Option<FilesCommand>) -> Result {
    let client = cx.client()?;
    let transfer = match command {
        None => return list(cx).await,
        Some(FilesCommand::Accept { id, to }) => {
            let to = to.as_deref().map(absolute).transpose()?;
            client.take_file(&id, &TakeRequest { to }).await?
        }
        Some(FilesCommand::Decline { id }) => client.decline_file(&id).await?,
        Some(FilesCommand::Pause { id }) => client.pause_file(&id).await?,
        Some(FilesCommand::Resume { id }) => client.resume_file(&id).await?,
        Some(FilesCommand::Cancel { id }) => client.cancel_file(&id).await?,
        Some(FilesCommand::Limit { size }) => return limit(cx, &client, size).await,
        Some(FilesCommand::Watch { ids }) => {
            return cx.while_read(watch::watch(cx, &ids)).await;
        }
        Some(FilesCommand::Open { id, folder }) => return open(cx, &client, &id, folder).await,
    };
    show_all(cx, &[transfer]).await
}

/// Says up to which size files are taken unasked, or sets it.
async fn limit(cx: &Context<'_>, client: &Client, size: Option<u64>) -> Result {
    if let Some(accept_files_bytes) = size {
        let request = SettingsRequest {
            accept_files_bytes: Some(accept_files_bytes),
            ..SettingsRequest::default()
        };
        client.set_settings(&request).await?;
    }
    let bytes = client.status().await?.accept_files_bytes;
    let value = json!({ "accept_files_bytes": bytes });
    Ok(cx.out.either(&value, || text::accept_up_to(bytes))?)
}

/// Shows what has arrived on the desktop of whoever asks.
async fn open(cx: &Context<'_>, client: &Client, id: &str, folder: bool) -> Result {
    let transfers = client.files().await?;
    let transfer = watch::pick(&transfers, id)?;
    let arrived = !transfer.incoming || transfer.state == TransferState::Done;
    let Some(path) = transfer.path.as_deref().filter(|_| arrived) else {
        return Err(Failure::Other(anyhow!(text::NOT_ARRIVED)));
    };
    let shown = if folder { Shown::Folder } else { Shown::File };
    match open_with_desktop(path, shown) {
        Ok(()) => Ok(cx.out.either(transfer, || path.display().to_string())?),
        Err(error @ OpeningError::Program(_)) => Err(Failure::Declined(error.to_string())),
        Err(error) => Err(Failure::Other(error.into())),
    }
}

async fn list(cx: &Context<'_>) -> Result {
    let transfers = cx.client()?.files().await?;
    if transfers.is_empty() && !cx.out.json {
        cx.out.note(text::NO_FILES);
        return Ok(());
    }
    show_all(cx, &transfers).await
}

async fn show_all(cx: &Context<'_>, transfers: &[TransferView]) -> Result {
    if cx.out.json {
        for transfer in transfers {
            cx.out.value(transfer)?;
        }
        return Ok(());
    }
    let names = names(&cx.client()?).await?;
    cx.out.text(&show::transfers(cx.out, &names, transfers))?;
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Failure::Other(error.into()))
}
