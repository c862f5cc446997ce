//! Reaching a peer: its addresses raced as in Happy Eyeballs (RFC 8305), each up to and including
//! the handshake, so that only the right peer can win.

use crate::arithmetic::{ConnectError, Handshaker};
use hallway_model::PeerId;
use hallway_proto::handshake::{Established, Purpose, Suite};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// The next address gets its chance after this (RFC 8305 section 8).
const STAGGER: Duration = Duration::from_millis(250);
/// A host of the same network that does not answer in this time is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// The winner of a race.
pub(crate) struct Reached {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) established: Box<Established>,
}

/// Races the addresses, the best first; the error of the last to fail when all do.
pub(crate) async fn race(
    handshaker: &Handshaker,
    addresses: Vec<SocketAddr>,
    expected: Option<PeerId>,
    suite: Suite,
    purpose: Purpose,
) -> Result<Reached, ConnectError> {
    let mut waiting = VecDeque::from(addresses);
    let mut running = JoinSet::new();
    let mut next_at = Instant::now();
    let mut last = ConnectError::Io(io::Error::other("no address is known"));
    loop {
        if running.is_empty() {
            // Everything so far has failed: no reason to wait for the next.
            next_at = Instant::now();
            if waiting.is_empty() {
                return Err(last);
            }
        }
        tokio::select! {
            () = sleep_until(next_at), if !waiting.is_empty() => {
                if let Some(remote) = waiting.pop_front() {
                    let handshaker = handshaker.clone();
                    running.spawn(async move { attempt(&handshaker, remote, expected, suite, purpose).await });
                }
                next_at = Instant::now() + STAGGER;
            }
            Some(outcome) = running.join_next() => match outcome {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(error)) => last = error,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        }
    }
}

async fn attempt(
    handshaker: &Handshaker,
    remote: SocketAddr,
    expected: Option<PeerId>,
    suite: Suite,
    purpose: Purpose,
) -> Result<Reached, ConnectError> {
    let connecting = timeout(CONNECT_WITHIN, TcpStream::connect(remote));
    let mut stream = connecting
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    tune(&stream)?;
    let established = handshaker
        .initiate(&mut stream, expected, suite, purpose)
        .await;
    if let Err(error) = &established {
        tracing::info!(%remote, %error, "a dial did not lead to a session");
    }
    Ok(Reached {
        stream,
        remote,
        established: established?,
    })
}

/// A record leaves at once.
pub(crate) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}
