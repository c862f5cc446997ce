//! Microphones and speakers without a sound card: a PulseAudio of its own for a test, and what a
//! call through it is worth.
//!
//! All hosts' devices hang on one clock, and one recording has what was said into every microphone
//! and what came out of every speaker, sample for sample. What goes wrong is then the call's fault.

mod call;
mod score;
mod speech;

pub use call::{Call, current, running, talk, until_over, until_state};
pub use score::{Lag, Score, ScoreError, lags, pesq, score};
pub use speech::{Voice, speech};

use crate::host::{PATIENCE, Plan};
use crate::lab::{LabError, Namespace, Process, mortal, tool};
use std::fs::{self, DirBuilder, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The programs a room calls,
const PROGRAMS: [&str; 6] = ["pulseaudio", "pacat", "parec", "pactl", "espeak-ng", "sox"];
/// and the Debian packages they are in.
pub const PACKAGES: &str = "pulseaudio pulseaudio-utils espeak-ng sox";

/// Samples a second of everything here.
pub const SAMPLE_RATE: u32 = 48_000;

/// What PulseAudio's protocol calls a cookie has this length; some clients take no other.
const COOKIE_BYTES: usize = 256;
/// How far ahead of the clock the test writes and behind it reads: so far that no load of the
/// machine shows, which changes nothing of what is measured. The hosts' devices ask for their own.
const OWN_LATENCY: &str = "--latency-msec=500";
/// What PulseAudio says when all its devices are there.
const READY: &str = "Daemon startup complete";
/// Channels of a sink are at most 32 (PulseAudio's `PA_CHANNELS_MAX`), two for each host.
const HOSTS_MAX: usize = 16;
/// A clock that is late makes sound break up. Where the system allows, it runs before all else.
const PRIORITY: &str = "50";

/// Makes the `main` of a test program out of test functions that use [`Rooms`]. They are reported
/// as those of [`crate::lan_tests`] are where they cannot run. `threads` is how many run at a time.
#[macro_export]
macro_rules! room_tests {
    (threads = $threads:expr; $($test:ident),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            let tests = [$((stringify!($test), $test as fn())),+];
            $crate::lab::main_with($crate::audio::installed, $threads, tests)
        }
    };
}

/// Whether the programs of a room are there.
pub fn installed() -> Result<(), LabError> {
    let missing = |program: &&&str| tool(program).arg("--version").output().is_err();
    match PROGRAMS.iter().find(missing) {
        None => Ok(()),
        Some(program) => Err(LabError::Missing {
            program: (*program).into(),
            packages: PACKAGES,
        }),
    }
}

/// A room for each host, with a microphone that hears what the test says into it and a speaker.
/// Dropping it ends all.
#[derive(Debug)]
pub struct Rooms {
    folder: TempDir,
    namespace: Namespace,
    hosts: usize,
    _server: Process,
}

impl Rooms {
    /// Starts the sound server of so many hosts.
    #[track_caller]
    pub fn of(hosts: usize) -> Self {
        assert!((1..=HOSTS_MAX).contains(&hosts), "{hosts} hosts in a room");
        let folder = TempDir::with_prefix("hallway-audio-").expect("a place for temporary files");
        let namespace = Namespace::new().unwrap_or_else(|e| panic!("no place for sound: {e}"));
        furnish(folder.path());
        let mut command = if may_hurry() {
            let mut command = mortal("chrt");
            command.args(["--fifo", PRIORITY, "pulseaudio"]);
            command
        } else {
            mortal("pulseaudio")
        };
        command
            .args(["-n", "--daemonize=no", "--use-pid-file=no"])
            .args(["--exit-idle-time=-1", "--disable-shm=yes"])
            .args(["--realtime=no", "--high-priority=no"])
            .args(["--log-target=stderr", "--log-level=info"])
            .args(modules(folder.path(), hosts))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        surround(&mut command, folder.path());
        let mut server = spawn(&namespace, command, "pulseaudio");
        until_ready(&mut server);
        Self {
            folder,
            namespace,
            hosts,
            _server: server,
        }
    }

    /// The microphone of a host, as programs there find it by name.
    pub fn microphone(&self, host: usize) -> String {
        microphone(host)
    }

    /// The speaker of a host, as programs there find it by name.
    pub fn speaker(&self, host: usize) -> String {
        speaker(host)
    }

    /// The variables by which a program on any host finds the sound server.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        environment(self.folder.path())
    }

    /// Gives a node the microphone and the speaker of its host.
    pub fn furnish(&self, plan: Plan, host: usize) -> Plan {
        let plan = self
            .environment()
            .into_iter()
            .fold(plan, |plan, (name, value)| plan.env(name, &value));
        let devices = [("--input", microphone(host)), ("--output", speaker(host))];
        devices
            .into_iter()
            .fold(plan, |plan, (option, name)| plan.arg(option).arg(&name))
    }

    /// Pulls out the microphone of a host.
    #[track_caller]
    pub fn unplug_microphone(&self, host: usize) {
        let listed = self.pactl(&["list", "short", "modules"]);
        let name = format!("source_name={} ", microphone(host));
        let module = listed.lines().find(|line| line.contains(&name));
        let index = module.and_then(|line| line.split_whitespace().next());
        self.pactl(&["unload-module", index.expect("it is plugged in")]);
    }

    /// Plugs it in again.
    #[track_caller]
    pub fn plug_microphone(&self, host: usize) {
        let module = microphone_module(host);
        let words: Vec<&str> = module.split_whitespace().collect();
        self.pactl(&[&["load-module"], words.as_slice()].concat());
    }

    #[track_caller]
    fn pactl(&self, args: &[&str]) -> String {
        let mut command = mortal("pactl");
        command.args(args);
        surround(&mut command, self.folder.path());
        let output = command.output();
        let output = output.unwrap_or_else(|e| panic!("pactl: {e}: apt-get install {PACKAGES}"));
        assert!(output.status.success(), "pactl {args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into()
    }

    /// Says something into the microphone of a host. It ends by itself, or with the value.
    #[track_caller]
    pub fn say(&self, host: usize, samples: &[f32]) -> Process {
        let mut command = mortal("pacat");
        command
            .args(["--playback", &format!("--device={}", mouth(host))])
            .args(format_of(1))
            .stdin(Stdio::piped());
        surround(&mut command, self.folder.path());
        let mut process = spawn(&self.namespace, command, "pacat");
        let mut pipe = process.take_stdin().expect("it was asked for");
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        // It may be stopped in the middle.
        thread::spawn(move || pipe.write_all(&bytes));
        process
    }

    /// Starts to record all that is said and heard. When this returns, it runs.
    #[track_caller]
    pub fn record(&self) -> Recorder {
        let mut command = mortal("parec");
        command
            .arg("--device=air.monitor")
            .args(format_of(self.hosts * 2))
            .stdout(Stdio::piped());
        surround(&mut command, self.folder.path());
        let mut process = spawn(&self.namespace, command, "parec");
        let mut pipe = process.take_stdout().expect("it was asked for");
        let tape = Arc::new(Tape::default());
        let writing = tape.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                writing.lock().extend_from_slice(&buffer[..count]);
                writing.grown.notify_all();
            }
        });
        let recorder = Recorder {
            _process: process,
            tape,
            channels: self.hosts * 2,
        };
        recorder.until(Duration::from_millis(1));
        recorder
    }
}

/// A recording that goes on.
#[derive(Debug)]
pub struct Recorder {
    _process: Process,
    tape: Arc<Tape>,
    channels: usize,
}

#[derive(Debug, Default)]
struct Tape {
    bytes: Mutex<Vec<u8>>,
    grown: Condvar,
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// How long it has recorded, on the clock of the devices.
    pub fn length(&self) -> Duration {
        let frames = self.tape.lock().len() / (size_of::<f32>() * self.channels);
        Duration::from_secs(frames as u64) / SAMPLE_RATE
    }

    /// Waits until it has recorded so much.
    #[track_caller]
    pub fn until(&self, length: Duration) {
        let bytes = samples_in(length) * size_of::<f32>() * self.channels;
        let short = |tape: &mut Vec<u8>| tape.len() < bytes;
        let patience = PATIENCE + length;
        let waited = self
            .tape
            .grown
            .wait_timeout_while(self.tape.lock(), patience, short);
        let timed_out = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        assert!(!timed_out, "no sound comes from pulseaudio any more");
    }

    /// Waits until it has recorded so much more.
    #[track_caller]
    pub fn go_on(&self, more: Duration) {
        self.until(self.length() + more);
    }

    /// Ends it.
    pub fn stop(self) -> Recording {
        let mut channels = vec![Vec::new(); self.channels];
        let tape = self.tape.lock();
        for frame in tape.chunks_exact(size_of::<f32>() * self.channels) {
            for (channel, bytes) in channels.iter_mut().zip(frame.as_chunks().0) {
                channel.push(f32::from_le_bytes(*bytes));
            }
        }
        Recording { channels }
    }
}

/// What was said and heard, all from the same moment on.
#[derive(Clone, Debug)]
pub struct Recording {
    channels: Vec<Vec<f32>>,
}

impl Recording {
    /// What was said into the microphone of a host.
    pub fn said(&self, host: usize) -> &[f32] {
        &self.channels[said(host)]
    }

    /// What came out of the speaker of a host.
    pub fn heard(&self, host: usize) -> &[f32] {
        &self.channels[heard(host)]
    }

    /// The part of it from one time to another.
    pub fn part(&self, from: Duration, to: Duration) -> Self {
        let cut = |channel: &Vec<f32>| {
            let end = samples_in(to).min(channel.len());
            channel[samples_in(from).min(end)..end].to_vec()
        };
        Self {
            channels: self.channels.iter().map(cut).collect(),
        }
    }
}

/// How many samples a time has, to the nearest.
fn samples_in(time: Duration) -> usize {
    let samples = (time * SAMPLE_RATE + Duration::from_millis(500)).as_secs();
    samples.try_into().expect("a recording fits into memory")
}

fn microphone(host: usize) -> String {
    format!("mic{host}")
}

fn speaker(host: usize) -> String {
    format!("spk{host}")
}

fn mouth(host: usize) -> String {
    format!("mouth{host}")
}

fn said(host: usize) -> usize {
    host * 2
}

fn heard(host: usize) -> usize {
    host * 2 + 1
}

/// The files that programs of PulseAudio want to find.
fn furnish(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).expect("a file can be written");
    };
    let mut cookie = [0; COOKIE_BYTES];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut cookie));
    random.expect("the system has random numbers");
    write("cookie", &cookie);
    write("client.conf", b"autospawn = no\n");
    write(
        "daemon.conf",
        b"default-sample-rate = 48000\nalternate-sample-rate = 48000\n\
          default-sample-format = float32le\n",
    );
    for name in ["run", "state"] {
        let made = DirBuilder::new().mode(0o700).create(folder.join(name));
        made.expect("the folder is new");
    }
}

/// The devices: one sink without a sound card that has a channel for each mouth and each speaker,
/// and parts of it under names of their own.
fn modules(folder: &Path, hosts: usize) -> Vec<String> {
    let channels: Vec<String> = (0..hosts * 2).map(|n| format!("aux{n}")).collect();
    let mut modules = vec![format!(
        "module-null-sink sink_name=air rate={SAMPLE_RATE} format=float32le channels={} channel_map={}",
        channels.len(),
        channels.join(",")
    )];
    for host in 0..hosts {
        modules.push(part("sink", &mouth(host), "air", said(host)));
        modules.push(part("sink", &speaker(host), "air", heard(host)));
        modules.push(microphone_module(host));
    }
    modules.push(format!(
        "module-native-protocol-unix auth-anonymous=1 auth-cookie={} socket={}",
        folder.join("cookie").display(),
        socket(folder).display()
    ));
    let with_option = |module| ["-L".into(), module];
    modules.into_iter().flat_map(with_option).collect()
}

fn microphone_module(host: usize) -> String {
    part("source", &microphone(host), "air.monitor", said(host))
}

/// A device that is one channel of another.
fn part(kind: &str, name: &str, of: &str, channel: usize) -> String {
    format!(
        "module-remap-{kind} {kind}_name={name} {kind}_properties=device.description={name} \
         master={of} channels=1 channel_map=mono master_channel_map=aux{channel} remix=no"
    )
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("pulse.sock")
}

fn environment(folder: &Path) -> [(&'static str, String); 2] {
    [
        ("PULSE_SERVER", format!("unix:{}", socket(folder).display())),
        ("PULSE_COOKIE", folder.join("cookie").display().to_string()),
    ]
}

/// Nothing of the person who runs the tests gets in.
fn surround(command: &mut Command, folder: &Path) {
    command
        .envs(environment(folder))
        .env("HOME", folder)
        .env("XDG_RUNTIME_DIR", folder)
        .env("PULSE_RUNTIME_PATH", folder.join("run"))
        .env("PULSE_STATE_PATH", folder.join("state"))
        .env("PULSE_CLIENTCONFIG", folder.join("client.conf"))
        .env("PULSE_CONFIG", folder.join("daemon.conf"))
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env_remove("DISPLAY");
}

fn format_of(channels: usize) -> [String; 6] {
    let map: Vec<String> = (0..channels).map(|n| format!("aux{n}")).collect();
    let map = if channels == 1 {
        "mono".into()
    } else {
        map.join(",")
    };
    [
        "--raw".into(),
        "--format=float32le".into(),
        format!("--rate={SAMPLE_RATE}"),
        format!("--channels={channels}"),
        format!("--channel-map={map}"),
        OWN_LATENCY.into(),
    ]
}

#[track_caller]
fn spawn(namespace: &Namespace, command: Command, program: &str) -> Process {
    Process::spawn(namespace, command)
        .unwrap_or_else(|e| panic!("{program}: {e}: apt-get install {PACKAGES}"))
}

/// Whether the system lets a program run before all others.
fn may_hurry() -> bool {
    let mut command = mortal("chrt");
    command
        .args(["--fifo", PRIORITY, "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Waits until the server says that it is ready.
#[track_caller]
fn until_ready(server: &mut Process) {
    let log = server.take_stderr().expect("it was asked for");
    let (sender, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut said = String::new();
        let mut sender = Some(sender);
        // It is read to its end, or the server would wait for room in the pipe.
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let Some(waiting) = &sender else { continue };
            said.push_str(&line);
            said.push('\n');
            if line.contains(READY) {
                let _ = waiting.send(Ok(()));
                sender = None;
            }
        }
        sender.map(|sender| sender.send(Err(said)))
    });
    match ready.recv_timeout(PATIENCE) {
        Ok(Ok(())) => {}
        Ok(Err(said)) => panic!("no pulseaudio (apt-get install {PACKAGES}): {said}"),
        Err(_) => panic!("pulseaudio does not get ready"),
    }
}
