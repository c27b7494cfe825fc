//! Passes over flat buffers, in pieces of one fixed length: the gradient's norm, Adam, the targets' soft update.

use pulp::Arch;
use rayon::prelude::*;
use recsim_core::td3::adam::AdamStep;
use recsim_core::td3::{Moments, soft_update};

use crate::mlp::vectorised;

/// The squared norm of a gradient. Pieces are summed in their order, whoever computed them.
pub(crate) fn square(arch: Arch, gradient: &[f32]) -> f64 {
    let squares = gradient.par_chunks(PIECE).map(|piece| {
        vectorised(
            arch,
            #[inline(always)]
            || {
                let mut lanes = [0.0; 16];
                for chunk in piece.chunks(lanes.len()) {
                    for (lane, &slope) in lanes.iter_mut().zip(chunk) {
                        *lane += f64::from(slope) * f64::from(slope);
                    }
                }
                lanes.iter().sum::<f64>()
            },
        )
    });
    squares.collect::<Vec<f64>>().into_iter().sum()
}

/// Moves all parameters by one step of Adam.
pub(crate) fn descend(
    arch: Arch,
    step: &AdamStep<f32>,
    parameters: &mut [f32],
    moments: &mut Moments,
    gradient: &[f32],
) {
    parameters
        .par_chunks_mut(PIECE)
        .zip(moments.first.par_chunks_mut(PIECE))
        .zip(moments.second.par_chunks_mut(PIECE))
        .zip(gradient.par_chunks(PIECE))
        .for_each(|(((parameters, first), second), gradient)| {
            vectorised(
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

/// Lets a target's buffer follow its online network's.
pub(crate) fn follow(arch: Arch, target: &mut [f32], online: &[f32], tau: f32) {
    target.par_chunks_mut(PIECE).zip(online.par_chunks(PIECE)).for_each(|(target, online)| {
        vectorised(
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

/// Numbers in a piece: its part of parameters, moments and gradient fit a core's cache.
const PIECE: usize = 16_384;
