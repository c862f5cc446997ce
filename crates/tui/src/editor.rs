//! A text that is being written, and its caret.

use crate::safe;
use hallway_model::TEXT_BYTES_MAX;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};
use unicode_width::UnicodeWidthStr;

/// See the module. The caret is at a boundary between graphemes, in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Editor {
    text: String,
    caret: usize,
    /// How it was shown last, until it changes: laying out a long one takes milliseconds.
    laid: RefCell<Option<Laid>>,
}

/// The rows of a text at a width.
#[derive(Clone, Debug)]
struct Laid {
    width: usize,
    rows: Rc<[Range<usize>]>,
}

impl PartialEq for Editor {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.caret) == (&other.text, other.caret)
    }
}

impl Eq for Editor {}

/// A text in rows of so many cells, and where the caret is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) rows: Rc<[Range<usize>]>,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Editor {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let (caret, laid) = (text.len(), RefCell::default());
        Self { text, caret, laid }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn before_caret(&self) -> &str {
        &self.text[..self.caret]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    /// Puts a text at the caret; `false` when it would be more than a message holds.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if self.text.len() + text.len() > TEXT_BYTES_MAX {
            return false;
        }
        self.laid.take();
        self.text.insert_str(self.caret, &text);
        self.caret += text.len();
        // A mark joins the letter before it: the caret stays behind both.
        self.caret = boundary_from(&self.text, self.caret);
        true
    }

    /// Deletes from the caret to there.
    fn delete_to(&mut self, to: usize) {
        let (from, to) = (self.caret.min(to), self.caret.max(to));
        self.laid.take();
        self.text.replace_range(from..to, "");
        self.caret = boundary_from(&self.text, from);
    }

    pub(crate) fn backspace(&mut self) {
        self.delete_to(self.left_of());
    }

    pub(crate) fn delete(&mut self) {
        self.delete_to(self.right_of());
    }

    pub(crate) fn delete_word(&mut self) {
        self.delete_to(self.word_left_of());
    }

    pub(crate) fn delete_to_start(&mut self) {
        self.delete_to(self.line_start());
    }

    pub(crate) fn left(&mut self) {
        self.caret = self.left_of();
    }

    pub(crate) fn right(&mut self) {
        self.caret = self.right_of();
    }

    pub(crate) fn word_left(&mut self) {
        self.caret = self.word_left_of();
    }

    pub(crate) fn word_right(&mut self) {
        let after = &self.text[self.caret..];
        let word = after
            .split_word_bound_indices()
            .find(|(_, word)| !word.trim().is_empty());
        self.caret += word.map_or(after.len(), |(at, word)| at + word.len());
    }

    pub(crate) fn home(&mut self) {
        self.caret = self.line_start();
    }

    pub(crate) fn end(&mut self) {
        let after = &self.text[self.caret..];
        self.caret += after.find('\n').unwrap_or(after.len());
    }

    /// A row up or down; `false` when there is none.
    pub(crate) fn vertical(&mut self, down: bool, width: usize) -> bool {
        let Rows { rows, row, column } = self.rows(width);
        let target = if down {
            row.checked_add(1)
        } else {
            row.checked_sub(1)
        };
        let Some(range) = target.and_then(|target| rows.get(target)) else {
            return false;
        };
        let mut used = 0;
        self.caret = range.start;
        for (at, grapheme) in self.text[range.clone()].grapheme_indices(true) {
            if used >= column {
                break;
            }
            used += cells(grapheme);
            self.caret = range.start + at + grapheme.len();
        }
        true
    }

    fn left_of(&self) -> usize {
        let before = self.before_caret().graphemes(true).next_back();
        self.caret - before.map_or(0, str::len)
    }

    fn right_of(&self) -> usize {
        let after = self.text[self.caret..].graphemes(true).next();
        self.caret + after.map_or(0, str::len)
    }

    fn word_left_of(&self) -> usize {
        let mut words = self.before_caret().split_word_bound_indices();
        words
            .rfind(|(_, word)| !word.trim().is_empty())
            .map_or(0, |(at, _)| at)
    }

    fn line_start(&self) -> usize {
        self.before_caret().rfind('\n').map_or(0, |at| at + 1)
    }

    /// How it is shown in rows of so many cells. A row is broken anywhere, so that what was written
    /// does not jump while a word grows.
    pub(crate) fn rows(&self, width: usize) -> Rows {
        let width = width.max(2);
        let mut laid = self.laid.borrow_mut();
        let rows = match laid.take() {
            Some(laid) if laid.width == width => laid.rows,
            Some(_) | None => self.lay(width),
        };
        *laid = Some(Laid {
            width,
            rows: Rc::clone(&rows),
        });
        // Where one row ends and the next begins, the caret is on the next.
        let row = rows.partition_point(|row| row.start <= self.caret) - 1;
        let before = rows
            .get(row)
            .map_or("", |row| &self.text[row.start..self.caret]);
        let column = before.graphemes(true).map(cells).sum();
        Rows { rows, row, column }
    }

    fn lay(&self, width: usize) -> Rc<[Range<usize>]> {
        let mut rows = Vec::new();
        let (mut start, mut used) = (0, 0);
        for (at, grapheme) in self.text.grapheme_indices(true) {
            if grapheme == "\n" {
                rows.push(start..at);
                (start, used) = (at + 1, 0);
                continue;
            }
            let cells = cells(grapheme);
            if used + cells > width {
                rows.push(start..at);
                (start, used) = (at, 0);
            }
            used += cells;
        }
        let end = self.text.len();
        rows.push(start..end);
        // The caret at the end needs a cell of its own.
        if used >= width {
            rows.push(end..end);
        }
        rows.into()
    }
}

/// The cells of a grapheme as it is shown: harmless, whatever was pasted.
fn cells(grapheme: &str) -> usize {
    match grapheme.as_bytes() {
        [b' '..=b'~'] => 1,
        _ => safe::one_line(grapheme).width(),
    }
}

/// The nearest boundary between graphemes that is not before this place.
fn boundary_from(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    // With the whole text at hand it always knows.
    match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.next_boundary(text, 0).ok().flatten(),
        Ok(true) | Err(_) => Some(at),
    }
    .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, act: impl Fn(&mut Editor)) -> (String, usize) {
        let mut editor = Editor::new(text);
        act(&mut editor);
        (editor.text.clone(), editor.caret)
    }

    #[test]
    fn the_caret_moves_over_what_the_eye_takes_for_one_character() {
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(
            after(&format!("a{family}"), Editor::backspace),
            ("a".into(), 1)
        );
        assert_eq!(after("e\u{301}", Editor::left).1, 0);
        assert_eq!(
            after("王小明", |e| {
                e.left();
                e.left();
                e.delete();
            }),
            ("王明".into(), 3)
        );
        assert_eq!(after("", Editor::backspace), (String::new(), 0));
        assert_eq!(after("x", Editor::right).1, 1);
    }

    #[test]
    fn words_and_lines_are_units_too() {
        assert_eq!(after("one two  ", Editor::delete_word).0, "one ");
        assert_eq!(after("one\ntwo", Editor::delete_to_start).0, "one\n");
        assert_eq!(
            after("one\ntwo", |e| {
                e.home();
                e.insert("x");
            })
            .0,
            "one\nxtwo"
        );
        assert_eq!(
            after("one two", |e| {
                e.word_left();
                e.word_left();
                e.word_right();
            })
            .1,
            3
        );
        assert_eq!(
            after("one\ntwo", |e| {
                e.home();
                e.left();
                e.home();
                e.end();
            })
            .1,
            3
        );
    }

    #[test]
    fn what_is_pasted_has_plain_line_breaks_and_a_limit() {
        let mut editor = Editor::default();
        assert!(editor.insert("a\r\nb\rc"));
        assert_eq!(editor.text(), "a\nb\nc");
        assert!(!editor.insert(&"x".repeat(TEXT_BYTES_MAX - 4)));
        assert_eq!(editor.text(), "a\nb\nc");
        assert!(editor.insert(&"x".repeat(TEXT_BYTES_MAX - 5)));
    }

    #[test]
    fn rows_hold_whole_characters_and_the_caret_has_a_place() {
        let mut editor = Editor::new("一二三");
        assert_eq!(
            editor.rows(5),
            Rows {
                rows: [0..6, 6..9].into(),
                row: 1,
                column: 2
            }
        );
        editor.left();
        assert_eq!(editor.rows(5).column, 0);
        assert_eq!(editor.rows(5).row, 1);
        // A full row leaves the caret on the next one.
        let editor = Editor::new("abcd");
        assert_eq!(
            editor.rows(4),
            Rows {
                rows: [0..4, 4..4].into(),
                row: 1,
                column: 0
            }
        );
        let editor = Editor::new("a\n");
        assert_eq!(
            editor.rows(4),
            Rows {
                rows: [0..1, 2..2].into(),
                row: 1,
                column: 0
            }
        );
        let Rows { rows, row, column } = Editor::default().rows(4);
        assert_eq!((rows.len(), row, column), (1, 0, 0));
    }

    #[test]
    fn rows_follow_the_text_and_the_width() {
        let mut editor = Editor::new("abcd");
        assert_eq!(editor.rows(4).rows.len(), 2);
        assert_eq!(editor.rows(5).rows.len(), 1);
        editor.insert("ef");
        assert_eq!(*editor.rows(5).rows, [0..5, 5..6]);
        editor.backspace();
        editor.backspace();
        assert_eq!(editor.rows(5).rows.last(), Some(&(0..4)));
        assert_eq!(editor.take(), "abcdef"[..4]);
        assert_eq!(editor.rows(5).rows.last(), Some(&(0..0)));
    }

    #[test]
    fn up_and_down_keep_the_column() {
        let mut editor = Editor::new("abc\n王小明\nx");
        assert!(editor.vertical(false, 20));
        assert_eq!(editor.before_caret(), "abc\n王");
        assert!(editor.vertical(false, 20));
        assert_eq!(editor.before_caret(), "ab");
        assert!(!editor.vertical(false, 20));
        assert!(editor.vertical(true, 20));
        assert!(editor.vertical(true, 20));
        assert!(!editor.vertical(true, 20));
    }
}
