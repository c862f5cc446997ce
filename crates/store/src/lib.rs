//! The encrypted SQLite store of Hallway.

/// Placeholder until the store lands.
#[derive(Clone)]
pub struct Reader;
