//! One route: what serves it, who may use it, and what the document says of it.

use super::Result;
use crate::caller::Caller;
use crate::problem::ProblemView;
use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use hallway_node::Handle;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Where the routes are, but for those that the world expects elsewhere.
const V1: &str = "/api/v1";

/// The media type of what may be anything.
pub(super) const ANYTHING: &str = "application/octet-stream";

/// What a caller must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Everything: only the person themselves, never a bot.
    All,
    /// Reading conversations.
    Read,
    /// Sending to conversations.
    Send,
    /// Reading the metrics.
    Metrics,
    /// Nothing, but it must hold a token or have opened the socket.
    Entry,
    /// Not even that.
    Nothing,
}

impl Needs {
    /// Whom the document says a route is for.
    pub(crate) fn who(self) -> &'static str {
        match self {
            Self::All => "the owner only, never for a bot",
            Self::Read => "the owner, and bots that may read, of their conversations only",
            Self::Send => "the owner, and bots that may send, to their conversations only",
            Self::Metrics => "the owner, and tokens for metrics",
            Self::Entry => "the owner, and whoever holds a token",
            Self::Nothing => "a page that holds a ticket",
        }
    }
}

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What is in a body.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Nothing,
    Json(SchemaOf),
    /// JSON on each line.
    Lines(SchemaOf),
    /// The same, or server-sent.
    Events(SchemaOf),
    Text,
    /// Of one of these media types.
    Bytes(&'static [&'static str]),
}

impl Content {
    pub(crate) fn json<T: JsonSchema>() -> Self {
        Self::Json(|generator| generator.subschema_for::<T>())
    }
}

/// What the document says of a route.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) method: &'static Method,
    pub(crate) path: &'static str,
    pub(crate) does: &'static str,
    pub(crate) needs: Needs,
    /// Its query.
    pub(crate) asks: Option<SchemaOf>,
    pub(crate) takes: Content,
    pub(crate) gives: Content,
    /// What else it answers that is no refusal: a status, and what that means.
    pub(crate) also: &'static [(u16, &'static str)],
    /// Headers that it heeds, and how.
    pub(crate) heeds: &'static [(&'static str, &'static str)],
    base: &'static str,
}

impl About {
    /// From the root of the server.
    pub(crate) fn whole_path(&self) -> String {
        format!("{}{}", self.base, self.path)
    }
}

/// See the module.
pub(super) struct Route {
    pub(super) about: About,
    serve: MethodRouter<Handle>,
}

macro_rules! methods {
    ($($function:ident $method:ident,)*) => {
        $(pub(super) fn $function<H, T>(path: &'static str, does: &'static str, handler: H) -> Route
        where
            H: Handler<T, Handle>,
            T: 'static,
        {
            Route::new(&Method::$method, path, does, routing::$function(handler))
        })*
    };
}
methods!(get GET, post POST, put PUT, delete DELETE,);

impl Route {
    fn new(
        method: &'static Method,
        path: &'static str,
        does: &'static str,
        serve: MethodRouter<Handle>,
    ) -> Self {
        let about = About {
            method,
            path,
            does,
            needs: Needs::All,
            asks: None,
            takes: Content::Nothing,
            gives: Content::Nothing,
            also: &[],
            heeds: &[],
            base: V1,
        };
        Self { about, serve }
    }

    /// Who may use it; without this only the person themselves.
    pub(super) fn needs(mut self, needs: Needs) -> Self {
        self.about.needs = needs;
        self
    }

    /// Its query is this.
    pub(super) fn asks<T: JsonSchema>(mut self) -> Self {
        self.about.asks = Some(T::json_schema);
        self
    }

    /// It takes this as JSON.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.about.takes = Content::json::<T>();
        self
    }

    /// It takes any bytes.
    pub(super) fn takes_bytes(mut self) -> Self {
        self.about.takes = Content::Bytes(&[ANYTHING]);
        self
    }

    /// It gives this as JSON.
    pub(super) fn gives<T: JsonSchema>(self) -> Self {
        self.gives_as(Content::json::<T>())
    }

    /// It gives this on each line.
    pub(super) fn gives_lines<T: JsonSchema>(self) -> Self {
        self.gives_as(Content::Lines(|generator| generator.subschema_for::<T>()))
    }

    /// What it gives is not just JSON.
    pub(super) fn gives_as(mut self, content: Content) -> Self {
        self.about.gives = content;
        self
    }

    /// Something else that it answers, which is no refusal.
    pub(super) fn also(mut self, answers: &'static [(u16, &'static str)]) -> Self {
        self.about.also = answers;
        self
    }

    /// Headers of a request that it heeds.
    pub(super) fn heeds(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.about.heeds = headers;
        self
    }

    /// Its path counts from the root of the server.
    pub(super) fn at_root(mut self) -> Self {
        self.about.base = "";
        self
    }

    /// Serves it, to whom it is for.
    pub(super) fn add_to(self, router: Router<Handle>) -> Router<Handle> {
        let path = self.about.whole_path();
        let needs = self.about.needs;
        if needs == Needs::Nothing {
            return router.route(&path, self.serve);
        }
        let check = move |request: Request, next: Next| check(needs, request, next);
        router.route(&path, self.serve.route_layer(from_fn(check)))
    }
}

async fn check(needs: Needs, request: Request, next: Next) -> Result<Response> {
    let caller = request.extensions().get::<Caller>();
    // Nobody comes here without having been let in: that would be a bug, and is a refusal.
    let may = caller.is_some_and(|caller| caller.may(needs));
    if !may {
        return Err(ProblemView::not_allowed(format!(
            "this is for {}",
            needs.who()
        )));
    }
    Ok(next.run(request).await)
}
