//! How loud it is, for meters.
