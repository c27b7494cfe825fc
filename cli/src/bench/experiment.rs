//! Times the experiment as `recsim train` runs it, without writing files. The time of the rounds that are not run is
//! extrapolated.

use std::time::Instant;

use anyhow::Context;

use recsim_core::backend::Backend;
use recsim_core::session::Session;
use recsim_core::session::config::Plan;
use recsim_core::world::World;

use super::report::{ExperimentTiming, median, milliseconds, round_to};

/// Runs `run_rounds` rounds; all rounds if that is 0 or more than the experiment has.
///
/// # Errors
/// If the backend fails.
pub(super) fn run<B: Backend>(
    backend: B,
    world: &World<'_>,
    plan: Plan,
    run_rounds: u32,
) -> anyhow::Result<ExperimentTiming> {
    let rounds_total = plan.schedule.episodes as usize * plan.schedule.rounds_per_episode as usize;
    let rounds_run = if run_rounds == 0 { rounds_total } else { rounds_total.min(run_rounds as usize) };
    let users = plan.schedule.users;
    let mut session = Session::new(backend, world, plan)?;
    let start = Instant::now();
    let mut clock = || start.elapsed().as_secs_f64();
    let (mut rounds, mut sessions, mut acceptance) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds_run {
        let report = session.round(&mut clock)?.context("no observer pauses a round")?;
        rounds.push(report.seconds.total - report.seconds.training);
        sessions.extend(report.learning.map(|_| report.seconds.training));
        acceptance.push(report.acceptance_rate);
    }
    let wall = start.elapsed().as_secs_f64();
    let plan = session.plan();
    let trains = |rounds: &usize| plan.schedule.learns_after(*rounds as u64, (rounds * users) as u64, plan);
    let sessions_left = (rounds_run + 1..=rounds_total).filter(trains).count();
    let mean = |seconds: &[f64]| seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
    let remaining = (rounds_total - rounds_run) as f64 * mean(&rounds) + sessions_left as f64 * mean(&sessions);
    // The time of a training session is unknown if none was run.
    let is_known = sessions_left == 0 || !sessions.is_empty();
    Ok(ExperimentTiming {
        phase: "experiment",
        rounds_run,
        wall_s: round_to(wall, 1e4),
        sessions: sessions.len(),
        rounds_total,
        extrapolated_s: is_known.then(|| round_to(wall + remaining, 1e4)),
        round_ms: milliseconds(median(&rounds)),
        session_ms: (!sessions.is_empty()).then(|| milliseconds(median(&sessions))),
        user_steps_per_s: ((rounds_run * users) as f64 / wall) as u64,
        accept_first: round_to(acceptance[0], 1e4),
        accept_last: round_to(acceptance[rounds_run - 1], 1e4),
    })
}
