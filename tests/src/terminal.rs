//! A terminal with somebody at it: a real tmux on a host, real keys, and what is on its screen.

use crate::host::PATIENCE;
use crate::lab::{LabError, Namespace, Process, mortal};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The Debian package.
const PACKAGE: &str = "tmux";
/// Its socket is looked for again after this time; nothing tells when it is there.
const START_LOOK: Duration = Duration::from_millis(20);
/// [`Terminal::until`] looks again after this time even when nothing was written: the end of a
/// program, for instance, is not.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What tests at terminals need besides a network.
pub fn installed() -> Result<(), LabError> {
    let found = Command::new("tmux").arg("-V").output();
    found.map(drop).map_err(|_| LabError::Missing {
        program: "tmux".into(),
        packages: PACKAGE,
    })
}

/// Makes the `main` of a test program out of test functions that need terminals, some at a time.
#[macro_export]
macro_rules! terminal_tests {
    ($($test:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            let tests = [$((stringify!($test), $test as fn())),+];
            $crate::lab::main_with($crate::terminal::installed, 2, tests)
        }
    };
}

/// See the module. Its programs end with it.
#[derive(Debug)]
pub struct Terminal {
    server: Process,
    _watcher: Process,
    socket: PathBuf,
    /// A line for whatever happens on the screen.
    changes: Receiver<String>,
    _folder: TempDir,
}

impl Terminal {
    /// Starts a program at a terminal of this size, with the surroundings of the command.
    pub(crate) fn open(namespace: &Namespace, program: &Command, size: (u16, u16)) -> Self {
        let folder = TempDir::with_prefix("hallway-").expect("a place for temporary files");
        let socket = folder.path().join("tmux");
        let mut server = mortal("tmux");
        // In the foreground, so that it ends with us; without anybody's configuration.
        server
            .arg("-S")
            .arg(&socket)
            .args(["-f", "/dev/null", "-u", "-D"]);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => server.env(name, value),
                None => server.env_remove(name),
            };
        }
        server.env_remove("TMUX").stdin(Stdio::null());
        let server = Process::spawn(namespace, server).expect("setpriv starts");
        let end = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < end, "tmux does not start");
            thread::sleep(START_LOOK);
        }
        let (width, height) = (size.0.to_string(), size.1.to_string());
        let mut begin = Command::new("tmux");
        begin
            .arg("-S")
            .arg(&socket)
            .args(["set", "-g", "remain-on-exit", "on", ";"])
            .args(["new-session", "-d", "-x", &width, "-y", &height, "--"])
            .arg(program.get_program())
            .args(program.get_args())
            // Without a session, tmux 3.3 falls over this.
            .args([";", "set", "-g", "window-size", "manual"]);
        let begun = begin.output().expect("tmux starts");
        let said = String::from_utf8_lossy(&begun.stderr);
        assert!(begun.status.success(), "tmux: {said}");
        let (watcher, changes) = watch(namespace, &socket);
        Self {
            server,
            _watcher: watcher,
            socket,
            changes,
            _folder: folder,
        }
    }

    fn tmux<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let mut command = Command::new("tmux");
        let output = command.arg("-S").arg(&self.socket).args(args).output();
        let output = output.expect("tmux starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses keys by tmux's names, such as `C-k`, `M-a`, `F1`, `Enter`.
    pub fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a text.
    pub fn type_in(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        signal(&self.value("#{pane_pid}"), Signal::TERM);
    }

    /// Gives the terminal another size.
    pub fn resize(&self, width: u16, height: u16) {
        let (width, height) = (width.to_string(), height.to_string());
        self.tmux(&["resize-window", "-x", &width, "-y", &height]);
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// A value of tmux's formats, such as `#{cursor_x}`.
    pub fn value(&self, format: &str) -> String {
        self.tmux(&["display-message", "-p", format])
            .trim()
            .to_owned()
    }

    /// Waits until there is on the screen what is looked for.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if let Some(found) = look(&screen) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain: {what}\n{screen}");
            // Either way there is something to look at again.
            let _ = self.changes.recv_timeout(left.min(LOOK_AGAIN));
            // One look is enough for all that has changed meanwhile.
            while self.changes.try_recv().is_ok() {}
        }
    }

    /// Waits for the end of the program, and returns its exit code or the signal that ended it.
    #[track_caller]
    pub fn until_ended(&self) -> String {
        self.until("its end", |_| {
            // tmux 3.3 does not always hear that a program has ended, and leaves a zombie.
            signal(&self.server.pid().to_string(), Signal::CHILD);
            let how = self.value("#{pane_dead_status}#{pane_dead_signal}");
            (!how.is_empty()).then_some(how)
        })
    }

    /// Waits until this text is on the screen, and returns all of it.
    #[track_caller]
    pub fn until_shows(&self, text: &str) -> String {
        self.until(text, |screen| {
            screen.contains(text).then(|| screen.to_owned())
        })
    }
}

#[track_caller]
fn signal(pid: &str, signal: Signal) {
    let pid = pid.parse().ok().and_then(Pid::from_raw);
    let pid = pid.expect("there is a process");
    kill_process(pid, signal).expect("it runs");
}

/// Listens to all that is written to the terminal.
fn watch(namespace: &Namespace, socket: &PathBuf) -> (Process, Receiver<String>) {
    let mut watcher = mortal("tmux");
    watcher.arg("-S").arg(socket).args(["-C", "attach"]);
    watcher.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut watcher = Process::spawn(namespace, watcher).expect("setpriv starts");
    let stdout = watcher.take_stdout().expect("it was asked for");
    let (sender, changes) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (watcher, changes)
}
