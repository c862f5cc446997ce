//! What must be so at every step: nothing promised is lost, nothing is shown twice, nothing is
//! claimed that is not true.

use super::network::End;
use super::world::{Host, Mind, World};
use hallway_model::{
    Answer, Body, Command, ConversationId, Delivery, EventKind, Message, MessageId, PeerId,
    Presence, Refusal, Relation, Write,
};
use hallway_proto::io::CommandId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// Dials of one peer by one host within a minute. More is a storm.
const DIALS_PER_MINUTE_MAX: usize = 40;
/// Bytes before the number in the target of a deletion that carries a mark.
const TARGET: [u8; 8] = *b"marked: ";

/// A number in the body of a message by which it is known from when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(super) u64);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

impl Mark {
    /// A text that carries the mark.
    pub fn text(self) -> Body {
        Body::Text {
            text: self.to_string(),
            reply_to: None,
        }
    }

    /// A longer text that carries the mark.
    pub fn text_with(self, rest: &str) -> Body {
        let text = format!("{self} {rest}");
        Body::Text {
            text,
            reply_to: None,
        }
    }

    pub(super) fn as_target(self) -> MessageId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&TARGET);
        id[8..].copy_from_slice(&self.0.to_be_bytes());
        MessageId(id)
    }

    /// The mark of a body, if it has one.
    pub(super) fn of(body: &Body) -> Option<Self> {
        let text = match body {
            Body::Text { text, .. } | Body::Edit { text, .. } => text,
            Body::Reaction(reaction) => &reaction.emoji,
            Body::Delete { target } => {
                let number = target.0.strip_prefix(&TARGET)?.try_into().ok()?;
                return Some(Self(u64::from_be_bytes(number)));
            }
            Body::Offer(_) | Body::Call(_) | Body::Unknown { .. } => return None,
        };
        let number = text.split(' ').next()?.strip_prefix('m')?;
        number.parse().ok().map(Self)
    }
}

/// Something a person wrote.
pub(super) struct Said {
    pub(super) from: Host,
    pub(super) to: PeerId,
    pub(super) fate: Fate,
}

/// What the node said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing yet.
    Asked,
    /// It is safe.
    Promised(MessageId),
    /// It was not taken.
    Refused,
    /// Nothing, and the node is gone: it may have been taken or not.
    Unknown,
}

/// What has happened so far.
#[derive(Default)]
pub(super) struct Oracle {
    said: BTreeMap<Mark, Said>,
    commands: BTreeMap<CommandId, (Host, Option<Mark>)>,
    /// What each disk holds, by mark.
    held: BTreeMap<(Host, Mark), MessageId>,
    /// What the faces of a host were told is new.
    shown: BTreeSet<(Host, ConversationId, PeerId, MessageId)>,
    /// How far messages have come, as told in this life.
    states: BTreeMap<(Host, PeerId, String), Delivery>,
    /// The last sequence number on a disk, by author and conversation.
    last_seq: BTreeMap<(Host, PeerId, PeerId), u64>,
    /// The first has forgotten the second: promises between them are void, and it counts its
    /// messages to the second from 1 again.
    forgotten: BTreeSet<(PeerId, PeerId)>,
    /// What people have marked as read, by host and author.
    marked_read: BTreeMap<(Host, PeerId), u64>,
    /// Who runs twice.
    pub(super) cloned: BTreeSet<PeerId>,
    presence: BTreeMap<(Host, PeerId), Presence>,
    /// Told changes of presence.
    changes: BTreeMap<(Host, PeerId), usize>,
    notices: Vec<(Host, EventKind)>,
    dials: BTreeMap<(Host, Option<PeerId>), usize>,
    recent_dials: BTreeMap<(Host, Option<PeerId>), VecDeque<u64>>,
}

impl Oracle {
    pub(super) fn said(&self, mark: Mark) -> Option<&Said> {
        self.said.get(&mark)
    }

    pub(super) fn asked(&mut self, host: Host, id: CommandId, command: &Command) {
        let mut mark = None;
        if let Command::Send {
            to: ConversationId::Peer(to),
            body,
            ..
        } = command
        {
            mark = Mark::of(body);
            if let Some(mark) = mark {
                let fate = Fate::Asked;
                let said = self.said.entry(mark).or_insert(Said {
                    from: host,
                    to: *to,
                    fate,
                });
                if !matches!(said.fate, Fate::Promised(_)) {
                    said.fate = fate;
                }
            }
        }
        if let Command::MarkRead(author, seq) = command {
            let marked = self.marked_read.entry((host, *author)).or_default();
            *marked = (*marked).max(*seq);
        }
        self.commands.insert(id, (host, mark));
    }

    pub(super) fn crashed(&mut self, host: Host) {
        self.states.retain(|(owner, ..), _| *owner != host);
        self.presence.retain(|(owner, _), _| *owner != host);
        let mut lost = Vec::new();
        self.commands.retain(|_, (owner, mark)| {
            lost.extend(mark.filter(|_| *owner == host));
            *owner != host
        });
        for mark in lost {
            if let Some(said) = self.said.get_mut(&mark)
                && said.fate == Fate::Asked
            {
                said.fate = Fate::Unknown;
            }
        }
    }

    pub(super) fn dialled(&mut self, host: Host, peer: Option<PeerId>, now: u64) {
        *self.dials.entry((host, peer)).or_default() += 1;
        let recent = self.recent_dials.entry((host, peer)).or_default();
        recent.push_back(now);
        while recent.front().is_some_and(|at| now - at > 60_000_000) {
            recent.pop_front();
        }
        let dials = recent.len();
        assert!(
            dials <= DIALS_PER_MINUTE_MAX,
            "{host:?} dials {peer:?} {dials} times a minute"
        );
    }

    /// A host has forgotten somebody: what comes again is new to it.
    fn unshow(&mut self, host: Host, peer: PeerId) {
        let conversation = ConversationId::Peer(peer);
        self.shown
            .retain(|(at, with, ..)| *at != host || *with != conversation);
        self.states
            .retain(|(at, with, _), _| *at != host || *with != peer);
    }

    fn is_void(&self, one: PeerId, other: PeerId) -> bool {
        self.forgotten.contains(&(one, other)) || self.forgotten.contains(&(other, one))
    }
}

impl World {
    fn owners(&self, id: PeerId) -> impl Iterator<Item = Host> {
        self.all()
            .into_iter()
            .filter(move |host| self.id(*host) == id)
    }

    /// Whoever has this id plays by no rules.
    fn is_puppet(&self, id: PeerId) -> bool {
        self.owners(id)
            .any(|host| matches!(self.machine(host).mind, Mind::Puppet(_)))
    }

    fn is_durable_with(&self, id: PeerId, author: PeerId, message: MessageId) -> bool {
        self.owners(id)
            .any(|host| self.machine(host).disk.message(author, message).is_some())
    }

    /// The record of a call to somebody who does not have its caller as a contact: nobody keeps it.
    fn is_call_to_stranger(&self, host: Host, to: PeerId, message: MessageId) -> bool {
        let me = self.id(host);
        let said = self.machine(host).disk.message(me, message);
        let is_call = said.is_some_and(|message| message.call().is_some());
        let is_contact = |at: Host| {
            let record = self.machine(at).disk.peer(&me);
            record.is_some_and(|record| record.relation == Relation::Contact)
        };
        is_call && !self.owners(to).any(is_contact)
    }

    /// As far as the engine can know.
    fn has_session(&self, host: Host, peer: PeerId) -> bool {
        self.running(host).is_some_and(|r| {
            r.lately.contains(&peer) || r.known.values().any(|known| *known == peer)
        })
    }

    // Step by step.

    pub(super) fn witness_answer(
        &mut self,
        host: Host,
        id: CommandId,
        answer: &Result<Answer, Refusal>,
    ) {
        let me = self.id(host);
        let Some((_, mark)) = self.oracle.commands.remove(&id) else {
            panic!("{host:?} answers {id:?}, which nobody asked in this life");
        };
        if let Ok(Answer::InFlight(ids)) = answer {
            let any = self
                .running(host)
                .is_some_and(|running| !running.conns.is_empty());
            assert!(
                any || ids.is_empty(),
                "{host:?} has {ids:?} in flight without a session"
            );
        }
        let Some(mark) = mark else {
            return;
        };
        let held = self.oracle.held.get(&(host, mark)).copied();
        let mut asked = self.oracle.commands.values();
        let asked_again = asked.any(|(owner, other)| *owner == host && *other == Some(mark));
        let said = self.oracle.said.get_mut(&mark).expect("it was asked for");
        match answer {
            Ok(Answer::Sent { id, to, .. }) => {
                assert_eq!(*to, said.to, "{mark} goes to somebody else");
                let forgotten = self.oracle.forgotten.contains(&(me, said.to));
                let safe = held == Some(*id) || forgotten;
                assert!(
                    safe,
                    "{host:?} promises {mark} as {id}, but its disk has {held:?}"
                );
                said.fate = Fate::Promised(*id);
            }
            Err(refusal) => {
                let taken = matches!(said.fate, Fate::Promised(_));
                assert!(
                    taken || held.is_none(),
                    "{host:?} refused {mark} and kept it: {refusal}"
                );
                if !taken && !asked_again {
                    said.fate = Fate::Refused;
                }
            }
            Ok(other) => panic!("{mark} was answered by {other:?}"),
        }
    }

    pub(super) fn witness_added(&mut self, host: Host, message: &Message) {
        let (author, id) = (message.author, message.id);
        let durable = self.machine(host).disk.message(author, id).is_some();
        let ConversationId::Peer(with) = message.conversation else {
            panic!("{host:?} shows a message of a group");
        };
        let forgotten = self.oracle.is_void(self.id(host), with);
        assert!(
            durable || forgotten,
            "{host:?} shows {id}, which is not on its disk"
        );
        let first = self
            .oracle
            .shown
            .insert((host, message.conversation, author, id));
        assert!(first, "{host:?} shows {id} of {author:?} twice");
    }

    pub(super) fn witness_durable(&mut self, host: Host, write: &Write) {
        let me = self.id(host);
        match write {
            Write::Message(message) => self.witness_message(host, me, message),
            Write::Delivered(peer, ids) => {
                for id in ids {
                    let there = self.is_durable_with(*peer, me, *id);
                    let known = there || self.is_puppet(*peer) || self.oracle.is_void(me, *peer);
                    let unwanted = || self.is_call_to_stranger(host, *peer, *id);
                    assert!(
                        known || unwanted(),
                        "{host:?} keeps {id} as delivered, and {peer:?} lacks it"
                    );
                }
            }
            Write::ForgetPeer(peer) => {
                let from_them: Vec<Host> = self.owners(*peer).collect();
                let oracle = &mut self.oracle;
                oracle.forgotten.insert((me, *peer));
                // What they have read was of another count.
                for reader in &from_them {
                    oracle.marked_read.remove(&(*reader, me));
                }
                oracle
                    .last_seq
                    .retain(|(at, _, with), _| *at != host || with != peer);
                let conversation = ConversationId::Peer(*peer);
                let stays = |(at, with, ..): &(Host, ConversationId, PeerId, MessageId)| {
                    *at != host || *with != conversation
                };
                oracle.shown.retain(stays);
                oracle
                    .states
                    .retain(|(at, with, _), _| *at != host || with != peer);
                let of_them: Vec<Mark> = (oracle.said.iter())
                    .filter(|(_, said)| said.from == host && said.to == *peer)
                    .map(|(mark, _)| *mark)
                    .collect();
                for mark in of_them {
                    oracle.held.remove(&(host, mark));
                }
                let said = &self.oracle.said;
                let is_theirs = |mark: &Mark| {
                    said.get(mark)
                        .is_some_and(|said| from_them.contains(&said.from))
                };
                self.oracle
                    .held
                    .retain(|(at, mark), _| *at != host || !is_theirs(mark));
            }
            Write::Peer(_)
            | Write::Read(..)
            | Write::NewTransfer(_)
            | Write::Transfer(_)
            | Write::Setting(..) => {}
        }
    }

    fn witness_message(&mut self, host: Host, me: PeerId, message: &Message) {
        let (author, id, seq) = (message.author, message.id, message.seq);
        let ConversationId::Peer(with) = message.conversation else {
            panic!("{host:?} keeps a message of a group");
        };
        let ruled = !self.is_puppet(author);
        let is_clone = self.oracle.cloned.contains(&author);
        let recounted = self.oracle.forgotten.contains(&(author, me)) && author != me;
        let last = self
            .oracle
            .last_seq
            .entry((host, author, with))
            .or_default();
        let in_order = seq > *last || !ruled || is_clone || recounted;
        assert!(
            in_order,
            "{host:?} keeps message {seq} of {author:?} after {last}"
        );
        *last = seq;
        let Some(mark) = Mark::of(&message.body).filter(|_| ruled) else {
            return;
        };
        let said = self.oracle.said.get(&mark);
        let said = said.unwrap_or_else(|| panic!("{host:?} keeps {mark}, which nobody wrote"));
        let refused = said.fate == Fate::Refused;
        assert!(!refused, "{host:?} keeps {mark}, which was refused");
        assert_eq!(self.id(said.from), author, "{mark} has changed its author");
        if author != me {
            assert_eq!(said.to, me, "{mark} came to {host:?} by mistake");
            let original = self.machine(said.from).disk.message(author, id);
            let forgotten = self.oracle.is_void(author, me);
            let same = original.is_some_and(|own| own.body == message.body && own.seq == seq);
            assert!(same || forgotten, "{mark} is not what {author:?} has");
        }
        let before = self.oracle.held.insert((host, mark), id);
        assert_eq!(before, None, "{host:?} keeps {mark} twice");
    }

    pub(super) fn witness_event(&mut self, host: Host, kind: EventKind) {
        let me = self.id(host);
        match &kind {
            EventKind::State { id, peer, state } => {
                let message = id.parse().expect("an id is an id");
                let before = self.oracle.states.insert((host, *peer, id.clone()), *state);
                match state {
                    Delivery::Sent => {
                        let live = self.has_session(host, *peer);
                        assert!(live, "{host:?} has sent {id} without a session");
                        let back = before == Some(Delivery::Delivered);
                        assert!(!back, "{host:?} sends {id} again after it was delivered");
                    }
                    Delivery::Delivered => {
                        let there = self.is_durable_with(*peer, me, message);
                        let known = there || self.is_puppet(*peer);
                        let known = known || self.oracle.is_void(me, *peer);
                        let unwanted = || self.is_call_to_stranger(host, *peer, message);
                        assert!(
                            known || unwanted(),
                            "{host:?} calls {id} delivered, and {peer:?} lacks it"
                        );
                    }
                    Delivery::Queued | Delivery::Read => panic!("{host:?} tells of {state:?}"),
                }
            }
            EventKind::ReadUpTo { author, peer, seq } if *author == me => {
                let marks = self.owners(*peer).map(|reader| {
                    self.oracle
                        .marked_read
                        .get(&(reader, me))
                        .copied()
                        .unwrap_or(0)
                });
                let read = marks.max().is_some_and(|marked| marked >= *seq);
                // After a peer was forgotten numbers start again, and a request that is repeated then
                // brings back a message that was read under another number.
                let known = read || self.is_puppet(*peer) || self.oracle.is_void(me, *peer);
                assert!(known, "{host:?} says that {peer:?} has read {seq}");
            }
            EventKind::Peer { peer } => self.witness_presence(host, peer.id, peer.state),
            EventKind::PeerGone { id } => {
                self.oracle.unshow(host, *id);
                self.witness_presence(host, *id, Presence::Offline);
            }
            EventKind::Request { .. }
            | EventKind::NameCollision { .. }
            | EventKind::Notice { .. } => self.oracle.notices.push((host, kind)),
            EventKind::Call { call } => self.witness_call(host, call),
            EventKind::Transfer { transfer } => self.witness_transfer(host, transfer),
            EventKind::CallLevels { .. }
            | EventKind::ReadUpTo { .. }
            | EventKind::Typing { .. }
            | EventKind::Message { .. } => {}
        }
    }

    /// A puppet has received an acknowledgement.
    pub(super) fn witness_ack(&self, by: PeerId, author: PeerId, id: MessageId) {
        let durable = self.is_durable_with(by, author, id);
        assert!(
            durable,
            "{by:?} acknowledges {id}, which is not on its disk"
        );
    }

    fn witness_presence(&mut self, host: Host, peer: PeerId, presence: Presence) {
        if presence == Presence::Live {
            let live = self.has_session(host, peer);
            assert!(
                live,
                "{host:?} says that {peer:?} is live, without a session"
            );
        }
        if self.oracle.presence.insert((host, peer), presence) != Some(presence) {
            *self.oracle.changes.entry((host, peer)).or_default() += 1;
        }
    }

    // In the end.

    /// How often a host has told of another's coming and going.
    pub fn presence_changes(&self, host: Host, peer: Host) -> usize {
        self.oracle
            .changes
            .get(&(host, self.id(peer)))
            .copied()
            .unwrap_or(0)
    }

    /// A host shows another as live.
    pub fn is_live(&self, host: Host, peer: Host) -> bool {
        self.oracle.presence.get(&(host, self.id(peer))) == Some(&Presence::Live)
    }

    /// Dials of all hosts since the start.
    pub fn dials(&self) -> usize {
        self.oracle.dials.values().sum()
    }

    /// How often each host has dialled each contact.
    pub(super) fn dials_of_friends(&self) -> BTreeMap<(Host, PeerId), usize> {
        let dials = self.oracle.dials.iter();
        let of_friends = dials.filter_map(|((host, peer), dials)| {
            let peer = (*peer)?;
            let friend = self.owners(peer).next()?;
            self.are_friends(*host, friend)
                .then_some(((*host, peer), *dials))
        });
        of_friends.collect()
    }

    /// Both have the other as a contact, on disk.
    fn are_friends(&self, one: Host, other: Host) -> bool {
        let lets_in = |host: Host, peer: Host| {
            let record = self.record(host, peer);
            record.is_some_and(|r| r.relation == Relation::Contact && !r.blocked)
        };
        let cloned = |host: Host| self.oracle.cloned.contains(&self.id(host));
        lets_in(one, other) && lets_in(other, one) && !cloned(one) && !cloned(other)
    }

    /// Requests, name collisions and notices that a host has told of.
    pub fn notices(&self, host: Host) -> Vec<&EventKind> {
        let own = self
            .oracle
            .notices
            .iter()
            .filter(|(owner, _)| *owner == host);
        own.map(|(_, kind)| kind).collect()
    }

    /// A message was promised to its author.
    pub fn is_promised(&self, mark: Mark) -> bool {
        self.oracle
            .said(mark)
            .is_some_and(|said| matches!(said.fate, Fate::Promised(_)))
    }

    /// A message was refused.
    pub fn is_refused(&self, mark: Mark) -> bool {
        self.oracle
            .said(mark)
            .is_some_and(|said| said.fate == Fate::Refused)
    }

    /// Its author was told that it was delivered, in this life of the node.
    pub fn is_told_delivered(&self, mark: Mark) -> bool {
        let Some(Said {
            from,
            to,
            fate: Fate::Promised(id),
        }) = self.oracle.said(mark)
        else {
            return false;
        };
        self.oracle.states.get(&(*from, *to, id.to_string())) == Some(&Delivery::Delivered)
    }

    /// What is still owed, if anything.
    pub(super) fn unsettled(&self) -> Option<String> {
        let nodes: Vec<Host> = self
            .all()
            .into_iter()
            .filter(|host| self.running(*host).is_some())
            .collect();
        if let Some((id, (host, mark))) = self.oracle.commands.iter().next() {
            return Some(format!("{host:?} has not answered {id:?} ({mark:?})"));
        }
        for (number, one) in nodes.iter().enumerate() {
            for other in &nodes[number + 1..] {
                if let Some(why) = self.unjoined(*one, *other) {
                    return Some(why);
                }
            }
        }
        self.oracle
            .said
            .iter()
            .find_map(|(mark, said)| self.undelivered(*mark, said))
    }

    /// Contacts share exactly one session and are told so.
    fn unjoined(&self, one: Host, other: Host) -> Option<String> {
        let (a, b) = (self.id(one), self.id(other));
        if !self.are_friends(one, other) {
            return None;
        }
        let (ours, theirs): (Vec<End>, Vec<End>) = (self.sessions(one, b), self.sessions(other, a));
        if !self.are_joined(one, other) {
            return Some(format!("{one:?} has {ours:?} and {other:?} has {theirs:?}"));
        }
        if !self.is_live(one, other) || !self.is_live(other, one) {
            return Some(format!(
                "{one:?} and {other:?} are joined and do not say so"
            ));
        }
        let unread = self.unread(one, other).or_else(|| self.unread(other, one));
        unread.or_else(|| self.undecided(one, other))
    }

    /// The author knows how far the reader has read, or more: a mark is told before it is kept.
    fn unread(&self, author: Host, reader: Host) -> Option<String> {
        let told = self.machine(reader).options.read_receipts;
        let read = self
            .record(reader, author)
            .map_or(0, |record| record.read_by_us);
        let known = self
            .record(author, reader)
            .map_or(0, |record| record.read_by_them);
        let void = self.oracle.is_void(self.id(author), self.id(reader));
        (told && !void && read > known)
            .then(|| format!("{reader:?} has read up to {read}, and {author:?} knows of {known}"))
    }

    fn undelivered(&self, mark: Mark, said: &Said) -> Option<String> {
        let Fate::Promised(id) = said.fate else {
            return None;
        };
        let (from, to) = (self.id(said.from), said.to);
        let receivers: Vec<Host> = self.owners(to).collect();
        let [receiver] = receivers.as_slice() else {
            return None;
        };
        let (there, here) = (self.machine(*receiver), self.machine(said.from));
        let record = there.disk.peer(&from);
        let lets_in = record.is_some_and(|r| r.relation == Relation::Contact && !r.blocked);
        let lets_out = here.disk.peer(&to).is_some_and(|r| !r.blocked);
        let owed = lets_in && lets_out && !self.oracle.is_void(from, to);
        let runs = self.running(*receiver).is_some() && self.running(said.from).is_some();
        if !owed || !runs || self.oracle.cloned.contains(&from) {
            return None;
        }
        if there.disk.message(from, id).is_none() {
            return Some(format!("{mark} was promised and did not arrive"));
        }
        let own = here.disk.message(from, id);
        if !own.is_some_and(|own| here.disk.is_delivered(own)) {
            return Some(format!(
                "{mark} was delivered, and its author does not know"
            ));
        }
        None
    }
}
