//! The simulator's formulas, the trainer's mathematics, the seam to a device and the loop over it.
//!
//! This crate knows no device, no file and no clock; it needs no `std` (with the feature of that name it is faster), and
//! without the `alloc` feature no allocator either: then it offers one user's step ([`user`]), for embedding in a simulator
//! of your own.
//!
//! | to find | look in |
//! |---|---|
//! | a formula of one user's step | [`accept`], [`belief`], [`reward`], [`slate`], together in [`user`] |
//! | how a fast search may propose items | [`margin`](mod@margin) |
//! | where a random number comes from | [`rng`] |
//! | the agent | [`td3`], [`adam`], [`net`], [`replay`], [`explore`] |
//! | what a device must do | [`backend`], with [`later`]; done plainly by [`mod@reference`] |
//! | who chooses what is shown, and how well | [`policy`], [`evaluation`] |
//! | the experiment | [`session`], with its [`config`], [`world`], [`metrics`] and [`state`], and what a [`checkpoint`] calls them |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod accept;
pub mod belief;
pub mod explore;
pub mod margin;
pub mod math;
pub mod reward;
pub mod rng;
pub mod slate;
pub mod user;
pub mod world;

#[cfg(feature = "alloc")]
pub mod adam;
#[cfg(feature = "alloc")]
pub mod backend;
#[cfg(feature = "alloc")]
pub mod checkpoint;
#[cfg(feature = "alloc")]
pub mod config;
#[cfg(feature = "alloc")]
pub mod crew;
#[cfg(feature = "alloc")]
pub mod evaluation;
#[cfg(feature = "alloc")]
pub mod later;
#[cfg(feature = "alloc")]
pub mod metrics;
#[cfg(feature = "alloc")]
pub mod net;
#[cfg(feature = "alloc")]
pub mod policy;
#[cfg(feature = "alloc")]
pub mod reference;
#[cfg(feature = "alloc")]
pub mod replay;
#[cfg(feature = "alloc")]
pub mod session;
#[cfg(feature = "alloc")]
pub mod state;
#[cfg(feature = "alloc")]
pub mod td3;
