//! Who asks, and what they may: the person whose node it is, or a bot that holds a token of theirs.

use crate::gate::{Gate, same};
use crate::problem::ProblemView;
use crate::server::{Needs, TICKET_PATH, resolve, unexpected};
use crate::tokens::{REQUESTS_MAX, Token, Tokens};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use hallway_model::{
    Answer, Body as Said, Command, Event, EventKind, MessageView, PeerId, PeerView,
};
use hallway_node::Handle;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// The person.
    Person,
    /// A bot.
    Bot(Arc<Token>),
}

/// What lets callers in.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) gate: Option<Arc<Gate>>,
    /// Whoever comes without a token is the person: the system has looked who they are.
    pub(crate) is_private: bool,
}

impl Entrance {
    fn admit(&self, headers: &HeaderMap) -> Option<Caller> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let secret = match (given.next(), given.next()) {
            (None, _) => return self.is_private.then_some(Caller::Person),
            (Some(value), None) => value.to_str().ok()?.strip_prefix("Bearer ")?,
            (Some(_), Some(_)) => return None,
        };
        if self
            .gate
            .as_ref()
            .is_some_and(|gate| same(gate.token(), secret))
        {
            return Some(Caller::Person);
        }
        self.tokens.find(secret).map(Caller::Bot)
    }
}

/// Lets in who may come in. What a bot is doing when its token is revoked ends at once.
pub(crate) async fn enter(
    State(entrance): State<Entrance>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.uri().path() == TICKET_PATH {
        return next.run(request).await;
    }
    let Some(caller) = entrance.admit(request.headers()) else {
        return ProblemView::no_token().into_response();
    };
    request.extensions_mut().insert(caller.clone());
    let Caller::Bot(token) = caller else {
        return next.run(request).await;
    };
    let Ok(place) = token.room.clone().try_acquire_owned() else {
        return ProblemView::too_many_requests(REQUESTS_MAX).into_response();
    };
    let response = tokio::select! {
        response = next.run(request) => response,
        () = token.clone().revoked() => return ProblemView::no_token().into_response(),
    };
    // An answer whose length is known is there already.
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let revoked = Box::pin(token.revoked());
        let pieces = body.into_data_stream().take_until(revoked);
        Body::from_stream(pieces.inspect(move |_| {
            // It is taken for as long as there may be more.
            let _ = &place;
        }))
    })
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemView;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemView> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(ProblemView::no_token)
    }
}

impl Caller {
    /// Whether routes with such needs are for them.
    pub(crate) fn may(&self, needs: Needs) -> bool {
        let Self::Bot(token) = self else {
            return true;
        };
        match needs {
            Needs::All => false,
            Needs::Read => token.view.read,
            Needs::Send => token.view.send,
            Needs::Metrics => token.view.metrics,
            Needs::Entry | Needs::Nothing => true,
        }
    }

    /// The token that holds them to some conversations.
    fn held(&self) -> Option<&Token> {
        match self {
            Self::Person => None,
            Self::Bot(token) => Some(token).filter(|token| token.view.conversations.is_some()),
        }
        .map(AsRef::as_ref)
    }

    /// Whether all conversations are theirs.
    pub(crate) fn sees_all(&self) -> bool {
        self.held().is_none()
    }

    /// Whether the conversation with this peer is theirs.
    pub(crate) fn sees(&self, peer: &PeerId) -> bool {
        self.held().is_none_or(|token| token.sees(peer))
    }

    /// The one peer that a name, tag, id or `name~tag` means. A bot learns of nobody else by it,
    /// not even that there is somebody.
    pub(crate) async fn resolve(
        &self,
        node: &Handle,
        reference: &str,
    ) -> Result<Box<PeerView>, ProblemView> {
        if self.sees_all() {
            return resolve(node, reference).await;
        }
        let foreign = || ProblemView::not_allowed("the token is not for this conversation");
        let asked = node.ask(Command::Resolve(reference.to_owned())).await;
        match asked.map_err(|_| ProblemView::stopping())? {
            Ok(Answer::Peer(peer)) if self.sees(&peer.id) => Ok(peer),
            Ok(Answer::Peer(_)) => Err(foreign()),
            Ok(_) => Err(unexpected()),
            Err(refusal) => {
                let mut meant = refusal.candidates.iter().filter(|peer| self.sees(peer));
                match (meant.next(), meant.next()) {
                    (Some(peer), None) => resolve(node, &peer.to_string()).await,
                    _ => Err(foreign()),
                }
            }
        }
    }

    /// A bot sends what is new. What the person has written is not its to change.
    pub(crate) fn check_body(&self, body: &Said) -> Result<(), ProblemView> {
        match (self, body) {
            (Self::Bot(_), Said::Edit { .. } | Said::Delete { .. }) => {
                let detail = "a token is for new messages and reactions, not for changing others";
                Err(ProblemView::not_allowed(detail))
            }
            _ => Ok(()),
        }
    }

    /// A `client_id` of a bot means nothing of anybody else's.
    pub(crate) fn client_id(&self, id: String) -> String {
        match self {
            Self::Person => id,
            Self::Bot(token) => format!("{}\n{id}", token.view.name),
        }
    }

    /// A peer as they may see them.
    pub(crate) fn view(&self, mut peer: PeerView) -> Option<PeerView> {
        if !self.sees(&peer.id) {
            return None;
        }
        // Somebody else.
        peer.impostor = peer.impostor.filter(|impostor| self.sees(impostor));
        Some(peer)
    }

    /// Whether a message is of a conversation of theirs.
    pub(crate) fn reads(&self, me: &PeerId, message: &MessageView) -> bool {
        let with = if message.from == *me {
            &message.to
        } else {
            &message.from
        };
        self.sees(with)
    }

    /// An event as they may hear it. A bot hears of its conversations and of who is in them, and
    /// of nothing else.
    pub(crate) fn hears(&self, me: &PeerId, mut event: Event) -> Option<Event> {
        if matches!(self, Self::Person) {
            return Some(event);
        }
        let hears = match &mut event.kind {
            EventKind::Message { message, .. } => self.reads(me, message),
            EventKind::State { peer, .. } | EventKind::ReadUpTo { peer, .. } => self.sees(peer),
            EventKind::PeerGone { id } | EventKind::Typing { id, .. } => self.sees(id),
            EventKind::Peer { peer } | EventKind::Request { peer } => {
                match self.view(PeerView::clone(peer)) {
                    Some(seen) => {
                        **peer = seen;
                        true
                    }
                    None => false,
                }
            }
            // That the listener itself was too slow.
            EventKind::Notice { code, .. } => code == "lagged",
            EventKind::NameCollision { .. }
            | EventKind::Transfer { .. }
            | EventKind::Call { .. }
            | EventKind::CallLevels { .. } => false,
        };
        hears.then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_node::home::Home;

    #[test]
    fn a_header_that_is_no_token_lets_nobody_in_even_where_none_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(Some(&dir.path().join("home"))).unwrap();
        let entrance = |is_private| Entrance {
            tokens: Arc::new(Tokens::load(&home)),
            gate: None,
            is_private,
        };
        let admitted = |is_private, values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            entrance(is_private).admit(&headers).is_some()
        };
        assert!(admitted(true, &[]) && !admitted(false, &[]));
        for values in [
            &["Bearer x"][..],
            &["Basic eDp4"],
            &[""],
            &["Bearer "],
            &["Bearer x", "Bearer x"],
        ] {
            assert!(!admitted(true, values), "{values:?}");
        }
    }
}
