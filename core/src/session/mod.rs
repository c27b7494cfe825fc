//! The training loop, written once for every backend (`docs/spec.md`, section 3).
//!
//! ```text
//!   Config ──plan(world)──► Plan ──┐
//!                        Backend ──┼──► Session ──round()──► RoundReport ──► EpisodeReport, TrainingMonitor
//!                          World ──┘      │  ▲
//!                                  state()▼  │resume()
//!                                     SessionState
//! ```
//!
//! | module or type | contents |
//! |---|---|
//! | [`config`] | the configuration as written, and the checked [`Plan`] |
//! | [`Session`] | the loop |
//! | [`RoundObserver`] | clock, progress and pausing |
//! | [`state`], [`checkpoint`] | everything needed to resume, and the names of an agent's arrays in files |
//! | [`metrics`] | what a round, a training session and an episode report, and training warnings |

pub mod checkpoint;
pub mod config;
mod error;
pub mod metrics;
mod observer;
mod progress;
pub mod state;

use alloc::vec;
use alloc::vec::Vec;

use nalgebra::DVectorView;

use crate::backend::round::{RoundKeys, play_round, run_update};
use crate::backend::{Backend, Pending, RoundSnapshot, StageSeconds};
use crate::model::belief::distance;
use crate::model::{ExactSum, Tally};
use crate::session::config::{Plan, Schedule};
use crate::session::metrics::{LearningReport, RoundReport};
use crate::session::state::SessionState;
use crate::td3::AgentState;
use crate::td3::replay::Transitions;
use crate::world::World;
pub use error::SessionError;
pub use observer::RoundObserver;
use observer::Stopwatch;
pub use progress::{PausedRound, RunProgress};

/// A training run on a backend, from the first round to the last.
///
/// One call of [`Session::round`] serves every user once and, if training is due, makes the updates. A session reads no
/// clock and writes no file.
///
/// If a call returns an error of the backend, the session's state is unspecified: resume from an earlier
/// [`SessionState`].
///
/// ```
/// # use recsim_core::session::config::Config;
/// # use recsim_core::backend::reference::Reference;
/// # use recsim_core::session::Session;
/// # use recsim_core::world;
/// let world_config =
///     world::SyntheticWorldConfig { users: 20, items: 60, clusters: 3, dimensions: 4, pretrained_len: 8, seed: 0 };
/// let generated = world::generate(&world_config, world::brute_force_lists);
/// let world = generated.view()?;
/// let mut config = Config::default();
/// config.training.rounds_per_episode = 2;
/// config.recommendation.rl_list_size = 2;
/// config.recommendation.total_recommendations = 4;
/// let plan = config.plan(&world)?;
/// let mut session = Session::new(Reference::<f32>::default(), &world, plan)?;
/// let report = session.round(&mut || 0.0)?.expect("this observer never pauses");
/// assert_eq!((report.episode, report.round, report.users), (1, 1, 20));
/// // A resumed session gives the same bits as the original.
/// let state = session.state()?;
/// let resumed = Session::resume(Reference::<f32>::default(), &world, session.plan().clone(), &state)?;
/// assert_eq!(resumed.next_round(), (1, 2));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Session<B: Backend> {
    backend: B,
    plan: Plan,
    world: B::World,
    /// In user order.
    batches: Vec<B::Batch>,
    agent: B::Agent,
    replay: B::Replay,
    progress: RunProgress,
    initial_distance: f64,
    /// Batches that hold any of the first `recorded_users` users are recorded after each round.
    recorded_users: usize,
    snapshots: Vec<RoundSnapshot>,
}

impl<B: Backend> Session<B> {
    /// Starts a run: loads the world and the initial agent of `plan.seed` into the backend.
    ///
    /// `plan` must come from [`Config::plan`](config::Config::plan) for this world.
    ///
    /// # Errors
    /// [`SessionError::Backend`] if the backend fails.
    pub fn new(backend: B, world: &World<'_>, plan: Plan) -> Result<Self, SessionError<B::Error>> {
        let agent = plan.agent.initial_agent(plan.seed);
        Self::begin(backend, world, plan, RunProgress::default(), &agent, &Transitions::default())
    }

    /// Resumes a session from the [`state`](Session::state) of another one in the same world.
    ///
    /// The resumed session does what the other would have done. On the same backend and instruction set its results
    /// have the same bits, whatever the batch size and the number of threads. `plan` must equal the other session's
    /// plan except for the number of episodes and the batch size; a caller that changes more continues another
    /// experiment.
    ///
    /// # Errors
    /// [`SessionError::State`] if `state` does not belong to a session of `plan` and `world` (see
    /// [`SessionState::check`]), and [`SessionError::Backend`] if the backend fails.
    pub fn resume(
        backend: B,
        world: &World<'_>,
        plan: Plan,
        state: &SessionState,
    ) -> Result<Self, SessionError<B::Error>> {
        state.check(&plan, world).map_err(SessionError::State)?;
        let (environment, shape) = (plan.environment, world.shape());
        let mut session = Self::begin(backend, world, plan, state.progress, &state.agent, &state.transitions)?;
        for (batch, users) in session.batches.iter_mut().zip(batches(&session.plan.schedule)) {
            let beliefs = &state.beliefs[users.start * shape.clusters..users.end * shape.clusters];
            let count = users.len();
            // The next round reads only the beliefs of the last one.
            let snapshot = RoundSnapshot {
                users,
                action: vec![0.0; count * shape.dimensions],
                slate: vec![0; count * environment.slate_len],
                accepted: vec![false; count * environment.slate_len],
                belief_before: beliefs.to_vec(),
                belief: beliefs.to_vec(),
                reward: vec![0.0; count],
            };
            session.backend.restore(batch, &snapshot)?;
        }
        Ok(session)
    }

    fn begin(
        mut backend: B,
        world: &World<'_>,
        plan: Plan,
        progress: RunProgress,
        agent: &AgentState,
        transitions: &Transitions,
    ) -> Result<Self, SessionError<B::Error>> {
        let served = world.first_users(plan.schedule.users);
        let on_device = backend.load_world(&served, &plan.environment)?;
        let batches = batches(&plan.schedule)
            .map(|users| backend.create_batch(&on_device, users))
            .collect::<Result<_, _>>()?;
        let agent = backend.load_agent(&plan.agent, agent)?;
        let replay = backend.create_replay(&on_device, plan.agent.buffer_size(), transitions)?;
        let initial_distance = mean_initial_distance(&served);
        Ok(Self {
            backend,
            plan,
            world: on_device,
            batches,
            agent,
            replay,
            progress,
            initial_distance,
            recorded_users: 0,
            snapshots: Vec::new(),
        })
    }

    /// Serves every user once, makes the updates if training is due, and reports. The first round of an episode starts
    /// from the users' initial beliefs.
    ///
    /// Returns `None` if the observer [pauses](RoundObserver::should_pause) the round. The next call then resumes it,
    /// with the same results as without the pause.
    ///
    /// # Errors
    /// [`SessionError::Backend`] if the backend fails, and [`SessionError::Diverged`] if a loss of the round's updates
    /// is not finite.
    pub fn round(
        &mut self,
        observer: &mut dyn RoundObserver,
    ) -> Result<Option<RoundReport>, SessionError<B::Error>> {
        let (episode, round) = self.next_round();
        let mut stopwatch = Stopwatch::start(observer);
        let (tally, mut remaining_updates) = match self.progress.paused.take() {
            Some(PausedRound { remaining_updates, tally, seconds }) => {
                stopwatch.seconds = seconds;
                (tally, remaining_updates)
            }
            None => self.serve_users(episode, round, &mut stopwatch)?,
        };
        let learns = remaining_updates > 0;
        while remaining_updates > 0 {
            if stopwatch.observer.should_pause(remaining_updates) {
                stopwatch.lap(|seconds| &mut seconds.training);
                self.progress.paused = Some(PausedRound { remaining_updates, tally, seconds: stopwatch.seconds() });
                return Ok(None);
            }
            remaining_updates -= 1;
            self.update()?;
        }
        let learning = if learns { self.take_learning_report()? } else { None };
        stopwatch.lap(|seconds| &mut seconds.training);
        Ok(Some(self.report(episode, round, &tally, learning, stopwatch.seconds())))
    }

    /// Serves every user once. Returns the round's sums over users and the number of updates to make after it.
    fn serve_users(
        &mut self,
        episode: u32,
        round: u32,
        stopwatch: &mut Stopwatch<'_>,
    ) -> Result<(Tally, u32), SessionError<B::Error>> {
        if round == 1 {
            for batch in &mut self.batches {
                self.backend.reset(&self.world, batch)?;
            }
        }
        self.play_batches(episode, round, stopwatch)?;
        let tally = self.backend.tally(&self.world, &self.batches)?;
        let measured = self.backend.stage_seconds(&self.batches)?;
        stopwatch.lap(|seconds| &mut seconds.step);
        if let Some(seconds) = measured {
            stopwatch.seconds = seconds;
        }
        self.progress.rounds += 1;
        self.progress.transitions += tally.users;
        self.progress.interactions += tally.shown;
        let Schedule { gradient_steps, .. } = self.plan.schedule;
        let learns = self.plan.schedule.learns_after(self.progress.rounds, self.progress.transitions, &self.plan);
        Ok((tally, if learns { gradient_steps } else { 0 }))
    }

    /// Plays the round batch by batch, and records the batches of [`Session::record_users`].
    fn play_batches(
        &mut self,
        episode: u32,
        round: u32,
        stopwatch: &mut Stopwatch<'_>,
    ) -> Result<(), SessionError<B::Error>> {
        let keys = RoundKeys::new(self.plan.seed, episode, round, &self.plan.agent);
        self.snapshots.clear();
        for (batch, users) in self.batches.iter_mut().zip(batches(&self.plan.schedule)) {
            let replay = &mut self.replay;
            play_round(&mut self.backend, &self.world, &self.agent, batch, replay, &keys, &mut |stage| {
                stopwatch.lap(|seconds| seconds.of_stage(stage));
            })?;
            if users.start < self.recorded_users {
                self.snapshots.push(self.backend.snapshot(batch)?);
                stopwatch.lap(|seconds| &mut seconds.step);
            }
            stopwatch.observer.users_served(users.end);
        }
        Ok(())
    }

    /// Makes the next update.
    fn update(&mut self) -> Result<(), SessionError<B::Error>> {
        self.progress.updates += 1;
        let number = (self.plan.seed, self.progress.updates, self.plan.agent.td3.policy_freq);
        run_update(&mut self.backend, &self.world, &self.replay, &mut self.agent, number)?;
        Ok(())
    }

    /// Means over the losses of the round's updates.
    ///
    /// # Errors
    /// The backend fails, or a loss is not finite.
    fn take_learning_report(&mut self) -> Result<Option<LearningReport>, SessionError<B::Error>> {
        let losses = self.backend.take_losses(&mut self.agent)?;
        if losses.is_finite() { Ok(LearningReport::from_losses(&losses)) } else { Err(self.diverged()) }
    }

    fn diverged(&self) -> SessionError<B::Error> {
        SessionError::Diverged { updates: self.progress.updates }
    }

    fn report(
        &mut self,
        episode: u32,
        round: u32,
        tally: &Tally,
        learning: Option<LearningReport>,
        seconds: StageSeconds,
    ) -> RoundReport {
        let total_reward = tally.total_reward(&self.plan.environment.user_model.reward);
        let average_reward = tally.per_user(total_reward);
        if round == 1 {
            self.progress.first_reward = average_reward;
        }
        RoundReport {
            episode,
            round,
            users: tally.users,
            acceptance_rate: tally.acceptance_rate(),
            improved: tally.improved,
            improved_share: tally.per_user(tally.improved as f64),
            average_reward,
            reward_trend: average_reward - self.progress.first_reward,
            total_reward,
            mean_distance: tally.per_user(tally.distance.value()),
            engagement: tally.per_user(tally.engagement.value()),
            alignment: tally.per_user(tally.alignment.value()),
            combined_score: tally.per_user(tally.score.value()),
            action_saturation: tally.action_saturation(),
            total_interactions: self.progress.interactions,
            updates: self.progress.updates,
            learning,
            seconds,
            user_steps_per_second: tally.users as f64 / seconds.total.max(f64::MIN_POSITIVE),
        }
    }

    /// The episode, and the round in that episode, that [`Session::round`] serves or resumes next. Both count from 1.
    pub fn next_round(&self) -> (u32, u32) {
        let rounds = u64::from(self.plan.schedule.rounds_per_episode);
        let finished = self.progress.reported_rounds();
        ((finished / rounds) as u32 + 1, (finished % rounds) as u32 + 1)
    }

    /// Whether every round of every episode is finished.
    pub fn is_finished(&self) -> bool {
        self.next_round().0 > self.plan.schedule.episodes
    }

    /// The counters of the run.
    pub fn progress(&self) -> RunProgress {
        self.progress
    }

    /// The plan of the run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The users' mean summed distance to the target at the start of an episode: the mean of `sum_c |target_c - b_c|`
    /// over the initial beliefs `b`, in `[0, sum target]`.
    pub fn initial_distance(&self) -> f64 {
        self.initial_distance
    }

    /// Records the first `users` users from the next round on; 0, the initial value, records none. Whole batches are
    /// recorded, so users of the last of these batches may be recorded in addition.
    pub fn record_users(&mut self, users: usize) {
        self.recorded_users = users;
    }

    /// The last round of the [recorded](Session::record_users) batches, in user order. Empty before the first round.
    pub fn snapshots(&self) -> &[RoundSnapshot] {
        &self.snapshots
    }

    /// Copies every user's current beliefs, `[users, K]`. Later rounds do not change the copy.
    ///
    /// # Errors
    /// The backend fails, here or in [`Pending::wait`].
    pub fn beliefs(&mut self) -> Result<Pending<Vec<f32>, B::Error>, B::Error> {
        let pending =
            self.batches.iter().map(|batch| self.backend.beliefs(batch)).collect::<Result<Vec<_>, _>>()?;
        Ok(Pending::new(move || {
            let mut beliefs = Vec::new();
            for batch in pending {
                beliefs.extend(batch.wait()?);
            }
            Ok(beliefs)
        }))
    }

    /// Copies the last `count` transitions, or all in the replay buffer if it holds fewer. Later rounds do not change
    /// the copy.
    ///
    /// # Errors
    /// The backend fails, here or in [`Pending::wait`].
    pub fn transitions(&mut self, count: usize) -> Result<Pending<Transitions, B::Error>, B::Error> {
        self.backend.transitions(&self.replay, count)
    }

    /// Everything that [`Session::resume`] needs. Waits for the backend.
    ///
    /// # Errors
    /// [`SessionError::Backend`] if the backend fails, and [`SessionError::Diverged`] if the agent is not finite.
    pub fn state(&mut self) -> Result<SessionState, SessionError<B::Error>> {
        Ok(SessionState {
            progress: self.progress,
            agent: self.agent()?.wait()?,
            beliefs: self.beliefs()?.wait()?,
            transitions: self.transitions(self.plan.agent.buffer_size())?.wait()?,
        })
    }

    /// Copies the current agent. Later updates do not change the copy.
    ///
    /// # Errors
    /// The backend fails. [`Pending::wait`] returns [`SessionError::Diverged`] if a value of the agent is NaN or
    /// infinite.
    pub fn agent(&mut self) -> Result<Pending<AgentState, SessionError<B::Error>>, B::Error> {
        let (agent, diverged) = (self.backend.export_agent(&self.agent)?, self.diverged());
        Ok(Pending::new(|| {
            let agent = agent.wait()?;
            if agent.is_finite() { Ok(agent) } else { Err(diverged) }
        }))
    }
}

/// The user ranges of the batches, in order.
fn batches(schedule: &Schedule) -> impl Iterator<Item = core::ops::Range<usize>> + use<> {
    let Schedule { users, batch_size, .. } = *schedule;
    (0..users).step_by(batch_size).map(move |first| first..users.min(first + batch_size))
}

/// See [`Session::initial_distance`].
fn mean_initial_distance(world: &World<'_>) -> f64 {
    let shape = world.shape();
    let target = DVectorView::from_slice(world.target(), shape.clusters);
    let user_distance = |user| distance(&DVectorView::from_slice(world.beliefs(user), shape.clusters), &target);
    let sum: ExactSum = (0..shape.users).map(|user| ExactSum::from_f64(f64::from(user_distance(user)))).sum();
    sum.value() / shape.users as f64
}
