//! History, search, outbox and export, from any thread.

use crate::{StoreError, StoredMessage};
use hallway_model::{ConversationId, Message, MessageId, PeerId, WallTime};
use std::io;
use std::sync::Arc;

/// Reads the database while the [`crate::Writer`] writes. Cheap to clone, shared by threads; its
/// calls block on the disk.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<()>,
}

/// One line of the list of conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub conversation: ConversationId,
    /// Messages of others not shown to the person yet.
    pub unread: u64,
    /// The newest message.
    pub last: StoredMessage,
}

impl Reader {
    /// The newest `limit` messages that stand before the row `before` (or at all), oldest first.
    pub fn page(
        &self,
        conversation: &ConversationId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let _ = (&self.pool, conversation, before, limit);
        unimplemented!()
    }

    /// Of the messages their authors dated `since` or later the latest `limit`, oldest first.
    pub fn since(
        &self,
        conversation: &ConversationId,
        since: WallTime,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let _ = (conversation, since, limit);
        unimplemented!()
    }

    /// The newest `limit` messages that contain every word of the query, oldest first: Chinese,
    /// Japanese and Korean anywhere, other scripts from the start of a word. A query without any
    /// letter or digit finds nothing.
    pub fn search(
        &self,
        query: &str,
        conversation: Option<&ConversationId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let _ = (query, conversation, limit);
        unimplemented!()
    }

    /// One message, of this author or of any.
    pub fn message(
        &self,
        author: Option<&PeerId>,
        id: &MessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        let _ = (author, id);
        unimplemented!()
    }

    /// Messages whose last change is after `change`, in the order of these changes, at most
    /// `limit`.
    pub fn changes_since(
        &self,
        change: u64,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let _ = (change, limit);
        unimplemented!()
    }

    /// Our messages to this peer that were not delivered yet, with a sequence number above
    /// `after_seq`, ascending, at most `limit`.
    pub fn outbox(
        &self,
        peer: &PeerId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let _ = (peer, after_seq, limit);
        unimplemented!()
    }

    /// How many messages of this peer have a sequence number above `read_by_us`.
    pub fn unread(&self, peer: &PeerId, read_by_us: u64) -> Result<u64, StoreError> {
        let _ = (peer, read_by_us);
        unimplemented!()
    }

    /// Every conversation that has messages, the one with the newest message first.
    pub fn summaries(&self) -> Result<Vec<Summary>, StoreError> {
        unimplemented!()
    }

    /// Writes everything a person would want back as JSON Lines. Returns the number of lines.
    pub fn export(&self, out: &mut dyn io::Write) -> Result<u64, StoreError> {
        let _ = out;
        unimplemented!()
    }
}
