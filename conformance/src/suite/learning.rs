//! Updates: what they move, that they repeat themselves, and that they agree with the plain backend.

use recsim_core::backend::Backend;
use recsim_core::backend::reference::Reference;
use recsim_core::session::Session;
use recsim_core::td3::{AgentState, Losses, UpdateKeys, soft_update};

use super::setup::{Stage, agent_bits, plan, world, worn};
use crate::shadow::{Shadow, Tolerance};

/// A step of the critics moves the critics alone; a step of the policy moves the actor, and every target, statistics
/// included, by `tau` towards its network.
pub fn an_update_moves_what_it_should<B: Backend>(new: &impl Fn() -> B) {
    for batch_norm in [true, false] {
        let (mut stage, replay) = ready(new, batch_norm);
        let keys = UpdateKeys::new(8, 1);
        let before = stage.export();
        stage.backend.update(&stage.world, &replay, &mut stage.agent, &keys, false).expect("the device learns");
        let between = stage.export();
        assert_eq!(
            (between.critic_updates, between.policy_updates),
            (before.critic_updates + 1, before.policy_updates)
        );
        assert_eq!(between.networks[0], before.networks[0], "the critics' step leaves the actor");
        assert_eq!(between.moments[0], before.moments[0]);
        assert_eq!(between.targets, before.targets, "the critics' step leaves the targets");
        for critic in [1, 2] {
            assert_ne!(between.networks[critic].parameters, before.networks[critic].parameters);
            let tracked = between.networks[critic].running_stats != before.networks[critic].running_stats;
            assert_eq!(tracked, batch_norm);
        }
        // The same update once more, with the policy.
        stage.agent = stage.backend.load_agent(&stage.plan.agent, &before).expect("the device takes an agent");
        stage.backend.update(&stage.world, &replay, &mut stage.agent, &keys, true).expect("the device learns");
        let after = stage.export();
        assert_eq!(
            (after.critic_updates, after.policy_updates),
            (between.critic_updates, between.policy_updates + 1)
        );
        assert_eq!(
            after.networks[1..],
            between.networks[1..],
            "the policy's step leaves the critics, statistics too"
        );
        assert_eq!(after.moments[1..], between.moments[1..]);
        assert_ne!(after.networks[0].parameters, between.networks[0].parameters);
        assert_eq!(after.networks[0].running_stats != between.networks[0].running_stats, batch_norm);
        targets_followed(stage.plan.agent.td3.tau, &between, &after);
    }
}

/// The sums of the updates since the last call, and nothing the second time.
pub fn losses_are_handed_over_once<B: Backend>(new: &impl Fn() -> B) {
    let (mut stage, replay) = ready(new, true);
    for update in 1..=3 {
        let keys = UpdateKeys::new(8, update);
        let with_policy = update == 2;
        stage
            .backend
            .update(&stage.world, &replay, &mut stage.agent, &keys, with_policy)
            .expect("the device learns");
    }
    let losses = stage.backend.take_losses(&mut stage.agent).expect("the device reports");
    assert_eq!((losses.critic_updates, losses.policy_updates), (3, 1));
    assert!(losses.is_finite() && losses.critic_loss > 0.0 && losses.critic_gradient_norm > 0.0);
    assert!(losses.actor_gradient_norm > 0.0 && losses.actor_loss != 0.0);
    assert_eq!(stage.backend.take_losses(&mut stage.agent).expect("the device reports"), Losses::default());
}

/// Two devices that learn the same have the same agent, to the bit; another key makes another agent.
pub fn learning_repeats_itself_to_the_bit<B: Backend>(new: &impl Fn() -> B) {
    let learned = |seed| {
        let (mut stage, replay) = ready(new, true);
        for update in 1..=4 {
            stage.update(&replay, &UpdateKeys::new(seed, update));
        }
        agent_bits(&stage.export())
    };
    assert_eq!(learned(1), learned(1));
    assert_ne!(learned(1), learned(2));
}

/// An agent that has learned from one ring learns from another as one that never saw the first.
pub fn an_agent_learns_from_the_ring_it_is_given<B: Backend>(new: &impl Fn() -> B) {
    let (mut stage, first) = ready(new, true);
    let second = stage.replay(3..=4);
    (1..=3).for_each(|update| stage.update(&first, &UpdateKeys::new(8, update)));
    let between = stage.export();
    (4..=6).for_each(|update| stage.update(&second, &UpdateKeys::new(8, update)));
    let after = stage.export();
    let go_on = |stage: &mut Stage<B>, replay| {
        stage.agent = stage.backend.load_agent(&stage.plan.agent, &between).expect("the device takes an agent");
        (4..=6).for_each(|update| stage.update(replay, &UpdateKeys::new(8, update)));
        let weights = |agent: &AgentState| agent.networks.clone().map(|network| network.parameters).concat();
        weights(&stage.export()).iter().zip(weights(&after)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // A device may have known its weights to more digits; a step of Adam's is a hundred times as long.
    assert!(go_on(&mut stage, &second) < 3e-6);
    assert!(go_on(&mut stage, &first) > 1e-4, "rings that are alike would prove nothing");
}

/// A number that is none, in any layer of a network, is one in what it reports: nothing on the way makes it another.
pub fn what_is_no_number_shows_in_the_losses<B: Backend>(new: &impl Fn() -> B) {
    for (network, batch_norm) in [(0, true), (0, false), (1, true), (2, false)] {
        let (mut stage, replay) = ready(new, batch_norm);
        for layer in 0..stage.plan.agent.layouts()[network].layers().len() {
            let mut state = worn(&stage.plan.agent);
            let weight = stage.plan.agent.layouts()[network].layers()[layer].weight.start;
            state.networks[network].parameters[weight] = f32::NAN;
            stage.agent = stage.backend.load_agent(&stage.plan.agent, &state).expect("the device takes an agent");
            stage.update(&replay, &UpdateKeys::new(8, 1));
            let losses = stage.backend.take_losses(&mut stage.agent).expect("the device reports");
            assert!(!losses.is_finite(), "network {network}, layer {layer}: {losses:?}");
        }
    }
}

/// A whole small run, shadowed by the plain backend in double precision: dropout, noise, both normalisations, a ring that
/// wraps, no hidden layer at all, more rows than a device looks at in one piece.
pub fn learning_agrees_with_the_reference<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    for (batch_norm, dropout, hidden, batch_size) in [
        (true, 0.1, vec![19, 12], 24),
        (false, 0.0, vec![19, 12], 24),
        (true, 0.0, vec![8], 24),
        (false, 0.5, vec![], 24),
        (true, 0.1, vec![19, 12], 2_500),
        (false, 0.1, vec![19, 12], 2_500),
    ] {
        let plan = plan(&world, |config| {
            (config.td3.batch_norm, config.td3.dropout, config.td3.hidden_sizes) = (batch_norm, dropout, hidden);
            config.td3.batch_size = batch_size;
        });
        let backend = Shadow::new(new(), Reference::<f64>::default()).with_tolerance(SMALL);
        let mut session = Session::new(backend, &world.view().unwrap(), plan).expect("both begin alike");
        while !session.is_finished() {
            session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
        }
        assert!(session.progress().updates > 0, "a run that learns nothing would prove nothing");
    }
}

/// Sums here have at most 24 terms, so `f32` errs by some `1e-6`, and these seeds leave no unit at ReLU's corner.
const SMALL: Tolerance =
    Tolerance { action: 1e-5, losses: 1e-5, moments: 1e-4, weights: 1e-4, saturated: 0.0, refined: 0.0 };

/// A worn agent, and a ring of two rounds.
fn ready<B: Backend>(new: &impl Fn() -> B, batch_norm: bool) -> (Stage<B>, B::Replay) {
    let world = world();
    let mut stage = Stage::new(new(), &world, plan(&world, |config| config.td3.batch_norm = batch_norm));
    assert_eq!(agent_bits(&stage.export()), agent_bits(&worn(&stage.plan.agent)));
    let replay = stage.replay(1..=2);
    (stage, replay)
}

/// To two roundings of the larger of a number and its target: a difference, a product and a sum, or a device's own fused
/// form of them.
fn targets_followed(tau: f64, before: &AgentState, after: &AgentState) {
    for network in 0..3 {
        let (was, is, online) = (&before.targets[network], &after.targets[network], &after.networks[network]);
        let was = was.parameters.iter().chain(&was.running_stats);
        let is = is.parameters.iter().chain(&is.running_stats);
        for ((&was, &is), &online) in was.zip(is).zip(online.parameters.iter().chain(&online.running_stats)) {
            let due = soft_update(f64::from(was), f64::from(online), tau);
            let budget = 2.0 * f64::from(was.abs().max(online.abs())) * f64::from(f32::EPSILON);
            assert!((f64::from(is) - due).abs() <= budget, "network {network}: {is} where {due} is due");
        }
    }
}
