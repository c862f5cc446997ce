//! Tokens for bots: made, listed and revoked by the person only.

use super::request::{Body, Segment};
use super::{Result, off_the_reactor, resolve};
use crate::gate::{Gate, PageTokenView, TicketRequest};
use crate::problem::ProblemView;
use crate::schema::{TokenRequest, TokenSecretView, TokenView};
use crate::tokens::Tokens;
use axum::Json;
use axum::extract::State;
use hallway_model::{Name, WallTime};
use hallway_node::Handle;
use std::sync::Arc;

pub(super) fn list(tokens: &Tokens) -> Json<Vec<TokenView>> {
    Json(tokens.list())
}

pub(super) async fn add(
    tokens: Arc<Tokens>,
    gate: Option<&Gate>,
    State(node): State<Handle>,
    Body(request): Body<TokenRequest>,
) -> Result<Json<TokenSecretView>> {
    let TokenRequest {
        name,
        read,
        send,
        metrics,
        conversations,
    } = request;
    if !(read || send || metrics) {
        let detail = "a token needs at least one of `read`, `send` and `metrics`";
        return Err(ProblemView::bad_request(detail));
    }
    let conversations = match conversations {
        None => None,
        Some(peers) if peers.is_empty() => {
            let detail = "`conversations` names nobody; leave it out for all there are";
            return Err(ProblemView::bad_request(detail));
        }
        Some(peers) => {
            let mut ids = Vec::new();
            for peer in &peers {
                let id = resolve(&node, peer).await?.id;
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            Some(ids)
        }
    };
    let view = TokenView {
        name,
        read,
        send,
        metrics,
        conversations,
        created: WallTime(0),
    };
    let mut made = off_the_reactor(move || tokens.add(view)).await?;
    made.url = gate.map(Gate::url);
    Ok(Json(made))
}

pub(super) async fn revoke(tokens: Arc<Tokens>, Segment(name): Segment) -> Result<Json<TokenView>> {
    let name = Name::new(&name).map_err(|error| ProblemView::bad_request(error.to_string()))?;
    off_the_reactor(move || tokens.revoke(&name))
        .await
        .map(Json)
}

/// Lets a page in that was opened with a ticket.
pub(super) fn exchange(
    gate: Option<&Gate>,
    Body(request): Body<TicketRequest>,
) -> Result<Json<PageTokenView>> {
    let gate = gate.ok_or_else(ProblemView::no_page)?;
    gate.exchange(&request).map(Json)
}
