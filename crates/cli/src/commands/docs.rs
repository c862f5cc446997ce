//! Completions and manual pages, made from the command line itself.

use super::Context;
use crate::args::CommandLine;
use crate::complete;
use crate::failure::{Failure, Result};
use anyhow::Context as _;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;

pub(super) fn completions(cx: &Context<'_>, shell: Shell) -> Result {
    Ok(cx.out.bytes(&complete::script(shell)?)?)
}

pub(super) fn man(cx: &Context<'_>, dir: Option<PathBuf>) -> Result {
    match dir {
        Some(dir) => {
            let written = std::fs::create_dir_all(&dir)
                .and_then(|()| clap_mangen::generate_to(CommandLine::command(), &dir));
            let written = written.with_context(|| format!("cannot write to {}", dir.display()));
            written.map_err(Failure::from)
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(CommandLine::command()).render(&mut page)?;
            Ok(cx.out.bytes(&page)?)
        }
    }
}
