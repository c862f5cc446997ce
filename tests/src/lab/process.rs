//! A process on a host that does not outlive its test.

use super::namespace::{Namespace, tool};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::Duration;

/// A command whose process is killed when the test's process ends in whatever way.
pub(crate) fn mortal(program: &str) -> Command {
    let mut command = tool("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// A running process; dropping it kills it.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    pub(crate) fn spawn(namespace: &Namespace, command: Command) -> io::Result<Self> {
        namespace.spawn(command).map(Self)
    }

    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills it without warning (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Lets it do nothing more, with all that it has open (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let sent = pidfd_open(pid.expect("a process id"), PidfdFlags::empty())
            .and_then(|process| pidfd_send_signal(process, signal));
        sent.expect("it has not been waited for");
    }

    /// Waits for its end; `None` when it still runs after this time.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        // Without a process to open it has been waited for already.
        if let Ok(process) = pidfd_open(pid?, PidfdFlags::empty()) {
            let timeout = Timespec::try_from(within).ok();
            let mut ends = [PollFd::new(&process, PollFlags::IN)];
            poll(&mut ends, timeout.as_ref()).ok().filter(|n| *n > 0)?;
        }
        self.0.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
