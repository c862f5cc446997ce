//! The secrets of a node: made once, kept in the OS keyring, a private file or behind a passphrase.
