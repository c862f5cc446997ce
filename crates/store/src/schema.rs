//! The schema and the way to it from every earlier one.

use rusqlite::{Connection, TransactionBehavior};

/// What leads from each schema to the next; the first from an empty database. Released ones never
/// change.
const MIGRATIONS: &[&str] = &[include_str!("../schema/1.sql")];

/// The schema this version writes.
pub(crate) const NEWEST: u32 = 1;

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
