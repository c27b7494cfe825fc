//! What can be wrong with a world's arrays.

use core::fmt;

use super::{WorldArrays, WorldShape, row};

/// The first thing found wrong with a world's arrays, by the names its tensors have in a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WorldError {
    /// A size is zero.
    Empty {
        /// Which: `users`, `items`, `clusters`, `dimensions` or `list`.
        size: &'static str,
    },
    /// There are more users, items or clusters than a `u32` counts.
    TooMany {
        /// Which: `users`, `items` or `clusters`.
        size: &'static str,
        /// How many.
        actual: usize,
    },
    /// A tensor has not the number of elements that the sizes ask for.
    Length {
        /// The tensor's name.
        tensor: &'static str,
        /// How many elements it should have.
        expected: usize,
        /// How many it has.
        actual: usize,
    },
    /// A number is NaN or infinite.
    NotFinite {
        /// The tensor's name.
        tensor: &'static str,
        /// Its row and column.
        index: (usize, usize),
    },
    /// A number lies outside its range.
    Range {
        /// The tensor's name.
        tensor: &'static str,
        /// Its row and column.
        index: (usize, usize),
        /// What it is.
        actual: f64,
        /// The range, in words.
        expected: &'static str,
    },
    /// A pre-trained list names an item twice.
    Repeat {
        /// The user's index.
        user: usize,
        /// The item's index.
        item: u32,
    },
    /// The target's sum is above 1, or 0.
    TargetSum {
        /// The `f32` sum, in index order.
        actual: f32,
    },
}

impl core::error::Error for WorldError {}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { size } => write!(f, "the world has no {size}: at least 1 is needed"),
            Self::TooMany { size, actual } => {
                write!(f, "the world has {actual} {size}: at most 4294967295 are possible")
            }
            Self::Length { tensor, expected, actual } => {
                write!(f, "`{tensor}` has {actual} elements where the sizes ask for {expected}")
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

pub(super) fn check(shape: &WorldShape, parts: &WorldArrays<'_>) -> Result<(), WorldError> {
    let WorldShape { users, items, clusters, dimensions, pretrained_len: list } = *shape;
    for (size, value) in
        [("users", users), ("items", items), ("clusters", clusters), ("dimensions", dimensions), ("list", list)]
    {
        if value == 0 {
            return Err(WorldError::Empty { size });
        }
    }
    for (size, actual) in [("users", users), ("items", items), ("clusters", clusters)] {
        if u32::try_from(actual).is_err() {
            return Err(WorldError::TooMany { size, actual });
        }
    }
    length("item.embedding", parts.item_embedding.len(), items, dimensions)?;
    length("item.cluster", parts.item_cluster.len(), items, 1)?;
    length("item.distance", parts.item_distance.len(), items, 1)?;
    length("user.belief", parts.user_belief.len(), users, clusters)?;
    length("user.embedding", parts.user_embedding.len(), users, dimensions)?;
    length("user.pretrained", parts.user_pretrained.len(), users, list)?;
    length("target", parts.target.len(), clusters, 1)?;

    finite("item.embedding", parts.item_embedding, dimensions)?;
    finite("item.distance", parts.item_distance, 1)?;
    finite("user.belief", parts.user_belief, clusters)?;
    finite("user.embedding", parts.user_embedding, dimensions)?;
    finite("target", parts.target, clusters)?;

    indices("item.cluster", parts.item_cluster, 1, clusters, "a cluster's index")?;
    indices("user.pretrained", parts.user_pretrained, list, items, "an item's index")?;
    at_least_0("item.distance", parts.item_distance, 1)?;
    at_least_0("target", parts.target, clusters)?;
    let sum = parts.target.iter().fold(0.0_f32, |sum, share| sum + share);
    if !(sum > 0.0 && sum <= 1.0) {
        return Err(WorldError::TargetSum { actual: sum });
    }
    for (user, beliefs) in parts.user_belief.chunks_exact(clusters).enumerate() {
        for (cluster, (&belief, &most)) in beliefs.iter().zip(parts.target).enumerate() {
            if !(0.0..=most).contains(&belief) {
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
    if list > FEW {
        let mut sorted = alloc::vec::Vec::new();
        return (0..users).try_for_each(|user| {
            sorted.clear();
            sorted.extend_from_slice(&parts.user_pretrained[row(user, list)]);
            sorted.sort_unstable();
            let repeat = sorted.windows(2).find(|pair| pair[0] == pair[1]);
            repeat.map_or(Ok(()), |pair| Err(WorldError::Repeat { user, item: pair[0] }))
        });
    }
    (0..users).try_for_each(|user| no_repeat(user, &parts.user_pretrained[row(user, list)]))
}

fn length(tensor: &'static str, actual: usize, rows: usize, columns: usize) -> Result<(), WorldError> {
    let expected = rows.saturating_mul(columns);
    if actual == expected { Ok(()) } else { Err(WorldError::Length { tensor, expected, actual }) }
}

fn finite(tensor: &'static str, values: &[f32], columns: usize) -> Result<(), WorldError> {
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(WorldError::NotFinite { tensor, index: (at / columns, at % columns) }),
    }
}

fn at_least_0(tensor: &'static str, values: &[f32], columns: usize) -> Result<(), WorldError> {
    match values.iter().position(|&x| x < 0.0) {
        None => Ok(()),
        Some(at) => {
            let (index, actual) = ((at / columns, at % columns), f64::from(values[at]));
            Err(WorldError::Range { tensor, index, actual, expected: "at least 0" })
        }
    }
}

fn indices(
    tensor: &'static str,
    values: &[u32],
    columns: usize,
    end: usize,
    expected: &'static str,
) -> Result<(), WorldError> {
    match values.iter().position(|&index| index as usize >= end) {
        None => Ok(()),
        Some(at) => {
            let (index, actual) = ((at / columns, at % columns), f64::from(values[at]));
            Err(WorldError::Range { tensor, index, actual, expected })
        }
    }
}

/// Comparing all pairs needs no memory, and is faster than sorting a hundred or fewer.
fn no_repeat(user: usize, list: &[u32]) -> Result<(), WorldError> {
    for (index, &item) in list.iter().enumerate() {
        if list[..index].contains(&item) {
            return Err(WorldError::Repeat { user, item });
        }
    }
    Ok(())
}

#[cfg(feature = "alloc")]
const FEW: usize = 100;
