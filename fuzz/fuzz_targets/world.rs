//! Any arrays as a world: refused with a message, or a world in which every invariant holds and a round can be served.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recsim_core::session::config::Config;
use recsim_core::backend::reference::Reference;
use recsim_core::session::Session;
use recsim_core::world::{WorldArrays, WorldShape, World};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    sizes: [u8; 5],
    /// Lengths as the sizes ask for, of what is given, or as given.
    fit: bool,
    /// Repair what random bits never get right: indices in range, small beliefs, lists without repeats.
    mend: bool,
    numbers: Vec<f32>,
    indices: Vec<u16>,
    users_served: u8,
}

fuzz_target!(|input: Input| {
    let [users, items, clusters, dimensions, list] = input.sizes.map(|size| usize::from(size % 9));
    let shape = WorldShape { users, items, clusters, dimensions, pretrained_len: list };
    let length = |rows: usize, columns: usize| if input.fit { rows * columns } else { input.numbers.len() };
    let number = |n: usize| input.numbers.get(n % input.numbers.len().max(1)).copied().unwrap_or(0.5);
    let index = |n: usize| input.indices.get(n % input.indices.len().max(1)).copied().map_or(0, u32::from);
    let floats = |offset: usize, n: usize| -> Vec<f32> { (0..n).map(|place| number(offset + place)).collect() };
    let whole = |n: usize| -> Vec<u32> { (0..n).map(index).collect() };
    let mut item_cluster = whole(length(items, 1));
    let mut item_distance = floats(3, length(items, 1));
    let mut user_belief = floats(5, length(users, clusters));
    let mut user_pretrained = whole(length(users, list));
    let mut target = floats(7, length(clusters, 1));
    if input.mend && clusters > 0 && items > 0 && list > 0 {
        item_cluster.iter_mut().for_each(|c| *c %= clusters as u32);
        item_distance.iter_mut().for_each(|d| *d = d.abs());
        target.iter_mut().for_each(|t| *t = t.abs().min(1.0) / clusters as f32);
        for (place, belief) in user_belief.iter_mut().enumerate() {
            *belief = belief.abs().min(target.get(place % clusters).copied().unwrap_or(0.0));
        }
        for (place, item) in user_pretrained.iter_mut().enumerate() {
            *item = (place % list) as u32;
        }
    }
    let parts = WorldArrays {
        item_embedding: &floats(0, length(items, dimensions)),
        item_cluster: &item_cluster,
        item_distance: &item_distance,
        user_belief: &user_belief,
        user_embedding: &floats(1, length(users, dimensions)),
        user_pretrained: &user_pretrained,
        target: &target,
    };
    match World::new(shape, parts) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(world) => serve(&world, usize::from(input.users_served)),
    }
});

/// A valid world is served for two rounds, with untrained networks.
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
        let report = session.round(&mut || 0.0).expect("a round of a valid world").expect("nobody suspends it");
        assert!((0.0..=1.0).contains(&report.acceptance_rate) && report.mean_distance <= 1.0 + 1e-6);
    }
    assert!(!session.snapshots().is_empty(), "what happened is kept");
    for snapshot in session.snapshots() {
        for beliefs in snapshot.belief.chunks_exact(shape.clusters) {
            assert!(beliefs.iter().zip(world.target()).all(|(b, most)| (0.0..=*most).contains(b)));
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
