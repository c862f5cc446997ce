//! What is offered: listing it, and reading its groups.

use super::picture;
use hallway_model::{ContentId, FILE_NAME_BYTES_MAX, LEFT_OUT_NAMES_MAX, Offer};
use hallway_proto::bulk::{DEPTH_MAX, ENTRIES_MAX, Entry, Kind, Manifest, Piece};
use rustix::fs::Access;
use std::collections::BTreeMap;
use std::ffi::OsString;
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
    let manifest = list(path)?.manifest;
    let mut content = [0; 16];
    getrandom::fill(&mut content).map_err(|error| SourceError::Io {
        path: path.to_owned(),
        error: io::Error::other(error),
    })?;
    let first = manifest.entries().first();
    let first = first.ok_or_else(|| SourceError::Nameless(path.to_owned()))?;
    let left_out = (manifest.entries().iter())
        .filter(|entry| matches!(entry.kind, Kind::Skipped | Kind::Unreadable));
    let (media_type, thumbnail) = match first.kind {
        Kind::File => picture::look(path),
        Kind::Folder | Kind::Skipped | Kind::Unreadable => (None, None),
    };
    Ok(Offer {
        content: ContentId(content),
        name: shortened(&first.name),
        bytes: manifest.bytes(),
        files: manifest.files(),
        folder: first.kind == Kind::Folder,
        media_type,
        thumbnail,
        left_out: u32::try_from(left_out.clone().count()).unwrap_or(u32::MAX),
        left_out_names: left_out
            .take(LEFT_OUT_NAMES_MAX)
            .map(|entry| shortened(&entry.name))
            .collect(),
    })
}

/// A name as an offer may carry it: with a letter that is not valid it may have grown.
fn shortened(name: &str) -> String {
    name[..name.floor_char_boundary(FILE_NAME_BYTES_MAX)].to_owned()
}

/// What there is to send.
pub(super) struct Listing {
    pub(super) manifest: Manifest,
    /// The names of entries that are no text; in the manifest they have a readable replacement.
    odd_names: BTreeMap<u32, OsString>,
}

/// Lists what is at a path: folders before what is in them, by name. Links are not followed.
pub(super) fn list(path: &Path) -> Result<Listing, SourceError> {
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
    let mut odd_names = BTreeMap::new();
    push(
        &mut manifest,
        path,
        entry(0, &name.to_string_lossy(), &found),
    )?;
    if found.is_file() {
        File::open(path).map_err(io(path))?;
        return Ok(Listing {
            manifest,
            odd_names,
        });
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
        let deepest = manifest
            .depth(parent)
            .is_some_and(|depth| depth + 1 >= DEPTH_MAX);
        for found in inside {
            let path = found.path();
            let Ok(metadata) = found.metadata() else {
                continue;
            };
            let number = u32::try_from(manifest.entries().len()).unwrap_or(u32::MAX);
            let name = found.file_name();
            let mut entry = entry(parent, &name.to_string_lossy(), &metadata);
            let needed = match entry.kind {
                Kind::Folder => Access::READ_OK | Access::EXEC_OK,
                Kind::File | Kind::Skipped | Kind::Unreadable => Access::READ_OK,
            };
            if entry.kind == Kind::Folder && deepest {
                entry.kind = Kind::Skipped;
            } else if entry.kind != Kind::Skipped && rustix::fs::access(&path, needed).is_err() {
                (entry.kind, entry.bytes, entry.executable) = (Kind::Unreadable, 0, false);
            }
            if name.to_str().is_none() {
                odd_names.insert(number, name);
            }
            let is_folder = entry.kind == Kind::Folder;
            push(&mut manifest, &path, entry)?;
            if is_folder {
                folders.push((number, path));
            }
        }
    }
    Ok(Listing {
        manifest,
        odd_names,
    })
}

fn entry(parent: u32, name: &str, found: &Metadata) -> Entry {
    let kind = if found.is_file() {
        Kind::File
    } else if found.is_dir() {
        Kind::Folder
    } else {
        Kind::Skipped
    };
    let is_file = kind == Kind::File;
    Entry {
        parent,
        name: name.to_owned(),
        kind,
        bytes: if is_file { found.len() } else { 0 },
        modified_ms: modified_ms(found),
        executable: is_file && found.mode() & 0o100 != 0,
        version: if is_file { version(found) } else { 0 },
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

/// The time of the last change of the file or of what the system keeps of it. Unlike the other
/// one nobody can set it back, as programs do that change a file and mean to hide it.
fn version(found: &Metadata) -> u64 {
    let nanoseconds = found.ctime().wrapping_mul(1_000_000_000);
    nanoseconds.wrapping_add(found.ctime_nsec()).cast_unsigned()
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
        listing: &Listing,
        piece: Piece,
        out: &mut [u8],
    ) -> io::Result<bool> {
        let Some(listed) = listing.manifest.entry(piece.entry) else {
            return Ok(false);
        };
        let open = self.open.take().filter(|(entry, _)| *entry == piece.entry);
        let file = match open {
            Some((_, file)) => file,
            None => match self.open_entry(listing, piece.entry) {
                Ok(file) => file,
                Err(error) if is_gone(&error) => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        match file.read_exact_at(&mut out[..piece.bytes as usize], piece.offset) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        // Looked at after it was read: what was read is of the file as it was listed.
        let found = file.metadata()?;
        let same = found.is_file()
            && found.len() == listed.bytes
            && modified_ms(&found) == listed.modified_ms
            && version(&found) == listed.version;
        self.open = same.then_some((piece.entry, file));
        Ok(same)
    }

    fn open_entry(&self, listing: &Listing, number: u32) -> io::Result<File> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        if number != 0 {
            // Nor does it wait for a writer where somebody has put a pipe meanwhile.
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            options.custom_flags(flags.bits().cast_signed());
        }
        options.open(self.path(listing, number))
    }

    fn path(&self, listing: &Listing, mut number: u32) -> PathBuf {
        let mut names = Vec::new();
        while number != 0
            && let Some(entry) = listing.manifest.entry(number)
        {
            let odd = listing.odd_names.get(&number);
            names.push(odd.map_or(entry.name.as_ref(), OsString::as_os_str));
            number = entry.parent;
        }
        let mut path = self.root.clone();
        path.extend(names.into_iter().rev());
        path
    }
}

/// Somebody cut or removed it, put something else in its place or took our rights: the next
/// listing tells.
fn is_gone(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::UnexpectedEof,
    ];
    let codes = [Errno::LOOP, Errno::NOTDIR, Errno::NXIO, Errno::SPIPE];
    let code = error.raw_os_error();
    kinds.contains(&error.kind()) || codes.iter().any(|gone| Some(gone.raw_os_error()) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn names(listing: &Listing, kind: Kind) -> Vec<&str> {
        let entries = listing.manifest.entries().iter();
        let of_kind = entries.filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn what_is_not_sent_is_named_and_the_rest_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("trip");
        let odd = OsString::from_vec(b"caf\xe9".to_vec());
        fs::create_dir_all(root.join(&odd).join("empty")).unwrap();
        fs::write(root.join(&odd).join(&odd), "odd").unwrap();
        fs::write(root.join("a"), "a").unwrap();
        symlink("/etc", root.join("link")).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        let listing = list(&root).unwrap();
        assert_eq!(
            names(&listing, Kind::Folder),
            ["trip", "caf\u{fffd}", "empty"]
        );
        assert_eq!(names(&listing, Kind::File), ["a", "caf\u{fffd}"]);
        assert_eq!(names(&listing, Kind::Skipped), ["link", "socket"]);
        let offer = offer(&root).unwrap();
        assert_eq!((offer.files, offer.bytes, offer.left_out), (2, 4, 2));
        assert_eq!(offer.left_out_names, ["link", "socket"]);
        let mut source = Source::new(root);
        let mut out = [0; 8];
        let mut read = |group| {
            let piece = listing.manifest.piece(group).unwrap();
            assert!(source.read(&listing, piece, &mut out).unwrap());
            out[..piece.bytes as usize].to_vec()
        };
        assert_eq!((read(0), read(1)), (b"a".to_vec(), b"odd".to_vec()));
    }

    #[test]
    fn folders_that_are_too_deep_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep");
        fs::create_dir_all(root.join("d/".repeat(1000))).unwrap();
        fs::write(root.join("a"), "a").unwrap();
        let listing = list(&root).unwrap();
        assert_eq!(names(&listing, Kind::Folder).len(), usize::from(DEPTH_MAX));
        assert_eq!(names(&listing, Kind::Skipped), ["d"]);
        assert_eq!(names(&listing, Kind::File), ["a"]);
    }

    /// Older systems tell changes apart only every few milliseconds.
    fn until_another_time(path: &Path) {
        let of = |path: &Path| version(&fs::metadata(path).unwrap());
        let other = path.with_extension("other");
        fs::write(&other, "").unwrap();
        while of(&other) == of(path) {
            fs::write(&other, "").unwrap();
        }
    }

    #[test]
    fn nothing_of_a_file_is_read_once_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let changes: [fn(&Path); 4] = [
            |path| fs::write(path, "changed").unwrap(),
            |path| fs::write(path, "changed and longer").unwrap(),
            |path| fs::remove_file(path).unwrap(),
            // With the time set back as well.
            |path| {
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                fs::write(path, "hidden!").unwrap();
                let times = fs::FileTimes::new().set_modified(modified);
                File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_times(times)
                    .unwrap();
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            for opened in [false, true] {
                fs::write(&path, "content").unwrap();
                let listing = list(&path).unwrap();
                let piece = listing.manifest.piece(0).unwrap();
                let mut source = Source::new(path.clone());
                let mut out = [0; 8];
                if opened {
                    assert!(source.read(&listing, piece, &mut out).unwrap());
                }
                until_another_time(&path);
                change(&path);
                let read = source.read(&listing, piece, &mut out).unwrap();
                assert!(!read, "change {number}, opened: {opened}");
            }
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("x");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), "a").unwrap();
        let listing = list(&root).unwrap();
        fs::remove_file(root.join("a")).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, root.join("a"), kind, mode, 0).unwrap();
        let piece = listing.manifest.piece(0).unwrap();
        let read = Source::new(root).read(&listing, piece, &mut [0; 8]);
        assert!(!read.unwrap());
    }
}
