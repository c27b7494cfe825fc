//! Critic re-ranking: the first critic selects among actions near the policy's.

use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, RoundSnapshot};
use recsim_core::eval::policy::{Actor, Policy, PolicyContext};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::model::slate::Similarity;
use recsim_core::session::Session;
use recsim_core::session::config::Plan;
use recsim_core::td3::AgentState;
use recsim_core::td3::explore::action_toward;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate, row};

use super::expected_round;
use super::setup::{LoadedBackend, USERS, bits, plan, trained_agent, world};

/// The resulting action is the policy's, or points at one of the candidates, and no other candidate has a higher value.
/// The critic has no hidden layer, so its values are plain sums. The result does not depend on the batches. Without
/// candidates, and where all values are equal, actions stay.
pub fn rerank_selects_the_best_candidate<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut num_changed = 0;
    for (candidates, similarity) in
        [(0, Similarity::Cosine), (1, Similarity::Dot), (7, Similarity::Cosine), (60, Similarity::Dot)]
    {
        let plan = plan(&world, |config| {
            config.td3.hidden_sizes = vec![];
            config.td3.candidates = candidates;
            config.environment.max_action = 0.75;
            config.recommendation.similarity_metric = similarity;
        });
        let agent = trained_agent(&plan.agent);
        let mut loaded = LoadedBackend::new(new(), &world, plan.clone());
        let policy_actions = loaded.actions(0..USERS, None);
        let actual = reranked_actions(&mut loaded, &[0, USERS]);
        assert!(
            bits(&reranked_actions(&mut loaded, &[0, 1, 20, USERS])) == bits(&actual),
            "{candidates} candidates, in batches"
        );
        for user in 0..USERS {
            let index = row(user, plan.agent.action_dim());
            let expected = candidate_values(&world, &plan, &agent, user, &policy_actions[index.clone()]);
            let values = expected.iter().map(|(value, _)| *value);
            let best = values.clone().fold(f64::MIN, f64::max);
            let (value, _) = expected
                .iter()
                .find(|(_, action)| bits(action) == bits(&actual[index.clone()]))
                .expect(IS_CANDIDATE);
            // A sum of 17 products of values below 1, rounded to f32 after each.
            assert!(
                best - value <= 17.0 * 17.0 * f64::from(f32::EPSILON),
                "user {user}: value {value}, and the best candidate has {best}"
            );
            num_changed += usize::from(bits(&expected[0].1) != bits(&actual[index]));
        }
        let mut constant_critic = agent;
        constant_critic.networks[1].parameters.fill(0.0);
        loaded.agent =
            loaded.backend.load_agent(&plan.agent, &constant_critic).expect("the backend loads an agent");
        assert!(
            bits(&reranked_actions(&mut loaded, &[0, USERS])) == bits(&policy_actions),
            "{candidates} candidates of equal value"
        );
    }
    assert!(
        num_changed > USERS,
        "re-ranking must change actions for the test to mean something: {num_changed} changed"
    );
}

/// Deep critics, with BatchNorm and without, select the actions that the reference backend selects in double precision.
pub fn rerank_matches_reference<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for batch_norm in [true, false] {
        let plan = plan(&world, |config| {
            config.td3.candidates = 12;
            config.td3.batch_norm = batch_norm;
        });
        let mut loaded = LoadedBackend::new(new(), &world, plan.clone());
        let policy_actions = loaded.batch_with_actions(0..USERS, None);
        let policy_actions = loaded.backend.snapshot(&policy_actions).expect("the backend returns a snapshot");
        let actual = reranked_actions(&mut loaded, &[0, USERS]);
        assert!(
            bits(&actual) != bits(&policy_actions.action),
            "re-ranking must change actions for the test to mean something"
        );
        let mut reference = LoadedBackend::new(Reference::<f64>::default(), &world, plan);
        assert!(
            bits(&actual) == bits(&rerank_snapshot(&mut reference, &policy_actions)),
            "batch_norm {batch_norm}"
        );
    }
}

/// The action of each of 230 users has the same bits in one batch and in batches of ten.
pub fn rerank_does_not_depend_on_batches<B: Backend>(new: &impl Fn() -> B) {
    let world_config =
        SyntheticWorldConfig { users: 230, items: 60, clusters: 3, dimensions: 7, pretrained_len: 16, seed: 4 };
    let world = generate(&world_config, brute_force_lists);
    let mut loaded = LoadedBackend::new(new(), &world, plan(&world, |config| config.td3.candidates = 5));
    let in_one_batch = bits(&reranked_actions(&mut loaded, &[0, 230]));
    let cuts: Vec<usize> = (0..230).step_by(10).chain([230]).collect();
    assert!(bits(&reranked_actions(&mut loaded, &cuts)) == in_one_batch, "users depend on their batch");
}

/// Re-ranking applies to training rounds and to evaluation. Users that explore an item do so regardless of it.
pub fn rerank_applies_in_training_and_evaluation<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let actions = |candidates, item_epsilon| {
        let plan = plan(&world, |config| {
            config.td3.candidates = candidates;
            config.td3.item_epsilon = item_epsilon;
        });
        let mut session =
            Session::new(new(), &world.view().expect("a valid world"), plan).expect("a session starts");
        session.record_users(USERS);
        session.round(&mut || 0.0).expect("the backend does not fail");
        bits(&session.snapshots().iter().flat_map(|batch| batch.action.clone()).collect::<Vec<f32>>())
    };
    assert!(actions(9, 0.0) != actions(0, 0.0), "re-ranking must apply in training rounds");
    assert!(actions(9, 1.0) == actions(0, 1.0), "item exploration must override re-ranking");

    let evaluated = |candidates| {
        let mut loaded =
            LoadedBackend::new(new(), &world, plan(&world, |config| config.td3.candidates = candidates));
        let mut batch = loaded.batch_with_actions(0..USERS, None);
        let spec = loaded.plan.agent.clone();
        let agent = loaded.backend.load_agent(&spec, &trained_agent(&spec)).expect("the backend loads an agent");
        let context = PolicyContext {
            world: &loaded.world,
            batch: &mut batch,
            users: 0..USERS,
            key: Key::new(0, Purpose::EvaluationPolicy),
        };
        Actor::<B> { agent }.fill_slates(&mut loaded.backend, context).expect("the backend does not fail");
        bits(&loaded.backend.snapshot(&batch).expect("the backend returns a snapshot").action)
    };
    assert!(evaluated(9) != evaluated(0), "re-ranking must apply in evaluation");
}

/// The value and the action of each candidate of a user: the policy's action first, then the items'.
fn candidate_values(
    world: &OwnedWorld,
    plan: &Plan,
    agent: &AgentState,
    user: usize,
    action: &[f32],
) -> Vec<(f64, Vec<f32>)> {
    let (view, environment) = (world.view().expect("a valid world"), &plan.environment);
    let rows = expected_round::rows(&view, environment);
    let toward_item = expected_round::best(&rows, action, plan.agent.candidates()).into_iter().map(|item| {
        let mut toward_item = vec![0.0; action.len()];
        action_toward(&rows[row(item as usize, action.len())], plan.agent.max_action as f32, &mut toward_item);
        toward_item
    });
    let scales = environment.belief_scales(view.target());
    let beliefs = view.beliefs(user).iter().zip(scales).map(|(belief, scale)| belief * scale);
    let state: Vec<f32> = beliefs.chain(view.user_embedding(user).iter().copied()).collect();
    let layer = &plan.agent.critics[0].layers()[0];
    let weights = &agent.networks[1].parameters;
    let value = |action: &[f32]| -> f64 {
        let products = state.iter().chain(action).zip(&weights[layer.weight.clone()]);
        products.map(|(&x, &weight)| f64::from(x) * f64::from(weight)).sum()
    };
    std::iter::once(action.to_vec()).chain(toward_item).map(|action| (value(&action), action)).collect()
}

/// The actions after re-ranking, `[users, D]`, of users in the batches between these cuts.
fn reranked_actions<B: Backend>(loaded: &mut LoadedBackend<B>, cuts: &[usize]) -> Vec<f32> {
    let batches = cuts.windows(2).map(|cut| cut[0]..cut[1]);
    batches
        .flat_map(|users| {
            let batch = loaded.batch_with_actions(users, None);
            rerank_batch(loaded, batch)
        })
        .collect()
}

/// The actions after re-ranking of all users, from the actions of a snapshot.
fn rerank_snapshot<B: Backend>(loaded: &mut LoadedBackend<B>, acted: &RoundSnapshot) -> Vec<f32> {
    let mut batch = loaded.batch_with_actions(0..USERS, None);
    loaded.backend.restore(&mut batch, acted).expect("the backend creates a batch");
    rerank_batch(loaded, batch)
}

/// The actions of a batch after re-ranking.
fn rerank_batch<B: Backend>(loaded: &mut LoadedBackend<B>, mut batch: B::Batch) -> Vec<f32> {
    loaded.backend.rerank(&loaded.world, &loaded.agent, &mut batch).expect("the backend re-ranks");
    loaded.backend.snapshot(&batch).expect("the backend returns a snapshot").action
}

const IS_CANDIDATE: &str = "an action is the policy's or points at a candidate";
