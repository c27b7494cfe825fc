use proptest::prelude::*;

use super::*;

#[test]
fn cluster_sizes_of_the_reference_catalogue() {
    let sizes = cluster_sizes(19_130, 5);
    assert_eq!(sizes, [13_383, 1_355, 1_413, 1_381, 1_598]);
    let expected = [0.69958_f32, 0.07083, 0.07386, 0.07219, 0.08353];
    for (share, expected) in target(&sizes).iter().zip(expected) {
        assert!((share - expected).abs() <= 0.5e-5, "{share} is printed as {expected}");
    }
}

#[test]
fn cluster_sizes_of_small_catalogues_shrink_the_largest_cluster() {
    assert_eq!(cluster_sizes(5, 5), [1, 1, 1, 1, 1]);
    assert_eq!(cluster_sizes(6, 5), [2, 1, 1, 1, 1]);
    assert_eq!(cluster_sizes(1, 1), [1]);
}

/// The tolerance is three standard errors of the mean. A share is exponential with mean m, so the belief in a cluster
/// with mean b has a variance of about 2 m b.
#[test]
fn beliefs_have_the_reference_means_and_are_sparse() {
    let users = 20_000;
    let world = without_lists(&SyntheticWorldConfig {
        users,
        items: 19_130,
        clusters: 5,
        dimensions: 4,
        pretrained_len: 1,
        seed: 0,
    });
    let beliefs: Vec<&[f32]> = world.user_belief.chunks_exact(5).collect();
    for (cluster, expected) in [2.2e-5, 2.1e-4, 1.7e-4, 1.9e-4, 1.8e-4].into_iter().enumerate() {
        let mean = beliefs.iter().map(|b| f64::from(b[cluster])).sum::<f64>() / users as f64;
        let deviation = f64::sqrt(2.0 * (7.72e-4 / 1.5) * expected);
        let error = (mean - expected).abs();
        assert!(error < 3.0 * deviation / f64::sqrt(users as f64), "cluster {cluster}: {mean}, not {expected}");
    }
    let zeros = world.user_belief.iter().filter(|&&b| b == 0.0).count();
    assert!(zeros > 5 * users / 2, "more than half are exactly 0");
    assert!(world.user_belief.iter().all(|&b| b <= 8e-3));
    assert!(beliefs.iter().all(|b| b.iter().filter(|&&b| b > 0.0).count() <= 2), "one or two leanings");
}

#[test]
fn distances_are_spread_evenly_up_to_the_largest() {
    let world = without_lists(&SyntheticWorldConfig {
        users: 1,
        items: 5_000,
        clusters: 5,
        dimensions: 16,
        pretrained_len: 1,
        seed: 3,
    });
    let mut histogram = [0_usize; 5];
    for &distance in &world.item_distance {
        histogram[(distance as usize).min(4)] += 1;
    }
    // Each of five clusters gives pairs at equally spaced radii: a unit of distance has a fifth of them, to within a
    // pair.
    assert!(histogram.iter().all(|&count| count.abs_diff(1_000) <= 4 * 5), "{histogram:?}");
    assert_eq!(world.item_distance.iter().copied().fold(0.0, f32::max), 5.0);
}

#[test]
fn leaning_cluster_of_a_single_cluster() {
    assert_eq!(leaning_cluster(0.0, 1), 0);
    assert_eq!(leaning_cluster(MAX_DRAW, 1), 0);
}

#[test]
fn leaning_cluster_follows_the_weights() {
    let counts = |clusters, draws: u16| {
        let mut counts = alloc::vec![0; clusters];
        (0..draws).for_each(|n| counts[leaning_cluster((f32::from(n) + 0.5) / f32::from(draws), clusters)] += 1);
        counts
    };
    assert_eq!(counts(4, 310), [10, 100, 100, 100]);
    assert_eq!(counts(5, 772), [22, 210, 170, 190, 180]);
    assert_eq!([leaning_cluster(MAX_DRAW, 4), leaning_cluster(MAX_DRAW, 5)], [3, 4]);
}

#[test]
fn generate_has_pinned_bytes() {
    // Enough users and items that a small change of a rule changes at least one value.
    let config = SyntheticWorldConfig { users: 300, items: 2_000, ..SMALL };
    let world = generate(&config, brute_force_lists);
    assert_eq!(fingerprint(&world), PINNED, "worlds made by earlier versions would differ");
    assert_ne!(fingerprint(&generate(&SyntheticWorldConfig { seed: 1, ..config }, brute_force_lists)), PINNED);
}

#[test]
fn brute_force_lists_are_sorted_by_score() {
    let world = generate(&SMALL, brute_force_lists);
    let view = world.view().unwrap();
    for user in 0..SMALL.users {
        let scores: Vec<f32> =
            (0..SMALL.items).map(|item| score(view.user_embedding(user), view.item_embedding(item))).collect();
        let mut order: Vec<u32> = (0..SMALL.items as u32).collect();
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
        assert_eq!(view.pretrained(user), &order[..SMALL.pretrained_len]);
    }
}

proptest! {
    #[test]
    fn generate_makes_a_valid_world_of_any_size(
        users in 1_usize..20, items in 1_usize..60, clusters in 1_usize..60, dimensions in 1_usize..9,
        pretrained_len in 1_usize..60, seed: u64,
    ) {
        let (clusters, pretrained_len) = (clusters.min(items), pretrained_len.min(items));
        let config = SyntheticWorldConfig { users, items, clusters, dimensions, pretrained_len, seed };
        let world = generate(&config, brute_force_lists);
        world.view().unwrap();
        prop_assert!((0..config.clusters as u32).all(|c| world.item_cluster.contains(&c)), "no cluster is empty");
        prop_assert!(world.user_belief.iter().all(|&belief| belief <= MAX_SHARE as f32));
        check_distances(&world)?;
    }

    #[test]
    fn cluster_sizes_add_up_and_none_is_empty(items in 1_usize..5_000, clusters in 1_usize..300) {
        let clusters = clusters.min(items);
        let sizes = cluster_sizes(items, clusters);
        prop_assert_eq!(sizes.iter().sum::<usize>(), items);
        prop_assert!(sizes.iter().all(|&size| size >= 1));
        prop_assert!(target(&sizes).iter().fold(0.0_f32, |sum, share| sum + share) <= 1.0);
    }
}

/// Checks the distances against those of the embeddings to their means, scaled so that the largest is 5.
fn check_distances(world: &OwnedWorld) -> Result<(), TestCaseError> {
    let WorldShape { clusters, dimensions, .. } = world.shape;
    let rows: Vec<&[f32]> = world.item_embedding.chunks_exact(dimensions).collect();
    let members = |c: u32| (0..rows.len()).filter(move |&i| world.item_cluster[i] == c);
    let mut distances = alloc::vec![0.0_f64; rows.len()];
    for c in 0..clusters as u32 {
        let mean = |d: usize| members(c).map(|i| f64::from(rows[i][d])).sum::<f64>() / members(c).count() as f64;
        let centre: Vec<f64> = (0..dimensions).map(mean).collect();
        for i in members(c) {
            distances[i] = rows[i]
                .iter()
                .zip(&centre)
                .map(|(&x, m)| (f64::from(x) - m) * (f64::from(x) - m))
                .sum::<f64>()
                .sqrt();
        }
    }
    let largest = distances.iter().copied().fold(0.0, f64::max);
    for (item, (&distance, unscaled)) in world.item_distance.iter().zip(&distances).enumerate() {
        let expected = if largest > 0.0 { 5.0 * unscaled / largest } else { 0.0 };
        prop_assert!((f64::from(distance) - expected).abs() < 1e-6, "item {}: {} for {}", item, distance, expected);
    }
    Ok(())
}

/// The world with the same list for every user, which saves the search.
fn without_lists(config: &SyntheticWorldConfig) -> OwnedWorld {
    generate(config, |_, users, dimensions, pretrained_len| {
        (0..pretrained_len as u32).collect::<Vec<_>>().repeat(users.len() / dimensions)
    })
}

/// FNV-1a over all the bytes.
fn fingerprint(world: &OwnedWorld) -> u64 {
    let OwnedWorld { item_embedding, item_distance, user_belief, user_embedding, target, .. } = &world;
    let floats = [item_embedding, item_distance, user_belief, user_embedding, target];
    let bits = floats.into_iter().flatten().map(|x| x.to_bits());
    let indices = [&world.item_cluster, &world.user_pretrained].into_iter().flatten().copied();
    let bytes = bits.chain(indices).flat_map(u32::to_le_bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const MAX_DRAW: f32 = 1.0 - f32::EPSILON / 2.0;
const SMALL: SyntheticWorldConfig =
    SyntheticWorldConfig { users: 20, items: 101, clusters: 5, dimensions: 7, pretrained_len: 9, seed: 0 };
const PINNED: u64 = 10_677_132_303_929_670_536;
