//! The command line of real nodes: what it prints, and how it ends.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod calls;
mod docs;
mod echo;
mod files;
mod run;
mod start;
mod streams;
mod talk;
mod terminal;
mod trust;
mod up;
