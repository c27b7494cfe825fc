//! Builds an evaluation from its episodes: estimates with bootstrap intervals.

use std::cmp::Ordering;

use recsim_core::backend::ParallelFor;
use recsim_core::eval::breakdown::Breakdown;
use recsim_core::eval::reliability::Reliability;
use recsim_core::eval::resample::{Interval, RESAMPLE_COUNT, ResampleWeights};
use recsim_core::eval::{Comparison, Estimates, PolicyMetrics};

use super::options::EvalOptions;
use super::threads::Threads;
use super::{EvaluationContext, source};
use crate::files::evaluation::{Curves, Evaluation, FORMAT, PolicyPair, PolicyResults, VERSION};
use crate::files::timestamp;

/// The evaluation of a comparison. The resamples are computed on `threads`.
pub(super) fn evaluation(
    comparison: &Comparison,
    options: &EvalOptions,
    context: EvaluationContext<'_>,
    threads: &Threads,
) -> Evaluation {
    let EvaluationContext { about, world, evaluator, plan, interrupted } = context;
    let (seeds, blocks) = comparison.sample_sizes();
    let seed = options.seeds[0];
    let mut resamples: Vec<Option<Estimates>> = vec![None; RESAMPLE_COUNT];
    threads.for_each_row(&mut resamples, 1, |n, row| {
        row[0] = Some(comparison.estimates(&ResampleWeights::resample(seed, n as u64, seeds, blocks)));
    });
    let resamples = resamples.into_iter().flatten().collect();
    let uniform = ResampleWeights::uniform(seeds, blocks);
    let results = ResampledEstimates { full: comparison.estimates(&uniform), resamples };
    let order = leaderboard(&results.full);
    let clusters = evaluator.world().shape().clusters;
    let name = |policy: usize| options.policies[policy].to_string();
    let mut config = options.settings.config.resolved(plan, &world.shape());
    about.record_instruction_set(&mut config, false);
    Evaluation {
        format: FORMAT.to_owned(),
        version: VERSION,
        recsim: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: timestamp(),
        command: options.command.clone(),
        interrupted,
        device: about,
        world: source::provenance(&options.settings.config, world, world.shape()),
        config,
        seeds: options.seeds[..seeds].to_vec(),
        users: plan.schedule.users,
        rounds: plan.schedule.rounds_per_episode as usize,
        rl_slots: plan.environment.rl_slots,
        slate_len: plan.environment.slate_len,
        resamples: RESAMPLE_COUNT,
        blocks,
        initial_distance: comparison.initial_distance(&uniform),
        initial_beliefs: evaluator.world().mean_beliefs(),
        target: evaluator.world().target().to_vec(),
        farthest: evaluator.max_item_distance(),
        policies: order.iter().map(|&policy| results.policy(comparison, policy, clusters, name(policy))).collect(),
        pairs: pairs(&order).map(|(a, b)| results.pair(comparison, (a, b), (name(a), name(b)))).collect(),
    }
}

/// The indices of the policies, the smallest area first. The normalized area, where it is defined, gives the same
/// order.
fn leaderboard(estimates: &Estimates) -> Vec<usize> {
    let area = |policy: &usize| estimates.metrics[*policy].area;
    let mut order: Vec<usize> = (0..estimates.metrics.len()).collect();
    order.sort_by(|a, b| area(a).partial_cmp(&area(b)).unwrap_or(Ordering::Equal));
    order
}

/// Every two policies, the better one first.
fn pairs(order: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    order.iter().enumerate().flat_map(|(n, &a)| order[n + 1..].iter().map(move |&b| (a, b)))
}

/// The estimates from all episodes, and those from every resample.
struct ResampledEstimates {
    full: Estimates,
    resamples: Vec<Estimates>,
}

impl ResampledEstimates {
    /// The interval of a value of the estimates.
    fn interval(&self, value: impl Fn(&Estimates) -> Option<f64>) -> Interval {
        Interval::from_resamples(value(&self.full), self.resamples.iter().map(&value))
    }

    /// The intervals of all metrics.
    fn metrics(
        &self,
        values: impl Fn(&Estimates) -> [Option<f64>; PolicyMetrics::<()>::COUNT],
    ) -> PolicyMetrics<Interval> {
        let indices: [usize; PolicyMetrics::<()>::COUNT] = std::array::from_fn(|index| index);
        let metrics =
            PolicyMetrics::from_array(indices.map(|index| self.interval(|estimates| values(estimates)[index])));
        let normalized = |estimates: &Estimates| PolicyMetrics::from_array(values(estimates)).normalized_area;
        let resamples = self.resamples.iter().map(normalized);
        PolicyMetrics {
            normalized_area: Interval::from_complete_resamples(normalized(&self.full), resamples),
            ..metrics
        }
    }

    fn policy(&self, comparison: &Comparison, policy: usize, clusters: usize, name: String) -> PolicyResults {
        let rounds = 0..self.full.curves[policy].distance.len();
        let curve = |values: fn(&recsim_core::eval::RoundCurves<f64>) -> &[f64]| {
            let interval = |round| self.interval(|estimates| Some(values(&estimates.curves[policy])[round]));
            rounds.clone().map(interval).collect()
        };
        let mut reliability = Reliability::default();
        let mut breakdown = Breakdown::new(rounds.len(), clusters);
        for episode in comparison.episodes(policy) {
            reliability += &episode.reliability;
            breakdown += &episode.breakdown;
        }
        let num_users =
            comparison.episodes(policy).iter().map(|episode| episode.user_areas.len()).sum::<usize>() as f64;
        let Breakdown { by_round, by_distance, mut beliefs } = breakdown;
        beliefs.iter_mut().flatten().for_each(|sum| *sum /= num_users);
        PolicyResults {
            policy: name,
            metrics: self.metrics(|estimates| estimates.metrics[policy].into_array()),
            curves: Curves {
                distance: curve(|curves| &curves.distance),
                acceptance: curve(|curves| &curves.acceptance),
            },
            reliability,
            beliefs,
            by_round,
            by_distance,
        }
    }

    fn pair(
        &self,
        comparison: &Comparison,
        (a, b): (usize, usize),
        (first, second): (String, String),
    ) -> PolicyPair {
        let is_this_pair = |pair: (usize, usize)| pair == (a, b) || pair == (b, a);
        let index = comparison.pairs().position(is_this_pair).expect("every two policies are a pair");
        let is_swapped = a > b;
        PolicyPair {
            first,
            second,
            probability_of_improvement: self.interval(|estimates| {
                let probability = estimates.probability_of_improvement[index];
                Some(if is_swapped { 1.0 - probability } else { probability })
            }),
            difference: self.metrics(|estimates| {
                let [a, b] = [a, b].map(|policy| estimates.metrics[policy].into_array());
                let mut differences = [None; PolicyMetrics::<()>::COUNT];
                for (metric, difference) in differences.iter_mut().enumerate() {
                    *difference = a[metric].zip(b[metric]).map(|(a, b)| a - b);
                }
                differences
            }),
        }
    }
}
