//! Quantized queries, and the bounds of the scores in the defined order that their quantized scores imply.

use recsim_core::world::error_bound::reference_error_bound;

use super::index::QuantizedIndex;
use super::kernel::{Int8Kernel, Int8Layout, MAX_WORDS};
use super::lanes::{F64x8, dot, max_abs, norm, quantization_error, quantize};

/// Queries whose scores are computed together.
pub(super) struct QuantizedQueries<const Q: usize> {
    /// The queries, four bytes in a word; arbitrary where a query is missing.
    pub(super) words: Box<QueryWords<Q>>,
    /// `[groups]`
    pub(super) bounds: Vec<ScoreBounds<Q>>,
    /// `[clusters]`: the queries' scores of each cluster's center.
    center_scores: Vec<[f64; Q]>,
    /// A query in double precision, `[D/8]`.
    query: Vec<F64x8>,
    /// The same in steps.
    codes: Vec<F64x8>,
}

/// Queries as 32-bit words, aligned to a cache line.
#[repr(align(64))]
pub(super) struct QueryWords<const Q: usize>(pub(super) [[u32; MAX_WORDS]; Q]);

/// The score bounds that a quantized score `n` of an item of a group implies, one entry for each query.
#[derive(Clone, Debug)]
pub(super) struct ScoreBounds<const Q: usize> {
    /// The score is at most `upper_offset + n / inverse_step`: the center's score plus the error bound.
    pub(super) upper_offset: [f64; Q],
    pub(super) inverse_step: [f64; Q],
    /// The score is at least `lower_offset + step * n`, rounding included.
    lower_offset: [f32; Q],
    step: [f32; Q],
}

/// How queries were quantized.
struct QueryRounding<const Q: usize> {
    step: [f64; Q],
    inverse_step: [f64; Q],
    /// The norm of the quantization error, and of the dequantized query.
    error_norm: [f64; Q],
    dequantized_norm: [f64; Q],
    /// The error bound of scores in the defined order.
    reference_error: [f64; Q],
}

impl<const Q: usize> QuantizedQueries<Q> {
    pub(super) fn new(index: &QuantizedIndex) -> Self {
        let chunks = index.dimensions.div_ceil(8);
        let bounds =
            ScoreBounds { upper_offset: [0.0; Q], inverse_step: [0.0; Q], lower_offset: [0.0; Q], step: [0.0; Q] };
        Self {
            words: Box::new(QueryWords([[0; MAX_WORDS]; Q])),
            bounds: vec![bounds; index.groups().len()],
            center_scores: vec![[0.0; Q]; index.centers().len()],
            query: vec![[0.0; 8]; chunks],
            codes: vec![[0.0; 8]; chunks],
        }
    }

    /// Quantizes queries, `[n, D]`, at most Q of them. Returns `false` if their scores may not be finite.
    #[inline(always)]
    pub(super) fn set(&mut self, index: &QuantizedIndex, queries: &[f32]) -> bool {
        let mut rounding = QueryRounding {
            step: [1.0; Q],
            inverse_step: [1.0; Q],
            error_norm: [0.0; Q],
            dequantized_norm: [0.0; Q],
            reference_error: [0.0; Q],
        };
        for (n, query) in queries.chunks_exact(index.dimensions).enumerate() {
            if !self.quantize_query(index, n, query, &mut rounding) {
                return false;
            }
        }
        self.set_bounds(index, &rounding);
        true
    }

    /// Quantizes a query.
    #[inline(always)]
    fn quantize_query(
        &mut self,
        index: &QuantizedIndex,
        n: usize,
        row: &[f32],
        rounding: &mut QueryRounding<Q>,
    ) -> bool {
        let Self { words, center_scores, query, codes, .. } = self;
        let Int8Layout { max_query, max_sum, query_bias, .. } = index.layout;
        for (chunk, row) in query.iter_mut().zip(row.chunks(8)) {
            for (to, &x) in chunk.iter_mut().zip(row) {
                *to = x.into();
            }
        }
        let query_norm = norm(query);
        let is_bounded = query_norm * index.max_item_norm < MAX_BOUNDED_SCORE;
        if !is_bounded {
            return false;
        }
        let mut step = (max_abs(query) / max_query).max(query_norm * index.max_code_norm / max_sum);
        quantize(query, step, max_query, codes);
        // Rounding may have increased the norm.
        while norm(codes) * index.max_code_norm > max_sum {
            step *= 1.01;
            quantize(query, step, max_query, codes);
        }
        (rounding.step[n], rounding.inverse_step[n]) = (step, 1.0 / step);
        (rounding.error_norm[n], rounding.dequantized_norm[n]) =
            (quantization_error(query, codes, step), step * norm(codes));
        rounding.reference_error[n] = reference_error_bound(index.dimensions, query_norm, index.max_item_norm, 0);
        for (scores, center) in center_scores.iter_mut().zip(index.centers()) {
            scores[n] = dot(query, center);
        }
        for (word, codes) in words.0[n].iter_mut().zip(codes.as_flattened().as_chunks::<4>().0) {
            *word = u32::from_le_bytes(codes.map(|x| (x + (query_bias + TO_INTEGER_BITS)).to_bits() as u8));
        }
        true
    }

    /// Computes the score bounds of all groups for all queries.
    #[inline(always)]
    fn set_bounds(&mut self, index: &QuantizedIndex, rounding: &QueryRounding<Q>) {
        let Int8Layout { max_sum, score_unit, .. } = index.layout;
        // A sum is an integer, and was rounded down to a multiple of the score unit.
        let dropped_steps = 1.0 - 1.0 / score_unit;
        for (bounds, group) in self.bounds.iter_mut().zip(index.groups()) {
            let scores = &self.center_scores[group.cluster];
            for (n, &center) in scores.iter().enumerate() {
                let (error_norm, dequantized_norm) = (rounding.error_norm[n], rounding.dequantized_norm[n]);
                // The factor covers the rounding of the norms and of this sum.
                let error_bound = (error_norm * group.max_residual_norm
                    + dequantized_norm * group.max_error_norm
                    + rounding.reference_error[n])
                    * (1.0 + 1e-6);
                let step = rounding.step[n] * group.step * score_unit;
                let dropped = step * dropped_steps;
                // Five roundings: a product and a sum in single precision, of values that were rounded to it.
                let slack = ROUNDING_SLACK * (center.abs() + error_bound + dropped + step * max_sum / score_unit)
                    + MIN_SLACK;
                bounds.upper_offset[n] = center + error_bound + dropped;
                bounds.inverse_step[n] = rounding.inverse_step[n] * group.inverse_step / score_unit;
                bounds.lower_offset[n] = (center - error_bound - slack) as f32;
                bounds.step[n] = step as f32;
            }
        }
    }

    /// For each query the quantized threshold of a group: every item whose score may reach the query's lower bound has
    /// a quantized score above it.
    #[inline(always)]
    pub(super) fn thresholds<K: Int8Kernel>(
        &self,
        group: usize,
        lower_bounds: &[f32; Q],
        thresholds: &mut [K::Score; Q],
    ) {
        let ScoreBounds { upper_offset, inverse_step, .. } = &self.bounds[group];
        for n in 0..Q {
            thresholds[n] = K::from_f64(threshold(upper_offset[n], inverse_step[n], lower_bounds[n]));
        }
    }

    /// The threshold of one query, as in [`Self::thresholds`].
    #[inline(always)]
    pub(super) fn threshold(&self, n: usize, group: usize, lower_bound: f32) -> f64 {
        let ScoreBounds { upper_offset, inverse_step, .. } = &self.bounds[group];
        threshold(upper_offset[n], inverse_step[n], lower_bound)
    }

    /// A lower bound of the score of an item in a group, given its quantized score.
    #[inline(always)]
    pub(super) fn lower_bound(&self, n: usize, group: usize, score: i32) -> f32 {
        let ScoreBounds { lower_offset, step, .. } = &self.bounds[group];
        lower_offset[n] + step[n] * score as f32
    }

    /// Raises `bounds` to the lower bounds that a group's quantized `maxima` imply. `empty` marks a maximum without an
    /// item.
    #[inline(always)]
    pub(super) fn raise_lower_bounds<S: Copy + Into<i32>>(
        &self,
        n: usize,
        group: usize,
        maxima: &[S],
        empty: i32,
        bounds: &mut [f32],
    ) {
        let ScoreBounds { lower_offset, step, .. } = &self.bounds[group];
        let (lower_offset, step) = (lower_offset[n], step[n]);
        // Chunks of eight values of equal width become vector instructions.
        for (bounds, maxima) in bounds.as_chunks_mut::<8>().0.iter_mut().zip(maxima.as_chunks::<8>().0) {
            let (mut wide, mut implied) = ([0_i32; 8], [0.0_f32; 8]);
            for lane in 0..8 {
                wide[lane] = maxima[lane].into();
            }
            for lane in 0..8 {
                implied[lane] = lower_offset + step * wide[lane] as f32;
            }
            for lane in 0..8 {
                implied[lane] = if wide[lane] == empty { f32::NEG_INFINITY } else { implied[lane] };
            }
            for lane in 0..8 {
                bounds[lane] = if implied[lane] > bounds[lane] { implied[lane] } else { bounds[lane] };
            }
        }
    }
}

/// The quantized threshold above which every item with a score of at least `lower_bound` is.
#[inline(always)]
fn threshold(upper_offset: f64, inverse_step: f64, lower_bound: f32) -> f64 {
    // A quantized score that reaches an integer is above the one before it; one more is subtracted because this
    // computation rounds.
    let threshold = ((f64::from(lower_bound) - upper_offset) * inverse_step).floor() - 1.0;
    if threshold.is_nan() { f64::NEG_INFINITY } else { threshold }
}

/// Added to an integer, it moves the integer to the lowest bits of the sum, in two's complement.
const TO_INTEGER_BITS: f64 = (3_u64 << 51) as f64;
/// Five times the rounding unit of single precision, rounded up.
const ROUNDING_SLACK: f64 = 4e-7;
/// More than is lost near underflow: half of the last bit of a step, 2^-150, times the largest score, 2^24.
const MIN_SLACK: f64 = 2e-38;
/// Scores with a bound below this are finite in any order of summation.
const MAX_BOUNDED_SCORE: f64 = 1e37;
