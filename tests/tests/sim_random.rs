//! Random scenarios. The seed of every bug found so far is among the first.

use hallway_tests::sim::{explore, swarm};

#[test]
fn whatever_happens_promises_are_kept() {
    explore("whatever_happens_promises_are_kept", 2000, swarm);
}
