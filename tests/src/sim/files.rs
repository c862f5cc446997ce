//! Parcels: files on their way as threads of a shell would move them, and what holds of every
//! transfer.

use super::ms;
use super::world::{Host, World};
use hallway_model::{
    Command, ContentId, Offer, PeerId, Transfer, TransferAct, TransferFailure, TransferId,
    TransferPhase, TransferState, TransferView,
};
use hallway_proto::io::{CommandId, Input};
use hallway_proto::transfer::{Order, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Between two looks at a transfer that runs.
const STEP_MS: Range<u64> = 10..200;
/// Bytes that come from one look to the next.
const STEP_BYTES: u64 = 1000;

/// What has happened to files so far. What hosts have on disk survives a crash.
#[derive(Default)]
pub(super) struct Parcels {
    /// What people offer.
    sources: BTreeMap<ContentId, Source>,
    /// What has come so far, on disk.
    parts: BTreeMap<(Host, TransferId), Part>,
    /// What has come whole and under its name, on disk.
    arrived: BTreeMap<(Host, TransferId), Part>,
    fetching: BTreeMap<(Host, TransferId), Fetching>,
    serving: BTreeSet<(Host, TransferId)>,
    /// Transfers as the faces of a host know them in this life.
    known: BTreeMap<(Host, TransferId), TransferView>,
}

/// A file at its owner.
#[derive(Clone, Copy)]
struct Source {
    bytes: u64,
    /// Another one after each change.
    version: u32,
    readable: bool,
}

/// Bytes of one state of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    version: u32,
    bytes: u64,
}

/// One attempt to fetch.
#[derive(Clone, Copy)]
struct Fetching {
    attempt: u64,
    content: ContentId,
    begun: bool,
}

impl Parcels {
    /// What a node knew is gone with it.
    pub(super) fn crashed(&mut self, host: Host) {
        self.fetching.retain(|(at, _), _| *at != host);
        self.serving.retain(|(at, _)| *at != host);
        self.known.retain(|(at, _), _| *at != host);
    }
}

impl World {
    /// Carries out what an engine has decided about files.
    pub(super) fn handle_files(&mut self, host: Host, order: Order) {
        match order {
            Order::Fetch(fetch) => {
                let fetching = Fetching {
                    attempt: self.number(),
                    content: fetch.offer.content,
                    begun: false,
                };
                let twice = self.parcels.fetching.insert((host, fetch.id), fetching);
                assert!(twice.is_none(), "{host:?} fetches {:?} twice", fetch.id);
                self.fetch_later(host, fetch.id, fetching.attempt);
            }
            Order::Serve(serve) => {
                let new = self.parcels.serving.insert((host, serve.id));
                assert!(new, "{host:?} serves {:?} twice", serve.id);
            }
            Order::Stop(id) => {
                self.parcels.fetching.remove(&(host, id));
                self.parcels.serving.remove(&(host, id));
            }
            // Everybody here can be connected to.
            Order::Reach(_) => {}
            // Contents come whole here, and from their sender.
            Order::Introduce { .. } => {}
            Order::Discard { id, .. } => {
                self.parcels.fetching.remove(&(host, id));
                self.parcels.parts.remove(&(host, id));
            }
        }
    }

    fn fetch_later(&mut self, host: Host, id: TransferId, attempt: u64) {
        let (life, delay) = (self.machine(host).life, self.range(STEP_MS));
        self.later(ms(delay), move |world| {
            let fetching = world.parcels.fetching.get(&(host, id)).copied();
            let current = fetching.filter(|fetching| fetching.attempt == attempt);
            if let Some(fetching) = current.filter(|_| world.machine(host).life == life) {
                world.fetch_more(host, id, fetching);
            }
        });
    }

    /// Some bytes of a transfer come in, or it turns out that none can.
    fn fetch_more(&mut self, host: Host, id: TransferId, mut fetching: Fetching) {
        let key = (host, id);
        let shown = self.parcels.known.get(&key);
        let over = shown.is_some_and(|view| view.state.is_over());
        assert!(!over, "{host:?} goes on with {id:?}: {shown:?}");
        if self.parcels.arrived.contains_key(&key) {
            return self.end_fetch(host, id, Report::Done("/in".into()));
        }
        let reached = |from: &Host| {
            self.parcels.serving.contains(&(*from, id))
                && !self.cuts.contains(&(*from, host))
                && !self.cuts.contains(&(host, *from))
        };
        let owners = self
            .all()
            .into_iter()
            .filter(|from| self.id(*from) == id.author);
        let Some(from) = owners
            .filter(|from| self.running(*from).is_some())
            .find(reached)
        else {
            return self.end_fetch(host, id, Report::Lost("nobody is there".into()));
        };
        let source = self.parcels.sources[&fetching.content];
        if !source.readable {
            self.input(
                from,
                Input::Files(id, Report::Failed(TransferFailure::Source)),
            );
            return self.end_fetch(host, id, Report::Lost("it is refused".into()));
        }
        if self.machine(host).disk.room == Some(0) {
            return self.end_fetch(host, id, Report::NoRoom);
        }
        let part = self.parcels.parts.entry(key).or_insert(Part {
            version: source.version,
            bytes: 0,
        });
        if part.version != source.version {
            // Some of it is the same.
            (part.version, part.bytes) = (source.version, part.bytes / 2);
            fetching.begun = false;
            for side in [host, from] {
                self.input(side, Input::Files(id, Report::Changed));
            }
        }
        let part = self.parcels.parts.get_mut(&key).expect("it was just there");
        if fetching.begun {
            part.bytes = source.bytes.min(part.bytes + STEP_BYTES);
        }
        let part = *part;
        for (side, folder) in [(host, Some("/in".into())), (from, None)] {
            let moved = part.bytes;
            let report = match fetching.begun {
                true => Report::Progress(moved),
                false => Report::Began {
                    moved,
                    bytes: source.bytes,
                    folder,
                },
            };
            self.input(side, Input::Files(id, report));
        }
        if fetching.begun && part.bytes == source.bytes {
            self.parcels.arrived.insert(key, part);
            return self.end_fetch(host, id, Report::Done("/in".into()));
        }
        fetching.begun = true;
        self.parcels.fetching.insert(key, fetching);
        self.fetch_later(host, id, fetching.attempt);
    }

    fn end_fetch(&mut self, host: Host, id: TransferId, report: Report) {
        self.parcels.fetching.remove(&(host, id));
        self.input(host, Input::Files(id, report));
    }

    /// The faces of a host hear of a transfer.
    pub(super) fn witness_transfer(&mut self, host: Host, view: &TransferView) {
        let author = if view.incoming {
            view.peer
        } else {
            self.id(host)
        };
        let message = view.id.parse().expect("an id is an id");
        let id = TransferId { author, message };
        let before = self.parcels.known.insert((host, id), view.clone());
        if let Some(before) = before.filter(|before| before.state.is_over()) {
            assert_eq!(before.state, view.state, "{host:?}: {id:?} was over");
        }
        assert!(view.moved <= view.file.bytes, "{host:?}: {view:?}");
        if view.state == TransferState::Done {
            let receiver = if view.incoming {
                self.id(host)
            } else {
                view.peer
            };
            let whole = |at: Host| {
                let arrived = self.parcels.arrived.get(&(at, id));
                arrived.is_some_and(|part| part.bytes == view.file.bytes)
            };
            let receivers = self.all().into_iter().filter(|at| self.id(*at) == receiver);
            assert!(
                receivers.into_iter().any(whole),
                "{host:?} says that {id:?} has arrived"
            );
        }
    }

    // What people do.

    /// Offers a file of so many bytes.
    pub fn offer(&mut self, from: Host, to: Host, bytes: u64) -> CommandId {
        let content = ContentId(self.bytes());
        let source = Source {
            bytes,
            version: 0,
            readable: true,
        };
        self.parcels.sources.insert(content, source);
        let offer = Offer {
            content,
            name: "parcel".into(),
            bytes,
            files: 1,
            folder: false,
            media_type: None,
            thumbnail: None,
            left_out: 0,
            left_out_names: Vec::new(),
        };
        let command = Command::Offer {
            to: self.id(to),
            offer: Box::new(offer),
            source: "/out/parcel".into(),
            client_id: None,
        };
        self.command(from, command)
    }

    /// Does something to a transfer, if it is still there.
    pub fn handle_parcel(&mut self, host: Host, id: TransferId, act: TransferAct) -> CommandId {
        let id = id.message.to_string();
        self.command(host, Command::Transfer { id, act })
    }

    /// Somebody writes to a file that is offered, or removes it.
    pub fn change_source(&mut self, id: TransferId, remove: bool) {
        let transfers = self
            .machines
            .iter()
            .flat_map(|machine| machine.disk.transfers());
        let content = transfers
            .filter(|t| t.id == id)
            .map(|t| t.offer.content)
            .next();
        let source = content.and_then(|content| self.parcels.sources.get_mut(&content));
        if let Some(source) = source {
            source.version += 1;
            source.readable &= !remove;
        }
    }

    /// The transfers on the disk of a host, in the order of their ids.
    pub fn parcels(&self, host: Host) -> Vec<Transfer> {
        self.machine(host).disk.transfers().cloned().collect()
    }

    /// How the faces of a host were told last that a transfer stands.
    pub fn parcel_state(&self, host: Host, id: TransferId) -> Option<TransferState> {
        self.parcels.known.get(&(host, id)).map(|view| view.state)
    }

    /// How often faces of a host were told that something changed.
    pub fn parcel_changes(&self, host: Host, id: TransferId) -> u32 {
        self.parcels
            .known
            .get(&(host, id))
            .map_or(0, |view| view.changed)
    }

    // In the end.

    /// What is still to happen between two contacts, if anything.
    pub(super) fn undecided(&self, one: Host, other: Host) -> Option<String> {
        for (sender, receiver) in [(one, other), (other, one)] {
            let (from, to) = (self.id(sender), self.id(receiver));
            for ours in self
                .parcels(sender)
                .iter()
                .filter(|t| is_between(t, from, to))
            {
                let theirs = self.parcels(receiver).into_iter().find(|t| t.id == ours.id);
                // One of them has forgotten the other, and all that was between them.
                let Some(theirs) = theirs else {
                    continue;
                };
                if let Some(why) = disagreement(ours, &theirs) {
                    return Some(format!(
                        "{sender:?} {ours:?}\n{receiver:?} {theirs:?}: {why}"
                    ));
                }
                if theirs.phase != TransferPhase::Done
                    && self.parcels.parts.contains_key(&(receiver, ours.id))
                    && theirs.phase.is_over()
                {
                    return Some(format!("{receiver:?} keeps parts of {:?}", ours.id));
                }
            }
        }
        None
    }
}

fn is_between(transfer: &Transfer, from: PeerId, to: PeerId) -> bool {
    transfer.id.author == from && transfer.peer == to
}

/// Why both sides do not see it alike. Each may have ended it by itself before it heard of the
/// other's end; who has not ended it itself says what the other says.
fn disagreement(ours: &Transfer, theirs: &Transfer) -> Option<&'static str> {
    use TransferPhase::{Accepted, Cancelled, Declined, Done, Failed, Offered};
    let by_sender = matches!(
        ours.phase,
        Cancelled { by_us: true } | Failed(TransferFailure::Source)
    );
    let by_receiver = matches!(
        theirs.phase,
        Done | Declined | Cancelled { by_us: true } | Failed(_)
    );
    let heard = match (ours.phase, theirs.phase) {
        (Cancelled { by_us: one }, Cancelled { by_us: other }) => one != other,
        (one, other) => one == other,
    };
    let over = ours.phase.is_over();
    if over != theirs.phase.is_over() {
        return Some("it is over for one of them");
    }
    if over && !heard && !(by_sender && by_receiver) {
        return Some("it has two ends, and not by both");
    }
    if over && !(ours.settled && theirs.settled) {
        return Some("one does not know that the other knows");
    }
    let paused = (ours.paused_by_us, ours.paused_by_them);
    if !over && paused != (theirs.paused_by_them, theirs.paused_by_us) {
        return Some("one does not know that the other holds it");
    }
    match (ours.phase, theirs.phase) {
        (Accepted, Accepted) if paused == (false, false) => Some("it does not come to an end"),
        (Offered, Accepted) | (Accepted, Offered) => Some("one does not know of the answer"),
        _ => None,
    }
}
