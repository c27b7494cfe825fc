//! Products in training mode.

use std::cell::RefCell;

use pulp::Arch;

use super::tiles::{Multiplier, blocks, fill};
use crate::block::{Block, Side, Sums, TWO};
use crate::gemm::{self, Matrix, Onto};
use crate::isa::Processor;

/// `out = left * right` or `out += left * right`; `out` is row-major.
pub(super) fn multiply(processor: Processor, out: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, onto: Onto) {
    match processor.multiplier {
        None => gemm::multiply(processor.arch, out, left, right, onto),
        Some(multiplier) => {
            ROOM.with_borrow_mut(|room| room.multiply(processor.arch, multiplier, out, left, right, onto));
        }
    }
}

thread_local! {
    /// It only grows, and is the same from product to product, so that it stays in the second cache.
    static ROOM: RefCell<Room> = const { RefCell::new(Room { left: Vec::new(), right: Vec::new() }) };
}

/// A thread's room for what it multiplies.
struct Room {
    left: Vec<Block>,
    /// 32 lines.
    right: Vec<Block>,
}

impl Room {
    fn multiply(
        &mut self,
        arch: Arch,
        multiplier: Multiplier,
        out: &mut [f32],
        left: Matrix<'_>,
        right: Matrix<'_>,
        onto: Onto,
    ) {
        let ((rows, terms), (same_terms, columns)) = (left.size(), right.size());
        assert_eq!(terms, same_terms, "inner sizes");
        assert_eq!(out.len(), rows * columns, "outer sizes");
        let as_it_is = |number, _| number;
        let lefts = grown(&mut self.left, blocks(rows) * blocks(terms));
        fill(arch, lefts, Side::Left, left, as_it_is);
        let rights = grown(&mut self.right, blocks(terms));
        let lines = right.transposed();
        for first in (0..columns).step_by(TWO) {
            let width = TWO.min(columns - first);
            fill(arch, rights, Side::Right, lines.rows(&(first..first + width)), as_it_is);
            multiplier.multiply(
                arch,
                lefts,
                rights,
                blocks(terms),
                #[inline(always)]
                |[row, _], Sums(found)| {
                    for (found, line) in found.iter().zip(out[row * columns..].chunks_exact_mut(columns)) {
                        let places = &mut line[first..first + width];
                        match <&mut [f32; TWO]>::try_from(&mut *places) {
                            // As most are: in vectors.
                            Ok(places) => *places = onto.with(*places, found),
                            Err(_) => {
                                let mut all = [0.0; TWO];
                                all[..width].copy_from_slice(places);
                                places.copy_from_slice(&onto.with(all, found)[..width]);
                            }
                        }
                    }
                },
            );
        }
    }
}

fn grown(room: &mut Vec<Block>, count: usize) -> &mut [Block] {
    room.resize(count.max(room.len()), Block::ZERO);
    &mut room[..count]
}

impl Onto {
    /// What numbers become.
    #[inline(always)]
    fn with(self, mut numbers: [f32; TWO], found: &[f32; TWO]) -> [f32; TWO] {
        match self {
            Self::Replace => *found,
            Self::Add => {
                for n in 0..TWO {
                    numbers[n] += found[n];
                }
                numbers
            }
        }
    }
}
