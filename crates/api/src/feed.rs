//! The event stream of one listener: what it missed from disk, then live, without a gap.
//!
//! Each message is told once as new, and each change of it is told; several changes made while
//! the listener was away are told as one. How far a message has come may be told again, and never
//! goes back.

use crate::problem::ProblemView;
use crate::server::{ask, mark_sent, off_the_reactor, state_on_disk, this_node, unreadable};
use hallway_model::{Command, Event, EventKind, PeerId};
use hallway_node::{EventStream, Handle};
use std::collections::{HashSet, VecDeque};
use tokio::sync::broadcast::error::RecvError;

/// Changes read from disk at once.
const PAGE_CHANGES: usize = 500;

/// See the module.
pub struct Feed {
    node: Handle,
    me: PeerId,
    live: EventStream,
    /// What the listener is told to come back with: every change up to this number was told.
    cursor: u64,
    /// Changes up to this number were told from disk. An event of one may still be on its way.
    from_disk: u64,
    phase: Phase,
    /// Read from disk, not told yet.
    read: VecDeque<Event>,
}

enum Phase {
    /// There may be more on disk after the cursor.
    CatchingUp {
        /// What the listener knew before: later messages are new to it.
        from: u64,
        /// The rows that were told as new since. One of them may change and come again.
        told: HashSet<u64>,
    },
    /// So many of the next live events are older than what was read from disk last.
    Overlapping(usize),
    /// All live events are news.
    Live,
}

impl Phase {
    fn catching_up(from: u64) -> Self {
        let told = HashSet::new();
        Self::CatchingUp { from, told }
    }
}

impl Feed {
    /// Events after the cursor `since`, or from now on.
    pub async fn open(node: Handle, since: Option<u64>) -> Result<Self, ProblemView> {
        // Listen first: nothing that happens while we read must be missed.
        let live = node.events();
        let status = this_node(&node).await?;
        let (cursor, phase) = match since {
            Some(since) if since <= status.event => (since, Phase::catching_up(since)),
            // The disk may be ahead of the engine. A cursor from the future is that of another
            // database: waiting for it would be missing everything.
            Some(since) => {
                let since = since.min(last_change(&node, status.event).await?);
                (since, Phase::catching_up(since))
            }
            None => (status.event, Phase::Live),
        };
        let read = VecDeque::new();
        Ok(Self {
            node,
            me: status.id,
            live,
            cursor,
            from_disk: cursor,
            phase,
            read,
        })
    }

    /// Our own id, by which messages of others are told from ours.
    pub fn me(&self) -> PeerId {
        self.me
    }

    /// The next event; `None` once the node stops or cannot read its history.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Some(event);
            }
            if matches!(self.phase, Phase::CatchingUp { .. }) {
                self.catch_up().await.ok()?;
                continue;
            }
            let next = tokio::select! {
                next = self.live.recv() => next,
                () = self.node.stopping() => return None,
            };
            match next {
                Ok(event) => {
                    if self.is_news(&event).await {
                        self.cursor = self.cursor.max(event.event);
                        return Some(Event {
                            event: self.cursor,
                            kind: event.kind.clone(),
                        });
                    }
                }
                Err(RecvError::Lagged(missed)) => return Some(self.start_over(missed)),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads the next page of changes. After the last one comes what was live meanwhile.
    async fn catch_up(&mut self) -> Result<(), ProblemView> {
        // What others were told just now must be on disk before it is read.
        ask(&self.node, Command::Flush).await?;
        let (node, me, since) = (self.node.clone(), self.me, self.cursor);
        let page = off_the_reactor(move || {
            let changes = node.reader().changes_since(since, PAGE_CHANGES);
            let changes = changes.map_err(unreadable)?.into_iter();
            Ok(changes.map(|s| (s.view(&me), s.row)).collect::<Vec<_>>())
        });
        let (mut messages, rows): (Vec<_>, Vec<_>) = page.await?.into_iter().unzip();
        mark_sent(&self.node, &self.me, &mut messages).await?;
        let complete = messages.len() < PAGE_CHANGES;
        for (message, row) in messages.into_iter().zip(rows) {
            (self.cursor, self.from_disk) = (message.change, message.change);
            let new = match &mut self.phase {
                Phase::CatchingUp { from, told } => row > *from && told.insert(row),
                Phase::Overlapping(_) | Phase::Live => false,
            };
            let message = Box::new(message);
            let kind = EventKind::Message { message, new };
            self.read.push_back(Event {
                event: self.cursor,
                kind,
            });
        }
        if complete {
            self.phase = Phase::Overlapping(self.live.len());
        }
        Ok(())
    }

    /// Whether a live event tells more than what was told from disk.
    async fn is_news(&mut self, event: &Event) -> bool {
        if let Phase::Overlapping(left) = &mut self.phase {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => self.phase = Phase::Live,
            }
        }
        match (&event.kind, &self.phase) {
            (EventKind::Message { .. }, _) => event.event > self.from_disk,
            (EventKind::State { id, state, .. }, Phase::Overlapping(_)) => {
                let Ok(id) = id.parse() else { return true };
                let on_disk = state_on_disk(&self.node, self.me, id).await;
                on_disk.is_none_or(|on_disk| *state >= on_disk)
            }
            _ => true,
        }
    }

    /// Too slow: skips what is live and reads it from disk.
    fn start_over(&mut self, missed: u64) -> Event {
        self.live = self.node.events();
        self.phase = Phase::catching_up(self.cursor);
        let detail = format!(
            "this listener was too slow and missed {missed} events; messages follow from disk, \
             but read the peers again"
        );
        let kind = EventKind::Notice {
            code: "lagged".into(),
            detail,
        };
        Event {
            event: self.cursor,
            kind,
        }
    }
}

/// The last change on disk, which is not before `known`.
async fn last_change(node: &Handle, known: u64) -> Result<u64, ProblemView> {
    let node = node.clone();
    off_the_reactor(move || {
        let mut last = known;
        loop {
            let page = node.reader().changes_since(last, PAGE_CHANGES);
            match page.map_err(unreadable)?.last() {
                Some(newest) => last = newest.change,
                None => return Ok(last),
            }
        }
    })
    .await
}
