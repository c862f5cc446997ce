//! The commands, one function each.

mod about;
mod autostart;
mod calls;
mod devices;
mod docs;
mod doctor;
mod echo;
mod files;
mod history;
mod open;
mod passphrase;
mod peers;
mod send;
mod settings;
mod start;
mod tokens;
mod trust;
mod tui;
mod up;
mod watch;

use crate::args::{Command, CommandLine};
use crate::failure::{Failure, Result};
use crate::out::Out;
use crate::show::{Layout, Names};
use crate::{safe, text};
use hallway_api::Client;
use hallway_model::PeerView;
use hallway_node::home::Home;
use jiff::tz::TimeZone;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// What every command has at hand.
pub(crate) struct Context<'a> {
    out: &'a Out,
    home: Option<PathBuf>,
    unseen: Option<&'static str>,
}

/// Runs the command of this line.
pub(crate) async fn run(line: CommandLine, out: &Out) -> Result {
    let cx = Context {
        out,
        unseen: unseen(&line),
        home: line.home,
    };
    let runs_node = matches!(line.command, Some(Command::Up(_)));
    let done = run_command(&cx, line.command).await;
    match &done {
        // At login that is no surprise: it goes on when nobody is logged in.
        Err(failure) if runs_node && failure.runs_already() => {}
        Err(failure) => cx.tell_desktop(&failure.what().unwrap_or_default()),
        Ok(()) => {}
    }
    done
}

/// With what title the desktop is told what is wrong: whoever starts this by its icon, or has it
/// started at login, sees nothing of what is printed.
fn unseen(line: &CommandLine) -> Option<&'static str> {
    let printed = [
        io::stdin().is_terminal(),
        io::stdout().is_terminal(),
        io::stderr().is_terminal(),
    ];
    if line.json || printed.contains(&true) {
        return None;
    }
    match &line.command {
        None | Some(Command::Up(_)) => Some(text::desktop().not_started),
        Some(Command::Open { print: false, .. }) => Some(text::desktop().not_opened),
        Some(_) => None,
    }
}

async fn run_command(cx: &Context<'_>, command: Option<Command>) -> Result {
    let Some(command) = command else {
        return start::start(cx).await;
    };
    match command {
        Command::Up(args) => up::up(cx, args).await,
        Command::Open { peer, print } => open::open(cx, peer.as_deref(), print).await,
        Command::Tui(args) => tui::tui(cx, &args).await,
        Command::Stop { timeout } => about::stop(cx, timeout).await,
        Command::Status => about::status(cx).await,
        Command::Id => about::id(cx).await,
        Command::Name { new } => about::name(cx, new).await,
        Command::SetStatus { status } => about::set_status(cx, status.into()).await,
        Command::Peers { watch } => cx.while_read(peers::peers(cx, watch)).await,
        Command::Connect { address } => peers::connect(cx, address).await,
        Command::Send(args) if !args.file.is_empty() => files::send(cx, &args).await,
        Command::Files { command } => files::files(cx, command).await,
        Command::Send(args) => send::send(cx, args).await,
        Command::Log(args) => history::log(cx, args).await,
        Command::Tail { since } => cx.while_read(history::tail(cx, since)).await,
        Command::Call(args) => calls::call(cx, args).await,
        Command::Answer { call } => calls::answer(cx, call.as_deref()).await,
        Command::HangUp { call } => calls::hang_up(cx, call.as_deref()).await,
        Command::Mute { switch, call } => calls::mute(cx, switch, call.as_deref()).await,
        Command::Hold { switch, call } => calls::hold(cx, switch, call.as_deref()).await,
        Command::Talk { call } => calls::talk(cx, call.as_deref()).await,
        Command::Calls { limit } => calls::calls(cx, limit).await,
        Command::Verify {
            peer,
            keep_name: true,
            ..
        } => trust::keep_name(cx, &peer).await,
        Command::Verify { peer, number, .. } => trust::verify(cx, &peer, &number).await,
        Command::Block { peer } => trust::block(cx, &peer).await,
        Command::Unblock { peer } => trust::unblock(cx, &peer).await,
        Command::Forget { peer, yes } => trust::forget(cx, &peer, yes).await,
        Command::Requests { decision } => trust::requests(cx, decision).await,
        Command::Devices(args) => devices::devices(cx, args).await,
        Command::Settings(args) => settings::settings(cx, args).await,
        Command::Notify { peer, switch } => settings::notify(cx, &peer, switch).await,
        Command::Doctor { peer } => doctor::doctor(cx, peer).await,
        Command::Echo(args) => echo::echo(cx, args).await,
        Command::Tokens { command } => tokens::tokens(cx, command).await,
        Command::Autostart { switch } => autostart::autostart(cx, switch),
        Command::Export => history::export(cx).await,
        Command::Completions { shell } => docs::completions(cx, shell),
        Command::Man { dir } => docs::man(cx, dir),
    }
}

impl Context<'_> {
    fn home(&self) -> Result<Home> {
        Home::locate(self.home.as_deref()).map_err(|error| Failure::Other(error.into()))
    }

    fn client(&self) -> Result<Client> {
        let socket = self
            .home()?
            .socket()
            .map_err(|error| Failure::Other(error.into()))?;
        Ok(Client::new(socket))
    }

    fn layout<'a>(&'a self, names: &'a Names, mixed: bool) -> Layout<'a> {
        Layout {
            out: self.out,
            names,
            zone: TimeZone::system(),
            ids: false,
            mixed,
            transfers: &[],
        }
    }

    /// Ends what would go on without end once nobody reads it any more.
    async fn while_read(&self, stream: impl Future<Output = Result>) -> Result {
        tokio::select! {
            done = stream => done,
            () = self.out.abandoned() => Ok(()),
        }
    }

    /// Says what is wrong where somebody sees it who sees nothing else of this program.
    fn tell_desktop(&self, what: &str) {
        #[cfg(target_os = "linux")]
        if let Some(title) = self.unseen {
            crate::desktop::tell(title, &safe::one_line(what));
        }
    }

    fn at_a_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Asks the person at the terminal; anything but a yes is a no.
    fn confirm(&self, question: &str) -> Result<bool> {
        let mut stderr = io::stderr().lock();
        stderr.write_all(question.as_bytes())?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        let answer = answer.trim().to_lowercase();
        Ok(text::YES.contains(&answer.as_str()))
    }
}

/// Who is meant by the ids that this node shows.
async fn names(client: &Client) -> Result<Names> {
    let me = client.status().await?.id;
    Ok(Names::new(me, &client.peers().await?))
}

/// The reference that surely means this peer.
fn exactly(peer: &PeerView) -> String {
    peer.id.to_string()
}
