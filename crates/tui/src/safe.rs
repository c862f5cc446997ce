//! What others wrote, made harmless for a terminal.
//!
//! A name or text may hold escape sequences that move the cursor, change the title or type into
//! the shell, and marks that make the rest of a line run backwards. All of them become visible
//! signs here. Marks heaped on one letter would paint over the lines around it: what is beyond a
//! few is left out.

use unicode_width::UnicodeWidthChar;

/// Characters without a width of their own that may follow one another: the flag of Wales takes six
/// after its first, and no script writes as many.
const MARKS_MAX: usize = 6;

/// For the middle of a line: line breaks become signs too.
pub fn one_line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars().map(|c| visible(c).unwrap_or(c)) {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        if marks <= MARKS_MAX {
            safe.push(c);
        }
    }
    safe
}

/// For several lines: each is harmless by itself, and no line break is left but between them.
pub fn lines(text: &str) -> impl Iterator<Item = String> {
    let breaks = |c| matches!(c, '\n' | '\u{2028}' | '\u{2029}');
    text.split(breaks).map(|line| {
        one_line(
            &line
                .strip_suffix('\r')
                .unwrap_or(line)
                .replace('\t', "    "),
        )
    })
}

/// JSON that says the same and is harmless: these characters occur only inside its strings.
pub fn json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match visible(c) {
            Some(_) => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            None => safe.push(c),
        }
    }
    safe
}

/// The sign for a character that a terminal would act on; `None` for all others.
fn visible(c: char) -> Option<char> {
    match c {
        // Unicode has a picture of each of the C0 controls, in their order.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)),
        '\u{7f}' => Some('\u{2421}'),
        '\u{80}'..='\u{9f}' => Some('\u{fffd}'),
        '\u{2028}' | '\u{2029}' => Some('\u{2424}'),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some('\u{fffd}'),
        '\u{fff9}'..='\u{fffb}' => Some('\u{fffd}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_becomes_visible() {
        let title = "\x1b]0;owned\x07";
        assert_eq!(one_line(title), "␛]0;owned␇");
        assert_eq!(one_line("\u{9b}2J"), "\u{fffd}2J");
        assert_eq!(one_line("a\rb\nc\u{7f}"), "a␍b␊c␡");
        assert_eq!(one_line("gnp.\u{202e}exe"), "gnp.\u{fffd}exe");
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        let text = "Zoë 王小明 שלום \u{200f}مرحبا 👨\u{200d}👩\u{200d}👧 e\u{301}";
        assert_eq!(one_line(text), text);
        assert_eq!(
            json(&serde_json::to_string(text).unwrap()),
            format!("\"{text}\"")
        );
    }

    #[test]
    fn marks_are_not_heaped_up() {
        let heap = format!("a{}b{}", "\u{301}".repeat(6), "\u{489}".repeat(7));
        let kept = format!("a{}b{}", "\u{301}".repeat(6), "\u{489}".repeat(6));
        assert_eq!(one_line(&heap), kept);
        let wales = "🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}";
        assert_eq!(one_line(wales), wales);
    }

    #[test]
    fn lines_are_split_and_each_is_harmless() {
        let split: Vec<_> = lines("one\r\ntwo\u{2028}\tthree\x1b[A\n").collect();
        assert_eq!(split, ["one", "two", "    three␛[A", ""]);
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "\u{9b}31m \x1b[2J \u{7f} \u{202e} \u{2028} \"\\ 王";
        let safe = json(&serde_json::to_string(text).unwrap());
        assert!(safe.chars().all(|c| visible(c).is_none()));
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
