//! Connections that come in: admission, handshake, and the report to the driver.

use crate::arithmetic::{ConnectError, Handshaker};
use crate::calls;
use crate::clock::Clock;
use crate::dial::tune;
use hallway_proto::handshake::{Admission, Established};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Connections the kernel holds for us: an office that comes back after a switch restarts.
const ACCEPT_BACKLOG: i32 = 512;
/// Ports tried after the wanted one, for several nodes on one host.
const PORTS_TRIED: u16 = 64;

/// A connection that became a session, or what went wrong, for the counters.
pub(crate) enum Incoming {
    /// A session.
    Session {
        stream: TcpStream,
        remote: SocketAddr,
        established: Box<Established>,
    },
    /// The name of what went wrong.
    Failed(&'static str),
}

/// What a node is reached at: the same port for TCP and UDP, in both families.
pub(crate) struct Bound {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) voice: Vec<UdpSocket>,
    pub(crate) port: u16,
}

/// Binds every address, on `wanted` or the next free port.
pub(crate) fn bind(wanted: u16) -> io::Result<Bound> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for offset in 0..=PORTS_TRIED {
        let Some(port) = wanted.checked_add(offset) else {
            break;
        };
        match bind_exactly(port) {
            Ok(bound) => return Ok(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Binds both families where the system has them.
pub(crate) fn bind_exactly(port: u16) -> io::Result<Bound> {
    let v4 = listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    let port = match &v4 {
        Ok(listener) => listener.local_addr()?.port(),
        Err(_) => port,
    };
    let v6 = listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    let in_use = |r: &io::Result<TcpListener>| {
        r.as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    if in_use(&v4) || in_use(&v6) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    match (v4, v6) {
        (Err(error), Err(_)) => Err(error),
        (v4, v6) => {
            let listeners: Vec<_> = [v4, v6].into_iter().flatten().collect();
            let port = listeners[0].local_addr()?.port();
            let addresses = listeners.iter().map(TcpListener::local_addr);
            let voice = addresses.map(|address| calls::bind(address?));
            Ok(Bound {
                voice: voice.collect::<io::Result<_>>()?,
                listeners,
                port,
            })
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted node takes its port back although old connections linger.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts for as long as the driver listens.
pub(crate) async fn accept(
    listener: TcpListener,
    handshaker: Handshaker,
    admission: Arc<Mutex<Admission>>,
    clock: Clock,
    incoming: mpsc::Sender<Incoming>,
) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: closing sessions frees some.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let admitted = lock(&admission).admit(remote.ip(), clock.mono());
        let ticket = match admitted {
            Ok(ticket) => ticket,
            Err(refused) => {
                tracing::debug!(%remote, %refused, "refused a connection");
                if incoming
                    .try_send(Incoming::Failed("half_open_refused"))
                    .is_err()
                    && incoming.is_closed()
                {
                    return;
                }
                continue;
            }
        };
        let (handshaker, admission) = (handshaker.clone(), admission.clone());
        let incoming = incoming.clone();
        tokio::spawn(async move {
            let outcome = respond(stream, &handshaker).await;
            lock(&admission).release(ticket);
            let report = match outcome {
                Ok((stream, established)) => Incoming::Session {
                    stream,
                    remote,
                    established,
                },
                Err(ConnectError::Wordless) => {
                    tracing::debug!(%remote, "somebody looked whether a node is here");
                    Incoming::Failed(counter(&ConnectError::Wordless))
                }
                Err(error) => {
                    tracing::info!(%remote, %error, "a handshake failed");
                    Incoming::Failed(counter(&error))
                }
            };
            // A driver that is gone needs no report.
            let _ = incoming.send(report).await;
        });
    }
}

async fn respond(
    mut stream: TcpStream,
    handshaker: &Handshaker,
) -> Result<(TcpStream, Box<Established>), ConnectError> {
    tune(&stream)?;
    let established = handshaker.respond(&mut stream).await?;
    Ok((stream, established))
}

/// The stable name under which a failure is counted.
pub(crate) fn counter(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Handshake(error) => error.counter(),
        ConnectError::Io(_) => "handshake_broken_off",
        ConnectError::Wordless => "connection_unused",
        ConnectError::Slow => "handshake_slow",
    }
}

fn lock(admission: &Mutex<Admission>) -> std::sync::MutexGuard<'_, Admission> {
    admission.lock().unwrap_or_else(PoisonError::into_inner)
}
