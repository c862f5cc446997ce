//! What lies over the conversation, drawn.

use crate::app::{App, FilePrompt, Find, Overlay};
use crate::editor::Editor;
use crate::format::bytes;
use crate::overlays::EMOJI;
use crate::qr;
use crate::rows;
use crate::safe;
use crate::settings::{Asked, Prompt, Setting, SettingsList};
use crate::theme::{Role, Theme};
use crate::view::{put, put_bar};
use crate::wrap::{cells, cut, fit, wrap};
use hallway_model::{PeerId, VerifyView};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

/// What digits and words of a safety number need beside its code.
const DIGITS_CELLS: usize = 40;
/// Wider lines are harder to read.
const CELLS_MAX: u16 = 84;

/// Draws it, if there is any.
pub(crate) fn draw(app: &App, frame: &mut Frame<'_>) {
    match &app.overlay {
        None => {}
        Some(Overlay::Lines {
            title,
            lines,
            scroll,
        }) => draw_lines(app, frame, title, lines, *scroll),
        Some(Overlay::Find(find)) => draw_find(app, frame, find),
        Some(Overlay::File(prompt)) => draw_file(app, frame, prompt),
        Some(Overlay::React { editor, .. }) => draw_react(app, frame, editor),
        Some(Overlay::Settings(list)) => draw_settings(app, frame, list),
        Some(Overlay::Prompt(prompt)) => draw_asked(app, frame, prompt),
        Some(Overlay::Safety { peer, number }) => draw_safety(app, frame, peer, number.as_ref()),
        Some(Overlay::Sure { question, .. }) => draw_sure(app, frame, question),
    }
}

/// Clears room for so many rows below a title, and returns it.
fn open(app: &App, frame: &mut Frame<'_>, title: &str, rows: usize) -> Rect {
    let screen = frame.area();
    let whole = app.areas();
    let height = screen.height.saturating_sub(whole.status.height);
    let width = screen.width.min(CELLS_MAX);
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(1);
    let rows = wanted.min(height);
    let area = Rect::new((screen.width - width) / 2, (height - rows) / 2, width, rows);
    frame.render_widget(Clear, area);
    put_bar(
        frame,
        area,
        0,
        &format!(" {title}"),
        app.theme.of(Role::Bar),
    );
    let body = Rect {
        y: area.y + 1.min(area.height),
        height: area.height.saturating_sub(1),
        ..area
    };
    // Blanks, so that what is below does not shine through in colour.
    for row in 0..usize::from(body.height) {
        put_bar(frame, body, row, "", Style::reset());
    }
    // Half of a wide character would reach in from the left.
    if let Some(left) = area.x.checked_sub(1) {
        for y in area.y..area.bottom() {
            let cell = frame.buffer_mut().cell_mut((left, y));
            if let Some(cell) = cell.filter(|cell| cells(cell.symbol()) > 1) {
                cell.set_symbol(" ");
            }
        }
    }
    body
}

fn draw_lines(
    app: &App,
    frame: &mut Frame<'_>,
    title: &str,
    lines: &[(String, String)],
    scroll: usize,
) {
    let width = usize::from(frame.area().width.min(CELLS_MAX)).saturating_sub(2);
    let left = lines.iter().map(|(left, _)| cells(left)).max().unwrap_or(0);
    let left = left.min(width / 3);
    let room = width.saturating_sub(left + 2).max(1);
    let mut shown = Vec::new();
    for (what, text) in lines.iter().skip(scroll) {
        let pieces = wrap(text, room);
        for (at, range) in pieces.into_iter().enumerate() {
            let what = if at == 0 { what.as_str() } else { "" };
            shown.push(Line::from(vec![
                Span::styled(format!(" {}", fit(what, left)), app.theme.of(Role::Strong)),
                Span::raw(format!("  {}", &text[range])),
            ]));
        }
    }
    let rows = shown.len().max(lines.len());
    let hides = scroll > 0 || rows >= usize::from(app.areas().status.y);
    let title = match hides {
        true => format!("{title}  {}", app.words.scroll_keys),
        false => title.to_owned(),
    };
    let body = open(app, frame, &title, rows);
    for (row, line) in shown.iter().enumerate() {
        put(frame, body, row, line);
    }
}

fn draw_settings(app: &App, frame: &mut Frame<'_>, list: &SettingsList) {
    let width = usize::from(frame.area().width.min(CELLS_MAX));
    let all = app.settings();
    let said: Vec<_> = all
        .iter()
        .map(|setting| app.setting_words(setting))
        .collect();
    let left = said
        .iter()
        .map(|(label, _)| cells(label))
        .max()
        .unwrap_or(0);
    let left = left.min(width / 2);
    let mut before = "";
    let mut rows = Vec::new();
    for ((label, value), at) in said.iter().zip(0..) {
        // A label stands once above others of its kind.
        let what = if *label == before { "" } else { label };
        before = label;
        let hint = match all.get(at).filter(|_| at == list.at) {
            Some(Setting::Address(_)) => format!(" ({})", app.words.drops),
            Some(Setting::Blocked(_)) => format!(" ({})", app.words.unblocks),
            _ => String::new(),
        };
        let value = fit(&format!("{value}{hint}"), width.saturating_sub(left + 3));
        let (label_style, style) = match at == list.at {
            true => (app.theme.of(Role::Chosen), app.theme.of(Role::Chosen)),
            false => (app.theme.of(Role::Strong), app.theme.of(Role::Text)),
        };
        rows.push(Line::from(vec![
            Span::styled(format!(" {}", fit(what, left)), label_style),
            Span::styled(format!("  {value}"), style),
        ]));
    }
    let title = format!("{}  {}", app.words.settings, app.words.settings_keys);
    let body = open(app, frame, &title, rows.len());
    let height = usize::from(body.height);
    let first = (list.at + 1).saturating_sub(height);
    for (row, line) in rows.iter().skip(first).take(height).enumerate() {
        put(frame, body, row, line);
    }
}

/// One line that is asked for, below what it is for.
fn draw_asked(app: &App, frame: &mut Frame<'_>, prompt: &Prompt) {
    let words = app.words;
    let (title, about) = match prompt.asked {
        Asked::Welcome => (words.welcome, words.welcome_hint),
        Asked::Name => (words.set_name, words.name_hint),
        Asked::Folder => (words.set_folder, words.folder_hint),
        Asked::Address => (words.new_address, words.address_hint),
        Asked::Day => (words.day, words.day_hint),
    };
    let width = usize::from(frame.area().width.min(CELLS_MAX)).saturating_sub(2);
    let about_rows = wrap(about, width);
    let room = usize::from(app.areas().status.y).saturating_sub(3);
    let keys = Span::styled(format!(" {}", words.prompt_keys), app.theme.of(Role::Faint));
    let shown = about_rows.len().min(room);
    let body = open(app, frame, title, shown + 2);
    for (row, range) in about_rows.into_iter().take(shown).enumerate() {
        put(frame, body, row, &Line::from(format!(" {}", &about[range])));
    }
    let below = u16::try_from(shown).unwrap_or(u16::MAX).min(body.height);
    let line = Rect {
        y: body.y + below,
        height: body.height - below,
        ..body
    };
    draw_prompt(app, frame, line, &prompt.editor, "");
    put(frame, line, 1, &Line::from(keys));
}

/// The line that is typed into, with the terminal's cursor.
fn draw_prompt(app: &App, frame: &mut Frame<'_>, area: Rect, editor: &Editor, hint: &str) {
    let width = usize::from(area.width).saturating_sub(3);
    let rows = editor.rows(width);
    let range = rows.rows.get(rows.row).cloned().unwrap_or_default();
    let typed = safe::one_line(&editor.text()[range]);
    let (text, role) = match editor.is_empty() {
        true => (cut(hint, width), Role::Faint),
        false => (typed, Role::Text),
    };
    let line = Line::from(vec![
        Span::styled(" > ", app.theme.of(Role::Strong)),
        Span::styled(text, app.theme.of(role)),
    ]);
    put(frame, area, 0, &line);
    let column = u16::try_from(rows.column + 3).unwrap_or(u16::MAX);
    if area.height > 0 {
        let x = area
            .x
            .saturating_add(column)
            .min(area.right().saturating_sub(1));
        frame.set_cursor_position(Position::new(x, area.y));
    }
}

/// Rows to choose from below a prompt, scrolled to where the chosen one is.
fn draw_choices(frame: &mut Frame<'_>, area: Rect, choices: &[Line<'_>], chosen: Option<usize>) {
    let height = usize::from(area.height).saturating_sub(1);
    let first = chosen.map_or(0, |at| (at + 1).saturating_sub(height));
    for (row, line) in choices.iter().skip(first).take(height).enumerate() {
        put(frame, area, row + 1, line);
    }
}

fn draw_find(app: &App, frame: &mut Frame<'_>, find: &Find) {
    let width = usize::from(frame.area().width.min(CELLS_MAX));
    let mut choices = Vec::new();
    let mut chosen = None;
    let mut style_of = |at: usize, row: usize| {
        if at == find.at {
            chosen = Some(row);
            app.theme.of(Role::Chosen)
        } else {
            Style::new()
        }
    };
    for (at, id) in find.people.iter().enumerate() {
        let presence = app.peers.get(id).map_or("", |peer| app.presence_of(peer));
        let unread = match app.peers.get(id).map_or(0, |peer| peer.unread) {
            0 => String::new(),
            count => format!("  {}", (app.words.unread)(count)),
        };
        let text = format!(" {} ~{}  {presence}{unread}", app.name_of(id), id.tag());
        let style = style_of(at, choices.len());
        choices.push(Line::from(Span::styled(cut(&text, width), style)));
    }
    if !find.messages.is_empty() {
        let title = cut(app.words.found_messages, width);
        choices.push(Line::from(Span::styled(title, app.theme.of(Role::Faint))));
    }
    for (at, message) in find.messages.iter().enumerate() {
        let with = app.other_side(message).unwrap_or(message.from);
        let date = rows::local(app, message.at).strftime("%Y-%m-%d %H:%M");
        let from = if app.is_own(message) { "→ " } else { "" };
        let (name, said) = (app.name_of(&with), rows::line_of(app, message));
        let text = format!(" {date} {from}{name}: {said}");
        let style = style_of(find.people.len() + at, choices.len());
        choices.push(Line::from(Span::styled(cut(&text, width), style)));
    }
    if choices.is_empty() {
        let none = format!(" {}", app.words.nothing_found);
        choices.push(Line::from(Span::styled(none, app.theme.of(Role::Faint))));
    }
    let body = open(app, frame, app.words.find, choices.len() + 1);
    draw_prompt(app, frame, body, &find.editor, app.words.find_hint);
    draw_choices(frame, body, &choices, chosen);
}

fn draw_file(app: &App, frame: &mut Frame<'_>, prompt: &FilePrompt) {
    let width = usize::from(frame.area().width.min(CELLS_MAX));
    let faint = app.theme.of(Role::Faint);
    let entries = prompt.fitting().map(|entry| {
        let (slash, size) = match entry.folder {
            true => ("/", String::new()),
            false => ("", bytes(entry.bytes)),
        };
        let name = safe::one_line(&entry.name);
        let name = fit(&format!(" {name}{slash}"), width.saturating_sub(12));
        Line::from(vec![
            Span::raw(name),
            Span::styled(format!("{size:>10}"), faint),
        ])
    });
    let mut choices: Vec<Line<'_>> = entries.collect();
    if prompt.entries.is_none() {
        let none = format!(" {}", app.words.no_such_folder);
        choices.push(Line::from(Span::styled(none, app.theme.of(Role::Bad))));
    }
    let rows = usize::from(frame.area().height) / 2;
    let body = open(app, frame, app.words.send_file, rows.max(choices.len() + 1));
    draw_prompt(app, frame, body, &prompt.editor, app.words.send_file_hint);
    draw_choices(frame, body, &choices, None);
}

fn draw_react(app: &App, frame: &mut Frame<'_>, editor: &Editor) {
    let numbered = EMOJI
        .iter()
        .zip(1..)
        .map(|(emoji, n)| format!(" {n} {emoji} "));
    let choices: String = numbered.collect();
    let body = open(app, frame, app.words.react, 2);
    draw_prompt(app, frame, body, editor, app.words.react_hint);
    draw_choices(frame, body, &[Line::from(choices)], None);
}

fn draw_safety(app: &App, frame: &mut Frame<'_>, peer: &PeerId, number: Option<&VerifyView>) {
    let whole = usize::from(frame.area().width.min(CELLS_MAX));
    let code = number.map_or_else(Vec::new, |number| code_of(app, frame, number));
    let beside = code.first().map_or(0, |row| cells(row) + 1);
    let width = whole.saturating_sub(2 + beside);
    let name = app.name_of(peer);
    let mut lines = vec![Line::default()];
    match number {
        None => lines.push(Line::from(format!(" {}", app.words.loading))),
        Some(number) => {
            let groups: Vec<&str> = number.safety_number.split_whitespace().collect();
            for four in groups.chunks(4) {
                let four = format!("   {}", four.join(" "));
                lines.push(Line::from(Span::styled(four, app.theme.of(Role::Strong))));
            }
        }
    }
    lines.push(Line::default());
    let (hint, keys) = match number.is_some_and(|number| number.verified) {
        true => (format!("✓ {}", (app.words.is_verified)(&name)), ""),
        false => ((app.words.safety_hint)(&name), app.words.safety_keys),
    };
    for range in wrap(&hint, width) {
        lines.push(Line::from(format!(" {}", &hint[range])));
    }
    let keys = Span::styled(format!(" {keys}"), app.theme.of(Role::Caution));
    lines.push(Line::from(keys));
    let rows = lines.len().max(code.len());
    let body = open(app, frame, &(app.words.safety)(&name), rows);
    for (row, line) in lines.iter().enumerate() {
        put(frame, body, row, line);
    }
    let right = Rect {
        x: body.x + u16::try_from(whole.saturating_sub(beside)).unwrap_or(0),
        width: u16::try_from(beside).unwrap_or(0),
        ..body
    };
    for (row, modules) in code.into_iter().enumerate() {
        let style = Style::new().fg(Color::Black).bg(Color::White);
        put(frame, right, row, &Line::from(Span::styled(modules, style)));
    }
}

/// The number for a camera, where there is room beside the digits, and colours to draw it in.
fn code_of(app: &App, frame: &Frame<'_>, number: &VerifyView) -> Vec<String> {
    let digits: String = number.safety_number.split_whitespace().collect();
    let screen = frame.area();
    let fits = |rows: &Vec<String>| {
        let height = screen.height.saturating_sub(app.areas().status.height + 1);
        let width = rows.first().map_or(0, |row| cells(row) + DIGITS_CELLS);
        rows.len() <= usize::from(height) && width <= usize::from(screen.width.min(CELLS_MAX))
    };
    let rows = (app.theme != Theme::Plain).then(|| qr::rows(&digits));
    rows.flatten().filter(fits).unwrap_or_default()
}

fn draw_sure(app: &App, frame: &mut Frame<'_>, question: &str) {
    let width = usize::from(frame.area().width.min(CELLS_MAX)).saturating_sub(2);
    let pieces = wrap(question, width);
    let body = open(app, frame, "?", pieces.len() + 1);
    for (row, range) in pieces.iter().cloned().enumerate() {
        put(
            frame,
            body,
            row,
            &Line::from(format!(" {}", &question[range])),
        );
    }
    let keys = Span::styled(
        format!(" {}", app.words.yes_no),
        app.theme.of(Role::Caution),
    );
    put(frame, body, pieces.len(), &Line::from(keys));
}
