//! The users' side on the CPU.

use std::ops::Range;

use nalgebra::{Const, Dim, Dyn, VectorView, VectorViewMut};
use rayon::prelude::*;
use recsim_core::backend::Simulate;
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::Key;
use recsim_core::model::slate::fill_from_pretrained;
use recsim_core::model::user::step;
use recsim_core::td3::explore::{ItemExploration, action_toward, explored_item};
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{World as HostWorld, WorldShape, row};

use crate::replay::TransitionSlot;
use crate::scratch::RoundScratch;
use crate::search::TILE;
use crate::{Batch, Cpu, CpuError, Replay, World};

impl Simulate for Cpu {
    fn load_world(&mut self, world: &HostWorld<'_>, environment: &EnvironmentSpec) -> Result<World, CpuError> {
        Ok(World::new(world, environment, self.instruction_set))
    }

    fn create_batch(&mut self, world: &World, users: Range<usize>) -> Result<Batch, CpuError> {
        self.batch_count += 1;
        Batch::new(world, users, self.batch_count)
    }

    fn reset(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        batch.belief.copy_from_slice(world.initial_beliefs(&batch.users));
        Ok(())
    }

    fn observe(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        let (clusters, dimensions, width) = (world.shape.clusters, world.shape.dimensions, world.shape.state_dim());
        let scratch = self.scratch.acquire_for_new_round(batch)?;
        let embeddings = world.embeddings(&batch.users).par_chunks_exact(dimensions);
        let rows = batch.belief.par_chunks_exact(clusters).zip(embeddings).with_min_len(TILE);
        self.pool.install(|| {
            scratch.state.par_chunks_exact_mut(width).zip(rows).for_each(|(state, (belief, embedding))| {
                let scaled = belief.iter().zip(&world.belief_scale);
                state.iter_mut().zip(scaled).for_each(|(feature, (belief, scale))| *feature = belief * scale);
                state[clusters..].copy_from_slice(embedding);
            });
        });
        Ok(())
    }

    fn explore(&mut self, world: &World, batch: &mut Batch, exploration: &ItemExploration) -> Result<(), CpuError> {
        let (dimensions, items, first) = (world.shape.dimensions, world.item.len() as u64, batch.users.start);
        let actions = self.scratch.acquire(batch)?.action.par_chunks_exact_mut(dimensions);
        self.pool.install(|| {
            actions.enumerate().with_min_len(TILE).for_each_init(
                || vec![0.0; dimensions],
                |row, (n, action)| {
                    if let Some(item) =
                        explored_item(exploration.key.fold_in((first + n) as u64), exploration.probability, items)
                    {
                        world.search_index.row(item as usize, row);
                        action_toward(row, exploration.max_action, action);
                    }
                },
            );
        });
        Ok(())
    }

    fn recommend(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        let (dimensions, list_len) = (world.shape.dimensions, world.shape.pretrained_len);
        let EnvironmentSpec { rl_slots, slate_len, .. } = world.environment;
        let RoundScratch { action, slate, .. } = self.scratch.acquire(batch)?;
        batch.check_finite(action)?;
        let slates = slate.par_chunks_mut(TILE * slate_len).zip(action.par_chunks(TILE * dimensions));
        let lists = world.pretrained_lists(&batch.users).par_chunks(TILE * list_len);
        self.pool.install(|| {
            slates.zip(lists).for_each(|((slates, actions), lists)| {
                world.search_index.top_k(actions, slates, slate_len, rl_slots);
                for (slate, list) in slates.chunks_exact_mut(slate_len).zip(lists.chunks_exact(list_len)) {
                    fill_from_pretrained(slate, rl_slots, list);
                }
            });
        });
        Ok(())
    }

    fn show(&mut self, world: &World, batch: &mut Batch, items: &[u32]) -> Result<(), CpuError> {
        let (list_len, slate_len) = (world.shape.pretrained_len, world.environment.slate_len);
        let width = items.len() / batch.users.len();
        let slates = self.scratch.acquire(batch)?.slate.par_chunks_exact_mut(slate_len);
        let slates = slates.zip(world.pretrained_lists(&batch.users).par_chunks_exact(list_len));
        self.pool.install(|| {
            slates.enumerate().with_min_len(TILE).for_each(|(n, (slate, list))| {
                slate[..width].copy_from_slice(&items[row(n, width)]);
                fill_from_pretrained(slate, width, list);
            });
        });
        Ok(())
    }

    fn respond(
        &mut self,
        world: &World,
        batch: &mut Batch,
        round: Key,
        replay: Option<&mut Replay>,
    ) -> Result<(), CpuError> {
        let scratch = self.scratch.acquire(batch)?;
        match replay {
            Some(replay) => {
                let slots = replay.insert(batch.users.len());
                self.pool.install(|| respond(world, batch, scratch, round, slots));
            }
            None => {
                let no_slots = (0..batch.users.len()).into_par_iter().map(|_| None);
                self.pool.install(|| respond(world, batch, scratch, round, no_slots));
            }
        }
        scratch.is_free = true;
        Ok(())
    }

    fn create_replay(
        &mut self,
        world: &World,
        capacity: usize,
        transitions: &Transitions,
    ) -> Result<Replay, CpuError> {
        Replay::new(world, capacity, transitions)
    }
}

/// Lets every user respond, and writes the transitions of those that have a slot.
fn respond<'a>(
    world: &World,
    batch: &mut Batch,
    scratch: &mut RoundScratch,
    round: Key,
    slots: impl IndexedParallelIterator<Item = Option<TransitionSlot<'a>>>,
) {
    let WorldShape { clusters, dimensions, .. } = world.shape;
    let slate_len = world.environment.slate_len;
    let first = batch.users.start;
    let slates = scratch.slate.par_chunks_exact(slate_len).zip(scratch.accepted.par_chunks_exact_mut(slate_len));
    let beliefs =
        scratch.belief_before.par_chunks_exact_mut(clusters).zip(batch.belief.par_chunks_exact_mut(clusters));
    let outcomes =
        scratch.action.par_chunks_exact(dimensions).zip(&mut batch.reward).zip(&mut batch.accepted_counts);
    slates.zip(beliefs).zip(outcomes).zip(slots).enumerate().with_min_len(TILE).for_each_init(
        || vec![0.0; clusters],
        |counts,
         (n, ((((slate, accepted), (belief_before, belief)), ((action, reward), accepted_count)), slot))| {
            let user = first + n;
            *reward =
                respond_user(world, slate, round.fold_in(user as u64), belief, belief_before, counts, accepted);
            *accepted_count = count_accepted(accepted);
            if let Some(slot) = slot {
                slot.write(user, belief_before, belief, action, *reward);
            }
        },
    );
}

/// The number of accepted items.
pub(crate) fn count_accepted(accepted: &[bool]) -> u32 {
    accepted.iter().map(|&accepted| u32::from(accepted)).sum()
}

/// One user's [`step`]. Up to 8 clusters, their number is a compile-time constant.
fn respond_user(
    world: &World,
    slate: &[u32],
    key: Key,
    belief: &mut [f32],
    belief_before: &mut [f32],
    counts: &mut [f32],
    accepted: &mut [bool],
) -> f32 {
    macro_rules! dispatch {
        ($($count:literal)*) => {
            match world.shape.clusters {
                $($count => {
                    step_with_clusters(Const::<$count>, world, slate, key, belief, belief_before, counts, accepted)
                })*
                other => step_with_clusters(Dyn(other), world, slate, key, belief, belief_before, counts, accepted),
            }
        };
    }
    dispatch!(1 2 3 4 5 6 7 8)
}

#[expect(clippy::too_many_arguments, reason = "a step's buffers, as slices")]
fn step_with_clusters<D: Dim>(
    clusters: D,
    world: &World,
    slate: &[u32],
    mut key: Key,
    belief: &mut [f32],
    belief_before: &mut [f32],
    counts: &mut [f32],
    accepted: &mut [bool],
) -> f32 {
    let item = |item: u32| {
        let (cluster, distance) = world.item[item as usize];
        (cluster as usize, distance)
    };
    let one = Const::<1>;
    step(
        &world.environment.user_model,
        &VectorView::from_slice_generic(&world.target, clusters, one),
        &item,
        slate,
        &mut key,
        &mut VectorViewMut::from_slice_generic(belief, clusters, one),
        &mut VectorViewMut::from_slice_generic(belief_before, clusters, one),
        &mut VectorViewMut::from_slice_generic(counts, clusters, one),
        accepted,
    )
}
