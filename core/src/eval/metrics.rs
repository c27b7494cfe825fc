//! The measures by which policies are compared.

use serde::{Deserialize, Serialize};

/// A value for each measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyMetrics<T> {
    /// The area on a scale: [`normalized_area`](super::curve::normalized_area).
    #[serde(alias = "normalised_area")]
    pub normalized_area: T,
    /// The measure that ranks: the [`area`](super::curve::area) under the mean summed distance.
    pub area: T,
    /// The [middle half](super::RankedValues::interquartile_mean)'s mean of single users' areas: what outliers do not move.
    pub area_iqm: T,
    /// Mean summed distance after the last round.
    pub distance: T,
    /// The first round with at most a tenth of the distance at the start
    /// ([`first_round_below_tenth`](super::curve::first_round_below_tenth)).
    pub rounds_to_tenth: T,
    /// Share of users nearer to the target than when they began.
    pub improved_share: T,
    /// Mean reward of a user in all rounds: diagnostic only.
    #[serde(alias = "return")]
    pub total_reward: T,
    /// Share of shown items that were accepted.
    pub acceptance: T,
    /// [`coverage`](super::catalogue::coverage) of the items.
    pub item_coverage: T,
    /// [`gini`](super::catalogue::gini) of how often items were shown.
    pub gini: T,
    /// Mean [`diversity`](super::slates::diversity) of slates.
    pub diversity: T,
    /// Mean [`entropy`](super::slates::entropy) of slates.
    pub entropy: T,
    /// Mean [`calibration`](super::slates::calibration) of slates.
    pub calibration: T,
}

impl<T> PolicyMetrics<T> {
    /// How many measures there are.
    pub const COUNT: usize = 13;

    /// Their values, in the order of the fields.
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

    /// The measures that have these values, in the order of the fields.
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
            normalized_area: normalized_area,
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
