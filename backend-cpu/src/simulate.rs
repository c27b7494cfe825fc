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

use crate::replay::Place;
use crate::room::Room;
use crate::search::TILE;
use crate::{Batch, Cpu, CpuError, Replay, World};

impl Simulate for Cpu {
    fn load_world(&mut self, world: &HostWorld<'_>, environment: &EnvironmentSpec) -> Result<World, CpuError> {
        Ok(World::new(world, environment, self.isa))
    }

    fn create_batch(&mut self, world: &World, users: Range<usize>) -> Result<Batch, CpuError> {
        self.batches += 1;
        Batch::new(world, users, self.batches)
    }

    fn reset(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        batch.belief.copy_from_slice(world.initial_beliefs(&batch.users));
        Ok(())
    }

    fn observe(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        let (clusters, dimensions, width) = (world.shape.clusters, world.shape.dimensions, world.shape.state_dim());
        let room = self.rooms.begin(batch)?;
        let embeddings = world.embeddings(&batch.users).par_chunks_exact(dimensions);
        let rows = batch.belief.par_chunks_exact(clusters).zip(embeddings).with_min_len(TILE);
        self.pool.install(|| {
            room.state.par_chunks_exact_mut(width).zip(rows).for_each(|(state, (belief, embedding))| {
                let seen = belief.iter().zip(&world.belief_scale);
                state.iter_mut().zip(seen).for_each(|(feature, (belief, scale))| *feature = belief * scale);
                state[clusters..].copy_from_slice(embedding);
            });
        });
        Ok(())
    }

    fn explore(&mut self, world: &World, batch: &mut Batch, trial: &ItemExploration) -> Result<(), CpuError> {
        let (dimensions, items, first) = (world.shape.dimensions, world.item.len() as u64, batch.users.start);
        let actions = self.rooms.enter(batch)?.action.par_chunks_exact_mut(dimensions);
        self.pool.install(|| {
            actions.enumerate().with_min_len(TILE).for_each_init(
                || vec![0.0; dimensions],
                |row, (n, action)| {
                    if let Some(item) =
                        explored_item(trial.key.fold_in((first + n) as u64), trial.probability, items)
                    {
                        world.catalogue.row(item as usize, row);
                        action_toward(row, trial.max_action, action);
                    }
                },
            );
        });
        Ok(())
    }

    fn recommend(&mut self, world: &World, batch: &mut Batch) -> Result<(), CpuError> {
        let (dimensions, list) = (world.shape.dimensions, world.shape.pretrained_len);
        let EnvironmentSpec { rl_slots: chosen, slate_len: shown, .. } = world.environment;
        let Room { action, slate, .. } = self.rooms.enter(batch)?;
        batch.finite(action)?;
        let slates = slate.par_chunks_mut(TILE * shown).zip(action.par_chunks(TILE * dimensions));
        let lists = world.lists(&batch.users).par_chunks(TILE * list);
        self.pool.install(|| {
            slates.zip(lists).for_each(|((slates, actions), lists)| {
                world.catalogue.best(actions, slates, shown, chosen);
                for (slate, list) in slates.chunks_exact_mut(shown).zip(lists.chunks_exact(list)) {
                    fill_from_pretrained(slate, chosen, list);
                }
            });
        });
        Ok(())
    }

    fn show(&mut self, world: &World, batch: &mut Batch, items: &[u32]) -> Result<(), CpuError> {
        let (list, shown) = (world.shape.pretrained_len, world.environment.slate_len);
        let width = items.len() / batch.users.len();
        let slates = self.rooms.enter(batch)?.slate.par_chunks_exact_mut(shown);
        let slates = slates.zip(world.lists(&batch.users).par_chunks_exact(list));
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
        let room = self.rooms.enter(batch)?;
        match replay {
            Some(replay) => {
                let places = replay.push(batch.users.len());
                self.pool.install(|| respond(world, batch, room, round, places));
            }
            None => {
                let nowhere = (0..batch.users.len()).into_par_iter().map(|_| None);
                self.pool.install(|| respond(world, batch, room, round, nowhere));
            }
        }
        room.over = true;
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

/// Lets every user respond, and writes the transitions where they have a place.
fn respond<'a>(
    world: &World,
    batch: &mut Batch,
    room: &mut Room,
    round: Key,
    places: impl IndexedParallelIterator<Item = Option<Place<'a>>>,
) {
    let WorldShape { clusters, dimensions, .. } = world.shape;
    let shown = world.environment.slate_len;
    let first = batch.users.start;
    let slates = room.slate.par_chunks_exact(shown).zip(room.accepted.par_chunks_exact_mut(shown));
    let moves = room.belief_before.par_chunks_exact_mut(clusters).zip(batch.belief.par_chunks_exact_mut(clusters));
    let worth = room.action.par_chunks_exact(dimensions).zip(&mut batch.reward).zip(&mut batch.taken);
    slates.zip(moves).zip(worth).zip(places).enumerate().with_min_len(TILE).for_each_init(
        || vec![0.0; clusters],
        |counts, (n, ((((slate, accepted), (before, belief)), ((action, reward), taken)), place))| {
            let user = first + n;
            *reward = move_user(world, slate, round.fold_in(user as u64), belief, before, counts, accepted);
            *taken = count(accepted);
            if let Some(place) = place {
                place.fill(user, before, belief, action, *reward);
            }
        },
    );
}

/// Items accepted.
pub(crate) fn count(accepted: &[bool]) -> u32 {
    accepted.iter().map(|&taken| u32::from(taken)).sum()
}

/// One user's [`step`]. Few clusters are a number that the compiler knows.
fn move_user(
    world: &World,
    slate: &[u32],
    luck: Key,
    belief: &mut [f32],
    before: &mut [f32],
    counts: &mut [f32],
    accepted: &mut [bool],
) -> f32 {
    macro_rules! of_these {
        ($($few:literal)*) => {
            match world.shape.clusters {
                $($few => stepped(Const::<$few>, world, slate, luck, belief, before, counts, accepted),)*
                many => stepped(Dyn(many), world, slate, luck, belief, before, counts, accepted),
            }
        };
    }
    of_these!(1 2 3 4 5 6 7 8)
}

#[expect(clippy::too_many_arguments, reason = "a step's buffers, as slices")]
fn stepped<D: Dim>(
    clusters: D,
    world: &World,
    slate: &[u32],
    mut luck: Key,
    belief: &mut [f32],
    before: &mut [f32],
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
        &mut luck,
        &mut VectorViewMut::from_slice_generic(belief, clusters, one),
        &mut VectorViewMut::from_slice_generic(before, clusters, one),
        &mut VectorViewMut::from_slice_generic(counts, clusters, one),
        accepted,
    )
}
