//! `cargo run --release -p hallway-tui --example redraw`: how long a key press takes until the next
//! picture is ready, in a conversation of 100,000 messages through which one has scrolled.
#![allow(clippy::print_stdout, reason = "its table is what it is for")]

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use hallway_model::{
    Delivery, MessageView, Name, PeerId, PeerView, Presence, Status, StatusView, WallTime,
};
use hallway_tui::{App, Effect, Input, Language, Part, Settings, Snapshot, Theme, view};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::time::{Duration, Instant};

const MESSAGES: u64 = 100_000;
const PRESSES: usize = 500;
const ME: PeerId = PeerId([0; 32]);
const BO: PeerId = PeerId([1; 32]);

fn main() {
    for (width, height) in [(80, 24), (200, 60)] {
        println!("{width} x {height}, {MESSAGES} messages: update and draw");
        let mut desk = Desk::new(width, height);
        desk.report("a letter", KeyCode::Char('x'));
        desk.report("a page up", KeyCode::PageUp);
        while desk.oldest > 1 {
            desk.press(KeyCode::PageUp);
        }
        desk.report("a page down from the first", KeyCode::PageDown);
    }
}

struct Desk {
    app: App,
    terminal: Terminal<TestBackend>,
    oldest: u64,
}

impl Desk {
    fn new(width: u16, height: u16) -> Self {
        let app = App::new(Settings {
            language: Language::English,
            theme: Theme::Dark,
            zone: jiff::tz::TimeZone::UTC,
            size: (width, height),
            true_colour: false,
        });
        let backend = TestBackend::new(width, height);
        let terminal = Terminal::new(backend).expect("a test backend does not fail");
        let mut desk = Self {
            app,
            terminal,
            oldest: MESSAGES,
        };
        let status = StatusView {
            id: ME,
            tag: ME.tag(),
            name: Name::new("Ann").expect("a name"),
            status: Status::Available,
            port: 0,
            pid: 0,
            sessions: 0,
            addresses: Vec::new(),
            version: String::new(),
            uptime_ms: 0,
            accept_files_bytes: 0,
            read_receipts: true,
            downloads: "/home/ann/Downloads".into(),
            static_peers: Vec::new(),
            muted: Vec::new(),
            event: 0,
            notices: Vec::new(),
            counters: Vec::new(),
        };
        let peers = vec![person()];
        let (calls, transfers) = (Vec::new(), Vec::new());
        desk.put(Input::Up(Box::new(Snapshot {
            status,
            peers,
            calls,
            transfers,
        })));
        let next = KeyEvent::new(KeyCode::Char('n'), KeyModifiers::CONTROL);
        desk.put(Input::Terminal(Event::Key(next)));
        desk
    }

    /// Does what the node would do.
    fn put(&mut self, input: Input) {
        for effect in self.app.update(input, WallTime(0)) {
            if let Effect::Read(peer, part) = effect {
                let seqs = match &part {
                    Part::Latest => MESSAGES - 99..=MESSAGES,
                    Part::Before(id) => seq(id).saturating_sub(100).max(1)..=seq(id) - 1,
                    Part::After(id) => seq(id) + 1..=(seq(id) + 100).min(MESSAGES),
                    Part::Around(_) => continue,
                };
                self.oldest = self.oldest.min(*seqs.start());
                let messages = Ok(seqs.map(message).collect());
                self.put(Input::Page {
                    peer,
                    part,
                    messages,
                });
            }
        }
    }

    fn press(&mut self, key: KeyCode) -> Duration {
        let begun = Instant::now();
        let key = KeyEvent::new(key, KeyModifiers::NONE);
        self.put(Input::Terminal(Event::Key(key)));
        let app = &self.app;
        let drawn = self.terminal.draw(|frame| view(app, frame));
        drawn.expect("a test backend does not fail");
        begun.elapsed()
    }

    fn report(&mut self, what: &str, key: KeyCode) {
        let mut times: Vec<Duration> = (0..PRESSES).map(|_| self.press(key)).collect();
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
        println!("  {what}: median {:.2} ms, 99 % {:.2} ms", at(50), at(99));
    }
}

fn seq(id: &str) -> u64 {
    id.parse().expect("the ids of this example are numbers")
}

fn message(seq: u64) -> MessageView {
    let text = match seq % 10 {
        0 => "很长的一段话，".repeat(100),
        1..4 => format!("一起吃午饭吗？ number {seq}"),
        _ => format!("message {seq}, which is as long as messages are"),
    };
    MessageView {
        id: format!("{seq:032}"),
        from: if seq.is_multiple_of(3) { ME } else { BO },
        to: if seq.is_multiple_of(3) { BO } else { ME },
        seq,
        kind: "text".into(),
        text: Some(text),
        call: None,
        file: None,
        state: Delivery::Delivered,
        at: WallTime(seq * 600_000),
        reply_to: None,
        edited: false,
        deleted: false,
        reactions: Vec::new(),
        change: seq,
    }
}

fn person() -> PeerView {
    PeerView {
        id: BO,
        tag: BO.tag(),
        name: "Bo".into(),
        state: Presence::Live,
        status: Status::Available,
        contact: true,
        verified: false,
        blocked: false,
        request: false,
        impostor: None,
        addresses: Vec::new(),
        rtt_ms: None,
        clock_skew_ms: None,
        last_seen: None,
        unread: 0,
        typing: false,
    }
}
