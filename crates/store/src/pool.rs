//! The connections that read, lent to one call each.

use crate::connection::{Access, connect};
use crate::error::StoreError;
use crate::key::DatabaseKey;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Connections at most: history and search of a few faces at once. Each takes up to 1 MiB.
const CONNECTIONS_MAX: usize = 2;

/// Connections are opened when first needed and then kept.
pub(crate) struct Pool {
    path: PathBuf,
    key: DatabaseKey,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

impl Pool {
    pub(crate) fn new(path: PathBuf, key: DatabaseKey) -> Self {
        Self {
            path,
            key,
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Reads the database as it is at one moment.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut lent = self.take();
        let connection = match lent.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let moment = connection.unchecked_transaction()?;
        let result = read(&moment)?;
        drop(moment);
        // After an error it is not given back: a damaged page makes a connection useless.
        lent.connection = Some(connection);
        Ok(result)
    }

    /// A connection of one's own, for what takes long.
    pub(crate) fn connect(&self) -> Result<Connection, StoreError> {
        Ok(connect(&self.path, &self.key, &Access::Read)?)
    }

    fn take(&self) -> Lent<'_> {
        let mut state = self
            .returned
            .wait_while(self.lock(), |state| state.lent >= CONNECTIONS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        state.lent += 1;
        Lent {
            connection: state.idle.pop(),
            pool: self,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use one connection; returns it when dropped.
struct Lent<'a> {
    connection: Option<Connection>,
    pool: &'a Pool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.lent -= 1;
        state.idle.extend(self.connection.take());
        drop(state);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn two_read_at_once_and_the_others_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let _store = crate::open(&path, &key).unwrap();
        let pool = Pool::new(path, key);
        let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let both = Barrier::new(CONNECTIONS_MAX);
        thread::scope(|scope| {
            // In pairs: a third at once would be seen, and a lone one would wait for ever.
            for _ in 0..4 * CONNECTIONS_MAX {
                scope.spawn(|| {
                    pool.read(|_| {
                        most.fetch_max(
                            reading.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        both.wait();
                        reading.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(most.into_inner(), CONNECTIONS_MAX);
        assert_eq!(pool.lock().idle.len(), CONNECTIONS_MAX);
    }

    #[test]
    fn a_connection_that_failed_is_not_lent_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let _store = crate::open(&path, &key).unwrap();
        let pool = Pool::new(path, key);
        let fail = |connection: &Connection| Ok(connection.execute_batch("SELECT nothing")?);
        for _ in 0..2 * CONNECTIONS_MAX {
            pool.read(fail).unwrap_err();
        }
        assert!(pool.lock().idle.is_empty());
        pool.read(|connection| Ok(connection.execute_batch("SELECT 1")?))
            .unwrap();
        assert_eq!(pool.lock().idle.len(), 1);
    }
}
