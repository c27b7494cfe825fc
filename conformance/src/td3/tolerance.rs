//! How far a number may be off.
//!
//! Accuracy is measured, not guessed: PyTorch's own `f32` run is off its `f64` run by `error` at its worst place, and
//! another `f32` program with other orders of summation may be off by [`MULTIPLE`] times that. To this come the
//! roundings of the comparison, in units of [`EPSILON`].

use recsim_core::td3::{AgentSpec, AgentState};

use super::fixture::Case;

/// What a buffer's numbers may be off by, beside what every `f32` program is.
pub(super) enum Allowed<'a> {
    /// This much more, at every place.
    Plus(f64),
    /// What its path here explains, place by place.
    Each(&'a [f64]),
}

impl Allowed<'_> {
    /// The tolerance at a place of a buffer whose numbers go up to `largest`.
    pub(super) fn at(&self, place: usize, error: f64, largest: f32) -> f64 {
        // The number found and the number in the file are both rounded.
        let rounding = 2.0 * EPSILON * f64::from(largest);
        match self {
            Self::Plus(more) => MULTIPLE * error + rounding + more,
            Self::Each(bounds) => bounds[place] + rounding,
        }
    }
}

/// The tolerance of a loss or a norm. A mean may be summed one after the other in `f32`.
pub(super) fn of_mean(case: &Case, name: &str, expected: f64) -> f64 {
    MULTIPLE * case.errors[name] + f64::from(case.td3.batch_size) * EPSILON / 2.0 * expected.abs()
}

/// The clipped gradient that moved Adam's first moment from `old` to `new`, `(new - 0.9 old) / 0.1`, and how far the
/// rounding of the two moments can put it off.
pub(super) fn gradient(old: &[f32], new: &[f32]) -> (Vec<f32>, f64) {
    let gradient =
        |(&old, &new): (&f32, &f32)| ((f64::from(new) - BETA_1 * f64::from(old)) / (1.0 - BETA_1)) as f32;
    let largest = old.iter().chain(new).fold(0.0_f32, |most, moment| most.max(moment.abs()));
    (old.iter().zip(new).map(gradient).collect(), 2.0 * EPSILON * f64::from(largest) / (1.0 - BETA_1))
}

/// How far parameters may have gone astray so far, place by place.
///
/// Adam divides a gradient by its own size, `learning_rate * m / (sqrt(v) + epsilon)`. If the gradients are off by
/// `delta`, then so is `m`, and `sqrt(v)` as well; a step is off by at most `2 delta / (sqrt(v) + epsilon)` of its
/// longest, and by twice its longest if even the sign is lost. So the bound is tight where gradients are large, and says
/// nothing about those that are rounding noise.
pub(super) struct Moved {
    learning_rate: f64,
    /// Of each network's gradient.
    delta: [f64; 3],
    bounds: [Vec<f64>; 3],
}

impl Moved {
    pub(super) fn new(case: &Case, spec: &AgentSpec) -> Self {
        let layouts = [&spec.actor, &spec.critics[0], &spec.critics[1]];
        let delta = ["actor", "critic_1", "critic_2"].map(|network| {
            let ends = format!("{network}/gradient");
            let errors = case.errors.iter().filter(|(name, _)| name.ends_with(&ends));
            MULTIPLE * errors.map(|(_, &error)| error).fold(0.0, f64::max)
        });
        let bounds = layouts.map(|layout| vec![0.0; layout.parameter_count()]);
        Self { learning_rate: spec.td3.learning_rate, delta, bounds }
    }

    /// One more update, after which the agent is `after`.
    pub(super) fn step(&mut self, after: &AgentState, policy: bool) {
        for network in 0..3 {
            let steps = if network == 0 { after.policy_updates } else { after.critic_updates };
            if network == 0 && !policy {
                continue;
            }
            let correction = 1.0 - BETA_2.powi(i32::try_from(steps).expect("a few updates"));
            let parameters = &after.networks[network].parameters;
            let places = self.bounds[network].iter_mut().zip(&after.moments[network].second).zip(parameters);
            for ((bound, &second), &parameter) in places {
                let size = (f64::from(second) / correction).sqrt() + 1e-8;
                let lost = (2.0 * self.delta[network] / size).min(2.0);
                *bound += self.learning_rate * lost + EPSILON * f64::from(parameter).abs();
            }
        }
    }

    /// `[parameters]` of a network; they hold for its target too, which follows at a share of the way.
    pub(super) fn bounds(&self, network: usize) -> &[f64] {
        &self.bounds[network]
    }
}

const MULTIPLE: f64 = 4.0;
const EPSILON: f64 = f32::EPSILON as f64;
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
