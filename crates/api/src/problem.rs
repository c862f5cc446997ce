//! What a refused request gets: `application/problem+json` (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hallway_model::{Name, PeerId, Problem, Refusal};
use hallway_node::files::OpeningError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// One refused request. Programs read `code`, people read `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemView {
    /// `urn:hallway:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// What this code means, the same every time.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// Stable: the document lists them all.
    #[schemars(extend("enum" = names()))]
    pub code: Cow<'static, str>,
    /// What failed, why, and what to do.
    pub detail: String,
    /// With `ambiguous_name`: whom it may mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// One of the peers an ambiguous name may mean; `name~tag` names exactly this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// Who.
    pub id: PeerId,
    /// Tells people of one name apart.
    pub tag: String,
    /// Their name.
    pub name: String,
}

/// A reason for refusing a request.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    /// Stable, for programs.
    pub(crate) name: &'static str,
    /// The HTTP status that goes with it.
    pub(crate) status: StatusCode,
    /// What it means, for people.
    pub(crate) title: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $status:ident $name:literal $title:literal,)*) => {
        $(const $constant: Code = Code {
            name: $name,
            status: StatusCode::$status,
            title: $title,
        };)*
        /// Those that are not the engine's.
        const OWN: &[Code] = &[$($constant),*];
    };
}

codes! {
    BAD_REQUEST = BAD_REQUEST "bad_request" "The request is not well formed",
    NO_SUCH_ROUTE = NOT_FOUND "no_such_route" "No such route",
    WRONG_METHOD = METHOD_NOT_ALLOWED "wrong_method" "Wrong method",
    WRONG_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "wrong_media_type" "Wrong media type",
    TOO_LARGE = PAYLOAD_TOO_LARGE "too_large" "The request is too large",
    TOO_SLOW = REQUEST_TIMEOUT "too_slow" "Too slow",
    NO_SUCH_RANGE = RANGE_NOT_SATISFIABLE "no_such_range" "No such part of the file",
    COULD_BE_A_PROGRAM = FORBIDDEN "could_be_a_program" "Programs are not opened",
    NO_DESKTOP = CONFLICT "no_desktop" "No desktop",
    WRONG_HOST = MISDIRECTED_REQUEST "wrong_host" "Wrong host",
    FOREIGN_PAGE = FORBIDDEN "foreign_page" "A foreign page",
    NO_TOKEN = UNAUTHORIZED "no_token" "Not authorised",
    NOT_ALLOWED = FORBIDDEN "not_allowed" "The token does not allow that",
    TOKEN_EXISTS = CONFLICT "token_exists" "There is a token of that name",
    NO_SUCH_TOKEN = NOT_FOUND "no_such_token" "No such token",
    TOO_MANY_TOKENS = CONFLICT "too_many_tokens" "Too many tokens",
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS "too_many_requests" "Too many requests at once",
    NO_PAGE = NOT_FOUND "no_page" "No page",
    STOPPING = SERVICE_UNAVAILABLE "stopping" "Stopping",
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "Fault in the node",
}

/// Every reason there is.
pub(crate) fn codes() -> impl Iterator<Item = Code> {
    OWN.iter().copied().chain(Problem::ALL.map(meaning))
}

fn names() -> Vec<&'static str> {
    codes().map(|code| code.name).collect()
}

impl ProblemView {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:hallway:problem:{}", code.name).into(),
            title: code.title.into(),
            status: code.status.as_u16(),
            code: code.name.into(),
            detail: detail.into(),
            candidates: Vec::new(),
        }
    }

    /// The request is not what this route takes.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(BAD_REQUEST, detail)
    }

    /// There is nothing at this path.
    pub(crate) fn no_such_route(path: &str) -> Self {
        Self::new(NO_SUCH_ROUTE, format!("there is nothing at {path}"))
    }

    /// This path takes another method.
    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        let detail = format!("{path} does not take {method}; see the Allow header");
        Self::new(WRONG_METHOD, detail)
    }

    /// The body is over the limit.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(
            TOO_LARGE,
            format!("a request takes at most {bytes_max} bytes"),
        )
    }

    /// A part of a file that it does not have.
    pub(crate) fn no_such_range(bytes: u64) -> Self {
        let detail = format!("the file has {bytes} bytes, and what you ask for is behind its end");
        Self::new(NO_SUCH_RANGE, detail)
    }

    /// Nothing more of a body has come for too long.
    pub(crate) fn too_slow(silence: Duration) -> Self {
        let detail = format!("nothing has come for {} seconds", silence.as_secs());
        Self::new(TOO_SLOW, detail)
    }

    /// Something that has arrived is not opened on the desktop.
    pub(crate) fn not_opened(error: &OpeningError) -> Self {
        let code = match error {
            OpeningError::Program(_) => COULD_BE_A_PROGRAM,
            OpeningError::Gone { .. } => meaning(Problem::FileUnreadable),
            OpeningError::NoDesktop(_) => NO_DESKTOP,
        };
        Self::new(code, error.to_string())
    }

    /// The body is not JSON by its own account.
    pub(crate) fn wrong_media_type() -> Self {
        let detail = "the body must come with the header `Content-Type: application/json`";
        Self::new(WRONG_MEDIA_TYPE, detail)
    }

    /// The request names another host than this node: a name was rebound, or a proxy is between.
    pub(crate) fn wrong_host() -> Self {
        let detail = "this is not the host you asked for; `hallway open` leads here";
        Self::new(WRONG_HOST, detail)
    }

    /// Another web page asks.
    pub(crate) fn foreign_page() -> Self {
        Self::new(FOREIGN_PAGE, "other pages may not use this node")
    }

    /// No token, or one that is not good.
    pub(crate) fn no_token() -> Self {
        let detail = "the header `Authorization: Bearer` with a token of this node is needed; \
                      `hallway open` opens a page that has one, `hallway tokens add` makes one";
        Self::new(NO_TOKEN, detail)
    }

    /// The token is for less than that.
    pub(crate) fn not_allowed(detail: impl Into<String>) -> Self {
        Self::new(NOT_ALLOWED, detail)
    }

    /// A token is called that already.
    pub(crate) fn token_exists(name: &Name) -> Self {
        let detail = format!("there is a token {name} already; revoke it first, or choose a name");
        Self::new(TOKEN_EXISTS, detail)
    }

    /// No token is called that.
    pub(crate) fn no_such_token(name: &Name) -> Self {
        let detail = format!("there is no token {name}; `hallway tokens` lists them");
        Self::new(NO_SUCH_TOKEN, detail)
    }

    /// There are as many as there may be.
    pub(crate) fn too_many_tokens(max: usize) -> Self {
        let detail = format!("there are {max} tokens already; revoke one first");
        Self::new(TOO_MANY_TOKENS, detail)
    }

    /// The holder of a token asks for more at once than one may.
    pub(crate) fn too_many_requests(max: usize) -> Self {
        let detail = format!("with one token {max} requests go on at once; end one of them first");
        Self::new(TOO_MANY_REQUESTS, detail)
    }

    /// This node serves no page.
    pub(crate) fn no_page() -> Self {
        let detail = "this node was started without its page; start it without `--no-web`";
        Self::new(NO_PAGE, detail)
    }

    /// The node is on its way out.
    pub(crate) fn stopping() -> Self {
        Self::new(STOPPING, "the node is stopping")
    }

    /// A fault of the program or of this machine.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(INTERNAL, detail)
    }

    /// The disk did not take it.
    pub(crate) fn storage(detail: impl Into<String>) -> Self {
        Self::new(meaning(Problem::Storage), detail)
    }

    /// What the engine refused; `candidates` are added by whoever knows their names.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::new(meaning(refusal.problem), refusal.detail.clone())
    }
}

fn meaning(problem: Problem) -> Code {
    let (status, title) = match problem {
        Problem::NoSuchPeer => (StatusCode::NOT_FOUND, "Nobody by that name, tag or id"),
        Problem::AmbiguousName => (StatusCode::CONFLICT, "More than one is meant"),
        Problem::BadId => (StatusCode::BAD_REQUEST, "The id is mistyped"),
        Problem::Blocked => (StatusCode::FORBIDDEN, "The peer is blocked"),
        Problem::NameCollision => (
            StatusCode::CONFLICT,
            "Somebody else uses the name of this verified contact",
        ),
        Problem::NumberMismatch => (StatusCode::CONFLICT, "The safety number is another one"),
        Problem::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "Over a limit"),
        Problem::BadValue => (StatusCode::UNPROCESSABLE_ENTITY, "Not a valid value"),
        Problem::NoSuchMessage => (StatusCode::NOT_FOUND, "No such message"),
        Problem::OutboxFull => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many messages wait for this contact",
        ),
        Problem::Storage => (StatusCode::INSUFFICIENT_STORAGE, "The disk did not take it"),
        Problem::Oneself => (StatusCode::UNPROCESSABLE_ENTITY, "That is this node itself"),
        Problem::Unreachable => (StatusCode::GATEWAY_TIMEOUT, "Nobody answered"),
        Problem::NoSuchTransfer => (StatusCode::NOT_FOUND, "No such transfer"),
        Problem::TransferState => (StatusCode::CONFLICT, "Not possible with this transfer now"),
        Problem::FileUnreadable => (StatusCode::UNPROCESSABLE_ENTITY, "The file cannot be read"),
        Problem::NoSuchCall => (StatusCode::NOT_FOUND, "No such call"),
        Problem::CallBusy => (StatusCode::CONFLICT, "No further call is possible"),
    };
    Code {
        name: problem.code(),
        status,
        title,
    }
}

impl IntoResponse for ProblemView {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let headers = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        (status, headers, axum::Json(self)).into_response()
    }
}
