//! From a microphone's samples to samples worth sending.
