//! A whole call between two ends on a virtual network.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a test"
)]
mod wire;
use std::time::Duration;
use wire::*;

#[test]
fn clean() {
    let mut world = World::new(1, Conditions::CLEAN, [speech(1, 5.0), speech(2, 5.0)]);
    world.run(Duration::from_secs(5));
    let now = world.now;
    for end in &mut world.ends {
        assert_eq!(end.media.stats(now).receive_loss, 0.0);
        assert!(end.played.iter().map(|x| (x * x) as f64).sum::<f64>() > 1000.0);
    }
}
