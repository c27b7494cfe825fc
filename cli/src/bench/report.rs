//! Measurements as JSON lines or as a table.

use recsim_core::session::config::Plan;
use recsim_core::world::WorldShape;
use serde::Serialize;

use crate::device::DeviceInfo;
use crate::output::{self, duration, thousands};

/// What is measured, and on which device.
#[derive(Serialize)]
pub(super) struct BenchSetup {
    phase: &'static str,
    peer: &'static str,
    version: &'static str,
    #[serde(flatten)]
    device: DeviceInfo,
    users: usize,
    items: usize,
    clusters: usize,
    dimensions: usize,
    batch: usize,
    hidden: Vec<usize>,
    gradient_steps: u32,
}

/// The times of a repeated phase, in milliseconds.
#[derive(Clone, Serialize)]
pub(super) struct PhaseTiming {
    phase: &'static str,
    median_ms: f64,
    min_ms: f64,
    n: usize,
    first_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    gflops: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<u64>,
}

/// The times of the experiment, some of them extrapolated.
#[derive(Serialize)]
pub(super) struct ExperimentTiming {
    pub(super) phase: &'static str,
    pub(super) rounds_run: usize,
    pub(super) wall_s: f64,
    pub(super) sessions: usize,
    pub(super) rounds_total: usize,
    /// `None` if training sessions remain and none was run.
    pub(super) extrapolated_s: Option<f64>,
    pub(super) round_ms: f64,
    pub(super) session_ms: Option<f64>,
    pub(super) user_steps_per_s: u64,
    pub(super) accept_first: f64,
    pub(super) accept_last: f64,
}

impl BenchSetup {
    pub(super) fn new(device: DeviceInfo, plan: &Plan, world: WorldShape) -> Self {
        let layers = plan.agent.actor.layers();
        Self {
            phase: "setup",
            peer: "recsim",
            version: env!("CARGO_PKG_VERSION"),
            device,
            users: plan.schedule.users,
            items: world.items,
            clusters: world.clusters,
            dimensions: world.dimensions,
            batch: plan.schedule.batch_size,
            hidden: layers[..layers.len() - 1].iter().map(|layer| layer.outputs).collect(),
            gradient_steps: plan.schedule.gradient_steps,
        }
    }
}

impl PhaseTiming {
    /// From `seconds`: the first call, then at least one repetition. `gigaflop` is the work of one call, in units of
    /// 10^9 floating-point operations.
    pub(super) fn new(phase: &'static str, users: usize, gigaflop: Option<f64>, seconds: &[f64]) -> Self {
        let (first, rest) = (seconds[0], &seconds[1..]);
        let median = median(rest);
        Self {
            phase,
            median_ms: milliseconds(median),
            min_ms: milliseconds(rest.iter().copied().fold(f64::INFINITY, f64::min)),
            n: rest.len(),
            first_ms: milliseconds(first),
            gflops: gigaflop.map(|work| round_to(work / median, 1e1)),
            users: Some(users),
            batch: None,
            replay: None,
        }
    }

    /// Converts the times of a training session to times per update. The first call's time stays that of a session.
    pub(super) fn per_update(self, plan: &Plan, replay: u64, gigaflop: f64) -> Self {
        let updates = f64::from(plan.schedule.gradient_steps);
        let median_ms = self.median_ms / updates;
        Self {
            median_ms: round_to(median_ms, 1e3),
            min_ms: round_to(self.min_ms / updates, 1e3),
            gflops: Some(round_to(gigaflop / median_ms * 1e3, 1e1)),
            users: None,
            batch: Some(plan.agent.batch_size()),
            replay: Some(replay),
            ..self
        }
    }
}

/// Prints each measurement when it is known, as a JSON line or a row of a table.
pub(super) struct BenchPrinter {
    json: bool,
    rows: usize,
}

impl BenchPrinter {
    pub(super) fn new(json: bool) -> Self {
        Self { json, rows: 0 }
    }

    pub(super) fn setup(&mut self, setup: &BenchSetup) -> anyhow::Result<()> {
        if self.json {
            return output::json(setup);
        }
        let BenchSetup { version, device, users, items, dimensions, .. } = setup;
        let DeviceInfo { backend, threads, instruction_set, .. } = device;
        let (users, items) = (thousands(*users as u64), thousands(*items as u64));
        output::text(&format!(
            "recsim {version}: {backend}, threads: {threads}, {instruction_set}; \
             {users} users, {items} items, {dimensions} dimensions\n",
        ))
    }

    pub(super) fn timing(&mut self, timing: &PhaseTiming) -> anyhow::Result<()> {
        if self.json {
            return output::json(timing);
        }
        if self.rows == 0 {
            output::text(&row(["phase", "median ms", "min ms", "first ms", "n", "GFLOP/s"]))?;
        }
        self.rows += 1;
        let [median, min, first] = [timing.median_ms, timing.min_ms, timing.first_ms].map(|ms| format!("{ms:.3}"));
        let gflops = timing.gflops.map_or(String::new(), |gflops| format!("{gflops:.1}"));
        output::text(&row([timing.phase, &median, &min, &first, &timing.n.to_string(), &gflops]))
    }

    pub(super) fn experiment(&mut self, experiment: &ExperimentTiming) -> anyhow::Result<()> {
        if self.json {
            return output::json(experiment);
        }
        let ExperimentTiming { rounds_run, rounds_total, .. } = experiment;
        let session = experiment.session_ms.map_or("none run".to_owned(), |ms| duration(ms / 1e3));
        let time = experiment.extrapolated_s.map_or("time unknown, as no session was run,".to_owned(), duration);
        output::text(&format!(
            "experiment: {time} for {rounds_total} rounds, {rounds_run} of them run; \
             round {}, session {session}, {} user-steps/s, acceptance {} to {}\n",
            duration(experiment.round_ms / 1e3),
            thousands(experiment.user_steps_per_s),
            experiment.accept_first,
            experiment.accept_last,
        ))
    }
}

/// A row of the table. Column widths are fixed, so that it can be printed before the next row is known.
fn row([phase, median, min, first, n, gflops]: [&str; 6]) -> String {
    let line = format!("{phase:<12}{median:>12}{min:>12}{first:>12}{n:>5}{gflops:>10}");
    format!("{}\n", line.trim_end())
}

/// The median: the middle value, or the mean of the middle two.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}

pub(super) fn milliseconds(seconds: f64) -> f64 {
    round_to(seconds * 1e3, 1e3)
}

/// `value` rounded to the nearest multiple of `1 / scale`.
pub(super) fn round_to(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_excludes_the_first_call() {
        let timing = PhaseTiming::new("round", 7, Some(6.0), &[9.0, 1.0, 4.0, 2.0]);
        assert_eq!((timing.first_ms, timing.median_ms, timing.min_ms, timing.n), (9000.0, 2000.0, 1000.0, 3));
        assert_eq!(timing.gflops, Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
