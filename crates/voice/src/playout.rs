//! From the frames of a sender to a steady stream of samples.
