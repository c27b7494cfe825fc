//! Users, one after the other.

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

/// A world's arrays, copied.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) shape: WorldShape,
    pub(super) environment: EnvironmentSpec,
    /// `[I, D]`, normalised for `cosine`
    item_row: Vec<f32>,
    item_cluster: Vec<u32>,
    item_distance: Vec<f32>,
    pub(super) user_belief: Vec<f32>,
    pub(super) user_embedding: Vec<f32>,
    user_pretrained: Vec<u32>,
    pub(super) target: Vec<f32>,
    /// `[K]`
    belief_scale: Vec<f32>,
}

/// Some users and their last round.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) users: Range<usize>,
    /// `[users, K + D]`
    pub(super) state: Vec<f32>,
    /// `[users, D]`
    pub(super) action: Vec<f32>,
    /// `[users, shown]`
    pub(super) slate: Vec<u32>,
    /// `[users, shown]`
    pub(super) accepted: Vec<bool>,
    /// `[users, K]`
    pub(super) belief_before: Vec<f32>,
    /// `[users, K]`
    pub(super) belief: Vec<f32>,
    /// `[users]`
    pub(super) reward: Vec<f32>,
    pub(super) components: u64,
    pub(super) saturated: u64,
}

impl<T: Real> Simulate for Reference<T> {
    fn load_world(
        &mut self,
        world: &world::World<'_>,
        environment: &EnvironmentSpec,
    ) -> Result<World, Self::Error> {
        let parts = world.arrays();
        let mut item_row = parts.item_embedding.to_vec();
        if environment.similarity == Similarity::Cosine {
            item_row.chunks_exact_mut(world.shape().dimensions).for_each(normalize);
        }
        Ok(World {
            shape: world.shape(),
            environment: *environment,
            item_row,
            item_cluster: parts.item_cluster.to_vec(),
            item_distance: parts.item_distance.to_vec(),
            user_belief: parts.user_belief.to_vec(),
            user_embedding: parts.user_embedding.to_vec(),
            user_pretrained: parts.user_pretrained.to_vec(),
            target: parts.target.to_vec(),
            belief_scale: environment.belief_scales(parts.target),
        })
    }

    fn create_batch(&mut self, world: &World, users: Range<usize>) -> Result<Batch, Self::Error> {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        let (count, shown) = (users.len(), world.environment.slate_len);
        let belief = initial(world, &users).to_vec();
        Ok(Batch {
            users,
            state: vec![0.0; count * (clusters + dimensions)],
            action: vec![0.0; count * dimensions],
            slate: vec![0; count * shown],
            accepted: vec![false; count * shown],
            belief_before: belief.clone(),
            belief,
            reward: vec![0.0; count],
            components: 0,
            saturated: 0,
        })
    }

    fn reset(&mut self, world: &World, batch: &mut Batch) -> Result<(), Self::Error> {
        batch.belief.copy_from_slice(initial(world, &batch.users));
        Ok(())
    }

    fn observe(&mut self, world: &World, batch: &mut Batch) -> Result<(), Self::Error> {
        let WorldShape { clusters, dimensions, .. } = world.shape;
        for (n, user) in batch.users.clone().enumerate() {
            let (beliefs, embedding) = batch.state[row(n, clusters + dimensions)].split_at_mut(clusters);
            beliefs.copy_from_slice(&world.seen(&batch.belief[row(n, clusters)]));
            embedding.copy_from_slice(&world.user_embedding[row(user, dimensions)]);
        }
        Ok(())
    }

    fn explore(&mut self, world: &World, batch: &mut Batch, trial: &ItemExploration) -> Result<(), Self::Error> {
        let WorldShape { items, dimensions, .. } = world.shape;
        for (n, user) in batch.users.clone().enumerate() {
            if let Some(item) = explored_item(trial.key.fold_in(user as u64), trial.probability, items as u64) {
                action_toward(world.item_row(item as u32), trial.max_action, &mut batch.action[row(n, dimensions)]);
            }
        }
        Ok(())
    }

    fn recommend(&mut self, world: &World, batch: &mut Batch) -> Result<(), Self::Error> {
        let WorldShape { dimensions, pretrained_len: list, .. } = world.shape;
        let EnvironmentSpec { rl_slots: chosen, slate_len: shown, .. } = world.environment;
        for (n, user) in batch.users.clone().enumerate() {
            let slate = &mut batch.slate[row(n, shown)];
            slate[..chosen].copy_from_slice(&world.best(&batch.action[row(n, dimensions)], chosen));
            fill_from_pretrained(slate, chosen, &world.user_pretrained[row(user, list)]);
        }
        Ok(())
    }

    fn show(&mut self, world: &World, batch: &mut Batch, items: &[u32]) -> Result<(), Self::Error> {
        let (list, shown) = (world.shape.pretrained_len, world.environment.slate_len);
        let width = items.len() / batch.users.len();
        for (n, user) in batch.users.clone().enumerate() {
            let slate = &mut batch.slate[row(n, shown)];
            slate[..width].copy_from_slice(&items[row(n, width)]);
            fill_from_pretrained(slate, width, &world.user_pretrained[row(user, list)]);
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
        let EnvironmentSpec { slate_len: shown, user_model: rules, .. } = world.environment;
        let target = DVectorView::from_slice(&world.target, clusters);
        let items = |item: u32| (world.item_cluster[item as usize] as usize, world.item_distance[item as usize]);
        let mut counts = vec![0.0; clusters];
        for (n, user) in batch.users.clone().enumerate() {
            batch.reward[n] = step(
                &rules,
                &target,
                &items,
                &batch.slate[row(n, shown)],
                &mut round.fold_in(user as u64),
                &mut DVectorViewMut::from_slice(&mut batch.belief[row(n, clusters)], clusters),
                &mut DVectorViewMut::from_slice(&mut batch.belief_before[row(n, clusters)], clusters),
                &mut DVectorViewMut::from_slice(&mut counts, clusters),
                &mut batch.accepted[row(n, shown)],
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
        let mut replay = Replay::before(capacity, transitions);
        let Transitions { user, belief_before, belief, action, reward, .. } = transitions;
        replay.push(&world.shape, user, [belief_before, belief, action, reward]);
        Ok(replay)
    }
}

/// Transitions, oldest overwritten first.
#[derive(Clone, Debug)]
pub struct Replay {
    pub(super) ring: ReplayIndex,
    /// `[held]`
    pub(super) user: Vec<u32>,
    /// `[held, K]`
    pub(super) belief_before: Vec<f32>,
    /// `[held, K]`
    pub(super) belief: Vec<f32>,
    /// `[held, D]`
    pub(super) action: Vec<f32>,
    /// `[held]`
    pub(super) reward: Vec<f32>,
}

impl Replay {
    /// An empty ring, or the one before `transitions` were brought to it.
    fn before(capacity: usize, transitions: &Transitions) -> Self {
        let ring = ReplayIndex::before_inserting(capacity, transitions);
        Self { ring, user: vec![], belief_before: vec![], belief: vec![], action: vec![], reward: vec![] }
    }

    /// Appends transitions: their users, beliefs before and after, actions and rewards.
    fn push(&mut self, shape: &WorldShape, users: &[u32], [belief_before, belief, action, reward]: [&[f32]; 4]) {
        let span = self.ring.insert(users.len());
        let held = self.ring.len();
        self.user.resize(held, 0);
        span.write(users, &mut self.user, 1);
        for (column, rows, width) in [
            (&mut self.belief_before, belief_before, shape.clusters),
            (&mut self.belief, belief, shape.clusters),
            (&mut self.action, action, shape.dimensions),
            (&mut self.reward, reward, 1),
        ] {
            column.resize(held * width, 0.0);
            span.write(rows, column, width);
        }
    }
}

impl World {
    /// The items with the best scores for an action, best first.
    pub(super) fn best(&self, action: &[f32], count: usize) -> Vec<u32> {
        let (mut items, mut scores) = (vec![0; count], vec![0.0; count]);
        if count > 0 {
            let mut best = TopK::new(&mut items, &mut scores);
            for (item, row) in self.item_row.chunks_exact(self.shape.dimensions).enumerate() {
                best.push(item as u32, score(action, row));
            }
        }
        items
    }

    /// An item as it is scored.
    pub(super) fn item_row(&self, item: u32) -> &[f32] {
        &self.item_row[row(item as usize, self.shape.dimensions)]
    }

    /// Beliefs as networks see them.
    pub(super) fn seen(&self, beliefs: &[f32]) -> Vec<f32> {
        beliefs.iter().zip(&self.belief_scale).map(|(belief, scale)| belief * scale).collect()
    }
}

fn initial<'a>(world: &'a World, users: &Range<usize>) -> &'a [f32] {
    let clusters = world.shape.clusters;
    &world.user_belief[users.start * clusters..users.end * clusters]
}
