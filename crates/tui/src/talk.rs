//! A conversation as far as it is in memory: a window of messages that moves over the history, a
//! draft, and where the reader is.

use crate::editor::Editor;
use hallway_model::{Delivery, MessageView, PeerId, WallTime};
use std::collections::VecDeque;

/// Messages asked for at once: some screens full.
pub(crate) const PAGE_MESSAGES: usize = 100;

/// Messages kept of one conversation; with the longest texts some 32 MiB. Older ones, or newer ones
/// when somebody reads far back, are read from disk again.
pub(crate) const WINDOW_MESSAGES_MAX: usize = 1000;

/// Messages shown below one that was looked for.
const MESSAGES_BELOW: usize = 4;

/// Names a message: an id alone is only unique with its author.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) from: PeerId,
    pub(crate) id: String,
}

impl Key {
    pub(crate) fn of(message: &MessageView) -> Self {
        let (from, id) = (message.from, message.id.clone());
        Self { from, id }
    }

    pub(crate) fn is(&self, message: &MessageView) -> bool {
        message.id == self.id && message.from == self.from
    }
}

/// What the text being written will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    #[default]
    Say,
    Reply(Key),
    /// Change this message; the draft that stood there before comes back afterwards.
    Edit(Key, Editor),
}

/// Where the reader is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the end, also when something comes.
    #[default]
    Latest,
    /// The lowest message on screen, and how many of its lines are below the screen.
    At { message: Key, hidden: usize },
}

/// A place in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// The message with this id.
    Message(String),
    /// The first message of this time or later.
    Time(WallTime),
}

/// Which messages are asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The newest.
    Latest,
    /// Those before the message with this id.
    Before(String),
    /// Those after it.
    After(String),
    /// Those around this place.
    Around(Spot),
}

/// A text on its way to the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) number: u64,
    pub(crate) text: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    pub(crate) messages: VecDeque<MessageView>,
    /// The newest message is in the window: what comes is put behind it.
    pub(crate) has_newest: bool,
    /// So is the first one ever written.
    pub(crate) has_oldest: bool,
    /// Something was asked for and has not come.
    pub(crate) asked: Option<Part>,
    /// Nothing more could be read; asking again at once would not help.
    pub(crate) stuck: bool,
    /// Came new since then.
    arrived: Vec<MessageView>,
    /// The newest message of all, for the list of conversations.
    pub(crate) last: Option<MessageView>,
    pub(crate) place: Place,
    pub(crate) chosen: Option<Key>,
    pub(crate) draft: Editor,
    pub(crate) purpose: Purpose,
    pub(crate) sending: Vec<Sending>,
    /// The first message that was new when the conversation was opened.
    pub(crate) new_from: Option<Key>,
    /// It was seen while they were a stranger, whom nothing is told.
    pub(crate) untold: bool,
}

impl Talk {
    pub(crate) fn position(&self, key: &Key) -> Option<usize> {
        self.messages.iter().rposition(|message| key.is(message))
    }

    pub(crate) fn find(&self, key: &Key) -> Option<&MessageView> {
        self.position(key).and_then(|at| self.messages.get(at))
    }

    /// The message at a place, as far as the window has it.
    pub(crate) fn at(&self, spot: &Spot) -> Option<Key> {
        let found = self.messages.iter().find(|message| match spot {
            Spot::Message(id) => message.id == *id,
            Spot::Time(time) => message.at >= *time,
        });
        found.map(Key::of)
    }

    /// What is at that place in the window is also what is there in the whole conversation.
    pub(crate) fn reaches(&self, spot: &Spot) -> bool {
        match (spot, self.messages.front()) {
            (Spot::Message(_), _) => true,
            (Spot::Time(time), Some(first)) => self.has_oldest || first.at < *time,
            (Spot::Time(_), None) => false,
        }
    }

    pub(crate) fn chosen(&self) -> Option<&MessageView> {
        self.chosen.as_ref().and_then(|key| self.find(key))
    }

    /// What has to be asked for to have older messages.
    pub(crate) fn older(&self) -> Option<Part> {
        let first = self.messages.front()?;
        (!self.has_oldest && self.may_ask()).then(|| Part::Before(first.id.clone()))
    }

    /// What has to be asked for to have newer messages.
    pub(crate) fn newer(&self) -> Option<Part> {
        let last = self.messages.back()?;
        (!self.has_newest && self.may_ask()).then(|| Part::After(last.id.clone()))
    }

    pub(crate) fn may_ask(&self) -> bool {
        self.asked.is_none() && !self.stuck
    }

    /// Chooses a message, and brings it to where it is read with some that follow it.
    pub(crate) fn show(&mut self, key: Key) {
        let Some(at) = self.position(&key) else {
            return;
        };
        let lowest = (at + MESSAGES_BELOW).min(self.messages.len() - 1);
        if let Some(message) = self.messages.get(lowest) {
            let message = Key::of(message);
            self.place = Place::At { message, hidden: 0 };
        }
        self.chosen = Some(key);
    }

    /// What was asked for has come.
    pub(crate) fn put_page(&mut self, part: &Part, page: Vec<MessageView>) {
        let whole = page.len() >= PAGE_MESSAGES;
        self.asked = None;
        match part {
            Part::Latest => {
                self.messages = page.into();
                self.has_newest = true;
                self.has_oldest = !whole;
            }
            // There is nothing from that time on.
            Part::Around(_) if page.is_empty() => return,
            Part::Around(_) => {
                self.messages = page.into();
                self.has_newest = false;
                self.has_oldest = false;
            }
            Part::Before(id) => {
                if self.messages.front().is_none_or(|first| first.id != *id) {
                    return;
                }
                for message in page.into_iter().rev() {
                    self.messages.push_front(message);
                }
                self.has_oldest = !whole;
                self.drop_newest();
            }
            Part::After(id) => {
                if self.messages.back().is_none_or(|last| last.id != *id) {
                    return;
                }
                self.messages.extend(page);
                self.has_newest = !whole;
                self.drop_oldest();
            }
        }
        if self.has_newest {
            for message in std::mem::take(&mut self.arrived) {
                self.merge(message, true);
            }
            self.last = self.messages.back().cloned();
        }
        self.arrived.clear();
    }

    fn drop_newest(&mut self) {
        if self.messages.len() > WINDOW_MESSAGES_MAX {
            self.messages.truncate(WINDOW_MESSAGES_MAX);
            self.has_newest = false;
        }
    }

    fn drop_oldest(&mut self) {
        while self.messages.len() > WINDOW_MESSAGES_MAX {
            self.messages.pop_front();
            self.has_oldest = false;
        }
    }

    /// A message is new, or changed.
    pub(crate) fn put(&mut self, message: &MessageView, new: bool) {
        match &mut self.last {
            Some(last) if Key::of(last).is(message) => {
                let state = last.state.max(message.state);
                *last = MessageView {
                    state,
                    ..message.clone()
                };
            }
            last if new => *last = Some(message.clone()),
            Some(_) | None => {}
        }
        if new && self.asked.is_some() {
            self.arrived.push(message.clone());
        }
        self.merge(message.clone(), new && self.has_newest);
    }

    fn merge(&mut self, message: MessageView, append: bool) {
        let known = self.position(&Key::of(&message));
        match known.and_then(|at| self.messages.get_mut(at)) {
            Some(earlier) => {
                // A state told by an event may be ahead of a page that was read meanwhile.
                let state = earlier.state.max(message.state);
                *earlier = MessageView { state, ..message };
            }
            None if append => {
                self.messages.push_back(message);
                match self.place {
                    Place::Latest => self.drop_oldest(),
                    // Nothing is taken from under the eyes of who reads further up.
                    Place::At { .. } => self.drop_newest(),
                }
            }
            None => {}
        }
    }

    /// One of our messages has come further.
    pub(crate) fn advance(&mut self, me: &PeerId, id: &str, state: Delivery) {
        self.advance_all(|message| (message.from == *me && message.id == id).then_some(state));
    }

    /// They have seen all up to there.
    pub(crate) fn read_up_to(&mut self, me: &PeerId, seq: u64) {
        self.advance_all(|message| {
            let seen = message.from == *me && message.seq <= seq;
            (seen && message.state >= Delivery::Sent).then_some(Delivery::Read)
        });
    }

    fn advance_all(&mut self, state_of: impl Fn(&MessageView) -> Option<Delivery>) {
        for message in self.messages.iter_mut().chain(&mut self.last) {
            if let Some(state) = state_of(message) {
                message.state = message.state.max(state);
            }
        }
    }

    /// The sequence number of their last message in the window.
    pub(crate) fn last_seq_of(&self, peer: &PeerId) -> u64 {
        let theirs = self.messages.iter().filter(|message| message.from == *peer);
        theirs.map(|message| message.seq).max().unwrap_or(0)
    }

    /// Remembers where what is new begins.
    pub(crate) fn mark_new(&mut self, peer: &PeerId, unread: u64) {
        let theirs = self.messages.iter().rev().filter(|m| m.from == *peer);
        let unread = usize::try_from(unread).unwrap_or(usize::MAX);
        self.new_from = theirs.take(unread).last().map(Key::of);
    }

    /// Nobody looks at it any more: only its end is kept.
    pub(crate) fn leave(&mut self) {
        self.chosen = None;
        self.new_from = None;
        if self.place == Place::Latest {
            while self.messages.len() > PAGE_MESSAGES {
                self.messages.pop_front();
                self.has_oldest = false;
            }
        }
    }

    /// There is something here that would be lost.
    pub(crate) fn has_unsent(&self) -> bool {
        let put_aside = match &self.purpose {
            Purpose::Edit(_, draft) => !draft.is_empty(),
            Purpose::Say | Purpose::Reply(_) => false,
        };
        !self.draft.text().trim().is_empty() || put_aside || !self.sending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{BO, ME, said};

    fn seqs(talk: &Talk) -> Vec<u64> {
        talk.messages.iter().map(|message| message.seq).collect()
    }

    fn page(seqs: std::ops::RangeInclusive<u64>) -> Vec<MessageView> {
        seqs.map(|seq| said(BO, seq, "text")).collect()
    }

    fn latest(seqs: std::ops::RangeInclusive<u64>) -> Talk {
        let mut talk = Talk {
            asked: Some(Part::Latest),
            ..Talk::default()
        };
        talk.put_page(&Part::Latest, page(seqs));
        talk
    }

    #[test]
    fn what_comes_while_a_page_is_read_is_not_lost_and_not_doubled() {
        let mut talk = Talk {
            asked: Some(Part::Latest),
            ..Talk::default()
        };
        talk.put(&said(BO, 3, "in the page too"), true);
        talk.put(&said(BO, 4, "not in it"), true);
        talk.put_page(&Part::Latest, page(1..=3));
        assert_eq!(seqs(&talk), [1, 2, 3, 4]);
        assert!(talk.has_oldest && talk.has_newest);
        // A change of a message that is not in the window adds none.
        talk.put(&said(BO, 77, "old"), false);
        assert_eq!(seqs(&talk), [1, 2, 3, 4]);
    }

    #[test]
    fn the_window_moves_and_stays_bounded() {
        let total = 5000;
        let mut talk = latest(total - 99..=total);
        assert!(!talk.has_oldest);
        while let Some(part) = talk.older() {
            let first = talk.messages[0].seq;
            talk.asked = Some(part.clone());
            talk.put_page(&part, page(first.saturating_sub(100).max(1)..=first - 1));
            assert!(talk.messages.len() <= WINDOW_MESSAGES_MAX);
        }
        assert_eq!(talk.messages[0].seq, 1);
        assert!(talk.has_oldest && !talk.has_newest);
        // What comes now is not put behind a gap.
        talk.put(&said(BO, total + 1, "new"), true);
        assert_eq!(talk.messages.back().unwrap().seq, 1000);
        assert_eq!(talk.last.as_ref().unwrap().seq, total + 1);
        while let Some(part) = talk.newer() {
            let last = talk.messages.back().unwrap().seq;
            talk.asked = Some(part.clone());
            talk.put_page(&part, page(last + 1..=(last + 100).min(total + 1)));
        }
        assert_eq!(talk.messages.back().unwrap().seq, total + 1);
        assert_eq!(talk.messages.len(), WINDOW_MESSAGES_MAX);
        assert!(talk.has_newest && !talk.has_oldest);
    }

    #[test]
    fn who_reads_far_up_keeps_what_is_there() {
        let mut talk = latest(1..=99);
        talk.place = Place::At {
            message: Key::of(&talk.messages[0]),
            hidden: 0,
        };
        for seq in 100..=2000 {
            talk.put(&said(BO, seq, "flood"), true);
        }
        assert_eq!(talk.messages[0].seq, 1);
        assert_eq!(talk.messages.len(), WINDOW_MESSAGES_MAX);
        assert!(!talk.has_newest);
    }

    #[test]
    fn a_state_never_goes_back() {
        let mut talk = latest(1..=1);
        let mut own = said(ME, 1, "mine");
        own.state = Delivery::Queued;
        talk.put(&own, true);
        talk.read_up_to(&ME, 1);
        assert_eq!(
            talk.messages[1].state,
            Delivery::Queued,
            "not sent, so not read"
        );
        talk.advance(&ME, &own.id, Delivery::Delivered);
        talk.advance(&ME, &own.id, Delivery::Sent);
        assert_eq!(talk.messages[1].state, Delivery::Delivered);
        talk.put(&own, false);
        assert_eq!(talk.messages[1].state, Delivery::Delivered);
        talk.read_up_to(&ME, 1);
        assert_eq!(talk.messages[1].state, Delivery::Read);
        assert_eq!(talk.last.as_ref().unwrap().state, Delivery::Read);
    }

    #[test]
    fn a_page_that_does_not_fit_any_more_is_left_out() {
        let mut talk = latest(901..=1000);
        let part = Part::Before("other".into());
        talk.asked = Some(part.clone());
        talk.put_page(&part, page(1..=100));
        assert_eq!(talk.messages.len(), 100);
    }
}
