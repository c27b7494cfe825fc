//! Whole runs.

use std::time::Instant;

use recsim_core::backend::{Device, Snapshot};
use recsim_core::config::Config;
use recsim_core::later::Later;
use recsim_core::metrics::{RoundReport, Seconds};
use recsim_core::session::{Session, SessionError, Watcher};
use recsim_core::td3::AgentState;

use super::setup::{USERS, agent_bits, bits, plan, world};

/// Two runs are alike to the last bit of the last weight; a run of another seed is not.
pub fn a_session_repeats_itself<B: Device>(new: &impl Fn() -> B) {
    let first = run(new, |_| ());
    assert_eq!(run(new, |_| ()), first);
    assert_ne!(run(new, |config| config.experiment.seed = 12), first);
    let updates = first.reports.last().expect("a run has rounds").updates;
    assert!(updates > 0, "a run that learns nothing would prove nothing");
}

/// Nor does it matter how many users are served at a time.
pub fn a_session_does_not_depend_on_its_batches<B: Device>(new: &impl Fn() -> B) {
    let whole = run(new, |config| config.training.batch_size = USERS as u32);
    for batch_size in [1, 10, 36, 4000] {
        assert_eq!(run(new, |config| config.training.batch_size = batch_size), whole, "batches of {batch_size}");
    }
}

/// The first round of each episode meets the world's initial beliefs.
pub fn an_episode_begins_afresh<B: Device>(new: &impl Fn() -> B) {
    let world = world();
    let mut session = Session::new(new(), &world.view(), plan(&world, |_| ())).expect("a run begins");
    while !session.finished() {
        let (_, round) = session.next_round();
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error}"));
        let before: Vec<f32> = snapshots(&mut session).into_iter().flat_map(|s| s.belief_before).collect();
        assert_eq!(bits(&before) == bits(world.view().parts().user_belief), round == 1, "round {round}");
    }
}

/// Updates that are put off and made before the next round leave the agent that they would have left.
pub fn updates_may_be_put_off<B: Device>(new: &impl Fn() -> B) {
    let whole = run(new, |_| ());
    let world = world();
    let mut session = Session::new(new(), &world.view(), plan(&world, |_| ())).expect("a run begins");
    let mut put_off = 0;
    while !session.finished() {
        session.round(&mut Hasty).unwrap_or_else(|error| panic!("{error}"));
        put_off += session.progress().pending;
        // Every other time it is the next round that makes them.
        if session.progress().rounds.is_multiple_of(4) {
            assert!(session.catch_up(&mut || 0.0).unwrap_or_else(|error| panic!("{error}")));
        }
    }
    assert_eq!(put_off, 9, "three sessions of four updates, of which each made one at once");
    session.catch_up(&mut || 0.0).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(session.progress().updates, whole.reports.last().expect("a run has rounds").updates);
    assert_eq!(agent_bits(&agent(&mut session)), whole.agent);
}

/// What was asked for before a round, and is waited for after it, is what there was before.
pub fn what_is_on_its_way_stays_as_it_was<B: Device>(new: &impl Fn() -> B) {
    let world = world();
    let mut session = Session::new(new(), &world.view(), plan(&world, |_| ())).expect("a run begins");
    while session.progress().updates == 0 {
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error}"));
    }
    let before = (bits(&beliefs(&mut session)), agent_bits(&agent(&mut session)));
    let shown: Vec<f32> = snapshots(&mut session).into_iter().flat_map(|batch| batch.belief).collect();
    assert_eq!(before.0, bits(&shown));
    let later = (session.beliefs().expect("a copy begins"), session.agent().expect("a copy begins"));
    while !session.finished() {
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error}"));
    }
    let after = (bits(&beliefs(&mut session)), agent_bits(&agent(&mut session)));
    assert!(before.0 != after.0 && before.1 != after.1, "rounds that change nothing would prove nothing");
    let waited = std::thread::spawn(|| (later.0.wait().expect("beliefs"), later.1.wait().expect("an agent")));
    let (users, agent) = waited.join().expect("no panic");
    assert_eq!((bits(&users), agent_bits(&agent)), before);
}

/// The parts of a round take some time, and no more than the round.
pub fn a_round_knows_where_its_time_went<B: Device>(new: &impl Fn() -> B) {
    let (world, epoch) = (world(), Instant::now());
    let mut session = Session::new(new(), &world.view(), plan(&world, |_| ())).expect("a run begins");
    while !session.finished() {
        let report = session.round(&mut || epoch.elapsed().as_secs_f64()).unwrap_or_else(|error| panic!("{error}"));
        let Seconds { policy, matching, step, training, total } = report.seconds;
        let parts = [policy, matching, step];
        assert!(parts.iter().all(|&part| part > 0.0), "{parts:?}");
        let sum = parts.iter().sum::<f64>() + training;
        assert!(sum <= total * (1.0 + 1e-6), "{parts:?} and {training} are more than {total}");
    }
}

/// Lets one update of a session be made.
struct Hasty;

impl Watcher for Hasty {
    fn seconds(&mut self) -> f64 {
        0.0
    }

    fn puts_off(&mut self, left: u32) -> bool {
        left < 4
    }
}

/// An agent that learning has spoilt is not handed over.
pub fn a_spoilt_agent_is_an_error<B: Device>(new: &impl Fn() -> B) {
    let world = world();
    let mut plan = plan(&world, |config| config.td3.gradient_steps = 1);
    // No configuration may ask for it. The losses of a first update are finite all the same.
    plan.learner.learning_rate = f64::INFINITY;
    let mut session = Session::new(new(), &world.view(), plan).expect("a run begins");
    while session.progress().updates == 0 {
        drop(agent(&mut session));
        session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error}"));
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
fn run<B: Device>(new: &impl Fn() -> B, change: impl FnOnce(&mut Config)) -> Outcome {
    let world = world();
    let mut session = Session::new(new(), &world.view(), plan(&world, change)).expect("a run begins");
    let (mut reports, mut users) = (Vec::new(), Vec::new());
    while !session.finished() {
        let report = session.round(&mut || 0.0).unwrap_or_else(|error| panic!("{error}"));
        reports.push(RoundReport { seconds: Seconds::default(), ..report });
        let mut all = Snapshot::default();
        for batch in snapshots(&mut session) {
            all.action.extend(batch.action);
            all.slate.extend(batch.slate);
            all.accepted.extend(batch.accepted);
            all.belief.extend(batch.belief);
            all.reward.extend(batch.reward);
        }
        users.push((bits(&all.action), all.slate, all.accepted, bits(&all.belief), bits(&all.reward)));
    }
    let agent = agent_bits(&agent(&mut session));
    Outcome { reports, users, agent }
}

fn agent<B: Device>(session: &mut Session<B>) -> AgentState {
    session.agent().expect("a copy begins").wait().unwrap_or_else(|error| panic!("{error}"))
}

fn beliefs<B: Device>(session: &mut Session<B>) -> Vec<f32> {
    session.beliefs().and_then(Later::wait).expect("the device shows beliefs")
}

fn snapshots<B: Device>(session: &mut Session<B>) -> Vec<Snapshot> {
    session.snapshots().map(|snapshot| snapshot.expect("the device shows a batch")).collect()
}
