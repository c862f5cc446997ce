//! Files: offering them, and deciding about those that others offer.

use super::request::{Body as JsonBody, Segment};
use super::uploads::{self, Upload};
use super::{Result, ask, off_the_reactor, resolve, unexpected};
use crate::problem::ProblemView;
use crate::schema::{Done, OfferRequest, OffersRequest, OpenRequest, TakeRequest, UploadQuery};
use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use hallway_model::{
    Answer, Command, Offer, PeerId, Problem, Refusal, TransferAct, TransferState, TransferView,
};
use hallway_node::Handle;
use hallway_node::files::{self, Shown};
use hallway_node::home::Home;
use std::path::PathBuf;

/// Receivers of one file: everybody in a large office.
const RECEIVERS_MAX: usize = 64;

pub(super) async fn list(State(node): State<Handle>) -> Result<Json<Vec<TransferView>>> {
    let Answer::Transfers(transfers) = ask(&node, Command::Transfers).await? else {
        return Err(unexpected());
    };
    Ok(Json(transfers))
}

pub(super) async fn show(
    State(node): State<Handle>,
    Segment(id): Segment,
) -> Result<Json<TransferView>> {
    find(&node, &id).await.map(Json)
}

pub(super) async fn find(node: &Handle, id: &str) -> Result<TransferView> {
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
    let request = OffersRequest {
        to: vec![request.to],
        path: request.path,
        client_id: request.client_id,
    };
    let begun = begin(&node, request).await?;
    begun.into_iter().next().map(Json).ok_or_else(unexpected)
}

pub(super) async fn offer_to_many(
    State(node): State<Handle>,
    JsonBody(request): JsonBody<OffersRequest>,
) -> Result<Json<Vec<TransferView>>> {
    begin(&node, request).await.map(Json)
}

/// Lists what is there once, and offers it to everybody as the same content.
async fn begin(node: &Handle, request: OffersRequest) -> Result<Vec<TransferView>> {
    if request.to.is_empty() || request.to.len() > RECEIVERS_MAX {
        let detail = format!("`to` takes 1 to {RECEIVERS_MAX} peers");
        return Err(ProblemView::bad_request(detail));
    }
    let mut to = Vec::new();
    for peer in &request.to {
        let peer = resolve(node, peer).await?.id;
        if !to.contains(&peer) {
            to.push(peer);
        }
    }
    let source = absolute(request.path)?;
    let offer = offer_of(source.clone()).await?;
    let mut begun = Vec::new();
    for to in to {
        let (source, client_id) = (source.clone(), request.client_id.clone());
        begun.push(offer_to(node, to, offer.clone(), source, client_id).await?);
    }
    Ok(begun)
}

async fn offer_of(source: PathBuf) -> Result<Offer> {
    off_the_reactor(move || {
        files::offer(&source).map_err(|error| {
            let refusal = Refusal::new(Problem::FileUnreadable, error.to_string());
            ProblemView::refused(&refusal)
        })
    })
    .await
}

async fn offer_to(
    node: &Handle,
    to: PeerId,
    offer: Offer,
    source: PathBuf,
    client_id: Option<String>,
) -> Result<TransferView> {
    let offer = Box::new(offer);
    let command = Command::Offer {
        to,
        offer,
        source,
        client_id,
    };
    let Answer::Sent { id, .. } = ask(node, command).await? else {
        return Err(unexpected());
    };
    find(node, &id.to_string()).await
}

/// `POST files/upload?to=PEER&to=PEER&name=NAME&client_id=X`: the body is the file. It is kept on
/// this computer until everybody has it, and a picture for longer, to be looked at.
pub(super) async fn upload(
    home: &Home,
    State(node): State<Handle>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<Vec<TransferView>>> {
    let asked = uploading(query.as_deref().unwrap_or_default())?;
    let mut receivers = Vec::new();
    // Whoever is not there is told before all of it is sent.
    for reference in &asked.to {
        receivers.push(resolve(&node, reference).await?.id);
    }
    let name = files::safe_name(&asked.name);
    let upload = uploads::receive(home, name, body).await?;
    // A page that is closed now has sent all of it: it is offered as was asked.
    let offered = tokio::spawn(async move {
        let offered = offer_upload(&node, upload, receivers, asked.client_id).await;
        offered.map(Json)
    });
    offered
        .await
        .map_err(|error| ProblemView::internal(error.to_string()))?
}

async fn offer_upload(
    node: &Handle,
    mut upload: Upload,
    receivers: Vec<PeerId>,
    client_id: Option<String>,
) -> Result<Vec<TransferView>> {
    let offer = offer_of(upload.path().to_owned()).await?;
    let mut offered = Vec::new();
    for to in receivers {
        let source = upload.path().to_owned();
        let one = offer_to(node, to, offer.clone(), source, client_id.clone()).await;
        match one {
            Ok(transfer) => {
                // A request that is repeated finds what was uploaded the first time.
                if transfer.path.as_deref() == Some(upload.path()) {
                    upload.keep();
                }
                offered.push(transfer);
            }
            Err(problem) if offered.is_empty() => return Err(problem),
            Err(problem) => {
                tracing::warn!(why = %problem.detail, "an upload was not offered to everybody");
            }
        }
    }
    Ok(offered)
}

/// Reads the query by hand: it may say several times to whom.
fn uploading(query: &str) -> Result<UploadQuery> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| ProblemView::bad_request(error.to_string()))?;
    let (mut to, mut name, mut client_id) = (Vec::new(), None, None);
    for (key, value) in pairs {
        match key.as_str() {
            "to" if to.len() < RECEIVERS_MAX => to.push(value),
            "name" if name.is_none() => name = Some(value),
            "client_id" if client_id.is_none() => client_id = Some(value),
            _ => {
                let detail = format!(
                    "`{key}` is too much: an upload takes up to {RECEIVERS_MAX} `to`, one `name` \
                     and one `client_id`"
                );
                return Err(ProblemView::bad_request(detail));
            }
        }
    }
    match name.filter(|name| !name.is_empty()) {
        Some(name) if !to.is_empty() => Ok(UploadQuery {
            to,
            name,
            client_id,
        }),
        _ => {
            let detail = "an upload needs a `name` and at least one `to` in its query";
            Err(ProblemView::bad_request(detail))
        }
    }
}

/// `POST files/{id}/open`: shows what has arrived on the desktop that the node runs on.
pub(super) async fn open(
    State(node): State<Handle>,
    Segment(id): Segment,
    JsonBody(request): JsonBody<OpenRequest>,
) -> Result<Json<Done>> {
    let transfer = find(&node, &id).await?;
    let path = transfer
        .path
        .filter(|_| transfer.state == TransferState::Done);
    let Some(path) = path.filter(|_| transfer.incoming) else {
        let detail = "only what has arrived whole can be opened; `GET files` shows what has";
        let refusal = Refusal::new(Problem::TransferState, detail);
        return Err(ProblemView::refused(&refusal));
    };
    let shown = match request.folder {
        true => Shown::Folder,
        false => Shown::File,
    };
    off_the_reactor(move || {
        let opened = files::open_with_desktop(&path, shown);
        opened.map_err(|error| ProblemView::not_opened(&error))
    })
    .await?;
    Ok(Json(Done {}))
}

pub(super) async fn accept(
    State(node): State<Handle>,
    Segment(id): Segment,
    JsonBody(request): JsonBody<TakeRequest>,
) -> Result<Json<TransferView>> {
    let to = request.to.map(absolute).transpose()?;
    act(&node, id, TransferAct::Accept { to }).await
}

pub(super) async fn decline(
    State(node): State<Handle>,
    Segment(id): Segment,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Decline).await
}

pub(super) async fn pause(
    State(node): State<Handle>,
    Segment(id): Segment,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Pause).await
}

pub(super) async fn resume(
    State(node): State<Handle>,
    Segment(id): Segment,
) -> Result<Json<TransferView>> {
    act(&node, id, TransferAct::Resume).await
}

pub(super) async fn cancel(
    State(node): State<Handle>,
    Segment(id): Segment,
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
