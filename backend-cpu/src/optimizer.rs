//! Parallel passes over flat buffers, in chunks of one fixed length: the gradient's norm, Adam, and the soft update of
//! targets.

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::td3::adam::AdamStep;
use recsim_core::td3::{Moments, soft_update};

use crate::mlp::vectorized;

/// The squared norm of a gradient. The sums of the chunks are added in index order, so the result does not depend on
/// threads.
pub(crate) fn squared_norm(arch: Arch, gradient: &[f32]) -> f64 {
    let squares = gradient.par_chunks(CHUNK_LEN).map(|chunk| {
        vectorized(
            arch,
            #[inline(always)]
            || {
                let mut lanes = [0.0; 16];
                for values in chunk.chunks(lanes.len()) {
                    for (lane, &value) in lanes.iter_mut().zip(values) {
                        *lane += f64::from(value) * f64::from(value);
                    }
                }
                lanes.iter().sum::<f64>()
            },
        )
    });
    squares.collect::<Vec<f64>>().into_iter().sum()
}

/// Applies one Adam step to all parameters.
pub(crate) fn adam_step(
    arch: Arch,
    step: &AdamStep<f32>,
    parameters: &mut [f32],
    moments: &mut Moments,
    gradient: &[f32],
) {
    parameters
        .par_chunks_mut(CHUNK_LEN)
        .zip(moments.first.par_chunks_mut(CHUNK_LEN))
        .zip(moments.second.par_chunks_mut(CHUNK_LEN))
        .zip(gradient.par_chunks(CHUNK_LEN))
        .for_each(|(((parameters, first), second), gradient)| {
            vectorized(
                arch,
                #[inline(always)]
                || {
                    let moments = first.iter_mut().zip(second);
                    for ((parameter, (first, second)), &gradient) in
                        parameters.iter_mut().zip(moments).zip(gradient)
                    {
                        step.apply(parameter, first, second, gradient);
                    }
                },
            );
        });
}

/// Applies the soft update to a target's buffer: `target += tau (online - target)`.
pub(crate) fn soft_update_all(arch: Arch, target: &mut [f32], online: &[f32], tau: f32) {
    target.par_chunks_mut(CHUNK_LEN).zip(online.par_chunks(CHUNK_LEN)).for_each(|(target, online)| {
        vectorized(
            arch,
            #[inline(always)]
            || {
                for (target, &online) in target.iter_mut().zip(online) {
                    *target = soft_update(*target, online, tau);
                }
            },
        );
    });
}

/// Elements in a chunk: its parameters, moments and gradient fit a core's cache.
const CHUNK_LEN: usize = 16_384;
