//! `greedy` and `anti`: who knows the rules, and looks one round ahead.

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
use expectation::Prospect;
use order::ClusterOrder;

/// The yardstick (`spec` section 8), or its opposite: item after item, the one that brings the expected beliefs nearest to
/// the target, or leaves them farthest from it.
///
/// Let `e` be the expected acceptances per cluster of the list items on the slate: the list's first
/// `shown - width`, with the probability of [`Acceptance`] at the beliefs `b`. Then, `width` times, the item not yet chosen is added that
/// minimises (or maximises)
///
/// `sum_i |target_i - update(b, e')_i|`, where `e'` is `e` with the item's probability added to its cluster's
///
/// and `update` is [`belief::update`](crate::model::belief::update); ties go to the lower index. Probabilities are those that
/// decide, in `f32`; all else is computed in `f64`. It is myopic, and mistakes the mean for what happens: strong, not a
/// bound. An item of the list may be chosen, as the definition has it; the list then fills the slate with its next one.
///
/// [`Greedy::select_by_brute_force`] is this definition. [`ItemSelector::select`] finds the same items: within a cluster the objective
/// depends on an item through its probability alone, falls with it until the cluster's target is reached, stays as it is,
/// and rises where the beliefs' sum exceeds 1. So only the ends of that valley are looked at.
#[derive(Clone, Debug)]
pub struct Greedy<'a> {
    world: World<'a>,
    acceptance: Acceptance<f32>,
    increment: f64,
    target: Vec<f64>,
    width: usize,
    /// Items of the list that are counted on.
    listed: usize,
    objective: Objective,
    order: ClusterOrder,
}

/// Where the expected beliefs are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// As near to the target as can be: `greedy`.
    Nearest,
    /// As far from it as can be: `anti`.
    Farthest,
}

impl<'a> Greedy<'a> {
    /// Chooses `width` items of slates of `environment.shown`.
    ///
    /// # Panics
    /// If `width` is more than are shown.
    pub fn new(world: &World<'a>, environment: &EnvironmentSpec, width: usize, aim: Objective) -> Self {
        assert!(width <= environment.slate_len, "a slate has room for what is chosen");
        let parts = world.arrays();
        Self {
            world: *world,
            acceptance: environment.user_model.acceptance,
            increment: f64::from(environment.user_model.belief_increment),
            target: parts.target.iter().copied().map(f64::from).collect(),
            width,
            listed: environment.slate_len - width,
            objective: aim,
            order: ClusterOrder::new(parts.item_cluster, parts.item_distance, parts.target.len()),
        }
    }

    /// The definition, word by word: slow, and what [`ItemSelector::select`] is held to.
    pub fn select_by_brute_force(&self, user: &UserView<'_>) -> Vec<u32> {
        brute_force::choose(self, Prospect::new(Dyn(self.target.len()), self, user))
    }
}

impl ItemSelector for Greedy<'_> {
    fn items_per_user(&self) -> usize {
        self.width
    }

    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        // Few clusters are a number that the compiler knows.
        macro_rules! of_these {
            ($($few:literal)*) => {
                match self.target.len() {
                    $($few => search::choose(self, Prospect::new(Const::<$few>, self, user), items),)*
                    many => search::choose(self, Prospect::new(Dyn(many), self, user), items),
                }
            };
        }
        of_these!(1 2 3 4 5 6 7 8);
    }
}

impl Objective {
    /// Whether an objective is strictly better than another.
    fn prefers(self, value: f64, other: f64) -> bool {
        match self {
            Self::Nearest => value < other,
            Self::Farthest => value > other,
        }
    }

    /// What every objective is better than.
    fn worst(self) -> f64 {
        match self {
            Self::Nearest => f64::INFINITY,
            Self::Farthest => f64::NEG_INFINITY,
        }
    }
}
