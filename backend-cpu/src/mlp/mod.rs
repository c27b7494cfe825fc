//! The networks: multi-layer perceptrons with the layout of [`MlpLayout`](recsim_core::td3::net::MlpLayout).
//!
//! In training mode arrays are **feature-major**: `[features, rows of the batch]`. A layer's product then yields whole
//! features, so BatchNorm, ReLU, Dropout and the weights' gradient of a tile of features need no other tile: each layer
//! is one parallel pass, and no sum is split among threads. In inference mode arrays are row-major.
//!
//! | to find | look in |
//! |---|---|
//! | inference mode, where rows are independent: tiles of rows go through the whole network | `inference` |
//! | its products, which skip the units that are 0 | `sparse_matmul`, with the lists of `nonzero` |
//! | products on tiles of bfloat16 in single precision | `tile_matmul`; `packed_matrix`, `training_matmul` |
//! | training mode, forward and backward: tiles of features, layer by layer | `training` |
//! | both as single operations on dfdx's tape | `tape` |
//! | which of the products a machine uses | `processor` |

mod inference;
mod nonzero;
mod packed_matrix;
mod processor;
mod sparse_matmul;
mod tape;
#[cfg(test)]
mod tests;
mod tile_matmul;
mod training;
mod training_matmul;
mod vector;

pub(crate) use inference::{InferenceScratch, InferenceWeights};
pub(crate) use processor::Processor;
pub(crate) use tape::{DfdxCpu, GradTape, Net, critic_value, record_outputs, scaled_tanh, tensor_2d};
pub(crate) use training::Dropout;
pub(crate) use vector::vectorized;

/// Users in a tile of the actor: their activations between two layers fit a core's second-level cache.
pub(crate) const ACT_TILE: usize = 96;
/// Rows in a tile of an update in inference mode: an update of 512 rows has two tiles.
pub(crate) const UPDATE_TILE: usize = 256;
