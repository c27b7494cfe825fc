//! Proves that recsim-core needs no `std`, and without its feature `alloc` no allocator.
//!
//! A static library with its own `#[panic_handler]` does not build if a dependency links `std`, which has one too:
//! rustc reports E0152, "found duplicate lang item `panic_impl`". If a dependency links `alloc`, the library needs a
//! `#[global_allocator]`, which only the feature `alloc` defines here. Without it rustc reports "no global memory
//! allocator found".
//!
//! The library must build with and without `alloc`, on any host. `./run` builds both. It also checks that a build
//! with a dependency that links `std`, or `alloc` without an allocator, fails.
#![no_std]

use nalgebra::SVector;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::model::user::{UserModel, step};

/// One user's step. It is exported, so that its code is linked.
#[unsafe(no_mangle)]
pub extern "C" fn recsim_step(seed: u64, first_item: u32) -> f32 {
    let user_model = UserModel::<f32> {
        acceptance: Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 },
        belief_increment: 0.01,
        reward: Reward {
            kind: RewardForm::Hybrid { maintenance_factor: 0.7, exploration_bonus: 0.2 },
            score: BeliefScore::Combined,
            scale: 100.0,
            max: 100.0,
            improvement_threshold: 0.01,
        },
    };
    let target = SVector::from([0.5, 0.5]);
    let (mut beliefs, mut before, mut counts) = (SVector::zeros(), SVector::zeros(), SVector::zeros());
    let items = |item: u32| (item as usize % 2, 1.0);
    let mut draws = Key::new(seed, Purpose::Acceptance);
    let slate = [first_item, first_item.wrapping_add(1)];
    let mut accepted = [false; 2];
    step(&user_model, &target, &items, &slate, &mut draws, &mut beliefs, &mut before, &mut counts, &mut accepted)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(feature = "alloc")]
mod with_alloc {
    extern crate alloc;

    use core::alloc::{GlobalAlloc, Layout};
    use recsim_core::backend::reference::Reference;
    use recsim_core::session::Session;
    use recsim_core::session::config::Config;
    use recsim_core::world;

    /// A round of the training loop with the reference backend, which needs an allocator but no `std`.
    #[unsafe(no_mangle)]
    pub extern "C" fn recsim_round(seed: u64) -> bool {
        let config = world::SyntheticWorldConfig {
            users: 2,
            items: 40,
            clusters: 2,
            dimensions: 2,
            pretrained_len: 20,
            seed,
        };
        let owned_world = world::generate(&config, world::brute_force_lists);
        let Ok(world) = owned_world.view() else { return false };
        let Ok(plan) = Config::default().plan(&world) else { return false };
        let Ok(mut session) = Session::new(Reference::<f32>::default(), &world, plan) else { return false };
        session.round(&mut || 0.0).is_ok_and(|report| report.is_some())
    }

    /// An allocator without memory. It is enough to build the library, which is never run.
    struct EmptyAllocator;

    // SAFETY: `alloc` always returns null, which reports that there is no memory. No block exists that `dealloc`
    // could get.
    unsafe impl GlobalAlloc for EmptyAllocator {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    #[global_allocator]
    static ALLOCATOR: EmptyAllocator = EmptyAllocator;
}
