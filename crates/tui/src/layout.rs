//! Where everything is on a screen of whatever size, and how a conversation is scrolled there.

use crate::app::App;
use crate::io::Effect;
use crate::rows;
use crate::talk::{Key, Part, Place, Purpose, Talk};
use crate::theme::Role;
use crate::view::call_lines;
use crate::wrap::wrap;
use hallway_model::Presence;
use ratatui::layout::Rect;

/// From this width on the list stands beside the conversation; below, one of them is shown.
const BOTH_FROM: u16 = 60;
/// The list takes a quarter within these bounds: a name of some length must fit, and more would be
/// taken from the conversation.
const LIST_CELLS: (u16, u16) = (20, 32);
/// Rows of the text being written, at most; beyond, it scrolls.
const INPUT_ROWS_MAX: u16 = 6;
/// Rows of all calls; there are never many at once.
const CALL_ROWS_MAX: u16 = 4;

/// See the module. What has no room has no rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Areas {
    pub(crate) list: Rect,
    pub(crate) head: Rect,
    pub(crate) calls: Rect,
    pub(crate) banner: Rect,
    pub(crate) log: Rect,
    /// What the text being written will do.
    pub(crate) about: Rect,
    pub(crate) input: Rect,
    pub(crate) status: Rect,
}

/// What stands before the caret, in cells.
pub(crate) const PROMPT: &str = "> ";

impl App {
    pub(crate) fn areas(&self) -> Areas {
        let (width, height) = self.size;
        let whole = Rect::new(0, 0, width, height);
        let status_rows = u16::from(height >= 3);
        let (mut rest, status) = split_bottom(whole, status_rows);
        let both = width >= BOTH_FROM;
        let mut areas = Areas {
            status,
            ..Areas::default()
        };
        if both {
            let cells = (width / 4).clamp(LIST_CELLS.0, LIST_CELLS.1);
            areas.list = Rect {
                width: cells,
                ..rest
            };
            // One column between the two is a line.
            rest = Rect {
                x: cells + 1,
                width: width - cells - 1,
                ..rest
            };
        }
        let mut room = rest.height.saturating_sub(2);
        let mut take = |wanted: u16| {
            let rows = wanted.min(room);
            room -= rows;
            rows
        };
        let input_rows = 1 + take(
            self.input_rows(rest.width)
                .min(INPUT_ROWS_MAX.min(height / 3))
                .max(1)
                - 1,
        );
        let about = take(u16::from(*self.purpose() != Purpose::Say));
        let calls = call_lines(self, rest.width).len();
        let calls = u16::try_from(calls).unwrap_or(u16::MAX);
        let calls = take(calls.min(CALL_ROWS_MAX));
        let head = take(u16::from(self.selected.is_some()));
        let banner = take(self.banner_rows(rest.width));
        (areas.head, rest) = split_top(rest, head);
        (areas.calls, rest) = split_top(rest, calls);
        (areas.banner, rest) = split_top(rest, banner);
        (rest, areas.input) = split_bottom(rest, input_rows);
        (areas.log, areas.about) = split_bottom(rest, about);
        if !both && self.selected.is_none() {
            areas.list = areas.log;
            areas.log = Rect::default();
        }
        areas
    }

    fn input_rows(&self, width: u16) -> u16 {
        let editor = match self.selected {
            Some(peer) => self.talks.get(&peer).map(|talk| &talk.draft),
            None => Some(&self.loose),
        };
        let width = usize::from(width).saturating_sub(PROMPT.len());
        let rows = editor.map_or(1, |editor| editor.rows(width).rows.len());
        u16::try_from(rows).unwrap_or(u16::MAX)
    }

    /// A title and its hint.
    fn banner_rows(&self, width: u16) -> u16 {
        match self.banner() {
            Some((_, hint, _)) => {
                let hint = wrap(hint, usize::from(width).saturating_sub(1)).len();
                u16::try_from(1 + hint).unwrap_or(u16::MAX)
            }
            None => 0,
        }
    }

    /// What is to be decided about the person on screen, and how.
    pub(crate) fn banner(&self) -> Option<(String, &'static str, Role)> {
        let peer = self.selected_peer()?;
        let (name, words) = (self.name_of(&peer.id), self.words);
        if peer.request {
            let title = (words.request)(&name);
            Some((title, words.request_hint, Role::Caution))
        } else {
            peer.impostor?;
            let title = (words.impostor)(&name);
            Some((title, words.impostor_hint, Role::Bad))
        }
    }

    /// Asks for what is needed to fill the screen and a screen on each side.
    pub(crate) fn fill_screen(&mut self) {
        let Some(peer) = self.selected else { return };
        let log = self.areas().log;
        let width = usize::from(log.width);
        let Some(talk) = self.talks.get(&peer) else {
            return;
        };
        let wanted = usize::from(log.height) * 2;
        let Some((at, _)) = self.lowest(talk) else {
            return;
        };
        let is_short = |mut indices: Box<dyn Iterator<Item = usize>>| {
            let mut rows = 0;
            indices.all(|index| {
                rows += rows::height(self, talk, index, width);
                rows < wanted
            })
        };
        let part: Option<Part> = if is_short(Box::new((0..=at).rev())) && talk.older().is_some() {
            talk.older()
        } else if is_short(Box::new(at + 1..talk.messages.len())) {
            talk.newer()
        } else {
            None
        };
        if let (Some(part), Some(talk)) = (part, self.talks.get_mut(&peer)) {
            talk.asked = Some(part.clone());
            self.effects.push(Effect::Read(peer, part));
        }
    }

    /// The lowest message on screen, by its place in the window, and how much of it is below.
    pub(crate) fn lowest(&self, talk: &Talk) -> Option<(usize, usize)> {
        let last = talk.messages.len().checked_sub(1)?;
        match &talk.place {
            Place::Latest => Some((last, 0)),
            Place::At { message, hidden } => match talk.position(message) {
                Some(at) => {
                    let height = rows::height(self, talk, at, self.log_width());
                    Some((at, (*hidden).min(height.saturating_sub(1))))
                }
                None => Some((last, 0)),
            },
        }
    }

    fn log_width(&self) -> usize {
        usize::from(self.areas().log.width)
    }

    /// Scrolls the conversation by so many rows.
    pub(crate) fn scroll(&mut self, up: bool, rows: usize) {
        let Some(talk) = self.talk() else { return };
        let Some((at, hidden)) = self.lowest(talk) else {
            return;
        };
        let log = self.areas().log;
        let (width, height) = (usize::from(log.width), usize::from(log.height));
        let height_of = |index: usize| rows::height(self, talk, index, width);
        let last = talk.messages.len() - 1;
        let (mut at, mut hidden) = if up {
            above(height_of, at, hidden + rows)
        } else {
            below(height_of, last, at, hidden, rows)
        };
        // At its beginning a conversation fills the screen as long as it can.
        let mut filled = 0;
        for index in (0..=at).rev() {
            filled += height_of(index);
            if filled >= height + hidden {
                break;
            }
        }
        if let Some(missing) = (height + hidden).checked_sub(filled) {
            (at, hidden) = below(height_of, last, at, hidden, missing);
        }
        let is_end = at + 1 == talk.messages.len() && hidden == 0 && talk.has_newest;
        let place = match talk.messages.get(at) {
            Some(message) if !is_end => Place::At {
                message: Key::of(message),
                hidden,
            },
            _ => Place::Latest,
        };
        if let Some(talk) = self.talk_mut() {
            talk.place = place;
            talk.stuck = false;
        }
    }

    /// Chooses the message above or below the chosen one; below the last, none.
    pub(crate) fn choose(&mut self, up: bool) {
        let Some(talk) = self.talk() else { return };
        let Some((lowest, hidden)) = self.lowest(talk) else {
            return;
        };
        let chosen = talk.chosen.as_ref().and_then(|key| talk.position(key));
        let next = match (chosen, up) {
            (None, true) => Some(lowest),
            (None, false) => return,
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < talk.messages.len()),
        };
        let Some(at) = next else {
            self.go_to_latest();
            return;
        };
        let key = talk.messages.get(at).map(Key::of);
        let log = self.areas().log;
        let (width, height) = (usize::from(log.width), usize::from(log.height));
        let down_to_it = at > lowest || (at == lowest && hidden > 0);
        let rows = (at..=lowest).map(|index| rows::height(self, talk, index, width));
        let rows: usize = rows.sum();
        let too_high = rows.saturating_sub(hidden).saturating_sub(height);
        if let Some(talk) = self.talk_mut() {
            talk.chosen.clone_from(&key);
        }
        if down_to_it && let (Some(message), Some(talk)) = (key, self.talk_mut()) {
            talk.place = Place::At { message, hidden: 0 };
            self.scroll(false, 0);
        } else if too_high > 0 {
            self.scroll(true, too_high);
        }
    }

    /// The word for where somebody is, and for what they say of themselves.
    pub(crate) fn presence_of(&self, peer: &hallway_model::PeerView) -> &'static str {
        match peer.state {
            Presence::Live => (self.words.status)(peer.status),
            Presence::Nearby | Presence::Offline => (self.words.presence)(peer.state),
        }
    }
}

/// From a message and so many rows of it hidden, to the one that is lowest when all of them are.
fn above(height_of: impl Fn(usize) -> usize, mut at: usize, mut hidden: usize) -> (usize, usize) {
    loop {
        let height = height_of(at);
        if hidden < height {
            return (at, hidden);
        }
        if at == 0 {
            return (0, height.saturating_sub(1));
        }
        hidden -= height;
        at -= 1;
    }
}

/// So many rows further down, but not beyond the last message.
fn below(
    height_of: impl Fn(usize) -> usize,
    last: usize,
    mut at: usize,
    hidden: usize,
    rows: usize,
) -> (usize, usize) {
    let Some(mut left) = rows.checked_sub(hidden) else {
        return (at, hidden - rows);
    };
    while left > 0 && at < last {
        at += 1;
        let height = height_of(at);
        match left.checked_sub(height) {
            Some(less) => left = less,
            None => return (at, height - left),
        }
    }
    (at, 0)
}

fn split_top(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    let top = Rect {
        height: rows,
        ..area
    };
    let rest = Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    };
    (top, rest)
}

fn split_bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    split_top(area, area.height - rows.min(area.height))
}
