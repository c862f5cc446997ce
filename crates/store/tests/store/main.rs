//! The store from outside, on real files.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(
    clippy::print_stdout,
    reason = "a process that is killed tells how far it came"
)]

mod calls;
mod common;
mod damage;
mod faults;
mod messages;
mod reading;
mod searching;
