//! Random scenarios: each seed picks its own mix of faults.

use super::world::World;

/// One random life of a few hosts.
pub fn swarm(world: &mut World) {
    let (a, b) = world.couple();
    world.say(a, b);
    world.settle();
}
