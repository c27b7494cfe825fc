//! Rows of double-precision values in chunks of eight, the last padded with zeros, so that loops over them become
//! vector instructions with eight independent sums.

pub(super) type F64x8 = [f64; 8];

/// Splits a row into chunks of eight.
pub(super) fn to_f64x8(row: impl Iterator<Item = f64>) -> Vec<F64x8> {
    let row: Vec<f64> = row.collect();
    let (chunks, remainder) = row.as_chunks();
    let mut last = [0.0; 8];
    last[..remainder.len()].copy_from_slice(remainder);
    chunks.iter().copied().chain((!remainder.is_empty()).then_some(last)).collect()
}

/// The dot product, in eight partial sums.
#[inline(always)]
pub(super) fn dot(a: &[F64x8], b: &[F64x8]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for n in 0..8 {
            sums[n] += a[n] * b[n];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// The Euclidean norm.
#[inline(always)]
pub(super) fn norm(values: &[F64x8]) -> f64 {
    dot(values, values).sqrt()
}

/// The largest magnitude of finite values.
#[inline(always)]
pub(super) fn max_abs(values: &[F64x8]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    for chunk in values {
        for n in 0..8 {
            lanes[n] = if chunk[n].abs() > lanes[n] { chunk[n].abs() } else { lanes[n] };
        }
    }
    lanes.into_iter().fold(0.0, f64::max)
}

/// Quantizes values to integers: the nearest multiple of `step`, within `-max..=max` steps.
#[inline(always)]
pub(super) fn quantize(values: &[F64x8], step: f64, max: f64, codes: &mut [F64x8]) {
    let inverse_step = if step > 0.0 { 1.0 / step } else { 0.0 };
    for (codes, chunk) in codes.iter_mut().zip(values) {
        for n in 0..8 {
            codes[n] = (chunk[n] * inverse_step).round_ties_even().clamp(-max, max);
        }
    }
}

/// The Euclidean norm of the quantization error `values - step * codes`.
#[inline(always)]
pub(super) fn quantization_error(values: &[F64x8], codes: &[F64x8], step: f64) -> f64 {
    let mut sums = [0.0; 8];
    for (codes, chunk) in codes.iter().zip(values) {
        for n in 0..8 {
            let error = chunk[n] - step * codes[n];
            sums[n] += error * error;
        }
    }
    sums.into_iter().sum::<f64>().sqrt()
}
