//! Keys, the mouse and pastes.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most keys mean nothing here"
)]

use crate::app::{App, Overlay, Talking};
use crate::io::{CallAct, Effect, Request};
use crate::talk::{Key, Purpose, Sending, Spot};
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use hallway_api::SendRequest;
use hallway_model::{CallState, MessageId, MessageView, PeerId, Presence, WallTime};
use ratatui::layout::Position;

/// How often others are told that we type, in milliseconds; they take it back after some seconds.
const TYPING_EVERY_MS: u64 = 4000;
/// Held, it lets the microphone of a muted call through.
const TALK_KEY: KeyCode = KeyCode::F(9);
/// A terminal that does not tell when a key is let go repeats it in less than this many
/// milliseconds while it is down: what comes later was pressed anew.
const REPEAT_MS: u64 = 700;
/// Rows that a wheel scrolls at once.
const WHEEL_ROWS: usize = 3;

impl App {
    pub(crate) fn handle_terminal(&mut self, event: Event) {
        match event {
            Event::Resize(width, height) => self.resize(width, height),
            Event::FocusGained => self.focused = true,
            Event::FocusLost => self.focused = false,
            Event::Paste(text) => self.insert(&text),
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                self.focused = true;
                self.handle_key(key);
            }
            Event::Key(key) if key.code == TALK_KEY => self.stop_talking(),
            Event::Key(_) => {}
            Event::Mouse(mouse) => self.handle_mouse(mouse),
        }
    }

    fn handle_key(&mut self, key: KeyEvent) {
        if self.handle_global_key(key) {
            return;
        }
        if self.overlay.is_some() {
            self.handle_overlay_key(key);
            return;
        }
        if self.talk().is_some_and(|talk| talk.chosen.is_some()) && self.handle_chosen_key(key) {
            return;
        }
        self.handle_line_key(key);
    }

    /// Keys that do the same everywhere; `false` for all others.
    fn handle_global_key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c') if control => self.leave(),
            KeyCode::Char('l') if control => self.effects.push(Effect::Redraw),
            KeyCode::Char('z') if control => self.effects.push(Effect::Suspend),
            KeyCode::Char('k') if control => self.open_find(""),
            KeyCode::Char('o') if control => self.open_file(""),
            KeyCode::Char('n') if control => self.step(true),
            KeyCode::Char('p') if control => self.step(false),
            KeyCode::Char('a') if alt => self.next_unread(),
            KeyCode::Down if alt => self.step(true),
            KeyCode::Up if alt => self.step(false),
            KeyCode::End if alt || control => self.go_to_latest(),
            KeyCode::Char('g') if control => self.ask_day(),
            KeyCode::F(1) => self.open_help(),
            KeyCode::F(2) => self.open_settings(0),
            KeyCode::F(5) => self.answer_or_ring(),
            KeyCode::F(6) => self.toggle_mute(),
            KeyCode::F(7) => self.toggle_hold(),
            KeyCode::F(8) => self.hang_up(),
            TALK_KEY if key.kind == KeyEventKind::Press => self.press_to_talk(),
            TALK_KEY => {}
            _ => return false,
        }
        true
    }

    /// Keys of the line that is being written.
    fn handle_line_key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let rows = usize::from(self.areas().log.height.saturating_sub(1).max(1));
        match key.code {
            KeyCode::Enter if alt => self.insert("\n"),
            KeyCode::Char('j') if control => self.insert("\n"),
            KeyCode::Enter => self.enter(),
            KeyCode::Tab => self.complete(),
            KeyCode::Esc => self.step_back(),
            KeyCode::PageUp => self.scroll(true, rows),
            KeyCode::PageDown => self.scroll(false, rows),
            KeyCode::Char('d') if control && self.draft().is_empty() => self.leave(),
            KeyCode::Up if self.draft().is_empty() => self.choose(true),
            KeyCode::Up | KeyCode::Down => {
                let width = usize::from(self.areas().input.width);
                let width = width.saturating_sub(crate::layout::PROMPT.len());
                self.editor().vertical(key.code == KeyCode::Down, width);
            }
            _ if edit(self.editor(), key) => self.tell_typing(),
            KeyCode::Char(c) if !control && !alt => self.insert(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
    }

    fn insert(&mut self, text: &str) {
        if self.overlay.is_some() {
            // A prompt has one line.
            let line = text.lines().next().unwrap_or_default();
            if let Some(editor) = self.overlay_editor() {
                editor.insert(line);
            }
            self.overlay_edited();
            return;
        }
        if let Some(talk) = self.talk_mut() {
            talk.chosen = None;
        }
        if !self.editor().insert(text) {
            self.complain(self.words.too_long);
        }
        self.tell_typing();
    }

    fn tell_typing(&mut self) {
        let due = self.now.0.saturating_sub(self.typing_told.0) >= TYPING_EVERY_MS;
        let draft = self.draft();
        let writes = !draft.trim().is_empty() && !draft.starts_with('/');
        let Some(peer) = self.selected_peer() else {
            return;
        };
        let listens = peer.state == Presence::Live && peer.contact && !peer.blocked;
        if due && writes && listens && !matches!(self.purpose(), Purpose::Edit(..)) {
            let peer = peer.id;
            self.typing_told = self.now;
            self.ask(Request::Typing(peer));
        }
    }

    fn enter(&mut self) {
        let text = self.draft().trim().to_owned();
        if text.is_empty() {
            return;
        }
        match text.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => self.run_line(),
            Some(rest) => self.send_text(&format!("/{}", rest.trim_start_matches('/'))),
            None => self.send_text(&text),
        }
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        let Some(peer) = self.selected else {
            self.complain(self.words.nobody_chosen);
            return;
        };
        if !self.node_listens() {
            return;
        }
        let purpose = match self.talk_mut() {
            Some(talk) => std::mem::take(&mut talk.purpose),
            None => Purpose::Say,
        };
        self.editor().take();
        let mut request = SendRequest {
            text: Some(text.to_owned()),
            ..SendRequest::default()
        };
        match purpose {
            Purpose::Say => {}
            Purpose::Reply(key) => request.reply_to = id_of(&key),
            Purpose::Edit(key, draft) => {
                request.edit = id_of(&key);
                *self.editor() = draft;
            }
        }
        self.send(peer, request);
        self.go_to_latest();
        self.typing_told = WallTime(0);
    }

    /// Says so when the node does not answer: then nothing is taken from the line.
    pub(crate) fn node_listens(&mut self) -> bool {
        let up = self.link == crate::app::Link::Up;
        if !up {
            self.complain(self.words.wait_for_node);
        }
        up
    }

    /// Gives the node a message; its text is shown until the node has it.
    pub(crate) fn send(&mut self, peer: PeerId, mut request: SendRequest) {
        request.to = peer.to_string();
        let number = self.count();
        if let (Some(text), None) = (&request.text, request.edit) {
            let text = text.clone();
            let talk = self.talks.entry(peer).or_default();
            talk.sending.push(Sending { number, text });
        }
        let request = Box::new(request);
        self.ask(Request::Send {
            peer,
            request,
            number,
        });
    }

    /// Keys for the chosen message; `false` when it is nothing for them.
    fn handle_chosen_key(&mut self, key: KeyEvent) -> bool {
        if key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
        {
            return false;
        }
        match key.code {
            KeyCode::Up => self.choose(true),
            KeyCode::Down => self.choose(false),
            KeyCode::Esc => self.step_back(),
            KeyCode::Char('y') => self.copy_chosen(),
            KeyCode::Char('x') => self.drop_file(),
            KeyCode::Char('p') => self.pause_or_resume(),
            KeyCode::Char('q') => self.go_to_quoted(),
            // These say by themselves why they cannot be done.
            KeyCode::Enter | KeyCode::Char('r') => {
                self.begin_reply();
            }
            KeyCode::Char('e') => {
                self.begin_edit();
            }
            KeyCode::Char('d') | KeyCode::Delete => {
                self.ask_delete();
            }
            KeyCode::Char('+') => {
                self.open_react();
            }
            KeyCode::Char('a') => {
                self.run_command("take");
            }
            _ => return false,
        }
        true
    }

    /// One step out of whatever is going on.
    fn step_back(&mut self) {
        let purpose = self.purpose().clone();
        let at_end = self
            .talk()
            .is_none_or(|talk| talk.place == crate::talk::Place::Latest);
        if self.talk().is_some_and(|talk| talk.chosen.is_some()) || !at_end {
            self.go_to_latest();
        } else if purpose != Purpose::Say {
            if let Purpose::Edit(_, draft) = purpose {
                *self.editor() = draft;
            }
            if let Some(talk) = self.talk_mut() {
                talk.purpose = Purpose::Say;
            }
        } else if self.areas().list.is_empty() {
            self.select(None);
        }
    }

    pub(crate) fn begin_reply(&mut self) -> bool {
        let Some(message) = self.chosen_or_last(false) else {
            self.complain(self.words.no_message);
            return false;
        };
        if let Some(talk) = self.talk_mut() {
            if let Purpose::Edit(_, draft) = std::mem::take(&mut talk.purpose) {
                talk.draft = draft;
            }
            talk.purpose = Purpose::Reply(Key::of(&message));
            talk.chosen = None;
        }
        true
    }

    pub(crate) fn begin_edit(&mut self) -> bool {
        let Some(message) = self.chosen_or_last(true) else {
            self.complain(self.words.no_message);
            return false;
        };
        let (true, Some(text)) = (self.is_own(&message), &message.text) else {
            self.complain(self.words.not_own);
            return false;
        };
        if let Some(talk) = self.talk_mut() {
            let draft = match std::mem::take(&mut talk.purpose) {
                Purpose::Edit(_, draft) => draft,
                Purpose::Say | Purpose::Reply(_) => std::mem::take(&mut talk.draft),
            };
            talk.purpose = Purpose::Edit(Key::of(&message), draft);
            talk.draft = crate::editor::Editor::new(text.as_str());
            talk.chosen = None;
        }
        true
    }

    pub(crate) fn ask_delete(&mut self) -> bool {
        let (Some(message), Some(peer)) = (self.chosen_or_last(true), self.selected) else {
            self.complain(self.words.no_message);
            return false;
        };
        if !self.is_own(&message) {
            self.complain(self.words.not_own);
            return false;
        }
        let request = Box::new(SendRequest {
            to: peer.to_string(),
            delete: message.id.parse().ok(),
            ..SendRequest::default()
        });
        let number = self.count();
        self.overlay = Some(Overlay::Sure {
            question: self.words.delete_sure.to_owned(),
            yes: Effect::Ask(Request::Send {
                peer,
                request,
                number,
            }),
        });
        true
    }

    /// Shows the message that the chosen one answers.
    fn go_to_quoted(&mut self) {
        let chosen = self.talk().and_then(|talk| talk.chosen());
        let quote = chosen.and_then(|message| message.reply_to.as_ref());
        let known = quote.filter(|quote| quote.from.is_some());
        match (known.map(|quote| quote.id.clone()), self.selected) {
            (Some(id), Some(peer)) => self.go_to(peer, Spot::Message(id)),
            _ => self.complain(self.words.no_message),
        }
    }

    /// Copies the text of the chosen message, or where its file is.
    fn copy_chosen(&mut self) {
        let Some(message) = self.talk().and_then(|talk| talk.chosen()) else {
            return;
        };
        let transfer = self.transfers.get(&message.id);
        let path = transfer.and_then(|transfer| transfer.path.as_ref());
        let path = path.map(|path| path.to_string_lossy().into_owned());
        if let Some(text) = message.text.clone().or(path) {
            self.effects.push(Effect::Copy(text));
            self.tell(self.words.copied);
        }
    }

    /// The chosen message, or without one the last of ours or of theirs that can be meant.
    pub(crate) fn chosen_or_last(&self, own: bool) -> Option<MessageView> {
        let talk = self.talk()?;
        if let Some(chosen) = talk.chosen() {
            return Some(chosen.clone()).filter(|message| !message.deleted);
        }
        let mut messages = talk.messages.iter().rev();
        let last = messages.find(|message| {
            let said = message.text.is_some() && !message.deleted;
            said && self.is_own(message) == own
        });
        last.cloned()
    }

    /// The next or the previous conversation of the list.
    fn step(&mut self, down: bool) {
        let all: Vec<PeerId> = self.lists().all().collect();
        let at = self
            .selected
            .and_then(|peer| all.iter().position(|id| *id == peer));
        let next = match (at, down) {
            (None, true) => all.first(),
            (None, false) => all.last(),
            (Some(at), true) => all.get(at + 1),
            (Some(at), false) => at.checked_sub(1).and_then(|at| all.get(at)),
        };
        if let Some(next) = next.copied() {
            self.overlay = None;
            self.select(Some(next));
        }
    }

    fn next_unread(&mut self) {
        let waits = |id: &PeerId| {
            let peer = self.peers.get(id);
            peer.is_some_and(|peer| (peer.unread > 0 || peer.request) && !peer.blocked)
        };
        let mut waiting = self
            .lists()
            .all()
            .filter(waits)
            .collect::<Vec<_>>()
            .into_iter();
        let next = waiting.find(|id| self.selected != Some(*id));
        match next {
            Some(next) => {
                self.overlay = None;
                self.select(Some(next));
            }
            None => self.tell(self.words.all_read),
        }
    }

    pub(crate) fn leave(&mut self) {
        let asked = matches!(
            self.overlay,
            Some(Overlay::Sure {
                yes: Effect::Quit,
                ..
            })
        );
        if asked || !self.has_unsent() {
            self.effects.push(Effect::Quit);
            return;
        }
        self.overlay = Some(Overlay::Sure {
            question: self.words.quit_sure.to_owned(),
            yes: Effect::Quit,
        });
    }

    pub(crate) fn answer_or_ring(&mut self) {
        let mut calls = self.calls.iter().map(|call| &call.view);
        let rings = calls.find(|call| crate::app::rings_here(call));
        match (rings.map(|call| call.id.to_string()), self.selected) {
            (Some(id), _) => self.ask(Request::Call(id, CallAct::Answer)),
            (None, Some(peer)) => self.ask(Request::Ring(peer)),
            (None, None) => self.complain(self.words.nobody_chosen),
        }
    }

    pub(crate) fn toggle_mute(&mut self) {
        self.call_act(|call| CallAct::Mute(!call.muted));
    }

    pub(crate) fn toggle_hold(&mut self) {
        self.call_act(|call| CallAct::Hold(!call.held));
    }

    /// Begins to be heard. Where no key is ever let go, the next press ends it.
    fn press_to_talk(&mut self) {
        let now = self.now;
        match &mut self.talking {
            Some(talking) if now.0.saturating_sub(talking.pressed_at.0) < REPEAT_MS => {
                talking.pressed_at = now;
            }
            Some(_) => self.stop_talking(),
            None => {
                let active = |call: &&hallway_model::CallView| call.state == CallState::Active;
                let calls = self.calls.iter().map(|call| &call.view);
                let Some(call) = calls.filter(active).min_by_key(|call| call.held) else {
                    self.complain(self.words.no_call);
                    return;
                };
                let call = call.id;
                self.talking = Some(Talking {
                    call,
                    pressed_at: now,
                });
                self.ask(Request::Call(call.to_string(), CallAct::Talk(true)));
            }
        }
    }

    fn stop_talking(&mut self) {
        if let Some(Talking { call, .. }) = self.talking.take() {
            self.ask(Request::Call(call.to_string(), CallAct::Talk(false)));
        }
    }

    fn call_act(&mut self, act: impl Fn(&hallway_model::CallView) -> CallAct) {
        let active = self.calls.iter().map(|call| &call.view);
        let mut active = active.filter(|call| call.state == CallState::Active);
        // Of several, the one that is not held is talked in.
        let meant = active
            .clone()
            .find(|call| !call.held)
            .or_else(|| active.next());
        match meant.map(|call| (call.id.to_string(), act(call))) {
            Some((id, act)) => self.ask(Request::Call(id, act)),
            None => self.complain(self.words.no_call),
        }
    }

    pub(crate) fn hang_up(&mut self) {
        match self.meant_call().map(|call| call.id.to_string()) {
            Some(id) => self.ask(Request::Call(id, CallAct::HangUp)),
            None => self.complain(self.words.no_call),
        }
    }

    /// Over what lies over the conversation, a wheel is as good as keys.
    fn turn_wheel(&mut self, key: KeyCode) {
        for _ in 0..WHEEL_ROWS {
            self.handle_overlay_key(KeyEvent::new(key, KeyModifiers::NONE));
        }
    }

    fn handle_mouse(&mut self, mouse: MouseEvent) {
        match mouse.kind {
            MouseEventKind::ScrollUp if self.overlay.is_some() => self.turn_wheel(KeyCode::Up),
            MouseEventKind::ScrollDown if self.overlay.is_some() => self.turn_wheel(KeyCode::Down),
            MouseEventKind::ScrollUp => self.scroll(true, WHEEL_ROWS),
            MouseEventKind::ScrollDown => self.scroll(false, WHEEL_ROWS),
            MouseEventKind::Down(MouseButton::Left) if self.overlay.is_none() => {
                let list = self.areas().list;
                if list.contains(Position::new(mouse.column, mouse.row)) {
                    let row = usize::from(mouse.row - list.y);
                    let clicked = crate::view::list_rows(self, list.height).get(row).copied();
                    if let Some(Some(peer)) = clicked {
                        self.select(Some(peer));
                    }
                }
            }
            MouseEventKind::Down(_)
            | MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => {}
        }
    }
}

pub(crate) fn id_of(key: &Key) -> Option<MessageId> {
    key.id.parse().ok()
}

/// Moves and deletions as at a shell; `false` when the key is none of them.
pub(crate) fn edit(editor: &mut crate::editor::Editor, key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        KeyCode::Left if control || alt => editor.word_left(),
        KeyCode::Right if control || alt => editor.word_right(),
        KeyCode::Char('b') if alt => editor.word_left(),
        KeyCode::Char('f') if alt => editor.word_right(),
        KeyCode::Left => editor.left(),
        KeyCode::Right => editor.right(),
        KeyCode::Home => editor.home(),
        KeyCode::End => editor.end(),
        KeyCode::Char('a') if control => editor.home(),
        KeyCode::Char('e') if control => editor.end(),
        KeyCode::Char('w') if control => editor.delete_word(),
        KeyCode::Backspace if alt || control => editor.delete_word(),
        KeyCode::Char('u') if control => editor.delete_to_start(),
        KeyCode::Char('h') if control => editor.backspace(),
        KeyCode::Backspace => editor.backspace(),
        KeyCode::Delete => editor.delete(),
        KeyCode::Char('d') if control => editor.delete(),
        _ => return false,
    }
    true
}
