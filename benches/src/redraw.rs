//! The terminal app: from what happens to the bytes for the terminal, in conversations of 100,000
//! messages.

use crate::stats::{median, quantile, seconds};
use crate::table::{Quantity, Row, Table, Target};
use crossterm::event::{Event as Press, KeyCode, KeyEvent, KeyModifiers};
use hallway_model::{
    Delivery, Event, EventKind, MessageView, Name, PeerId, PeerView, Presence, Status, StatusView,
    WallTime,
};
use hallway_tui::{
    App, Choices, Effect, Input, Language, Part, Settings, Snapshot, Spot, Theme, view,
};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::Sink;
use std::time::{Duration, Instant};

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];
const MESSAGES: u64 = 100_000;
/// So far somebody has scrolled up: further than what the app keeps of a conversation.
const SCROLLED: u64 = 3000;
/// What a message holds at most is 32 KiB.
const LONG_BYTES: usize = 30_000;
/// Each thing is done this often.
const TIMES: usize = 300;
/// A picture of a screen at 200 Hz.
const TARGET: Target = Target::AtMost(Quantity::Seconds(0.005));
const ME: PeerId = PeerId([0; 32]);
const BO: PeerId = PeerId([1; 32]);
const CY: PeerId = PeerId([2; 32]);

pub(crate) fn measure() -> anyhow::Result<Table> {
    let mut table = Table::default();
    for size in SIZES {
        for long in [false, true] {
            let mut desk = Desk::new(size, long)?;
            let kind = if long {
                "texts of 30 kB"
            } else {
                "usual texts"
            };
            let place = format!("{} × {}, {kind}", size.0, size.1);
            desk.measure(&place, &mut table)?;
        }
    }
    table.note(format!(
        "Conversations of {MESSAGES} messages, in one of which somebody has scrolled far up. The \
         99 % of {TIMES} times, from the input to the bytes for the terminal, counts; what the \
         node takes to read messages does not."
    ));
    Ok(table)
}

/// Somebody at a terminal, whose node answers at once.
struct Desk {
    app: App,
    terminal: Terminal<CrosstermBackend<Sink>>,
    size: (u16, u16),
    long: bool,
    /// The number of the newest message.
    newest: u64,
    /// The number of the oldest that was read.
    oldest: u64,
}

impl Desk {
    fn new(size: (u16, u16), long: bool) -> anyhow::Result<Self> {
        let app = App::new(Settings {
            language: Language::English,
            theme: Theme::Dark,
            zone: jiff::tz::TimeZone::UTC,
            size,
            true_colour: false,
            choices: Choices::default(),
            welcome: false,
        });
        let mut desk = Self {
            app,
            terminal: terminal(size)?,
            size,
            long,
            newest: MESSAGES,
            oldest: MESSAGES,
        };
        let up = Input::Up(Box::new(Snapshot {
            status: node()?,
            peers: vec![person(BO, "Bo"), person(CY, "王小明")],
            calls: Vec::new(),
            transfers: Vec::new(),
        }));
        desk.put(up)?;
        Ok(desk)
    }

    fn measure(&mut self, place: &str, table: &mut Table) -> anyhow::Result<()> {
        let next = key(KeyCode::Char('n'), KeyModifiers::CONTROL);
        let plain = |code| move |_: &mut Self, _: usize| Ok(key(code, KeyModifiers::NONE));
        self.put(next)?;
        self.report(table, place, "a letter", plain(KeyCode::Char('x')))?;
        // A message is chosen from an empty line.
        self.put(key(KeyCode::Char('u'), KeyModifiers::CONTROL))?;
        self.report(table, place, "a page up", plain(KeyCode::PageUp))?;
        while self.oldest > MESSAGES - SCROLLED && !self.long {
            self.put(key(KeyCode::PageUp, KeyModifiers::NONE))?;
        }
        self.report(table, place, "a page down", plain(KeyCode::PageDown))?;
        self.put(key(KeyCode::End, KeyModifiers::ALT))?;
        self.report(table, place, "choosing a message", plain(KeyCode::Up))?;
        self.put(key(KeyCode::End, KeyModifiers::ALT))?;
        self.report(table, place, "a new message", |desk, _| {
            desk.newest += 1;
            let message = Box::new(message(BO, desk.newest, desk.long));
            let kind = EventKind::Message { message, new: true };
            let event = desk.newest;
            Ok(Input::Told(Box::new(Event { event, kind })))
        })?;
        self.report(table, place, "another conversation", |_, turn| {
            let forth = if turn % 2 == 0 { 'n' } else { 'p' };
            Ok(key(KeyCode::Char(forth), KeyModifiers::CONTROL))
        })?;
        self.report(table, place, "another size", |desk, turn| {
            let (width, height) = desk.size;
            let width = if turn % 2 == 0 { width - 7 } else { width };
            desk.terminal = terminal((width, height))?;
            Ok(Input::Terminal(Press::Resize(width, height)))
        })?;
        let draft = "一起吃午饭吗？ lunch at noon? ".repeat(LONG_BYTES / 38);
        self.put(Input::Terminal(Press::Paste(draft)))?;
        let what = "a letter in a draft of 30 kB";
        self.report(table, place, what, plain(KeyCode::Char('x')))
    }

    fn report(
        &mut self,
        table: &mut Table,
        place: &str,
        what: &str,
        input: impl Fn(&mut Self, usize) -> anyhow::Result<Input>,
    ) -> anyhow::Result<()> {
        let mut times: Vec<Duration> = Vec::new();
        for turn in 0..TIMES {
            let input = input(self, turn)?;
            let updated = self.put(input)?;
            let begun = Instant::now();
            self.terminal.draw(|frame| view(&self.app, frame))?;
            times.push(updated + begun.elapsed());
        }
        let mut times = seconds(&times);
        let middle = Quantity::Seconds(median(&mut times));
        let row = Row::new(
            format!("{place}: {what}"),
            Quantity::Seconds(quantile(&mut times, 0.99)),
        );
        table.add(row.beside("median", middle).target(TARGET));
        Ok(())
    }

    /// Does what the node would do, and returns how long the app took.
    fn put(&mut self, input: Input) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let effects = self.app.update(input, WallTime(0));
        let mut took = begun.elapsed();
        for effect in effects {
            let Effect::Read(peer, part) = effect else {
                continue;
            };
            let newest = self.newest;
            let seqs = match &part {
                Part::Latest => newest - 99..=newest,
                Part::Before(id) => {
                    let seq: u64 = id.parse()?;
                    seq.saturating_sub(100).max(1)..=seq - 1
                }
                Part::After(id) => {
                    let seq: u64 = id.parse()?;
                    seq + 1..=(seq + 100).min(newest)
                }
                Part::Around(Spot::Message(_) | Spot::Time(_)) => continue,
            };
            self.oldest = self.oldest.min(*seqs.start());
            let messages = Ok(seqs.map(|seq| message(peer, seq, self.long)).collect());
            took += self.put(Input::Page {
                peer,
                part,
                messages,
            })?;
        }
        Ok(took)
    }
}

/// A terminal whose bytes nobody reads.
fn terminal(size: (u16, u16)) -> anyhow::Result<Terminal<CrosstermBackend<Sink>>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, size.0, size.1));
    let backend = CrosstermBackend::new(std::io::sink());
    Ok(Terminal::with_options(
        backend,
        TerminalOptions { viewport },
    )?)
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Terminal(Press::Key(KeyEvent::new(code, modifiers)))
}

fn message(peer: PeerId, seq: u64, long: bool) -> MessageView {
    let text = match (long, seq % 10) {
        (true, 0..5) => "很长的一段话，".repeat(LONG_BYTES / 21),
        (true, _) => "a very long word-wrapped text, ".repeat(LONG_BYTES / 31),
        (false, 0) => "很长的一段话，".repeat(100),
        (false, 1..4) => format!("一起吃午饭吗？ number {seq}"),
        (false, _) => format!("message {seq}, which is as long as messages are"),
    };
    let own = seq.is_multiple_of(3);
    MessageView {
        id: format!("{seq:032}"),
        from: if own { ME } else { peer },
        to: if own { peer } else { ME },
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

fn person(id: PeerId, name: &str) -> PeerView {
    PeerView {
        id,
        tag: id.tag(),
        name: name.into(),
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

fn node() -> anyhow::Result<StatusView> {
    Ok(StatusView {
        id: ME,
        tag: ME.tag(),
        name: Name::new("Ann")?,
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
    })
}
