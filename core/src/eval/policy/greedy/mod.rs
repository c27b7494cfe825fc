//! The `greedy` and `anti` policies: they know the simulator's formulas and look one round ahead.

mod brute_force;
mod expectation;
mod order;
mod search;

use alloc::vec::Vec;

use nalgebra::{Const, Dyn};

use super::{ItemSelector, UserView};
use crate::model::EnvironmentSpec;
use crate::model::accept::Acceptance;
use crate::world::World;
use expectation::ExpectedSlate;
use order::ClusterOrder;

/// The `greedy` policy, 1 on the scale of the normalized area, or its opposite, `anti` (`docs/spec.md`, section 8.1).
///
/// Let `e[c]` be the expected acceptances in cluster c of the first `slate_len - items_per_user` items of the user's
/// pre-trained list, with the probability of [`Acceptance`] at the beliefs `b`. Then, `items_per_user` times, it
/// selects the item not yet selected that minimizes (`greedy`) or maximizes (`anti`)
///
/// ```text
/// sum_c |target_c - update(b, e')_c|
/// ```
///
/// where `e'` is `e` plus the item's acceptance probability in its cluster, and sets `e` to `e'`.
/// [`update`](crate::model::belief::update) is the belief update, with `e'` as fractional counts. Ties go to the lower
/// index. Probabilities are computed in `f32`, everything else in `f64`.
///
/// The policy looks one round ahead and replaces outcomes by expectations, so it is a reference and not an upper bound.
/// It may select an item of the list; the list then fills the slot with its next item.
///
/// [`Greedy::select_by_brute_force`] is this definition. [`ItemSelector::select`] finds the same items with fewer
/// evaluations: within a cluster the objective depends on an item through its probability alone and is unimodal in it.
#[derive(Clone, Debug)]
pub struct Greedy<'a> {
    world: World<'a>,
    acceptance: Acceptance<f32>,
    increment: f64,
    target: Vec<f64>,
    items_per_user: usize,
    /// Items of the pre-trained list that the slate holds besides.
    num_list_items: usize,
    objective: Objective,
    order: ClusterOrder,
}

/// What the policy optimizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// The smallest expected distance to the target: `greedy`.
    Nearest,
    /// The largest expected distance to the target: `anti`.
    Farthest,
}

impl<'a> Greedy<'a> {
    /// A policy that selects `items_per_user` items of slates with `environment.slate_len` items.
    ///
    /// # Panics
    /// If `items_per_user` is greater than `environment.slate_len`.
    pub fn new(
        world: &World<'a>,
        environment: &EnvironmentSpec,
        items_per_user: usize,
        objective: Objective,
    ) -> Self {
        assert!(items_per_user <= environment.slate_len, "a policy selects at most the items of a slate");
        let arrays = world.arrays();
        Self {
            world: *world,
            acceptance: environment.user_model.acceptance,
            increment: f64::from(environment.user_model.belief_increment),
            target: arrays.target.iter().copied().map(f64::from).collect(),
            items_per_user,
            num_list_items: environment.slate_len - items_per_user,
            objective,
            order: ClusterOrder::new(arrays.item_cluster, arrays.item_distance, arrays.target.len()),
        }
    }

    /// The items by the definition: every item is tried for every slot. Slow; it is the reference for
    /// [`ItemSelector::select`].
    pub fn select_by_brute_force(&self, user: &UserView<'_>) -> Vec<u32> {
        brute_force::select(self, ExpectedSlate::new(Dyn(self.target.len()), self, user))
    }
}

impl ItemSelector for Greedy<'_> {
    fn items_per_user(&self) -> usize {
        self.items_per_user
    }

    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        // For up to 8 clusters the number is a constant, so that the compiler can unroll the loops over clusters.
        macro_rules! select_for {
            ($($k:literal)*) => {
                match self.target.len() {
                    $($k => search::select(self, ExpectedSlate::new(Const::<$k>, self, user), items),)*
                    k => search::select(self, ExpectedSlate::new(Dyn(k), self, user), items),
                }
            };
        }
        select_for!(1 2 3 4 5 6 7 8);
    }
}

impl Objective {
    /// Whether distance `value` is strictly better than `other`.
    fn prefers(self, value: f64, other: f64) -> bool {
        match self {
            Self::Nearest => value < other,
            Self::Farthest => value > other,
        }
    }

    /// A value that every distance is better than.
    fn worst(self) -> f64 {
        match self {
            Self::Nearest => f64::INFINITY,
            Self::Farthest => f64::NEG_INFINITY,
        }
    }
}
