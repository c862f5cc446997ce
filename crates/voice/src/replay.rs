//! The replay window: no packet is played twice.
