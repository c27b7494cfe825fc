//! Products that leave out zeros. ReLU makes half of all units 0, in a trained network more, and not the same ones for
//! every row: a product that takes a row's other units alone is past what a dense one can reach.
//!
//! Rows go in pairs, which share what is loaded of the weights: a unit counts if it is not 0 in one of the two, and
//! whoever has a 0 there adds 0. A row's sums are therefore its own, whoever its partner is: one product after the other, by
//! input, added with a single rounding where the instruction set has that.

use pulp::{Arch, Simd, WithSimd};

use super::active::{Active, BLOCK};
use crate::aligned::Aligned;
use crate::gemm::Matrix;

/// A matrix that rows are multiplied with, in the order in which it is read.
#[derive(Debug)]
pub(crate) struct Panels {
    arch: Arch,
    shape: Shape,
    inputs: usize,
    outputs: usize,
    /// Panels of so many vectors of outputs, and one of the rest: `[inputs, outputs of the panel]`.
    weights: Aligned<f32>,
    /// What a sum begins with: `[stride]`.
    terms: Aligned<f32>,
}

impl Panels {
    /// Of a matrix `[inputs, outputs]`, and what each output's sum begins with: 0 if nothing is said.
    pub(crate) fn new(arch: Arch, matrix: Matrix<'_>, terms: &[f32]) -> Self {
        let shape = arch.dispatch(Registers);
        let (inputs, outputs) = matrix.size();
        let stride = outputs.next_multiple_of(shape.lanes);
        let mut panels = Self {
            arch,
            shape,
            inputs,
            outputs,
            weights: Aligned::new(inputs * stride),
            terms: Aligned::new(stride),
        };
        panels.terms[..terms.len()].copy_from_slice(terms);
        for (first, width) in panels.widths() {
            let panel = &mut panels.weights[first * inputs..][..width * inputs];
            // Some inputs at a time, so that what is written stays at hand.
            for (block, panel) in panel.chunks_mut(shape.block * width).enumerate() {
                for output in first..outputs.min(first + width) {
                    for (n, row) in panel.chunks_exact_mut(width).enumerate() {
                        row[output - first] = matrix.at(block * shape.block + n, output);
                    }
                }
            }
        }
        panels
    }

    /// Each panel's first output, and how many it has.
    fn widths(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (width, stride) = (self.shape.vectors * self.shape.lanes, self.stride());
        let whole = stride / width * width;
        let wholes = (0..whole).step_by(width).map(move |first| (first, width));
        wholes.chain((whole < stride).then_some((whole, stride - whole)))
    }

    /// Outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// How far apart rows of sums are: outputs, filled up to whole vectors.
    pub(crate) fn stride(&self) -> usize {
        self.outputs.next_multiple_of(self.shape.lanes)
    }

    /// Lists what is not 0 of the first `inputs` columns of some rows of a table, for a product. The rows are `stride` apart,
    /// and `value` says what counts, by a number and its place in the table.
    #[inline(always)]
    pub(crate) fn list(
        &self,
        active: &mut Active,
        rows: usize,
        table: &[f32],
        stride: usize,
        value: impl Fn(f32, usize) -> f32,
    ) {
        active.read(self.arch, [rows, self.inputs, self.shape.block], table, stride, value);
    }

    /// The product of rows with the matrix, `[rows, stride]`; if rows are odd in number, with one more in the end.
    pub(crate) fn multiply(&self, rows: &Active, sums: &mut Vec<f32>) {
        sums.resize(2 * rows.pairs() * self.stride(), 0.0);
        self.arch.dispatch(Product { panels: self, rows, sums });
    }
}

struct Product<'a> {
    panels: &'a Panels,
    rows: &'a Active,
    sums: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (first, width) in self.panels.widths() {
            match width / S::F32_LANES {
                1 => self.panel::<S, 1>(simd, first),
                2 => self.panel::<S, 2>(simd, first),
                3 => self.panel::<S, 3>(simd, first),
                4 => self.panel::<S, 4>(simd, first),
                5 => self.panel::<S, 5>(simd, first),
                6 => self.panel::<S, 6>(simd, first),
                7 => self.panel::<S, 7>(simd, first),
                _ => self.panel::<S, 8>(simd, first),
            }
        }
    }
}

impl Product<'_> {
    /// The sums of `N` vectors of outputs, from `first` on: all of them, and two rows' factors, fit the registers.
    #[inline(always)]
    fn panel<S: Simd, const N: usize>(&mut self, simd: S, first: usize) {
        let Self { panels: &Panels { shape, inputs, ref weights, ref terms, .. }, rows, ref mut sums } = *self;
        let (width, stride) = (N * S::F32_LANES, self.panels.stride());
        let terms = vectors::<S, N>(&terms[first..][..width])[0];
        for (block, weights) in weights[first * inputs..][..width * inputs].chunks(shape.block * width).enumerate()
        {
            let weights = vectors::<S, N>(weights);
            for (pair, sums) in sums.chunks_exact_mut(2 * stride).enumerate() {
                let (one, other) = sums.split_at_mut(stride);
                let place = first..first + width;
                let [one, other] = [&mut one[place.clone()], &mut other[place]]
                    .map(|sums| &mut S::as_mut_simd_f32s(sums).0.as_chunks_mut::<N>().0[0]);
                let [mut sum, mut other_sum] = if block == 0 { [terms; 2] } else { [*one, *other] };
                for (place, value, other_value) in rows.of(block, pair) {
                    let weights = &weights[place as usize];
                    // One by one, so that each is loaded into all lanes at once.
                    let (value, other_value) = (simd.splat_f32s(value), simd.splat_f32s(other_value));
                    for n in 0..N {
                        sum[n] = simd.mul_add_e_f32s(value, weights[n], sum[n]);
                        other_sum[n] = simd.mul_add_e_f32s(other_value, weights[n], other_sum[n]);
                    }
                }
                (*one, *other) = (sum, other_sum);
            }
        }
    }
}

#[inline(always)]
fn vectors<S: Simd, const N: usize>(numbers: &[f32]) -> &[[S::f32s; N]] {
    S::as_simd_f32s(numbers).0.as_chunks().0
}

/// How products go by an instruction set.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Outputs of a vector.
    lanes: usize,
    /// Vectors of a panel: the sums of two rows, two factors and a vector of weights fit the registers.
    vectors: usize,
    /// Inputs whose part of a panel stays in a core's first cache while all rows pass: at most [`BLOCK`].
    block: usize,
}

struct Registers;

impl WithSimd for Registers {
    type Output = Shape;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Shape {
        let (lanes, vectors) = (S::F32_LANES, if S::REGISTER_COUNT >= 32 { 8 } else { 6 });
        Shape { lanes, vectors, block: (NEAR / (vectors * lanes)).min(BLOCK) }
    }
}

/// Weights that stay in a core's first cache, 32 KB of them.
const NEAR: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;
    use recsim_core::model::rng::{Key, Purpose, uniform};

    /// `[rows, inputs]`, half of it 0, and `[inputs, outputs]`, and terms.
    fn tables(rows: usize, inputs: usize, outputs: usize) -> [Vec<f32>; 3] {
        let number = |table: u64, n: usize| 2.0 * uniform(Key::new(table, Purpose::World).fold_in(n as u64)) - 1.0;
        let numbers = |table, count: usize| (0..count).map(|n| number(table, n)).collect::<Vec<f32>>();
        let some = numbers(1, rows * inputs).into_iter().map(|x| if x > 0.0 { x } else { 0.0 }).collect();
        [some, numbers(2, inputs * outputs), numbers(3, outputs)]
    }

    fn product(table: &[f32], panels: &Panels) -> Vec<f32> {
        let (mut active, mut sums) = (Active::default(), vec![f32::NAN; 3]);
        let rows = table.len() / panels.inputs;
        panels.list(&mut active, rows, table, panels.inputs, |number, _| number);
        panels.multiply(&active, &mut sums);
        let sums = sums.chunks_exact(panels.stride()).take(rows);
        sums.flat_map(|sums| &sums[..panels.outputs()]).copied().collect()
    }

    #[test]
    fn products_are_what_loops_say_on_every_instruction_set() {
        for (rows, inputs, outputs) in [(1, 1, 1), (2, 5, 9), (7, 130, 33), (64, 512, 70), (3, 257, 128)] {
            let [table, matrix, terms] = tables(rows, inputs, outputs);
            for arch in InstructionSet::available().filter_map(InstructionSet::arch) {
                let found = product(&table, &Panels::new(arch, Matrix::new(&matrix, outputs), &terms));
                for (place, found) in found.into_iter().enumerate() {
                    let (row, output) = (place / outputs, place % outputs);
                    let factors = (0..inputs).map(|n| (table[row * inputs + n], matrix[n * outputs + output]));
                    // What the instruction set does: one after the other, rounded once where it can.
                    let due = factors.fold(terms[output], |sum, (a, b)| match arch {
                        Arch::Scalar => a * b + sum,
                        _ => a.mul_add(b, sum),
                    });
                    assert_eq!(found, due, "{arch:?}: {rows} rows, {inputs} inputs, output {output} of {outputs}");
                }
            }
        }
    }

    #[test]
    fn a_row_is_its_own_whoever_its_partner_is() {
        let [table, matrix, terms] = tables(9, 150, 40);
        let arch = Arch::new();
        let panels = Panels::new(arch, Matrix::new(&matrix, 40), &terms);
        let all = product(&table, &panels);
        for first in 0..9 {
            for rows in 1..=9 - first {
                let some = product(&table[first * 150..][..rows * 150], &panels);
                assert_eq!(some, all[first * 40..][..rows * 40], "{rows} rows from {first} on");
            }
        }
    }

    #[test]
    fn no_number_that_is_none_is_taken_for_a_zero() {
        let panels = Panels::new(Arch::new(), Matrix::new(&[1.0, 2.0], 1), &[0.5]);
        let found = product(&[0.0, f32::NAN, 3.0, 0.0, f32::INFINITY, 0.0], &panels);
        assert!(found[0].is_nan());
        assert_eq!(found[1..], [3.5, f32::INFINITY]);
    }
}
