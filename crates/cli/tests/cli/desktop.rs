//! A desktop for tests: a session bus of its own, and a browser that tells what it is to open.

use dbus::blocking::Connection;
use dbus::channel::Channel;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// How often somebody at this desktop looks whether there is something to do.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// Far more than anything of this takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Everybody may do everything, and nothing of this computer is started for it.
const BUS: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"#;

/// A bus with nobody on it.
pub(crate) struct SessionBus {
    daemon: Child,
    address: String,
}

impl SessionBus {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("bus.conf");
        fs::write(&config, BUS).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let stdout = daemon.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        Self { daemon, address }
    }

    pub(crate) fn connect(&self) -> Connection {
        let mut channel = Channel::open_private(&self.address).unwrap();
        channel.register().unwrap();
        channel.into()
    }

    /// By which programs find it.
    pub(crate) fn var(&self) -> (&'static str, String) {
        ("DBUS_SESSION_BUS_ADDRESS", self.address.clone())
    }
}

impl Drop for SessionBus {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

/// The only browser there is.
pub(crate) struct Browser {
    folder: TempDir,
}

impl Browser {
    pub(crate) fn install() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let asked = folder.path().join("asked");
        mknodat(CWD, &asked, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let program = folder.path().join("xdg-open");
        let script = format!(
            "#!/bin/sh\nprintf '%s %s\\n' \"$1\" \"$XDG_ACTIVATION_TOKEN\" > {}\n",
            asked.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// By which programs find it.
    pub(crate) fn vars(&self) -> [(&'static str, String); 2] {
        let path = self.folder.path().display().to_string();
        [("PATH", path), ("DISPLAY", ":7".into())]
    }

    /// The next address that it is to open, and what lets it come to the front.
    pub(crate) fn next(&self) -> (String, String) {
        let asked = self.folder.path().join("asked");
        let (told, heard) = mpsc::channel();
        // Nobody may come; then it ends with the test program.
        thread::spawn(move || told.send(fs::read_to_string(asked).unwrap()));
        let line = heard.recv_timeout(PATIENCE).unwrap();
        let (address, token) = line.trim_end_matches('\n').split_once(' ').unwrap();
        (address.to_owned(), token.to_owned())
    }
}
