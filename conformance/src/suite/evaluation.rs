//! Evaluation: the same results on every backend.

use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, Inspect, Sequential, Simulate};
use recsim_core::eval::policy::{
    Actor, Greedy, ItemSelector, Objective, PerUser, Policy, Popular, Pretrained, Random,
};
use recsim_core::eval::{Episode, Evaluator, Measure};
use recsim_core::session::config::{Plan, Schedule};
use recsim_core::world::OwnedWorld;

use super::setup::{plan, trained_agent, world};

/// An episode under an [`ItemSelector`] has the bits of the reference backend, whatever the batches, and also when it
/// is repeated.
pub fn evaluation_matches_reference<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let world = world();
    let plan = plan(&world, |_| ());
    let (mut backend, view) = (new(), world.view().expect("a valid world"));
    let (rl_slots, slate_len) = (plan.environment.rl_slots, plan.environment.slate_len);
    let num_items = view.shape().items;
    let selectors: [Box<dyn ItemSelector + Sync>; 5] = [
        Box::new(Random { num_items, items_per_user: slate_len }),
        Box::new(Popular::new(&view, 1)),
        Box::new(Pretrained),
        Box::new(Greedy::new(&view, &plan.environment, rl_slots, Objective::Nearest)),
        Box::new(Greedy::new(&view, &plan.environment, rl_slots, Objective::Farthest)),
    ];
    for selector in selectors {
        let mut policy = PerUser { selector, parallel: Sequential };
        let expected = episode(&mut Reference::<f32>::default(), &world, &plan, &mut policy, 1000);
        for batch_size in [1000, 10] {
            assert_eq!(episode(&mut backend, &world, &plan, &mut policy, batch_size), expected);
        }
    }
}

/// An agent under evaluation does not explore. A repeated evaluation has the same bits, whatever the batches, and is
/// close to the reference backend's.
pub fn actor_evaluation_is_reproducible<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let plan = plan(&world, |_| ());
    let mut backend = new();
    let actual = actor_episode(&mut backend, &world, &plan, 1000);
    assert_eq!(actor_episode(&mut backend, &world, &plan, 1000), actual);
    assert_eq!(actor_episode(&mut new(), &world, &plan, 10), actual);
    let expected = actor_episode(&mut Reference::<f32>::default(), &world, &plan, 1000);
    let [actual, expected] =
        [actual, expected].map(|episode| episode.block_sums(0, Measure::Distance).iter().sum::<f64>());
    assert!((actual - expected).abs() < 0.05 * expected, "{actual}, expected about {expected}");
}

/// An episode under the trained agent.
fn actor_episode<B: Backend>(backend: &mut B, world: &OwnedWorld, plan: &Plan, batch_size: usize) -> Episode {
    let agent = backend.load_agent(&plan.agent, &trained_agent(&plan.agent)).expect("the backend loads an agent");
    episode(backend, world, plan, &mut Actor::<B> { agent }, batch_size)
}

/// An episode with this batch size.
fn episode<B: Simulate + Inspect>(
    backend: &mut B,
    world: &OwnedWorld,
    plan: &Plan,
    policy: &mut dyn Policy<B>,
    batch_size: usize,
) -> Episode {
    let schedule = Schedule { batch_size, ..plan.schedule };
    let evaluator = Evaluator::new(&world.view().expect("a valid world"), &plan.environment, &schedule);
    let on_device = backend.load_world(evaluator.world(), &plan.environment).expect("the backend loads a world");
    let episode = evaluator.episode(backend, &on_device, policy, 3, &Sequential, &mut |_| false);
    episode.expect("the backend does not fail").expect("the callback never stops it")
}
