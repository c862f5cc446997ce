//! The one thread that writes to the database, as the driver sees it.

use hallway_model::{Added, Write};
use hallway_store::{Completion, Request, Writer};
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc;

/// Requests beyond which nothing more is read from the network.
const REQUESTS_MAX: usize = 64;

/// Where writes go, and how many are under way.
pub(crate) struct Disk {
    keeper: Keeper,
    requests: usize,
    done: mpsc::UnboundedSender<Completion>,
}

enum Keeper {
    /// Commits to the database in groups.
    Thread {
        requests: Sender<Request>,
        thread: JoinHandle<()>,
    },
    /// Keeps nothing and says so at once.
    Nobody { last_change: u64 },
}

impl Disk {
    /// Starts the thread. What is durable comes back through the receiver.
    pub(crate) fn start(writer: Writer) -> io::Result<(Self, mpsc::UnboundedReceiver<Completion>)> {
        let (requests, waiting) = channel();
        let (done, completions) = mpsc::unbounded_channel();
        let report = done.clone();
        let thread = Builder::new().name("disk".into()).spawn(move || {
            writer.run(waiting, |completion| {
                // A driver that is gone needs no report.
                let _ = report.send(completion);
            });
        })?;
        Ok((
            Self {
                keeper: Keeper::Thread { requests, thread },
                requests: 0,
                done,
            },
            completions,
        ))
    }

    /// A disk for nodes that keep nothing: every write is done at once and forgotten.
    pub(crate) fn forgetful() -> (Self, mpsc::UnboundedReceiver<Completion>) {
        let (done, completions) = mpsc::unbounded_channel();
        let keeper = Keeper::Nobody { last_change: 0 };
        (
            Self {
                keeper,
                requests: 0,
                done,
            },
            completions,
        )
    }

    /// Queues writes that become durable together.
    pub(crate) fn write(&mut self, token: u64, epoch: u64, writes: Vec<Write>) {
        self.requests += 1;
        match &mut self.keeper {
            Keeper::Thread { requests, .. } => {
                let sent = requests.send(Request {
                    token,
                    epoch,
                    writes,
                });
                assert!(sent.is_ok(), "the disk thread is gone");
            }
            Keeper::Nobody { last_change } => {
                let messages = writes
                    .iter()
                    .filter(|write| matches!(write, Write::Message(_)));
                let added = messages
                    .map(|_| {
                        *last_change += 1;
                        Added::New {
                            change: *last_change,
                        }
                    })
                    .collect();
                // The receiver lives as long as the driver, which holds both.
                let _ = self.done.send(Completion {
                    token,
                    result: Ok(added),
                });
            }
        }
    }

    /// A report has come back.
    pub(crate) fn handle_completion(&mut self) {
        self.requests -= 1;
    }

    /// More may be read from the network.
    pub(crate) fn has_room(&self) -> bool {
        self.requests < REQUESTS_MAX
    }

    /// Everything queued is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.requests == 0
    }

    /// Waits for the thread to commit what is left and end.
    pub(crate) fn join(self) {
        if let Keeper::Thread { requests, thread } = self.keeper {
            drop(requests);
            if thread.join().is_err() {
                tracing::error!("the disk thread ended badly");
            }
        }
    }
}
