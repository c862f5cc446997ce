//! Text in lines of so many cells: where lines may break is by UAX #14, so that Chinese breaks
//! between characters and never before a full stop.

use std::ops::Range;
use unicode_linebreak::linebreaks;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The cells that a text takes: two for each Chinese character.
pub(crate) fn cells(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// One line without line breaks, as ranges of at most `width` cells. White space at the end of a
/// line hangs beyond it and is left out. There is at least one range.
pub(crate) fn wrap(line: &str, width: usize) -> Vec<Range<usize>> {
    let mut lines = Lines {
        text: line,
        width: width.max(1),
        done: Vec::new(),
        start: 0,
        used: 0,
    };
    let mut from = 0;
    for (to, _) in linebreaks(line) {
        lines.push(from, to);
        from = to;
    }
    lines.end(line.len());
    lines.done
}

struct Lines<'a> {
    text: &'a str,
    width: usize,
    done: Vec<Range<usize>>,
    /// Where the line at hand begins, and the cells it takes so far.
    start: usize,
    used: usize,
}

impl Lines<'_> {
    /// Adds what must not be broken unless it is longer than a whole line.
    fn push(&mut self, from: usize, to: usize) {
        let piece = &self.text[from..to];
        let (visible, whole) = (cells(piece.trim_end()), cells(piece));
        if self.used + visible > self.width && self.used > 0 {
            self.end(from);
        }
        if visible <= self.width {
            self.used += whole;
            return;
        }
        for (at, grapheme) in piece.grapheme_indices(true) {
            let cells = grapheme.width();
            if self.used + cells > self.width && self.used > 0 {
                self.end(from + at);
            }
            self.used += cells;
        }
    }

    fn end(&mut self, at: usize) {
        let kept = self.text[self.start..at].trim_end().len();
        self.done.push(self.start..self.start + kept);
        (self.start, self.used) = (at, 0);
    }
}

/// The text cut to so many cells, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > width {
            break;
        }
        kept.push_str(grapheme);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The text cut or filled with blanks to exactly so many cells.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let mut fitted = cut(text, width);
    let missing = width.saturating_sub(cells(&fitted));
    fitted.extend(std::iter::repeat_n(' ', missing));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, width: usize) -> Vec<&str> {
        wrap(text, width)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn latin_breaks_between_words_and_chinese_between_characters() {
        assert_eq!(wrapped("lunch at twelve?", 9), ["lunch at", "twelve?"]);
        assert_eq!(
            wrapped("你好，一起吃午饭吗？好的。", 10),
            ["你好，一起", "吃午饭吗？", "好的。"]
        );
        // No line begins with a full stop, a comma or a closing bracket.
        assert_eq!(wrapped("一二三四五。六", 10), ["一二三四", "五。六"]);
        assert_eq!(wrapped("看（附件）吧", 8), ["看（附", "件）吧"]);
        assert_eq!(wrapped("mixed 中文text", 8), ["mixed 中", "文text"]);
    }

    #[test]
    fn what_is_longer_than_a_line_is_broken_anywhere() {
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("中文", 1), ["中", "文"]);
        assert_eq!(wrapped("e\u{301}e\u{301}", 1), ["e\u{301}", "e\u{301}"]);
        let long = "x".repeat(10_000);
        assert_eq!(wrap(&long, 80).len(), 125);
    }

    #[test]
    fn there_is_always_a_line_and_nothing_is_lost_but_white_space_at_an_end() {
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("     ", 3), [""]);
        assert_eq!(wrapped("  in", 10), ["  in"]);
        assert_eq!(wrapped("one   two", 5), ["one", "two"]);
    }

    #[test]
    fn cutting_and_filling_go_by_cells() {
        assert_eq!(cut("王小明", 5), "王小…");
        assert_eq!(cut("王小明", 4), "王…");
        assert_eq!(cut("Bo", 0), "");
        assert_eq!(fit("王", 4), "王  ");
        assert_eq!(fit("王小明", 4), "王… ");
    }
}
