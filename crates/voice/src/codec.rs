//! Opus (RFC 6716): samples to frames and back.
