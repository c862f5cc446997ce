//! Files: offering them, and deciding about those that others offer.

use super::request::Body as JsonBody;
use super::{Result, ask, off_the_reactor, resolve, unexpected};
use crate::problem::ProblemView;
use crate::schema::{OfferRequest, TakeRequest};
use axum::Json;
use axum::extract::{Path, State};
use hallway_model::{Answer, Command, Offer, Problem, Refusal, TransferAct, TransferView};
use hallway_node::Handle;
use hallway_node::files;
use std::path::PathBuf;

pub(super) async fn list(State(node): State<Handle>) -> Result<Json<Vec<TransferView>>> {
    let Answer::Transfers(transfers) = ask(&node, Command::Transfers).await? else {
        return Err(unexpected());
    };
    Ok(Json(transfers))
}

pub(super) async fn show(
    State(node): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<TransferView>> {
    find(&node, &id).await.map(Json)
}

async fn find(node: &Handle, id: &str) -> Result<TransferView> {
    let Answer::Transfers(transfers) = ask(node, Command::Transfers).await? else {
        return Err(unexpected());
    };
    let mut meant = transfers.into_iter().filter(|transfer| transfer.id == id);
    meant.next().ok_or_else(|| {
        let detail = format!("there is no transfer {id}; `GET files` lists them");
        ProblemView::refused(&Refusal::new(Problem::NoSuchTransfer, detail))
    })
}

pub(super) async fn offer(
    State(node): State<Handle>,
    JsonBody(request): JsonBody<OfferRequest>,
) -> Result<Json<TransferView>> {
    let to = resolve(&node, &request.to).await?.id;
    let source = absolute(request.path)?;
    let listed = source.clone();
    let offer: Offer = off_the_reactor(move || {
        files::offer(&listed).map_err(|error| {
            let refusal = Refusal::new(Problem::FileUnreadable, error.to_string());
            ProblemView::refused(&refusal)
        })
    })
    .await?;
    let offered = ask(
        &node,
        Command::Offer {
            to,
            offer: Box::new(offer),
            source,
            client_id: request.client_id,
        },
    );
    let Answer::Sent { id, .. } = offered.await? else {
        return Err(unexpected());
    };
    find(&node, &id.to_string()).await.map(Json)
}

pub(super) async fn accept(
    State(node): State<Handle>,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<TakeRequest>,
) -> Result<Json<TransferView>> {
    let to = request.to.map(absolute).transpose()?;
    act(&node, id, TransferAct::Accept { to }).await
}

pub(super) async fn decline(
    State(node): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Decline).await
}

pub(super) async fn pause(
    State(node): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Pause).await
}

pub(super) async fn resume(
    State(node): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Resume).await
}

pub(super) async fn cancel(
    State(node): State<Handle>,
    Path(id): Path<String>,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Cancel).await
}

async fn act(node: &Handle, id: String, act: TransferAct) -> Result<Json<TransferView>> {
    let Answer::Transfer(transfer) = ask(node, Command::Transfer { id, act }).await? else {
        return Err(unexpected());
    };
    Ok(Json(*transfer))
}

/// The node has a working directory of its own, so that other paths mean nothing here.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path);
    }
    let detail = format!("{} is not an absolute path", path.display());
    Err(ProblemView::bad_request(detail))
}
