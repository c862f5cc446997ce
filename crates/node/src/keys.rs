//! The secrets of a node: made once, kept in the OS keyring, a private file or behind a passphrase.
//!
//! The file `keys` is always there and says where the secrets are. It is never made anew beside a
//! database: a lost or damaged file is an error to repair, not a reason to become somebody else.

mod file;
mod keyring;

pub use file::Damage;
pub use keyring::KeyringError;

use crate::home::{Home, HomeError, Lock, write_atomic};
use file::{Entry, Kept, KeysFile, KeysText};
use hallway_model::{PeerId, WallTime};
use ring::signature::{Ed25519KeyPair, KeyPair};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Longest passphrase, in bytes. A diceware sentence of twenty words takes 150.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// Everything a node must keep to itself. Wiped from memory when dropped.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secrets {
    /// The seed of the Ed25519 identity key: who this person is.
    pub identity_seed: [u8; 32],
    /// The X25519 static key of this device.
    pub device_secret: [u8; 32],
    /// The raw key of the database.
    pub database_key: [u8; 32],
    /// When they were made.
    #[zeroize(skip)]
    pub created: WallTime,
}

impl Secrets {
    fn generate() -> Result<Self, KeysError> {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let created = WallTime(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX));
        Ok(Self {
            identity_seed: random()?,
            device_secret: random()?,
            database_key: random()?,
            created,
        })
    }

    /// Whose secrets they are.
    pub fn peer_id(&self) -> PeerId {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.identity_seed);
        let public = pair.expect("a seed is 32 bytes, and any 32 bytes are one");
        let mut id = [0; 32];
        id.copy_from_slice(public.public_key().as_ref());
        PeerId(id)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({:?}, redacted)", self.peer_id())
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeysError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeysError::Random)?;
    Ok(bytes)
}

/// How the secrets are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStore {
    /// In the keyring of the desktop, which is opened by logging in.
    Keyring,
    /// In the file `keys`, which only this user can read.
    File,
    /// In the file `keys`, encrypted with a passphrase that is asked for at each start.
    Passphrase,
}

impl fmt::Display for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keyring => "keyring",
            Self::File => "file",
            Self::Passphrase => "passphrase",
        })
    }
}

/// Not the name of a [`KeyStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys can be kept in `keyring`, `file` or `passphrase`")]
pub struct NoSuchStore;

impl FromStr for KeyStore {
    type Err = NoSuchStore;

    fn from_str(text: &str) -> Result<Self, NoSuchStore> {
        let all = [Self::Keyring, Self::File, Self::Passphrase];
        all.into_iter()
            .find(|store| store.to_string() == text)
            .ok_or(NoSuchStore)
    }
}

/// Which passphrase is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A new one. Whoever types it should type it twice.
    New,
    /// The one that was chosen before.
    Unlock,
    /// The last answer was wrong; `None` gives up. There is no limit: who tries in a loop has the
    /// file and could try without Hallway.
    Again,
}

/// A passphrase as typed. Wiped from memory when dropped.
pub type Passphrase = Zeroizing<String>;

/// Secrets ready for use.
#[derive(Debug)]
pub struct Loaded {
    /// The secrets.
    pub secrets: Secrets,
    /// How they are kept.
    pub store: KeyStore,
    /// They were made just now: this is a new person.
    pub new: bool,
}

/// Why there are no secrets. Nothing was changed unless it is said.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is a database and no keys for it.
    #[error(
        "{} is missing, but without it {} cannot be read; put the file back from a backup, or to begin as a new person with no history, move the database away",
        .keys.display(), .database.display()
    )]
    Missing {
        /// The file that should be there.
        keys: PathBuf,
        /// The database that is.
        database: PathBuf,
    },
    /// Protection can only be changed for keys that are there.
    #[error("there are no keys in {} yet; start hallway once", .0.display())]
    None(PathBuf),
    /// The file is not as it was written.
    #[error("the keys in {} cannot be used: {damage}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The item in the keyring is not as it was written.
    #[error("the keys in the keyring cannot be used: {0}")]
    DamagedItem(Damage),
    /// The passphrase does not open the keys.
    #[error("wrong passphrase; nothing was changed, and you can try again")]
    WrongPassphrase,
    /// Nobody was there to give the passphrase.
    #[error("the keys are behind a passphrase, and none was given")]
    NoPassphrase,
    /// A new passphrase is empty or over [`PASSPHRASE_BYTES_MAX`].
    #[error("a passphrase takes 1 to {PASSPHRASE_BYTES_MAX} bytes; this one has {0}")]
    PassphraseLength(usize),
    /// The keyring did not give or take the secrets.
    #[error("{0}")]
    Keyring(#[from] KeyringError),
    /// The file could not be read or written.
    #[error("{0}")]
    File(#[from] HomeError),
    /// The system has no randomness.
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
}

/// The secrets of this data directory, made now if it is a new one. `wanted` says how to keep new
/// secrets: `None` takes the keyring where a desktop with a working one is running, otherwise the
/// file. Existing secrets stay where they are; [`protect`] moves them.
///
/// It blocks: for a second on a passphrase, and on the keyring for as long as a person at the
/// screen may take to unlock it, but never for ever.
pub fn load_or_create(
    lock: &Lock,
    wanted: Option<KeyStore>,
    mut passphrase: impl FnMut(Prompt) -> Option<Passphrase>,
) -> Result<Loaded, KeysError> {
    let home = lock.home();
    if let Some(file) = read(&home.keys())? {
        let store = file.kept.store();
        let secrets = open(file, &mut passphrase)?;
        return Ok(Loaded {
            secrets,
            store,
            new: false,
        });
    }
    // When in doubt there is one: the keys of an old database must not be made up.
    if home.database().try_exists().unwrap_or(true) {
        return Err(KeysError::Missing {
            keys: home.keys(),
            database: home.database(),
        });
    }
    let secrets = Secrets::generate()?;
    let store = keep(home, &secrets, wanted, &mut passphrase)?;
    Ok(Loaded {
        secrets,
        store,
        new: true,
    })
}

/// Keeps the secrets in another way, or behind another passphrase, and returns the way (`None`
/// lets Hallway choose as in [`load_or_create`]). The old place is given up only once the new
/// one is proven to give the same secrets back; that its bytes are gone from the medium is not
/// promised.
pub fn protect(
    lock: &Lock,
    wanted: Option<KeyStore>,
    mut passphrase: impl FnMut(Prompt) -> Option<Passphrase>,
) -> Result<KeyStore, KeysError> {
    let home = lock.home();
    let file = read(&home.keys())?.ok_or_else(|| KeysError::None(home.path().to_path_buf()))?;
    let old_entry = file.kept.entry();
    let secrets = open(file, &mut passphrase)?;
    let store = keep(home, &secrets, wanted, &mut passphrase)?;
    if let Some(entry) = old_entry {
        forget(&entry);
    }
    Ok(store)
}

fn read(path: &Path) -> Result<Option<KeysFile>, KeysError> {
    let failed = |source| {
        let path = path.to_path_buf();
        KeysError::File(HomeError::Io {
            doing: "read",
            path,
            source,
        })
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    make_private(&file, path).map_err(failed)?;
    // One byte more than is allowed tells a long file from one that just fits. Room for all of
    // it at once leaves no copy of a secret behind where the buffer grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(file::KEYS_BYTES_MAX + 2));
    let limit = u64::try_from(file::KEYS_BYTES_MAX + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    let damaged = |damage| KeysError::Damaged {
        path: path.to_path_buf(),
        damage,
    };
    file::parse(&bytes).map(Some).map_err(damaged)
}

/// A file restored from a backup often comes with open permissions.
#[cfg(unix)]
fn make_private(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "other users could read the keys; they no longer can");
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(_file: &File, _path: &Path) -> io::Result<()> {
    Ok(())
}

fn open(
    file: KeysFile,
    passphrase: &mut dyn FnMut(Prompt) -> Option<Passphrase>,
) -> Result<Secrets, KeysError> {
    match file.kept {
        Kept::Here(secrets) => Ok(secrets),
        Kept::Keyring(entry) => {
            let text = keyring::get(&entry)?;
            file::parse_secrets(&text, file.id).map_err(KeysError::DamagedItem)
        }
        Kept::Sealed(sealed) => {
            let mut answer = passphrase(Prompt::Unlock).ok_or(KeysError::NoPassphrase)?;
            loop {
                if let Some(secrets) = sealed.open(file.id, &answer) {
                    return Ok(secrets);
                }
                answer = passphrase(Prompt::Again).ok_or(KeysError::WrongPassphrase)?;
            }
        }
    }
}

fn keep(
    home: &Home,
    secrets: &Secrets,
    wanted: Option<KeyStore>,
    passphrase: &mut dyn FnMut(Prompt) -> Option<Passphrase>,
) -> Result<KeyStore, KeysError> {
    match wanted {
        None if keyring::is_desktop() => match keep_in_keyring(home, secrets) {
            Err(KeysError::Keyring(reason)) => {
                tracing::info!(%reason, "the keyring is not usable; keeping the keys in a file");
                keep_in_file(home, &file::here(secrets))?;
                Ok(KeyStore::File)
            }
            kept => kept.map(|()| KeyStore::Keyring),
        },
        None | Some(KeyStore::File) => {
            keep_in_file(home, &file::here(secrets))?;
            Ok(KeyStore::File)
        }
        Some(KeyStore::Keyring) => {
            keep_in_keyring(home, secrets)?;
            Ok(KeyStore::Keyring)
        }
        Some(KeyStore::Passphrase) => {
            let chosen = passphrase(Prompt::New).ok_or(KeysError::NoPassphrase)?;
            if chosen.is_empty() || chosen.len() > PASSPHRASE_BYTES_MAX {
                return Err(KeysError::PassphraseLength(chosen.len()));
            }
            keep_in_file(home, &file::seal(secrets, &chosen, random()?))?;
            Ok(KeyStore::Passphrase)
        }
    }
}

fn keep_in_file(home: &Home, text: &KeysText) -> Result<(), KeysError> {
    Ok(write_atomic(&home.keys(), text.as_bytes())?)
}

/// The item first and then the file that points to it: whatever crashes in between, the old file
/// still says where the old secrets are.
fn keep_in_keyring(home: &Home, secrets: &Secrets) -> Result<(), KeysError> {
    let (id, entry) = (secrets.peer_id(), Entry(random()?));
    let text = file::here(secrets);
    let label = format!("Hallway keys of ~{}", id.tag());
    keyring::put(&entry, &label, &text)?;
    let kept = keep_in_file(home, &file::in_keyring(id, &entry));
    if kept.is_err() {
        forget(&entry);
    }
    kept
}

/// An item that stays by mistake does no harm: the same user could read it before.
fn forget(entry: &Entry) {
    if let Err(reason) = keyring::remove(entry) {
        tracing::warn!(%reason, "an item that is no longer needed is still in the keyring");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A new data directory and its lock.
    fn new_home() -> (tempfile::TempDir, Lock) {
        let directory = tempfile::tempdir().unwrap();
        let lock = Home::create(Some(directory.path()))
            .unwrap()
            .lock()
            .unwrap();
        (directory, lock)
    }

    fn nobody(prompt: Prompt) -> Option<Passphrase> {
        panic!("asked for a passphrase: {prompt:?}");
    }

    /// Answers one prompt after the other, and asserts that each is the one expected.
    fn answers(script: &[(Prompt, Option<&str>)]) -> impl FnMut(Prompt) -> Option<Passphrase> {
        let mut script = script.iter();
        move |prompt| {
            let (expected, answer) = script.next().expect("a prompt too many");
            assert_eq!(prompt, *expected);
            answer.map(|text| Zeroizing::new(text.to_owned()))
        }
    }

    #[test]
    fn the_identity_is_made_once() {
        let (_directory, lock) = new_home();
        let made = load_or_create(&lock, Some(KeyStore::File), nobody).unwrap();
        assert_eq!((made.store, made.new), (KeyStore::File, true));
        assert!(made.secrets.created > WallTime(1_700_000_000_000));
        let Secrets {
            identity_seed,
            device_secret,
            database_key,
            ..
        } = &made.secrets;
        assert!(identity_seed != device_secret && device_secret != database_key);
        fs::write(lock.home().database(), "messages").unwrap();
        for wanted in [None, Some(KeyStore::File), Some(KeyStore::Passphrase)] {
            let loaded = load_or_create(&lock, wanted, nobody).unwrap();
            assert_eq!((loaded.store, loaded.new), (KeyStore::File, false));
            assert_eq!(loaded.secrets, made.secrets);
        }
        let (_directory, other) = new_home();
        let other = load_or_create(&other, Some(KeyStore::File), nobody).unwrap();
        assert_ne!(other.secrets.peer_id(), made.secrets.peer_id());
    }

    #[test]
    fn secrets_are_not_shown_and_are_wiped() {
        let (_directory, lock) = new_home();
        let loaded = load_or_create(&lock, Some(KeyStore::File), nobody).unwrap();
        let tag = loaded.secrets.peer_id().tag();
        assert_eq!(
            format!("{:?}", loaded.secrets),
            format!("Secrets(~{tag}, redacted)")
        );
        let mut secrets = loaded.secrets;
        secrets.zeroize();
        let Secrets {
            identity_seed,
            device_secret,
            database_key,
            ..
        } = &secrets;
        assert_eq!(
            [*identity_seed, *device_secret, *database_key],
            [[0; 32]; 3]
        );
    }

    #[test]
    fn the_id_is_the_ed25519_key_of_the_seed() {
        // RFC 8032, section 7.1, test 1.
        let hex = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let secrets = Secrets {
            identity_seed: seed,
            device_secret: [0; 32],
            database_key: [0; 32],
            created: WallTime(0),
        };
        assert_eq!(secrets.peer_id(), PeerId(public));
    }

    #[test]
    fn a_missing_file_beside_a_database_is_no_new_person() {
        let (_directory, lock) = new_home();
        let (keys, database) = (lock.home().keys(), lock.home().database());
        load_or_create(&lock, Some(KeyStore::File), nobody).unwrap();
        let backup = fs::read(&keys).unwrap();
        fs::write(&database, "messages").unwrap();
        fs::remove_file(&keys).unwrap();
        let error = load_or_create(&lock, Some(KeyStore::File), nobody).unwrap_err();
        let expected = format!(
            "{} is missing, but without it {} cannot be read; put the file back from a backup, \
             or to begin as a new person with no history, move the database away",
            keys.display(),
            database.display()
        );
        assert_eq!(error.to_string(), expected);
        assert!(!keys.exists());
        fs::write(&keys, backup).unwrap();
        assert!(!load_or_create(&lock, None, nobody).unwrap().new);
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_alone() {
        let (_directory, lock) = new_home();
        let keys = lock.home().keys();
        load_or_create(&lock, Some(KeyStore::File), nobody).unwrap();
        let good = fs::read_to_string(&keys).unwrap();
        let shown = keys.display();
        let damaged = "they are damaged or were edited; restore them from a backup";
        for (bad, damage) in [
            (String::new(), damaged),
            (good.replacen("device", "Device", 1), damaged),
            (
                good.repeat(9),
                "they are over 4096 bytes long; restore them from a backup",
            ),
        ] {
            fs::write(&keys, &bad).unwrap();
            for database in [false, true] {
                if database {
                    fs::write(lock.home().database(), "messages").unwrap();
                }
                let error = load_or_create(&lock, Some(KeyStore::File), nobody).unwrap_err();
                let expected = format!("the keys in {shown} cannot be used: {damage}");
                assert_eq!(error.to_string(), expected);
                let error = protect(&lock, Some(KeyStore::File), nobody).unwrap_err();
                assert_eq!(error.to_string(), expected);
                assert_eq!(fs::read_to_string(&keys).unwrap(), bad);
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_reads_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, lock) = new_home();
        let keys = lock.home().keys();
        let mode = || keys.metadata().unwrap().permissions().mode() & 0o777;
        load_or_create(&lock, Some(KeyStore::File), nobody).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
        load_or_create(&lock, None, nobody).unwrap();
        assert_eq!(
            mode(),
            0o600,
            "a file restored with open permissions is closed"
        );
    }

    #[test]
    fn a_passphrase_is_asked_for_until_it_is_right_or_given_up() {
        use Prompt::{Again, New, Unlock};
        let (_directory, lock) = new_home();
        let keys = lock.home().keys();
        let wanted = Some(KeyStore::Passphrase);
        let refuse = |script: &[_]| load_or_create(&lock, wanted, answers(script)).unwrap_err();
        let long = "x".repeat(PASSPHRASE_BYTES_MAX + 1);
        assert!(matches!(refuse(&[(New, None)]), KeysError::NoPassphrase));
        assert!(matches!(
            refuse(&[(New, Some(""))]),
            KeysError::PassphraseLength(0)
        ));
        assert!(matches!(
            refuse(&[(New, Some(&long))]),
            KeysError::PassphraseLength(1025)
        ));
        assert!(
            !keys.exists(),
            "a refused passphrase must leave nothing behind"
        );

        let script = [(New, Some(&long[..PASSPHRASE_BYTES_MAX]))];
        let made = load_or_create(&lock, wanted, answers(&script)).unwrap();
        assert_eq!((made.store, made.new), (KeyStore::Passphrase, true));
        let before = fs::read(&keys).unwrap();
        assert!(matches!(refuse(&[(Unlock, None)]), KeysError::NoPassphrase));
        let wrong = refuse(&[(Unlock, Some("a")), (Again, Some("b")), (Again, None)]);
        assert_eq!(
            wrong.to_string(),
            "wrong passphrase; nothing was changed, and you can try again"
        );
        assert_eq!(fs::read(&keys).unwrap(), before);
        let script = [
            (Unlock, Some("a")),
            (Again, Some(&long[..PASSPHRASE_BYTES_MAX])),
        ];
        let loaded = load_or_create(&lock, None, answers(&script)).unwrap();
        assert_eq!((loaded.store, loaded.new), (KeyStore::Passphrase, false));
        assert_eq!(loaded.secrets, made.secrets);
    }

    #[test]
    fn protection_changes_and_the_secrets_do_not() {
        use KeyStore::{File, Passphrase};
        use Prompt::{New, Unlock};
        let (directory, lock) = new_home();
        let keys = lock.home().keys();
        let error = protect(&lock, Some(File), nobody).unwrap_err();
        assert!(matches!(error, KeysError::None(_)), "{error}");
        let made = load_or_create(&lock, Some(File), nobody).unwrap();
        let seed = hex::encode(made.secrets.identity_seed);
        assert!(fs::read_to_string(&keys).unwrap().contains(&seed));

        let script = [(New, Some("one"))];
        assert_eq!(
            protect(&lock, Some(Passphrase), answers(&script)).unwrap(),
            Passphrase
        );
        assert!(!fs::read_to_string(&keys).unwrap().contains(&seed));
        let script = [(Unlock, Some("one")), (New, Some("two"))];
        assert_eq!(
            protect(&lock, Some(Passphrase), answers(&script)).unwrap(),
            Passphrase
        );
        let script = [(Unlock, Some("two"))];
        let loaded = load_or_create(&lock, None, answers(&script)).unwrap();
        assert_eq!(loaded.secrets, made.secrets);

        let sealed = fs::read(&keys).unwrap();
        let script = [(Unlock, Some("two")), (New, None)];
        let error = protect(&lock, Some(Passphrase), answers(&script)).unwrap_err();
        assert!(matches!(error, KeysError::NoPassphrase), "{error}");
        fs::create_dir(directory.path().join("keys.new")).unwrap();
        let error = protect(&lock, Some(File), answers(&[(Unlock, Some("two"))])).unwrap_err();
        assert!(matches!(error, KeysError::File(_)), "{error}");
        assert_eq!(
            fs::read(&keys).unwrap(),
            sealed,
            "a failed change leaves the old"
        );

        fs::remove_dir(directory.path().join("keys.new")).unwrap();
        assert_eq!(
            protect(&lock, Some(File), answers(&[(Unlock, Some("two"))])).unwrap(),
            File
        );
        assert_eq!(
            load_or_create(&lock, None, nobody).unwrap().secrets,
            made.secrets
        );
    }

    #[test]
    fn stores_have_names() {
        for store in [KeyStore::Keyring, KeyStore::File, KeyStore::Passphrase] {
            assert_eq!(store.to_string().parse(), Ok(store));
        }
        assert_eq!("Keyring".parse::<KeyStore>(), Err(NoSuchStore));
    }

    /// The keyring of the desktop, on session buses of their own.
    #[cfg(target_os = "linux")]
    mod keyring {
        use super::*;
        use crate::home::tests::{argument_of_other_half, other_half};
        use dbus_secret_service::{EncryptionType, SecretService};
        use std::process::Command;

        const NEEDED: &str = "it needs the Debian packages dbus and gnome-keyring";

        /// Starts `gnome-keyring-daemon` with an empty, unlocked keyring on a bus of its own.
        const SESSION: [&str; 6] = [
            "dbus-run-session",
            "--",
            "sh",
            "-c",
            r#"printf test | gnome-keyring-daemon --unlock --components=secrets >&2 && exec "$@""#,
            "sh",
        ];

        /// Runs the other half of a test on a bus that has a keyring. Without the programs for one
        /// the test says so, and fails where it must not be left out.
        fn with_keyring(test: &str, screen: Option<&str>) {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let is_here = |name: &&str| std::env::split_paths(&path).any(|d| d.join(name).exists());
            if !["dbus-run-session", "gnome-keyring-daemon"]
                .iter()
                .all(is_here)
            {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{NEEDED}");
                eprintln!("skipped: {NEEDED}");
                return;
            }
            let directory = tempfile::tempdir().unwrap();
            let mut command = other_half(&SESSION, test, &directory.path().join("hallway"));
            without_session(&mut command, directory.path());
            if let Some(screen) = screen {
                command.env("DISPLAY", screen);
            }
            assert_succeeds(command);
        }

        fn without_session(command: &mut Command, home: &Path) {
            for variable in ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"] {
                command.env_remove(variable);
            }
            for variable in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
                command.env(variable, home);
            }
        }

        fn assert_succeeds(mut command: Command) {
            let output = command.output().unwrap();
            let (out, err) = (&output.stdout, &output.stderr);
            let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
            assert!(output.status.success(), "{out}\n{err}");
            assert!(out.contains("1 passed"), "{out}\n{err}");
        }

        fn entry_of(lock: &Lock) -> Entry {
            read(&lock.home().keys())
                .unwrap()
                .unwrap()
                .kept
                .entry()
                .unwrap()
        }

        fn open_files_and_keyring_threads() -> (usize, usize) {
            let files = fs::read_dir("/proc/self/fd").unwrap().count();
            let threads = fs::read_dir("/proc/self/task").unwrap();
            let names =
                threads.filter_map(|t| fs::read_to_string(t.unwrap().path().join("comm")).ok());
            (files, names.filter(|name| name.trim() == "keyring").count())
        }

        #[test]
        fn keeps_the_keys() {
            let Some(path) = argument_of_other_half() else {
                return with_keyring("keys::tests::keyring::keeps_the_keys", None);
            };
            let lock = Home::create(Some(&path)).unwrap().lock().unwrap();
            let keys = lock.home().keys();
            let before = open_files_and_keyring_threads();
            let made = load_or_create(&lock, Some(KeyStore::Keyring), nobody).unwrap();
            assert_eq!((made.store, made.new), (KeyStore::Keyring, true));
            assert_eq!(
                open_files_and_keyring_threads(),
                before,
                "a connection or thread stays"
            );
            assert_eq!(before.1, 0);
            let text = fs::read_to_string(&keys).unwrap();
            let Secrets {
                identity_seed,
                device_secret,
                database_key,
                ..
            } = &made.secrets;
            for secret in [identity_seed, device_secret, database_key] {
                assert!(!text.contains(&hex::encode(secret)));
            }
            let loaded = load_or_create(&lock, None, nobody).unwrap();
            assert_eq!((loaded.store, loaded.new), (KeyStore::Keyring, false));
            assert_eq!(loaded.secrets, made.secrets);

            // From one item to another, to a file and back; no item is left over.
            for wanted in [KeyStore::Keyring, KeyStore::File] {
                let old = entry_of(&lock);
                assert_eq!(protect(&lock, Some(wanted), nobody).unwrap(), wanted);
                let gone = super::super::keyring::get(&old).unwrap_err();
                assert!(matches!(gone, KeyringError::NoItem), "{gone}");
                assert_eq!(
                    load_or_create(&lock, None, nobody).unwrap().secrets,
                    made.secrets
                );
            }
            protect(&lock, Some(KeyStore::Keyring), nobody).unwrap();

            // When the file cannot be written the old one counts, and its item is still there.
            fs::create_dir(path.join("keys.new")).unwrap();
            protect(&lock, Some(KeyStore::Keyring), nobody).unwrap_err();
            assert_eq!(
                load_or_create(&lock, None, nobody).unwrap().secrets,
                made.secrets
            );
            let service = SecretService::connect(EncryptionType::Plain).unwrap();
            let collection = service.get_default_collection().unwrap();
            assert_eq!(collection.get_all_items().unwrap().len(), 1);

            // What is wrong in the keyring is an error and never a new person.
            let fails_with = |expected: &str| {
                let text = fs::read(&keys).unwrap();
                let error = load_or_create(&lock, None, nobody).unwrap_err();
                assert_eq!(error.to_string(), expected);
                assert_eq!(fs::read(&keys).unwrap(), text);
            };
            let entry = entry_of(&lock);
            let other = Secrets {
                identity_seed: [9; 32],
                ..made.secrets
            };
            super::super::keyring::put(&entry, "another", &file::here(&other)).unwrap();
            fails_with(
                "the keys in the keyring cannot be used: the secrets are of somebody else; \
                 restore them from a backup",
            );
            super::super::keyring::put(&entry, "junk", &Zeroizing::new("junk".to_owned())).unwrap();
            fails_with(
                "the keys in the keyring cannot be used: they are damaged or were edited; \
                 restore them from a backup",
            );
            // Nobody is at a screen to unlock it, so nobody is waited for.
            collection.lock().unwrap();
            fails_with("the keyring is locked and was not unlocked; unlock it and start again");
        }

        #[test]
        fn is_found_on_a_desktop() {
            let Some(path) = argument_of_other_half() else {
                return with_keyring("keys::tests::keyring::is_found_on_a_desktop", Some(":99"));
            };
            let lock = Home::create(Some(&path)).unwrap().lock().unwrap();
            let made = load_or_create(&lock, None, nobody).unwrap();
            assert_eq!(made.store, KeyStore::Keyring);
            super::super::keyring::remove(&entry_of(&lock)).unwrap();
            let error = load_or_create(&lock, None, nobody).unwrap_err();
            assert!(
                matches!(error, KeysError::Keyring(KeyringError::NoItem)),
                "{error}"
            );
        }

        #[test]
        fn is_not_looked_for_without_a_desktop() {
            let Some(path) = argument_of_other_half() else {
                let directory = tempfile::tempdir().unwrap();
                let test = "keys::tests::keyring::is_not_looked_for_without_a_desktop";
                for screen in [None, Some(":99")] {
                    let mut command = other_half(&[], test, &directory.path().join("hallway"));
                    without_session(&mut command, directory.path());
                    if let Some(screen) = screen {
                        command.env("DISPLAY", screen);
                    }
                    assert_succeeds(command);
                }
                return;
            };
            let lock = Home::create(Some(&path)).unwrap().lock().unwrap();
            let _ = fs::remove_file(lock.home().keys());
            let error = load_or_create(&lock, Some(KeyStore::Keyring), nobody).unwrap_err();
            assert!(
                matches!(error, KeysError::Keyring(KeyringError::NoSession)),
                "{error}"
            );
            assert!(!lock.home().keys().exists());
            assert_eq!(
                load_or_create(&lock, None, nobody).unwrap().store,
                KeyStore::File
            );
        }

        #[test]
        fn is_not_waited_for_when_the_bus_is_silent() {
            let Some(path) = argument_of_other_half() else {
                let directory = tempfile::tempdir().unwrap();
                // It takes connections and never says a word.
                let silent = std::os::unix::net::UnixListener::bind(directory.path().join("bus"));
                let test = "keys::tests::keyring::is_not_waited_for_when_the_bus_is_silent";
                let mut command = other_half(&[], test, &directory.path().join("hallway"));
                without_session(&mut command, directory.path());
                assert_succeeds(command);
                drop(silent.unwrap());
                return;
            };
            let lock = Home::create(Some(&path)).unwrap().lock().unwrap();
            let error = load_or_create(&lock, Some(KeyStore::Keyring), nobody).unwrap_err();
            assert!(
                matches!(error, KeysError::Keyring(KeyringError::NoAnswer(5))),
                "{error}"
            );
            assert!(!lock.home().keys().exists());
        }
    }
}
