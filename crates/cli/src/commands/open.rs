//! Opening the page: in a window of its own where a browser can do that.

use super::Context;
use crate::failure::Result;
use crate::text;
use anyhow::Context as _;
use hallway_api::OpenView;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Browsers that open a page without tabs and address bar, and keep what it stores apart.
const WITH_APP_WINDOWS: [&str; 7] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "microsoft-edge-stable",
    "microsoft-edge",
    "brave-browser",
];

pub(super) async fn open(cx: &Context<'_>, print: bool) -> Result {
    let page = cx.client()?.open().await?;
    if print {
        return Ok(cx.out.either(&page, || page.url.clone())?);
    }
    let profile = cx.home()?.path().join("browser");
    let Some(mut browser) = browser_for(&page, &profile) else {
        cx.out.note(text::NO_BROWSER);
        return Ok(cx.out.either(&page, || page.url.clone())?);
    };
    let started = browser
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.with_context(|| text::browser_failed(browser.get_program()))?;
    Ok(())
}

/// How to show the page here; `None` without a desktop.
fn browser_for(page: &OpenView, profile: &Path) -> Option<Command> {
    if cfg!(target_os = "macos") {
        let mut open = Command::new("open");
        open.arg(&page.url);
        return Some(open);
    }
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"];
    desktop.iter().find(|name| env::var_os(name).is_some())?;
    if let Some(program) = WITH_APP_WINDOWS.iter().find_map(|name| find(name)) {
        let mut browser = Command::new(program);
        browser
            .arg(format!("--app={}", page.url))
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(["--no-first-run", "--no-default-browser-check"]);
        return Some(browser);
    }
    let mut open = Command::new(find("xdg-open")?);
    open.arg(&page.url);
    Some(open)
}

/// Where a program is, as a shell would find it.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
