//! One user's step: what is shown, what is taken, what it changes, what it is worth (`spec` section 2).

use nalgebra::{Dim, Storage, StorageMut, Vector};

use crate::model::accept::Acceptance;
use crate::model::belief;
use crate::model::math::Real;
use crate::model::reward::Reward;
use crate::model::rng::UniformSource;

/// The rules every user lives by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserModel<T> {
    /// Whether an item is taken.
    pub acceptance: Acceptance<T>,
    /// What one accepted item adds to the belief in its cluster; 0.01 by default.
    pub belief_increment: T,
    /// What the move is worth.
    pub reward: Reward<T>,
}

/// What a user needs to know of an item: its cluster, in `0..K`, and its distance, at least 0, from the centre.
pub trait Catalogue<T> {
    /// The cluster and the distance of the item with index `item`.
    fn cluster_and_distance(&self, item: u32) -> (usize, T);
}

impl<T: Copy, F: Fn(u32) -> (usize, T)> Catalogue<T> for F {
    #[inline]
    fn cluster_and_distance(&self, item: u32) -> (usize, T) {
        self(item)
    }
}

/// Shows `slate` to a user, moves `beliefs` (`[K]`), and returns the reward.
///
/// Every acceptance on the slate uses the beliefs before it; the update comes at its end. `accepted[i]` becomes whether
/// `slate[i]` was taken: whether its draw is below its probability. `before` (`[K]`) receives the beliefs as they were,
/// `counts` (`[K]`) the acceptances per cluster.
///
/// ```
/// use nalgebra::SVector;
/// use recsim_core::model::accept::Acceptance;
/// use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
/// use recsim_core::model::rng::{Key, Purpose};
/// use recsim_core::model::user::{UserModel, step};
/// let reward =
///     Reward { kind: RewardForm::Potential, score: BeliefScore::Distance, scale: 100.0, max: 100.0, improvement_threshold: 0.0 };
/// let rules = UserModel { acceptance: Acceptance::Fixed(1.0), belief_increment: 0.01, reward };
/// let (target, items) = (SVector::from([0.5, 0.5_f64]), |item: u32| (item as usize % 2, 1.0));
/// let (mut beliefs, mut before, mut counts) = (SVector::zeros(), SVector::zeros(), SVector::zeros());
/// let mut accepted = [false; 3];
/// let mut luck = Key::new(0, Purpose::Acceptance);
/// let slate = [2, 4, 5];
/// let reward = step(
///     &rules, &target, &items, &slate, &mut luck, &mut beliefs, &mut before, &mut counts, &mut accepted,
/// );
/// assert_eq!((beliefs, accepted), (SVector::from([0.02, 0.01]), [true; 3]));
/// assert!((reward - 3.0).abs() < 1e-9);
/// ```
#[expect(clippy::too_many_arguments, reason = "the caller owns every buffer, so that a step allocates nothing")]
#[inline]
pub fn step<T: Real, D: Dim>(
    rules: &UserModel<T>,
    target: &Vector<T, D, impl Storage<T, D>>,
    items: &impl Catalogue<T>,
    slate: &[u32],
    luck: &mut impl UniformSource,
    beliefs: &mut Vector<T, D, impl StorageMut<T, D>>,
    before: &mut Vector<T, D, impl StorageMut<T, D>>,
    counts: &mut Vector<T, D, impl StorageMut<T, D>>,
    accepted: &mut [bool],
) -> T {
    before.copy_from(beliefs);
    counts.fill(T::ZERO);
    // Where there are more items than clusters, each cluster's appeal is worked out once, and lies in `beliefs` meanwhile.
    let few = beliefs.len() <= slate.len();
    if few {
        beliefs.apply(|belief| *belief = rules.acceptance.belief_response(*belief));
    }
    for (&item, taken) in slate.iter().zip(accepted) {
        let (cluster, distance) = items.cluster_and_distance(item);
        let appeal = if few { beliefs[cluster] } else { rules.acceptance.belief_response(before[cluster]) };
        let probability = rules.acceptance.probability_given_response(appeal, distance);
        *taken = T::from_f64(f64::from(luck.next_uniform(item))) < probability;
        if *taken {
            counts[cluster] += T::ONE;
        }
    }
    if few {
        beliefs.copy_from(before);
    }
    belief::update(beliefs, counts, target, rules.belief_increment);
    rules.reward.of(before, beliefs, target)
}
