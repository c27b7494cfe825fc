//! The world as the CPU keeps it.

use std::ops::Range;

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::slate::{Similarity, normalize};
use recsim_core::world::{World as HostWorld, WorldShape};

use crate::InstructionSet;
use crate::search::Catalogue;

/// Items laid out for the search, users' embeddings, lists and initial beliefs, and the rules they live by.
#[derive(Debug)]
pub struct World {
    pub(crate) shape: WorldShape,
    pub(crate) environment: EnvironmentSpec,
    /// `[U, D]`
    pub(crate) user_embedding: Vec<f32>,
    /// `[K]`
    pub(crate) target: Vec<f32>,
    /// `[K]`: what beliefs are multiplied by in states
    pub(crate) belief_scale: Vec<f32>,
    /// `[U, K]`
    initial_belief: Vec<f32>,
    /// `[U, L]`
    pretrained: Vec<u32>,
    /// `[I]`: cluster and distance to its centre
    pub(crate) item: Vec<(u32, f32)>,
    pub(crate) catalogue: Catalogue,
}

impl World {
    pub(crate) fn new(world: &HostWorld<'_>, environment: &EnvironmentSpec, isa: InstructionSet) -> Self {
        let (shape, parts) = (world.shape(), world.arrays());
        let cluster = |item: usize| parts.item_cluster[item];
        let catalogue = match environment.similarity {
            Similarity::Dot => Catalogue::new(isa, parts.item_embedding, shape.dimensions, cluster),
            Similarity::Cosine => {
                let mut rows = parts.item_embedding.to_vec();
                rows.chunks_exact_mut(shape.dimensions).for_each(normalize);
                Catalogue::new(isa, &rows, shape.dimensions, cluster)
            }
        };
        Self {
            shape,
            environment: *environment,
            user_embedding: parts.user_embedding.to_vec(),
            target: parts.target.to_vec(),
            belief_scale: environment.belief_scales(parts.target),
            initial_belief: parts.user_belief.to_vec(),
            pretrained: parts.user_pretrained.to_vec(),
            item: parts.item_cluster.iter().copied().zip(parts.item_distance.iter().copied()).collect(),
            catalogue,
        }
    }

    /// `[users, K]`
    pub(crate) fn initial_beliefs(&self, users: &Range<usize>) -> &[f32] {
        rows(&self.initial_belief, users, self.shape.clusters)
    }

    /// `[users, D]`
    pub(crate) fn embeddings(&self, users: &Range<usize>) -> &[f32] {
        rows(&self.user_embedding, users, self.shape.dimensions)
    }

    /// `[users, L]`
    pub(crate) fn lists(&self, users: &Range<usize>) -> &[u32] {
        rows(&self.pretrained, users, self.shape.pretrained_len)
    }
}

fn rows<'a, T>(table: &'a [T], rows: &Range<usize>, width: usize) -> &'a [T] {
    &table[rows.start * width..rows.end * width]
}
