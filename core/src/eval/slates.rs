//! Metrics of one slate. They count every item on the slate, whether the policy or the pre-trained list chose it.

/// Intra-list diversity: the mean of `1 - cosine` over all pairs of items, in `[0, 2]`; 0 for fewer than two items.
///
/// ```text
/// diversity = 1 - (|sum r|^2 - sum |r|^2) / (N (N - 1))
/// ```
///
/// `rows` are the N items' embeddings r, [normalized](crate::model::slate::normalize); a zero row has cosine 0 to every
/// other. `sum` is scratch of length D. Source: intra-list similarity of Ziegler and others, 2005, "Improving
/// Recommendation Lists Through Topic Diversification", as 1 minus its mean over pairs.
///
/// ```
/// use recsim_core::eval::slates::diversity;
/// let rows: [&[f32]; 3] = [&[1.0, 0.0], &[0.0, 1.0], &[-1.0, 0.0]];
/// // The pairs have 1 - cosine of 1, 1 and 2.
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

/// The Shannon entropy of a slate's clusters in nats, in `[0, ln K]`: 0 if all items are of one cluster, `ln K` if
/// every cluster has the same share.
///
/// ```text
/// entropy = -sum_c p_c ln p_c,   p_c = counts_c / sum counts,   over clusters with p_c > 0
/// ```
///
/// `counts` is `[K]`: the slate's items by cluster.
///
/// ```
/// use recsim_core::eval::slates::entropy;
/// assert_eq!(entropy(&[0, 20]), 0.0);
/// assert!((entropy(&[10, 10]) - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub fn entropy(counts: &[u32]) -> f64 {
    // Rounding can give a value just below 0.
    (-shares(counts).map(|(_, share)| share * libm::log(share)).sum::<f64>()).max(0.0)
}

/// Calibration: the Kullback-Leibler divergence of a slate's clusters from the target's, in nats; at least 0, and 0 if
/// the shares are equal. Less is better.
///
/// ```text
/// calibration = KL(p || q) = sum_c p_c ln(p_c / q_c)
/// p_c = counts_c / sum counts,   q_c = max(target_c / sum target, 1e-6)
/// ```
///
/// `counts` and `target` are `[K]`. The lower bound on `q_c` keeps the value finite where the target of a cluster is 0.
/// Source: Steck, 2018, "Calibrated Recommendations", with the arguments exchanged and without its smoothing.
///
/// ```
/// use recsim_core::eval::slates::calibration;
/// assert_eq!(calibration(&[15, 5], &[0.375, 0.125]), 0.0);
/// assert!((calibration(&[20, 0], &[0.25, 0.25]) - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub fn calibration(counts: &[u32], target: &[f32]) -> f64 {
    let target_sum: f64 = target.iter().copied().map(f64::from).sum();
    let term = |(cluster, share): (usize, f64)| {
        let target_share = (f64::from(target[cluster]) / target_sum).max(MIN_TARGET_SHARE);
        share * libm::log(share / target_share)
    };
    shares(counts).map(term).sum::<f64>().max(0.0)
}

/// The clusters on the slate, and their shares of it.
fn shares(counts: &[u32]) -> impl Iterator<Item = (usize, f64)> {
    let total: u32 = counts.iter().sum();
    let shown = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    shown.map(move |(cluster, &count)| (cluster, f64::from(count) / f64::from(total)))
}

/// The lower bound on a cluster's share of the target.
const MIN_TARGET_SHARE: f64 = 1e-6;
