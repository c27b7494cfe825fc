//! Measures of one slate. All items that are shown count, whoever chose them.

/// Intra-list diversity: the mean of `1 - cosine` over all pairs of items, in `[0, 2]`; 0 if there is no pair.
///
/// `rows` are the items' embeddings, [normalised](crate::model::slate::normalize): one without a direction is unlike all others.
/// `sum` is room for `[D]` numbers. The cosines of all pairs are `|sum of rows|^2 - sum of |row|^2`.
///
/// ```
/// use recsim_core::eval::slates::diversity;
/// let rows: [&[f32]; 3] = [&[1.0, 0.0], &[0.0, 1.0], &[-1.0, 0.0]];
/// // 1, 1 and 2.
/// assert_eq!(diversity(rows.into_iter(), &mut [0.0; 2]), 4.0 / 3.0);
/// ```
pub fn diversity<'a>(rows: impl Iterator<Item = &'a [f32]>, sum: &mut [f64]) -> f64 {
    sum.fill(0.0);
    let (mut items, mut squares) = (0.0, 0.0);
    for row in rows {
        items += 1.0;
        for (sum, &x) in sum.iter_mut().zip(row) {
            let x = f64::from(x);
            *sum += x;
            squares += x * x;
        }
    }
    if items < 2.0 {
        return 0.0;
    }
    let cosines = sum.iter().map(|x| x * x).sum::<f64>() - squares;
    1.0 - cosines / (items * (items - 1.0))
}

/// The entropy of a slate's clusters in nats, `-sum p_c ln p_c`: 0 if there is but one, `ln K` if all are alike. `counts`
/// (`[K]`) has the items of each.
///
/// ```
/// use recsim_core::eval::slates::entropy;
/// assert_eq!(entropy(&[0, 20]), 0.0);
/// assert!((entropy(&[10, 10]) - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub fn entropy(counts: &[u32]) -> f64 {
    // No more than rounding lies below 0.
    (-shares(counts).map(|(_, share)| share * libm::log(share)).sum::<f64>()).max(0.0)
}

/// How far a slate's clusters are from the target's: `KL(slate || target) = sum p_c ln(p_c / q_c)` in nats, where `q_c` is
/// the target's share of its own sum, and at least `1e-6`, as a cluster that nobody should see would make it infinite. 0
/// where the two agree.
///
/// ```
/// use recsim_core::eval::slates::calibration;
/// assert_eq!(calibration(&[15, 5], &[0.375, 0.125]), 0.0);
/// assert!((calibration(&[20, 0], &[0.25, 0.25]) - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub fn calibration(counts: &[u32], target: &[f32]) -> f64 {
    let whole: f64 = target.iter().copied().map(f64::from).sum();
    let part = |(cluster, share): (usize, f64)| {
        let due = (f64::from(target[cluster]) / whole).max(LEAST);
        share * libm::log(share / due)
    };
    shares(counts).map(part).sum::<f64>().max(0.0)
}

/// The clusters that are shown, and their shares.
fn shares(counts: &[u32]) -> impl Iterator<Item = (usize, f64)> {
    let all: u32 = counts.iter().sum();
    let shown = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    shown.map(move |(cluster, &count)| (cluster, f64::from(count) / f64::from(all)))
}

/// The least share of a target.
const LEAST: f64 = 1e-6;
