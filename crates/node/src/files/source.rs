//! What is offered: listing it, and reading its groups.

use hallway_model::{ContentId, Offer};
use hallway_proto::bulk::{ENTRIES_MAX, Entry, Kind, Manifest, Piece};
use rustix::fs::Access;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Why something cannot be offered or sent.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system.
    #[error("{} cannot be read: {error}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not an absolute path with a name.
    #[error("{} has no name under which it could be sent", .0.display())]
    Nameless(PathBuf),
    /// A device, a socket or the like.
    #[error("{} is neither a file nor a folder", .0.display())]
    NoFile(PathBuf),
    /// Over a limit of the manifest.
    #[error("{} cannot be sent: {error}", .path.display())]
    Manifest {
        /// What.
        path: PathBuf,
        /// Why.
        error: hallway_proto::bulk::ManifestError,
    },
}

/// What is at a path, as an offer. Reads folders whole: off the reactor.
pub fn offer(path: &Path) -> Result<Offer, SourceError> {
    let manifest = list(path)?;
    let mut content = [0; 16];
    getrandom::fill(&mut content).map_err(|error| SourceError::Io {
        path: path.to_owned(),
        error: io::Error::other(error),
    })?;
    let first = manifest.entries().first();
    let first = first.ok_or_else(|| SourceError::Nameless(path.to_owned()))?;
    let mut name = first.name.clone();
    let mut end = name.len().min(hallway_model::FILE_NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    Ok(Offer {
        content: ContentId(content),
        name,
        bytes: manifest.bytes(),
        files: manifest.files(),
        folder: first.kind == Kind::Folder,
        media_type: None,
        thumbnail: None,
    })
}

/// Lists what is at a path: folders before what is in them, by name. Links are not followed.
pub(super) fn list(path: &Path) -> Result<Manifest, SourceError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| SourceError::Io { path, error }
    };
    let name = path.file_name();
    let name = name.ok_or_else(|| SourceError::Nameless(path.to_owned()))?;
    // The offered path itself may be a link: that is what its owner named.
    let found = fs::metadata(path).map_err(io(path))?;
    if !found.is_file() && !found.is_dir() {
        return Err(SourceError::NoFile(path.to_owned()));
    }
    let push = |manifest: &mut Manifest, path: &Path, entry| {
        let path = path.to_owned();
        let pushed = manifest.push(entry);
        pushed.map_err(|error| SourceError::Manifest { path, error })
    };
    let mut manifest = Manifest::default();
    push(
        &mut manifest,
        path,
        entry(0, &name.to_string_lossy(), &found),
    )?;
    if found.is_file() {
        File::open(path).map_err(io(path))?;
        return Ok(manifest);
    }
    let mut folders = vec![(0, path.to_owned())];
    while let Some((parent, folder)) = folders.pop() {
        let mut inside: Vec<_> = match fs::read_dir(&folder) {
            Ok(inside) => inside
                .take(ENTRIES_MAX + 1)
                .filter_map(Result::ok)
                .collect(),
            // The top must be readable; of the rest what can be read is sent.
            Err(error) if parent == 0 => return Err(io(&folder)(error)),
            Err(_) => continue,
        };
        inside.sort_by_key(fs::DirEntry::file_name);
        for found in inside {
            let path = found.path();
            let Ok(metadata) = found.metadata() else {
                continue;
            };
            let number = u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX);
            let name = found.file_name();
            let mut entry = entry(parent, &name.to_string_lossy(), &metadata);
            let readable = rustix::fs::access(&path, Access::READ_OK).is_ok();
            if entry.kind == Kind::File && (!readable || name.to_str().is_none()) {
                (entry.kind, entry.bytes) = (Kind::Unreadable, 0);
            }
            let is_folder = entry.kind == Kind::Folder;
            push(&mut manifest, &path, entry)?;
            if is_folder {
                folders.push((number, path));
            }
        }
    }
    Ok(manifest)
}

fn entry(parent: u32, name: &str, found: &Metadata) -> Entry {
    let kind = if found.is_file() {
        Kind::File
    } else if found.is_dir() {
        Kind::Folder
    } else {
        Kind::Skipped
    };
    Entry {
        parent,
        name: name.to_owned(),
        kind,
        bytes: if kind == Kind::File { found.len() } else { 0 },
        modified_ms: modified_ms(found),
        executable: kind == Kind::File && found.mode() & 0o100 != 0,
    }
}

fn modified_ms(found: &Metadata) -> u64 {
    let since = found
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Reads the groups of a source, keeping the last file open.
pub(super) struct Source {
    root: PathBuf,
    open: Option<(u32, File)>,
}

impl Source {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, open: None }
    }

    /// Reads a piece into the front of `out`; false when the file is not what was listed.
    pub(super) fn read(
        &mut self,
        manifest: &Manifest,
        piece: Piece,
        out: &mut [u8],
    ) -> io::Result<bool> {
        let bytes = &mut out[..piece.bytes as usize];
        if self
            .open
            .as_ref()
            .is_none_or(|(entry, _)| *entry != piece.entry)
        {
            let Some(file) = self.open_entry(manifest, piece.entry)? else {
                return Ok(false);
            };
            self.open = Some((piece.entry, file));
        }
        let Some((_, file)) = &self.open else {
            return Ok(false);
        };
        match file.read_exact_at(bytes, piece.offset) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn open_entry(&self, manifest: &Manifest, number: u32) -> io::Result<Option<File>> {
        let Some(listed) = manifest.entry(number) else {
            return Ok(None);
        };
        let mut options = fs::OpenOptions::new();
        options.read(true);
        if number != 0 {
            options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        }
        let file = match options.open(self.path(manifest, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        let same = found.is_file()
            && found.len() == listed.bytes
            && modified_ms(&found) == listed.modified_ms;
        Ok(same.then_some(file))
    }

    fn path(&self, manifest: &Manifest, mut number: u32) -> PathBuf {
        let mut names = Vec::new();
        while number != 0
            && let Some(entry) = manifest.entry(number)
        {
            names.push(&entry.name);
            number = entry.parent;
        }
        let mut path = self.root.clone();
        path.extend(names.into_iter().rev());
        path
    }
}
