//! An evaluation for people.

use recsim_core::eval::PolicyMetrics;
use recsim_core::eval::reliability::Reliability;
use recsim_core::eval::resample::Interval;

use crate::files::evaluation::Evaluation;
use crate::output::{counted, percent, table, thousands};

/// Everything worth reading.
pub(super) fn all(evaluation: &Evaluation) -> String {
    [heading(evaluation), ranking(evaluation), slates(evaluation), pairs(evaluation), reliability(evaluation)]
        .join("\n")
}

fn heading(evaluation: &Evaluation) -> String {
    let Evaluation { users, rounds, seeds, chosen, shown, initial_distance, resamples, .. } = evaluation;
    let stopped = if evaluation.interrupted { " (stopped early)" } else { "" };
    let list: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    format!(
        "{}, {}, {chosen} of {} chosen, seeds {}{stopped}; distance {initial_distance:.4} at the start\n\
         in brackets: between what 95 of 100 of {resamples} resamples of users and seeds lie\n",
        counted(*users, "user"),
        counted(*rounds, "round"),
        counted(*shown, "item"),
        list.join(", "),
    )
}

fn ranking(evaluation: &Evaluation) -> String {
    let header =
        ["policy", "normalised area", "area", "middle", "last", "to a tenth", "improved", "accepted", "return"];
    let rows = evaluation.policies.iter().map(|policy| {
        let PolicyMetrics { normalized_area, area, area_iqm, distance, rounds_to_tenth, .. } = &policy.metrics;
        let PolicyMetrics { improved_share, total_reward, acceptance, .. } = &policy.metrics;
        vec![
            policy.policy.clone(),
            with_range(normalized_area, 4),
            with_range(area, 3),
            number(area_iqm.mean, 3),
            number(distance.mean, 4),
            rounds_to_tenth.mean.map_or("never".to_owned(), |round| format!("round {round:.0}")),
            improved_share.mean.map_or(String::new(), percent),
            acceptance.mean.map_or(String::new(), percent),
            number(total_reward.mean, 2),
        ]
    });
    table(&header, rows, true)
}

fn slates(evaluation: &Evaluation) -> String {
    let header = ["policy", "items covered", "Gini", "diversity", "entropy", "KL to the target"];
    let rows = evaluation.policies.iter().map(|policy| {
        let PolicyMetrics { item_coverage, gini, diversity, entropy, calibration, .. } = &policy.metrics;
        vec![
            policy.policy.clone(),
            item_coverage.mean.map_or(String::new(), percent),
            number(gini.mean, 4),
            number(diversity.mean, 4),
            number(entropy.mean, 4),
            number(calibration.mean, 4),
        ]
    });
    table(&header, rows, true)
}

fn pairs(evaluation: &Evaluation) -> String {
    let header = ["better", "than", "normalised area", "area", "for so many"];
    let rows = evaluation.pairs.iter().map(|pair| {
        vec![
            pair.first.clone(),
            pair.second.clone(),
            signed(&pair.difference.normalized_area, 4),
            signed(&pair.difference.area, 3),
            format!(
                "{} [{}, {}]",
                pair.improvement.mean.map_or(String::new(), percent),
                pair.improvement.low.map_or(String::new(), percent),
                pair.improvement.high.map_or(String::new(), percent),
            ),
        ]
    });
    table(&header, rows, true)
}

/// What was predicted and what happened, over all policies; of standard errors, the worst of any policy's.
fn reliability(evaluation: &Evaluation) -> String {
    let mut all = Reliability::default();
    evaluation.policies.iter().for_each(|policy| all += &policy.reliability);
    let header = ["probability", "items shown", "predicted", "accepted", "standard errors off"];
    let bins = all.bins.iter().enumerate().filter(|(_, bin)| bin.shown > 0);
    let rows = bins.map(|(n, bin)| {
        let shown = bin.shown as f64;
        // Policies share their luck, so that errors of all together would be mistaken.
        let worst = evaluation.policies.iter().map(|policy| policy.reliability.bins[n].z_score());
        let worst = worst.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
        vec![
            format!("{:.1} to {:.1}", n as f64 / 10.0, (n + 1) as f64 / 10.0),
            thousands(bin.shown),
            format!("{:.5}", bin.expected / shown),
            format!("{:.5}", bin.accepted as f64 / shown),
            format!("{worst:+.1}"),
        ]
    });
    let (bins, error, worst) = (table(&header, rows, true), all.expected_calibration_error(), worst(evaluation));
    format!(
        "{bins}expected calibration error {error:.5}; no policy is off by more than {worst:.1} standard errors\n"
    )
}

/// What must be said, whoever listens, where users do not accept as the formula says.
pub(super) fn warning(evaluation: &Evaluation) -> Option<String> {
    let worst = worst(evaluation);
    (worst >= SUSPICIOUS).then(|| {
        format!(
            "warning: acceptances are off by {worst:.1} standard errors from what was predicted, which luck does not \
             explain: trust none of this, and tell the makers of the backend"
        )
    })
}

/// What must be said where areas have no scale.
pub(super) fn no_scale(evaluation: &Evaluation) -> Option<&'static str> {
    let is_without = |interval: &Interval| interval.mean.is_none() || interval.low.is_none();
    evaluation.policies.iter().any(|policy| is_without(&policy.metrics.normalized_area)).then_some(
        "warning: `greedy` is no better than `random` here, or may not be: there is no scale for areas, and normalised ones \
         say little or nothing; policies are ranked by their areas",
    )
}

/// By how many standard errors the worst of any policy's bins is off.
fn worst(evaluation: &Evaluation) -> f64 {
    evaluation.policies.iter().map(|policy| policy.reliability.max_z_score()).fold(0.0, f64::max)
}

fn number(value: Option<f64>, digits: usize) -> String {
    // What rounds to 0 is 0, from whichever side.
    let negligible = |value: f64| value.abs() < 0.5 * 10.0_f64.powi(-(digits as i32));
    value.map_or("-".to_owned(), |value| format!("{:.digits$}", if negligible(value) { 0.0 } else { value }))
}

fn with_range(interval: &Interval, digits: usize) -> String {
    let [mean, low, high] = [interval.mean, interval.low, interval.high].map(|value| number(value, digits));
    format!("{mean} [{low}, {high}]")
}

fn signed(interval: &Interval, digits: usize) -> String {
    let [mean, low, high] = [interval.mean, interval.low, interval.high]
        .map(|value| value.map_or("-".to_owned(), |value| format!("{value:+.digits$}")));
    format!("{mean} [{low}, {high}]")
}

/// One of a hundred bins lies beyond it by chance in one of some ten thousand evaluations.
const SUSPICIOUS: f64 = 5.0;
