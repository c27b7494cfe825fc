//! The `popular` policy: the same items for every user.

use alloc::vec;
use alloc::vec::Vec;

use super::{ItemSelector, UserView};
use crate::world::World;

/// The items that most users' pre-trained lists hold; of equally popular items the lower index comes first.
///
/// A world has no log of interactions, so the pre-trained lists stand for the users' tastes.
///
/// ```
/// # use recsim_core::eval::policy::Popular;
/// # use recsim_core::world::{WorldArrays, WorldShape, World};
/// # let shape = WorldShape { users: 2, items: 4, clusters: 1, dimensions: 1, pretrained_len: 2 };
/// let user_pretrained = &[3, 1, 2, 3];
/// # let arrays = WorldArrays {
/// #     item_embedding: &[1.0; 4], item_cluster: &[0; 4], item_distance: &[0.5; 4],
/// #     user_belief: &[0.0; 2], user_embedding: &[1.0; 2], user_pretrained, target: &[1.0],
/// # };
/// # let world = World::new(shape, arrays)?;
/// assert_eq!(Popular::new(&world, 2).items(), [3, 1]);
/// # Ok::<(), recsim_core::world::WorldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Popular(Vec<u32>);

impl Popular {
    /// The `items_per_user` most popular items of a world, or all items if it has fewer.
    pub fn new(world: &World<'_>, items_per_user: usize) -> Self {
        let num_items = world.shape().items;
        let mut list_counts = vec![0_u32; num_items];
        world.arrays().user_pretrained.iter().for_each(|&item| list_counts[item as usize] += 1);
        let mut order: Vec<u32> = (0..num_items as u32).collect();
        // The sort is stable: of equal counts the lower index stays first.
        order.sort_by_key(|&item| core::cmp::Reverse(list_counts[item as usize]));
        order.truncate(items_per_user);
        Self(order)
    }

    /// The selected items, the most popular first.
    pub fn items(&self) -> &[u32] {
        &self.0
    }
}

impl ItemSelector for Popular {
    fn items_per_user(&self) -> usize {
        self.0.len()
    }

    fn select(&self, _: &UserView<'_>, items: &mut [u32]) {
        items.copy_from_slice(&self.0);
    }
}
