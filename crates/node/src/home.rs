//! The data directory: where it is, who may see it, and that one node owns it.
