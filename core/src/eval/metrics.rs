//! The metrics by which policies are compared (`docs/spec.md`, section 8.3).

use serde::{Deserialize, Serialize};

/// One `T` for each metric of a policy: a value, a confidence interval or a name.
///
/// Means are over users, seeds and rounds, unless other sets are named. The summed distance of a user is
/// `sum_c |target_c - b_c|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyMetrics<T> {
    /// The area on the scale where `random` is 0 and `greedy` is 1; more is better
    /// ([`normalized_area`](super::curve::normalized_area)).
    #[serde(alias = "normalised_area")]
    pub normalized_area: T,
    /// The [`area`](super::curve::area) under the mean summed distance; at least 0. It ranks the policies; less is
    /// better.
    pub area: T,
    /// The [interquartile mean](super::RankedValues::interquartile_mean) of the areas of single users and seeds; less
    /// is better.
    pub area_iqm: T,
    /// Mean summed distance after the last round, in `[0, sum target]`; less is better.
    pub distance: T,
    /// The first round, from 1, with at most a tenth of the initial mean distance
    /// ([`first_round_below_tenth`](super::curve::first_round_below_tenth)); less is better.
    pub rounds_to_tenth: T,
    /// The share of users nearer to the target after the last round than at the start, in `[0, 1]`.
    pub improved_share: T,
    /// Mean over users and seeds of the undiscounted sum of rewards. Policies are not ranked by it.
    #[serde(alias = "return")]
    pub total_reward: T,
    /// Accepted items / shown items, in `[0, 1]`.
    pub acceptance: T,
    /// [`coverage`](super::catalogue::coverage) of the catalogue in one episode, in `[0, 1]`; mean over seeds.
    pub item_coverage: T,
    /// [`gini`](super::catalogue::gini) coefficient of how often items were shown in one episode, in `[0, 1)`; mean
    /// over seeds.
    pub gini: T,
    /// Mean [`diversity`](super::slates::diversity) of the slates, in `[0, 2]`.
    pub diversity: T,
    /// Mean [`entropy`](super::slates::entropy) of the slates' clusters, in nats, in `[0, ln K]`.
    pub entropy: T,
    /// Mean [`calibration`](super::slates::calibration) of the slates to the target, in nats; at least 0, less is
    /// better.
    pub calibration: T,
}

impl<T> PolicyMetrics<T> {
    /// The number of metrics.
    pub const COUNT: usize = 13;

    /// The values in the order of the fields.
    pub fn into_array(self) -> [T; PolicyMetrics::<()>::COUNT] {
        [
            self.normalized_area,
            self.area,
            self.area_iqm,
            self.distance,
            self.rounds_to_tenth,
            self.improved_share,
            self.total_reward,
            self.acceptance,
            self.item_coverage,
            self.gini,
            self.diversity,
            self.entropy,
            self.calibration,
        ]
    }

    /// The inverse of [`into_array`](Self::into_array): `values` are in the order of the fields.
    pub fn from_array(values: [T; PolicyMetrics::<()>::COUNT]) -> Self {
        let [
            normalized_area,
            area,
            area_iqm,
            distance,
            rounds_to_tenth,
            improved_share,
            total_reward,
            acceptance,
            item_coverage,
            gini,
            diversity,
            entropy,
            calibration,
        ] = values;
        Self {
            normalized_area,
            area,
            area_iqm,
            distance,
            rounds_to_tenth,
            improved_share,
            total_reward,
            acceptance,
            item_coverage,
            gini,
            diversity,
            entropy,
            calibration,
        }
    }
}
