//! Whole runs.

use std::time::Instant;

use recsim_core::backend::reference::Reference;
use recsim_core::backend::{Backend, Pending, RoundSnapshot, StageSeconds};
use recsim_core::session::config::Config;
use recsim_core::session::metrics::RoundReport;
use recsim_core::session::{RoundObserver, Session, SessionError};
use recsim_core::td3::AgentState;

use super::setup::{USERS, agent_bits, bits, plan, world};

/// Two runs are alike to the last bit of the last weight; a run of another seed is not.
pub fn a_session_repeats_itself<B: Backend>(new: &impl Fn() -> B) {
    let first = run(new, |_| ());
    assert_eq!(run(new, |_| ()), first);
    assert_ne!(run(new, |config| config.experiment.seed = 12), first);
    let updates = first.reports.last().expect("a run has rounds").updates;
    assert!(updates > 0, "a run that learns nothing would prove nothing");
}

/// Nor does it matter how many users are served at a time.
pub fn a_session_does_not_depend_on_its_batches<B: Backend>(new: &impl Fn() -> B) {
    let whole = run(new, |config| config.training.batch_size = USERS as u32);
    for batch_size in [1, 10, 36, 4000] {
        assert_eq!(run(new, |config| config.training.batch_size = batch_size), whole, "batches of {batch_size}");
    }
}

/// The first round of each episode meets the world's initial beliefs.
pub fn an_episode_begins_afresh<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut session = Session::new(new(), &world.view().unwrap(), plan(&world, |_| ())).expect("a run begins");
    session.record_users(USERS);
    while !session.is_finished() {
        let (_, round) = session.next_round();
        reported(session.round(&mut || 0.0));
        let before: Vec<f32> = session.snapshots().iter().flat_map(|batch| batch.belief_before.clone()).collect();
        assert_eq!(bits(&before) == bits(world.view().unwrap().arrays().user_belief), round == 1, "round {round}");
    }
}

/// A session keeps the batches of the users it is told to, and no others.
pub fn a_session_keeps_what_it_is_told_to<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let ten = |config: &mut Config| config.training.batch_size = 10;
    let mut session = Session::new(new(), &world.view().unwrap(), plan(&world, ten)).expect("a run begins");
    for (users, batches) in [(0, 0), (1, 1), (10, 1), (11, 2), (USERS, USERS.div_ceil(10)), (5, 1)] {
        session.record_users(users);
        reported(session.round(&mut || 0.0));
        let kept: Vec<_> = session.snapshots().iter().map(|batch| batch.users.clone()).collect();
        let due: Vec<_> = (0..batches).map(|n| 10 * n..USERS.min(10 * n + 10)).collect();
        assert_eq!(kept, due, "{users} users");
    }
}

/// A round whose updates are put off, once or again, is the one that it would have been.
pub fn updates_may_be_put_off<B: Backend>(new: &impl Fn() -> B) {
    let whole = run(new, |_| ());
    let world = world();
    let mut session = Session::new(new(), &world.view().unwrap(), plan(&world, |_| ())).expect("a run begins");
    let (mut suspended, mut reports) = (0, Vec::new());
    while !session.is_finished() {
        let next = session.next_round();
        match session.round(&mut Hasty::default()).unwrap_or_else(|error| panic!("{error}")) {
            Some(report) => reports.push(RoundReport { seconds: StageSeconds::default(), ..report }),
            None => {
                suspended += 1;
                assert_eq!(session.next_round(), next);
                // Every other time the rest is made at once.
                if suspended % 2 == 0 {
                    let report = reported(session.round(&mut || 0.0));
                    reports.push(RoundReport { seconds: StageSeconds::default(), ..report });
                }
            }
        }
    }
    assert_eq!(suspended, 6, "each of three sessions twice");
    assert_eq!(reports, whole.reports);
    assert_eq!(agent_bits(&agent(&mut session)), whole.agent);
}

/// A session that is taken up after every round, and in the midst of learning, in other batches and by a device that knows
/// nothing of it, is the one that it would have been.
pub fn a_session_goes_on_from_its_state<B: Backend>(new: &impl Fn() -> B) {
    let whole = run(new, |_| ());
    let world = world();
    let plan = |batch_size| plan(&world, |config| config.training.batch_size = batch_size);
    let mut session = Session::new(new(), &world.view().unwrap(), plan(10)).expect("a run begins");
    let (mut reports, mut taken_up) = (Vec::new(), 0);
    while !session.is_finished() {
        let report = session.round(&mut Hasty::default()).unwrap_or_else(|error| panic!("{error}"));
        reports.extend(report.map(|report| RoundReport { seconds: StageSeconds::default(), ..report }));
        let state = session.state().unwrap_or_else(|error| panic!("{error}"));
        taken_up += 1;
        session = Session::resume(new(), &world.view().unwrap(), plan(1 + 7 * taken_up), &state)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(session.state().is_ok_and(|again| again == state), "it is taken up as it was left");
    }
    assert!(taken_up > reports.len() as u32, "a session that is never suspended would prove too little");
    assert_eq!(reports, whole.reports);
    assert_eq!(agent_bits(&agent(&mut session)), whole.agent);
    let last = whole.users.last().expect("a run has rounds");
    assert_eq!(bits(&beliefs(&mut session)), last.3);
}

/// What another backend began is taken up as it was left, and can be finished.
pub fn a_session_goes_on_from_another_backends_state<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let view = world.view().unwrap();
    let mut begun = Session::new(Reference::<f32>::default(), &view, plan(&world, |_| ())).expect("a run begins");
    while begun.progress().updates == 0 {
        begun.round(&mut Hasty::default()).unwrap_or_else(|error| panic!("{error}"));
    }
    let state = begun.state().expect("the reference does not fail");
    assert!(state.progress.paused.is_some() && state.agent.losses.critic_updates == 1);
    let mut session =
        Session::resume(new(), &view, plan(&world, |_| ()), &state).unwrap_or_else(|error| panic!("{error}"));
    assert!(session.state().is_ok_and(|again| again == state), "it is taken up as it was left");
    let [theirs, ours] = [reported(begun.round(&mut || 0.0)), reported(session.round(&mut || 0.0))];
    let learned = |report: &RoundReport| report.learning.expect("the round learns").critic_updates;
    assert_eq!((learned(&ours), ours.mean_distance), (learned(&theirs), theirs.mean_distance));
    while !session.is_finished() {
        reported(session.round(&mut || 0.0));
    }
    // And back again.
    let state = session.state().unwrap_or_else(|error| panic!("{error}"));
    let mut back = Session::resume(Reference::<f32>::default(), &view, plan(&world, |_| ()), &state)
        .expect("a state of a session");
    assert!(back.is_finished() && back.state().is_ok_and(|again| again == state));
}

/// What was asked for before a round, and is waited for after it, is what there was before.
pub fn what_is_on_its_way_stays_as_it_was<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut session = Session::new(new(), &world.view().unwrap(), plan(&world, |_| ())).expect("a run begins");
    session.record_users(USERS);
    while session.progress().updates == 0 {
        reported(session.round(&mut || 0.0));
    }
    let before = (bits(&beliefs(&mut session)), agent_bits(&agent(&mut session)));
    let shown: Vec<f32> = session.snapshots().iter().flat_map(|batch| batch.belief.clone()).collect();
    assert_eq!(before.0, bits(&shown));
    let ring = |session: &mut Session<B>| session.transitions(50).expect("a copy begins");
    let transitions = ring(&mut session).wait().expect("transitions");
    let later = (session.beliefs().expect("a copy begins"), session.agent().expect("a copy begins"));
    let later_ring = ring(&mut session);
    while !session.is_finished() {
        reported(session.round(&mut || 0.0));
    }
    let after = (bits(&beliefs(&mut session)), agent_bits(&agent(&mut session)));
    assert!(before.0 != after.0 && before.1 != after.1, "rounds that change nothing would prove nothing");
    assert!(ring(&mut session).wait().expect("transitions") != transitions);
    assert!(later_ring.wait().expect("transitions") == transitions);
    let waited = std::thread::spawn(|| (later.0.wait().expect("beliefs"), later.1.wait().expect("an agent")));
    let (users, agent) = waited.join().expect("no panic");
    assert_eq!((bits(&users), agent_bits(&agent)), before);
}

/// The parts of a round take some time, and no more than the round.
pub fn a_round_knows_where_its_time_went<B: Backend>(new: &impl Fn() -> B) {
    let (world, epoch) = (world(), Instant::now());
    let mut session = Session::new(new(), &world.view().unwrap(), plan(&world, |_| ())).expect("a run begins");
    while !session.is_finished() {
        let report = reported(session.round(&mut || epoch.elapsed().as_secs_f64()));
        let StageSeconds { policy, matching, step, training, total } = report.seconds;
        let parts = [policy, matching, step];
        assert!(parts.iter().all(|&part| part > 0.0), "{parts:?}");
        let sum = parts.iter().sum::<f64>() + training;
        assert!(sum <= total * (1.0 + 1e-6), "{parts:?} and {training} are more than {total}");
    }
}

/// The report of a round that nobody suspends.
fn reported<E: std::error::Error>(round: Result<Option<RoundReport>, SessionError<E>>) -> RoundReport {
    round.unwrap_or_else(|error| panic!("{error}")).expect("nobody puts updates off")
}

/// Lets one update be made at a time.
#[derive(Default)]
struct Hasty {
    made: bool,
}

impl RoundObserver for Hasty {
    fn now(&mut self) -> f64 {
        0.0
    }

    fn should_pause(&mut self, _left: u32) -> bool {
        std::mem::replace(&mut self.made, true)
    }
}

/// An agent that learning has spoilt is not handed over.
pub fn a_spoilt_agent_is_an_error<B: Backend>(new: &impl Fn() -> B) {
    let world = world();
    let mut plan = plan(&world, |config| config.td3.gradient_steps = 1);
    // No configuration may ask for it. The losses of a first update are finite all the same.
    plan.agent.td3.learning_rate = f64::INFINITY;
    let mut session = Session::new(new(), &world.view().unwrap(), plan).expect("a run begins");
    while session.progress().updates == 0 {
        drop(agent(&mut session));
        reported(session.round(&mut || 0.0));
    }
    let agent = session.agent().expect("a copy begins").wait();
    assert!(matches!(agent, Err(SessionError::Diverged { updates: 1 })));
}

#[derive(Debug, PartialEq)]
struct Outcome {
    reports: Vec<RoundReport>,
    users: Vec<Round>,
    agent: Vec<Vec<u32>>,
}

/// Actions, slates, acceptances, beliefs and rewards of all users; numbers as bits.
type Round = (Vec<u32>, Vec<u32>, Vec<bool>, Vec<u32>, Vec<u32>);

/// Everything a run leaves, in no unit that batches show in.
fn run<B: Backend>(new: &impl Fn() -> B, change: impl FnOnce(&mut Config)) -> Outcome {
    let world = world();
    let mut session = Session::new(new(), &world.view().unwrap(), plan(&world, change)).expect("a run begins");
    session.record_users(USERS);
    let (mut reports, mut users) = (Vec::new(), Vec::new());
    while !session.is_finished() {
        let report = reported(session.round(&mut || 0.0));
        reports.push(RoundReport { seconds: StageSeconds::default(), ..report });
        let mut all = RoundSnapshot::default();
        for batch in session.snapshots() {
            all.action.extend(&batch.action);
            all.slate.extend(&batch.slate);
            all.accepted.extend(&batch.accepted);
            all.belief.extend(&batch.belief);
            all.reward.extend(&batch.reward);
        }
        users.push((bits(&all.action), all.slate, all.accepted, bits(&all.belief), bits(&all.reward)));
    }
    let agent = agent_bits(&agent(&mut session));
    Outcome { reports, users, agent }
}

fn agent<B: Backend>(session: &mut Session<B>) -> AgentState {
    session.agent().expect("a copy begins").wait().unwrap_or_else(|error| panic!("{error}"))
}

fn beliefs<B: Backend>(session: &mut Session<B>) -> Vec<f32> {
    session.beliefs().and_then(Pending::wait).expect("the device shows beliefs")
}
