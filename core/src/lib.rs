//! The core of recsim: one user's step, the world, TD3's mathematics, the backend traits, the training loop and
//! evaluation.
//!
//! recsim simulates users who respond to recommended items, and trains a TD3 agent that recommends them. This crate
//! has everything of it that is independent of a device: it is `no_std`, contains no `unsafe` code, and accesses no
//! file, no clock and no device. `docs/spec.md` defines what it computes; comments cite its sections.
//!
//! # Modules
//!
//! ```text
//!   eval ───────► session ───────► backend ───────► td3 ───────► world ───────► model
//!   policies,     training loop,   traits,          networks,    arrays,        one user's step,
//!   metrics,      configuration,   reference        optimizer,   synthetic      rewards, slates,
//!   bootstrap     state, reports   implementation   replay       worlds         random draws
//! ```
//!
//! A module depends only on the modules to its right.
//!
//! | module | contents |
//! |---|---|
//! | [`model`] | acceptance, belief update, reward, slate, random draws; one user's [`step`](model::user::step) |
//! | [`world`] | items, users and the target as checked arrays; synthetic worlds; error bounds for approximate search |
#![cfg_attr(
    feature = "alloc",
    doc = "| [`td3`] | networks, optimizer, replay buffer indices, exploration and the formulas of TD3 |",
    doc = "| [`backend`] | the traits that a backend implements, and the reference implementation |",
    doc = "| [`session`] | the training loop, its configuration, state, checkpoints and reports |",
    doc = "| [`eval`] | policies, evaluation metrics and confidence intervals |"
)]
//!
//! # Example
//!
//! One user's step, in a loop of the caller's and without an allocator. The training loop of a whole population is
//! `session::Session`; the stages of one round are in `backend::round`.
//!
//! ```
//! use nalgebra::SVector;
//! use recsim_core::model::accept::Acceptance;
//! use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
//! use recsim_core::model::rng::{Key, Purpose};
//! use recsim_core::model::user::{UserModel, step};
//!
//! let user_model = UserModel::<f32> {
//!     acceptance: Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 },
//!     belief_increment: 0.01,
//!     reward: Reward {
//!         kind: RewardForm::Potential,
//!         score: BeliefScore::Combined,
//!         scale: 100.0,
//!         max: 100.0,
//!         improvement_threshold: 0.01,
//!     },
//! };
//! // Two clusters with equal shares of the catalogue. Item i is in cluster i % 2, at distance 1 from its centre.
//! let target = SVector::from([0.5, 0.5]);
//! let items = |item: u32| (item as usize % 2, 1.0);
//! let mut draws = Key::new(7, Purpose::Acceptance);
//!
//! let (mut beliefs, mut before, mut counts) = (SVector::zeros(), SVector::zeros(), SVector::zeros());
//! let (slate, mut accepted) = ([0, 1, 2, 3], [false; 4]);
//! let reward = step(
//!     &user_model, &target, &items, &slate, &mut draws, &mut beliefs, &mut before, &mut counts, &mut accepted,
//! );
//! let accepted_count = accepted.iter().filter(|&&is_accepted| is_accepted).count();
//! assert!((reward - accepted_count as f32).abs() < 1e-4); // 0.01 nearer to the target for each item, times 100
//! ```
//!
//! # Features
//!
//! - `alloc` (default): everything beyond one user's step. Without it the crate needs no allocator and has [`model`],
//!   the checked [`World`](world::World) and [`world::error_bound`].
//! - `std`: square roots that compilers vectorize. Results have the same bits.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod model;
pub mod world;

#[cfg(feature = "alloc")]
pub mod backend;
#[cfg(feature = "alloc")]
pub mod eval;
#[cfg(feature = "alloc")]
pub mod session;
#[cfg(feature = "alloc")]
pub mod td3;
