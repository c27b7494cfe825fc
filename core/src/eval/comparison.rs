//! What episodes of several policies and seeds come to.

use alloc::vec::Vec;

use super::catalogue::{coverage, gini};
use super::curve::{area, first_round_below_tenth, normalized_area};
use super::resample::ResampleWeights;
use super::{Episode, Measure, PolicyMetrics, RankedValues, probability_of_improvement};

/// Episodes of policies, all with the same seeds, users and rounds.
#[derive(Clone, Debug)]
pub struct Comparison {
    policies: Vec<Variant>,
    /// Which of them are `random` and `greedy`.
    scale: [usize; 2],
    /// `[pairs]`: the first policy, the second, and `[seeds * blocks]`: the sums of [`probability_of_improvement`].
    pairs: Vec<(usize, usize, Vec<f64>)>,
}

/// A policy's episodes, and what is the same in every resample.
#[derive(Clone, Debug)]
struct Variant {
    episodes: Vec<Episode>,
    areas: RankedValues,
    /// `[seeds]`
    coverage: Vec<f64>,
    gini: Vec<f64>,
}

/// A study's values, with seeds and users weighted.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimates {
    /// Of each policy.
    pub metrics: Vec<PolicyMetrics<Option<f64>>>,
    /// Of each policy.
    pub curves: Vec<RoundCurves<f64>>,
    /// Of each pair, in the order of [`Comparison::pairs`]: the share of users and seeds with a smaller area under the first, ties
    /// counted half.
    pub probability_of_improvement: Vec<f64>,
}

/// A value for each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundCurves<T> {
    /// Mean summed distance after the round.
    pub distance: Vec<T>,
    /// Share of shown items that were accepted.
    pub acceptance: Vec<T>,
}

impl Comparison {
    /// A study of episodes, `[policies][seeds]`; `random` and `greedy` say which policies those are.
    ///
    /// # Panics
    /// If there is no episode, or episodes differ in their number or size.
    pub fn new(policies: Vec<Vec<Episode>>, random: usize, greedy: usize) -> Self {
        let alike =
            |a: &Episode, b: &Episode| (a.num_rounds(), a.user_areas.len()) == (b.num_rounds(), b.user_areas.len());
        let first = &policies[0];
        let sizes = |episodes: &Vec<Episode>| {
            episodes.len() == first.len() && episodes.iter().all(|episode| alike(episode, &first[0]))
        };
        assert!(policies.iter().all(sizes), "every policy is tried alike");
        let numbers = 0..policies.len();
        let pairs = numbers.clone().flat_map(|a| (a + 1..policies.len()).map(move |b| (a, b)));
        let pairs = pairs.map(|(a, b)| (a, b, improvements(&policies[a], &policies[b]))).collect();
        let policies = policies.into_iter().map(Variant::new).collect();
        Self { policies, scale: [random, greedy], pairs }
    }

    /// Seeds, and blocks of users.
    pub fn sample_sizes(&self) -> (usize, usize) {
        let episodes = &self.policies[0].episodes;
        (episodes.len(), episodes[0].num_blocks())
    }

    /// Every two policies, by their numbers.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        self.pairs.iter().map(|&(first, second, _)| (first, second))
    }

    /// A policy's episodes, a seed each.
    pub fn episodes(&self, policy: usize) -> &[Episode] {
        &self.policies[policy].episodes
    }

    /// The users' mean distance at the start.
    pub fn initial_distance(&self, weights: &ResampleWeights) -> f64 {
        let episode = &self.policies[0].episodes[0];
        weighted(&episode.start, &weights.blocks) / weighted(&episode.users, &weights.blocks)
    }

    /// All values, with weights of this study's [`size`](Comparison::size).
    pub fn estimates(&self, weights: &ResampleWeights) -> Estimates {
        let start = self.initial_distance(weights);
        let curves: Vec<RoundCurves<f64>> = self.policies.iter().map(|policy| policy.curves(weights)).collect();
        let [random, greedy] = self.scale.map(|policy| area(&curves[policy].distance));
        let metrics = self.policies.iter().zip(&curves).map(|(policy, curves)| {
            let metrics = policy.metrics(weights, curves, start);
            let normalized_area = normalized_area(area(&curves.distance), random, greedy);
            PolicyMetrics { normalized_area, ..metrics }
        });
        let (products, users) = (products(weights), self.policies[0].users(weights));
        let improvements = self.pairs.iter().map(|(.., sums)| weighted(sums, &products) / users);
        Estimates { metrics: metrics.collect(), probability_of_improvement: improvements.collect(), curves }
    }
}

impl Variant {
    fn new(episodes: Vec<Episode>) -> Self {
        let (blocks, of) = (episodes[0].num_blocks(), |f: fn(&[u64]) -> f64| {
            episodes.iter().map(|episode| f(&episode.shown_counts)).collect()
        });
        let areas = episodes.iter().enumerate().flat_map(|(seed, episode)| {
            let place = move |user| (seed * blocks + user % blocks) as u32;
            episode.user_areas.iter().enumerate().map(move |(user, &area)| (area, place(user)))
        });
        Self { areas: RankedValues::new(areas), coverage: of(coverage), gini: of(gini), episodes }
    }

    /// How many users and seeds there are.
    fn users(&self, weights: &ResampleWeights) -> f64 {
        weights.seeds.iter().copied().map(f64::from).sum::<f64>()
            * weighted(&self.episodes[0].users, &weights.blocks)
    }

    /// Their mean of what an episode has of each block.
    fn mean<'a>(&'a self, weights: &ResampleWeights, of: impl Fn(&'a Episode) -> &'a [f64]) -> f64 {
        let sums = self.episodes.iter().zip(&weights.seeds).map(|(episode, &weight)| {
            if weight == 0 { 0.0 } else { f64::from(weight) * weighted(of(episode), &weights.blocks) }
        });
        sums.sum::<f64>() / self.users(weights)
    }

    /// The mean of a column in each round.
    fn curve(&self, weights: &ResampleWeights, column: Measure) -> Vec<f64> {
        let rounds = 0..self.episodes[0].num_rounds();
        rounds.map(|round| self.mean(weights, |episode| episode.block_sums(round, column))).collect()
    }

    fn curves(&self, weights: &ResampleWeights) -> RoundCurves<f64> {
        RoundCurves {
            distance: self.curve(weights, Measure::Distance),
            acceptance: self.curve(weights, Measure::Acceptance),
        }
    }

    /// All but the normalised area, which is not one policy's.
    fn metrics(
        &self,
        weights: &ResampleWeights,
        curves: &RoundCurves<f64>,
        start: f64,
    ) -> PolicyMetrics<Option<f64>> {
        let rounds = curves.distance.len() as f64;
        let sum = |column| self.curve(weights, column).iter().sum::<f64>();
        let of_seeds = |values: &[f64]| {
            let seeds: u32 = weights.seeds.iter().sum();
            Some(weighted(values, &weights.seeds) / f64::from(seeds))
        };
        PolicyMetrics {
            normalized_area: None,
            area: Some(area(&curves.distance)),
            area_iqm: self.areas.interquartile_mean(&products(weights)),
            distance: curves.distance.last().copied(),
            rounds_to_tenth: first_round_below_tenth(&curves.distance, start).map(|round| round as f64),
            improved_share: Some(self.mean(weights, |episode| &episode.improved)),
            total_reward: Some(sum(Measure::Reward)),
            acceptance: Some(curves.acceptance.iter().sum::<f64>() / rounds),
            item_coverage: of_seeds(&self.coverage),
            gini: of_seeds(&self.gini),
            diversity: Some(sum(Measure::Diversity) / rounds),
            entropy: Some(sum(Measure::Entropy) / rounds),
            calibration: Some(sum(Measure::Calibration) / rounds),
        }
    }
}

/// `[seeds * blocks]`: how often the first policy's users come off better, summed over blocks.
fn improvements(first: &[Episode], second: &[Episode]) -> Vec<f64> {
    let blocks = first[0].num_blocks();
    let mut sums = alloc::vec![0.0; first.len() * blocks];
    for (seed, (first, second)) in first.iter().zip(second).enumerate() {
        for (user, (&a, &b)) in first.user_areas.iter().zip(&second.user_areas).enumerate() {
            sums[seed * blocks + user % blocks] += probability_of_improvement(a, b);
        }
    }
    sums
}

/// `[seeds * blocks]`: how often each block of each seed counts.
fn products(weights: &ResampleWeights) -> Vec<u32> {
    weights.seeds.iter().flat_map(|seed| weights.blocks.iter().map(move |block| seed * block)).collect()
}

fn weighted(values: &[f64], weights: &[u32]) -> f64 {
    values.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum()
}
