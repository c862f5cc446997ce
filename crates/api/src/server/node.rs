//! The node itself: status, name, availability, doctor, its page, stop.

use super::request::{Asked, Body};
use super::{Result, ask, resolve, this_node};
use crate::gate::{Gate, OpenView};
use crate::problem::ProblemView;
use crate::schema::{DoctorQuery, Done, NameRequest, SettingsRequest, StatusRequest};
use axum::Json;
use axum::extract::State;
use hallway_model::{Command, PORT_DEFAULT, Problem, Refusal, Report, Setting, StatusView};
use hallway_node::Handle;
use hallway_node::config::parse_address;
use hallway_node::home::Home;

pub(super) async fn status(State(node): State<Handle>) -> Result<Json<StatusView>> {
    Ok(Json(*this_node(&node).await?))
}

pub(super) async fn set_status(
    State(node): State<Handle>,
    Body(StatusRequest { status }): Body<StatusRequest>,
) -> Result<Json<Done>> {
    ask(&node, Command::SetStatus(status)).await?;
    Ok(Json(Done {}))
}

pub(super) async fn set(
    State(node): State<Handle>,
    Body(request): Body<SettingsRequest>,
) -> Result<Json<Done>> {
    let SettingsRequest {
        accept_files_bytes,
        read_receipts,
        downloads,
        static_peers,
    } = request;
    let bad = |why: String| ProblemView::refused(&Refusal::new(Problem::BadValue, why));
    for address in static_peers.iter().flatten() {
        parse_address(address, PORT_DEFAULT).map_err(|error| bad(error.to_string()))?;
    }
    if downloads
        .as_ref()
        .is_some_and(|folder| !folder.is_absolute())
    {
        return Err(bad("a folder is given by its whole path".into()));
    }
    // What may still be refused comes first, so that of all that is asked nothing is done then.
    let settings = [
        static_peers.map(Setting::StaticPeers),
        downloads.map(Setting::Downloads),
        accept_files_bytes.map(Setting::AcceptFiles),
        read_receipts.map(Setting::ReadReceipts),
    ];
    for setting in settings.into_iter().flatten() {
        ask(&node, Command::Set(setting)).await?;
    }
    Ok(Json(Done {}))
}

pub(super) async fn set_name(
    State(node): State<Handle>,
    Body(NameRequest { name }): Body<NameRequest>,
) -> Result<Json<Done>> {
    ask(&node, Command::Rename(name)).await?;
    Ok(Json(Done {}))
}

pub(super) async fn doctor(
    home: &Home,
    State(node): State<Handle>,
    Asked(DoctorQuery { peer }): Asked<DoctorQuery>,
) -> Result<Json<Report>> {
    let peer = match peer {
        Some(peer) => Some(resolve(&node, &peer).await?),
        None => None,
    };
    Ok(Json(
        hallway_node::doctor::run(home, Some(&node), peer.as_deref()).await,
    ))
}

pub(super) async fn stop(State(node): State<Handle>) -> Json<Done> {
    node.stop();
    Json(Done {})
}

/// Where the page can be opened, for a minute.
pub(super) fn open(gate: Option<&Gate>) -> Result<Json<OpenView>> {
    let gate = gate.ok_or_else(ProblemView::no_page)?;
    let invited = gate.invite();
    invited
        .map(Json)
        .map_err(|error| ProblemView::internal(error.to_string()))
}
