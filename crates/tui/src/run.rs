//! The app at a terminal: what happens goes in, what comes out is done, and the screen follows.

use crate::app::{App, Settings};
use crate::io::{Effect, Input};
use crate::node::Node;
use crate::screen::Screen;
use crate::theme::Theme;
use crate::view::view;
use crate::words::Language;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use hallway_api::Client;
use hallway_model::WallTime;
use jiff::tz::TimeZone;
use std::env;
use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Inputs of the node that wait for the app; when they are more, the node waits.
const WAITING_INPUTS: usize = 1024;
/// Inputs taken before the screen follows: a flood must not hold it up.
const INPUTS_AT_ONCE: usize = 256;
/// While something on screen changes by itself.
const TICK: Duration = Duration::from_secs(1);
/// Else only the time of day does.
const SLOW_TICK: Duration = Duration::from_secs(10);

/// How the app shall be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take the mouse: wheel and clicks. Then selecting text needs Shift.
    pub mouse: bool,
    /// Its colours.
    pub theme: Theme,
    /// Its language.
    pub language: Language,
}

/// Why the app could not run, or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// It was started where nobody can see it.
    #[error("the terminal app needs a terminal; `hallway log` and `hallway send` do not")]
    NoTerminal,
    /// The terminal does not do what it should, or is gone.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}

/// Runs the app until its person leaves, or the terminal is gone.
pub async fn run(client: Client, options: Options) -> Result<(), TuiError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    let mut endings = Endings::new()?;
    let mut screen = Screen::open(options.mouse)?;
    let size = screen.terminal.size()?;
    let mut app = App::new(Settings {
        language: options.language,
        theme: options.theme,
        zone: TimeZone::system(),
        size: (size.width, size.height),
        true_colour: has_true_colour(),
    });
    let (sender, mut inputs) = mpsc::channel(WAITING_INPUTS);
    let mut node = Node::new(client, sender)?;
    let mut keys = keys();
    loop {
        fit(&mut app, &screen)?;
        screen.terminal.draw(|frame| view(&app, frame))?;
        let pause = if app.is_moving() { TICK } else { SLOW_TICK };
        let mut next = tokio::select! {
            key = keys.recv() => Some(Input::Terminal(key.ok_or(closed())??)),
            input = inputs.recv() => input,
            () = tokio::time::sleep(pause) => Some(Input::Tick),
            () = endings.any() => return Ok(()),
        };
        for left in (0..INPUTS_AT_ONCE).rev() {
            let Some(input) = next.take() else { break };
            for effect in app.update(input, now()) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Redraw => screen.terminal.clear()?,
                    Effect::Suspend => screen.suspend()?,
                    Effect::Bell => screen.bell()?,
                    Effect::Copy(text) => screen.copy(&text)?,
                    other @ (Effect::Ask(_)
                    | Effect::Read(..)
                    | Effect::Newest(_)
                    | Effect::LookUp(_)
                    | Effect::Search { .. }
                    | Effect::Picture(_)
                    | Effect::List(_)) => node.handle(other),
                }
            }
            if left > 0 {
                next = match keys.try_recv() {
                    Ok(key) => Some(Input::Terminal(key?)),
                    Err(_) => inputs.try_recv().ok(),
                };
            }
        }
    }
}

/// What is typed, in a channel of its own, so that a flood from the node does not hold it up.
fn keys() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, keys) = mpsc::channel(WAITING_INPUTS);
    tokio::spawn(async move {
        let mut events = EventStream::new();
        while let Some(event) = events.next().await {
            if sender.send(event).await.is_err() {
                return;
            }
        }
    });
    keys
}

/// What terminals tell by convention; those that tell nothing have 256 colours.
fn has_true_colour() -> bool {
    let told = env::var_os("COLORTERM");
    told.is_some_and(|told| told == "truecolor" || told == "24bit")
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

/// The size may have changed without an event: after a suspension, for instance.
fn fit(app: &mut App, screen: &Screen) -> io::Result<()> {
    let size = screen.terminal.size()?;
    app.resize(size.width, size.height);
    Ok(())
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let milliseconds = since.unwrap_or_default().as_millis();
    WallTime(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

/// What asks programs to end: somebody, or a terminal that was closed.
struct Endings(Signal, Signal);

impl Endings {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self(terminate, signal(SignalKind::hangup())?))
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}
