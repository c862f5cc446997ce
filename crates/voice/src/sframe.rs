//! Sealing and opening of packets by SFrame (RFC 9605).
