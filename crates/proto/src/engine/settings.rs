//! What the person of this node has chosen, kept on disk under a name each.

use super::Engine;
use crate::Config;
use crate::io::CommandId;
use crate::ledger::Then;
use hallway_model::{PeerId, Problem, Refusal, STATIC_PEERS_MAX, Setting, Write};
use std::collections::BTreeSet;
use std::path::PathBuf;

const ACCEPT_FILES: &str = "accept_files_bytes";
const READ_RECEIPTS: &str = "read_receipts";
const DOWNLOADS: &str = "downloads";
/// One address in a line.
const STATIC_PEERS: &str = "static_peers";
/// One id in a line.
const MUTED: &str = "muted";

/// Choices that the engine only keeps.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// `None` for the usual folder.
    pub(super) downloads: Option<PathBuf>,
    pub(super) static_peers: Vec<String>,
    pub(super) muted: BTreeSet<PeerId>,
}

impl Chosen {
    pub(super) fn restored<'a>(setting: impl Fn(&str) -> Option<&'a str>) -> Self {
        let lines = |name| setting(name).into_iter().flat_map(str::lines);
        Self {
            downloads: setting(DOWNLOADS).map(PathBuf::from),
            static_peers: lines(STATIC_PEERS).map(str::to_owned).collect(),
            muted: lines(MUTED).filter_map(|id| id.parse().ok()).collect(),
        }
    }
}

/// What was chosen counts more than what the node was started with.
pub(super) fn configured<'a>(config: Config, setting: impl Fn(&str) -> Option<&'a str>) -> Config {
    let accept_files_bytes = setting(ACCEPT_FILES).and_then(|n| n.parse().ok());
    let read_receipts = setting(READ_RECEIPTS).and_then(|on| on.parse().ok());
    Config {
        accept_files_bytes: accept_files_bytes.unwrap_or(config.accept_files_bytes),
        read_receipts: read_receipts.unwrap_or(config.read_receipts),
        ..config
    }
}

impl Engine {
    /// Addresses that were chosen to stay connected with, as people write them.
    pub fn static_peers(&self) -> &[String] {
        &self.chosen.static_peers
    }

    /// Answered once it is on disk.
    pub(super) fn set(&mut self, command: CommandId, setting: Setting) -> Result<(), Refusal> {
        let kept = match setting {
            Setting::AcceptFiles(bytes) => {
                self.config.accept_files_bytes = bytes;
                Write::Setting(ACCEPT_FILES, bytes.to_string())
            }
            Setting::ReadReceipts(on) => {
                self.config.read_receipts = on;
                Write::Setting(READ_RECEIPTS, on.to_string())
            }
            Setting::Downloads(folder) => {
                let text = folder.to_str().filter(|_| folder.is_absolute());
                let text = text.ok_or_else(|| bad("a folder is given by its whole path"))?;
                let kept = Write::Setting(DOWNLOADS, text.to_owned());
                self.chosen.downloads = Some(folder);
                kept
            }
            Setting::StaticPeers(addresses) => {
                if addresses.len() > STATIC_PEERS_MAX {
                    let detail = format!("at most {STATIC_PEERS_MAX} addresses are kept");
                    return Err(bad(&detail));
                }
                if addresses.iter().any(|address| address.lines().count() != 1) {
                    return Err(bad("an address is one line"));
                }
                self.chosen.static_peers = addresses;
                Write::Setting(STATIC_PEERS, self.chosen.static_peers.join("\n"))
            }
            Setting::Mute(peer, on) => {
                let muted = &mut self.chosen.muted;
                // Whoever was forgotten needs no place any more.
                muted.retain(|known| self.directory.get(known).is_some());
                match on {
                    true => muted.insert(peer),
                    false => muted.remove(&peer),
                };
                let lines: Vec<String> = muted.iter().map(ToString::to_string).collect();
                Write::Setting(MUTED, lines.join("\n"))
            }
        };
        self.ledger.add([kept], Then::Set { command });
        Ok(())
    }
}

fn bad(detail: &str) -> Refusal {
    Refusal::new(Problem::BadValue, detail)
}
