//! Scores in the defined order, of many rows side by side: each has a lane.

use pulp::cast;
use pulp::x86::V3;

use crate::instructions::Vnni;

/// Rows whose scores are worked out together: a sum waits for itself alone.
pub(super) const TOGETHER: usize = 16;

/// The [`score`](recsim_core::model::slate::score)s of rows.
#[inline(always)]
pub(super) fn with_avx2(simd: V3, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
    let V3 { avx, fma, .. } = simd;
    let mut sums = [avx._mm256_setzero_ps(); 2];
    let (parts, rest) = action.as_chunks::<4>();
    // As many of each, so that none is looked for where there is none.
    let fours = rows.map(|row| &row.as_chunks::<4>().0[..parts.len()]);
    for (d, part) in parts.iter().enumerate() {
        for (half, sum) in sums.iter_mut().enumerate() {
            // In each half of a vector a row's four numbers: columns, once these are turned about.
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
            for (&x, column) in part.iter().zip(columns) {
                *sum = fma._mm256_fmadd_ps(avx._mm256_set1_ps(x), column, *sum);
            }
        }
    }
    go_on(cast(sums), 4 * parts.len(), rest, rows)
}

/// The same, with one vector where AVX2 has two.
#[inline(always)]
pub(super) fn with_avx512(simd: Vnni, action: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
    let f = simd.avx512f;
    let mut sum = f._mm512_setzero_ps();
    let (parts, rest) = action.as_chunks::<4>();
    // As many of each, so that none is looked for where there is none.
    let fours = rows.map(|row| &row.as_chunks::<4>().0[..parts.len()]);
    for (d, part) in parts.iter().enumerate() {
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
        for (&x, column) in part.iter().zip(columns) {
            sum = f._mm512_fmadd_ps(f._mm512_set1_ps(x), column, sum);
        }
    }
    go_on(cast(sum), 4 * parts.len(), rest, rows)
}

/// Adds what is left from dimension `first` on.
#[inline(always)]
fn go_on(mut sums: [f32; TOGETHER], first: usize, rest: &[f32], rows: [&[f32]; TOGETHER]) -> [f32; TOGETHER] {
    for (d, &x) in (first..).zip(rest) {
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = x.mul_add(row[d], *sum);
        }
    }
    sums
}
