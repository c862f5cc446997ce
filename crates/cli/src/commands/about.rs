//! The node itself: status, id, name, availability, stop.

use super::Context;
use crate::failure::{Failure, Result};
use crate::{show, text};
use hallway_model::{Name, Status};
use serde_json::json;
use std::fs::File;
use std::time::Duration;

pub(super) async fn status(cx: &Context<'_>) -> Result {
    let status = cx.client()?.status().await?;
    Ok(cx.out.either(&status, || show::status(cx.out, &status))?)
}

pub(super) async fn id(cx: &Context<'_>) -> Result {
    let status = cx.client()?.status().await?;
    let value = json!({ "id": status.id, "tag": status.tag });
    Ok(cx.out.either(&value, || status.id.to_string())?)
}

pub(super) async fn name(cx: &Context<'_>, new: Option<Name>) -> Result {
    let client = cx.client()?;
    if let Some(new) = &new {
        client.set_name(new.clone()).await?;
        cx.out.note(&text::now_called(new.as_str()));
    }
    let name = match new {
        Some(new) => new,
        None => client.status().await?.name,
    };
    Ok(cx
        .out
        .either(&json!({ "name": name }), || name.to_string())?)
}

pub(super) async fn set_status(cx: &Context<'_>, status: Status) -> Result {
    cx.client()?.set_status(status).await?;
    cx.out.note(&text::now_status(text::status(status)));
    if cx.out.json {
        cx.out.value(&json!({ "status": status }))?;
    }
    Ok(())
}

/// The node's home is locked for as long as the node lives: waiting for the lock is waiting for
/// its end, however that comes.
pub(super) async fn stop(cx: &Context<'_>, timeout: Duration) -> Result {
    let client = cx.client()?;
    let lock = cx.home()?.path().join("node.lock");
    let pid = client.status().await?.pid;
    client.stop().await?;
    let gone = tokio::task::spawn_blocking(move || File::open(lock)?.lock_shared());
    match tokio::time::timeout(timeout, gone).await {
        Ok(Ok(waited)) => waited?,
        Ok(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
        Err(_) => return Err(Failure::TimedOut(text::STOP_TIMED_OUT.into())),
    }
    cx.out.note(text::STOPPED);
    if cx.out.json {
        cx.out.value(&json!({ "stopped": true, "pid": pid }))?;
    }
    Ok(())
}
