//! Sound devices: what there is, and which ones calls use.

use super::request::Body as JsonBody;
use super::stream::NDJSON;
use super::{Result, off_the_reactor};
use crate::problem::ProblemView;
use crate::schema::{DevicesRequest, TrialView};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use hallway_model::{DevicesView, Problem, Refusal};
use hallway_node::audio::AudioError;
use hallway_node::{Handle, Trial};
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) async fn list(State(node): State<Handle>) -> Result<Json<DevicesView>> {
    off_the_reactor(move || Ok(Json(node.devices().list()))).await
}

/// Replies with what is used from now on.
pub(super) async fn choose(
    State(node): State<Handle>,
    JsonBody(DevicesRequest { input, output }): JsonBody<DevicesRequest>,
) -> Result<Json<DevicesView>> {
    off_the_reactor(move || {
        let devices = node.devices();
        let chosen = devices.choose(input.as_deref(), output.as_deref());
        chosen.map_err(|error| problem_of(&error))?;
        Ok(Json(devices.list()))
    })
    .await
}

/// How long a try records: a sentence.
const TRY: Duration = Duration::from_secs(4);
/// Lines that may wait for a slow reader: those of the longest try.
const TRIALS_WAITING: usize = 256;
/// What digital silence counts as: less than any sound of 16 bits.
const SILENCE_DBFS: f32 = -127.0;

/// Replies with how loud it is while it is recorded and played, to whoever stays: nobody else is
/// to be heard, or to hear anything. What fails before there is a sound is refused.
pub(super) async fn test(State(node): State<Handle>) -> Result<Response> {
    let (lines, mut told) = mpsc::channel(TRIALS_WAITING);
    tokio::task::spawn_blocking(move || {
        // A reader that is gone, or does not read, misses what it does not take.
        let tell = |line| drop(lines.try_send(line));
        let is_wanted = || !lines.is_closed();
        let tried = node.devices().try_out(TRY, is_wanted, |trial| {
            tell(Ok(match trial {
                Trial::Hearing(dbfs) => TrialView::Hearing {
                    dbfs: dbfs.max(SILENCE_DBFS),
                },
                Trial::Playing(dbfs) => TrialView::Playing {
                    dbfs: dbfs.max(SILENCE_DBFS),
                },
            }));
        });
        tell(match tried {
            Ok(loudest) => Ok(TrialView::Done {
                loudest_dbfs: loudest.max(SILENCE_DBFS),
            }),
            Err(error) => Err(problem_of(&error)),
        });
    });
    let first = told.recv().await;
    let first = first.unwrap_or_else(|| Err(ProblemView::internal("the try has broken off")))?;
    let rest = stream::unfold(told, async |mut told| Some((told.recv().await?, told)));
    let lines = stream::once(std::future::ready(Ok(first))).chain(rest);
    let lines = lines.map(|line| {
        let line = line.unwrap_or_else(|problem| TrialView::Failed {
            detail: problem.detail,
        });
        let json = serde_json::to_string(&line).map_err(io::Error::other)?;
        Ok::<_, io::Error>(json + "\n")
    });
    Ok(([(CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response())
}

fn problem_of(error: &AudioError) -> ProblemView {
    let problem = if matches!(error, AudioError::Ambiguous { .. }) {
        Problem::AmbiguousName
    } else {
        Problem::BadValue
    };
    ProblemView::refused(&Refusal::new(problem, error.to_string()))
}
