//! What can be typed after a slash.

use crate::app::{App, Overlay};
use crate::choices::{LANGUAGES, THEMES, value_of};
use crate::editor::Editor;
use crate::io::{Effect, FileAct, PersonAct, Request};
use crate::settings::Asked;
use hallway_model::{Name, PeerId, SoundDirection, Status, TransferState, TransferView};
use std::path::PathBuf;

/// Every command, in the order of the help.
pub(crate) const NAMES: [&str; 38] = [
    "to",
    "find",
    "goto",
    "file",
    "reply",
    "edit",
    "delete",
    "react",
    "take",
    "refuse",
    "pause",
    "resume",
    "cancel",
    "call",
    "answer",
    "mute",
    "hold",
    "hangup",
    "accept",
    "decline",
    "verify",
    "keep-name",
    "block",
    "unblock",
    "forget",
    "notify",
    "settings",
    "name",
    "status",
    "connect",
    "devices",
    "microphone",
    "speaker",
    "doctor",
    "theme",
    "language",
    "help",
    "quit",
];

const STATUSES: [(&str, Status); 3] = [
    ("available", Status::Available),
    ("away", Status::Away),
    ("busy", Status::Busy),
];
const SWITCH: [(&str, bool); 2] = [("on", true), ("off", false)];

impl App {
    /// Runs the command of the line that is being written. What cannot be run stays there.
    pub(crate) fn run_line(&mut self) {
        let line = self.editor().take();
        if !self.run_command(line.trim().trim_start_matches('/')) && self.draft().is_empty() {
            *self.editor() = Editor::new(line);
        }
    }

    /// Runs a command, written without its slash; `false` when it is none or lacks something.
    pub(crate) fn run_command(&mut self, line: &str) -> bool {
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match name {
            "to" => return self.go_to_person(rest),
            "find" => self.open_find(rest),
            "doctor" => self.examine(),
            "settings" => self.open_settings(0),
            "name" if rest.is_empty() => {
                let name = self.me.as_ref().map(|me| me.name.as_str().to_owned());
                self.ask_for(Asked::Name, &name.unwrap_or_default());
            }
            "name" => return self.rename(rest),
            "status" => return self.set_status(rest),
            "devices" => {
                self.wait_for_lines(self.words.devices, self.words.loading);
                self.ask(Request::Devices);
            }
            "microphone" | "speaker" if rest.is_empty() => return self.explain(name),
            "microphone" => self.ask(Request::Choose(SoundDirection::Input, rest.to_owned())),
            "speaker" => self.ask(Request::Choose(SoundDirection::Output, rest.to_owned())),
            "connect" if rest.is_empty() => return self.explain(name),
            "connect" => self.ask(Request::Connect(rest.to_owned())),
            "theme" => match value_of(&THEMES, rest) {
                Some(theme) => self.paint(theme),
                None => return self.explain(name),
            },
            "language" => match value_of(&LANGUAGES, rest) {
                Some(language) => self.speak(language),
                None => return self.explain(name),
            },
            "help" => self.open_help(),
            "quit" => self.leave(),
            "answer" | "call" => self.answer_or_ring(),
            "mute" => self.toggle_mute(),
            "hold" => self.toggle_hold(),
            "hangup" => self.hang_up(),
            _ if !NAMES.contains(&name) => {
                self.complain((self.words.no_such_command)(name));
                return false;
            }
            _ => match self.selected {
                Some(peer) => return self.run_for(peer, name, rest),
                None => {
                    self.complain(self.words.nobody_chosen);
                    return false;
                }
            },
        }
        true
    }

    /// Commands about the person on screen and what was written with them.
    fn run_for(&mut self, peer: PeerId, name: &str, rest: &str) -> bool {
        match name {
            "goto" if rest.is_empty() => self.ask_day(),
            "goto" => return self.go_to_day(rest),
            "notify" => match value_of(&SWITCH, rest) {
                Some(on) => self.ask(Request::Quiet(peer, !on)),
                None => return self.explain(name),
            },
            "file" if rest.is_empty() => self.open_file(""),
            "file" => self.ask(Request::Offer(peer, PathBuf::from(rest))),
            "reply" => {
                if !self.begin_reply() {
                    return false;
                }
                if !rest.is_empty() {
                    self.send_text(rest);
                }
            }
            "edit" => return self.begin_edit(),
            "delete" => return self.ask_delete(),
            "react" => {
                if !self.open_react() {
                    return false;
                }
                if !rest.is_empty() {
                    self.react(rest);
                }
            }
            "take" => {
                let folder = (!rest.is_empty()).then(|| PathBuf::from(rest));
                return self.file_act(FileAct::Accept(folder));
            }
            "refuse" => return self.file_act(FileAct::Decline),
            "pause" => return self.file_act(FileAct::Pause),
            "resume" => return self.file_act(FileAct::Resume),
            "cancel" => return self.file_act(FileAct::Cancel),
            "accept" => self.ask(Request::Person(peer, PersonAct::Accept)),
            "decline" => self.ask(Request::Person(peer, PersonAct::Forget)),
            "keep-name" => self.ask(Request::Person(peer, PersonAct::KeepName)),
            "unblock" => self.ask(Request::Person(peer, PersonAct::Unblock)),
            "block" => self.ask_sure(peer, PersonAct::Block, self.words.block_sure),
            "forget" => self.ask_sure(peer, PersonAct::Forget, self.words.forget_sure),
            "verify" if rest.is_empty() => {
                self.overlay = Some(Overlay::Safety { peer, number: None });
                self.ask(Request::SafetyNumber(peer));
            }
            "verify" => self.ask(Request::Verify(peer, rest.to_owned())),
            _ => return false,
        }
        true
    }

    fn ask_sure(&mut self, peer: PeerId, act: PersonAct, question: fn(&str) -> String) {
        self.overlay = Some(Overlay::Sure {
            question: question(&self.name_of(&peer)),
            yes: Effect::Ask(Request::Person(peer, act)),
        });
    }

    /// Says how a command goes.
    fn explain(&mut self, name: &str) -> bool {
        let help = format!("/{name} {}", (self.words.command_help)(name));
        self.complain((self.words.needs)(&help));
        false
    }

    fn go_to_person(&mut self, wanted: &str) -> bool {
        if wanted.is_empty() {
            return self.explain("to");
        }
        let lower = wanted.to_lowercase();
        let all = self.people_named("");
        let exactly = all.iter().filter(|id| {
            let name = self.name_of(id);
            let full = self
                .peers
                .get(id)
                .map(|peer| format!("{}~{}", peer.name, peer.tag));
            name.to_lowercase() == lower
                || full.is_some_and(|full| full.to_lowercase() == lower)
                || id.to_string() == lower
        });
        let exactly: Vec<PeerId> = exactly.copied().collect();
        let found = if exactly.is_empty() {
            self.people_named(wanted)
        } else {
            exactly
        };
        match found.as_slice() {
            [] => {
                self.complain((self.words.nobody_called)(wanted));
                return false;
            }
            [one] => self.select(Some(*one)),
            _ => self.open_find(wanted),
        }
        true
    }

    pub(crate) fn examine(&mut self) {
        self.wait_for_lines(self.words.doctor, self.words.looking);
        self.ask(Request::Doctor(self.selected));
    }

    /// Lines that the node is asked for will stand here.
    fn wait_for_lines(&mut self, title: &str, meanwhile: &str) {
        self.overlay = Some(Overlay::Lines {
            title: title.to_owned(),
            lines: vec![(String::new(), meanwhile.to_owned())],
            scroll: 0,
        });
    }

    pub(crate) fn rename(&mut self, wanted: &str) -> bool {
        match Name::new(wanted) {
            Ok(name) => {
                if let Some(me) = &mut self.me {
                    me.name = name.clone();
                }
                self.ask(Request::Name(name));
                true
            }
            Err(why) => {
                self.complain((self.words.failed)(&why.to_string()));
                false
            }
        }
    }

    fn set_status(&mut self, wanted: &str) -> bool {
        let Some(status) = value_of(&STATUSES, wanted) else {
            return self.explain("status");
        };
        self.set_status_to(status);
        true
    }

    pub(crate) fn set_status_to(&mut self, status: Status) {
        if !self.node_listens() {
            return;
        }
        if let Some(me) = &mut self.me {
            me.status = status;
        }
        self.ask(Request::Status(status));
    }

    /// Does something about the file that is meant.
    fn file_act(&mut self, act: FileAct) -> bool {
        match self.meant_transfer(|transfer| allows(transfer, &act)) {
            Some(id) => {
                self.ask(Request::Transfer(id, act));
                true
            }
            None => {
                self.complain(self.words.no_file);
                false
            }
        }
    }

    /// Declines or gives up the chosen file, whichever can be done.
    pub(crate) fn drop_file(&mut self) {
        let offered = |t: &TransferView| t.incoming && t.state == TransferState::Offered;
        let act = match self.meant_transfer(offered) {
            Some(_) => FileAct::Decline,
            None => FileAct::Cancel,
        };
        self.file_act(act);
    }

    /// Pauses the chosen file, goes on with it, or offers it anew, whichever can be done.
    pub(crate) fn pause_or_resume(&mut self) {
        let paused = |t: &TransferView| t.state == TransferState::PausedByUs;
        let again = self.meant_transfer(may_offer_again);
        let again = again.and_then(|id| self.transfers.get(&id));
        if let Some(path) = again.and_then(|transfer| transfer.path.clone())
            && let Some(peer) = self.selected
        {
            self.ask(Request::Offer(peer, path));
            return;
        }
        let act = match self.meant_transfer(paused) {
            Some(_) => FileAct::Resume,
            None => FileAct::Pause,
        };
        self.file_act(act);
    }

    /// The transfer of the chosen message, or without one the latest of this conversation that
    /// will do.
    fn meant_transfer(&self, will_do: impl Fn(&TransferView) -> bool) -> Option<String> {
        let talk = self.talk()?;
        let with = |transfer: &&TransferView| Some(transfer.peer) == self.selected;
        if talk.chosen.is_some() {
            let transfer = talk
                .chosen()
                .and_then(|message| self.transfers.get(&message.id));
            let transfer = transfer.filter(with).filter(|transfer| will_do(transfer));
            return transfer.map(|transfer| transfer.id.clone());
        }
        let all = self.transfers.values().filter(with);
        let latest = all
            .filter(|transfer| will_do(transfer))
            .max_by_key(|transfer| transfer.at);
        latest.map(|transfer| transfer.id.clone())
    }

    /// Completes the command or its argument before the caret.
    pub(crate) fn complete(&mut self) {
        let draft = self.draft().to_owned();
        let Some(line) = draft.strip_prefix('/') else {
            return;
        };
        let Some((name, rest)) = line.split_once(' ') else {
            let known = NAMES.iter().map(|name| (*name).to_owned());
            self.complete_with("/", line, known.collect());
            return;
        };
        let candidates: Vec<String> = match name {
            "file" => {
                let rest = rest.to_owned();
                self.editor().take();
                self.open_file(&rest);
                return;
            }
            "to" => self
                .people_named("")
                .iter()
                .map(|id| self.name_of(id))
                .collect(),
            "status" => STATUSES
                .iter()
                .map(|(word, _)| (*word).to_owned())
                .collect(),
            "notify" => SWITCH.iter().map(|(word, _)| (*word).to_owned()).collect(),
            "theme" => THEMES.iter().map(|(word, _)| (*word).to_owned()).collect(),
            "language" => LANGUAGES
                .iter()
                .map(|(word, _)| (*word).to_owned())
                .collect(),
            _ => return,
        };
        self.complete_with(&format!("/{name} "), rest, candidates);
    }

    fn complete_with(&mut self, before: &str, begun: &str, candidates: Vec<String>) {
        let (completed, left) = completion(begun, &candidates);
        if let Some(completed) = completed {
            let end = if left.len() == 1 { " " } else { "" };
            *self.editor() = Editor::new(format!("{before}{completed}{end}"));
        }
        if left.len() > 1 {
            self.tell(left.join("  "));
        }
    }
}

/// It did not get there, and its owner, who is here, may try once more.
pub(crate) fn may_offer_again(transfer: &TransferView) -> bool {
    let over = matches!(
        transfer.state,
        TransferState::Failed
            | TransferState::Declined
            | TransferState::CancelledByUs
            | TransferState::CancelledByThem
    );
    over && !transfer.incoming && transfer.path.is_some()
}

/// Whether something can be done about a transfer now.
fn allows(transfer: &TransferView, act: &FileAct) -> bool {
    let state = transfer.state;
    let offered = state == TransferState::Offered;
    match act {
        FileAct::Accept(_) | FileAct::Decline => offered && transfer.incoming,
        FileAct::Resume => state == TransferState::PausedByUs,
        FileAct::Pause | FileAct::Cancel => match state {
            TransferState::Running
            | TransferState::WaitingForTurn
            | TransferState::WaitingForPeer
            | TransferState::WaitingForRoom
            | TransferState::PausedByThem => true,
            TransferState::Offered => *act == FileAct::Cancel && !transfer.incoming,
            TransferState::PausedByUs => *act == FileAct::Cancel,
            TransferState::Done
            | TransferState::Declined
            | TransferState::CancelledByUs
            | TransferState::CancelledByThem
            | TransferState::Failed => false,
        },
    }
}

/// What a beginning can be completed to without a choice, and what is left to choose from.
pub(crate) fn completion<'a>(
    begun: &str,
    candidates: &'a [String],
) -> (Option<String>, Vec<&'a str>) {
    let lower = begun.to_lowercase();
    let fitting = candidates.iter().map(String::as_str);
    let fitting = fitting.filter(|candidate| candidate.to_lowercase().starts_with(&lower));
    let left: Vec<&str> = fitting.collect();
    let Some((first, others)) = left.split_first() else {
        return (None, left);
    };
    let mut common = (*first).to_owned();
    for other in others {
        let same = common.char_indices().zip(other.chars());
        let end = same.take_while(|((_, a), b)| a == b).last();
        common.truncate(end.map_or(0, |((at, c), _)| at + c.len_utf8()));
    }
    let longer = common.len() >= begun.len();
    (longer.then_some(common), left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_goes_as_far_as_there_is_no_choice() {
        let of = |begun: &str, all: &[&str]| {
            let all: Vec<String> = all.iter().map(|one| (*one).to_owned()).collect();
            let (completed, left) = completion(begun, &all);
            (completed.unwrap_or_default(), left.len())
        };
        assert_eq!(of("re", &NAMES), ("re".into(), 4));
        assert_eq!(of("hang", &NAMES), ("hangup".into(), 1));
        assert_eq!(of("王", &["王小明", "王小红", "李"]), ("王小".into(), 2));
        assert_eq!(of("bo", &["Bo", "Ann"]), ("Bo".into(), 1));
        assert_eq!(of("x", &["Bo"]), (String::new(), 0));
        assert_eq!(of("", &[]), (String::new(), 0));
    }
}
