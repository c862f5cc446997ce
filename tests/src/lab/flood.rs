//! A stranger who sends as fast as they can what looks like the packets of a call.

use super::Lan;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two bursts the machine has a moment for others: it has to make the flood as well.
const BURST_EVERY: Duration = Duration::from_millis(1);
/// No burst makes up for more than so many that the machine had no time for.
const BURSTS_AT_ONCE: u64 = 10;
/// As long as a packet of a call.
const PACKET_BYTES: usize = 200;

/// Packets that no key has sealed, until it is dropped.
#[derive(Debug)]
pub struct Flood {
    began: Instant,
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sending: Option<JoinHandle<()>>,
}

impl Flood {
    /// Floods an IPv4 address from a host with so many packets a second, as far as the machine
    /// can make them.
    pub fn start(lan: &Lan, host: usize, at: SocketAddr, rate: u64) -> Self {
        let (over, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (namespace, ending, counted) = (lan.namespace(host), over.clone(), sent.clone());
        let send = move || namespace.enter(|| send(at, rate, &ending, &counted));
        Self {
            began: Instant::now(),
            over,
            sent,
            sending: Some(thread::spawn(send)),
        }
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Packets a second so far.
    pub fn rate(&self) -> f64 {
        self.sent() as f64 / self.began.elapsed().as_secs_f64()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(sending) = self.sending.take() {
            // A flood that failed has sent too little, which is looked at.
            let _ = sending.join();
        }
    }
}

/// Every key id that a node gives first, with counters to come and a body that no key has sealed.
fn send(at: SocketAddr, rate: u64, over: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket can be opened");
    let per_burst = (u128::from(rate) * BURST_EVERY.as_micros()).div_ceil(1_000_000);
    let most = u64::try_from(per_burst).unwrap_or(u64::MAX) * BURSTS_AT_ONCE;
    let (start, mut done) = (Instant::now(), 0);
    let mut packet = [0x5a; PACKET_BYTES];
    while !over.load(Relaxed) {
        let due = u128::from(rate) * start.elapsed().as_micros() / 1_000_000;
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        for number in done.max(due.saturating_sub(most))..due {
            // RFC 9605, 4.3: a key id up to 7 in the byte itself, then a counter of four bytes.
            packet[0] = (number % 8).to_le_bytes()[0] << 4 | 0b1011;
            let [a, b, c, d, ..] = (u64::from(u32::MAX / 2) + number).to_le_bytes();
            packet[1..5].copy_from_slice(&[d, c, b, a]);
            // The queue of the receiver may be full.
            let _ = socket.send_to(&packet, at);
            sent.fetch_add(1, Relaxed);
        }
        done = due;
        thread::sleep(BURST_EVERY);
    }
}
