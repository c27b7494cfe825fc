//! Transitions as rows of bytes, in files that can be appended to. A row is the user's index, beliefs before, beliefs
//! after, action and reward: values of four bytes, little-endian.

use recsim_core::td3::replay::Transitions;

/// The name of the file whose first row is transition `first` of the run, counted from 0.
pub(super) fn file_name(first: u64) -> String {
    format!("replay-{first:012}.rows")
}

/// Whether `name` is the name of such a file.
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix("replay-")
        .and_then(|name| name.strip_suffix(".rows"))
        .is_some_and(|first| first.parse::<u64>().is_ok())
}

/// The widths of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowLayout {
    pub(super) clusters: usize,
    pub(super) dimensions: usize,
}

impl RowLayout {
    /// The size of a row in bytes.
    pub(super) fn bytes(self) -> usize {
        4 * (2 * self.clusters + self.dimensions + 2)
    }

    /// The bytes of `transitions`, without the first `skipped`.
    pub(super) fn encode(self, transitions: &Transitions, skipped: usize) -> Vec<u8> {
        let Transitions { user, belief_before, belief, action, reward, .. } = transitions;
        let mut bytes = Vec::with_capacity(user.len().saturating_sub(skipped) * self.bytes());
        let beliefs = belief_before.chunks_exact(self.clusters).zip(belief.chunks_exact(self.clusters));
        let rows = user.iter().zip(beliefs).zip(action.chunks_exact(self.dimensions)).zip(reward);
        for (((user, (before, after)), action), reward) in rows.skip(skipped) {
            bytes.extend(user.to_le_bytes());
            for values in [before, after, action, std::slice::from_ref(reward)] {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        bytes
    }

    /// Appends the rows in `bytes` to `transitions`. Ignores an incomplete row at the end.
    pub(super) fn decode(self, bytes: &[u8], transitions: &mut Transitions) {
        for row in bytes.chunks_exact(self.bytes()) {
            let (user, values) = row.split_at(4);
            transitions.user.extend(user.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)));
            let mut values = values.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
            transitions.belief_before.extend(values.by_ref().take(self.clusters));
            transitions.belief.extend(values.by_ref().take(self.clusters));
            transitions.action.extend(values.by_ref().take(self.dimensions));
            transitions.reward.extend(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn row_layout_decodes_what_it_encodes(
            clusters in 1..4_usize, dimensions in 1..5_usize, rows in 0..6_usize, skipped in 0..7_usize,
        ) {
            let mut next = 0_u32;
            let mut values = |count: usize| -> Vec<f32> {
                (0..count).map(|_| { next += 1; f32::from_bits(next * 7_919) }).collect()
            };
            let transitions = Transitions {
                inserted: 9,
                user: (0..rows as u32).map(|user| user * 70_000).collect(),
                belief_before: values(rows * clusters),
                belief: values(rows * clusters),
                action: values(rows * dimensions),
                reward: values(rows),
            };
            let layout = RowLayout { clusters, dimensions };
            let bytes = layout.encode(&transitions, skipped);
            let remaining = rows.saturating_sub(skipped);
            prop_assert_eq!(bytes.len(), remaining * layout.bytes());
            let mut read = Transitions { inserted: 9, ..Transitions::default() };
            layout.decode(&bytes, &mut read);
            let tail = |array: &[f32], width: usize| array[(rows - remaining) * width..].to_vec();
            prop_assert_eq!(read.user, &transitions.user[rows - remaining..]);
            prop_assert_eq!(read.belief_before, tail(&transitions.belief_before, clusters));
            prop_assert_eq!(read.belief, tail(&transitions.belief, clusters));
            prop_assert_eq!(read.action, tail(&transitions.action, dimensions));
            prop_assert_eq!(read.reward, tail(&transitions.reward, 1));
        }
    }
}
