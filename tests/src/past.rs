//! A long past: two people who have known each other for years.

use crate::host::Host;
use hallway_model::{
    Body, ConversationId, Delivery, Message, MessageId, Name, Peer, PeerId, Relation, WallTime,
    Write,
};
use hallway_node::home::Home;
use hallway_node::keys;
use hallway_store::DatabaseKey;

/// Written at once, as under load.
const GROUP: usize = 1000;
/// Time between two messages, in milliseconds: some 200 a day.
const PACE_MS: u64 = 432_000;
/// When the first was written.
const BEGIN: WallTime = WallTime(1_700_000_000_000);

/// The keys of a node that does not run yet.
struct Owner {
    id: PeerId,
    home: Home,
    key: [u8; 32],
}

impl Owner {
    #[track_caller]
    fn of(host: &Host) -> Self {
        let home = Home::create(Some(&host.home())).expect("its folder is there");
        let lock = home.lock().expect("it does not run");
        let loaded = keys::load_or_create(&lock, None, |_| unreachable!("nothing is protected"));
        let secrets = loaded.expect("new keys can be made").secrets;
        Self {
            id: secrets.peer_id(),
            home,
            key: secrets.database_key,
        }
    }

    /// Makes the other a contact with whom this many messages were exchanged.
    fn knows(&self, other: &Self, name: &str, each: u64, messages: &[Message]) {
        let key = DatabaseKey::new(self.key);
        let opened = hallway_store::open(&self.home.database(), &key);
        let (mut writer, _reader) = opened.expect("a new database");
        let peer = Peer {
            name: Some(Name::new(name).expect("a short name")),
            relation: Relation::Contact,
            last_seq: each,
            read_by_them: each,
            read_by_us: each,
            ..Peer::new(other.id, BEGIN)
        };
        let known = writer.commit(&[&[Write::Peer(Box::new(peer))]]);
        known.expect("the disk has room");
        for group in messages.chunks(GROUP) {
            let writes: Vec<Write> = group
                .iter()
                .map(|message| Write::Message(Box::new(message.clone())))
                .collect();
            let written = writer.commit(&[&writes]);
            written.expect("the disk has room");
        }
    }
}

/// Some short, some of several lines.
fn text(n: u64) -> String {
    let more = " and some more words 与更多文字";
    let times = usize::try_from(n % 5).expect("a small number");
    format!("message {n}.{}", more.repeat(times))
}

/// Gives two hosts that were never started a past of so many texts at the first one, written in
/// turn: "message 1." and so on. The second one has lost its own.
#[track_caller]
pub fn invent(first: (&Host, &str), second: (&Host, &str), messages: u64) {
    let (one, two) = (Owner::of(first.0), Owner::of(second.0));
    let texts: Vec<Message> = (1..=messages)
        .map(|n| {
            let mut id = [1; 16];
            id[8..].copy_from_slice(&n.to_be_bytes());
            Message {
                id: MessageId(id),
                conversation: ConversationId::Peer(two.id),
                author: if n % 2 == 0 { one.id } else { two.id },
                seq: n.div_ceil(2),
                at: WallTime(BEGIN.0 + n * PACE_MS),
                body: Body::Text {
                    text: text(n),
                    reply_to: None,
                },
                raw: None,
                delivery: Delivery::Delivered,
            }
        })
        .collect();
    let each = messages.div_ceil(2);
    one.knows(&two, second.1, each, &texts);
    two.knows(&one, first.1, each, &[]);
}
