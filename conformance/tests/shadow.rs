//! `Shadow` finishes a run where two backends agree, and names the difference where one has a defect.

use std::ops::Range;

use recsim_conformance::compare::Difference;
use recsim_conformance::shadow::{Shadow, ShadowError};
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{BackendTypes, Inspect, Learn, Pending, RoundSnapshot, Simulate, StageSeconds};
use recsim_core::model::rng::Key;
use recsim_core::model::{EnvironmentSpec, Tally};
use recsim_core::session::config::Config;
use recsim_core::session::{Session, SessionError};
use recsim_core::td3::explore::ItemExploration;
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState, Losses, UpdateKeys};
use recsim_core::world::{SyntheticWorldConfig, World, brute_force_lists, generate};

#[test]
fn shadow_accepts_a_correct_backend() {
    assert_eq!(first_difference(Defect::None), None);
}

#[test]
fn shadow_reports_an_action_that_differs_by_a_thousandth() {
    let difference = first_difference(Defect::Action).expect("the actions differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("act", "action", Some(AFFECTED_USER), 2)
    );
}

#[test]
fn shadow_reports_a_different_reranked_action() {
    let difference = first_difference(Defect::Reranked).expect("the actions differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("rerank", "action", Some(AFFECTED_USER - 1), 3)
    );
}

#[test]
fn shadow_reports_an_explored_action_that_differs_by_an_ulp() {
    let difference = first_difference(Defect::Explored).expect("the actions differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("explore", "action", Some(AFFECTED_USER), 1)
    );
}

#[test]
fn shadow_reports_two_exchanged_slots() {
    let difference = first_difference(Defect::Slate).expect("the slates differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("recommend", "slate", Some(AFFECTED_USER), 1)
    );
    assert_ne!(difference.first, difference.second);
}

#[test]
fn shadow_reports_a_flipped_acceptance() {
    let difference = first_difference(Defect::Acceptance).expect("the acceptances differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("respond", "accepted", Some(AFFECTED_USER), 3)
    );
}

#[test]
fn shadow_reports_a_belief_that_differs_by_an_ulp() {
    let difference = first_difference(Defect::Belief).expect("the beliefs differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("respond", "belief", Some(AFFECTED_USER), 1)
    );
}

#[test]
fn shadow_reports_a_reward_that_differs_by_an_ulp() {
    let difference = first_difference(Defect::Reward).expect("the rewards differ");
    assert_eq!(
        (difference.stage, difference.field, difference.user, difference.index),
        ("respond", "reward", Some(AFFECTED_USER), 0)
    );
    let [a, b] =
        [&difference.first, &difference.second].map(|value| value.parse::<f32>().expect("a reward is a number"));
    assert_eq!(a.to_bits().abs_diff(b.to_bits()), 1);
}

#[test]
fn shadow_reports_a_reset_without_effect() {
    let difference = first_difference(Defect::Reset).expect("the beliefs differ");
    assert_eq!((difference.stage, difference.field), ("reset", "belief"));
}

#[test]
fn shadow_reports_a_wrong_tally() {
    let difference = first_difference(Defect::Tally).expect("the tallies differ");
    assert_eq!((difference.stage, difference.field, difference.user), ("tally", "tally", None));
}

#[test]
fn shadow_reports_a_missing_policy_update() {
    let difference = first_difference(Defect::Policy).expect("the agents differ");
    assert_eq!((difference.stage, difference.user), ("losses", None));
}

#[test]
fn shadow_reports_wrong_running_statistics_of_targets() {
    let difference = first_difference(Defect::TargetStatistics).expect("the agents differ");
    assert_eq!((difference.stage, difference.field, difference.user), ("losses", "targets", None));
}

#[test]
fn session_reports_the_stage_seconds_of_the_backend() {
    let world_config =
        SyntheticWorldConfig { users: 20, items: 50, clusters: 3, dimensions: 5, pretrained_len: 40, seed: 0 };
    let generated = generate(&world_config, brute_force_lists);
    let plan = Config::default().plan(&generated.view().expect("a valid world")).expect("the defaults are valid");
    let backend = DefectiveBackend { inner: Reference::default(), defect: Defect::None };
    let mut session =
        Session::new(backend, &generated.view().expect("a valid world"), plan).expect("a session starts");
    let report = session
        .round(&mut || 0.0)
        .expect("the reference backend does not fail")
        .expect("this observer never pauses");
    assert_eq!(StageSeconds { training: 0.0, total: 0.0, ..report.seconds }, SECONDS);
}

/// The first difference in a run of two episodes under `Shadow`, if there is one.
fn first_difference(defect: Defect) -> Option<Difference> {
    let world_config =
        SyntheticWorldConfig { users: 20, items: 50, clusters: 3, dimensions: 5, pretrained_len: 12, seed: 0 };
    let generated = generate(&world_config, brute_force_lists);
    let mut config = Config::default();
    (config.training.episodes, config.training.rounds_per_episode, config.training.batch_size) = (2, 3, 8);
    (config.training.warmup_transitions, config.td3.batch_size) = (1, 16);
    (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (3, 6);
    (config.td3.hidden_sizes, config.td3.candidates) = (vec![8, 8], 4);
    let plan = config.plan(&generated.view().expect("a valid world")).expect("the configuration is valid");
    let backend =
        Shadow::new(Reference::<f32>::default(), DefectiveBackend { inner: Reference::default(), defect });
    let mut session =
        Session::new(backend, &generated.view().expect("a valid world"), plan).expect("a session starts");
    while !session.is_finished() {
        match session.round(&mut || 0.0) {
            Ok(_) => {}
            Err(SessionError::Backend(ShadowError::Differ(difference))) => {
                assert!(difference.to_string().contains(difference.stage));
                return Some(difference);
            }
            Err(other) => panic!("{other}"),
        }
    }
    None
}

const AFFECTED_USER: usize = 13;
/// The stage seconds that the defective backend reports.
const SECONDS: StageSeconds = StageSeconds { policy: 1.0, matching: 2.0, step: 4.0, training: 0.0, total: 0.0 };

#[derive(Clone, Copy, PartialEq)]
enum Defect {
    None,
    Action,
    Reranked,
    Explored,
    Slate,
    Acceptance,
    Belief,
    Reward,
    Reset,
    Tally,
    Policy,
    TargetStatistics,
}

/// The reference backend with one defect.
struct DefectiveBackend {
    inner: Reference<f32>,
    defect: Defect,
}

type Inner = Reference<f32>;

impl DefectiveBackend {
    /// Changes the last round of [`AFFECTED_USER`] with `change`, if the backend has this defect.
    fn corrupt(
        &mut self,
        defect: Defect,
        batch: &mut <Inner as BackendTypes>::Batch,
        change: impl Fn(&mut RoundSnapshot, usize),
    ) {
        let mut snapshot = self.inner.snapshot(batch).expect("the reference backend does not fail");
        if self.defect == defect && snapshot.users.contains(&AFFECTED_USER) {
            let row = AFFECTED_USER - snapshot.users.start;
            change(&mut snapshot, row);
            self.inner.restore(batch, &snapshot).expect("the reference backend does not fail");
        }
    }
}

impl BackendTypes for DefectiveBackend {
    type Error = <Inner as BackendTypes>::Error;
    type World = <Inner as BackendTypes>::World;
    type Batch = <Inner as BackendTypes>::Batch;
    type Agent = <Inner as BackendTypes>::Agent;
    type Replay = <Inner as BackendTypes>::Replay;
}

impl Simulate for DefectiveBackend {
    fn load_world(&mut self, world: &World<'_>, environment: &EnvironmentSpec) -> Result<Self::World, Self::Error> {
        self.inner.load_world(world, environment)
    }
    fn create_batch(&mut self, world: &Self::World, users: Range<usize>) -> Result<Self::Batch, Self::Error> {
        self.inner.create_batch(world, users)
    }
    fn reset(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        if self.defect == Defect::Reset { Ok(()) } else { self.inner.reset(world, batch) }
    }
    fn observe(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.inner.observe(world, batch)
    }
    fn explore(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        exploration: &ItemExploration,
    ) -> Result<(), Self::Error> {
        self.inner.explore(world, batch, exploration)?;
        self.corrupt(Defect::Explored, batch, |snapshot, row| next_up(&mut snapshot.action[5 * row + 1]));
        Ok(())
    }
    fn recommend(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.inner.recommend(world, batch)?;
        self.corrupt(Defect::Slate, batch, |snapshot, row| snapshot.slate.swap(6 * row + 1, 6 * row + 2));
        Ok(())
    }
    fn show(&mut self, world: &Self::World, batch: &mut Self::Batch, items: &[u32]) -> Result<(), Self::Error> {
        self.inner.show(world, batch, items)
    }
    fn respond(
        &mut self,
        world: &Self::World,
        batch: &mut Self::Batch,
        round: Key,
        replay: Option<&mut Self::Replay>,
    ) -> Result<(), Self::Error> {
        self.inner.respond(world, batch, round, replay)?;
        self.corrupt(Defect::Acceptance, batch, |snapshot, row| snapshot.accepted[6 * row + 3] ^= true);
        self.corrupt(Defect::Belief, batch, |snapshot, row| next_up(&mut snapshot.belief[3 * row + 1]));
        self.corrupt(Defect::Reward, batch, |snapshot, row| next_up(&mut snapshot.reward[row]));
        Ok(())
    }
    fn create_replay(
        &mut self,
        world: &Self::World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Self::Replay, Self::Error> {
        self.inner.create_replay(world, capacity, transitions)
    }
}

impl Learn for DefectiveBackend {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Self::Agent, Self::Error> {
        self.inner.load_agent(spec, state)
    }
    fn act(&mut self, agent: &Self::Agent, batch: &mut Self::Batch, noise: Option<Key>) -> Result<(), Self::Error> {
        self.inner.act(agent, batch, noise)?;
        self.corrupt(Defect::Action, batch, |snapshot, row| snapshot.action[5 * row + 2] += 1e-3);
        Ok(())
    }
    fn rerank(
        &mut self,
        world: &Self::World,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        self.inner.rerank(world, agent, batch)?;
        // Shadow allows one user to differ, so two must.
        self.corrupt(Defect::Reranked, batch, |snapshot, row| {
            [row, row - 1].into_iter().for_each(|row| next_up(&mut snapshot.action[5 * row + 3]));
        });
        Ok(())
    }
    fn update(
        &mut self,
        world: &Self::World,
        replay: &Self::Replay,
        agent: &mut Self::Agent,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), Self::Error> {
        self.inner.update(world, replay, agent, keys, with_policy && self.defect != Defect::Policy)
    }
}

impl Inspect for DefectiveBackend {
    fn tally(&mut self, world: &Self::World, batches: &[Self::Batch]) -> Result<Tally, Self::Error> {
        let mut tally = self.inner.tally(world, batches)?;
        tally.accepted += u64::from(self.defect == Defect::Tally);
        Ok(tally)
    }
    fn stage_seconds(&mut self, _: &[Self::Batch]) -> Result<Option<StageSeconds>, Self::Error> {
        Ok(Some(SECONDS))
    }
    fn take_losses(&mut self, agent: &mut Self::Agent) -> Result<Losses, Self::Error> {
        self.inner.take_losses(agent)
    }
    fn snapshot(&mut self, batch: &Self::Batch) -> Result<RoundSnapshot, Self::Error> {
        self.inner.snapshot(batch)
    }
    fn restore(&mut self, batch: &mut Self::Batch, snapshot: &RoundSnapshot) -> Result<(), Self::Error> {
        self.inner.restore(batch, snapshot)
    }
    fn transitions(
        &mut self,
        replay: &Self::Replay,
        count: usize,
    ) -> Result<Pending<Transitions, Self::Error>, Self::Error> {
        self.inner.transitions(replay, count)
    }
    fn export_agent(&mut self, agent: &Self::Agent) -> Result<Pending<AgentState, Self::Error>, Self::Error> {
        let is_defective = self.defect == Defect::TargetStatistics;
        let change = move |mut state: AgentState| {
            for target in state.targets.iter_mut().filter(|_| is_defective) {
                let half = target.running_stats.len() / 2;
                target.running_stats[..half].fill(0.0);
            }
            state
        };
        Ok(self.inner.export_agent(agent)?.map(change))
    }
}

fn next_up(number: &mut f32) {
    *number = f32::from_bits(number.to_bits() + 1);
}
