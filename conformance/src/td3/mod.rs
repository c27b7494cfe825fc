//! TD3 held to PyTorch: losses, gradients, running statistics, weights and targets of a few updates.
//!
//! `scripts/td3_fixture.py` made the updates with PyTorch, in `f64` and in `f32`. What a backend computes may differ from
//! the `f64` run by four times what PyTorch's own `f32` run does at its worst, and by the roundings that the comparison
//! itself adds (the `tolerance` module).

mod fixture;
mod tolerance;

use recsim_core::backend::{Backend, Pending};
use recsim_core::td3::{AgentState, Losses, UpdateKeys, is_policy_update};

use fixture::Case;
use tolerance::{Allowed, Moved};

/// Checks a backend against every case.
///
/// # Panics
/// If a number is farther off than float32 accuracy explains; the message says which.
pub fn matches_pytorch<B: Backend>(new: impl Fn() -> B) {
    for case in fixture::cases() {
        follow(&mut new(), &case);
    }
}

fn follow<B: Backend>(backend: &mut B, case: &Case) {
    let plan = case.plan();
    let fine = "a backend serves a small world";
    let world = backend.load_world(&case.world(), &plan.environment).expect(fine);
    let replay = backend.create_replay(&world, plan.agent.buffer_size(), &case.transitions()).expect(fine);

    let mut before = case.initial(&plan.agent);
    let mut agent = backend.load_agent(&plan.agent, &before).expect(fine);
    let mut moved = Moved::new(case, &plan.agent);
    for (update, losses) in (1..).zip(&case.losses) {
        let keys = UpdateKeys::new(case.seed, update);
        let policy = is_policy_update(update, plan.agent.td3.policy_freq);
        backend.update(&world, &replay, &mut agent, &keys, policy).expect(fine);
        compare_losses(case, update, policy, &backend.take_losses(&mut agent).expect(fine), losses);
        let after = backend.export_agent(&agent).and_then(Pending::wait).expect(fine);
        moved.step(&after, policy);
        if case.shown.contains(&update) {
            compare_buffers(case, update, policy, [&before, &after], &moved);
        }
        before = after;
    }
}

fn compare_losses(case: &Case, update: u64, policy: bool, found: &Losses, expected: &fixture::Losses) {
    let mut pairs = vec![
        ("critic_loss", found.critic_loss, Some(expected.critic_loss)),
        ("q_value", found.q_value, Some(expected.q_value)),
        ("target_value", found.target_value, Some(expected.target_value)),
        ("critic_gradient_norm", found.critic_gradient_norm, Some(expected.critic_gradient_norm)),
    ];
    if policy {
        pairs.push(("actor_loss", found.actor_loss, expected.actor_loss));
        pairs.push(("actor_gradient_norm", found.actor_gradient_norm, expected.actor_gradient_norm));
    }
    assert_eq!((found.critic_updates, found.policy_updates), (1, u64::from(policy)));
    for (name, found, expected) in pairs {
        let expected = expected.expect("the fixture has the policy's losses where it moves");
        let allowed = tolerance::of_mean(case, name, expected);
        assert!(
            (found - expected).abs() <= allowed,
            "{}, update {update}: {name} is {found}, PyTorch says {expected}, give or take {allowed:e}",
            case.name
        );
    }
}

fn compare_buffers(case: &Case, update: u64, policy: bool, [before, after]: [&AgentState; 2], moved: &Moved) {
    for (n, network) in ["actor", "critic_1", "critic_2"].into_iter().enumerate() {
        let compare = |what: &str, found: &[f32], allowed: &Allowed<'_>| {
            case.compare(&format!("{}/{update}/{network}/{what}", case.name), found, allowed);
        };
        if n > 0 || policy {
            let [old, new] = [before, after].map(|state| &state.moments[n]);
            let (gradient, rounding) = tolerance::gradient(&old.first, &new.first);
            compare("gradient", &gradient, &Allowed::Plus(rounding));
            compare("second", &new.second, &Allowed::Plus(0.0));
        }
        let path = &Allowed::Each(moved.bounds(n));
        compare("parameters", &after.networks[n].parameters, path);
        compare("target_parameters", &after.targets[n].parameters, path);
        compare("statistics", &after.networks[n].running_stats, &Allowed::Plus(0.0));
        compare("target_statistics", &after.targets[n].running_stats, &Allowed::Plus(0.0));
    }
}
