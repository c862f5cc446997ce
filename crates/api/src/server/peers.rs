//! People: who is here, trust, requests.

use super::request::{Body, Meant};
use super::{Result, ask, off_the_reactor, resolve, unexpected, unreadable};
use crate::caller::Caller;
use crate::problem::ProblemView;
use crate::schema::{ConnectRequest, Done, MuteRequest, ReadRequest, VerifyRequest};
use axum::Json;
use axum::extract::State;
use hallway_model::{
    Answer, Command, ConversationId, PORT_DEFAULT, PeerView, Presence, Problem, Refusal, Setting,
    VerifyView,
};
use hallway_node::Handle;
use hallway_node::config::parse_address;
use std::collections::HashMap;
use std::time::Duration;

pub(super) async fn list(
    State(node): State<Handle>,
    caller: Caller,
) -> Result<Json<Vec<PeerView>>> {
    let Answer::Peers(peers) = ask(&node, Command::Peers).await? else {
        return Err(unexpected());
    };
    let mut peers: Vec<_> = peers
        .into_iter()
        .filter_map(|peer| caller.view(peer))
        .collect();
    count_unread(&node, &mut peers).await?;
    Ok(Json(peers))
}

pub(super) async fn requests(state: State<Handle>, caller: Caller) -> Result<Json<Vec<PeerView>>> {
    let Json(mut peers) = list(state, caller).await?;
    peers.retain(|peer| peer.request);
    Ok(Json(peers))
}

/// How long somebody who answered may take to say their name; without it they are shown by tag.
const INTRODUCTION: Duration = Duration::from_secs(5);

/// Time between two looks whether they have: a round trip on a local network.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Replies with who answered.
pub(super) async fn connect(
    State(node): State<Handle>,
    Body(ConnectRequest { address }): Body<ConnectRequest>,
) -> Result<Json<PeerView>> {
    let refused = |problem, detail| ProblemView::refused(&Refusal::new(problem, detail));
    let address = parse_address(&address, PORT_DEFAULT)
        .map_err(|error| refused(Problem::BadValue, error.to_string()))?;
    let addresses = address.resolve().await;
    let addresses = addresses.map_err(|error| refused(Problem::Unreachable, error.to_string()))?;
    let Answer::Peer(peer) = ask(&node, Command::Connect(addresses)).await? else {
        return Err(unexpected());
    };
    let id = peer.id.to_string();
    match tokio::time::timeout(INTRODUCTION, introduced(&node, &id)).await {
        Ok(introduced) => introduced.map(Json),
        Err(_) => Ok(Json(*resolve(&node, &id).await?)),
    }
}

/// A session begins without names; they come with its first records. No event tells of it when
/// the session takes the place of another.
async fn introduced(node: &Handle, id: &str) -> Result<PeerView> {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        let peer = resolve(node, id).await?;
        if peer.state == Presence::Live {
            return Ok(*peer);
        }
    }
}

pub(super) async fn show(
    State(node): State<Handle>,
    caller: Caller,
    Meant(peer): Meant,
) -> Result<Json<PeerView>> {
    let mut peer = caller.view(*peer).ok_or_else(unexpected)?;
    count_unread(&node, std::slice::from_mut(&mut peer)).await?;
    Ok(Json(peer))
}

/// The engine does not keep messages: how many are unread is on disk.
async fn count_unread(node: &Handle, peers: &mut [PeerView]) -> Result<()> {
    ask(node, Command::Flush).await?;
    let node = node.clone();
    let summaries = off_the_reactor(move || node.reader().summaries().map_err(unreadable));
    let unread: HashMap<_, _> = summaries
        .await?
        .into_iter()
        .map(|summary| (summary.conversation, summary.unread))
        .collect();
    for peer in peers {
        let talk = ConversationId::Peer(peer.id);
        peer.unread = unread.get(&talk).copied().unwrap_or(0);
    }
    Ok(())
}

pub(super) async fn safety_number(
    State(node): State<Handle>,
    Meant(peer): Meant,
) -> Result<Json<VerifyView>> {
    compare(&node, &peer, None).await
}

pub(super) async fn verify(
    State(node): State<Handle>,
    Meant(peer): Meant,
    Body(VerifyRequest { number }): Body<VerifyRequest>,
) -> Result<Json<VerifyView>> {
    compare(&node, &peer, number).await
}

async fn compare(
    node: &Handle,
    peer: &PeerView,
    number: Option<String>,
) -> Result<Json<VerifyView>> {
    let peer = peer.id;
    let Answer::Verify(view) = ask(node, Command::Verify { peer, number }).await? else {
        return Err(unexpected());
    };
    Ok(Json(view))
}

pub(super) async fn block(
    State(node): State<Handle>,
    Meant(peer): Meant,
) -> Result<Json<PeerView>> {
    change(&node, Command::Block(peer.id)).await
}

pub(super) async fn unblock(
    State(node): State<Handle>,
    Meant(peer): Meant,
) -> Result<Json<PeerView>> {
    change(&node, Command::Unblock(peer.id)).await
}

pub(super) async fn accept(
    State(node): State<Handle>,
    Meant(peer): Meant,
) -> Result<Json<PeerView>> {
    change(&node, Command::Accept(peer.id)).await
}

pub(super) async fn keep_name(
    State(node): State<Handle>,
    Meant(peer): Meant,
) -> Result<Json<PeerView>> {
    change(&node, Command::KeepName(peer.id)).await
}

async fn change(node: &Handle, command: Command) -> Result<Json<PeerView>> {
    let Answer::Peer(peer) = ask(node, command).await? else {
        return Err(unexpected());
    };
    Ok(Json(*peer))
}

/// Replies with who it was: there is nobody to show any more.
pub(super) async fn forget(
    State(node): State<Handle>,
    Meant(peer): Meant,
) -> Result<Json<PeerView>> {
    ask(&node, Command::Forget(peer.id)).await?;
    Ok(Json(*peer))
}

pub(super) async fn read(
    State(node): State<Handle>,
    Meant(peer): Meant,
    Body(ReadRequest { seq }): Body<ReadRequest>,
) -> Result<Json<Done>> {
    ask(&node, Command::MarkRead(peer.id, seq)).await?;
    Ok(Json(Done {}))
}

pub(super) async fn mute(
    State(node): State<Handle>,
    Meant(peer): Meant,
    Body(MuteRequest { on }): Body<MuteRequest>,
) -> Result<Json<Done>> {
    ask(&node, Command::Set(Setting::Mute(peer.id, on))).await?;
    Ok(Json(Done {}))
}

pub(super) async fn typing(State(node): State<Handle>, Meant(peer): Meant) -> Result<Json<Done>> {
    ask(&node, Command::Typing(peer.id)).await?;
    Ok(Json(Done {}))
}
