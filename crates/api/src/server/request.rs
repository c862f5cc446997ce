//! Extractors whose refusals are problems that name the field at fault.

use super::BODY_BYTES_MAX;
use crate::caller::Caller;
use crate::problem::ProblemView;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use hallway_model::PeerView;
use hallway_node::Handle;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a body may take to come: whoever has typed a text has it, and it is not long.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Handle> for Body<T> {
    type Rejection = ProblemView;

    async fn from_request(request: Request, _: &Handle) -> Result<Self, ProblemView> {
        if !is_json(request.headers()) {
            return Err(ProblemView::wrong_media_type());
        }
        let bytes = read(request, BODY_WITHIN).await?;
        // By position the fields would be taken from a list, too, which nobody has promised.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(ProblemView::bad_request(
                "the body is a list, not an object",
            ));
        }
        let parsed = Json::from_bytes(&bytes);
        let Json(body) =
            parsed.map_err(|rejection| ProblemView::bad_request(rejection.body_text()))?;
        Ok(Self(body))
    }
}

async fn read(request: Request, within: Duration) -> Result<Bytes, ProblemView> {
    let too_large = || ProblemView::too_large(BODY_BYTES_MAX);
    // Nobody needs to send what is refused anyway.
    if request.body().size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let read = tokio::time::timeout(within, Bytes::from_request(request, &())).await;
    let read = read.map_err(|_| ProblemView::too_slow(within))?;
    read.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ProblemView::bad_request(rejection.body_text()),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let media_type = value.and_then(|value| value.to_str().ok()?.split(';').next());
    media_type.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// What stands in the path.
pub(super) struct Segment(pub(super) String);

impl FromRequestParts<Handle> for Segment {
    type Rejection = ProblemView;

    async fn from_request_parts(parts: &mut Parts, node: &Handle) -> Result<Self, ProblemView> {
        match Path::<String>::from_request_parts(parts, node).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(rejection) => Err(ProblemView::bad_request(rejection.body_text())),
        }
    }
}

/// The query of the URL.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Handle> for Asked<T> {
    type Rejection = ProblemView;

    async fn from_request_parts(parts: &mut Parts, _: &Handle) -> Result<Self, ProblemView> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ProblemView::bad_request(rejection.body_text())),
        }
    }
}

/// The peer that `{peer}` in the path means to who asks.
pub(super) struct Meant(pub(super) Box<PeerView>);

impl FromRequestParts<Handle> for Meant {
    type Rejection = ProblemView;

    async fn from_request_parts(parts: &mut Parts, node: &Handle) -> Result<Self, ProblemView> {
        let caller = Caller::from_request_parts(parts, node).await?;
        let Segment(reference) = Segment::from_request_parts(parts, node).await?;
        caller.resolve(node, &reference).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures_util::stream;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let refused = read(Request::new(never), Duration::from_millis(20)).await;
        assert_eq!(&*refused.unwrap_err().code, "too_slow");
        let there = read(Request::new(Body::from("{}")), Duration::from_mins(10)).await;
        assert_eq!(there.unwrap(), "{}");
    }
}
