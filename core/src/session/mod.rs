//! The loop, written once for every backend (`spec` section 3).

pub mod checkpoint;
pub mod config;
mod error;
pub mod metrics;
mod progress;
pub mod state;
mod watch;

use alloc::vec;
use alloc::vec::Vec;

use nalgebra::DVectorView;

use crate::backend::{Device, Later, Seconds, Snapshot};
use crate::model::belief::distance;
use crate::model::rng::{Key, Purpose};
use crate::model::{Fixed, Tally};
use crate::session::config::{Plan, Schedule};
use crate::session::metrics::{LearningReport, RoundReport};
use crate::session::state::State;
use crate::td3::replay::Transitions;
use crate::td3::{AgentState, UpdateKeys, policy_moves};
use crate::world::World;
pub use error::SessionError;
pub use progress::{Progress, Suspended};
use watch::Watch;
pub use watch::Watcher;

/// An experiment on a device, from its first round to its last.
///
/// ```
/// # use recsim_core::session::config::Config;
/// # use recsim_core::backend::reference::Reference;
/// # use recsim_core::session::Session;
/// # use recsim_core::world;
/// let recipe = world::Recipe { users: 20, items: 60, clusters: 3, dimensions: 4, list: 8, seed: 0 };
/// let generated = world::generate(&recipe, world::lists_by_brute_force);
/// let world = generated.view();
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
pub struct Session<B: Device> {
    backend: B,
    plan: Plan,
    world: B::World,
    batches: Vec<B::Batch>,
    agent: B::Agent,
    replay: B::Replay,
    progress: Progress,
    initial_distance: f64,
    /// The first so many users' batches are kept as they leave a round.
    kept: usize,
    snapshots: Vec<Snapshot>,
}

impl<B: Device> Session<B> {
    /// Brings the world and the agent that `plan.seed` begins with to the device.
    pub fn new(backend: B, world: &World<'_>, plan: Plan) -> Result<Self, SessionError<B::Error>> {
        let agent = plan.learner.initial(plan.seed);
        Self::begin(backend, world, plan, Progress::default(), &agent, &Transitions::default())
    }

    /// A session that goes on from where another one of this world was, and does what that would have done: to the bit on
    /// the same kind of device, whatever the batches. `plan` is the other's but for what may change.
    ///
    /// # Errors
    /// If the device fails, or `state` is not one of such a session: see [`State::check`].
    pub fn resume(
        backend: B,
        world: &World<'_>,
        plan: Plan,
        state: &State,
    ) -> Result<Self, SessionError<B::Error>> {
        state.check(&plan, world).map_err(SessionError::State)?;
        let (environment, shape) = (plan.environment, world.shape());
        let mut session = Self::begin(backend, world, plan, state.progress, &state.agent, &state.transitions)?;
        for (batch, users) in session.batches.iter_mut().zip(batches(&session.plan.schedule)) {
            let beliefs = &state.beliefs[users.start * shape.clusters..users.end * shape.clusters];
            let count = users.len();
            // Of a round that is over, only the beliefs go into the next.
            let snapshot = Snapshot {
                users,
                action: vec![0.0; count * shape.dimensions],
                slate: vec![0; count * environment.shown],
                accepted: vec![false; count * environment.shown],
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
        progress: Progress,
        agent: &AgentState,
        transitions: &Transitions,
    ) -> Result<Self, SessionError<B::Error>> {
        let served = world.first_users(plan.schedule.users);
        let on_device = backend.world(&served, &plan.environment)?;
        let batches =
            batches(&plan.schedule).map(|users| backend.batch(&on_device, users)).collect::<Result<_, _>>()?;
        let agent = backend.agent(&plan.learner, agent)?;
        let replay = backend.replay(&on_device, plan.learner.replay_capacity, transitions)?;
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
            kept: 0,
            snapshots: Vec::new(),
        })
    }

    /// Serves every user once, learns if it is time to, and reports. The first round of an episode begins with the
    /// users' initial beliefs.
    ///
    /// None if the watcher puts updates off: then the round is suspended, and the next call goes on with it, to the same
    /// numbers as if it had never been.
    pub fn round(&mut self, watcher: &mut dyn Watcher) -> Result<Option<RoundReport>, SessionError<B::Error>> {
        let (episode, round) = self.next_round();
        let mut watch = Watch::start(watcher);
        let (tally, mut updates) = match self.progress.suspended.take() {
            Some(Suspended { updates, tally, seconds }) => {
                watch.seconds = seconds;
                (tally, updates)
            }
            None => self.serve(episode, round, &mut watch)?,
        };
        let learns = updates > 0;
        while updates > 0 {
            if watch.watcher.puts_off(updates) {
                watch.lap(|seconds| &mut seconds.training);
                self.progress.suspended = Some(Suspended { updates, tally, seconds: watch.seconds() });
                return Ok(None);
            }
            updates -= 1;
            self.update()?;
        }
        let learning = if learns { self.learned()? } else { None };
        watch.lap(|seconds| &mut seconds.training);
        Ok(Some(self.report(episode, round, &tally, learning, watch.seconds())))
    }

    /// Serves every user once: what it came to, and the updates that are due.
    fn serve(
        &mut self,
        episode: u32,
        round: u32,
        watch: &mut Watch<'_>,
    ) -> Result<(Tally, u32), SessionError<B::Error>> {
        if round == 1 {
            for batch in &mut self.batches {
                self.backend.reset(&self.world, batch)?;
            }
        }
        self.collect(episode, round, watch)?;
        let tally = self.backend.tally(&self.world, &self.batches)?;
        let on_device = self.backend.seconds(&self.batches)?;
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

    /// Observe, act, refine, explore, recommend and respond, batch by batch.
    fn collect(&mut self, episode: u32, round: u32, watch: &mut Watch<'_>) -> Result<(), SessionError<B::Error>> {
        let key = |purpose| Key::new(self.plan.seed, purpose).with(u64::from(episode)).with(u64::from(round));
        let (luck, exploration) = (key(Purpose::Acceptance), key(Purpose::Exploration));
        let trial = self.plan.learner.trial(key(Purpose::ExplorationItem));
        self.snapshots.clear();
        for (batch, users) in self.batches.iter_mut().zip(batches(&self.plan.schedule)) {
            self.backend.observe(&self.world, batch)?;
            self.backend.act(&self.agent, batch, Some(exploration))?;
            self.backend.refine(&self.world, &self.agent, batch)?;
            if let Some(trial) = &trial {
                self.backend.explore(&self.world, batch, trial)?;
            }
            watch.lap(|seconds| &mut seconds.policy);
            self.backend.recommend(&self.world, batch)?;
            watch.lap(|seconds| &mut seconds.matching);
            self.backend.respond(&self.world, batch, luck, Some(&mut self.replay))?;
            if users.start < self.kept {
                self.snapshots.push(self.backend.snapshot(batch)?);
            }
            watch.lap(|seconds| &mut seconds.step);
            watch.watcher.served(users.end);
        }
        Ok(())
    }

    fn update(&mut self) -> Result<(), SessionError<B::Error>> {
        self.progress.updates += 1;
        let keys = UpdateKeys::new(self.plan.seed, self.progress.updates);
        self.backend.improve_critics(&self.world, &self.replay, &mut self.agent, &keys)?;
        if policy_moves(self.progress.updates, self.plan.learner.policy_freq) {
            self.backend.improve_policy(&mut self.agent, &keys)?;
        }
        Ok(())
    }

    /// What the round's updates reported.
    fn learned(&mut self) -> Result<Option<LearningReport>, SessionError<B::Error>> {
        let losses = self.backend.losses(&mut self.agent)?;
        if losses.is_finite() { Ok(LearningReport::of(&losses)) } else { Err(self.diverged()) }
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
        seconds: Seconds,
    ) -> RoundReport {
        let total_reward = tally.total_reward(&self.plan.environment.rules.reward);
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
        let rounds = u64::from(self.plan.schedule.rounds);
        let done = self.progress.done();
        ((done / rounds) as u32 + 1, (done % rounds) as u32 + 1)
    }

    /// Whether every round of every episode is done.
    pub fn finished(&self) -> bool {
        self.next_round().0 > self.plan.schedule.episodes
    }

    /// How far the run has come.
    pub fn progress(&self) -> Progress {
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
    pub fn keep(&mut self, users: usize) {
        self.kept = users;
    }

    /// The last round of the batches that are [kept](Session::keep), in user order; none before a round is served.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// Every user's beliefs as they are now, `[users, K]`.
    pub fn beliefs(&mut self) -> Result<Later<Vec<f32>, B::Error>, B::Error> {
        let parts = self.batches.iter().map(|batch| self.backend.beliefs(batch)).collect::<Result<Vec<_>, _>>()?;
        Ok(Later::new(move || {
            let mut all = Vec::new();
            for part in parts {
                all.extend(part.wait()?);
            }
            Ok(all)
        }))
    }

    /// The last `count` transitions, or all that the ring holds if those are fewer.
    pub fn transitions(&mut self, count: usize) -> Result<Later<Transitions, B::Error>, B::Error> {
        self.backend.transitions(&self.replay, count)
    }

    /// All that is needed to go on from here: see [`Session::resume`].
    pub fn state(&mut self) -> Result<State, SessionError<B::Error>> {
        Ok(State {
            progress: self.progress,
            agent: self.agent()?.wait()?,
            beliefs: self.beliefs()?.wait()?,
            transitions: self.transitions(self.plan.learner.replay_capacity)?.wait()?,
        })
    }

    /// The agent as it is now; whoever waits for an agent with a number that is not finite gets an error.
    pub fn agent(&mut self) -> Result<Later<AgentState, SessionError<B::Error>>, B::Error> {
        let (agent, diverged) = (self.backend.export(&self.agent)?, self.diverged());
        Ok(Later::new(|| {
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
    let sum: Fixed = (0..shape.users).map(|user| Fixed::of(f64::from(far(user)))).sum();
    sum.value() / shape.users as f64
}
