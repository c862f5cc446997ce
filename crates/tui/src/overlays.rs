//! What lies over the conversation: finding, choosing a file, questions, help.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most keys mean nothing here"
)]

use crate::app::{App, FilePrompt, Find, Overlay};
use crate::commands::{self, completion};
use crate::editor::Editor;
use crate::io::{Effect, Entry, Request};
use crate::keys::{self, edit};
use crate::settings::Prompt;
use crate::talk::{Key, Spot};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hallway_api::{ReactionRequest, SendRequest};
use hallway_model::{MessageView, PeerId};
use std::path::PathBuf;

/// What can be chosen without being typed.
pub(crate) const EMOJI: [&str; 6] = ["👍", "❤\u{fe0f}", "😂", "😮", "🙏", "🎉"];

/// Rows that a page of lines is scrolled by.
const PAGE_ROWS: usize = 10;

impl App {
    pub(crate) fn overlay_editor(&mut self) -> Option<&mut Editor> {
        match &mut self.overlay {
            Some(Overlay::Find(Find { editor, .. }))
            | Some(Overlay::File(FilePrompt { editor, .. }))
            | Some(Overlay::Prompt(Prompt { editor, .. }))
            | Some(Overlay::React { editor, .. }) => Some(editor),
            Some(
                Overlay::Lines { .. }
                | Overlay::Settings(_)
                | Overlay::Safety { .. }
                | Overlay::Sure { .. },
            )
            | None => None,
        }
    }

    pub(crate) fn handle_overlay_key(&mut self, key: KeyEvent) {
        if key.code == KeyCode::Esc {
            self.leave_overlay();
            return;
        }
        match &self.overlay {
            Some(Overlay::Settings(_)) => self.handle_settings_key(key),
            Some(Overlay::Prompt(_)) if key.code == KeyCode::Enter => self.answer_prompt(),
            Some(Overlay::Prompt(_)) => self.type_into_overlay(key),
            Some(Overlay::Lines { .. }) => self.handle_lines_key(key),
            Some(Overlay::Sure { .. } | Overlay::Safety { .. }) => self.handle_question_key(key),
            Some(Overlay::Find(_)) => self.handle_find_key(key),
            Some(Overlay::File(_)) => self.handle_file_key(key),
            Some(Overlay::React { .. }) => self.handle_react_key(key),
            None => {}
        }
    }

    /// Moves in the line of a prompt, and characters for it.
    fn type_into_overlay(&mut self, key: KeyEvent) {
        let plain = !key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let Some(editor) = self.overlay_editor() else {
            return;
        };
        if !edit(editor, key) {
            match key.code {
                KeyCode::Char(c) if plain => {
                    editor.insert(c.encode_utf8(&mut [0; 4]));
                }
                _ => return,
            }
        }
        self.overlay_edited();
    }

    pub(crate) fn overlay_edited(&mut self) {
        match &self.overlay {
            Some(Overlay::Find(_)) => self.find_again(),
            Some(Overlay::File(_)) => self.list_folder(),
            Some(
                Overlay::Lines { .. }
                | Overlay::React { .. }
                | Overlay::Settings(_)
                | Overlay::Prompt(_)
                | Overlay::Safety { .. }
                | Overlay::Sure { .. },
            )
            | None => {}
        }
    }

    fn handle_lines_key(&mut self, key: KeyEvent) {
        let Some(Overlay::Lines { lines, scroll, .. }) = &mut self.overlay else {
            return;
        };
        let last = lines.len().saturating_sub(1);
        *scroll = match key.code {
            KeyCode::Up => scroll.saturating_sub(1),
            KeyCode::Down => (*scroll + 1).min(last),
            KeyCode::PageUp => scroll.saturating_sub(PAGE_ROWS),
            KeyCode::PageDown | KeyCode::Char(' ') => (*scroll + PAGE_ROWS).min(last),
            KeyCode::Home => 0,
            KeyCode::Enter | KeyCode::Char('q') => {
                self.overlay = None;
                return;
            }
            _ => return,
        };
    }

    fn handle_question_key(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Char('y' | 'Y') => {}
            KeyCode::Char('n' | 'N') => {
                self.overlay = None;
                return;
            }
            _ => return,
        }
        match self.overlay.take() {
            Some(Overlay::Sure { yes, .. }) => self.effects.push(yes),
            Some(Overlay::Safety { peer, number }) => {
                if let Some(number) = number.filter(|number| !number.verified) {
                    self.ask(Request::Verify(peer, number.safety_number));
                }
            }
            other => self.overlay = other,
        }
    }

    pub(crate) fn open_help(&mut self) {
        let words = self.words;
        let keys = words.help_keys.iter();
        let keys = keys.map(|(key, what)| ((*key).to_owned(), (*what).to_owned()));
        let commands = commands::NAMES.iter();
        let commands =
            commands.map(|name| (format!("/{name}"), (words.command_help)(name).to_owned()));
        let between = [
            Default::default(),
            (words.commands.to_owned(), String::new()),
        ];
        self.overlay = Some(Overlay::Lines {
            title: words.help.to_owned(),
            lines: keys.chain(between).chain(commands).collect(),
            scroll: 0,
        });
    }

    pub(crate) fn open_find(&mut self, words: &str) {
        self.overlay = Some(Overlay::Find(Find {
            editor: Editor::new(words),
            ..Find::default()
        }));
        self.find_again();
    }

    /// People whose name or tag has these letters, in the order of the list.
    pub(crate) fn people_named(&self, letters: &str) -> Vec<PeerId> {
        let letters = letters.trim().to_lowercase();
        let lists = self.lists();
        let named = lists.all().filter(|id| {
            let name = self.name_of(id).to_lowercase();
            name.contains(&letters) || id.tag().starts_with(&letters)
        });
        named.collect()
    }

    fn find_again(&mut self) {
        let Some(Overlay::Find(find)) = &self.overlay else {
            return;
        };
        let words = find.editor.text().trim().to_owned();
        let people = self.people_named(&words);
        let number = self.count();
        let Some(Overlay::Find(find)) = &mut self.overlay else {
            return;
        };
        (find.people, find.number, find.at) = (people, number, 0);
        if words.is_empty() {
            find.messages.clear();
        } else {
            self.effects.push(Effect::Search { number, words });
        }
    }

    pub(crate) fn handle_found(&mut self, number: u64, found: Result<Vec<MessageView>, String>) {
        let Some(Overlay::Find(find)) = &mut self.overlay else {
            return;
        };
        if find.number != number {
            return;
        }
        match found {
            Ok(mut messages) => {
                messages.reverse();
                find.messages = messages;
                let all = find.people.len() + find.messages.len();
                find.at = find.at.min(all.saturating_sub(1));
            }
            Err(why) => self.complain((self.words.failed)(&why)),
        }
    }

    fn handle_find_key(&mut self, key: KeyEvent) {
        let Some(Overlay::Find(find)) = &mut self.overlay else {
            return;
        };
        let all = find.people.len() + find.messages.len();
        match key.code {
            KeyCode::Up => find.at = find.at.saturating_sub(1),
            KeyCode::Down | KeyCode::Tab => find.at = (find.at + 1).min(all.saturating_sub(1)),
            KeyCode::PageUp => find.at = find.at.saturating_sub(PAGE_ROWS),
            KeyCode::PageDown => find.at = (find.at + PAGE_ROWS).min(all.saturating_sub(1)),
            KeyCode::Enter => {
                let person = find.people.get(find.at).copied();
                let message = find.at.checked_sub(find.people.len());
                let message = message.and_then(|at| find.messages.get(at)).cloned();
                if person.is_none() && message.is_none() {
                    return;
                }
                self.overlay = None;
                match message {
                    Some(message) => {
                        let peer = self.other_side(&message);
                        if let Some(peer) = peer {
                            self.go_to(peer, Spot::Message(message.id));
                        }
                    }
                    None => self.select(person),
                }
            }
            _ => self.type_into_overlay(key),
        }
    }

    pub(crate) fn open_file(&mut self, path: &str) {
        if self.selected.is_none() {
            self.complain(self.words.nobody_chosen);
            return;
        }
        self.overlay = Some(Overlay::File(FilePrompt {
            editor: Editor::new(path),
            ..FilePrompt::default()
        }));
        self.list_folder();
    }

    /// Looks into the folder of the path unless that was done.
    fn list_folder(&mut self) {
        let Some(Overlay::File(prompt)) = &mut self.overlay else {
            return;
        };
        let (folder, _) = split_path(prompt.editor.text());
        if prompt.folder.as_deref() != Some(folder) {
            let folder = folder.to_owned();
            prompt.folder = Some(folder.clone());
            prompt.entries = Some(Vec::new());
            self.effects.push(Effect::List(folder));
        }
    }

    pub(crate) fn handle_listed(&mut self, listed: String, found: Option<Vec<Entry>>) {
        if let Some(Overlay::File(FilePrompt {
            folder, entries, ..
        })) = &mut self.overlay
            && folder.as_ref() == Some(&listed)
        {
            *entries = found;
        }
    }

    fn handle_file_key(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Tab => self.complete_path(),
            KeyCode::Enter => self.offer_typed(),
            _ => self.type_into_overlay(key),
        }
    }

    fn complete_path(&mut self) {
        let Some(Overlay::File(prompt)) = &mut self.overlay else {
            return;
        };
        let (folder, begun) = split_path(prompt.editor.text());
        let fitting = prompt.fitting().map(|entry| {
            let end = if entry.folder { "/" } else { "" };
            format!("{}{end}", entry.name)
        });
        let fitting: Vec<String> = fitting.collect();
        if let (Some(completed), _) = completion(begun, &fitting) {
            prompt.editor = Editor::new(format!("{folder}{completed}"));
            self.list_folder();
        }
    }

    fn offer_typed(&mut self) {
        let (Some(peer), Some(Overlay::File(prompt))) = (self.selected, &self.overlay) else {
            return;
        };
        let path = prompt.editor.text().trim().to_owned();
        if path.is_empty() {
            return;
        }
        let (_, name) = split_path(&path);
        let is_entry = |entry: &&Entry| entry.folder && entry.name == name;
        let known = prompt.entries.iter().flatten().find(is_entry);
        let folder = name.is_empty() || [".", "..", "~"].contains(&name) || known.is_some();
        let offer = Request::Offer(peer, PathBuf::from(&path));
        if folder {
            // A whole folder is not sent for want of a file name.
            let question = (self.words.folder_sure)(&crate::safe::one_line(&path));
            let yes = Effect::Ask(offer);
            self.overlay = Some(Overlay::Sure { question, yes });
        } else {
            self.overlay = None;
            self.ask(offer);
        }
    }

    pub(crate) fn open_react(&mut self) -> bool {
        let Some(message) = self.chosen_or_last(false) else {
            self.complain(self.words.no_message);
            return false;
        };
        self.overlay = Some(Overlay::React {
            message: Key::of(&message),
            editor: Editor::default(),
        });
        true
    }

    fn handle_react_key(&mut self, key: KeyEvent) {
        let Some(Overlay::React { editor, .. }) = &self.overlay else {
            return;
        };
        let typed = editor.text().trim().to_owned();
        match key.code {
            KeyCode::Enter if !typed.is_empty() => self.react(&typed),
            KeyCode::Char(digit) if typed.is_empty() => {
                let at = digit.to_digit(10).and_then(|digit| digit.checked_sub(1));
                let at = at.and_then(|at| usize::try_from(at).ok());
                match at.and_then(|at| EMOJI.get(at)) {
                    Some(emoji) => self.react(emoji),
                    None => self.type_into_overlay(key),
                }
            }
            _ => self.type_into_overlay(key),
        }
    }

    /// Sets an emoji on the message of the prompt, or takes ours off.
    pub(crate) fn react(&mut self, emoji: &str) {
        let Some(Overlay::React { message: key, .. }) = &self.overlay else {
            return;
        };
        let (Some(target), Some(peer)) = (keys::id_of(key), self.selected) else {
            return;
        };
        let message = self.talk().and_then(|talk| talk.find(key));
        let set = message.is_some_and(|message| {
            let mut ours = message
                .reactions
                .iter()
                .filter(|r| Some(r.by) == self.my_id());
            ours.any(|reaction| reaction.emoji == emoji)
        });
        let reaction = ReactionRequest {
            target,
            emoji: emoji.to_owned(),
            on: !set,
        };
        self.overlay = None;
        if let Some(talk) = self.talk_mut() {
            talk.chosen = None;
        }
        if self.node_listens() {
            let reaction = Some(reaction);
            self.send(
                peer,
                SendRequest {
                    reaction,
                    ..SendRequest::default()
                },
            );
        }
    }
}

impl FilePrompt {
    /// What the path may go on with. Hidden files are for those who begin with a dot.
    pub(crate) fn fitting(&self) -> impl Iterator<Item = &Entry> {
        let (_, begun) = split_path(self.editor.text());
        let lower = begun.to_lowercase();
        let entries = self.entries.iter().flatten();
        entries.filter(move |entry| {
            let hidden = entry.name.starts_with('.') && !lower.starts_with('.');
            !hidden && entry.name.to_lowercase().starts_with(&lower)
        })
    }
}

/// The folder of a path, with its last slash, and what comes behind.
fn split_path(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}
