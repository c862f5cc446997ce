//! What people send files with today, where it is installed: tar, scp, rsync, a web server.

use crate::baseline::serve;
use crate::place::Link;
use anyhow::{Context, bail, ensure};
use hallway_tests::lab::{Lan, Process};
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Any port of a host that nobody else is on.
const SSH_PORT: u16 = 2222;
const TLS_PORT: u16 = 8443;
/// Far more than a server takes to start.
const START_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Packs a folder on host 0 into a connection that is unpacked on host 1. To be called on host 0.
pub(crate) fn tar(link: &Link<'_>, from: &Path, to: &Path) -> anyhow::Result<Duration> {
    let to = to.to_owned();
    fs::create_dir(&to)?;
    let address = serve(link, move |mut stream| {
        let packed = OwnedFd::from(stream.try_clone()?);
        let mut tar = Command::new("tar");
        let tar = tar.arg("-xC").arg(to).stdin(packed).status()?;
        if !tar.success() {
            return Err(io::Error::other(format!("tar: {tar}")));
        }
        // It leaves the padding behind its archive unread.
        io::copy(&mut stream, &mut io::sink())?;
        stream.write_all(b".")
    })?;
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    let packed = OwnedFd::from(stream.try_clone()?);
    let mut tar = Command::new("tar");
    run(tar.arg("-cC").arg(from).arg(".").stdout(packed))?;
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut [0])?;
    Ok(start.elapsed())
}

/// An ssh server on host 1, and the way to it from host 0.
pub(crate) struct Ssh {
    folder: PathBuf,
    address: SocketAddr,
    _server: Process,
}

impl Ssh {
    pub(crate) fn start(lan: &Lan, folder: &Path) -> anyhow::Result<Self> {
        let server = installed("sshd", "openssh-server")?;
        for program in ["ssh", "scp", "ssh-keygen"] {
            installed(program, "openssh-client")?;
        }
        for key in ["host", "user"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            run(command.arg(folder.join(key)))?;
        }
        let keys = folder.join("authorized_keys");
        fs::copy(folder.join("user.pub"), &keys)?;
        fs::set_permissions(&keys, Permissions::from_mode(0o600))?;
        // The server insists on this empty folder, which a distribution makes at its start.
        fs::create_dir_all("/run/sshd").context("sshd needs the folder /run/sshd")?;
        let config = folder.join("sshd_config");
        let lines = format!(
            "Port {SSH_PORT}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             Subsystem sftp internal-sftp\n",
            folder.display()
        );
        fs::write(&config, lines)?;
        let (config, log) = (text(&config)?, folder.join("sshd.log"));
        let server = lan.spawn(1, &server, &["-D", "-f", config, "-E", text(&log)?]);
        let address = SocketAddr::new(lan.ipv4(1), SSH_PORT);
        let ssh = Self {
            folder: folder.to_owned(),
            address,
            _server: server,
        };
        until_listening(lan, address)
            .and_then(|()| lan.inside(0, || run(ssh.command("ssh").arg(ssh.host()).arg("true"))))
            .with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        Ok(ssh)
    }

    fn host(&self) -> String {
        format!("root@{}", self.address.ip())
    }

    fn options(&self) -> Vec<String> {
        let key = self.folder.join("user");
        let options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "BatchMode=yes",
            "LogLevel=ERROR",
        ];
        let mut all = vec!["-F".into(), "none".into()];
        all.extend(["-i".into(), key.display().to_string()]);
        all.extend(options.into_iter().flat_map(|o| ["-o".into(), o.into()]));
        all.extend(["-o".into(), format!("Port={SSH_PORT}")]);
        all
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.options());
        command
    }

    /// Copies a file as `scp` does by itself: ChaCha20-Poly1305. To be called on host 0.
    pub(crate) fn scp(&self, from: &Path, to: &Path) -> anyhow::Result<Duration> {
        let mut scp = self.command("scp");
        scp.arg("-q").arg(from);
        scp.arg(format!("{}:{}", self.host(), to.display()));
        timed(&mut scp)
    }

    /// Copies a folder to another that is not there. To be called on host 0.
    pub(crate) fn rsync(&self, from: &Path, to: &Path) -> anyhow::Result<Duration> {
        installed("rsync", "rsync")?;
        let mut rsync = Command::new("rsync");
        let shell = format!("ssh {}", self.options().join(" "));
        rsync.args(["-a", "-e", &shell]);
        rsync.arg(format!("{}/", from.display()));
        rsync.arg(format!("{}:{}", self.host(), to.display()));
        timed(&mut rsync)
    }
}

/// A web server on host 1 that speaks TLS 1.3 with AES-256-GCM, and curl on host 0.
pub(crate) struct Tls {
    address: SocketAddr,
    _server: Process,
}

impl Tls {
    /// Serves the files of `root`.
    pub(crate) fn start(lan: &Lan, folder: &Path, root: &Path) -> anyhow::Result<Self> {
        let server = installed("nginx", "nginx-light")?;
        installed("curl", "curl")?;
        installed("openssl", "openssl")?;
        let at = |name: &str| folder.join(name).display().to_string();
        let mut openssl = Command::new("openssl");
        openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '));
        openssl.args(["-subj", "/CN=hallway", "-days", "2", "-keyout"]);
        run(openssl.args([&at("tls.key"), "-out", &at("tls.crt")]))?;
        let config = folder.join("nginx.conf");
        let lines = format!(
            "user root;\ndaemon off;\nmaster_process off;\npid {pid};\nerror_log {log};\n\
             events {{}}\nhttp {{\naccess_log off;\nsendfile on;\n\
             client_body_temp_path {temp};\nproxy_temp_path {temp};\nfastcgi_temp_path {temp};\n\
             uwsgi_temp_path {temp};\nscgi_temp_path {temp};\n\
             server {{\nlisten {TLS_PORT} ssl;\nroot {root};\nssl_protocols TLSv1.3;\n\
             ssl_certificate {crt};\nssl_certificate_key {key};\n}}\n}}\n",
            pid = at("nginx.pid"),
            log = at("nginx.log"),
            temp = at("nginx"),
            crt = at("tls.crt"),
            key = at("tls.key"),
            root = root.display(),
        );
        fs::write(&config, lines)?;
        let log = at("nginx.log");
        let server = lan.spawn(1, &server, &["-e", &log, "-c", text(&config)?]);
        let address = SocketAddr::new(lan.ipv4(1), TLS_PORT);
        until_listening(lan, address)
            .with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        Ok(Self {
            address,
            _server: server,
        })
    }

    /// Fetches a file by its name. To be called on host 0.
    pub(crate) fn fetch(&self, name: &str, to: &Path) -> anyhow::Result<Duration> {
        let mut curl = Command::new("curl");
        curl.args(["-sSfk", "--http1.1", "--tlsv1.3", "-o"]).arg(to);
        timed(curl.arg(format!("https://{}/{name}", self.address)))
    }
}

/// Where a program is.
fn installed(program: &str, package: &str) -> anyhow::Result<String> {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let mut found = places.iter().map(|place| format!("{place}/{program}"));
    let found = found.find(|path| Path::new(path).exists());
    found.with_context(|| format!("{program} is not installed (apt-get install {package})"))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

fn until_listening(lan: &Lan, address: SocketAddr) -> anyhow::Result<()> {
    let end = Instant::now() + START_WITHIN;
    while let Err(error) = lan.inside(0, || TcpStream::connect(address)) {
        ensure!(Instant::now() < end, "nobody listens on {address}: {error}");
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    let start = Instant::now();
    run(command)?;
    Ok(start.elapsed())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let ended = command.stdin(Stdio::null()).stderr(Stdio::piped()).output();
    let ended = ended.with_context(|| program.clone())?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        bail!("{program}: {}: {}", ended.status, said.trim());
    }
    Ok(())
}
