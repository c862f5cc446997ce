//! Who may start a handshake: strangers pay for the arithmetic they cause.

use hallway_model::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Handshakes going on at once: at 10 KiB and a few milliseconds each, a thousand a second pass.
pub const HALF_OPEN_MAX: usize = 64;

/// Handshakes of one source going on at once. Several nodes of one host rarely dial together.
pub const HALF_OPEN_PER_SOURCE_MAX: usize = 8;

/// A handshake takes two round trips. One that takes this long is dead or means harm.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// Answering a junk first message takes 0.13 to 0.3 ms of arithmetic, so all sources together cost
/// 3 to 6 % of a core. The burst is an office of 500 that dials twice after its switch restarted.
const EVERYBODY: Rate = Rate {
    interval: Duration::from_millis(5),
    burst: 1000,
};

/// In IPv6 one source is a whole network, so this too has the office in mind: half of it at
/// once, the other half in five seconds. It costs 1 to 2 % of a core.
const ONE_SOURCE: Rate = Rate {
    interval: Duration::from_millis(20),
    burst: 250,
};

/// Sources remembered. Each is forgotten once its bucket is full again, after 5 s at most, and
/// by then no more than 2,000 can have been admitted.
const SOURCES_MAX: usize = 2048;

/// Why a handshake may not start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`HALF_OPEN_MAX`] are going on.
    #[error("too many handshakes at once")]
    Full,
    /// [`HALF_OPEN_PER_SOURCE_MAX`] of this source are going on.
    #[error("too many handshakes at once from this source")]
    SourceFull,
    /// Too many have started lately.
    #[error("too many handshakes lately")]
    TooFast,
    /// Too many of this source have started lately.
    #[error("too many handshakes lately from this source")]
    SourceTooFast,
}

/// The right to one handshake, until [`Admission::release`] or its deadline.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place is taken until its ticket is released or its time is up"]
pub struct Ticket {
    number: u64,
    deadline: Instant,
}

impl Ticket {
    /// When the handshake must be given up. Its place is free from then on.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// Limits half-open handshakes in number and in rate, over all and for each source: an IPv4
/// address, or a /64 of IPv6.
#[derive(Debug, Default)]
pub struct Admission {
    half_open: Vec<HalfOpen>,
    everybody: Bucket,
    /// The sources whose bucket is not full.
    sources: BTreeMap<Source, Bucket>,
    tickets: u64,
}

#[derive(Debug)]
struct HalfOpen {
    number: u64,
    source: Source,
    deadline: Instant,
}

impl Admission {
    /// Nothing is going on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Admits one handshake from `source`, or says why not. A refusal costs the source nothing.
    pub fn admit(&mut self, source: IpAddr, now: Instant) -> Result<Ticket, Refused> {
        let source = Source::of(source);
        self.half_open.retain(|open| open.deadline > now);
        if self.half_open.len() >= HALF_OPEN_MAX {
            return Err(Refused::Full);
        }
        let of_source = self.half_open.iter().filter(|open| open.source == source);
        if of_source.count() >= HALF_OPEN_PER_SOURCE_MAX {
            return Err(Refused::SourceFull);
        }
        let before = self.sources.get(&source).copied().unwrap_or_default();
        let bucket = before.take(ONE_SOURCE, now).ok_or(Refused::SourceTooFast)?;
        self.everybody = self
            .everybody
            .take(EVERYBODY, now)
            .ok_or(Refused::TooFast)?;
        self.remember(source, bucket, now);
        self.tickets += 1;
        let ticket = Ticket {
            number: self.tickets,
            deadline: now + HANDSHAKE_TIME_MAX,
        };
        self.half_open.push(HalfOpen {
            number: ticket.number,
            source,
            deadline: ticket.deadline,
        });
        Ok(ticket)
    }

    /// The handshake is over, well or badly.
    pub fn release(&mut self, ticket: Ticket) {
        self.half_open.retain(|open| open.number != ticket.number);
    }

    fn remember(&mut self, source: Source, bucket: Bucket, now: Instant) {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.retain(|_, bucket| bucket.full_at > now);
        }
        self.sources.insert(source, bucket);
    }
}

/// What is limited as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// One token each `interval`, at most `burst` saved up.
struct Rate {
    interval: Duration,
    burst: u32,
}

/// A token bucket, as the time at which it will be full again (the generic cell rate algorithm
/// of ITU-T I.371). One that was full all along is the default.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: Instant,
}

impl Bucket {
    fn take(self, rate: Rate, now: Instant) -> Option<Self> {
        let full_at = self.full_at.max(now) + rate.interval;
        let missing = full_at.since(now);
        (missing <= rate.interval * rate.burst).then_some(Self { full_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const START: Instant = Instant(1_000_000);

    fn v4(host: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + host).to_be_bytes())
    }

    fn v6(network: u16, host: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host).into()
    }

    #[test]
    fn sixty_four_are_half_open_and_no_more() {
        let mut admission = Admission::new();
        let admit = |admission: &mut Admission, host| admission.admit(v4(host), START);
        let mut tickets: Vec<_> = (0..64)
            .map(|host| admit(&mut admission, host).unwrap())
            .collect();
        assert_eq!(admit(&mut admission, 64), Err(Refused::Full));
        admission.release(tickets.pop().unwrap());
        assert!(admit(&mut admission, 64).is_ok());
        assert_eq!(admit(&mut admission, 65), Err(Refused::Full));
    }

    #[test]
    fn eight_of_one_source_are_half_open_and_no_more() {
        type Host = fn(u16) -> IpAddr;
        let same: [Host; 3] = [
            |_| v4(1),
            |host| v6(1, host),
            // Host 1 as a socket for both families calls it, and as others do.
            |host| match Ipv4Addr::new(10, 0, 0, 1) {
                one if host % 2 == 0 => one.to_ipv6_mapped().into(),
                one => one.into(),
            },
        ];
        for source in same {
            let mut admission = Admission::new();
            let mut tickets: Vec<_> = (0..8)
                .map(|host| admission.admit(source(host), START).unwrap())
                .collect();
            assert_eq!(admission.admit(source(8), START), Err(Refused::SourceFull));
            assert!(admission.admit(v4(2), START).is_ok());
            assert!(admission.admit(v6(2, 0), START).is_ok());
            admission.release(tickets.pop().unwrap());
            assert!(admission.admit(source(9), START).is_ok());
            assert_eq!(admission.admit(source(10), START), Err(Refused::SourceFull));
        }
    }

    #[test]
    fn a_place_is_free_again_when_its_time_is_up() {
        let mut admission = Admission::new();
        let tickets: Vec<_> = (0..8)
            .map(|_| admission.admit(v4(1), START).unwrap())
            .collect();
        let deadline = START + HANDSHAKE_TIME_MAX;
        assert!(tickets.iter().all(|ticket| ticket.deadline() == deadline));
        let just_before = Instant(deadline.0 - 1);
        assert_eq!(
            admission.admit(v4(1), just_before),
            Err(Refused::SourceFull)
        );
        let late = admission.admit(v4(1), deadline).unwrap();
        // Releasing what has expired takes nobody else's place away.
        tickets
            .into_iter()
            .for_each(|ticket| admission.release(ticket));
        assert_eq!(admission.half_open.len(), 1);
        admission.release(late);
        assert_eq!(admission.half_open.len(), 0);
    }

    /// Handshakes of no duration, so that only the rate limits.
    fn started(admission: &mut Admission, source: IpAddr, now: Instant) -> Result<(), Refused> {
        admission
            .admit(source, now)
            .map(|ticket| admission.release(ticket))
    }

    #[test]
    fn one_source_has_a_burst_and_a_rate() {
        let mut admission = Admission::new();
        for _ in 0..250 {
            assert_eq!(started(&mut admission, v4(1), START), Ok(()));
        }
        assert_eq!(
            started(&mut admission, v4(1), START),
            Err(Refused::SourceTooFast)
        );
        assert_eq!(started(&mut admission, v4(2), START), Ok(()));
        let next = START + Duration::from_millis(20);
        let just_before = Instant(next.0 - 1);
        assert_eq!(
            started(&mut admission, v4(1), just_before),
            Err(Refused::SourceTooFast)
        );
        assert_eq!(started(&mut admission, v4(1), next), Ok(()));
        assert_eq!(
            started(&mut admission, v4(1), next),
            Err(Refused::SourceTooFast)
        );
        let rested = next + Duration::from_secs(5);
        for _ in 0..250 {
            assert_eq!(started(&mut admission, v4(1), rested), Ok(()));
        }
        assert_eq!(
            started(&mut admission, v4(1), rested),
            Err(Refused::SourceTooFast)
        );
    }

    #[test]
    fn all_sources_together_have_a_burst_and_a_rate() {
        let mut admission = Admission::new();
        for host in 0..1000 {
            assert_eq!(started(&mut admission, v4(host), START), Ok(()));
        }
        assert_eq!(
            started(&mut admission, v4(1000), START),
            Err(Refused::TooFast)
        );
        let next = START + Duration::from_millis(5);
        let just_before = Instant(next.0 - 1);
        assert_eq!(
            started(&mut admission, v4(1000), just_before),
            Err(Refused::TooFast)
        );
        assert_eq!(started(&mut admission, v4(1000), next), Ok(()));
        assert_eq!(
            started(&mut admission, v4(1001), next),
            Err(Refused::TooFast)
        );
    }

    /// Whatever the pattern, the table stays small and nobody in it is forgotten too early.
    #[test]
    fn an_army_of_sources_takes_bounded_memory() {
        let mut admission = Admission::new();
        let (mut now, mut admitted, mut most) = (START, 0, 0);
        // Ten attempts every millisecond for a minute, none from the source of another.
        for attempt in 0..600_000 {
            now = Instant(START.0 + u64::from(attempt) * 100);
            admitted += u32::from(started(&mut admission, v4(attempt), now).is_ok());
            most = most.max(admission.sources.len());
        }
        // The burst, and 200 a second.
        assert_eq!(admitted, 1000 + 60 * 200 - 1);
        assert!(most <= SOURCES_MAX, "{most}");

        // A few that stay just below their own limit are all remembered beside the army.
        let mut admission = Admission::new();
        for _ in 0..250 {
            assert_eq!(started(&mut admission, v4(1), now), Ok(()));
        }
        for host in 10..2 * u32::try_from(SOURCES_MAX).unwrap() {
            let _ = started(&mut admission, v4(host), now);
        }
        assert_eq!(
            started(&mut admission, v4(1), now),
            Err(Refused::SourceTooFast)
        );
    }

    /// Every other node of an office of 500 dials us within a tenth of a second after the switch
    /// came back, and whoever is refused tries again a second later.
    fn seconds_until_all_are_in(source: impl Fn(u16) -> IpAddr) -> u64 {
        let mut admission = Admission::new();
        let mut waiting: Vec<(Instant, u16)> = (0..499)
            .map(|n| (Instant(START.0 + u64::from(n) * 200), n))
            .collect();
        let mut running: Vec<(Instant, Ticket)> = Vec::new();
        let mut now = START;
        while !waiting.is_empty() {
            now = now + Duration::from_millis(1);
            // A handshake over a busy network takes 30 ms.
            while running.first().is_some_and(|(until, _)| *until <= now) {
                admission.release(running.remove(0).1);
            }
            let due: Vec<_> = waiting.extract_if(.., |(at, _)| *at <= now).collect();
            for (_, n) in due {
                match admission.admit(source(n), now) {
                    Ok(ticket) => running.push((now + Duration::from_millis(30), ticket)),
                    Err(_) => waiting.push((now + Duration::from_secs(1), n)),
                }
            }
        }
        now.since(START).as_secs()
    }

    #[test]
    fn an_office_of_500_is_not_locked_out() {
        assert!(seconds_until_all_are_in(|n| v4(n.into())) <= 10);
        assert!(seconds_until_all_are_in(|n| v6(1, n)) <= 60);
    }
}
