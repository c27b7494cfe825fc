//! The users' side gives what the plain backend gives, bit for bit, for any number of threads and any batch.

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
    fn rounds_are_the_plain_backends_bit_for_bit(
        case in cases(),
        threads in 1_usize..4,
        batch in prop::sample::select(&[1, 7, 50, 1000][..]),
    ) {
        let generated = generate(&case.recipe, brute_force_lists);
        let world = generated.view().unwrap();
        let environment = case.config.plan(&world).unwrap().environment;
        let expected = play(Reference::<f32>::default(), &world, &environment, usize::MAX).unwrap();
        let found = play(Cpu::new(Some(threads)).unwrap(), &world, &environment, batch).unwrap();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn acceptances_fall_as_often_as_their_probabilities_say() {
    let recipe =
        SyntheticWorldConfig { users: 4000, items: 500, clusters: 5, dimensions: 8, pretrained_len: 20, seed: 3 };
    let generated = generate(&recipe, brute_force_lists);
    let world = generated.view().unwrap();
    let environment = Config::default().plan(&world).unwrap().environment;
    let rounds = play(Cpu::new(None).unwrap(), &world, &environment, 1000).unwrap();
    // Tenths of the range of probabilities, the draws of each tested by themselves.
    let (mut taken, mut expected, mut variance) = ([0.0; 10], [0.0; 10], [0.0; 10]);
    for round in rounds.iter().map(|(round, _)| round) {
        for (place, (&item, &accepted)) in round.slate.iter().zip(&round.accepted).enumerate() {
            let (user, parts) = (place / environment.slate_len, world.arrays());
            let belief = round.belief_before[row(user, 5)][parts.item_cluster[item as usize] as usize];
            let distance = parts.item_distance[item as usize];
            let p = f64::from(environment.user_model.acceptance.probability(belief, distance));
            let tenth = ((p * 10.0) as usize).min(9);
            taken[tenth] += f64::from(u8::from(accepted));
            expected[tenth] += p;
            variance[tenth] += p * (1.0 - p);
        }
    }
    for tenth in 0..10 {
        // Independent draws: a sum lies 5 standard deviations off once in two million tests. The sample must be large
        // enough for a normal tail, or is not judged.
        let deviations = (taken[tenth] - expected[tenth]).abs() / f64::sqrt(variance[tenth]);
        assert!(variance[tenth] < 100.0 || deviations < 5.0, "tenth {tenth}: {deviations} standard deviations");
    }
    assert!(variance.iter().filter(|&&v| v >= 100.0).count() >= 8, "the test must see most probabilities");
}

#[test]
fn an_action_that_is_not_finite_is_refused_by_its_users_index() {
    let recipe =
        SyntheticWorldConfig { users: 9, items: 50, clusters: 2, dimensions: 3, pretrained_len: 20, seed: 0 };
    let generated = generate(&recipe, brute_force_lists);
    let world = generated.view().unwrap();
    let mut cpu = Cpu::new(Some(1)).unwrap();
    let error = (|| {
        use recsim_core::backend::{Inspect, Simulate};
        let on_device = cpu.load_world(&world, &Config::default().plan(&world).unwrap().environment)?;
        let mut batch = cpu.create_batch(&on_device, 4..9)?;
        let mut round = cpu.snapshot(&batch)?;
        round.action[2 * 3 + 1] = f32::NAN;
        cpu.restore(&mut batch, &round)?;
        cpu.recommend(&on_device, &mut batch)
    })()
    .unwrap_err();
    assert!(matches!(error, CpuError::Action { user: 6 }));
    assert_eq!(error.kind(), ErrorKind::NotFinite);
}

/// Three rounds, with a reset before the last, of all users in batches: each round joined, and its tally.
fn play<B: Backend>(
    mut backend: B,
    world: &World<'_>,
    environment: &EnvironmentSpec,
    batch_size: usize,
) -> Result<Vec<(RoundSnapshot, Tally)>, B::Error> {
    let users = world.shape().users;
    let size = batch_size.min(users);
    let on_device = backend.load_world(world, environment)?;
    let ranges = (0..users).step_by(size).map(|first| first..users.min(first + size));
    let mut batches: Vec<_> =
        ranges.map(|users| backend.create_batch(&on_device, users)).collect::<Result<_, _>>()?;
    let mut rounds = Vec::new();
    for round in 1..=3 {
        let mut joined = RoundSnapshot { users: 0..users, ..RoundSnapshot::default() };
        for batch in &mut batches {
            if round == 3 {
                backend.reset(&on_device, batch)?;
            }
            backend.observe(&on_device, batch)?;
            let mut last = backend.snapshot(batch)?;
            act(round, last.users.start, &mut last.action, world.shape().dimensions);
            backend.restore(batch, &last)?;
            backend.recommend(&on_device, batch)?;
            backend.respond(&on_device, batch, Key::new(5, Purpose::Acceptance).fold_in(1).fold_in(round), None)?;
            let RoundSnapshot { action, slate, accepted, belief_before, belief, reward, .. } =
                backend.snapshot(batch)?;
            joined.action.extend(action);
            joined.slate.extend(slate);
            joined.accepted.extend(accepted);
            joined.belief_before.extend(belief_before);
            joined.belief.extend(belief);
            joined.reward.extend(reward);
        }
        rounds.push((joined, backend.tally(&on_device, &batches)?));
    }
    Ok(rounds)
}

/// Normal actions; every fifth user's is zero.
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
struct Case {
    recipe: SyntheticWorldConfig,
    config: Config,
}

/// Small worlds of every shape, under every kind of rules.
fn cases() -> impl Strategy<Value = Case> {
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
    let slate = |recipe: SyntheticWorldConfig| (Just(recipe), 1..=recipe.pretrained_len);
    let slates = world.prop_flat_map(slate).prop_flat_map(|(recipe, shown)| (Just(recipe), Just(shown), 1..=shown));
    let rules = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (slates, rules).prop_map(|((recipe, shown, chosen), (cosine, belief, potential, progressive, combined))| {
        let mut config = Config::default();
        config.recommendation.rl_list_size = chosen as u32;
        config.recommendation.total_recommendations = shown as u32;
        config.recommendation.similarity_metric = if cosine { Similarity::Cosine } else { Similarity::Dot };
        config.environment.use_intelligent_acceptance = belief;
        config.reward.kind = if potential { RewardKind::Potential } else { RewardKind::Shaped };
        config.reward.use_progressive_reward = progressive;
        config.reward.use_combined_metric = combined;
        Case { recipe, config }
    })
}
