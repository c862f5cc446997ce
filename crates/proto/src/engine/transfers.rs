//! Transfers of files: what people and peers say about them, and when the shell is to move bytes.

use super::Engine;
use crate::frame::Frame;
use crate::io::{CommandId, Output};
use crate::ledger::Then;
use crate::limits::{
    STORAGE_RETRY, TRANSFER_RETRY_FIRST, TRANSFER_RETRY_LONGEST, TRANSFERS_OPEN_MAX,
    TRANSFERS_RUNNING_MAX,
};
use crate::transfer::{Fetch, Meter, Order, Report, Says, Serve, Signal};
use hallway_model::{
    Answer, EventKind, Instant, Message, MessageId, Now, Offer, PROGRESS_PER_SECOND, PeerId,
    Problem, Refusal, Transfer, TransferAct, TransferFailure, TransferId, TransferPhase,
    TransferState, TransferView, Write,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every transfer that matters, and which of them are open.
#[derive(Default)]
pub(super) struct Transfers {
    all: BTreeMap<TransferId, Live>,
    /// Not over, or not known to be over on the other side.
    open: BTreeMap<PeerId, BTreeSet<TransferId>>,
    /// On their way to disk with the message that offers.
    offered: BTreeMap<TransferId, Transfer>,
    /// Fetching now.
    running: usize,
    /// In the order in which they were offered.
    last_order: u64,
}

/// One transfer, as far as this node has to do with it now.
struct Live {
    record: Transfer,
    order: u64,
    /// The shell fetches or serves.
    active: bool,
    /// Not before this time, after the shell has failed.
    retry_at: Option<Instant>,
    failures: u32,
    /// The receiver has no room.
    full: bool,
    resumed_at: Option<u64>,
    meter: Meter,
    told_at: Option<Instant>,
    /// The disk did not take the record.
    unsaved_until: Option<Instant>,
}

impl Live {
    fn new(record: Transfer, order: u64) -> Self {
        Self {
            record,
            order,
            active: false,
            retry_at: None,
            failures: 0,
            full: false,
            resumed_at: None,
            meter: Meter::default(),
            told_at: None,
            unsaved_until: None,
        }
    }

    fn is_incoming(&self) -> bool {
        self.record.id.author == self.record.peer
    }

    /// The order to remove what was put aside for it.
    fn discard(&self) -> Order {
        let (id, place) = (self.record.id, self.record.place.as_deref());
        let folder = match self.record.phase {
            TransferPhase::Done => place.and_then(Path::parent),
            TransferPhase::Offered
            | TransferPhase::Accepted
            | TransferPhase::Declined
            | TransferPhase::Cancelled { .. }
            | TransferPhase::Failed(_) => place,
        };
        let folder = folder.map(Path::to_owned);
        Order::Discard { id, folder }
    }

    fn is_paused(&self) -> bool {
        self.record.paused_by_us || self.record.paused_by_them
    }

    /// Both sides want bytes to move.
    fn is_wanted(&self) -> bool {
        self.record.phase == TransferPhase::Accepted && !self.is_paused()
    }

    /// What the other side is to hear on each new session.
    fn stance(&self) -> Vec<Says> {
        let record = &self.record;
        let end = match record.phase {
            TransferPhase::Offered => None,
            TransferPhase::Accepted => self.is_incoming().then_some(Says::Accept),
            TransferPhase::Done => Some(Says::Done),
            TransferPhase::Declined => Some(Says::Decline),
            TransferPhase::Cancelled { .. } => Some(Says::Cancel),
            TransferPhase::Failed(failure) => Some(Says::Failed(failure)),
        };
        let hold = if record.paused_by_us {
            Says::Pause
        } else {
            Says::Resume
        };
        let hold = Some(hold).filter(|_| !record.phase.is_over());
        end.into_iter().chain(hold).collect()
    }

    fn state(&self, live: bool, turn: bool) -> TransferState {
        match self.record.phase {
            TransferPhase::Offered => TransferState::Offered,
            TransferPhase::Done => TransferState::Done,
            TransferPhase::Declined => TransferState::Declined,
            TransferPhase::Cancelled { by_us: true } => TransferState::CancelledByUs,
            TransferPhase::Cancelled { by_us: false } => TransferState::CancelledByThem,
            TransferPhase::Failed(_) => TransferState::Failed,
            TransferPhase::Accepted if self.record.paused_by_us => TransferState::PausedByUs,
            TransferPhase::Accepted if self.record.paused_by_them => TransferState::PausedByThem,
            TransferPhase::Accepted if !live => TransferState::WaitingForPeer,
            TransferPhase::Accepted if self.full => TransferState::WaitingForRoom,
            TransferPhase::Accepted if !self.active && !turn => TransferState::WaitingForTurn,
            TransferPhase::Accepted => TransferState::Running,
        }
    }

    fn view(&self, live: bool, turn: bool, now: Instant) -> TransferView {
        let record = &self.record;
        let state = self.state(live, turn);
        let rate =
            Some(self.meter.rate(now)).filter(|rate| state == TransferState::Running && *rate > 0);
        let left = record.offer.bytes.saturating_sub(record.moved);
        TransferView {
            id: record.id.message.to_string(),
            peer: record.peer,
            incoming: self.is_incoming(),
            file: record.offer.view(),
            state,
            failure: match record.phase {
                TransferPhase::Failed(failure) => Some(failure),
                TransferPhase::Offered
                | TransferPhase::Accepted
                | TransferPhase::Done
                | TransferPhase::Declined
                | TransferPhase::Cancelled { .. } => None,
            },
            moved: record.moved,
            resumed_at: self.resumed_at,
            rate,
            left_ms: rate.map(|rate| left.saturating_mul(1000) / rate),
            path: record.place.clone(),
            at: record.at,
        }
    }
}

impl Transfers {
    /// What the disk holds.
    pub(super) fn restored(records: Vec<Transfer>) -> Self {
        let mut transfers = Self::default();
        for record in records {
            transfers.insert(record);
        }
        transfers
    }

    fn insert(&mut self, record: Transfer) {
        let (id, peer) = (record.id, record.peer);
        if !record.phase.is_over() || !record.settled {
            self.open.entry(peer).or_default().insert(id);
        }
        self.last_order += 1;
        self.all.insert(id, Live::new(record, self.last_order));
    }

    fn open_with(&self, peer: &PeerId) -> Vec<TransferId> {
        let open = self.open.get(peer);
        open.map(|ids| ids.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The one transfer whose id begins so.
    fn pick(&self, prefix: &str) -> Result<TransferId, Refusal> {
        let prefix = prefix.to_lowercase();
        let mut meant = self
            .all
            .keys()
            .filter(|id| !prefix.is_empty() && id.message.to_string().starts_with(&prefix));
        let detail = match (meant.next(), meant.next()) {
            (Some(id), None) => return Ok(*id),
            (None, _) => format!("no transfer has an id that begins with {prefix:?}"),
            (Some(_), Some(_)) => format!("more than one id begins with {prefix:?}"),
        };
        let detail = format!("{detail}; `hallway files` lists them");
        Err(Refusal::new(Problem::NoSuchTransfer, detail))
    }

    /// When one of them needs attention.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let open = self
            .open
            .values()
            .flatten()
            .filter_map(|id| self.all.get(id));
        open.filter_map(|live| {
            let retry = live.retry_at.filter(|_| live.is_wanted() && !live.active);
            retry.into_iter().chain(live.unsaved_until).min()
        })
        .min()
    }
}

// What faces ask.
impl Engine {
    /// The record that is to become durable with the offer of ours in this message.
    pub(super) fn offer_write(&mut self, message: &Message, source: PathBuf) -> Option<Write> {
        self.new_transfer(message, message_peer(message)?, Some(source))
    }

    fn new_transfer(
        &mut self,
        message: &Message,
        peer: PeerId,
        source: Option<PathBuf>,
    ) -> Option<Write> {
        let offer = message.offer()?;
        let id = TransferId::of(message);
        let too_many = self.transfers.open_with(&peer).len() >= TRANSFERS_OPEN_MAX;
        let phase = if too_many && source.is_none() {
            TransferPhase::Failed(TransferFailure::TooMany)
        } else {
            TransferPhase::Offered
        };
        let record = Transfer {
            id,
            peer,
            offer: Offer {
                thumbnail: None,
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

    pub(super) fn transfer_views(&self, now: Now) -> Vec<TransferView> {
        let mut all: Vec<_> = self.transfers.all.values().collect();
        all.sort_unstable_by_key(|live| live.order);
        all.into_iter()
            .map(|live| self.transfer_view(live, now))
            .collect()
    }

    fn transfer_view(&self, live: &Live, now: Now) -> TransferView {
        let turn = self.transfers.running < TRANSFERS_RUNNING_MAX || !live.is_incoming();
        live.view(self.is_live(&live.record.peer), turn, now.mono)
    }

    fn is_live(&self, peer: &PeerId) -> bool {
        let session = self
            .directory
            .get(peer)
            .and_then(|entry| entry.session.as_ref());
        session.is_some_and(|session| session.profile.is_some())
    }

    /// Does what a face asks; answered once it is on disk.
    pub(super) fn act_on_transfer(
        &mut self,
        command: CommandId,
        prefix: &str,
        act: TransferAct,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = self.transfers.pick(prefix)?;
        let Some(live) = self.transfers.all.get_mut(&id) else {
            return Err(Refusal::new(Problem::NoSuchTransfer, "it is just gone"));
        };
        let incoming = live.is_incoming();
        let record = &mut live.record;
        let says = match (act, record.phase) {
            (TransferAct::Accept { to }, TransferPhase::Offered) if incoming => {
                record.phase = TransferPhase::Accepted;
                record.place = to;
                Says::Accept
            }
            (TransferAct::Decline, TransferPhase::Offered) if incoming => {
                record.phase = TransferPhase::Declined;
                Says::Decline
            }
            (TransferAct::Pause, TransferPhase::Offered | TransferPhase::Accepted) => {
                record.paused_by_us = true;
                Says::Pause
            }
            (TransferAct::Resume, TransferPhase::Offered | TransferPhase::Accepted) => {
                record.paused_by_us = false;
                live.retry_at = None;
                Says::Resume
            }
            (TransferAct::Cancel, TransferPhase::Offered | TransferPhase::Accepted) => {
                record.phase = TransferPhase::Cancelled { by_us: true };
                Says::Cancel
            }
            (TransferAct::Accept { .. } | TransferAct::Decline, _) if !incoming => {
                let detail = "this is what you offer yourself; `cancel` takes it back";
                return Err(Refusal::new(Problem::TransferState, detail));
            }
            (TransferAct::Accept { .. }, TransferPhase::Accepted) => Says::Accept,
            _ => {
                let detail = "it is over, or decided already; `hallway files` shows how it stands";
                return Err(Refusal::new(Problem::TransferState, detail));
            }
        };
        let peer = record.peer;
        self.say(id, says, now);
        self.save_transfer(id, Some(command));
        self.tell_transfer(id, now);
        self.settle(peer, now);
        Ok(())
    }

    fn save_transfer(&mut self, id: TransferId, command: Option<CommandId>) {
        let Some(live) = self.transfers.all.get_mut(&id) else {
            return;
        };
        live.unsaved_until = None;
        let write = Write::Transfer(Box::new(live.record.clone()));
        self.ledger.add([write], Then::Transfer { id, command });
    }

    /// The record is on disk: only now may the other side hear how it ended, and what has come be
    /// let go.
    pub(super) fn handle_transfer_stored(
        &mut self,
        id: TransferId,
        command: Option<CommandId>,
        now: Now,
    ) {
        let Some(live) = self.transfers.all.get(&id) else {
            return;
        };
        let (over, incoming) = (live.record.phase.is_over(), live.is_incoming());
        let (peer, discard) = (live.record.peer, live.discard());
        if over && live.record.settled {
            if let Some(open) = self.transfers.open.get_mut(&peer) {
                open.remove(&id);
                if open.is_empty() {
                    self.transfers.open.remove(&peer);
                }
            }
        } else if over {
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
    pub(super) fn handle_transfer_unsaved(
        &mut self,
        id: TransferId,
        command: Option<CommandId>,
        refusal: Refusal,
        now: Now,
    ) {
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.unsaved_until = Some(now.mono + STORAGE_RETRY);
        }
        if let Some(command) = command {
            self.refuse(command, refusal);
        }
    }

    /// What has come due.
    pub(super) fn attend_transfers(&mut self, now: Now) {
        let open: Vec<TransferId> = self.transfers.open.values().flatten().copied().collect();
        let mut peers = BTreeSet::new();
        for id in open {
            let Some(live) = self.transfers.all.get_mut(&id) else {
                continue;
            };
            if live.unsaved_until.is_some_and(|at| at <= now.mono) {
                self.save_transfer(id, None);
            } else if live.retry_at.is_some_and(|at| at <= now.mono) {
                peers.insert(live.record.peer);
            }
        }
        for peer in peers {
            self.settle(peer, now);
        }
    }

    /// A peer is forgotten, and all that was with them.
    pub(super) fn forget_transfers(&mut self, peer: &PeerId) {
        let gone: Vec<TransferId> = self
            .transfers
            .all
            .values()
            .filter(|live| live.record.peer == *peer)
            .map(|live| live.record.id)
            .collect();
        for id in gone {
            self.stop_transfer(id);
            if let Some(live) = self.transfers.all.remove(&id).filter(Live::is_incoming) {
                self.outputs.push_back(Output::Files(live.discard()));
            }
        }
        self.transfers.open.remove(peer);
    }
}

// What peers say.
impl Engine {
    /// The record that is to become durable with an offer of theirs.
    pub(super) fn offered_write(&mut self, message: &Message) -> Option<Write> {
        self.new_transfer(message, message.author, None)
    }

    /// A message that offers is on disk.
    pub(super) fn handle_offer_stored(&mut self, id: TransferId, new: bool, now: Now) {
        let Some(mut record) = self.transfers.offered.remove(&id).filter(|_| new) else {
            return;
        };
        let peer = record.peer;
        let contact = self
            .directory
            .get(&peer)
            .is_some_and(|entry| entry.is_contact());
        let accepted = record.phase == TransferPhase::Offered
            && id.author == peer
            && contact
            && record.offer.bytes <= self.config.accept_files_bytes;
        if accepted {
            record.phase = TransferPhase::Accepted;
        }
        self.transfers.insert(record);
        if accepted {
            self.say(id, Says::Accept, now);
            self.save_transfer(id, None);
        }
        self.tell_transfer(id, now);
        self.settle(peer, now);
    }

    /// The disk did not take a message that offers.
    pub(super) fn handle_offer_refused(&mut self, message: &Message) {
        self.transfers.offered.remove(&TransferId::of(message));
    }

    /// Says again how everything open stands; for a new session.
    pub(super) fn present_transfers(&mut self, peer: PeerId, now: Now) {
        for id in self.transfers.open_with(&peer) {
            if let Some(live) = self.transfers.all.get_mut(&id) {
                live.retry_at = None;
                live.failures = 0;
            }
            self.present_transfer(id, now);
        }
    }

    fn present_transfer(&mut self, id: TransferId, now: Now) {
        let stance = self.transfers.all.get(&id).map(Live::stance);
        for says in stance.into_iter().flatten() {
            self.say(id, says, now);
        }
    }

    fn say(&mut self, id: TransferId, says: Says, now: Now) {
        let Some(peer) = self.transfers.all.get(&id).map(|live| live.record.peer) else {
            return;
        };
        let offering = id.author != peer;
        self.say_of(peer, id.message, offering, says, now);
    }

    fn say_of(&mut self, peer: PeerId, message: MessageId, offering: bool, says: Says, now: Now) {
        if let Some(session) = self.session_mut(&peer).filter(|s| s.profile.is_some()) {
            let signal = Signal {
                message,
                offering,
                says,
            };
            session.send(&Frame::Transfer(signal), now.mono);
            session.active_at = Some(now.mono);
            self.dirty.insert(peer);
        }
    }

    pub(super) fn handle_signal(&mut self, peer: PeerId, signal: Signal, now: Now) {
        let author = if signal.offering {
            peer
        } else {
            self.config.id
        };
        let id = TransferId {
            author,
            message: signal.message,
        };
        let known = self.transfers.all.get(&id);
        let Some(before) = known.map(|live| &live.record).filter(|r| r.peer == peer) else {
            return self.handle_signal_of_unknown(peer, signal, now);
        };
        let before = before.clone();
        let mut after = before.clone();
        let over = before.phase.is_over();
        match signal.says {
            Says::Accept if !signal.offering && before.phase == TransferPhase::Offered => {
                after.phase = TransferPhase::Accepted;
            }
            Says::Accept if over => self.present_transfer(id, now),
            Says::Decline if !signal.offering && !over => after.phase = TransferPhase::Declined,
            Says::Done if !signal.offering && !over => {
                after.phase = TransferPhase::Done;
                after.moved = after.offer.bytes;
            }
            Says::Cancel if !over => after.phase = TransferPhase::Cancelled { by_us: false },
            Says::Failed(failure) if !over => after.phase = TransferPhase::Failed(failure),
            Says::Pause if !over => after.paused_by_them = true,
            Says::Resume if !over => after.paused_by_them = false,
            Says::Settled if over => after.settled = true,
            Says::Full if !over => {
                if let Some(live) = self.transfers.all.get_mut(&id) {
                    live.full = true;
                }
                self.tell_transfer(id, now);
            }
            Says::Accept
            | Says::Decline
            | Says::Done
            | Says::Cancel
            | Says::Failed(_)
            | Says::Pause
            | Says::Resume
            | Says::Settled
            | Says::Dial
            | Says::Full
            | Says::Other(_) => {}
        }
        if matches!(
            signal.says,
            Says::Decline | Says::Done | Says::Cancel | Says::Failed(_)
        ) {
            after.settled |= after.phase.is_over();
            self.say(id, Says::Settled, now);
        }
        if after == before {
            return;
        }
        let shown = (after.phase, after.paused_by_them) != (before.phase, before.paused_by_them);
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.record = after;
        }
        self.save_transfer(id, None);
        if shown {
            self.tell_transfer(id, now);
        }
    }

    /// They speak of what we do not know: the word of its end is all they wait for.
    fn handle_signal_of_unknown(&mut self, peer: PeerId, signal: Signal, now: Now) {
        let answer = match signal.says {
            Says::Accept => Says::Cancel,
            Says::Done | Says::Decline | Says::Cancel | Says::Failed(_) => Says::Settled,
            Says::Pause
            | Says::Resume
            | Says::Settled
            | Says::Dial
            | Says::Full
            | Says::Other(_) => return,
        };
        // An offer of theirs may still be on its way here, and must find its end when it comes.
        if !signal.offering {
            self.say_of(peer, signal.message, true, answer, now);
        }
    }
}

// What the shell does.
impl Engine {
    /// Starts and stops the shell's part in all transfers with a peer.
    pub(super) fn settle_transfers(&mut self, peer: PeerId, now: Now) {
        if !self.transfers.open.contains_key(&peer) {
            return;
        }
        let ready = self.is_live(&peer) && !self.stopping;
        for id in self.transfers.open_with(&peer) {
            let Some(live) = self.transfers.all.get(&id) else {
                continue;
            };
            let wanted = live.is_wanted() && ready;
            if live.active && !wanted {
                self.stop_transfer(id);
                self.tell_transfer(id, now);
            } else if wanted && !live.active && live.retry_at.is_none_or(|at| at <= now.mono) {
                self.start_transfer(id, now);
            }
        }
    }

    fn start_transfer(&mut self, id: TransferId, now: Now) {
        let Some(live) = self.transfers.all.get(&id) else {
            return;
        };
        let (peer, offer) = (live.record.peer, live.record.offer.clone());
        let place = live.record.place.clone();
        let order = if live.is_incoming() {
            let Some(entry) = self.directory.get(&peer) else {
                return;
            };
            if self.transfers.running >= TRANSFERS_RUNNING_MAX {
                return;
            }
            self.transfers.running += 1;
            Order::Fetch(Box::new(Fetch {
                id,
                peer,
                offer,
                folder: place,
                addresses: entry.addresses(),
                suite: self.suite_for(&peer),
            }))
        } else if let Some(source) = place {
            Order::Serve(Box::new(Serve {
                id,
                peer,
                offer,
                source,
            }))
        } else {
            return;
        };
        self.outputs.push_back(Output::Files(order));
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.active = true;
            live.retry_at = None;
            live.meter = Meter::default();
        }
        self.tell_transfer(id, now);
    }

    fn stop_transfer(&mut self, id: TransferId) {
        let Some(live) = self.transfers.all.get_mut(&id).filter(|live| live.active) else {
            return;
        };
        live.active = false;
        if live.is_incoming() {
            self.transfers.running -= 1;
        }
        self.outputs.push_back(Output::Files(Order::Stop(id)));
    }

    pub(super) fn handle_report(&mut self, id: TransferId, report: Report, now: Now) {
        let Some(live) = self.transfers.all.get_mut(&id).filter(|live| live.active) else {
            return;
        };
        let incoming = live.is_incoming();
        let peer = live.record.peer;
        match report {
            Report::Began { moved, folder } => {
                live.full = false;
                live.failures = 0;
                live.resumed_at = Some(moved).filter(|moved| *moved > 0);
                live.record.moved = moved;
                live.meter = Meter::default();
                live.meter.handle(moved, now.mono);
                let placed = folder.is_some() && folder != live.record.place;
                if placed && incoming {
                    live.record.place = folder;
                    self.save_transfer(id, None);
                }
            }
            Report::Progress(moved) => {
                live.record.moved = moved.min(live.record.offer.bytes);
                live.full = false;
                live.meter.handle(live.record.moved, now.mono);
                let pause = Duration::from_secs(1) / PROGRESS_PER_SECOND;
                if live.told_at.is_some_and(|at| now.mono - at < pause) {
                    return;
                }
            }
            Report::Done(place) => {
                live.record.phase = TransferPhase::Done;
                live.record.moved = live.record.offer.bytes;
                live.record.place = Some(place);
                self.stop_transfer(id);
                self.save_transfer(id, None);
            }
            Report::Lost(why) => {
                tracing::debug!(?id, %why, "a transfer was interrupted");
                // Who serves goes on listening.
                if incoming {
                    self.retry_later(id, now);
                }
            }
            Report::NoRoom => {
                live.full = true;
                self.say(id, Says::Full, now);
                self.retry_later(id, now);
            }
            Report::Failed(failure) => {
                live.record.phase = TransferPhase::Failed(failure);
                self.stop_transfer(id);
                self.save_transfer(id, None);
            }
        }
        self.tell_transfer(id, now);
        self.settle(peer, now);
    }

    fn retry_later(&mut self, id: TransferId, now: Now) {
        self.stop_transfer(id);
        if let Some(live) = self.transfers.all.get_mut(&id) {
            let wait = TRANSFER_RETRY_FIRST * (1 << live.failures.min(8));
            live.failures += 1;
            live.retry_at = Some(now.mono + wait.min(TRANSFER_RETRY_LONGEST));
        }
    }

    fn tell_transfer(&mut self, id: TransferId, now: Now) {
        if let Some(live) = self.transfers.all.get_mut(&id) {
            live.told_at = Some(now.mono);
        }
        if let Some(live) = self.transfers.all.get(&id) {
            let transfer = Box::new(self.transfer_view(live, now));
            self.event(EventKind::Transfer { transfer });
        }
    }
}

fn message_peer(message: &Message) -> Option<PeerId> {
    match message.conversation {
        hallway_model::ConversationId::Peer(peer) => Some(peer),
        hallway_model::ConversationId::Group(_) => None,
    }
}
