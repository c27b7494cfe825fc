//! Scores in the defined order of operations, of many rows at once: each row has a lane.

use pulp::cast;
use pulp::x86::V3;

use crate::intrinsics::Vnni;

/// Rows whose scores are computed together: a row's sum waits only for itself.
pub(super) const ROWS_AT_ONCE: usize = 16;

/// The [`score`](recsim_core::model::slate::score)s of rows for an action, with AVX2.
#[inline(always)]
pub(super) fn reference_scores_avx2(simd: V3, action: &[f32], rows: [&[f32]; ROWS_AT_ONCE]) -> [f32; ROWS_AT_ONCE] {
    let V3 { avx, fma, .. } = simd;
    let mut sums = [avx._mm256_setzero_ps(); 2];
    let (chunks, remaining) = action.as_chunks::<4>();
    // Slices of one length, so that the loop needs no bounds checks.
    let fours = rows.map(|row| &row.as_chunks::<4>().0[..chunks.len()]);
    for (d, chunk) in chunks.iter().enumerate() {
        for (half, sum) in sums.iter_mut().enumerate() {
            // Each half of a vector holds four values of one row. The shuffles transpose them into columns.
            let mut quarters = [avx._mm256_setzero_ps(); 4];
            for (n, quarter) in quarters.iter_mut().enumerate() {
                *quarter = cast([fours[8 * half + n][d], fours[8 * half + n + 4][d]]);
            }
            let [a, b, c, e] = quarters;
            let (low, high) = (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
            let (low_2, high_2) = (avx._mm256_unpacklo_ps(c, e), avx._mm256_unpackhi_ps(c, e));
            let columns = [
                avx._mm256_shuffle_ps::<0x44>(low, low_2),
                avx._mm256_shuffle_ps::<0xee>(low, low_2),
                avx._mm256_shuffle_ps::<0x44>(high, high_2),
                avx._mm256_shuffle_ps::<0xee>(high, high_2),
            ];
            for (&x, column) in chunk.iter().zip(columns) {
                *sum = fma._mm256_fmadd_ps(avx._mm256_set1_ps(x), column, *sum);
            }
        }
    }
    add_remaining(cast(sums), 4 * chunks.len(), remaining, rows)
}

/// The [`score`](recsim_core::model::slate::score)s of rows for an action, with one AVX-512 vector instead of two AVX2
/// ones.
#[inline(always)]
pub(super) fn reference_scores_avx512(
    simd: Vnni,
    action: &[f32],
    rows: [&[f32]; ROWS_AT_ONCE],
) -> [f32; ROWS_AT_ONCE] {
    let f = simd.avx512f;
    let mut sum = f._mm512_setzero_ps();
    let (chunks, remaining) = action.as_chunks::<4>();
    // Slices of one length, so that the loop needs no bounds checks.
    let fours = rows.map(|row| &row.as_chunks::<4>().0[..chunks.len()]);
    for (d, chunk) in chunks.iter().enumerate() {
        let mut quarters = [f._mm512_setzero_ps(); 4];
        for (n, quarter) in quarters.iter_mut().enumerate() {
            *quarter = cast([fours[n][d], fours[n + 4][d], fours[n + 8][d], fours[n + 12][d]]);
        }
        let [a, b, c, e] = quarters;
        let (low, high) = (f._mm512_unpacklo_ps(a, b), f._mm512_unpackhi_ps(a, b));
        let (low_2, high_2) = (f._mm512_unpacklo_ps(c, e), f._mm512_unpackhi_ps(c, e));
        let columns = [
            f._mm512_shuffle_ps::<0x44>(low, low_2),
            f._mm512_shuffle_ps::<0xee>(low, low_2),
            f._mm512_shuffle_ps::<0x44>(high, high_2),
            f._mm512_shuffle_ps::<0xee>(high, high_2),
        ];
        for (&x, column) in chunk.iter().zip(columns) {
            sum = f._mm512_fmadd_ps(f._mm512_set1_ps(x), column, sum);
        }
    }
    add_remaining(cast(sum), 4 * chunks.len(), remaining, rows)
}

/// Adds the remaining dimensions, from `first` on.
#[inline(always)]
fn add_remaining(
    mut sums: [f32; ROWS_AT_ONCE],
    first: usize,
    remaining: &[f32],
    rows: [&[f32]; ROWS_AT_ONCE],
) -> [f32; ROWS_AT_ONCE] {
    for (d, &x) in (first..).zip(remaining) {
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = x.mul_add(row[d], *sum);
        }
    }
    sums
}
