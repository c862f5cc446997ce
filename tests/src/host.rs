//! The real program on a host of a [`Lan`].

pub use crate::tail::Tail;

use crate::lab::{Lan, Namespace, Process, mortal};
use crate::terminal::Terminal;
use serde_json::Value;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};
use tempfile::TempDir;

/// Far more than anything of this takes, so that only a program that hangs is given up.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What makes `hallway send` wait until the message is on the other's disk, for nearly as long.
pub const DELIVERED: [&str; 5] = ["--json", "--wait", "delivered", "--timeout", "50"];
/// [`Host::until`] looks again after this time even when nothing happened: what changed while
/// its event stream was being opened would be missed otherwise.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The file descriptors a desktop session gives a program; the tests themselves may have more.
const NODE_FILES: &str = "--nofile=1024:";
/// Enough to see what a node did before its test failed.
const LOG_LEVEL: &str = "info";
/// More than any log of a test has.
const ALL: &str = "1000000";

/// A node: the program, its data directory and its log. Dropping it kills the program, and
/// prints the log when the test fails.
///
/// It can be shared by threads, so that one kills the program while another speaks with it.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    plan: Plan,
    folder: TempDir,
    disk: Option<Disk>,
    id: OnceLock<String>,
    running: Mutex<Option<Running>>,
}

/// What a [`Host`] shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    disk_bytes: Option<u64>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    ready: Value,
}

/// A disk of its own that only this node sees: a file system in memory, mounted in a mount
/// namespace that lives as long as this process does.
#[derive(Debug)]
struct Disk {
    /// Holds the mount namespace.
    process: Process,
    /// Its end would be the end of the process.
    _stdin: ChildStdin,
}

impl Plan {
    /// A node whose person has this name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            program: program(),
            args: Vec::new(),
            env: Vec::new(),
            disk_bytes: None,
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

    /// Puts the data directory on a disk of its own with so much room.
    pub fn disk(mut self, bytes: u64) -> Self {
        self.disk_bytes = Some(bytes);
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self, lan: &Lan, host: usize) -> Host {
        let host = self.prepare(lan, host);
        host.up();
        host
    }

    /// Only makes the data directory, for tests that put something there first.
    pub fn prepare(self, lan: &Lan, host: usize) -> Host {
        let namespace = lan.namespace(host);
        let folder = TempDir::with_prefix("hallway-").expect("a place for temporary files");
        let home = folder.path().join("home");
        let made = DirBuilder::new().mode(0o700).create(&home);
        made.expect("the folder is new");
        let disk = self
            .disk_bytes
            .map(|bytes| Disk::mount(&namespace, &home, bytes));
        Host {
            namespace,
            plan: self,
            folder,
            disk,
            id: OnceLock::new(),
            running: Mutex::new(None),
        }
    }
}

impl Disk {
    fn mount(namespace: &Namespace, at: &Path, bytes: u64) -> Self {
        // `cat` repeats a byte only once it runs, and by then the disk is there.
        const SCRIPT: &str = r#"mount -t tmpfs -o "mode=700,size=$1" hallway "$2" && exec cat"#;
        let mut command = mortal("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ])
            .arg(bytes.to_string())
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::spawn(namespace, command).expect("setpriv starts");
        let (stdin, stdout) = (process.take_stdin(), process.take_stdout());
        let (mut stdin, mut stdout) = stdin.zip(stdout).expect("both were asked for");
        stdin.write_all(b".").expect("it reads");
        stdout
            .read_exact(&mut [0])
            .expect("a file system in memory can be mounted");
        Self {
            process,
            _stdin: stdin,
        }
    }
}

impl Host {
    /// Starts a node on a host of the LAN and waits until it is ready.
    pub fn start(lan: &Lan, host: usize, name: &str) -> Self {
        Plan::new(name).start(lan, host)
    }

    /// Its data directory, as a path that the test can use.
    pub fn home(&self) -> PathBuf {
        let home = self.own_home();
        match &self.disk {
            None => home,
            Some(Disk { process, .. }) => {
                let inside = home.strip_prefix("/").expect("it is an absolute path");
                Path::new(&format!("/proc/{}/root", process.pid())).join(inside)
            }
        }
    }

    /// Its data directory, as a path that the node can use.
    fn own_home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("node.log")
    }

    /// All it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The id of its person. It has to have been started once.
    #[track_caller]
    pub fn id(&self) -> &str {
        self.id.get().expect("it was started once")
    }

    /// The tag of its person.
    #[track_caller]
    pub fn tag(&self) -> &str {
        &self.id()[..4]
    }

    /// Its TCP and UDP port.
    #[track_caller]
    pub fn port(&self) -> u16 {
        let port = self.running(|running| running.ready["port"].as_u64());
        let port = port.and_then(|port| u16::try_from(port).ok());
        port.expect("the ready line has a port")
    }

    /// Its process id.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.running(|running| running.process.pid())
    }

    /// Starts the program (again) and waits until it is ready.
    #[track_caller]
    pub fn up(&self) {
        let mut slot = self.slot();
        assert!(slot.is_none(), "{} runs already", self.plan.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file());
        let log = log.expect("the log can be written");
        let mut command = self.command(&["up", "--json"]);
        // The name is given once: what a person changes later has to last.
        if self.id.get().is_none() {
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
        let id = ready["id"].as_str().expect("the ready line has an id");
        let first = self.id.get_or_init(|| id.into());
        assert_eq!(first, id, "{} is somebody else now", self.plan.name);
        *slot = Some(Running { process, ready });
    }

    /// Ends the program without warning (SIGKILL).
    #[track_caller]
    pub fn kill(&self) {
        self.take().process.kill();
    }

    /// The program hangs: its connections stay, and nothing comes out of them (SIGSTOP).
    #[track_caller]
    pub fn freeze(&self) {
        self.running(|running| running.process.freeze());
    }

    /// Asks the program to end (SIGTERM) and waits until it has.
    #[track_caller]
    pub fn stop(&self) -> ExitStatus {
        let mut process = self.take().process;
        process.terminate();
        let ended = process.wait(PATIENCE);
        ended.unwrap_or_else(|| panic!("{} does not stop\n{}", self.plan.name, self.log()))
    }

    /// Stops it and starts it again on the same data.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        self.up();
    }

    /// Starts another command of the program that goes on, such as `echo`. It dies with the
    /// returned value.
    #[track_caller]
    pub fn launch(&self, args: &[&str]) -> Process {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Process::spawn(&self.namespace, command).expect("setpriv starts")
    }

    /// Starts another program on this host.
    pub(crate) fn spawn(&self, command: Command) -> Process {
        Process::spawn(&self.namespace, command).expect("setpriv starts")
    }

    /// Where others can enter the network of this host while the test runs.
    pub(crate) fn namespace_path(&self) -> String {
        self.namespace.path()
    }

    /// Starts a command of the program at a terminal of this size.
    #[track_caller]
    pub fn terminal(&self, args: &[&str], size: (u16, u16)) -> Terminal {
        Terminal::open(&self.namespace, &self.command(args), size)
    }

    /// Starts a shell at a terminal of this size. There `$HALLWAY` is the program.
    #[track_caller]
    pub fn shell(&self, size: (u16, u16)) -> Terminal {
        let mut shell = mortal("bash");
        shell.args(["--norc", "--noprofile", "-i"]);
        for (name, value) in self.command(&[]).get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("HALLWAY", &self.plan.program);
        Terminal::open(&self.namespace, &shell, size)
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
        let mut process = Process::spawn(&self.namespace, command).expect("setpriv starts");
        let stdin = process.take_stdin();
        let (stdout, stderr) = (process.take_stdout(), process.take_stderr());
        thread::scope(|scope| {
            // The program may end without having read all.
            scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input.as_bytes())));
            let (stdout, stderr) = (scope.spawn(|| all(stdout)), scope.spawn(|| all(stderr)));
            let status = process.wait(PATIENCE);
            // Only its end closes the pipes that the others read.
            process.kill();
            let [stdout, stderr] =
                [stdout, stderr].map(|reader| reader.join().expect("its output can be read"));
            let status = status.unwrap_or_else(|| {
                let said = String::from_utf8_lossy(&stderr);
                panic!(
                    "hallway {} does not end: {said}\n{}",
                    args.join(" "),
                    self.log()
                )
            });
            Output {
                status,
                stdout,
                stderr,
            }
        })
    }

    /// Runs a command that must fail with this exit code, and returns what it says.
    #[track_caller]
    pub fn refused(&self, args: &[&str], code: i32) -> String {
        let output = self.cli_raw(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(code),
            "hallway {} on {}: {stderr}\n{}",
            args.join(" "),
            self.plan.name,
            String::from_utf8_lossy(&output.stdout)
        );
        stderr
    }

    /// Runs a command that prints one JSON object.
    #[track_caller]
    pub fn one(&self, args: &[&str]) -> Value {
        let mut values = self.cli(args);
        assert_eq!(values.len(), 1, "hallway {}: {values:#?}", args.join(" "));
        values.remove(0)
    }

    /// Sends a text, waits until it is on the other's disk, and returns its id.
    #[track_caller]
    pub fn tell(&self, peer: &str, text: &str) -> String {
        let sent = self.one(&[&["send", peer, text], DELIVERED.as_slice()].concat());
        assert_eq!(sent["state"], "delivered");
        sent["id"].as_str().expect("it has an id").into()
    }

    /// Sends a text, waits until it is on this disk, and returns its id.
    #[track_caller]
    pub fn queue(&self, peer: &str, text: &str) -> String {
        let sent = self.one(&["send", peer, text, "--json", "--wait", "queued"]);
        sent["id"].as_str().expect("it has an id").into()
    }

    /// All messages with a peer, the oldest first.
    #[track_caller]
    pub fn messages(&self, peer: &str) -> Vec<Value> {
        self.cli(&["log", peer, "--json", "--limit", ALL])
    }

    /// The texts that a peer has sent here, the oldest first.
    #[track_caller]
    pub fn texts_of(&self, peer: &Self) -> Vec<String> {
        let messages = self.messages(peer.id()).into_iter();
        let theirs = messages.filter(|message| message["from"] == peer.id());
        theirs
            .filter_map(|message| message["text"].as_str().map(Into::into))
            .collect()
    }

    /// Waits until the texts that a peer has sent here are these.
    #[track_caller]
    pub fn until_texts(&self, peer: &Self, expected: &[&str]) {
        self.until(&format!("{expected:?}"), PATIENCE, |host| {
            (host.texts_of(peer) == expected).then_some(())
        });
    }

    /// Waits until both see each other and have written once, so that both are contacts.
    #[track_caller]
    pub fn befriend(&self, other: &Self) {
        self.until_seen(other);
        other.until_seen(self);
        self.tell(other.id(), "hello");
        other.tell(self.id(), "hello back");
        self.until_peer(other.id(), "live", PATIENCE);
        other.until_peer(self.id(), "live", PATIENCE);
    }

    /// Waits until a peer is here in whatever way.
    #[track_caller]
    pub fn until_seen(&self, other: &Self) -> Value {
        self.until(&format!("{} is here", other.plan.name), PATIENCE, |host| {
            host.peer(other).filter(|peer| peer["state"] != "offline")
        })
    }

    /// The line of `hallway peers` about a peer.
    #[track_caller]
    pub fn peer(&self, other: &Self) -> Option<Value> {
        let mut peers = self.cli(&["peers", "--json"]).into_iter();
        peers.find(|peer| peer["id"] == other.id())
    }

    /// What `hallway status` counts under this name.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let status = self.one(&["status", "--json"]);
        let counters = status["counters"]
            .as_array()
            .expect("the status has counters");
        let counter = counters.iter().find(|counter| counter["name"] == name);
        counter
            .and_then(|counter| counter["count"].as_u64())
            .unwrap_or(0)
    }

    /// Follows the events of the node from now on: none that happens after this returns is missed.
    #[track_caller]
    pub fn tail(&self) -> Tail {
        let reply = self.request("GET", "events");
        Tail::of(reply.expect("a node tells its events"), None)
    }

    /// Runs `hallway tail` with these arguments, such as `--since`. It takes a moment until it
    /// listens.
    #[track_caller]
    pub fn tail_with(&self, args: &[&str]) -> Tail {
        let mut command = self.command(&[&["tail", "--json"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn(&self.namespace, command).expect("setpriv starts");
        let stdout = process.take_stdout().expect("it was asked for");
        Tail::of(BufReader::new(stdout), Some(process))
    }

    /// Posts to the node's own API, for what no command does.
    #[track_caller]
    pub fn post(&self, path: &str) {
        self.request("POST", path).expect("it is done");
    }

    /// The body of the reply, or what was said instead of "200 OK".
    ///
    /// In HTTP/1.0 a body is all that comes until the end, without anything between its parts.
    fn request(&self, method: &str, path: &str) -> Result<BufReader<UnixStream>, String> {
        let asked = UnixStream::connect(self.home().join("api.sock")).and_then(|mut stream| {
            let host = "Host: node\r\nAccept: application/x-ndjson";
            write!(stream, "{method} /api/v1/{path} HTTP/1.0\r\n{host}\r\n\r\n")?;
            let mut reply = BufReader::new(stream);
            let (mut first, mut line) = (String::new(), String::from("-"));
            reply.read_line(&mut first)?;
            while !line.trim().is_empty() {
                line.clear();
                reply.read_line(&mut line)?;
            }
            Ok((first, reply))
        });
        match asked {
            Ok((first, reply)) if first.contains(" 200 ") => Ok(reply),
            Ok((first, _)) => Err(first),
            Err(error) => Err(error.to_string()),
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
                tail.seen()
            );
            tail.next(left.min(LOOK_AGAIN));
            // One look is enough for all that has happened meanwhile.
            while tail.next(Duration::ZERO).is_some() {}
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

    fn slot(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn running<T>(&self, look: impl FnOnce(&Running) -> T) -> T {
        let found = self.slot().as_ref().map(look);
        found.unwrap_or_else(|| panic!("{} does not run", self.plan.name))
    }

    #[track_caller]
    fn take(&self) -> Running {
        let running = self.slot().take();
        running.unwrap_or_else(|| panic!("{} does not run", self.plan.name))
    }

    /// The program with its surroundings: nothing of the person who runs the tests gets in.
    fn command(&self, args: &[&str]) -> Command {
        let home = &self.own_home();
        let mut command = match &self.disk {
            None => mortal("prlimit"),
            Some(Disk { process, .. }) => {
                let mut command = mortal("nsenter");
                let namespace = format!("--mount=/proc/{}/ns/mnt", process.pid());
                command.args([&namespace, "--", "prlimit"]);
                command
            }
        };
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
        *self.slot() = None;
        if thread::panicking() {
            let (name, log) = (&self.plan.name, self.log());
            eprintln!("---- log of {name} ----\n{log}---- end of the log of {name} ----");
        }
    }
}

fn all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    read.expect("it was asked for").expect("it can be read");
    bytes
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
