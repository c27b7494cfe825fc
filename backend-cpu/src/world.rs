//! The world in the layout that the CPU backend uses.

use std::ops::Range;

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::slate::{Similarity, normalize};
use recsim_core::world::{World as HostWorld, WorldShape};

use crate::InstructionSet;
use crate::search::SearchIndex;

/// A world on the CPU: the items in a search index, the users' embeddings, pre-trained lists and initial beliefs, and
/// the environment's rules.
#[derive(Debug)]
pub struct World {
    pub(crate) shape: WorldShape,
    pub(crate) environment: EnvironmentSpec,
    /// `[U, D]`
    pub(crate) user_embedding: Vec<f32>,
    /// `[K]`
    pub(crate) target: Vec<f32>,
    /// `[K]`: scales that beliefs are multiplied by in states.
    pub(crate) belief_scale: Vec<f32>,
    /// `[U, K]`
    initial_belief: Vec<f32>,
    /// `[U, L]`
    pretrained: Vec<u32>,
    /// `[I]`: each item's cluster and distance to its center.
    pub(crate) item: Vec<(u32, f32)>,
    pub(crate) search_index: SearchIndex,
}

impl World {
    pub(crate) fn new(
        world: &HostWorld<'_>,
        environment: &EnvironmentSpec,
        instruction_set: InstructionSet,
    ) -> Self {
        let (shape, arrays) = (world.shape(), world.arrays());
        let cluster = |item: usize| arrays.item_cluster[item];
        let search_index = match environment.similarity {
            Similarity::Dot => SearchIndex::new(instruction_set, arrays.item_embedding, shape.dimensions, cluster),
            Similarity::Cosine => {
                let mut rows = arrays.item_embedding.to_vec();
                rows.chunks_exact_mut(shape.dimensions).for_each(normalize);
                SearchIndex::new(instruction_set, &rows, shape.dimensions, cluster)
            }
        };
        Self {
            shape,
            environment: *environment,
            user_embedding: arrays.user_embedding.to_vec(),
            target: arrays.target.to_vec(),
            belief_scale: environment.belief_scales(arrays.target),
            initial_belief: arrays.user_belief.to_vec(),
            pretrained: arrays.user_pretrained.to_vec(),
            item: arrays.item_cluster.iter().copied().zip(arrays.item_distance.iter().copied()).collect(),
            search_index,
        }
    }

    /// Initial beliefs of a range of users, `[users, K]`.
    pub(crate) fn initial_beliefs(&self, users: &Range<usize>) -> &[f32] {
        rows(&self.initial_belief, users, self.shape.clusters)
    }

    /// Embeddings of a range of users, `[users, D]`.
    pub(crate) fn embeddings(&self, users: &Range<usize>) -> &[f32] {
        rows(&self.user_embedding, users, self.shape.dimensions)
    }

    /// Pre-trained lists of a range of users, `[users, L]`.
    pub(crate) fn pretrained_lists(&self, users: &Range<usize>) -> &[u32] {
        rows(&self.pretrained, users, self.shape.pretrained_len)
    }
}

fn rows<'a, T>(array: &'a [T], rows: &Range<usize>, width: usize) -> &'a [T] {
    &array[rows.start * width..rows.end * width]
}
