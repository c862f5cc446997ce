//! How well the peer's packets arrive: what their sender is told, and what people are shown.

use crate::packet::Report;
use crate::replay::{Arrived, ReplayWindow};
use hallway_model::Instant;
use std::time::Duration;

/// What a datagram costs on the network beyond itself: IPv4 and UDP headers.
pub(crate) const DATAGRAM_OVERHEAD: usize = 28;

/// Packets over which losses are counted: a good second of 10 ms frames.
const LOSS_PACKETS: u64 = 128;

/// Packets over which the longest burst is looked for: some ten seconds.
const BURST_PACKETS: u64 = 1_000;

/// Packets that may still be on their way behind the newest, and are not yet lost.
const REORDER_PACKETS: u64 = 4;

/// Losses are counted anew this often.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// The queue is the smallest delay of the last one to two of these: longer than a spike, shorter
/// than a queue lasts.
const QUEUE_WINDOW: Duration = Duration::from_millis(100);

/// The delay of an empty path is the smallest of the last one to two of these. Clocks drift by
/// 100 µs a second, so not longer.
const BASE_WINDOW: Duration = Duration::from_secs(15);

/// Rates are those of the last whole one of these.
const RATE_WINDOW: Duration = Duration::from_millis(250);

/// Counts bytes into a rate.
#[derive(Default)]
pub(crate) struct Rate {
    start: Option<Instant>,
    bytes: usize,
    last: Option<u32>,
}

impl Rate {
    /// Counts one datagram, with its headers.
    pub(crate) fn add(&mut self, datagram: usize, now: Instant) {
        self.turn(now);
        self.bytes += datagram + DATAGRAM_OVERHEAD;
    }

    /// Bits a second.
    pub(crate) fn get(&mut self, now: Instant) -> u32 {
        self.turn(now);
        self.last.unwrap_or(0)
    }

    fn turn(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let passed = now - start;
        if passed >= RATE_WINDOW {
            let bits = self.bytes as u128 * 8 * 1_000_000 / passed.as_micros();
            self.last = Some(u32::try_from(bits).unwrap_or(u32::MAX));
            (self.start, self.bytes) = (Some(now), 0);
        }
    }
}

/// The smallest value of the last one to two windows.
struct Least {
    window: Duration,
    start: Option<Instant>,
    before: Option<i64>,
    current: Option<i64>,
}

impl Least {
    fn new(window: Duration) -> Self {
        Self {
            window,
            start: None,
            before: None,
            current: None,
        }
    }

    fn add(&mut self, value: i64, now: Instant) {
        if now - *self.start.get_or_insert(now) >= self.window {
            (self.before, self.current) = (self.current, None);
            self.start = Some(now);
        }
        self.current = Some(self.current.map_or(value, |current| current.min(value)));
    }

    fn get(&self) -> Option<i64> {
        self.before.into_iter().chain(self.current).min()
    }
}

/// The receiving side of one direction.
pub(crate) struct Reception {
    window: ReplayWindow,
    rate: Rate,
    counted: Option<Instant>,
    loss: Arrived,
    burst: u32,
    delays: Option<Delays>,
}

/// What the times in packets tell.
struct Delays {
    /// Of the newest packet: when it was sent, when it came.
    newest: (u32, Instant),
    /// How much slower packets are than the first was, in microseconds.
    relative: i64,
    jitter_us: f64,
    lately: Least,
    ever: Least,
}

impl Reception {
    pub(crate) fn new() -> Self {
        Self {
            window: ReplayWindow::new(),
            rate: Rate::default(),
            counted: None,
            loss: Arrived::default(),
            burst: 0,
            delays: None,
        }
    }

    pub(crate) fn window(&self) -> &ReplayWindow {
        &self.window
    }

    /// A packet that was opened. Returns whether it is the newest.
    pub(crate) fn handle_packet(&mut self, number: u64, bytes: usize, now: Instant) -> bool {
        self.rate.add(bytes, now);
        let newest = self.window.mark(number);
        if self
            .counted
            .is_none_or(|counted| now - counted >= COUNT_EVERY)
        {
            self.counted = Some(now);
            self.loss = self.window.arrived(LOSS_PACKETS, REORDER_PACKETS);
            self.burst = self.window.arrived(BURST_PACKETS, REORDER_PACKETS).burst;
        }
        newest
    }

    /// The newest packet says when it was sent, in microseconds on its sender's clock.
    pub(crate) fn handle_sent(&mut self, sent: u32, now: Instant) {
        let Some(delays) = &mut self.delays else {
            let mut delays = Delays {
                newest: (sent, now),
                relative: 0,
                jitter_us: 0.0,
                lately: Least::new(QUEUE_WINDOW),
                ever: Least::new(BASE_WINDOW),
            };
            delays.lately.add(0, now);
            delays.ever.add(0, now);
            self.delays = Some(delays);
            return;
        };
        let (sent_before, came_before) = delays.newest;
        let between_sent = i64::from(sent.wrapping_sub(sent_before));
        let between_came = i64::try_from((now - came_before).as_micros()).unwrap_or(i64::MAX);
        // Longer apart than the field can tell, or a sender whose clock jumps: start again.
        if between_came > i64::from(u32::MAX / 4) || between_sent > i64::from(u32::MAX / 4) {
            self.delays = None;
            return;
        }
        let slower = between_came - between_sent;
        delays.newest = (sent, now);
        delays.relative = delays.relative.saturating_add(slower);
        #[allow(clippy::cast_precision_loss, reason = "under an hour of microseconds")]
        let slower = slower.unsigned_abs() as f64;
        delays.jitter_us += (slower - delays.jitter_us) / 16.0;
        delays.lately.add(delays.relative, now);
        delays.ever.add(delays.relative, now);
    }

    /// The share of packets lost lately, 0 to 1.
    #[allow(clippy::cast_precision_loss, reason = "at most 1,024")]
    pub(crate) fn loss(&self) -> f32 {
        self.loss.lost as f32 / self.loss.expected.max(1) as f32
    }

    /// The longest run of packets lost lately.
    pub(crate) fn burst(&self) -> u32 {
        self.burst
    }

    pub(crate) fn jitter(&self) -> Duration {
        let jitter = self.delays.as_ref().map_or(0.0, |delays| delays.jitter_us);
        Duration::from_secs_f64(jitter / 1e6)
    }

    /// How much slower packets are than on an empty path.
    pub(crate) fn queue(&self) -> Duration {
        let delays = self.delays.as_ref();
        let queue = delays.and_then(|delays| Some(delays.lately.get()? - delays.ever.get()?));
        Duration::from_micros(queue.unwrap_or(0).unsigned_abs())
    }

    /// Bits a second, with all headers.
    pub(crate) fn rate(&mut self, now: Instant) -> u32 {
        self.rate.get(now)
    }

    /// What the sender is told, once a packet of it has come.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Report> {
        let rate_kbps = self.rate(now) / 1_000;
        let (sent, came) = self.delays.as_ref()?.newest;
        let held = u64::try_from((now - came).as_micros()).unwrap_or(u64::MAX);
        #[allow(clippy::cast_possible_truncation, reason = "the clock wraps")]
        let echo = sent.wrapping_add(held as u32);
        let loss = self.loss.lost * 255 / self.loss.expected.max(1);
        Some(Report {
            echo,
            loss: u8::try_from(loss).unwrap_or(u8::MAX),
            burst: u8::try_from(self.burst).unwrap_or(u8::MAX),
            jitter: Report::jitter_steps(self.jitter()),
            queue_ms: u16::try_from(self.queue().as_millis()).unwrap_or(u16::MAX),
            rate_kbps: u16::try_from(rate_kbps).unwrap_or(u16::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant(5_000_000 + micros)
    }

    /// Packets each 10 ms whose delay is a function of their number.
    fn receive(
        reception: &mut Reception,
        numbers: std::ops::Range<u32>,
        delay: impl Fn(u32) -> u64,
    ) {
        for n in numbers {
            let now = at(u64::from(n) * 10_000 + delay(n));
            assert!(reception.handle_packet(n.into(), 100, now));
            // The sender's clock wraps on the way.
            reception.handle_sent((n * 10_000).wrapping_sub(500_000), now);
        }
    }

    #[test]
    fn a_steady_stream_has_neither_jitter_nor_queue() {
        let mut reception = Reception::new();
        assert_eq!(reception.report(at(0)), None);
        receive(&mut reception, 0..200, |_| 300);
        assert_eq!(reception.jitter(), Duration::ZERO);
        assert_eq!(reception.queue(), Duration::ZERO);
        assert_eq!((reception.loss(), reception.burst()), (0.0, 0));
        assert_eq!(reception.rate(at(2_000_000)), 128 * 8 * 100);
    }

    #[test]
    fn the_echo_leaves_out_how_long_it_was_held() {
        let mut reception = Reception::new();
        receive(&mut reception, 0..100, |_| 300);
        let report = reception.report(at(990_000 + 300 + 7_000)).unwrap();
        assert_eq!(report.echo, (990_000 - 500_000) + 7_000);
    }

    #[test]
    fn a_queue_is_told_from_a_spike_and_from_jitter() {
        let mut reception = Reception::new();
        receive(&mut reception, 0..200, |n| u64::from(n * 7 % 10) * 3_000);
        assert!(reception.queue() < Duration::from_millis(1));
        assert!(reception.jitter() > Duration::from_millis(5));
        // Eight packets come together, 80 ms late the first of them.
        receive(&mut reception, 200..208, |n| {
            80_000 - u64::from(n - 200) * 10_000
        });
        assert!(reception.queue() < Duration::from_millis(15));
        receive(&mut reception, 208..260, |_| 120_000);
        assert_eq!(reception.queue(), Duration::from_millis(120));
        receive(&mut reception, 260..300, |n| {
            120_000_u64.saturating_sub(u64::from(n - 259) * 10_000)
        });
        assert_eq!(reception.queue(), Duration::ZERO);
        // What never gets shorter is the way, and no queue.
        receive(&mut reception, 300..3_500, |_| 120_000);
        assert_eq!(reception.queue(), Duration::ZERO);
    }

    #[test]
    fn losses_are_those_of_late() {
        let mut reception = Reception::new();
        for n in (0..2_000_u64).filter(|n| *n > 900 || n % 10 > 2) {
            reception.handle_packet(n, 100, at(n * 10_000));
        }
        assert_eq!((reception.loss(), reception.burst()), (0.0, 0));
        for n in (2_000..2_200).filter(|n| n % 4 > 1) {
            reception.handle_packet(n, 100, at(n * 10_000));
        }
        assert!((reception.loss() - 0.5).abs() < 0.02);
        assert_eq!(reception.burst(), 2);
    }

    #[test]
    fn clocks_that_jump_start_anew() {
        let mut reception = Reception::new();
        receive(&mut reception, 0..100, |_| 300);
        let now = at(1_000_000);
        for sent in [0, u32::MAX, 77, u32::MAX / 2, 3] {
            reception.handle_sent(sent, now);
            let _ = (reception.queue(), reception.jitter(), reception.report(now));
        }
        reception.handle_sent(5, at(u64::MAX / 2));
        reception.handle_sent(6, at(1));
        let _ = (reception.queue(), reception.jitter());
    }
}
