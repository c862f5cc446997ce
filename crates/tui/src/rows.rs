//! One message as rows on the screen.

use crate::app::App;
use crate::format::{bytes, percent, talked};
use crate::picture::Picture;
use crate::safe;
use crate::talk::{Key, Talk};
use crate::theme::{Role, Theme};
use crate::wrap::{cells, cut, fit, wrap};
use hallway_model::{Delivery, FileView, MessageView, TransferState, TransferView, WallTime};
use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// Rows of one message, at most: the longest text fits a screen of 34 columns. What is nothing but
/// line breaks is not worth more.
const ROWS_MAX: usize = 1000;
/// A text from this length on is laid out once and kept; shorter ones take microseconds.
const LONG_TEXT_BYTES: usize = 1000;
/// Long texts that are kept laid out, some 200 kB each when they are longest; beyond, all go, and
/// those on screen are laid out again. A large screen shows fewer.
const LONG_TEXTS_MAX: usize = 64;
/// Messages of one person within this time follow each other without the name.
const TOGETHER_MS: u64 = 5 * 60 * 1000;
/// Below this width there is no room for the time beside a text.
const TIME_FROM: usize = 36;
/// Cells of a bar of progress.
const BAR_CELLS: usize = 10;

/// A message laid out. Its rows become lines only where they are on screen.
pub(crate) struct Laid<'a> {
    app: &'a App,
    message: &'a MessageView,
    /// What stands above it: the day, and where what is new begins.
    above: Vec<Line<'static>>,
    margin: Margin,
    /// It is of the same person as the one before, and soon after.
    follows: bool,
    chosen: bool,
    rows: Vec<Row>,
}

impl Laid<'_> {
    pub(crate) fn height(&self) -> usize {
        self.above.len() + self.rows.len()
    }

    /// One of its rows; nothing below the last.
    pub(crate) fn line(&self, at: usize) -> Line<'static> {
        let Some(row) = at.checked_sub(self.above.len()) else {
            return self.above.get(at).cloned().unwrap_or_default();
        };
        let first = row == 0;
        let name = first && !self.follows;
        let mut line = self
            .margin
            .spans(self.app, self.message, first, name, self.chosen);
        if let Some(spans) = self.rows.get(row) {
            line.extend(spans.iter().cloned());
        }
        Line::from(line)
    }
}

/// How many rows the message at a place of the window takes.
pub(crate) fn height(app: &App, talk: &Talk, at: usize, width: usize) -> usize {
    of(app, talk, at, width).map_or(0, |laid| laid.height())
}

/// The message at a place of the window.
pub(crate) fn of<'a>(app: &'a App, talk: &'a Talk, at: usize, width: usize) -> Option<Laid<'a>> {
    let message = talk.messages.get(at)?;
    let before = at.checked_sub(1).and_then(|at| talk.messages.get(at));
    let mut above = Vec::new();
    let day = local(app, message.at).date();
    let new_day = before.is_none_or(|before| local(app, before.at).date() != day);
    if new_day {
        above.push(heading(app, &day_words(app, day), Role::Faint, width));
    }
    let begins_new = talk.new_from.as_ref().is_some_and(|key| key.is(message));
    if begins_new {
        above.push(heading(app, app.words.new_messages, Role::Caution, width));
    }
    let follows = !new_day
        && !begins_new
        && message.reply_to.is_none()
        && before.is_some_and(|before| {
            before.from == message.from && message.at.0.saturating_sub(before.at.0) < TOGETHER_MS
        });
    let margin = Margin::of(app, message, width);
    let mut body = Body {
        app,
        width: width.saturating_sub(margin.cells).max(1),
        rows: Vec::new(),
    };
    body.message(message);
    let state = state_words(app, talk, at, message);
    body.remarks(message, state);
    let mut rows = body.rows;
    rows.truncate(ROWS_MAX);
    Some(Laid {
        app,
        message,
        above,
        margin,
        follows,
        chosen: talk.chosen.as_ref().is_some_and(|key| key.is(message)),
        rows,
    })
}

/// Texts on their way to the node, below all messages.
pub(crate) fn sending(app: &App, talk: &Talk, width: usize) -> Vec<Line<'static>> {
    let faint = app.theme.of(Role::Faint);
    let rows = talk.sending.iter().map(|sending| {
        let text = safe::one_line(sending.text.lines().next().unwrap_or_default());
        let mark = app.words.sending;
        let room = width.saturating_sub(cells(mark) + 3);
        Line::from(Span::styled(
            format!(" {}  {mark}", cut(&text, room)),
            faint,
        ))
    });
    rows.collect()
}

/// A time in the zone of the person; clamped to what a calendar holds.
pub(crate) fn local(app: &App, at: WallTime) -> Zoned {
    let milliseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX);
    timestamp.to_zoned(app.zone.clone())
}

/// A time of today, or the day.
pub(crate) fn when(app: &App, at: WallTime) -> String {
    let at = local(app, at);
    match at.date() == local(app, app.now).date() {
        true => at.strftime("%H:%M").to_string(),
        false => at.strftime("%Y-%m-%d").to_string(),
    }
}

fn day_words(app: &App, day: Date) -> String {
    let today = local(app, app.now).date();
    if day == today {
        app.words.today.to_owned()
    } else if today.yesterday().is_ok_and(|yesterday| yesterday == day) {
        app.words.yesterday.to_owned()
    } else {
        (app.words.date)(day)
    }
}

fn heading(app: &App, words: &str, role: Role, width: usize) -> Line<'static> {
    let words = cut(words, width.saturating_sub(4));
    let left = width.saturating_sub(cells(&words) + 2);
    let (before, after) = (left / 2, left - left / 2);
    let line = format!("{} {words} {}", "─".repeat(before), "─".repeat(after));
    Line::from(Span::styled(line, app.theme.of(role)))
}

/// What stands before the text: a mark for the chosen message, the time, the name.
struct Margin {
    time: bool,
    name_cells: usize,
    cells: usize,
}

impl Margin {
    fn of(app: &App, message: &MessageView, width: usize) -> Self {
        let other = app.other_side(message).unwrap_or(message.from);
        let widest = cells(app.words.you).max(cells(&app.name_of(&other)));
        let name_cells = widest.min(width / 5).clamp(2, 16);
        let time = width >= TIME_FROM;
        let cells = 1 + if time { 6 } else { 0 } + name_cells + 1;
        Self {
            time,
            name_cells,
            cells,
        }
    }

    fn spans(
        &self,
        app: &App,
        message: &MessageView,
        time: bool,
        name: bool,
        chosen: bool,
    ) -> Vec<Span<'static>> {
        let mark = if chosen { "▌" } else { " " };
        let mut spans = vec![Span::styled(mark, app.theme.of(Role::Caution))];
        if self.time {
            let at = match time {
                true => local(app, message.at).strftime("%H:%M ").to_string(),
                false => " ".repeat(6),
            };
            spans.push(Span::styled(at, app.theme.of(Role::Faint)));
        }
        let style = match app.is_own(message) {
            true => app.theme.of(Role::Own),
            false => app.theme.person(&message.from),
        };
        let who = if name {
            app.name_of(&message.from)
        } else {
            String::new()
        };
        spans.push(Span::styled(fit(&who, self.name_cells), style));
        spans.push(Span::raw(" "));
        spans
    }
}

/// Shared with [`LongTexts`].
type Row = Rc<[Span<'static>]>;

/// Long texts as they were laid out: each takes milliseconds, and several are on screen at most.
#[derive(Debug, Default)]
pub(crate) struct LongTexts(RefCell<HashMap<LongText, Vec<Row>>>);

/// What a layout depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LongText {
    text: String,
    width: usize,
    theme: Theme,
}

impl LongTexts {
    fn rows(&self, theme: Theme, width: usize, text: &str) -> Vec<Row> {
        let text = text.to_owned();
        let key = LongText { text, width, theme };
        let mut known = self.0.borrow_mut();
        if let Some(rows) = known.get(&key) {
            return rows.clone();
        }
        if known.len() >= LONG_TEXTS_MAX {
            known.clear();
        }
        let rows = text_rows(theme, width, &key.text);
        known.insert(key, rows.clone());
        rows
    }
}

/// The text of a message, row by row.
struct Body<'a> {
    app: &'a App,
    width: usize,
    rows: Vec<Row>,
}

impl Body<'_> {
    fn message(&mut self, message: &MessageView) {
        let words = self.app.words;
        if let Some(quote) = &message.reply_to {
            let said = match (&quote.from, &quote.text) {
                (Some(from), Some(text)) => {
                    let line = safe::lines(text).next().unwrap_or_default();
                    format!("{}: {line}", self.app.name_of(from))
                }
                (Some(from), None) => format!("{}: {}", self.app.name_of(from), words.deleted),
                (None, _) => words.not_here.to_owned(),
            };
            self.one_row(&format!("↪ {said}"), Role::Faint);
        }
        if message.deleted {
            self.one_row(words.deleted, Role::Faint);
        } else if let Some(file) = &message.file {
            self.file(message, file);
        } else if let Some(call) = &message.call {
            let said = (words.call_record)(call, self.app.is_own(message));
            self.one_row(&format!("☎ {said}"), Role::Strong);
        } else if let Some(text) = &message.text {
            self.text(text);
        } else {
            self.one_row(words.newer, Role::Faint);
        }
    }

    fn one_row(&mut self, text: &str, role: Role) {
        let text = cut(text, self.width);
        let span = Span::styled(text, self.app.theme.of(role));
        self.rows.push([span].into());
    }

    fn text(&mut self, text: &str) {
        let theme = self.app.theme;
        self.rows.extend(match text.len() >= LONG_TEXT_BYTES {
            true => self.app.long_texts.rows(theme, self.width, text),
            false => text_rows(theme, self.width, text),
        });
    }

    fn file(&mut self, message: &MessageView, file: &FileView) {
        let words = self.app.words;
        let folder = if file.folder { "/" } else { "" };
        let name = format!("{}{folder}", safe::one_line(&file.name));
        let about = (words.file)(file);
        let room = self.width.saturating_sub(cells(&about) + 4);
        let name = cut(&name, room.max(4));
        let name = Span::styled(format!("◆ {name}"), self.app.theme.of(Role::Strong));
        let about = Span::styled(format!("  {about}"), self.app.theme.of(Role::Faint));
        self.rows.push([name, about].into());
        if file.left_out > 0 {
            let names = file.left_out_names.iter();
            let names: Vec<String> = names.map(|name| safe::one_line(name)).collect();
            self.wrapped(&(words.left_out)(file.left_out, &names), Role::Faint);
        }
        let picture = self.app.pictures.get(&message.id).and_then(Option::as_ref);
        let fits = |picture: &&Picture| picture.width() <= self.width;
        if let Some(picture) = picture.filter(fits)
            && self.app.theme != Theme::Plain
        {
            let rows = picture.spans(self.app.true_colour);
            self.rows.extend(rows.map(Row::from));
        }
        let transfer = self.app.transfers.get(&message.id);
        if let Some(transfer) = transfer.filter(|t| t.incoming != self.app.is_own(message)) {
            self.transfer(transfer);
        }
    }

    fn transfer(&mut self, transfer: &TransferView) {
        let words = self.app.words;
        let state = transfer.state;
        let mut said = String::new();
        let moving = transfer.moved > 0 && !state.is_over();
        if moving || state == TransferState::Running {
            let done = percent(transfer.moved, transfer.file.bytes);
            let full = usize::try_from(done).unwrap_or(100) * BAR_CELLS / 100;
            let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR_CELLS - full));
            said.push_str(&format!("{bar} {done} % "));
        }
        match transfer.failure.filter(|_| state == TransferState::Failed) {
            Some(failure) => said.push_str((words.failure)(failure)),
            None => said.push_str((words.transfer)(state, transfer.incoming)),
        }
        if let Some(rate) = transfer.rate {
            said.push_str(&format!(", {}/s", bytes(rate)));
        }
        if let Some(left) = transfer.left_ms {
            said.push_str(&format!(", {}", (words.left)(&talked(left))));
        }
        if state == TransferState::Running {
            if let Some(at) = transfer.resumed_at {
                let at = percent(at, transfer.file.bytes);
                said.push_str(&format!(", {}", (words.resumed_at)(at)));
            }
            if transfer.changed > 0 {
                said.push_str(&format!(", {}", words.changed));
            }
        }
        if let (TransferState::Done, true, Some(path)) = (state, transfer.incoming, &transfer.path)
        {
            let path = safe::one_line(&path.to_string_lossy());
            said.push_str(&format!(", {}", (words.saved_as)(&path)));
        }
        let role = match state {
            TransferState::Done => Role::Good,
            TransferState::Failed => Role::Bad,
            TransferState::Offered if transfer.incoming => Role::Caution,
            TransferState::Offered
            | TransferState::Running
            | TransferState::WaitingForTurn
            | TransferState::WaitingForPeer
            | TransferState::WaitingForRoom
            | TransferState::PausedByUs
            | TransferState::PausedByThem
            | TransferState::Declined
            | TransferState::CancelledByUs
            | TransferState::CancelledByThem => Role::Text,
        };
        self.wrapped(&said, role);
    }

    fn wrapped(&mut self, text: &str, role: Role) {
        let style = self.app.theme.of(role);
        let rows = wrap(text, self.width).into_iter();
        self.rows
            .extend(rows.map(|range| [Span::styled(text[range].to_owned(), style)].into()));
    }

    /// What is said about a message: behind its last row where there is room, else below it.
    fn remarks(&mut self, message: &MessageView, state: Option<(String, Role)>) {
        let mut remarks = Vec::new();
        if message.edited && !message.deleted {
            remarks.push((self.app.words.edited.to_owned(), Role::Faint));
        }
        let mut emojis: Vec<(&str, Vec<String>)> = Vec::new();
        for reaction in &message.reactions {
            let who = self.app.name_of(&reaction.by);
            match emojis
                .iter_mut()
                .find(|(emoji, _)| *emoji == reaction.emoji)
            {
                Some((_, all)) => all.push(who),
                None => emojis.push((&reaction.emoji, vec![who])),
            }
        }
        for (emoji, who) in emojis {
            let said = format!("{} {}", safe::one_line(emoji), who.join(", "));
            remarks.push((said, Role::Text));
        }
        remarks.extend(state);
        let Some(last) = self.rows.last() else { return };
        let used: usize = last.iter().map(|span| cells(&span.content)).sum();
        let needed: usize = remarks.iter().map(|(said, _)| cells(said) + 2).sum();
        let fits = used + needed <= self.width;
        let spans = remarks.into_iter().map(|(said, role)| {
            let said = cut(&said, self.width.saturating_sub(2));
            let text = if fits { format!("  {said}") } else { said };
            Span::styled(text, self.app.theme.of(role))
        });
        if fits {
            let longer = last.iter().cloned().chain(spans).collect();
            self.rows.pop();
            self.rows.push(longer);
        } else {
            let rows: Vec<Row> = spans.map(|span| [span].into()).collect();
            self.rows.extend(rows);
        }
    }
}

/// How far a message of ours has come, in words, where the next of ours has not come as far.
fn state_words(app: &App, talk: &Talk, at: usize, message: &MessageView) -> Option<(String, Role)> {
    if !app.is_own(message) || message.deleted {
        return None;
    }
    let mut later = talk.messages.iter().skip(at + 1);
    let next = later.find(|next| app.is_own(next) && !next.deleted);
    if next.is_some_and(|next| next.state == message.state) {
        return None;
    }
    let words = app.words;
    let (said, role) = match message.state {
        Delivery::Queued => {
            let name = app.other_side(message).map(|peer| app.name_of(&peer));
            ((words.queued)(&name.unwrap_or_default()), Role::Caution)
        }
        Delivery::Sent => (words.sent.to_owned(), Role::Faint),
        Delivery::Delivered => (words.delivered.to_owned(), Role::Faint),
        Delivery::Read => (words.read.to_owned(), Role::Good),
    };
    Some((said, role))
}

/// Plain text, with code between lines of three backquotes.
fn text_rows(theme: Theme, width: usize, text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut in_code = false;
    for line in safe::lines(text) {
        if rows.len() >= ROWS_MAX {
            break;
        }
        let fence = line.trim_start().starts_with("```");
        let styles = match (fence, in_code) {
            (true, _) => vec![(0..line.len(), theme.of(Role::Faint))],
            (false, true) => vec![(0..line.len(), theme.of(Role::Code))],
            (false, false) => inline(theme, &line),
        };
        in_code ^= fence;
        let ranges = wrap(&line, width).into_iter();
        rows.extend(ranges.map(|range| Row::from(styled(&line, &range, &styles))));
    }
    rows
}

/// Links, and code between single backquotes.
fn inline(theme: Theme, line: &str) -> Vec<(Range<usize>, Style)> {
    let mut styles = Vec::new();
    let mut ticks = line.match_indices('`').map(|(at, _)| at);
    while let (Some(open), Some(close)) = (ticks.next(), ticks.next()) {
        styles.push((open..close + 1, theme.of(Role::Code)));
    }
    for scheme in ["http://", "https://"] {
        for (at, _) in line.match_indices(scheme) {
            let rest = &line[at..];
            let end = rest.find(ends_link).unwrap_or(rest.len());
            let link = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']']);
            styles.push((at..at + link.len(), theme.of(Role::Link)));
        }
    }
    styles.sort_by_key(|(range, _)| range.start);
    styles
}

fn ends_link(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "<>\"'`，。；：！？、（）【】《》「」".contains(c)
}

/// A range of a line in pieces of one style each.
fn styled(
    line: &str,
    range: &Range<usize>,
    styles: &[(Range<usize>, Style)],
) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut from = range.start;
    for (piece, style) in styles {
        let (start, end) = (piece.start.max(from), piece.end.min(range.end));
        if start >= end {
            continue;
        }
        if from < start {
            spans.push(Span::raw(line[from..start].to_owned()));
        }
        spans.push(Span::styled(line[start..end].to_owned(), *style));
        from = end;
    }
    if from < range.end {
        spans.push(Span::raw(line[from..range.end].to_owned()));
    }
    spans
}

/// The message that a key names, in one line.
pub(crate) fn summary(app: &App, talk: &Talk, key: &Key) -> String {
    talk.find(key)
        .map_or_else(String::new, |message| line_of(app, message))
}

/// A message in one line, for lists.
pub(crate) fn line_of(app: &App, message: &MessageView) -> String {
    let words = app.words;
    match (&message.text, &message.file, &message.call) {
        _ if message.deleted => words.deleted.to_owned(),
        (_, Some(file), _) => format!("◆ {}", safe::one_line(&file.name)),
        (_, _, Some(call)) => format!("☎ {}", (words.call_record)(call, app.is_own(message))),
        (Some(text), ..) => safe::lines(text).next().unwrap_or_default(),
        (None, None, None) => words.newer.to_owned(),
    }
}
