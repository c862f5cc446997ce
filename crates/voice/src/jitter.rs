//! The adaptive playout delay: late enough for most packets, no later.
