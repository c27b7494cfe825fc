//! The loop, written once for every backend (`spec` section 3).

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

/// An experiment on a device, from its first round to its last.
///
/// ```
/// # use recsim_core::session::config::Config;
/// # use recsim_core::backend::reference::Reference;
/// # use recsim_core::session::Session;
/// # use recsim_core::world;
/// let recipe = world::SyntheticWorldConfig { users: 20, items: 60, clusters: 3, dimensions: 4, pretrained_len: 8, seed: 0 };
/// let generated = world::generate(&recipe, world::brute_force_lists);
/// let world = generated.view()?;
/// let mut config = Config::default();
/// config.training.rounds_per_episode = 2;
/// config.recommendation.rl_list_size = 2;
/// config.recommendation.total_recommendations = 4;
/// let plan = config.plan(&world)?;
/// let mut session = Session::new(Reference::<f32>::default(), &world, plan)?;
/// let report = session.round(&mut || 0.0)?.expect("nobody puts updates off");
/// assert_eq!((report.episode, report.round, report.users), (1, 1, 20));
/// // What it leaves goes on elsewhere, to the same bits.
/// let state = session.state()?;
/// let again = Session::resume(Reference::<f32>::default(), &world, session.plan().clone(), &state)?;
/// assert_eq!(again.next_round(), (1, 2));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Session<B: Backend> {
    backend: B,
    plan: Plan,
    world: B::World,
    batches: Vec<B::Batch>,
    agent: B::Agent,
    replay: B::Replay,
    progress: RunProgress,
    initial_distance: f64,
    /// The first so many users' batches are kept as they leave a round.
    recorded_users: usize,
    snapshots: Vec<RoundSnapshot>,
}

impl<B: Backend> Session<B> {
    /// Brings the world and the agent that `plan.seed` begins with to the device.
    pub fn new(backend: B, world: &World<'_>, plan: Plan) -> Result<Self, SessionError<B::Error>> {
        let agent = plan.agent.initial_agent(plan.seed);
        Self::begin(backend, world, plan, RunProgress::default(), &agent, &Transitions::default())
    }

    /// A session that goes on from where another one of this world was, and does what that would have done: to the bit on
    /// the same kind of device, whatever the batches. `plan` is the other's but for what may change.
    ///
    /// # Errors
    /// If the device fails, or `state` is not one of such a session: see [`SessionState::check`].
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
            // Of a round that is over, only the beliefs go into the next.
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

    /// Serves every user once, learns if it is time to, and reports. The first round of an episode begins with the
    /// users' initial beliefs.
    ///
    /// None if the watcher puts updates off: then the round is suspended, and the next call goes on with it, to the same
    /// numbers as if it had never been.
    pub fn round(
        &mut self,
        watcher: &mut dyn RoundObserver,
    ) -> Result<Option<RoundReport>, SessionError<B::Error>> {
        let (episode, round) = self.next_round();
        let mut watch = Stopwatch::start(watcher);
        let (tally, mut updates) = match self.progress.paused.take() {
            Some(PausedRound { remaining_updates: updates, tally, seconds }) => {
                watch.seconds = seconds;
                (tally, updates)
            }
            None => self.serve(episode, round, &mut watch)?,
        };
        let learns = updates > 0;
        while updates > 0 {
            if watch.observer.should_pause(updates) {
                watch.lap(|seconds| &mut seconds.training);
                self.progress.paused =
                    Some(PausedRound { remaining_updates: updates, tally, seconds: watch.seconds() });
                return Ok(None);
            }
            updates -= 1;
            self.update()?;
        }
        let learning = if learns { self.take_learning_report()? } else { None };
        watch.lap(|seconds| &mut seconds.training);
        Ok(Some(self.report(episode, round, &tally, learning, watch.seconds())))
    }

    /// Serves every user once: what it came to, and the updates that are due.
    fn serve(
        &mut self,
        episode: u32,
        round: u32,
        watch: &mut Stopwatch<'_>,
    ) -> Result<(Tally, u32), SessionError<B::Error>> {
        if round == 1 {
            for batch in &mut self.batches {
                self.backend.reset(&self.world, batch)?;
            }
        }
        self.collect(episode, round, watch)?;
        let tally = self.backend.tally(&self.world, &self.batches)?;
        let on_device = self.backend.stage_seconds(&self.batches)?;
        watch.lap(|seconds| &mut seconds.step);
        if let Some(seconds) = on_device {
            watch.seconds = seconds;
        }
        self.progress.rounds += 1;
        self.progress.transitions += tally.users;
        self.progress.interactions += tally.shown;
        let Schedule { gradient_steps, .. } = self.plan.schedule;
        let learns = self.plan.schedule.learns_after(self.progress.rounds, self.progress.transitions, &self.plan);
        Ok((tally, if learns { gradient_steps } else { 0 }))
    }

    /// Plays the round batch by batch.
    fn collect(
        &mut self,
        episode: u32,
        round: u32,
        watch: &mut Stopwatch<'_>,
    ) -> Result<(), SessionError<B::Error>> {
        let keys = RoundKeys::new(self.plan.seed, episode, round, &self.plan.agent);
        self.snapshots.clear();
        for (batch, users) in self.batches.iter_mut().zip(batches(&self.plan.schedule)) {
            let replay = &mut self.replay;
            play_round(&mut self.backend, &self.world, &self.agent, batch, replay, &keys, &mut |stage| {
                watch.lap(|seconds| seconds.of_stage(stage));
            })?;
            if users.start < self.recorded_users {
                self.snapshots.push(self.backend.snapshot(batch)?);
                watch.lap(|seconds| &mut seconds.step);
            }
            watch.observer.users_served(users.end);
        }
        Ok(())
    }

    fn update(&mut self) -> Result<(), SessionError<B::Error>> {
        self.progress.updates += 1;
        let number = (self.plan.seed, self.progress.updates, self.plan.agent.td3.policy_freq);
        run_update(&mut self.backend, &self.world, &self.replay, &mut self.agent, number)?;
        Ok(())
    }

    /// What the round's updates reported.
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

    /// The episode and the round in it, both from 1, that [`Session::round`] serves next, or goes on with.
    pub fn next_round(&self) -> (u32, u32) {
        let rounds = u64::from(self.plan.schedule.rounds_per_episode);
        let done = self.progress.reported_rounds();
        ((done / rounds) as u32 + 1, (done % rounds) as u32 + 1)
    }

    /// Whether every round of every episode is done.
    pub fn is_finished(&self) -> bool {
        self.next_round().0 > self.plan.schedule.episodes
    }

    /// How far the run has come.
    pub fn progress(&self) -> RunProgress {
        self.progress
    }

    /// What is being done.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The users' mean summed distance to the target when an episode begins.
    pub fn initial_distance(&self) -> f64 {
        self.initial_distance
    }

    /// Keeps, from the next round on, what happens to the first `users` users, and to those in a batch with them.
    pub fn record_users(&mut self, users: usize) {
        self.recorded_users = users;
    }

    /// The last round of the batches that are [recorded](Session::record_users), in user order; none before a round is served.
    pub fn snapshots(&self) -> &[RoundSnapshot] {
        &self.snapshots
    }

    /// Every user's beliefs as they are now, `[users, K]`.
    pub fn beliefs(&mut self) -> Result<Pending<Vec<f32>, B::Error>, B::Error> {
        let parts = self.batches.iter().map(|batch| self.backend.beliefs(batch)).collect::<Result<Vec<_>, _>>()?;
        Ok(Pending::new(move || {
            let mut all = Vec::new();
            for part in parts {
                all.extend(part.wait()?);
            }
            Ok(all)
        }))
    }

    /// The last `count` transitions, or all that the ring holds if those are fewer.
    pub fn transitions(&mut self, count: usize) -> Result<Pending<Transitions, B::Error>, B::Error> {
        self.backend.transitions(&self.replay, count)
    }

    /// All that is needed to go on from here: see [`Session::resume`].
    pub fn state(&mut self) -> Result<SessionState, SessionError<B::Error>> {
        Ok(SessionState {
            progress: self.progress,
            agent: self.agent()?.wait()?,
            beliefs: self.beliefs()?.wait()?,
            transitions: self.transitions(self.plan.agent.buffer_size())?.wait()?,
        })
    }

    /// The agent as it is now; whoever waits for an agent with a number that is not finite gets an error.
    pub fn agent(&mut self) -> Result<Pending<AgentState, SessionError<B::Error>>, B::Error> {
        let (agent, diverged) = (self.backend.export_agent(&self.agent)?, self.diverged());
        Ok(Pending::new(|| {
            let agent = agent.wait()?;
            if agent.is_finite() { Ok(agent) } else { Err(diverged) }
        }))
    }
}

fn batches(schedule: &Schedule) -> impl Iterator<Item = core::ops::Range<usize>> + use<> {
    let Schedule { users, batch_size, .. } = *schedule;
    (0..users).step_by(batch_size).map(move |first| first..users.min(first + batch_size))
}

fn mean_initial_distance(world: &World<'_>) -> f64 {
    let shape = world.shape();
    let target = DVectorView::from_slice(world.target(), shape.clusters);
    let far = |user| distance(&DVectorView::from_slice(world.beliefs(user), shape.clusters), &target);
    let sum: ExactSum = (0..shape.users).map(|user| ExactSum::from_f64(f64::from(far(user)))).sum();
    sum.value() / shape.users as f64
}
