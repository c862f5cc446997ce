//! One authenticated TCP connection: a task that reads, and writes that do not block.

use hallway_proto::io::{ConnId, Input};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Bytes read at first: a few dozen short messages.
const READ_BYTES_FIRST: usize = 4 * 1024;
/// Bytes read at once while more keep coming.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes waiting for a peer that does not read. A window of messages fits; a peer that lets more
/// gather only wants our memory.
const BACKLOG_BYTES_MAX: usize = 16 << 20;
/// How long the last words of a closed connection may take to leave.
const LINGER: Duration = Duration::from_secs(2);

/// The shell's side of one session.
pub(crate) struct Connection {
    stream: Arc<OwnedWriteHalf>,
    backlog: mpsc::UnboundedSender<Vec<u8>>,
    backlog_bytes: Arc<AtomicUsize>,
    reader: AbortHandle,
}

/// The peer does not read what we send.
#[derive(Debug)]
pub(crate) struct Stalled;

impl Connection {
    /// Starts reading into `inputs`.
    pub(crate) fn open(conn: ConnId, stream: TcpStream, inputs: mpsc::Sender<Input>) -> Self {
        let (incoming, outgoing) = stream.into_split();
        let stream = Arc::new(outgoing);
        let reader = tokio::spawn(read(conn, incoming, inputs)).abort_handle();
        let (backlog, waiting) = mpsc::unbounded_channel();
        let backlog_bytes = Arc::new(AtomicUsize::new(0));
        tokio::spawn(write(stream.clone(), waiting, backlog_bytes.clone()));
        Self {
            stream,
            backlog,
            backlog_bytes,
            reader,
        }
    }

    /// Sends at once what the socket takes, and the rest as it takes more.
    pub(crate) fn transmit(&self, mut bytes: Vec<u8>) -> Result<(), Stalled> {
        if self.backlog_bytes.load(Ordering::Relaxed) == 0 {
            // An error here comes back to the reader, which reports the end of the connection.
            let written = self.stream.try_write(&bytes).unwrap_or(0);
            if written == bytes.len() {
                return Ok(());
            }
            bytes.drain(..written);
        }
        let queued = self.backlog_bytes.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        // The writing task lives as long as this sender.
        let _ = self.backlog.send(bytes);
        if queued > BACKLOG_BYTES_MAX {
            Err(Stalled)
        } else {
            Ok(())
        }
    }
}

impl Drop for Connection {
    /// Stops reading; what was queued still leaves, within [`LINGER`].
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(conn: ConnId, mut stream: OwnedReadHalf, inputs: mpsc::Sender<Input>) {
    let mut capacity = READ_BYTES_FIRST;
    loop {
        // Allocated only once there is something: an idle session holds no buffer.
        if stream.readable().await.is_err() {
            break;
        }
        let mut bytes = Vec::with_capacity(capacity);
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(read) => {
                // A full buffer means that more waits: take it in fewer, larger reads.
                capacity = if read == capacity {
                    READ_BYTES_MAX
                } else {
                    READ_BYTES_FIRST
                };
                if inputs.send(Input::Received(conn, bytes)).await.is_err() {
                    return;
                }
            }
        }
    }
    // The driver may be gone, and then nobody needs to know.
    let _ = inputs.send(Input::Closed(conn)).await;
}

async fn write(
    stream: Arc<OwnedWriteHalf>,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    backlog_bytes: Arc<AtomicUsize>,
) {
    while let Some(bytes) = waiting.recv().await {
        let closed = waiting.is_closed();
        let all = write_all(&stream, &bytes);
        let sent = if closed {
            tokio::time::timeout(LINGER, all).await.unwrap_or(false)
        } else {
            all.await
        };
        backlog_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        if !sent {
            return;
        }
    }
}

async fn write_all(stream: &OwnedWriteHalf, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if stream.writable().await.is_err() {
            return false;
        }
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
    true
}
