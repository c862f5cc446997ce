//! One write after the other, within a transaction.

use crate::columns::{
    self, BodyColumns, DELIVERED, QUEUED, TEXT, conversation_bytes, to_column, with_peer,
};
use crate::{segment, transfers};
use hallway_model::{Added, Body, Delivery, Message, MessageId, PeerId, Reaction, Transfer, Write};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Emoji that one person can have on one message; a peer cannot make a message grow for ever.
pub(crate) const REACTIONS_EACH_MAX: i64 = 16;

/// Taking one message out of the search index costs as much as putting this many in.
const UNINDEX_COST: i64 = 50;

// Nothing is left of what was taken back, and what still waits for the peer waits no more.
const WIPE_EDIT: &str = "UPDATE messages SET text = NULL, raw = NULL, \
     delivery = iif(delivery = 0, 2, delivery) WHERE row = ?1";
pub(crate) const WIPE_EDITS: &str = "UPDATE messages SET text = NULL, raw = NULL, \
     delivery = iif(delivery = 0, 2, delivery) \
     WHERE target = ?1 AND kind = 3 AND kind >= 3 AND conversation = ?2 AND author = ?3";
const WIPE_TARGET: &str = "UPDATE messages SET text = NULL, raw = NULL, \
     delivery = iif(delivery = 0, 2, delivery), deleted = 1, change = ?1 WHERE row = ?2";
/// The shown message of an id; the oldest, should two authors have chosen the same.
pub(crate) const TARGET: &str = "SELECT row, kind, text, deleted FROM messages \
     WHERE id = ?1 AND +conversation = ?2 AND +kind <= 2 AND author = ifnull(?3, author) \
     ORDER BY row";
pub(crate) const DELIVER: &str = "UPDATE messages SET delivery = 1, change = ?1 \
     WHERE id = ?2 AND +conversation = ?3 AND +delivery = 0";
const READ: &str = "UPDATE peers SET read_by_us = ?2 WHERE n = ?1 AND read_by_us < ?2";
const UNREAD: &str =
    "UPDATE peers SET read_by_us = max(?2 - 1, 0) WHERE n = ?1 AND read_by_us >= ?2";
pub(crate) const FORGET_MESSAGES: &str = "DELETE FROM messages WHERE conversation = ?1";

/// Applies writes within a transaction of the connection.
pub(crate) struct Applier<'a> {
    connection: &'a Connection,
    /// The number of the last change.
    change: i64,
    /// Numbers of ids, for most writes of a group are about the same few.
    numbers: HashMap<Vec<u8>, i64>,
    /// The highest number of a message of ours in each conversation of this transaction.
    last_seqs: HashMap<i64, i64>,
}

/// The message an effect is about.
struct Target {
    row: i64,
    kind: u8,
    text: Option<String>,
    deleted: bool,
}

impl<'a> Applier<'a> {
    /// Begins where the last transaction ended.
    pub(crate) fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            change: last_change(connection)?,
            numbers: HashMap::new(),
            last_seqs: HashMap::new(),
        })
    }

    /// Applies one write.
    pub(crate) fn apply(&mut self, write: &Write) -> rusqlite::Result<Option<Added>> {
        match write {
            Write::Message(message) => return self.add(message).map(Some),
            Write::Peer(peer) => {
                let n = self.number(&peer.id.0)?;
                let mut statement = self.connection.prepare_cached(columns::REPLACE_PEER)?;
                with_peer(n, peer, |params| statement.execute(params))?;
            }
            Write::Read(peer, seq) => {
                let n = self.number(&peer.0)?;
                self.execute(READ, [n, to_column(*seq)])?;
            }
            Write::ForgetPeer(peer) => self.forget(peer)?,
            Write::Delivered(peer, ids) => self.deliver(peer, ids)?,
            Write::NewTransfer(transfer) => self.put_transfer(transfer, transfers::ADD)?,
            Write::Transfer(transfer) => self.put_transfer(transfer, transfers::REPLACE)?,
            Write::Setting(name, value) => {
                self.execute(
                    "INSERT OR REPLACE INTO settings VALUES (?1, ?2)",
                    params![name, value],
                )?;
            }
        }
        Ok(None)
    }

    /// Remembers the numbers that count on: of the last change, and of our last message to each
    /// peer. The transaction can be committed then.
    pub(crate) fn finish(self) -> rusqlite::Result<()> {
        for (conversation, seq) in &self.last_seqs {
            self.execute(
                "UPDATE peers SET last_seq = max(last_seq, ?2) WHERE n = ?1",
                [conversation, seq],
            )?;
        }
        self.execute("UPDATE counter SET last_change = ?1", [self.change])?;
        Ok(())
    }

    fn put_transfer(&mut self, transfer: &Transfer, sql: &str) -> rusqlite::Result<()> {
        let author = self.number(&transfer.id.author.0)?;
        let peer = self.number(&transfer.peer.0)?;
        let mut statement = self.connection.prepare_cached(sql)?;
        transfers::with_transfer(author, peer, transfer, |params| statement.execute(params))?;
        Ok(())
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// The number of a peer or group, a new one when it has none.
    fn number(&mut self, id: &[u8]) -> rusqlite::Result<i64> {
        if let Some(n) = self.numbers.get(id) {
            return Ok(*n);
        }
        self.execute(
            "INSERT INTO ids (id) VALUES (?1) ON CONFLICT DO NOTHING",
            [id],
        )?;
        let n = number_of(self.connection, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        self.numbers.insert(id.to_vec(), n);
        Ok(n)
    }

    fn add(&mut self, message: &Message) -> rusqlite::Result<Added> {
        let conversation = self.number(conversation_bytes(&message.conversation))?;
        let author = self.number(&message.author.0)?;
        let change = self.change + 1;
        let body = BodyColumns::new(message);
        let delivery = match message.delivery {
            Delivery::Queued | Delivery::Sent => QUEUED,
            Delivery::Delivered | Delivery::Read => DELIVERED,
        };
        let inserted = self.execute(
            "INSERT INTO messages VALUES
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, 0, ?12, ?1)
             ON CONFLICT (id, author) DO NOTHING",
            params![
                change,
                message.id.0,
                conversation,
                author,
                to_column(message.seq),
                to_column(message.at.0),
                body.kind,
                body.text,
                body.target.map(|target| target.0),
                body.extra,
                body.raw,
                delivery,
            ],
        )?;
        if inserted == 0 {
            return Ok(Added::Duplicate);
        }
        self.change = change;
        if delivery == QUEUED {
            // Only messages of ours wait for somebody.
            let last_seq = self.last_seqs.entry(conversation).or_default();
            *last_seq = to_column(message.seq).max(*last_seq);
        }
        if author == conversation {
            self.execute(UNREAD, [conversation, to_column(message.seq)])?;
        }
        match &message.body {
            Body::Text { text, .. } => self.index(change, conversation, text)?,
            Body::Edit { target, text } => self.edit(target, conversation, author, text)?,
            Body::Delete { target } => self.delete(target, conversation, author)?,
            Body::Reaction(reaction) => self.react(reaction, conversation, author)?,
            Body::Offer(offer) => self.index(change, conversation, &offer.name)?,
            Body::Call(_) | Body::Unknown { .. } => {}
        }
        Ok(Added::New {
            change: change.unsigned_abs(),
        })
    }

    fn edit(
        &self,
        id: &MessageId,
        conversation: i64,
        author: i64,
        text: &str,
    ) -> rusqlite::Result<()> {
        match self.target(id, conversation, Some(author))? {
            Some(Target { deleted: true, .. }) => {
                // The new text of what was taken back is not kept either.
                self.execute(WIPE_EDIT, [self.change])?;
            }
            Some(Target {
                row,
                kind: TEXT,
                text: old,
                ..
            }) => {
                self.unindex(row, conversation, old.as_deref())?;
                self.index(row, conversation, text)?;
                self.execute(
                    "UPDATE messages SET text = ?1, edited = 1, change = ?2 WHERE row = ?3",
                    params![text, self.change, row],
                )?;
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    fn delete(&self, id: &MessageId, conversation: i64, author: i64) -> rusqlite::Result<()> {
        let Some(target) = self
            .target(id, conversation, Some(author))?
            .filter(|t| !t.deleted)
        else {
            return Ok(());
        };
        self.unindex(target.row, conversation, target.text.as_deref())?;
        self.execute(WIPE_TARGET, [self.change, target.row])?;
        self.execute(WIPE_EDITS, params![id.0, conversation, author])?;
        self.execute("DELETE FROM reactions WHERE message = ?1", [target.row])?;
        Ok(())
    }

    fn react(&self, reaction: &Reaction, conversation: i64, author: i64) -> rusqlite::Result<()> {
        let Some(target) = self
            .target(&reaction.target, conversation, None)?
            .filter(|t| !t.deleted)
        else {
            return Ok(());
        };
        let changed = match reaction.on {
            true => self.execute(
                "INSERT INTO reactions SELECT ?1, ?2, ?3 WHERE
                     (SELECT count(*) FROM reactions WHERE message = ?1 AND author = ?2) < ?4
                 ON CONFLICT DO NOTHING",
                params![target.row, author, reaction.emoji, REACTIONS_EACH_MAX],
            )?,
            false => self.execute(
                "DELETE FROM reactions WHERE message = ?1 AND author = ?2 AND emoji = ?3",
                params![target.row, author, reaction.emoji],
            )?,
        };
        if changed > 0 {
            self.execute(
                "UPDATE messages SET change = ?1 WHERE row = ?2",
                [self.change, target.row],
            )?;
        }
        Ok(())
    }

    /// The shown message of this id; the oldest, should two authors have chosen the same.
    fn target(
        &self,
        id: &MessageId,
        conversation: i64,
        author: Option<i64>,
    ) -> rusqlite::Result<Option<Target>> {
        self.connection
            .prepare_cached(TARGET)?
            .query_row(params![id.0, conversation, author], |row| {
                Ok(Target {
                    row: row.get(0)?,
                    kind: row.get(1)?,
                    text: row.get(2)?,
                    deleted: row.get(3)?,
                })
            })
            .optional()
    }

    fn deliver(&mut self, peer: &PeerId, ids: &[MessageId]) -> rusqlite::Result<()> {
        let Some(n) = number_of(self.connection, &peer.0)? else {
            return Ok(());
        };
        for id in ids {
            let change = self.change + 1;
            let changed = self.execute(DELIVER, params![change, id.0, n])?;
            if changed > 0 {
                self.change = change;
            }
        }
        Ok(())
    }

    fn forget(&mut self, peer: &PeerId) -> rusqlite::Result<()> {
        let Some(n) = number_of(self.connection, &peer.0)? else {
            return Ok(());
        };
        self.unindex_conversation(n)?;
        self.execute(
            "DELETE FROM reactions WHERE message IN
                 (SELECT row FROM messages WHERE conversation = ?1)",
            [n],
        )?;
        self.execute(FORGET_MESSAGES, [n])?;
        self.execute("DELETE FROM peers WHERE n = ?1", [n])?;
        self.execute("DELETE FROM transfers WHERE peer = ?1", [n])?;
        // As the author of messages in a group, somebody keeps the number.
        self.execute(
            "DELETE FROM ids WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM ids g CROSS JOIN messages m
                 WHERE m.conversation = g.n AND m.author = ?1)",
            [n],
        )?;
        self.numbers.clear();
        self.last_seqs.remove(&n);
        Ok(())
    }

    fn index(&self, row: i64, conversation: i64, text: &str) -> rusqlite::Result<()> {
        let terms = segment::terms(text, conversation);
        self.execute(
            "INSERT INTO search (rowid, terms) VALUES (?1, ?2)",
            params![row, terms],
        )?;
        Ok(())
    }

    /// The index keeps no text, so it must be told the one it was given.
    fn unindex(&self, row: i64, conversation: i64, text: Option<&str>) -> rusqlite::Result<()> {
        let Some(text) = text else {
            return Ok(());
        };
        let terms = segment::terms(text, conversation);
        self.execute(
            "INSERT INTO search (search, rowid, terms) VALUES ('delete', ?1, ?2)",
            params![row, terms],
        )?;
        Ok(())
    }

    fn unindex_conversation(&self, conversation: i64) -> rusqlite::Result<()> {
        let count = |of: &str| {
            let sql =
                format!("SELECT count(*) FROM messages WHERE conversation {of} ?1 AND kind <= 2");
            self.connection
                .query_row(&sql, [conversation], |row| row.get::<_, i64>(0))
        };
        let texts = |of: &str, each: &dyn Fn(i64, i64, &str) -> rusqlite::Result<()>| {
            let mut statement = self.connection.prepare(&format!(
                "SELECT row, conversation, text FROM messages
                 WHERE conversation {of} ?1 AND kind = 1 AND kind <= 2 AND text IS NOT NULL
                 ORDER BY row"
            ))?;
            let mut rows = statement.query([conversation])?;
            while let Some(row) = rows.next()? {
                each(row.get(0)?, row.get(1)?, row.get_ref(2)?.as_str()?)?;
            }
            Ok::<_, rusqlite::Error>(())
        };
        if count("=")? * UNINDEX_COST < count("<>")? {
            texts("=", &|row, conversation, text| {
                self.unindex(row, conversation, Some(text))
            })
        } else {
            self.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
            texts("<>", &|row, conversation, text| {
                self.index(row, conversation, text)
            })
        }
    }
}

/// The number of the last change.
pub(crate) fn last_change(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT last_change FROM counter")?
        .query_row([], |row| row.get(0))
}

/// The number of a peer or group, when it has one.
pub(crate) fn number_of(connection: &Connection, id: &[u8]) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT n FROM ids WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Access, connect};
    use crate::key::DatabaseKey;
    use crate::{Writer, open};
    use hallway_model::{ConversationId, WallTime};
    use std::path::Path;

    const PEER: PeerId = PeerId([2; 32]);
    const OTHER: PeerId = PeerId([3; 32]);

    fn message(peer: PeerId, seq: u8, body: Body) -> Write {
        Write::Message(Box::new(Message {
            id: MessageId([seq; 16]),
            conversation: ConversationId::Peer(peer),
            author: peer,
            seq: seq.into(),
            at: WallTime(0),
            body,
            raw: Some(b"rawfrobnicate".to_vec()),
            delivery: Delivery::Delivered,
        }))
    }

    fn text(peer: PeerId, seq: u8, text: &str) -> Write {
        message(
            peer,
            seq,
            Body::Text {
                text: text.into(),
                reply_to: None,
            },
        )
    }

    /// All pages of the database, decrypted, free ones included.
    fn pages(path: &Path, key: &DatabaseKey) -> Vec<u8> {
        let mut connection = connect(path, key, &Access::Read).unwrap();
        connection.serialize("main").unwrap().to_vec()
    }

    fn contains(pages: &[u8], part: &str) -> bool {
        pages
            .windows(part.len())
            .any(|window| window == part.as_bytes())
    }

    /// Runs `removal` on a database with a message of each of two peers, among many others.
    fn words_left_after(removal: &[Write], others: u8) -> [bool; 4] {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let (mut writer, _reader) = open(&path, &key).unwrap();
        let commit = |writer: &mut Writer, write: Write| writer.commit(&[&[write]]).unwrap();
        for n in 0..others {
            commit(&mut writer, text(OTHER, 100 + n, "quite ordinary"));
        }
        commit(&mut writer, text(PEER, 1, "plughxyzzy 龘龖"));
        commit(&mut writer, text(OTHER, 2, "gnorbitz"));
        let words = ["plughxyzzy", "龘龖", "rawfrobnicate", "gnorbitz"];
        let before = pages(&path, &key);
        assert!(
            words.iter().all(|word| contains(&before, word)),
            "the test sees what is there"
        );
        for write in removal {
            commit(&mut writer, write.clone());
        }
        let after = pages(&path, &key);
        words.map(|word| contains(&after, word))
    }

    #[test]
    fn what_is_taken_back_is_in_no_page_of_the_database() {
        let edit = Body::Edit {
            target: MessageId([1; 16]),
            text: "plughxyzzy 龘龖 again".into(),
        };
        let delete = Body::Delete {
            target: MessageId([1; 16]),
        };
        let removal = [
            message(PEER, 3, edit.clone()),
            message(PEER, 4, delete),
            message(PEER, 5, edit),
        ];
        let left = words_left_after(&removal, 60);
        // Other messages came with the same raw body.
        assert_eq!(left, [false, false, true, true]);
    }

    #[test]
    fn an_edit_leaves_no_word_of_the_old_text_in_the_index() {
        let edit = Body::Edit {
            target: MessageId([1; 16]),
            text: "fine".into(),
        };
        let left = words_left_after(&[message(PEER, 3, edit)], 60);
        assert_eq!(left, [false, false, true, true]);
    }

    #[test]
    fn a_forgotten_peer_is_in_no_page_of_the_database() {
        for others in [60, 0] {
            let left = words_left_after(&[Write::ForgetPeer(PEER)], others);
            assert_eq!(left, [false, false, true, true]);
        }
        let all = [Write::ForgetPeer(PEER), Write::ForgetPeer(OTHER)];
        assert_eq!(words_left_after(&all, 60), [false; 4]);
    }

    #[test]
    fn a_block_of_the_index_fills_one_page_and_not_two() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let (mut writer, _reader) = open(&path, &key).unwrap();
        let words = (0..20_000)
            .map(|n: u64| format!("w{:x} ", n * 0x9E37_79B9))
            .collect::<Vec<_>>();
        let writes: Vec<Write> = (0..100u8)
            .zip(words.chunks(200))
            .map(|(n, w)| text(PEER, n, &w.concat()))
            .collect();
        writer.commit(&[&writes]).unwrap();
        let connection = connect(&path, &key, &Access::Read).unwrap();
        let of = |sql: &str| {
            connection
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        let pages = "SELECT count(*) FROM dbstat WHERE name = 'search_data'";
        let overflow = of(&format!("{pages} AND pagetype = 'overflow'"));
        let full = of("SELECT count(*) FROM search_data WHERE length(block) > 3900");
        assert!(
            full > 20 && overflow == 0,
            "{full} full blocks, {overflow} overflowing pages"
        );
    }
}
