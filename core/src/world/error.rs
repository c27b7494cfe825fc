//! The error of an invalid world, and the checks (`docs/spec.md`, section 1.1, Arrays).

use core::fmt;

use super::{WorldArrays, WorldShape, row};

/// The first error in a world's arrays.
///
/// `tensor` is the name that the array has in a world's file: `item.embedding`, `item.cluster`, `item.distance`,
/// `user.belief`, `user.embedding`, `user.pretrained` or `target`. Indices count from 0.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WorldError {
    /// A size is 0.
    Empty {
        /// The size: `users`, `items`, `clusters`, `dimensions` or `pretrained_len`.
        size: &'static str,
    },
    /// There are more users, items or clusters than a `u32` can count.
    TooMany {
        /// The size: `users`, `items` or `clusters`.
        size: &'static str,
        /// Its value.
        actual: usize,
    },
    /// An array's length does not agree with the sizes.
    Length {
        /// The array's name.
        tensor: &'static str,
        /// The length that the sizes require.
        expected: usize,
        /// The array's length.
        actual: usize,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// The array's name.
        tensor: &'static str,
        /// The value's row and column.
        index: (usize, usize),
    },
    /// A value lies outside its range.
    Range {
        /// The array's name.
        tensor: &'static str,
        /// The value's row and column.
        index: (usize, usize),
        /// The value.
        actual: f64,
        /// The range, in words.
        expected: &'static str,
    },
    /// A pre-trained list contains an item twice.
    Repeat {
        /// The user's index.
        user: usize,
        /// The item's index.
        item: u32,
    },
    /// The target's sum is not above 0 and at most 1.
    TargetSum {
        /// The `f32` sum in index order.
        actual: f32,
    },
}

impl core::error::Error for WorldError {}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { size } => write!(f, "the world's `{size}` is 0, and must be at least 1"),
            Self::TooMany { size, actual } => {
                write!(f, "the world's `{size}` is {actual}, and must be at most 4294967295")
            }
            Self::Length { tensor, expected, actual } => {
                write!(f, "`{tensor}` has {actual} elements, and must have {expected} for the world's sizes")
            }
            Self::NotFinite { tensor, index: (row, column) } => {
                write!(f, "`{tensor}` is not a finite number at row {row}, column {column}")
            }
            Self::Range { tensor, index: (row, column), actual, expected } => {
                write!(f, "`{tensor}` is {actual} at row {row}, column {column}, and must be {expected}")
            }
            Self::Repeat { user, item } => {
                write!(f, "`user.pretrained` names item {item} twice at row {user}")
            }
            Self::TargetSum { actual } => {
                write!(f, "`target` sums to {actual}, and must sum to more than 0 and at most 1")
            }
        }
    }
}

/// Checks everything that [`World::new`](super::World::new) promises. The sizes are checked first, so that no later
/// check divides by 0 or reads beyond an array.
pub(super) fn check(shape: &WorldShape, arrays: &WorldArrays<'_>) -> Result<(), WorldError> {
    let WorldShape { users, items, clusters, dimensions, pretrained_len } = *shape;
    for (size, value) in [
        ("users", users),
        ("items", items),
        ("clusters", clusters),
        ("dimensions", dimensions),
        ("pretrained_len", pretrained_len),
    ] {
        if value == 0 {
            return Err(WorldError::Empty { size });
        }
    }
    for (size, actual) in [("users", users), ("items", items), ("clusters", clusters)] {
        if u32::try_from(actual).is_err() {
            return Err(WorldError::TooMany { size, actual });
        }
    }
    length("item.embedding", arrays.item_embedding.len(), items, dimensions)?;
    length("item.cluster", arrays.item_cluster.len(), items, 1)?;
    length("item.distance", arrays.item_distance.len(), items, 1)?;
    length("user.belief", arrays.user_belief.len(), users, clusters)?;
    length("user.embedding", arrays.user_embedding.len(), users, dimensions)?;
    length("user.pretrained", arrays.user_pretrained.len(), users, pretrained_len)?;
    length("target", arrays.target.len(), clusters, 1)?;

    finite("item.embedding", arrays.item_embedding, dimensions)?;
    finite("item.distance", arrays.item_distance, 1)?;
    finite("user.belief", arrays.user_belief, clusters)?;
    finite("user.embedding", arrays.user_embedding, dimensions)?;
    finite("target", arrays.target, clusters)?;

    indices("item.cluster", arrays.item_cluster, 1, clusters, "a cluster's index")?;
    indices("user.pretrained", arrays.user_pretrained, pretrained_len, items, "an item's index")?;
    not_negative("item.distance", arrays.item_distance, 1)?;
    not_negative("target", arrays.target, clusters)?;
    let sum = arrays.target.iter().fold(0.0_f32, |sum, share| sum + share);
    if !(sum > 0.0 && sum <= 1.0) {
        return Err(WorldError::TargetSum { actual: sum });
    }
    for (user, beliefs) in arrays.user_belief.chunks_exact(clusters).enumerate() {
        for (cluster, (&belief, &target)) in beliefs.iter().zip(arrays.target).enumerate() {
            if !(0.0..=target).contains(&belief) {
                let (index, actual) = ((user, cluster), f64::from(belief));
                return Err(WorldError::Range {
                    tensor: "user.belief",
                    index,
                    actual,
                    expected: "from 0 to the target's share of that cluster",
                });
            }
        }
    }
    #[cfg(feature = "alloc")]
    if pretrained_len > MAX_PAIRWISE_LEN {
        let mut sorted = alloc::vec::Vec::new();
        return (0..users).try_for_each(|user| {
            sorted.clear();
            sorted.extend_from_slice(&arrays.user_pretrained[row(user, pretrained_len)]);
            sorted.sort_unstable();
            let repeat = sorted.windows(2).find(|pair| pair[0] == pair[1]);
            repeat.map_or(Ok(()), |pair| Err(WorldError::Repeat { user, item: pair[0] }))
        });
    }
    (0..users).try_for_each(|user| no_repeat(user, &arrays.user_pretrained[row(user, pretrained_len)]))
}

/// Checks that an array has `rows * columns` elements.
fn length(tensor: &'static str, actual: usize, rows: usize, columns: usize) -> Result<(), WorldError> {
    let expected = rows.saturating_mul(columns);
    if actual == expected { Ok(()) } else { Err(WorldError::Length { tensor, expected, actual }) }
}

/// Checks that no value is NaN or infinite.
fn finite(tensor: &'static str, values: &[f32], columns: usize) -> Result<(), WorldError> {
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(offset) => Err(WorldError::NotFinite { tensor, index: (offset / columns, offset % columns) }),
    }
}

/// Checks that no value is below 0.
fn not_negative(tensor: &'static str, values: &[f32], columns: usize) -> Result<(), WorldError> {
    match values.iter().position(|&x| x < 0.0) {
        None => Ok(()),
        Some(offset) => {
            let (index, actual) = ((offset / columns, offset % columns), f64::from(values[offset]));
            Err(WorldError::Range { tensor, index, actual, expected: "at least 0" })
        }
    }
}

/// Checks that every value lies in `0..end`.
fn indices(
    tensor: &'static str,
    values: &[u32],
    columns: usize,
    end: usize,
    expected: &'static str,
) -> Result<(), WorldError> {
    match values.iter().position(|&index| index as usize >= end) {
        None => Ok(()),
        Some(offset) => {
            let (index, actual) = ((offset / columns, offset % columns), f64::from(values[offset]));
            Err(WorldError::Range { tensor, index, actual, expected })
        }
    }
}

/// Compares all pairs, which needs no memory. Up to `MAX_PAIRWISE_LEN` items it is faster than sorting them.
fn no_repeat(user: usize, list: &[u32]) -> Result<(), WorldError> {
    for (rank, &item) in list.iter().enumerate() {
        if list[..rank].contains(&item) {
            return Err(WorldError::Repeat { user, item });
        }
    }
    Ok(())
}

/// The longest list whose pairs are compared; longer ones are sorted, if there is an allocator.
#[cfg(feature = "alloc")]
const MAX_PAIRWISE_LEN: usize = 100;
