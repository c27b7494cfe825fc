//! `random`: the lower end of the scale.

use super::{ItemSelector, UserView};
use crate::model::rng::index;

/// Distinct items, every set of them equally likely.
///
/// ```
/// use recsim_core::eval::policy::{ItemSelector, Random, UserView};
/// use recsim_core::model::rng::{Key, Purpose};
/// let (random, mut items) = (Random { num_items: 5, items_per_user: 5 }, [0; 5]);
/// random.select(&UserView { index: 0, beliefs: &[], key: Key::new(0, Purpose::EvaluationPolicy) }, &mut items);
/// items.sort_unstable();
/// assert_eq!(items, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Random {
    /// Items that there are.
    pub num_items: usize,
    /// Items to choose, at most that many.
    pub items_per_user: usize,
}

impl ItemSelector for Random {
    fn items_per_user(&self) -> usize {
        self.items_per_user
    }

    /// By Floyd's algorithm (Bentley and Floyd, 1987): place `i` takes the draw `user.key.fold_in(i)` among the first
    /// `items - width + i + 1` items, or, if that is taken, the last of them. No draw is made in vain.
    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        for (place, last) in (self.num_items - self.items_per_user..self.num_items).enumerate() {
            let drawn = index(user.key.fold_in(place as u64), last as u64 + 1) as u32;
            items[place] = if items[..place].contains(&drawn) { last as u32 } else { drawn };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::{Key, Purpose};

    #[test]
    fn every_item_is_as_likely_as_any_other() {
        let (random, mut counts, mut items) = (Random { num_items: 7, items_per_user: 3 }, [0_u32; 7], [0; 3]);
        let users = 70_000;
        for n in 0..users {
            let key = Key::new(1, Purpose::EvaluationPolicy).fold_in(n);
            random.select(&UserView { index: 0, beliefs: &[], key }, &mut items);
            assert!(items[0] != items[1] && items[1] != items[2] && items[0] != items[2]);
            items.iter().for_each(|&item| counts[item as usize] += 1);
        }
        // Each is among the three with probability 3/7: a deviation of 131.
        assert!(counts.iter().all(|&count| count.abs_diff(30_000) < 600), "{counts:?}");
    }
}
