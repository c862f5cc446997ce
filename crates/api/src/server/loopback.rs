//! The loopback port: the page and the API behind one guard.

use super::Api;
use crate::gate::{Gate, guard};
use axum::Router;
use axum::middleware::from_fn_with_state;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Wait before the next attempt when the system has no descriptor left for a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

impl Api {
    /// Serves the page and the API on loopback, to those the gate lets through, until the node is
    /// told to stop. The page is served to whoever may connect; the API wants a token.
    pub async fn serve_page(
        self,
        listener: TcpListener,
        gate: Arc<Gate>,
        page: Router,
    ) -> io::Result<()> {
        let stop = self.node.clone();
        let routes = page.merge(self.router(false));
        let routes = routes.layer(from_fn_with_state(gate, guard));
        axum::serve(OwnUser(listener), routes)
            .with_graceful_shutdown(async move { stop.stopping().await })
            .await
    }
}

/// Accepts connections of this user and of root. On Linux the kernel knows whose they are; where
/// it does not tell, the token alone guards.
struct OwnUser(TcpListener);

impl axum::serve::Listener for OwnUser {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, remote)) => {
                    let uid = stream
                        .local_addr()
                        .ok()
                        .and_then(|local| uid_of(remote, local));
                    match uid {
                        Some(uid) if !super::listener::is_welcome(uid) => {
                            tracing::warn!(uid, "another user was turned away");
                        }
                        Some(_) | None => return (stream, remote),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client; trying again");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Whose socket is at the other end of a loopback connection.
fn uid_of(remote: SocketAddr, local: SocketAddr) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").ok()?;
    find_uid(&table, remote, local)
}

/// A line of `/proc/net/tcp` holds the number, the two addresses in hexadecimal, the state, the
/// queues, timers, and in its eighth column the user.
fn find_uid(table: &str, from: SocketAddr, to: SocketAddr) -> Option<u32> {
    let (from, to) = (hex_of(from)?, hex_of(to)?);
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = (fields.next()?, fields.next()?);
        (ends == (from.as_str(), to.as_str()))
            .then(|| fields.nth(4)?.parse().ok())
            .flatten()
    })
}

fn hex_of(address: SocketAddr) -> Option<String> {
    match address {
        SocketAddr::V4(v4) => {
            let ip = u32::from_ne_bytes(v4.ip().octets());
            Some(format!("{ip:08X}:{:04X}", v4.port()))
        }
        SocketAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn the_user_at_the_other_end_is_known() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        let uid = uid_of(remote, stream.local_addr().unwrap());
        assert_eq!(uid, Some(rustix::process::geteuid().as_raw()));
        drop(client);
    }

    #[test]
    fn the_line_of_the_connection_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:A1B2 0100007F:0FA0 01 00000000:00000000 00:00000000 00000000  1001        0 1 1\n   \
            1: 0100007F:0FA0 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n";
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0x0fa0));
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 0xa1b2));
        assert_eq!(find_uid(table, remote, local), Some(1001));
        assert_eq!(find_uid(table, local, remote), Some(0));
        let other = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        assert_eq!(find_uid(table, other, local), None);
    }
}
