//! Where sound is sent: the peer's address, proved before it is used and replaced when it changes.
//!
//! An address becomes *valid* when a challenge sent to it is answered from it (RFC 9000 section
//! 8.2). Sound goes to the valid address that the newest sound came from, so a peer that changes
//! its network is followed within one round trip; when nothing is heard, every candidate is asked
//! at once. Nobody can be made to receive more than an answer to what they sent.

use crate::packet::Token;
use hallway_model::Instant;
use ring::hmac;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses from signalling: what a host has on a few networks, in both families.
pub const CANDIDATES_MAX: usize = 8;

/// Addresses known only because packets came from them. Somebody on the way can make packets come
/// from anywhere, so these never displace a candidate.
pub const LEARNED_MAX: usize = 8;

/// After so long without any packet the peer is looked for elsewhere: a burst of five lost 20 ms
/// frames, and early enough to be found before 300 ms are over.
pub const QUIET: Duration = Duration::from_millis(100);

/// The first repetition of unanswered challenges; each further one waits twice as long.
pub const RETRY_FIRST: Duration = Duration::from_millis(25);

/// The longest wait between repetitions: soon enough for somebody who waits for a call to return.
pub const RETRY_MAX: Duration = Duration::from_millis(800);

/// An address is not asked again sooner, whatever comes from it.
pub const CHALLENGE_GAP: Duration = Duration::from_millis(20);

/// Sound is sent no longer than this to somebody who does not answer: they may have left, and
/// somebody else may have their address.
pub const VALID_FOR: Duration = Duration::from_secs(10);

/// Where the peer is, and may be.
pub struct Paths {
    addresses: Vec<Address>,
    active: Option<SocketAddr>,
    heard: Option<Instant>,
    /// When all are asked next, unless something is heard.
    search_at: Instant,
    retry: Duration,
    tokens: Tokens,
    challenges: VecDeque<(SocketAddr, Token)>,
}

struct Address {
    at: SocketAddr,
    /// Named by the peer in the session.
    candidate: bool,
    added: Instant,
    heard: Option<Instant>,
    asked: Option<Instant>,
    /// What it must send back: the same until it does, so that a late answer counts.
    pending: Option<Token>,
    proved: bool,
}

impl Address {
    fn valid(&self, now: Instant) -> bool {
        self.proved && self.heard.is_some_and(|heard| now - heard < VALID_FOR)
    }

    /// A challenge, unless one was sent just now.
    fn challenge(&mut self, tokens: &mut Tokens, now: Instant) -> Option<(SocketAddr, Token)> {
        if self.asked.is_some_and(|asked| now - asked < CHALLENGE_GAP) {
            return None;
        }
        self.asked = Some(now);
        let token = *self.pending.get_or_insert_with(|| tokens.draw());
        Some((self.at, token))
    }
}

/// Numbers nobody can guess, from a secret.
struct Tokens {
    key: hmac::Key,
    drawn: u64,
}

impl Tokens {
    fn draw(&mut self) -> Token {
        let tag = hmac::sign(&self.key, &self.drawn.to_be_bytes());
        self.drawn += 1;
        *tag.as_ref().first_chunk().expect("a tag has 32 bytes")
    }
}

impl Paths {
    /// `seed` must be random and used for nothing else. Everything is asked at `now`.
    pub fn new(seed: &[u8; 32], candidates: &[SocketAddr], now: Instant) -> Self {
        let mut paths = Self {
            addresses: Vec::new(),
            active: None,
            heard: None,
            search_at: now,
            retry: RETRY_FIRST,
            tokens: Tokens {
                key: hmac::Key::new(hmac::HMAC_SHA256, seed),
                drawn: 0,
            },
            challenges: VecDeque::new(),
        };
        paths.handle_candidates(candidates, now);
        paths
    }

    /// Addresses that the peer names in the session. They are added to those named before, and the
    /// new ones are asked.
    pub fn handle_candidates(&mut self, candidates: &[SocketAddr], now: Instant) {
        for at in candidates {
            match self.addresses.iter_mut().find(|address| address.at == *at) {
                Some(address) => address.candidate = true,
                None => self.add(*at, true, now),
            }
            self.make_room(true, CANDIDATES_MAX);
            self.ask(*at, now);
        }
    }

    /// Something came from there that only the peer can have made. `leads` says that it is the
    /// newest sound: then the peer has gone where it came from. Returns whether sound now goes
    /// elsewhere.
    pub fn handle_heard(&mut self, from: SocketAddr, leads: bool, now: Instant) -> bool {
        self.heard = Some(now);
        self.retry = RETRY_FIRST;
        self.search_at = now + QUIET;
        if !self.addresses.iter().any(|address| address.at == from) {
            self.add(from, false, now);
            self.make_room(false, LEARNED_MAX);
        }
        let Some(address) = self.addresses.iter_mut().find(|a| a.at == from) else {
            return false;
        };
        let valid = address.valid(now);
        address.heard = Some(now);
        // What was proved long ago is to be proved again.
        address.proved = valid;
        if !valid {
            self.ask(from, now);
        }
        valid && leads && self.active.replace(from) != Some(from)
    }

    /// The answer to a challenge came from there. Returns whether sound now goes elsewhere. To be
    /// called before [`handle_heard`](Self::handle_heard) is for the same packet.
    pub fn handle_response(&mut self, from: SocketAddr, token: Token, now: Instant) -> bool {
        let deserted = self.is_deserted(now);
        let Some(address) = self.addresses.iter_mut().find(|a| a.at == from) else {
            return false;
        };
        if address.pending != Some(token) {
            return false;
        }
        address.pending = None;
        address.proved = true;
        address.heard = Some(now);
        deserted && self.active.replace(from) != Some(from)
    }

    /// Asks all candidates when it is time to.
    pub fn handle_timeout(&mut self, now: Instant) {
        let gone = |address: &Address| Some(address.at) == self.active && !address.valid(now);
        if self.addresses.iter().any(gone) {
            self.active = None;
        }
        if now < self.search_at {
            return;
        }
        let known = self.addresses.iter();
        let known = known.filter(|address| address.candidate || address.proved);
        for at in known.map(|address| address.at).collect::<Vec<_>>() {
            self.ask(at, now);
        }
        self.search_at = now + self.retry;
        self.retry = (self.retry * 2).min(RETRY_MAX);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Instant {
        self.search_at
    }

    /// A challenge to be sent.
    pub fn poll_challenge(&mut self) -> Option<(SocketAddr, Token)> {
        self.challenges.pop_front()
    }

    /// Where sound is sent.
    pub fn active(&self) -> Option<SocketAddr> {
        self.active
    }

    /// When the peer was last heard, from wherever.
    pub fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// Whether nothing came lately from where sound is sent.
    fn is_deserted(&self, now: Instant) -> bool {
        let mut addresses = self.addresses.iter();
        let active = addresses.find(|address| Some(address.at) == self.active);
        let heard = active.and_then(|active| active.heard);
        heard.is_none_or(|heard| now - heard >= QUIET)
    }

    fn add(&mut self, at: SocketAddr, candidate: bool, now: Instant) {
        self.addresses.push(Address {
            at,
            candidate,
            added: now,
            heard: None,
            asked: None,
            pending: None,
            proved: false,
        });
    }

    /// Forgets those addresses of a kind that have been silent the longest.
    fn make_room(&mut self, candidate: bool, max: usize) {
        while self
            .addresses
            .iter()
            .filter(|a| a.candidate == candidate)
            .count()
            > max
        {
            let others = self.addresses.iter().enumerate();
            let others =
                others.filter(|(_, a)| a.candidate == candidate && Some(a.at) != self.active);
            let oldest = others.min_by_key(|(_, address)| address.heard.max(Some(address.added)));
            let (oldest, _) = oldest.expect("only one is active");
            self.addresses.remove(oldest);
        }
    }

    fn ask(&mut self, at: SocketAddr, now: Instant) {
        let address = self.addresses.iter_mut().find(|address| address.at == at);
        let challenge = address.and_then(|address| address.challenge(&mut self.tokens, now));
        self.challenges.extend(challenge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 47_000))
    }

    fn at(ms: u64) -> Instant {
        Instant(1_000_000 + ms * 1_000)
    }

    fn paths(candidates: &[SocketAddr]) -> Paths {
        Paths::new(&[3; 32], candidates, at(0))
    }

    fn asked(paths: &mut Paths) -> Vec<(SocketAddr, Token)> {
        std::iter::from_fn(|| paths.poll_challenge()).collect()
    }

    /// The peer answers what it was just asked at an address. Returns whether sound moves.
    fn answer(paths: &mut Paths, from: SocketAddr, now: Instant) -> bool {
        let asked = asked(paths);
        let (_, token) = asked.iter().find(|(to, _)| *to == from).unwrap();
        let moved = paths.handle_response(from, *token, now);
        paths.handle_heard(from, false, now) || moved
    }

    #[test]
    fn sound_goes_to_the_first_candidate_that_answers() {
        let mut paths = paths(&[address(1), address(2)]);
        assert_eq!((paths.active(), paths.heard()), (None, None));
        assert!(answer(&mut paths, address(2), at(1)));
        assert_eq!(
            (paths.active(), paths.heard()),
            (Some(address(2)), Some(at(1)))
        );
    }

    #[test]
    fn an_answer_counts_only_from_where_the_question_went() {
        let mut paths = paths(&[address(1), address(2)]);
        let asked = asked(&mut paths);
        assert!(!paths.handle_response(address(2), asked[0].1, at(1)));
        assert!(!paths.handle_response(address(3), asked[0].1, at(1)));
        assert!(!paths.handle_response(address(1), [0; 8], at(1)));
        assert_eq!(paths.active(), None);
        assert!(paths.handle_response(address(1), asked[0].1, at(1)));
        // Once.
        assert!(!paths.handle_response(address(1), asked[0].1, at(1)));
    }

    #[test]
    fn a_peer_that_moves_is_followed_once_it_has_answered() {
        let mut paths = paths(&[address(1)]);
        answer(&mut paths, address(1), at(1));
        assert!(!paths.handle_heard(address(9), true, at(10)));
        assert_eq!(paths.active(), Some(address(1)));
        // Sound is still heard from the old address, so the answer alone moves nothing.
        assert!(!answer(&mut paths, address(9), at(11)));
        // An older packet that comes late moves nothing either.
        assert!(!paths.handle_heard(address(9), false, at(12)));
        assert!(paths.handle_heard(address(9), true, at(20)));
        assert_eq!(paths.active(), Some(address(9)));
        // And back, without another question.
        assert!(paths.handle_heard(address(1), true, at(30)));
        assert_eq!(asked(&mut paths), []);
    }

    #[test]
    fn when_nothing_is_heard_all_candidates_are_asked_less_and_less_often() {
        let mut paths = paths(&[address(1), address(2)]);
        answer(&mut paths, address(1), at(0));
        assert_eq!(paths.poll_timeout(), at(0) + QUIET);
        paths.handle_timeout(at(99));
        assert_eq!(asked(&mut paths), []);
        let mut rounds = Vec::new();
        for ms in 100..4_000 {
            paths.handle_timeout(at(ms));
            let asked = asked(&mut paths);
            if !asked.is_empty() {
                assert_eq!(asked.len(), 2);
                rounds.push(ms);
            }
        }
        assert_eq!(rounds, [100, 125, 175, 275, 475, 875, 1_675, 2_475, 3_275]);
        assert_eq!(paths.active(), Some(address(1)));
    }

    #[test]
    fn a_deserted_address_is_left_for_the_first_that_answers() {
        let mut paths = paths(&[address(1), address(2)]);
        answer(&mut paths, address(1), at(0));
        paths.handle_timeout(at(100));
        assert!(answer(&mut paths, address(2), at(101)));
        assert_eq!(paths.active(), Some(address(2)));
    }

    #[test]
    fn who_does_not_answer_for_long_is_sent_nothing() {
        let mut paths = paths(&[address(1)]);
        answer(&mut paths, address(1), at(0));
        paths.handle_timeout(at(9_999));
        assert_eq!(paths.active(), Some(address(1)));
        paths.handle_timeout(at(10_000));
        assert_eq!(paths.active(), None);
        // A packet from there is not enough.
        asked(&mut paths);
        assert!(!paths.handle_heard(address(1), true, at(20_000)));
        assert!(!paths.handle_heard(address(1), true, at(20_001)));
        assert!(answer(&mut paths, address(1), at(20_002)));
    }

    #[test]
    fn addresses_are_few_and_strangers_displace_no_candidate() {
        let count = |paths: &Paths, candidate: bool| {
            let same = |address: &&Address| address.candidate == candidate;
            paths.addresses.iter().filter(same).count()
        };
        let candidates: Vec<_> = (0..=8).map(address).collect();
        let mut paths = paths(&candidates[..8]);
        answer(&mut paths, address(0), at(0));
        for host in 100..200 {
            paths.handle_heard(address(host), true, at(host.into()));
            asked(&mut paths);
        }
        assert_eq!(
            (count(&paths, true), count(&paths, false)),
            (CANDIDATES_MAX, LEARNED_MAX)
        );
        // The oldest candidate goes, except that it is in use.
        paths.handle_candidates(&candidates[8..], at(300));
        assert_eq!(
            (count(&paths, true), count(&paths, false)),
            (CANDIDATES_MAX, LEARNED_MAX)
        );
        let known = |host| {
            paths
                .addresses
                .iter()
                .any(|known| known.at == address(host))
        };
        assert!(known(0) && !known(1) && known(8));
        assert_eq!(paths.active(), Some(address(0)));
    }

    #[test]
    fn nobody_is_asked_more_often_than_they_send() {
        let mut paths = paths(&[]);
        let mut questions = 0;
        for packet in 0..1_000 {
            paths.handle_heard(address(66), true, at(packet));
            let asked = asked(&mut paths);
            assert!(asked.iter().all(|(to, _)| *to == address(66)));
            questions += asked.len();
        }
        assert_eq!(questions, 50);
        // A stranger that never answered is not looked for.
        for ms in 1_000..9_000 {
            paths.handle_timeout(at(ms));
        }
        assert_eq!(asked(&mut paths), []);
    }

    #[test]
    fn no_two_tokens_are_the_same_and_a_seed_repeats_them() {
        let candidates: Vec<_> = (0..8).map(address).collect();
        let draw = |seed: u8| {
            let mut paths = Paths::new(&[seed; 32], &candidates, at(0));
            let mut tokens: Vec<_> = asked(&mut paths).iter().map(|(_, token)| *token).collect();
            tokens.sort_unstable();
            tokens.dedup();
            assert_eq!(tokens.len(), 8);
            tokens
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
