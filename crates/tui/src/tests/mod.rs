//! The whole app: what happens goes in, and what is asked for and what is on screen is looked at.

mod calls_and_files;
mod choosing;
mod hostile;
mod people;
mod screens;
mod talking;

use crate::io::{Effect, Input, Request, Snapshot};
use crate::sample::{BO, CY, NOON, WANG, node, person, said};
use crate::{App, Choices, Language, Part, Settings, Theme, view};
use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyModifiers};
use hallway_model::{Event, EventKind, MessageView, PeerId, PeerView, Presence, WallTime};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::{Backend, TestBackend};
use ratatui::buffer::Buffer;

/// An hour after the first messages.
const NOW: WallTime = WallTime(NOON + 3_600_000);

/// Somebody who uses the app.
struct Desk {
    app: App,
    now: WallTime,
    /// What was to be done, not looked at yet.
    effects: Vec<Effect>,
}

impl Desk {
    fn new(language: Language, size: (u16, u16)) -> Self {
        let app = App::new(Settings {
            language,
            theme: Theme::Dark,
            zone: TimeZone::UTC,
            size,
            true_colour: false,
            choices: Choices::default(),
            welcome: false,
        });
        Self {
            app,
            now: NOW,
            effects: Vec::new(),
        }
    }

    /// At a usual terminal, with a node and three people.
    fn sitting() -> Self {
        let mut desk = Self::new(Language::English, (80, 24));
        desk.up(people());
        desk
    }

    /// The same, in a conversation with Bo that has these messages.
    fn with_bo(messages: Vec<MessageView>) -> Self {
        let mut desk = Self::sitting();
        desk.key("ctrl-n");
        desk.page(BO, messages);
        desk.effects.clear();
        desk
    }

    fn up(&mut self, peers: Vec<PeerView>) {
        self.put(Input::Up(Box::new(Snapshot {
            status: node(),
            peers,
            calls: Vec::new(),
            transfers: Vec::new(),
        })));
    }

    fn put(&mut self, input: Input) {
        let effects = self.app.update(input, self.now);
        self.effects.extend(effects);
    }

    fn told(&mut self, kind: EventKind) {
        self.put(Input::Told(Box::new(Event { event: 1, kind })));
    }

    fn message(&mut self, message: MessageView) {
        let message = Box::new(message);
        self.told(EventKind::Message { message, new: true });
    }

    /// The newest messages of a conversation come.
    fn page(&mut self, peer: PeerId, messages: Vec<MessageView>) {
        self.put(Input::Page {
            peer,
            part: Part::Latest,
            messages: Ok(messages),
        });
    }

    /// Presses keys such as `ctrl-k`, `alt-a`, `f1`, `enter`.
    fn key(&mut self, names: &str) {
        for name in names.split(' ') {
            self.put(Input::Terminal(TerminalEvent::Key(key_of(name))));
        }
    }

    fn typed(&mut self, text: &str) {
        for c in text.chars() {
            let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            self.put(Input::Terminal(TerminalEvent::Key(key)));
        }
    }

    /// Types a line and presses Enter.
    fn line(&mut self, text: &str) {
        self.typed(text);
        self.key("enter");
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.put(Input::Terminal(TerminalEvent::Resize(width, height)));
    }

    /// What was to be done since this was asked last.
    fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What was asked of the node since then.
    fn asked(&mut self) -> Vec<Request> {
        let mut asked = Vec::new();
        for effect in self.done() {
            if let Effect::Ask(request) = effect {
                asked.push(request);
            }
        }
        asked
    }

    /// The one thing that was asked of the node, besides that somebody types.
    #[track_caller]
    fn asked_one(&mut self) -> Request {
        let mut asked = self.asked();
        asked.retain(|request| !matches!(request, Request::Typing(_)));
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }

    fn draw(&self) -> Terminal<TestBackend> {
        let (width, height) = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view(&self.app, frame)).unwrap();
        terminal
    }

    fn buffer(&self) -> Buffer {
        self.draw().backend().buffer().clone()
    }

    /// The screen as text, without blanks at the ends of lines.
    fn screen(&self) -> String {
        let buffer = self.buffer();
        let mut lines = Vec::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut skip = 0;
            for x in 0..buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                if skip == 0 {
                    line.push_str(symbol);
                    skip = crate::wrap::cells(symbol).max(1);
                }
                skip -= 1;
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }

    fn caret(&self) -> (u16, u16) {
        let mut terminal = self.draw();
        let position = terminal.backend_mut().get_cursor_position().unwrap();
        (position.x, position.y)
    }

    #[track_caller]
    fn assert_shows(&self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "no {text:?} in\n{screen}");
    }

    #[track_caller]
    fn assert_hides(&self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "{text:?} in\n{screen}");
    }
}

fn key_of(name: &str) -> KeyEvent {
    let (modifiers, name) = match name.split_once('-') {
        Some(("ctrl", rest)) => (KeyModifiers::CONTROL, rest),
        Some(("alt", rest)) => (KeyModifiers::ALT, rest),
        _ => (KeyModifiers::NONE, name),
    };
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "pageup" => KeyCode::PageUp,
        "pagedown" => KeyCode::PageDown,
        "end" => KeyCode::End,
        "backspace" => KeyCode::Backspace,
        _ => match name.strip_prefix('f').and_then(|n| n.parse().ok()) {
            Some(n) => KeyCode::F(n),
            None => KeyCode::Char(name.chars().next().unwrap()),
        },
    };
    KeyEvent::new(code, modifiers)
}

/// Bo, who was here last; 王小明, who is away; Cy, a stranger nearby.
fn people() -> Vec<PeerView> {
    let bo = PeerView {
        last_seen: Some(WallTime(NOON)),
        ..person(BO, "Bo")
    };
    let wang = PeerView {
        state: Presence::Offline,
        verified: true,
        ..person(WANG, "王小明")
    };
    let cy = PeerView {
        contact: false,
        state: Presence::Nearby,
        ..person(CY, "Cy")
    };
    vec![bo, wang, cy]
}

/// A page of Bo's messages with these numbers.
fn of_bo(seqs: std::ops::RangeInclusive<u64>) -> Vec<MessageView> {
    seqs.map(|seq| said(BO, seq, &format!("line {seq}")))
        .collect()
}
