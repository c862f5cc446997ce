//! The tokio shell of Hallway: sockets, discovery, keys, configuration and the driver that
//! joins them to the pure engine.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod arithmetic;
pub mod audio;
mod calls;
mod clock;
pub mod config;
mod connection;
mod dial;
pub mod discovery;
mod disk;
pub mod doctor;
mod driver;
pub mod files;
mod handle;
pub mod home;
pub mod keys;
pub mod links;
mod listener;
mod node;
mod publisher;

pub use calls::Trial;
pub use clock::Clock;
pub use handle::{EventStream, Handle, NodeStopped};
pub use node::{NodeConfig, StartError, start};
