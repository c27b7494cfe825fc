//! `greedy` and `anti`: who knows the rules, and looks one round ahead.

mod order;
mod plain;
mod prospect;
mod search;

use alloc::vec::Vec;

use nalgebra::{Const, Dyn};

use super::{Choose, User};
use crate::model::Environment;
use crate::model::accept::Acceptance;
use crate::world::World;
use order::Order;
use prospect::Prospect;

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
/// [`Greedy::by_brute_force`] is this definition. [`Choose::choose`] finds the same items: within a cluster the objective
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
    aim: Aim,
    order: Order,
}

/// Where the expected beliefs are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// As near to the target as can be: `greedy`.
    Near,
    /// As far from it as can be: `anti`.
    Far,
}

impl<'a> Greedy<'a> {
    /// Chooses `width` items of slates of `environment.shown`.
    ///
    /// # Panics
    /// If `width` is more than are shown.
    pub fn new(world: &World<'a>, environment: &Environment, width: usize, aim: Aim) -> Self {
        assert!(width <= environment.shown, "a slate has room for what is chosen");
        let parts = world.parts();
        Self {
            world: *world,
            acceptance: environment.rules.acceptance,
            increment: f64::from(environment.rules.belief_increment),
            target: parts.target.iter().copied().map(f64::from).collect(),
            width,
            listed: environment.shown - width,
            aim,
            order: Order::new(parts.item_cluster, parts.item_distance, parts.target.len()),
        }
    }

    /// The definition, word by word: slow, and what [`Choose::choose`] is held to.
    pub fn by_brute_force(&self, user: &User<'_>) -> Vec<u32> {
        plain::choose(self, Prospect::new(Dyn(self.target.len()), self, user))
    }
}

impl Choose for Greedy<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn choose(&self, user: &User<'_>, items: &mut [u32]) {
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

impl Aim {
    /// Whether an objective is strictly better than another.
    fn prefers(self, value: f64, other: f64) -> bool {
        match self {
            Self::Near => value < other,
            Self::Far => value > other,
        }
    }

    /// What every objective is better than.
    fn worst(self) -> f64 {
        match self {
            Self::Near => f64::INFINITY,
            Self::Far => f64::NEG_INFINITY,
        }
    }
}
