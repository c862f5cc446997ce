//! What waits for the disk: writes gathered into requests, and what to do once each is durable.

use crate::io::{CommandId, ConnId, StoreToken};
use hallway_model::{Answer, Message, MessageId, Peer, PeerId, TransferId, Write};
use std::collections::BTreeMap;

/// What to do when a write is durable, or was refused.
#[derive(Debug)]
pub(crate) enum Then {
    /// What we know of a peer is safe, and that it has these messages of ours. When refused it
    /// is written again later.
    Noted { peer: PeerId, acked: Vec<MessageId> },
    /// A message of ours is safe.
    Sent {
        message: Box<Message>,
        command: CommandId,
        /// The peer as they were before they became a contact by it.
        before: Option<Box<Before>>,
    },
    /// The record of a call of ours is safe. When refused it is written again later.
    Recorded { message: Box<Message> },
    /// A message of a peer is safe.
    Received { message: Box<Message>, conn: ConnId },
    /// A change the user asked for is safe.
    Changed {
        before: Box<Before>,
        command: CommandId,
        answer: Option<Answer>,
    },
    /// How a transfer stands is safe.
    Transfer {
        id: TransferId,
        /// It is over.
        over: bool,
        command: Option<CommandId>,
    },
    /// A setting the user asked for is safe.
    Set { command: CommandId },
    /// Everything of a peer is gone.
    Forgotten { peer: PeerId, command: CommandId },
    /// All that was added before is safe, or refused.
    Flushed { command: CommandId },
}

/// What was known of a peer before a change, for when the disk refuses it.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) record: Peer,
    /// It was on disk.
    pub(crate) kept: bool,
}

/// Requests to the disk, in order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    writes: Vec<Write>,
    then: Vec<Then>,
    pending: BTreeMap<StoreToken, Vec<Then>>,
    last_token: u64,
    epoch: u64,
}

impl Ledger {
    /// Adds writes that become durable together; `then` waits for them.
    pub(crate) fn add(&mut self, writes: impl IntoIterator<Item = Write>, then: Then) {
        self.writes.extend(writes);
        self.then.push(then);
    }

    /// Lets `then` wait for all that was added so far; it comes back when nothing was.
    pub(crate) fn wait(&mut self, then: Then) -> Option<Then> {
        let last = match self.writes.is_empty() {
            true => self.pending.last_entry().map(|last| last.into_mut()),
            false => Some(&mut self.then),
        };
        match last {
            Some(waiting) => waiting.push(then),
            None => return Some(then),
        }
        None
    }

    /// The next request, with everything added since the last.
    pub(crate) fn poll_request(&mut self) -> Option<(StoreToken, u64, Vec<Write>)> {
        if self.writes.is_empty() {
            return None;
        }
        self.last_token += 1;
        let token = StoreToken(self.last_token);
        self.pending.insert(token, std::mem::take(&mut self.then));
        Some((token, self.epoch, std::mem::take(&mut self.writes)))
    }

    /// A request is durable: what waited for it.
    pub(crate) fn handle_stored(&mut self, token: StoreToken) -> Vec<Then> {
        self.pending.remove(&token).unwrap_or_default()
    }

    /// A request was refused: everything that waits is refused with it, in order, since the disk
    /// takes nothing more of this epoch. Reports come in order, so none of it is durable. Empty
    /// when the request was among what was refused before.
    pub(crate) fn handle_failed(&mut self, token: StoreToken) -> Vec<Then> {
        if !self.pending.contains_key(&token) {
            return Vec::new();
        }
        self.epoch += 1;
        // What was added since may depend on what was refused: it fails with it.
        self.writes.clear();
        let pending = std::mem::take(&mut self.pending);
        let mut refused: Vec<Then> = pending.into_values().flatten().collect();
        refused.append(&mut self.then);
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(value: &str) -> [Write; 1] {
        [Write::Setting("name", value.into())]
    }

    #[test]
    fn writes_of_one_burst_travel_together() {
        let mut ledger = Ledger::default();
        ledger.add(
            setting("a"),
            Then::Set {
                command: CommandId(0),
            },
        );
        ledger.add(
            setting("b"),
            Then::Set {
                command: CommandId(1),
            },
        );
        let (token, epoch, writes) = ledger.poll_request().unwrap();
        assert_eq!((epoch, writes.len()), (0, 2));
        assert!(ledger.poll_request().is_none());
        assert_eq!(ledger.handle_stored(token).len(), 2);
        assert!(ledger.handle_stored(token).is_empty());
    }

    fn command(then: &Then) -> u64 {
        match then {
            Then::Set { command } => command.0,
            Then::Noted { .. }
            | Then::Sent { .. }
            | Then::Recorded { .. }
            | Then::Received { .. }
            | Then::Changed { .. }
            | Then::Forgotten { .. }
            | Then::Transfer { .. }
            | Then::Flushed { .. } => panic!("{then:?}"),
        }
    }

    #[test]
    fn waiting_writes_nothing_and_ends_with_what_was_added_before() {
        let flush = || Then::Flushed {
            command: CommandId(9),
        };
        let mut ledger = Ledger::default();
        assert!(ledger.wait(flush()).is_some());
        let set = Then::Set {
            command: CommandId(1),
        };
        ledger.add(setting("a"), set);
        assert!(ledger.wait(flush()).is_none());
        let (token, ..) = ledger.poll_request().unwrap();
        assert!(ledger.wait(flush()).is_none());
        assert!(ledger.poll_request().is_none());
        let waited = ledger.handle_stored(token);
        assert!(matches!(
            waited.as_slice(),
            [Then::Set { .. }, Then::Flushed { .. }, Then::Flushed { .. }]
        ));
        assert!(ledger.wait(flush()).is_some());
    }

    #[test]
    fn a_failure_takes_everything_of_its_epoch_with_it() {
        let mut ledger = Ledger::default();
        ledger.add(
            setting("a"),
            Then::Set {
                command: CommandId(1),
            },
        );
        let (first, ..) = ledger.poll_request().unwrap();
        ledger.add(
            setting("b"),
            Then::Set {
                command: CommandId(2),
            },
        );
        let (second, ..) = ledger.poll_request().unwrap();
        ledger.add(
            setting("c"),
            Then::Set {
                command: CommandId(3),
            },
        );
        let commands: Vec<_> = ledger.handle_failed(first).iter().map(command).collect();
        assert_eq!(commands, [1, 2, 3], "all that waits, in order");
        assert!(ledger.poll_request().is_none());
        assert!(
            ledger.handle_failed(second).is_empty(),
            "the same failure is no news"
        );
        ledger.add(
            setting("d"),
            Then::Set {
                command: CommandId(4),
            },
        );
        assert_eq!(ledger.poll_request().unwrap().1, 1);
    }
}
