//! What a person chose for this terminal app, kept for the next time.

use crate::theme::Theme;
use crate::words::Language;
use std::io;
use std::path::Path;

/// The words by which themes are chosen.
pub(crate) const THEMES: [(&str, Theme); 3] = [
    ("dark", Theme::Dark),
    ("light", Theme::Light),
    ("none", Theme::Plain),
];
/// The same for languages.
pub(crate) const LANGUAGES: [(&str, Language); 2] =
    [("en", Language::English), ("zh", Language::Chinese)];

/// See the module. What was not chosen follows the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The colours.
    pub theme: Option<Theme>,
    /// The language.
    pub language: Option<Language>,
}

impl Choices {
    /// What was kept in this file: nothing where it says nothing that is known.
    pub fn read(path: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    /// Keeps it in this file.
    pub fn write(self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.text())
    }

    fn parse(text: &str) -> Self {
        let mut choices = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("theme", word)) => choices.theme = value_of(&THEMES, word),
                Some(("language", word)) => choices.language = value_of(&LANGUAGES, word),
                Some(_) | None => {}
            }
        }
        choices
    }

    fn text(self) -> String {
        let theme = self.theme.and_then(|theme| word_of(&THEMES, theme));
        let language = self.language.and_then(|one| word_of(&LANGUAGES, one));
        let lines = [("theme", theme), ("language", language)];
        let lines = lines
            .into_iter()
            .filter_map(|(name, word)| Some(format!("{name} {}\n", word?)));
        lines.collect()
    }
}

/// What a word stands for.
pub(crate) fn value_of<T: Copy>(values: &[(&str, T)], word: &str) -> Option<T> {
    let found = values.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value)
}

fn word_of<'a, T: PartialEq>(values: &[(&'a str, T)], wanted: T) -> Option<&'a str> {
    let found = values.iter().find(|(_, value)| *value == wanted);
    found.map(|(word, _)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_there_the_next_time() {
        let of = |theme, language| Choices { theme, language };
        let all = [
            of(None, None),
            of(Some(Theme::Light), None),
            of(Some(Theme::Plain), Some(Language::Chinese)),
            of(None, Some(Language::English)),
        ];
        for choices in all {
            assert_eq!(Choices::parse(&choices.text()), choices);
        }
        let odd = "theme purple\n\nlanguage zh\nfont large\n\0";
        assert_eq!(Choices::parse(odd), of(None, Some(Language::Chinese)));
        assert_eq!(Choices::read(Path::new("/nowhere/at/all")), all[0]);
    }
}
