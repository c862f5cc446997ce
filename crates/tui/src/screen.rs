//! The terminal while the app has it. However the app ends, the shell gets it back as it was.

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::execute;
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use std::io::{self, Stdout, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

/// We have the terminal: it has to be given back, once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// See the module.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Screen {
    pub(crate) fn open(mouse: bool) -> io::Result<Self> {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back();
            report(what);
        }));
        let taken = take(mouse).and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match taken {
            Ok(terminal) => Ok(Self { terminal, mouse }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    pub(crate) fn bell(&mut self) -> io::Result<()> {
        execute!(stdout(), Print('\x07'))
    }

    /// Goes to the background until the shell brings us back. Where there is no shell, nobody
    /// could.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        if getsid(None)? == getpgrp() {
            return Ok(());
        }
        give_back();
        // All that the shell started with us stops with us.
        kill_current_process_group(Signal::STOP)?;
        self.take_again()
    }

    /// The terminal may have been anybody's meanwhile.
    pub(crate) fn take_again(&mut self) -> io::Result<()> {
        // Only what was given back is taken anew.
        give_back();
        take(self.mouse)?;
        self.draw_all_again()
    }

    /// Leaves nothing of what was drawn, so that the next picture is drawn whole. Terminal::clear
    /// would ask for the cursor's place, and who reads the keys takes the answer.
    pub(crate) fn draw_all_again(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(
        stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange,
        // Some terminals then tell when a key is let go, and the others nothing.
        PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::REPORT_EVENT_TYPES)
    )?;
    if mouse {
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Nobody is left to tell when the terminal is gone.
    let _ = execute!(
        stdout(),
        PopKeyboardEnhancementFlags,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
    use std::env;
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::process::Command;

    /// Set in the process that this test starts at a terminal of its own: itself.
    const AT_TERMINAL: &str = "HALLWAY_TEST_AT_TERMINAL";
    const USUAL: Winsize = Winsize {
        ws_col: 80,
        ws_row: 24,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_says_why() {
        if env::var_os(AT_TERMINAL).is_some() {
            // Only the hook is left to give it back.
            std::mem::forget(Screen::open(true).unwrap());
            panic!("the reason");
        }
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        tcsetwinsize(&terminal, USUAL).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let name = Path::new(OsStr::from_bytes(name.as_bytes()));
        let other_end = File::options().read(true).write(true).open(name).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--nocapture", "--exact"])
            .arg("screen::tests::a_panic_gives_the_terminal_back_before_it_says_why")
            .env(AT_TERMINAL, "1")
            .stdin(other_end.try_clone().unwrap())
            .stdout(other_end.try_clone().unwrap())
            .stderr(other_end);
        let mut child = command.spawn().unwrap();
        // Only the child may hold the other end: then its end is the end of what there is to read.
        drop(command);
        let (mut terminal, mut said) = (File::from(terminal), Vec::new());
        let mut bytes = [0; 1024];
        while let Ok(count) = terminal.read(&mut bytes) {
            said.extend_from_slice(&bytes[..count]);
        }
        assert!(!child.wait().unwrap().success(), "it panicked");
        let said = String::from_utf8_lossy(&said);
        let at = |what: &str| {
            said.find(what)
                .unwrap_or_else(|| panic!("no {what:?}: {said}"))
        };
        // Another screen, the mouse, pastes in brackets: on, then off, then the reason.
        for mode in ["1049", "1000", "2004"] {
            let (on, off) = (at(&format!("\x1b[?{mode}h")), at(&format!("\x1b[?{mode}l")));
            assert!(on < off && off < at("the reason"), "{mode}: {said}");
        }
        let modes = tcgetattr(&terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    }
}
