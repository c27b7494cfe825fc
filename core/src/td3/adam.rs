//! The optimizer: Adam (Kingma and Ba, 2015), with gradients clipped by their global norm.

use crate::model::math::Real;

/// Adam's constants, as in the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Step size.
    pub learning_rate: f64,
    /// Memory of the gradient.
    pub beta1: f64,
    /// Memory of its square.
    pub beta2: f64,
    /// Guard against a division by 0.
    pub epsilon: f64,
}

/// What one step does to every parameter, its bias corrections worked out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep<T> {
    /// What the gradient is multiplied by first: see [`clip_coefficient`].
    pub clip_coefficient: T,
    /// Memory of the gradient.
    pub beta1: T,
    /// Memory of its square.
    pub beta2: T,
    /// `1 - beta_1`, worked out before rounding to `T`: in `f32`, `1 - 0.999` is off by a hundred-thousandth.
    pub one_minus_beta1: T,
    /// `1 - beta_2`, likewise.
    pub one_minus_beta2: T,
    /// `learning_rate / (1 - beta_1^t)`
    pub step_size: T,
    /// `sqrt(1 - beta_2^t)`
    pub sqrt_bias_correction2: T,
    /// Guard against a division by 0.
    pub epsilon: T,
}

impl Adam {
    /// Adam with the usual memories (0.9, 0.999) and epsilon (1e-8).
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// Step number `step`, counted from 1, with gradients scaled by `clip`.
    pub fn step<T: Real>(&self, step: u64, clip_coefficient: T) -> AdamStep<T> {
        let correction_1 = 1.0 - libm::pow(self.beta1, step as f64);
        let correction_2 = 1.0 - libm::pow(self.beta2, step as f64);
        AdamStep {
            clip_coefficient,
            beta1: T::from_f64(self.beta1),
            beta2: T::from_f64(self.beta2),
            one_minus_beta1: T::from_f64(1.0 - self.beta1),
            one_minus_beta2: T::from_f64(1.0 - self.beta2),
            step_size: T::from_f64(self.learning_rate / correction_1),
            sqrt_bias_correction2: T::from_f64(libm::sqrt(correction_2)),
            epsilon: T::from_f64(self.epsilon),
        }
    }
}

impl<T: Real> AdamStep<T> {
    /// Moves one parameter and its two moments along its gradient:
    ///
    /// `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g²`,
    /// `p -= learning_rate * (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)`
    #[inline]
    pub fn apply(&self, parameter: &mut T, first: &mut T, second: &mut T, gradient: T) {
        let gradient = gradient * self.clip_coefficient;
        *first = self.beta1 * *first + self.one_minus_beta1 * gradient;
        *second = self.beta2 * *second + self.one_minus_beta2 * gradient * gradient;
        *parameter -= self.step_size * *first / (second.sqrt() / self.sqrt_bias_correction2 + self.epsilon);
    }
}

/// What gradients of global norm `norm` are multiplied by so that it is at most about `most`: PyTorch's rule,
/// `min(1, most / (norm + 1e-6))`.
///
/// ```
/// assert_eq!(recsim_core::td3::adam::clip_coefficient(0.5_f64, 1.0), 1.0);
/// assert!((recsim_core::td3::adam::clip_coefficient(4.0_f64, 1.0) - 0.25).abs() < 1e-6);
/// ```
pub fn clip_coefficient<T: Real>(norm: T, most: T) -> T {
    (most / (norm + T::from_f64(1e-6))).min(T::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_against_the_gradients_sign() {
        for gradient in [-3.0_f64, 1e-3, 20.0] {
            let (mut parameter, mut first, mut second) = (1.0, 0.0, 0.0);
            Adam::new(0.1).step(1, 1.0).apply(&mut parameter, &mut first, &mut second, gradient);
            assert!((parameter - (1.0 - 0.1 * gradient.signum())).abs() < 1e-5);
        }
    }
}
