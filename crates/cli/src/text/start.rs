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
