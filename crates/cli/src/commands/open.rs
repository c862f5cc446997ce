//! Opening the page: in a window of its own where a browser can do that.

use super::Context;
use crate::failure::Result;
use crate::text;
use hallway_api::OpenView;
use hallway_model::PeerId;
use hallway_tui::Language;
use serde_json::json;
use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// A browser that cannot work here, as without a library or as root, says so in less.
const FAILS_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn open(cx: &Context<'_>, peer: Option<&str>, print: bool) -> Result {
    let talk = match peer {
        Some(peer) => Some(cx.client()?.peer(peer).await?.id),
        None => None,
    };
    if print {
        return print_address(cx, talk).await;
    }
    let Some(browser) = in_a_browser(cx, talk).await? else {
        return no_browser(cx, talk).await;
    };
    if cx.out.json {
        cx.out.value(&json!({ "opened": browser }))?;
    }
    Ok(())
}

/// Says that there is no browser, and what there is instead.
pub(super) async fn no_browser(cx: &Context<'_>, talk: Option<PeerId>) -> Result {
    cx.tell_desktop(text::desktop().no_browser);
    cx.out.note(text::NO_BROWSER);
    print_address(cx, talk).await
}

async fn print_address(cx: &Context<'_>, talk: Option<PeerId>) -> Result {
    let page = address(cx, talk).await?;
    Ok(cx.out.either(&page, || page.url.clone())?)
}

/// Where the page is, and that talk in it: good once.
async fn address(cx: &Context<'_>, talk: Option<PeerId>) -> Result<OpenView> {
    let mut page = cx.client()?.open().await?;
    if let Some(peer) = talk {
        page.url.push_str(&format!("&peer={peer}"));
    }
    Ok(page)
}

/// Shows the page in the first browser that starts, and says in which; `None` when there is none.
pub(super) async fn in_a_browser(cx: &Context<'_>, talk: Option<PeerId>) -> Result<Option<String>> {
    let profile = cx.home()?.path().join("browser");
    for browser in browsers(&profile) {
        let page = address(cx, talk).await?;
        let name = browser.program.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if browser.show(&in_our_language(page.url)).await? {
            return Ok(Some(name));
        }
        cx.out.note(&text::browser_failed(&name));
    }
    Ok(None)
}

/// Tells the page the language of this desktop, which a browser does not have to speak.
fn in_our_language(url: String) -> String {
    match Language::of_environment() {
        Language::English => url,
        Language::Chinese => url + "&lang=zh",
    }
}

struct Browser {
    program: PathBuf,
    /// Where it keeps what belongs to the page; `None` for a browser with tabs.
    profile: Option<PathBuf>,
}

/// The browsers of this desktop, the best first.
fn browsers(profile: &Path) -> Vec<Browser> {
    let usual = |name| {
        find(name).map(|program| Browser {
            program,
            profile: None,
        })
    };
    if cfg!(target_os = "macos") {
        return usual("open").into_iter().collect();
    }
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"];
    if desktop.iter().all(|name| env::var_os(name).is_none()) {
        return Vec::new();
    }
    let with_windows = WITH_APP_WINDOWS.iter().find_map(|name| find(name));
    let window = with_windows.map(|program| Browser {
        profile: Some(allowed(&program).unwrap_or_else(|| profile.to_owned())),
        program,
    });
    window.into_iter().chain(usual("xdg-open")).collect()
}

impl Browser {
    /// Whether it started. One that runs already hands the page over and ends, as a success.
    async fn show(&self, url: &str) -> io::Result<bool> {
        let mut command = Command::new(&self.program);
        match &self.profile {
            None => command.arg(url),
            Some(profile) => command
                .arg(format!("--app={url}"))
                .arg(format!("--user-data-dir={}", profile.display()))
                // By which a desktop finds the icon of the window.
                .arg("--class=hallway")
                .args(["--no-first-run", "--no-default-browser-check"])
                // The page keeps no passwords, so nobody is asked to make or unlock a keyring.
                .arg("--password-store=basic"),
        };
        // Ctrl-C here is not meant for it.
        command.process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(mut running) = command.spawn() else {
            return Ok(false);
        };
        let ended = tokio::task::spawn_blocking(move || running.wait());
        match tokio::time::timeout(FAILS_WITHIN, ended).await {
            Ok(Ok(ended)) => Ok(ended?.success()),
            Ok(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            Err(_) => Ok(true),
        }
    }
}

/// Where a program of Ubuntu's snaps may write: nowhere in a folder of the home whose name begins
/// with a dot, but here.
fn allowed(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().ok()?;
    let snap = real.ends_with("bin/snap") || real.starts_with("/snap");
    let name = program.file_name().filter(|_| snap)?;
    Some(
        env::home_dir()?
            .join("snap")
            .join(name)
            .join("common/hallway"),
    )
}

/// Where a program is, as a shell would find it.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
