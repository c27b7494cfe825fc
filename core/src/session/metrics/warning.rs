//! Signs in a run's episodes that its agent does not learn.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::EpisodeReport;

/// A reason to doubt that the agent learns. Its [`Display`](fmt::Display) says it in words, and what may help.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "concern", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TrainingWarning {
    /// Too many of the policy's action components lie at their bounds, where tanh is flat: the actor gets no gradient
    /// there, and cannot come back.
    Saturated {
        /// The share, in `(0, 1]`.
        share: f64,
    },
    /// The critics promise more than comes: the actor climbs their errors.
    Overestimated {
        /// Mean value of the sampled actions.
        value: f64,
        /// The realised return; see [`EpisodeReport::discounted_return`].
        #[serde(alias = "realised")]
        discounted_return: f64,
    },
    /// For two episodes now, users have ended no nearer to the target than without learning, or, if it began in the first
    /// episode, than in that one; in the latter case only if they are farther than a tenth of the way they had to go, as
    /// whoever has arrived gets no nearer.
    NoProgress {
        /// Mean summed distance at the episode's end.
        distance: f64,
        /// The best of an episode without learning, or that of the first.
        #[serde(alias = "yardstick")]
        baseline: f64,
    },
    /// A whole run without learning.
    NothingLearned,
}

/// What a run's episodes have shown, as far as concerns need it: its size does not grow with them.
///
/// ```
/// # use recsim_core::session::metrics::{TrainingMonitor, EpisodeReport};
/// # fn of(episodes: &[EpisodeReport]) {
/// let mut course = TrainingMonitor::default();
/// for episode in episodes {
///     course.push(episode);
///     for concern in course.new_warnings() {
///         eprintln!("warning: {concern}");
///     }
/// }
/// # }
/// assert_eq!(TrainingMonitor::default().warnings().count(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrainingMonitor {
    /// Mean summed distance at an episode's end that learning must better: the best without it, or else the first.
    baseline: Option<f64>,
    /// Whether the run began without learning.
    unlearned: bool,
    /// Whether there was learning.
    learned: bool,
    /// Whether the last episode ended no nearer than the yardstick.
    no_nearer: bool,
    /// What there was to say after the episode before the last.
    before: [Option<TrainingWarning>; 3],
    /// What there is to say after the last.
    now: [Option<TrainingWarning>; 3],
}

impl TrainingMonitor {
    /// Takes the next episode.
    pub fn push(&mut self, episode: &EpisodeReport) {
        let (distance, learns) = (episode.mean_distance, episode.learning.is_some());
        let is_first = self.baseline.is_none();
        self.unlearned |= is_first && !learns;
        self.learned |= learns;
        let yardstick = match self.baseline {
            Some(best) if self.learned => best,
            Some(best) => best.min(distance),
            None => distance,
        };
        self.baseline = Some(yardstick);
        let floor = if self.unlearned { 0.0 } else { 0.1 * episode.initial_distance };
        let no_nearer = learns && !is_first && distance >= yardstick && distance > floor;
        let twice =
            (self.no_nearer && no_nearer).then_some(TrainingWarning::NoProgress { distance, baseline: yardstick });
        self.no_nearer = no_nearer;
        let now = if learns { [saturated(episode), overestimated(episode), twice] } else { [None; 3] };
        self.before = core::mem::replace(&mut self.now, now);
    }

    /// What there is to say after the last episode.
    pub fn warnings(&self) -> impl Iterator<Item = TrainingWarning> + use<> {
        self.now.into_iter().flatten()
    }

    /// Those of them that could not be said before the last episode: a thing is said when it begins.
    pub fn new_warnings(&self) -> impl Iterator<Item = TrainingWarning> + use<> {
        let begun = self.now.into_iter().zip(self.before).filter(|(_, before)| before.is_none());
        begun.filter_map(|(now, _)| now)
    }

    /// What there is to say of a run as it is: to its end, if it `is_over`.
    pub fn run_warnings(&self, is_over: bool) -> impl Iterator<Item = TrainingWarning> + use<> {
        self.warnings().chain((is_over && !self.learned).then_some(TrainingWarning::NothingLearned))
    }
}

impl<'a> FromIterator<&'a EpisodeReport> for TrainingMonitor {
    fn from_iter<I: IntoIterator<Item = &'a EpisodeReport>>(episodes: I) -> Self {
        let mut course = Self::default();
        episodes.into_iter().for_each(|episode| course.push(episode));
        course
    }
}

fn saturated(last: &EpisodeReport) -> Option<TrainingWarning> {
    let share = last.action_saturation;
    (share > MAX_SATURATION).then_some(TrainingWarning::Saturated { share })
}

fn overestimated(last: &EpisodeReport) -> Option<TrainingWarning> {
    let (learning, realised) = (last.learning.as_ref()?, last.discounted_return?);
    // Of both critics: what one is off by, at a typical transition. Less than that says nothing.
    let error = libm::sqrt(learning.critic_loss / 2.0);
    let value = learning.q_value;
    (value - realised > f64::max(0.5 * realised.abs(), error))
        .then_some(TrainingWarning::Overestimated { value, discounted_return: realised })
}

impl fmt::Display for TrainingWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated { share } => write!(
                f,
                "{:.0} % of the action's components lie at their bounds, where the actor learns nothing; raise \
                 td3.action_l2, or lower td3.learning_rate",
                100.0 * share
            ),
            Self::Overestimated { value, discounted_return: realised } => write!(
                f,
                "the critics promise {value:.3} where {realised:.3} comes of it, and the actor follows them; lower \
                 td3.discount or td3.tau, or give more td3.gradient_steps"
            ),
            Self::NoProgress { distance, baseline: yardstick } => write!(
                f,
                "the agent does not learn: for two episodes users have ended {distance:.4} from the target, and without \
                 learning, or in the first episode, it was {yardstick:.4}; see how saturated actions are, and try more \
                 td3.gradient_steps or td3.item_epsilon"
            ),
            Self::NothingLearned => f.write_str(
                "nothing was learned, and the agent is as it began: no learning was due; lower \
                 training.warmup_transitions or training.train_frequency, or let there be more rounds",
            ),
        }
    }
}

/// The share of saturated components above which an actor is in danger: a fifth.
const MAX_SATURATION: f64 = 0.2;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::super::LearningReport;
    use super::*;
    use crate::backend::StageSeconds;

    /// Users end at 0.3 of 1; nothing was learned.
    fn unlearned() -> EpisodeReport {
        EpisodeReport {
            episode: 1,
            acceptance_rate: 0.5,
            improved: 1,
            improved_share: 1.0,
            average_reward: 5.0,
            total_reward: 5.0,
            reward_trend: 0.0,
            discounted_return: Some(10.0),
            initial_distance: 1.0,
            mean_distance: 0.3,
            engagement: 0.0,
            alignment: 0.0,
            combined_score: 0.0,
            action_saturation: 0.5,
            total_interactions: 0,
            updates: 0,
            learning: None,
            seconds: StageSeconds::default(),
            user_steps_per_second: 0.0,
        }
    }

    fn learned(mean_distance: f64, action_saturation: f64, q_value: f64, critic_loss: f64) -> EpisodeReport {
        let learning = LearningReport {
            critic_updates: 1,
            policy_updates: 0,
            critic_loss,
            actor_loss: None,
            q_value,
            target_value: q_value,
            critic_gradient_norm: 1.0,
            actor_gradient_norm: None,
        };
        EpisodeReport { mean_distance, action_saturation, learning: Some(learning), ..unlearned() }
    }

    fn after(episodes: &[EpisodeReport]) -> Vec<TrainingWarning> {
        episodes.iter().collect::<TrainingMonitor>().warnings().collect()
    }

    #[test]
    fn an_agent_that_learns_gives_no_concern() {
        let good = learned(0.2, 0.2, 15.0, 50.0);
        let run = [unlearned(), good.clone(), good];
        for episodes in [&run[..1], &run[1..2], &run] {
            assert_eq!(after(episodes), []);
        }
    }

    #[test]
    fn saturation_above_a_fifth_is_one() {
        let concerns = after(&[learned(0.2, 0.21, 10.0, 1.0)]);
        assert_eq!(concerns, [TrainingWarning::Saturated { share: 0.21 }]);
        assert!(concerns[0].to_string().starts_with("21 % of the action's components"));
    }

    #[test]
    fn a_concern_begins_once() {
        let run = [unlearned(), learned(0.2, 0.3, 10.0, 1.0), learned(0.2, 0.4, 10.0, 1.0)];
        let begun =
            |episodes: &[EpisodeReport]| episodes.iter().collect::<TrainingMonitor>().new_warnings().count();
        assert_eq!([begun(&run[..0]), begun(&run[..1]), begun(&run[..2]), begun(&run)], [0, 0, 1, 0]);
    }

    #[test]
    fn a_run_without_learning_is_one() {
        let course = |episodes: &[EpisodeReport]| episodes.iter().collect::<TrainingMonitor>();
        assert_eq!(
            course(&[unlearned()]).run_warnings(true).collect::<Vec<_>>(),
            [TrainingWarning::NothingLearned]
        );
        assert_eq!(course(&[unlearned()]).run_warnings(false).count(), 0);
        assert_eq!(course(&[unlearned(), learned(0.2, 0.0, 10.0, 1.0)]).run_warnings(true).count(), 0);
    }

    #[test]
    fn values_far_above_the_return_are_one_if_the_critics_do_not_err_as_much() {
        assert_eq!(
            after(&[learned(0.2, 0.0, 15.1, 50.0)]),
            [TrainingWarning::Overestimated { value: 15.1, discounted_return: 10.0 }]
        );
        assert_eq!(after(&[learned(0.2, 0.0, 15.1, 52.1)]), [], "the root of 26.05 is more than 5.1");
        assert_eq!(after(&[learned(0.2, 0.0, -20.0, 1.0)]), []);
        let unknown = EpisodeReport { discounted_return: None, ..learned(0.2, 0.0, 100.0, 1.0) };
        assert_eq!(after(&[unknown]), []);
    }

    #[test]
    fn two_episodes_no_nearer_than_without_learning_are_one() {
        let worse = learned(0.3, 0.0, 10.0, 1.0);
        let better = learned(0.29, 0.0, 10.0, 1.0);
        let concern = [TrainingWarning::NoProgress { distance: 0.3, baseline: 0.3 }];
        assert_eq!(after(&[unlearned(), worse.clone(), worse.clone()]), concern);
        assert_eq!(after(&[unlearned(), worse.clone()]), []);
        assert_eq!(after(&[unlearned(), better.clone(), worse.clone()]), []);
        assert_eq!(after(&[unlearned(), worse.clone(), better.clone()]), []);
        assert_eq!(after(&[worse.clone(), worse.clone(), worse.clone()]), concern, "the first is the yardstick");
        assert_eq!(after(&[worse.clone(), worse.clone()]), [], "two are no two after the first");
        assert_eq!(after(&[worse.clone(), worse, better]), []);
        let arrived = learned(0.1, 0.0, 10.0, 1.0);
        assert_eq!(after(&[arrived.clone(), arrived.clone(), arrived]), []);
    }
}
