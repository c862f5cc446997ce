//! What a shell offers at the Tab key: commands, options, files, and the peers there are now.

use crate::args::CommandLine;
use crate::{safe, text};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use hallway_api::Client;
use hallway_model::PeerView;
use hallway_node::home::Home;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// By this variable the script of a shell asks for what it may offer.
const VARIABLE: &str = "COMPLETE";
/// A person who pressed Tab does not wait longer for a node.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers a shell that asks, and ends then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(CommandLine::command)
        .var(VARIABLE)
        .complete();
}

/// zsh reads a file of its completions at the first Tab, as if it were the function of that name:
/// what the file has defined must then answer at once.
const AT_THE_FIRST_TAB: &str = "\
if [ \"$funcstack[1]\" = \"_hallway\" ]; then
    _clap_dynamic_completer_hallway \"$@\"
fi
";

/// bash puts what it is offered into the line as it is. What is more than a word to it is therefore
/// quoted, in the way that the person has begun to.
const QUOTED: &str = r#"_hallway() {
    _clap_complete_hallway "$@"
    local at apostrophe="'" outside="'\\''"
    for at in "${!COMPREPLY[@]}"; do
        case "${COMP_WORDS[COMP_CWORD]}" in
            \"*) ;;
            \'*) COMPREPLY[at]=${COMPREPLY[at]//$apostrophe/"$outside"} ;;
            *) if [[ "${COMPREPLY[at]}" == *[\ \"\']* ]]; then
                printf -v "COMPREPLY[$at]" %q "${COMPREPLY[at]}"
            fi ;;
        esac
    done
}
"#;

/// What a shell has to read once so that it asks.
pub(crate) fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let known = shells.completer(&shell.to_string());
    let known = known.ok_or(io::ErrorKind::Unsupported)?;
    known.write_registration(VARIABLE, "hallway", "hallway", "hallway", &mut script)?;
    if shell == Shell::Zsh {
        script.extend(AT_THE_FIRST_TAB.bytes());
    }
    if shell == Shell::Bash {
        let registered = String::from_utf8_lossy(&script);
        let ours = registered.replace("-F _clap_complete_hallway", "-F _hallway");
        script = format!("{QUOTED}{ours}").into_bytes();
    }
    Ok(script)
}

/// Offers the peers of the node that runs; nobody when none does.
pub(crate) fn peers() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = unquoted(&typed.to_string_lossy()).to_lowercase();
        let peers = known().unwrap_or_default();
        let offered = peers.iter().map(|peer| candidate(&peers, peer));
        let fits = |offered: &CompletionCandidate| {
            let value = offered.get_value().to_string_lossy().to_lowercase();
            value.starts_with(&typed)
        };
        offered.filter(fits).collect()
    })
}

/// What is meant by a word that a person has begun to quote: shells hand it over as it stands.
fn unquoted(typed: &str) -> String {
    let typed = typed.strip_prefix(['"', '\'']).unwrap_or(typed);
    typed.replace('\\', "")
}

fn known() -> Option<Vec<PeerView>> {
    let chosen = std::env::var_os("HALLWAY_HOME").map(PathBuf::from);
    let client = Client::new(Home::locate(chosen.as_deref()).ok()?.socket().ok()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = async { tokio::time::timeout(PATIENCE, client.peers()).await };
    runtime.ok()?.block_on(asked).ok()?.ok()
}

/// The name where it means one peer and no more than a word, or a few, to any shell; otherwise the
/// tag, with the name beside it for the shells that show that.
fn candidate(peers: &[PeerView], peer: &PeerView) -> CompletionCandidate {
    let plain = peer
        .name
        .chars()
        .all(|c| c.is_alphanumeric() || " -_.'".contains(c));
    let alone = peers
        .iter()
        .filter(|other| other.name.to_lowercase() == peer.name.to_lowercase());
    let name = plain && alone.count() == 1 && !peer.name.starts_with('-');
    let value = if name { &peer.name } else { &peer.tag };
    let help = format!(
        "{}, {}",
        safe::one_line(&peer.name),
        text::presence(peer.state)
    );
    CompletionCandidate::new(value.as_str()).help(Some(help.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_the_same_however_it_is_quoted() {
        for typed in ["Bo L", "Bo\\ L", "\"Bo L", "'Bo L"] {
            assert_eq!(unquoted(typed), "Bo L");
        }
        assert_eq!(unquoted("O\\'N"), "O'N");
        assert_eq!(unquoted(""), "");
    }
}
