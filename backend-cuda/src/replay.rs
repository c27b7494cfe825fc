//! The ring of transitions on the device.

use recsim_core::replay::Ring;

use crate::ffi::Machine;
use crate::ffi::kernels::WORD;
use crate::{Batch, CudaError, World};

/// Transitions, oldest overwritten first. A user's embedding is not stored again: the world has it.
pub struct Replay<M: Machine> {
    ring: Ring,
    /// `[capacity]`
    pub(crate) user: M::Memory,
    /// `[capacity, K]`
    pub(crate) belief_before: M::Memory,
    /// `[capacity, K]`
    pub(crate) belief: M::Memory,
    /// `[capacity, D]`
    pub(crate) action: M::Memory,
    /// `[capacity]`
    pub(crate) reward: M::Memory,
}

impl<M: Machine> Replay<M> {
    /// An empty ring: room for all it can hold, as a device's memory is not taken bit by bit.
    pub(crate) fn new(machine: &M, world: &World<M>, capacity: usize) -> Result<Self, CudaError> {
        let column = |width: usize| machine.zeros("replay ring", capacity * width * WORD);
        let (clusters, dimensions) = (world.shape.clusters, world.shape.dimensions);
        Ok(Self {
            ring: Ring::new(capacity),
            user: column(1)?,
            belief_before: column(clusters)?,
            belief: column(clusters)?,
            action: column(dimensions)?,
            reward: column(1)?,
        })
    }

    /// Appends a batch's last round, in user order.
    pub(crate) fn push(&mut self, machine: &M, world: &World<M>, batch: &Batch<M>) -> Result<(), CudaError> {
        let start = self.ring.next_place();
        world.site(machine).remember(&world.remember, batch, self, (start, self.ring.capacity()))?;
        // Where they went is settled by the same numbers.
        drop(self.ring.push(batch.users.len()));
        Ok(())
    }

    /// Transitions it holds now.
    pub fn held(&self) -> usize {
        self.ring.held()
    }
}

#[cfg(all(test, feature = "host-run"))]
mod tests {
    use recsim_core::backend::{Inspect, Simulate};
    use recsim_core::config::Config;
    use recsim_core::rng::{Key, Purpose, normal_pair};
    use recsim_core::td3::perturb;
    use recsim_core::world::{GeneratedWorld, Recipe, generate, lists_by_brute_force};

    use super::*;
    use crate::table::numbers;
    use crate::{Cuda, Host};

    /// Batches of 7 and 4 users, for rings that they fill, overflow at a batch's end or in its midst, or are larger than.
    #[test]
    fn the_ring_holds_the_last_transitions_where_core_puts_them() {
        let Some((generated, mut cuda)) = beginning() else { return };
        let world = generated.view();
        let environment = Config::default().plan(&world).expect("the defaults suit").environment;
        let on_device = cuda.world(&world, &environment).expect("a world");
        for capacity in [3, 4, 7, 11, 13, 100] {
            let mut replay = cuda.replay(&on_device, capacity).expect("a ring");
            let (mut ring, mut due) = (Ring::new(capacity), vec![None; capacity]);
            let mut batches = [0..7, 7..11].map(|users| cuda.batch(&on_device, users).expect("a batch"));
            for round in 0..3 {
                for batch in &mut batches {
                    let exploration = Key::new(1, Purpose::Exploration).with(round);
                    cuda.explore(&on_device, batch, exploration, 0.5, 1.0).expect("noise");
                    cuda.recommend(&on_device, batch).expect("slates");
                    cuda.respond(&on_device, batch, Key::new(0, Purpose::Acceptance).with(round))
                        .expect("a response");
                    cuda.remember(&on_device, batch, &mut replay).expect("transitions");
                    let shown = cuda.snapshot(batch).expect("a snapshot");
                    for (n, place) in ring.push(batch.users.len()).enumerate() {
                        let cut = |table: &[f32]| {
                            let width = table.len() / shown.users.len();
                            table[n * width..][..width].to_vec()
                        };
                        let user = (shown.users.start + n) as u32;
                        let transition = (
                            user,
                            [&shown.belief_before, &shown.belief, &shown.action, &shown.reward]
                                .map(|table| cut(table)),
                        );
                        if let Some(place) = place {
                            due[place] = Some(transition);
                        }
                    }
                }
            }
            assert_eq!(replay.held(), ring.held());
            for (place, due) in due.into_iter().enumerate() {
                let Some((user, tables)) = due else { continue };
                let machine = &cuda.machine;
                assert_eq!(numbers::<_, u32>(machine, &replay.user, capacity).expect("users")[place], user);
                let columns = [&replay.belief_before, &replay.belief, &replay.action, &replay.reward];
                for (column, due) in columns.into_iter().zip(tables) {
                    let found = numbers::<_, f32>(machine, column, capacity * due.len()).expect("a column");
                    assert_eq!(found[place * due.len()..][..due.len()], due, "{place} of {capacity}");
                }
            }
        }
    }

    #[test]
    fn exploration_is_normal_noise_of_its_key() {
        let Some((generated, mut cuda)) = beginning() else { return };
        let world = generated.view();
        let environment = Config::default().plan(&world).expect("the defaults suit").environment;
        let on_device = cuda.world(&world, &environment).expect("a world");
        let mut batch = cuda.batch(&on_device, 2..9).expect("a batch");
        let mut snapshot = cuda.snapshot(&batch).expect("a snapshot");
        let width = world.shape().dimensions;
        for (place, action) in snapshot.action.iter_mut().enumerate() {
            *action = place as f32 / (7 * width) as f32 * 2.0 - 1.0;
        }
        cuda.restore(&mut batch, &snapshot).expect("it takes actions");
        let key = Key::new(2, Purpose::Exploration).with(1).with(1);
        cuda.explore(&on_device, &mut batch, key, 0.1, 1.0).expect("noise");
        let noisy = cuda.snapshot(&batch).expect("a snapshot").action;
        for (place, (&found, &plain)) in noisy.iter().zip(&snapshot.action).enumerate() {
            let (user, column) = (2 + place / width, place % width);
            let draw = normal_pair(key.with(user as u64).with((column / 2) as u64))[column % 2];
            let due = perturb(plain, 0.1 * draw, 1.0);
            assert!((found - due).abs() <= 1e-6, "{place}: {found} where {due} is due");
        }
    }

    /// A world of odd sizes, and the kernels on the host; none, said loudly, without a compiler.
    fn beginning() -> Option<(GeneratedWorld, Cuda<Host>)> {
        if !Host::is_available() {
            assert!(std::env::var_os("RECSIM_NEEDS_CXX").is_none(), "there is no C++ compiler");
            eprintln!("SKIPPED, not one kernel was run: there is no C++ compiler `c++`");
            return None;
        }
        let recipe = Recipe { users: 11, items: 61, clusters: 3, dimensions: 7, list: 40, seed: 0 };
        Some((generate(&recipe, lists_by_brute_force), Cuda::on(Host::default())))
    }
}
