//! The pure voice pipeline: from a microphone's samples to sealed packets, and back to a speaker.
//!
//! Nothing here reads a clock, a socket, a file, a device or a random source: samples, datagrams,
//! time and keys are arguments, so that a test replays any trace bit for bit.
//!
//! Samples are `f32` in -1 to 1, one channel, [`SAMPLE_RATE`] a second.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

/// Samples a second, everywhere in this crate: what Opus works in (RFC 6716 section 2).
pub const SAMPLE_RATE: u32 = 48_000;

// Packets and the call that they belong to.
mod adapt;
pub mod media;
pub mod packet;
pub mod path;
mod reception;
pub mod replay;
mod sender;
pub mod sframe;

// From packets to samples.
pub mod codec;
pub mod drift;
pub mod jitter;
pub mod playout;
pub mod stretch;

// From samples to packets.
pub mod capture;
pub mod convert;
pub mod echo;
pub mod gain;
pub mod level;
pub mod mix;
pub mod noise;
mod shaper;
