//! Matrix products that skip zeros. ReLU makes half of all units 0, and more in a trained network, at different indices
//! for every row: a product over only a row's nonzero units is faster than a dense one can be.
//!
//! Rows are processed in pairs that share the loads of the weights: a unit is skipped if it is 0 in both rows; a row
//! with a 0 there adds 0. A row's sums therefore do not depend on its partner: the products are added one after the
//! other, in input order, with a single rounding where the instruction set has fused multiply-add.

use pulp::{Arch, Simd, WithSimd};

use super::nonzero::{MAX_BLOCK_INPUTS, NonzeroPairs};
use crate::aligned::Aligned;
use crate::gemm::MatrixView;

/// A matrix of weights in the order in which products read it.
#[derive(Debug)]
pub(crate) struct WeightPanels {
    arch: Arch,
    shape: PanelShape,
    inputs: usize,
    outputs: usize,
    /// Panels of `shape.vectors` vectors of outputs, and one of the remaining outputs: `[inputs, outputs of the panel]`
    /// each.
    weights: Aligned<f32>,
    /// Initial values of the sums, `[stride]`.
    bias: Aligned<f32>,
}

impl WeightPanels {
    /// Packs a matrix, `[inputs, outputs]`, and the initial values of the first outputs' sums. Other sums start at 0.
    pub(crate) fn new(arch: Arch, matrix: MatrixView<'_>, bias: &[f32]) -> Self {
        let shape = arch.dispatch(SelectPanelShape);
        let (inputs, outputs) = matrix.size();
        let stride = outputs.next_multiple_of(shape.lanes);
        let mut panels = Self {
            arch,
            shape,
            inputs,
            outputs,
            weights: Aligned::new(inputs * stride),
            bias: Aligned::new(stride),
        };
        panels.bias[..bias.len()].copy_from_slice(bias);
        for (first, width) in panels.widths() {
            let panel = &mut panels.weights[first * inputs..][..width * inputs];
            // Block by block, so that what is written stays in cache.
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

    /// Each panel's first output and number of outputs.
    fn widths(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (width, stride) = (self.shape.vectors * self.shape.lanes, self.stride());
        let whole = stride / width * width;
        let wholes = (0..whole).step_by(width).map(move |first| (first, width));
        wholes.chain((whole < stride).then_some((whole, stride - whole)))
    }

    /// The number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The distance between rows of sums: outputs, rounded up to whole vectors.
    pub(crate) fn stride(&self) -> usize {
        self.outputs.next_multiple_of(self.shape.lanes)
    }

    /// Lists the nonzero values among the first `inputs` columns of some rows, for a product. Rows are `stride` apart;
    /// each input is `map` of a value and its offset in `values`.
    #[inline(always)]
    pub(crate) fn read(
        &self,
        pairs: &mut NonzeroPairs,
        rows: usize,
        values: &[f32],
        stride: usize,
        map: impl Fn(f32, usize) -> f32,
    ) {
        pairs.read(self.arch, [rows, self.inputs, self.shape.block], values, stride, map);
    }

    /// The product of rows with the matrix, `[rows, stride]`. An odd number of rows yields one more row, which is
    /// unused.
    pub(crate) fn multiply(&self, rows: &NonzeroPairs, sums: &mut Vec<f32>) {
        sums.resize(2 * rows.pairs() * self.stride(), 0.0);
        self.arch.dispatch(SparseProduct { panels: self, rows, sums });
    }
}

struct SparseProduct<'a> {
    panels: &'a WeightPanels,
    rows: &'a NonzeroPairs,
    sums: &'a mut [f32],
}

impl WithSimd for SparseProduct<'_> {
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

impl SparseProduct<'_> {
    /// The sums of `N` vectors of outputs, from `first` on: all of them, and two rows' inputs, fit the registers.
    #[inline(always)]
    fn panel<S: Simd, const N: usize>(&mut self, simd: S, first: usize) {
        let Self { panels: &WeightPanels { shape, inputs, ref weights, ref bias, .. }, rows, ref mut sums } = *self;
        let (width, stride) = (N * S::F32_LANES, self.panels.stride());
        let bias = vectors::<S, N>(&bias[first..][..width])[0];
        for (block, weights) in weights[first * inputs..][..width * inputs].chunks(shape.block * width).enumerate()
        {
            let weights = vectors::<S, N>(weights);
            for (pair, sums) in sums.chunks_exact_mut(2 * stride).enumerate() {
                let (first_row, second_row) = sums.split_at_mut(stride);
                let outputs = first..first + width;
                let [first_row, second_row] = [&mut first_row[outputs.clone()], &mut second_row[outputs]]
                    .map(|sums| &mut S::as_mut_simd_f32s(sums).0.as_chunks_mut::<N>().0[0]);
                let [mut first_sum, mut second_sum] =
                    if block == 0 { [bias; 2] } else { [*first_row, *second_row] };
                for (input, first_value, second_value) in rows.entries(block, pair) {
                    let weights = &weights[input as usize];
                    // Separately, so that each is loaded into all lanes at once.
                    let (first_value, second_value) = (simd.splat_f32s(first_value), simd.splat_f32s(second_value));
                    for n in 0..N {
                        first_sum[n] = simd.mul_add_e_f32s(first_value, weights[n], first_sum[n]);
                        second_sum[n] = simd.mul_add_e_f32s(second_value, weights[n], second_sum[n]);
                    }
                }
                (*first_row, *second_row) = (first_sum, second_sum);
            }
        }
    }
}

#[inline(always)]
fn vectors<S: Simd, const N: usize>(values: &[f32]) -> &[[S::f32s; N]] {
    S::as_simd_f32s(values).0.as_chunks().0
}

/// The panel shape of an instruction set.
#[derive(Clone, Copy, Debug)]
struct PanelShape {
    /// Outputs in a vector.
    lanes: usize,
    /// Vectors in a panel: the sums of two rows, two inputs and a vector of weights fit the registers.
    vectors: usize,
    /// Inputs in a block: its part of a panel stays in a core's first-level cache while all rows pass. At most
    /// [`MAX_BLOCK_INPUTS`].
    block: usize,
}

struct SelectPanelShape;

impl WithSimd for SelectPanelShape {
    type Output = PanelShape;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> PanelShape {
        let (lanes, vectors) = (S::F32_LANES, if S::REGISTER_COUNT >= 32 { 8 } else { 6 });
        PanelShape { lanes, vectors, block: (L1_WEIGHTS / (vectors * lanes)).min(MAX_BLOCK_INPUTS) }
    }
}

/// Weights that fit a core's first-level cache: 32 KB.
const L1_WEIGHTS: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;
    use recsim_core::model::rng::{Key, Purpose, uniform};

    /// Rows, `[rows, inputs]`, half of them 0; a matrix, `[inputs, outputs]`; initial sums, `[outputs]`.
    fn random_inputs(rows: usize, inputs: usize, outputs: usize) -> [Vec<f32>; 3] {
        let value =
            |rows_data: u64, n: usize| 2.0 * uniform(Key::new(rows_data, Purpose::World).fold_in(n as u64)) - 1.0;
        let values = |rows_data, count: usize| (0..count).map(|n| value(rows_data, n)).collect::<Vec<f32>>();
        let sparse = values(1, rows * inputs).into_iter().map(|x| if x > 0.0 { x } else { 0.0 }).collect();
        [sparse, values(2, inputs * outputs), values(3, outputs)]
    }

    fn product(rows_data: &[f32], panels: &WeightPanels) -> Vec<f32> {
        let (mut pairs, mut sums) = (NonzeroPairs::default(), vec![f32::NAN; 3]);
        let rows = rows_data.len() / panels.inputs;
        panels.read(&mut pairs, rows, rows_data, panels.inputs, |value, _| value);
        panels.multiply(&pairs, &mut sums);
        let sums = sums.chunks_exact(panels.stride()).take(rows);
        sums.flat_map(|sums| &sums[..panels.outputs()]).copied().collect()
    }

    #[test]
    fn products_equal_plain_loops_on_every_instruction_set() {
        for (rows, inputs, outputs) in [(1, 1, 1), (2, 5, 9), (7, 130, 33), (64, 512, 70), (3, 257, 128)] {
            let [rows_data, matrix, bias] = random_inputs(rows, inputs, outputs);
            for arch in InstructionSet::available().filter_map(InstructionSet::arch) {
                let actual =
                    product(&rows_data, &WeightPanels::new(arch, MatrixView::new(&matrix, outputs), &bias));
                for (index, actual) in actual.into_iter().enumerate() {
                    let (row, output) = (index / outputs, index % outputs);
                    let factors = (0..inputs).map(|n| (rows_data[row * inputs + n], matrix[n * outputs + output]));
                    // As the instruction set does: one after the other, rounded once where it can.
                    let expected = factors.fold(bias[output], |sum, (a, b)| match arch {
                        Arch::Scalar => a * b + sum,
                        _ => a.mul_add(b, sum),
                    });
                    assert_eq!(
                        actual, expected,
                        "{arch:?}: {rows} rows, {inputs} inputs, output {output} of {outputs}"
                    );
                }
            }
        }
    }

    #[test]
    fn row_does_not_depend_on_its_partner() {
        let [rows_data, matrix, bias] = random_inputs(9, 150, 40);
        let arch = Arch::new();
        let panels = WeightPanels::new(arch, MatrixView::new(&matrix, 40), &bias);
        let all = product(&rows_data, &panels);
        for first in 0..9 {
            for rows in 1..=9 - first {
                let actual = product(&rows_data[first * 150..][..rows * 150], &panels);
                assert_eq!(actual, all[first * 40..][..rows * 40], "{rows} rows from {first} on");
            }
        }
    }

    #[test]
    fn nan_is_not_skipped_as_zero() {
        let panels = WeightPanels::new(Arch::new(), MatrixView::new(&[1.0, 2.0], 1), &[0.5]);
        let actual = product(&[0.0, f32::NAN, 3.0, 0.0, f32::INFINITY, 0.0], &panels);
        assert!(actual[0].is_nan());
        assert_eq!(actual[1..], [3.5, f32::INFINITY]);
    }
}
