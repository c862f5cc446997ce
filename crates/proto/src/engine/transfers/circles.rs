//! Several receivers of one content: the sender tells them of each other, so that they help each
//! other to it.

use super::{Engine, Live};
use crate::frame::Frame;
use crate::io::Output;
use crate::transfer::{
    ADDRESSES_TOLD_MAX, Address, Introduced, Introduction, OTHERS_MAX, Order, Other,
};
use hallway_model::{ContentId, Now, PeerId, TransferId, TransferPhase};
use std::collections::{BTreeMap, BTreeSet};

/// Contents that more than one peer is to have.
#[derive(Default)]
pub(super) struct Circles {
    /// Our offers of each content that is large enough, while one of them is not over.
    offers: BTreeMap<ContentId, BTreeSet<TransferId>>,
    /// Of them those with several receivers.
    several: BTreeSet<ContentId>,
    /// Offers of others in which somebody was introduced to us.
    introduced: BTreeSet<TransferId>,
}

impl Circles {
    pub(super) fn insert(&mut self, content: ContentId, id: TransferId) {
        let offers = self.offers.entry(content).or_default();
        offers.insert(id);
        if offers.len() > 1 {
            self.several.insert(content);
        }
    }
}

impl Live {
    /// The receiver may hear of the others, and they of it.
    fn is_in_circle(&self) -> bool {
        self.is_wanted() || self.record.phase == TransferPhase::Done
    }
}

impl Engine {
    /// Tells everybody who receives what this peer does of each other, as far as it is news.
    pub(in crate::engine) fn tend_circles(&mut self, peer: PeerId, now: Now) {
        let of_peer = |id: &TransferId| {
            let live = self.transfers.all.get(id);
            live.is_some_and(|live| live.record.peer == peer)
        };
        let circles = &self.transfers.circles;
        let theirs = circles.several.iter().filter(|content| {
            let offers = circles.offers.get(*content);
            offers.is_some_and(|offers| offers.iter().any(of_peer))
        });
        for content in theirs.copied().collect::<Vec<_>>() {
            self.introduce_all(content, now);
        }
        let introduced = self.transfers.circles.introduced.iter();
        let theirs: Vec<_> = introduced.filter(|id| id.author == peer).copied().collect();
        let there = self
            .directory
            .get(&peer)
            .is_some_and(|e| e.session.is_some());
        for id in theirs {
            let live = self.transfers.all.get(&id);
            if !there || !live.is_some_and(Live::is_in_circle) {
                self.meet(id, Vec::new());
            }
        }
    }

    fn introduce_all(&mut self, content: ContentId, now: Now) {
        let offers = self.transfers.circles.offers.get(&content);
        let offers: Vec<TransferId> = offers.into_iter().flatten().copied().collect();
        let mut members: BTreeMap<PeerId, Other> = BTreeMap::new();
        let (mut needed, mut over) = (false, true);
        for id in &offers {
            let Some(live) = self.transfers.all.get(id) else {
                continue;
            };
            over &= live.record.phase.is_over();
            if live.is_in_circle() && self.is_live(&live.record.peer) {
                needed |= !live.record.phase.is_over();
                members.extend(self.as_other(live.record.peer));
            }
        }
        for id in offers {
            let Some(live) = self.transfers.all.get_mut(&id) else {
                continue;
            };
            let others = match members.contains_key(&live.record.peer) {
                true if needed => neighbours(&members, &live.record.peer),
                _ => Vec::new(),
            };
            if live.told != others {
                live.told.clone_from(&others);
                let peer = live.record.peer;
                let message = id.message;
                if let Some(session) = self.session_mut(&peer).filter(|s| s.profile.is_some()) {
                    let introduction = Introduction { message, others };
                    session.send(&Frame::Introduction(introduction), now.mono);
                    self.dirty.insert(peer);
                }
            }
        }
        if over {
            self.transfers.circles.offers.remove(&content);
            self.transfers.circles.several.remove(&content);
        }
    }

    /// What the others are told of a peer.
    fn as_other(&self, peer: PeerId) -> Option<(PeerId, Other)> {
        let entry = self.directory.get(&peer)?;
        let addresses = entry.addresses().into_iter().map(Address);
        let addresses = addresses.filter(Address::may_be_told);
        let other = Other {
            peer,
            addresses: addresses.take(ADDRESSES_TOLD_MAX).collect(),
            fast_aes: entry.record.fast_aes,
        };
        Some((peer, other))
    }

    /// A receiver that has a new session has heard of nobody in it.
    pub(super) fn forget_told(&mut self, peer: &PeerId) {
        let of_peer = |live: &&mut Live| live.record.peer == *peer;
        for live in self.transfers.all.values_mut().filter(of_peer) {
            live.told.clear();
        }
    }

    /// The sender of something tells us who else receives it.
    pub(in crate::engine) fn handle_introduction(
        &mut self,
        sender: PeerId,
        introduction: Introduction,
    ) {
        let id = TransferId {
            author: sender,
            message: introduction.message,
        };
        let live = self.transfers.all.get(&id);
        let wanted = |live: &Live| live.is_incoming() && live.is_in_circle() && live.is_large();
        if !live.is_some_and(wanted) {
            return;
        }
        let me = self.config.id;
        let others = introduction.others.into_iter();
        let others = others
            .filter(|other| other.peer != me && other.peer != sender)
            .filter_map(|other| self.as_introduced(other));
        let others = others.collect();
        self.meet(id, others);
    }

    /// Where to find somebody we were told of: first where we know them to be ourselves.
    fn as_introduced(&self, other: Other) -> Option<Introduced> {
        let Other {
            peer,
            addresses,
            fast_aes,
        } = other;
        let entry = self.directory.get(&peer);
        if entry.is_some_and(|entry| !entry.is_let_in()) {
            return None;
        }
        let known = entry.into_iter().flat_map(|entry| entry.addresses());
        let told = addresses.into_iter().filter(Address::may_be_told);
        let mut all = Vec::new();
        for address in known
            .take(ADDRESSES_TOLD_MAX)
            .chain(told.map(|address| address.0))
        {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        Some(Introduced {
            peer,
            addresses: all,
            suite: self.suite_of(fast_aes || self.has_fast_aes(&peer)),
        })
    }

    /// Somebody is let in no longer: nothing is fetched from them, and they fetch nothing.
    pub(in crate::engine) fn part_with(&mut self, peer: &PeerId) {
        let introduced = self.transfers.circles.introduced.iter();
        for id in introduced.copied().collect::<Vec<_>>() {
            if let Some(live) = self.transfers.all.get(&id) {
                let others = live.introduced.iter().filter(|other| other.peer != *peer);
                self.meet(id, others.cloned().collect());
            }
        }
    }

    pub(super) fn meet(&mut self, id: TransferId, others: Vec<Introduced>) {
        let Some(live) = self.transfers.all.get_mut(&id) else {
            return;
        };
        if live.introduced == others {
            return;
        }
        live.introduced.clone_from(&others);
        if others.is_empty() {
            self.transfers.circles.introduced.remove(&id);
        } else {
            self.transfers.circles.introduced.insert(id);
        }
        let content = live.record.offer.content;
        let order = Order::Introduce {
            id,
            content,
            others,
        };
        self.outputs.push_back(Output::Files(order));
    }
}

/// Of a circle those next to one place, as many before it as after it.
fn neighbours(members: &BTreeMap<PeerId, Other>, of: &PeerId) -> Vec<Other> {
    let after = members.range(*of..).map(|(_, other)| other).skip(1);
    let before = members.range(..*of).map(|(_, other)| other);
    let mut around: Vec<Other> = after.chain(before).cloned().collect();
    if around.len() > OTHERS_MAX {
        let far = OTHERS_MAX / 2..around.len() - OTHERS_MAX / 2;
        around.drain(far);
    }
    around
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_receivers_each_hears_of_those_next_to_it() {
        let other = |number: u8| Other {
            peer: PeerId([number; 32]),
            addresses: Vec::new(),
            fast_aes: false,
        };
        for places in [1u8, 2, 33, 34, 100] {
            let members = (0..places).map(|n| (PeerId([n; 32]), other(n))).collect();
            for place in 0..places {
                let near = neighbours(&members, &PeerId([place; 32]));
                let near: Vec<u8> = near.iter().map(|other| other.peer.0[0]).collect();
                assert_eq!(near.len(), usize::from(places - 1).min(OTHERS_MAX));
                // Who fetches from somebody is somebody whom that one lets fetch.
                for step in [1, 2, 4, 8, 16].into_iter().filter(|step| *step < places) {
                    let on = (place + step) % places;
                    let back = (place + places - step) % places;
                    assert!(
                        near.contains(&on) && near.contains(&back),
                        "{place} of {places}"
                    );
                }
            }
        }
    }
}
