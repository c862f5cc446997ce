//! Peers, messages and events as lines for people.

use crate::out::{Out, Paint, pad, table, width};
use crate::{safe, text, when};
use hallway_model::{
    Delivery, Event, EventKind, FileView, MessageView, PeerId, PeerView, Presence, QuoteView,
    Status, StatusView, TransferState, TransferView,
};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::Path;

/// A peer's name with the tag that makes it unambiguous.
pub(crate) fn label(peer: &PeerView) -> String {
    label_of(&peer.name, &peer.id)
}

/// The same for somebody whose view is not at hand.
pub(crate) fn label_of(name: &str, id: &PeerId) -> String {
    let (name, tag) = (safe::one_line(name), id.tag());
    // The node calls somebody without a name by the tag.
    if name == format!("~{tag}") {
        name
    } else {
        format!("{name}~{tag}")
    }
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
        PeerView {
            impostor: Some(_), ..
        } => (Paint::Bad, text::IMPOSTOR.into()),
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
    let round_trip = peer
        .rtt_ms
        .map(|ms| format!("{ms:.1} ms"))
        .unwrap_or_default();
    let address = peer
        .addresses
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
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

/// A line for each transfer.
pub(crate) fn transfers(out: &Out, names: &Names, transfers: &[TransferView]) -> String {
    let rows: Vec<_> = transfers
        .iter()
        .map(|transfer| {
            let id = transfer.id.get(..8).unwrap_or(&transfer.id);
            let arrow = if transfer.incoming { "from" } else { "to" };
            let path = transfer.path.as_deref().map(Path::to_string_lossy);
            let path = path.filter(|_| transfer.state == TransferState::Done);
            let paint = match transfer.state {
                TransferState::Done => Paint::Good,
                TransferState::Failed => Paint::Bad,
                TransferState::Offered if transfer.incoming => Paint::Caution,
                TransferState::Offered
                | TransferState::Running
                | TransferState::WaitingForTurn
                | TransferState::WaitingForPeer
                | TransferState::WaitingForRoom
                | TransferState::PausedByUs
                | TransferState::PausedByThem
                | TransferState::Declined
                | TransferState::CancelledByUs
                | TransferState::CancelledByThem => Paint::Plain,
            };
            [
                (Paint::Dim, id.to_owned()),
                (Paint::Bold, text::file(&transfer.file)),
                (
                    Paint::Plain,
                    format!("{arrow} {}", names.of(&transfer.peer)),
                ),
                (paint, text::transfer_state(transfer)),
                (Paint::Dim, safe::one_line(&path.unwrap_or_default())),
            ]
        })
        .collect();
    table(out, &rows)
}

/// Who is meant by the ids in messages and events.
pub(crate) struct Names {
    me: PeerId,
    names: BTreeMap<PeerId, String>,
}

impl Names {
    pub(crate) fn new(me: PeerId, peers: &[PeerView]) -> Self {
        let mut names = Self {
            me,
            names: BTreeMap::new(),
        };
        peers.iter().for_each(|peer| names.learn(peer));
        names
    }

    pub(crate) fn learn(&mut self, peer: &PeerView) {
        self.names.insert(peer.id, safe::one_line(&peer.name));
    }

    pub(crate) fn of(&self, id: &PeerId) -> String {
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
    /// How what is offered in the messages stands.
    pub(crate) transfers: &'a [TransferView],
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
                let date = at.strftime(text::DAY).to_string();
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
        if self.mixed {
            format!("{from} → {}", self.names.of(&message.to))
        } else {
            from
        }
    }

    /// Time and name, then the text; its further lines hang below its first.
    fn push_message(&self, shown: &mut String, message: &MessageView, head: &str, cells: usize) {
        let at = when::local(message.at, &self.zone)
            .strftime(text::TIME)
            .to_string();
        let mut margin = format!("{at}  {}  ", pad(head, cells));
        if self.ids {
            margin = format!("{}  {margin}", message.id);
        }
        let hanging = " ".repeat(width(&margin));
        let own = message.from == self.names.me;
        let paint = if own { Paint::Dim } else { Paint::Bold };
        let mut before = self.out.paint(paint, &margin);
        if let Some(quote) = &message.reply_to {
            let quoted = self.out.paint(Paint::Dim, &self.quoted(quote));
            shown.push_str(&format!("{before}{quoted}\n"));
            before.clone_from(&hanging);
        }
        let call = message.call.map(|call| text::call_record(&call, own));
        let file = message
            .file
            .as_ref()
            .map(|file| self.offered(message, file));
        let said = message.text.as_ref().or(call.as_ref()).or(file.as_ref());
        let body = match said {
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

    /// What a message offers, and how that stands.
    fn offered(&self, message: &MessageView, file: &FileView) -> String {
        let mut transfers = self.transfers.iter();
        let incoming = message.from != self.names.me;
        let transfer = transfers.find(|t| t.id == message.id && t.incoming == incoming);
        let state = transfer.map(|t| format!(": {}", text::transfer_state(t)));
        text::file(file) + &state.unwrap_or_default()
    }

    /// The first line of what a message answers.
    fn quoted(&self, quote: &QuoteView) -> String {
        let Some(from) = &quote.from else {
            return format!("↪ {}", text::NOT_HERE);
        };
        let line = safe::lines(quote.text.as_deref().unwrap_or(text::DELETED)).next();
        format!("↪ {}: {}", self.names.of(from), line.unwrap_or_default())
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
            EventKind::Transfer { transfer } => text::transfer(&name(&transfer.peer), transfer),
            EventKind::Call { call } => text::call(&name(&call.peer), call),
            EventKind::CallLevels {
                microphone_dbfs,
                speaker_dbfs,
                ..
            } => text::levels(*microphone_dbfs, *speaker_dbfs),
            EventKind::Notice { detail, .. } => format!("! {}", safe::one_line(detail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hallway_model::{ReactionView, WallTime};

    const ME: PeerId = PeerId([0; 32]);
    const ZOE: PeerId = PeerId([1; 32]);
    const WANG: PeerId = PeerId([2; 32]);

    fn peer(id: PeerId, name: &str) -> PeerView {
        PeerView {
            id,
            tag: id.tag(),
            name: name.into(),
            state: Presence::Offline,
            status: Status::Available,
            contact: true,
            verified: false,
            blocked: false,
            request: false,
            impostor: None,
            addresses: Vec::new(),
            rtt_ms: None,
            last_seen: None,
            unread: 0,
            typing: false,
            clock_skew_ms: None,
        }
    }

    /// A message written so many minutes after midnight.
    fn message(from: PeerId, minutes: u64, text: Option<&str>) -> MessageView {
        MessageView {
            id: "0".repeat(32),
            from,
            to: ME,
            seq: 1,
            kind: "text".into(),
            text: text.map(str::to_owned),
            call: None,
            file: None,
            state: Delivery::Delivered,
            at: WallTime(minutes * 60_000),
            reply_to: None,
            edited: false,
            deleted: false,
            reactions: Vec::new(),
            change: 1,
        }
    }

    fn log(mixed: bool, messages: &[MessageView]) -> String {
        let names = Names::new(ME, &[peer(ZOE, "Zoë\x1b"), peer(WANG, "王小明")]);
        let layout = Layout {
            out: &Out::new(false),
            names: &names,
            zone: TimeZone::UTC,
            ids: false,
            mixed,
            transfers: &[],
        };
        layout.log(messages)
    }

    #[test]
    fn names_of_all_scripts_stand_in_one_column_under_their_days() {
        let messages = [
            message(WANG, 9 * 60, Some("早")),
            message(ZOE, 9 * 60 + 1, Some("two\nlines")),
            MessageView {
                to: WANG,
                state: Delivery::Queued,
                ..message(ME, 24 * 60, Some("hi"))
            },
        ];
        insta::assert_snapshot!(log(false, &messages), @"
        Thursday, 1 January 1970
        09:00  王小明  早
        09:01  Zoë␛    two
                       lines
        Friday, 2 January 1970
        00:00  you     hi  [queued]
        ");
        insta::assert_snapshot!(log(true, &messages), @"
        Thursday, 1 January 1970
        09:00  王小明 → you  早
        09:01  Zoë␛ → you    two
                             lines
        Friday, 2 January 1970
        00:00  you → 王小明  hi  [queued]
        ");
    }

    #[test]
    fn what_happened_to_a_message_is_said() {
        let quote = |text: Option<&str>| {
            let (id, text) = ("1".repeat(32), text.map(str::to_owned));
            Some(QuoteView {
                id,
                from: Some(ZOE),
                text,
            })
        };
        let unknown = QuoteView {
            id: "1".repeat(32),
            from: None,
            text: None,
        };
        let messages = [
            MessageView {
                reply_to: Some(unknown),
                ..message(ME, 0, Some("z"))
            },
            MessageView {
                reply_to: quote(Some("first\nsecond")),
                ..message(ME, 0, Some("a"))
            },
            MessageView {
                reply_to: quote(None),
                ..message(ZOE, 0, Some("b"))
            },
            MessageView {
                edited: true,
                ..message(ZOE, 1, Some("c"))
            },
            MessageView {
                edited: true,
                deleted: true,
                ..message(ZOE, 2, None)
            },
            MessageView {
                kind: "unknown".into(),
                ..message(PeerId([9; 32]), 3, None)
            },
            MessageView {
                reactions: vec![ReactionView {
                    emoji: "👍\x1b".into(),
                    by: ME,
                }],
                ..message(ZOE, 4, Some("d"))
            },
        ];
        insta::assert_snapshot!(log(false, &messages), @"
        Thursday, 1 January 1970
        00:00  you    ↪ (a message that is not here)
                      z
        00:00  you    ↪ Zoë␛: first
                      a
        00:00  Zoë␛   ↪ Zoë␛: (deleted)
                      b
        00:01  Zoë␛   c  (edited)
        00:02  Zoë␛   (deleted)
        00:03  ~beeq  (needs a newer version of Hallway)
        00:04  Zoë␛   d  👍␛ you
        ");
    }

    #[test]
    fn a_peer_is_shown_with_what_matters_most() {
        let shown = [
            PeerView {
                verified: true,
                rtt_ms: Some(0.44),
                ..peer(WANG, "王小明")
            },
            PeerView {
                verified: true,
                impostor: Some(ME),
                ..peer(ZOE, "Zoë\n")
            },
            PeerView {
                blocked: true,
                impostor: Some(ME),
                ..peer(ZOE, "Zoë")
            },
            PeerView {
                unread: 3,
                status: Status::Busy,
                ..peer(ZOE, &format!("~{}", ZOE.tag()))
            },
        ];
        insta::assert_snapshot!(peers(&Out::new(false), &shown), @"
        王小明~aiba  offline        verified                           0.4 ms
        Zoë␊~aeaq    offline        name also used by another!
        Zoë~aeaq     offline        blocked
        ~aeaq        offline  busy                              3 new
        ");
    }
}
