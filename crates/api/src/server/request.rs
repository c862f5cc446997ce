//! Extractors whose refusals are problems that name the field at fault.

use super::BODY_BYTES_MAX;
use crate::caller::Caller;
use crate::problem::ProblemView;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hallway_model::PeerView;
use hallway_node::Handle;
use serde::de::DeserializeOwned;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Handle> for Body<T> {
    type Rejection = ProblemView;

    async fn from_request(request: Request, node: &Handle) -> Result<Self, ProblemView> {
        match Json::from_request(request, node).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(ProblemView::wrong_media_type()),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ProblemView::too_large(BODY_BYTES_MAX))
            }
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
        match Path::<String>::from_request_parts(parts, node).await {
            Ok(Path(reference)) => caller.resolve(node, &reference).await.map(Self),
            Err(rejection) => Err(ProblemView::bad_request(rejection.body_text())),
        }
    }
}
