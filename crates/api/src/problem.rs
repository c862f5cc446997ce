//! What a refused request gets: `application/problem+json` (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hallway_model::{PeerId, Problem, Refusal};
use hallway_node::files::OpeningError;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// One refused request. Programs read `code`, people read `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemView {
    /// `urn:hallway:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// What this code means, the same every time.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// Stable: one of [`Problem::code`], or `bad_request`, `no_such_route`, `wrong_method`,
    /// `too_large`, `too_slow`, `wrong_media_type`, `wrong_host`, `foreign_page`, `no_token`,
    /// `no_page`, `no_such_range`, `could_be_a_program`, `no_desktop`, `stopping`, `internal`.
    pub code: Cow<'static, str>,
    /// What failed, why, and what to do.
    pub detail: String,
    /// With `ambiguous_name`: whom it may mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// One of the peers an ambiguous name may mean; `name~tag` names exactly this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Who.
    pub id: PeerId,
    /// Tells people of one name apart.
    pub tag: String,
    /// Their name.
    pub name: String,
}

impl ProblemView {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            kind: format!("urn:hallway:problem:{code}").into(),
            title: title.into(),
            status: status.as_u16(),
            code: code.into(),
            detail,
            candidates: Vec::new(),
        }
    }

    /// The request is not what this route takes.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        let title = "The request is not well formed";
        Self::new(StatusCode::BAD_REQUEST, "bad_request", title, detail.into())
    }

    /// There is nothing at this path.
    pub(crate) fn no_such_route(path: &str) -> Self {
        let detail = format!("there is nothing at {path}");
        let title = "No such route";
        Self::new(StatusCode::NOT_FOUND, "no_such_route", title, detail)
    }

    /// This path takes another method.
    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        let detail = format!("{path} does not take {method}; see the Allow header");
        let title = "Wrong method";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong_method",
            title,
            detail,
        )
    }

    /// The body is over the limit.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let detail = format!("a request takes at most {bytes_max} bytes");
        let title = "The request is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title, detail)
    }

    /// A part of a file that it does not have.
    pub(crate) fn no_such_range(bytes: u64) -> Self {
        let detail = format!("the file has {bytes} bytes, and what you ask for is behind its end");
        let title = "No such part of the file";
        Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "no_such_range",
            title,
            detail,
        )
    }

    /// Nothing more of a body has come for too long.
    pub(crate) fn too_slow(silence: Duration) -> Self {
        let detail = format!("nothing has come for {} seconds", silence.as_secs());
        let title = "Too slow";
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", title, detail)
    }

    /// Something that has arrived is not opened on the desktop.
    pub(crate) fn not_opened(error: &OpeningError) -> Self {
        let (status, code, title) = match error {
            OpeningError::Program(_) => (
                StatusCode::FORBIDDEN,
                "could_be_a_program",
                "Programs are not opened",
            ),
            OpeningError::Gone { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "file_unreadable",
                "The file cannot be read",
            ),
            OpeningError::NoDesktop(_) => (StatusCode::CONFLICT, "no_desktop", "No desktop"),
        };
        Self::new(status, code, title, error.to_string())
    }

    /// The body is not JSON by its own account.
    pub(crate) fn wrong_media_type() -> Self {
        let detail = "the body must come with the header `Content-Type: application/json`".into();
        let title = "Wrong media type";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "wrong_media_type",
            title,
            detail,
        )
    }

    /// The request names another host than this node: a name was rebound, or a proxy is between.
    pub(crate) fn wrong_host() -> Self {
        let detail = "this is not the host you asked for; `hallway open` leads here".into();
        let title = "Wrong host";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", title, detail)
    }

    /// Another web page asks.
    pub(crate) fn foreign_page() -> Self {
        let detail = "other pages may not use this node".into();
        let title = "A foreign page";
        Self::new(StatusCode::FORBIDDEN, "foreign_page", title, detail)
    }

    /// No token, or another one than ours.
    pub(crate) fn no_token() -> Self {
        let detail = "the header `Authorization: Bearer` with this node's token is needed; \
                      `hallway open` opens a page that has it"
            .into();
        let title = "Not authorised";
        Self::new(StatusCode::UNAUTHORIZED, "no_token", title, detail)
    }

    /// This node serves no page.
    pub(crate) fn no_page() -> Self {
        let detail = "this node was started without its page; start it without `--no-web`".into();
        let title = "No page";
        Self::new(StatusCode::NOT_FOUND, "no_page", title, detail)
    }

    /// The node is on its way out.
    pub(crate) fn stopping() -> Self {
        let detail = "the node is stopping".into();
        let title = "Stopping";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", title, detail)
    }

    /// A fault of the program or of this machine.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let title = "Fault in the node";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            title,
            detail.into(),
        )
    }

    /// What the engine refused; `candidates` are added by whoever knows their names.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let (status, title) = meaning(refusal.problem);
        Self::new(
            status,
            refusal.problem.code(),
            title,
            refusal.detail.clone(),
        )
    }
}

fn meaning(problem: Problem) -> (StatusCode, &'static str) {
    match problem {
        Problem::NoSuchPeer => (StatusCode::NOT_FOUND, "Nobody by that name, tag or id"),
        Problem::AmbiguousName => (StatusCode::CONFLICT, "More than one peer is meant"),
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
    }
}

impl IntoResponse for ProblemView {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let headers = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        (status, headers, axum::Json(self)).into_response()
    }
}
