//! The report of an episode, from those of its rounds.

use super::{EpisodeReport, LearningReport, RoundReport};
use crate::backend::StageSeconds;
use crate::td3::Losses;

impl EpisodeReport {
    /// The report of an episode with these rounds, in their order. `initial_distance` is the users' mean summed
    /// distance to the target before the first round, and `discount` the agent's, in `[0, 1]`. Returns `None` if there
    /// are no rounds.
    pub fn from_rounds(rounds: &[RoundReport], initial_distance: f64, discount: f64) -> Option<Self> {
        let last = rounds.last()?;
        let sum = |value: fn(&RoundReport) -> f64| rounds.iter().map(value).sum::<f64>();
        let mean = |value| sum(value) / rounds.len() as f64;
        let mut losses = Losses::default();
        rounds.iter().filter_map(|round| round.learning.as_ref()).for_each(|learning| losses += learning);
        let seconds = StageSeconds {
            policy: sum(|round| round.seconds.policy),
            matching: sum(|round| round.seconds.matching),
            step: sum(|round| round.seconds.step),
            training: sum(|round| round.seconds.training),
            total: sum(|round| round.seconds.total),
        };
        Some(Self {
            episode: last.episode,
            acceptance_rate: mean(|round| round.acceptance_rate),
            improved: last.improved,
            improved_share: last.improved_share,
            average_reward: mean(|round| round.average_reward),
            total_reward: sum(|round| round.total_reward),
            reward_trend: last.reward_trend,
            discounted_return: (discount < 1.0).then(|| discounted_return(rounds, discount)),
            initial_distance,
            mean_distance: last.mean_distance,
            engagement: last.engagement,
            alignment: last.alignment,
            combined_score: last.combined_score,
            action_saturation: mean(|round| round.action_saturation),
            total_interactions: last.total_interactions,
            updates: last.updates,
            learning: LearningReport::from_losses(&losses),
            seconds,
            user_steps_per_second: sum(|round| round.users as f64) / seconds.total.max(f64::MIN_POSITIVE),
        })
    }
}

/// See [`EpisodeReport::discounted_return`].
fn discounted_return(rounds: &[RoundReport], discount: f64) -> f64 {
    let last = rounds.last().map_or(0.0, |round| round.average_reward);
    let mut return_to_go = last / (1.0 - discount);
    let mut sum = 0.0;
    for round in rounds.iter().rev() {
        return_to_go = round.average_reward + discount * return_to_go;
        sum += return_to_go;
    }
    sum / rounds.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(round: u32, acceptance_rate: f64, average_reward: f64) -> RoundReport {
        RoundReport {
            episode: 3,
            round,
            users: 10,
            acceptance_rate,
            improved: u64::from(round),
            improved_share: f64::from(round) / 10.0,
            average_reward,
            reward_trend: average_reward - 4.0,
            total_reward: 10.0 * average_reward,
            mean_distance: 1.0 - f64::from(round) / 4.0,
            engagement: 0.0,
            alignment: 0.0,
            combined_score: 0.0,
            action_saturation: 0.0,
            total_interactions: 200 * u64::from(round),
            updates: 0,
            learning: None,
            seconds: StageSeconds { total: 2.0, ..StageSeconds::default() },
            user_steps_per_second: 5.0,
        }
    }

    #[test]
    fn from_rounds_averages_rates_sums_totals_and_takes_the_last_state() {
        let report = EpisodeReport::from_rounds(&[round(1, 0.25, 4.0), round(2, 0.75, 6.0)], 1.0, 0.5).unwrap();
        assert_eq!((report.episode, report.acceptance_rate, report.average_reward), (3, 0.5, 5.0));
        assert_eq!((report.total_reward, report.reward_trend), (100.0, 2.0));
        assert_eq!((report.improved, report.initial_distance, report.mean_distance), (2, 1.0, 0.5));
        assert_eq!((report.total_interactions, report.user_steps_per_second), (400, 5.0));
    }

    #[test]
    fn learning_is_averaged_over_all_updates_of_the_episode() {
        let learning = |updates, policy_updates, value| LearningReport {
            critic_updates: updates,
            policy_updates,
            critic_loss: value,
            actor_loss: (policy_updates > 0).then_some(value),
            q_value: value,
            target_value: value,
            critic_gradient_norm: value,
            actor_gradient_norm: (policy_updates > 0).then_some(value),
        };
        let mut rounds = [round(1, 0.0, 4.0), round(2, 0.0, 4.0), round(3, 0.0, 4.0)];
        assert_eq!(EpisodeReport::from_rounds(&rounds, 1.0, 0.5).unwrap().learning, None);
        (rounds[0].learning, rounds[2].learning) = (Some(learning(3, 1, 1.0)), Some(learning(1, 0, 5.0)));
        let learning = EpisodeReport::from_rounds(&rounds, 1.0, 0.5).unwrap().learning.unwrap();
        assert_eq!((learning.critic_updates, learning.critic_loss, learning.actor_loss), (4, 2.0, Some(1.0)));
    }

    #[test]
    fn discounted_return_continues_the_last_reward() {
        // From the second round on: 6 + 6/2 + 6/4 + .. = 12; from the first: 4 + 12/2 = 10.
        let rounds = [round(1, 0.0, 4.0), round(2, 0.0, 6.0)];
        assert_eq!(EpisodeReport::from_rounds(&rounds, 1.0, 0.5).unwrap().discounted_return, Some(11.0));
        assert_eq!(EpisodeReport::from_rounds(&rounds, 1.0, 0.0).unwrap().discounted_return, Some(5.0));
        assert_eq!(EpisodeReport::from_rounds(&rounds, 1.0, 1.0).unwrap().discounted_return, None);
    }

    #[test]
    fn from_rounds_is_none_without_rounds() {
        assert_eq!(EpisodeReport::from_rounds(&[], 1.0, 0.5), None);
    }
}
