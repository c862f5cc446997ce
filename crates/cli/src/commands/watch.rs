//! Staying with transfers until they are over.

use super::{Context, names};
use crate::failure::{Failure, Result};
use crate::progress::Board;
use crate::show::Names;
use crate::text;
use anyhow::anyhow;
use hallway_api::{Client, Lines};
use hallway_model::{Event, EventKind, TransferState, TransferView};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is left to stay for.
struct Watch<'a> {
    cx: &'a Context<'a>,
    client: &'a Client,
    names: Names,
    board: Board<'a>,
    /// Only these, or every one there is and comes.
    only: bool,
    waiting: BTreeMap<String, TransferView>,
    over: Vec<TransferView>,
    interrupt: Signal,
}

/// How staying ended.
enum End {
    AllOver,
    Interrupted,
    TimedOut,
}

/// `hallway files watch [ID…]`
pub(super) async fn watch(cx: &Context<'_>, ids: &[String]) -> Result {
    let client = cx.client()?;
    // Listen before looking, so that nothing falls between the two.
    let mut events = client.events(None).await?;
    let all = client.files().await?;
    let mut wanted = Vec::new();
    for id in ids {
        wanted.push(pick(&all, id)?.clone());
    }
    if ids.is_empty() {
        wanted = all.into_iter().filter(|t| !t.state.is_over()).collect();
        cx.out.note(text::WATCHING);
    }
    let mut watch = Watch::new(cx, &client, !ids.is_empty()).await?;
    for transfer in &wanted {
        watch.handle(transfer)?;
    }
    match watch.run(&mut events, None).await? {
        End::AllOver => watch.outcome(),
        End::Interrupted | End::TimedOut => {
            watch.say_what_goes_on();
            Ok(())
        }
    }
}

/// Stays until these, which were just offered, are over.
pub(super) async fn wait(
    cx: &Context<'_>,
    client: &Client,
    events: &mut Lines<Event>,
    offered: &[TransferView],
    timeout: Option<Duration>,
) -> Result {
    let mut watch = Watch::new(cx, client, true).await?;
    for transfer in offered {
        watch.handle(transfer)?;
    }
    match watch.run(events, timeout).await? {
        End::AllOver => watch.outcome(),
        End::Interrupted => {
            watch.say_what_goes_on();
            Err(Failure::NotDelivered(text::NOT_AWAITED.into()))
        }
        End::TimedOut => Err(Failure::TimedOut(text::FILES_TIMED_OUT.into())),
    }
}

impl<'a> Watch<'a> {
    async fn new(cx: &'a Context<'a>, client: &'a Client, only: bool) -> Result<Self> {
        Ok(Self {
            cx,
            client,
            names: names(client).await?,
            board: Board::new(cx.out),
            only,
            waiting: BTreeMap::new(),
            over: Vec::new(),
            // Before anything is shown: whoever sees it may press Ctrl-C.
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// A transfer is now so.
    fn handle(&mut self, transfer: &TransferView) -> Result {
        let name = self.names.of(&transfer.peer);
        self.board.show(&name, transfer)?;
        if transfer.state.is_over() {
            self.waiting.remove(&transfer.id);
            self.over.push(transfer.clone());
        } else {
            self.waiting.insert(transfer.id.clone(), transfer.clone());
        }
        Ok(())
    }

    fn is_ours(&self, transfer: &TransferView) -> bool {
        !self.only || self.waiting.contains_key(&transfer.id)
    }

    async fn run(&mut self, events: &mut Lines<Event>, timeout: Option<Duration>) -> Result<End> {
        let patience = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(patience);
        while !self.only || !self.waiting.is_empty() {
            let event = tokio::select! {
                event = events.next() => event,
                _ = self.interrupt.recv() => return Ok(End::Interrupted),
                () = &mut patience => return Ok(End::TimedOut),
            };
            let Some(event) = event else {
                return Err(Failure::Other(anyhow!(text::STOPPED)));
            };
            match event?.kind {
                EventKind::Transfer { transfer } if self.is_ours(&transfer) => {
                    self.handle(&transfer)?;
                }
                EventKind::Peer { peer } | EventKind::Request { peer } => self.names.learn(&peer),
                EventKind::Notice { code, .. } if code == "lagged" => self.catch_up().await?,
                EventKind::Message { .. }
                | EventKind::Transfer { .. }
                | EventKind::State { .. }
                | EventKind::ReadUpTo { .. }
                | EventKind::PeerGone { .. }
                | EventKind::Typing { .. }
                | EventKind::NameCollision { .. }
                | EventKind::Call { .. }
                | EventKind::CallLevels { .. }
                | EventKind::Notice { .. } => {}
            }
        }
        Ok(End::AllOver)
    }

    /// The end of one may be among what was not told.
    async fn catch_up(&mut self) -> Result {
        for transfer in self.client.files().await? {
            if self.waiting.contains_key(&transfer.id) {
                self.handle(&transfer)?;
            }
        }
        Ok(())
    }

    /// The worst of what became of them.
    fn outcome(&self) -> Result {
        let failed = |wanted: &[TransferState]| {
            let mut found = self.over.iter().filter(|t| wanted.contains(&t.state));
            found.next().map(|transfer| {
                let name = self.names.of(&transfer.peer);
                text::transfer(&name, transfer)
            })
        };
        if let Some(why) = failed(&[TransferState::Failed, TransferState::CancelledByUs]) {
            return Err(Failure::Other(anyhow!(why)));
        }
        match failed(&[TransferState::Declined, TransferState::CancelledByThem]) {
            Some(why) => Err(Failure::Declined(why)),
            None => Ok(()),
        }
    }

    fn say_what_goes_on(&self) {
        for transfer in self.waiting.values() {
            self.cx.out.note(&text::goes_on(transfer));
        }
    }
}

/// The one transfer whose id begins so.
pub(super) fn pick<'a>(all: &'a [TransferView], prefix: &str) -> Result<&'a TransferView> {
    let prefix = prefix.to_lowercase();
    let mut meant = all
        .iter()
        .filter(|transfer| !prefix.is_empty() && transfer.id.starts_with(&prefix));
    match (meant.next(), meant.next()) {
        (Some(transfer), None) => Ok(transfer),
        (None, _) => Err(Failure::Other(anyhow!(text::no_transfer(&prefix)))),
        (Some(_), Some(_)) => Err(Failure::Other(anyhow!(text::many_transfers(&prefix)))),
    }
}
