//! The UDP sockets of a node: bound for as long as it runs, read only while a call does; and one
//! more for each call, which only its peer can fill.

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Longest datagram that is looked at; a longer one is cut, and refused by its length.
pub(crate) const DATAGRAM_ROOM: usize = 2048;
/// Datagrams the kernel holds for us while the voice thread is held up: 100 ms of a flood of
/// 100,000 a second, as far as the system allows.
const RECEIVE_BYTES: usize = 4 << 20;
/// Expedited forwarding (RFC 3246): what Wi-Fi takes for voice and sends first.
const EXPEDITED: u32 = 46 << 2;

/// Both families, where the system has them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sockets(Arc<[Bound]>);

#[derive(Debug)]
struct Bound {
    ipv4: bool,
    socket: UdpSocket,
}

/// A socket of the node's port that receives from one address only. The kernel sorts: whatever
/// others send, and how much, goes to the socket of all and fills only that one's buffer. It does
/// not send: its own address stays what it was when it was opened, and a call outlives that.
#[derive(Debug)]
pub(super) struct Own(UdpSocket);

impl Own {
    /// What becomes readable.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Hands over up to `limit` datagrams; whether there may be more.
    pub(super) fn receive(&self, limit: usize, take: impl FnMut(SocketAddr, &[u8])) -> bool {
        drain(&self.0, limit, take)
    }
}

/// Binds UDP on one address.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // For those of each call. No other user of this computer can share the port.
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn drain(socket: &UdpSocket, limit: usize, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
    let mut buffer = [0; DATAGRAM_ROOM];
    for _ in 0..limit {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => take(from, &buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // What some earlier packet met on its way says nothing of this socket.
            Err(error) => tracing::trace!(%error, "a socket of voice"),
        }
    }
    true
}

impl Sockets {
    /// These, tuned for voice as far as the system allows.
    pub(crate) fn new(sockets: Vec<UdpSocket>) -> Self {
        let bound = sockets.into_iter().map(|socket| {
            let ipv4 = socket.local_addr().is_ok_and(|local| local.is_ipv4());
            let tuned = SockRef::from(&socket);
            // Without them a call works, with more loss in a flood and behind other traffic.
            let _ = tuned.set_recv_buffer_size(RECEIVE_BYTES);
            let _ = match ipv4 {
                true => tuned.set_tos_v4(EXPEDITED),
                false => tuned.set_tclass_v6(EXPEDITED),
            };
            Bound { ipv4, socket }
        });
        Self(bound.collect())
    }

    /// What becomes readable.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|bound| bound.socket.as_fd())
    }

    /// Hands over up to `limit` datagrams of each socket; whether there may be more.
    pub(crate) fn receive(&self, limit: usize, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        let mut more = false;
        for Bound { socket, .. } in self.0.iter() {
            more |= drain(socket, limit, &mut take);
        }
        more
    }

    /// Receives what comes from there by a socket of its own from now on.
    pub(super) fn own(&self, remote: SocketAddr) -> io::Result<Own> {
        let of_family = |bound: &&Bound| bound.ipv4 == remote.is_ipv4();
        let bound = self.0.iter().find(of_family);
        let bound = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = bind(bound.socket.local_addr()?)?;
        // What the system does not allow costs packets only behind a flood from that address.
        let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BYTES);
        socket.connect(remote)?;
        Ok(Own(socket))
    }

    /// Sends a datagram, or loses it, as any network might: an address without a route today may
    /// have one tomorrow.
    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let Some(bound) = self.0.iter().find(|bound| bound.ipv4 == to.is_ipv4()) else {
            return;
        };
        if let Err(error) = bound.socket.send_to(bytes, to) {
            tracing::trace!(%to, %error, "a packet of voice was not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_others_send_fills_only_the_socket_of_all() {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let near = bind(any).unwrap();
        let at = near.local_addr().unwrap();
        let near = Sockets::new(vec![near]);
        let [peer, stranger] = [(), ()].map(|()| bind(any).unwrap());
        let from = peer.local_addr().unwrap();
        let own = near.own(from).unwrap();
        // More than any buffer has room for.
        for _ in 0..100_000 {
            let _ = stranger.send_to(b"stranger", at);
        }
        peer.send_to(b"peer", at).unwrap();
        let mut heard = Vec::new();
        let more = own.receive(2, |sender, bytes| heard.push((sender, bytes.to_vec())));
        assert_eq!((heard, more), (vec![(from, b"peer".to_vec())], false));
        near.receive(usize::MAX, |sender, _| assert_ne!(sender, from));
        // Whoever comes back finds the socket of all.
        drop(own);
        peer.send_to(b"peer", at).unwrap();
        let mut heard = Vec::new();
        near.receive(2, |sender, bytes| heard.push((sender, bytes.to_vec())));
        assert_eq!(heard, [(from, b"peer".to_vec())]);
        // The other family is not bound.
        assert!(near.own("[::1]:9".parse().unwrap()).is_err());
    }

    #[test]
    fn datagrams_are_taken_up_to_the_limit_and_cut_at_the_room() {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let (near, far) = (bind(any).unwrap(), bind(any).unwrap());
        let (at, from) = (near.local_addr().unwrap(), far.local_addr().unwrap());
        let near = Sockets::new(vec![near]);
        let far = Sockets::new(vec![far]);
        let received = |limit| {
            let mut lengths = Vec::new();
            let more = near.receive(limit, |sender, bytes| {
                assert_eq!(sender, from);
                lengths.push(bytes.len());
            });
            (lengths, more)
        };
        assert_eq!(received(10), (vec![], false));
        for length in [0, 1, DATAGRAM_ROOM + 1] {
            far.send(at, &vec![7; length]);
        }
        assert_eq!(received(2), (vec![0, 1], true));
        assert_eq!(received(2), (vec![DATAGRAM_ROOM], false));
        // Nowhere and the other family are no trouble.
        far.send("[::1]:9".parse().unwrap(), b"x");
        far.send("240.0.0.1:9".parse().unwrap(), b"x");
    }
}
