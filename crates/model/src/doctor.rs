//! What `hallway doctor` finds out about this host, its network and a peer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How one check came out. The order is the order of severity.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, with a limit worth knowing.
    Warn,
    /// Stands in the way.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// A stable name, such as `multicast`.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// What to do about it, and whose side it is on; `None` when there is nothing to do.
    pub advice: Option<String>,
}

/// Everything that was looked at, in the order in which a message would meet it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// The most severe outcome; `Ok` when nothing was looked at.
    pub fn worst(&self) -> Outcome {
        let outcomes = self.checks.iter().map(|check| check.outcome);
        outcomes.max().unwrap_or(Outcome::Ok)
    }
}
