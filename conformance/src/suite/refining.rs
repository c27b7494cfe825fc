//! The critic's choice among actions near the policy's.

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

use super::plain;
use super::setup::{Stage, USERS, bits, plan, world, worn};

/// The action taken is the policy's or aims at one of the candidates, and none of these is worth more to the first critic:
/// one without hidden layers, whose values are told by a sum. Nobody's depends on the batches; without candidates, and where
/// all are worth the same, actions stay.
pub fn the_first_critic_chooses_among_candidates<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut moved = 0;
    for (candidates, similarity) in
        [(0, Similarity::Cosine), (1, Similarity::Dot), (7, Similarity::Cosine), (60, Similarity::Dot)]
    {
        let plan = plan(&world, |config| {
            config.td3.hidden_sizes = vec![];
            config.td3.candidates = candidates;
            config.environment.max_action = 0.75;
            config.recommendation.similarity_metric = similarity;
        });
        let agent = worn(&plan.agent);
        let mut stage = Stage::new(new(), &world, plan.clone());
        let policys = stage.actions(0..USERS, None);
        let found = refined(&mut stage, &[0, USERS]);
        assert!(bits(&refined(&mut stage, &[0, 1, 20, USERS])) == bits(&found), "{candidates} in batches");
        for user in 0..USERS {
            let place = row(user, plan.agent.action_dim());
            let due = judged(&world, &plan, &agent, user, &policys[place.clone()]);
            let values = due.iter().map(|(value, _)| *value);
            let best = values.clone().fold(f64::MIN, f64::max);
            let (value, _) =
                due.iter().find(|(_, action)| bits(action) == bits(&found[place.clone()])).expect(CHOICE);
            // A sum of 17 products of numbers below 1, rounded to single precision after each.
            assert!(
                best - value <= 17.0 * 17.0 * f64::from(f32::EPSILON),
                "user {user}: {value} where {best} is to be had"
            );
            moved += usize::from(bits(&due[0].1) != bits(&found[place]));
        }
        let mut indifferent = agent;
        indifferent.networks[1].parameters.fill(0.0);
        stage.agent = stage.backend.load_agent(&plan.agent, &indifferent).expect("the device takes an agent");
        assert!(bits(&refined(&mut stage, &[0, USERS])) == bits(&policys), "{candidates} of no worth");
    }
    assert!(moved > USERS, "a critic that leaves everybody alone would prove nothing: {moved} moved");
}

/// Deep critics, with normalisation and without, choose as the plain backend's in double precision do.
pub fn a_deep_critic_chooses_as_the_references<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for batch_norm in [true, false] {
        let plan = plan(&world, |config| {
            config.td3.candidates = 12;
            config.td3.batch_norm = batch_norm;
        });
        let mut stage = Stage::new(new(), &world, plan.clone());
        let policys = stage.acted(0..USERS, None);
        let policys = stage.backend.snapshot(&policys).expect("the device shows a batch");
        let found = refined(&mut stage, &[0, USERS]);
        assert!(bits(&found) != bits(&policys.action), "a critic that leaves everybody alone would prove nothing");
        let mut reference = Stage::new(Reference::<f64>::default(), &world, plan);
        assert!(bits(&found) == bits(&refined_from(&mut reference, &policys)), "batch_norm {batch_norm}");
    }
}

/// Many users at once are each told what they would be told alone.
pub fn the_critic_tells_a_crowd_what_it_tells_each<B: Backend>(new: &impl Fn() -> B) {
    let recipe =
        SyntheticWorldConfig { users: 230, items: 60, clusters: 3, dimensions: 7, pretrained_len: 16, seed: 4 };
    let world = generate(&recipe, brute_force_lists);
    let mut stage = Stage::new(new(), &world, plan(&world, |config| config.td3.candidates = 5));
    let together = bits(&refined(&mut stage, &[0, 230]));
    let apart: Vec<usize> = (0..230).step_by(10).chain([230]).collect();
    assert!(bits(&refined(&mut stage, &apart)) == together, "users depend on their batch");
}

/// An agent asks its critic while it collects and under evaluation; but whoever explores an item does so.
pub fn an_agent_asks_its_critic<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let actions = |candidates, exploring| {
        let plan = plan(&world, |config| {
            config.td3.candidates = candidates;
            config.td3.item_epsilon = exploring;
        });
        let mut session = Session::new(new(), &world.view().unwrap(), plan).expect("a session begins");
        session.record_users(USERS);
        session.round(&mut || 0.0).expect("a round is served");
        bits(&session.snapshots().iter().flat_map(|batch| batch.action.clone()).collect::<Vec<f32>>())
    };
    assert!(actions(9, 0.0) != actions(0, 0.0), "nobody is asked while collecting");
    assert!(actions(9, 1.0) == actions(0, 1.0), "somebody does not explore");

    let evaluated = |candidates| {
        let mut stage = Stage::new(new(), &world, plan(&world, |config| config.td3.candidates = candidates));
        let mut batch = stage.acted(0..USERS, None);
        let spec = stage.plan.agent.clone();
        let agent = stage.backend.load_agent(&spec, &worn(&spec)).expect("the device takes an agent");
        let serving = PolicyContext {
            world: &stage.world,
            batch: &mut batch,
            users: 0..USERS,
            key: Key::new(0, Purpose::EvaluationPolicy),
        };
        Actor::<B> { agent }.fill_slates(&mut stage.backend, serving).expect("the device serves");
        bits(&stage.backend.snapshot(&batch).expect("the device shows a batch").action)
    };
    assert!(evaluated(9) != evaluated(0), "nobody is asked under evaluation");
}

/// The value and the action of each choice that a user has, the policy's first.
fn judged(
    world: &OwnedWorld,
    plan: &Plan,
    agent: &AgentState,
    user: usize,
    action: &[f32],
) -> Vec<(f64, Vec<f32>)> {
    let (view, environment) = (world.view().unwrap(), &plan.environment);
    let rows = plain::rows(&view, environment);
    let aimed = plain::best(&rows, action, plan.agent.candidates()).into_iter().map(|item| {
        let mut aimed = vec![0.0; action.len()];
        action_toward(&rows[row(item as usize, action.len())], plan.agent.max_action as f32, &mut aimed);
        aimed
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
    std::iter::once(action.to_vec()).chain(aimed).map(|action| (value(&action), action)).collect()
}

/// The actions after the critic was asked, of users in batches that are cut here.
fn refined<B: Backend>(stage: &mut Stage<B>, cuts: &[usize]) -> Vec<f32> {
    let batches = cuts.windows(2).map(|cut| cut[0]..cut[1]);
    batches
        .flat_map(|users| {
            let batch = stage.acted(users, None);
            asked(stage, batch)
        })
        .collect()
}

/// The same of all users, to whom another backend gave these actions.
fn refined_from<B: Backend>(stage: &mut Stage<B>, acted: &RoundSnapshot) -> Vec<f32> {
    let mut batch = stage.acted(0..USERS, None);
    stage.backend.restore(&mut batch, acted).expect("the device takes a batch");
    asked(stage, batch)
}

fn asked<B: Backend>(stage: &mut Stage<B>, mut batch: B::Batch) -> Vec<f32> {
    stage.backend.rerank(&stage.world, &stage.agent, &mut batch).expect("the device asks the critic");
    stage.backend.snapshot(&batch).expect("the device shows a batch").action
}

const CHOICE: &str = "an action is the policy's, or aims at a candidate";
