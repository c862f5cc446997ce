//! The event stream, as lines of JSON or as server-sent events.

use super::Result;
use super::request::Asked;
use crate::caller::Caller;
use crate::feed::Feed;
use crate::problem::ProblemView;
use crate::schema::EventsQuery;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use hallway_model::Event;
use hallway_node::Handle;
use std::convert::Infallible;

/// The media type of one JSON value on each line.
pub(super) const NDJSON: &str = "application/x-ndjson";

pub(super) async fn events(
    State(node): State<Handle>,
    caller: Caller,
    Asked(query): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let feed = Feed::open(node, last_event_id(&headers)?.or(query.since)).await?;
    let me = feed.me();
    let events = stream::unfold(feed, async |mut feed| Some((feed.next().await?, feed)));
    let events = events.filter_map(move |event| std::future::ready(caller.hears(&me, event)));
    if accepts_sse(&headers) {
        let events = events.map(|event| Ok::<_, Infallible>(sse_of(&event)));
        return Ok(Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response());
    }
    let body = Body::from_stream(events.map(|event| Ok::<_, Infallible>(line_of(&event))));
    Ok(([(CONTENT_TYPE, NDJSON)], body).into_response())
}

fn json_of(event: &Event) -> String {
    serde_json::to_string(event).expect("an event has string keys and no failing serializer")
}

fn line_of(event: &Event) -> Bytes {
    (json_of(event) + "\n").into()
}

fn sse_of(event: &Event) -> sse::Event {
    sse::Event::default()
        .id(event.event.to_string())
        .data(json_of(event))
}

fn accepts_sse(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("text/event-stream")
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| ProblemView::bad_request("`Last-Event-ID` is not an event id"))
}
