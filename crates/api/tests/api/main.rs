//! The API of real nodes, over its socket.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bots;
mod calls;
mod codes;
mod connections;
mod document;
mod events;
mod files;
mod metrics;
mod node;
mod requests;
mod settings;
mod talk;
mod users;
