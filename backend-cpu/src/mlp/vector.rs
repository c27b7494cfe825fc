//! Loops over numbers with the machine's widest registers. What they compute does not depend on which: Rust never
//! contracts or reorders floating-point operations, and sums have one fixed number of lanes.

use pulp::Arch;

/// Runs `loops` compiled for an instruction set.
#[inline]
pub(crate) fn vectorised<R>(arch: Arch, loops: impl FnOnce() -> R) -> R {
    arch.dispatch(loops)
}

/// The sum of `term(left, right)` over two slices of one length, in [`LANES`] running sums.
#[inline(always)]
pub(crate) fn sum_of(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        // An array of its own: added to in place, the sums would be kept number by number.
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
    fn sums_leave_nothing_out() {
        for length in [0, 1, 31, 32, 33, 100] {
            let values: Vec<f32> = (1..=length).map(|n| n as f32).collect();
            assert_eq!(sum(&values), (length * (length + 1) / 2) as f32);
            let squares: f32 = values.iter().map(|v| v * v).sum();
            assert_eq!(sum_of(&values, &values, |a, b| a * b), squares);
        }
    }
}
