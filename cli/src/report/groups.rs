//! Runs that differ in nothing but their seed are drawn as one: their median, and a band.

use std::collections::BTreeMap;

use serde_json::Value;

use super::plot::{Ink, Line, Point};
use super::trained::Trained;

/// Runs with the same settings in the same world.
pub(super) struct Group<'a> {
    /// What tells it from others.
    pub(super) name: String,
    pub(super) ink: Ink,
    pub(super) runs: Vec<&'a Trained>,
}

/// The groups of runs, in the order of their first ones.
pub(super) fn groups(runs: &[Trained]) -> Vec<Group<'_>> {
    let mut groups: Vec<(BTreeMap<String, Value>, Vec<&Trained>)> = Vec::new();
    for run in runs {
        let settings = settings(run);
        match groups.iter_mut().find(|(known, _)| *known == settings) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((settings, vec![run])),
        }
    }
    let names: Vec<String> = groups.iter().map(|(own, runs)| name(own, runs, &groups)).collect();
    let numbered = names.into_iter().zip(groups).enumerate();
    numbered.map(|(n, (name, (_, runs)))| Group { name, ink: Ink::Series(n), runs }).collect()
}

impl Group<'_> {
    /// The median over the runs of what each has at some places, with a band from the least to the greatest where there
    /// are several.
    pub(super) fn line(&self, of: impl Fn(&Trained) -> Vec<(u64, f64)>) -> Line {
        let mut places: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (place, value) in self.runs.iter().flat_map(|run| of(run)) {
            places.entry(place).or_default().push(value);
        }
        let points = places.into_iter().map(|(place, values)| point(place as f64, values)).collect();
        Line { name: self.name.clone(), ink: self.ink, points }
    }
}

fn point(x: f64, mut values: Vec<f64>) -> Point {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    let band = (values.len() > 1).then_some((low, high));
    Point { x, y: median(&values), band }
}

/// Of sorted values.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { (values[middle - 1] + values[middle]) / 2.0 } else { values[middle] }
}

/// What may not differ within a group, by key.
fn settings(run: &Trained) -> BTreeMap<String, Value> {
    let config = serde_json::to_value(&run.config).unwrap_or_default();
    let groups = config.as_object().into_iter().flatten();
    let mut settings: BTreeMap<String, Value> = groups
        .flat_map(|(group, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| (format!("{group}.{key}"), value.clone()))
        })
        .filter(|(key, _)| !OF_NO_MATTER.contains(&&**key))
        .collect();
    settings.insert("world".to_owned(), run.run.world.checksum.clone().into());
    settings
}

/// The settings that a group does not share with all others, or a run's name where those are too many to read.
fn name(
    own: &BTreeMap<String, Value>,
    runs: &[&Trained],
    groups: &[(BTreeMap<String, Value>, Vec<&Trained>)],
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

/// Settings that a run's numbers do not depend on, or that make it another run of the same.
const OF_NO_MATTER: [&str; 6] = [
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
    fn a_point_is_the_median_with_a_band_from_the_least_to_the_greatest() {
        assert_eq!(point(1.0, vec![3.0, 1.0, 2.0]), Point { x: 1.0, y: 2.0, band: Some((1.0, 3.0)) });
        assert_eq!(point(2.0, vec![3.0, 1.0]), Point { x: 2.0, y: 2.0, band: Some((1.0, 3.0)) });
        assert_eq!(point(2.0, vec![3.0]), Point { x: 2.0, y: 3.0, band: None });
    }
}
