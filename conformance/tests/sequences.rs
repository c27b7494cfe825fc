//! Whatever is done with a session, in whatever order (rounds whole and in parts, going back to what was kept, beginning
//! anew, other threads and batches, a look), it comes to what a straight run comes to.

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

/// Something that is done with a session.
#[derive(Clone, Debug)]
enum Step {
    /// A whole round, or what is left of one.
    Round,
    /// A round, or what is left of one, with at most so many updates.
    Part(u32),
    /// The run begins anew.
    Anew,
    /// The state is kept, as by a checkpoint.
    Keep,
    /// Back to what was kept last, on a device that knows nothing of it.
    Back(Layout),
    /// On to another device of the kind.
    Move(Layout),
    /// A look at the last so many transitions, and at everybody's beliefs.
    Look(usize),
}

/// How the work is cut up.
#[derive(Clone, Copy, Debug)]
struct Layout {
    threads: usize,
    batch_size: u32,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let layout = || (1_usize..4, 1_u32..45).prop_map(|(threads, batch_size)| Layout { threads, batch_size });
    let step = prop_oneof![
        4 => Just(Step::Round),
        3 => (0_u32..5).prop_map(Step::Part),
        1 => Just(Step::Anew),
        2 => Just(Step::Keep),
        2 => layout().prop_map(Step::Back),
        2 => layout().prop_map(Step::Move),
        1 => (0_usize..130).prop_map(Step::Look),
    ];
    prop::collection::vec(step, 1..24)
}

fn world() -> OwnedWorld {
    let world_config =
        SyntheticWorldConfig { users: 37, items: 60, clusters: 3, dimensions: 5, pretrained_len: 12, seed: 4 };
    generate(&world_config, brute_force_lists)
}

/// Two episodes of three rounds, every other of which learns from a ring that overflows.
fn plan(world: &OwnedWorld, batch_size: u32) -> Plan {
    let mut config = Config::default();
    (config.training.episodes, config.training.rounds_per_episode) = (2, 3);
    (config.training.train_frequency, config.training.warmup_transitions) = (2, 1);
    (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (3, 6);
    (config.td3.hidden_sizes, config.td3.batch_size, config.td3.gradient_steps) = (vec![11, 8], 24, 4);
    config.td3.buffer_size = 100;
    config.training.batch_size = batch_size;
    config.plan(&world.view().unwrap()).expect("the configuration is valid")
}

/// Lets so many updates be made.
struct Patience(u32);

impl RoundObserver for Patience {
    fn now(&mut self) -> f64 {
        0.0
    }

    fn should_pause(&mut self, _left: u32) -> bool {
        let put_off = self.0 == 0;
        self.0 = self.0.saturating_sub(1);
        put_off
    }
}

/// A run from its beginning to its end: what it reported of each round, and where it was before the first and after each.
struct Straight {
    reports: Vec<RoundReport>,
    states: Vec<SessionState>,
}

impl Straight {
    fn of<B: Backend>(backend: B, world: &OwnedWorld) -> Self {
        let mut session = Session::new(backend, &world.view().unwrap(), plan(world, 37)).expect("a session starts");
        let mut straight = Self { reports: Vec::new(), states: vec![state(&mut session)] };
        while !session.is_finished() {
            straight.reports.extend(round(&mut session, u32::MAX));
            straight.states.push(state(&mut session));
        }
        assert!(straight.states.iter().any(|state| state.progress.updates > 0), "it learns");
        straight
    }

    /// Carries out `steps` on devices that `new` makes for a number of threads.
    fn holds<B: Backend>(&self, steps: &[Step], world: &OwnedWorld, new: impl Fn(usize) -> B) {
        let view = world.view().unwrap();
        let begin = || Session::new(new(2), &view, plan(world, 10)).expect("a session starts");
        let resume = |state: &SessionState, layout: Layout| {
            let plan = plan(world, layout.batch_size);
            Session::resume(new(layout.threads), &view, plan, state).unwrap_or_else(|error| panic!("{error}"))
        };
        let mut session = begin();
        let mut kept = self.states[0].clone();
        for step in steps.iter().chain(&vec![Step::Round; self.reports.len()]) {
            match step {
                Step::Round | Step::Part(_) if session.is_finished() => {}
                Step::Round => self.expect(round(&mut session, u32::MAX).as_ref(), &mut session),
                Step::Part(updates) => {
                    let report = round(&mut session, *updates);
                    if report.is_some() {
                        self.expect(report.as_ref(), &mut session);
                    } else {
                        assert!(session.progress().paused.is_some(), "only learning can be put off");
                    }
                }
                Step::Anew => session = begin(),
                Step::Keep => kept = state(&mut session),
                Step::Back(layout) => session = resume(&kept, *layout),
                Step::Move(layout) => {
                    let left = state(&mut session);
                    session = resume(&left, *layout);
                    assert_eq!(state(&mut session), left, "it is taken up as it was left");
                }
                Step::Look(count) => {
                    let beliefs = session.beliefs().and_then(Pending::wait).expect("beliefs");
                    let seen = session.transitions(*count).and_then(Pending::wait).expect("transitions");
                    let all = state(&mut session);
                    assert_eq!(beliefs, all.beliefs);
                    let held = all.transitions.user.len();
                    assert_eq!(seen.user, all.transitions.user[held - held.min(*count)..]);
                }
            }
        }
        assert!(session.is_finished(), "as many rounds follow as there are");
        assert_eq!(Some(&state(&mut session)), self.states.last());
    }

    /// Whether a round's report, and where the session is now, are what they were.
    fn expect<B: Backend>(&self, report: Option<&RoundReport>, session: &mut Session<B>) {
        let done = session.progress().reported_rounds() as usize;
        assert_eq!(report, Some(&self.reports[done - 1]), "round {done}");
        assert_eq!(state(session), self.states[done], "after round {done}");
    }
}

/// The report, without times, if the round was finished.
fn round<B: Backend>(session: &mut Session<B>, updates: u32) -> Option<RoundReport> {
    let report = session.round(&mut Patience(updates)).unwrap_or_else(|error| panic!("{error}"));
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
    fn on_the_cpu_every_sequence_comes_to_what_a_straight_run_does(steps in steps()) {
        let world = world();
        Straight::of(cpu(1), &world).holds(&steps, &world, cpu);
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn so_it_does_on_the_reference(steps in steps()) {
        let world = world();
        Straight::of(Reference::<f32>::default(), &world).holds(&steps, &world, |_| Reference::<f32>::default());
    }

    /// The CPU beside the reference: after every stage they are compared.
    #[test]
    fn so_it_does_on_the_cpu_with_the_reference_beside_it(steps in steps()) {
        let world = world();
        let both = |threads| Shadow::new(cpu(threads), Reference::<f32>::default());
        Straight::of(cpu(1), &world).holds(&steps, &world, both);
    }
}
