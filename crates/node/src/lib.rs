//! The tokio shell of Hallway: sockets, discovery, keys, configuration and the driver that
//! joins them to the pure engine.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

pub mod config;
mod handle;
pub mod home;
pub mod keys;

pub use handle::{EventStream, Handle, NodeStopped};
