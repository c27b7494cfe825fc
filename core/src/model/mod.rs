//! One user's step: what a user accepts, how the beliefs move, and the reward. No allocator is needed.
//!
//! | module | contents |
//! |---|---|
//! | [`user`] | the whole step |
//! | [`accept`] | the probability of an acceptance |
//! | [`belief`] | the belief update and the distance to the target |
//! | [`reward`] | the reward functions, engagement and alignment |
//! | [`slate`] | scores, the best items, and the merge with the pre-trained list |
//! | [`EnvironmentSpec`] | the rules of all users and the sizes of the slate |
//! | [`Tally`], [`ExactSum`] | sums over users that do not depend on their order |
//! | [`rng`] | random draws as pure functions of seed and coordinates |
//! | [`math`] | the number type and its operations |

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
