//! Sound devices: what there is, and which ones calls use.

use super::request::Body;
use super::{Result, off_the_reactor};
use crate::problem::ProblemView;
use crate::schema::DevicesRequest;
use axum::Json;
use axum::extract::State;
use hallway_model::{DevicesView, Problem, Refusal};
use hallway_node::Handle;
use hallway_node::audio::AudioError;

pub(super) async fn list(State(node): State<Handle>) -> Result<Json<DevicesView>> {
    off_the_reactor(move || Ok(Json(node.devices().list()))).await
}

/// Replies with what is used from now on.
pub(super) async fn choose(
    State(node): State<Handle>,
    Body(DevicesRequest { input, output }): Body<DevicesRequest>,
) -> Result<Json<DevicesView>> {
    off_the_reactor(move || {
        let devices = node.devices();
        let chosen = devices.choose(input.as_deref(), output.as_deref());
        chosen.map_err(|error| problem_of(&error))?;
        Ok(Json(devices.list()))
    })
    .await
}

fn problem_of(error: &AudioError) -> ProblemView {
    let problem = if matches!(error, AudioError::Ambiguous { .. }) {
        Problem::AmbiguousName
    } else {
        Problem::BadValue
    };
    ProblemView::refused(&Refusal::new(problem, error.to_string()))
}
