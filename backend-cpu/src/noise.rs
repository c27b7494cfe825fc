//! Normal noise on the actions of a tile of rows.

use std::ops::Range;

use pulp::Arch;
use recsim_core::model::rng::Key;

use crate::elementary::normal_pairs;
use crate::mlp::vectorised;

/// One thread's draws, kept from tile to tile: of each row, one for every two components of an action.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    /// `[rows, pairs]`
    bits: Vec<u64>,
    /// `[rows, pairs]`: of the first components of the pairs, and of the second.
    halves: [Vec<f32>; 2],
}

impl Noise {
    /// Adds noise to actions, `[rows, dimensions]`, by `disturb`: it takes a component and a standard normal number, that
    /// of the row's number and the component under the key.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        arch: Arch,
        key: Key,
        rows: Range<usize>,
        actions: &mut [f32],
        disturb: impl Fn(f32, f32) -> f32,
    ) {
        let dimensions = actions.len() / rows.len();
        let pairs = dimensions.div_ceil(2);
        self.bits.clear();
        for row in rows {
            let key = key.fold_in(row as u64);
            self.bits.extend((0..pairs).map(|pair| key.fold_in(pair as u64).bits()));
        }
        let Self { bits, halves: [first, second] } = self;
        first.resize(bits.len(), 0.0);
        second.resize(bits.len(), 0.0);
        vectorised(
            arch,
            #[inline(always)]
            || {
                normal_pairs(bits, [first, second]);
                let halves = first.chunks_exact(pairs).zip(second.chunks_exact(pairs));
                for (action, (first, second)) in actions.chunks_exact_mut(dimensions).zip(halves) {
                    let (twos, rest) = action.as_chunks_mut();
                    for (([one, other], &first), &second) in twos.iter_mut().zip(first).zip(second) {
                        (*one, *other) = (disturb(*one, first), disturb(*other, second));
                    }
                    if let ([last], Some(&noise)) = (rest, first.last()) {
                        *last = disturb(*last, noise);
                    }
                }
            },
        );
    }
}
