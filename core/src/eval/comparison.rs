//! Estimates from the episodes of several policies and seeds.

use alloc::vec::Vec;

use super::catalogue::{coverage, gini};
use super::curve::{area, first_round_below_tenth, normalized_area};
use super::resample::ResampleWeights;
use super::{Episode, Measure, PolicyMetrics, RankedValues, probability_of_improvement};

/// The episodes of several policies, all with the same seeds, users and rounds.
///
/// It computes everything that does not depend on a resample once, so that [`estimates`](Comparison::estimates) is
/// cheap enough for a thousand resamples.
#[derive(Clone, Debug)]
pub struct Comparison {
    policies: Vec<PolicyEpisodes>,
    /// The indices of `random` and `greedy`, which give the scale of the normalized area.
    scale: [usize; 2],
    /// `[pairs]`: the indices of two policies, and `[seeds * blocks]` sums over users of
    /// [`probability_of_improvement`].
    pairs: Vec<(usize, usize, Vec<f64>)>,
}

/// A policy's episodes, and what does not depend on the resample.
#[derive(Clone, Debug)]
struct PolicyEpisodes {
    /// `[seeds]`
    episodes: Vec<Episode>,
    /// The areas of all users and seeds, each with the index of its seed and block.
    user_areas: RankedValues,
    /// `[seeds]`
    coverage: Vec<f64>,
    /// `[seeds]`
    gini: Vec<f64>,
}

/// The metrics of all policies for one set of weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimates {
    /// `[policies]`. A metric is `None` where it is undefined.
    pub metrics: Vec<PolicyMetrics<Option<f64>>>,
    /// `[policies]`
    pub curves: Vec<RoundCurves<f64>>,
    /// `[pairs]`, in the order of [`Comparison::pairs`]: the share of users and seeds whose area is smaller under the
    /// first policy, with ties counted half, in `[0, 1]`.
    pub probability_of_improvement: Vec<f64>,
}

/// A `T` for each round, `[rounds]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundCurves<T> {
    /// Mean of `sum_c |target_c - b_c|` after the round, in `[0, sum target]`.
    pub distance: Vec<T>,
    /// Accepted items / shown items of the round, in `[0, 1]`.
    pub acceptance: Vec<T>,
}

impl Comparison {
    /// Compares episodes, `[policies][seeds]`. `random` and `greedy` are the indices of these two policies.
    ///
    /// # Panics
    /// If there is no episode, if the policies have different numbers of seeds, or if the episodes differ in rounds or
    /// users.
    pub fn new(policies: Vec<Vec<Episode>>, random: usize, greedy: usize) -> Self {
        let same_size =
            |a: &Episode, b: &Episode| (a.num_rounds(), a.user_areas.len()) == (b.num_rounds(), b.user_areas.len());
        let first = &policies[0];
        let is_comparable = |episodes: &Vec<Episode>| {
            episodes.len() == first.len() && episodes.iter().all(|episode| same_size(episode, &first[0]))
        };
        assert!(policies.iter().all(is_comparable), "all policies have the same seeds, rounds and users");
        let indices = 0..policies.len();
        let pairs = indices.flat_map(|a| (a + 1..policies.len()).map(move |b| (a, b)));
        let pairs = pairs.map(|(a, b)| (a, b, improvement_sums(&policies[a], &policies[b]))).collect();
        let policies = policies.into_iter().map(PolicyEpisodes::new).collect();
        Self { policies, scale: [random, greedy], pairs }
    }

    /// The number of seeds, and of blocks of users.
    pub fn sample_sizes(&self) -> (usize, usize) {
        let episodes = &self.policies[0].episodes;
        (episodes.len(), episodes[0].num_blocks())
    }

    /// All pairs of policies, by index; the first is smaller.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.pairs.iter().map(|&(first, second, _)| (first, second))
    }

    /// A policy's episodes, `[seeds]`.
    ///
    /// # Panics
    /// If there is no such policy.
    pub fn episodes(&self, policy: usize) -> &[Episode] {
        &self.policies[policy].episodes
    }

    /// The weighted mean of the users' initial distances, `sum_c |target_c - b_c|`.
    pub fn initial_distance(&self, weights: &ResampleWeights) -> f64 {
        let episode = &self.policies[0].episodes[0];
        weighted_sum(&episode.initial_distance, &weights.blocks) / weighted_sum(&episode.users, &weights.blocks)
    }

    /// All estimates for these weights, whose lengths must be the [`sample_sizes`](Comparison::sample_sizes). Uniform
    /// weights give the estimates themselves, others those of a resample.
    pub fn estimates(&self, weights: &ResampleWeights) -> Estimates {
        let initial_distance = self.initial_distance(weights);
        let curves: Vec<RoundCurves<f64>> = self.policies.iter().map(|policy| policy.curves(weights)).collect();
        let [random, greedy] = self.scale.map(|policy| area(&curves[policy].distance));
        let metrics = self.policies.iter().zip(&curves).map(|(policy, curves)| {
            let metrics = policy.metrics(weights, curves, initial_distance);
            let normalized_area = normalized_area(area(&curves.distance), random, greedy);
            PolicyMetrics { normalized_area, ..metrics }
        });
        let (seed_block_weights, users) = (seed_block_weights(weights), self.policies[0].weighted_users(weights));
        let improvements = self.pairs.iter().map(|(.., sums)| weighted_sum(sums, &seed_block_weights) / users);
        Estimates { metrics: metrics.collect(), probability_of_improvement: improvements.collect(), curves }
    }
}

impl PolicyEpisodes {
    fn new(episodes: Vec<Episode>) -> Self {
        let (blocks, by_seed) = (episodes[0].num_blocks(), |metric: fn(&[u64]) -> f64| {
            episodes.iter().map(|episode| metric(&episode.shown_counts)).collect()
        });
        let areas = episodes.iter().enumerate().flat_map(|(seed, episode)| {
            let weight_index = move |user| (seed * blocks + user % blocks) as u32;
            episode.user_areas.iter().enumerate().map(move |(user, &area)| (area, weight_index(user)))
        });
        Self { user_areas: RankedValues::new(areas), coverage: by_seed(coverage), gini: by_seed(gini), episodes }
    }

    /// The total weight of all users and seeds.
    fn weighted_users(&self, weights: &ResampleWeights) -> f64 {
        weights.seeds.iter().copied().map(f64::from).sum::<f64>()
            * weighted_sum(&self.episodes[0].users, &weights.blocks)
    }

    /// The weighted mean over users and seeds of a quantity whose sums over blocks `block_sums` returns.
    fn mean<'a>(&'a self, weights: &ResampleWeights, block_sums: impl Fn(&'a Episode) -> &'a [f64]) -> f64 {
        let sums = self.episodes.iter().zip(&weights.seeds).map(|(episode, &weight)| {
            if weight == 0 { 0.0 } else { f64::from(weight) * weighted_sum(block_sums(episode), &weights.blocks) }
        });
        sums.sum::<f64>() / self.weighted_users(weights)
    }

    /// The weighted mean of a measure in each round, `[rounds]`.
    fn curve(&self, weights: &ResampleWeights, measure: Measure) -> Vec<f64> {
        let rounds = 0..self.episodes[0].num_rounds();
        rounds.map(|round| self.mean(weights, |episode| episode.block_sums(round, measure))).collect()
    }

    fn curves(&self, weights: &ResampleWeights) -> RoundCurves<f64> {
        RoundCurves {
            distance: self.curve(weights, Measure::Distance),
            acceptance: self.curve(weights, Measure::Acceptance),
        }
    }

    /// All metrics except the normalized area, which needs the areas of other policies.
    fn metrics(
        &self,
        weights: &ResampleWeights,
        curves: &RoundCurves<f64>,
        initial_distance: f64,
    ) -> PolicyMetrics<Option<f64>> {
        let rounds = curves.distance.len() as f64;
        let sum = |measure| self.curve(weights, measure).iter().sum::<f64>();
        let seed_mean = |values: &[f64]| {
            let seeds: u32 = weights.seeds.iter().sum();
            Some(weighted_sum(values, &weights.seeds) / f64::from(seeds))
        };
        PolicyMetrics {
            normalized_area: None,
            area: Some(area(&curves.distance)),
            area_iqm: self.user_areas.interquartile_mean(&seed_block_weights(weights)),
            distance: curves.distance.last().copied(),
            rounds_to_tenth: first_round_below_tenth(&curves.distance, initial_distance).map(|round| round as f64),
            improved_share: Some(self.mean(weights, |episode| &episode.improved)),
            total_reward: Some(sum(Measure::Reward)),
            acceptance: Some(curves.acceptance.iter().sum::<f64>() / rounds),
            item_coverage: seed_mean(&self.coverage),
            gini: seed_mean(&self.gini),
            diversity: Some(sum(Measure::Diversity) / rounds),
            entropy: Some(sum(Measure::Entropy) / rounds),
            calibration: Some(sum(Measure::Calibration) / rounds),
        }
    }
}

/// `[seeds * blocks]`: the sums over users of [`probability_of_improvement`] of the first policy over the second.
fn improvement_sums(first: &[Episode], second: &[Episode]) -> Vec<f64> {
    let blocks = first[0].num_blocks();
    let mut sums = alloc::vec![0.0; first.len() * blocks];
    for (seed, (first, second)) in first.iter().zip(second).enumerate() {
        for (user, (&a, &b)) in first.user_areas.iter().zip(&second.user_areas).enumerate() {
            sums[seed * blocks + user % blocks] += probability_of_improvement(a, b);
        }
    }
    sums
}

/// `[seeds * blocks]`: the weight of a user in this block under this seed.
fn seed_block_weights(weights: &ResampleWeights) -> Vec<u32> {
    weights.seeds.iter().flat_map(|seed| weights.blocks.iter().map(move |block| seed * block)).collect()
}

fn weighted_sum(values: &[f64], weights: &[u32]) -> f64 {
    values.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum()
}
