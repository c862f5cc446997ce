//! The command line.

use crate::complete::peers;
use crate::text::help;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use hallway_model::{Delivery, MessageId, Name, Status};
use hallway_node::keys::KeyStore;
use hallway_tui::{Language, Theme};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(
    name = "hallway",
    bin_name = "hallway",
    version,
    about = help::ABOUT,
    long_about = help::LONG_ABOUT,
    after_help = help::AFTER,
    max_term_width = 100
)]
pub(crate) struct CommandLine {
    #[arg(
        long,
        global = true,
        env = "HALLWAY_HOME",
        hide_env_values = true,
        value_name = "DIR",
        help = help::HOME,
        help_heading = help::EVERYWHERE
    )]
    pub(crate) home: Option<PathBuf>,
    #[arg(long, global = true, help = help::JSON, help_heading = help::EVERYWHERE)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(about = help::UP, after_help = help::UP_AFTER)]
    Up(UpArgs),
    #[command(about = help::OPEN, after_help = help::OPEN_AFTER)]
    Open {
        #[arg(help = help::OPEN_PEER, add = peers())]
        peer: Option<String>,
        #[arg(long, help = help::OPEN_PRINT)]
        print: bool,
    },
    #[command(about = help::TUI, after_help = help::TUI_AFTER)]
    Tui(TuiArgs),
    #[command(about = help::STOP, after_help = help::STOP_AFTER)]
    Stop {
        #[arg(long, value_name = "S", default_value = "10", value_parser = seconds, allow_negative_numbers = true, help = help::STOP_TIMEOUT)]
        timeout: Duration,
    },
    #[command(about = help::STATUS, after_help = help::STATUS_AFTER)]
    Status,
    #[command(about = help::ID, after_help = help::ID_AFTER)]
    Id,
    #[command(about = help::NAME, after_help = help::NAME_AFTER)]
    Name {
        #[arg(value_name = "NEW", value_parser = name, help = help::NAME_NEW)]
        new: Option<Name>,
    },
    #[command(about = help::SET_STATUS, after_help = help::SET_STATUS_AFTER)]
    SetStatus {
        #[arg(value_enum, help = help::SET_STATUS_STATUS)]
        status: Availability,
    },
    #[command(about = help::PEERS, after_help = help::PEERS_AFTER)]
    Peers {
        #[arg(long, help = help::PEERS_WATCH)]
        watch: bool,
    },
    #[command(about = help::CONNECT, after_help = help::CONNECT_AFTER)]
    Connect {
        #[arg(value_name = "HOST[:PORT]", help = help::CONNECT_ADDRESS)]
        address: String,
    },
    #[command(about = help::SEND, after_help = help::SEND_AFTER)]
    Send(SendArgs),
    #[command(about = help::FILES, after_help = help::FILES_AFTER)]
    Files {
        #[command(subcommand)]
        command: Option<FilesCommand>,
    },
    #[command(about = help::LOG_COMMAND, after_help = help::LOG_AFTER)]
    Log(LogArgs),
    #[command(about = help::TAIL, after_help = help::TAIL_AFTER)]
    Tail {
        #[arg(
            long,
            value_name = "ID",
            value_parser = event,
            allow_negative_numbers = true,
            help = help::TAIL_SINCE
        )]
        since: Option<u64>,
    },
    #[command(about = help::CALL, after_help = help::CALL_AFTER)]
    Call(CallArgs),
    #[command(about = help::ANSWER, after_help = help::ANSWER_AFTER)]
    Answer {
        #[arg(value_name = "CALL", help = help::CALL_MEANT)]
        call: Option<String>,
    },
    #[command(about = help::HANG_UP, after_help = help::HANG_UP_AFTER)]
    HangUp {
        #[arg(value_name = "CALL", help = help::CALL_MEANT)]
        call: Option<String>,
    },
    #[command(about = help::MUTE, after_help = help::MUTE_AFTER)]
    Mute {
        #[arg(value_enum, default_value = "on", help = help::MUTE_SWITCH)]
        switch: Switch,
        #[arg(long, value_name = "CALL", help = help::CALL_MEANT)]
        call: Option<String>,
    },
    #[command(about = help::HOLD, after_help = help::HOLD_AFTER)]
    Hold {
        #[arg(value_enum, default_value = "on", help = help::HOLD_SWITCH)]
        switch: Switch,
        #[arg(long, value_name = "CALL", help = help::CALL_MEANT)]
        call: Option<String>,
    },
    #[command(about = help::TALK, after_help = help::TALK_AFTER)]
    Talk {
        #[arg(long, value_name = "CALL", help = help::CALL_MEANT)]
        call: Option<String>,
    },
    #[command(about = help::CALLS, after_help = help::CALLS_AFTER)]
    Calls {
        #[arg(
            long,
            value_name = "N",
            value_parser = count,
            allow_negative_numbers = true,
            help = help::CALLS_LIMIT
        )]
        limit: Option<usize>,
    },
    #[command(about = help::VERIFY, after_help = help::VERIFY_AFTER)]
    Verify {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
        #[arg(value_name = "NUMBER", num_args = 0.., conflicts_with = "keep_name", help = help::VERIFY_NUMBER)]
        number: Vec<String>,
        #[arg(long, help = help::VERIFY_KEEP_NAME)]
        keep_name: bool,
    },
    #[command(about = help::BLOCK, after_help = help::BLOCK_AFTER)]
    Block {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
    },
    #[command(about = help::UNBLOCK, after_help = help::UNBLOCK_AFTER)]
    Unblock {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
    },
    #[command(about = help::FORGET, after_help = help::FORGET_AFTER)]
    Forget {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
        #[arg(short, long, help = help::FORGET_YES)]
        yes: bool,
    },
    #[command(about = help::REQUESTS, after_help = help::REQUESTS_AFTER)]
    Requests {
        #[command(subcommand)]
        decision: Option<Decision>,
    },
    #[command(about = help::DEVICES, after_help = help::DEVICES_AFTER)]
    Devices(DevicesArgs),
    #[command(about = help::SETTINGS, after_help = help::SETTINGS_AFTER)]
    Settings(SettingsArgs),
    #[command(about = help::NOTIFY, after_help = help::NOTIFY_AFTER)]
    Notify {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
        #[arg(value_enum, help = help::NOTIFY_SWITCH)]
        switch: Option<Switch>,
    },
    #[command(about = help::DOCTOR, after_help = help::DOCTOR_AFTER)]
    Doctor {
        #[arg(help = help::PEER, add = peers())]
        peer: Option<String>,
    },
    #[command(about = help::ECHO, after_help = help::ECHO_AFTER)]
    Echo(NetworkArgs),
    #[command(about = help::TOKENS, after_help = help::TOKENS_AFTER)]
    Tokens {
        #[command(subcommand)]
        command: Option<TokensCommand>,
    },
    #[command(about = help::AUTOSTART, after_help = help::AUTOSTART_AFTER)]
    Autostart {
        #[arg(value_enum, help = help::AUTOSTART_SWITCH)]
        switch: Option<Switch>,
    },
    #[command(about = help::EXPORT, after_help = help::EXPORT_AFTER)]
    Export,
    #[command(about = help::COMPLETIONS, after_help = help::COMPLETIONS_AFTER)]
    Completions {
        #[arg(value_enum, help = help::COMPLETIONS_SHELL)]
        shell: Shell,
    },
    #[command(about = help::MAN, after_help = help::MAN_AFTER)]
    Man {
        #[arg(long, value_name = "DIR", help = help::MAN_DIR)]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Decision {
    #[command(about = help::REQUESTS_ACCEPT, after_help = help::REQUESTS_ACCEPT_AFTER)]
    Accept {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
    },
    #[command(about = help::REQUESTS_DECLINE, after_help = help::REQUESTS_DECLINE_AFTER)]
    Decline {
        #[arg(help = help::PEER, add = peers())]
        peer: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    #[command(
        about = help::TOKENS_ADD,
        after_help = help::TOKENS_ADD_AFTER,
        group = ArgGroup::new("rights").required(true).multiple(true)
    )]
    Add(TokenArgs),
    #[command(about = help::TOKENS_REVOKE, after_help = help::TOKENS_REVOKE_AFTER)]
    Revoke {
        #[arg(value_name = "NAME", value_parser = name, help = help::TOKENS_NAME)]
        name: Name,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[arg(value_name = "NAME", value_parser = name, help = help::TOKENS_NAME)]
    pub(crate) name: Name,
    #[arg(long, group = "rights", help = help::TOKENS_READ)]
    pub(crate) read: bool,
    #[arg(long, group = "rights", help = help::TOKENS_SEND)]
    pub(crate) send: bool,
    #[arg(long, group = "rights", help = help::TOKENS_METRICS)]
    pub(crate) metrics: bool,
    #[arg(long = "in", value_name = "PEER", num_args = 1.., help = help::TOKENS_IN, add = peers())]
    pub(crate) conversations: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FilesCommand {
    #[command(about = help::FILES_ACCEPT, after_help = help::FILES_ACCEPT_AFTER)]
    Accept {
        #[arg(help = help::FILES_ID)]
        id: String,
        #[arg(long, value_name = "DIR", help = help::FILES_TO)]
        to: Option<PathBuf>,
    },
    #[command(about = help::FILES_DECLINE, after_help = help::FILES_DECLINE_AFTER)]
    Decline {
        #[arg(help = help::FILES_ID)]
        id: String,
    },
    #[command(about = help::FILES_PAUSE, after_help = help::FILES_PAUSE_AFTER)]
    Pause {
        #[arg(help = help::FILES_ID)]
        id: String,
    },
    #[command(about = help::FILES_RESUME, after_help = help::FILES_RESUME_AFTER)]
    Resume {
        #[arg(help = help::FILES_ID)]
        id: String,
    },
    #[command(about = help::FILES_CANCEL, after_help = help::FILES_CANCEL_AFTER)]
    Cancel {
        #[arg(help = help::FILES_ID)]
        id: String,
    },
    #[command(about = help::FILES_LIMIT, after_help = help::FILES_LIMIT_AFTER)]
    Limit {
        #[arg(value_name = "SIZE", value_parser = size, help = help::FILES_LIMIT_SIZE)]
        size: Option<u64>,
    },
    #[command(about = help::FILES_WATCH, after_help = help::FILES_WATCH_AFTER)]
    Watch {
        #[arg(value_name = "ID", help = help::FILES_WATCH_ID)]
        ids: Vec<String>,
    },
    #[command(about = help::FILES_OPEN, after_help = help::FILES_OPEN_AFTER)]
    Open {
        #[arg(help = help::FILES_ID)]
        id: String,
        #[arg(long, help = help::FILES_OPEN_FOLDER)]
        folder: bool,
    },
}

/// How a node meets the network, and what it logs.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    #[arg(long, value_name = "P", help = help::PORT)]
    pub(crate) port: Option<u16>,
    #[arg(long, help = help::NO_MDNS)]
    pub(crate) no_mdns: bool,
    #[arg(
        long,
        env = "HALLWAY_LOG",
        hide_env_values = true,
        value_name = "LEVEL",
        help = help::LOG
    )]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[arg(long, value_name = "NAME", value_parser = name, help = help::UP_NAME)]
    pub(crate) name: Option<Name>,
    #[arg(long, help = help::UP_NO_WEB)]
    pub(crate) no_web: bool,
    #[arg(long, value_name = "NAME", help = help::UP_INPUT)]
    pub(crate) input: Option<String>,
    #[arg(long, value_name = "NAME", help = help::UP_OUTPUT)]
    pub(crate) output: Option<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[arg(long, value_enum, help = help::KEY_STORE)]
    pub(crate) key_store: Option<KeyStoreArg>,
    #[arg(long, value_name = "FILE", help = help::PASSPHRASE_FILE)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Leave the terminal once the node runs: how `hallway` alone starts it.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct TuiArgs {
    #[arg(long, help = help::TUI_NO_MOUSE)]
    pub(crate) no_mouse: bool,
    #[arg(long, value_enum, help = help::TUI_THEME)]
    pub(crate) theme: Option<ThemeArg>,
    #[arg(long, value_enum, help = help::TUI_LANGUAGE)]
    pub(crate) language: Option<LanguageArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ThemeArg {
    Dark,
    Light,
    None,
}

impl From<ThemeArg> for Theme {
    fn from(theme: ThemeArg) -> Self {
        match theme {
            ThemeArg::Dark => Self::Dark,
            ThemeArg::Light => Self::Light,
            ThemeArg::None => Self::Plain,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LanguageArg {
    En,
    Zh,
}

impl From<LanguageArg> for Language {
    fn from(language: LanguageArg) -> Self {
        match language {
            LanguageArg::En => Self::English,
            LanguageArg::Zh => Self::Chinese,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    #[arg(long, value_name = "NAME", help = help::DEVICES_INPUT)]
    pub(crate) input: Option<String>,
    #[arg(long, value_name = "NAME", help = help::DEVICES_OUTPUT)]
    pub(crate) output: Option<String>,
    #[arg(long, help = help::DEVICES_TEST)]
    pub(crate) test: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    #[arg(long, value_name = "SIZE", value_parser = size, help = help::SETTINGS_ACCEPT)]
    pub(crate) accept: Option<u64>,
    #[arg(long, value_enum, value_name = "SWITCH", help = help::SETTINGS_RECEIPTS)]
    pub(crate) read_receipts: Option<Switch>,
    #[arg(long, value_name = "DIR", help = help::SETTINGS_DOWNLOADS)]
    pub(crate) downloads: Option<PathBuf>,
    #[arg(long, value_name = "HOST[:PORT]", help = help::SETTINGS_ADD_PEER)]
    pub(crate) add_peer: Vec<String>,
    #[arg(long, value_name = "HOST[:PORT]", help = help::SETTINGS_REMOVE_PEER)]
    pub(crate) remove_peer: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[arg(help = help::PEER, add = peers())]
    pub(crate) peer: String,
    #[arg(value_name = "TEXT", num_args = 0.., help = help::SEND_TEXT)]
    pub(crate) text: Vec<String>,
    #[arg(long, value_name = "ID", group = "what", help = help::SEND_REPLY)]
    pub(crate) reply: Option<MessageId>,
    #[arg(long, value_name = "ID", group = "what", help = help::SEND_EDIT)]
    pub(crate) edit: Option<MessageId>,
    #[arg(long, value_name = "ID", group = "what", conflicts_with = "text", help = help::SEND_DELETE)]
    pub(crate) delete: Option<MessageId>,
    #[arg(long, num_args = 2, value_names = ["ID", "EMOJI"], group = "what", conflicts_with = "text", help = help::SEND_REACT)]
    pub(crate) react: Vec<String>,
    #[arg(long, num_args = 2, value_names = ["ID", "EMOJI"], group = "what", conflicts_with = "text", help = help::SEND_UNREACT)]
    pub(crate) unreact: Vec<String>,
    #[arg(short, long, value_name = "PATH", group = "what", help = help::SEND_FILE)]
    pub(crate) file: Vec<PathBuf>,
    #[arg(long, value_enum, help = help::SEND_WAIT)]
    pub(crate) wait: Option<Wait>,
    #[arg(long, value_name = "S", value_parser = seconds, allow_negative_numbers = true, requires = "wait", help = help::SEND_TIMEOUT)]
    pub(crate) timeout: Option<Duration>,
    #[arg(long, value_name = "X", help = help::SEND_CLIENT_ID)]
    pub(crate) client_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[arg(required_unless_present = "search", help = help::LOG_PEER, add = peers())]
    pub(crate) peer: Option<String>,
    #[arg(long, value_name = "T", help = help::LOG_SINCE)]
    pub(crate) since: Option<String>,
    #[arg(
        long,
        value_name = "N",
        value_parser = count,
        allow_negative_numbers = true,
        help = help::LOG_LIMIT
    )]
    pub(crate) limit: Option<usize>,
    #[arg(long, value_name = "WORDS", help = help::LOG_SEARCH)]
    pub(crate) search: Option<String>,
    #[arg(long, help = help::LOG_IDS)]
    pub(crate) ids: bool,
    #[arg(long, help = help::LOG_MARK_READ)]
    pub(crate) mark_read: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    #[arg(help = help::PEER, add = peers())]
    pub(crate) peer: String,
    #[arg(long, help = help::CALL_DETACH)]
    pub(crate) detach: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    pub(crate) fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeyStoreArg {
    #[value(help = help::KEY_STORE_AUTO)]
    Auto,
    #[value(help = help::KEY_STORE_KEYRING)]
    Keyring,
    #[value(help = help::KEY_STORE_FILE)]
    File,
    #[value(help = help::KEY_STORE_PASSPHRASE)]
    Passphrase,
}

impl KeyStoreArg {
    /// The store that is wanted; `None` leaves the choice to the node.
    pub(crate) fn wanted(self) -> Option<KeyStore> {
        match self {
            Self::Auto => None,
            Self::Keyring => Some(KeyStore::Keyring),
            Self::File => Some(KeyStore::File),
            Self::Passphrase => Some(KeyStore::Passphrase),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Availability {
    Available,
    Away,
    Busy,
}

impl From<Availability> for Status {
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::Available => Self::Available,
            Availability::Away => Self::Away,
            Availability::Busy => Self::Busy,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Wait {
    #[value(help = help::SEND_WAIT_QUEUED)]
    Queued,
    #[value(help = help::SEND_WAIT_SENT)]
    Sent,
    #[value(help = help::SEND_WAIT_DELIVERED)]
    Delivered,
}

impl From<Wait> for Delivery {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Queued => Self::Queued,
            Wait::Sent => Self::Sent,
            Wait::Delivered => Self::Delivered,
        }
    }
}

fn name(text: &str) -> Result<Name, hallway_model::NameError> {
    Name::new(text)
}

/// Bytes, in the units that files are shown in.
fn size(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" | "k" => 1_000,
        "mb" | "m" | "" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        "tb" | "t" => 1_000_000_000_000,
        _ => return Err("a size is a number of kB, MB, GB or TB, such as 500MB".into()),
    };
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let parsed = whole.parse::<u64>().ok().zip(tenths.parse::<u64>().ok());
    let bytes = parsed
        .filter(|_| tenths.len() == 1)
        .and_then(|(whole, tenths)| {
            let bytes = whole.checked_mul(factor)?;
            bytes.checked_add(tenths * factor / 10)
        });
    bytes.ok_or_else(|| "a size is a number such as 500MB or 1.5GB".into())
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    let seconds = seconds.and_then(Result::ok);
    seconds.ok_or("it is a number of seconds, such as 10 or 0.5")
}

fn event(text: &str) -> Result<u64, &'static str> {
    let number = text.parse();
    number.map_err(|_| "it is the number that `event` has in each line of `tail --json`")
}

fn count(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "it is a number, such as 50")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_size_is_read_as_it_is_shown() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100_000_000),
            ("100MB", 100_000_000),
            ("1.5 GB", 1_500_000_000),
            ("20k", 20_000),
            ("7B", 7),
            ("18446744.0TB", 18_446_744_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "x",
            "-1",
            "1.55GB",
            "1.GB",
            ".5GB",
            "1e3",
            "18446745TB",
            "5 apples",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    /// The words of the commands in an example, as a shell would take them apart: up to what it
    /// does with their output, and up to a remark.
    fn commands_in(example: &str) -> Vec<Vec<String>> {
        let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
        let mut chars = example.trim().chars().chain(['\0']).peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => {
                    let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                    word.get_or_insert_default().push_str(&quoted);
                }
                ' ' | '|' | '&' | '>' | ')' | '\0' => {
                    words.extend(word.take());
                    let remark = c == ' ' && chars.peek() == Some(&' ');
                    if c != ' ' || remark {
                        commands.push(std::mem::take(&mut words));
                    }
                    if remark {
                        break;
                    }
                }
                '<' | '(' => {
                    word = None;
                    commands.push(std::mem::take(&mut words));
                }
                c => word.get_or_insert_default().push(c),
            }
        }
        let ours = |words: &Vec<String>| words.first().is_some_and(|word| word == "hallway");
        commands.into_iter().filter(ours).collect()
    }

    #[test]
    fn examples_are_taken_apart() {
        let of = |example: &str| -> Vec<String> {
            let commands = commands_in(example).into_iter();
            commands.map(|words| words.join(" ")).collect()
        };
        assert_eq!(of("  hallway id     a remark of hallway"), ["hallway id"]);
        assert_eq!(of("uptime | hallway send 'Bo Li'"), ["hallway send Bo Li"]);
        assert_eq!(of("hallway a && hallway b > c"), ["hallway a", "hallway b"]);
        assert_eq!(of("x <(hallway a) y"), ["hallway a"]);
    }

    #[test]
    fn every_example_is_a_command_line() {
        fn check(command: &clap::Command, seen: &mut usize) {
            let help = command.get_after_help().map(ToString::to_string);
            let (_, examples) = help
                .as_deref()
                .and_then(|help| help.split_once("Examples:\n"))
                .unwrap_or_else(|| panic!("{} has no examples", command.get_name()));
            for line in examples.lines().take_while(|line| !line.is_empty()) {
                for words in commands_in(line) {
                    // An id is cut there where a person reads it.
                    let words = words.iter().map(|word| match word.as_str() {
                        "5d0c…" => "5d0c".repeat(8),
                        word => word.to_owned(),
                    });
                    let words: Vec<_> = words.collect();
                    if let Err(error) = CommandLine::try_parse_from(&words) {
                        panic!("{line}: {error}");
                    }
                    *seen += 1;
                }
            }
            for below in command.get_subcommands() {
                check(below, seen);
            }
        }
        let mut seen = 0;
        check(&CommandLine::command(), &mut seen);
        assert!(seen > 80, "{seen}");
    }
}
