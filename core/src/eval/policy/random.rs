//! The `random` policy: 0 on the scale of the normalized area.

use super::{ItemSelector, UserView};
use crate::model::rng::index;

/// Distinct items, drawn uniformly without replacement.
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
    /// Items in the world.
    pub num_items: usize,
    /// Items to select for each user; at most `num_items`.
    pub items_per_user: usize,
}

impl ItemSelector for Random {
    fn items_per_user(&self) -> usize {
        self.items_per_user
    }

    /// Floyd's algorithm (Bentley and Floyd, 1987, "A sample of brilliance"). For i from 0, with `I = num_items` and `M
    /// = items_per_user`, item i of the result is `index(user.key.fold_in(i), I - M + i + 1)`, or item `I - M + i` if
    /// that was selected before. It needs M draws.
    fn select(&self, user: &UserView<'_>, items: &mut [u32]) {
        for (i, last) in (self.num_items - self.items_per_user..self.num_items).enumerate() {
            let drawn = index(user.key.fold_in(i as u64), last as u64 + 1) as u32;
            items[i] = if items[..i].contains(&drawn) { last as u32 } else { drawn };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::{Key, Purpose};

    #[test]
    fn random_selects_every_item_equally_often() {
        let (random, mut counts, mut items) = (Random { num_items: 7, items_per_user: 3 }, [0_u32; 7], [0; 3]);
        let users = 70_000;
        for n in 0..users {
            let key = Key::new(1, Purpose::EvaluationPolicy).fold_in(n);
            random.select(&UserView { index: 0, beliefs: &[], key }, &mut items);
            assert!(items[0] != items[1] && items[1] != items[2] && items[0] != items[2]);
            items.iter().for_each(|&item| counts[item as usize] += 1);
        }
        // Each item is selected with probability 3/7: 30,000 times on average, with a standard deviation of 131.
        assert!(counts.iter().all(|&count| count.abs_diff(30_000) < 600), "{counts:?}");
    }
}
