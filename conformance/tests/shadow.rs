//! A shadowed run goes through where two backends agree, and names what differs where one is broken.

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
fn a_sound_backend_goes_through() {
    assert_eq!(first_difference(Flaw::None), None);
}

#[test]
fn an_action_off_by_a_thousandth_is_named() {
    let found = first_difference(Flaw::Action).expect("the actions differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("act", "action", Some(BROKEN_USER), 2));
}

#[test]
fn another_candidate_preferred_is_named() {
    let found = first_difference(Flaw::Refined).expect("the actions differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("refine", "action", Some(BROKEN_USER - 1), 3));
}

#[test]
fn an_explored_item_missed_by_an_ulp_is_named() {
    let found = first_difference(Flaw::Explored).expect("the actions differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("explore", "action", Some(BROKEN_USER), 1));
}

#[test]
fn two_slate_positions_exchanged_are_named() {
    let found = first_difference(Flaw::Slate).expect("the slates differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("recommend", "slate", Some(BROKEN_USER), 1));
    assert_ne!(found.first, found.second);
}

#[test]
fn a_flipped_acceptance_is_named() {
    let found = first_difference(Flaw::Acceptance).expect("the acceptances differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("respond", "accepted", Some(BROKEN_USER), 3));
}

#[test]
fn a_belief_off_by_an_ulp_is_named() {
    let found = first_difference(Flaw::Belief).expect("the beliefs differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("respond", "belief", Some(BROKEN_USER), 1));
}

#[test]
fn a_reward_off_by_an_ulp_is_named() {
    let found = first_difference(Flaw::Reward).expect("the rewards differ");
    assert_eq!((found.stage, found.field, found.user, found.index), ("respond", "reward", Some(BROKEN_USER), 0));
    let [a, b] = [&found.first, &found.second].map(|value| value.parse::<f32>().expect("a reward is a number"));
    assert_eq!(a.to_bits().abs_diff(b.to_bits()), 1);
}

#[test]
fn a_reset_that_does_nothing_is_named() {
    let found = first_difference(Flaw::Reset).expect("the beliefs differ");
    assert_eq!((found.stage, found.field), ("reset", "belief"));
}

#[test]
fn a_miscounted_user_is_named() {
    let found = first_difference(Flaw::Tally).expect("the tallies differ");
    assert_eq!((found.stage, found.field, found.user), ("tally", "tally", None));
}

#[test]
fn a_policy_that_does_not_move_is_named() {
    let found = first_difference(Flaw::Policy).expect("the agents differ");
    assert_eq!((found.stage, found.user), ("losses", None));
}

#[test]
fn statistics_left_behind_in_the_targets_are_named() {
    let found = first_difference(Flaw::TargetStatistics).expect("the agents differ");
    assert_eq!((found.stage, found.field, found.user), ("losses", "targets", None));
}

#[test]
fn a_device_that_knows_its_seconds_is_believed() {
    let world_config =
        SyntheticWorldConfig { users: 20, items: 50, clusters: 3, dimensions: 5, pretrained_len: 40, seed: 0 };
    let generated = generate(&world_config, brute_force_lists);
    let plan = Config::default().plan(&generated.view().unwrap()).expect("the defaults are valid");
    let broken = Broken { inner: Reference::default(), flaw: Flaw::None };
    let mut session = Session::new(broken, &generated.view().unwrap(), plan).expect("a session starts");
    let report =
        session.round(&mut || 0.0).expect("the reference never fails").expect("this observer never pauses");
    assert_eq!(StageSeconds { training: 0.0, total: 0.0, ..report.seconds }, SECONDS);
}

/// Where a shadowed run of two episodes stops, if it does.
fn first_difference(flaw: Flaw) -> Option<Difference> {
    let world_config =
        SyntheticWorldConfig { users: 20, items: 50, clusters: 3, dimensions: 5, pretrained_len: 12, seed: 0 };
    let generated = generate(&world_config, brute_force_lists);
    let mut config = Config::default();
    (config.training.episodes, config.training.rounds_per_episode, config.training.batch_size) = (2, 3, 8);
    (config.training.warmup_transitions, config.td3.batch_size) = (1, 16);
    (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (3, 6);
    (config.td3.hidden_sizes, config.td3.candidates) = (vec![8, 8], 4);
    let plan = config.plan(&generated.view().unwrap()).expect("the configuration is valid");
    let backend = Shadow::new(Reference::<f32>::default(), Broken { inner: Reference::default(), flaw });
    let mut session = Session::new(backend, &generated.view().unwrap(), plan).expect("a session starts");
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

const BROKEN_USER: usize = 13;
/// What the broken one says of a round's time.
const SECONDS: StageSeconds = StageSeconds { policy: 1.0, matching: 2.0, step: 4.0, training: 0.0, total: 0.0 };

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Action,
    Refined,
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

/// The plain backend with one thing wrong.
struct Broken {
    inner: Reference<f32>,
    flaw: Flaw,
}

type Inner = Reference<f32>;

impl Broken {
    /// Breaks the last round of one user, if that is the flaw.
    fn spoil(
        &mut self,
        flaw: Flaw,
        batch: &mut <Inner as BackendTypes>::Batch,
        spoil: impl Fn(&mut RoundSnapshot, usize),
    ) {
        let mut snapshot = self.inner.snapshot(batch).expect("the reference never fails");
        if self.flaw == flaw && snapshot.users.contains(&BROKEN_USER) {
            let row = BROKEN_USER - snapshot.users.start;
            spoil(&mut snapshot, row);
            self.inner.restore(batch, &snapshot).expect("the reference never fails");
        }
    }
}

impl BackendTypes for Broken {
    type Error = <Inner as BackendTypes>::Error;
    type World = <Inner as BackendTypes>::World;
    type Batch = <Inner as BackendTypes>::Batch;
    type Agent = <Inner as BackendTypes>::Agent;
    type Replay = <Inner as BackendTypes>::Replay;
}

impl Simulate for Broken {
    fn load_world(&mut self, world: &World<'_>, environment: &EnvironmentSpec) -> Result<Self::World, Self::Error> {
        self.inner.load_world(world, environment)
    }
    fn create_batch(&mut self, world: &Self::World, users: Range<usize>) -> Result<Self::Batch, Self::Error> {
        self.inner.create_batch(world, users)
    }
    fn reset(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        if self.flaw == Flaw::Reset { Ok(()) } else { self.inner.reset(world, batch) }
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
        self.spoil(Flaw::Explored, batch, |snapshot, row| next_up(&mut snapshot.action[5 * row + 1]));
        Ok(())
    }
    fn recommend(&mut self, world: &Self::World, batch: &mut Self::Batch) -> Result<(), Self::Error> {
        self.inner.recommend(world, batch)?;
        self.spoil(Flaw::Slate, batch, |snapshot, row| snapshot.slate.swap(6 * row + 1, 6 * row + 2));
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
        self.spoil(Flaw::Acceptance, batch, |snapshot, row| snapshot.accepted[6 * row + 3] ^= true);
        self.spoil(Flaw::Belief, batch, |snapshot, row| next_up(&mut snapshot.belief[3 * row + 1]));
        self.spoil(Flaw::Reward, batch, |snapshot, row| next_up(&mut snapshot.reward[row]));
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

impl Learn for Broken {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Self::Agent, Self::Error> {
        self.inner.load_agent(spec, state)
    }
    fn act(&mut self, agent: &Self::Agent, batch: &mut Self::Batch, noise: Option<Key>) -> Result<(), Self::Error> {
        self.inner.act(agent, batch, noise)?;
        self.spoil(Flaw::Action, batch, |snapshot, row| snapshot.action[5 * row + 2] += 1e-3);
        Ok(())
    }
    fn rerank(
        &mut self,
        world: &Self::World,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        self.inner.rerank(world, agent, batch)?;
        // One user's alone might be a near tie.
        self.spoil(Flaw::Refined, batch, |snapshot, row| {
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
        self.inner.update(world, replay, agent, keys, with_policy && self.flaw != Flaw::Policy)
    }
}

impl Inspect for Broken {
    fn tally(&mut self, world: &Self::World, batches: &[Self::Batch]) -> Result<Tally, Self::Error> {
        let mut tally = self.inner.tally(world, batches)?;
        tally.accepted += u64::from(self.flaw == Flaw::Tally);
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
        let flawed = self.flaw == Flaw::TargetStatistics;
        let spoil = move |mut state: AgentState| {
            for target in state.targets.iter_mut().filter(|_| flawed) {
                let half = target.running_stats.len() / 2;
                target.running_stats[..half].fill(0.0);
            }
            state
        };
        Ok(self.inner.export_agent(agent)?.map(spoil))
    }
}

fn next_up(number: &mut f32) {
    *number = f32::from_bits(number.to_bits() + 1);
}
