//! Random sequences of session operations: whole and partial rounds, restarts, going back to a saved state, moving to
//! another backend, thread count or batch size, and reads. The result must be that of an uninterrupted run.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use recsim_backend_cpu::Cpu;
use recsim_conformance::shadow::Shadow;
use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, Pending, StageSeconds};
use recsim_core::session::config::{Config, Plan};
use recsim_core::session::metrics::RoundReport;
use recsim_core::session::state::SessionState;
use recsim_core::session::{RoundObserver, Session};
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

/// An operation on a session.
#[derive(Clone, Debug)]
enum Operation {
    /// A whole round, or the rest of a paused one.
    Round,
    /// A round, or the rest of a paused one, that is paused after this many updates.
    PartialRound(u32),
    /// Starts the run again.
    Restart,
    /// Saves the state, as a checkpoint does.
    Save,
    /// Resumes the last saved state on a new backend.
    Resume(WorkSplit),
    /// Continues on a new backend.
    Move(WorkSplit),
    /// Reads this many of the last transitions, and the beliefs.
    Read(usize),
}

/// How the work is split. It must change no result.
#[derive(Clone, Copy, Debug)]
struct WorkSplit {
    threads: usize,
    batch_size: u32,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let split = || (1_usize..4, 1_u32..45).prop_map(|(threads, batch_size)| WorkSplit { threads, batch_size });
    let operation = prop_oneof![
        4 => Just(Operation::Round),
        3 => (0_u32..5).prop_map(Operation::PartialRound),
        1 => Just(Operation::Restart),
        2 => Just(Operation::Save),
        2 => split().prop_map(Operation::Resume),
        2 => split().prop_map(Operation::Move),
        1 => (0_usize..130).prop_map(Operation::Read),
    ];
    prop::collection::vec(operation, 1..24)
}

fn world() -> OwnedWorld {
    let world_config =
        SyntheticWorldConfig { users: 37, items: 60, clusters: 3, dimensions: 5, pretrained_len: 12, seed: 4 };
    generate(&world_config, brute_force_lists)
}

/// Two episodes of three rounds. Training is due after every second round, from a replay buffer that overflows.
fn plan(world: &OwnedWorld, batch_size: u32) -> Plan {
    let mut config = Config::default();
    (config.training.episodes, config.training.rounds_per_episode) = (2, 3);
    (config.training.train_frequency, config.training.warmup_transitions) = (2, 1);
    (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (3, 6);
    (config.td3.hidden_sizes, config.td3.batch_size, config.td3.gradient_steps) = (vec![11, 8], 24, 4);
    config.td3.buffer_size = 100;
    config.training.batch_size = batch_size;
    config.plan(&world.view().expect("a valid world")).expect("the configuration is valid")
}

/// Pauses a round after this many updates.
struct UpdateLimit(u32);

impl RoundObserver for UpdateLimit {
    fn now(&mut self) -> f64 {
        0.0
    }

    fn should_pause(&mut self, _remaining: u32) -> bool {
        let should_pause = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        should_pause
    }
}

/// An uninterrupted run: the report of each round, and the state before the first round and after each.
struct UninterruptedRun {
    reports: Vec<RoundReport>,
    states: Vec<SessionState>,
}

impl UninterruptedRun {
    fn of<B: Backend>(backend: B, world: &OwnedWorld) -> Self {
        let mut session = Session::new(backend, &world.view().expect("a valid world"), plan(world, 37))
            .expect("a session starts");
        let mut run = Self { reports: Vec::new(), states: vec![state(&mut session)] };
        while !session.is_finished() {
            run.reports.extend(round(&mut session, u32::MAX));
            run.states.push(state(&mut session));
        }
        assert!(run.states.iter().any(|state| state.progress.updates > 0), "the run must make updates");
        run
    }

    /// Asserts that a session has this run's reports and states under `operations`. `new` creates a backend with a
    /// number of threads.
    fn assert_same_after<B: Backend>(
        &self,
        operations: &[Operation],
        world: &OwnedWorld,
        new: impl Fn(usize) -> B,
    ) {
        let view = world.view().expect("a valid world");
        let start = || Session::new(new(2), &view, plan(world, 10)).expect("a session starts");
        let resume = |state: &SessionState, split: WorkSplit| {
            let plan = plan(world, split.batch_size);
            Session::resume(new(split.threads), &view, plan, state).unwrap_or_else(|error| panic!("{error}"))
        };
        let mut session = start();
        let mut saved = self.states[0].clone();
        for operation in operations.iter().chain(&vec![Operation::Round; self.reports.len()]) {
            match operation {
                Operation::Round | Operation::PartialRound(_) if session.is_finished() => {}
                Operation::Round => {
                    self.assert_report_and_state(round(&mut session, u32::MAX).as_ref(), &mut session);
                }
                Operation::PartialRound(updates) => {
                    let report = round(&mut session, *updates);
                    if report.is_some() {
                        self.assert_report_and_state(report.as_ref(), &mut session);
                    } else {
                        assert!(session.progress().paused.is_some(), "only a paused round has no report");
                    }
                }
                Operation::Restart => session = start(),
                Operation::Save => saved = state(&mut session),
                Operation::Resume(split) => session = resume(&saved, *split),
                Operation::Move(split) => {
                    let current = state(&mut session);
                    session = resume(&current, *split);
                    assert_eq!(state(&mut session), current, "the resumed state equals the saved one");
                }
                Operation::Read(count) => {
                    let beliefs = session.beliefs().and_then(Pending::wait).expect("beliefs");
                    let seen = session.transitions(*count).and_then(Pending::wait).expect("transitions");
                    let all = state(&mut session);
                    assert_eq!(beliefs, all.beliefs);
                    let stored = all.transitions.user.len();
                    assert_eq!(seen.user, all.transitions.user[stored - stored.min(*count)..]);
                }
            }
        }
        assert!(session.is_finished(), "enough rounds follow to finish the run");
        assert_eq!(Some(&state(&mut session)), self.states.last());
    }

    /// Asserts that a round's report and the session's state are those of this run.
    fn assert_report_and_state<B: Backend>(&self, report: Option<&RoundReport>, session: &mut Session<B>) {
        let finished = session.progress().reported_rounds() as usize;
        assert_eq!(report, Some(&self.reports[finished - 1]), "round {finished}");
        assert_eq!(state(session), self.states[finished], "after round {finished}");
    }
}

/// The report without times, or `None` if the round was paused.
fn round<B: Backend>(session: &mut Session<B>, updates: u32) -> Option<RoundReport> {
    let report = session.round(&mut UpdateLimit(updates)).unwrap_or_else(|error| panic!("{error}"));
    report.map(|report| RoundReport { seconds: StageSeconds::default(), user_steps_per_second: 0.0, ..report })
}

fn state<B: Backend>(session: &mut Session<B>) -> SessionState {
    session.state().unwrap_or_else(|error| panic!("{error}"))
}

fn cases(cases: u32) -> ProptestConfig {
    let file = FileFailurePersistence::Direct("../proptest-regressions/conformance.txt");
    ProptestConfig { cases, failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(Some(threads)).expect("threads start")
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn cpu_sequences_match_an_uninterrupted_run(operations in operations()) {
        let world = world();
        UninterruptedRun::of(cpu(1), &world).assert_same_after(&operations, &world, cpu);
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn reference_sequences_match_an_uninterrupted_run(operations in operations()) {
        let world = world();
        let new = || Reference::<f32>::default();
        UninterruptedRun::of(new(), &world).assert_same_after(&operations, &world, |_| new());
    }

    /// CPU and reference backend are compared after every stage.
    #[test]
    fn shadow_sequences_match_an_uninterrupted_run(operations in operations()) {
        let world = world();
        let both = |threads| Shadow::new(cpu(threads), Reference::<f32>::default());
        UninterruptedRun::of(cpu(1), &world).assert_same_after(&operations, &world, both);
    }
}
