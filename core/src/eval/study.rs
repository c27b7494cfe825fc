//! What episodes of several policies and seeds come to.

use alloc::vec::Vec;

use super::catalogue::{coverage, gini};
use super::curve::{area, first_at_a_tenth, normalised_area};
use super::resample::Weights;
use super::{Column, Episode, Metrics, Ranked, improvement};

/// Episodes of policies, all with the same seeds, users and rounds.
#[derive(Clone, Debug)]
pub struct Study {
    policies: Vec<Tried>,
    /// Which of them are `random` and `greedy`.
    scale: [usize; 2],
    /// `[pairs]`: the first policy, the second, and `[seeds * blocks]`: the sums of [`improvement`].
    pairs: Vec<(usize, usize, Vec<f64>)>,
}

/// A policy's episodes, and what is the same in every resample.
#[derive(Clone, Debug)]
struct Tried {
    episodes: Vec<Episode>,
    areas: Ranked,
    /// `[seeds]`
    coverage: Vec<f64>,
    gini: Vec<f64>,
}

/// A study's values, with seeds and users weighted.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// Of each policy.
    pub metrics: Vec<Metrics<Option<f64>>>,
    /// Of each policy.
    pub curves: Vec<Curves<f64>>,
    /// Of each pair, in the order of [`Study::pairs`]: the share of users and seeds with a smaller area under the first, ties
    /// counted half.
    pub improvement: Vec<f64>,
}

/// A value for each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves<T> {
    /// Mean summed distance after the round.
    pub distance: Vec<T>,
    /// Share of shown items that were accepted.
    pub acceptance: Vec<T>,
}

impl Study {
    /// A study of episodes, `[policies][seeds]`; `random` and `greedy` say which policies those are.
    ///
    /// # Panics
    /// If there is no episode, or episodes differ in their number or size.
    pub fn new(policies: Vec<Vec<Episode>>, random: usize, greedy: usize) -> Self {
        let alike = |a: &Episode, b: &Episode| (a.rounds(), a.areas.len()) == (b.rounds(), b.areas.len());
        let first = &policies[0];
        let sizes = |episodes: &Vec<Episode>| {
            episodes.len() == first.len() && episodes.iter().all(|episode| alike(episode, &first[0]))
        };
        assert!(policies.iter().all(sizes), "every policy is tried alike");
        let numbers = 0..policies.len();
        let pairs = numbers.clone().flat_map(|a| (a + 1..policies.len()).map(move |b| (a, b)));
        let pairs = pairs.map(|(a, b)| (a, b, improvements(&policies[a], &policies[b]))).collect();
        let policies = policies.into_iter().map(Tried::new).collect();
        Self { policies, scale: [random, greedy], pairs }
    }

    /// Seeds, and blocks of users.
    pub fn size(&self) -> (usize, usize) {
        let episodes = &self.policies[0].episodes;
        (episodes.len(), episodes[0].blocks())
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
    pub fn start(&self, weights: &Weights) -> f64 {
        let episode = &self.policies[0].episodes[0];
        weighted(&episode.start, &weights.blocks) / weighted(&episode.users, &weights.blocks)
    }

    /// All values, with weights of this study's [`size`](Study::size).
    pub fn findings(&self, weights: &Weights) -> Findings {
        let start = self.start(weights);
        let curves: Vec<Curves<f64>> = self.policies.iter().map(|policy| policy.curves(weights)).collect();
        let [random, greedy] = self.scale.map(|policy| area(&curves[policy].distance));
        let metrics = self.policies.iter().zip(&curves).map(|(policy, curves)| {
            let metrics = policy.metrics(weights, curves, start);
            let normalised_area = normalised_area(area(&curves.distance), random, greedy);
            Metrics { normalised_area, ..metrics }
        });
        let (products, users) = (products(weights), self.policies[0].users(weights));
        let improvement = self.pairs.iter().map(|(.., sums)| weighted(sums, &products) / users);
        Findings { metrics: metrics.collect(), improvement: improvement.collect(), curves }
    }
}

impl Tried {
    fn new(episodes: Vec<Episode>) -> Self {
        let (blocks, of) = (episodes[0].blocks(), |f: fn(&[u64]) -> f64| {
            episodes.iter().map(|episode| f(&episode.shown)).collect()
        });
        let areas = episodes.iter().enumerate().flat_map(|(seed, episode)| {
            let place = move |user| (seed * blocks + user % blocks) as u32;
            episode.areas.iter().enumerate().map(move |(user, &area)| (area, place(user)))
        });
        Self { areas: Ranked::new(areas), coverage: of(coverage), gini: of(gini), episodes }
    }

    /// How many users and seeds there are.
    fn users(&self, weights: &Weights) -> f64 {
        weights.seeds.iter().copied().map(f64::from).sum::<f64>()
            * weighted(&self.episodes[0].users, &weights.blocks)
    }

    /// Their mean of what an episode has of each block.
    fn mean<'a>(&'a self, weights: &Weights, of: impl Fn(&'a Episode) -> &'a [f64]) -> f64 {
        let sums = self.episodes.iter().zip(&weights.seeds).map(|(episode, &weight)| {
            if weight == 0 { 0.0 } else { f64::from(weight) * weighted(of(episode), &weights.blocks) }
        });
        sums.sum::<f64>() / self.users(weights)
    }

    /// The mean of a column in each round.
    fn curve(&self, weights: &Weights, column: Column) -> Vec<f64> {
        let rounds = 0..self.episodes[0].rounds();
        rounds.map(|round| self.mean(weights, |episode| episode.sums(round, column))).collect()
    }

    fn curves(&self, weights: &Weights) -> Curves<f64> {
        Curves {
            distance: self.curve(weights, Column::Distance),
            acceptance: self.curve(weights, Column::Acceptance),
        }
    }

    /// All but the normalised area, which is not one policy's.
    fn metrics(&self, weights: &Weights, curves: &Curves<f64>, start: f64) -> Metrics<Option<f64>> {
        let rounds = curves.distance.len() as f64;
        let sum = |column| self.curve(weights, column).iter().sum::<f64>();
        let of_seeds = |values: &[f64]| {
            let seeds: u32 = weights.seeds.iter().sum();
            Some(weighted(values, &weights.seeds) / f64::from(seeds))
        };
        Metrics {
            normalised_area: None,
            area: Some(area(&curves.distance)),
            area_iqm: self.areas.middle_mean(&products(weights)),
            distance: curves.distance.last().copied(),
            rounds_to_tenth: first_at_a_tenth(&curves.distance, start).map(|round| round as f64),
            improved_share: Some(self.mean(weights, |episode| &episode.improved)),
            total_reward: Some(sum(Column::Reward)),
            acceptance: Some(curves.acceptance.iter().sum::<f64>() / rounds),
            item_coverage: of_seeds(&self.coverage),
            gini: of_seeds(&self.gini),
            diversity: Some(sum(Column::Diversity) / rounds),
            entropy: Some(sum(Column::Entropy) / rounds),
            calibration: Some(sum(Column::Calibration) / rounds),
        }
    }
}

/// `[seeds * blocks]`: how often the first policy's users come off better, summed over blocks.
fn improvements(first: &[Episode], second: &[Episode]) -> Vec<f64> {
    let blocks = first[0].blocks();
    let mut sums = alloc::vec![0.0; first.len() * blocks];
    for (seed, (first, second)) in first.iter().zip(second).enumerate() {
        for (user, (&a, &b)) in first.areas.iter().zip(&second.areas).enumerate() {
            sums[seed * blocks + user % blocks] += improvement(a, b);
        }
    }
    sums
}

/// `[seeds * blocks]`: how often each block of each seed counts.
fn products(weights: &Weights) -> Vec<u32> {
    weights.seeds.iter().flat_map(|seed| weights.blocks.iter().map(move |block| seed * block)).collect()
}

fn weighted(values: &[f64], weights: &[u32]) -> f64 {
    values.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum()
}
