//! The app at a terminal: what happens goes in, what comes out is done, and the screen follows.

use crate::app::{App, Settings};
use crate::choices::Choices;
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
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Inputs of the node that wait for the app; when they are more, the node waits.
const WAITING_INPUTS: usize = 1024;
/// Inputs taken before the screen follows: a flood must not hold it up.
const INPUTS_AT_ONCE: usize = 256;
/// Terminals of these kinds print lines, and nothing else.
const DUMB: [&str; 3] = ["", "dumb", "unknown"];
/// While something on screen changes by itself.
const TICK: Duration = Duration::from_secs(1);
/// Else only the time of day does.
const SLOW_TICK: Duration = Duration::from_secs(10);

/// How the app shall be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take the mouse: wheel and clicks. Then selecting text needs Shift.
    pub mouse: bool,
    /// Its colours; else those that were chosen before, or fit the terminal.
    pub theme: Option<Theme>,
    /// Its language; else that which was chosen before, or that of the environment.
    pub language: Option<Language>,
    /// Where what is chosen is kept.
    pub choices: PathBuf,
    /// Nobody has used this node before: the app asks for the name.
    pub welcome: bool,
}

/// Why the app could not run, or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// It was started where nobody can see it.
    #[error("the terminal app needs a terminal; `hallway log` and `hallway send` do not")]
    NoTerminal,
    /// It cannot move a cursor.
    #[error(
        "the terminal app cannot draw on this terminal (TERM is {0:?}); if it can do more, say so, \
         as with TERM=xterm-256color; `hallway log` and `hallway send` work here"
    )]
    Dumb(String),
    /// The terminal does not do what it should, or is gone.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}

/// Runs the app until its person leaves, or the terminal is gone.
pub async fn run(client: Client, options: Options) -> Result<(), TuiError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    let kind = env::var("TERM").unwrap_or_default();
    if DUMB.contains(&kind.as_str()) {
        return Err(TuiError::Dumb(kind));
    }
    let choices = Choices::read(&options.choices);
    let theme = options.theme.or(choices.theme);
    let language = options.language.or(choices.language);
    let mut signals = Signals::new()?;
    let mut screen = Screen::open(options.mouse)?;
    let size = screen.terminal.size()?;
    let mut app = App::new(Settings {
        language: language.unwrap_or_else(Language::of_environment),
        theme: theme.unwrap_or_else(Theme::of_environment),
        zone: TimeZone::system(),
        size: (size.width, size.height),
        true_colour: has_true_colour(),
        choices,
        welcome: options.welcome,
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
            told = signals.any() => match told {
                Told::End => return Ok(()),
                Told::Stop => {
                    screen.suspend()?;
                    None
                }
                Told::Continue => {
                    screen.take_again()?;
                    None
                }
            },
        };
        for left in (0..INPUTS_AT_ONCE).rev() {
            let Some(input) = next.take() else { break };
            for effect in app.update(input, now()) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Redraw => screen.draw_all_again()?,
                    Effect::Suspend => screen.suspend()?,
                    // What cannot be kept holds until the end.
                    Effect::Keep(choices) => drop(choices.write(&options.choices)),
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

/// What signals tell a program.
enum Told {
    /// To end: somebody, or a terminal that was closed.
    End,
    /// To stop until it shall continue.
    Stop,
    /// It continues, perhaps after a stop that nothing could be done about.
    Continue,
}

struct Signals {
    ends: [Signal; 4],
    stop: Signal,
    proceed: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let of = |number: rustix::process::Signal| signal(SignalKind::from_raw(number.as_raw()));
        Ok(Self {
            ends: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::quit())?,
            ],
            stop: of(rustix::process::Signal::TSTP)?,
            proceed: of(rustix::process::Signal::CONT)?,
        })
    }

    async fn any(&mut self) -> Told {
        let [terminate, hang_up, interrupt, quit] = &mut self.ends;
        tokio::select! {
            _ = terminate.recv() => Told::End,
            _ = hang_up.recv() => Told::End,
            _ = interrupt.recv() => Told::End,
            _ = quit.recv() => Told::End,
            _ = self.stop.recv() => Told::Stop,
            _ = self.proceed.recv() => Told::Continue,
        }
    }
}
