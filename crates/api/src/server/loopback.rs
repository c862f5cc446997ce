//! The loopback port: the page and the API behind one guard.

use super::{Api, serving, wrong_method};
use crate::gate::{Gate, guard};
use axum::Router;
use axum::middleware::from_fn_with_state;
use std::io;
use std::net::{IpAddr, SocketAddr};
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
        let page = page.method_not_allowed_fallback(wrong_method);
        let routes = page.merge(self.router(false));
        let routes = routes.layer(from_fn_with_state(gate, guard));
        serving::serve(OwnUser(listener), routes, stop).await
    }
}

/// Accepts connections of this user and of root. On Linux the kernel knows whose they are; where
/// it tells nothing at all, the token alone guards.
struct OwnUser(TcpListener);

impl axum::serve::Listener for OwnUser {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, remote)) => {
                    let local = stream.local_addr();
                    match local.map_or(Whose::Nobodys, |local| whose(remote, local)) {
                        Whose::Users(uid) if !super::listener::is_welcome(uid) => {
                            tracing::warn!(uid, "another user was turned away");
                        }
                        Whose::Nobodys => tracing::debug!("a client that has left already"),
                        Whose::Users(_) | Whose::Untold => return (stream, remote),
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

/// Whose socket is at the other end of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// This user's.
    Users(u32),
    /// It is closed. Nobody can be asked any more, nor answered: whoever it was did not want to
    /// be seen.
    Nobodys,
    /// The system does not say.
    Untold,
}

/// A client that speaks IPv6 has its end of a connection in the other table.
const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

fn whose(remote: SocketAddr, local: SocketAddr) -> Whose {
    let mut whose = Whose::Untold;
    // Each takes the kernel some milliseconds, and most clients are in the first.
    for table in TABLES {
        if let Ok(table) = std::fs::read_to_string(table) {
            match find(&table, remote, local) {
                Some(found) => return found,
                None => whose = Whose::Nobodys,
            }
        }
    }
    whose
}

/// A line of `/proc/net/tcp` holds the number, the two addresses in hexadecimal, the state, the
/// queues, timers, in its eighth column the user and in its tenth the inode, which is 0 once no
/// process holds the socket. The user is 0 then, too, which is nobody's.
fn find(table: &str, from: SocketAddr, to: SocketAddr) -> Option<Whose> {
    let wanted = [hex_of(from, false), hex_of(to, false)];
    let mapped = [hex_of(from, true), hex_of(to, true)];
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = [fields.next()?, fields.next()?];
        if ends != wanted && ends != mapped {
            return None;
        }
        let uid = fields.nth(4)?.parse().ok()?;
        match fields.nth(1)? {
            "0" => Some(Whose::Nobodys),
            _ => Some(Whose::Users(uid)),
        }
    })
}

/// An address as the kernel prints it, in words of its own byte order; an IPv4 address also as the
/// IPv6 address that it is to who speaks that.
fn hex_of(address: SocketAddr, mapped: bool) -> String {
    let octets = match address.ip() {
        IpAddr::V4(v4) if !mapped => v4.octets().to_vec(),
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let words = octets.as_chunks().0.iter();
    let words = words.map(|word| format!("{:08X}", u32::from_ne_bytes(*word)));
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    async fn pair(client: IpAddr) -> (TcpStream, TcpStream, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((client, port)).await.unwrap();
        let (stream, remote) = listener.accept().await.unwrap();
        (client, stream, remote)
    }

    #[tokio::test]
    async fn the_user_at_the_other_end_is_known() {
        let own = rustix::process::geteuid().as_raw();
        let here = Ipv4Addr::LOCALHOST;
        // By the one protocol and by the other.
        for address in [IpAddr::V4(here), IpAddr::V6(here.to_ipv6_mapped())] {
            let (_client, stream, remote) = pair(address).await;
            let whose = whose(remote, stream.local_addr().unwrap());
            assert_eq!(whose, Whose::Users(own), "{address}");
        }
    }

    #[tokio::test]
    async fn who_has_left_is_nobody() {
        let (client, stream, remote) = pair(IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        drop(client);
        let whose = whose(remote, stream.local_addr().unwrap());
        assert_eq!(whose, Whose::Nobodys);
    }

    #[test]
    fn the_line_of_the_connection_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:A1B2 0100007F:0FA0 01 00000000:00000000 00:00000000 00000000  1001        0 1 1\n   \
            1: 0100007F:0FA0 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n   \
            2: 0100007F:A1B3 0100007F:0FA0 05 00000000:00000000 00:00000000 00000000     0        0 0 1\n   \
            3: 0000000000000000FFFF00000100007F:A1B4 0000000000000000FFFF00000100007F:0FA0 01 0:0 00:0 0 1002 0 4\n";
        let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let of = |from, to| find(table, at(from), at(to));
        assert_eq!(of(0xa1b2, 0x0fa0), Some(Whose::Users(1001)));
        assert_eq!(of(0x0fa0, 0xa1b2), Some(Whose::Users(0)));
        assert_eq!(of(0xa1b3, 0x0fa0), Some(Whose::Nobodys));
        #[cfg(target_endian = "little")]
        assert_eq!(of(0xa1b4, 0x0fa0), Some(Whose::Users(1002)));
        assert_eq!(of(1, 0x0fa0), None);
    }
}
