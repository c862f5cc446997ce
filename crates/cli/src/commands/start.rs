//! `hallway` alone: the node runs, in the background if nobody has started it, and its app opens.

use super::{Context, open, tui};
use crate::args::TuiArgs;
use crate::failure::{Failure, Result};
use crate::{show, text};
use anyhow::{Context as _, anyhow};
use hallway_api::ClientError;
use hallway_node::home::{Home, HomeError};
use serde_json::{Value, json};
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the node in the background says, since it was started last; what it said before is kept
/// beside it.
const LOG: &str = "node.log";
const LOG_BEFORE: &str = "node.log.old";
/// A node that another program is just starting, or ending, is waited for so long.
const OTHER_NODE: Duration = Duration::from_secs(20);
/// It is asked again after this time: nothing tells when it is ready.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) async fn start(cx: &Context<'_>) -> Result {
    let first = !cx.home()?.database().exists();
    let started = run_node(cx).await?;
    let status = cx.client()?.status().await?;
    if started {
        let label = show::label_of(status.name.as_str(), &status.id);
        cx.out.note(&text::started(&label));
    }
    let at_terminal = !cx.out.json && cx.at_a_terminal() && io::stdout().is_terminal();
    let opened = match open::in_a_browser(cx, None).await {
        // A node without the page has its other faces.
        Err(Failure::Client(ClientError::Refused(_))) if at_terminal => None,
        opened => opened?,
    };
    match opened {
        Some(browser) if cx.out.json => {
            let done = json!({ "started": started, "opened": browser });
            Ok(cx.out.value(&done)?)
        }
        Some(browser) => {
            cx.out.note(&text::opened(&browser));
            Ok(())
        }
        None if at_terminal => tui::at_first(cx, &TuiArgs::default(), first).await,
        None => open::no_browser(cx, None).await,
    }
}

/// Sees to it that a node runs, and says whether it was started for that.
async fn run_node(cx: &Context<'_>) -> Result<bool> {
    let client = cx.client()?;
    let end = Instant::now() + OTHER_NODE;
    let mut home = None;
    loop {
        match client.status().await {
            Err(ClientError::NotRunning { .. }) => {}
            answer => return Ok(answer.map(|_| false)?),
        }
        let home = match &mut home {
            Some(home) => home,
            None => home.insert(Home::create(cx.home.as_deref()).map_err(anyhow::Error::from)?),
        };
        // Another program is just starting a node, or one is ending.
        if let Err(taken) = home.lock() {
            if Instant::now() > end || !matches!(taken, HomeError::Running { .. }) {
                return Err(Failure::Other(taken.into()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        } else if spawn_node(home).await? {
            return Ok(true);
        }
    }
}

/// Starts a node that outlives this program, and waits until it is ready. `false` when another was
/// quicker.
async fn spawn_node(home: &Home) -> Result<bool> {
    let log_path = home.path().join(LOG);
    // There is none before the first time.
    let _ = fs::rename(&log_path, home.path().join(LOG_BEFORE));
    let log = File::create(&log_path);
    let log = log.with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut node = Command::new(env::current_exe()?)
        .arg("--home")
        .arg(home.path())
        .args(["--json", "up", "--detached"])
        // It may have to ask for a passphrase.
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let stdout = node.stdout.take();
    let ready = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        io::Result::Ok(line)
    });
    let line = ready.await.map_err(anyhow::Error::from)??;
    let line: Value = serde_json::from_str(&line).unwrap_or_default();
    if line["event"] == "ready" {
        return Ok(true);
    }
    node.wait()?;
    if matches!(home.lock(), Err(HomeError::Running { .. })) {
        return Ok(false);
    }
    let said = fs::read_to_string(&log_path).unwrap_or_default();
    // What is for programs comes after what is for people.
    let reason = said.lines().rfind(|line| !line.starts_with('{'));
    let reason = reason.unwrap_or_default();
    Err(anyhow!(text::node_ended(reason, &log_path)).into())
}
