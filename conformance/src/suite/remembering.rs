//! The ring, seen through what an update learns from it.

use recsim_core::backend::Device;
use recsim_core::td3::UpdateKeys;

use super::setup::{Stage, USERS, agent_bits, plan, world};

/// Batches fill the ring as one batch of all users does; another order is another ring.
pub fn a_ring_keeps_users_in_order<B: Device>(new: &impl Fn() -> B) {
    let whole = learned(new, 100, &[(0..USERS, 1)]);
    assert_eq!(learned(new, 100, &[(0..10, 1), (10..11, 1), (11..USERS, 1)]), whole);
    assert_ne!(learned(new, 100, &[(11..USERS, 1), (0..11, 1)]), whole);
}

/// A second round in a ring for one round leaves nothing of the first.
pub fn a_full_ring_keeps_the_last<B: Device>(new: &impl Fn() -> B) {
    let second = learned(new, USERS, &[(0..USERS, 2)]);
    assert_eq!(learned(new, USERS, &[(0..USERS, 1), (0..USERS, 2)]), second);
    assert_ne!(learned(new, 2 * USERS, &[(0..USERS, 1), (0..USERS, 2)]), second);
}

/// Of 10 users in a ring for 4 the last 4 remain, each where it would have been: 8, 9, 6, 7.
pub fn a_round_larger_than_the_ring_leaves_its_last<B: Device>(new: &impl Fn() -> B) {
    let last = learned(new, 4, &[(8..10, 1), (6..8, 1)]);
    assert_eq!(learned(new, 4, &[(0..10, 1)]), last);
    assert_ne!(learned(new, 4, &[(6..10, 1)]), last);
}

/// The agent after one update from a ring that was filled with these users of these rounds.
fn learned<B: Device>(
    new: &impl Fn() -> B,
    capacity: usize,
    rounds: &[(core::ops::Range<usize>, u64)],
) -> Vec<Vec<u32>> {
    let world = world();
    let plan = plan(&world, |config| config.td3.replay_capacity = capacity as u64);
    let mut stage = Stage::new(new(), &world, plan);
    let mut replay = stage.backend.replay(&stage.world, capacity).expect("the device takes a ring");
    for (users, round) in rounds {
        let batch = stage.served(users.clone(), *round);
        stage.backend.remember(&batch, &mut replay).expect("the device remembers");
    }
    let keys = UpdateKeys::new(8, 1);
    stage.backend.improve_critics(&stage.world, &replay, &mut stage.agent, &keys).expect("the device learns");
    agent_bits(&stage.export())
}
