//! The sans-IO protocol engine of Hallway.
//!
//! Nothing here reads a clock, a socket, a file or a random source: time, bytes and entropy are
//! arguments. The wire protocol is specified in `PROTOCOL.md` beside this crate.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

pub mod bulk;
pub mod call;
pub mod cbor;
mod dialer;
mod directory;
mod engine;
pub mod frame;
pub mod handshake;
pub mod io;
mod ledger;
pub mod limits;
mod outbox;
mod session;
pub mod transfer;

pub use engine::{Config, Engine};
pub use session::SessionError;
