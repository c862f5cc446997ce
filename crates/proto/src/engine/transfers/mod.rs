//! Transfers of files: what people and peers say about them, and when the shell is to move bytes.

mod circles;
mod commands;
mod signals;
mod turns;

use super::Engine;
use crate::bulk::SHARED_BYTES_MIN;
use crate::io::Output;
use crate::limits::{TRANSFER_CHANGES_MAX, TRANSFER_RETRY_FIRST, TRANSFER_RETRY_LONGEST};
use crate::transfer::{Fetch, Introduced, Meter, Order, Other, Reach, Report, Says, Serve};
use hallway_model::{
    EventKind, FileView, Instant, Now, PROGRESS_PER_SECOND, PeerId, Problem, Refusal, Transfer,
    TransferFailure, TransferId, TransferPhase, TransferState, TransferView,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use turns::Turns;

/// Every transfer that matters, and which of them are open.
#[derive(Default)]
pub(in crate::engine) struct Transfers {
    all: BTreeMap<TransferId, Live>,
    /// Not over, or not known to be over on the other side.
    open: BTreeMap<PeerId, BTreeSet<TransferId>>,
    /// On their way to disk with the message that offers.
    offered: BTreeMap<TransferId, Transfer>,
    turns: Turns,
    circles: circles::Circles,
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
    /// Why it does not move although both sides want it to.
    held_up: Option<HeldUp>,
    /// All of it, once that is known to be something else than was offered.
    bytes: u64,
    /// We could not connect to the sender in this session: it is to connect to us.
    unreachable: bool,
    /// Ours: whom the receiver has heard of.
    told: Vec<Other>,
    /// Theirs: whom we have heard of.
    introduced: Vec<Introduced>,
    resumed_at: Option<u64>,
    changed: u32,
    meter: Meter,
    told_at: Option<Instant>,
    /// That it is over is on disk.
    kept: bool,
    /// The disk did not take the record.
    unsaved_until: Option<Instant>,
}

/// What a receiver says it waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeldUp {
    /// Room on its disk.
    Full,
    /// Other transfers. Who receives knows that from its own turns.
    Queued,
}

impl Live {
    fn new(record: Transfer, order: u64) -> Self {
        // A file that had grown arrived as it was then.
        let bytes = match record.phase {
            TransferPhase::Done => record.moved,
            TransferPhase::Offered
            | TransferPhase::Accepted
            | TransferPhase::Declined
            | TransferPhase::Cancelled { .. }
            | TransferPhase::Failed(_) => record.offer.bytes,
        };
        Self {
            bytes,
            kept: record.phase.is_over(),
            record,
            order,
            active: false,
            retry_at: None,
            failures: 0,
            held_up: None,
            unreachable: false,
            told: Vec::new(),
            introduced: Vec::new(),
            resumed_at: None,
            changed: 0,
            meter: Meter::default(),
            told_at: None,
            unsaved_until: None,
        }
    }

    fn is_incoming(&self) -> bool {
        self.record.id.author == self.record.peer
    }

    /// Its receivers are of use to each other.
    fn is_large(&self) -> bool {
        self.record.offer.bytes >= SHARED_BYTES_MIN
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
            // Not before it holds whatever happens here.
            over if over.is_over() && !self.kept => return Vec::new(),
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

    fn state(&self, live: bool, waits: bool) -> TransferState {
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
            TransferPhase::Accepted if self.held_up == Some(HeldUp::Full) => {
                TransferState::WaitingForRoom
            }
            TransferPhase::Accepted if waits || self.held_up.is_some() => {
                TransferState::WaitingForTurn
            }
            TransferPhase::Accepted => TransferState::Running,
        }
    }

    fn view(&self, live: bool, waits: bool, now: Instant) -> TransferView {
        let record = &self.record;
        let state = self.state(live, waits);
        let rate =
            Some(self.meter.rate(now)).filter(|rate| state == TransferState::Running && *rate > 0);
        let left = self.bytes.saturating_sub(record.moved);
        TransferView {
            id: record.id.message.to_string(),
            peer: record.peer,
            incoming: self.is_incoming(),
            file: FileView {
                bytes: self.bytes,
                ..record.offer.view()
            },
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
            changed: self.changed,
            rate,
            left_ms: rate.map(|rate| left.saturating_mul(1000) / rate),
            path: record.place.clone(),
            at: record.at,
        }
    }
}

impl Transfers {
    /// What the disk holds.
    pub(in crate::engine) fn restored(records: Vec<Transfer>) -> Self {
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
        self.turns.handle_change(peer);
        self.last_order += 1;
        let live = Live::new(record, self.last_order);
        if !live.is_incoming() && live.is_large() && !live.record.phase.is_over() {
            self.circles.insert(live.record.offer.content, id);
        }
        self.all.insert(id, live);
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
}

impl Engine {
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
            // What would have been taken unasked is taken when it has grown.
            let bytes_max = match entry.is_contact() {
                true => offer.bytes.max(self.config.accept_files_bytes),
                false => offer.bytes,
            };
            self.transfers.turns.take(peer);
            Order::Fetch(Box::new(Fetch {
                id,
                peer,
                bytes_max,
                offer,
                folder: place.or_else(|| self.chosen.downloads.clone()),
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
            if live.unreachable {
                self.say(id, Says::Dial, now);
            }
        }
        self.tell_transfer(id, now);
    }

    /// The receiver cannot connect to us: we connect to it, where its session shows that it is.
    fn reach(&mut self, id: TransferId) {
        let Some(live) = self.transfers.all.get(&id) else {
            return;
        };
        let peer = live.record.peer;
        if let Some(entry) = self.directory.get(&peer).filter(|_| live.active) {
            let reach = Reach {
                id,
                addresses: entry.addresses(),
                suite: self.suite_for(&peer),
            };
            let order = Order::Reach(Box::new(reach));
            self.outputs.push_back(Output::Files(order));
        }
    }

    fn stop_transfer(&mut self, id: TransferId) {
        let Some(live) = self.transfers.all.get_mut(&id).filter(|live| live.active) else {
            return;
        };
        live.active = false;
        if live.is_incoming() {
            self.transfers.turns.give_back(live.record.peer);
        }
        self.outputs.push_back(Output::Files(Order::Stop(id)));
    }

    pub(in crate::engine) fn handle_report(&mut self, id: TransferId, report: Report, now: Now) {
        let Some(live) = self.transfers.all.get_mut(&id).filter(|live| live.active) else {
            return;
        };
        let incoming = live.is_incoming();
        let peer = live.record.peer;
        let had = live.record.moved;
        match report {
            Report::Began {
                moved,
                bytes,
                folder,
            } => {
                live.held_up = None;
                live.bytes = bytes;
                live.failures = 0;
                live.resumed_at = Some(moved).filter(|moved| *moved > 0);
                live.record.moved = moved.min(bytes);
                live.meter = Meter::default();
                live.meter.handle(moved, now.mono);
                let placed = folder.is_some() && folder != live.record.place;
                if placed && incoming {
                    live.record.place = folder;
                    self.save_transfer(id, None);
                }
            }
            Report::Progress(moved) => {
                live.record.moved = moved.min(live.bytes);
                live.held_up = None;
                live.meter.handle(live.record.moved, now.mono);
                let more = live.record.moved.saturating_sub(had);
                *self.counters.entry(bytes_counter(incoming)).or_default() += more;
                let pause = Duration::from_secs(1) / PROGRESS_PER_SECOND;
                if live.told_at.is_some_and(|at| now.mono - at < pause) {
                    return;
                }
            }
            Report::Done(place) => {
                live.record.phase = TransferPhase::Done;
                live.record.moved = live.bytes;
                live.record.place = Some(place);
                let more = live.record.moved.saturating_sub(had);
                *self.counters.entry(bytes_counter(incoming)).or_default() += more;
                self.stop_transfer(id);
                self.save_transfer(id, None);
            }
            Report::Changed => {
                live.changed = live.changed.saturating_add(1);
                if incoming && live.changed > TRANSFER_CHANGES_MAX {
                    live.record.phase = TransferPhase::Failed(TransferFailure::Changed);
                    self.stop_transfer(id);
                    self.save_transfer(id, None);
                }
            }
            Report::Unreachable => {
                live.unreachable = true;
                return self.say(id, Says::Dial, now);
            }
            Report::Lost(why) => {
                tracing::debug!(?id, %why, "a transfer was interrupted");
                // Who serves goes on listening.
                if incoming {
                    self.retry_later(id, now);
                }
            }
            Report::NoRoom => {
                live.held_up = Some(HeldUp::Full);
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
            let at = now.mono + wait.min(TRANSFER_RETRY_LONGEST);
            live.retry_at = Some(at);
            self.transfers.turns.wake_at(at);
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

/// What counts the bytes of files that have moved.
fn bytes_counter(incoming: bool) -> &'static str {
    match incoming {
        true => "file_bytes_received",
        false => "file_bytes_sent",
    }
}
