//! Handshakes over sockets. Their arithmetic runs on a bounded pool, off the reactor, so that a
//! flood of strangers never delays a session.

use hallway_model::PeerId;
use hallway_proto::handshake::{
    Entropy, Established, HANDSHAKE_TIME_MAX, Handshake, HandshakeError, LocalKeys, Policy,
    Purpose, Step, Suite,
};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Handshake steps computed at once: more would only take turns on the same cores.
const STEPS_AT_ONCE: usize = 2;

/// What every handshake of this node shares.
#[derive(Clone)]
pub(crate) struct Handshaker {
    keys: Arc<LocalKeys>,
    policy: Arc<Policy>,
    pool: Arc<Semaphore>,
}

/// Why a connection did not become a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The other end broke the handshake, or is somebody else.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// The network.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Closed before the first byte, by somebody who wants to know whether a node is here, as
    /// `hallway doctor` does.
    #[error("the other end hung up without a word")]
    Wordless,
    /// Not finished in time.
    #[error("the other end did not finish the handshake in time")]
    Slow,
}

impl Handshaker {
    pub(crate) fn new(keys: Arc<LocalKeys>, policy: Policy) -> Self {
        let pool = Arc::new(Semaphore::new(STEPS_AT_ONCE));
        Self {
            keys,
            policy: Arc::new(policy),
            pool,
        }
    }

    /// Who we are.
    pub(crate) fn me(&self) -> PeerId {
        self.keys.id()
    }

    /// Opens a session on a fresh connection of ours.
    pub(crate) async fn initiate(
        &self,
        stream: &mut TcpStream,
        expected: Option<PeerId>,
        suite: Suite,
        purpose: Purpose,
    ) -> Result<Box<Established>, ConnectError> {
        let within = tokio::time::timeout(HANDSHAKE_TIME_MAX, async {
            let (keys, policy) = (self.keys.clone(), self.policy.clone());
            let entropy = entropy()?;
            let (handshake, first) = self
                .compute(move || {
                    Handshake::initiate(keys, &policy, expected, suite, purpose, entropy)
                })
                .await;
            stream.write_all(&first).await?;
            self.finish(stream, handshake).await
        });
        within.await.unwrap_or(Err(ConnectError::Slow))
    }

    /// Answers on a connection that came in.
    pub(crate) async fn respond(
        &self,
        stream: &mut TcpStream,
    ) -> Result<Box<Established>, ConnectError> {
        let within = tokio::time::timeout(HANDSHAKE_TIME_MAX, async {
            if stream.peek(&mut [0]).await? == 0 {
                return Err(ConnectError::Wordless);
            }
            let handshake = Handshake::respond(self.keys.clone(), &self.policy, entropy()?);
            self.finish(stream, handshake).await
        });
        within.await.unwrap_or(Err(ConnectError::Slow))
    }

    async fn finish(
        &self,
        stream: &mut TcpStream,
        mut handshake: Handshake,
    ) -> Result<Box<Established>, ConnectError> {
        let mut bytes = Vec::with_capacity(4096);
        loop {
            bytes.clear();
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let mut due = reject_if_refused(stream, handshake.push(&bytes)).await?;
            while due {
                let (back, step) = self
                    .compute(move || {
                        let step = handshake.step();
                        (handshake, step)
                    })
                    .await;
                handshake = back;
                match reject_if_refused(stream, step).await? {
                    Step::NeedMore => due = false,
                    Step::Send(bytes) => stream.write_all(&bytes).await?,
                    Step::Done { send, established } => {
                        stream.write_all(&send).await?;
                        return Ok(established);
                    }
                }
            }
        }
    }

    /// Runs arithmetic on the blocking pool, a few at a time.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _turn = self.pool.acquire().await;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Tells the other end why, where the protocol has a word for it.
async fn reject_if_refused<T>(
    stream: &mut TcpStream,
    outcome: Result<T, HandshakeError>,
) -> Result<T, ConnectError> {
    if let Some(bytes) = outcome.as_ref().err().and_then(HandshakeError::reject) {
        // The connection ends here whether or not the other end hears why.
        let _ = stream.write_all(&bytes).await;
    }
    Ok(outcome?)
}

fn entropy() -> io::Result<Entropy> {
    let mut bytes = [0; 128];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(Entropy::from_bytes(bytes))
}
