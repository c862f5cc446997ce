//! What the sender makes of the receiver's reports: how many copies, how far apart, how long the
//! frames, how many bits.
//!
//! Two things go wrong on a network, and want the opposite. Packets are lost at random: more copies
//! help. The way is too narrow: everything sent makes it worse. The second shows as a queue that
//! grows, or as losses that sending less makes go away.

use crate::codec::FrameLength;
use crate::packet::{MediaPacket, Report};
use crate::reception::DATAGRAM_OVERHEAD;
use crate::sframe::TAG_BYTES;
use hallway_model::Instant;
use std::time::Duration;

/// Packets waiting longer than this on the way mean that it is too narrow. The spikes of a busy
/// Wi-Fi end sooner than the window over which the receiver takes the smallest delay.
const QUEUE_MAX_MS: u16 = 60;

/// Losses above this may be those of a way that is too narrow and keeps no queue. Below it, three
/// copies leave fewer than three frames in a hundred to conceal.
const LOSS_SUSPECT: f32 = 0.4;

/// Losses from which on every frame gets all the copies there may be.
const LOSS_NOTED: f32 = 0.01;

/// Copies are kept up so long after the last loss: losses come in spells.
const COPIES_HOLD: Duration = Duration::from_secs(30);

/// How long a suspicion must last, and how long a change needs to show in the reports.
const SETTLE: Duration = Duration::from_millis(2_000);

/// The loss must have been suspect for so long: an address that changes looks the same at first.
const SUSPECT_FOR: Duration = Duration::from_millis(800);

/// How long losses that sending less did not help are taken for chance.
const CHANCE_FOR: Duration = Duration::from_secs(120);

/// The first and the longest wait before more is sent again.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(160));

/// What waits in a queue at most before nothing is sent until it is empty.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// The share of the rate that arrives which is used when the way is full.
const FILL: f32 = 0.85;

/// Copies at most this far from their frame: what comes later no playout waits for.
const SPREAD_MAX: Duration = Duration::from_millis(60);

/// Grades below what was asked for: frame length, bits a second, copies. With all headers they take
/// some 145, 85 and 55 kbit/s.
const LOWER: [(FrameLength, u32, usize); 3] = [
    (FrameLength::Ms10, 32_000, 1),
    (FrameLength::Ms20, 24_000, 1),
    (FrameLength::Ms20, 20_000, 0),
];

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) length: FrameLength,
    pub(crate) bitrate: u32,
    pub(crate) copies: usize,
    /// How many frames back the farthest copy is, when there is room to choose.
    pub(crate) spread: usize,
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
        u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .saturating_mul(8_000 / self.length.ms())
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
            grade: 0,
            changed: now,
            rose: false,
            patience: PATIENCE.0,
            lossy: None,
            burst: 1,
            suspect: None,
            trial: None,
            chance_until: None,
            pause_until: None,
        }
    }

    pub(crate) fn plan(&self, now: Instant) -> Plan {
        let lossy = self.lossy.is_some_and(|at| now - at < COPIES_HOLD);
        let mut plan = self.at_grade(self.grade);
        if self.grade == 0 && lossy {
            plan.copies += 1;
        }
        let spread = SPREAD_MAX.as_millis() / u128::from(plan.length.ms());
        let spread = usize::try_from(spread).expect("small");
        plan.spread = if lossy { self.burst.min(spread) } else { 1 };
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

    pub(crate) fn handle_report(&mut self, report: &Report, now: Instant) {
        let loss = report.loss();
        if loss >= LOSS_NOTED {
            self.lossy = Some(now);
            self.burst = report.burst.into();
        }
        if let Some(trial) = self.trial.take_if(|trial| now >= trial.until) {
            self.end_trial(&trial, loss, now);
        }
        let settled = now - self.changed >= SETTLE;
        if report.queue_ms > QUEUE_MAX_MS && (settled || self.grade == 0 || self.rose) {
            self.fall(report, now);
            let queue = Duration::from_millis(report.queue_ms.into());
            self.pause_until = Some(now + queue.min(PAUSE_MAX));
        } else if self.trial.is_none() && settled {
            self.suspect_loss(report, now);
            self.rise(report, now);
        }
    }

    /// The peer is somewhere else: what was learned about the way there is void.
    pub(crate) fn handle_path_change(&mut self, now: Instant) {
        let (length, bitrate) = self.full;
        let lossy = self.lossy;
        let burst = self.burst;
        *self = Self::new(length, bitrate, now);
        (self.lossy, self.burst) = (lossy, burst);
    }

    fn at_grade(&self, grade: usize) -> Plan {
        let (length, bitrate) = self.full;
        let Some((lower, bits, copies)) = grade.checked_sub(1).map(|lower| LOWER[lower]) else {
            // Short frames need a further copy to outlive the same burst.
            let copies = match length {
                FrameLength::Ms5 => 3,
                FrameLength::Ms10 => 2,
                FrameLength::Ms20 => 1,
            };
            return Plan {
                length,
                bitrate,
                copies,
                spread: 1,
            };
        };
        Plan {
            length: lower.max(length),
            bitrate: bits.min(bitrate),
            copies,
            spread: 1,
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
        self.change(grade, now);
    }

    fn rise(&mut self, report: &Report, now: Instant) {
        if self.rose && now - self.changed >= PATIENCE.0 {
            // The last rise held.
            (self.rose, self.patience) = (false, PATIENCE.0);
        }
        let calm = report.queue_ms < QUEUE_MAX_MS / 2 && report.loss() < LOSS_SUSPECT / 4.0;
        if self.grade > 0 && calm && now - self.changed >= self.patience {
            self.change(self.grade - 1, now);
            self.rose = true;
        }
    }

    fn suspect_loss(&mut self, report: &Report, now: Instant) {
        let chance = self.chance_until.is_some_and(|until| now < until);
        if report.loss() < LOSS_SUSPECT || self.grade == LOWER.len() || chance {
            self.suspect = None;
        } else if now - *self.suspect.get_or_insert(now) >= SUSPECT_FOR {
            let (grade_before, loss_before) = (self.grade, report.loss());
            self.fall(report, now);
            // Losses are counted over packets, and there are fewer of them now.
            self.trial = Some(Trial {
                until: now + SETTLE * 2,
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
        (self.rose, self.suspect) = (false, None);
    }
}
