//! The schema and the way to it from every earlier one.

use rusqlite::{Connection, TransactionBehavior};

/// What leads from each schema to the next; the first from an empty database. Released ones never
/// change.
const MIGRATIONS: &[&str] = &[
    include_str!("../schema/1.sql"),
    include_str!("../schema/2.sql"),
    include_str!("../schema/3.sql"),
];

/// The schema this version writes.
pub(crate) const NEWEST: u32 = 3;

const _: () = assert!(MIGRATIONS.len() == NEWEST as usize);

/// The schema of a database; 0 when it is empty.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the database to the newest schema, all the way or not at all.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    for (to, migration) in (1u32..).zip(MIGRATIONS).filter(|(to, _)| *to > found) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Access, connect};
    use crate::key::DatabaseKey;
    use crate::{Reader, Writer, file, open};
    use hallway_model::{Body, ConversationId, GroupId, PeerId};
    use std::path::Path;

    /// A database as an earlier version wrote it.
    fn fixture(version: u32, path: &Path, key: &DatabaseKey) -> Vec<String> {
        let script = format!("{}/fixtures/{version}.sql", env!("CARGO_MANIFEST_DIR"));
        let script = std::fs::read_to_string(&script)
            .unwrap_or_else(|error| panic!("each schema needs a fixture, {script}: {error}"));
        let connection = file::create_empty(path, key).unwrap();
        connection.execute_batch(&script).unwrap();
        tables(&connection)
    }

    /// What the database consists of, spaces and comments aside.
    fn tables(connection: &Connection) -> Vec<String> {
        let without_comment = |line: &str| line.split("--").next().unwrap_or("").to_owned();
        let words = |sql: String| {
            let sql: String = sql
                .lines()
                .map(without_comment)
                .collect::<Vec<_>>()
                .join(" ");
            sql.replace(['(', ')', ','], " ")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        connection
            .prepare("SELECT ifnull(sql, name) FROM sqlite_schema ORDER BY name")
            .unwrap()
            .query_map([], |row| row.get(0).map(words))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    #[test]
    fn every_earlier_schema_is_brought_up_to_date() {
        let key = DatabaseKey::new([9; 32]);
        for earlier in 1..=NEWEST {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hallway.db");
            let found = fixture(earlier, &path, &key);
            let made = Connection::open_in_memory().unwrap();
            for migration in MIGRATIONS.iter().take(earlier as usize) {
                made.execute_batch(migration).unwrap();
            }
            assert_eq!(
                found,
                tables(&made),
                "fixture {earlier} is not what schema {earlier} was"
            );

            let (writer, reader) = open(&path, &key).unwrap();
            let connection = connect(&path, &key, &Access::Read).unwrap();
            assert_eq!(version(&connection).unwrap(), NEWEST);
            check_contents(&writer, &reader);
        }
    }

    /// The fixtures all hold the same.
    fn check_contents(writer: &Writer, reader: &Reader) {
        let ann = PeerId([2; 32]);
        let snapshot = writer.snapshot().unwrap();
        assert_eq!(snapshot.settings, [("name".to_owned(), "Zoë".to_owned())]);
        assert_eq!(
            (snapshot.undelivered, snapshot.last_change),
            (vec![ann], 12)
        );
        let peer = &snapshot.peers[0];
        assert_eq!((snapshot.peers.len(), peer.id, peer.last_seq), (1, ann, 3));
        assert_eq!(peer.name.as_ref().unwrap().as_str(), "王小明");
        assert_eq!(peer.addresses[1], "[fe80::1%3]:42550".parse().unwrap());

        let shown = |conversation| {
            let page = reader.page(&conversation, None, 10).unwrap();
            let of = |body: &Body| {
                let Body::Text { text, .. } = body else {
                    return format!("{body:?}");
                };
                text.clone()
            };
            page.iter()
                .map(|stored| of(&stored.message.body))
                .collect::<Vec<_>>()
        };
        let unknown = "Unknown { kind: 900, raw: [1, 2] }";
        let talk = ConversationId::Peer(ann);
        assert_eq!(shown(talk), ["今晚 dinner?", "Yes", unknown, "", "When?"]);
        assert_eq!(shown(ConversationId::Group(GroupId([5; 16]))), ["to all"]);
        let page = reader.page(&talk, None, 10).unwrap();
        assert!(page[0].edited && page[3].deleted && page[0].message.raw.is_some());
        assert_eq!(page[0].reactions[0].emoji, "👍");
        assert_eq!(page[1].quote.as_ref().unwrap().from, Some(ann));
        assert_eq!(page[1].message.delivery, hallway_model::Delivery::Read);
        let waiting = reader.outbox(&ann, 0, 10).unwrap();
        assert_eq!(
            waiting
                .iter()
                .map(|message| message.seq)
                .collect::<Vec<_>>(),
            [2, 3]
        );
        for (query, found) in [("晚", 1), ("今晚 din", 1), ("wh", 1), ("a", 1), ("x", 0)] {
            assert_eq!(
                reader.search(query, None, 10).unwrap().len(),
                found,
                "{query}"
            );
        }
    }

    #[test]
    fn a_migration_is_made_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("hallway.db"), DatabaseKey::new([9; 32]));
        let mut connection = file::create_empty(&path, &key).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE settings (a)")
            .unwrap();
        let before = tables(&connection);
        assert!(migrate(&mut connection).is_err());
        assert_eq!(
            (tables(&connection), version(&connection).unwrap()),
            (before, 0)
        );
    }
}
