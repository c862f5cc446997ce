//! Noise suppression: the fan stays at the other end.
