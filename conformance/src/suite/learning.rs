//! Updates: what they change, that they are reproducible, and that they agree with the reference backend.

use recsim_core::backend::Backend;
use recsim_core::backend::reference::Reference;
use recsim_core::session::Session;
use recsim_core::td3::{AgentState, Losses, UpdateKeys, soft_update};

use super::setup::{LoadedBackend, agent_bits, plan, trained_agent, world};
use crate::shadow::{Shadow, Tolerance};

/// An update without the policy changes the critics only. One with the policy also changes the actor, and moves every
/// target, running statistics included, by `tau` towards its network.
pub fn update_changes_only_its_networks<B: Backend>(new: &impl Fn() -> B) {
    for batch_norm in [true, false] {
        let (mut loaded, replay) = trained_with_replay(new, batch_norm);
        let keys = UpdateKeys::new(8, 1);
        let before = loaded.export();
        loaded.backend.update(&loaded.world, &replay, &mut loaded.agent, &keys, false).expect("the backend learns");
        let between = loaded.export();
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
        loaded.agent = loaded.backend.load_agent(&loaded.plan.agent, &before).expect("the backend loads an agent");
        loaded.backend.update(&loaded.world, &replay, &mut loaded.agent, &keys, true).expect("the backend learns");
        let after = loaded.export();
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
        assert_soft_update(loaded.plan.agent.td3.tau, &between, &after);
    }
}

/// [`Inspect::take_losses`](recsim_core::backend::Inspect::take_losses) returns the sums of the updates since the last
/// call, and zeros if there was no update.
pub fn take_losses_resets_the_sums<B: Backend>(new: &impl Fn() -> B) {
    let (mut loaded, replay) = trained_with_replay(new, true);
    for update in 1..=3 {
        let keys = UpdateKeys::new(8, update);
        let with_policy = update == 2;
        loaded
            .backend
            .update(&loaded.world, &replay, &mut loaded.agent, &keys, with_policy)
            .expect("the backend learns");
    }
    let losses = loaded.backend.take_losses(&mut loaded.agent).expect("the backend reports");
    assert_eq!((losses.critic_updates, losses.policy_updates), (3, 1));
    assert!(losses.is_finite() && losses.critic_loss > 0.0 && losses.critic_gradient_norm > 0.0);
    assert!(losses.actor_gradient_norm > 0.0 && losses.actor_loss != 0.0);
    assert_eq!(loaded.backend.take_losses(&mut loaded.agent).expect("the backend reports"), Losses::default());
}

/// Two backends that make the same updates have the same agent, to the bit. Another key gives another agent.
pub fn learning_is_reproducible<B: Backend>(new: &impl Fn() -> B) {
    let learned = |seed| {
        let (mut loaded, replay) = trained_with_replay(new, true);
        for update in 1..=4 {
            loaded.update(&replay, &UpdateKeys::new(seed, update));
        }
        agent_bits(&loaded.export())
    };
    assert_eq!(learned(1), learned(1));
    assert_ne!(learned(1), learned(2));
}

/// After updates from one buffer, updates from another give the agent that a backend without the first buffer's history
/// gets.
pub fn update_uses_the_given_replay_buffer<B: Backend>(new: &impl Fn() -> B) {
    let (mut loaded, first) = trained_with_replay(new, true);
    let second = loaded.replay(3..=4);
    (1..=3).for_each(|update| loaded.update(&first, &UpdateKeys::new(8, update)));
    let checkpoint = loaded.export();
    (4..=6).for_each(|update| loaded.update(&second, &UpdateKeys::new(8, update)));
    let after = loaded.export();
    let max_difference = |loaded: &mut LoadedBackend<B>, replay| {
        loaded.agent =
            loaded.backend.load_agent(&loaded.plan.agent, &checkpoint).expect("the backend loads an agent");
        (4..=6).for_each(|update| loaded.update(replay, &UpdateKeys::new(8, update)));
        let weights = |agent: &AgentState| agent.networks.clone().map(|network| network.parameters).concat();
        weights(&loaded.export()).iter().zip(weights(&after)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    // A backend may hold weights in higher precision than it exports. A step of Adam is a hundred times as long.
    assert!(max_difference(&mut loaded, &second) < 3e-6);
    assert!(max_difference(&mut loaded, &first) > 1e-4, "the buffers must differ for the test to mean something");
}

/// A NaN weight in any layer of any network makes the losses non-finite: no stage hides it.
pub fn non_finite_weight_shows_in_losses<B: Backend>(new: &impl Fn() -> B) {
    for (network, batch_norm) in [(0, true), (0, false), (1, true), (2, false)] {
        let (mut loaded, replay) = trained_with_replay(new, batch_norm);
        for layer in 0..loaded.plan.agent.layouts()[network].layers().len() {
            let mut state = trained_agent(&loaded.plan.agent);
            let weight = loaded.plan.agent.layouts()[network].layers()[layer].weight.start;
            state.networks[network].parameters[weight] = f32::NAN;
            loaded.agent =
                loaded.backend.load_agent(&loaded.plan.agent, &state).expect("the backend loads an agent");
            loaded.update(&replay, &UpdateKeys::new(8, 1));
            let losses = loaded.backend.take_losses(&mut loaded.agent).expect("the backend reports");
            assert!(!losses.is_finite(), "network {network}, layer {layer}: {losses:?}");
        }
    }
}

/// Whole small runs under [`Shadow`] with the reference backend in double precision: with dropout, noise, BatchNorm and
/// without, a buffer that overflows, no hidden layer, and more rows than a backend processes in one tile.
pub fn learning_matches_reference<B: Backend>(new: &impl Fn() -> B) {
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
        let backend = Shadow::new(new(), Reference::<f64>::default()).with_tolerance(SMALL_NETWORKS);
        let mut session =
            Session::new(backend, &world.view().expect("a valid world"), plan).expect("a session starts");
        while !session.is_finished() {
            session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error:?}"));
        }
        assert!(session.progress().updates > 0, "the run must make updates for the test to mean something");
    }
}

/// Sums here have at most 24 terms, so `f32` has errors of some `1e-6`. With these seeds no ReLU's input is near 0.
const SMALL_NETWORKS: Tolerance =
    Tolerance { action: 1e-5, losses: 1e-5, moments: 1e-4, weights: 1e-4, saturated: 0.0, reranked: 0.0 };

/// A trained agent, and a replay buffer of two rounds.
fn trained_with_replay<B: Backend>(new: &impl Fn() -> B, batch_norm: bool) -> (LoadedBackend<B>, B::Replay) {
    let world = world();
    let mut loaded = LoadedBackend::new(new(), &world, plan(&world, |config| config.td3.batch_norm = batch_norm));
    assert_eq!(agent_bits(&loaded.export()), agent_bits(&trained_agent(&loaded.plan.agent)));
    let replay = loaded.replay(1..=2);
    (loaded, replay)
}

/// Asserts the soft update of all targets, to two roundings of the larger of a value and its target: a difference, a
/// product and a sum, or a backend's fused form of them.
fn assert_soft_update(tau: f64, before: &AgentState, after: &AgentState) {
    for network in 0..3 {
        let (was, is, online) = (&before.targets[network], &after.targets[network], &after.networks[network]);
        let was = was.parameters.iter().chain(&was.running_stats);
        let is = is.parameters.iter().chain(&is.running_stats);
        for ((&was, &is), &online) in was.zip(is).zip(online.parameters.iter().chain(&online.running_stats)) {
            let expected = soft_update(f64::from(was), f64::from(online), tau);
            let budget = 2.0 * f64::from(was.abs().max(online.abs())) * f64::from(f32::EPSILON);
            assert!((f64::from(is) - expected).abs() <= budget, "network {network}: {is}, expected {expected}");
        }
    }
}
