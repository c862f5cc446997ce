//! Showing what has arrived with the programs of the desktop, and never running it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Endings of files that programs show and do not run: pictures, sound, video, documents, archives.
/// Whatever is not listed could be a program, on some desktop.
const SHOWN: [&str; 50] = [
    "7z", "aac", "avi", "avif", "bmp", "bz2", "csv", "doc", "docx", "epub", "flac", "gif", "gz",
    "heic", "jpeg", "jpg", "log", "m4a", "m4v", "md", "mkv", "mov", "mp3", "mp4", "odp", "ods",
    "odt", "oga", "ogg", "ogv", "opus", "pdf", "png", "ppt", "pptx", "rtf", "tar", "tex", "tif",
    "tiff", "tsv", "txt", "wav", "webm", "webp", "wma", "wmv", "xls", "xlsx", "zip",
];

/// First bytes of what a system or a desktop runs, whatever it is called.
const PROGRAMS: [&[u8]; 4] = [b"\x7fELF", b"MZ", b"#!", b"[Desktop Entry]"];

/// What is to be shown of something that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The file, with the program for its kind. A folder is shown as such.
    File,
    /// The folder it is in.
    Folder,
}

/// Why something is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    /// It may be a program.
    #[error(
        "{} could be a program, and Hallway opens none; look at it in its folder, {}",
        .0.file_name().unwrap_or_default().display(),
        .0.parent().unwrap_or(Path::new("/")).display()
    )]
    Program(PathBuf),
    /// It was moved, removed, or is nothing that can be shown.
    #[error("{} is not there any more, or cannot be read: {error}", .path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no desktop, or it cannot open anything.
    #[error("there is no desktop here to open it on: {0}")]
    NoDesktop(String),
}

/// Shows a file or folder with the program that the desktop has for it.
pub fn open_with_desktop(path: &Path, shown: Shown) -> Result<(), OpeningError> {
    let path = match shown {
        Shown::File => path,
        Shown::Folder => path.parent().unwrap_or(path),
    };
    check(path)?;
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        let displays = ["WAYLAND_DISPLAY", "DISPLAY"];
        if !displays.iter().any(|name| std::env::var_os(name).is_some()) {
            return Err(OpeningError::NoDesktop("no display is known".into()));
        }
        "xdg-open"
    };
    let mut command = Command::new(opener);
    command.arg(path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Ctrl-C in a terminal of ours is not meant for the viewer.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let started = command.spawn();
    let mut opener = started
        .map_err(|error| OpeningError::NoDesktop(format!("{opener} does not start: {error}")))?;
    std::thread::spawn(move || {
        // What it says is its own affair; it is only not to stay behind as a zombie.
        let _ = opener.wait();
    });
    Ok(())
}

/// Only folders, and files that are surely not run when they are opened.
fn check(path: &Path) -> Result<(), OpeningError> {
    let gone = |error| OpeningError::Gone {
        path: path.to_owned(),
        error,
    };
    let found = fs::symlink_metadata(path).map_err(gone)?;
    if found.is_dir() {
        return Ok(());
    }
    if !found.is_file() {
        return Err(gone(io::ErrorKind::InvalidInput.into()));
    }
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase).unwrap_or_default();
    let mut options = fs::OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(gone)?;
    let mut head = Vec::new();
    file.take(64).read_to_end(&mut head).map_err(gone)?;
    let is_program = PROGRAMS.iter().any(|magic| head.starts_with(magic));
    let is_executable = found.permissions().mode() & 0o111 != 0;
    if is_program || is_executable || SHOWN.binary_search(&ending.as_str()).is_err() {
        return Err(OpeningError::Program(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_is_shown_and_not_run_is_opened() {
        assert!(SHOWN.is_sorted());
        let dir = tempfile::tempdir().unwrap();
        let check_of = |name: &str, bytes: &[u8], mode: u32| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            check(&path).is_ok()
        };
        for (name, bytes, mode, opened) in [
            ("报告.pdf", b"%PDF".as_slice(), 0o644, true),
            ("X.JPG", b"\xff\xd8\xff", 0o600, true),
            ("empty.txt", b"", 0o644, true),
            // Programs by their name, by their bit, and by what is in them.
            ("x.desktop", b"", 0o644, false),
            ("x.sh", b"", 0o644, false),
            ("x.exe", b"", 0o644, false),
            ("x.html", b"", 0o644, false),
            ("x.svg", b"", 0o644, false),
            ("pdf", b"%PDF", 0o644, false),
            ("x.pdf.jar", b"", 0o644, false),
            ("y.txt", b"", 0o744, false),
            ("z.png", b"\x7fELF", 0o644, false),
            ("z.txt", b"#!/bin/sh", 0o644, false),
            ("z.pdf", b"[Desktop Entry]\nExec=x", 0o644, false),
            ("z.zip", b"MZ", 0o644, false),
        ] {
            assert_eq!(check_of(name, bytes, mode), opened, "{name}");
        }
        assert!(check(dir.path()).is_ok());
    }

    #[test]
    fn what_is_not_there_or_leads_elsewhere_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link.txt");
        symlink("/etc/hostname", &link).unwrap();
        let gone = |path: &Path| matches!(check(path), Err(OpeningError::Gone { .. }));
        assert!(gone(&link));
        assert!(gone(&dir.path().join("none.txt")));
        let error = check(&dir.path().join("none.txt")).unwrap_err().to_string();
        assert!(error.contains("none.txt is not there any more"), "{error}");
    }

    #[test]
    fn the_refusal_says_where_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("setup.exe");
        fs::write(&path, "MZ").unwrap();
        let error = check(&path).unwrap_err().to_string();
        let folder = dir.path().display();
        assert_eq!(
            error,
            format!(
                "setup.exe could be a program, and Hallway opens none; look at it in its folder, {folder}"
            )
        );
    }
}
