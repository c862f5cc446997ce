//! Names people give themselves. A name is for display; it is never identity.

use crate::NAME_BYTES_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// A display name: NFC, 1 to 64 bytes, no control, bidirectional or invisible formatting
/// characters, no white space at its ends or in runs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text cannot be a name. Each message says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing left after trimming.
    #[error("a name needs at least one visible character")]
    Empty,
    /// Over [`NAME_BYTES_MAX`] bytes after NFC.
    #[error(
        "this name takes {0} bytes; at most {NAME_BYTES_MAX} fit (about 21 Chinese characters or 64 Latin letters)"
    )]
    TooLong(usize),
    /// A control, bidirectional or invisible character.
    #[error("a name cannot contain the invisible or control character U+{:04X} (character {at})", u32::from(*.character))]
    Forbidden {
        /// The character.
        character: char,
        /// Its position, counted from 1.
        at: usize,
    },
}

impl Name {
    /// Checks and normalises a name: NFC, trimmed, runs of white space made one space.
    pub fn new(text: &str) -> Result<Self, NameError> {
        // A megabyte of text must not be normalised only to be refused.
        if text.len() > 16 * NAME_BYTES_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        let normal: String = text.nfc().collect();
        let folded = normal.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((at, character)) = folded.chars().enumerate().find(|(_, c)| is_forbidden(*c)) {
            return Err(NameError::Forbidden {
                character,
                at: at + 1,
            });
        }
        match folded.len() {
            0 => Err(NameError::Empty),
            n if n > NAME_BYTES_MAX => Err(NameError::TooLong(n)),
            _ => Ok(Self(folded)),
        }
    }

    /// The nearest valid name to what a stranger announced: forbidden characters dropped, cut at
    /// a character boundary; `None` when nothing is left.
    pub fn lenient(text: &str) -> Option<Self> {
        let mut kept = String::new();
        for c in text
            .chars()
            .take(4 * NAME_BYTES_MAX)
            .filter(|c| !is_forbidden(*c))
            .nfc()
        {
            if kept.len() + c.len_utf8() > NAME_BYTES_MAX {
                break;
            }
            kept.push(c);
        }
        Self::new(&kept).ok()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A form that is equal for names a person would take for the same: NFKC and case folded,
    /// white space removed, and the commonest Latin look-alikes from Cyrillic and Greek mapped
    /// (a small part of Unicode TR 39's confusables).
    pub fn skeleton(&self) -> String {
        let folded: String = self.0.nfkc().flat_map(char::to_lowercase).collect();
        folded
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(look_alike)
            .collect()
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x034F | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180B..=0x180F
            | 0x200B | 0x200E | 0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164
            | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF | 0xFFFE | 0xFFFF)
}

fn look_alike(c: char) -> char {
    match c {
        'а' | 'α' => 'a',
        'в' | 'β' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'һ' => 'h',
        'і' | 'ι' | 'l' | '1' | '|' | 'ı' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'п' | 'η' => 'n',
        'о' | 'ο' | '0' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        other => other,
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_normalised_and_bounded() {
        assert_eq!(
            Name::new("  Zoe\u{308} \t K ").unwrap().as_str(),
            "Zo\u{EB} K"
        );
        assert_eq!(Name::new("   "), Err(NameError::Empty));
        assert_eq!(Name::new(&"x".repeat(64)).unwrap().as_str().len(), 64);
        assert_eq!(Name::new(&"x".repeat(65)), Err(NameError::TooLong(65)));
        assert_eq!(Name::new(&"王".repeat(22)), Err(NameError::TooLong(66)));
        assert_eq!(Name::new("王小明").unwrap().as_str(), "王小明");
    }

    #[test]
    fn invisible_and_bidirectional_characters_are_named() {
        let refused = Name::new("Bo\u{202E}b");
        assert_eq!(
            refused,
            Err(NameError::Forbidden {
                character: '\u{202E}',
                at: 3
            })
        );
        assert!(refused.unwrap_err().to_string().contains("U+202E"));
        assert!(Name::new("a\u{7}b").is_err());
        assert_eq!(Name::lenient("Bo\u{202E}b\u{0}").unwrap().as_str(), "Bob");
        assert_eq!(Name::lenient("\u{200B}"), None);
        assert!(Name::lenient(&"王".repeat(99)).unwrap().as_str().len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn look_alikes_share_a_skeleton() {
        let of = |s| Name::new(s).unwrap().skeleton();
        assert_eq!(of("Bob"), of("ｂob"));
        assert_eq!(of("Paul"), of("Раuⅼ"));
        assert_eq!(of("Alice"), of("al ICE"));
        assert_ne!(of("Ann"), of("Bob"));
    }
}
