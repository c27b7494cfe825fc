//! One user's step: what a user accepts, how the beliefs move, and the reward. No allocator is needed.
//!
//! ```text
//!   slate ──► accept ──► belief ──► reward          one user: user::step
//!               ▲                      │
//!              rng                     ▼
//!                                  Tally, ExactSum  all users of a round
//! ```
//!
//! | module | contents | `docs/spec.md` |
//! |---|---|---|
//! | [`user`] | the whole step, [`user::step`] | section 2.5 |
//! | [`slate`] | scores, the items with the highest scores, the rest of the slate | section 2.1 |
//! | [`accept`] | the probability of an acceptance | section 2.2 |
//! | [`belief`] | the belief update and the distance to the target | section 2.3 |
//! | [`reward`] | the three rewards, engagement and alignment | section 2.4 |
//! | [`EnvironmentSpec`] | the settings that all users share | section 2 |
//! | [`Tally`], [`ExactSum`] | sums over users that do not depend on their order | section 6.1 |
//! | [`rng`] | random draws as pure functions of seed and coordinates | section 5 |
//! | [`math`] | the scalar type and the logistic function | section 2.2 |
//!
//! Formulas are generic over [`math::Real`]. Arrays of a user are nalgebra vectors: `SVector` has its size in its type
//! and needs no allocator, and views of slices have theirs at run time. Both give the same bits.

pub mod accept;
pub mod belief;
mod environment;
mod exact_sum;
pub mod math;
pub mod reward;
pub mod rng;
pub mod slate;
mod tally;
pub mod user;

pub use environment::EnvironmentSpec;
pub use exact_sum::ExactSum;
pub use tally::Tally;
