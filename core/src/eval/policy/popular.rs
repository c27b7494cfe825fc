//! `popular`: the same items for everybody.

use alloc::vec;
use alloc::vec::Vec;

use super::{ItemSelector, UserView};
use crate::world::World;

/// The most popular items.
///
/// A world keeps no log of who took what. What it keeps of users' tastes are their pre-trained lists: an item is the more
/// popular the more users' lists hold it; ties go to the lower index.
///
/// ```
/// # use recsim_core::eval::policy::Popular;
/// # use recsim_core::world::{WorldArrays, WorldShape, World};
/// # let shape = WorldShape { users: 2, items: 4, clusters: 1, dimensions: 1, pretrained_len: 2 };
/// let user_pretrained = &[3, 1, 2, 3];
/// # let parts = WorldArrays {
/// #     item_embedding: &[1.0; 4], item_cluster: &[0; 4], item_distance: &[0.5; 4],
/// #     user_belief: &[0.0; 2], user_embedding: &[1.0; 2], user_pretrained, target: &[1.0],
/// # };
/// # let world = World::new(shape, parts)?;
/// assert_eq!(Popular::new(&world, 2).items(), [3, 1]);
/// # Ok::<(), recsim_core::world::WorldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Popular(Vec<u32>);

impl Popular {
    /// The `width` most popular items of a world, of which there are as many.
    pub fn new(world: &World<'_>, width: usize) -> Self {
        let items = world.shape().items;
        let mut lists = vec![0_u32; items];
        world.arrays().user_pretrained.iter().for_each(|&item| lists[item as usize] += 1);
        let mut order: Vec<u32> = (0..items as u32).collect();
        // A stable sort: of equal counts the lower index stays first.
        order.sort_by_key(|&item| core::cmp::Reverse(lists[item as usize]));
        order.truncate(width);
        Self(order)
    }

    /// The most popular first.
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
