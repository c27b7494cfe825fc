//! Transitions as rows of bytes, so that a file of them can grow: the user's index, beliefs before and after, the action,
//! the reward; numbers of four bytes, little-endian.

use recsim_core::td3::replay::Transitions;

/// The file whose first row is the run's `first`-th, counted from 0.
pub(super) fn file_name(first: u64) -> String {
    format!("replay-{first:012}.rows")
}

/// Whether a file is called as one of them.
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix("replay-")
        .and_then(|name| name.strip_suffix(".rows"))
        .is_some_and(|first| first.parse::<u64>().is_ok())
}

/// How a row is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) clusters: usize,
    pub(super) dimensions: usize,
}

impl Row {
    /// Bytes of a row.
    pub(super) fn bytes(self) -> usize {
        4 * (2 * self.clusters + self.dimensions + 2)
    }

    /// The rows from number `skipped` on.
    pub(super) fn encode(self, transitions: &Transitions, skipped: usize) -> Vec<u8> {
        let Transitions { user, belief_before, belief, action, reward, .. } = transitions;
        let mut bytes = Vec::with_capacity(user.len().saturating_sub(skipped) * self.bytes());
        let beliefs = belief_before.chunks_exact(self.clusters).zip(belief.chunks_exact(self.clusters));
        let rows = user.iter().zip(beliefs).zip(action.chunks_exact(self.dimensions)).zip(reward);
        for (((user, (before, after)), action), reward) in rows.skip(skipped) {
            bytes.extend(user.to_le_bytes());
            for numbers in [before, after, action, std::slice::from_ref(reward)] {
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
        bytes
    }

    /// Adds rows to `transitions`. What is no whole row at the end is left out.
    pub(super) fn decode(self, bytes: &[u8], transitions: &mut Transitions) {
        for row in bytes.chunks_exact(self.bytes()) {
            let (user, numbers) = row.split_at(4);
            transitions.user.extend(user.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)));
            let mut numbers = numbers.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
            transitions.belief_before.extend(numbers.by_ref().take(self.clusters));
            transitions.belief.extend(numbers.by_ref().take(self.clusters));
            transitions.action.extend(numbers.by_ref().take(self.dimensions));
            transitions.reward.extend(numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back(clusters in 1..4_usize, dimensions in 1..5_usize, rows in 0..6_usize, skipped in 0..7_usize) {
            let mut next = 0_u32;
            let mut numbers = |count: usize| -> Vec<f32> {
                (0..count).map(|_| { next += 1; f32::from_bits(next * 7_919) }).collect()
            };
            let transitions = Transitions {
                inserted: 9,
                user: (0..rows as u32).map(|user| user * 70_000).collect(),
                belief_before: numbers(rows * clusters),
                belief: numbers(rows * clusters),
                action: numbers(rows * dimensions),
                reward: numbers(rows),
            };
            let row = Row { clusters, dimensions };
            let bytes = row.encode(&transitions, skipped);
            let left = rows.saturating_sub(skipped);
            prop_assert_eq!(bytes.len(), left * row.bytes());
            let mut read = Transitions { inserted: 9, ..Transitions::default() };
            row.decode(&bytes, &mut read);
            let tail = |values: &[f32], width: usize| values[(rows - left) * width..].to_vec();
            prop_assert_eq!(read.user, &transitions.user[rows - left..]);
            prop_assert_eq!(read.belief_before, tail(&transitions.belief_before, clusters));
            prop_assert_eq!(read.belief, tail(&transitions.belief, clusters));
            prop_assert_eq!(read.action, tail(&transitions.action, dimensions));
            prop_assert_eq!(read.reward, tail(&transitions.reward, 1));
        }
    }
}
