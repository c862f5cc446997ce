//! What a hostile host on the LAN can do: announce anything, open any number of connections, break
//! the protocol once it is let in, and record what passes through it.

use crate::lab::Lan;
use hallway_model::{Name, PeerId, WallTime};
use hallway_proto::frame::Frame;
use hallway_proto::handshake::{
    Entropy, Handshake, HandshakeError, LocalKeys, Policy, Purpose, Step, Suite, Transport,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const MDNS_PORT: u16 = 5353;
const MDNS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// What remains of a 1,500-byte packet after IPv6 and UDP headers (RFC 6762 section 17).
const PACKET_BYTES_MAX: usize = 1452;
/// RFC 6762 section 10: for records with a host name in them. Other records may live longer.
const TTL_S: u32 = 120;
const SERVICE: &str = "_hallway._tcp.local";

// RFC 1035 section 3.2.2, RFC 3596, RFC 2782 and RFC 6762 section 10.2.
const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_TXT: u16 = 16;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;
const CLASS_IN: u16 = 1;
const CACHE_FLUSH: u16 = 0x8000;

/// One service instance as DNS-SD announces it: true or not, nobody checks.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The first label of the instance's name, at most 63 bytes.
    pub instance: String,
    /// The first label of the host's name, at most 63 bytes.
    pub host: String,
    /// Where the service shall be.
    pub port: u16,
    /// Where the host shall be.
    pub addresses: Vec<IpAddr>,
    /// Keys and values, each pair at most 254 bytes.
    pub txt: Vec<(String, String)>,
    /// How long all of it is valid; 0 takes it back.
    pub ttl_s: u32,
}

impl Announcement {
    /// What a node of this id and name would announce if it were at this address.
    pub fn of(id: PeerId, name: &str, at: SocketAddr) -> Self {
        let id = id.to_string();
        let pair = |key: &str, value: &str| (key.into(), value.into());
        Self {
            host: format!("host-{}", &id[..16]),
            port: at.port(),
            addresses: vec![at.ip()],
            txt: vec![pair("v", "1"), pair("id", &id), pair("n", name)],
            ttl_s: TTL_S,
            instance: id,
        }
    }

    fn records(&self) -> Vec<Vec<u8>> {
        let instance = [&[self.instance.as_str()], labels().as_slice()].concat();
        let host = [self.host.as_str(), "local"];
        let mut srv = vec![0; 4];
        srv.extend(self.port.to_be_bytes());
        srv.extend(name(&host));
        let mut txt = Vec::new();
        for (key, value) in &self.txt {
            string(&mut txt, format!("{key}={value}").as_bytes());
        }
        let unique = CLASS_IN | CACHE_FLUSH;
        let record = |owner: &[&str], kind, class, data: &[u8]| {
            let mut bytes = name(owner);
            bytes.extend(u16::to_be_bytes(kind));
            bytes.extend(u16::to_be_bytes(class));
            bytes.extend(self.ttl_s.to_be_bytes());
            let length = u16::try_from(data.len()).expect("a record is under 64 KiB");
            bytes.extend(length.to_be_bytes());
            bytes.extend(data);
            bytes
        };
        let mut records = vec![
            record(&labels(), TYPE_PTR, CLASS_IN, &name(&instance)),
            record(&instance, TYPE_SRV, unique, &srv),
            record(&instance, TYPE_TXT, unique, &txt),
        ];
        records.extend(self.addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => record(&host, TYPE_A, unique, &v4.octets()),
            IpAddr::V6(v6) => record(&host, TYPE_AAAA, unique, &v6.octets()),
        }));
        records
    }
}

/// As few mDNS responses as hold these announcements, each of them whole.
pub fn packets(announcements: &[Announcement]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut packet = Packet::default();
    for announcement in announcements {
        let records = announcement.records();
        let bytes: usize = records.iter().map(Vec::len).sum();
        if packet.answers > 0 && HEADER_BYTES + packet.records.len() + bytes > PACKET_BYTES_MAX {
            packets.push(std::mem::take(&mut packet).bytes());
        }
        for record in records {
            packet.answers += 1;
            packet.records.extend(record);
        }
    }
    if packet.answers > 0 {
        packets.push(packet.bytes());
    }
    packets
}

/// RFC 1035 section 4.1.1.
const HEADER_BYTES: usize = 12;

#[derive(Default)]
struct Packet {
    answers: u16,
    records: Vec<u8>,
}

impl Packet {
    fn bytes(self) -> Vec<u8> {
        // Id 0, an authoritative response, no questions, answers, nothing else.
        let mut bytes = vec![0, 0, 0x84, 0, 0, 0];
        bytes.extend(self.answers.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.records);
        bytes
    }
}

fn labels() -> Vec<&'static str> {
    SERVICE.split('.').collect()
}

fn name(labels: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        assert!(label.len() < 64, "a label has at most 63 bytes: {label}");
        string(&mut bytes, label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.push(u8::try_from(text.len()).expect("at most 255 bytes"));
    bytes.extend(text);
}

/// Ids nobody has, always the same for one seed.
pub fn made_up_ids(count: usize, seed: u64) -> Vec<PeerId> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let id = |_| {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        PeerId(bytes)
    };
    (0..count).map(id).collect()
}

/// A host's sockets on the mDNS port of `eth0`, one for each IP version it has.
#[derive(Debug)]
pub struct Mdns(Vec<(UdpSocket, SocketAddr)>);

impl Mdns {
    /// Opens them, also beside a node on the same host.
    pub fn open(lan: &Lan, host: usize) -> Self {
        let scope = lan.scope_id(host);
        Self(lan.inside(host, || {
            let mut sockets = Vec::new();
            let v4 = lan.ipv4(host);
            if bound(Domain::IPV4, SocketAddr::new(v4, 0)).is_ok() {
                let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, MDNS_PORT));
                let socket = bound(Domain::IPV4, any).expect("the port is shared");
                let group = MDNS_V4;
                socket
                    .join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(scope))
                    .and_then(|()| match v4 {
                        IpAddr::V4(v4) => socket.set_multicast_if_v4(&v4),
                        IpAddr::V6(_) => Ok(()),
                    })
                    .and_then(|()| socket.set_multicast_ttl_v4(255))
                    .expect("eth0 does multicast");
                sockets.push((socket.into(), SocketAddr::from((group, MDNS_PORT))));
            }
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, MDNS_PORT));
            if bound(Domain::IPV6, SocketAddr::new(lan.ipv6(host), 0)).is_ok() {
                let socket = bound(Domain::IPV6, any).expect("the port is shared");
                socket
                    .join_multicast_v6(&MDNS_V6, scope)
                    .and_then(|()| socket.set_multicast_if_v6(scope))
                    .and_then(|()| socket.set_multicast_hops_v6(255))
                    .expect("eth0 does multicast");
                sockets.push((socket.into(), SocketAddr::from((MDNS_V6, MDNS_PORT))));
            }
            sockets
        }))
    }

    /// Announces to everybody, over each IP version.
    pub fn announce(&self, announcements: &[Announcement]) {
        for packet in packets(announcements) {
            self.send(&packet);
        }
    }

    /// Sends any bytes to everybody, over each IP version.
    pub fn send(&self, packet: &[u8]) {
        for (socket, group) in &self.0 {
            let sent = socket.send_to(packet, group);
            sent.unwrap_or_else(|e| panic!("{} bytes to {group}: {e}", packet.len()));
        }
    }

    /// The next packet that anybody sends over the first IP version the host has, from where.
    pub fn receive(&self, within: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        let (socket, _) = self.0.first()?;
        let mut bytes = vec![0; usize::from(u16::MAX)];
        socket.set_read_timeout(Some(within)).ok()?;
        let (length, from) = socket.recv_from(&mut bytes).ok()?;
        bytes.truncate(length);
        Some((bytes, from))
    }
}

fn bound(domain: Domain, at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// Connects from a host, from one of its addresses when it matters which.
pub fn connect(
    lan: &Lan,
    host: usize,
    from: Option<IpAddr>,
    to: SocketAddr,
) -> io::Result<TcpStream> {
    lan.inside(host, || connect_here(from, to))
}

fn connect_here(from: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Opens so many connections, sends the same bytes on each and leaves it at that. They stay
/// open as long as the returned value.
pub fn half_open(
    lan: &Lan,
    host: usize,
    to: SocketAddr,
    count: usize,
    first: &[u8],
) -> io::Result<Vec<TcpStream>> {
    lan.inside(host, || {
        let one = |_| {
            let mut stream = connect_here(None, to)?;
            // The other side may have closed it at once, which is its good right.
            let _ = stream.write_all(first);
            Ok(stream)
        };
        (0..count).map(one).collect()
    })
}

/// All that the other side sends until it closes; `None` when it does not in this time.
pub fn read_until_closed(stream: &mut TcpStream, within: Duration) -> Option<Vec<u8>> {
    let end = Instant::now() + within;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left)).ok()?;
        match stream.read(&mut buffer) {
            Ok(0) => return Some(bytes),
            Ok(length) => bytes.extend(&buffer[..length]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // A reset is a way to close, too.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Some(bytes),
            Err(_) => return None,
        }
    }
}

/// Somebody with a key of their own who says what the test wants.
pub struct Stranger {
    stream: TcpStream,
    transport: Transport,
}

impl Stranger {
    /// Dials, and goes through the handshake with a key made of `seed`.
    pub fn dial(lan: &Lan, host: usize, to: SocketAddr, seed: u8) -> Result<Self, HandshakeError> {
        let mut stream = connect(lan, host, None, to).expect("it listens");
        let (mut handshake, first) = first_words(seed);
        stream.write_all(&first).expect("it reads");
        let mut bytes = [0; 4096];
        loop {
            let length = stream.read(&mut bytes).expect("it answers");
            assert!(length > 0, "it hung up");
            if !handshake.push(&bytes[..length])? {
                continue;
            }
            match handshake.step()? {
                Step::NeedMore => {}
                Step::Send(bytes) => stream.write_all(&bytes).expect("it reads"),
                Step::Done { send, established } => {
                    stream.write_all(&send).expect("it reads");
                    let mut transport = established.transport;
                    transport.push(&established.leftover);
                    return Ok(Self { stream, transport });
                }
            }
        }
    }

    /// Says something that is a frame.
    pub fn say(&mut self, frame: &Frame) {
        let mut plaintext = Vec::new();
        frame.encode(&mut plaintext);
        self.say_record(&plaintext);
    }

    /// Says something that need not be a frame, in a record.
    pub fn say_record(&mut self, plaintext: &[u8]) {
        let mut sealed = Vec::new();
        let fits = self.transport.seal(plaintext, &mut sealed);
        fits.expect("it fits a record");
        self.say_bytes(&sealed);
    }

    /// Says something that need not be a record.
    pub fn say_bytes(&mut self, bytes: &[u8]) {
        // The other side may have hung up, which is its good right.
        let _ = self.stream.write_all(bytes);
    }

    /// Whether the other side hangs up in this time, whatever it says before.
    pub fn is_hung_up_on(&mut self, within: Duration) -> bool {
        read_until_closed(&mut self.stream, within).is_some()
    }
}

/// The first bytes of somebody who means well: a `Hello` and message 1.
pub fn first_words(seed: u8) -> (Handshake, Vec<u8>) {
    let device = Name::new("a device").expect("a valid name");
    let keys = LocalKeys::new([seed; 32], [seed ^ 0xff; 32], &device, WallTime(0));
    // Nobody needs a secret that a test has.
    let entropy = Entropy::from_bytes([seed; 128]);
    let (policy, suite) = (Policy::default(), Suite::ChaChaPoly);
    Handshake::initiate(
        Arc::new(keys),
        &policy,
        None,
        suite,
        Purpose::Session,
        entropy,
    )
}

/// Passes connections on and keeps all that it hears.
#[derive(Debug)]
pub struct Relay {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<Recording>>>,
}

/// One connection through a [`Relay`].
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// What whoever dialled has said.
    pub dialler: Vec<u8>,
    /// What was answered.
    pub dialled: Vec<u8>,
}

impl Relay {
    /// Listens on a host for IPv4 and passes on to an address. It goes on as long as the test.
    pub fn start(lan: &Lan, host: usize, to: SocketAddr) -> Self {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let listener = lan
            .inside(host, || TcpListener::bind(any))
            .expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::<Mutex<Vec<Recording>>>::default();
        let recordings = heard.clone();
        // The sockets that a thread opens belong to the host it was started on.
        lan.inside(host, || {
            thread::spawn(move || pass_on(&listener, to, &recordings))
        });
        Self {
            at: SocketAddr::new(lan.ipv4(host), port),
            heard,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    /// Everything so far, a recording for each connection.
    pub fn heard(&self) -> Vec<Recording> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn pass_on(listener: &TcpListener, to: SocketAddr, heard: &Arc<Mutex<Vec<Recording>>>) {
    for near in listener.incoming() {
        let Ok((near, far)) = near.and_then(|near| Ok((near, connect_here(None, to)?))) else {
            continue;
        };
        let number = {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(Recording::default());
            heard.len() - 1
        };
        let ways = [
            (true, near.try_clone(), far.try_clone()),
            (false, Ok(far), Ok(near)),
        ];
        for (dialler, from, to) in ways {
            let (Ok(from), Ok(to), heard) = (from, to, heard.clone()) else {
                continue;
            };
            thread::spawn(move || {
                copy(from, to, |bytes| {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    let recording = &mut heard[number];
                    let said = if dialler {
                        &mut recording.dialler
                    } else {
                        &mut recording.dialled
                    };
                    said.extend(bytes);
                });
            });
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut note: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        note(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Whoever waits at the other end shall hear of it; it may be gone already.
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_full_and_never_too_long() {
        let at = SocketAddr::from((MDNS_V6, 42550));
        let ids = made_up_ids(10_000, 7);
        let announcements: Vec<_> = ids
            .iter()
            .map(|id| Announcement::of(*id, "Nobody", at))
            .collect();
        let packets = packets(&announcements);
        let answers: usize = packets.iter().map(|packet| usize::from(packet[7])).sum();
        assert_eq!(answers, announcements.len() * 4);
        let longest = packets.iter().map(Vec::len).max();
        assert!(longest <= Some(PACKET_BYTES_MAX) && longest > Some(PACKET_BYTES_MAX / 2));
        assert_eq!(made_up_ids(3, 7), ids[..3]);
        assert_ne!(made_up_ids(3, 8), ids[..3]);
    }
}
