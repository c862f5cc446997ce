//! What messages are compared with: bare TCP, with and without a disk, and a bare Noise stream.

use crate::place::{End, Link};
use hallway_proto::handshake::{REKEY_RECORDS, Transport};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a record of a log takes at least: a page.
const LOG_RECORD: usize = 4096;
/// The log is written over and over, as a database does it, so that it does not grow.
const LOG_RECORDS: u64 = 1024;
/// One write of the Noise stream.
const WRITE_BYTES: usize = 64 * 1024;

/// How much goes there and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) request: usize,
    pub(crate) reply: usize,
}

/// A file that something is appended to and that is then safe.
struct Log {
    file: File,
    written: u64,
}

impl Log {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = File::create(path)?;
        for _ in 0..LOG_RECORDS {
            file.write_all(&[1; LOG_RECORD])?;
        }
        file.sync_all()?;
        Ok(Self { file, written: 0 })
    }

    fn append(&mut self) -> io::Result<()> {
        let at = self.written % LOG_RECORDS * LOG_RECORD as u64;
        self.file.write_all_at(&[2; LOG_RECORD], at)?;
        self.written += 1;
        self.file.sync_data()
    }
}

/// Ping-pong with blocking sockets; with a folder, each side makes a page durable first.
pub(crate) struct Blocking {
    stream: TcpStream,
    log: Option<Log>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Blocking {
    /// Starts the other end on host 1. To be called on host 0.
    pub(crate) fn connect(link: &Link<'_>, sizes: Sizes, logs: Option<&Path>) -> io::Result<Self> {
        let log = |name| {
            logs.map(|folder| Log::create(&folder.join(name)))
                .transpose()
        };
        let (mut request, reply) = (vec![0; sizes.request], vec![0; sizes.reply]);
        let mut far = log("far")?;
        let address = serve(link, move |mut stream| {
            // Until the other end has had enough.
            while stream.read_exact(&mut request).is_ok() {
                far.as_mut().map(Log::append).transpose()?;
                stream.write_all(&reply)?;
            }
            Ok(())
        })?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let (request, reply) = (vec![0; sizes.request], vec![0; sizes.reply]);
        Ok(Self {
            stream,
            log: log("near")?,
            request,
            reply,
        })
    }

    pub(crate) fn round_trip(&mut self) -> io::Result<Duration> {
        let start = Instant::now();
        self.log.as_mut().map(Log::append).transpose()?;
        self.stream.write_all(&self.request)?;
        self.stream.read_exact(&mut self.reply)?;
        Ok(start.elapsed())
    }
}

/// Ping-pong between two runtimes like those that nodes run on.
pub(crate) struct Tokio {
    stream: tokio::net::TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Tokio {
    /// Starts the other end on host 1. To be called on host 0.
    pub(crate) async fn connect(link: &Link<'_>, sizes: Sizes) -> io::Result<Self> {
        let (mut request, reply) = (vec![0; sizes.request], vec![0; sizes.reply]);
        let address = serve(link, move |stream| {
            stream.set_nonblocking(true)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut stream = tokio::net::TcpStream::from_std(stream)?;
                // Until the other end has had enough.
                while stream.read_exact(&mut request).await.is_ok() {
                    stream.write_all(&reply).await?;
                }
                Ok(())
            })
        })?;
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: vec![0; sizes.request],
            reply: vec![0; sizes.reply],
        })
    }

    pub(crate) async fn round_trip(&mut self) -> io::Result<Duration> {
        let start = Instant::now();
        self.stream.write_all(&self.request).await?;
        self.stream.read_exact(&mut self.reply).await?;
        Ok(start.elapsed())
    }
}

/// Sends so many messages of this size through a Noise session, as fast as both ends can, in
/// writes of 64 KiB. Returns how long it took until the other end had opened the last one. To be
/// called on host 0.
pub(crate) fn noise_stream(
    link: &Link<'_>,
    (mut near, mut far): (Transport, Transport),
    messages: u64,
    bytes: usize,
) -> io::Result<Duration> {
    let address = serve(link, move |mut stream| {
        let (mut buffer, mut plaintext) = (vec![0; WRITE_BYTES], Vec::new());
        let mut opened = 0;
        while opened < messages {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            far.push(&buffer[..length]);
            while far.open(&mut plaintext).map_err(io::Error::other)? {
                opened += 1;
                if opened % REKEY_RECORDS == 0 {
                    far.rekey_incoming();
                }
            }
        }
        stream.write_all(b".")
    })?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let message = vec![b'x'; bytes];
    let start = Instant::now();
    let mut sealed = Vec::with_capacity(WRITE_BYTES + bytes);
    for sent in 1..=messages {
        near.seal(&message, &mut sealed).map_err(io::Error::other)?;
        if sent % REKEY_RECORDS == 0 {
            near.rekey_outgoing();
        }
        if sealed.len() >= WRITE_BYTES {
            stream.write_all(&sealed)?;
            sealed.clear();
        }
    }
    stream.write_all(&sealed)?;
    stream.read_exact(&mut [0])?;
    Ok(start.elapsed())
}

/// Runs the other end of one connection on host 1 and returns where it listens.
pub(crate) fn serve(
    link: &Link<'_>,
    job: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static,
) -> io::Result<SocketAddr> {
    let address = SocketAddr::new(link.lan.ipv4(1), 0);
    link.lan.inside(1, || {
        link.place.take(End::Far)?;
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            let served = listener.accept().and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                job(stream)
            });
            if let Err(error) = served {
                eprintln!("the other end of a comparison: {error}");
            }
        });
        Ok(address)
    })
}

/// A place on the disk that the program was built on: `/tmp` may be in memory.
pub(crate) fn scratch() -> io::Result<tempfile::TempDir> {
    let program = std::env::current_exe()?;
    let folder = program.parent().map_or_else(PathBuf::new, Path::to_owned);
    tempfile::TempDir::with_prefix_in("bench-", folder)
}
