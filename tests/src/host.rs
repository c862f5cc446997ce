//! The real program on a host of a [`Lan`].

use crate::lab::{Lan, Namespace, Process, mortal};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{env, thread};
use tempfile::TempDir;

/// Far more than a start or a stop ever takes, so that only a node that hangs is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// [`Host::until`] looks again after this time even when nothing happened: what changed while
/// its event stream was being opened would be missed otherwise.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The file descriptors a desktop session gives a program; the tests themselves may have more.
const NODE_FILES: &str = "--nofile=1024:";
const LOG: &str = "node.log";
/// Enough to see what a node did before its test failed.
const LOG_LEVEL: &str = "info";

/// A node: the program, its data directory and its log. Dropping it kills the program, and
/// prints the log when the test fails.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    plan: Plan,
    home: TempDir,
    running: Option<Running>,
}

/// What a [`Host`] shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    ready: Value,
}

impl Plan {
    /// A node whose person has this name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            program: program(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Adds an argument to `hallway up`.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable for every run of the program.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self, lan: &Lan, host: usize) -> Host {
        let mut host = self.prepare(lan, host);
        host.up();
        host
    }

    /// Only makes the data directory, for tests that put something there first.
    pub fn prepare(self, lan: &Lan, host: usize) -> Host {
        Host {
            namespace: lan.namespace(host),
            plan: self,
            home: TempDir::with_prefix("hallway-").expect("a place for temporary files"),
            running: None,
        }
    }
}

impl Host {
    /// Starts a node on a host of the LAN and waits until it is ready.
    pub fn start(lan: &Lan, host: usize, name: &str) -> Self {
        Plan::new(name).start(lan, host)
    }

    /// Its data directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home().join(LOG)).unwrap_or_default()
    }

    /// The id of its person.
    #[track_caller]
    pub fn id(&self) -> &str {
        let id = self.running().ready["id"].as_str();
        id.expect("the ready line has an id")
    }

    /// Its TCP and UDP port.
    #[track_caller]
    pub fn port(&self) -> u16 {
        let port = self.running().ready["port"].as_u64();
        let port = port.and_then(|port| u16::try_from(port).ok());
        port.expect("the ready line has a port")
    }

    /// Its process id.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.running().process.pid()
    }

    /// Starts the program (again) and waits until it is ready.
    #[track_caller]
    pub fn up(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.plan.name);
        // The name is given once: what a person changes later has to last.
        let first = !self.home().join(LOG).exists();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home().join(LOG))
            .expect("the log can be written");
        let mut command = self.command(&["up", "--json"]);
        if first {
            command.args(["--name", &self.plan.name]);
        }
        command
            .args(&self.plan.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().expect("a second handle of the log"));
        let mut process = Process::spawn(&self.namespace, command).expect("setpriv starts");
        let stdout = process.take_stdout().expect("it was asked for");
        let ready = ready_line(stdout, log)
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|e| panic!("{} is not ready: {e}\n{}", self.plan.name, self.log()));
        self.running = Some(Running { process, ready });
    }

    /// Ends the program without warning (SIGKILL).
    #[track_caller]
    pub fn kill(&mut self) {
        self.take().process.kill();
    }

    /// Asks the program to end (SIGTERM) and waits until it has.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut process = self.take().process;
        process.terminate();
        let ended = process.wait(PATIENCE);
        ended.unwrap_or_else(|| panic!("{} does not stop\n{}", self.plan.name, self.log()))
    }

    /// Stops it and starts it again on the same data.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.up();
    }

    /// Runs a command of the program and returns the JSON it printed, a value for each line.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> Vec<Value> {
        let output = self.cli_raw(args);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "hallway {} on {}: {}\n{stdout}{}",
            args.join(" "),
            self.plan.name,
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let parse = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|e| panic!("hallway {}: {e}: {line}", args.join(" ")))
        };
        stdout.lines().map(parse).collect()
    }

    /// Runs a command of the program to its end, whatever that is.
    #[track_caller]
    pub fn cli_raw(&self, args: &[&str]) -> Output {
        self.cli_input(args, "")
    }

    /// As [`Host::cli_raw`], with something to read on its standard input.
    #[track_caller]
    pub fn cli_input(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.namespace.spawn(command).expect("setpriv starts");
        let stdin = child.stdin.take();
        thread::scope(|scope| {
            // The program may end without having read all.
            scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input.as_bytes())));
            child.wait_with_output().expect("its output can be read")
        })
    }

    /// Follows the events of the node from now on.
    #[track_caller]
    pub fn tail(&self) -> Tail {
        self.tail_with(&[])
    }

    /// As [`Host::tail`] with more arguments, such as `--since`.
    #[track_caller]
    pub fn tail_with(&self, args: &[&str]) -> Tail {
        let mut command = self.command(&[&["tail", "--json"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn(&self.namespace, command).expect("setpriv starts");
        let stdout = process.take_stdout().expect("it was asked for");
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(io::Result::ok) {
                let event = serde_json::from_str(&line)
                    .unwrap_or_else(|e| panic!("hallway tail: {e}: {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Tail {
            _process: process,
            events,
            seen: Vec::new(),
        }
    }

    /// Looks after every event until there is what was looked for.
    #[track_caller]
    pub fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        let mut tail = self.tail();
        let end = Instant::now() + within;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{} waited {within:?} in vain: {what}. Events: {:#?}",
                self.plan.name,
                tail.seen
            );
            tail.next(left.min(LOOK_AGAIN));
        }
    }

    /// Waits until the peer of this id has this state, and returns its line of `hallway peers`.
    #[track_caller]
    pub fn until_peer(&self, id: &str, state: &str, within: Duration) -> Value {
        self.until(&format!("{id} is {state}"), within, |host| {
            let mut peers = host.cli(&["peers", "--json"]).into_iter();
            peers.find(|peer| peer["id"] == id && peer["state"] == state)
        })
    }

    /// Resident memory of the node in KiB.
    #[track_caller]
    pub fn rss_kib(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("/proc/PID/status tells VmRSS")
    }

    /// Processor time the node has used in milliseconds, in user mode and in the kernel. The
    /// kernel counts it in steps of its clock tick, mostly 10 ms.
    #[track_caller]
    pub fn cpu_ms(&self) -> u64 {
        let stat = self.proc("stat");
        // proc_pid_stat(5): utime and stime are fields 14 and 15; the name, which is field 2,
        // may contain anything but ends with the last parenthesis.
        let (_, fields) = stat.rsplit_once(')').expect("/proc/PID/stat has a name");
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = times
            .map(|ticks| ticks.parse::<u64>().expect("a number of ticks"))
            .sum();
        ticks * 1000 / rustix::param::clock_ticks_per_second()
    }

    #[track_caller]
    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.pid());
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}\n{}", self.log()))
    }

    #[track_caller]
    fn running(&self) -> &Running {
        let running = self.running.as_ref();
        running.unwrap_or_else(|| panic!("{} does not run", self.plan.name))
    }

    #[track_caller]
    fn take(&mut self) -> Running {
        let running = self.running.take();
        running.unwrap_or_else(|| panic!("{} does not run", self.plan.name))
    }

    /// The program with its surroundings: nothing of the person who runs the tests gets in.
    fn command(&self, args: &[&str]) -> Command {
        let home = self.home();
        let mut command = mortal("prlimit");
        command
            .args([NODE_FILES, "--"])
            .arg(&self.plan.program)
            .args(args)
            .env("HALLWAY_HOME", home)
            .env("HALLWAY_LOG", LOG_LEVEL)
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .envs(self.plan.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.running = None;
        if thread::panicking() {
            let (name, log) = (&self.plan.name, self.log());
            eprintln!("---- log of {name} ----\n{log}---- end of the log of {name} ----");
        }
    }
}

/// The events of a node, from `hallway tail --json`.
#[derive(Debug)]
pub struct Tail {
    _process: Process,
    events: Receiver<Value>,
    seen: Vec<Value>,
}

impl Tail {
    /// Waits for an event that fits and returns it; those before it are passed over.
    #[track_caller]
    pub fn wait_for(&mut self, mut fits: impl FnMut(&Value) -> bool, within: Duration) -> Value {
        let end = Instant::now() + within;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Some(event) if fits(&event) => return event,
                Some(_) => {}
                None => panic!("no such event in {within:?}, only {:#?}", self.seen),
            }
        }
    }

    /// Waits for the next event; `None` when there is none in this time.
    #[track_caller]
    pub fn next(&mut self, within: Duration) -> Option<Value> {
        match self.events.recv_timeout(within) {
            Ok(event) => {
                self.seen.push(event.clone());
                Some(event)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("hallway tail ended; it had told {:#?}", self.seen)
            }
        }
    }

    /// All events so far that were waited for or passed over.
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }
}

/// Copies all that the node prints to its log, and hands on the line that says it is ready.
fn ready_line(stdout: ChildStdout, mut log: File) -> Receiver<Value> {
    let (sender, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(stdout).lines().map_while(io::Result::ok) {
            // The log is for people; a full disk is one of the things that tests try.
            let _ = writeln!(log, "{line}");
            let event = serde_json::from_str(&line).unwrap_or(Value::Null);
            if event["event"] == "ready" {
                let _ = sender.take().map(|sender| sender.send(event));
            }
        }
    });
    ready
}

/// The program: `HALLWAY_BIN`, or what Cargo has built beside this test.
fn program() -> PathBuf {
    if let Some(path) = env::var_os("HALLWAY_BIN") {
        return path.into();
    }
    let test = env::current_exe().expect("this program has a path");
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("hallway"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "there is no program `hallway` near {}: run `cargo build -p hallway` first, \
                 or name it in HALLWAY_BIN",
                test.display()
            )
        })
}
