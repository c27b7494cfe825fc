//! Proves that recsim-core needs no `std`, and without its `alloc` feature no allocator.
//!
//! A static library that has its own `#[panic_handler]` cannot be built where anything in its graph brings `std`, which
//! has one too: rustc refuses with E0152, "found duplicate lang item `panic_impl`". And a graph that brings `alloc`
//! needs the `#[global_allocator]` that only the `alloc` feature defines here: without it rustc refuses with "no global
//! memory allocator found". It must build as it is and with `alloc`, on any host: `./run` builds both, and makes sure that
//! the two features that leak do not.
#![no_std]

use nalgebra::SVector;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{RewardForm, Reward, BeliefScore};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::model::user::{UserModel, step};

/// One user's step, so that the code is linked and not just named.
#[unsafe(no_mangle)]
pub extern "C" fn recsim_step(seed: u64, first_item: u32) -> f32 {
    let rules = UserModel::<f32> {
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
    let mut uniform_source = Key::new(seed, Purpose::Acceptance);
    let slate = [first_item, first_item.wrapping_add(1)];
    let mut accepted = [false; 2];
    step(&rules, &target, &items, &slate, &mut uniform_source, &mut beliefs, &mut before, &mut counts, &mut accepted)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(feature = "alloc")]
mod with_alloc {
    extern crate alloc;

    use core::alloc::{GlobalAlloc, Layout};
    use recsim_core::session::config::Config;
    use recsim_core::backend::reference::Reference;
    use recsim_core::session::Session;
    use recsim_core::world;

    /// A whole round on the reference backend: the loop needs an allocator, but no `std`.
    #[unsafe(no_mangle)]
    pub extern "C" fn recsim_round(seed: u64) -> bool {
        let recipe = world::SyntheticWorldConfig { users: 2, items: 40, clusters: 2, dimensions: 2, pretrained_len: 20, seed };
        let generated = world::generate(&recipe, world::brute_force_lists);
        let world = generated.view();
        let Ok(plan) = Config::default().plan(&world) else { return false };
        let Ok(mut session) = Session::new(Reference::<f32>::default(), &world, plan) else { return false };
        session.round(&mut || 0.0).is_ok_and(|report| report.is_some())
    }

    /// An allocator that never has memory: enough to build, and nothing here is run.
    struct Nothing;

    // SAFETY: null says that there is no memory, so nothing is ever handed out or taken back.
    unsafe impl GlobalAlloc for Nothing {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    #[global_allocator]
    static ALLOCATOR: Nothing = Nothing;
}
