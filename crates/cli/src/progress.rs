//! Transfers as they come along: on a terminal a line for each that changes in place, otherwise a
//! line for each change of state.

use crate::out::{Out, pad, width};
use crate::{safe, text};
use hallway_model::{TransferState, TransferView};
use rustix::termios::tcgetwinsize;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

/// Taken where the terminal does not tell its size.
const TERMINAL: (usize, usize) = (80, 24);
/// A name is cut to so many cells at least, and takes a quarter of a wide line at most.
const NAME_CELLS_MIN: usize = 10;
/// A bar says nothing with fewer cells, and nothing more with many.
const BAR_CELLS: std::ops::RangeInclusive<usize> = 5..=24;

/// See the module.
pub(crate) struct Board<'a> {
    out: &'a Out,
    live: bool,
    /// Those that go on, by their ids: who it is with, and how it stands.
    open: BTreeMap<String, (String, TransferView)>,
    /// What was last told of each.
    told: BTreeMap<String, (TransferState, Option<u64>)>,
    /// Lines on the terminal that are drawn over.
    drawn: usize,
}

impl<'a> Board<'a> {
    pub(crate) fn new(out: &'a Out) -> Self {
        Self {
            out,
            live: !out.json && io::stderr().is_terminal(),
            open: BTreeMap::new(),
            told: BTreeMap::new(),
            drawn: 0,
        }
    }

    /// A transfer with this person is now so.
    pub(crate) fn show(&mut self, name: &str, transfer: &TransferView) -> io::Result<()> {
        if self.out.json {
            return self.out.value(transfer);
        }
        let id = transfer.id.clone();
        let now = (transfer.state, transfer.resumed_at);
        let before = self.told.insert(id.clone(), now);
        let mut lines = Vec::new();
        if transfer.resumed_at.is_some() && before.is_some_and(|(_, at)| at != now.1) {
            lines.push(text::resumed(transfer));
        }
        let over = transfer.state.is_over();
        if over {
            self.open.remove(&id);
        } else {
            self.open.insert(id, (name.to_owned(), transfer.clone()));
        }
        let changed = before.is_none_or(|(state, _)| state != transfer.state);
        if changed && (over || !self.live) {
            lines.push(text::transfer(name, transfer));
        }
        self.draw(&lines);
        Ok(())
    }

    /// Writes lines that stay, and below them those that change.
    fn draw(&mut self, lines: &[String]) {
        let mut screen = String::new();
        if self.drawn > 0 {
            screen.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in lines {
            screen.push_str(&format!("{}{line}\n", self.fresh()));
        }
        let mut drawn = 0;
        if self.live {
            let (cells, rows) = size();
            for (name, transfer) in self.open.values().take(rows.saturating_sub(1)) {
                let line = line(name, transfer, cells.saturating_sub(1));
                screen.push_str(&format!("{}{line}\n", self.fresh()));
                drawn += 1;
            }
            screen.push_str("\x1b[J");
        }
        self.drawn = drawn;
        let mut stderr = io::stderr().lock();
        // Nobody is left to see it when stderr is closed.
        let _ = stderr.write_all(screen.as_bytes());
        let _ = stderr.flush();
    }

    /// What makes place for a line on a terminal.
    fn fresh(&self) -> &'static str {
        if self.live { "\r\x1b[2K" } else { "" }
    }
}

/// Cells and rows of the terminal.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => TERMINAL,
    }
}

/// A transfer in one line of so many cells: what matters most is left out last.
fn line(name: &str, transfer: &TransferView, cells: usize) -> String {
    let arrow = if transfer.incoming { "<" } else { ">" };
    let file = safe::one_line(&transfer.file.name);
    let file_cells = width(&file).min((cells / 4).max(NAME_CELLS_MIN));
    let mut shown = format!("{arrow} {}", pad(&clip(&file, file_cells), file_cells));
    if transfer.state != TransferState::Running {
        let state = format!("{shown}  {}", text::transfer_state(transfer));
        return clip(&state, cells);
    }
    let percent = text::percent(transfer.moved, transfer.file.bytes);
    shown.push_str(&format!("  {percent:>3} %"));
    let mut room = cells.saturating_sub(width(&shown));
    let mut take = |part: Option<String>| {
        let part = part.filter(|part| width(part) + 2 <= room)?;
        room -= width(&part) + 2;
        Some(part)
    };
    let left = take(transfer.left_ms.map(text::time_left));
    let least = "#".repeat(BAR_CELLS.start() + 2);
    let has_bar = take(Some(least)).is_some();
    let rate = take(transfer.rate.map(text::rate));
    let bytes = take(Some(text::bytes_of(transfer.moved, transfer.file.bytes)));
    let with = take(Some(name.to_owned()));
    let parts = [bytes, rate, left, with];
    if has_bar {
        let more = room.min(BAR_CELLS.end() - BAR_CELLS.start());
        shown.push_str(&format!("  {}", bar(percent, BAR_CELLS.start() + more)));
    }
    for part in parts.into_iter().flatten() {
        shown.push_str(&format!("  {part}"));
    }
    shown
}

fn bar(percent: u64, cells: usize) -> String {
    let full = usize::try_from(percent).unwrap_or(100) * cells / 100;
    format!("[{}{}]", "#".repeat(full), "-".repeat(cells - full))
}

/// The text in so many cells: its middle is left out, so that the ending of a name stays.
fn clip(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let fits = |text: &mut dyn Iterator<Item = char>, cells: usize| -> Vec<char> {
        let mut taken = 0;
        text.take_while(|c| {
            taken += width(c.encode_utf8(&mut [0; 4]));
            taken <= cells
        })
        .collect()
    };
    let end = fits(&mut text.chars().rev(), cells.saturating_sub(2) / 2);
    let end_text: String = end.iter().rev().collect();
    let start: String = fits(
        &mut text.chars(),
        cells.saturating_sub(2 + width(&end_text)),
    )
    .into_iter()
    .collect();
    pad(&format!("{start}..{end_text}"), cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::{FileView, PeerId, WallTime};

    fn transfer(name: &str, moved: u64) -> TransferView {
        TransferView {
            id: "0".repeat(32),
            peer: PeerId([1; 32]),
            incoming: false,
            file: FileView {
                name: name.into(),
                bytes: 30_000_000,
                files: 1,
                folder: false,
                media_type: None,
                thumbnail: false,
                left_out: 0,
                left_out_names: Vec::new(),
            },
            state: TransferState::Running,
            failure: None,
            moved,
            resumed_at: None,
            changed: 0,
            rate: Some(3_200_000),
            left_ms: Some(7_000),
            path: None,
            at: WallTime(0),
        }
    }

    #[test]
    fn a_line_says_as_much_as_fits() {
        let lines: Vec<String> = [100, 79, 60, 40, 30, 20]
            .into_iter()
            .map(|cells| line("Bo", &transfer("报价单 2026.xlsx", 18_900_000), cells))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        > 报价单 2026.xlsx   63 %  [###############---------]  18.9 MB / 30.0 MB  3.2 MB/s  0:07 left  Bo
        > 报价单 2026.xlsx   63 %  [###---]  18.9 MB / 30.0 MB  3.2 MB/s  0:07 left  Bo
        > 报价单 ..6.xlsx   63 %  [####---]  3.2 MB/s  0:07 left  Bo
        > 报价..xlsx   63 %  [###---]  0:07 left
        > 报价..xlsx   63 %  0:07 left
        > 报价..xlsx   63 %
        ");
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_is_wide() {
        let names = [
            "x",
            "报价单报价单报价单报价单报价单报价单.xlsx",
            &"long name ".repeat(20),
        ];
        for cells in 12..200 {
            for name in names {
                for state in [
                    TransferState::Running,
                    TransferState::WaitingForRoom,
                    TransferState::PausedByThem,
                ] {
                    for moved in [0, 29_999_999, 30_000_000] {
                        let transfer = TransferView {
                            state,
                            ..transfer(name, moved)
                        };
                        let line = line("王小明", &transfer, cells);
                        assert!(width(&line) <= cells.max(20), "{cells}: {line}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_bar_is_full_only_at_the_end() {
        assert_eq!(bar(0, 8), "[--------]");
        assert_eq!(bar(63, 8), "[#####---]");
        assert_eq!(bar(99, 8), "[#######-]");
        assert_eq!(bar(100, 8), "[########]");
    }

    #[test]
    fn a_name_keeps_its_ending() {
        assert_eq!(clip("report.pdf", 10), "report.pdf");
        assert_eq!(clip("quarterly report.pdf", 14), "quarte..rt.pdf");
        assert_eq!(clip("报价单报价单.xlsx", 12), "报价...xlsx ");
        assert_eq!(clip("王", 1), "..");
    }
}
