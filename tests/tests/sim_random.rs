//! Random scenarios. The seeds that found bugs are among the first.

use hallway_tests::sim::{explore, swarm};

#[test]
fn whatever_happens_promises_are_kept() {
    explore("whatever_happens_promises_are_kept", 3_000, swarm);
}
