//! The server: routes, extractors, and the listener they are served on.

mod calls;
mod content;
mod devices;
mod files;
mod history;
mod listener;
mod loopback;
mod node;
mod peers;
mod request;
mod send;
mod stream;
mod uploads;

use crate::gate::Gate;
use crate::problem::{Candidate, ProblemView};
use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::Method;
use axum::routing::{get, post, put};
use hallway_model::{Answer, Command, Delivery, MessageId, PeerId, PeerView, Refusal, StatusView};
use hallway_node::Handle;
use hallway_node::home::Home;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

pub use listener::{Listener, bind};
pub use loopback::serve_page;

/// Longest request body: thirty times the longest text with everything in it escaped.
const BODY_BYTES_MAX: usize = 1024 * 1024;

pub(crate) use history::mark_sent;

type Result<T> = std::result::Result<T, ProblemView>;

/// The routes of the API over the node that runs in this home. With a gate there is a page to
/// invite to.
pub fn router(node: Handle, home: Home, gate: Option<Arc<Gate>>) -> Router {
    let spool = home.clone();
    let upload = async move |node, query, body| files::upload(&spool, node, query, body).await;
    let doctor = async move |node, query| node::doctor(&home, node, query).await;
    let open = async move || node::open(gate.as_deref());
    let peer = Router::new()
        .route("/", get(peers::show))
        .route("/verify", get(peers::safety_number).post(peers::verify))
        .route("/block", post(peers::block))
        .route("/unblock", post(peers::unblock))
        .route("/accept", post(peers::accept))
        .route("/forget", post(peers::forget))
        .route("/keep-name", post(peers::keep_name))
        .route("/read", post(peers::read))
        .route("/typing", post(peers::typing));
    let call = Router::new()
        .route("/answer", post(calls::answer))
        .route("/hang-up", post(calls::hang_up))
        .route("/mute", post(calls::mute))
        .route("/hold", post(calls::hold))
        .route("/push-to-talk", post(calls::push_to_talk));
    let v1 = Router::new()
        .route("/status", get(node::status).put(node::set_status))
        .route("/name", put(node::set_name))
        .route("/settings", put(node::set))
        .route("/doctor", get(doctor))
        .route("/devices", get(devices::list).put(devices::choose))
        .route("/open", post(open))
        .route("/stop", post(node::stop))
        .route("/peers", get(peers::list))
        .nest("/peers/{peer}", peer)
        .route("/requests", get(peers::requests))
        .route("/connect", post(peers::connect))
        .route("/messages", post(send::send))
        .route("/files", get(files::list).post(files::offer))
        .route("/files/upload", post(upload))
        .route("/offers", post(files::offer_to_many))
        .route("/files/{id}", get(files::show))
        .route("/files/{id}/content", get(content::content))
        .route("/files/{id}/thumbnail", get(content::thumbnail))
        .route("/files/{id}/open", post(files::open))
        .route("/files/{id}/accept", post(files::accept))
        .route("/files/{id}/decline", post(files::decline))
        .route("/files/{id}/pause", post(files::pause))
        .route("/files/{id}/resume", post(files::resume))
        .route("/files/{id}/cancel", post(files::cancel))
        .route("/calls", get(calls::list).post(calls::call))
        .route("/calls/history", get(calls::history))
        .nest("/calls/{call}", call)
        .route("/log", get(history::log))
        .route("/export", get(history::export))
        .route("/events", get(stream::events));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(async |OriginalUri(uri)| ProblemView::no_such_route(uri.path()))
        .method_not_allowed_fallback(async |method: Method, OriginalUri(uri)| {
            ProblemView::wrong_method(method.as_str(), uri.path())
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(node)
}

/// Serves the API until the node is told to stop.
pub async fn serve(
    listener: Listener,
    node: Handle,
    home: Home,
    gate: Option<Arc<Gate>>,
) -> io::Result<()> {
    let stop = node.clone();
    tokio::spawn(uploads::tend(node.clone(), home.clone()));
    axum::serve(listener, router(node, home, gate))
        .with_graceful_shutdown(async move { stop.stopping().await })
        .await
}

/// Runs a command; what the engine refuses becomes a problem.
pub(crate) async fn ask(node: &Handle, command: Command) -> Result<Answer> {
    match node.ask(command).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(refusal)) => Err(problem_of(node, &refusal).await),
        Err(_) => Err(ProblemView::stopping()),
    }
}

async fn problem_of(node: &Handle, refusal: &Refusal) -> ProblemView {
    let mut problem = ProblemView::refused(refusal);
    if !refusal.candidates.is_empty()
        && let Ok(Ok(Answer::Peers(peers))) = node.ask(Command::Peers).await
    {
        let meant = peers
            .into_iter()
            .filter(|peer| refusal.candidates.contains(&peer.id));
        problem.candidates = meant
            .map(|PeerView { id, tag, name, .. }| Candidate { id, tag, name })
            .collect();
    }
    problem
}

/// The one peer that a name, tag, id or `name~tag` means.
async fn resolve(node: &Handle, reference: &str) -> Result<Box<PeerView>> {
    let Answer::Peer(peer) = ask(node, Command::Resolve(reference.to_owned())).await? else {
        return Err(unexpected());
    };
    Ok(peer)
}

/// The node itself.
pub(crate) async fn this_node(node: &Handle) -> Result<Box<StatusView>> {
    let Answer::Status(status) = ask(node, Command::Status).await? else {
        return Err(unexpected());
    };
    Ok(status)
}

/// Runs what blocks on the disk.
pub(crate) async fn off_the_reactor<T: Send + 'static>(
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read,
        Err(error) => Err(ProblemView::internal(error.to_string())),
    }
}

/// The history cannot be read.
pub(crate) fn unreadable(error: impl Display) -> ProblemView {
    tracing::warn!(%error, "history cannot be read");
    ProblemView::internal(error.to_string())
}

/// How far a message of ours has come, as far as the disk knows.
pub(crate) async fn state_on_disk(node: &Handle, me: PeerId, id: MessageId) -> Option<Delivery> {
    let node = node.clone();
    let read = move || node.reader().message(Some(&me), &id).map_err(unreadable);
    Some(off_the_reactor(read).await.ok()??.message.delivery)
}

/// The engine answered what nobody asked: a bug of ours, told without killing the node.
fn unexpected() -> ProblemView {
    tracing::error!("the engine answered another question");
    ProblemView::internal("the node gave an unexpected answer; this is a bug in Hallway")
}
