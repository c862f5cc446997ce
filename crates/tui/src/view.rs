//! The screen: what [`App`] knows, drawn. Only what fits is laid out, so that drawing takes the same
//! time however long a conversation is.

use crate::app::{App, CallNow, Link, rings_here};
use crate::commands::may_offer_again;
use crate::format::talked;
use crate::layout::{Areas, PROMPT};
use crate::overlay_view;
use crate::rows;
use crate::safe;
use crate::talk::{Place, Purpose, Talk};
use crate::theme::Role;
use crate::wrap::{cells, cut, fit, wrap};
use hallway_model::{CallDirection, CallState, PeerId, PeerView, Presence, Status};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Cells of a level meter, and the level at which it begins, in dB below the loudest there is.
const METER_CELLS: usize = 8;
const METER_FROM_DBFS: f32 = -60.0;

/// Draws the app.
pub fn view(app: &App, frame: &mut Frame<'_>) {
    let screen = frame.area();
    if (screen.width, screen.height) != app.size {
        // It has just changed: the next picture fits again.
        return;
    }
    let areas = app.areas();
    draw_list(app, frame, &areas);
    draw_head(app, frame, areas.head);
    draw_calls(app, frame, areas.calls);
    draw_banner(app, frame, areas.banner);
    draw_log(app, frame, areas.log);
    draw_about(app, frame, areas.about);
    draw_input(app, frame, areas.input);
    draw_status(app, frame, areas.status);
    overlay_view::draw(app, frame);
}

/// A line at a row of an area; what does not fit is cut off.
pub(crate) fn put(frame: &mut Frame<'_>, area: Rect, row: usize, line: &Line<'_>) {
    if let Ok(row) = u16::try_from(row)
        && row < area.height
    {
        let buffer = frame.buffer_mut();
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

/// The same in one look, over the whole width.
pub(crate) fn put_bar(frame: &mut Frame<'_>, area: Rect, row: usize, text: &str, style: Style) {
    let text = fit(text, usize::from(area.width));
    put(frame, area, row, &Line::from(Span::styled(text, style)));
}

enum ListRow {
    Heading(&'static str),
    Person(PeerId),
}

/// The rows of the list below our own name, from the first that is shown.
fn list_window(app: &App, height: usize) -> Vec<ListRow> {
    let lists = app.lists();
    let mut rows = Vec::new();
    let only_people = lists.requests.is_empty();
    for (heading, people) in [
        (app.words.requests, lists.requests),
        (app.words.people, lists.contacts),
        (app.words.nearby, lists.nearby),
    ] {
        if people.is_empty() {
            continue;
        }
        if heading != app.words.people || !only_people {
            rows.push(ListRow::Heading(heading));
        }
        rows.extend(people.into_iter().map(ListRow::Person));
    }
    let chosen = rows.iter().position(|row| match row {
        ListRow::Person(id) => app.selected == Some(*id),
        ListRow::Heading(_) => false,
    });
    let first = chosen.map_or(0, |at| (at + 1).saturating_sub(height));
    rows.drain(..first.min(rows.len()));
    rows.truncate(height);
    rows
}

/// Whom each row of the list stands for.
pub(crate) fn list_rows(app: &App, height: u16) -> Vec<Option<PeerId>> {
    let below = list_window(app, usize::from(height).saturating_sub(1));
    let below = below.into_iter().map(|row| match row {
        ListRow::Heading(_) => None,
        ListRow::Person(id) => Some(id),
    });
    std::iter::once(None).chain(below).collect()
}

fn draw_list(app: &App, frame: &mut Frame<'_>, areas: &Areas) {
    let area = areas.list;
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    let own = app.me.as_ref().map_or_else(String::new, |me| {
        let name = safe::one_line(me.name.as_str());
        match me.status {
            Status::Available => name,
            Status::Away | Status::Busy => format!("{name} ({})", (app.words.status)(me.status)),
        }
    });
    put_bar(frame, area, 0, &format!(" {own}"), app.theme.of(Role::Bar));
    let rows = list_window(app, usize::from(area.height).saturating_sub(1));
    if rows.is_empty() && app.link == Link::Up {
        let mut row = 1;
        for text in [app.words.nobody, app.words.nobody_hint] {
            for range in wrap(text, width.saturating_sub(1)) {
                let line = Line::from(Span::styled(&text[range], app.theme.of(Role::Faint)));
                put(frame, area, row, &line);
                row += 1;
            }
        }
    }
    for (row, at) in rows.into_iter().zip(1..) {
        let line = match row {
            ListRow::Heading(words) => {
                Line::from(Span::styled(cut(words, width), app.theme.of(Role::Faint)))
            }
            ListRow::Person(id) => match app.peers.get(&id) {
                Some(peer) => person(app, peer, width),
                None => Line::default(),
            },
        };
        put(frame, area, at, &line);
    }
    let beside = area.x + area.width;
    if areas.log.x > beside {
        for y in area.y..area.y + area.height {
            let style = app.theme.of(Role::Faint);
            frame.buffer_mut().set_string(beside, y, "│", style);
        }
    }
}

/// A row of the list: presence, name, badge, what is new.
fn person<'a>(app: &App, peer: &PeerView, width: usize) -> Line<'a> {
    let (dot, role) = match (peer.blocked, peer.state, peer.status) {
        (true, ..) => ("×", Role::Faint),
        (_, Presence::Live, Status::Available) => ("●", Role::Good),
        (_, Presence::Live, Status::Away) => ("◐", Role::Caution),
        (_, Presence::Live, Status::Busy) => ("■", Role::Bad),
        (_, Presence::Nearby, _) => ("○", Role::Text),
        (_, Presence::Offline, _) => ("·", Role::Faint),
    };
    let mut after = String::new();
    if peer.typing {
        after.push('…');
    }
    if app.calls.iter().any(|call| call.view.peer == peer.id) {
        after.push('☎');
    }
    let talk = app
        .talks
        .get(&peer.id)
        .filter(|_| app.selected != Some(peer.id));
    if talk.is_some_and(Talk::has_unsent) {
        after.push('✎');
    }
    match peer.unread {
        0 => {}
        count @ 1..=99 => after.push_str(&format!(" {count}")),
        _ => after.push_str(" 99+"),
    }
    let badge = match (peer.impostor.is_some(), peer.verified) {
        (true, _) => " !",
        (false, true) => " ✓",
        (false, false) => "",
    };
    let room = width.saturating_sub(3 + cells(badge) + cells(&after));
    let name = fit(&app.name_of(&peer.id), room);
    let (name, gap) = name.split_at(name.trim_end().len());
    let chosen = app.selected == Some(peer.id);
    let style = match (chosen, peer.unread > 0, peer.state) {
        (true, ..) => app.theme.of(Role::Chosen),
        (_, true, _) => app.theme.of(Role::Strong),
        (_, _, Presence::Offline) => app.theme.of(Role::Faint),
        _ => app.theme.of(Role::Text),
    };
    let badge_role = if peer.impostor.is_some() {
        Role::Bad
    } else {
        Role::Good
    };
    Line::from(vec![
        Span::styled(format!("{dot} "), app.theme.of(role)),
        Span::styled(name.to_owned(), style),
        Span::styled(badge, app.theme.of(badge_role)),
        Span::raw(gap.to_owned()),
        Span::styled(after, app.theme.of(Role::Caution)),
    ])
}

fn draw_head(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some(peer) = app.selected_peer() else {
        return;
    };
    let mut said = vec![app.presence_of(peer).to_owned()];
    if let (Presence::Offline, Some(seen)) = (peer.state, peer.last_seen) {
        said = vec![(app.words.last_seen)(&rows::when(app, seen))];
    }
    if app
        .me
        .as_ref()
        .is_some_and(|me| me.muted.contains(&peer.id))
    {
        said.push(app.words.quiet.to_owned());
    }
    if peer.blocked {
        said.push(app.words.blocked.to_owned());
    }
    if peer.verified {
        said.push(format!("✓ {}", app.words.verified));
    }
    if peer.typing {
        said = vec![(app.words.typing)(&app.name_of(&peer.id))];
    }
    let name = safe::one_line(&peer.name);
    let head = format!(" {name} ~{} · {}", peer.tag, said.join(" · "));
    put_bar(frame, area, 0, &head, app.theme.of(Role::Bar));
}

fn draw_calls(app: &App, frame: &mut Frame<'_>, area: Rect) {
    for (row, line) in call_lines(app, area.width).iter().enumerate() {
        put(frame, area, row, line);
    }
}

/// What is said of all calls, in lines of so many cells.
pub(crate) fn call_lines(app: &App, width: u16) -> Vec<Line<'static>> {
    let lines = app.calls.iter().flat_map(|call| {
        let mut lines: Vec<Line<'static>> = Vec::new();
        let mut used = 0;
        for piece in call_pieces(app, call) {
            let cells: usize = piece.iter().map(|span| cells(&span.content)).sum();
            match lines.last_mut() {
                Some(line) if used + 2 + cells <= usize::from(width) => {
                    line.push_span("  ");
                    line.extend(piece);
                    used += 2 + cells;
                }
                _ => {
                    lines.push(Line::from(piece));
                    used = cells;
                }
            }
        }
        lines
    });
    lines.collect()
}

/// What is said of a call, in pieces that are not broken.
fn call_pieces(app: &App, call: &CallNow) -> Vec<Vec<Span<'static>>> {
    let (words, view) = (app.words, &call.view);
    let name = app.name_of(&view.peer);
    let strong = app.theme.of(Role::Caution);
    let faint = app.theme.of(Role::Faint);
    let one = |text: String, style: Style| vec![Span::styled(text, style)];
    let (said, keys) = match (view.state, view.direction) {
        (CallState::Active, _) => {
            let passed = app.now.0.saturating_sub(call.told_at.0);
            let time = talked(view.duration_ms + passed);
            let good = app.theme.of(Role::Good);
            let level = |who: &str, dbfs| {
                let name = Span::styled(format!("{who} "), faint);
                vec![name, Span::styled(meter(dbfs), good)]
            };
            let mut pieces = vec![
                one(format!("☎ {name} {time}"), strong),
                level(words.you, call.microphone_dbfs),
                level(&name, call.speaker_dbfs),
            ];
            for remark in (words.call_remarks)(view) {
                pieces.push(one(remark.to_owned(), app.theme.of(Role::Bad)));
            }
            if let Some(stats) = &view.stats {
                let delay = stats.mouth_to_ear_ms.map(|ms| format!(" {ms:.0} ms"));
                let quality = (words.quality)(stats.quality);
                let loss = stats.loss * 100.0;
                let delay = delay.unwrap_or_default();
                pieces.push(one(format!("{quality}{delay} {loss:.1} %"), Style::new()));
            }
            let talk = Some(words.talk_key).filter(|_| view.muted || app.talking.is_some());
            for keys in words.call_keys.iter().copied().chain(talk) {
                pieces.push(one(keys.to_owned(), faint));
            }
            return pieces;
        }
        (CallState::Ringing, CallDirection::Incoming) => {
            ((words.incoming)(&name), words.incoming_keys)
        }
        (CallState::Ringing, CallDirection::Outgoing) => {
            ((words.ringing)(&name), words.outgoing_keys)
        }
        (CallState::Dialling | CallState::Ended, _) => {
            ((words.calling)(&name), words.outgoing_keys)
        }
    };
    vec![
        one(format!("☎ {said}"), strong),
        one(keys.to_owned(), faint),
    ]
}

/// How loud something is.
fn meter(dbfs: Option<f32>) -> String {
    let share = dbfs.map_or(0.0, |dbfs| {
        1.0 - dbfs.clamp(METER_FROM_DBFS, 0.0) / METER_FROM_DBFS
    });
    let full = (1..=METER_CELLS).filter(|cell| {
        let from = u8::try_from(*cell).map_or(1.0, f32::from) - 0.5;
        share * 8.0 >= from
    });
    let full = full.count();
    format!("{}{}", "█".repeat(full), "░".repeat(METER_CELLS - full))
}

fn draw_banner(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some((title, hint, role)) = app.banner() else {
        return;
    };
    let width = usize::from(area.width);
    let title = cut(&format!(" {title}"), width);
    let title = Span::styled(title, app.theme.of(role));
    put(frame, area, 0, &Line::from(title));
    let hint_rows = wrap(hint, width.saturating_sub(1));
    for (range, row) in hint_rows.into_iter().zip(1..) {
        put(frame, area, row, &Line::from(format!(" {}", &hint[range])));
    }
}

fn draw_log(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    let Some(talk) = app.talk().filter(|_| app.selected.is_some()) else {
        return draw_hints(app, frame, area);
    };
    let lines = log_lines(app, talk, area);
    let above = usize::from(area.height).saturating_sub(lines.len());
    for (row, line) in lines.iter().enumerate() {
        put(frame, area, above + row, line);
    }
    if talk.messages.is_empty() && talk.sending.is_empty() {
        let said = match (&talk.asked, talk.has_newest) {
            (Some(_), _) => app.words.loading,
            (None, true) => app.words.empty,
            (None, false) => "",
        };
        put(
            frame,
            area,
            0,
            &Line::from(Span::styled(format!(" {said}"), app.theme.of(Role::Faint))),
        );
    }
}

/// What is on screen of a conversation, from its lowest row up.
fn log_lines(app: &App, talk: &Talk, area: Rect) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut upwards = Vec::new();
    if talk.place == Place::Latest {
        upwards.extend(rows::sending(app, talk, width).into_iter().rev());
    }
    if let Some((lowest, hidden)) = app.lowest(talk) {
        let mut hidden = hidden;
        for at in (0..=lowest).rev() {
            let Some(laid) = rows::of(app, talk, at, width) else {
                break;
            };
            let room = height.saturating_sub(upwards.len());
            let shown = (0..laid.height()).rev().skip(hidden).take(room);
            upwards.extend(shown.map(|row| laid.line(row)));
            hidden = 0;
            if upwards.len() >= height {
                break;
            }
        }
    }
    upwards.truncate(height);
    upwards.reverse();
    upwards
}

fn draw_hints(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let why = match &app.link {
        Link::Down(why) => safe::one_line(why),
        Link::Connecting | Link::Up => String::new(),
    };
    let hints = match app.link {
        Link::Up => [app.words.choose, app.words.choose_hint],
        Link::Connecting => [app.words.connecting, app.words.down_hint],
        Link::Down(_) => [app.words.down, &why],
    };
    let width = usize::from(area.width).saturating_sub(2);
    let mut row = usize::from(area.height / 3);
    for (text, role) in hints.into_iter().zip([Role::Strong, Role::Faint]) {
        for range in wrap(text, width) {
            let text = format!(" {}", &text[range]);
            put(
                frame,
                area,
                row,
                &Line::from(Span::styled(text, app.theme.of(role))),
            );
            row += 1;
        }
    }
}

/// What the text being written will do.
fn draw_about(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some(talk) = app.talk() else { return };
    let said = match &talk.purpose {
        Purpose::Say => return,
        Purpose::Reply(key) => {
            let summary = rows::summary(app, talk, key);
            format!(
                " ↪ {}: {summary}",
                (app.words.replying)(&app.name_of(&key.from))
            )
        }
        Purpose::Edit(key, _) => {
            format!(
                " ✎ {}: {}",
                app.words.editing,
                rows::summary(app, talk, key)
            )
        }
    };
    let said = cut(&said, usize::from(area.width));
    put(
        frame,
        area,
        0,
        &Line::from(Span::styled(said, app.theme.of(Role::Caution))),
    );
}

fn draw_input(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width).saturating_sub(PROMPT.len());
    let default = Default::default();
    let editor = match app.selected {
        Some(_) => app.talk().map_or(&default, |talk| &talk.draft),
        None => &app.loose,
    };
    let rows = editor.rows(width);
    let height = usize::from(area.height);
    let first = (rows.row + 1).saturating_sub(height);
    for (at, range) in rows.rows.iter().skip(first).take(height).enumerate() {
        let prompt = if first + at == 0 { PROMPT } else { "  " };
        let text = safe::one_line(&editor.text()[range.clone()]);
        let line = Line::from(vec![
            Span::styled(prompt, app.theme.of(Role::Strong)),
            Span::raw(text),
        ]);
        put(frame, area, at, &line);
    }
    if app.overlay.is_none() {
        let column = u16::try_from(PROMPT.len() + rows.column).unwrap_or(u16::MAX);
        let row = u16::try_from(rows.row - first).unwrap_or(u16::MAX);
        let x = area
            .x
            .saturating_add(column)
            .min(area.right().saturating_sub(1));
        frame.set_cursor_position(Position::new(x, area.y + row));
    }
}

/// The last line: what is wrong, what just happened, or what can be done.
fn draw_status(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let words = app.words;
    let bar = app.theme.of(Role::Bar);
    let width = usize::from(area.width);
    let (text, style) = match (&app.notice, &app.link) {
        (Some(notice), _) => {
            let style = match notice.bad {
                true => app.theme.of(Role::Alarm),
                false => bar.patch(app.theme.of(Role::Strong)),
            };
            (notice.text.clone(), style)
        }
        (None, Link::Connecting) => (words.connecting.to_owned(), bar),
        (None, Link::Down(_)) => {
            let text = format!("{}; {}", words.down, words.down_hint);
            (text, app.theme.of(Role::Alarm))
        }
        (None, Link::Up) => (hints(app), bar),
    };
    let mut after = String::new();
    if let Some(call) = app.calls.iter().find(|call| rings_here(&call.view)) {
        after.push_str(&format!(
            " ☎ {}",
            (words.incoming)(&app.name_of(&call.view.peer))
        ));
    }
    match app.unread() {
        0 => {}
        count => after.push_str(&format!(" {}", (words.unread)(count))),
    }
    after.push_str(&rows::local(app, app.now).strftime(" %H:%M ").to_string());
    let after = cut(&after, width);
    let text = fit(&format!(" {text}"), width.saturating_sub(cells(&after)));
    let line = Line::from(vec![Span::styled(text, style), Span::styled(after, bar)]);
    put(frame, area, 0, &line);
}

/// The keys that matter now.
fn hints(app: &App) -> String {
    let words = app.words;
    let Some(talk) = app.talk() else {
        return words.keys.to_owned();
    };
    if let Some(message) = talk.chosen() {
        let transfer = app.transfers.get(&message.id);
        let file = match transfer {
            Some(transfer) if may_offer_again(transfer) => words.again_key,
            Some(transfer) => (words.file_keys)(transfer.state, transfer.incoming),
            None => "",
        };
        let own = app.is_own(message) && message.call.is_none();
        let change = match (own, &message.text) {
            (true, Some(_)) => words.message_keys_own,
            (true, None) => words.message_keys_taken,
            (false, _) => "",
        };
        let quoted = if message.reply_to.is_some() {
            words.quoted_key
        } else {
            ""
        };
        let keys = [file, words.message_keys, change, quoted, words.back_key];
        let keys: Vec<&str> = keys.into_iter().filter(|keys| !keys.is_empty()).collect();
        return keys.join("  ");
    }
    if talk.place != Place::Latest {
        return words.below.to_owned();
    }
    words.keys.to_owned()
}
