//! Evaluations: the same numbers wherever they are made.

use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, Inspect, Sequential, Simulate};
use recsim_core::eval::policy::{
    Actor, Greedy, ItemSelector, Objective, PerUser, Policy, Popular, Pretrained, Random,
};
use recsim_core::eval::{Episode, Evaluator, Measure};
use recsim_core::session::config::{Plan, Schedule};
use recsim_core::world::OwnedWorld;

use super::setup::{plan, world, worn};

/// An episode under a policy that chooses items is the plain backend's to the bit, whatever batches users come in; and so
/// is one after another.
pub fn an_evaluation_is_the_references<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let world = world();
    let plan = plan(&world, |_| ());
    let (mut backend, view) = (new(), world.view().unwrap());
    let (chosen, shown) = (plan.environment.rl_slots, plan.environment.slate_len);
    let items = view.shape().items;
    let choosers: [Box<dyn ItemSelector + Sync>; 5] = [
        Box::new(Random { num_items: items, items_per_user: shown }),
        Box::new(Popular::new(&view, 1)),
        Box::new(Pretrained),
        Box::new(Greedy::new(&view, &plan.environment, chosen, Objective::Nearest)),
        Box::new(Greedy::new(&view, &plan.environment, chosen, Objective::Farthest)),
    ];
    for chooser in choosers {
        let mut policy = PerUser { selector: chooser, parallel: Sequential };
        let due = episode(&mut Reference::<f32>::default(), &world, &plan, &mut policy, 1000);
        for batch_size in [1000, 10] {
            assert_eq!(episode(&mut backend, &world, &plan, &mut policy, batch_size), due);
        }
    }
}

/// An agent under evaluation explores nothing: another evaluation is the same to the bit, whatever the batches, and about
/// what the plain backend finds.
pub fn an_agent_can_be_evaluated<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let plan = plan(&world, |_| ());
    let mut backend = new();
    let found = agents_episode(&mut backend, &world, &plan, 1000);
    assert_eq!(agents_episode(&mut backend, &world, &plan, 1000), found);
    assert_eq!(agents_episode(&mut new(), &world, &plan, 10), found);
    let due = agents_episode(&mut Reference::<f32>::default(), &world, &plan, 1000);
    let [found, due] = [found, due].map(|episode| episode.block_sums(0, Measure::Distance).iter().sum::<f64>());
    assert!((found - due).abs() < 0.05 * due, "{found} {due}");
}

fn agents_episode<B: Backend>(backend: &mut B, world: &OwnedWorld, plan: &Plan, batch_size: usize) -> Episode {
    let agent = backend.load_agent(&plan.agent, &worn(&plan.agent)).expect("the device takes an agent");
    episode(backend, world, plan, &mut Actor::<B> { agent }, batch_size)
}

fn episode<B: Simulate + Inspect>(
    backend: &mut B,
    world: &OwnedWorld,
    plan: &Plan,
    policy: &mut dyn Policy<B>,
    batch_size: usize,
) -> Episode {
    let schedule = Schedule { batch_size, ..plan.schedule };
    let evaluator = Evaluator::new(&world.view().unwrap(), &plan.environment, &schedule);
    let on_device = backend.load_world(evaluator.world(), &plan.environment).expect("the device takes a world");
    let episode = evaluator.episode(backend, &on_device, policy, 3, &Sequential, &mut |_| false);
    episode.expect("the device serves users").expect("nobody stops it")
}
