//! Asking for the passphrase, on the terminal or in a file.

use crate::text;
use hallway_node::keys::{PASSPHRASE_BYTES_MAX, Passphrase, Prompt};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// What answers the prompts of the key store.
pub(super) enum Passphrases {
    /// The first line of a file, the same every time.
    File(Passphrase),
    /// A person, as often as it takes.
    Terminal,
}

impl Passphrases {
    pub(super) fn new(file: Option<&Path>) -> io::Result<Self> {
        let Some(path) = file else {
            return Ok(Self::Terminal);
        };
        // Room for all of it at once leaves no copy behind where it grew.
        let mut text = Passphrase::new(String::with_capacity(PASSPHRASE_BYTES_MAX + 3));
        File::open(path)?
            .take(PASSPHRASE_BYTES_MAX as u64 + 2)
            .read_to_string(&mut text)?;
        let line = text.trim_end_matches(['\r', '\n']).len();
        text.truncate(line);
        Ok(Self::File(text))
    }

    /// The answer to a prompt; `None` gives up.
    pub(super) fn answer(&self, prompt: Prompt) -> Option<Passphrase> {
        match (self, prompt) {
            // What was wrong once is wrong again.
            (Self::File(_), Prompt::Again) => None,
            (Self::File(passphrase), Prompt::New | Prompt::Unlock) => Some(passphrase.clone()),
            (Self::Terminal, _) if !io::stdin().is_terminal() => None,
            (Self::Terminal, Prompt::New) => ask_twice(),
            (Self::Terminal, Prompt::Unlock) => ask(text::PASSPHRASE),
            (Self::Terminal, Prompt::Again) => ask(text::PASSPHRASE_AGAIN),
        }
    }
}

/// A typing mistake in a new passphrase would lock its owner out.
fn ask_twice() -> Option<Passphrase> {
    let mut question = text::PASSPHRASE_NEW;
    loop {
        let first = ask(question)?;
        if first == ask(text::PASSPHRASE_REPEAT)? {
            return Some(first);
        }
        question = text::PASSPHRASE_DIFFERS;
    }
}

/// An empty line gives up, so that nobody is caught in a loop.
fn ask(question: &str) -> Option<Passphrase> {
    let typed = Passphrase::new(rpassword::prompt_password(question).ok()?);
    (!typed.is_empty()).then_some(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(bytes: &[u8]) -> io::Result<Passphrases> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        std::fs::write(&path, bytes).unwrap();
        Passphrases::new(Some(&path))
    }

    #[test]
    fn a_file_answers_all_but_a_second_try() {
        let passphrases = of_file(" open sesame \r\n".as_bytes()).unwrap();
        let answer = |prompt| passphrases.answer(prompt).map(|p| p.to_string());
        assert_eq!(answer(Prompt::New).unwrap(), " open sesame ");
        assert_eq!(answer(Prompt::Unlock).unwrap(), " open sesame ");
        assert_eq!(answer(Prompt::Again), None);
    }

    #[test]
    fn a_file_that_is_too_long_stays_too_long() {
        let longest = of_file(&[b'x'; PASSPHRASE_BYTES_MAX]).unwrap();
        assert_eq!(
            longest.answer(Prompt::New).unwrap().len(),
            PASSPHRASE_BYTES_MAX
        );
        let longer = of_file(&[b'x'; 100_000]).unwrap();
        assert!(longer.answer(Prompt::New).unwrap().len() > PASSPHRASE_BYTES_MAX);
        assert!(of_file(b"\xff").is_err());
    }
}
