//! One network namespace, and how to get inside.

use super::{LabError, PACKAGES};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, LazyLock};
use std::{env, panic, process, thread};

/// A network namespace. It is gone when this value is and nobody uses it any more.
#[derive(Clone, Debug)]
pub(crate) struct Namespace(Arc<OwnedFd>);

impl Namespace {
    /// A new and empty one.
    pub(crate) fn new() -> Result<Self, LabError> {
        let mut first = tool("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| cannot_start("unshare", e))?;
        // `cat` repeats a byte only once it runs, and by then the namespace is there. A failure
        // to write shows as nothing read.
        let (mut stdin, mut stdout) = (first.stdin.take(), first.stdout.take());
        let _ = stdin.as_mut().map(|pipe| pipe.write_all(b"."));
        let ready = stdout.as_mut().map(|pipe| pipe.read_exact(&mut [0]));
        let link = File::open(format!("/proc/{}/ns/net", first.id()));
        drop(stdin);
        let output = first.wait_with_output();
        match (ready, link, output) {
            (Some(Ok(())), Ok(link), _) => Ok(Self(Arc::new(link.into()))),
            (Some(Ok(())), Err(e), _) => Err(LabError::Io("a new network namespace".into(), e)),
            (_, _, Ok(output)) => Err(LabError::Failed {
                command: "unshare --net".into(),
                stderr: String::from_utf8_lossy(&output.stderr).trim().into(),
            }),
            (_, _, Err(e)) => Err(LabError::Io("unshare --net".into(), e)),
        }
    }

    /// What `ip link … netns` takes while this value lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }

    /// Runs a job inside, on a thread of its own.
    pub(crate) fn enter<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.set().expect("the namespace is open");
            job()
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    /// Runs a program to its end and returns what it printed.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Result<String, LabError> {
        self.feed(program, args, "")
    }

    /// Runs a program to its end with this input and returns what it printed.
    pub(crate) fn feed(
        &self,
        program: &str,
        args: &[&str],
        input: &str,
    ) -> Result<String, LabError> {
        let mut command = tool(program);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.spawn(command).map_err(|e| cannot_start(program, e))?;
        // The inputs are far smaller than a pipe, so this cannot wait for the program; one that
        // ends without reading tells why itself.
        let _ = child
            .stdin
            .take()
            .map(|mut p| p.write_all(input.as_bytes()));
        let output = child
            .wait_with_output()
            .map_err(|e| LabError::Io(program.into(), e))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into());
        }
        Err(LabError::Failed {
            command: format!("{program} {}", args.join(" ")),
            stderr: format!("{input}\n{}", String::from_utf8_lossy(&output.stderr)),
        })
    }

    /// Starts a program inside.
    ///
    /// All are started by one thread that lasts as long as this process: a program that asked
    /// to die with its parent is killed when the *thread* that started it ends.
    pub(crate) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let (answer, answered) = mpsc::sync_channel(1);
        let namespace = self.clone();
        let job = move || {
            let started = namespace.set().and_then(|()| command.spawn());
            let _ = answer.send(started);
        };
        SPAWNER.send(Box::new(job)).expect("the spawner never ends");
        answered.recv().expect("the spawner answers")
    }

    fn set(&self) -> io::Result<()> {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(io::Error::from)
    }
}

type Job = Box<dyn FnOnce() + Send>;

static SPAWNER: LazyLock<Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    thread::spawn(move || queue.into_iter().for_each(|job| job()));
    jobs
});

/// A program of the system. Those for administrators are not on every user's path.
pub(crate) fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    command
}

pub(super) fn cannot_start(program: &str, error: io::Error) -> LabError {
    if error.kind() == io::ErrorKind::NotFound {
        LabError::Missing {
            program: program.into(),
            packages: PACKAGES,
        }
    } else {
        LabError::Io(program.into(), error)
    }
}
