//! The optimizer: Adam with gradients clipped by their global norm (`docs/spec.md`, section 4.8, Adam and clipping).

use crate::model::math::Real;

/// The settings of Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate; above 0.
    pub learning_rate: f64,
    /// The decay rate of the mean gradient, in `[0, 1)`.
    pub beta1: f64,
    /// The decay rate of the mean squared gradient, in `[0, 1)`.
    pub beta2: f64,
    /// The term that keeps the divisor above 0.
    pub epsilon: f64,
}

/// One optimizer step: what is the same for all parameters, with the bias corrections.
///
/// Each factor is computed in `f64` and rounded to `T` once. In `f32` arithmetic, `1 - 0.999` would have a relative
/// error of `1e-5`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep<T> {
    /// The factor on the gradient, in `[0, 1]`; see [`clip_coefficient`].
    pub clip_coefficient: T,
    /// [`Adam::beta1`].
    pub beta1: T,
    /// [`Adam::beta2`].
    pub beta2: T,
    /// `1 - beta1`
    pub one_minus_beta1: T,
    /// `1 - beta2`
    pub one_minus_beta2: T,
    /// `learning_rate / (1 - beta1^t)`
    pub step_size: T,
    /// `sqrt(1 - beta2^t)`
    pub sqrt_bias_correction2: T,
    /// [`Adam::epsilon`].
    pub epsilon: T,
}

impl Adam {
    /// Adam with the paper's decay rates 0.9 and 0.999 and its epsilon of 1e-8.
    pub fn new(learning_rate: f64) -> Self {
        Self { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// The factors of step number `step`, counted from 1, for gradients that are multiplied by `clip_coefficient`.
    ///
    /// ```
    /// use recsim_core::td3::adam::Adam;
    /// let step = Adam::new(0.1).step::<f64>(1, 1.0);
    /// assert!((step.step_size - 1.0).abs() < 1e-12); // 0.1 / (1 - 0.9)
    /// assert_eq!(step.one_minus_beta1, 1.0 - 0.9);
    /// ```
    pub fn step<T: Real>(&self, step: u64, clip_coefficient: T) -> AdamStep<T> {
        let bias_correction1 = 1.0 - libm::pow(self.beta1, step as f64);
        let bias_correction2 = 1.0 - libm::pow(self.beta2, step as f64);
        AdamStep {
            clip_coefficient,
            beta1: T::from_f64(self.beta1),
            beta2: T::from_f64(self.beta2),
            one_minus_beta1: T::from_f64(1.0 - self.beta1),
            one_minus_beta2: T::from_f64(1.0 - self.beta2),
            step_size: T::from_f64(self.learning_rate / bias_correction1),
            sqrt_bias_correction2: T::from_f64(libm::sqrt(bias_correction2)),
            epsilon: T::from_f64(self.epsilon),
        }
    }
}

impl<T: Real> AdamStep<T> {
    /// Updates one parameter `p` and its two moments `m` and `v` with its gradient:
    ///
    /// ```text
    /// g = gradient * clip_coefficient
    /// m = beta1 * m + (1 - beta1) * g
    /// v = beta2 * v + (1 - beta2) * g * g
    /// p = p - learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
    /// ```
    ///
    /// The paper divides `v` by `1 - beta2^t` before the root; the two forms are equal but for rounding.
    ///
    /// ```
    /// use recsim_core::td3::adam::Adam;
    /// let (mut parameter, mut first, mut second) = (1.0_f64, 0.0, 0.0);
    /// Adam::new(0.1).step(1, 1.0).apply(&mut parameter, &mut first, &mut second, 20.0);
    /// assert!((parameter - 0.9).abs() < 1e-9); // the first step is the learning rate against the gradient's sign
    /// ```
    #[inline]
    pub fn apply(&self, parameter: &mut T, first_moment: &mut T, second_moment: &mut T, gradient: T) {
        let gradient = gradient * self.clip_coefficient;
        *first_moment = self.beta1 * *first_moment + self.one_minus_beta1 * gradient;
        *second_moment = self.beta2 * *second_moment + self.one_minus_beta2 * gradient * gradient;
        *parameter -=
            self.step_size * *first_moment / (second_moment.sqrt() / self.sqrt_bias_correction2 + self.epsilon);
    }
}

/// The factor in `[0, 1]` on gradients of global norm `norm`, after which their norm is at most about `max_norm`:
/// `min(max_norm / (norm + 1e-6), 1)`.
///
/// It is the rule of PyTorch's `clip_grad_norm_`. `norm` is at least 0 and `max_norm` is above 0.
///
/// ```
/// assert_eq!(recsim_core::td3::adam::clip_coefficient(0.5_f64, 1.0), 1.0);
/// assert!((recsim_core::td3::adam::clip_coefficient(4.0_f64, 1.0) - 0.25).abs() < 1e-6);
/// ```
pub fn clip_coefficient<T: Real>(norm: T, max_norm: T) -> T {
    (max_norm / (norm + T::from_f64(1e-6))).min(T::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_first_step_is_the_learning_rate_against_the_gradients_sign() {
        for gradient in [-3.0_f64, 1e-3, 20.0] {
            let (mut parameter, mut first, mut second) = (1.0, 0.0, 0.0);
            Adam::new(0.1).step(1, 1.0).apply(&mut parameter, &mut first, &mut second, gradient);
            assert!((parameter - (1.0 - 0.1 * gradient.signum())).abs() < 1e-5);
        }
    }
}
