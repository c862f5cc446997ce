//! The part of a fetch that other receivers help with: the sender has said what each group must
//! hash to, so that nobody needs to be believed.

use super::fetch::{Attempt, FetchError};
use super::link::{GROUP_BUFFER_BYTES, Link, LinkError};
use super::ring::Ring;
use super::{dial_all, give_way, lock, step_back};
use crate::arithmetic::Handshaker;
use hallway_proto::bulk::{Ask, CHAIN_BYTES, GroupSet, Loss, Message, Open, Overdue, Pool, Want};
use hallway_proto::transfer::Introduced;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::runtime::Handle;

/// Groups asked of one receiver and not yet there.
const AHEAD_GROUPS: usize = 4;
/// Groups after which it is asked again what else it has.
const NEWS_AFTER: u32 = 8;
/// It is asked so often while it has nothing for us.
const NEWS_EVERY: Duration = Duration::from_millis(50);
/// What it owes us comes in this time, or somebody else is asked.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A thread that waits for others looks this often whether all is there, or it shall end.
pub(super) const LOOK_UP: Duration = Duration::from_millis(200);

/// What an attempt shares with its helpers.
pub(super) struct Help {
    pub(super) ring: Arc<Ring>,
    handshaker: Handshaker,
    runtime: Handle,
    pool: Mutex<Pool>,
    moved: Condvar,
    over: AtomicBool,
    streams: Mutex<HashMap<u32, TcpStream>>,
}

/// Why a receiver is of no use.
#[derive(Debug, thiserror::Error)]
enum HelpError {
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("nothing is there yet")]
    NotYet,
    #[error("it sent something else than the sender has")]
    Lied,
}

/// What another receiver owes us, in order.
enum Owed {
    Group(u64, [u8; CHAIN_BYTES]),
    News,
}

impl Help {
    pub(super) fn new(
        ring: Arc<Ring>,
        handshaker: Handshaker,
        runtime: Handle,
        groups: u64,
    ) -> Self {
        Self {
            ring,
            handshaker,
            runtime,
            pool: Mutex::new(Pool::new(groups)),
            moved: Condvar::new(),
            over: AtomicBool::new(false),
            streams: Mutex::default(),
        }
    }

    pub(super) fn begin(&self) {
        self.over.store(false, Ordering::Relaxed);
    }

    /// All is there, or the sender is gone.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        for stream in lock(&self.streams).values() {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.moved.notify_all();
        self.ring.wake();
    }

    /// How the sender is to be asked for what it may have given to others.
    pub(super) fn ask(&self) -> Ask {
        if self.ring.has_hope() {
            Ask::Anybody
        } else {
            Ask::You
        }
    }

    pub(super) fn handle_elsewhere(&self, group: u64, hash: [u8; CHAIN_BYTES]) {
        lock(&self.pool).handle_elsewhere(group, hash);
        self.moved.notify_all();
    }

    pub(super) fn handle_given(&self, took: Duration) {
        lock(&self.pool).handle_given(took);
    }

    pub(super) fn handle_have(&self, group: u64) {
        lock(&self.pool).handle_have(group);
        self.moved.notify_all();
    }

    /// What the sender is to be asked for since the others do not bring it; nothing when nothing
    /// is missing, and an empty list after a moment's wait.
    pub(super) fn overdue(&self) -> Option<Vec<u64>> {
        let mut pool = lock(&self.pool);
        match pool.overdue(self.ring.has_hope(), self.ring.now()) {
            Overdue::Nothing => None,
            Overdue::Ask(groups) => Some(groups),
            Overdue::Wait(wait) => {
                let waited = self.moved.wait_timeout(pool, wait.min(LOOK_UP));
                drop(waited.unwrap_or_else(PoisonError::into_inner));
                Some(Vec::new())
            }
        }
    }
}

impl Attempt<'_> {
    /// Fetches from one other receiver after the other, until all is there.
    pub(super) fn be_helped(&self, help: &Help, slot: u32) {
        step_back();
        while !self.is_over(help) {
            let Some(other) = help.ring.choose(slot, LOOK_UP) else {
                continue;
            };
            let loss = match self.fetch_from(help, slot, &other) {
                Ok(()) => return,
                Err(HelpError::NotYet) => Loss::NotYet,
                Err(error) => {
                    tracing::debug!(peer = ?other.peer, %error, "a receiver helps no longer");
                    Loss::Useless
                }
            };
            lock(&help.streams).remove(&slot);
            help.ring.lost(&other.peer, loss);
        }
    }

    fn is_over(&self, help: &Help) -> bool {
        help.over.load(Ordering::Relaxed) || self.stopped.load(Ordering::Relaxed)
    }

    fn fetch_from(&self, help: &Help, slot: u32, other: &Introduced) -> Result<(), HelpError> {
        let Some(mut link) = self.connect(help, other)? else {
            return Ok(());
        };
        lock(&help.streams).insert(slot, link.stream().map_err(LinkError::from)?);
        // Whoever ended it before now has not seen this one.
        if self.is_over(help) {
            return Ok(());
        }
        link.bear_silence(SILENCE_MAX)?;
        link.send(&Message::Open(Open {
            content: self.order.offer.content,
            serving: false,
            have: None,
            revision: None,
        }))?;
        link.flush()?;
        match link.receive() {
            Ok(Message::Opened(opened)) if opened.revision == self.manifest.revision() => {}
            Ok(Message::Opened(_)) => return Err(HelpError::Lied),
            Ok(Message::Refused(_)) | Err(_) => return Err(HelpError::NotYet),
            Ok(_) => return Err(LinkError::Unexpected("no answer to the first question").into()),
        }
        let mut owed = VecDeque::new();
        let fetched = self.fetch_what_it_has(help, &mut link, &mut owed);
        let mut pool = lock(&help.pool);
        for owed in owed {
            if let Owed::Group(group, _) = owed {
                pool.handle_refused(group);
            }
        }
        if self.is_over(help) { Ok(()) } else { fetched }
    }

    /// Nothing when it is no longer needed.
    fn connect(&self, help: &Help, other: &Introduced) -> Result<Option<Link>, HelpError> {
        let (reached_in, reached) = mpsc::channel();
        let (handshaker, other) = (help.handshaker.clone(), other.clone());
        let task = help.runtime.spawn(async move {
            let Introduced {
                peer,
                addresses,
                suite,
            } = other;
            // Whoever asked may have gone.
            let _ = reached_in.send(dial_all(&handshaker, peer, addresses, suite, 0).await);
        });
        loop {
            match reached.recv_timeout(LOOK_UP) {
                Ok(Ok(dialled)) => {
                    let first = dialled.into_iter().next();
                    let (stream, established) =
                        first.ok_or(LinkError::Unexpected("no connection"))?;
                    let link = Link::new(stream, established).map_err(LinkError::from)?;
                    return Ok(Some(link));
                }
                Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(LinkError::Unexpected("no connection").into());
                }
                Err(mpsc::RecvTimeoutError::Timeout) if self.is_over(help) => {
                    task.abort();
                    return Ok(None);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn fetch_what_it_has(
        &self,
        help: &Help,
        link: &mut Link,
        owed: &mut VecDeque<Owed>,
    ) -> Result<(), HelpError> {
        let mut buffer = vec![0; GROUP_BUFFER_BYTES];
        let mut open: Option<(u32, File)> = None;
        let mut has = GroupSet::new(self.manifest.groups());
        let (mut follows, mut since_news) = (false, NEWS_AFTER);
        while !self.is_over(help) {
            let mut idle = false;
            while owed.len() < AHEAD_GROUPS {
                let claimed = lock(&help.pool).claim(&has, help.ring.now());
                let Some((first, hash)) = claimed else {
                    idle = true;
                    break;
                };
                link.send(&Message::Want(Want { first, count: 1 }, Ask::You))?;
                owed.push_back(Owed::Group(first, hash));
            }
            if !follows && (idle || since_news >= NEWS_AFTER) {
                link.send(&Message::Follow)?;
                owed.push_back(Owed::News);
                (follows, since_news) = (true, 0);
            }
            link.flush()?;
            let answer = link.receive()?;
            match (owed.front(), answer) {
                (Some(Owed::News), Message::Have(runs)) => {
                    follows = false;
                    let told: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
                    if told > self.manifest.groups() {
                        return Err(HelpError::Lied);
                    }
                    let nothing_new = runs.is_empty();
                    runs.into_iter().for_each(|run| has.insert(run));
                    owed.pop_front();
                    if nothing_new && owed.is_empty() {
                        self.wait_for_news(help, &has);
                    }
                }
                (Some(Owed::Group(expected, hash)), Message::Group { group, bytes })
                    if *expected == group =>
                {
                    let (group, hash) = (group, *hash);
                    self.take_help(help, link, group, bytes, &hash, &mut buffer, &mut open)?;
                    owed.pop_front();
                    since_news += 1;
                }
                (Some(Owed::Group(expected, _)), Message::Gone(group)) if *expected == group => {
                    has.set(group, false);
                    lock(&help.pool).handle_refused(group);
                    help.moved.notify_all();
                    owed.pop_front();
                }
                _ => return Err(LinkError::Unexpected("what was not asked for").into()),
            }
        }
        Ok(())
    }

    /// Waits a moment, or until there is something to ask for.
    fn wait_for_news(&self, help: &Help, has: &GroupSet) {
        let pool = lock(&help.pool);
        let idle = |pool: &mut Pool| !pool.may_claim(has) && !self.is_over(help);
        let waited = help.moved.wait_timeout_while(pool, NEWS_EVERY, idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    #[expect(clippy::too_many_arguments, reason = "buffers that are used again")]
    fn take_help(
        &self,
        help: &Help,
        link: &mut Link,
        group: u64,
        said: u32,
        expected: &[u8; CHAIN_BYTES],
        buffer: &mut [u8],
        open: &mut Option<(u32, File)>,
    ) -> Result<(), HelpError> {
        let piece = self.manifest.piece(group).ok_or(FetchError::Lied)?;
        if said != piece.bytes {
            return Err(HelpError::Lied);
        }
        let bytes = piece.bytes as usize;
        link.receive_bytes(buffer, bytes + CHAIN_BYTES)?;
        if self.manifest.hash_of(piece, &buffer[..bytes]) != *expected {
            return Err(HelpError::Lied);
        }
        if !self.plan().has(group) {
            let file = self.file(piece, open).map_err(super::fetch::disk)?;
            file.write_all_at(&buffer[..bytes], piece.offset)
                .map_err(super::fetch::disk)?;
            give_way(bytes);
            self.note(group, expected)?;
        }
        help.handle_have(group);
        Ok(())
    }
}
