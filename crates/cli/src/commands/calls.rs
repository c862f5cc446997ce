//! Calls: to ring somebody and stay until it is over, and to deal with calls that are there.

use super::{Context, exactly, names};
use crate::args::{CallArgs, Switch};
use crate::failure::{Failure, Result};
use crate::{show, text};
use hallway_api::{Client, Lines};
use hallway_model::{CallEnd, CallState, CallView, Event, EventKind, PeerView};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A person looks at the clock of a call.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn call(cx: &Context<'_>, args: CallArgs) -> Result {
    let client = cx.client()?;
    let peer = client.peer(&args.peer).await?;
    // Listen before ringing, so that nothing falls between the two.
    let mut events = client.events(None).await?;
    let begun = client.call_peer(exactly(&peer)).await?;
    if args.detach {
        return said(cx, &show::label(&peer), &begun);
    }
    let name = show::label(&peer);
    let mut face = Face::new(cx, name);
    face.show(begun)?;
    follow(&client, &mut events, &peer, &mut face).await
}

/// Stays with the call until it is over. Ctrl-C hangs up.
async fn follow(
    client: &Client,
    events: &mut Lines<Event>,
    peer: &PeerView,
    face: &mut Face<'_>,
) -> Result {
    let mut tick = tokio::time::interval(TICK);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                // It may be over by now.
                let _ = client.hang_up(Some(&face.call_id())).await;
                continue;
            }
            _ = tick.tick() => {
                face.tick();
                continue;
            }
        };
        let Some(event) = event else {
            return Err(Failure::Other(anyhow::anyhow!(text::STOPPED)));
        };
        let event = event?;
        if let EventKind::Notice { code, .. } = &event.kind
            && code == "lagged"
        {
            // The end may be among what was not told.
            let calls = client.calls().await?;
            if !calls.iter().any(|call| call.peer == peer.id) {
                return Err(Failure::Other(anyhow::anyhow!(text::CALL_LOST_SIGHT)));
            }
        }
        if let EventKind::Call { call } = event.kind
            && call.peer == peer.id
        {
            face.show(*call)?;
            if let Some(end) = face.over() {
                return end;
            }
        }
    }
}

/// What is shown of a call: on a terminal one line that changes, otherwise a line for each change.
struct Face<'a> {
    cx: &'a Context<'a>,
    name: String,
    call: Option<(CallView, Instant)>,
    shown: String,
    live: bool,
}

impl<'a> Face<'a> {
    fn new(cx: &'a Context<'a>, name: String) -> Self {
        Self {
            cx,
            name,
            call: None,
            shown: String::new(),
            live: !cx.out.json && io::stderr().is_terminal(),
        }
    }

    fn call_id(&self) -> String {
        let call = self.call.as_ref();
        call.map(|(call, _)| call.id.to_string())
            .unwrap_or_default()
    }

    fn show(&mut self, call: CallView) -> Result {
        if self.cx.out.json {
            self.cx.out.value(&call)?;
        } else if !self.live {
            // The time goes on by itself and is no news.
            let mut timeless = call.clone();
            timeless.duration_ms = 0;
            timeless.stats = None;
            let key = text::call(&self.name, &timeless);
            if key != self.shown {
                self.cx.out.note(&text::call(&self.name, &call));
                self.shown = key;
            }
        }
        self.call = Some((call, Instant::now()));
        self.tick();
        Ok(())
    }

    /// Draws the line of a terminal anew.
    fn tick(&self) {
        let Some((call, at)) = self.call.as_ref().filter(|_| self.live) else {
            return;
        };
        let mut now = call.clone();
        if now.state == CallState::Active {
            let passed = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            now.duration_ms = now.duration_ms.saturating_add(passed);
        }
        let line = crate::safe::one_line(&text::call(&self.name, &now));
        let end = match now.state {
            CallState::Ended => "\n",
            CallState::Dialling | CallState::Ringing | CallState::Active => "",
        };
        let mut stderr = io::stderr().lock();
        // Nobody is left to see it when stderr is closed.
        let _ = write!(stderr, "\r\x1b[2K{line}{end}");
        let _ = stderr.flush();
    }

    /// How the command ends, once the call has.
    fn over(&self) -> Option<Result> {
        let (call, _) = self.call.as_ref()?;
        let why = || text::call(&self.name, call);
        Some(match call.end? {
            CallEnd::HungUp => Ok(()),
            // The other ring goes on as the same call.
            CallEnd::Merged => return None,
            CallEnd::Declined | CallEnd::Busy | CallEnd::Refused => Err(Failure::Declined(why())),
            CallEnd::NotHere => Err(Failure::NotDelivered(why())),
            CallEnd::Unanswered | CallEnd::Cancelled => Err(Failure::TimedOut(why())),
            CallEnd::Lost | CallEnd::Failed | CallEnd::Stopped => {
                Err(Failure::Other(anyhow::anyhow!(why())))
            }
        })
    }
}

pub(super) async fn answer(cx: &Context<'_>, call: Option<&str>) -> Result {
    let client = cx.client()?;
    let call = client.answer(call).await?;
    changed(cx, &client, &call).await
}

pub(super) async fn hang_up(cx: &Context<'_>, call: Option<&str>) -> Result {
    let client = cx.client()?;
    let call = client.hang_up(call).await?;
    changed(cx, &client, &call).await
}

pub(super) async fn mute(cx: &Context<'_>, switch: Switch, call: Option<&str>) -> Result {
    let client = cx.client()?;
    let call = client.mute(call, switch.is_on()).await?;
    changed(cx, &client, &call).await
}

pub(super) async fn hold(cx: &Context<'_>, switch: Switch, call: Option<&str>) -> Result {
    let client = cx.client()?;
    let call = client.hold(call, switch.is_on()).await?;
    changed(cx, &client, &call).await
}

/// Lets the microphone through until Ctrl-C, and then no longer.
pub(super) async fn talk(cx: &Context<'_>, call: Option<&str>) -> Result {
    let client = cx.client()?;
    let talking = client.push_to_talk(call, true).await?;
    changed(cx, &client, &talking).await?;
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = ended.recv() => {}
    }
    let call = client
        .push_to_talk(Some(&talking.id.to_string()), false)
        .await?;
    changed(cx, &client, &call).await
}

pub(super) async fn calls(cx: &Context<'_>, limit: Option<usize>) -> Result {
    let client = cx.client()?;
    let running = client.calls().await?;
    let past = client.call_history(limit).await?;
    if cx.out.json {
        cx.out.values(&running)?;
        return Ok(cx.out.values(&past)?);
    }
    if running.is_empty() && past.is_empty() {
        cx.out.note(text::NO_CALLS);
        return Ok(());
    }
    let names = names(&client).await?;
    if !past.is_empty() {
        cx.out.text(&cx.layout(&names, true).log(&past))?;
    }
    for call in &running {
        cx.out.text(&text::call(&names.of(&call.peer), call))?;
    }
    Ok(())
}

async fn changed(cx: &Context<'_>, client: &Client, call: &CallView) -> Result {
    let peer = client.peer(&call.peer.to_string()).await?;
    said(cx, &show::label(&peer), call)
}

fn said(cx: &Context<'_>, name: &str, call: &CallView) -> Result {
    cx.out.note(&text::call(name, call));
    if cx.out.json {
        cx.out.value(call)?;
    }
    Ok(())
}
