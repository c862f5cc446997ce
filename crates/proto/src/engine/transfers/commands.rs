//! What faces ask about transfers, and what the disk says to it.

use super::{Engine, Live};
use crate::directory::Entry;
use crate::io::{CommandId, Output};
use crate::ledger::Then;
use crate::limits::{STORAGE_RETRY, TRANSFERS_OPEN_MAX};
use hallway_model::{
    Answer, Message, Now, Offer, PeerId, Problem, Refusal, Transfer, TransferAct, TransferFailure,
    TransferId, TransferPhase, TransferView, Write,
};
use std::path::PathBuf;

impl Engine {
    /// The record that is to become durable with the offer of ours in this message.
    pub(in crate::engine) fn offer_write(
        &mut self,
        message: &Message,
        source: PathBuf,
    ) -> Option<Write> {
        self.new_transfer(message, message_peer(message)?, Some(source))
    }

    pub(super) fn new_transfer(
        &mut self,
        message: &Message,
        peer: PeerId,
        source: Option<PathBuf>,
    ) -> Option<Write> {
        let offer = message.offer()?;
        let id = TransferId::of(message);
        let too_many = self.transfers.open_with(&peer).len() >= TRANSFERS_OPEN_MAX;
        let contact = self.directory.get(&peer).is_some_and(Entry::is_contact);
        let small = offer.bytes <= self.config.accept_files_bytes;
        let phase = match source {
            None if too_many => TransferPhase::Failed(TransferFailure::TooMany),
            None if contact && small => TransferPhase::Accepted,
            _ => TransferPhase::Offered,
        };
        let record = Transfer {
            id,
            peer,
            offer: Offer {
                thumbnail: offer.thumbnail.as_ref().map(|_| Vec::new()),
                ..offer.clone()
            },
            at: message.at,
            phase,
            paused_by_us: false,
            paused_by_them: false,
            settled: false,
            place: source,
            moved: 0,
        };
        self.transfers.offered.insert(id, record.clone());
        Some(Write::NewTransfer(Box::new(record)))
    }

    pub(in crate::engine) fn transfer_views(&self, now: Now) -> Vec<TransferView> {
        let mut all: Vec<_> = self.transfers.all.values().collect();
        all.sort_unstable_by_key(|live| live.order);
        all.into_iter()
            .map(|live| self.transfer_view(live, now))
            .collect()
    }

    pub(super) fn transfer_view(&self, live: &Live, now: Now) -> TransferView {
        let waits = self.transfers.turns.is_waiting(&live.record.id);
        live.view(self.is_live(&live.record.peer), waits, now.mono)
    }

    pub(super) fn is_live(&self, peer: &PeerId) -> bool {
        let session = self
            .directory
            .get(peer)
            .and_then(|entry| entry.session.as_ref());
        session.is_some_and(|session| session.profile.is_some())
    }

    /// Does what a face asks; answered once it is on disk.
    pub(in crate::engine) fn act_on_transfer(
        &mut self,
        command: CommandId,
        prefix: &str,
        act: TransferAct,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = self.transfers.pick(prefix)?;
        let gone = || Refusal::new(Problem::NoSuchTransfer, "it is just gone");
        let Some(live) = self.transfers.all.get_mut(&id) else {
            return Err(gone());
        };
        let entry = self.directory.get(&live.record.peer);
        if entry.is_some_and(|entry| entry.forgetting) {
            return Err(gone());
        }
        let incoming = live.is_incoming();
        let record = &mut live.record;
        match (act, record.phase) {
            (TransferAct::Accept { to }, TransferPhase::Offered) if incoming => {
                record.phase = TransferPhase::Accepted;
                record.place = to;
            }
            (TransferAct::Decline, TransferPhase::Offered) if incoming => {
                record.phase = TransferPhase::Declined;
            }
            (TransferAct::Pause, TransferPhase::Offered | TransferPhase::Accepted) => {
                record.paused_by_us = true;
            }
            (TransferAct::Resume, TransferPhase::Offered | TransferPhase::Accepted) => {
                record.paused_by_us = false;
                live.retry_at = None;
            }
            (TransferAct::Cancel, TransferPhase::Offered | TransferPhase::Accepted) => {
                record.phase = TransferPhase::Cancelled { by_us: true };
            }
            (TransferAct::Accept { .. } | TransferAct::Decline, _) if !incoming => {
                let detail = "this is what you offer yourself; `cancel` takes it back";
                return Err(Refusal::new(Problem::TransferState, detail));
            }
            (TransferAct::Accept { .. }, TransferPhase::Accepted) => {}
            _ => {
                let detail = "it is over, or decided already; `hallway files` shows how it stands";
                return Err(Refusal::new(Problem::TransferState, detail));
            }
        }
        let peer = record.peer;
        self.save_transfer(id, Some(command));
        self.tell_transfer(id, now);
        self.settle(peer, now);
        Ok(())
    }

    pub(super) fn save_transfer(&mut self, id: TransferId, command: Option<CommandId>) {
        let Some(live) = self.transfers.all.get_mut(&id) else {
            return;
        };
        live.unsaved_until = None;
        // All that was with them goes, and this must not come back after it.
        let entry = self.directory.get(&live.record.peer);
        if entry.is_some_and(|entry| entry.forgetting) {
            return;
        }
        self.transfers.turns.handle_change(live.record.peer);
        let over = live.record.phase.is_over();
        let write = Write::Transfer(Box::new(live.record.clone()));
        self.ledger
            .add([write], Then::Transfer { id, over, command });
    }

    /// The record is on disk: only now may the other side hear of it and, when it is over, what
    /// has come be let go.
    pub(in crate::engine) fn handle_transfer_stored(
        &mut self,
        id: TransferId,
        over: bool,
        command: Option<CommandId>,
        now: Now,
    ) {
        let Some(live) = self.transfers.all.get_mut(&id) else {
            return;
        };
        live.kept |= over;
        let incoming = live.is_incoming();
        let (peer, discard) = (live.record.peer, live.discard());
        if over && live.record.settled {
            if let Some(open) = self.transfers.open.get_mut(&peer) {
                open.remove(&id);
                if open.is_empty() {
                    self.transfers.open.remove(&peer);
                }
            }
        } else {
            self.present_transfer(id, now);
        }
        if over && incoming {
            self.outputs.push_back(Output::Files(discard));
        }
        if let Some(command) = command
            && let Some(live) = self.transfers.all.get(&id)
        {
            let view = self.transfer_view(live, now);
            self.reply(command, Answer::Transfer(Box::new(view)));
        }
        self.settle(peer, now);
    }

    /// The disk refused the record; it is written again later.
    pub(in crate::engine) fn handle_transfer_unsaved(
        &mut self,
        id: TransferId,
        command: Option<CommandId>,
        refusal: Refusal,
        now: Now,
    ) {
        if let Some(live) = self.transfers.all.get_mut(&id) {
            let at = now.mono + STORAGE_RETRY;
            live.unsaved_until = Some(at);
            self.transfers.turns.wake_at(at);
        }
        if let Some(command) = command {
            self.refuse(command, refusal);
        }
    }

    /// A peer is forgotten, and all that was with them.
    pub(in crate::engine) fn forget_transfers(&mut self, peer: &PeerId) {
        let gone: Vec<TransferId> = self
            .transfers
            .all
            .values()
            .filter(|live| live.record.peer == *peer)
            .map(|live| live.record.id)
            .collect();
        for id in gone {
            self.stop_transfer(id);
            self.meet(id, Vec::new());
            if let Some(live) = self.transfers.all.remove(&id).filter(Live::is_incoming) {
                self.outputs.push_back(Output::Files(live.discard()));
            }
        }
        self.transfers.open.remove(peer);
        self.transfers.turns.forget(peer);
        self.part_with(peer);
    }
}

fn message_peer(message: &Message) -> Option<PeerId> {
    match message.conversation {
        hallway_model::ConversationId::Peer(peer) => Some(peer),
        hallway_model::ConversationId::Group(_) => None,
    }
}
