//! What the episodes come to, and how sure that is.

use std::cmp::Ordering;

use recsim_core::backend::ParallelFor;
use recsim_core::eval::breakdown::Breakdown;
use recsim_core::eval::reliability::Reliability;
use recsim_core::eval::resample::{Interval, RESAMPLE_COUNT, ResampleWeights};
use recsim_core::eval::{Comparison, Estimates, PolicyMetrics};

use super::crew::Threads;
use super::options::Options;
use super::{Circumstances, source};
use crate::files::evaluation::{Curves, Evaluation, FORMAT, Pair, Policy, VERSION};
use crate::files::timestamp;

/// The report on a study. `crew` draws the resamples.
pub(super) fn of(
    study: &Comparison,
    options: &Options,
    circumstances: Circumstances<'_>,
    crew: &Threads,
) -> Evaluation {
    let Circumstances { about, world, evaluator, plan, interrupted } = circumstances;
    let (seeds, blocks) = study.sample_sizes();
    let seed = options.seeds[0];
    let mut resamples: Vec<Option<Estimates>> = vec![None; RESAMPLE_COUNT];
    crew.for_each_row(&mut resamples, 1, |n, row| {
        row[0] = Some(study.estimates(&ResampleWeights::resample(seed, n as u64, seeds, blocks)));
    });
    let resamples = resamples.into_iter().flatten().collect();
    let even = ResampleWeights::uniform(seeds, blocks);
    let found = Found { all: study.estimates(&even), resamples };
    let order = ranked(&found.all);
    let clusters = evaluator.world().shape().clusters;
    let name = |policy: usize| options.policies[policy].to_string();
    let mut config = options.settings.config.resolved(plan, &world.shape());
    about.settle(&mut config, false);
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
        chosen: plan.environment.rl_slots,
        shown: plan.environment.slate_len,
        resamples: RESAMPLE_COUNT,
        blocks,
        initial_distance: study.initial_distance(&even),
        initial_beliefs: evaluator.world().mean_beliefs(),
        target: evaluator.world().target().to_vec(),
        farthest: evaluator.max_item_distance(),
        policies: order.iter().map(|&policy| found.policy(study, policy, clusters, name(policy))).collect(),
        pairs: pairs(&order).map(|(a, b)| found.pair(study, (a, b), (name(a), name(b)))).collect(),
    }
}

/// The policies, the best first: by area, which ranks as the normalised one does where there is one.
fn ranked(findings: &Estimates) -> Vec<usize> {
    let area = |policy: &usize| findings.metrics[*policy].area;
    let mut order: Vec<usize> = (0..findings.metrics.len()).collect();
    order.sort_by(|a, b| area(a).partial_cmp(&area(b)).unwrap_or(Ordering::Equal));
    order
}

fn pairs(order: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    order.iter().enumerate().flat_map(|(n, &a)| order[n + 1..].iter().map(move |&b| (a, b)))
}

/// What was found, and what every resample says.
struct Found {
    all: Estimates,
    resamples: Vec<Estimates>,
}

impl Found {
    fn interval(&self, of: impl Fn(&Estimates) -> Option<f64>) -> Interval {
        Interval::from_resamples(of(&self.all), self.resamples.iter().map(&of))
    }

    fn metrics(
        &self,
        of: impl Fn(&Estimates) -> [Option<f64>; PolicyMetrics::<()>::COUNT],
    ) -> PolicyMetrics<Interval> {
        let mut place = 0;
        let metrics = PolicyMetrics::from_array([(); PolicyMetrics::<()>::COUNT].map(|()| {
            place += 1;
            self.interval(|findings| of(findings)[place - 1])
        }));
        let normalised = |findings: &Estimates| PolicyMetrics::from_array(of(findings)).normalized_area;
        let resamples = self.resamples.iter().map(normalised);
        PolicyMetrics {
            normalized_area: Interval::from_complete_resamples(normalised(&self.all), resamples),
            ..metrics
        }
    }

    fn policy(&self, study: &Comparison, policy: usize, clusters: usize, name: String) -> Policy {
        let rounds = 0..self.all.curves[policy].distance.len();
        let curve = |of: fn(&recsim_core::eval::RoundCurves<f64>) -> &[f64]| {
            let interval = |round| self.interval(|findings| Some(of(&findings.curves[policy])[round]));
            rounds.clone().map(interval).collect()
        };
        let mut reliability = Reliability::default();
        let mut breakdown = Breakdown::new(rounds.len(), clusters);
        for episode in study.episodes(policy) {
            reliability += &episode.reliability;
            breakdown += &episode.breakdown;
        }
        let served = study.episodes(policy).iter().map(|episode| episode.user_areas.len()).sum::<usize>() as f64;
        let Breakdown { by_round, by_distance, mut beliefs } = breakdown;
        beliefs.iter_mut().flatten().for_each(|sum| *sum /= served);
        Policy {
            policy: name,
            metrics: self.metrics(|findings| findings.metrics[policy].into_array()),
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

    fn pair(&self, study: &Comparison, (a, b): (usize, usize), (first, second): (String, String)) -> Pair {
        let same = |(one, other): (usize, usize)| (one, other) == (a, b) || (one, other) == (b, a);
        let place = study.pairs().position(same).expect("every two policies are a pair");
        let turned = a > b;
        Pair {
            first,
            second,
            improvement: self.interval(|findings| {
                let better = findings.probability_of_improvement[place];
                Some(if turned { 1.0 - better } else { better })
            }),
            difference: self.metrics(|findings| {
                let [a, b] = [a, b].map(|policy| findings.metrics[policy].into_array());
                let mut differences = [None; PolicyMetrics::<()>::COUNT];
                for (place, difference) in differences.iter_mut().enumerate() {
                    *difference = a[place].zip(b[place]).map(|(a, b)| a - b);
                }
                differences
            }),
        }
    }
}
