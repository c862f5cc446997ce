//! The records that our calls leave in the history: one each, whatever is cut off in between.

use super::Engine;
use crate::call::Call;
use crate::directory::Entry;
use crate::ledger::Then;
use crate::limits::{RECORDS_WAITING_MAX, STORAGE_RETRY};
use hallway_model::{
    Body, CallEnd, CallId, CallOutcome, CallRecord, ConversationId, Delivery, Message, MessageId,
    Now, OUTBOX_MAX, PeerId, Write,
};
use std::collections::BTreeMap;

/// The setting that names our calls without a record on disk, so that a node that was cut off
/// writes them after its restart: a line `id peer` for each.
pub(super) const SETTING: &str = "calls";

/// Our calls whose record is not on disk.
#[derive(Default)]
pub(super) struct Records {
    waiting: BTreeMap<CallId, Waiting>,
}

struct Waiting {
    peer: PeerId,
    stage: Stage,
}

/// How far a record is.
enum Stage {
    /// The call is not over.
    Running,
    /// To be written.
    Due(CallRecord),
    /// On its way to disk.
    Written(CallRecord),
}

impl Records {
    /// With the calls that were cut off when the node was.
    pub(super) fn restored(setting: Option<&str>) -> Self {
        let parse = |line: &str| {
            let (id, peer) = line.split_once(' ')?;
            let stage = Stage::Due(CallRecord {
                outcome: CallOutcome::Interrupted,
                duration_ms: 0,
            });
            let peer = peer.parse().ok()?;
            Some((id.parse().ok()?, Waiting { peer, stage }))
        };
        let lines = setting.unwrap_or_default().lines();
        Self {
            waiting: lines.filter_map(parse).collect(),
        }
    }

    /// Makes [`SETTING`] name what has no record once all that is under way is on disk.
    fn setting(&self) -> Write {
        let waiting = self.waiting.iter();
        let waiting = waiting.filter(|(_, call)| !matches!(call.stage, Stage::Written(_)));
        let lines = waiting.map(|(id, call)| format!("{id} {}", call.peer));
        Write::Setting(SETTING, lines.collect::<Vec<_>>().join("\n"))
    }

    fn due(&self, peer: PeerId) -> Vec<(CallId, CallRecord)> {
        let due = |(id, call): (&CallId, &Waiting)| match call.stage {
            Stage::Due(record) if call.peer == peer => Some((*id, record)),
            Stage::Due(_) | Stage::Running | Stage::Written(_) => None,
        };
        self.waiting.iter().filter_map(due).collect()
    }
}

impl Engine {
    /// Notes on disk that a call of ours begins. Should the disk refuse it, a node that is cut off
    /// leaves no record of the call.
    pub(super) fn note_call(&mut self, id: CallId, peer: PeerId) {
        if self.records.waiting.len() >= RECORDS_WAITING_MAX {
            self.records.waiting.pop_first();
            self.count("call_records_dropped");
        }
        let stage = Stage::Running;
        self.records.waiting.insert(id, Waiting { peer, stage });
        self.write_setting(peer);
    }

    fn write_setting(&mut self, peer: PeerId) {
        let acked = Vec::new();
        let setting = self.records.setting();
        self.ledger.add([setting], Then::Noted { peer, acked });
    }

    /// A call is over.
    pub(super) fn record_call(&mut self, call: &Call, end: CallEnd, now: Now) {
        let Some(waiting) = self.records.waiting.get_mut(&call.id) else {
            return;
        };
        // A ring that went on as another call has that one's record. Where we may not ring, what
        // we wanted is not told either.
        if matches!(end, CallEnd::Merged | CallEnd::Refused) {
            self.records.waiting.remove(&call.id);
            self.write_setting(call.peer);
        } else {
            waiting.stage = Stage::Due(call.record(end, now.mono));
            self.write_records(call.peer, now);
        }
    }

    /// Records the calls that were cut off when the node was.
    pub(super) fn record_interrupted(&mut self, now: Now) {
        let peers: Vec<PeerId> = self.records.waiting.values().map(|c| c.peer).collect();
        for peer in peers {
            self.write_records(peer, now);
        }
    }

    /// Writes the records of calls with this peer that are over: a message each, whose id is the
    /// call's, so that no call has two.
    pub(super) fn write_records(&mut self, peer: PeerId, now: Now) {
        let fits = |entry: &&mut Entry| {
            entry.is_contact() && !entry.forgetting && entry.outbox.undelivered() < OUTBOX_MAX
        };
        for (id, record) in self.records.due(peer) {
            let Some(entry) = self.directory.get_mut(&peer).filter(fits) else {
                self.records.waiting.remove(&id);
                self.count("call_records_dropped");
                continue;
            };
            let message = Box::new(Message {
                id: MessageId(id.0),
                conversation: ConversationId::Peer(peer),
                author: self.config.id,
                seq: entry.outbox.next_seq(),
                at: now.wall,
                body: Body::Call(record),
                raw: None,
                delivery: Delivery::Queued,
            });
            let stage = Stage::Written(record);
            self.records.waiting.insert(id, Waiting { peer, stage });
            let writes = [Write::Message(message.clone()), self.records.setting()];
            self.ledger.add(writes, Then::Recorded { message });
        }
    }

    /// A record is on disk.
    pub(super) fn handle_recorded(&mut self, message: &Message) {
        self.records.waiting.remove(&CallId(message.id.0));
    }

    /// The disk refused a record: it is written again later.
    pub(super) fn handle_unrecorded(&mut self, message: &Message, now: Now) {
        let Some(call) = self.records.waiting.get_mut(&CallId(message.id.0)) else {
            return;
        };
        if let Stage::Written(record) = call.stage {
            call.stage = Stage::Due(record);
        }
        let peer = call.peer;
        if let Some(entry) = self.directory.get_mut(&peer) {
            entry.outbox.handle_store_failed();
            entry.save_at = Some(now.mono + STORAGE_RETRY);
        }
        self.settle(peer, now);
    }
}
