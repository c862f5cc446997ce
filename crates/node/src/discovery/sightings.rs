//! Who is announced on the network, as far as announcements go: nobody here has proven anything,
//! so every number is bounded and every change is told at a bounded rate.

use super::Seen;
use super::rate::Rate;
use hallway_model::{ADDRESSES_MAX, Instant, PeerId, SIGHTINGS_MAX};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Strangers told about at once: everybody on a large office floor.
pub(crate) const TELL_BURST: u32 = 256;
/// Strangers told about in a second after that. The rest wait here, where each has one place.
const TELL_PER_SECOND: u32 = 64;
/// The same peer is told about at most this often, whatever their announcements do.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A withdrawal takes effect after a second (RFC 6762 section 10.1).
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(1);
/// An address that is no longer announced is still told for so long. An impostor who announces
/// somebody else's id can overwrite the records in a cache; so they add an address, which will
/// fail the handshake, and take none away.
const ADDRESS_LINGERS: Duration = Duration::from_secs(300);
/// Later than anything.
const NEVER: Instant = Instant(u64::MAX);

/// What to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Seen(Seen),
    Gone(PeerId),
}

#[derive(Debug, Default)]
struct Entry {
    announced: Option<Seen>,
    /// Addresses announced before and when they last were, the first known first.
    earlier: Vec<(SocketAddr, Instant)>,
    told: Option<Seen>,
    told_at: Option<Instant>,
    tell_at: Option<Instant>,
    /// Counts as gone unless it is announced before this.
    doubted_until: Option<Instant>,
}

impl Entry {
    /// What to tell: the present addresses, then earlier ones.
    fn seen(&self, now: Instant) -> Option<Seen> {
        let mut seen = self.announced.clone()?;
        let lately = |(_, at): &&(SocketAddr, Instant)| now.since(*at) < ADDRESS_LINGERS;
        for (address, _) in self.earlier.iter().filter(lately) {
            if seen.addresses.len() < ADDRESSES_MAX && !seen.addresses.contains(address) {
                seen.addresses.push(*address);
            }
        }
        Some(seen)
    }

    /// Remembers the addresses that are about to be replaced. Where there is no room, those that
    /// were there first stay.
    fn retire(&mut self, now: Instant) {
        self.earlier
            .retain(|(_, at)| now.since(*at) < ADDRESS_LINGERS);
        for address in self.announced.iter().flat_map(|seen| &seen.addresses) {
            if let Some((_, at)) = self.earlier.iter_mut().find(|(known, _)| known == address) {
                *at = now;
            } else if self.earlier.len() < ADDRESSES_MAX {
                self.earlier.push((*address, now));
            }
        }
    }
}

/// Whom something is to be told of, and from when on.
type Agenda = BTreeSet<(Instant, PeerId)>;

/// Everybody who is announced.
#[derive(Debug)]
pub(crate) struct Sightings {
    entries: HashMap<PeerId, Entry>,
    /// Peers who always find room and are told first: our contacts.
    expected: HashSet<PeerId>,
    contacts: Agenda,
    strangers: Agenda,
    rate: Rate,
    doubts_until: Option<Instant>,
    /// Entries that are announced now.
    announced: usize,
    /// Somebody found no room.
    refused: bool,
}

impl Sightings {
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            expected: HashSet::new(),
            contacts: Agenda::new(),
            strangers: Agenda::new(),
            rate: Rate::new(TELL_BURST, TELL_PER_SECOND),
            doubts_until: None,
            announced: 0,
            refused: false,
        }
    }

    /// From now on this peer always finds room.
    pub(crate) fn expect(&mut self, id: PeerId) {
        self.expected.insert(id);
    }

    /// How many are announced.
    pub(crate) fn len(&self) -> usize {
        self.announced
    }

    /// A stranger would find no room.
    pub(crate) fn is_full(&self) -> bool {
        self.announced >= SIGHTINGS_MAX
    }

    /// There is room again after somebody found none.
    pub(crate) fn take_refused(&mut self) -> bool {
        let again = self.refused && !self.is_full();
        self.refused &= !again;
        again
    }

    /// An announcement was heard.
    pub(crate) fn handle_seen(&mut self, seen: Seen, now: Instant) {
        let id = seen.id;
        let known = self
            .entries
            .get(&id)
            .is_some_and(|entry| entry.announced.is_some());
        if self.is_full() && !known && !self.expected.contains(&id) {
            let doubted =
                |entry: &Entry| entry.doubted_until.is_some() && entry.announced.is_some();
            let doubted = self
                .entries
                .iter()
                .find(|(_, entry)| doubted(entry))
                .map(|(id, _)| *id);
            let Some(doubted) = doubted else {
                self.refused = true;
                return;
            };
            self.handle_gone(doubted, now);
        }
        let entry = self.entries.entry(id).or_default();
        entry.doubted_until = None;
        if entry.announced.as_ref() != Some(&seen) {
            entry.retire(now);
            self.announced += usize::from(entry.announced.replace(seen).is_none());
            self.note(id, now);
        }
    }

    /// An announcement was withdrawn or ran out.
    pub(crate) fn handle_gone(&mut self, id: PeerId, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        self.announced -= usize::from(entry.announced.take().is_some());
        if entry.told.is_some() {
            return self.note(id, now);
        }
        // Nobody was told that it was there.
        if let Some(due) = entry.tell_at.map(|at| (at, id)) {
            self.contacts.remove(&due);
            self.strangers.remove(&due);
        }
        self.entries.remove(&id);
    }

    /// A peer said goodbye elsewhere, so its sighting was dropped. Its announcement is about to be
    /// withdrawn; where it still stands after that, because the peer is back, it is told anew.
    pub(crate) fn handle_left(&mut self, id: PeerId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.told = None;
            entry.told_at = Some(now + WITHDRAWN_WITHIN);
            self.note(id, now);
        }
    }

    /// Whoever is not announced again before `until` is gone: the cache was thrown away.
    pub(crate) fn doubt_all(&mut self, until: Instant) {
        for entry in self.entries.values_mut() {
            entry.doubted_until = Some(until);
        }
        self.doubts_until = Some(until);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.doubts_until.take_if(|until| *until <= now).is_none() {
            return;
        }
        let doubted = |entry: &Entry| entry.doubted_until.is_some_and(|until| until <= now);
        let entries = self.entries.iter().filter(|(_, entry)| doubted(entry));
        let gone: Vec<PeerId> = entries.map(|(id, _)| *id).collect();
        for id in gone {
            self.handle_gone(id, now);
        }
    }

    /// The next thing to tell, of contacts before strangers.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Change> {
        loop {
            let is_due = |due: &&(Instant, PeerId)| due.0 <= now;
            let contact = self.contacts.first().filter(is_due).copied();
            let stranger = || self.strangers.first().filter(is_due).copied();
            let stranger = || stranger().filter(|_| self.rate.ready_at() <= now);
            let due = contact.or_else(stranger)?;
            self.contacts.remove(&due);
            self.strangers.remove(&due);
            let id = due.1;
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            entry.tell_at = None;
            let seen = entry.seen(now);
            if seen == entry.told {
                continue;
            }
            entry.told_at = Some(now);
            entry.told.clone_from(&seen);
            if contact.is_none() {
                self.rate.admit(now);
            }
            if seen.is_none() {
                self.entries.remove(&id);
            }
            return Some(seen.map_or(Change::Gone(id), Change::Seen));
        }
    }

    /// When to call `handle_timeout` and `poll` next.
    pub(crate) fn deadline(&self) -> Instant {
        let contact = self.contacts.first().map_or(NEVER, |(at, _)| *at);
        let stranger = self.strangers.first();
        let stranger = stranger.map_or(NEVER, |(at, _)| self.rate.ready_at().max(*at));
        self.doubts_until
            .unwrap_or(NEVER)
            .min(contact)
            .min(stranger)
    }

    /// Something about this peer may have changed.
    fn note(&mut self, id: PeerId, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.tell_at.is_none() {
            let at = entry
                .told_at
                .map_or(now, |told| now.max(told + TELL_AGAIN_AFTER));
            entry.tell_at = Some(at);
            match self.expected.contains(&id) {
                true => self.contacts.insert((at, id)),
                false => self.strangers.insert((at, id)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::Status;

    const START: Instant = Instant(9_000_000);

    fn at(ms: u64) -> Instant {
        START + Duration::from_millis(ms)
    }

    fn id(number: usize) -> PeerId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        PeerId(bytes)
    }

    fn seen(number: usize, addresses: &[&str]) -> Seen {
        Seen {
            id: id(number),
            name: None,
            status: Status::Available,
            fast_aes: false,
            addresses: addresses
                .iter()
                .map(|address| address.parse().unwrap())
                .collect(),
        }
    }

    fn told(sightings: &mut Sightings, now: Instant) -> Vec<Change> {
        std::iter::from_fn(|| sightings.poll(now)).collect()
    }

    #[test]
    fn changes_are_told_once_and_repetitions_not_at_all() {
        let mut sightings = Sightings::new();
        let first = seen(1, &["10.0.0.1:1"]);
        sightings.handle_seen(first.clone(), at(0));
        assert_eq!(told(&mut sightings, at(0)), [Change::Seen(first.clone())]);
        sightings.handle_seen(first, at(5000));
        assert_eq!(told(&mut sightings, at(5000)), []);
        assert_eq!(sightings.deadline(), NEVER);
        sightings.handle_gone(id(1), at(6000));
        assert_eq!(told(&mut sightings, at(6000)), [Change::Gone(id(1))]);
        sightings.handle_gone(id(1), at(7000));
        assert_eq!(told(&mut sightings, at(9000)), []);
    }

    #[test]
    fn who_left_is_told_of_anew_only_when_still_announced() {
        let mut sightings = Sightings::new();
        for number in [1, 2] {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        assert_eq!(told(&mut sightings, at(0)).len(), 2);
        sightings.handle_left(id(1), at(500));
        sightings.handle_left(id(2), at(500));
        sightings.handle_gone(id(2), at(1500));
        assert_eq!(told(&mut sightings, at(1600)), []);
        let back = seen(1, &["10.0.0.1:1"]);
        assert_eq!(told(&mut sightings, at(5000)), [Change::Seen(back)]);
    }

    #[test]
    fn one_peer_is_told_about_once_a_second_and_flapping_is_damped() {
        let mut sightings = Sightings::new();
        sightings.handle_seen(seen(1, &["10.0.0.1:1"]), at(0));
        assert_eq!(told(&mut sightings, at(0)).len(), 1);
        for ms in 1..=400 {
            sightings.handle_gone(id(1), at(ms));
            sightings.handle_seen(seen(1, &["10.0.0.1:1"]), at(ms));
            assert_eq!(told(&mut sightings, at(ms)), []);
        }
        assert_eq!(sightings.deadline(), at(1000));
        assert_eq!(told(&mut sightings, at(1000)), [], "all is as it was told");
        sightings.handle_gone(id(1), at(1001));
        assert_eq!(told(&mut sightings, at(1001)), [Change::Gone(id(1))]);
    }

    #[test]
    fn strangers_are_told_at_a_bounded_rate_and_contacts_at_once() {
        let mut sightings = Sightings::new();
        let burst = TELL_BURST as usize;
        let contact = burst * 2;
        sightings.expect(id(contact));
        for number in 0..=contact {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        let first = told(&mut sightings, at(0));
        assert_eq!(first.len(), burst + 1);
        assert_eq!(first[0], Change::Seen(seen(contact, &["10.0.0.1:1"])));
        assert!(sightings.deadline() > at(0));
        assert_eq!(
            told(&mut sightings, at(1000)).len(),
            TELL_PER_SECOND as usize
        );
    }

    #[test]
    fn the_table_is_bounded_and_contacts_always_fit() {
        let mut sightings = Sightings::new();
        sightings.expect(id(90_000));
        for number in 0..SIGHTINGS_MAX - 1 {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        assert!(!sightings.is_full());
        for number in SIGHTINGS_MAX - 1..SIGHTINGS_MAX + 10_000 {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        assert!(sightings.is_full());
        assert_eq!(sightings.entries.len(), SIGHTINGS_MAX);
        sightings.handle_seen(seen(90_000, &["10.0.0.9:1"]), at(0));
        assert_eq!(
            told(&mut sightings, at(0)).first(),
            Some(&Change::Seen(seen(90_000, &["10.0.0.9:1"])))
        );
        // Those who were there first are still told of changes, in their turn.
        sightings.handle_seen(seen(0, &["10.0.0.2:1"]), at(500_000));
        let later = (500..600).flat_map(|second| told(&mut sightings, at(second * 1000)));
        let last = later.last();
        assert_eq!(
            last,
            Some(Change::Seen(seen(0, &["10.0.0.2:1", "10.0.0.1:1"])))
        );
    }

    #[test]
    fn who_found_no_room_is_asked_for_when_there_is_some() {
        let mut sightings = Sightings::new();
        for number in 0..=SIGHTINGS_MAX {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        assert!(!sightings.take_refused(), "it is still full");
        sightings.handle_gone(id(9), at(10));
        assert!(sightings.take_refused());
        assert!(!sightings.take_refused(), "once");
    }

    #[test]
    fn nobody_hears_of_those_who_came_and_went_unnoticed() {
        let mut sightings = Sightings::new();
        for number in 0..10_000 {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
            sightings.handle_gone(id(number), at(0));
        }
        assert_eq!(told(&mut sightings, at(0)), []);
        assert_eq!((sightings.len(), sightings.entries.len()), (0, 0));
        assert_eq!(sightings.deadline(), NEVER);
    }

    #[test]
    fn an_impostor_adds_an_address_and_takes_none_away() {
        let mut sightings = Sightings::new();
        sightings.handle_seen(seen(1, &["10.0.0.1:1"]), at(0));
        told(&mut sightings, at(0));
        for n in 0..100u64 {
            let fake = format!("10.0.{n}.66:1");
            sightings.handle_seen(seen(1, &[&fake]), at(2000 * (n + 1)));
            let [Change::Seen(seen)] = &told(&mut sightings, at(2000 * (n + 1)))[..] else {
                panic!("a changed address is told");
            };
            assert_eq!(seen.addresses[0], fake.parse().unwrap());
            assert!(seen.addresses.contains(&"10.0.0.1:1".parse().unwrap()));
            assert!(seen.addresses.len() <= ADDRESSES_MAX);
        }
    }

    #[test]
    fn an_address_left_behind_is_forgotten_in_time() {
        let mut sightings = Sightings::new();
        sightings.handle_seen(seen(1, &["10.0.0.1:1"]), at(0));
        sightings.handle_seen(seen(1, &["10.0.0.2:1"]), at(10));
        sightings.handle_seen(seen(1, &["10.0.0.3:1"]), at(400_000));
        let last = told(&mut sightings, at(400_000));
        assert_eq!(last, [Change::Seen(seen(1, &["10.0.0.3:1", "10.0.0.2:1"]))]);
    }

    #[test]
    fn doubt_ends_with_an_announcement_or_with_the_peer() {
        let mut sightings = Sightings::new();
        for number in [1, 2] {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        told(&mut sightings, at(0));
        sightings.doubt_all(at(10_000));
        assert_eq!(sightings.deadline(), at(10_000));
        sightings.handle_seen(seen(1, &["10.0.0.1:1"]), at(3000));
        sightings.handle_timeout(at(9_999));
        assert_eq!(told(&mut sightings, at(9_999)), []);
        sightings.handle_timeout(at(10_000));
        assert_eq!(told(&mut sightings, at(10_000)), [Change::Gone(id(2))]);
        assert_eq!(sightings.deadline(), NEVER);
    }

    #[test]
    fn the_doubted_make_room_for_newcomers() {
        let mut sightings = Sightings::new();
        for number in 0..SIGHTINGS_MAX {
            sightings.handle_seen(seen(number, &["10.0.0.1:1"]), at(0));
        }
        sightings.doubt_all(at(10_000));
        sightings.handle_seen(seen(77_777, &["10.0.0.1:1"]), at(1));
        assert_eq!(sightings.len(), SIGHTINGS_MAX);
        assert!(sightings.entries.contains_key(&id(77_777)));
    }
}
