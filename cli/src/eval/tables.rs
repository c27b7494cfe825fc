//! The printed tables of an evaluation.

use recsim_core::eval::PolicyMetrics;
use recsim_core::eval::reliability::Reliability;
use recsim_core::eval::resample::Interval;

use crate::files::evaluation::Evaluation;
use crate::output::{counted, percent, table, thousands};

/// All tables, under a heading that says what was evaluated.
pub(super) fn all(evaluation: &Evaluation) -> String {
    [heading(evaluation), leaderboard(evaluation), slates(evaluation), pairs(evaluation), reliability(evaluation)]
        .join("\n")
}

fn heading(evaluation: &Evaluation) -> String {
    let Evaluation { users, rounds, seeds, rl_slots, slate_len, initial_distance, resamples, .. } = evaluation;
    let stopped = if evaluation.interrupted { " (stopped early)" } else { "" };
    let list: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    format!(
        "{}, {}, {rl_slots} of {} selected by the policy, seeds {}{stopped}; initial distance {initial_distance:.4}\n\
         in brackets: 95 % bootstrap intervals over users and seeds, from {resamples} resamples\n",
        counted(*users, "user"),
        counted(*rounds, "round"),
        counted(*slate_len, "item"),
        list.join(", "),
    )
}

fn leaderboard(evaluation: &Evaluation) -> String {
    let header = [
        "policy",
        "normalized area",
        "area",
        "IQM",
        "final",
        "rounds to 10 %",
        "improved",
        "accepted",
        "total reward",
    ];
    let rows = evaluation.policies.iter().map(|policy| {
        let PolicyMetrics { normalized_area, area, area_iqm, distance, rounds_to_tenth, .. } = &policy.metrics;
        let PolicyMetrics { improved_share, total_reward, acceptance, .. } = &policy.metrics;
        vec![
            policy.policy.clone(),
            with_range(normalized_area, 4),
            with_range(area, 3),
            number(area_iqm.mean, 3),
            number(distance.mean, 4),
            rounds_to_tenth.mean.map_or("never".to_owned(), |round| format!("{round:.0}")),
            improved_share.mean.map_or(String::new(), percent),
            acceptance.mean.map_or(String::new(), percent),
            number(total_reward.mean, 2),
        ]
    });
    table(&header, rows, true)
}

fn slates(evaluation: &Evaluation) -> String {
    let header = ["policy", "items covered", "Gini", "diversity", "entropy", "KL to target"];
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
    let header = ["better", "than", "normalized area", "area", "P(improvement)"];
    let rows = evaluation.pairs.iter().map(|pair| {
        vec![
            pair.first.clone(),
            pair.second.clone(),
            signed(&pair.difference.normalized_area, 4),
            signed(&pair.difference.area, 3),
            format!(
                "{} [{}, {}]",
                pair.probability_of_improvement.mean.map_or(String::new(), percent),
                pair.probability_of_improvement.low.map_or(String::new(), percent),
                pair.probability_of_improvement.high.map_or(String::new(), percent),
            ),
        ]
    });
    table(&header, rows, true)
}

/// Predicted and observed acceptances over all policies, by bins of the predicted probability. The last column is the
/// largest deviation of a single policy.
fn reliability(evaluation: &Evaluation) -> String {
    let mut all = Reliability::default();
    evaluation.policies.iter().for_each(|policy| all += &policy.reliability);
    let header = ["probability", "items shown", "predicted", "accepted", "deviation (SE)"];
    let bins = all.bins.iter().enumerate().filter(|(_, bin)| bin.shown > 0);
    let rows = bins.map(|(n, bin)| {
        let shown = bin.shown as f64;
        // Policies share their random draws, so that a standard error of the pooled counts would be wrong.
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
        "{bins}expected calibration error {error:.5}; largest deviation of any policy: {worst:.1} standard errors\n"
    )
}

/// The warning, printed even with `--quiet`, that acceptances do not follow the formula.
pub(super) fn reliability_warning(evaluation: &Evaluation) -> Option<String> {
    let worst = worst(evaluation);
    (worst >= SUSPICIOUS_DEVIATION).then(|| {
        format!(
            "warning: acceptances deviate by {worst:.1} standard errors from the predicted ones, which chance does \
             not explain: the backend is wrong, do not use these results, and report the problem to its authors"
        )
    })
}

/// The warning that the normalized area is undefined.
pub(super) fn scale_warning(evaluation: &Evaluation) -> Option<&'static str> {
    let is_undefined = |interval: &Interval| interval.mean.is_none() || interval.low.is_none();
    evaluation.policies.iter().any(|policy| is_undefined(&policy.metrics.normalized_area)).then_some(
        "warning: `greedy` is not better than `random`, or not in every resample: the normalized area is undefined \
         or unreliable; policies are ranked by area",
    )
}

/// The largest deviation of any bin of any policy, in standard errors.
fn worst(evaluation: &Evaluation) -> f64 {
    evaluation.policies.iter().map(|policy| policy.reliability.max_z_score()).fold(0.0, f64::max)
}

fn number(value: Option<f64>, digits: usize) -> String {
    // A negative value that rounds to 0 is printed without its sign.
    let is_negligible = |value: f64| value.abs() < 0.5 * 10.0_f64.powi(-(digits as i32));
    value.map_or("-".to_owned(), |value| format!("{:.digits$}", if is_negligible(value) { 0.0 } else { value }))
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

/// Standard errors from which a deviation is reported. By chance, one of a hundred bins exceeds it in about one of
/// 10,000 evaluations.
const SUSPICIOUS_DEVIATION: f64 = 5.0;
