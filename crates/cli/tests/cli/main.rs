//! The command line of real nodes: what it prints, and how it ends.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod calls;
mod complete;
#[cfg(target_os = "linux")]
mod desktop;
mod docs;
mod echo;
mod files;
mod guards;
#[cfg(target_os = "linux")]
mod notifications;
mod readme;
mod routes;
mod run;
mod settings;
mod start;
mod streams;
mod talk;
mod terminal;
mod tokens;
#[cfg(target_os = "linux")]
mod tray;
mod trust;
mod up;
