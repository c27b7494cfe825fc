//! Whether a user takes an item: `spec` section 2, *Acceptance*.

use crate::model::math::{Real, sigmoid};

/// How the probability of an acceptance is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Acceptance<T> {
    /// The same probability for every item, in `[0, 1]`.
    Fixed(T),
    /// Near items, and clusters the user believes in, are taken more often.
    Belief {
        /// The distance from its cluster's centre at which an item is taken only by the baseline; above 0.
        max_cluster_distance: T,
        /// What a belief is multiplied by before the sigmoid; at least 0.
        sigmoid_scale: T,
        /// The probability that even the farthest item has, in `[0, 1]`.
        baseline: T,
    },
}

impl<T: Real> Acceptance<T> {
    /// The probability in `[0, 1]` that a user whose belief in the item's cluster is `belief` takes an item at
    /// `distance >= 0` from the cluster's centre:
    ///
    /// `p = clamp(max(0, 1 - distance / max_cluster_distance) * sigmoid(belief * sigmoid_scale) + baseline, 0, 1)`
    ///
    /// It never falls when the belief grows, and never grows with the distance. The order of operations is the one
    /// written, each rounded by itself: every backend gives the same bits.
    ///
    /// ```
    /// use recsim_core::model::accept::Acceptance;
    /// let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 10_000.0, baseline: 0.1 };
    /// let p: f64 = acceptance.probability(0.0006, 1.0);
    /// assert!((p - 0.8980).abs() < 5e-5);
    /// ```
    #[inline]
    pub fn probability(&self, belief: T, distance: T) -> T {
        self.probability_given_response(self.belief_response(belief), distance)
    }

    /// What a belief makes of all items of its cluster alike: `sigmoid(belief * sigmoid_scale)`, in `[0, 1]`.
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

    /// [`Acceptance::probability`], given the [`belief_response`](Acceptance::belief_response) of the item's cluster.
    #[inline]
    pub fn probability_given_response(&self, appeal: T, distance: T) -> T {
        match *self {
            Self::Fixed(probability) => probability,
            Self::Belief { max_cluster_distance, baseline, .. } => {
                let nearness = (T::ONE - distance / max_cluster_distance).max(T::ZERO);
                (nearness * appeal + baseline).clamp(T::ZERO, T::ONE)
            }
        }
    }
}
