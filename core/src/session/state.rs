//! The state that a session can be resumed from.

use alloc::vec::Vec;
use core::fmt;

use crate::session::config::Plan;
use crate::session::{PausedRound, RunProgress};
use crate::td3::replay::Transitions;
use crate::td3::{AgentState, Losses};
use crate::world::World;

/// Everything that [`Session::resume`] needs besides the plan and the world (`docs/spec.md`, section 9). It depends on
/// no backend, batch size or number of threads.
///
/// [`Session::resume`]: crate::session::Session::resume
#[derive(Clone, Debug, PartialEq)]
pub struct SessionState {
    /// The counters.
    pub progress: RunProgress,
    /// Networks, targets, optimizer state and the sums of unreported losses.
    pub agent: AgentState,
    /// `[users, K]`: the beliefs of every user served, each in `[0, target]`.
    pub beliefs: Vec<f32>,
    /// The contents of the replay buffer, oldest first.
    pub transitions: Transitions,
}

/// Why a [`SessionState`] does not belong to a session of this plan and world.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// An array has another length than the plan and the counters require.
    Length {
        /// The array's name, such as `transitions.user`.
        array: &'static str,
        /// The number of values it should hold.
        expected: usize,
        /// The number of values it holds.
        actual: usize,
    },
    /// A value is out of range: not finite, a belief outside `[0, target]`, an unknown user or a negative variance.
    Value {
        /// The array's name.
        array: &'static str,
        /// The index of the first such value; 0 for `agent`, whose buffers are not searched.
        index: usize,
    },
    /// The counters contradict each other or the plan.
    Progress,
}

impl SessionState {
    /// Checks that a session of `plan` on `world` can be in this state.
    ///
    /// # Errors
    /// [`StateError::Progress`] if the counters contradict each other or the plan, [`StateError::Length`] if an array
    /// does not have the length that the plan and the counters give, and [`StateError::Value`] if a value is not
    /// finite, a belief is outside `[0, target]`, a user is not served, or a variance or second moment is negative.
    pub fn check(&self, plan: &Plan, world: &World<'_>) -> Result<(), StateError> {
        let Self { progress, agent, beliefs, transitions } = self;
        let users = plan.schedule.users;
        let consistent = progress.transitions == progress.rounds.saturating_mul(users as u64)
            && transitions.inserted == progress.transitions
            && progress.interactions == progress.transitions.saturating_mul(plan.environment.slate_len as u64)
            && progress.first_reward.is_finite()
            && agent.critic_updates == progress.updates
            && agent.policy_updates <= agent.critic_updates
            && progress.updates <= progress.rounds.saturating_mul(u64::from(u32::MAX));
        if !(consistent && is_paused_round_valid(progress, agent, plan)) {
            return Err(StateError::Progress);
        }
        check_agent(agent, plan)?;
        check_beliefs("beliefs", beliefs, users, world.target())?;
        let Transitions { user, belief_before, belief, action, reward, .. } = transitions;
        let stored = progress.transitions.min(plan.agent.buffer_size() as u64) as usize;
        check_length("transitions.user", user.len(), stored)?;
        check_value("transitions.user", user, |&user| (user as usize) < users)?;
        check_beliefs("transitions.belief_before", belief_before, stored, world.target())?;
        check_beliefs("transitions.belief", belief, stored, world.target())?;
        check_length("transitions.action", action.len(), stored * plan.agent.action_dim())?;
        check_value("transitions.action", action, |action| action.is_finite())?;
        check_length("transitions.reward", reward.len(), stored)?;
        check_value("transitions.reward", reward, |reward| reward.is_finite())
    }
}

/// Whether a paused round's counters are possible. Without a paused round, whether all losses have been reported.
fn is_paused_round_valid(progress: &RunProgress, agent: &AgentState, plan: &Plan) -> bool {
    let Losses { critic_updates, policy_updates, .. } = agent.losses;
    let Some(PausedRound { remaining_updates, tally, .. }) = progress.paused else {
        return critic_updates == 0 && policy_updates == 0;
    };
    let (users, slate_len) = (plan.schedule.users as u64, plan.environment.slate_len as u64);
    progress.rounds > 0
        && remaining_updates > 0
        && critic_updates <= progress.updates
        && policy_updates <= critic_updates
        && (tally.users, tally.shown) == (users, users * slate_len)
        && tally.accepted <= tally.shown
        && tally.improved <= users
        && tally.saturated <= tally.components
}

fn check_agent(agent: &AgentState, plan: &Plan) -> Result<(), StateError> {
    for (n, layout) in plan.agent.layouts().into_iter().enumerate() {
        for weights in [&agent.networks[n], &agent.targets[n]] {
            check_length("agent.parameters", weights.parameters.len(), layout.parameter_count())?;
            check_length("agent.running_stats", weights.running_stats.len(), layout.running_stats_count())?;
        }
        for moments in [&agent.moments[n].first, &agent.moments[n].second] {
            check_length("agent.moments", moments.len(), layout.parameter_count())?;
        }
    }
    let squares = agent.moments.iter().flat_map(|moments| &moments.second);
    // The running statistics hold means and variances. A variance is a mean of squares, so it is at least 0.
    let layers = plan.agent.layouts().into_iter().enumerate();
    let variances = layers.flat_map(|(n, layout)| {
        let norms = layout.layers().iter().filter_map(|layer| layer.batch_norm.as_ref());
        norms.flat_map(move |norm| {
            [&agent.networks[n], &agent.targets[n]]
                .into_iter()
                .flat_map(|net| &net.running_stats[norm.variance.clone()])
        })
    });
    let is_valid = agent.is_finite() && squares.chain(variances).all(|&square| square >= 0.0);
    if is_valid { Ok(()) } else { Err(StateError::Value { array: "agent", index: 0 }) }
}

fn check_beliefs(array: &'static str, beliefs: &[f32], rows: usize, target: &[f32]) -> Result<(), StateError> {
    check_length(array, beliefs.len(), rows * target.len())?;
    let max = target.iter().cycle();
    let invalid = beliefs.iter().zip(max).position(|(belief, max)| !(0.0..=*max).contains(belief));
    invalid.map_or(Ok(()), |index| Err(StateError::Value { array, index }))
}

fn check_length(array: &'static str, actual: usize, expected: usize) -> Result<(), StateError> {
    if actual == expected { Ok(()) } else { Err(StateError::Length { array, expected, actual }) }
}

fn check_value<T>(array: &'static str, values: &[T], is_valid: impl Fn(&T) -> bool) -> Result<(), StateError> {
    let invalid = values.iter().position(|value| !is_valid(value));
    invalid.map_or(Ok(()), |index| Err(StateError::Value { array, index }))
}

impl core::error::Error for StateError {}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { array, expected, actual } => write!(
                f,
                "`{array}` has {actual} values, and the configuration requires {expected}; resume with the \
                 configuration and the world that the state was saved with"
            ),
            Self::Value { array, index } => {
                write!(f, "`{array}` holds a value out of range at index {index}; use another checkpoint")
            }
            Self::Progress => f.write_str(
                "its counters contradict each other or the configuration; resume with the configuration that it was \
                 saved with, or use another checkpoint",
            ),
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
    fn session_state_refuses_impossible_states() {
        let world_config =
            SyntheticWorldConfig { users: 3, items: 30, clusters: 2, dimensions: 2, pretrained_len: 8, seed: 0 };
        let generated = generate(&world_config, brute_force_lists);
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

        let error_after = |change: fn(&mut SessionState)| {
            let mut state = state.clone();
            change(&mut state);
            state.check(&plan, &world).unwrap_err()
        };
        let count_changes: [fn(&mut SessionState); 9] = [
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
        count_changes.into_iter().for_each(|change| assert_eq!(error_after(change), StateError::Progress));
        let wrong_length = |array, expected, actual| StateError::Length { array, expected, actual };
        assert_eq!(error_after(|state| state.beliefs.truncate(5)), wrong_length("beliefs", 6, 5));
        assert_eq!(error_after(|state| state.transitions.user.truncate(4)), wrong_length("transitions.user", 5, 4));
        assert_eq!(
            error_after(|state| state.transitions.belief.truncate(9)),
            wrong_length("transitions.belief", 10, 9)
        );
        assert_eq!(
            error_after(|state| state.transitions.action.truncate(9)),
            wrong_length("transitions.action", 10, 9)
        );
        assert_eq!(
            error_after(|state| state.transitions.reward.truncate(4)),
            wrong_length("transitions.reward", 5, 4)
        );
        let agent = error_after(|state| state.agent.moments[2].second.truncate(1));
        assert!(matches!(agent, StateError::Length { array: "agent.moments", .. }));
        let wrong_value = |array, index| StateError::Value { array, index };
        assert_eq!(error_after(|state| state.beliefs[3] = -0.1), wrong_value("beliefs", 3));
        assert_eq!(error_after(|state| state.beliefs[3] = 0.99), wrong_value("beliefs", 3));
        assert_eq!(error_after(|state| state.transitions.user[4] = 3), wrong_value("transitions.user", 4));
        assert_eq!(
            error_after(|state| state.transitions.belief_before[1] = 1.0),
            wrong_value("transitions.belief_before", 1)
        );
        assert_eq!(
            error_after(|state| state.transitions.action[7] = f32::NAN),
            wrong_value("transitions.action", 7)
        );
        assert_eq!(
            error_after(|state| state.transitions.reward[0] = f32::INFINITY),
            wrong_value("transitions.reward", 0)
        );
        assert_eq!(error_after(|state| state.agent.targets[1].parameters[0] = f32::NAN), wrong_value("agent", 0));
        assert_eq!(error_after(|state| state.agent.moments[0].second[0] = -1.0), wrong_value("agent", 0));
        assert_eq!(
            error_after(|state| *state.agent.targets[0].running_stats.last_mut().unwrap() = -1.0),
            wrong_value("agent", 0)
        );

        let tally = Tally { users: 3, shown: 12, ..Tally::default() };
        let round = PausedRound { remaining_updates: 1, tally, seconds: StageSeconds::default() };
        let check_paused = |round| {
            let progress = RunProgress { paused: Some(round), ..state.progress };
            SessionState { progress, ..state.clone() }.check(&plan, &world)
        };
        assert_eq!(check_paused(round), Ok(()));
        for invalid in [
            PausedRound { remaining_updates: 0, ..round },
            PausedRound { tally: Tally { users: 2, ..tally }, ..round },
            PausedRound { tally: Tally { shown: 0, ..tally }, ..round },
            PausedRound { tally: Tally { accepted: 13, ..tally }, ..round },
            PausedRound { tally: Tally { improved: 4, ..tally }, ..round },
            PausedRound { tally: Tally { saturated: 1, ..tally }, ..round },
        ] {
            assert_eq!(check_paused(invalid), Err(StateError::Progress), "{invalid:?}");
        }
    }
}
