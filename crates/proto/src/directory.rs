//! Everybody known, near or connected, and how a person refers to them.

use crate::dialer::Dialer;
use crate::io::{ConnId, Sighting};
use crate::ledger::Before;
use crate::outbox::Outbox;
use crate::session::Session;
use hallway_model::{
    Instant, MessageId, Peer, PeerId, PeerView, Presence, Problem, Refusal, Relation,
    SIGHTINGS_MAX, Status, WallTime,
};
use std::collections::BTreeMap;

/// One person, as far as this node has to do with them now.
pub(crate) struct Entry {
    pub(crate) record: Peer,
    /// The record is on disk.
    pub(crate) kept: bool,
    pub(crate) sighting: Option<Sighting>,
    pub(crate) session: Option<Session>,
    pub(crate) dialer: Dialer,
    pub(crate) outbox: Outbox,
    /// The disk is about to forget them: nothing new happens with them until it has.
    pub(crate) forgetting: bool,
    /// The user or the configuration asked for a session, whoever they are.
    pub(crate) wanted: bool,
    pub(crate) typing_until: Option<Instant>,
    pub(crate) typing_sent_at: Option<Instant>,
    /// When the last session was lost without a goodbye.
    pub(crate) lost_at: Option<Instant>,
    /// What the faces were last told.
    pub(crate) shown: Option<Shown>,
    /// Messages of theirs on their way to disk.
    pub(crate) receiving: u32,
    /// Sessions that a newer one replaced without reaching us, and since when.
    pub(crate) replaced: Option<(u32, Instant)>,
    /// Acknowledged, but the disk did not take note of it.
    pub(crate) unsaved: Vec<MessageId>,
    /// When to write again what the disk did not take, or read what it did not give.
    pub(crate) save_at: Option<Instant>,
    /// When this entry next needs attention.
    pub(crate) deadline: Option<Instant>,
}

/// The part of an entry whose change the faces are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    presence: Presence,
    name: String,
    status: Status,
}

impl Entry {
    pub(crate) fn new(record: Peer, kept: bool, outbox: Outbox) -> Self {
        Self {
            record,
            kept,
            outbox,
            sighting: None,
            session: None,
            dialer: Dialer::default(),
            forgetting: false,
            wanted: false,
            typing_until: None,
            typing_sent_at: None,
            lost_at: None,
            shown: None,
            receiving: 0,
            replaced: None,
            unsaved: Vec::new(),
            save_at: None,
            deadline: None,
        }
    }

    /// What is to be gone back to when the disk refuses a change.
    pub(crate) fn before(&self) -> Box<Before> {
        Box::new(Before {
            record: self.record.clone(),
            kept: self.kept,
        })
    }

    pub(crate) fn go_back(&mut self, before: Before) {
        self.record = before.record;
        self.kept = before.kept;
    }

    /// Somebody we write with.
    pub(crate) fn is_contact(&self) -> bool {
        self.record.relation == Relation::Contact
    }

    /// Sessions with them are allowed.
    pub(crate) fn is_let_in(&self) -> bool {
        !self.record.blocked && !self.forgetting
    }

    /// A session is to be kept up or opened.
    pub(crate) fn needs_session(&self) -> bool {
        self.is_let_in() && (self.is_contact() || self.wanted || self.outbox.is_waiting())
    }

    /// A stranger's messages wait for a decision.
    pub(crate) fn is_request(&self) -> bool {
        !self.is_contact() && !self.record.blocked && self.record.request_messages > 0
    }

    pub(crate) fn presence(&self) -> Presence {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.profile.is_some())
        {
            Presence::Live
        } else if self.sighting.is_some() {
            Presence::Nearby
        } else {
            Presence::Offline
        }
    }

    /// The proven name, or else the announced one, or else the tag.
    pub(crate) fn name(&self) -> String {
        let announced = || self.sighting.as_ref().and_then(|s| s.name.as_ref());
        match self.record.name.as_ref().or_else(announced) {
            Some(name) => name.to_string(),
            None => format!("~{}", self.record.id.tag()),
        }
    }

    fn status(&self) -> Status {
        let proven = self
            .session
            .as_ref()
            .and_then(|s| s.profile.as_ref())
            .map(|p| p.status());
        proven
            .or_else(|| self.sighting.as_ref().map(|s| s.status))
            .unwrap_or_default()
    }

    pub(crate) fn shown_now(&self) -> Shown {
        Shown {
            presence: self.presence(),
            name: self.name(),
            status: self.status(),
        }
    }

    /// Where to dial: addresses that worked come first, so that false announcements of somebody
    /// else's id cost a known peer nothing but the tail of the race.
    pub(crate) fn addresses(&self) -> Vec<std::net::SocketAddr> {
        let announced = self.sighting.iter().flat_map(|s| &s.addresses);
        let mut all = Vec::new();
        for address in self.record.addresses.iter().take(4).chain(announced) {
            if !all.contains(address) {
                all.push(*address);
            }
        }
        for address in self.record.addresses.iter().skip(4) {
            if !all.contains(address) {
                all.push(*address);
            }
        }
        all.truncate(hallway_model::ADDRESSES_MAX);
        all
    }

    pub(crate) fn view(&self, now: Instant) -> PeerView {
        let rtt = self.session.as_ref().and_then(Session::rtt);
        PeerView {
            id: self.record.id,
            tag: self.record.id.tag(),
            name: self.name(),
            state: self.presence(),
            status: self.status(),
            contact: self.is_contact(),
            verified: self.record.verified_at.is_some(),
            blocked: self.record.blocked,
            request: self.is_request(),
            impostor: self.record.impostor,
            addresses: self.addresses(),
            rtt_ms: rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            clock_skew_ms: self
                .session
                .as_ref()
                .and_then(|session| session.clock_skew_ms),
            last_seen: self.record.last_seen,
            unread: 0,
            typing: self.typing_until.is_some_and(|until| until > now),
        }
    }
}

/// Everybody, by id and by connection.
#[derive(Default)]
pub(crate) struct Directory {
    entries: BTreeMap<PeerId, Entry>,
    conns: BTreeMap<ConnId, PeerId>,
    sightings: usize,
}

impl Directory {
    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Entry> {
        self.entries.get(peer)
    }

    pub(crate) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Entry> {
        self.entries.get_mut(peer)
    }

    /// The entry of a peer, made when there is none.
    pub(crate) fn entry(&mut self, peer: PeerId, now: WallTime) -> &mut Entry {
        self.entries
            .entry(peer)
            .or_insert_with(|| Entry::new(Peer::new(peer, now), false, Outbox::default()))
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.entries.insert(entry.record.id, entry);
    }

    pub(crate) fn remove(&mut self, peer: &PeerId) -> Option<Entry> {
        let removed = self.entries.remove(peer)?;
        self.sightings -= usize::from(removed.sighting.is_some());
        if let Some(session) = &removed.session {
            self.conns.remove(&session.conn);
        }
        Some(removed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn ids(&self) -> Vec<PeerId> {
        self.entries.keys().copied().collect()
    }

    /// Whose session this connection is.
    pub(crate) fn peer_of(&self, conn: ConnId) -> Option<PeerId> {
        self.conns.get(&conn).copied()
    }

    pub(crate) fn set_session(&mut self, peer: &PeerId, session: Session) {
        if let Some(entry) = self.entries.get_mut(peer) {
            self.conns.insert(session.conn, *peer);
            if let Some(old) = entry.session.replace(session) {
                self.conns.remove(&old.conn);
            }
        }
    }

    pub(crate) fn take_session(&mut self, peer: &PeerId) -> Option<Session> {
        let entry = self.entries.get_mut(peer)?;
        let session = entry.session.take()?;
        self.conns.remove(&session.conn);
        // What it had is in flight no longer.
        entry.outbox.rewind();
        Some(session)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.conns.len()
    }

    /// Sets what was announced of a peer. A stranger beyond [`SIGHTINGS_MAX`] is refused; one
    /// already known never is.
    pub(crate) fn set_sighting(&mut self, peer: PeerId, sighting: Sighting, now: WallTime) -> bool {
        let known = self.entries.contains_key(&peer);
        if !known && self.sightings >= SIGHTINGS_MAX {
            return false;
        }
        let entry = self.entry(peer, now);
        let fresh = entry.sighting.is_none();
        entry.sighting = Some(sighting);
        self.sightings += usize::from(fresh);
        true
    }

    pub(crate) fn clear_sighting(&mut self, peer: &PeerId) {
        if let Some(entry) = self.entries.get_mut(peer) {
            self.sightings -= usize::from(entry.sighting.take().is_some());
        }
    }

    /// The one peer that an id, a tag, a name or `name~tag` means.
    pub(crate) fn resolve(&self, reference: &str) -> Result<PeerId, Refusal> {
        let text = reference.trim();
        match text.parse::<PeerId>() {
            Ok(id) => return Ok(id),
            Err(error) if looks_like_an_id(text) => {
                return Err(Refusal::new(Problem::BadId, error.to_string()));
            }
            Err(_) => {}
        }
        let (name, tag) = match text.rsplit_once('~') {
            Some((name, tag)) => (name, Some(tag.to_lowercase())),
            None => (text, None),
        };
        let skeleton = skeleton_of(name);
        let matches = |entry: &&Entry| {
            let has_tag = |tag: &str| entry.record.id.tag() == tag;
            let named = skeleton_of(&entry.name()) == skeleton;
            match &tag {
                Some(tag) => has_tag(tag) && (name.is_empty() || named),
                None => named || has_tag(&text.to_lowercase()),
            }
        };
        let found: Vec<&Entry> = self.entries.values().filter(matches).collect();
        match found.as_slice() {
            [one] => Ok(one.record.id),
            [] => Err(Refusal::new(
                Problem::NoSuchPeer,
                format!("nobody here is called \"{text}\"; `hallway peers` lists who is known"),
            )),
            several => Err(Refusal {
                problem: Problem::AmbiguousName,
                detail: format!(
                    "\"{text}\" may mean {}; say which with its tag",
                    several
                        .iter()
                        .map(|e| format!("{}~{}", e.name(), e.record.id.tag()))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                candidates: several.iter().map(|entry| entry.record.id).collect(),
            }),
        }
    }
}

/// Long enough that nobody means a name by it.
fn looks_like_an_id(text: &str) -> bool {
    let chars = text.chars().count();
    (45..=65).contains(&chars) && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn skeleton_of(name: &str) -> String {
    hallway_model::Name::lenient(name)
        .map(|name| name.skeleton())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::Name;

    fn with(peers: &[(u8, &str)]) -> Directory {
        let mut directory = Directory::default();
        for (byte, name) in peers {
            let mut record = Peer::new(PeerId([*byte; 32]), WallTime(0));
            record.name = Some(Name::new(name).unwrap());
            directory.insert(Entry::new(record, true, Outbox::default()));
        }
        directory
    }

    #[test]
    fn names_tags_and_ids_name_a_peer() {
        let directory = with(&[(1, "Bo"), (2, "王小明"), (3, "Bo"), (4, "Ann")]);
        let id = |byte| PeerId([byte; 32]);
        assert_eq!(directory.resolve("王小明"), Ok(id(2)));
        assert_eq!(directory.resolve("ann"), Ok(id(4)));
        assert_eq!(directory.resolve(&id(4).tag()), Ok(id(4)));
        assert_eq!(directory.resolve(&format!("Bo~{}", id(3).tag())), Ok(id(3)));
        assert_eq!(directory.resolve(&format!("~{}", id(3).tag())), Ok(id(3)));
        assert_eq!(directory.resolve(&id(9).to_string()), Ok(id(9)));
        let ambiguous = directory.resolve("Bo").unwrap_err();
        assert_eq!(ambiguous.problem, Problem::AmbiguousName);
        assert_eq!(ambiguous.candidates, [id(1), id(3)]);
        assert_eq!(
            directory.resolve("Cy").unwrap_err().problem,
            Problem::NoSuchPeer
        );
        assert_eq!(
            directory.resolve("").unwrap_err().problem,
            Problem::NoSuchPeer
        );
    }

    #[test]
    fn a_look_alike_makes_a_name_ambiguous() {
        let directory = with(&[(1, "Bob"), (2, "B\u{43e}b")]);
        assert_eq!(
            directory.resolve("Bob").unwrap_err().problem,
            Problem::AmbiguousName
        );
    }

    #[test]
    fn a_typo_in_an_id_is_located() {
        let mut text = PeerId([5; 32]).to_string();
        text.replace_range(20..21, if &text[20..21] == "a" { "b" } else { "a" });
        let refusal = with(&[]).resolve(&text).unwrap_err();
        assert_eq!(refusal.problem, Problem::BadId);
        assert!(
            refusal.detail.contains("character 21"),
            "{}",
            refusal.detail
        );
    }

    #[test]
    fn sightings_are_capped_and_never_push_out_a_known_peer() {
        let mut directory = with(&[(1, "Bo")]);
        let sighting = Sighting {
            name: None,
            status: Status::Available,
            fast_aes: false,
            addresses: Vec::new(),
        };
        let id = |n: usize| {
            let mut bytes = [0xee; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            PeerId(bytes)
        };
        for n in 0..SIGHTINGS_MAX {
            assert!(directory.set_sighting(id(n), sighting.clone(), WallTime(0)));
        }
        assert!(!directory.set_sighting(id(SIGHTINGS_MAX), sighting.clone(), WallTime(0)));
        assert!(directory.set_sighting(PeerId([1; 32]), sighting, WallTime(0)));
        directory.remove(&id(0));
        directory.clear_sighting(&id(1));
        assert_eq!(directory.sightings, SIGHTINGS_MAX - 1);
    }
}
