//! Any arrays as a world: they are refused with a message, or become a world that serves rounds and keeps every invariant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recsim_core::backend::reference::Reference;
use recsim_core::session::Session;
use recsim_core::session::config::Config;
use recsim_core::world::{World, WorldArrays, WorldShape};

#[derive(Debug, arbitrary::Arbitrary)]
struct WorldInput {
    sizes: [u8; 5],
    /// Whether arrays have the lengths that the sizes imply.
    has_fitting_lengths: bool,
    /// Whether to repair what random bits rarely satisfy: indices in range, beliefs below the target, distinct list items.
    is_repaired: bool,
    values: Vec<f32>,
    indices: Vec<u16>,
    users_served: u8,
}

fuzz_target!(|input: WorldInput| {
    let [users, items, clusters, dimensions, pretrained_len] = input.sizes.map(|size| usize::from(size % 9));
    let shape = WorldShape { users, items, clusters, dimensions, pretrained_len };
    let length =
        |rows: usize, columns: usize| if input.has_fitting_lengths { rows * columns } else { input.values.len() };
    let value = |n: usize| input.values.get(n % input.values.len().max(1)).copied().unwrap_or(0.5);
    let index = |n: usize| input.indices.get(n % input.indices.len().max(1)).copied().map_or(0, u32::from);
    let floats = |offset: usize, n: usize| -> Vec<f32> { (0..n).map(|n| value(offset + n)).collect() };
    let integers = |n: usize| -> Vec<u32> { (0..n).map(index).collect() };
    let mut item_cluster = integers(length(items, 1));
    let mut item_distance = floats(3, length(items, 1));
    let mut user_belief = floats(5, length(users, clusters));
    let mut user_pretrained = integers(length(users, pretrained_len));
    let mut target = floats(7, length(clusters, 1));
    if input.is_repaired && clusters > 0 && items > 0 && pretrained_len > 0 {
        item_cluster.iter_mut().for_each(|c| *c %= clusters as u32);
        item_distance.iter_mut().for_each(|d| *d = d.abs());
        target.iter_mut().for_each(|t| *t = t.abs().min(1.0) / clusters as f32);
        for (index, belief) in user_belief.iter_mut().enumerate() {
            *belief = belief.abs().min(target.get(index % clusters).copied().unwrap_or(0.0));
        }
        for (index, item) in user_pretrained.iter_mut().enumerate() {
            *item = (index % pretrained_len) as u32;
        }
    }
    let arrays = WorldArrays {
        item_embedding: &floats(0, length(items, dimensions)),
        item_cluster: &item_cluster,
        item_distance: &item_distance,
        user_belief: &user_belief,
        user_embedding: &floats(1, length(users, dimensions)),
        user_pretrained: &user_pretrained,
        target: &target,
    };
    match World::new(shape, arrays) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(world) => serve(&world, usize::from(input.users_served)),
    }
});

/// Serves two rounds with an untrained actor.
fn serve(world: &World<'_>, users: usize) {
    let shape = world.shape();
    assert!(shape.pretrained_len <= shape.items, "a list without repeats is no longer than the catalogue");
    assert_eq!(world.first_users(users).shape().users, users.clamp(1, shape.users));
    let mut config = Config::default();
    config.recommendation.total_recommendations = shape.pretrained_len as u32;
    config.recommendation.rl_list_size = (shape.pretrained_len as u32).div_ceil(2);
    (config.td3.hidden_sizes, config.td3.buffer_size) = (vec![2], 8);
    config.training.warmup_transitions = 8;
    let plan = config.plan(world).expect("a valid world takes the smallest plan");
    let mut session = Session::new(Reference::<f32>::default(), world, plan).expect("the reference never fails");
    session.record_users(shape.users);
    for _ in 0..2 {
        let report = session.round(&mut || 0.0).expect("a round of a valid world").expect("no observer pauses it");
        assert!((0.0..=1.0).contains(&report.acceptance_rate) && report.mean_distance <= 1.0 + 1e-6);
    }
    assert!(!session.snapshots().is_empty(), "rounds are recorded");
    for snapshot in session.snapshots() {
        for beliefs in snapshot.belief.chunks_exact(shape.clusters) {
            assert!(beliefs.iter().zip(world.target()).all(|(b, max)| (0.0..=*max).contains(b)));
        }
        for slate in snapshot.slate.chunks_exact(shape.pretrained_len) {
            let mut distinct = slate.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), shape.pretrained_len);
            assert!(distinct.iter().all(|&item| (item as usize) < shape.items));
        }
    }
}
