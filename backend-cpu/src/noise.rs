//! Normal noise on the actions of a tile of rows.

use std::ops::Range;

use pulp::Arch;
use recsim_core::model::rng::Key;

use crate::elementary::normal_pairs;
use crate::mlp::vectorized;

/// One thread's buffers of random draws, reused from tile to tile: for each row, one draw for every two components of
/// an action.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    /// `[rows, pairs]`
    bits: Vec<u64>,
    /// `[rows, pairs]` each: normal values for the even components, and for the odd ones.
    normals: [Vec<f32>; 2],
}

impl Noise {
    /// Adds noise to actions, `[rows, dimensions]`. `perturb` takes a component and the standard normal value of its
    /// row and component under `key`, and returns the noisy component.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        arch: Arch,
        key: Key,
        rows: Range<usize>,
        actions: &mut [f32],
        perturb: impl Fn(f32, f32) -> f32,
    ) {
        let dimensions = actions.len() / rows.len();
        let pairs = dimensions.div_ceil(2);
        self.bits.clear();
        for row in rows {
            let key = key.fold_in(row as u64);
            self.bits.extend((0..pairs).map(|pair| key.fold_in(pair as u64).bits()));
        }
        let Self { bits, normals: [first, second] } = self;
        first.resize(bits.len(), 0.0);
        second.resize(bits.len(), 0.0);
        vectorized(
            arch,
            #[inline(always)]
            || {
                normal_pairs(bits, [first, second]);
                let normals = first.chunks_exact(pairs).zip(second.chunks_exact(pairs));
                for (action, (first, second)) in actions.chunks_exact_mut(dimensions).zip(normals) {
                    let (component_pairs, remainder) = action.as_chunks_mut();
                    for (([even, odd], &first), &second) in component_pairs.iter_mut().zip(first).zip(second) {
                        (*even, *odd) = (perturb(*even, first), perturb(*odd, second));
                    }
                    if let ([last], Some(&noise)) = (remainder, first.last()) {
                        *last = perturb(*last, noise);
                    }
                }
            },
        );
    }
}
