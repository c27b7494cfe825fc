//! The users' side, one user after the other.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use nalgebra::{DVectorView, DVectorViewMut};

use super::Reference;
use crate::backend::Simulate;
use crate::model::EnvironmentSpec;
use crate::model::math::Real;
use crate::model::rng::Key;
use crate::model::slate::{Similarity, TopK, fill_from_pretrained, normalize, score};
use crate::model::user::step;
use crate::td3::explore::{ItemExploration, action_toward, explored_item};
use crate::td3::replay::{ReplayIndex, Transitions};
use crate::world::{self, WorldShape, row};

/// A copy of a world's arrays, with the environment's settings.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) shape: WorldShape,
    pub(super) environment: EnvironmentSpec,
    /// The items' rows as they are scored: `[I, D]`, normalized for `cosine`.
    item_row: Vec<f32>,
    item_cluster: Vec<u32>,
    item_distance: Vec<f32>,
    pub(super) user_belief: Vec<f32>,
    pub(super) user_embedding: Vec<f32>,
    user_pretrained: Vec<u32>,
    pub(super) target: Vec<f32>,
    /// The factors on beliefs in a state: `[K]`.
    belief_scale: Vec<f32>,
}

/// A range of users, with their beliefs and their last round.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) users: Range<usize>,
    /// `[users, K + D]`
    pub(super) state: Vec<f32>,
    /// `[users, D]`
    pub(super) action: Vec<f32>,
    /// `[users, N]`
    pub(super) slate: Vec<u32>,
    /// `[users, N]`
    pub(super) accepted: Vec<bool>,
    /// `[users, K]`
    pub(super) belief_before: Vec<f32>,
    /// `[users, K]`
    pub(super) belief: Vec<f32>,
    /// `[users]`
    pub(super) reward: Vec<f32>,
    /// Components of the policy's actions, and those that are saturated.
    pub(super) components: u64,
    pub(super) saturated: u64,
}

impl<T: Real> Simulate for Reference<T> {
    fn load_world(
        &mut self,
        world: &world::World<'_>,
        environment: &EnvironmentSpec,
    ) -> Result<World, Self::Error> {
        let arrays = world.arrays();
        let mut item_row = arrays.item_embedding.to_vec();
        if environment.similarity == Similarity::Cosine {
            item_row.chunks_exact_mut(world.shape().dimensions).for_each(normalize);
        }
        Ok(World {
            shape: world.shape(),
            environment: *environment,
            item_row,
            item_cluster: arrays.item_cluster.to_vec(),
            item_distance: arrays.item_distance.to_vec(),
            user_belief: arrays.user_belief.to_vec(),
            user_embedding: arrays.user_embedding.to_vec(),
            user_pretrained: arrays.user_pretrained.to_vec(),
            target: arrays.target.to_vec(),
            belief_scale: environment.belief_scales(arrays.target),
        })
    }

    fn create_batch(&mut self, world: &World, users: Range<usize>) -> Result<Batch, Self::Error> {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        let (count, slate_len) = (users.len(), world.environment.slate_len);
        let belief = initial_beliefs(world, &users).to_vec();
        Ok(Batch {
            users,
            state: vec![0.0; count * (clusters + dimensions)],
            action: vec![0.0; count * dimensions],
            slate: vec![0; count * slate_len],
            accepted: vec![false; count * slate_len],
            belief_before: belief.clone(),
            belief,
            reward: vec![0.0; count],
            components: 0,
            saturated: 0,
        })
    }

    fn reset(&mut self, world: &World, batch: &mut Batch) -> Result<(), Self::Error> {
        batch.belief.copy_from_slice(initial_beliefs(world, &batch.users));
        Ok(())
    }

    fn observe(&mut self, world: &World, batch: &mut Batch) -> Result<(), Self::Error> {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        for (n, user) in batch.users.clone().enumerate() {
            let (beliefs, embedding) = batch.state[row(n, clusters + dimensions)].split_at_mut(clusters);
            beliefs.copy_from_slice(&world.scaled_beliefs(&batch.belief[row(n, clusters)]));
            embedding.copy_from_slice(&world.user_embedding[row(user, dimensions)]);
        }
        Ok(())
    }

    fn explore(
        &mut self,
        world: &World,
        batch: &mut Batch,
        exploration: &ItemExploration,
    ) -> Result<(), Self::Error> {
        let WorldShape { items, dimensions, .. } = world.shape;
        for (n, user) in batch.users.clone().enumerate() {
            let key = exploration.key.fold_in(user as u64);
            if let Some(item) = explored_item(key, exploration.probability, items as u64) {
                let action = &mut batch.action[row(n, dimensions)];
                action_toward(world.item_row(item as u32), exploration.max_action, action);
            }
        }
        Ok(())
    }

    fn recommend(&mut self, world: &World, batch: &mut Batch) -> Result<(), Self::Error> {
        let WorldShape { dimensions, pretrained_len, .. } = world.shape;
        let EnvironmentSpec { rl_slots, slate_len, .. } = world.environment;
        for (n, user) in batch.users.clone().enumerate() {
            let slate = &mut batch.slate[row(n, slate_len)];
            slate[..rl_slots].copy_from_slice(&world.best_items(&batch.action[row(n, dimensions)], rl_slots));
            fill_from_pretrained(slate, rl_slots, &world.user_pretrained[row(user, pretrained_len)]);
        }
        Ok(())
    }

    fn show(&mut self, world: &World, batch: &mut Batch, items: &[u32]) -> Result<(), Self::Error> {
        let (pretrained_len, slate_len) = (world.shape.pretrained_len, world.environment.slate_len);
        let width = items.len() / batch.users.len();
        for (n, user) in batch.users.clone().enumerate() {
            let slate = &mut batch.slate[row(n, slate_len)];
            slate[..width].copy_from_slice(&items[row(n, width)]);
            fill_from_pretrained(slate, width, &world.user_pretrained[row(user, pretrained_len)]);
        }
        Ok(())
    }

    fn respond(
        &mut self,
        world: &World,
        batch: &mut Batch,
        round: Key,
        replay: Option<&mut Replay>,
    ) -> Result<(), Self::Error> {
        let clusters = world.shape.clusters;
        let EnvironmentSpec { slate_len, user_model, .. } = world.environment;
        let target = DVectorView::from_slice(&world.target, clusters);
        let items = |item: u32| (world.item_cluster[item as usize] as usize, world.item_distance[item as usize]);
        let mut counts = vec![0.0; clusters];
        for (n, user) in batch.users.clone().enumerate() {
            batch.reward[n] = step(
                &user_model,
                &target,
                &items,
                &batch.slate[row(n, slate_len)],
                &mut round.fold_in(user as u64),
                &mut DVectorViewMut::from_slice(&mut batch.belief[row(n, clusters)], clusters),
                &mut DVectorViewMut::from_slice(&mut batch.belief_before[row(n, clusters)], clusters),
                &mut DVectorViewMut::from_slice(&mut counts, clusters),
                &mut batch.accepted[row(n, slate_len)],
            );
        }
        if let Some(replay) = replay {
            let users: Vec<u32> = batch.users.clone().map(|user| user as u32).collect();
            let Batch { belief_before, belief, action, reward, .. } = batch;
            replay.push(&world.shape, &users, [belief_before, belief, action, reward]);
        }
        Ok(())
    }

    fn create_replay(
        &mut self,
        world: &World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Replay, Self::Error> {
        let mut replay = Replay::before_inserting(capacity, transitions);
        let Transitions { user, belief_before, belief, action, reward, .. } = transitions;
        replay.push(&world.shape, user, [belief_before, belief, action, reward]);
        Ok(replay)
    }
}

/// A replay buffer. Its arrays grow until it is full.
#[derive(Clone, Debug)]
pub struct Replay {
    pub(super) index: ReplayIndex,
    /// `[len]`
    pub(super) user: Vec<u32>,
    /// `[len, K]`
    pub(super) belief_before: Vec<f32>,
    /// `[len, K]`
    pub(super) belief: Vec<f32>,
    /// `[len, D]`
    pub(super) action: Vec<f32>,
    /// `[len]`
    pub(super) reward: Vec<f32>,
}

impl Replay {
    /// An empty buffer in which the next insertion restores `transitions` to their old indices.
    fn before_inserting(capacity: usize, transitions: &Transitions) -> Self {
        let index = ReplayIndex::before_inserting(capacity, transitions);
        Self { index, user: vec![], belief_before: vec![], belief: vec![], action: vec![], reward: vec![] }
    }

    /// Inserts transitions: their users, beliefs before and after, actions and rewards.
    fn push(&mut self, shape: &WorldShape, users: &[u32], [belief_before, belief, action, reward]: [&[f32]; 4]) {
        let span = self.index.insert(users.len());
        let len = self.index.len();
        self.user.resize(len, 0);
        span.write(users, &mut self.user, 1);
        for (column, rows, width) in [
            (&mut self.belief_before, belief_before, shape.clusters),
            (&mut self.belief, belief, shape.clusters),
            (&mut self.action, action, shape.dimensions),
            (&mut self.reward, reward, 1),
        ] {
            column.resize(len * width, 0.0);
            span.write(rows, column, width);
        }
    }
}

impl World {
    /// The `count` items with the highest scores for an action, best first.
    pub(super) fn best_items(&self, action: &[f32], count: usize) -> Vec<u32> {
        let (mut items, mut scores) = (vec![0; count], vec![0.0; count]);
        if count > 0 {
            let mut best = TopK::new(&mut items, &mut scores);
            for (item, row) in self.item_row.chunks_exact(self.shape.dimensions).enumerate() {
                best.push(item as u32, score(action, row));
            }
        }
        items
    }

    /// An item's row as it is scored: `[D]`.
    pub(super) fn item_row(&self, item: u32) -> &[f32] {
        &self.item_row[row(item as usize, self.shape.dimensions)]
    }

    /// Beliefs as networks see them: `[K]`.
    pub(super) fn scaled_beliefs(&self, beliefs: &[f32]) -> Vec<f32> {
        beliefs.iter().zip(&self.belief_scale).map(|(belief, scale)| belief * scale).collect()
    }
}

/// The beliefs of `users` at the start of an episode: `[users, K]`.
fn initial_beliefs<'a>(world: &'a World, users: &Range<usize>) -> &'a [f32] {
    let clusters = world.shape.clusters;
    &world.user_belief[users.start * clusters..users.end * clusters]
}
