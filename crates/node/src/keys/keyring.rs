//! The keyring of the desktop: the Secret Service of freedesktop.org on the session bus.
//!
//! Each call connects, works and disconnects on a thread of its own, so that a bus that never
//! answers costs a known time, and an idle node has neither a thread nor a connection for it.
//!
//! The session is the plain one. Its encrypted alternative hides a secret from whoever can watch
//! the session bus, and that is the same user, who may as well ask the keyring.

use super::file::{Entry, KeysText};
use std::error::Error;
use zeroize::Zeroizing;

/// Why the keyring did not give or take the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Hallway knows no keyring on this system.
    #[error(
        "Hallway uses no keyring on this system; keep the keys in a file or behind a passphrase"
    )]
    Unsupported,
    /// No session bus.
    #[error(
        "the keyring is not there: no desktop session is running for this user; log in, or keep the keys in a file or behind a passphrase"
    )]
    NoSession,
    /// Nobody typed the password of the keyring.
    #[error("the keyring is locked and was not unlocked; unlock it and start again")]
    Locked,
    /// A keyring program that was never used.
    #[error(
        "the keyring has no default collection; create one in the program for passwords and keys"
    )]
    NoDefault,
    /// The item is not there.
    #[error("the keyring has no item for these keys (any more); restore the keyring from a backup")]
    NoItem,
    /// What was stored came back different.
    #[error("the keyring gave back something else than was stored in it")]
    Unfaithful,
    /// The time limit is over.
    #[error("the keyring did not answer within {0} seconds")]
    NoAnswer(u64),
    /// The keyring or the bus reported an error.
    #[error("the keyring failed: {0}")]
    Service(#[source] Box<dyn Error + Send + Sync>),
}

/// Whether somebody sits at a desktop with a session bus: a keyring may be there, and if it is
/// locked, a person can unlock it.
pub(super) fn is_desktop() -> bool {
    platform::has_bus() && platform::has_screen()
}

/// Stores a new item and proves that it comes back.
pub(super) fn put(entry: &Entry, label: &str, text: &KeysText) -> Result<(), KeyringError> {
    platform::put(entry, label, text)
}

/// The content of an item.
pub(super) fn get(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    platform::get(entry)
}

/// Removes an item.
pub(super) fn remove(entry: &Entry) -> Result<(), KeyringError> {
    platform::remove(entry)
}

#[cfg(target_os = "linux")]
mod platform {
    use super::*;
    use dbus_secret_service::{EncryptionType, Item, SecretService};
    use std::collections::HashMap;
    use std::path::Path;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// A person looks for a password. Without a screen nobody is asked.
    const UNLOCK_SECONDS_MAX: u64 = 60;
    /// A running keyring answers in 10 ms; one that is started for us may take a second or two.
    const ANSWER_SECONDS_MAX: u64 = 5;

    pub(super) fn has_bus() -> bool {
        // Without an address libdbus looks here, and then goes on to start a bus of its own,
        // which nobody asked for.
        let socket = |dir| Path::new(&dir).join("bus").exists();
        set("DBUS_SESSION_BUS_ADDRESS") || std::env::var_os("XDG_RUNTIME_DIR").is_some_and(socket)
    }

    pub(super) fn has_screen() -> bool {
        set("WAYLAND_DISPLAY") || set("DISPLAY")
    }

    fn set(variable: &str) -> bool {
        std::env::var_os(variable).is_some_and(|value| !value.is_empty())
    }

    pub(super) fn put(entry: &Entry, label: &str, text: &KeysText) -> Result<(), KeyringError> {
        let (name, label, text) = (name(entry), label.to_owned(), text.clone());
        with_service(move |service| {
            let collection = service.get_default_collection().map_err(|error| {
                let none = matches!(error, dbus_secret_service::Error::NoResult);
                if none {
                    KeyringError::NoDefault
                } else {
                    failure(error)
                }
            })?;
            collection.ensure_unlocked().map_err(failure)?;
            let item = collection
                .create_item(
                    &label,
                    attributes(&name),
                    text.as_bytes(),
                    true,
                    "text/plain",
                )
                .map_err(failure)?;
            let found = content(service, &name).and_then(|content| {
                let same = content.as_slice() == text.as_bytes();
                if same {
                    Ok(())
                } else {
                    Err(KeyringError::Unfaithful)
                }
            });
            if found.is_err() {
                // The reason why it cannot be used is the one to report.
                let _ = item.delete();
            }
            found
        })
    }

    pub(super) fn get(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let name = name(entry);
        with_service(move |service| content(service, &name))
    }

    pub(super) fn remove(entry: &Entry) -> Result<(), KeyringError> {
        let name = name(entry);
        with_service(move |service| find(service, &name)?.delete().map_err(failure))
    }

    fn content(service: &SecretService, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        let item = find(service, name)?;
        item.ensure_unlocked().map_err(failure)?;
        item.get_secret().map(Zeroizing::new).map_err(failure)
    }

    fn find<'a>(service: &'a SecretService, name: &str) -> Result<Item<'a>, KeyringError> {
        let found = service.search_items(attributes(name)).map_err(failure)?;
        found
            .unlocked
            .into_iter()
            .chain(found.locked)
            .next()
            .ok_or(KeyringError::NoItem)
    }

    fn name(entry: &Entry) -> String {
        hex::encode(entry.0)
    }

    fn attributes(name: &str) -> HashMap<&'static str, &str> {
        HashMap::from([("application", "hallway"), ("keys", name)])
    }

    fn failure(error: dbus_secret_service::Error) -> KeyringError {
        use dbus_secret_service::Error::{Locked, Prompt};
        let locked = matches!(error, Locked | Prompt);
        if locked {
            KeyringError::Locked
        } else {
            KeyringError::Service(Box::new(error))
        }
    }

    fn with_service<T: Send + 'static>(
        work: impl FnOnce(&SecretService) -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        if !has_bus() {
            return Err(KeyringError::NoSession);
        }
        let unlock_seconds = if has_screen() { UNLOCK_SECONDS_MAX } else { 0 };
        let all_seconds = unlock_seconds + ANSWER_SECONDS_MAX;
        let (answer, answered) = mpsc::sync_channel(1);
        let worker = thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || {
                let plain = EncryptionType::Plain;
                let service = SecretService::connect_with_max_prompt_timeout(plain, unlock_seconds);
                // Nobody waits for an answer that comes too late.
                let _ = answer.send(service.map_err(failure).and_then(|service| work(&service)));
            });
        let worker = worker.map_err(|e| KeyringError::Service(Box::new(e)))?;
        match answered.recv_timeout(Duration::from_secs(all_seconds)) {
            Ok(result) => {
                // It only has the connection left to close. A panic of its own said why.
                let _ = worker.join();
                result
            }
            Err(_) => Err(KeyringError::NoAnswer(all_seconds)),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::*;

    pub(super) fn has_bus() -> bool {
        false
    }

    pub(super) fn has_screen() -> bool {
        false
    }

    pub(super) fn put(_: &Entry, _: &str, _: &KeysText) -> Result<(), KeyringError> {
        Err(KeyringError::Unsupported)
    }

    pub(super) fn get(_: &Entry) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        Err(KeyringError::Unsupported)
    }

    pub(super) fn remove(_: &Entry) -> Result<(), KeyringError> {
        Err(KeyringError::Unsupported)
    }
}
