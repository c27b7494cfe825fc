//! TD3 compared with PyTorch: losses, gradients, running statistics, weights and targets of a few updates.
//!
//! `scripts/td3_fixture.py` made the updates with PyTorch, in `f64` and in `f32`. A backend may differ from the `f64`
//! run by four times the largest error of PyTorch's own `f32` run, plus the roundings of the comparison (the
//! `tolerance` module).

mod fixture;
mod tolerance;

use recsim_core::backend::{Backend, Pending};
use recsim_core::td3::{AgentState, Losses, UpdateKeys, is_policy_update};

use fixture::PytorchCase;
use tolerance::{ElementTolerance, ParameterErrorBound};

/// Compares a backend's updates with PyTorch's in every case. `new` creates a backend.
///
/// # Panics
/// If a value differs by more than `f32` accuracy explains. The message names the value.
pub fn matches_pytorch<B: Backend>(new: impl Fn() -> B) {
    for case in fixture::cases() {
        compare_case(&mut new(), &case);
    }
}

fn compare_case<B: Backend>(backend: &mut B, case: &PytorchCase) {
    let plan = case.plan();
    let works = "the backend does not fail";
    let world = backend.load_world(&case.world(), &plan.environment).expect(works);
    let replay = backend.create_replay(&world, plan.agent.buffer_size(), &case.transitions()).expect(works);

    let mut before = case.initial(&plan.agent);
    let mut agent = backend.load_agent(&plan.agent, &before).expect(works);
    let mut error_bound = ParameterErrorBound::new(case, &plan.agent);
    for (update, losses) in (1..).zip(&case.losses) {
        let keys = UpdateKeys::new(case.seed, update);
        let with_policy = is_policy_update(update, plan.agent.td3.policy_freq);
        backend.update(&world, &replay, &mut agent, &keys, with_policy).expect(works);
        compare_losses(case, update, with_policy, &backend.take_losses(&mut agent).expect(works), losses);
        let after = backend.export_agent(&agent).and_then(Pending::wait).expect(works);
        error_bound.add_update(&after, with_policy);
        if case.compared_updates.contains(&update) {
            compare_buffers(case, update, with_policy, [&before, &after], &error_bound);
        }
        before = after;
    }
}

fn compare_losses(
    case: &PytorchCase,
    update: u64,
    with_policy: bool,
    actual: &Losses,
    expected: &fixture::PytorchLosses,
) {
    let mut values = vec![
        ("critic_loss", actual.critic_loss, Some(expected.critic_loss)),
        ("q_value", actual.q_value, Some(expected.q_value)),
        ("target_value", actual.target_value, Some(expected.target_value)),
        ("critic_gradient_norm", actual.critic_gradient_norm, Some(expected.critic_gradient_norm)),
    ];
    if with_policy {
        values.push(("actor_loss", actual.actor_loss, expected.actor_loss));
        values.push(("actor_gradient_norm", actual.actor_gradient_norm, expected.actor_gradient_norm));
    }
    assert_eq!((actual.critic_updates, actual.policy_updates), (1, u64::from(with_policy)));
    for (name, actual, expected) in values {
        let expected = expected.expect("the fixture has the actor's losses of a policy update");
        let allowed = tolerance::of_mean(case, name, expected);
        assert!(
            (actual - expected).abs() <= allowed,
            "{}, update {update}: {name} is {actual}, PyTorch has {expected}, and {allowed:e} is allowed",
            case.name
        );
    }
}

fn compare_buffers(
    case: &PytorchCase,
    update: u64,
    with_policy: bool,
    [before, after]: [&AgentState; 2],
    error_bound: &ParameterErrorBound,
) {
    for (n, network) in ["actor", "critic_1", "critic_2"].into_iter().enumerate() {
        let compare = |buffer: &str, actual: &[f32], allowed: &ElementTolerance<'_>| {
            case.compare(&format!("{}/{update}/{network}/{buffer}", case.name), actual, allowed);
        };
        if n > 0 || with_policy {
            let [old, new] = [before, after].map(|state| &state.moments[n]);
            let (gradient, rounding) = tolerance::gradient(&old.first, &new.first);
            compare("gradient", &gradient, &ElementTolerance::Plus(rounding));
            compare("second", &new.second, &ElementTolerance::Plus(0.0));
        }
        let by_element = &ElementTolerance::Each(error_bound.bounds(n));
        compare("parameters", &after.networks[n].parameters, by_element);
        compare("target_parameters", &after.targets[n].parameters, by_element);
        compare("statistics", &after.networks[n].running_stats, &ElementTolerance::Plus(0.0));
        compare("target_statistics", &after.targets[n].running_stats, &ElementTolerance::Plus(0.0));
    }
}
