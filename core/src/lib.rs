//! The core of recsim: one user's step, the world, TD3's mathematics, the backend traits, the training loop and evaluation.
//!
//! The crate is `no_std` and contains no `unsafe` code. It accesses no file, no clock and no device.
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
//! | [`model`] | acceptance, belief update, reward, slate, random draws: together one user's [`step`](model::user::step) |
//! | [`world`] | items, users and the target as checked arrays; synthetic worlds; error bounds for approximate search |
//! | [`td3`] | networks, optimizer, replay buffer indices, exploration and the formulas of TD3 |
//! | [`backend`] | the traits that a backend implements, and the reference implementation |
//! | [`session`] | the training loop, its configuration, state, checkpoints and reports |
//! | [`eval`] | policies, evaluation metrics and confidence intervals |
//!
//! # Features
//!
//! - `alloc` (default): everything beyond one user's step. Without it the crate needs no allocator and offers [`model`] and
//!   the checked [`World`](world::World).
//! - `std`: square roots that compilers vectorise. Results have the same bits.
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
