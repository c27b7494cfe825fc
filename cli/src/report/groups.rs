//! Groups runs that differ only in their seed. A group is drawn as one line: the median, with a band.

use std::collections::BTreeMap;

use serde_json::Value;

use super::plot::{LinePoint, PlotColor, PlotLine};
use super::run_data::RunData;

/// Runs with the same settings in the same world.
pub(super) struct RunGroup<'a> {
    /// The settings that distinguish it, or a run's name.
    pub(super) name: String,
    pub(super) color: PlotColor,
    pub(super) runs: Vec<&'a RunData>,
}

/// Groups runs. Groups are in the order of their first runs.
pub(super) fn groups(runs: &[RunData]) -> Vec<RunGroup<'_>> {
    let mut groups: Vec<(BTreeMap<String, Value>, Vec<&RunData>)> = Vec::new();
    for run in runs {
        let settings = settings(run);
        match groups.iter_mut().find(|(known, _)| *known == settings) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((settings, vec![run])),
        }
    }
    let names: Vec<String> = groups.iter().map(|(own, runs)| name(own, runs, &groups)).collect();
    let numbered = names.into_iter().zip(groups).enumerate();
    numbered.map(|(n, (name, (_, runs)))| RunGroup { name, color: PlotColor::Series(n), runs }).collect()
}

impl RunGroup<'_> {
    /// The median over the runs at each x value, with a band from the minimum to the maximum where several runs have a
    /// value. `points` returns the x and y values of a run.
    pub(super) fn line(&self, points: impl Fn(&RunData) -> Vec<(u64, f64)>) -> PlotLine {
        let mut by_x: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (x, y) in self.runs.iter().flat_map(|run| points(run)) {
            by_x.entry(x).or_default().push(y);
        }
        let points = by_x.into_iter().map(|(x, values)| point(x as f64, values)).collect();
        PlotLine { name: self.name.clone(), color: self.color, points }
    }
}

fn point(x: f64, mut values: Vec<f64>) -> LinePoint {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    let band = (values.len() > 1).then_some((low, high));
    LinePoint { x, y: median(&values), band }
}

/// The median of sorted values.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}

/// The settings that are equal within a group, by key.
fn settings(run: &RunData) -> BTreeMap<String, Value> {
    let config = serde_json::to_value(&run.config).unwrap_or_default();
    let groups = config.as_object().into_iter().flatten();
    let mut settings: BTreeMap<String, Value> = groups
        .flat_map(|(group, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| (format!("{group}.{key}"), value.clone()))
        })
        .filter(|(key, _)| !IGNORED_SETTINGS.contains(&&**key))
        .collect();
    settings.insert("world".to_owned(), run.run.world.checksum.clone().into());
    settings
}

/// The settings in which a group differs from others, or a run's name if those are more than two.
fn name(
    own: &BTreeMap<String, Value>,
    runs: &[&RunData],
    groups: &[(BTreeMap<String, Value>, Vec<&RunData>)],
) -> String {
    let count = if runs.len() > 1 { format!(" ({} runs)", runs.len()) } else { String::new() };
    let shared = |key: &String, value: &Value| groups.iter().all(|(other, _)| other.get(key) == Some(value));
    let own: Vec<String> = own
        .iter()
        .filter(|(key, value)| !shared(key, value))
        .map(|(key, value)| format!("{key}={}", value.as_str().map_or(value.to_string(), str::to_owned)))
        .collect();
    match (runs, own.len()) {
        ([run], 0) => run.name.clone(),
        (runs, 0) => format!("{} runs", runs.len()),
        (_, 1 | 2) => own.join(", ") + &count,
        (runs, _) => runs[0].name.clone() + &count,
    }
}

/// Settings that do not change a run's numbers, and the seed.
const IGNORED_SETTINGS: [&str; 6] = [
    "experiment.seed",
    "experiment.backend",
    "experiment.threads",
    "experiment.instruction_set",
    "experiment.checkpoint_every",
    "experiment.output",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_is_the_median_with_a_band_from_minimum_to_maximum() {
        assert_eq!(point(1.0, vec![3.0, 1.0, 2.0]), LinePoint { x: 1.0, y: 2.0, band: Some((1.0, 3.0)) });
        assert_eq!(point(2.0, vec![3.0, 1.0]), LinePoint { x: 2.0, y: 2.0, band: Some((1.0, 3.0)) });
        assert_eq!(point(2.0, vec![3.0]), LinePoint { x: 2.0, y: 3.0, band: None });
    }
}
