//! The probability that a user accepts an item (`docs/spec.md`, section 2.2, Acceptance).

use crate::model::math::{Real, sigmoid};

/// How the probability of an acceptance is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Acceptance<T> {
    /// The same probability for every item, in `[0, 1]`.
    Fixed(T),
    /// A probability that rises with the user's belief in the item's cluster and falls with the item's distance from
    /// the cluster's centre.
    Belief {
        /// The distance from which on only `baseline` remains, in units of the item's distance; above 0.
        max_cluster_distance: T,
        /// The factor on a belief before the sigmoid, per unit of belief; at least 0.
        sigmoid_scale: T,
        /// The probability that every item has at any distance, in `[0, 1]`.
        baseline: T,
    },
}

impl<T: Real> Acceptance<T> {
    /// The probability in `[0, 1]` that a user accepts an item.
    ///
    /// `belief` is the user's belief in the item's cluster, in `[0, 1]`. `distance` is the item's distance from the
    /// cluster's centre, at least 0.
    ///
    /// ```text
    /// p = clamp(max(0, 1 - distance / max_cluster_distance) * sigmoid(belief * sigmoid_scale) + baseline, 0, 1)
    /// ```
    ///
    /// The probability never falls when the belief grows, and never grows with the distance. The operations happen in
    /// the written order and each one is rounded, so every backend returns the same bits.
    ///
    /// ```
    /// use recsim_core::model::accept::Acceptance;
    /// let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 10_000.0, baseline: 0.1 };
    /// let p: f64 = acceptance.probability(0.0006, 1.0);
    /// assert!((p - 0.8980).abs() < 5e-5);
    /// assert_eq!(acceptance.probability(0.0006, 5.0), 0.1);
    /// assert_eq!(Acceptance::Fixed(0.25).probability(0.0006, 1.0), 0.25);
    /// ```
    #[inline]
    pub fn probability(&self, belief: T, distance: T) -> T {
        self.probability_given_response(self.belief_response(belief), distance)
    }

    /// The factor `sigmoid(belief * sigmoid_scale)`, in `[1/2, 1]` for a belief of at least 0. All items of a cluster
    /// share it. Returns 1 for [`Acceptance::Fixed`].
    ///
    /// ```
    /// use recsim_core::model::accept::Acceptance;
    /// let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 10_000.0, baseline: 0.1 };
    /// let response = acceptance.belief_response(0.0006_f32);
    /// assert_eq!(acceptance.probability_given_response(response, 1.0), acceptance.probability(0.0006, 1.0));
    /// ```
    #[inline]
    pub fn belief_response(&self, belief: T) -> T {
        match *self {
            Self::Fixed(_) => T::ONE,
            Self::Belief { sigmoid_scale, .. } => sigmoid(belief * sigmoid_scale),
        }
    }

    /// [`Acceptance::probability`] for a known [`Acceptance::belief_response`] of the item's cluster. It has the same
    /// bits and saves one exponential an item.
    #[inline]
    pub fn probability_given_response(&self, belief_response: T, distance: T) -> T {
        match *self {
            Self::Fixed(probability) => probability,
            Self::Belief { max_cluster_distance, baseline, .. } => {
                let nearness = (T::ONE - distance / max_cluster_distance).max(T::ZERO);
                (nearness * belief_response + baseline).clamp(T::ZERO, T::ONE)
            }
        }
    }
}
