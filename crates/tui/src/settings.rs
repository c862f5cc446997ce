//! What can be chosen: who one is, what others learn, files, sound, people, and how it looks. Also
//! the one line that is asked for in passing: a name, a folder, an address, a day.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most keys mean nothing here"
)]

use crate::app::{App, Overlay};
use crate::choices::{LANGUAGES, THEMES};
use crate::editor::Editor;
use crate::io::{Effect, PersonAct, Request};
use crate::safe;
use crate::talk::Spot;
use crate::theme::Theme;
use crate::words::Language;
use crossterm::event::{KeyCode, KeyEvent};
use hallway_api::SettingsRequest;
use hallway_model::{DevicesView, PeerId, SoundDirection, Status, WallTime};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Sizes up to which files of contacts are taken unasked: those that the page offers.
const TAKE_BYTES: [u64; 5] = [0, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];
/// What a device is called that is whichever the system uses.
pub(crate) const DEFAULT_DEVICE: &str = "default";

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Name,
    Status,
    Receipts,
    Take,
    Folder,
    Language,
    Theme,
    Device(SoundDirection),
    /// Whether what they write is notified.
    Notify(PeerId),
    /// An address to stay connected with.
    Address(String),
    NewAddress,
    Blocked(PeerId),
    Doctor,
    Id,
}

/// The list of all that can be chosen.
#[derive(Debug, Default)]
pub(crate) struct SettingsList {
    pub(crate) at: usize,
    /// Once the node has told them.
    pub(crate) devices: Option<DevicesView>,
}

/// What a line is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The name, at the very first start.
    Welcome,
    Name,
    Folder,
    Address,
    /// A day to go to.
    Day,
}

/// See [`Overlay::Prompt`].
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) asked: Asked,
    pub(crate) editor: Editor,
    /// The row of the settings to come back to.
    back: Option<usize>,
}

impl App {
    pub(crate) fn open_settings(&mut self, at: usize) {
        if self.me.is_none() {
            self.complain(self.words.wait_for_node);
            return;
        }
        let devices = None;
        self.overlay = Some(Overlay::Settings(SettingsList { at, devices }));
        self.ask(Request::Devices);
    }

    /// Everything that can be chosen now.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let mut all = vec![
            Setting::Name,
            Setting::Status,
            Setting::Receipts,
            Setting::Take,
            Setting::Folder,
            Setting::Language,
            Setting::Theme,
            Setting::Device(SoundDirection::Input),
            Setting::Device(SoundDirection::Output),
        ];
        let Some(me) = &self.me else { return all };
        let here = self.selected.filter(|peer| !me.muted.contains(peer));
        all.extend(me.muted.iter().copied().chain(here).map(Setting::Notify));
        all.extend(me.static_peers.iter().cloned().map(Setting::Address));
        all.push(Setting::NewAddress);
        let blocked = self.peers.values().filter(|peer| peer.blocked);
        all.extend(blocked.map(|peer| Setting::Blocked(peer.id)));
        all.extend([Setting::Doctor, Setting::Id]);
        all
    }

    /// What is set, and to what.
    pub(crate) fn setting_words(&self, setting: &Setting) -> (&'static str, String) {
        let words = self.words;
        let Some(me) = &self.me else {
            return ("", String::new());
        };
        let (label, value) = match setting {
            Setting::Name => (words.set_name, me.name.as_str().to_owned()),
            Setting::Status => (words.set_status, (words.status)(me.status).to_owned()),
            Setting::Receipts => (
                words.set_receipts,
                (words.receipts)(me.read_receipts).to_owned(),
            ),
            Setting::Take => (words.set_take, (words.take)(me.accept_files_bytes)),
            Setting::Folder => (
                words.set_folder,
                me.downloads.to_string_lossy().into_owned(),
            ),
            Setting::Language => (
                words.set_language,
                (words.language)(self.language).to_owned(),
            ),
            Setting::Theme => (words.set_theme, (words.theme)(self.theme).to_owned()),
            Setting::Device(direction) => self.device_words(*direction),
            Setting::Notify(peer) => {
                let on = !me.muted.contains(peer);
                (words.set_notify, (words.notify)(&self.name_of(peer), on))
            }
            Setting::Address(address) => (words.set_address, address.clone()),
            Setting::NewAddress => (words.set_address, words.new_address.to_owned()),
            Setting::Blocked(peer) => (
                words.set_blocked,
                format!("{} ~{}", self.name_of(peer), peer.tag()),
            ),
            Setting::Doctor => (words.doctor, words.why_nobody.to_owned()),
            Setting::Id => (words.set_id, me.id.to_string()),
        };
        (label, safe::one_line(&value))
    }

    fn device_words(&self, direction: SoundDirection) -> (&'static str, String) {
        let words = self.words;
        let label = match direction {
            SoundDirection::Input => words.microphone,
            SoundDirection::Output => words.speaker,
        };
        let Some(Overlay::Settings(SettingsList {
            devices: Some(devices),
            ..
        })) = &self.overlay
        else {
            return (label, words.loading.to_owned());
        };
        let chosen = chosen_device(devices, direction);
        if chosen == DEFAULT_DEVICE {
            return (label, words.default_device.to_owned());
        }
        let known = devices.devices.iter().find(|device| device.id == chosen);
        let name = known.map_or_else(|| (words.unplugged)(chosen), |device| device.name.clone());
        (label, name)
    }

    pub(crate) fn handle_settings_key(&mut self, key: KeyEvent) {
        let all = self.settings();
        let Some(Overlay::Settings(list)) = &mut self.overlay else {
            return;
        };
        let last = all.len().saturating_sub(1);
        list.at = list.at.min(last);
        match key.code {
            KeyCode::Up => list.at = list.at.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => list.at = (list.at + 1).min(last),
            KeyCode::Home | KeyCode::PageUp => list.at = 0,
            KeyCode::End | KeyCode::PageDown => list.at = last,
            KeyCode::Char('q') => self.overlay = None,
            KeyCode::Enter | KeyCode::Right | KeyCode::Char(' ') => {
                if let Some(setting) = all.get(list.at) {
                    self.change(setting, true);
                }
            }
            KeyCode::Left => {
                if let Some(setting) = all.get(list.at) {
                    self.change(setting, false);
                }
            }
            _ => {}
        }
    }

    /// Takes the next of what can be chosen, or the one before, or asks for it.
    fn change(&mut self, setting: &Setting, on: bool) {
        let Some(me) = self.me.clone() else { return };
        match setting {
            Setting::Name => self.ask_for(Asked::Name, me.name.as_str()),
            Setting::Folder => self.ask_for(Asked::Folder, &me.downloads.to_string_lossy()),
            Setting::NewAddress => self.ask_for(Asked::Address, ""),
            Setting::Status => {
                let all = [Status::Available, Status::Away, Status::Busy];
                self.set_status_to(turn(&all, &me.status, on));
            }
            Setting::Receipts => {
                let read_receipts = Some(!me.read_receipts);
                self.set(SettingsRequest {
                    read_receipts,
                    ..SettingsRequest::default()
                });
            }
            Setting::Take => {
                let mut sizes = TAKE_BYTES.to_vec();
                sizes.push(me.accept_files_bytes);
                sizes.sort_unstable();
                sizes.dedup();
                self.set(SettingsRequest {
                    accept_files_bytes: Some(turn(&sizes, &me.accept_files_bytes, on)),
                    ..SettingsRequest::default()
                });
            }
            Setting::Language => self.speak(turn(&LANGUAGES.map(|(_, l)| l), &self.language, on)),
            Setting::Theme => self.paint(turn(&THEMES.map(|(_, theme)| theme), &self.theme, on)),
            Setting::Device(direction) => self.turn_device(*direction, on),
            Setting::Notify(peer) => {
                let quiet = !me.muted.contains(peer);
                self.ask(Request::Quiet(*peer, quiet));
            }
            Setting::Address(address) => {
                let mut left = me.static_peers;
                left.retain(|one| one != address);
                self.set_addresses(left);
            }
            Setting::Blocked(peer) => self.ask(Request::Person(*peer, PersonAct::Unblock)),
            Setting::Doctor => self.examine(),
            Setting::Id => {
                self.effects.push(Effect::Copy(me.id.to_string()));
                self.tell(self.words.copied);
            }
        }
    }

    fn set(&mut self, change: SettingsRequest) {
        if self.node_listens() {
            self.ask(Request::Settings(change));
        }
    }

    fn set_addresses(&mut self, addresses: Vec<String>) {
        self.set(SettingsRequest {
            static_peers: Some(addresses),
            ..SettingsRequest::default()
        });
    }

    fn turn_device(&mut self, direction: SoundDirection, on: bool) {
        let Some(Overlay::Settings(SettingsList {
            devices: Some(devices),
            ..
        })) = &self.overlay
        else {
            return;
        };
        let here = devices.devices.iter();
        let here = here.filter(|device| device.direction == direction);
        let mut all = vec![DEFAULT_DEVICE.to_owned()];
        all.extend(here.map(|device| device.id.clone()));
        let next = turn(&all, &chosen_device(devices, direction).to_owned(), on);
        self.ask(Request::Choose(direction, next));
    }

    pub(crate) fn speak(&mut self, language: Language) {
        (self.language, self.words) = (language, language.words());
        self.choices.language = Some(language);
        self.effects.push(Effect::Keep(self.choices));
    }

    pub(crate) fn paint(&mut self, theme: Theme) {
        self.theme = theme;
        self.choices.theme = Some(theme);
        self.effects.push(Effect::Keep(self.choices));
    }

    /// Asks for a line, with something in it already.
    pub(crate) fn ask_for(&mut self, asked: Asked, text: &str) {
        let back = match &self.overlay {
            Some(Overlay::Settings(list)) => Some(list.at),
            _ => None,
        };
        self.overlay = Some(Overlay::Prompt(Prompt {
            asked,
            editor: Editor::new(text),
            back,
        }));
    }

    pub(crate) fn ask_day(&mut self) {
        if self.selected.is_none() {
            self.complain(self.words.nobody_chosen);
            return;
        }
        let today = crate::rows::local(self, self.now).date().to_string();
        self.ask_for(Asked::Day, &today);
    }

    /// Leaves a prompt for what was there before.
    pub(crate) fn leave_overlay(&mut self) {
        if let Some(Overlay::Prompt(Prompt { back: Some(at), .. })) = self.overlay.take() {
            self.open_settings(at);
        }
    }

    /// What was asked for has been typed.
    pub(crate) fn answer_prompt(&mut self) {
        let Some(Overlay::Prompt(Prompt { asked, editor, .. })) = &self.overlay else {
            return;
        };
        let (asked, text) = (*asked, editor.text().trim().to_owned());
        if text.is_empty() || (asked != Asked::Day && !self.node_listens()) {
            return;
        }
        let done = match asked {
            Asked::Welcome | Asked::Name => self.rename(&text),
            Asked::Folder => {
                let downloads = Some(text.into());
                self.set(SettingsRequest {
                    downloads,
                    ..SettingsRequest::default()
                });
                true
            }
            Asked::Address => {
                let mut all = self
                    .me
                    .as_ref()
                    .map_or_else(Vec::new, |me| me.static_peers.clone());
                all.retain(|one| *one != text);
                all.push(text.clone());
                self.set_addresses(all);
                self.ask(Request::Connect(text));
                true
            }
            Asked::Day => self.go_to_day(&text),
        };
        if done && matches!(self.overlay, Some(Overlay::Prompt(_))) {
            self.leave_overlay();
        }
    }

    /// Shows what was written from a day on, named as in 2026-03-01.
    pub(crate) fn go_to_day(&mut self, day: &str) -> bool {
        let begin = day.parse().ok().and_then(|day| begin_of(day, &self.zone));
        match (begin, self.selected) {
            (Some(begin), Some(peer)) => {
                self.overlay = None;
                self.go_to(peer, Spot::Time(begin));
                true
            }
            (None, _) => {
                self.complain(self.words.no_day);
                false
            }
            (_, None) => {
                self.complain(self.words.nobody_chosen);
                false
            }
        }
    }
}

fn chosen_device(devices: &DevicesView, direction: SoundDirection) -> &str {
    match direction {
        SoundDirection::Input => &devices.input,
        SoundDirection::Output => &devices.output,
    }
}

/// When a day begins there; what was before 1970 begins with it.
fn begin_of(day: Date, zone: &TimeZone) -> Option<WallTime> {
    let begin = day.to_zoned(zone.clone()).ok()?;
    let milliseconds = begin.timestamp().as_millisecond();
    Some(WallTime(u64::try_from(milliseconds).unwrap_or(0)))
}

/// The one after the one at hand, or before it, round and round.
fn turn<T: Clone + PartialEq>(all: &[T], at_hand: &T, on: bool) -> T {
    let at = all.iter().position(|one| one == at_hand);
    let next = match (at, on) {
        (None, _) => 0,
        (Some(at), true) => at + 1,
        (Some(at), false) => at + all.len() - 1,
    };
    all.get(next % all.len().max(1)).unwrap_or(at_hand).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_go_round() {
        assert_eq!(turn(&[1, 2, 3], &3, true), 1);
        assert_eq!(turn(&[1, 2, 3], &1, false), 3);
        assert_eq!(turn(&[1, 2, 3], &7, true), 1);
        assert_eq!(turn(&[], &7, true), 7);
    }

    #[test]
    fn a_day_begins_where_one_is() {
        let day = jiff::civil::date(2026, 3, 1);
        let of = |hours| TimeZone::fixed(jiff::tz::offset(hours));
        assert_eq!(begin_of(day, &of(0)), Some(WallTime(1_772_323_200_000)));
        assert_eq!(begin_of(day, &of(8)), Some(WallTime(1_772_294_400_000)));
        let early = jiff::civil::date(1969, 1, 1);
        assert_eq!(begin_of(early, &of(0)), Some(WallTime(0)));
    }
}
