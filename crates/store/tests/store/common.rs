//! A store in a folder of its own, and messages to put in it.

use hallway_model::{
    Added, Body, ConversationId, Delivery, Message, MessageId, PeerId, Reaction, WallTime, Write,
};
use hallway_store::{DatabaseKey, OpenError, Reader, StoredMessage, Writer, open};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const ME: PeerId = PeerId([1; 32]);
pub(crate) const ANN: PeerId = PeerId([2; 32]);
pub(crate) const BOB: PeerId = PeerId([3; 32]);

pub(crate) fn key() -> DatabaseKey {
    DatabaseKey::new([9; 32])
}

/// The database as SQLCipher sees it, past our own code.
pub(crate) fn raw(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    let key = "09".repeat(32);
    connection
        .execute_batch(&format!(
            "PRAGMA key = \"x'{key}'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256"
        ))
        .unwrap();
    connection
}

pub(crate) struct Store {
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    pub(crate) folder: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self::open_in(TempDir::new().unwrap()).unwrap()
    }

    pub(crate) fn open_in(folder: TempDir) -> Result<Self, OpenError> {
        let (writer, reader) = open(&folder.path().join("hallway.db"), &key())?;
        Ok(Self {
            writer,
            reader,
            folder,
        })
    }

    /// Closes the store as a clean stop does.
    pub(crate) fn close(self) -> TempDir {
        let (sender, requests) = std::sync::mpsc::channel();
        drop((sender, self.reader));
        self.writer.run(requests, |_| {});
        self.folder
    }

    pub(crate) fn reopened(self) -> Self {
        Self::open_in(self.close()).unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("hallway.db")
    }

    pub(crate) fn put(&mut self, write: Write) -> Option<Added> {
        let mut added = self.writer.commit(&[&[write]]).unwrap();
        assert_eq!(added.len(), 1);
        added.remove(0).pop()
    }

    pub(crate) fn add(&mut self, message: &Message) -> Added {
        self.put(Write::Message(Box::new(message.clone()))).unwrap()
    }

    /// The number of the change that adding the message makes.
    pub(crate) fn add_new(&mut self, message: &Message) -> u64 {
        match self.add(message) {
            Added::New { change } => change,
            Added::Duplicate => panic!("there already: {message:?}"),
        }
    }

    /// Adds them all at once, which is faster.
    pub(crate) fn add_all(&mut self, messages: impl Iterator<Item = Message>) {
        let writes: Vec<Write> = messages
            .map(|message| Write::Message(Box::new(message)))
            .collect();
        self.writer.commit(&[&writes]).unwrap();
    }

    pub(crate) fn get(&self, message: &Message) -> StoredMessage {
        self.reader
            .message(Some(&message.author), &message.id)
            .unwrap()
            .unwrap()
    }

    pub(crate) fn page(&self, peer: PeerId) -> Vec<StoredMessage> {
        self.reader
            .page(&ConversationId::Peer(peer), None, 1000)
            .unwrap()
    }

    pub(crate) fn search(&self, query: &str) -> Vec<String> {
        texts(&self.reader.search(query, None, 100).unwrap())
    }
}

pub(crate) fn texts(messages: &[StoredMessage]) -> Vec<String> {
    messages
        .iter()
        .map(|stored| text_of(stored).to_owned())
        .collect()
}

pub(crate) fn text_of(stored: &StoredMessage) -> &str {
    let Body::Text { text, .. } = &stored.message.body else {
        panic!("no text: {stored:?}");
    };
    text
}

/// A message in the talk with `peer`; its id is made of author and sequence number.
pub(crate) fn message(author: PeerId, peer: PeerId, seq: u64, body: Body) -> Message {
    let mut id = [author.0[0]; 16];
    id[8..].copy_from_slice(&seq.to_be_bytes());
    Message {
        id: MessageId(id),
        conversation: ConversationId::Peer(peer),
        author,
        seq,
        at: WallTime(seq),
        body,
        raw: None,
        delivery: if author == ME {
            Delivery::Queued
        } else {
            Delivery::Delivered
        },
    }
}

pub(crate) fn ours(peer: PeerId, seq: u64, text: &str) -> Message {
    message(ME, peer, seq, body(text))
}

pub(crate) fn theirs(peer: PeerId, seq: u64, text: &str) -> Message {
    message(peer, peer, seq, body(text))
}

pub(crate) fn body(text: &str) -> Body {
    Body::Text {
        text: text.to_owned(),
        reply_to: None,
    }
}

pub(crate) fn edit(target: &Message, seq: u64, text: &str) -> Message {
    let ConversationId::Peer(peer) = target.conversation else {
        panic!("a group")
    };
    let body = Body::Edit {
        target: target.id,
        text: text.to_owned(),
    };
    message(target.author, peer, seq, body)
}

pub(crate) fn delete(target: &Message, seq: u64) -> Message {
    let ConversationId::Peer(peer) = target.conversation else {
        panic!("a group")
    };
    message(target.author, peer, seq, Body::Delete { target: target.id })
}

pub(crate) fn react(author: PeerId, target: &Message, seq: u64, emoji: &str, on: bool) -> Message {
    let ConversationId::Peer(peer) = target.conversation else {
        panic!("a group")
    };
    let reaction = Reaction {
        target: target.id,
        emoji: emoji.to_owned(),
        on,
    };
    message(author, peer, seq, Body::Reaction(reaction))
}

/// Set in a process that a test starts to be killed or put on a small disk: the folder to use.
pub(crate) const FOLDER: &str = "HALLWAY_STORE_TEST_FOLDER";

/// This test program again, for one test.
pub(crate) fn again(test: &str, folder: &Path) -> Vec<String> {
    let program = std::env::current_exe().unwrap().display().to_string();
    let folder = format!("{FOLDER}={}", folder.display());
    ["env", &folder, &program, "--exact", test, "--nocapture"]
        .map(str::to_owned)
        .to_vec()
}
