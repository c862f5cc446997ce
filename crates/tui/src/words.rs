//! Every word of the app in each of its languages. A function where a word depends on something.

mod chinese;
mod english;

use crate::format::talked;
use crate::theme::Theme;
use chinese::CHINESE;
use english::ENGLISH;
use hallway_model::{
    CallOutcome, CallQuality, CallRecord, CallView, FileView, Outcome, Presence, Status,
    TransferFailure, TransferState,
};
use jiff::civil::Date;
use std::{env, fmt};

/// A language of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language that the environment asks for: the first of `LC_ALL`, `LC_MESSAGES` and `LANG`
    /// that says something.
    pub fn of_environment() -> Self {
        let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let said = names.iter().filter_map(|name| env::var(name).ok());
        Self::of_locale(
            &said
                .into_iter()
                .find(|value| !value.is_empty())
                .unwrap_or_default(),
        )
    }

    fn of_locale(locale: &str) -> Self {
        match locale.to_lowercase().starts_with("zh") {
            true => Self::Chinese,
            false => Self::English,
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

type Say = fn(&str) -> String;

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

/// All that is said in one language.
pub(crate) struct Words {
    pub(crate) today: &'static str,
    pub(crate) yesterday: &'static str,
    pub(crate) date: fn(Date) -> String,
    pub(crate) requests: &'static str,
    pub(crate) people: &'static str,
    pub(crate) nearby: &'static str,
    pub(crate) nobody: &'static str,
    pub(crate) nobody_hint: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) choose_hint: &'static str,
    pub(crate) presence: fn(Presence) -> &'static str,
    pub(crate) status: fn(Status) -> &'static str,
    pub(crate) last_seen: Say,
    pub(crate) verified: &'static str,
    pub(crate) blocked: &'static str,
    pub(crate) quiet: &'static str,
    pub(crate) typing: Say,
    pub(crate) you: &'static str,
    pub(crate) edited: &'static str,
    pub(crate) deleted: &'static str,
    pub(crate) newer: &'static str,
    pub(crate) not_here: &'static str,
    pub(crate) queued: Say,
    pub(crate) sent: &'static str,
    pub(crate) delivered: &'static str,
    pub(crate) read: &'static str,
    pub(crate) sending: &'static str,
    pub(crate) new_messages: &'static str,
    pub(crate) empty: &'static str,
    pub(crate) loading: &'static str,
    pub(crate) below: &'static str,
    pub(crate) request: Say,
    pub(crate) request_hint: &'static str,
    pub(crate) impostor: Say,
    pub(crate) impostor_hint: &'static str,
    pub(crate) replying: Say,
    pub(crate) editing: &'static str,
    pub(crate) call_record: fn(&CallRecord, bool) -> String,
    pub(crate) calling: Say,
    pub(crate) ringing: Say,
    pub(crate) incoming: Say,
    pub(crate) incoming_keys: &'static str,
    pub(crate) outgoing_keys: &'static str,
    pub(crate) call_keys: &'static [&'static str],
    pub(crate) talk_key: &'static str,
    pub(crate) call_remarks: fn(&CallView) -> Vec<&'static str>,
    /// Why a call is over.
    pub(crate) call_end: fn(&CallView, name: &str) -> Option<String>,
    pub(crate) quality: fn(CallQuality) -> &'static str,
    pub(crate) file: fn(&FileView) -> String,
    pub(crate) left_out: fn(u32, names: &[String]) -> String,
    pub(crate) transfer: fn(TransferState, incoming: bool) -> &'static str,
    pub(crate) failure: fn(TransferFailure) -> &'static str,
    pub(crate) resumed_at: fn(percent: u64) -> String,
    pub(crate) changed: &'static str,
    pub(crate) left: Say,
    pub(crate) file_keys: fn(TransferState, incoming: bool) -> &'static str,
    pub(crate) again_key: &'static str,
    pub(crate) message_keys: &'static str,
    pub(crate) message_keys_own: &'static str,
    /// Of what has no text.
    pub(crate) message_keys_taken: &'static str,
    pub(crate) quoted_key: &'static str,
    pub(crate) back_key: &'static str,
    pub(crate) keys: &'static str,
    pub(crate) connecting: &'static str,
    pub(crate) down: &'static str,
    pub(crate) down_hint: &'static str,
    pub(crate) unread: fn(u64) -> String,
    pub(crate) find: &'static str,
    pub(crate) find_hint: &'static str,
    pub(crate) found_messages: &'static str,
    pub(crate) nothing_found: &'static str,
    pub(crate) send_file: &'static str,
    pub(crate) send_file_hint: &'static str,
    pub(crate) no_such_folder: &'static str,
    pub(crate) folder_sure: Say,
    pub(crate) react: &'static str,
    pub(crate) react_hint: &'static str,
    pub(crate) safety: Say,
    pub(crate) safety_hint: Say,
    pub(crate) safety_keys: &'static str,
    pub(crate) is_verified: Say,
    pub(crate) yes_no: &'static str,
    pub(crate) quit_sure: &'static str,
    pub(crate) delete_sure: &'static str,
    pub(crate) block_sure: Say,
    pub(crate) forget_sure: Say,
    pub(crate) welcome: &'static str,
    pub(crate) welcome_hint: &'static str,
    pub(crate) prompt_keys: &'static str,
    pub(crate) name_hint: &'static str,
    pub(crate) folder_hint: &'static str,
    pub(crate) address_hint: &'static str,
    pub(crate) day: &'static str,
    pub(crate) day_hint: &'static str,
    pub(crate) no_day: &'static str,
    pub(crate) settings: &'static str,
    pub(crate) settings_keys: &'static str,
    pub(crate) set_name: &'static str,
    pub(crate) set_status: &'static str,
    pub(crate) set_receipts: &'static str,
    pub(crate) receipts: fn(bool) -> &'static str,
    pub(crate) set_take: &'static str,
    pub(crate) take: fn(bytes: u64) -> String,
    pub(crate) set_folder: &'static str,
    pub(crate) set_language: &'static str,
    pub(crate) language: fn(Language) -> &'static str,
    pub(crate) set_theme: &'static str,
    pub(crate) theme: fn(Theme) -> &'static str,
    pub(crate) set_notify: &'static str,
    pub(crate) notify: fn(&str, on: bool) -> String,
    pub(crate) set_address: &'static str,
    pub(crate) new_address: &'static str,
    pub(crate) set_blocked: &'static str,
    pub(crate) set_id: &'static str,
    pub(crate) drops: &'static str,
    pub(crate) unblocks: &'static str,
    pub(crate) help: &'static str,
    pub(crate) scroll_keys: &'static str,
    pub(crate) help_keys: &'static [(&'static str, &'static str)],
    pub(crate) commands: &'static str,
    pub(crate) command_help: fn(&str) -> &'static str,
    pub(crate) devices: &'static str,
    pub(crate) devices_hint: &'static str,
    pub(crate) default_device: &'static str,
    pub(crate) microphone: &'static str,
    pub(crate) speaker: &'static str,
    pub(crate) unplugged: Say,
    pub(crate) doctor: &'static str,
    pub(crate) why_nobody: &'static str,
    pub(crate) doctor_fine: &'static str,
    pub(crate) doctor_found: &'static str,
    pub(crate) doctor_side: &'static str,
    pub(crate) outcome: fn(Outcome) -> &'static str,
    /// What a check of this name looks at, and what to do when it fails; `None` where the node's
    /// own words do.
    pub(crate) check: fn(&str) -> Option<(&'static str, &'static str)>,
    pub(crate) colon: &'static str,
    pub(crate) looking: &'static str,
    pub(crate) failed: Say,
    pub(crate) not_sent: Say,
    pub(crate) too_long: &'static str,
    pub(crate) no_such_command: Say,
    pub(crate) nobody_chosen: &'static str,
    pub(crate) nobody_called: Say,
    pub(crate) no_message: &'static str,
    pub(crate) not_own: &'static str,
    pub(crate) no_file: &'static str,
    pub(crate) no_call: &'static str,
    pub(crate) needs: Say,
    pub(crate) wait_for_node: &'static str,
    pub(crate) all_read: &'static str,
    pub(crate) copied: &'static str,
    pub(crate) connected: Say,
    pub(crate) offered: Say,
    pub(crate) saved_as: Say,
    pub(crate) wrote: Say,
    pub(crate) done: &'static str,
}

/// A call in the log. The other side's is told from where the reader sits.
pub fn call_record(call: &CallRecord, own: bool) -> String {
    match (call.outcome, own) {
        (CallOutcome::Answered, _) => format!("Call, {}", talked(call.duration_ms)),
        (CallOutcome::Interrupted, _) => {
            format!("Call, cut off after {}", talked(call.duration_ms))
        }
        (CallOutcome::Missed | CallOutcome::Busy | CallOutcome::Cancelled, false) => {
            "Missed call".into()
        }
        (CallOutcome::Missed, true) => "Call, not answered".into(),
        (CallOutcome::Busy, true) => "Call, they were busy".into(),
        (CallOutcome::Cancelled, true) => "Call, given up".into(),
        (CallOutcome::Declined, _) => "Call, declined".into(),
        (CallOutcome::Failed, _) => "Call, failed".into(),
    }
}

/// Those of nine remarks that hold.
fn remarks(call: &CallView, all: &[&'static str; 9]) -> Vec<&'static str> {
    let hold = [
        call.held,
        call.held_by_them,
        call.muted,
        call.muted_by_them,
        !call.can_speak,
        !call.can_hear,
        !call.they_can_speak,
        !call.they_can_hear,
        !call.connected && !call.held && !call.held_by_them,
    ];
    let said = all.iter().zip(hold).filter(|(_, holds)| *holds);
    said.map(|(remark, _)| *remark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_that_of_the_environment() {
        let of = Language::of_locale;
        assert_eq!(of("zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(of("zh-Hans"), Language::Chinese);
        for other in ["en_GB.UTF-8", "C", "", "de_DE"] {
            assert_eq!(of(other), Language::English);
        }
    }

    #[test]
    fn every_command_is_explained_in_each_language() {
        for language in [Language::English, Language::Chinese] {
            for command in crate::commands::NAMES {
                let help = (language.words().command_help)(command);
                assert!(!help.is_empty(), "{command} in {language:?}");
            }
        }
    }

    #[test]
    fn dates_are_written_as_each_language_does() {
        let date = jiff::civil::date(2026, 3, 1);
        assert_eq!((ENGLISH.date)(date), "Sunday, 1 March 2026");
        assert_eq!((CHINESE.date)(date), "2026年3月1日 星期日");
    }
}
