//! Warnings that a run's agent does not learn (`docs/spec.md`, section 6.4).

use core::fmt;

use serde::{Deserialize, Serialize};

use super::EpisodeReport;

/// A sign that the agent does not learn. Its [`Display`](fmt::Display) says what was measured and what may help.
///
/// Serialized with the tag `warning`, such as `{"warning":"saturated","share":0.3}`. Deserialization also reads the
/// previous format, whose tag was `concern`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "warning", rename_all = "snake_case", try_from = "WarningFields")]
#[non_exhaustive]
pub enum TrainingWarning {
    /// More than a fifth of the policy's action components are saturated:
    /// [`action_saturation`](EpisodeReport::action_saturation)` > 0.2`. There the gradient of tanh is almost 0, so the
    /// actor hardly moves.
    Saturated {
        /// The share of saturated components, in `(0.2, 1]`.
        share: f64,
    },
    /// The critics' values exceed the discounted return by more than half of it and by more than the critics' own
    /// error: `q_value - discounted_return > max(0.5 |discounted_return|, sqrt(critic_loss / 2))`.
    ///
    /// Not given at a discount of 1, where there is no [`discounted_return`](EpisodeReport::discounted_return).
    Overestimated {
        /// [`LearningReport::q_value`](super::LearningReport::q_value), in units of reward.
        value: f64,
        /// [`EpisodeReport::discounted_return`], in units of reward.
        discounted_return: f64,
    },
    /// In two successive episodes with training, users ended no nearer to the target than the baseline. The run's first
    /// episode is not one of the two.
    ///
    /// The baseline is the smallest final distance of the episodes before training started. If training started in the
    /// first episode, the baseline is that episode's final distance, and only an episode that ends farther than a tenth
    /// of the initial distance counts: users who have arrived come no nearer.
    NoProgress {
        /// [`mean_distance`](EpisodeReport::mean_distance) of the last episode.
        distance: f64,
        /// The baseline's distance.
        baseline: f64,
    },
    /// The run ended without a single update.
    NothingLearned,
}

/// All fields of a serialized warning, in the current and the previous format.
#[derive(Deserialize)]
struct WarningFields {
    #[serde(alias = "concern")]
    warning: WarningTag,
    share: Option<f64>,
    value: Option<f64>,
    #[serde(alias = "realised")]
    discounted_return: Option<f64>,
    distance: Option<f64>,
    #[serde(alias = "yardstick")]
    baseline: Option<f64>,
}

/// The variants of [`TrainingWarning`], as the tag names them.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WarningTag {
    Saturated,
    Overestimated,
    #[serde(alias = "no_nearer")]
    NoProgress,
    NothingLearned,
}

impl TryFrom<WarningFields> for TrainingWarning {
    type Error = &'static str;

    fn try_from(fields: WarningFields) -> Result<Self, Self::Error> {
        Ok(match fields.warning {
            WarningTag::Saturated => Self::Saturated { share: fields.share.ok_or("`share` is missing")? },
            WarningTag::Overestimated => Self::Overestimated {
                value: fields.value.ok_or("`value` is missing")?,
                discounted_return: fields.discounted_return.ok_or("`discounted_return` is missing")?,
            },
            WarningTag::NoProgress => Self::NoProgress {
                distance: fields.distance.ok_or("`distance` is missing")?,
                baseline: fields.baseline.ok_or("`baseline` is missing")?,
            },
            WarningTag::NothingLearned => Self::NothingLearned,
        })
    }
}

/// Finds the warnings of a run, episode by episode. Its size does not grow with the number of episodes.
///
/// ```
/// # use recsim_core::session::metrics::{TrainingMonitor, EpisodeReport};
/// # fn print_warnings(episodes: &[EpisodeReport]) {
/// let mut monitor = TrainingMonitor::default();
/// for episode in episodes {
///     monitor.push(episode);
///     for warning in monitor.new_warnings() {
///         eprintln!("warning: {warning}");
///     }
/// }
/// # }
/// assert_eq!(TrainingMonitor::default().warnings().count(), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrainingMonitor {
    /// The baseline of [`TrainingWarning::NoProgress`]; `None` before the first episode.
    baseline: Option<f64>,
    /// Whether the first episode had no training.
    started_untrained: bool,
    /// Whether any episode had training.
    has_trained: bool,
    /// Whether the last episode had training and ended no nearer than the baseline.
    no_progress: bool,
    /// The warnings of the episode before the last, one slot per kind.
    previous: [Option<TrainingWarning>; 3],
    /// The warnings of the last episode, one slot per kind.
    current: [Option<TrainingWarning>; 3],
}

impl TrainingMonitor {
    /// Adds the next episode. Episodes must come in the order of the run.
    pub fn push(&mut self, episode: &EpisodeReport) {
        let (distance, has_training) = (episode.mean_distance, episode.learning.is_some());
        let is_first = self.baseline.is_none();
        self.started_untrained |= is_first && !has_training;
        self.has_trained |= has_training;
        let baseline = match self.baseline {
            Some(best) if self.has_trained => best,
            Some(best) => best.min(distance),
            None => distance,
        };
        self.baseline = Some(baseline);
        let arrived = if self.started_untrained { 0.0 } else { 0.1 * episode.initial_distance };
        let no_progress = has_training && !is_first && distance >= baseline && distance > arrived;
        let no_progress_twice =
            (self.no_progress && no_progress).then_some(TrainingWarning::NoProgress { distance, baseline });
        self.no_progress = no_progress;
        let current =
            if has_training { [saturated(episode), overestimated(episode), no_progress_twice] } else { [None; 3] };
        self.previous = core::mem::replace(&mut self.current, current);
    }

    /// The warnings of the last episode.
    pub fn warnings(&self) -> impl Iterator<Item = TrainingWarning> + use<> {
        self.current.into_iter().flatten()
    }

    /// The warnings of the last episode whose kind the episode before did not have.
    pub fn new_warnings(&self) -> impl Iterator<Item = TrainingWarning> + use<> {
        let new = self.current.into_iter().zip(self.previous).filter(|(_, previous)| previous.is_none());
        new.filter_map(|(current, _)| current)
    }

    /// The warnings of the run so far: those of the last episode and, if the run `is_over` without an update,
    /// [`TrainingWarning::NothingLearned`].
    pub fn run_warnings(&self, is_over: bool) -> impl Iterator<Item = TrainingWarning> + use<> {
        self.warnings().chain((is_over && !self.has_trained).then_some(TrainingWarning::NothingLearned))
    }
}

impl<'a> FromIterator<&'a EpisodeReport> for TrainingMonitor {
    fn from_iter<I: IntoIterator<Item = &'a EpisodeReport>>(episodes: I) -> Self {
        let mut monitor = Self::default();
        episodes.into_iter().for_each(|episode| monitor.push(episode));
        monitor
    }
}

fn saturated(episode: &EpisodeReport) -> Option<TrainingWarning> {
    let share = episode.action_saturation;
    (share > MAX_SATURATION).then_some(TrainingWarning::Saturated { share })
}

fn overestimated(episode: &EpisodeReport) -> Option<TrainingWarning> {
    let (learning, discounted_return) = (episode.learning.as_ref()?, episode.discounted_return?);
    // `critic_loss` sums the mean squared errors of two critics. A difference below one critic's root mean squared
    // error proves nothing.
    let critic_error = libm::sqrt(learning.critic_loss / 2.0);
    let value = learning.q_value;
    (value - discounted_return > f64::max(0.5 * discounted_return.abs(), critic_error))
        .then_some(TrainingWarning::Overestimated { value, discounted_return })
}

impl fmt::Display for TrainingWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated { share } => write!(
                f,
                "{:.0} % of the action's components lie at their bounds, where the actor's gradient is almost 0; raise \
                 td3.action_l2, or lower td3.learning_rate",
                100.0 * share
            ),
            Self::Overestimated { value, discounted_return } => write!(
                f,
                "the critics overestimate: their mean value is {value:.3}, and the discounted return is \
                 {discounted_return:.3}; lower td3.discount or td3.tau, or raise td3.gradient_steps"
            ),
            Self::NoProgress { distance, baseline } => write!(
                f,
                "the agent does not learn: in two successive episodes users ended no nearer to the target than the \
                 baseline ({distance:.4}, baseline {baseline:.4}: the best episode before training, or the first \
                 episode); see whether actions are saturated, and raise td3.gradient_steps or td3.item_epsilon"
            ),
            Self::NothingLearned => f.write_str(
                "nothing was learned: training never started, and the agent has its initial weights; lower \
                 training.warmup_transitions or training.train_frequency, or run more rounds",
            ),
        }
    }
}

/// The share of saturated components above which a run is warned.
const MAX_SATURATION: f64 = 0.2;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::super::LearningReport;
    use super::*;
    use crate::backend::StageSeconds;

    /// An episode without training: the distance falls from 1 to 0.3.
    fn untrained() -> EpisodeReport {
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

    fn trained(mean_distance: f64, action_saturation: f64, q_value: f64, critic_loss: f64) -> EpisodeReport {
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
        EpisodeReport { mean_distance, action_saturation, learning: Some(learning), ..untrained() }
    }

    fn monitor(episodes: &[EpisodeReport]) -> TrainingMonitor {
        episodes.iter().collect()
    }

    fn warnings_after(episodes: &[EpisodeReport]) -> Vec<TrainingWarning> {
        monitor(episodes).warnings().collect()
    }

    #[test]
    fn a_learning_agent_gets_no_warning() {
        let good = trained(0.2, 0.2, 15.0, 50.0);
        let run = [untrained(), good.clone(), good];
        for episodes in [&run[..1], &run[1..2], &run] {
            assert_eq!(warnings_after(episodes), []);
        }
    }

    #[test]
    fn saturated_is_given_above_a_fifth() {
        let warnings = warnings_after(&[trained(0.2, 0.21, 10.0, 1.0)]);
        assert_eq!(warnings, [TrainingWarning::Saturated { share: 0.21 }]);
        assert!(warnings[0].to_string().starts_with("21 % of the action's components"));
    }

    #[test]
    fn new_warnings_are_given_once() {
        let run = [untrained(), trained(0.2, 0.3, 10.0, 1.0), trained(0.2, 0.4, 10.0, 1.0)];
        let num_new = |episodes: &[EpisodeReport]| monitor(episodes).new_warnings().count();
        assert_eq!([num_new(&run[..0]), num_new(&run[..1]), num_new(&run[..2]), num_new(&run)], [0, 0, 1, 0]);
    }

    #[test]
    fn nothing_learned_is_given_after_a_run_without_training() {
        assert_eq!(
            monitor(&[untrained()]).run_warnings(true).collect::<Vec<_>>(),
            [TrainingWarning::NothingLearned]
        );
        assert_eq!(monitor(&[untrained()]).run_warnings(false).count(), 0);
        assert_eq!(monitor(&[untrained(), trained(0.2, 0.0, 10.0, 1.0)]).run_warnings(true).count(), 0);
    }

    #[test]
    fn overestimated_is_given_beyond_the_critics_error() {
        assert_eq!(
            warnings_after(&[trained(0.2, 0.0, 15.1, 50.0)]),
            [TrainingWarning::Overestimated { value: 15.1, discounted_return: 10.0 }]
        );
        assert_eq!(warnings_after(&[trained(0.2, 0.0, 15.1, 52.1)]), [], "the root of 26.05 exceeds 5.1");
        assert_eq!(warnings_after(&[trained(0.2, 0.0, -20.0, 1.0)]), []);
        let without_return = EpisodeReport { discounted_return: None, ..trained(0.2, 0.0, 100.0, 1.0) };
        assert_eq!(warnings_after(&[without_return]), []);
    }

    #[test]
    fn no_progress_is_given_after_two_episodes_at_the_baseline() {
        let worse = trained(0.3, 0.0, 10.0, 1.0);
        let better = trained(0.29, 0.0, 10.0, 1.0);
        let warning = [TrainingWarning::NoProgress { distance: 0.3, baseline: 0.3 }];
        assert_eq!(warnings_after(&[untrained(), worse.clone(), worse.clone()]), warning);
        assert_eq!(warnings_after(&[untrained(), worse.clone()]), []);
        assert_eq!(warnings_after(&[untrained(), better.clone(), worse.clone()]), []);
        assert_eq!(warnings_after(&[untrained(), worse.clone(), better.clone()]), []);
        assert_eq!(
            warnings_after(&[worse.clone(), worse.clone(), worse.clone()]),
            warning,
            "the first is the baseline"
        );
        assert_eq!(warnings_after(&[worse.clone(), worse.clone()]), [], "one episode after the baseline");
        assert_eq!(warnings_after(&[worse.clone(), worse, better]), []);
        let arrived = trained(0.1, 0.0, 10.0, 1.0);
        assert_eq!(warnings_after(&[arrived.clone(), arrived.clone(), arrived]), []);
    }

    #[test]
    fn deserialization_reads_the_current_and_the_previous_format() {
        for warning in [
            TrainingWarning::Saturated { share: 0.25 },
            TrainingWarning::Overestimated { value: 2.0, discounted_return: 1.0 },
            TrainingWarning::NoProgress { distance: 0.5, baseline: 0.25 },
            TrainingWarning::NothingLearned,
        ] {
            let text = serde_json::to_string(&warning).unwrap();
            assert_eq!(serde_json::from_str::<TrainingWarning>(&text).unwrap(), warning, "{text}");
        }
        let saturated = TrainingWarning::Saturated { share: 0.25 };
        assert_eq!(serde_json::to_string(&saturated).unwrap(), r#"{"warning":"saturated","share":0.25}"#);
        for (text, warning) in [
            (r#"{"concern":"saturated","share":0.25}"#, saturated),
            (
                r#"{"concern":"overestimated","value":2.0,"realised":1.0}"#,
                TrainingWarning::Overestimated { value: 2.0, discounted_return: 1.0 },
            ),
            (
                r#"{"concern":"no_nearer","distance":0.5,"yardstick":0.25}"#,
                TrainingWarning::NoProgress { distance: 0.5, baseline: 0.25 },
            ),
            (r#"{"concern":"nothing_learned"}"#, TrainingWarning::NothingLearned),
        ] {
            assert_eq!(serde_json::from_str::<TrainingWarning>(text).unwrap(), warning, "{text}");
        }
        let incomplete = serde_json::from_str::<TrainingWarning>(r#"{"warning":"saturated"}"#);
        assert_eq!(incomplete.unwrap_err().to_string(), "`share` is missing");
    }
}
