//! What has come of a transfer so far: a folder beside its target that only its owner may enter.
//!
//! ```text
//! .hallway-0123456789abcdef.part/
//!   manifest      the list of what is offered
//!   groups-REV    which groups of this revision of it are there: number (8 bytes) and hash (32)
//!                 each, appended
//!   data/         the files, under safe names
//!   place         where all of it went, once it was complete
//! ```
//!
//! A group is recorded after it was checked and written. A new attempt believes the record and
//! goes on at once, whatever has happened to the disk meanwhile. Only when nothing is missing any
//! more, what came in earlier attempts is read once and compared with its recorded hash, and what
//! is damaged is fetched again: so a resume costs no reading however often it happens, and nothing
//! gets its name that is not byte for byte what was sent.

use hallway_model::TransferId;
use hallway_proto::bulk::{
    CHAIN_BYTES, Entry, Kind, Manifest, Piece, Plan, Revision, fold, numbered, safe_name,
};
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, RenameFlags, XattrFlags};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MANIFEST: &str = "manifest";
const GROUPS: &str = "groups-";
const DATA: &str = "data";
const PLACE: &str = "place";
const PREFIX: &str = ".hallway-";
const SUFFIX: &str = ".part";

/// Bytes of one record in `groups`.
const RECORD_BYTES: usize = 8 + CHAIN_BYTES;
/// In the number of a record: the group was found damaged.
const LOST: u64 = 1 << 63;
/// Numbers tried behind a name that is taken.
const NUMBERS_MAX: u32 = 10_000;
/// Room that is left to others on a disk.
pub(super) const ROOM_LEFT_BYTES: u64 = 16 << 20;
/// Parts to which nothing was added for so long are removed: who offered is not coming back, and
/// should they, it begins anew.
const ABANDONED: Duration = Duration::from_secs(30 * 24 * 3600);
/// Says on file systems that can keep it that a file came from somebody else, as programs that
/// download do. It names the program and no person: the mark travels with copies of the file.
const ORIGIN: (&str, &[u8]) = ("user.xdg.origin.url", b"hallway:");

/// The hash of a group, and which.
pub(super) type Group = (u64, [u8; CHAIN_BYTES]);

/// The staging folder of a transfer.
pub(super) fn path(folder: &Path, id: &TransferId) -> PathBuf {
    let id = id.message.to_string();
    folder.join(format!("{PREFIX}{}{SUFFIX}", &id[..16]))
}

/// See the module.
pub(super) struct Staging {
    folder: PathBuf,
    path: PathBuf,
    data: Arc<OwnedFd>,
    /// The safe name of each entry, none twice in a folder.
    names: Vec<String>,
    groups: Mutex<File>,
    /// Records of earlier attempts, in bytes.
    earlier: u64,
    /// The folder that was last wanted: what comes next is mostly beside it.
    last_parent: Mutex<Option<(u32, Arc<OwnedFd>)>>,
}

/// What an earlier attempt left.
pub(super) enum Left {
    /// Nothing of use.
    Nothing,
    /// A list, and groups of what is in it.
    Some(Manifest),
    /// Everything, and it is under its name already.
    Done(PathBuf),
}

/// What of an earlier list is of use for a new one, numbered as in the new one.
#[derive(Default)]
pub(super) struct Kept {
    /// Groups of files that are the same.
    pub(super) same: Vec<Group>,
    /// Groups of files that have changed: whoever has them knows whether these have.
    pub(super) doubtful: Vec<Group>,
}

/// Makes the folder, or looks at what an earlier attempt left in it.
pub(super) fn look(folder: &Path, id: &TransferId) -> io::Result<Left> {
    let path = path(folder, id);
    let made = fs::DirBuilder::new().mode(0o700).create(&path);
    match made {
        Ok(()) => return Ok(Left::Nothing),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    if !is_own(&path)? {
        let why = "somebody else's file is where the parts would go";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    if let Some(place) = read_place(&path) {
        // The last step is a rename: the data is here, or it is there.
        let moved = fs::read_dir(path.join(DATA))?.next().is_none();
        if moved && fs::symlink_metadata(&place).is_ok() {
            return Ok(Left::Done(place));
        }
    }
    Ok(read_manifest(&path.join(MANIFEST)).map_or(Left::Nothing, Left::Some))
}

/// A folder that is ours and that nobody else can enter.
fn is_own(path: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(path)?;
    let own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    Ok(own && found.mode() & 0o077 == 0)
}

/// Removes parts in this folder to which nothing was added for a long time, but not of `except`.
pub(super) fn sweep(folder: &Path, except: Option<&TransferId>) {
    let kept = except.map(|id| path(folder, id));
    let inside = fs::read_dir(folder).into_iter().flatten();
    for path in inside.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        let other = Some(&path) != kept.as_ref();
        if is_ours && other && is_own(&path).unwrap_or(false) && is_abandoned(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!("removed parts of a file that nobody has sent for long"),
                Err(error) => tracing::warn!(%error, "old parts of a file stay"),
            }
        }
    }
}

/// Neither the folder nor anything right in it has been written to for long.
fn is_abandoned(path: &Path) -> bool {
    let inside = fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let times = inside
        .map(|entry| entry.metadata())
        .chain([fs::symlink_metadata(path)])
        .map(|found| found.and_then(|found| found.modified()));
    let limit = SystemTime::now().checked_sub(ABANDONED);
    limit.is_some_and(|limit| times.into_iter().all(|at| at.is_ok_and(|at| at < limit)))
}

fn read_place(path: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let place = fs::read(path.join(PLACE)).ok()?;
    Some(std::ffi::OsString::from_vec(place).into())
}

/// The list that was kept, if it is whole: it begins with its revision.
fn read_manifest(path: &Path) -> Option<Manifest> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let mut revision = [0; 16];
    reader.read_exact(&mut revision).ok()?;
    let mut manifest = Manifest::default();
    let mut length = [0; 2];
    while reader.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        reader.read_exact(&mut bytes).ok()?;
        let entry: Entry = hallway_proto::cbor::decode(&bytes).ok()?;
        manifest.push(entry).ok()?;
    }
    (manifest.revision() == Revision(revision)).then_some(manifest)
}

/// Writes the list; until it is whole the one before it holds.
fn write_manifest(path: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut bytes = manifest.revision().0.to_vec();
    let mut encoded = Vec::new();
    for entry in manifest.entries() {
        encoded.clear();
        hallway_proto::cbor::encode(entry, &mut encoded);
        let length = u16::try_from(encoded.len()).map_err(io::Error::other)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&encoded);
    }
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

fn groups_name(manifest: &Manifest) -> String {
    format!("{GROUPS}{}", hex::encode(manifest.revision().0))
}

fn record(group: u64, hash: &[u8; CHAIN_BYTES]) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&group.to_be_bytes());
    record[8..].copy_from_slice(hash);
    record
}

/// Calls `take` with each record of the front of a file: the group, its hash, and whether it is
/// there or lost.
fn each_record(
    groups: &File,
    bytes: u64,
    mut take: impl FnMut(u64, [u8; CHAIN_BYTES], bool) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; 512 * RECORD_BYTES];
    let mut at = 0;
    while at < bytes {
        let left = usize::try_from(bytes - at).unwrap_or(usize::MAX);
        let part = &mut buffer[..left.min(512 * RECORD_BYTES)];
        groups.read_exact_at(part, at)?;
        at += part.len() as u64;
        for record in part.as_chunks::<RECORD_BYTES>().0 {
            let (number, hash) = record.split_at(8);
            let number = u64::from_be_bytes(number.try_into().map_err(io::Error::other)?);
            let hash = hash.try_into().map_err(io::Error::other)?;
            take(number & !LOST, hash, number & LOST == 0)?;
        }
    }
    Ok(())
}

/// What of the parts of an earlier list belongs into a new one.
pub(super) fn compare(
    folder: &Path,
    id: &TransferId,
    before: &Manifest,
    now: &Manifest,
) -> io::Result<Kept> {
    let (old, new) = (full_names(before), full_names(now));
    let places: HashMap<&str, u32> = new.iter().map(String::as_str).zip(0..).collect();
    let groups = match File::open(path(folder, id).join(groups_name(before))) {
        Ok(groups) => groups,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(error),
    };
    let mut there = HashMap::new();
    each_record(&groups, whole_records(&groups)?, |group, hash, is_there| {
        if is_there {
            there.insert(group, hash);
        } else {
            there.remove(&group);
        }
        Ok(())
    })?;
    let mut kept = Kept::default();
    for (group, hash) in there {
        let Some(piece) = before.piece(group) else {
            continue;
        };
        let place = usize::try_from(piece.entry).ok().and_then(|n| old.get(n));
        let Some(number) = place.and_then(|place| places.get(place.as_str())) else {
            continue;
        };
        let moved = now.groups_of(*number).start + (group - before.groups_of(piece.entry).start);
        // Of another length it has another hash too.
        let fits = now.piece(moved).is_some_and(|at| {
            (at.entry, at.offset, at.bytes) == (*number, piece.offset, piece.bytes)
        });
        let (was, is) = (before.entry(piece.entry), now.entry(*number));
        let same = was.zip(is).is_some_and(|(was, is)| {
            (was.bytes, was.modified_ms, was.version) == (is.bytes, is.modified_ms, is.version)
        });
        match (fits, same) {
            (true, true) => kept.same.push((moved, hash)),
            (true, false) => kept.doubtful.push((moved, hash)),
            (false, _) => {}
        }
    }
    kept.doubtful.sort_unstable_by_key(|(group, _)| *group);
    Ok(kept)
}

fn whole_records(groups: &File) -> io::Result<u64> {
    let bytes = groups.metadata()?.len();
    Ok(bytes - bytes % RECORD_BYTES as u64)
}

impl Staging {
    /// Begins with a list that is new here. Of what came for the one before, if any, these groups
    /// stay, and what belongs to neither list goes.
    pub(super) fn begin(
        folder: &Path,
        id: &TransferId,
        manifest: &Manifest,
        kept: Option<&[Group]>,
    ) -> io::Result<(Self, Plan)> {
        let path = path(folder, id);
        let groups = groups_name(manifest);
        if kept.is_none() {
            clear(&path, |_| false)?;
        }
        let mut records = BufWriter::new(create(&path.join(&groups))?);
        for (group, hash) in kept.unwrap_or_default() {
            records.write_all(&record(*group, hash))?;
        }
        records.into_inner().map_err(|error| error.into_error())?;
        // From here on the new list holds.
        write_manifest(&path.join(MANIFEST), manifest)?;
        clear(&path, |name| [MANIFEST, DATA, &groups].contains(&name))?;
        if kept.is_some() {
            let names = full_names(manifest);
            let kinds = manifest.entries().iter().map(|entry| entry.kind);
            prune(
                &path.join(DATA),
                "",
                &names.iter().map(String::as_str).zip(kinds).collect(),
            )?;
        }
        Self::go_on(folder, id, manifest)
    }

    /// Goes on with the list that is here.
    pub(super) fn go_on(
        folder: &Path,
        id: &TransferId,
        manifest: &Manifest,
    ) -> io::Result<(Self, Plan)> {
        let path = path(folder, id);
        let data = path.join(DATA);
        match fs::DirBuilder::new().mode(0o700).create(&data) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let folder_flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let data = rustix::fs::open(&data, folder_flags, Mode::empty())?;
        let groups = fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path.join(groups_name(manifest)))?;
        // A record that was cut off would shift all that come after it.
        let earlier = whole_records(&groups)?;
        groups.set_len(earlier)?;
        let mut plan = Plan::new(manifest);
        each_record(&groups, earlier, |group, _, is_there| {
            if is_there {
                plan.handle_have(group, manifest);
            } else {
                plan.handle_lost(group, manifest);
            }
            Ok(())
        })?;
        let staging = Self {
            folder: folder.to_owned(),
            path,
            data: Arc::new(data),
            names: safe_names(manifest),
            groups: Mutex::new(groups),
            earlier,
            last_parent: Mutex::default(),
        };
        staging.make_folders(manifest)?;
        Ok((staging, plan))
    }

    fn make_folders(&self, manifest: &Manifest) -> io::Result<()> {
        for (number, entry) in (0..).zip(manifest.entries()) {
            if entry.kind == Kind::Folder {
                let (parent, name) = self.parent(manifest, number)?;
                match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The open folder that an entry is in, reached without following any link, and its name.
    fn parent(&self, manifest: &Manifest, number: u32) -> io::Result<(Arc<OwnedFd>, &str)> {
        let name = self.name(number);
        if number == 0 {
            return Ok((self.data.clone(), name));
        }
        let wanted = manifest.entry(number).map_or(0, |entry| entry.parent);
        let mut last = self
            .last_parent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, folder)) = last.as_ref().filter(|(number, _)| *number == wanted) {
            return Ok((folder.clone(), name));
        }
        let mut steps = vec![wanted];
        let mut above = wanted;
        while above != 0 {
            above = manifest.entry(above).map_or(0, |entry| entry.parent);
            steps.push(above);
        }
        let mut folder = self.data.clone();
        for step in steps.into_iter().rev() {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inside = rustix::fs::openat(&folder, self.name(step), flags, Mode::empty())?;
            folder = Arc::new(inside);
        }
        *last = Some((wanted, folder.clone()));
        Ok((folder, name))
    }

    /// Where the first entry is until it gets its name, and how all of them are called here.
    pub(super) fn places(&self) -> (PathBuf, Vec<String>) {
        let path = self.path.join(DATA).join(self.name(0));
        (path, self.names.clone())
    }

    fn name(&self, number: u32) -> &str {
        let name = usize::try_from(number).ok().and_then(|n| self.names.get(n));
        name.map_or("_", String::as_str)
    }

    /// The file of an entry, to be written: of its full length, with holes where nothing is yet.
    pub(super) fn open_file(&self, manifest: &Manifest, number: u32) -> io::Result<File> {
        let (folder, name) = self.parent(manifest, number)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o600))?;
        let file = File::from(file);
        let bytes = manifest.entry(number).map_or(0, |entry| entry.bytes);
        if file.metadata()?.len() != bytes {
            file.set_len(bytes)?;
        }
        Ok(file)
    }

    /// Notes that a group was checked and written.
    pub(super) fn record(&self, group: u64, hash: &[u8; CHAIN_BYTES]) -> io::Result<()> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let written = groups.write_all(&record(group, hash));
        if written.is_err() {
            // Half a record on a full disk would shift all that come after it.
            groups.set_len(whole_records(&groups)?)?;
        }
        written
    }

    /// Bytes that still fit on the disk.
    pub(super) fn room(&self) -> io::Result<u64> {
        let found = rustix::fs::fstatvfs(&self.data)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Reads what earlier attempts have left and compares it with the records. Calls `go_on` with
    /// each group and whether it is what it was, until that says no.
    pub(super) fn check_earlier(
        &self,
        manifest: &Manifest,
        mut go_on: impl FnMut(u64, bool) -> bool,
    ) -> io::Result<()> {
        let groups = self
            .groups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_clone()?;
        let mut open: Option<(u32, File)> = None;
        let mut buffer = Vec::new();
        let mut damaged = Vec::new();
        let mut stopped = false;
        each_record(&groups, self.earlier, |group, hash, is_there| {
            let Some(piece) = manifest.piece(group).filter(|_| is_there && !stopped) else {
                return Ok(());
            };
            let file = match open.take() {
                Some((entry, file)) if entry == piece.entry => file,
                _ => self.open_file(manifest, piece.entry)?,
            };
            let intact = is_intact(&file, manifest, piece, &hash, &mut buffer);
            open = Some((piece.entry, file));
            if !intact {
                damaged.push((group, hash));
            }
            stopped = !go_on(group, intact);
            Ok(())
        })?;
        for (group, hash) in damaged {
            self.record(group | LOST, &hash)?;
        }
        Ok(())
    }

    /// Gives everything its times, rights and name; never in the place of something else.
    pub(super) fn finish(&self, manifest: &Manifest) -> io::Result<PathBuf> {
        let mode = 0o777 & !umask();
        let all: Vec<(u32, &Entry)> = (0..).zip(manifest.entries()).collect();
        // What is in a folder comes after it, and would change its time again.
        for (number, entry) in all.into_iter().rev() {
            // Files without bytes have no group, so that this is the first they are heard of.
            let file = match entry.kind {
                Kind::File => self.open_file(manifest, number)?,
                Kind::Folder => {
                    let (parent, name) = self.parent(manifest, number)?;
                    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    rustix::fs::openat(&parent, name, flags, Mode::empty())?.into()
                }
                Kind::Skipped | Kind::Unreadable => continue,
            };
            if entry.kind == Kind::File {
                let (name, value) = ORIGIN;
                // Not every file system can keep it.
                let _ = rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty());
            }
            let modified = UNIX_EPOCH + Duration::from_millis(entry.modified_ms);
            file.set_times(FileTimes::new().set_modified(modified))?;
            let runs = entry.kind == Kind::Folder || entry.executable;
            let mode = if runs { mode } else { mode & !0o111 };
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        rustix::fs::syncfs(&self.data)?;
        self.move_out()
    }

    fn move_out(&self) -> io::Result<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        let name = self.name(0);
        let folder = rustix::fs::open(&self.folder, OFlags::DIRECTORY, Mode::empty())?;
        for number in 1..NUMBERS_MAX {
            let target = match number {
                1 => name.to_owned(),
                _ => numbered(name, number),
            };
            // On a file system without case another spelling is taken too: the rename says so.
            if rustix::fs::statat(&folder, &target, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                continue;
            }
            let place = self.folder.join(&target);
            let mut note = File::create(self.path.join(PLACE))?;
            note.write_all(place.as_os_str().as_bytes())?;
            note.sync_all()?;
            let no_replace = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.data, name, &folder, &target, no_replace) {
                Ok(()) => {
                    rustix::fs::fsync(&folder)?;
                    return Ok(place);
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }
}

/// Removes all that an attempt left.
pub(super) fn discard(folder: &Path, id: &TransferId) -> io::Result<()> {
    match fs::remove_dir_all(path(folder, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes that fit on the disk of a folder.
pub(super) fn room(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Writes zeros where it can without taking room for them.
pub(super) fn write_zeros(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, hole, offset, bytes.len() as u64) {
        Ok(()) => Ok(()),
        Err(_) => file.write_all_at(bytes, offset),
    }
}

fn is_intact(
    file: &File,
    manifest: &Manifest,
    piece: Piece,
    hash: &[u8; CHAIN_BYTES],
    buffer: &mut Vec<u8>,
) -> bool {
    buffer.resize(piece.bytes as usize, 0);
    // What cannot be read is written anew, too.
    let read = file.read_exact_at(buffer, piece.offset);
    read.is_ok() && manifest.hash_of(piece, buffer) == *hash
}

/// Names for all entries, none twice in a folder, not even where case does not count.
fn safe_names(manifest: &Manifest) -> Vec<String> {
    let mut taken = HashSet::new();
    let unique = |entry: &Entry| {
        let safe = safe_name(&entry.name);
        let numbers = 2..;
        let mut name = safe.clone();
        for number in numbers {
            if taken.insert((entry.parent, fold(&name))) {
                break;
            }
            name = numbered(&safe, number);
        }
        name
    };
    manifest.entries().iter().map(unique).collect()
}

/// Where each entry is, as a path of safe names.
fn full_names(manifest: &Manifest) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(manifest.entries().len());
    for (entry, name) in manifest.entries().iter().zip(safe_names(manifest)) {
        let parent = usize::try_from(entry.parent).ok().and_then(|n| all.get(n));
        let full = parent.map_or(name.clone(), |parent| format!("{parent}/{name}"));
        all.push(full);
    }
    all
}

/// Removes everything below a folder but what is on the list, as what it is on the list.
fn prune(folder: &Path, name: &str, list: &HashMap<&str, Kind>) -> io::Result<()> {
    let inside = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        inside => inside?,
    };
    for inside in inside {
        let inside = inside?;
        let own = inside.file_name();
        let own = own.to_string_lossy();
        let full = match name {
            "" => own.into_owned(),
            _ => format!("{name}/{own}"),
        };
        let kind = inside.file_type()?;
        match list.get(full.as_str()) {
            Some(Kind::Folder) if kind.is_dir() => prune(&inside.path(), &full, list)?,
            Some(Kind::File) if kind.is_file() => {}
            _ if kind.is_dir() => fs::remove_dir_all(inside.path())?,
            _ => fs::remove_file(inside.path())?,
        }
    }
    Ok(())
}

/// Removes what is right in a folder, but not what is to stay.
fn clear(path: &Path, stays: impl Fn(&str) -> bool) -> io::Result<()> {
    for inside in fs::read_dir(path)? {
        let inside = inside?;
        if stays(&inside.file_name().to_string_lossy()) {
            continue;
        }
        if inside.file_type()?.is_dir() {
            fs::remove_dir_all(inside.path())?;
        } else {
            fs::remove_file(inside.path())?;
        }
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// The rights that this user does not give to new files.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    umask
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o077)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::{MessageId, PeerId};
    use hallway_proto::bulk::GROUP_BYTES;

    const ID: TransferId = TransferId {
        author: PeerId([1; 32]),
        message: MessageId([0xab; 16]),
    };
    const GROUP: usize = 1 << 20;

    fn entry(parent: u32, name: &str, kind: Kind, bytes: u64) -> Entry {
        Entry {
            parent,
            name: name.into(),
            kind,
            bytes,
            modified_ms: 1_700_000_000_123,
            executable: false,
            version: 0,
        }
    }

    fn manifest(entries: &[Entry]) -> Manifest {
        let mut manifest = Manifest::default();
        for entry in entries {
            manifest.push(entry.clone()).unwrap();
        }
        manifest
    }

    /// One file of three groups, the last of them short.
    fn one_file() -> Manifest {
        manifest(&[entry(0, "x.bin", Kind::File, 2 * GROUP_BYTES + 7)])
    }

    /// Writes a group of equal bytes and notes it.
    fn put(staging: &Staging, manifest: &Manifest, group: u64) {
        let piece = manifest.piece(group).unwrap();
        let filling = u8::try_from(group + 1).unwrap();
        let bytes = vec![filling; usize::try_from(piece.bytes).unwrap()];
        let file = staging.open_file(manifest, piece.entry).unwrap();
        file.write_all_at(&bytes, piece.offset).unwrap();
        let hash = manifest.hash_of(piece, &bytes);
        staging.record(group, &hash).unwrap();
    }

    /// A folder in which all groups of a manifest have come.
    fn filled(manifest: &Manifest) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(look(folder.path(), &ID).unwrap(), Left::Nothing));
        let (staging, plan) = Staging::begin(folder.path(), &ID, manifest, None).unwrap();
        assert_eq!(plan.bytes(), 0);
        (0..manifest.groups()).for_each(|group| put(&staging, manifest, group));
        folder
    }

    /// The groups that a later attempt finds.
    fn found(folder: &Path) -> Vec<u64> {
        let Left::Some(manifest) = look(folder, &ID).unwrap() else {
            panic!("there is a list");
        };
        let (_, plan) = Staging::go_on(folder, &ID, &manifest).unwrap();
        (0..manifest.groups())
            .filter(|group| plan.has(*group))
            .collect()
    }

    fn data(folder: &Path) -> File {
        let path = path(folder, &ID).join("data/x.bin");
        fs::OpenOptions::new().write(true).open(path).unwrap()
    }

    #[test]
    fn what_was_noted_is_found_again_and_nothing_else() {
        let folder = filled(&one_file());
        assert_eq!(found(folder.path()), [0, 1, 2]);
        // A record that was cut off counts for nothing, and shifts none that come after it.
        let groups = path(folder.path(), &ID).join(groups_name(&one_file()));
        let log = fs::OpenOptions::new().write(true).open(&groups).unwrap();
        log.set_len(RECORD_BYTES as u64 * 2 + 39).unwrap();
        assert_eq!(found(folder.path()), [0, 1]);
        let (staging, _) = Staging::go_on(folder.path(), &ID, &one_file()).unwrap();
        put(&staging, &one_file(), 2);
        assert_eq!(found(folder.path()), [0, 1, 2]);
        let private = |name| {
            fs::metadata(path(folder.path(), &ID).join(name))
                .unwrap()
                .mode()
        };
        assert_eq!((private("") & 0o77, private("data/x.bin") & 0o77), (0, 0));
    }

    /// The groups that turn out to be damaged once all are there.
    fn damaged(folder: &Path) -> Vec<u64> {
        let (staging, plan) = Staging::go_on(folder, &ID, &one_file()).unwrap();
        assert!(plan.is_complete(), "the record is believed");
        let mut damaged = Vec::new();
        let all = |group, intact: bool| {
            damaged.extend(Some(group).filter(|_| !intact));
            true
        };
        staging.check_earlier(&one_file(), all).unwrap();
        damaged
    }

    #[test]
    fn of_a_damaged_file_only_what_is_damaged_is_lost() {
        type Damage = (fn(&Path), &'static [u64]);
        let damages: [Damage; 5] = [
            (|_| {}, &[]),
            (
                |path| data(path).write_all_at(b"!", GROUP as u64 + 5).unwrap(),
                &[1],
            ),
            (
                |path| data(path).set_len(2 * GROUP as u64 - 1).unwrap(),
                &[1, 2],
            ),
            (|path| data(path).set_len(9 * GROUP as u64).unwrap(), &[]),
            (
                |folder| fs::remove_file(path(folder, &ID).join("data/x.bin")).unwrap(),
                &[0, 1, 2],
            ),
        ];
        for (damage, expected) in damages {
            let folder = filled(&one_file());
            damage(folder.path());
            assert_eq!(damaged(folder.path()), expected);
            let left: Vec<u64> = (0..3).filter(|group| !expected.contains(group)).collect();
            assert_eq!(found(folder.path()), left);
            let (staging, _) = Staging::go_on(folder.path(), &ID, &one_file()).unwrap();
            expected
                .iter()
                .for_each(|group| put(&staging, &one_file(), *group));
            assert_eq!(damaged(folder.path()), [0; 0]);
            let place = staging.finish(&one_file()).unwrap();
            assert_eq!(fs::metadata(place).unwrap().len(), 2 * GROUP_BYTES + 7);
        }
    }

    #[test]
    fn what_came_in_this_attempt_is_not_read_again() {
        let folder = filled(&one_file());
        let (staging, _) = Staging::go_on(folder.path(), &ID, &one_file()).unwrap();
        put(&staging, &one_file(), 0);
        let mut read = 0;
        let count = |_, _| {
            read += 1;
            read < 2
        };
        staging.check_earlier(&one_file(), count).unwrap();
        assert_eq!(read, 2, "it ends when it is told to");
    }

    #[test]
    fn of_a_list_that_changed_only_what_changed_is_lost() {
        let file = |name: &str, bytes, version| Entry {
            version,
            ..entry(0, name, Kind::File, bytes)
        };
        let trip = || entry(0, "trip", Kind::Folder, 0);
        let two = 2 * GROUP_BYTES;
        let before = manifest(&[
            trip(),
            file("a", 5, 1),
            file("b", two, 2),
            file("c", two, 3),
            file("gone", 1, 4),
            entry(0, "kind", Kind::Folder, 0),
        ]);
        let now = manifest(&[
            trip(),
            file("kind", 1, 9),
            file("a", 5, 1),
            file("b", two, 7),
            file("c", two + 1, 8),
        ]);
        let folder = filled(&before);
        let kept = compare(folder.path(), &ID, &before, &now).unwrap();
        let numbers = |groups: &[Group]| groups.iter().map(|(group, _)| *group).collect::<Vec<_>>();
        assert_eq!(numbers(&kept.same), [1]);
        assert_eq!(numbers(&kept.doubtful), [2, 3, 4, 5]);
        // Of c, whoever has it says, the second half is the same.
        let groups = [&kept.same[..], &kept.doubtful[3..]].concat();
        let (_, plan) = Staging::begin(folder.path(), &ID, &now, Some(&groups)).unwrap();
        let has = |plan: &Plan| {
            (0..now.groups())
                .filter(|g| plan.has(*g))
                .collect::<Vec<_>>()
        };
        assert_eq!(has(&plan), [1, 5]);
        assert_eq!(found(folder.path()), [1, 5]);
        let inside = path(folder.path(), &ID);
        assert_eq!(names_in(&inside), ["data", &groups_name(&now), "manifest"]);
        assert_eq!(names_in(&inside.join("data/trip")), ["a", "b", "c"]);
        let other = one_file();
        let kept = compare(folder.path(), &ID, &now, &other).unwrap();
        assert!(kept.same.is_empty() && kept.doubtful.is_empty());
        let (_, plan) = Staging::begin(folder.path(), &ID, &other, Some(&[])).unwrap();
        assert_eq!(plan.bytes(), 0);
        assert_eq!(names_in(&inside.join(DATA)), [""; 0]);
    }

    #[test]
    fn until_the_new_list_is_whole_the_old_one_holds() {
        let folder = filled(&one_file());
        let inside = path(folder.path(), &ID);
        // Killed after the first steps of another beginning.
        let mut other = entry(0, "x.bin", Kind::File, 2 * GROUP_BYTES + 7);
        other.version = 1;
        let other = manifest(&[other]);
        fs::write(inside.join(groups_name(&other)), "").unwrap();
        fs::write(inside.join("manifest.new"), "half").unwrap();
        assert_eq!(found(folder.path()), [0, 1, 2]);
    }

    #[test]
    fn zeros_take_no_room_and_replace_what_was_there() {
        let whole = manifest(&[entry(0, "x.bin", Kind::File, 64 * GROUP_BYTES)]);
        let folder = tempfile::tempdir().unwrap();
        look(folder.path(), &ID).unwrap();
        let (staging, _) = Staging::begin(folder.path(), &ID, &whole, None).unwrap();
        let file = staging.open_file(&whole, 0).unwrap();
        let zeros = vec![0; GROUP];
        file.write_all_at(b"old", 3 * GROUP_BYTES + 1).unwrap();
        for group in 0..64 {
            write_zeros(&file, &zeros, group * GROUP_BYTES).unwrap();
        }
        let found = file.metadata().unwrap();
        assert_eq!(found.len(), 64 * GROUP_BYTES);
        // Not every file system has holes; nearly all do.
        assert!(found.blocks() * 512 < 2 * GROUP_BYTES || found.blocks() * 512 >= found.len());
        let mut read = vec![1; GROUP];
        file.read_exact_at(&mut read, 3 * GROUP_BYTES).unwrap();
        assert_eq!(read, zeros);
    }

    #[test]
    fn parts_that_nobody_adds_to_are_removed_after_a_month() {
        let folder = filled(&one_file());
        let other = TransferId {
            message: MessageId([1; 16]),
            ..ID
        };
        look(folder.path(), &other).unwrap();
        let old = path(folder.path(), &ID);
        let set_age = |age: Duration| {
            let inside = fs::read_dir(&old)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            for path in inside.chain([old.clone()]) {
                let at = FileTimes::new().set_modified(SystemTime::now() - age);
                File::open(path).unwrap().set_times(at).unwrap();
            }
        };
        set_age(ABANDONED - Duration::from_secs(60));
        sweep(folder.path(), None);
        assert!(old.exists());
        set_age(ABANDONED + Duration::from_secs(60));
        sweep(folder.path(), Some(&ID));
        assert!(old.exists(), "it is just being fetched");
        // What only looks like ours stays.
        for mode in [0o755, 0o700] {
            fs::set_permissions(&old, Permissions::from_mode(mode)).unwrap();
            sweep(folder.path(), None);
            assert_eq!(old.exists(), mode == 0o755);
        }
        assert!(path(folder.path(), &other).exists());
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn hostile_names_stay_inside_and_apart() {
        let names = [
            "..",
            "../x",
            "/etc/x",
            "a",
            "A",
            "a\u{300}",
            "\u{e0}",
            "CON",
            "x.",
            "x",
            "y\u{202e}z",
        ];
        let mut entries = vec![entry(0, "../../trip", Kind::Folder, 0)];
        entries.extend(names.map(|name| entry(0, name, Kind::File, 1)));
        let manifest = manifest(&entries);
        let folder = filled(&manifest);
        let (staging, plan) = Staging::go_on(folder.path(), &ID, &manifest).unwrap();
        assert!(plan.is_complete());
        let place = staging.finish(&manifest).unwrap();
        assert_eq!(place, folder.path().join(".._.._trip"));
        let expected = [
            ".._x", "A (2)", "_", "_CON", "_etc_x", "a", "x", "x (2)", "y_z", "à", "à (2)",
        ];
        assert_eq!(names_in(&place), expected);
        discard(folder.path(), &ID).unwrap();
        assert_eq!(names_in(folder.path()), [".._.._trip"]);
    }

    #[test]
    fn a_finished_file_is_known_and_takes_no_place_of_another() {
        let manifest = one_file();
        let folder = filled(&manifest);
        fs::write(folder.path().join("x.bin"), "precious").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("x (2).bin")).unwrap();
        let (staging, _) = Staging::go_on(folder.path(), &ID, &manifest).unwrap();
        let place = staging.finish(&manifest).unwrap();
        assert_eq!(place, folder.path().join("x (3).bin"));
        let found = fs::metadata(&place).unwrap();
        assert_eq!(
            (found.len(), found.mtime_nsec() / 1_000_000),
            (2 * GROUP_BYTES + 7, 123)
        );
        // Killed right after the rename: the next attempt must not fetch it all again.
        assert!(matches!(look(folder.path(), &ID).unwrap(), Left::Done(at) if at == place));
        discard(folder.path(), &ID).unwrap();
        discard(folder.path(), &ID).unwrap();
        assert_eq!(fs::read(folder.path().join("x.bin")).unwrap(), b"precious");
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), &ID);
        std::os::unix::fs::symlink("/tmp", &path).unwrap();
        assert!(look(folder.path(), &ID).is_err());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert!(look(folder.path(), &ID).is_err());
    }
}
