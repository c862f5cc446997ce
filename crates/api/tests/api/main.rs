//! The API of real nodes, over its socket.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod calls;
mod events;
mod files;
mod node;
mod requests;
mod talk;
mod users;
