//! Loops over arrays with the machine's widest registers. Their results do not depend on the registers: Rust never
//! contracts or reorders floating-point operations, and sums have a fixed number of lanes.

use pulp::Arch;

/// Runs `loops`, compiled for an instruction set.
#[inline]
pub(crate) fn vectorized<R>(arch: Arch, loops: impl FnOnce() -> R) -> R {
    arch.dispatch(loops)
}

/// The sum of `term(left, right)` over two slices of one length, in [`LANES`] partial sums.
#[inline(always)]
pub(crate) fn sum_of(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        // A separate array: accumulated in place, the sums would be stored value by value.
        let mut next = [0.0; LANES];
        for lane in 0..LANES {
            next[lane] = lanes[lane] + term(left[lane], right[lane]);
        }
        lanes = next;
    }
    for (lane, (&left, &right)) in lanes.iter_mut().zip(left_rest.iter().zip(right_rest)) {
        *lane += term(left, right);
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// The sum of a slice.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    sum_of(values, values, |value, _| value)
}

const LANES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_include_every_value() {
        for len in [0, 1, 31, 32, 33, 100] {
            let values: Vec<f32> = (1..=len).map(|n| n as f32).collect();
            assert_eq!(sum(&values), (len * (len + 1) / 2) as f32);
            let squares: f32 = values.iter().map(|v| v * v).sum();
            assert_eq!(sum_of(&values, &values, |a, b| a * b), squares);
        }
    }
}
