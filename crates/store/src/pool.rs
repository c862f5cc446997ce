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
