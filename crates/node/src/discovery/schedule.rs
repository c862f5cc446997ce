//! When to announce ourselves and when to ask who is there.
//!
//! mdns-sd asks again for every record it knows at 80 % of its time to live, on its own and each
//! node for each other one: with 50 nodes some 18,000 packets within 30 s. The time to live is
//! fixed there, so every node repeats its announcement before that moment instead. One packet
//! renews the record everywhere, nobody has to ask, and no sweeps are needed.

use hallway_model::Instant;
use std::time::Duration;

/// How long to ask for others after a start and after a change of the network. mdns-sd asks after
/// 10 to 50 ms, then after 1, 2, 4 and 8 s, where each question lists everybody known: three
/// packets at 50 nodes. The first one is enough, and answers are heard after the asking ends.
const ASK_FOR: Duration = Duration::from_millis(500);
/// Asks once more after this, in case that question or its answers were lost.
const ASK_AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];
/// When to repeat our announcement. The second copy of it, 1.1 s later, still comes before 96 s,
/// which is 80 % of the 120 s that address records live.
const ANNOUNCE_EVERY: [Duration; 2] = [Duration::from_secs(76), Duration::from_secs(88)];
/// How long mdns-sd looks at the interfaces by itself after a change: it does so once a second,
/// which finds what is gone. New interfaces are named to it at once.
const LOOK_FOR: Duration = Duration::from_millis(2500);
/// Our own announcement must have come back by then, or multicast does not work.
const ECHO_WITHIN: Duration = Duration::from_secs(5);
/// Something to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Announce ourselves again.
    Announce,
    /// Ask who is there.
    Ask,
    /// Stop asking; go on listening.
    StopAsking,
    /// Stop looking at the interfaces.
    StopLooking,
    /// Our announcement has not come back.
    MissEcho,
}

#[derive(Debug)]
pub(crate) struct Schedule {
    announce_at: Instant,
    ask_at: Option<Instant>,
    ask_until: Option<Instant>,
    look_until: Option<Instant>,
    echo_by: Option<Instant>,
}

impl Schedule {
    /// Multicast DNS was started, and we were announced and asked who is there.
    pub(crate) fn new(now: Instant, chance: u8) -> Self {
        Self {
            announce_at: now + spread(ANNOUNCE_EVERY, chance),
            ask_at: Some(now + spread(ASK_AGAIN_AFTER, chance)),
            ask_until: Some(now + ASK_FOR),
            look_until: None,
            echo_by: Some(now + ECHO_WITHIN),
        }
    }

    /// We were announced now.
    pub(crate) fn handle_announced(&mut self, now: Instant, chance: u8) {
        self.announce_at = now + spread(ANNOUNCE_EVERY, chance);
    }

    /// We asked who is there now.
    pub(crate) fn handle_asked(&mut self, now: Instant, chance: u8) {
        self.ask_until = Some(now + ASK_FOR);
        self.ask_at = Some(now + spread(ASK_AGAIN_AFTER, chance));
    }

    /// The interfaces are others.
    pub(crate) fn handle_links(&mut self, now: Instant) {
        self.look_until = Some(now + LOOK_FOR);
    }

    /// Our own announcement came back.
    pub(crate) fn handle_echo(&mut self) {
        self.echo_by = None;
    }

    /// What is due; to be called until it says `None`.
    pub(crate) fn poll(&mut self, now: Instant, chance: u8) -> Option<Due> {
        let take = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if take(&mut self.look_until) {
            Some(Due::StopLooking)
        } else if take(&mut self.ask_until) {
            Some(Due::StopAsking)
        } else if take(&mut self.ask_at) {
            self.ask_until = Some(now + ASK_FOR);
            Some(Due::Ask)
        } else if take(&mut self.echo_by) {
            Some(Due::MissEcho)
        } else if self.announce_at <= now {
            self.announce_at = now + spread(ANNOUNCE_EVERY, chance);
            Some(Due::Announce)
        } else {
            None
        }
    }

    /// When to poll next.
    pub(crate) fn deadline(&self) -> Instant {
        let sometimes = [self.ask_at, self.ask_until, self.look_until, self.echo_by];
        sometimes
            .into_iter()
            .flatten()
            .fold(self.announce_at, Instant::min)
    }
}

/// A time between two by `chance`, so that nodes which started together drift apart.
fn spread([least, most]: [Duration; 2], chance: u8) -> Duration {
    least + (most - least) * u32::from(chance) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(7_000_000);

    fn at(seconds: u64) -> Instant {
        START + Duration::from_secs(seconds)
    }

    /// Runs the schedule for a while and tells what was due when, in milliseconds.
    fn run(schedule: &mut Schedule, seconds: u64) -> Vec<(u128, Due)> {
        let mut due = Vec::new();
        while schedule.deadline() <= at(seconds) {
            let now = schedule.deadline();
            while let Some(what) = schedule.poll(now, 0) {
                due.push((now.since(START).as_millis(), what));
            }
        }
        due
    }

    #[test]
    fn asking_ends_and_announcing_goes_on() {
        let mut schedule = Schedule::new(START, 0);
        schedule.handle_echo();
        assert_eq!(
            run(&mut schedule, 200),
            [
                (500, Due::StopAsking),
                (5_000, Due::Ask),
                (5_500, Due::StopAsking),
                (76_000, Due::Announce),
                (152_000, Due::Announce)
            ]
        );
    }

    #[test]
    fn every_announcement_comes_before_others_would_ask_for_it() {
        // 80 % of 120 s, less the second copy that mdns-sd sends after 1.1 s.
        let asked_for = Duration::from_secs(96) - Duration::from_millis(1150);
        let waits: Vec<Duration> = (0..=255).map(|c| spread(ANNOUNCE_EVERY, c)).collect();
        assert!(waits.iter().all(|wait| *wait < asked_for));
        assert!(
            waits.windows(2).all(|pair| pair[0] < pair[1]),
            "chance spreads them"
        );
    }

    #[test]
    fn a_change_of_the_network_asks_again_and_looks_for_a_moment() {
        let mut schedule = Schedule::new(START, 0);
        schedule.handle_echo();
        run(&mut schedule, 40);
        schedule.handle_links(at(40));
        schedule.handle_asked(at(40), 0);
        schedule.handle_announced(at(40), 0);
        assert_eq!(
            run(&mut schedule, 120),
            [
                (40_500, Due::StopAsking),
                (42_500, Due::StopLooking),
                (45_000, Due::Ask),
                (45_500, Due::StopAsking),
                (116_000, Due::Announce)
            ]
        );
    }

    #[test]
    fn a_missing_echo_is_noticed_once() {
        let mut schedule = Schedule::new(START, 255);
        let due = run(&mut schedule, 14);
        assert_eq!(due, [(500, Due::StopAsking), (5_000, Due::MissEcho)]);
    }
}
