//! Starting the node at login: by the desktop where there is one, else by systemd.

use super::Context;
use crate::args::Switch;
use crate::failure::{Failure, Result};
use crate::text;
use anyhow::{Context as _, anyhow};
use serde_json::json;
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What is read by whatever starts programs at login.
struct Files {
    /// <https://specifications.freedesktop.org/autostart-spec/latest/>
    desktop: PathBuf,
    unit: PathBuf,
    /// A link to the unit: what `systemctl --user enable` makes.
    enabled: PathBuf,
}

impl Files {
    fn locate() -> Result<Self> {
        let chosen = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let usual = || env::home_dir().map(|home| home.join(".config"));
        let config = chosen.filter(|path| path.is_absolute()).or_else(usual);
        let config = config.ok_or_else(|| anyhow!(text::NO_CONFIG_FOLDER))?;
        let units = config.join("systemd/user");
        Ok(Self {
            desktop: config.join("autostart/hallway.desktop"),
            unit: units.join("hallway.service"),
            enabled: units.join("default.target.wants/hallway.service"),
        })
    }

    /// By what the node is started at login.
    fn by(&self) -> Option<&'static str> {
        if self.desktop.is_file() {
            Some("desktop")
        } else {
            self.enabled.symlink_metadata().ok().map(|_| "systemd")
        }
    }
}

pub(super) fn autostart(cx: &Context<'_>, switch: Option<Switch>) -> Result {
    let files = Files::locate()?;
    match switch {
        Some(Switch::On) => switch_on(cx, &files)?,
        Some(Switch::Off) => {
            for file in [&files.desktop, &files.enabled, &files.unit] {
                remove(file)?;
            }
        }
        None => {}
    }
    let by = files.by();
    let value = json!({ "autostart": by.is_some(), "by": by });
    Ok(cx.out.either(&value, || text::autostart(by))?)
}

/// One of the two: a second node would find the first and end.
fn switch_on(cx: &Context<'_>, files: &Files) -> Result {
    let program = env::current_exe()?;
    let mut words = vec![program.to_string_lossy().into_owned()];
    if cx.home.is_some() {
        let home = cx.home()?.path().to_string_lossy().into_owned();
        words.extend(["--home".into(), home]);
    }
    words.push("up".into());
    if words.iter().any(|word| word.contains(char::is_control)) {
        return Err(Failure::Usage(text::UNSPEAKABLE_PATH.into()));
    }
    if ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some())
    {
        let entry = format!(
            "[Desktop Entry]\nType=Application\nName=Hallway\nIcon=hallway\nExec={}\n\
             Terminal=false\nNoDisplay=true\n",
            line(&words, desktop_word)
        );
        write(&files.desktop, &entry)?;
        remove(&files.enabled)
    } else {
        let unit = include_str!("../../desktop/hallway.service");
        let unit = unit.replace("/usr/bin/hallway up", &line(&words, systemd_word));
        write(&files.unit, &unit)?;
        remove(&files.enabled)?;
        create_folder_of(&files.enabled)?;
        symlink(&files.unit, &files.enabled).with_context(|| cannot_write(&files.enabled))?;
        remove(&files.desktop)
    }
}

fn write(path: &Path, text: &str) -> Result {
    create_folder_of(path)?;
    Ok(fs::write(path, text).with_context(|| cannot_write(path))?)
}

fn create_folder_of(path: &Path) -> Result {
    let folder = path.parent().unwrap_or(path);
    Ok(fs::create_dir_all(folder).with_context(|| cannot_write(folder))?)
}

fn remove(path: &Path) -> Result {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::Other(anyhow!(error).context(cannot_write(path))))
        }
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn line(words: &[String], quoted: fn(&str) -> String) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// A word of `Exec=`: quoted, and the backslashes of that once more, as of any string in the file.
fn desktop_word(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' => quoted.push_str("\\\\"),
            '\\' => quoted.push_str("\\\\\\"),
            '%' => quoted.push('%'),
            _ => {}
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A word of `ExecStart=`.
fn systemd_word(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.push('\\'),
            '$' => quoted.push('$'),
            '%' => quoted.push('%'),
            _ => {}
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_their_readers() {
        for (word, desktop, systemd) in [
            (
                "/usr/bin/hallway",
                "\"/usr/bin/hallway\"",
                "\"/usr/bin/hallway\"",
            ),
            ("/my home/王", "\"/my home/王\"", "\"/my home/王\""),
            ("100%", "\"100%%\"", "\"100%%\""),
            ("a$b", r#""a\\$b""#, r#""a$$b""#),
            (r#"a"b"#, r#""a\\"b""#, r#""a\"b""#),
            (r"a\b", r#""a\\\\b""#, r#""a\\b""#),
        ] {
            assert_eq!(desktop_word(word), desktop);
            assert_eq!(systemd_word(word), systemd);
        }
    }
}
