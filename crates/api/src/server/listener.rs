//! The Unix socket, and who may speak on it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// Wait before the next attempt when the system has no descriptor left for a connection:
/// without it the loop would spin, and half a second is still prompt for a person.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// Accepts connections of this process's user and of root, and of nobody else. Its socket is
/// removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
    /// Device and number of the socket's file, by which it is known to be ours.
    file: (u64, u64),
}

/// Listens at this path, in a directory that belongs to this user alone. The caller holds the
/// lock of the node's home, so that a socket found there is a dead node's.
pub fn bind(path: &Path) -> io::Result<Listener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let inner = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(Listener {
        inner,
        path: path.to_owned(),
        file: file_at(path)?,
    })
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The next node may have put its own there already.
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            // Whoever removes it before us does our work.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        loop {
            match self.inner.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) if is_welcome(peer.uid()) => return (stream, ()),
                    Ok(peer) => tracing::warn!(uid = peer.uid(), "another user was turned away"),
                    Err(error) => tracing::warn!(%error, "a client without credentials"),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client; trying again");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a process of this user may use the API.
pub(super) fn is_welcome(uid: u32) -> bool {
    may_speak(uid, rustix::process::geteuid().as_raw())
}

/// Root can read the node's memory anyway: turning it away would protect nothing.
fn may_speak(uid: u32, own: u32) -> bool {
    uid == own || uid == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_may_speak() {
        assert!(may_speak(1000, 1000));
        assert!(may_speak(0, 1000));
        assert!(!may_speak(1001, 1000));
        assert!(!may_speak(1000, 0));
    }

    #[tokio::test]
    async fn the_socket_is_private_replaces_a_dead_one_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        std::fs::write(&path, "left behind").unwrap();
        let listener = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_the_next_node_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let old = bind(&path).unwrap();
        let new = bind(&path).unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
        assert!(!path.exists());
    }
}
