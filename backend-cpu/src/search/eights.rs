//! Numbers in eights, the last of them filled up with zeros: vectors hold them, and no sum waits for the one before.

pub(super) type Eight = [f64; 8];

/// A row in eights.
pub(super) fn eights(row: impl Iterator<Item = f64>) -> Vec<Eight> {
    let row: Vec<f64> = row.collect();
    let (whole, rest) = row.as_chunks();
    let mut last = [0.0; 8];
    last[..rest.len()].copy_from_slice(rest);
    whole.iter().copied().chain((!rest.is_empty()).then_some(last)).collect()
}

/// A sum of products, in eight strands.
#[inline(always)]
pub(super) fn dot(a: &[Eight], b: &[Eight]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for n in 0..8 {
            sums[n] += a[n] * b[n];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[inline(always)]
pub(super) fn length(numbers: &[Eight]) -> f64 {
    dot(numbers, numbers).sqrt()
}

/// The largest of finite numbers without their signs.
#[inline(always)]
pub(super) fn largest(numbers: &[Eight]) -> f64 {
    let mut strands = [0.0_f64; 8];
    for eight in numbers {
        for n in 0..8 {
            strands[n] = if eight[n].abs() > strands[n] { eight[n].abs() } else { strands[n] };
        }
    }
    strands.into_iter().fold(0.0, f64::max)
}

/// Numbers in whole steps, `most` at the most.
#[inline(always)]
pub(super) fn in_steps(numbers: &[Eight], step: f64, most: f64, whole: &mut [Eight]) {
    let steps = if step > 0.0 { 1.0 / step } else { 0.0 };
    for (whole, eight) in whole.iter_mut().zip(numbers) {
        for n in 0..8 {
            whole[n] = (eight[n] * steps).round_ties_even().clamp(-most, most);
        }
    }
}

/// How long what is lost is, where numbers become whole ones of a step.
#[inline(always)]
pub(super) fn lost(numbers: &[Eight], whole: &[Eight], step: f64) -> f64 {
    let mut sums = [0.0; 8];
    for (whole, eight) in whole.iter().zip(numbers) {
        for n in 0..8 {
            let lost = eight[n] - step * whole[n];
            sums[n] += lost * lost;
        }
    }
    sums.into_iter().sum::<f64>().sqrt()
}
