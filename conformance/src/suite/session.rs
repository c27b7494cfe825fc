//! Sessions: whole runs on a backend.

use std::time::Instant;

use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, Pending, RoundSnapshot, StageSeconds};
use recsim_core::session::config::Config;
use recsim_core::session::metrics::RoundReport;
use recsim_core::session::{RoundObserver, Session, SessionError};
use recsim_core::td3::AgentState;

use super::setup::{USERS, agent_bits, bits, plan, world};

/// Two runs with the same seed have the same bits in every report, user and weight. A run with another seed differs.
pub fn session_is_reproducible<B: Backend>(new: &impl Fn() -> B) {
    let first = run(new, |_| ());
    assert_eq!(run(new, |_| ()), first);
    assert_ne!(run(new, |config| config.experiment.seed = 12), first);
    let updates = first.reports.last().expect("a run has rounds").updates;
    assert!(updates > 0, "the run must make updates for the test to mean something");
}

/// The number of users served at a time changes no bit.
pub fn session_does_not_depend_on_batch_size<B: Backend>(new: &impl Fn() -> B) {
    let whole = run(new, |config| config.training.batch_size = USERS as u32);
    for batch_size in [1, 10, 36, 4000] {
        assert_eq!(run(new, |config| config.training.batch_size = batch_size), whole, "batches of {batch_size}");
    }
}

/// The first round of each episode starts from the world's initial beliefs.
pub fn episode_starts_from_initial_beliefs<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(&world, |_| ())).expect("a session starts");
    session.record_users(USERS);
    while !session.is_finished() {
        let (_, round) = session.next_round();
        unpaused_report(session.round(&mut || 0.0));
        let before: Vec<f32> = session.snapshots().iter().flat_map(|batch| batch.belief_before.clone()).collect();
        assert_eq!(
            bits(&before) == bits(world.view().expect("a valid world").arrays().user_belief),
            round == 1,
            "round {round}"
        );
    }
}

/// [`Session::record_users`] records the batches of the requested users, and no others.
pub fn session_records_requested_users<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let ten = |config: &mut Config| config.training.batch_size = 10;
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(&world, ten)).expect("a session starts");
    for (users, batches) in [(0, 0), (1, 1), (10, 1), (11, 2), (USERS, USERS.div_ceil(10)), (5, 1)] {
        session.record_users(users);
        unpaused_report(session.round(&mut || 0.0));
        let recorded: Vec<_> = session.snapshots().iter().map(|batch| batch.users.clone()).collect();
        let expected: Vec<_> = (0..batches).map(|n| 10 * n..USERS.min(10 * n + 10)).collect();
        assert_eq!(recorded, expected, "{users} users");
    }
}

/// A round that is paused before its updates, once or repeatedly, gives the result of an uninterrupted round.
pub fn paused_round_gives_the_same_result<B: Backend>(new: &impl Fn() -> B) {
    let whole = run(new, |_| ());
    let world = world();
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(&world, |_| ())).expect("a session starts");
    let (mut num_pauses, mut reports) = (0, Vec::new());
    while !session.is_finished() {
        let next = session.next_round();
        match session.round(&mut OneUpdatePerCall::default()).unwrap_or_else(|error| panic!("{error}")) {
            Some(report) => reports.push(RoundReport { seconds: StageSeconds::default(), ..report }),
            None => {
                num_pauses += 1;
                assert_eq!(session.next_round(), next);
                // After every other pause the remaining updates are made at once.
                if num_pauses % 2 == 0 {
                    let report = unpaused_report(session.round(&mut || 0.0));
                    reports.push(RoundReport { seconds: StageSeconds::default(), ..report });
                }
            }
        }
    }
    assert_eq!(num_pauses, 6, "each of three training sessions pauses twice");
    assert_eq!(reports, whole.reports);
    assert_eq!(agent_bits(&agent(&mut session)), whole.agent);
}

/// A session that is resumed after every round and between updates, with other batch sizes and a new backend each time,
/// gives the results of an uninterrupted run.
pub fn session_resumes_from_its_state<B: Backend>(new: &impl Fn() -> B) {
    let whole = run(new, |_| ());
    let world = world();
    let plan = |batch_size| plan(&world, |config| config.training.batch_size = batch_size);
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(10)).expect("a session starts");
    let (mut reports, mut num_resumed) = (Vec::new(), 0);
    while !session.is_finished() {
        let report = session.round(&mut OneUpdatePerCall::default()).unwrap_or_else(|error| panic!("{error}"));
        reports.extend(report.map(|report| RoundReport { seconds: StageSeconds::default(), ..report }));
        let state = session.state().unwrap_or_else(|error| panic!("{error}"));
        num_resumed += 1;
        session = Session::resume(new(), &world.view().expect("a valid world"), plan(1 + 7 * num_resumed), &state)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(session.state().is_ok_and(|again| again == state), "the resumed state equals the saved one");
    }
    assert!(num_resumed > reports.len() as u32, "some rounds must pause for the test to mean something");
    assert_eq!(reports, whole.reports);
    assert_eq!(agent_bits(&agent(&mut session)), whole.agent);
    let last = whole.rounds.last().expect("a run has rounds");
    assert_eq!(bits(&beliefs(&mut session)), last.3);
}

/// A backend resumes the state of another backend unchanged, and can finish the run.
pub fn session_resumes_from_another_backend<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let view = world.view().expect("a valid world");
    let mut other =
        Session::new(Reference::<f32>::default(), &view, plan(&world, |_| ())).expect("a session starts");
    while other.progress().updates == 0 {
        other.round(&mut OneUpdatePerCall::default()).unwrap_or_else(|error| panic!("{error}"));
    }
    let state = other.state().expect("the reference does not fail");
    assert!(state.progress.paused.is_some() && state.agent.losses.critic_updates == 1);
    let mut session =
        Session::resume(new(), &view, plan(&world, |_| ()), &state).unwrap_or_else(|error| panic!("{error}"));
    assert!(session.state().is_ok_and(|again| again == state), "the resumed state equals the saved one");
    let [theirs, ours] = [unpaused_report(other.round(&mut || 0.0)), unpaused_report(session.round(&mut || 0.0))];
    let num_updates = |report: &RoundReport| report.learning.expect("training was due in the round").critic_updates;
    assert_eq!((num_updates(&ours), ours.mean_distance), (num_updates(&theirs), theirs.mean_distance));
    while !session.is_finished() {
        unpaused_report(session.round(&mut || 0.0));
    }
    // And back to the reference backend.
    let state = session.state().unwrap_or_else(|error| panic!("{error}"));
    let mut back = Session::resume(Reference::<f32>::default(), &view, plan(&world, |_| ()), &state)
        .expect("the state of a session");
    assert!(back.is_finished() && back.state().is_ok_and(|again| again == state));
}

/// Copies requested before a round and waited for after it hold the values from before.
pub fn pending_copies_do_not_change<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(&world, |_| ())).expect("a session starts");
    session.record_users(USERS);
    while session.progress().updates == 0 {
        unpaused_report(session.round(&mut || 0.0));
    }
    let before = (bits(&beliefs(&mut session)), agent_bits(&agent(&mut session)));
    let shown: Vec<f32> = session.snapshots().iter().flat_map(|batch| batch.belief.clone()).collect();
    assert_eq!(before.0, bits(&shown));
    let transitions_of = |session: &mut Session<B>| session.transitions(50).expect("the backend starts a copy");
    let transitions = transitions_of(&mut session).wait().expect("transitions");
    let pending = (
        session.beliefs().expect("the backend starts a copy"),
        session.agent().expect("the backend starts a copy"),
    );
    let pending_transitions = transitions_of(&mut session);
    while !session.is_finished() {
        unpaused_report(session.round(&mut || 0.0));
    }
    let after = (bits(&beliefs(&mut session)), agent_bits(&agent(&mut session)));
    assert!(
        before.0 != after.0 && before.1 != after.1,
        "the rounds must change the session for the test to mean something"
    );
    assert!(transitions_of(&mut session).wait().expect("transitions") != transitions);
    assert!(pending_transitions.wait().expect("transitions") == transitions);
    let waited = std::thread::spawn(|| (pending.0.wait().expect("beliefs"), pending.1.wait().expect("an agent")));
    let (users, agent) = waited.join().expect("no panic");
    assert_eq!((bits(&users), agent_bits(&agent)), before);
}

/// Every stage of a round takes some time, and all stages together at most the round's total.
pub fn stage_seconds_are_within_the_total<B: Backend>(new: &impl Fn() -> B) {
    let (world, epoch) = (world(), Instant::now());
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(&world, |_| ())).expect("a session starts");
    while !session.is_finished() {
        let report = unpaused_report(session.round(&mut || epoch.elapsed().as_secs_f64()));
        let StageSeconds { policy, matching, step, training, total } = report.seconds;
        let stages = [policy, matching, step];
        assert!(stages.iter().all(|&seconds| seconds > 0.0), "{stages:?}");
        let sum = stages.iter().sum::<f64>() + training;
        assert!(sum <= total * (1.0 + 1e-6), "stages {stages:?} and training {training} exceed the total {total}");
    }
}

/// The report of a round that is not paused.
fn unpaused_report<E: std::error::Error>(round: Result<Option<RoundReport>, SessionError<E>>) -> RoundReport {
    round.unwrap_or_else(|error| panic!("{error}")).expect("this observer never pauses")
}

/// Pauses a round after one update.
#[derive(Default)]
struct OneUpdatePerCall {
    has_updated: bool,
}

impl RoundObserver for OneUpdatePerCall {
    fn now(&mut self) -> f64 {
        0.0
    }

    fn should_pause(&mut self, _remaining: u32) -> bool {
        std::mem::replace(&mut self.has_updated, true)
    }
}

/// An agent with a non-finite weight is not returned: waiting for it is an error.
pub fn non_finite_agent_is_an_error<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut plan = plan(&world, |config| config.td3.gradient_steps = 1);
    // Not a valid plan: the first update gives infinite weights. Its losses are finite all the same.
    plan.agent.td3.learning_rate = f64::INFINITY;
    let mut session = Session::new(new(), &world.view().expect("a valid world"), plan).expect("a session starts");
    while session.progress().updates == 0 {
        drop(agent(&mut session));
        unpaused_report(session.round(&mut || 0.0));
    }
    let agent = session.agent().expect("the backend starts a copy").wait();
    assert!(matches!(agent, Err(SessionError::Diverged { updates: 1 })));
}

/// Everything that a run leaves, in a form that does not depend on batches.
#[derive(Debug, PartialEq)]
struct SessionOutcome {
    reports: Vec<RoundReport>,
    rounds: Vec<RoundBits>,
    agent: Vec<Vec<u32>>,
}

/// Actions, slates, acceptances, beliefs and rewards of all users; floating-point values as bits.
type RoundBits = (Vec<u32>, Vec<u32>, Vec<bool>, Vec<u32>, Vec<u32>);

/// Plays a whole run with a modified configuration.
fn run<B: Backend>(new: &impl Fn() -> B, change: impl FnOnce(&mut Config)) -> SessionOutcome {
    let world = world();
    let mut session =
        Session::new(new(), &world.view().expect("a valid world"), plan(&world, change)).expect("a session starts");
    session.record_users(USERS);
    let (mut reports, mut rounds) = (Vec::new(), Vec::new());
    while !session.is_finished() {
        let report = unpaused_report(session.round(&mut || 0.0));
        reports.push(RoundReport { seconds: StageSeconds::default(), ..report });
        let mut all = RoundSnapshot::default();
        for batch in session.snapshots() {
            all.action.extend(&batch.action);
            all.slate.extend(&batch.slate);
            all.accepted.extend(&batch.accepted);
            all.belief.extend(&batch.belief);
            all.reward.extend(&batch.reward);
        }
        rounds.push((bits(&all.action), all.slate, all.accepted, bits(&all.belief), bits(&all.reward)));
    }
    let agent = agent_bits(&agent(&mut session));
    SessionOutcome { reports, rounds, agent }
}

fn agent<B: Backend>(session: &mut Session<B>) -> AgentState {
    session.agent().expect("the backend starts a copy").wait().unwrap_or_else(|error| panic!("{error}"))
}

fn beliefs<B: Backend>(session: &mut Session<B>) -> Vec<f32> {
    session.beliefs().and_then(Pending::wait).expect("the backend returns beliefs")
}
