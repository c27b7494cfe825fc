//! One user's step: acceptances, belief update and reward (`docs/spec.md`, section 2.5, Order of a step).

use nalgebra::{Dim, Storage, StorageMut, Vector};

use crate::model::accept::Acceptance;
use crate::model::belief;
use crate::model::math::Real;
use crate::model::reward::Reward;
use crate::model::rng::UniformSource;

/// How a user responds to a slate. All users of an experiment share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserModel<T> {
    /// The probability of an acceptance.
    pub acceptance: Acceptance<T>,
    /// What one accepted item adds to the belief in its cluster, as a share of the catalogue; in `[0, 1]`, 0.01 by
    /// default.
    pub belief_increment: T,
    /// The reward of a step.
    pub reward: Reward<T>,
}

/// What a step needs to know about the items. Every `Fn(u32) -> (usize, T)` is a catalogue.
pub trait Catalogue<T> {
    /// The cluster of the item with index `item`, in `0..K`, and the item's distance from the cluster's centre, at
    /// least 0.
    ///
    /// # Panics
    /// May panic if there is no such item.
    fn cluster_and_distance(&self, item: u32) -> (usize, T);
}

impl<T: Copy, F: Fn(u32) -> (usize, T)> Catalogue<T> for F {
    #[inline]
    fn cluster_and_distance(&self, item: u32) -> (usize, T) {
        self(item)
    }
}

/// Shows one slate to one user: draws the acceptances, updates `beliefs` and returns the reward.
///
/// Item `slate[i]` is accepted if its draw from `draws` is below its [acceptance probability](Acceptance::probability)
/// with the beliefs before the slate. Draws are taken in slate order, one per item. Then the beliefs are
/// [updated](belief::update) once, and the reward of the change is [computed](Reward::of).
///
/// | argument | shape | on entry | on return |
/// |---|---|---|---|
/// | `target` | `[K]` | sums to at most 1 | |
/// | `beliefs` | `[K]` | in `[0, target]` | the beliefs after the step |
/// | `before` | `[K]` | any values | the beliefs before the step |
/// | `counts` | `[K]` | any values | the accepted items of each cluster |
/// | `accepted` | the slate's length | any values | whether each item was accepted |
///
/// The caller owns every array, so a step allocates nothing. No argument is checked.
///
/// # Panics
/// May panic if the shapes differ or an item's cluster is not in `0..K`.
///
/// ```
/// use nalgebra::SVector;
/// use recsim_core::model::accept::Acceptance;
/// use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
/// use recsim_core::model::rng::{Key, Purpose};
/// use recsim_core::model::user::{UserModel, step};
/// let reward = Reward {
///     kind: RewardForm::Potential, score: BeliefScore::Distance, scale: 100.0, max: 100.0, improvement_threshold: 0.0,
/// };
/// let user_model = UserModel { acceptance: Acceptance::Fixed(1.0), belief_increment: 0.01, reward };
/// let (target, items) = (SVector::from([0.5, 0.5_f64]), |item: u32| (item as usize % 2, 1.0));
/// let (mut beliefs, mut before, mut counts) = (SVector::zeros(), SVector::zeros(), SVector::zeros());
/// let mut accepted = [false; 3];
/// let mut draws = Key::new(0, Purpose::Acceptance);
/// let slate = [2, 4, 5];
/// let reward = step(
///     &user_model, &target, &items, &slate, &mut draws, &mut beliefs, &mut before, &mut counts, &mut accepted,
/// );
/// assert_eq!((beliefs, accepted), (SVector::from([0.02, 0.01]), [true; 3]));
/// assert!((reward - 3.0).abs() < 1e-9);
/// ```
#[expect(clippy::too_many_arguments, reason = "the caller owns every buffer, so that a step allocates nothing")]
#[inline]
pub fn step<T: Real, D: Dim>(
    user_model: &UserModel<T>,
    target: &Vector<T, D, impl Storage<T, D>>,
    items: &impl Catalogue<T>,
    slate: &[u32],
    draws: &mut impl UniformSource,
    beliefs: &mut Vector<T, D, impl StorageMut<T, D>>,
    before: &mut Vector<T, D, impl StorageMut<T, D>>,
    counts: &mut Vector<T, D, impl StorageMut<T, D>>,
    accepted: &mut [bool],
) -> T {
    before.copy_from(beliefs);
    counts.fill(T::ZERO);
    // Where there are at least as many items as clusters, each cluster's response is computed once. `beliefs` holds the
    // responses until the acceptances are drawn.
    let is_by_cluster = beliefs.len() <= slate.len();
    if is_by_cluster {
        beliefs.apply(|belief| *belief = user_model.acceptance.belief_response(*belief));
    }
    for (&item, is_accepted) in slate.iter().zip(accepted) {
        let (cluster, distance) = items.cluster_and_distance(item);
        let response =
            if is_by_cluster { beliefs[cluster] } else { user_model.acceptance.belief_response(before[cluster]) };
        let probability = user_model.acceptance.probability_given_response(response, distance);
        *is_accepted = T::from_f64(f64::from(draws.next_uniform(item))) < probability;
        if *is_accepted {
            counts[cluster] += T::ONE;
        }
    }
    if is_by_cluster {
        beliefs.copy_from(before);
    }
    belief::update(beliefs, counts, target, user_model.belief_increment);
    user_model.reward.of(before, beliefs, target)
}
