//! What is wrong with this network, and whose side it is on.

use super::Context;
use crate::failure::{Failure, Result};
use crate::out::{Out, Paint};
use crate::{safe, text};
use hallway_api::ClientError;
use hallway_model::{Outcome, Report};

pub(super) async fn doctor(cx: &Context<'_>, peer: Option<String>) -> Result {
    let report = match cx.client()?.doctor(peer).await {
        // Without a node there is all the more to be found out.
        Err(ClientError::NotRunning { .. }) => {
            hallway_node::doctor::run(&cx.home()?, None, None).await
        }
        report => report?,
    };
    cx.out.either(&report, || show(cx.out, &report))?;
    match report.worst() {
        Outcome::Ok | Outcome::Warn => Ok(()),
        Outcome::Fail => Err(Failure::Unwell),
    }
}

fn show(out: &Out, report: &Report) -> String {
    let mut shown = String::new();
    for check in &report.checks {
        let paint = match check.outcome {
            Outcome::Ok => Paint::Good,
            Outcome::Warn => Paint::Caution,
            Outcome::Fail => Paint::Bad,
        };
        let outcome = format!("{:<4}", text::outcome(check.outcome));
        let detail = safe::one_line(&check.detail);
        shown.push_str(&format!("{}  {detail}\n", out.paint(paint, &outcome)));
        if let Some(advice) = &check.advice {
            shown.push_str(&format!("      → {}\n", safe::one_line(advice)));
        }
    }
    shown
}
