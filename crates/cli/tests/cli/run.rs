//! Running the binary, and making what it says the same every time.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// What brings a message to the other's disk, however long that takes here.
pub(crate) const DELIVERED: [&str; 4] = ["--wait", "delivered", "--timeout", "60"];

/// A time zone in which it is about noon, so that no test runs past midnight: what was just
/// written is of today, and of one day. In the notation of POSIX, west of Greenwich is positive.
static NOON: LazyLock<String> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hour = i64::try_from(now.as_secs() / 3600 % 24).unwrap();
    format!("<NOON>{}", hour - 12)
});

/// A data folder, with or without a node running on it.
pub(crate) struct Home {
    dir: TempDir,
    node: Option<Child>,
    /// What the node said when it was ready.
    pub(crate) ready: Value,
    /// What the program finds in its environment, besides.
    pub(crate) vars: Vec<(&'static str, String)>,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// All of it, for a snapshot.
    pub(crate) fn all(&self) -> String {
        let mut all = format!("exit {}\n{}", self.code, self.out);
        if !self.err.is_empty() {
            all.push_str("-- stderr\n");
            all.push_str(&self.err);
        }
        all
    }

    /// Its lines of JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Home {
    /// A folder without a node.
    pub(crate) fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            node: None,
            ready: Value::Null,
            vars: Vec::new(),
        }
    }

    /// A node on loopback, ready.
    pub(crate) fn up(name: &str) -> Self {
        let mut home = Self::empty();
        home.start(&["--key-store", "file", "--name", name]);
        home
    }

    /// Starts a node and waits until it is ready.
    pub(crate) fn start(&mut self, options: &[&str]) {
        let log = File::create(self.log()).unwrap();
        let args = ["up", "--json", "--no-mdns", "--port", "0"];
        let mut node = self
            .command(args.iter().chain(options))
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said = || std::fs::read_to_string(self.log()).unwrap();
        self.ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", said()));
        self.node = Some(node);
    }

    /// What the node has logged.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.node.as_ref().unwrap().id()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ready["port"])
    }

    /// Ends the node without a warning.
    pub(crate) fn kill(&mut self) {
        let mut node = self.node.take().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    }

    /// Waits for the end of the node.
    pub(crate) fn ended(&mut self) -> i32 {
        self.node.take().unwrap().wait().unwrap().code().unwrap()
    }

    /// The binary with this home, its output in pipes and nothing to read.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallway"));
        command
            .env_clear()
            .env("TZ", NOON.as_str())
            .env("HALLWAY_HOME", self.path())
            .envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs a command with something to read on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // A command that does not read all of it has its reasons.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Sends a text and waits until it is on the other's disk.
    pub(crate) fn tell(&self, peer: &str, text: &str) -> Ran {
        let sent = self.run(&[&["send", peer, text], &DELIVERED[..]].concat());
        assert_eq!(sent.code, 0, "{}", sent.err);
        sent
    }

    /// Starts a command that goes on, to be read line by line.
    pub(crate) fn follow(&self, args: &[&str]) -> Following {
        Following::of(self.command(args))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(mut node) = self.node.take() {
            // It may have ended by itself.
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// A command that goes on.
pub(crate) struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Following {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// The next line of JSON that is wanted.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.line();
            let value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            if wanted(&value) {
                return value;
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two nodes, Ann and one of this name, connected.
pub(crate) fn pair(name: &str) -> (Home, Home) {
    let (ann, other) = (Home::up("Ann"), Home::up(name));
    let connected = ann.run(&["connect", &other.address()]);
    assert_eq!(connected.code, 0, "{}", connected.err);
    (ann, other)
}

/// Two nodes that have accepted each other.
pub(crate) fn friends(name: &str) -> (Home, Home) {
    let (ann, other) = pair(name);
    ann.tell(name, "hello");
    assert_eq!(other.run(&["requests", "accept", "Ann"]).code, 0);
    (ann, other)
}

/// Compares what is the same in every run: ids, times, ports and processes are masked.
macro_rules! assert_said {
    ($said:expr, @$expected:literal) => {{
        let filters = vec![
            (r"\b[a-z2-7]{55}\b", "[id]"),
            (r"\b[0-9a-f]{32}\b", "[message]"),
            (r"~[a-z2-7]{4}\b", "~[tg]"),
            (r#""tag":"[a-z2-7]{4}""#, r#""tag":"[tg]""#),
            (r"(verify|accept|unblock) ~?[a-z2-7]{4}\b", "$1 [tg]"),
            (r"(127\.0\.0\.1|\[::1\]):\d+", "$1:[port]"),
            (r#""port":\d+"#, r#""port":[port]"#),
            (r#""pid":\d+"#, r#""pid":[pid]"#),
            (r"process \d+", "process [pid]"),
            (r"[0-9.]+ ms +", "[rtt]  "),
            (r#""at":\d+"#, r#""at":[time]"#),
            (r"(?m)^(.*)\b\d\d:\d\d  ", "$1[time]  "),
            (r"\w+day, \d+ \w+ \d{4}", "[day]"),
            (r"/[^ ]*/home\b", "[home]"),
            (r"\d{5} \d{5} \d{5} \d{5}", "[twenty digits]"),
        ];
        insta::with_settings!({ filters => filters }, {
            insta::assert_snapshot!($said, @$expected);
        });
    }};
}
pub(crate) use assert_said;
