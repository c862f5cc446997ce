//! Output: data on stdout, talk on stderr, colour where a person looks.

use crate::safe;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;
use unicode_width::UnicodeWidthStr;

/// Where a command's output goes, and in what form.
pub(crate) struct Out {
    /// JSON instead of text for people.
    pub(crate) json: bool,
    colour: bool,
}

/// How a piece of text looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Bold,
    Dim,
    Good,
    Caution,
    Bad,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            colour: has_colour(&io::stdout()),
        }
    }

    /// Data as it is.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Data for people: whole lines, written at once.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.bytes(format!("{text}{end}").as_bytes())
    }

    /// Data for programs: one value on a line of its own.
    pub(crate) fn value(&self, value: &impl Serialize) -> io::Result<()> {
        self.text(&safe::json(&serde_json::to_string(value)?))
    }

    /// Data for programs: a value on each line, written at once.
    pub(crate) fn values(&self, values: &[impl Serialize]) -> io::Result<()> {
        let mut lines = String::new();
        for value in values {
            lines.push_str(&safe::json(&serde_json::to_string(value)?));
            lines.push('\n');
        }
        self.bytes(lines.as_bytes())
    }

    /// One value in either form.
    pub(crate) fn either(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.json {
            self.value(value)
        } else {
            self.text(&text())
        }
    }

    /// Waits until nobody reads stdout any more, which a pipe tells without being written to.
    pub(crate) async fn abandoned(&self) {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        // A file cannot be waited for, and is never abandoned.
        if let Ok(stdout) = stdout.and_then(Sender::from_owned_fd_unchecked)
            && stdout.ready(Interest::ERROR).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Talk, which is not the result. Nobody is left to tell when stderr is closed.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// The text in its colour, or as it is.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Caution => "33",
            Paint::Bad => "1;31",
            Paint::Plain => return text.to_owned(),
        };
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Colour only on a terminal that has it, and not against the person's wish
/// (<https://no-color.org>).
pub(crate) fn has_colour(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    stream.is_terminal() && !unwanted && !dumb
}

/// The cells that a text takes on a terminal: two for each Chinese character.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text followed by as many blanks as it lacks to this width.
pub(crate) fn pad(text: &str, cells: usize) -> String {
    let blanks = cells.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(blanks))
}

/// Lines with columns as wide as their widest cell; the last column is left ragged.
pub(crate) fn table<const N: usize>(out: &Out, rows: &[[(Paint, String); N]]) -> String {
    let widest = |column: usize| {
        rows.iter()
            .map(|row| width(&row[column].1))
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(widest);
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((paint, cell), cells) in row.iter().zip(widths).filter(|(_, cells)| *cells > 0) {
            line.push_str(&out.paint(*paint, cell));
            line.push_str(&" ".repeat(cells - width(cell) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_the_eye_sees() {
        let out = Out {
            json: false,
            colour: false,
        };
        let row = |a: &str, b: &str, c: &str| {
            [
                (Paint::Bold, a.into()),
                (Paint::Dim, b.into()),
                (Paint::Plain, c.into()),
            ]
        };
        let rows = [
            row("Ann", "", "x"),
            row("王小明", "", ""),
            row("Zoë", "", "yy"),
        ];
        assert_eq!(table(&out, &rows), "Ann     x\n王小明\nZoë     yy\n");
    }

    #[test]
    fn colour_is_put_on_and_left_off() {
        let colour = Out {
            json: false,
            colour: true,
        };
        assert_eq!(colour.paint(Paint::Good, "live"), "\x1b[32mlive\x1b[0m");
        assert_eq!(colour.paint(Paint::Good, ""), "");
        assert_eq!(colour.paint(Paint::Plain, "live"), "live");
        let plain = Out {
            json: false,
            colour: false,
        };
        assert_eq!(plain.paint(Paint::Good, "live"), "live");
    }
}
