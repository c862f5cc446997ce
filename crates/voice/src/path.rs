//! Which address of the peer media goes to, and the proof that it is theirs.
