//! The terminal app.

use super::Context;
use crate::args::TuiArgs;
use crate::failure::Result;
use crate::out;
use hallway_tui::{Language, Options, Theme};
use std::io;

pub(super) async fn tui(cx: &Context<'_>, args: &TuiArgs) -> Result {
    let theme = match args.theme {
        Some(theme) => theme.into(),
        None if out::has_colour(&io::stdout()) => Theme::default(),
        None => Theme::Plain,
    };
    let language = args.language.map(Language::from);
    let options = Options {
        mouse: !args.no_mouse,
        theme,
        language: language.unwrap_or_else(Language::of_environment),
    };
    let run = hallway_tui::run(cx.client()?, options).await;
    Ok(run.map_err(anyhow::Error::from)?)
}
