//! How far a value may differ from PyTorch's.
//!
//! Accuracy is measured: PyTorch's own `f32` run differs from its `f64` run by at most `error`, and another `f32`
//! program with other orders of summation may differ by [`MULTIPLE`] times that. The roundings of the comparison, in
//! units of [`EPSILON`], are added.

use recsim_core::td3::{AgentSpec, AgentState};

use super::fixture::PytorchCase;

/// The tolerance of a buffer's elements.
pub(super) enum ElementTolerance<'a> {
    /// The accuracy of an `f32` program, plus this amount.
    Plus(f64),
    /// These bounds, element by element.
    Each(&'a [f64]),
}

impl ElementTolerance<'_> {
    /// The tolerance of element `index` of a buffer whose largest magnitude is `largest`.
    pub(super) fn at(&self, index: usize, error: f64, largest: f32) -> f64 {
        // The backend's value and the one in the file are both rounded.
        let rounding = 2.0 * EPSILON * f64::from(largest);
        match self {
            Self::Plus(amount) => MULTIPLE * error + rounding + amount,
            Self::Each(bounds) => bounds[index] + rounding,
        }
    }
}

/// The tolerance of a loss or a norm. A backend may sum the terms of a mean one by one in `f32`.
pub(super) fn of_mean(case: &PytorchCase, name: &str, expected: f64) -> f64 {
    MULTIPLE * case.errors[name] + f64::from(case.td3.batch_size) * EPSILON / 2.0 * expected.abs()
}

/// The clipped gradient that moved Adam's first moment from `old` to `new`, `(new - 0.9 old) / 0.1`, and a bound on
/// the effect of the rounding of the two moments.
pub(super) fn gradient(old: &[f32], new: &[f32]) -> (Vec<f32>, f64) {
    let gradient = |(&old, &new): (&f32, &f32)| ((f64::from(new) - BETA1 * f64::from(old)) / (1.0 - BETA1)) as f32;
    let largest = old.iter().chain(new).fold(0.0_f32, |max, moment| max.max(moment.abs()));
    (old.iter().zip(new).map(gradient).collect(), 2.0 * EPSILON * f64::from(largest) / (1.0 - BETA1))
}

/// A bound on the difference of each parameter from PyTorch's after the updates so far.
///
/// A step of Adam is `learning_rate * m / (sqrt(v) + epsilon)`. If the gradients differ by at most `delta`, so do `m`
/// and `sqrt(v)`, and the step by at most `learning_rate * 2 delta / (sqrt(v) + epsilon)`, or by twice `learning_rate`
/// if the sign differs. The bound is tight where gradients are large, and permits any step where a gradient is only
/// rounding.
pub(super) struct ParameterErrorBound {
    learning_rate: f64,
    /// The bound on the difference of each network's gradient.
    delta: [f64; 3],
    /// `[parameters]` of each network.
    bounds: [Vec<f64>; 3],
}

impl ParameterErrorBound {
    pub(super) fn new(case: &PytorchCase, spec: &AgentSpec) -> Self {
        let layouts = [&spec.actor, &spec.critics[0], &spec.critics[1]];
        let delta = ["actor", "critic_1", "critic_2"].map(|network| {
            let suffix = format!("{network}/gradient");
            let errors = case.errors.iter().filter(|(name, _)| name.ends_with(&suffix));
            MULTIPLE * errors.map(|(_, &error)| error).fold(0.0, f64::max)
        });
        let bounds = layouts.map(|layout| vec![0.0; layout.parameter_count()]);
        Self { learning_rate: spec.td3.learning_rate, delta, bounds }
    }

    /// Adds one update, after which the agent is `after`.
    pub(super) fn add_update(&mut self, after: &AgentState, with_policy: bool) {
        for network in 0..3 {
            let steps = if network == 0 { after.policy_updates } else { after.critic_updates };
            if network == 0 && !with_policy {
                continue;
            }
            let correction = 1.0 - BETA2.powi(i32::try_from(steps).expect("a few updates"));
            let parameters = &after.networks[network].parameters;
            let elements = self.bounds[network].iter_mut().zip(&after.moments[network].second).zip(parameters);
            for ((bound, &second), &parameter) in elements {
                let size = (f64::from(second) / correction).sqrt() + 1e-8;
                let relative_error = (2.0 * self.delta[network] / size).min(2.0);
                *bound += self.learning_rate * relative_error + EPSILON * f64::from(parameter).abs();
            }
        }
    }

    /// The bounds of a network, `[parameters]`. They hold for its target too, which is an average of earlier networks.
    pub(super) fn bounds(&self, network: usize) -> &[f64] {
        &self.bounds[network]
    }
}

/// The factor on PyTorch's own `f32` error.
const MULTIPLE: f64 = 4.0;
const EPSILON: f64 = f32::EPSILON as f64;
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
