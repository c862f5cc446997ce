//! What is said when the node is started and its app opened.

use std::path::Path;

pub(crate) const NO_BROWSER: &str = "There is no desktop here to open the page on; on this \
                                     computer, this address shows it once within a minute:";

pub(crate) fn started(name: &str) -> String {
    format!(
        "Hallway runs now, and others on this network see you as {name}. It goes on when this \
         terminal closes; `hallway stop` ends it."
    )
}

pub(crate) fn opened(browser: &str) -> String {
    format!(
        "Its page opens in {browser}. No window? `hallway open --print` prints the address, and \
         `hallway tui` shows the same here."
    )
}

pub(crate) fn browser_failed(browser: &str) -> String {
    format!("{browser} did not start")
}

pub(crate) fn node_ended(reason: &str, log: &Path) -> String {
    let reason = reason.strip_prefix("hallway: ").unwrap_or(reason);
    format!(
        "the node did not start: {reason} (all it said is in {})",
        log.display()
    )
}

pub(crate) const NO_CONFIG_FOLDER: &str = "no home directory is known; set HOME";
pub(crate) const UNSPEAKABLE_PATH: &str = "a path with control characters cannot be started at \
                                           login; choose another with --home DIR";

pub(crate) fn autostart(by: Option<&str>) -> String {
    match by {
        Some("desktop") => "Your desktop starts the node at login".into(),
        Some(_) => {
            "systemd starts the node at login; `systemctl --user start hallway` does now".into()
        }
        None => "The node is not started at login; `hallway autostart on` changes that".into(),
    }
}
