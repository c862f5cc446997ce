//! Several speakers into one stream of samples.
