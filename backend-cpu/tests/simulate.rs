//! The users' side gives the same bits as the reference backend, for any number of threads and any batch size.

#[path = "../src/properties.rs"]
mod properties;

use proptest::prelude::*;
use recsim_backend_cpu::{Cpu, CpuError};
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, BackendError, ErrorKind, RoundSnapshot};
use recsim_core::model::rng::{Key, Purpose, normal_pair};
use recsim_core::model::slate::Similarity;
use recsim_core::model::{EnvironmentSpec, Tally};
use recsim_core::session::config::{Config, RewardKind};
use recsim_core::world::{SyntheticWorldConfig, World, brute_force_lists, generate, row};

proptest! {
    #![proptest_config(properties::config(64))]

    #[test]
    fn rounds_equal_the_reference_backends_bit_for_bit(
        case in cases(),
        threads in 1_usize..4,
        batch in prop::sample::select(&[1, 7, 50, 1000][..]),
    ) {
        let generated = generate(&case.world_config, brute_force_lists);
        let world = generated.view().unwrap();
        let environment = case.config.plan(&world).unwrap().environment;
        let expected = play(Reference::<f32>::default(), &world, &environment, usize::MAX).unwrap();
        let actual = play(Cpu::new(Some(threads)).unwrap(), &world, &environment, batch).unwrap();
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn acceptance_frequencies_match_their_probabilities() {
    let world_config =
        SyntheticWorldConfig { users: 4000, items: 500, clusters: 5, dimensions: 8, pretrained_len: 20, seed: 3 };
    let generated = generate(&world_config, brute_force_lists);
    let world = generated.view().unwrap();
    let environment = Config::default().plan(&world).unwrap().environment;
    let rounds = play(Cpu::new(None).unwrap(), &world, &environment, 1000).unwrap();
    // Tenths of the range of probabilities; the draws of each tenth are tested separately.
    let (mut accepted_counts, mut expected, mut variance) = ([0.0; 10], [0.0; 10], [0.0; 10]);
    for round in rounds.iter().map(|(round, _)| round) {
        for (index, (&item, &accepted)) in round.slate.iter().zip(&round.accepted).enumerate() {
            let (user, arrays) = (index / environment.slate_len, world.arrays());
            let belief = round.belief_before[row(user, 5)][arrays.item_cluster[item as usize] as usize];
            let distance = arrays.item_distance[item as usize];
            let p = f64::from(environment.user_model.acceptance.probability(belief, distance));
            let tenth = ((p * 10.0) as usize).min(9);
            accepted_counts[tenth] += f64::from(u8::from(accepted));
            expected[tenth] += p;
            variance[tenth] += p * (1.0 - p);
        }
    }
    for tenth in 0..10 {
        // Independent draws: a sum is 5 standard deviations off once in two million tests. A tenth is tested only if
        // its sample is large enough for a normal approximation.
        let deviations = (accepted_counts[tenth] - expected[tenth]).abs() / f64::sqrt(variance[tenth]);
        assert!(variance[tenth] < 100.0 || deviations < 5.0, "tenth {tenth}: {deviations} standard deviations");
    }
    assert!(variance.iter().filter(|&&v| v >= 100.0).count() >= 8, "the sample covers most probabilities");
}

#[test]
fn non_finite_action_is_an_error_with_the_users_index() {
    let world_config =
        SyntheticWorldConfig { users: 9, items: 50, clusters: 2, dimensions: 3, pretrained_len: 20, seed: 0 };
    let generated = generate(&world_config, brute_force_lists);
    let world = generated.view().unwrap();
    let mut cpu = Cpu::new(Some(1)).unwrap();
    let error = (|| {
        use recsim_core::backend::{Inspect, Simulate};
        let backend_world = cpu.load_world(&world, &Config::default().plan(&world).unwrap().environment)?;
        let mut batch = cpu.create_batch(&backend_world, 4..9)?;
        let mut round = cpu.snapshot(&batch)?;
        round.action[2 * 3 + 1] = f32::NAN;
        cpu.restore(&mut batch, &round)?;
        cpu.recommend(&backend_world, &mut batch)
    })()
    .unwrap_err();
    assert!(matches!(error, CpuError::Action { user: 6 }));
    assert_eq!(error.kind(), ErrorKind::NotFinite);
}

/// Plays three rounds of all users in batches, with a reset before the last. Returns each round, joined over the
/// batches, and its tally.
fn play<B: Backend>(
    mut backend: B,
    world: &World<'_>,
    environment: &EnvironmentSpec,
    batch_size: usize,
) -> Result<Vec<(RoundSnapshot, Tally)>, B::Error> {
    let users = world.shape().users;
    let size = batch_size.min(users);
    let backend_world = backend.load_world(world, environment)?;
    let ranges = (0..users).step_by(size).map(|first| first..users.min(first + size));
    let mut batches: Vec<_> =
        ranges.map(|users| backend.create_batch(&backend_world, users)).collect::<Result<_, _>>()?;
    let mut rounds = Vec::new();
    for round in 1..=3 {
        let mut joined = RoundSnapshot { users: 0..users, ..RoundSnapshot::default() };
        for batch in &mut batches {
            if round == 3 {
                backend.reset(&backend_world, batch)?;
            }
            backend.observe(&backend_world, batch)?;
            let mut last = backend.snapshot(batch)?;
            act(round, last.users.start, &mut last.action, world.shape().dimensions);
            backend.restore(batch, &last)?;
            backend.recommend(&backend_world, batch)?;
            backend.respond(
                &backend_world,
                batch,
                Key::new(5, Purpose::Acceptance).fold_in(1).fold_in(round),
                None,
            )?;
            let RoundSnapshot { action, slate, accepted, belief_before, belief, reward, .. } =
                backend.snapshot(batch)?;
            joined.action.extend(action);
            joined.slate.extend(slate);
            joined.accepted.extend(accepted);
            joined.belief_before.extend(belief_before);
            joined.belief.extend(belief);
            joined.reward.extend(reward);
        }
        rounds.push((joined, backend.tally(&backend_world, &batches)?));
    }
    Ok(rounds)
}

/// Fills in normal actions; every fifth user's action is zero.
fn act(round: u64, first: usize, action: &mut [f32], dimensions: usize) {
    let key = Key::new(6, Purpose::Exploration).fold_in(round);
    for (user, action) in (first as u64..).zip(action.chunks_exact_mut(dimensions)) {
        for (component, a) in (0..).zip(action) {
            let [normal, _] = normal_pair(key.fold_in(user).fold_in(component));
            *a = if user.is_multiple_of(5) { 0.0 } else { normal };
        }
    }
}

#[derive(Clone, Debug)]
struct SimulationCase {
    world_config: SyntheticWorldConfig,
    config: Config,
}

/// Small worlds of every shape, with every kind of rules.
fn cases() -> impl Strategy<Value = SimulationCase> {
    let sizes = (1_usize..120, 1_usize..90, 1_usize..20, any::<u64>());
    let world = sizes.prop_flat_map(|(users, items, dimensions, seed)| {
        let sizes = (1..=items.min(7), 1..=items);
        sizes.prop_map(move |(clusters, list)| SyntheticWorldConfig {
            users,
            items,
            clusters,
            dimensions,
            pretrained_len: list,
            seed,
        })
    });
    let slate = |world_config: SyntheticWorldConfig| (Just(world_config), 1..=world_config.pretrained_len);
    let slates = world
        .prop_flat_map(slate)
        .prop_flat_map(|(world_config, slate_len)| (Just(world_config), Just(slate_len), 1..=slate_len));
    let rules = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (slates, rules).prop_map(
        |((world_config, slate_len, rl_slots), (cosine, belief, potential, progressive, combined))| {
            let mut config = Config::default();
            config.recommendation.rl_list_size = rl_slots as u32;
            config.recommendation.total_recommendations = slate_len as u32;
            config.recommendation.similarity_metric = if cosine { Similarity::Cosine } else { Similarity::Dot };
            config.environment.use_intelligent_acceptance = belief;
            config.reward.kind = if potential { RewardKind::Potential } else { RewardKind::Shaped };
            config.reward.use_progressive_reward = progressive;
            config.reward.use_combined_metric = combined;
            SimulationCase { world_config, config }
        },
    )
}
