//! The data directory: where it is, who may see it, and that one node owns it.

use ring::digest::{SHA256, digest};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest path of a Unix socket: `sockaddr_un` holds 108 bytes on Linux and 104 on macOS and the
/// BSDs, the last of them zero.
pub const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// More digits than any process id has, so that a damaged lock file stays harmless.
const PID_BYTES_MAX: u64 = 20;

/// Mode bits that let group or others write.
const OTHERS_WRITE: u32 = 0o022;
/// Mode bits that let group or others do anything.
const OTHERS_ANY: u32 = 0o077;

/// Why the data directory cannot be used. It is never the peer's fault; each message says what
/// to do.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither a choice nor a home directory.
    #[error("no home directory is known; set HOME or choose a data directory with --home DIR")]
    NoHome,
    /// The system refused.
    #[error("could not {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried, as in "could not … PATH".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else has this name.
    #[error("{} is not a directory; choose another with --home DIR", .0.display())]
    NotDirectory(PathBuf),
    /// The directory of another user.
    #[error(
        "{} belongs to user {owner}, and this is user {user}; run hallway as that user or choose another directory with --home DIR",
        .path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Other users could replace what is in it.
    #[error("other users can get at {} (mode {mode:04o}); run: chmod 700 '{}'", .path.display(), .path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another node has it.
    #[error("a node is running on {} already{}; use it, stop it with `hallway stop`, or choose another directory with --home DIR", .path.display(), process(*.pid))]
    Running {
        /// The directory.
        path: PathBuf,
        /// Its process, when it could be read.
        pid: Option<u32>,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}

impl HomeError {
    fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }
}

/// The data directory of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// The data directory: the one chosen, otherwise `$XDG_DATA_HOME/hallway`
    /// (`~/.local/share/hallway`), on macOS `~/Library/Application Support/Hallway`, on Windows
    /// `%LOCALAPPDATA%\Hallway`. Nothing is created: a client that only looks for a node uses this.
    pub fn locate(chosen: Option<&Path>) -> Result<Self, HomeError> {
        let path = match chosen {
            Some(path) => path.to_path_buf(),
            None => default_path(|name| std::env::var_os(name), std::env::home_dir())
                .ok_or(HomeError::NoHome)?,
        };
        // Every way to write the path must lead to the same socket, so links and `..` go.
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                std::path::absolute(&path).map_err(HomeError::io("find", &path))?
            }
            Err(e) => return Err(HomeError::io("find", &path)(e)),
        };
        Ok(Self { path: real })
    }

    /// [`Home::locate`], and creates the directory when it is not there, for this user alone.
    pub fn create(chosen: Option<&Path>) -> Result<Self, HomeError> {
        let wanted = Self::locate(chosen)?.path;
        create_private(&wanted, OTHERS_WRITE)?;
        let home = Self::locate(Some(&wanted))?;
        if let Some(directory) = home.socket_elsewhere().as_deref().and_then(Path::parent) {
            create_private(directory, OTHERS_ANY)?;
        }
        Ok(home)
    }

    /// The directory itself: absolute, and without links once it exists.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The encrypted database.
    pub fn database(&self) -> PathBuf {
        self.path.join("hallway.db")
    }

    /// Where the secrets are, or the secrets.
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Which sound devices were chosen.
    pub fn devices(&self) -> PathBuf {
        self.path.join("devices.json")
    }

    /// The socket of the local API: `api.sock` in the data directory, or where its path is too
    /// long for a socket, `/tmp/hallway-UID/HASH.sock`. It depends on nothing but the data
    /// directory and the user: a node started by systemd and a command in a bare shell have
    /// different environments and must still meet, which `$XDG_RUNTIME_DIR` would not give.
    ///
    /// Fails when that directory in `/tmp` is not ours: somebody else may listen there.
    pub fn socket(&self) -> Result<PathBuf, HomeError> {
        let Some(elsewhere) = self.socket_elsewhere() else {
            return Ok(self.path.join("api.sock"));
        };
        if let Some(directory) = elsewhere.parent().filter(|d| d.symlink_metadata().is_ok()) {
            check_private(directory, OTHERS_ANY)?;
        }
        Ok(elsewhere)
    }

    /// Makes this process the one node of the directory, until the lock is dropped or the process
    /// ends in whatever way.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        let path = self.path.join("node.lock");
        let failed = |doing| HomeError::io(doing, &path);
        let mut file = private_file()
            .read(true)
            .open(&path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Where the lock is mandatory (Windows) it cannot be read, and nothing is lost.
                let _ = file.take(PID_BYTES_MAX).read_to_string(&mut pid);
                return Err(HomeError::Running {
                    path: self.path.clone(),
                    pid: pid.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock")(e)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed("write"))?;
        Ok(Lock {
            file,
            home: self.clone(),
        })
    }

    #[cfg(unix)]
    fn socket_elsewhere(&self) -> Option<PathBuf> {
        let direct = self.path.join("api.sock");
        if direct.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return None;
        }
        let hash = digest(&SHA256, self.path.as_os_str().as_encoded_bytes());
        let name: String = hash
            .as_ref()
            .iter()
            .take(8)
            .map(|b| format!("{b:02x}"))
            .collect();
        let user = rustix::process::geteuid().as_raw();
        Some(PathBuf::from(format!("/tmp/hallway-{user}/{name}.sock")))
    }

    #[cfg(not(unix))]
    fn socket_elsewhere(&self) -> Option<PathBuf> {
        None
    }
}

/// Proof that this process is the one node of a data directory. The system releases it when the
/// process ends, so a crash leaves nothing to clean up.
#[derive(Debug)]
pub struct Lock {
    file: File,
    home: Home,
}

impl Lock {
    /// The data directory that is ours.
    pub fn home(&self) -> &Home {
        &self.home
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The number must not outlive its meaning. The file stays: removing it would let two
        // nodes lock two files of one name. Should it fail, the next node overwrites it.
        let _ = self.file.set_len(0);
        // Closing would do, were there no child just being started that still shares the file.
        let _ = self.file.unlock();
    }
}

/// Replaces a file at once and for good: whoever reads sees the old bytes or the new, whatever
/// crashes in between, and after `Ok` the new ones survive a power cut. Only this user can read it.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let mut new = path.as_os_str().to_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = write_new(&new, bytes)
        .and_then(|()| fs::rename(&new, path).map_err(HomeError::io("replace", path)));
    if written.is_err() {
        // It may hold half a secret, and the reason for the failure is the one to report.
        let _ = fs::remove_file(&new);
        return written;
    }
    sync_directory_of(path)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let failed = |doing| HomeError::io(doing, path);
    // A crash may have left one; made anew, its mode and owner are certain.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove")(e)),
        _ => {}
    }
    let mut file = private_file()
        .create_new(true)
        .open(path)
        .map_err(failed("create"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    file.sync_all().map_err(failed("write"))
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// The name is on disk only once its directory is.
#[cfg(unix)]
fn sync_directory_of(path: &Path) -> Result<(), HomeError> {
    let directory = path.parent().unwrap_or(path);
    let synced = File::open(directory).and_then(|d| d.sync_all());
    synced.map_err(HomeError::io("write", directory))
}

#[cfg(not(unix))]
fn sync_directory_of(_path: &Path) -> Result<(), HomeError> {
    Ok(())
}

fn create_private(path: &Path, forbidden: u32) -> Result<(), HomeError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    match builder.create(path) {
        // Something that is no directory has the name, which is said below.
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(HomeError::io("create", path)(e)),
        _ => check_private(path, forbidden),
    }
}

#[cfg(unix)]
fn check_private(path: &Path, forbidden: u32) -> Result<(), HomeError> {
    // Links are not followed: the data directory has none left, and one in /tmp is an attack.
    let found = path
        .symlink_metadata()
        .map_err(HomeError::io("look at", path))?;
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    let mode = found.mode() & 0o7777;
    if !found.is_dir() {
        Err(HomeError::NotDirectory(path.to_path_buf()))
    } else if owner != user {
        Err(HomeError::Foreign {
            path: path.to_path_buf(),
            owner,
            user,
        })
    } else if mode & forbidden != 0 {
        Err(HomeError::Exposed {
            path: path.to_path_buf(),
            mode,
        })
    } else {
        Ok(())
    }
}

#[cfg(not(unix))]
fn check_private(path: &Path, _forbidden: u32) -> Result<(), HomeError> {
    // The profile directory of a Windows user is closed to others by its access list.
    if path.is_dir() {
        Ok(())
    } else {
        Err(HomeError::NotDirectory(path.to_path_buf()))
    }
}

fn default_path(
    env: impl Fn(&str) -> Option<OsString>,
    user_home: Option<PathBuf>,
) -> Option<PathBuf> {
    // The XDG base directory specification has relative paths ignored; so has common sense.
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let in_home = |below: &str| {
        user_home
            .clone()
            .and_then(absolute)
            .map(|home| home.join(below))
    };
    if cfg!(target_os = "macos") {
        in_home("Library/Application Support/Hallway")
    } else if cfg!(windows) {
        let local = env("LOCALAPPDATA").map(PathBuf::from).and_then(absolute);
        local
            .or_else(|| in_home("AppData\\Local"))
            .map(|data| data.join("Hallway"))
    } else {
        let data = env("XDG_DATA_HOME").map(PathBuf::from).and_then(absolute);
        data.or_else(|| in_home(".local/share"))
            .map(|data| data.join("hallway"))
    }
}

#[cfg(all(test, unix))]
pub(crate) mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};

    /// Set in the process a test starts to have its other half run elsewhere.
    pub(crate) const OTHER_HALF: &str = "HALLWAY_TEST_OTHER_HALF";

    /// The command that runs one test of this program again, as the other half of itself.
    /// `wrap` stands before it, as in `["dbus-run-session", "--"]`.
    pub(crate) fn other_half(wrap: &[&str], test: &str, argument: &Path) -> Command {
        let program = std::env::current_exe().unwrap();
        let mut words = wrap.iter().map(OsString::from).collect::<Vec<_>>();
        words.push(program.into());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["--exact", test, "--nocapture", "--quiet"]);
        command.env(OTHER_HALF, argument);
        command
    }

    pub(crate) fn argument_of_other_half() -> Option<PathBuf> {
        std::env::var_os(OTHER_HALF).map(PathBuf::from)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_default_follows_the_platform_and_ignores_relative_paths() {
        let of = |xdg: Option<&str>, home: Option<&str>| {
            default_path(
                |name| {
                    (name == "XDG_DATA_HOME")
                        .then(|| xdg.map(OsString::from))
                        .flatten()
                },
                home.map(PathBuf::from),
            )
        };
        if cfg!(target_os = "macos") {
            let expected = PathBuf::from("/Users/ann/Library/Application Support/Hallway");
            assert_eq!(of(None, Some("/Users/ann")), Some(expected));
        } else {
            let in_home = Some(PathBuf::from("/home/ann/.local/share/hallway"));
            assert_eq!(of(None, Some("/home/ann")), in_home);
            assert_eq!(of(Some("data"), Some("/home/ann")), in_home);
            assert_eq!(of(Some(""), Some("/home/ann")), in_home);
            assert_eq!(
                of(Some("/data"), Some("/home/ann")),
                Some("/data/hallway".into())
            );
        }
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some("ann")), None);
        assert!(HomeError::NoHome.to_string().contains("--home DIR"));
    }

    #[test]
    fn the_directory_is_made_for_this_user_alone() {
        let directory = tempfile::tempdir().unwrap();
        let wanted = directory.path().join("share/hallway");
        let found = Home::locate(Some(&wanted)).unwrap();
        assert!(!wanted.exists(), "looking must create nothing");
        let home = Home::create(Some(&wanted)).unwrap();
        assert_eq!(
            (mode(&wanted), mode(wanted.parent().unwrap())),
            (0o700, 0o700)
        );
        assert_eq!(
            Home::create(Some(&wanted)).unwrap(),
            home,
            "a second start finds it"
        );
        assert_eq!(Home::locate(Some(&wanted)).unwrap(), home);
        assert_eq!(found.socket().unwrap(), home.socket().unwrap());
        assert_eq!(home.keys(), home.path().join("keys"));
        assert_eq!(home.database(), home.path().join("hallway.db"));
        assert_eq!(home.config(), home.path().join("config.toml"));
    }

    #[test]
    fn every_way_to_write_the_path_is_one_home() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real");
        let home = Home::create(Some(&real)).unwrap();
        let link = directory.path().join("link");
        symlink(&real, &link).unwrap();
        assert_eq!(Home::create(Some(&link)).unwrap(), home);
        assert_eq!(Home::locate(Some(&real.join("../link/."))).unwrap(), home);
    }

    #[test]
    fn a_directory_others_can_write_to_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        for bad in [0o720, 0o702, 0o777, 0o1777] {
            set_mode(&path, bad);
            let error = Home::create(Some(&path)).unwrap_err();
            let shown = path.display();
            assert_eq!(
                error.to_string(),
                format!(
                    "other users can get at {shown} (mode {bad:04o}); run: chmod 700 '{shown}'"
                )
            );
        }
        for good in [0o700, 0o750, 0o755] {
            set_mode(&path, good);
            Home::create(Some(&path)).unwrap();
            assert_eq!(
                mode(&path),
                good,
                "a directory that was there is left as it was"
            );
        }
    }

    #[test]
    fn the_directory_of_another_user_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        // Root can give a directory away; for others there is always one of root's.
        let (path, other) = if user == 0 {
            std::os::unix::fs::chown(directory.path(), Some(54321), None).unwrap();
            (directory.path().canonicalize().unwrap(), 54321)
        } else {
            (PathBuf::from("/"), 0)
        };
        let error = Home::create(Some(&path)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} belongs to user {other}, and this is user {user}; run hallway as that user or \
                 choose another directory with --home DIR",
                path.display()
            )
        );
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Home::create(Some(file.path())).unwrap_err();
        assert!(matches!(error, HomeError::NotDirectory(_)), "{error}");
        let error = Home::create(Some(&file.path().join("below"))).unwrap_err();
        assert!(matches!(error, HomeError::Io { .. }), "{error}");
    }

    #[test]
    fn a_socket_path_that_is_too_long_moves_to_tmp() {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let base = directory.path().canonicalize().unwrap();
        let padding = |total: usize| total - base.as_os_str().len() - "//api.sock".len();
        let longest = base.join("x".repeat(padding(SOCKET_PATH_BYTES_MAX)));
        let socket = Home::create(Some(&longest)).unwrap().socket().unwrap();
        assert_eq!(socket.as_os_str().len(), SOCKET_PATH_BYTES_MAX);
        assert_eq!(socket, longest.join("api.sock"));
        std::os::unix::net::UnixListener::bind(&socket).unwrap();

        let longer = base.join("x".repeat(padding(SOCKET_PATH_BYTES_MAX + 1)));
        let looked_for = Home::locate(Some(&longer)).unwrap();
        let home = Home::create(Some(&longer)).unwrap();
        let socket = home.socket().unwrap();
        assert_eq!(
            looked_for.socket().unwrap(),
            socket,
            "a client finds the same"
        );
        let directory = socket.parent().unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(directory, Path::new(&format!("/tmp/hallway-{user}")));
        assert_eq!(mode(directory), 0o700);
        std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::remove_file(&socket).unwrap();

        let sibling = base.join("y".repeat(padding(SOCKET_PATH_BYTES_MAX + 1)));
        assert_ne!(
            Home::create(Some(&sibling)).unwrap().socket().unwrap(),
            socket
        );
    }

    #[test]
    fn a_socket_directory_of_somebody_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let planted = directory.path().join("hallway-1000");
        symlink(directory.path(), &planted).unwrap();
        let error = check_private(&planted, OTHERS_ANY).unwrap_err();
        assert!(matches!(error, HomeError::NotDirectory(_)), "{error}");
        set_mode(directory.path(), 0o711);
        let error = check_private(directory.path(), OTHERS_ANY).unwrap_err();
        assert!(
            matches!(error, HomeError::Exposed { mode: 0o711, .. }),
            "{error}"
        );
    }

    /// Takes the lock and holds it until its standard input ends.
    fn lock_holder(home: &Home) -> (Child, BufReader<std::process::ChildStdout>) {
        let test = "home::tests::one_node_per_directory";
        let mut child = other_half(&[], test, home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("locked") {
            line.clear();
            assert_ne!(
                lines.read_line(&mut line).unwrap(),
                0,
                "the other half failed"
            );
        }
        (child, lines)
    }

    #[test]
    fn one_node_per_directory() {
        if let Some(path) = argument_of_other_half() {
            let lock = Home::create(Some(&path)).unwrap().lock().unwrap();
            writeln!(io::stdout(), "locked").unwrap();
            io::stdin().read_to_end(&mut Vec::new()).unwrap();
            drop(lock);
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let home = Home::create(Some(directory.path())).unwrap();
        let refused = |pid: u32| {
            let error = home.lock().unwrap_err().to_string();
            let path = home.path().display();
            let expected = format!(
                "a node is running on {path} already (process {pid}); use it, stop it with \
                 `hallway stop`, or choose another directory with --home DIR"
            );
            assert_eq!(error, expected);
        };

        let lock = home.lock().unwrap();
        assert_eq!(lock.home(), &home);
        assert_eq!(mode(&home.path().join("node.lock")), 0o600);
        refused(std::process::id());
        drop(lock);

        let (mut child, _lines) = lock_holder(&home);
        refused(child.id());
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        drop(home.lock().unwrap());

        let (mut child, _lines) = lock_holder(&home);
        refused(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        let lock = home
            .lock()
            .expect("a killed node leaves nothing to clean up");
        refused(std::process::id());
        drop(lock);
    }

    #[test]
    fn a_damaged_lock_file_costs_only_the_number() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::create(Some(directory.path())).unwrap();
        let _lock = home.lock().unwrap();
        for damage in [vec![0xff; 64], b"9".repeat(4096), Vec::new()] {
            fs::write(home.path().join("node.lock"), damage).unwrap();
            let error = home.lock().unwrap_err();
            assert!(
                matches!(error, HomeError::Running { pid: None, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn a_write_replaces_the_whole_file_for_this_user_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, "something long that was there before").unwrap();
        set_mode(&path, 0o644);
        fs::write(directory.path().join("keys.new"), "left by a crash").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write_atomic(&path, b"old").unwrap();
        fs::create_dir(directory.path().join("keys.new")).unwrap();
        let error = write_atomic(&path, b"new").unwrap_err();
        assert!(
            error.to_string().starts_with("could not remove "),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");

        let taken = directory.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        let error = write_atomic(&taken, b"new").unwrap_err();
        assert!(
            error.to_string().starts_with("could not replace "),
            "{error}"
        );
        assert!(
            !directory.path().join("taken.new").exists(),
            "half a secret was left"
        );
    }

    #[test]
    fn a_write_cut_short_leaves_the_old_file() {
        if let Some(path) = argument_of_other_half() {
            write_atomic(&path, &[b'n'; 8192]).unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write_atomic(&path, b"old").unwrap();
        // No file may grow past one block: the system ends the process in the middle of its
        // write, or fails the write where that signal is ignored.
        let limited = ["sh", "-c", r#"ulimit -f 1 && exec "$@""#, "sh"];
        let test = "home::tests::a_write_cut_short_leaves_the_old_file";
        let output = other_half(&limited, test, &path).output().unwrap();
        let killed = output.status.signal() == Some(rustix::process::Signal::XFSZ.as_raw());
        let refused = String::from_utf8_lossy(&output.stderr).contains("could not write");
        assert!(killed || refused, "{output:?}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
