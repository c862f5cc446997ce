//! What the sender makes of the receiver's reports: how many copies, how far apart, how long the
//! frames, how many bits.
//!
//! Two things go wrong on a network, and want the opposite. Packets are lost at random: more copies
//! help. The way is too narrow: everything sent makes it worse. The second shows as a queue that
//! grows, or as losses that sending less makes go away.

use crate::codec::FrameLength;
use crate::packet::{FRAMES_MAX, MediaPacket, Report};
use crate::reception::DATAGRAM_OVERHEAD;
use crate::sframe::TAG_BYTES;
use hallway_model::Instant;
use std::time::Duration;

/// Packets waiting longer than this on the way mean that it is too narrow. The spikes of a busy
/// Wi-Fi end sooner than the window over which the receiver takes the smallest delay.
const QUEUE_MAX_MS: u16 = 60;

/// The same while it is tried whether more gets through, when the cause is known.
const QUEUE_TRIED_MS: u16 = 25;

/// Losses above this may be those of a way that is too narrow and keeps no queue: with four copies,
/// and with one. Below it, the copies leave less to conceal than sending without any would.
const LOSS_SUSPECT: (f32, f32) = (0.5, 0.2);

/// Losses from which on every frame gets all the copies there may be.
const LOSS_NOTED: f32 = 0.01;

/// How many copies more that is: two, and the four of the default outlive a burst of four packets
/// while each frame has its nearest copies still. A call takes some 700 kbit/s then.
const LOSSY_COPIES: usize = 2;

/// Copies are kept up so long after the last loss: losses come in spells.
const COPIES_HOLD: Duration = Duration::from_secs(30);

/// How long a change needs to show in the reports.
const SETTLE: Duration = Duration::from_millis(2_000);

/// A call starts below what was asked for, and so long and a round trip later goes on to the next
/// grade, unless a queue is reported, which shows after 200 ms: at full speed a narrow way would hold
/// seconds of sound before the first report.
const RAMP_STEP: Duration = Duration::from_millis(400);

/// More is sent for so long to see whether it makes a queue, which then is one that the playout is
/// used to on such a way.
const PROBE: Duration = Duration::from_millis(100);

/// And so long and a round trip later it would have been reported.
const PROBE_SHOWS: Duration = Duration::from_millis(400);

/// The grade that a call starts with.
const RAMP_FROM: usize = 3;

/// How long less is sent to see whether less is lost: losses are counted over 128 packets, and there
/// are twenty-five a second then.
const TRIAL: Duration = Duration::from_millis(5_500);

/// The loss must have been suspect for so long: an address that changes looks the same at first.
const SUSPECT_FOR: Duration = Duration::from_millis(800);

/// How long losses that sending less did not help are taken for chance.
const CHANCE_FOR: Duration = Duration::from_secs(120);

/// The first and the longest wait before more is sent again.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(480));

/// A queue longer than this is left to empty before anything else is sent; a shorter one empties
/// soon enough while less is sent.
const PAUSE_FROM: Duration = Duration::from_millis(250);

/// However long it is, the peer hears something again after this.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// Packets among which the receiver looks for the longest burst.
const BURST_PACKETS: f32 = 1_000.0;

/// The share of the rate that arrives which is used when the way is full.
const FILL: f32 = 0.85;

/// Copies at most this far from their frame: what comes later no playout waits for.
const SPREAD_MAX: Duration = Duration::from_millis(60);

/// Grades below what was asked for. With all headers they take some 260, 150, 100 and 50 kbit/s; the last
/// sends every frame once and half as many packets, whose headers would be a third of it.
const LOWER: [Grade; 4] = [
    (FrameLength::Ms10, 64_000, 2, 1),
    (FrameLength::Ms10, 40_000, 1, 1),
    (FrameLength::Ms20, 32_000, 1, 1),
    (FrameLength::Ms20, 32_000, 1, 2),
];

/// Frame length, bits a second, copies, and frames from one packet to the next.
type Grade = (FrameLength, u32, usize, usize);

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) length: FrameLength,
    pub(crate) bitrate: u32,
    pub(crate) copies: usize,
    /// How many frames back the farthest copy is, when there is room to choose.
    pub(crate) spread: usize,
    /// A packet is sent with each so manieth frame; the others travel as its copies.
    pub(crate) every: usize,
}

impl Plan {
    /// How many frames back the copies are, nearest first: next to each other, because those come
    /// soonest, but the last as far as a burst is long.
    pub(crate) fn copies(&self) -> impl Iterator<Item = usize> {
        let (copies, last) = (self.copies, self.spread.max(self.copies));
        (1..=copies).map(move |copy| if copy == copies { last } else { copy })
    }

    /// Bits a second on the network, with all headers, of a constant bitrate.
    pub(crate) fn rate(&self) -> u32 {
        let payload = payload_bytes(self.length, self.bitrate);
        let packet = MediaPacket::bytes([payload].repeat(1 + self.copies));
        // Twelve bytes of header: a long key id, and a few weeks of packets.
        let bytes = packet + TAG_BYTES + 12 + DATAGRAM_OVERHEAD;
        let bits = bytes * 8_000 / (self.every * self.length.samples() / 48);
        u32::try_from(bits).unwrap_or(u32::MAX)
    }
}

fn payload_bytes(length: FrameLength, bitrate: u32) -> usize {
    (bitrate as usize * length.ms() as usize).div_ceil(8_000)
}

/// What the reports made of the sender.
pub(crate) struct Adaptation {
    full: (FrameLength, u32),
    /// 0 is what was asked for, others are one more than their place in [`LOWER`].
    grade: usize,
    changed: Instant,
    rose: bool,
    patience: Duration,
    lossy: Option<Instant>,
    burst: usize,
    suspect: Option<Instant>,
    trial: Option<Trial>,
    probe: Option<Instant>,
    ramping: bool,
    chance_until: Option<Instant>,
    pause_until: Option<Instant>,
}

/// Less is sent, to see whether less is lost.
struct Trial {
    until: Instant,
    grade_before: usize,
    loss_before: f32,
}

impl Adaptation {
    pub(crate) fn new(length: FrameLength, bitrate: u32, now: Instant) -> Self {
        Self {
            full: (length, bitrate),
            grade: RAMP_FROM,
            changed: now,
            ramping: true,
            rose: false,
            patience: PATIENCE.0,
            lossy: None,
            burst: 1,
            suspect: None,
            trial: None,
            probe: None,
            chance_until: None,
            pause_until: None,
        }
    }

    pub(crate) fn plan(&self, now: Instant) -> Plan {
        let lossy = self.lossy.is_some_and(|at| now - at < COPIES_HOLD);
        let probing = self.probe.is_some_and(|since| now - since < PROBE);
        let mut plan = self.at_grade(self.grade - usize::from(probing));
        if self.grade == 0 && lossy {
            plan.copies = (plan.copies + LOSSY_COPIES).min(FRAMES_MAX - 1);
        }
        let spread = SPREAD_MAX.as_millis() / u128::from(plan.length.ms());
        let spread = usize::try_from(spread).expect("small");
        if lossy && plan.every == 1 {
            plan.spread = self.burst.min(spread);
        }
        plan
    }

    /// Whether nothing should be sent, because what waits on the way would be in its way.
    pub(crate) fn is_paused(&self, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| now < until)
    }

    /// 0 when everything that was asked for is sent.
    pub(crate) fn grade(&self) -> usize {
        self.grade
    }

    /// The peer's report came, which told of packets sent `round_trip` ago.
    pub(crate) fn handle_report(&mut self, report: &Report, round_trip: Duration, now: Instant) {
        let loss = report.loss();
        if loss >= LOSS_NOTED {
            self.lossy = Some(now);
            self.burst = burst(report);
        }
        if let Some(trial) = self.trial.take_if(|trial| now >= trial.until) {
            self.end_trial(&trial, loss, now);
        }
        let passed = now - self.changed;
        let trying = self.ramping || self.rose || self.probe.is_some();
        let most = if trying { QUEUE_TRIED_MS } else { QUEUE_MAX_MS };
        if report.queue_ms > most && self.probe.take().is_some() {
            self.patience = (self.patience * 2).min(PATIENCE.1);
            self.changed = now;
        } else if report.queue_ms > most {
            // Once less is sent, the queue gets the time to empty.
            if trying || self.grade == 0 || passed >= SETTLE {
                self.pause(report, round_trip, now);
                self.fall(report, now);
            }
        } else if self.ramping && passed >= RAMP_STEP + round_trip {
            self.ramping = self.grade > 1;
            self.change(self.grade.saturating_sub(1), now);
        } else if self.trial.is_none() && passed >= SETTLE {
            self.suspect_loss(report, now);
            self.rise(report, round_trip, now);
        }
    }

    /// The peer is somewhere else: what was learned about the way there is void.
    pub(crate) fn handle_path_change(&mut self, now: Instant) {
        self.changed = now;
        self.ramping = self.grade > 0;
        (self.rose, self.patience) = (false, PATIENCE.0);
        (self.suspect, self.trial, self.probe) = (None, None, None);
        (self.chance_until, self.pause_until) = (None, None);
    }

    /// Sends nothing until what waits on the way has arrived: it is what the report says, and what
    /// was sent too much since.
    fn pause(&mut self, report: &Report, round_trip: Duration, now: Instant) {
        let (sent, arrived) = (self.plan(now).rate(), u32::from(report.rate_kbps) * 1_000);
        let excess = f64::from(sent.saturating_sub(arrived)) / f64::from(arrived.max(sent / 4));
        let queue = Duration::from_millis(report.queue_ms.into()) + round_trip.mul_f64(excess);
        self.pause_until = (queue > PAUSE_FROM).then(|| now + queue.min(PAUSE_MAX));
    }

    fn at_grade(&self, grade: usize) -> Plan {
        let (length, bitrate) = self.full;
        // Short frames need a further copy to outlive the same burst.
        let copies = match length {
            FrameLength::Ms5 => 3,
            FrameLength::Ms10 => 2,
            FrameLength::Ms20 => 1,
        };
        let lower = grade.checked_sub(1).map(|lower| LOWER[lower]);
        let (lower, bits, copies, every) = lower.unwrap_or((length, bitrate, copies, 1));
        Plan {
            length: lower.max(length),
            bitrate: bits.min(bitrate),
            copies,
            spread: 1,
            every,
        }
    }

    fn fall(&mut self, report: &Report, now: Instant) {
        #[allow(clippy::cast_precision_loss, reason = "rates are estimates")]
        let fits = |grade: &usize| {
            self.at_grade(*grade).rate() as f32 <= f32::from(report.rate_kbps) * 1_000.0 * FILL
        };
        let grade = (self.grade + 1..LOWER.len())
            .find(fits)
            .unwrap_or(LOWER.len());
        if self.rose {
            self.patience = (self.patience * 2).min(PATIENCE.1);
        }
        self.ramping = false;
        self.change(grade, now);
    }

    fn rise(&mut self, report: &Report, round_trip: Duration, now: Instant) {
        if self.rose && now - self.changed >= PATIENCE.0 {
            // The last rise held.
            (self.rose, self.patience) = (false, PATIENCE.0);
        }
        let calm = report.queue_ms <= QUEUE_TRIED_MS;
        match self.probe {
            Some(since) if now - since >= PROBE + PROBE_SHOWS + round_trip => {
                self.change(self.grade - 1, now);
                self.rose = true;
            }
            None if self.grade > 0 && calm && now - self.changed >= self.patience => {
                self.probe = Some(now);
            }
            _ => {}
        }
    }

    fn suspect_loss(&mut self, report: &Report, now: Instant) {
        let chance = self.chance_until.is_some_and(|until| now < until);
        let most = if self.grade == 0 {
            LOSS_SUSPECT.0
        } else {
            LOSS_SUSPECT.1
        };
        if report.loss() < most || self.grade == LOWER.len() || chance {
            self.suspect = None;
        } else if now - *self.suspect.get_or_insert(now) >= SUSPECT_FOR {
            let (grade_before, loss_before) = (self.grade, report.loss());
            self.fall(report, now);
            // Losses are counted over packets, and there are fewer of them now.
            self.trial = Some(Trial {
                until: now + TRIAL,
                grade_before,
                loss_before,
            });
        }
    }

    fn end_trial(&mut self, trial: &Trial, loss: f32, now: Instant) {
        if loss > trial.loss_before / 2.0 {
            self.chance_until = Some(now + CHANCE_FOR);
            self.change(trial.grade_before, now);
        }
    }

    fn change(&mut self, grade: usize, now: Instant) {
        tracing::debug!(from = self.grade, to = grade, "sending changes its grade");
        (self.grade, self.changed) = (grade, now);
        (self.rose, self.suspect, self.probe) = (false, None, None);
    }
}

/// How long bursts are, unless there is none that independent losses would not explain: of n packets
/// lost with probability p the longest run is about log n / log 1/p.
fn burst(report: &Report) -> usize {
    let by_chance = BURST_PACKETS.ln() / -report.loss().clamp(0.01, 0.9).ln();
    if f32::from(report.burst) > by_chance + 1.0 {
        report.burst.into()
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(1);
    /// Microseconds: a call begins a second before the tests count.
    const BEGUN: u64 = 1_000_000;

    fn at(ms: u64) -> Instant {
        Instant(BEGUN + ms * 1_000)
    }

    fn report(loss: f32, queue_ms: u16) -> Report {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 255"
        )]
        let loss = (loss * 255.0).round() as u8;
        Report {
            loss,
            queue_ms,
            burst: 1,
            rate_kbps: 350,
            ..Report::default()
        }
    }

    /// Reports each 10 ms from one time to another.
    fn run(adaptation: &mut Adaptation, from: u64, to: u64, report: &Report) {
        for ms in (from..to).step_by(10) {
            adaptation.handle_report(report, ROUND_TRIP, at(ms));
        }
    }

    /// An adaptation that has come up to speed, at 1 s.
    fn full() -> Adaptation {
        begun(FrameLength::Ms10)
    }

    fn begun(length: FrameLength) -> Adaptation {
        let mut adaptation = Adaptation::new(length, 128_000, Instant(0));
        assert_eq!(adaptation.grade(), RAMP_FROM);
        for now in (0..=at(1_000).0).step_by(10_000) {
            adaptation.handle_report(&report(0.0, 0), ROUND_TRIP, Instant(now));
        }
        assert_eq!(adaptation.grade(), 0);
        adaptation
    }

    #[test]
    fn without_reports_a_call_stays_slow() {
        let adaptation = Adaptation::new(FrameLength::Ms10, 128_000, at(0));
        assert_eq!(adaptation.plan(at(60_000)).length, FrameLength::Ms20);
    }

    #[test]
    fn grades_take_less_and_less() {
        let rates = (0..=LOWER.len()).map(|grade| full().at_grade(grade).rate() / 1_000);
        assert_eq!(rates.collect::<Vec<_>>(), [454, 262, 148, 98, 49]);
        // What was asked for is never exceeded.
        let modest = Adaptation::new(FrameLength::Ms20, 16_000, at(0));
        for grade in 0..=LOWER.len() {
            assert_eq!(modest.at_grade(grade).length, FrameLength::Ms20);
            assert_eq!(modest.at_grade(grade).bitrate, 16_000);
        }
    }

    #[test]
    fn losses_bring_further_copies_for_a_while() {
        let mut adaptation = full();
        assert_eq!(
            adaptation.plan(at(1_000)).copies().collect::<Vec<_>>(),
            [1, 2]
        );
        adaptation.handle_report(&report(0.02, 0), ROUND_TRIP, at(1_000));
        assert_eq!(
            adaptation.plan(at(30_999)).copies().collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
        assert_eq!(adaptation.plan(at(31_000)).copies, 2);
    }

    #[test]
    fn every_length_has_room_for_its_copies() {
        for (length, expected) in [
            (FrameLength::Ms5, [3, 4]),
            (FrameLength::Ms10, [2, 4]),
            (FrameLength::Ms20, [1, 3]),
        ] {
            let mut adaptation = begun(length);
            let before = adaptation.plan(at(1_000)).copies;
            adaptation.handle_report(&report(0.02, 0), ROUND_TRIP, at(1_000));
            assert_eq!([before, adaptation.plan(at(1_000)).copies], expected);
        }
    }

    #[test]
    fn bursts_spread_the_copies_and_chance_does_not() {
        let mut adaptation = full();
        let mut copies = |loss, burst| {
            let report = Report {
                burst,
                ..report(loss, 0)
            };
            adaptation.handle_report(&report, ROUND_TRIP, at(1_000));
            adaptation.plan(at(1_000)).copies().collect::<Vec<_>>()
        };
        assert_eq!(copies(0.05, 5), [1, 2, 3, 5]);
        assert_eq!(copies(0.05, 4), [1, 2, 3, 4]);
        assert_eq!(copies(0.05, 2), [1, 2, 3, 4]);
        assert_eq!(copies(0.2, 5), [1, 2, 3, 4]);
        assert_eq!(copies(0.05, 200), [1, 2, 3, 6]);
    }

    #[test]
    fn a_queue_makes_it_send_what_fits() {
        for (rate_kbps, grade) in [(350, 1), (300, 2), (150, 3), (64, 4), (10, 4), (0, 4)] {
            let mut adaptation = full();
            let congested = Report {
                rate_kbps,
                ..report(0.0, 61)
            };
            adaptation.handle_report(&report(0.0, 60), ROUND_TRIP, at(1_000));
            assert_eq!(adaptation.grade(), 0);
            adaptation.handle_report(&congested, ROUND_TRIP, at(1_000));
            assert_eq!(adaptation.grade(), grade);
            // It gets the time to empty.
            run(&mut adaptation, 1_010, 2_990, &congested);
            assert_eq!(adaptation.grade(), grade);
            assert!(!adaptation.is_paused(at(1_010)));
        }
    }

    #[test]
    fn a_long_queue_is_left_to_empty_but_not_for_ever() {
        let mut adaptation = full();
        let congested = report(0.0, u16::MAX);
        adaptation.handle_report(&congested, ROUND_TRIP, at(1_000));
        assert!(adaptation.is_paused(at(2_499)));
        assert!(!adaptation.is_paused(at(2_500)));
    }

    #[test]
    fn more_is_tried_later_and_later() {
        let mut adaptation = full();
        adaptation.handle_report(&report(0.0, 100), ROUND_TRIP, at(1_000));
        let mut tries = Vec::new();
        for ms in (1_010..120_000).step_by(10) {
            adaptation.handle_report(&report(0.0, 0), ROUND_TRIP, at(ms));
            if adaptation.grade() == 0 {
                tries.push(ms / 1_000);
                adaptation.handle_report(&report(0.0, 26), ROUND_TRIP, at(ms));
            }
        }
        assert_eq!(tries, [16, 47, 107]);
    }

    #[test]
    fn more_is_sent_for_a_moment_before_it_is_sent_for_good() {
        let mut adaptation = full();
        adaptation.handle_report(&report(0.0, 61), ROUND_TRIP, at(1_000));
        let rate = |adaptation: &Adaptation, ms| adaptation.plan(at(ms)).rate();
        let slow = rate(&adaptation, 1_000);
        let mut moments = Vec::new();
        // The way holds no more: whatever is tried makes a queue, which shows 200 ms later.
        for ms in (1_010..60_000).step_by(10) {
            if rate(&adaptation, ms) > slow {
                moments.push(ms);
            }
            let tried = moments.last().is_some_and(|last| ms - last < 200);
            let queue = if tried { 26 } else { 0 };
            adaptation.handle_report(&report(0.0, queue), ROUND_TRIP, at(ms));
        }
        assert_eq!(rate(&adaptation, 60_000), slow);
        // Twice, and each time for the time of a probe or less.
        let starts = moments.iter().filter(|ms| !moments.contains(&(*ms - 10)));
        assert_eq!(starts.count(), 2);
        assert!(moments.len() * 10 <= 2 * 100, "{moments:?}");
    }

    #[test]
    fn heavy_losses_that_sending_less_does_not_help_are_taken_for_chance() {
        let mut adaptation = full();
        run(&mut adaptation, 3_000, 3_900, &report(0.6, 0));
        assert!(adaptation.grade() > 0);
        run(&mut adaptation, 3_900, 10_000, &report(0.6, 0));
        assert_eq!(adaptation.grade(), 0);
        run(&mut adaptation, 10_000, 120_000, &report(0.6, 0));
        assert_eq!(adaptation.grade(), 0);
    }

    #[test]
    fn heavy_losses_that_sending_less_does_help_keep_it_slow() {
        let mut adaptation = full();
        run(&mut adaptation, 3_000, 3_900, &report(0.6, 0));
        run(&mut adaptation, 3_900, 10_000, &report(0.1, 0));
        assert!(adaptation.grade() > 0);
    }

    #[test]
    fn a_new_way_is_tried_afresh() {
        let mut adaptation = full();
        adaptation.handle_report(&report(0.0, u16::MAX), ROUND_TRIP, at(1_000));
        adaptation.handle_path_change(at(1_100));
        assert!(!adaptation.is_paused(at(1_100)));
        run(&mut adaptation, 1_100, 2_200, &report(0.0, 0));
        assert_eq!(adaptation.grade(), 0);
    }
}
