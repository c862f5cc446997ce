//! A disk with the contract of the store: requests in order, commits in groups, all or nothing,
//! and a failure that stops the line.

use hallway_model::{
    Added, ConversationId, Message, MessageId, Peer, PeerId, Snapshot, StorageFault, Transfer,
    TransferId, Write,
};
use hallway_proto::io::StoreToken;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What one host keeps. The first part survives a crash.
#[derive(Default)]
pub(super) struct Disk {
    peers: BTreeMap<PeerId, Peer>,
    messages: BTreeMap<(PeerId, MessageId), Message>,
    /// Messages of ours that nobody acknowledged, by peer and sequence number.
    undelivered: BTreeSet<(PeerId, u64, MessageId)>,
    transfers: BTreeMap<TransferId, Transfer>,
    settings: BTreeMap<&'static str, String>,
    change: u64,

    waiting: VecDeque<Request>,
    group: Vec<Request>,
    failed_epoch: Option<u64>,
    /// Commits that are durable and not reported yet.
    pub(super) reports: VecDeque<Report>,

    /// Messages that still fit; `None` for no end of room.
    pub(super) room: Option<usize>,
    /// Every commit fails.
    pub(super) failing: bool,
}

/// What the engine asked for.
pub(super) struct Request {
    pub(super) token: StoreToken,
    pub(super) epoch: u64,
    pub(super) writes: Vec<Write>,
}

/// What became of it.
pub(super) type Report = (StoreToken, Result<Vec<Added>, StorageFault>);

impl Disk {
    pub(super) fn new(me: PeerId, friends: Vec<Peer>) -> Self {
        let peers = friends.into_iter().filter(|peer| peer.id != me);
        Self {
            peers: peers.map(|peer| (peer.id, peer)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn peer(&self, id: &PeerId) -> Option<&Peer> {
        self.peers.get(id)
    }

    pub(super) fn peers_mut(&mut self) -> &mut BTreeMap<PeerId, Peer> {
        &mut self.peers
    }

    pub(super) fn message(&self, author: PeerId, id: MessageId) -> Option<&Message> {
        self.messages.get(&(author, id))
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    pub(super) fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.values()
    }

    /// Ours, acknowledged.
    pub(super) fn is_delivered(&self, message: &Message) -> bool {
        let ConversationId::Peer(peer) = message.conversation else {
            return false;
        };
        !self.undelivered.contains(&(peer, message.seq, message.id))
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut waiting: Vec<PeerId> = self.undelivered.iter().map(|(peer, ..)| *peer).collect();
        waiting.dedup();
        let settings = self.settings.iter();
        Snapshot {
            peers: self.peers.values().cloned().collect(),
            undelivered: waiting,
            transfers: self.transfers.values().cloned().collect(),
            settings: settings
                .map(|(name, value)| ((*name).into(), value.clone()))
                .collect(),
            last_change: self.change,
        }
    }

    pub(super) fn outbox(
        &self,
        me: PeerId,
        peer: PeerId,
        after: u64,
        limit: usize,
    ) -> Vec<Message> {
        let from = (peer, after + 1, MessageId([0; 16]));
        let to = (peer, u64::MAX, MessageId([0xff; 16]));
        let found = self.undelivered.range(from..=to).take(limit);
        found
            .filter_map(|(_, _, id)| self.messages.get(&(me, *id)).cloned())
            .collect()
    }

    /// Takes a request. True when the disk was idle, so that a commit is to be started.
    pub(super) fn submit(&mut self, request: Request) -> bool {
        self.waiting.push_back(request);
        self.group.is_empty()
    }

    /// Gathers the next group of at most `limit` requests. False when there is nothing to commit;
    /// there may be reports all the same.
    pub(super) fn begin(&mut self, limit: usize) -> bool {
        while self.group.len() < limit {
            let Some(request) = self.waiting.pop_front() else {
                break;
            };
            if self
                .failed_epoch
                .is_some_and(|failed| request.epoch <= failed)
            {
                self.reports.push_back((request.token, Err(self.fault())));
            } else {
                self.group.push(request);
            }
        }
        !self.group.is_empty()
    }

    /// Ends the commit under way. Returns what became durable and was not before.
    pub(super) fn commit(&mut self, me: PeerId) -> Vec<Write> {
        let group = std::mem::take(&mut self.group);
        let is_message = |write: &&Write| matches!(write, Write::Message(_));
        let messages = group
            .iter()
            .flat_map(|r| &r.writes)
            .filter(is_message)
            .count();
        if self.failing || self.room.is_some_and(|room| room < messages.max(1)) {
            let fault = self.fault();
            self.failed_epoch = group.iter().map(|request| request.epoch).max();
            self.reports
                .extend(group.into_iter().map(|request| (request.token, Err(fault))));
            return Vec::new();
        }
        let mut durable = Vec::new();
        for request in group {
            let mut added = Vec::new();
            for write in request.writes {
                let outcome = self.apply(me, &write);
                added.extend(outcome);
                if outcome != Some(Added::Duplicate) {
                    durable.push(write);
                }
            }
            self.reports.push_back((request.token, Ok(added)));
        }
        self.room = self.room.map(|room| room - messages);
        durable
    }

    /// The power fails: what was not durable is gone, and so are reports of what was.
    pub(super) fn crash(&mut self) {
        self.waiting.clear();
        self.group.clear();
        self.reports.clear();
        self.failed_epoch = None;
    }

    fn fault(&self) -> StorageFault {
        if self.failing {
            StorageFault::Failed
        } else {
            StorageFault::Full
        }
    }

    fn apply(&mut self, me: PeerId, write: &Write) -> Option<Added> {
        match write {
            Write::Peer(peer) => {
                let mut record = Peer::clone(peer);
                if let Some(known) = self.peers.get(&peer.id) {
                    record.read_by_us = record.read_by_us.min(known.read_by_us);
                }
                self.peers.insert(peer.id, record);
            }
            Write::Read(peer, seq) => {
                if let Some(known) = self.peers.get_mut(peer) {
                    known.read_by_us = known.read_by_us.max(*seq);
                }
            }
            Write::ForgetPeer(peer) => {
                self.peers.remove(peer);
                let conversation = ConversationId::Peer(*peer);
                self.messages
                    .retain(|_, message| message.conversation != conversation);
                self.undelivered.retain(|(to, ..)| to != peer);
                self.transfers.retain(|_, transfer| transfer.peer != *peer);
            }
            Write::NewTransfer(transfer) => {
                let known = self.transfers.entry(transfer.id);
                known.or_insert_with(|| Transfer::clone(transfer));
            }
            Write::Transfer(transfer) => {
                self.transfers
                    .insert(transfer.id, Transfer::clone(transfer));
            }
            Write::Setting(name, value) => {
                self.settings.insert(name, value.clone());
            }
            Write::Delivered(peer, ids) => {
                for id in ids {
                    if let Some(message) = self.messages.get(&(me, *id)) {
                        self.undelivered.remove(&(*peer, message.seq, *id));
                    }
                }
            }
            Write::Message(message) => return Some(self.add(me, message)),
        }
        None
    }

    fn add(&mut self, me: PeerId, message: &Message) -> Added {
        let key = (message.author, message.id);
        if self.messages.contains_key(&key) {
            return Added::Duplicate;
        }
        if let (true, ConversationId::Peer(peer)) = (message.author == me, message.conversation) {
            self.undelivered.insert((peer, message.seq, message.id));
            if let Some(record) = self.peers.get_mut(&peer) {
                record.last_seq = record.last_seq.max(message.seq);
            }
        }
        let theirs = self.peers.get_mut(&message.author);
        if let Some(record) = theirs
            && message.conversation == ConversationId::Peer(message.author)
        {
            record.read_by_us = record.read_by_us.min(message.seq.saturating_sub(1));
        }
        self.messages.insert(key, message.clone());
        self.change += 1;
        Added::New {
            change: self.change,
        }
    }
}
