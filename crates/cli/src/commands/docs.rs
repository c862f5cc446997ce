//! Completions and manual pages, made from the command line itself.

use super::Context;
use crate::args::CommandLine;
use crate::complete;
use crate::failure::{Failure, Result};
use anyhow::Context as _;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// Stands at the foot of each manual page. Pages of one release are of one day, wherever they are
/// made.
const DATE: &str = "2026-11-01";

/// Where examples begin in a manual page.
const EXAMPLES: &str = "\n.SH EXAMPLES\n.nf\n";

pub(super) fn completions(cx: &Context<'_>, shell: Shell) -> Result {
    let script = complete::script(shell)?;
    said(cx, "script", &script)
}

pub(super) fn man(cx: &Context<'_>, dir: Option<PathBuf>) -> Result {
    let mut line = CommandLine::command().disable_help_subcommand(true);
    line.build();
    let Some(dir) = dir else {
        return said(cx, "page", &page(line)?);
    };
    let mut written = Vec::new();
    let done = std::fs::create_dir_all(&dir).and_then(|()| write(line, &dir, &mut written));
    let done = done.with_context(|| format!("cannot write to {}", dir.display()));
    done.map_err(Failure::from)?;
    if cx.out.json {
        cx.out.value(&json!({ "pages": written }))?;
    }
    Ok(())
}

/// A text that is for another program, as it is or in JSON.
fn said(cx: &Context<'_>, what: &str, text: &[u8]) -> Result {
    if cx.out.json {
        let text = String::from_utf8_lossy(text);
        return Ok(cx.out.value(&json!({ what: text }))?);
    }
    Ok(cx.out.bytes(text)?)
}

/// The page of a command and those of the commands below it.
fn write(command: clap::Command, dir: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        write(below.clone(), dir, written)?;
    }
    let path = dir.join(Man::new(command.clone()).get_filename());
    std::fs::write(&path, page(command)?)?;
    written.push(path);
    Ok(())
}

fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let version = concat!("Hallway ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command);
    let man = man.date(DATE).source(version).manual("Hallway");
    let mut page = Vec::new();
    man.render(&mut page)?;
    // What stands below the options are remarks, and examples that are to stay as they are.
    let page = String::from_utf8_lossy(&page).replace("\n.SH EXTRA\nExamples:\n", EXAMPLES);
    let page = page.replace("\n.SH EXTRA\n", "\n.SH NOTES\n");
    let mut page = page.replace("\n\nExamples:\n", EXAMPLES);
    if let Some((before, examples)) = page.split_once(EXAMPLES) {
        let end = examples.find("\n.SH ").unwrap_or(examples.len());
        let (examples, after) = examples.split_at(end);
        page = format!("{before}{EXAMPLES}{}\n.fi{after}", examples.trim_end());
    }
    Ok(page.replace("\n.br\n\n.br\n", "\n.sp\n").into_bytes())
}
