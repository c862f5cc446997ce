//! Names that others gave files, made safe to write under on every system we know.

use unicode_normalization::UnicodeNormalization;

/// Longest safe name, in bytes. File systems allow 255; the rest is for a number behind it.
pub const NAME_BYTES_MAX: usize = 240;

/// Longest ending that is kept when a name is cut.
const ENDING_BYTES_MAX: usize = 20;

/// Beginnings of our own files in a download folder.
const OURS: &str = ".hallway-";

/// Names that mean devices on Windows, whatever follows their first dot.
const DEVICES: [&str; 8] = [
    "con", "prn", "aux", "nul", "conin$", "conout$", "clock$", "lst",
];

/// The name as one component of a path: never empty, never a step up or down, without characters
/// that mean something to a system, a shell or the eye, and at most [`NAME_BYTES_MAX`] long.
pub fn safe_name(name: &str) -> String {
    let replaced: String = name
        .nfc()
        .map(|c| if is_unsafe(c) { '_' } else { c })
        .collect();
    // Nobody sees a space in front.
    let trimmed = without_end(replaced.trim_start());
    let mut safe = match trimmed {
        "" => "_".to_owned(),
        _ if is_device(trimmed) || trimmed.to_lowercase().starts_with(OURS) => {
            format!("_{trimmed}")
        }
        _ => trimmed.to_owned(),
    };
    cut(&mut safe);
    safe
}

/// Without dots and spaces at its end, which Windows drops and nobody sees.
fn without_end(name: &str) -> &str {
    name.trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Characters that separate, control, or cannot be seen.
fn is_unsafe(c: char) -> bool {
    matches!(c, '/' | '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*')
        || c.is_control()
        || matches!(u32::from(c),
            // Format characters: soft hyphen, Arabic marks, zero width, bidi, invisible operators.
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x115f..=0x1160 | 0x17b4..=0x17b5
            | 0x180b..=0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164
            | 0xfeff | 0xffa0 | 0xfff0..=0xfffd
            // Private use, whose look nobody knows, and tags.
            | 0xe000..=0xf8ff | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0x10ffff)
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_lowercase();
    let mut characters = stem.chars();
    let port = matches!(
        (
            characters.by_ref().take(3).collect::<String>().as_str(),
            characters.next()
        ),
        ("com" | "lpt", Some('0'..='9' | '¹' | '²' | '³'))
    ) && characters.next().is_none();
    port || DEVICES.contains(&stem.as_str())
}

/// Cuts a name to its limit, before its ending if that is short.
fn cut(name: &mut String) {
    if name.len() <= NAME_BYTES_MAX {
        return;
    }
    let dot = name
        .rfind('.')
        .filter(|at| name.len() - at <= ENDING_BYTES_MAX);
    let ending = dot.map_or(String::new(), |at| name[at..].to_owned());
    let mut end = NAME_BYTES_MAX - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    let kept = without_end(name).len();
    name.truncate(kept);
    name.push_str(&ending);
}

/// The same name with a number: `report (2).pdf`.
pub fn numbered(name: &str, number: u32) -> String {
    let dot = name
        .rfind('.')
        .filter(|at| *at > 0 && name.len() - at <= ENDING_BYTES_MAX);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    format!("{stem} ({number}){ending}")
}

/// What two names have in common that some file system takes for one.
pub fn fold(name: &str) -> String {
    name.nfd()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_all_kinds_become_safe_ones() {
        let cases = [
            ("report.pdf", "report.pdf"),
            ("年報 2026.pdf", "年報 2026.pdf"),
            ("Zoe\u{308}.txt", "Zoë.txt"),
            (".bashrc", ".bashrc"),
            ("a b", "a b"),
            ("", "_"),
            (".", "_"),
            ("..", "_"),
            ("...", "_"),
            (". .", "_"),
            ("   ", "_"),
            ("../x", ".._x"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..\\..\\x", ".._.._x"),
            ("/etc/passwd", "_etc_passwd"),
            ("C:\\x", "C__x"),
            ("C:", "C_"),
            ("\\\\host\\share", "__host_share"),
            ("file:stream", "file_stream"),
            ("a\0b", "a_b"),
            ("a\nb\x1b[31m\x7f", "a_b_[31m_"),
            ("a<b>c\"d|e?f*", "a_b_c_d_e_f_"),
            ("x.", "x"),
            ("x. . .", "x"),
            ("x\u{a0}", "x"),
            ("x.\u{2003}.\u{a0}", "x"),
            ("  x", "x"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("Con .txt", "_Con .txt"),
            ("nul.tar.gz", "_nul.tar.gz"),
            ("COM1", "_COM1"),
            ("com¹.log", "_com¹.log"),
            ("lpt9", "_lpt9"),
            ("com10", "com10"),
            ("com", "com"),
            ("console", "console"),
            ("CONOUT$", "_CONOUT$"),
            ("exe\u{202e}fdp.scr", "exe_fdp.scr"),
            ("a\u{200b}b\u{2066}c\u{feff}", "a_b_c_"),
            ("\u{e0041}\u{fffd}", "__"),
            (".hallway-3f.part", "_.hallway-3f.part"),
            (".Hallway-3f.part", "_.Hallway-3f.part"),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
    }

    #[test]
    fn long_names_are_cut_before_their_ending() {
        let long = format!("{}.pdf", "年".repeat(100));
        let safe = safe_name(&long);
        assert!(
            safe.len() <= NAME_BYTES_MAX && safe.ends_with("年.pdf"),
            "{safe}"
        );
        assert_eq!(safe_name(&"x".repeat(240)).len(), 240);
        assert_eq!(safe_name(&"x".repeat(241)).len(), 240);
        let dotted = safe_name(&format!("{}.{}", "x".repeat(230), "y".repeat(30)));
        assert_eq!(dotted.len(), 240);
        assert_eq!(safe_name(&format!("x{}", ".".repeat(300))), "x");
    }

    #[test]
    fn a_number_goes_before_the_ending() {
        assert_eq!(numbered("report.pdf", 2), "report (2).pdf");
        assert_eq!(numbered("notes", 3), "notes (3)");
        assert_eq!(numbered(".bashrc", 2), ".bashrc (2)");
        assert_eq!(
            numbered("v1.and a long rest of the name", 2),
            "v1.and a long rest of the name (2)"
        );
    }

    #[test]
    fn names_that_some_file_system_takes_for_one_fold_alike() {
        for (one, other) in [
            ("README", "readme"),
            ("Zoë", "ZOE\u{308}"),
            ("straße", "STRASSE"),
            ("ς", "Σ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("a"), fold("b"));
    }

    proptest! {
        #[test]
        fn whatever_the_name_it_is_one_plain_component(name in "\\PC*|[./\\\\: a-z\u{202e}\u{0}]*|.{0,600}") {
            let safe = safe_name(&name);
            prop_assert!((1..=NAME_BYTES_MAX).contains(&safe.len()), "{safe:?}");
            prop_assert!(!safe.chars().any(is_unsafe));
            prop_assert!(!safe.ends_with(['.', ' ']) && safe != "." && safe != "..");
            prop_assert!(!is_device(&safe) && !safe.starts_with(OURS));
            prop_assert_eq!(safe_name(&safe), safe);
        }
    }
}
