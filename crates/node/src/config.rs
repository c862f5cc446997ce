//! The configuration file, and addresses as people write them.
