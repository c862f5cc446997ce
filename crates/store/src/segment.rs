//! Text cut into the terms of the search index, and queries over them.
//!
//! Scripts that put spaces between words are found from the start of a word, the others (Chinese,
//! Japanese, Thai, ...; Korean too, whose particles cling to the words) by any part. For that a
//! run of such characters becomes each character and each pair of neighbours. A word becomes
//! itself and, marked as such, its first one and two letters: these common beginnings are terms,
//! whose newest messages the index has at once.

use std::fmt::Write;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Letters of a word that are indexed. Longer ones are identifiers and encoded data, and their
/// start is enough to find them by.
const WORD_CHARS_MAX: usize = 32;

/// The beginnings of words that are terms of their own have up to this many letters.
const HEAD_CHARS_MAX: usize = 2;

/// Words and runs of a query that count, and terms that are looked up for them. Nobody remembers
/// as many of one message.
const QUERY_TERMS_MAX: usize = 32;

/// Bytes of a query that are considered. Nobody types as much; a pasted text is found by its start.
const QUERY_BYTES_MAX: usize = 1024;

/// Marks the term of a conversation. A private character is in no folded text.
const CONVERSATION_MARK: char = '\u{E000}';

/// Marks the beginning of a word.
const HEAD_MARK: char = '\u{E001}';

/// The index terms of a text in a conversation, separated by spaces.
pub(crate) fn terms(text: &str, conversation: i64) -> String {
    // Pairs and single characters of a Chinese text take four times its bytes.
    let mut terms = String::with_capacity(4 * text.len() + 16);
    push_conversation(&mut terms, conversation);
    for piece in pieces(&fold(text)) {
        match piece {
            Piece::Word(word) => push_word(&mut terms, word),
            Piece::Run(run) => push_run(&mut terms, run),
        }
    }
    terms
}

/// What somebody searches for: every word and every run of it must be there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// Beginnings of words.
    words: Vec<String>,
    /// Parts of texts without spaces.
    runs: Vec<String>,
}

impl Query {
    /// Understands what a person typed. Nothing in it has a special meaning.
    pub(crate) fn new(text: &str) -> Self {
        let mut query = Self {
            words: Vec::new(),
            runs: Vec::new(),
        };
        let end = text.floor_char_boundary(QUERY_BYTES_MAX);
        for piece in pieces(&fold(&text[..end])).take(QUERY_TERMS_MAX) {
            match piece {
                Piece::Word(word) => query.words.push(word.to_owned()),
                Piece::Run(run) => query.runs.push(run.to_owned()),
            }
        }
        query
    }

    /// Nothing in it can be searched for.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.runs.is_empty()
    }

    /// The FTS5 expression for all messages that [`Query::matches`] and others, in which a word
    /// stands for every word of the same beginning. All of its terms are in the index as they
    /// are, so the newest results come first and at once. `true` when there are hardly others.
    pub(crate) fn by_heads(&self, conversation: Option<i64>) -> (String, bool) {
        let short = |word: &&String| word.chars().nth(HEAD_CHARS_MAX).is_none();
        let expression = self.expression(conversation, |word| {
            format!("\"{HEAD_MARK}{}\"", first_chars(word, HEAD_CHARS_MAX))
        });
        (expression, self.words.iter().all(|word| short(&word)))
    }

    /// The FTS5 expression for all messages that [`Query::matches`] and hardly others. It gathers
    /// every message with a word that starts so before the first result comes, which takes long
    /// for a very common beginning.
    pub(crate) fn by_words(&self, conversation: Option<i64>) -> String {
        self.expression(conversation, |word| {
            if word.chars().nth(HEAD_CHARS_MAX).is_some() {
                format!("\"{}\" *", first_chars(word, WORD_CHARS_MAX))
            } else {
                format!("\"{HEAD_MARK}{word}\"")
            }
        })
    }

    fn expression(&self, conversation: Option<i64>, of_word: impl Fn(&str) -> String) -> String {
        let mut terms: Vec<String> = self.words.iter().map(|word| of_word(word)).collect();
        for run in &self.runs {
            let mut pairs = String::new();
            push_pairs(&mut pairs, run);
            match pairs.is_empty() {
                true => terms.push(format!("\"{run}\"")),
                false => terms.extend(pairs.split_whitespace().map(|pair| format!("\"{pair}\""))),
            }
        }
        terms.truncate(QUERY_TERMS_MAX);
        if let Some(conversation) = conversation {
            let mut term = String::new();
            push_conversation(&mut term, conversation);
            terms.push(format!("\"{}\"", term.trim_end()));
        }
        terms.join(" AND ")
    }

    /// The text has a word that starts so for each word, and holds each run.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let folded = fold(text);
        let has_word = |wanted: &String| {
            pieces(&folded).any(|piece| match piece {
                Piece::Word(word) => word.starts_with(wanted.as_str()),
                Piece::Run(_) => false,
            })
        };
        self.runs.iter().all(|run| folded.contains(run.as_str())) && self.words.iter().all(has_word)
    }
}

/// A part of a text that can be searched for.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Letters and digits up to the next space, sign or run.
    Word(&'a str),
    /// Characters of a script without spaces.
    Run(&'a str),
}

fn pieces(folded: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(is_searchable)?..];
        let unspaced = rest.starts_with(is_unspaced);
        let end = rest.find(|c| !is_searchable(c) || is_unspaced(c) != unspaced);
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(match unspaced {
            true => Piece::Run(piece),
            false => Piece::Word(piece),
        })
    })
}

fn is_searchable(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// A character of a script that is written without spaces between words, or (Korean) with
/// particles that make one word of two.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF // Thai, Lao
        | 0x1000..=0x109F | 0x1780..=0x17FF // Myanmar, Khmer
        | 0x1100..=0x11FF | 0xA960..=0xA97F | 0xAC00..=0xD7FF // Hangul
        | 0x3005..=0x3007 | 0x3021..=0x3029 // repetition marks, Chinese numerals
        | 0x3031..=0x318F | 0x31A0..=0x31FF // kana, Bopomofo
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF) // Chinese
}

/// Makes equal what a person takes for the same letter: full-width and other compatibility forms
/// (NFKC), case, and accents.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd()
        .filter(|c| !matches!(c, '\u{0300}'..='\u{036F}'))
        // There and back and there again: 'ẞ' and "ß" become "ss", 'ς' becomes 'σ'.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        // Puts kana and their voicing, and the letters of Hangul, together again.
        .nfc()
        .collect()
}

fn push_conversation(terms: &mut String, conversation: i64) {
    write!(terms, "{CONVERSATION_MARK}{conversation} ").expect("a string takes everything");
}

fn push_word(terms: &mut String, word: &str) {
    let mut heads = (1..=HEAD_CHARS_MAX).map(|chars| first_chars(word, chars));
    let mut longest = 0;
    while let Some(head) = heads.next().filter(|head| head.len() > longest) {
        longest = head.len();
        terms.push(HEAD_MARK);
        terms.push_str(head);
        terms.push(' ');
    }
    if word.len() > longest {
        terms.push_str(first_chars(word, WORD_CHARS_MAX));
        terms.push(' ');
    }
}

fn push_run(terms: &mut String, run: &str) {
    for c in run.chars() {
        terms.push(c);
        terms.push(' ');
    }
    push_pairs(terms, run);
}

fn push_pairs(terms: &mut String, run: &str) {
    for (first, second) in run.chars().zip(run.chars().skip(1)) {
        terms.extend([first, second, ' ']);
    }
}

fn first_chars(word: &str, chars: usize) -> &str {
    let end = word.char_indices().nth(chars).map(|(at, _)| at);
    &word[..end.unwrap_or(word.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(terms: &str) -> Vec<&str> {
        let mut terms: Vec<_> = terms.split(' ').filter(|term| !term.is_empty()).collect();
        terms.sort_unstable();
        terms
    }

    #[test]
    fn a_text_becomes_words_beginnings_characters_and_pairs() {
        assert_eq!(
            sorted(&terms("Hi, see 王小明!", 7)),
            [
                "see",
                "小",
                "小明",
                "明",
                "王",
                "王小",
                "\u{E000}7",
                "\u{E001}h",
                "\u{E001}hi",
                "\u{E001}s",
                "\u{E001}se"
            ]
        );
        assert_eq!(terms(" \u{E000}1 \0 👍 ", 1).split(' ').count(), 3);
    }

    #[test]
    fn letters_a_person_takes_for_the_same_are_the_same() {
        for (left, right) in [
            ("CAFÉ", "cafe\u{301}"),
            ("Ａｂｃ１２", "abc12"),
            ("STRASSE", "Straße"),
            ("ΟΔΟΣ", "οδος"),
            ("ｶﾞｷﾞ", "ガギ"),
            ("한국", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}"),
            ("ﬁne", "fine"),
            ("İstanbul", "istanbul"),
            ("Việt", "viet"),
        ] {
            assert_eq!(fold(left), fold(right), "{left} {right}");
        }
        assert_ne!(fold("か"), fold("が"));
    }

    #[test]
    fn a_query_needs_every_part_and_has_no_syntax() {
        let query = Query::new("hel 世界");
        assert!(query.matches("世界 Hello") && query.matches("大世界hello"));
        assert!(!query.matches("hello 世 界") && !query.matches("shell 世界"));
        assert!(Query::new("你好吗").matches("他说你好吗?"));
        assert!(!Query::new("你好吗").matches("你好,好吗"));
        let (expression, exact) = Query::new("\" OR a* NEAR(x) -y ^z").by_heads(Some(3));
        assert!(!exact);
        assert_eq!(
            expression,
            "\"\u{E001}or\" AND \"\u{E001}a\" AND \"\u{E001}ne\" AND \"\u{E001}x\" \
             AND \"\u{E001}y\" AND \"\u{E001}z\" AND \"\u{E000}3\""
        );
        assert_eq!(
            Query::new("OR near").by_words(None),
            "\"\u{E001}or\" AND \"near\" *"
        );
        assert!(Query::new("*\"'👍 \u{E000}").is_empty());
    }

    #[test]
    fn long_words_and_queries_are_cut_and_still_found() {
        let long = "x".repeat(WORD_CHARS_MAX + 1);
        let kept = "x".repeat(WORD_CHARS_MAX);
        assert!(sorted(&terms(&long, 1)).contains(&kept.as_str()));
        assert!(!sorted(&terms(&long, 1)).contains(&long.as_str()));
        assert_eq!(Query::new(&long).by_words(None), format!("\"{kept}\" *"));
        assert!(Query::new(&long).matches(&long) && !Query::new(&long).matches(&kept));

        let count = |words: usize| {
            let query = Query::new(&"ab ".repeat(words));
            query.by_words(Some(1)).matches(" AND ").count()
        };
        assert_eq!(count(QUERY_TERMS_MAX), QUERY_TERMS_MAX);
        assert_eq!(count(QUERY_TERMS_MAX + 1), QUERY_TERMS_MAX);
        assert_eq!(
            Query::new(&"王".repeat(QUERY_BYTES_MAX)).runs[0].len(),
            QUERY_BYTES_MAX / 3 * 3
        );
    }

    /// The terms that the expression of a query asks for, and whether as a beginning.
    fn asked(expression: &str) -> impl Iterator<Item = (&str, bool)> {
        expression.split(" AND ").map(|part| {
            let term = part.trim_end_matches(" *");
            (term.trim_matches('"'), term.len() < part.len())
        })
    }

    /// As FTS5 answers.
    fn index_has(terms: &str, expression: &str) -> bool {
        let terms = sorted(terms);
        asked(expression).all(|(wanted, beginning)| {
            let fits = |term: &&&str| **term == wanted || beginning && term.starts_with(wanted);
            terms.iter().any(|term| fits(&term))
        })
    }

    fn found(query: &str, text: &str) -> bool {
        let query = Query::new(query);
        let terms = terms(text, 5);
        index_has(&terms, &query.by_heads(Some(5)).0)
            && index_has(&terms, &query.by_words(Some(5)))
            && query.matches(text)
    }

    proptest! {
        #[test]
        fn every_part_of_a_chinese_text_finds_it(
            text in "[一-龥ぁ-んァ-ヶ가-힣ก-ฮ𠀀-𠀿々〇]{1,40}",
            start in 0..40usize,
            length in 1..6usize,
        ) {
            let part: String = text.chars().cycle().skip(start).take(length).collect();
            prop_assume!(text.contains(&part));
            prop_assert!(found(&part, &text), "{}", part);
        }

        #[test]
        fn every_beginning_of_a_word_finds_it_in_either_case(
            words in proptest::collection::vec("[a-zA-Zà-ÿА-я0-9]{1,40}", 1..6),
            which in 0..6usize,
            length in 1..41usize,
        ) {
            let word = &words[which % words.len()];
            let beginning = first_chars(word, length);
            let text = words.join(", ");
            prop_assert!(found(beginning, &text));
            prop_assert!(found(&beginning.to_uppercase(), &text));
        }

        #[test]
        fn any_text_is_found_by_itself_and_makes_plain_terms(text in "\\PC{1,60}") {
            prop_assume!(!Query::new(&text).is_empty());
            let terms = terms(&text, 5);
            prop_assert!(found(&text, &text));
            // The tokenizer `ascii` must cut at our spaces only.
            prop_assert!(terms.chars().all(|c| c == ' ' || !c.is_ascii() || c.is_ascii_alphanumeric()));
        }

        #[test]
        fn what_is_not_there_is_not_found(text in "[一-龥]{1,20}", other in "[一-龥]{1,3}") {
            prop_assert_eq!(Query::new(&other).matches(&text), text.contains(&other));
        }
    }
}
