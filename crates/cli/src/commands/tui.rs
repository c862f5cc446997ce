//! The terminal app.

use super::Context;
use crate::args::TuiArgs;
use crate::failure::Result;
use crate::out;
use hallway_tui::{Language, Options, Theme};
use std::io;

/// What was chosen in the app, beside the node's own data.
const CHOICES: &str = "terminal";

pub(super) async fn tui(cx: &Context<'_>, args: &TuiArgs) -> Result {
    at_first(cx, args, false).await
}

/// The same; who has just started their first node is asked for their name.
pub(super) async fn at_first(cx: &Context<'_>, args: &TuiArgs, welcome: bool) -> Result {
    let plain = (!out::has_colour(&io::stdout())).then_some(Theme::Plain);
    let options = Options {
        mouse: !args.no_mouse,
        theme: args.theme.map(Theme::from).or(plain),
        language: args.language.map(Language::from),
        choices: cx.home()?.path().join(CHOICES),
        welcome,
    };
    let run = hallway_tui::run(cx.client()?, options).await;
    Ok(run.map_err(anyhow::Error::from)?)
}
