//! Which of the other receivers of a content to fetch from.
//!
//! All receivers stand in a circle, in the order of their ids, and each fetches from those 1, 2,
//! 4, 8 and 16 places on. So everybody serves as few as it fetches from, and what one has got is
//! with all others after a few steps.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::transfer::Introduced;
use hallway_model::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Others that are fetched from at once.
pub const SLOTS: u32 = 5;
/// Others that are dialled in one transfer, each at its few addresses: all whom a sender may
/// introduce, and some that come back. More would let a sender make its receivers knock anywhere.
const DIALS_MAX: u32 = 64;
/// One that does not know us yet, or has nothing yet, is asked again after this,
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// so often.
const TRIES_MAX: u8 = 5;

/// See the module. Times are since any one start.
#[derive(Debug)]
pub struct Circle {
    me: PeerId,
    others: BTreeMap<PeerId, Other>,
    dials_left: u32,
}

#[derive(Debug)]
struct Other {
    introduced: Introduced,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// To be dialled, not before this time.
    Open { from: Duration, tries: u8 },
    /// Somebody deals with it.
    Taken { tries: u8 },
    /// Of no use.
    Dropped,
}

/// What a connection to another receiver led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It does not know us yet, or has nothing yet.
    NotYet,
    /// It is not there, is silent, or lies.
    Useless,
}

/// Whom to fetch from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// From this one.
    Dial(Introduced),
    /// Perhaps from one later.
    Wait(Duration),
    /// From nobody, unless others are introduced.
    Nobody,
}

impl Circle {
    /// Of nobody but ourselves.
    pub fn new(me: PeerId) -> Self {
        Self {
            me,
            others: BTreeMap::new(),
            dials_left: DIALS_MAX,
        }
    }

    /// These are the others now.
    pub fn handle_introduced(&mut self, others: Vec<Introduced>) {
        let mut before = std::mem::take(&mut self.others);
        for introduced in others {
            let known = before.remove(&introduced.peer).map(|other| other.standing);
            let standing = known.unwrap_or(Standing::Open {
                from: Duration::ZERO,
                tries: 0,
            });
            let other = Other {
                introduced,
                standing,
            };
            self.others.insert(other.introduced.peer, other);
        }
    }

    /// Somebody who may fetch from us.
    pub fn knows(&self, peer: &PeerId) -> bool {
        self.others.contains_key(peer)
    }

    /// Nobody is introduced.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// Somebody may still bring something.
    pub fn has_hope(&self) -> bool {
        let mut standings = self.others.values().map(|other| other.standing);
        standings.any(|standing| match standing {
            Standing::Open { .. } => self.dials_left > 0,
            Standing::Taken { .. } => true,
            Standing::Dropped => false,
        })
    }

    /// Whom to dial for the slot of this number, below [`SLOTS`].
    pub fn choose(&mut self, slot: u32, now: Duration) -> Choice {
        let places = self.others.len().saturating_add(1);
        let offset = 1usize.checked_shl(slot).unwrap_or(usize::MAX);
        if offset >= places || self.dials_left == 0 {
            return Choice::Nobody;
        }
        let after = self.others.range(self.me..).map(|(peer, _)| *peer);
        let before = self.others.range(..self.me).map(|(peer, _)| *peer);
        let mut around: Vec<PeerId> = after.chain(before).collect();
        around.rotate_left(offset.saturating_sub(1));
        let mut soonest: Option<Duration> = None;
        for peer in around {
            let Some(other) = self.others.get_mut(&peer) else {
                continue;
            };
            let Standing::Open { from, tries } = other.standing else {
                continue;
            };
            if from <= now {
                other.standing = Standing::Taken { tries };
                self.dials_left = self.dials_left.saturating_sub(1);
                return Choice::Dial(other.introduced.clone());
            }
            soonest = Some(soonest.map_or(from, |soonest| soonest.min(from)));
        }
        soonest.map_or(Choice::Nobody, |at| Choice::Wait(at.saturating_sub(now)))
    }

    /// The connection to somebody who was chosen is gone.
    pub fn handle_lost(&mut self, peer: &PeerId, loss: Loss, now: Duration) {
        if let Some(other) = self.others.get_mut(peer)
            && let Standing::Taken { tries } = other.standing
        {
            let tries = tries.saturating_add(1);
            let again = loss == Loss::NotYet && tries < TRIES_MAX;
            let from = now.saturating_add(AGAIN_AFTER);
            other.standing = if again {
                Standing::Open { from, tries }
            } else {
                Standing::Dropped
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::Suite;

    const SEC: Duration = Duration::from_secs(1);

    fn introduced(number: u8) -> Introduced {
        Introduced {
            peer: PeerId([number; 32]),
            addresses: vec![([10, 0, 0, number], 42550).into()],
            suite: Suite::AesGcm,
        }
    }

    fn circle(me: u8, places: u8) -> Circle {
        let mut circle = Circle::new(PeerId([me; 32]));
        circle.handle_introduced((0..places).filter(|n| *n != me).map(introduced).collect());
        circle
    }

    fn chosen(circle: &mut Circle, slot: u32, now: Duration) -> Option<u8> {
        match circle.choose(slot, now) {
            Choice::Dial(introduced) => Some(introduced.peer.0[0]),
            Choice::Wait(_) | Choice::Nobody => None,
        }
    }

    #[test]
    fn everybody_serves_as_many_as_it_fetches_from_and_all_are_near() {
        for places in [2u8, 3, 8, 30, 33] {
            let mut serves = vec![0; places.into()];
            let mut from = vec![Vec::new(); places.into()];
            for me in 0..places {
                let mut circle = circle(me, places);
                for slot in 0..SLOTS {
                    if let Some(other) = chosen(&mut circle, slot, SEC) {
                        from[usize::from(me)].push(usize::from(other));
                        serves[usize::from(other)] += 1;
                    }
                }
                assert!(!from[usize::from(me)].contains(&me.into()));
            }
            let degree = from[0].len();
            assert!((1..=5).contains(&degree), "{places}");
            assert!(serves.iter().all(|serves| *serves == degree), "{places}");
            // What 0 has is with everybody after so many steps.
            let mut have = std::collections::BTreeSet::from([0]);
            for _ in 0..5 {
                let more = (0..usize::from(places))
                    .filter(|me| from[*me].iter().any(|other| have.contains(other)));
                let more: Vec<_> = more.collect();
                have.extend(more);
            }
            assert_eq!(have.len(), usize::from(places));
        }
    }

    #[test]
    fn who_is_of_no_use_is_replaced_and_who_is_not_ready_is_asked_again() {
        let mut circle = circle(0, 3);
        assert!(circle.has_hope() && circle.knows(&PeerId([2; 32])));
        assert!(!circle.knows(&PeerId([0; 32])));
        assert_eq!(chosen(&mut circle, 0, SEC), Some(1));
        circle.handle_lost(&PeerId([1; 32]), Loss::NotYet, SEC);
        assert_eq!(chosen(&mut circle, 0, SEC), Some(2));
        assert_eq!(circle.choose(1, SEC), Choice::Wait(SEC));
        circle.handle_lost(&PeerId([2; 32]), Loss::Useless, SEC);
        for second in 2..6 {
            assert_eq!(chosen(&mut circle, 0, SEC * second), Some(1));
            assert!(circle.has_hope());
            circle.handle_lost(&PeerId([1; 32]), Loss::NotYet, SEC * second);
        }
        assert!(!circle.has_hope());
        assert_eq!(circle.choose(0, SEC * 60), Choice::Nobody);
        // To be introduced once more changes nothing about it.
        circle.handle_introduced((1..3).map(introduced).collect());
        assert!(!circle.has_hope());
        circle.handle_introduced(Vec::new());
        assert!(circle.is_empty() && !circle.has_hope());
        assert_eq!(circle.choose(0, SEC * 60), Choice::Nobody);
    }

    #[test]
    fn whoever_is_introduced_only_so_many_are_dialled() {
        let mut circle = Circle::new(PeerId([255; 32]));
        let mut dialled = 0;
        for number in 0..200 {
            circle.handle_introduced(vec![introduced(number)]);
            if let Some(other) = chosen(&mut circle, 0, SEC) {
                circle.handle_lost(&PeerId([other; 32]), Loss::Useless, SEC);
                dialled += 1;
            }
        }
        assert_eq!(dialled, DIALS_MAX);
        circle.handle_introduced(vec![introduced(201)]);
        assert!(!circle.has_hope());
    }
}
