//! What one datagram says, before it is sealed.
