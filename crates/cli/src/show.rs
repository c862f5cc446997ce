//! Peers, messages and events as lines for people.

use crate::out::{Out, Paint, pad, table, width};
use crate::{safe, text, when};
use hallway_model::{
    Delivery, Event, EventKind, MessageView, PeerId, PeerView, Presence, Status, StatusView,
};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// A peer's name with the tag that makes it unambiguous.
pub(crate) fn label(peer: &PeerView) -> String {
    label_of(&peer.name, &peer.id)
}

/// The same for somebody whose view is not at hand.
pub(crate) fn label_of(name: &str, id: &PeerId) -> String {
    let (name, tag) = (safe::one_line(name), id.tag());
    // The node calls somebody without a name by the tag.
    if name == format!("~{tag}") { name } else { format!("{name}~{tag}") }
}

/// A line for each peer.
pub(crate) fn peers(out: &Out, peers: &[PeerView]) -> String {
    let rows: Vec<_> = peers.iter().map(peer_row).collect();
    table(out, &rows)
}

fn peer_row(peer: &PeerView) -> [(Paint, String); 7] {
    let presence = match peer.state {
        Presence::Live => Paint::Good,
        Presence::Nearby => Paint::Plain,
        Presence::Offline => Paint::Dim,
    };
    let trust = match peer {
        PeerView { blocked: true, .. } => (Paint::Bad, text::BLOCKED.into()),
        PeerView { impostor: Some(_), .. } => (Paint::Bad, text::IMPOSTOR.into()),
        PeerView { request: true, .. } => (Paint::Caution, text::REQUEST.into()),
        PeerView { verified: true, .. } => (Paint::Good, text::VERIFIED.into()),
        _ => (Paint::Plain, String::new()),
    };
    let availability = match peer.status {
        Status::Available => String::new(),
        Status::Away | Status::Busy => text::status(peer.status).into(),
    };
    let unread = match peer.unread {
        0 => String::new(),
        count => text::unread(count),
    };
    let round_trip = peer.rtt_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
    let address = peer.addresses.first().map(ToString::to_string).unwrap_or_default();
    [
        (Paint::Bold, label(peer)),
        (presence, text::presence(peer.state).into()),
        (Paint::Plain, availability),
        trust,
        (Paint::Bold, unread),
        (Paint::Plain, round_trip),
        (Paint::Dim, address),
    ]
}

/// The node itself.
pub(crate) fn status(out: &Out, status: &StatusView) -> String {
    let name = label_of(status.name.as_str(), &status.id);
    let uptime = text::uptime(status.uptime_ms / 1000);
    let mut rows = vec![
        (text::ID, status.id.to_string()),
        (text::STATUS, text::status(status.status).into()),
        (text::PORT, status.port.to_string()),
        (text::SESSIONS, status.sessions.to_string()),
    ];
    let addresses = status.addresses.iter().map(ToString::to_string);
    let headings = std::iter::once(text::ADDRESSES).chain(std::iter::repeat(""));
    rows.extend(headings.zip(addresses));
    rows.push((text::VERSION, status.version.clone()));
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(what, value)| [(Paint::Dim, what.to_owned()), (Paint::Plain, value)])
        .collect();
    let mut shown = out.paint(Paint::Bold, &text::running(&name, status.pid, uptime));
    shown.push('\n');
    shown.push_str(&table(out, &rows));
    for notice in &status.notices {
        let notice = format!("! {}\n", safe::one_line(notice));
        shown.push_str(&out.paint(Paint::Caution, &notice));
    }
    shown
}

/// Who is meant by the ids in messages and events.
pub(crate) struct Names {
    me: PeerId,
    names: BTreeMap<PeerId, String>,
}

impl Names {
    pub(crate) fn new(me: PeerId, peers: &[PeerView]) -> Self {
        let mut names = Self { me, names: BTreeMap::new() };
        peers.iter().for_each(|peer| names.learn(peer));
        names
    }

    pub(crate) fn learn(&mut self, peer: &PeerView) {
        self.names.insert(peer.id, safe::one_line(&peer.name));
    }

    fn of(&self, id: &PeerId) -> String {
        match self.names.get(id) {
            _ if *id == self.me => text::YOU.into(),
            Some(name) => name.clone(),
            None => format!("~{}", id.tag()),
        }
    }
}

/// How messages are laid out.
pub(crate) struct Layout<'a> {
    pub(crate) out: &'a Out,
    pub(crate) names: &'a Names,
    pub(crate) zone: TimeZone,
    /// Put the id of each message before it.
    pub(crate) ids: bool,
    /// Say also to whom, because messages of several talks are mixed.
    pub(crate) mixed: bool,
}

impl Layout<'_> {
    /// Messages, oldest first, under the days they were written on.
    pub(crate) fn log(&self, messages: &[MessageView]) -> String {
        let heads: Vec<String> = messages.iter().map(|m| self.head(m)).collect();
        let cells = heads.iter().map(|head| width(head)).max().unwrap_or(0);
        let mut shown = String::new();
        let mut day = None;
        for (message, head) in messages.iter().zip(&heads) {
            let at = when::local(message.at, &self.zone);
            if day != Some(at.date()) {
                day = Some(at.date());
                let date = at.strftime("%A, %-d %B %Y").to_string();
                shown.push_str(&self.out.paint(Paint::Dim, &date));
                shown.push('\n');
            }
            self.push_message(&mut shown, message, head, cells);
        }
        shown
    }

    /// One message by itself.
    pub(crate) fn message(&self, message: &MessageView) -> String {
        let mut shown = String::new();
        let head = self.head(message);
        self.push_message(&mut shown, message, &head, width(&head));
        shown
    }

    fn head(&self, message: &MessageView) -> String {
        let from = self.names.of(&message.from);
        if self.mixed { format!("{from} → {}", self.names.of(&message.to)) } else { from }
    }

    /// Time and name, then the text; its further lines hang below its first.
    fn push_message(&self, shown: &mut String, message: &MessageView, head: &str, cells: usize) {
        let at = when::local(message.at, &self.zone).strftime("%H:%M").to_string();
        let mut margin = format!("{at}  {}  ", pad(head, cells));
        if self.ids {
            margin = format!("{}  {margin}", message.id);
        }
        let hanging = " ".repeat(width(&margin));
        let own = message.from == self.names.me;
        let paint = if own { Paint::Dim } else { Paint::Bold };
        let mut before = self.out.paint(paint, &margin);
        if let Some(quote) = &message.reply_to {
            let line = safe::lines(quote.text.as_deref().unwrap_or(text::DELETED)).next();
            let who = quote.from.as_ref().map(|id| self.names.of(id)).unwrap_or_default();
            let quoted = format!("↪ {who}: {}", line.unwrap_or_default());
            shown.push_str(&format!("{before}{}\n", self.out.paint(Paint::Dim, &quoted)));
            before = hanging.clone();
        }
        let body = match &message.text {
            _ if message.deleted => text::DELETED,
            Some(text) => text,
            None => text::NEEDS_NEWER,
        };
        let mut lines = safe::lines(body);
        shown.push_str(&format!("{before}{}", lines.next().unwrap_or_default()));
        for line in lines {
            shown.push_str(&format!("\n{hanging}{line}"));
        }
        let after = self.remarks(message, own);
        shown.push_str(&self.out.paint(Paint::Dim, &after));
        shown.push('\n');
    }

    fn remarks(&self, message: &MessageView, own: bool) -> String {
        let mut remarks = String::new();
        if message.edited && !message.deleted {
            remarks.push_str(&format!("  {}", text::EDITED));
        }
        for reaction in &message.reactions {
            let emoji = safe::one_line(&reaction.emoji);
            remarks.push_str(&format!("  {emoji} {}", self.names.of(&reaction.by)));
        }
        if own && message.state < Delivery::Delivered {
            remarks.push_str(&format!("  [{}]", text::delivery(message.state)));
        }
        remarks
    }

    /// One event of the stream.
    pub(crate) fn event(&self, event: &Event) -> String {
        let name = |id: &PeerId| self.names.of(id);
        match &event.kind {
            EventKind::Message { message, .. } => self.message(message),
            EventKind::State { id, peer, state } => text::state_of(id, &name(peer), *state),
            EventKind::ReadUpTo { author, peer, seq } if *author == self.names.me => {
                text::has_read(&name(peer), *seq)
            }
            EventKind::ReadUpTo { peer, seq, .. } => text::you_have_read(&name(peer), *seq),
            EventKind::Peer { peer } => text::came(&label(peer), text::presence(peer.state)),
            EventKind::PeerGone { id } => text::gone(&id.tag()),
            EventKind::Typing { id, typing: true } => text::typing(&name(id)),
            EventKind::Typing { id, typing: false } => text::not_typing(&name(id)),
            EventKind::Request { peer } => text::wants_to_write(&label(peer), &peer.tag),
            EventKind::NameCollision { contact, newcomer } => {
                text::name_collision(&label(contact), &label(newcomer))
            }
            EventKind::Notice { detail, .. } => format!("! {}", safe::one_line(detail)),
        }
    }
}
