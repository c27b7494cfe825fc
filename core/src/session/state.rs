//! All that a session needs to go on.

use alloc::vec::Vec;
use core::fmt;

use crate::session::config::Plan;
use crate::session::{PausedRound, RunProgress};
use crate::td3::replay::Transitions;
use crate::td3::{AgentState, Losses};
use crate::world::World;

/// Where a session is, in no unit that shows its device, batches or threads: [`Session::resume`] goes on from it.
///
/// [`Session::resume`]: crate::session::Session::resume
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    /// How far it has come.
    pub progress: RunProgress,
    /// Its agent.
    pub agent: AgentState,
    /// `[users, K]`: where every user served stands.
    pub beliefs: Vec<f32>,
    /// All that its ring holds.
    pub transitions: Transitions,
}

/// Why a [`SessionState`] cannot be one of a session of this plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// A table has another length than the plan and the progress ask for.
    Length {
        /// Which.
        array: &'static str,
        /// How many numbers it should hold.
        expected: usize,
        /// How many it holds.
        actual: usize,
    },
    /// A table holds a number that cannot stand there: not finite, no belief, no user.
    Value {
        /// Which table.
        array: &'static str,
        /// Where in it.
        index: usize,
    },
    /// The counts of the progress contradict each other, or the plan.
    Progress,
}

impl SessionState {
    /// Whether a session of `plan` on `world` can have come to this.
    ///
    /// # Errors
    /// Tables must have the lengths that the plan gives and numbers that can stand in them: finite ones, beliefs between 0
    /// and the target, users that are served. Counts must agree with each other.
    pub fn check(&self, plan: &Plan, world: &World<'_>) -> Result<(), StateError> {
        let Self { progress, agent, beliefs, transitions } = self;
        let users = plan.schedule.users;
        let agrees = progress.transitions == progress.rounds.saturating_mul(users as u64)
            && transitions.inserted == progress.transitions
            && progress.interactions == progress.transitions.saturating_mul(plan.environment.slate_len as u64)
            && progress.first_reward.is_finite()
            && agent.critic_updates == progress.updates
            && agent.policy_updates <= agent.critic_updates
            && progress.updates <= progress.rounds.saturating_mul(u64::from(u32::MAX));
        if !(agrees && suspended(progress, agent, plan)) {
            return Err(StateError::Progress);
        }
        check_agent(agent, plan)?;
        check_beliefs("beliefs", beliefs, users, world.target())?;
        let Transitions { user, belief_before, belief, action, reward, .. } = transitions;
        let held = progress.transitions.min(plan.agent.buffer_size() as u64) as usize;
        length("transitions.user", user.len(), held)?;
        value("transitions.user", user, |&user| (user as usize) < users)?;
        check_beliefs("transitions.belief_before", belief_before, held, world.target())?;
        check_beliefs("transitions.belief", belief, held, world.target())?;
        length("transitions.action", action.len(), held * plan.agent.action_dim())?;
        value("transitions.action", action, |action| action.is_finite())?;
        length("transitions.reward", reward.len(), held)?;
        value("transitions.reward", reward, |reward| reward.is_finite())
    }
}

/// Whether the last round can have been suspended so, if it was, and has left nothing to report if it was not.
fn suspended(progress: &RunProgress, agent: &AgentState, plan: &Plan) -> bool {
    let Losses { critic_updates, policy_updates, .. } = agent.losses;
    let Some(PausedRound { remaining_updates: updates, tally, .. }) = progress.paused else {
        return critic_updates == 0 && policy_updates == 0;
    };
    let (users, shown) = (plan.schedule.users as u64, plan.environment.slate_len as u64);
    progress.rounds > 0
        && updates > 0
        && critic_updates <= progress.updates
        && policy_updates <= critic_updates
        && (tally.users, tally.shown) == (users, users * shown)
        && tally.accepted <= tally.shown
        && tally.improved <= users
        && tally.saturated <= tally.components
}

fn check_agent(agent: &AgentState, plan: &Plan) -> Result<(), StateError> {
    for (n, layout) in plan.agent.layouts().into_iter().enumerate() {
        for weights in [&agent.networks[n], &agent.targets[n]] {
            length("agent's parameters", weights.parameters.len(), layout.parameter_count())?;
            length("agent's statistics", weights.running_stats.len(), layout.running_stats_count())?;
        }
        for moments in [&agent.moments[n].first, &agent.moments[n].second] {
            length("agent's moments", moments.len(), layout.parameter_count())?;
        }
    }
    let squares = agent.moments.iter().flat_map(|moments| &moments.second);
    // Means and variances stand layer by layer in the statistics; the latter are squares too.
    let layers = plan.agent.layouts().into_iter().enumerate();
    let variances = layers.flat_map(|(n, layout)| {
        let norms = layout.layers().iter().filter_map(|layer| layer.batch_norm.as_ref());
        norms.flat_map(move |norm| {
            [&agent.networks[n], &agent.targets[n]]
                .into_iter()
                .flat_map(|net| &net.running_stats[norm.variance.clone()])
        })
    });
    let sound = agent.is_finite() && squares.chain(variances).all(|&square| square >= 0.0);
    if sound { Ok(()) } else { Err(StateError::Value { array: "agent", index: 0 }) }
}

fn check_beliefs(table: &'static str, beliefs: &[f32], rows: usize, target: &[f32]) -> Result<(), StateError> {
    length(table, beliefs.len(), rows * target.len())?;
    let most = target.iter().cycle();
    let wrong = beliefs.iter().zip(most).position(|(belief, most)| !(0.0..=*most).contains(belief));
    wrong.map_or(Ok(()), |place| Err(StateError::Value { array: table, index: place }))
}

fn length(table: &'static str, found: usize, expected: usize) -> Result<(), StateError> {
    if found == expected { Ok(()) } else { Err(StateError::Length { array: table, expected, actual: found }) }
}

fn value<T>(table: &'static str, values: &[T], may_be: impl Fn(&T) -> bool) -> Result<(), StateError> {
    let wrong = values.iter().position(|value| !may_be(value));
    wrong.map_or(Ok(()), |place| Err(StateError::Value { array: table, index: place }))
}

impl core::error::Error for StateError {}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { array: table, expected, actual: found } => {
                write!(f, "the {table} are {found} numbers, where the configuration asks for {expected}")
            }
            Self::Value { array: table, index: place } => {
                write!(f, "the {table} hold a number that cannot be, at place {place}")
            }
            Self::Progress => f.write_str("its counts contradict each other or the configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::StageSeconds;
    use crate::backend::reference::Reference;
    use crate::model::Tally;
    use crate::session::Session;
    use crate::session::config::Config;
    use crate::world::{SyntheticWorldConfig, brute_force_lists, generate};

    #[test]
    fn what_no_session_can_have_come_to_is_refused() {
        let recipe =
            SyntheticWorldConfig { users: 3, items: 30, clusters: 2, dimensions: 2, pretrained_len: 8, seed: 0 };
        let generated = generate(&recipe, brute_force_lists);
        let world = generated.view().unwrap();
        let mut config = Config::default();
        (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (2, 4);
        (config.td3.hidden_sizes, config.td3.buffer_size) = (alloc::vec![3], 5);
        config.training.warmup_transitions = 5;
        let plan = config.plan(&world).unwrap();
        let mut session = Session::new(Reference::<f32>::default(), &world, plan.clone()).unwrap();
        for _ in 0..2 {
            session.round(&mut || 0.0).unwrap();
        }
        let state = session.state().unwrap();
        assert_eq!(state.check(&plan, &world), Ok(()));

        let of = |spoil: fn(&mut SessionState)| {
            let mut state = state.clone();
            spoil(&mut state);
            state.check(&plan, &world).unwrap_err()
        };
        let counts: [fn(&mut SessionState); 9] = [
            |state| state.progress.updates += 1,
            |state| state.agent.critic_updates = u64::MAX,
            |state| state.agent.policy_updates = 1,
            |state| state.agent.losses.critic_updates = 1,
            |state| state.progress.rounds += 1,
            |state| state.progress.transitions += 1,
            |state| state.progress.interactions -= 1,
            |state| state.transitions.inserted += 1,
            |state| state.progress.first_reward = f64::NAN,
        ];
        counts.into_iter().for_each(|spoil| assert_eq!(of(spoil), StateError::Progress));
        let short = |table, expected, found| StateError::Length { array: table, expected, actual: found };
        assert_eq!(of(|state| state.beliefs.truncate(5)), short("beliefs", 6, 5));
        assert_eq!(of(|state| state.transitions.user.truncate(4)), short("transitions.user", 5, 4));
        assert_eq!(of(|state| state.transitions.belief.truncate(9)), short("transitions.belief", 10, 9));
        assert_eq!(of(|state| state.transitions.action.truncate(9)), short("transitions.action", 10, 9));
        assert_eq!(of(|state| state.transitions.reward.truncate(4)), short("transitions.reward", 5, 4));
        let agent = of(|state| state.agent.moments[2].second.truncate(1));
        assert!(matches!(agent, StateError::Length { array: "agent's moments", .. }));
        let wrong = |table, place| StateError::Value { array: table, index: place };
        assert_eq!(of(|state| state.beliefs[3] = -0.1), wrong("beliefs", 3));
        assert_eq!(of(|state| state.beliefs[3] = 0.99), wrong("beliefs", 3));
        assert_eq!(of(|state| state.transitions.user[4] = 3), wrong("transitions.user", 4));
        assert_eq!(of(|state| state.transitions.belief_before[1] = 1.0), wrong("transitions.belief_before", 1));
        assert_eq!(of(|state| state.transitions.action[7] = f32::NAN), wrong("transitions.action", 7));
        assert_eq!(of(|state| state.transitions.reward[0] = f32::INFINITY), wrong("transitions.reward", 0));
        assert_eq!(of(|state| state.agent.targets[1].parameters[0] = f32::NAN), wrong("agent", 0));
        assert_eq!(of(|state| state.agent.moments[0].second[0] = -1.0), wrong("agent", 0));
        assert_eq!(of(|state| *state.agent.targets[0].running_stats.last_mut().unwrap() = -1.0), wrong("agent", 0));

        let tally = Tally { users: 3, shown: 12, ..Tally::default() };
        let round = PausedRound { remaining_updates: 1, tally, seconds: StageSeconds::default() };
        let suspended = |round| {
            let progress = RunProgress { paused: Some(round), ..state.progress };
            SessionState { progress, ..state.clone() }.check(&plan, &world)
        };
        assert_eq!(suspended(round), Ok(()));
        for wrong in [
            PausedRound { remaining_updates: 0, ..round },
            PausedRound { tally: Tally { users: 2, ..tally }, ..round },
            PausedRound { tally: Tally { shown: 0, ..tally }, ..round },
            PausedRound { tally: Tally { accepted: 13, ..tally }, ..round },
            PausedRound { tally: Tally { improved: 4, ..tally }, ..round },
            PausedRound { tally: Tally { saturated: 1, ..tally }, ..round },
        ] {
            assert_eq!(suspended(wrong), Err(StateError::Progress), "{wrong:?}");
        }
    }
}
