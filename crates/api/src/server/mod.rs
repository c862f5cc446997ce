//! The server: routes, extractors, and the listener they are served on.

mod calls;
mod content;
mod devices;
mod files;
mod history;
mod listener;
mod loopback;
mod metrics;
mod node;
mod peers;
mod request;
mod route;
mod send;
mod serving;
mod stream;
mod table;
mod tokens;
mod uploads;

use crate::caller::{Entrance, enter};
use crate::gate::Gate;
use crate::problem::{Candidate, ProblemView};
use crate::tokens::Tokens;
use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri};
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use hallway_model::{Answer, Command, Delivery, MessageId, PeerId, PeerView, Refusal, StatusView};
use hallway_node::Handle;
use hallway_node::home::Home;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

pub use listener::{Listener, bind};
pub(crate) use route::{About, Content, Needs};
pub(crate) use table::TICKET_PATH;

/// Longest request body: thirty times the longest text with everything in it escaped.
const BODY_BYTES_MAX: usize = 1024 * 1024;

pub(crate) use history::mark_sent;

type Result<T> = std::result::Result<T, ProblemView>;

/// The API of one node: what all that serve it have in common.
#[derive(Clone)]
pub struct Api {
    node: Handle,
    home: Home,
    gate: Option<Arc<Gate>>,
    tokens: Arc<Tokens>,
}

impl Api {
    /// The API of the node that runs in this home. With a gate there is a page to invite to.
    pub fn new(node: Handle, home: Home, gate: Option<Arc<Gate>>) -> Self {
        let tokens = Arc::new(Tokens::load(&home));
        Self {
            node,
            home,
            gate,
            tokens,
        }
    }

    /// Serves whoever may open the socket until the node is told to stop.
    pub async fn serve(self, listener: Listener) -> io::Result<()> {
        let (stop, home) = (self.node.clone(), self.home.clone());
        tokio::spawn(uploads::tend(stop.clone(), home));
        serving::serve(listener, self.router(true), stop).await
    }

    /// The routes. Where the system looks who comes, a token is not needed.
    fn router(&self, is_private: bool) -> Router {
        let entrance = Entrance {
            tokens: self.tokens.clone(),
            gate: self.gate.clone(),
            is_private,
        };
        let routes = table::routes(self).into_iter();
        let routes = routes.fold(Router::new(), |router, route| route.add_to(router));
        routes
            .route_layer(from_fn_with_state(entrance, enter))
            .fallback(async |OriginalUri(uri)| ProblemView::no_such_route(uri.path()))
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(self.node.clone())
    }
}

/// For a path that takes other methods.
async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> ProblemView {
    ProblemView::wrong_method(method.as_str(), uri.path())
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
pub(crate) async fn resolve(node: &Handle, reference: &str) -> Result<Box<PeerView>> {
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
pub(crate) fn unexpected() -> ProblemView {
    tracing::error!("the engine answered another question");
    ProblemView::internal("the node gave an unexpected answer; this is a bug in Hallway")
}
