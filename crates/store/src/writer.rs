//! The one connection that writes, and the thread that commits in groups.

use crate::StoreError;
use hallway_model::{Added, Snapshot, StorageFault, Write};
use rusqlite::Connection;
use std::sync::mpsc::Receiver;

/// Writes that are applied together or not at all.
#[derive(Clone, Debug)]
pub struct Request {
    /// Comes back in the [`Completion`].
    pub token: u64,
    /// Rises each time the engine has noticed a failure. See [`Writer::run`].
    pub epoch: u64,
    /// What to write.
    pub writes: Vec<Write>,
}

/// What became of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// That of the request.
    pub token: u64,
    /// One [`Added`] for each [`Write::Message`], in order; durable. Or why nothing was kept.
    pub result: Result<Vec<Added>, StorageFault>,
}

/// The one connection that writes. It belongs to one thread; its calls block on the disk.
pub struct Writer {
    connection: Connection,
}

impl Writer {
    /// All the engine needs to start.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let _ = &self.connection;
        unimplemented!()
    }

    /// Applies the requests as one transaction, all or nothing. Returns, for each request, one
    /// [`Added`] for each of its [`Write::Message`], in order; they are durable then.
    pub fn commit(&mut self, requests: &[&[Write]]) -> Result<Vec<Vec<Added>>, StorageFault> {
        let _ = requests;
        unimplemented!()
    }

    /// Commits what has queued as one group, again and again, until all senders are gone.
    ///
    /// Messages must keep their order, so a failure stops the line: every request whose epoch is
    /// not above that of the failed group is answered with the same fault without being tried.
    pub fn run(self, requests: Receiver<Request>, done: impl FnMut(Completion) + Send) {
        let _ = (requests, done);
        unimplemented!()
    }
}
