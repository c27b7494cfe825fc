//! The networks: multi-layer perceptrons as [`MlpLayout`](recsim_core::td3::net::Layout) has them.
//!
//! In training mode tables lie **feature by feature**: `[features, rows of the batch]`. A layer's product then yields whole
//! features, so that BatchNorm, ReLU and Dropout of a tile of features, and on the way back their weights' gradient, need
//! nobody else's numbers: one parallel pass a layer, and no sum that is split among threads. In evaluation mode they lie row
//! by row.
//!
//! | to find | look in |
//! |---|---|
//! | evaluation mode, rows being independent: tiles of rows go through the whole network | `evaluate` |
//! | its products, which leave out the units that are 0 | `sparse`, by the lists of `active` |
//! | the same by tiles of bfloat16, whose numbers are still in single precision; which of the two | `tiles`; `factor`, `product` |
//! | training mode forwards and backwards: tiles of features, layer by layer | `pass` |
//! | both as single operations on dfdx's tape | `tape` |

mod active;
mod evaluate;
mod factor;
mod pass;
mod product;
mod sparse;
mod tape;
#[cfg(test)]
mod tests;
mod tiles;
mod vector;

pub(crate) use evaluate::{Back, Frozen, Room};
pub(crate) use pass::Dropout;
use pass::Pass;
pub(crate) use tape::{Host, Net, Tape, record, squash, table, value};
pub(crate) use tiles::Multiplier;
pub(crate) use vector::vectorised;

use crate::block::TWO;
use crate::isa::Processor;

/// Users that go through the actor together: what passes between two layers then stays in a core's second cache.
pub(crate) const ROWS: usize = 96;
/// Rows of an update that go through a network together in evaluation mode: an update of 512 is two such tiles.
pub(crate) const TILE: usize = 256;

impl Processor {
    /// Features that are computed together in training mode, of a layer of so many; a multiple of 4 for the draws of Dropout.
    /// Fewer would feed more threads, at a price: every tile of features brings the layer's input into order anew. It is worth
    /// it where no other network goes side by side.
    fn features(self, of: usize, alone: bool) -> usize {
        match self.multiplier {
            // The `gemm` crate adds up in another order where there are few.
            None => 128,
            Some(_) if alone => of.div_ceil(2).next_multiple_of(TWO).min(256),
            Some(_) => 256,
        }
    }
}
