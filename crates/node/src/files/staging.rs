//! What has come of a transfer so far: a folder beside its target that only its owner may enter.
//!
//! ```text
//! .hallway-0123456789abcdef.part/
//!   manifest    the list of what is offered
//!   groups      which groups are there: number (8 bytes) and hash (32) each, appended
//!   data/       the files, under safe names
//!   place       where all of it went, once it was complete
//! ```
//!
//! A group is recorded after it was written. What the record says is believed after a crash of
//! the node, for then the system still has the bytes; after a crash of the system each group is
//! read and compared again, and so is every file that somebody else wrote to.

use hallway_model::TransferId;
use hallway_proto::bulk::{
    CHAIN_BYTES, Entry, Kind, Manifest, Piece, Plan, Revision, chain, fold, numbered, safe_name,
};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use std::collections::HashSet;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

const MANIFEST: &str = "manifest";
const GROUPS: &str = "groups";
const DATA: &str = "data";
const PLACE: &str = "place";

/// Bytes of one record in `groups`.
const RECORD_BYTES: usize = 8 + CHAIN_BYTES;
/// The number of a record that says under which start of the system the next ones were made.
const BOOT: u64 = u64::MAX;
/// The number of a record that says that all before it is safe on disk.
const SYNCED: u64 = u64::MAX - 1;
/// A file that was written so long after the last record was not written by us.
const WRITTEN_LATE: Duration = Duration::from_secs(2);
/// Numbers tried behind a name that is taken.
const NUMBERS_MAX: u32 = 10_000;
/// Room that is left to others on a disk.
pub(super) const ROOM_LEFT_BYTES: u64 = 16 << 20;

/// The staging folder of a transfer.
pub(super) fn path(folder: &Path, id: &TransferId) -> PathBuf {
    let id = id.message.to_string();
    folder.join(format!(".hallway-{}.part", &id[..16]))
}

/// See the module.
pub(super) struct Staging {
    folder: PathBuf,
    path: PathBuf,
    data: OwnedFd,
    /// The safe name of each entry, none twice in a folder.
    names: Vec<String>,
    groups: Mutex<File>,
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

/// Makes the folder, or looks at what an earlier attempt left in it.
pub(super) fn look(folder: &Path, id: &TransferId) -> io::Result<Left> {
    let path = path(folder, id);
    let made = fs::DirBuilder::new().mode(0o700).create(&path);
    match made {
        Ok(()) => return Ok(Left::Nothing),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(&path)?;
    let own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    if !own || found.mode() & 0o077 != 0 {
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
    fs::write(path, bytes)
}

impl Staging {
    /// Begins with a list that is new here. Of the one before, if any, files that are the same in
    /// both stay; what else there is goes.
    pub(super) fn begin(
        folder: &Path,
        id: &TransferId,
        manifest: &Manifest,
        before: Option<Manifest>,
    ) -> io::Result<(Self, Plan)> {
        let path = path(folder, id);
        let kept = match before {
            Some(before) => keep_unchanged(folder, id, &before, manifest)?,
            None => {
                clear(&path)?;
                Vec::new()
            }
        };
        write_manifest(&path.join(MANIFEST), manifest)?;
        let staging = Self::open(folder, id, manifest, true)?;
        let mut plan = Plan::new(manifest);
        for (group, chain) in kept {
            staging.record(group, &chain)?;
            plan.handle_have(group, manifest);
        }
        Ok((staging, plan))
    }

    /// Goes on with the list that is here.
    pub(super) fn go_on(
        folder: &Path,
        id: &TransferId,
        manifest: &Manifest,
    ) -> io::Result<(Self, Plan)> {
        let staging = Self::open(folder, id, manifest, false)?;
        let mut plan = Plan::new(manifest);
        for (group, _) in staging.trusted(manifest)? {
            plan.handle_have(group, manifest);
        }
        // What is trusted now is trusted for as long as the system runs.
        staging.record(BOOT, &boot_id())?;
        Ok((staging, plan))
    }

    fn open(folder: &Path, id: &TransferId, manifest: &Manifest, fresh: bool) -> io::Result<Self> {
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
            .open(path.join(GROUPS))?;
        let staging = Self {
            folder: folder.to_owned(),
            path,
            data,
            names: safe_names(manifest),
            groups: Mutex::new(groups),
        };
        if fresh {
            staging.record(BOOT, &boot_id())?;
        }
        staging.make_folders(manifest)?;
        Ok(staging)
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
    fn parent(&self, manifest: &Manifest, number: u32) -> io::Result<(OwnedFd, &str)> {
        let mut steps = Vec::new();
        let mut above = number;
        while above != 0 {
            above = manifest.entry(above).map_or(0, |entry| entry.parent);
            steps.push(above);
        }
        let mut folder = self.data.try_clone()?;
        for step in steps.into_iter().rev() {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = rustix::fs::openat(&folder, self.name(step), flags, Mode::empty())?;
        }
        Ok((folder, self.name(number)))
    }

    fn name(&self, number: u32) -> &str {
        let name = usize::try_from(number).ok().and_then(|n| self.names.get(n));
        name.map_or("_", String::as_str)
    }

    /// The file of an entry, to be written.
    pub(super) fn open_file(&self, manifest: &Manifest, number: u32) -> io::Result<File> {
        let (folder, name) = self.parent(manifest, number)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o600))?;
        Ok(file.into())
    }

    /// Notes that a group was checked and written.
    pub(super) fn record(&self, group: u64, chain: &[u8; CHAIN_BYTES]) -> io::Result<()> {
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&group.to_be_bytes());
        record[8..].copy_from_slice(chain);
        let mut groups = self.groups.lock().unwrap_or_else(|e| e.into_inner());
        groups.write_all(&record)
    }

    /// Everything that was recorded is on disk from now on, so that even a crash of the system
    /// costs nothing.
    pub(super) fn sync(&self) -> io::Result<()> {
        rustix::fs::syncfs(&self.data)?;
        self.record(SYNCED, &[0; CHAIN_BYTES])
    }

    /// The groups that are there, as far as the records can be believed.
    fn trusted(&self, manifest: &Manifest) -> io::Result<Vec<(u64, [u8; CHAIN_BYTES])>> {
        let groups = self.groups.lock().unwrap_or_else(|e| e.into_inner());
        let recorded_at = groups.metadata()?.modified()?;
        let mut reader = BufReader::new(&*groups);
        let mut found = Vec::new();
        // Whether what was written since the last start of the system, or the last sync, counts.
        let (mut same_boot, mut synced) = (false, 0);
        let mut record = [0; RECORD_BYTES];
        while reader.read_exact(&mut record).is_ok() {
            let (number, hash) = record.split_at(8);
            let number = u64::from_be_bytes(number.try_into().map_err(io::Error::other)?);
            let hash: [u8; CHAIN_BYTES] = hash.try_into().map_err(io::Error::other)?;
            match number {
                BOOT => same_boot = hash == boot_id(),
                SYNCED => synced = found.len(),
                _ => found.push((number, hash)),
            }
        }
        let sure = if same_boot { found.len() } else { synced };
        // A file is opened once for all its groups, which mostly come in order.
        let mut open: Option<(u32, File, bool)> = None;
        let mut buffer = Vec::new();
        let mut trusted = Vec::new();
        for (at, (group, hash)) in found.into_iter().enumerate() {
            let Some(piece) = manifest.piece(group) else {
                continue;
            };
            if open
                .as_ref()
                .is_none_or(|(entry, ..)| *entry != piece.entry)
            {
                let file = self.open_file(manifest, piece.entry)?;
                let late = file.metadata()?.modified()? > recorded_at + WRITTEN_LATE;
                open = Some((piece.entry, file, late));
            }
            let Some((_, file, late)) = &open else {
                continue;
            };
            let long_enough = file.metadata()?.len() >= piece.offset + u64::from(piece.bytes);
            let believed = at < sure && !late;
            if long_enough && (believed || is_there(file, manifest, piece, &hash, &mut buffer)?) {
                trusted.push((group, hash));
            }
        }
        Ok(trusted)
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

fn is_there(
    file: &File,
    manifest: &Manifest,
    piece: Piece,
    hash: &[u8; CHAIN_BYTES],
    buffer: &mut Vec<u8>,
) -> io::Result<bool> {
    buffer.resize(piece.bytes as usize, 0);
    file.read_exact_at(buffer, piece.offset)?;
    let whole = manifest.entry(piece.entry).map_or(0, |entry| entry.bytes);
    Ok(chain(buffer, piece.offset, whole) == *hash)
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

/// Of an earlier list, the groups of files that are the same in the new one, where they belong
/// now; everything else is removed.
fn keep_unchanged(
    folder: &Path,
    id: &TransferId,
    before: &Manifest,
    now: &Manifest,
) -> io::Result<Vec<(u64, [u8; CHAIN_BYTES])>> {
    let same_shape = before.entries().len() == now.entries().len()
        && before
            .entries()
            .iter()
            .zip(now.entries())
            .all(|(b, n)| (b.parent, &b.name, b.kind) == (n.parent, &n.name, n.kind));
    if !same_shape {
        clear(&path(folder, id))?;
        return Ok(Vec::new());
    }
    let old = Staging::open(folder, id, before, false)?;
    let mut kept = Vec::new();
    for (group, hash) in old.trusted(before)? {
        let piece = before.piece(group);
        let entry = piece.and_then(|piece| Some((piece.entry, before.entry(piece.entry)?)));
        if let Some((number, entry)) = entry
            && now.entry(number) == Some(entry)
        {
            let within = group - before.groups_of(number).start;
            kept.push((now.groups_of(number).start + within, hash));
        }
    }
    for (number, entry) in (0..).zip(now.entries()) {
        if entry.kind == Kind::File && before.entry(number) != Some(entry) {
            old.open_file(before, number)?.set_len(0)?;
        }
    }
    fs::remove_file(path(folder, id).join(GROUPS))?;
    Ok(kept)
}

fn clear(path: &Path) -> io::Result<()> {
    for inside in fs::read_dir(path)? {
        let inside = inside?;
        if inside.file_type()?.is_dir() {
            fs::remove_dir_all(inside.path())?;
        } else {
            fs::remove_file(inside.path())?;
        }
    }
    Ok(())
}

/// What is the same for as long as the system runs; where that is not known, never the same.
fn boot_id() -> [u8; CHAIN_BYTES] {
    let mut bytes = [0; CHAIN_BYTES];
    let id = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    match id.get(..CHAIN_BYTES) {
        Some(id) => bytes.copy_from_slice(id),
        // Without randomness nothing here would run at all.
        None => getrandom::fill(&mut bytes).expect("the system has randomness"),
    }
    bytes
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
        let whole = manifest.entry(piece.entry).unwrap().bytes;
        let hash = chain(&bytes, piece.offset, whole);
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

    /// Changes a byte of group 1 behind our back.
    fn damage(folder: &Path) -> File {
        let file = data(folder);
        file.write_all_at(b"!", GROUP as u64 + 5).unwrap();
        file
    }

    fn set_modified(file: &File, ago: Duration) {
        let at = std::time::SystemTime::now() - ago;
        file.set_times(FileTimes::new().set_modified(at)).unwrap();
    }

    #[test]
    fn what_was_noted_is_found_again_and_nothing_else() {
        let folder = filled(&one_file());
        assert_eq!(found(folder.path()), [0, 1, 2]);
        // A record that was cut off counts for nothing.
        let groups = path(folder.path(), &ID).join(GROUPS);
        let log = fs::OpenOptions::new().write(true).open(&groups).unwrap();
        log.set_len(RECORD_BYTES as u64 * 3 + 39).unwrap();
        assert_eq!(found(folder.path()), [0, 1]);
        let private = |name| {
            fs::metadata(path(folder.path(), &ID).join(name))
                .unwrap()
                .mode()
        };
        assert_eq!((private("") & 0o77, private("data/x.bin") & 0o77), (0, 0));
    }

    #[test]
    fn of_a_file_that_somebody_wrote_to_only_what_is_damaged_is_lost() {
        let folder = filled(&one_file());
        let file = damage(folder.path());
        set_modified(&file, Duration::ZERO);
        let groups = path(folder.path(), &ID).join(GROUPS);
        set_modified(
            &File::options().append(true).open(groups).unwrap(),
            Duration::from_secs(9),
        );
        assert_eq!(found(folder.path()), [0, 2]);
        let folder = filled(&one_file());
        data(folder.path()).set_len(2 * GROUP as u64 - 1).unwrap();
        assert_eq!(found(folder.path()), [0]);
        fs::remove_file(path(folder.path(), &ID).join("data/x.bin")).unwrap();
        assert_eq!(found(folder.path()), [0; 0]);
    }

    #[test]
    fn after_a_crash_of_the_system_what_was_not_synced_is_read_again() {
        for synced in [false, true] {
            let manifest = one_file();
            let folder = tempfile::tempdir().unwrap();
            look(folder.path(), &ID).unwrap();
            let (staging, _) = Staging::begin(folder.path(), &ID, &manifest, None).unwrap();
            staging.record(BOOT, &[9; CHAIN_BYTES]).unwrap();
            (0..3).for_each(|group| put(&staging, &manifest, group));
            if synced {
                staging.sync().unwrap();
            }
            damage(folder.path());
            let expected: &[u64] = if synced { &[0, 1, 2] } else { &[0, 2] };
            assert_eq!(found(folder.path()), expected, "synced: {synced}");
        }
    }

    #[test]
    fn when_the_sender_changed_a_file_the_others_stay() {
        let list = |bytes| {
            manifest(&[
                entry(0, "trip", Kind::Folder, 0),
                entry(0, "a", Kind::File, bytes),
                entry(0, "b", Kind::File, 2 * GROUP_BYTES),
            ])
        };
        let (before, now) = (list(5), list(2 * GROUP_BYTES));
        let folder = filled(&before);
        let begun = Staging::begin(folder.path(), &ID, &now, Some(before)).unwrap();
        let has: Vec<_> = (0..now.groups())
            .filter(|group| begun.1.has(*group))
            .collect();
        assert_eq!(has, [2, 3]);
        drop(begun);
        assert_eq!(found(folder.path()), [2, 3]);
        let other = one_file();
        let (_, plan) = Staging::begin(folder.path(), &ID, &other, Some(now)).unwrap();
        assert_eq!(plan.bytes(), 0);
        assert_eq!(names_in(&path(folder.path(), &ID).join(DATA)), [""; 0]);
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
