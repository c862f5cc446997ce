//! A message as it is now: edits and deletions applied, reactions gathered.

use hallway_model::{Message, MessageView, PeerId, QuoteView, ReactionView};

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The message. Its text is the current one, empty once deleted; its delivery is `Read` when
    /// the person it is for has seen it, and never `Sent`.
    pub message: Message,
    /// Where it stands in the order of arrival: the cursor of [`crate::Reader::page`].
    pub row: u64,
    /// The number of its last change: the cursor of [`crate::Reader::changes_since`].
    pub change: u64,
    /// The text was changed after it was sent.
    pub edited: bool,
    /// It was taken back.
    pub deleted: bool,
    /// Emoji on it, in the order they were set.
    pub reactions: Vec<ReactionView>,
    /// What it answers, as that is now.
    pub quote: Option<QuoteView>,
}

impl StoredMessage {
    /// The message as faces show it. `me` tells the two sides of a talk apart.
    pub fn view(&self, me: &PeerId) -> MessageView {
        let _ = me;
        unimplemented!()
    }
}
