//! Calls: ring, answer, hang up, mute, hold, push to talk, and which there were.

use super::request::{Asked, Body, Segment};
use super::{Result, ask, off_the_reactor, resolve, this_node, unexpected, unreadable};
use crate::problem::ProblemView;
use crate::schema::{CallHistoryQuery, CallRequest, LOG_MESSAGES_MAX, SwitchRequest};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use hallway_model::{Answer, CallId, CallView, Command, MessageView, Problem, Refusal};
use hallway_node::Handle;

/// Calls shown when nothing says how many.
const HISTORY_DEFAULT: usize = 20;

/// What stands for the call that is meant without a name: see the commands of the model.
const CURRENT: &str = "current";

/// The call that `{call}` in the path means: its id, the peer it is with, or `current`.
pub(super) struct MeantCall(Option<CallId>);

impl FromRequestParts<Handle> for MeantCall {
    type Rejection = ProblemView;

    async fn from_request_parts(parts: &mut Parts, node: &Handle) -> Result<Self> {
        let Segment(reference) = Segment::from_request_parts(parts, node).await?;
        if reference == CURRENT {
            return Ok(Self(None));
        }
        if let Ok(id) = reference.parse() {
            return Ok(Self(Some(id)));
        }
        let peer = resolve(node, &reference).await?;
        let calls = running(node).await?;
        match calls.into_iter().find(|call| call.peer == peer.id) {
            Some(call) => Ok(Self(Some(call.id))),
            None => {
                let detail = format!("there is no call with {} now", peer.name);
                let refusal = Refusal::new(Problem::NoSuchCall, detail);
                Err(ProblemView::refused(&refusal))
            }
        }
    }
}

async fn running(node: &Handle) -> Result<Vec<CallView>> {
    let Answer::Calls(calls) = ask(node, Command::Calls).await? else {
        return Err(unexpected());
    };
    Ok(calls)
}

pub(super) async fn list(State(node): State<Handle>) -> Result<Json<Vec<CallView>>> {
    running(&node).await.map(Json)
}

pub(super) async fn history(
    State(node): State<Handle>,
    Asked(CallHistoryQuery { limit }): Asked<CallHistoryQuery>,
) -> Result<Json<Vec<MessageView>>> {
    ask(&node, Command::Flush).await?;
    let me = this_node(&node).await?.id;
    let limit = limit.unwrap_or(HISTORY_DEFAULT).min(LOG_MESSAGES_MAX);
    let read = move || node.reader().calls(limit).map_err(unreadable);
    let calls = off_the_reactor(read).await?;
    Ok(Json(calls.iter().map(|stored| stored.view(&me)).collect()))
}

pub(super) async fn call(
    State(node): State<Handle>,
    Body(CallRequest { peer }): Body<CallRequest>,
) -> Result<Json<CallView>> {
    let peer = resolve(&node, &peer).await?;
    act(&node, Command::Call(peer.id)).await
}

pub(super) async fn answer(
    State(node): State<Handle>,
    MeantCall(call): MeantCall,
) -> Result<Json<CallView>> {
    act(&node, Command::Answer(call)).await
}

pub(super) async fn hang_up(
    State(node): State<Handle>,
    MeantCall(call): MeantCall,
) -> Result<Json<CallView>> {
    act(&node, Command::HangUp(call)).await
}

pub(super) async fn mute(
    State(node): State<Handle>,
    MeantCall(call): MeantCall,
    Body(SwitchRequest { on }): Body<SwitchRequest>,
) -> Result<Json<CallView>> {
    act(&node, Command::Mute { call, on }).await
}

/// Talking is the contrary of being muted.
pub(super) async fn push_to_talk(
    State(node): State<Handle>,
    MeantCall(call): MeantCall,
    Body(SwitchRequest { on }): Body<SwitchRequest>,
) -> Result<Json<CallView>> {
    act(&node, Command::Mute { call, on: !on }).await
}

pub(super) async fn hold(
    State(node): State<Handle>,
    MeantCall(call): MeantCall,
    Body(SwitchRequest { on }): Body<SwitchRequest>,
) -> Result<Json<CallView>> {
    act(&node, Command::Hold { call, on }).await
}

async fn act(node: &Handle, command: Command) -> Result<Json<CallView>> {
    let Answer::Call(call) = ask(node, command).await? else {
        return Err(unexpected());
    };
    Ok(Json(*call))
}
