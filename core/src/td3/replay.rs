//! The index arithmetic of the replay buffer (`docs/spec.md`, section 3.3, Replay buffer). The arrays belong to a
//! backend.

use alloc::vec::Vec;
use core::ops::Range;

/// How many transitions a replay buffer holds, and the index of the next one.
///
/// The `n`-th transition that is inserted, counted from 0, is stored at index `n % capacity`, where it replaces an
/// older one. The buffer thus holds the last `capacity` transitions at the indices `0..len`.
///
/// ```
/// use recsim_core::td3::replay::ReplayIndex;
/// let mut replay = ReplayIndex::new(5);
/// let offsets: Vec<_> = replay.insert(3).offsets().chain(replay.insert(4).offsets()).collect();
/// assert_eq!(offsets, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(0), Some(1)]);
/// assert_eq!((replay.len(), replay.last_ranges(3)), (5, [4..5, 0..2]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayIndex {
    capacity: usize,
    inserted: u64,
}

impl ReplayIndex {
    /// The index of an empty buffer for `capacity` transitions; at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, inserted: 0 }
    }

    /// The index of the buffer before the first of `transitions` was inserted.
    ///
    /// [Inserting](ReplayIndex::insert) that many transitions restores the buffer that they were read from: each is
    /// stored at its old index.
    pub fn before_inserting(capacity: usize, transitions: &Transitions) -> Self {
        Self { capacity, inserted: transitions.inserted - transitions.user.len() as u64 }
    }

    /// Inserts `count` transitions. Returns where to write them.
    pub fn insert(&mut self, count: usize) -> InsertSpan {
        let Self { capacity, .. } = *self;
        let skipped = count.saturating_sub(capacity);
        let first = self.offset(self.inserted + skipped as u64);
        self.inserted += count as u64;
        InsertSpan { skipped, first, count, capacity }
    }

    /// The number of transitions that were inserted so far, including those that were replaced.
    pub fn inserted(&self) -> u64 {
        self.inserted
    }

    /// The number of transitions that the buffer can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of transitions that the buffer holds. Updates sample from the indices `0..len`.
    pub fn len(&self) -> usize {
        self.inserted.min(self.capacity as u64) as usize
    }

    /// Whether the buffer holds no transition, so that no update is possible.
    pub fn is_empty(&self) -> bool {
        self.inserted == 0
    }

    /// The indices of the last `count` transitions, or of all if there are fewer, the oldest first.
    ///
    /// The second range follows the first. It is empty unless the transitions continue at the start of the buffer.
    pub fn last_ranges(&self, count: usize) -> [Range<usize>; 2] {
        let count = count.min(self.len());
        let first = self.offset(self.inserted - count as u64);
        let end = first + count;
        [first..end.min(self.capacity), 0..end.saturating_sub(self.capacity)]
    }

    /// The rows of the last `count` transitions, or of all if there are fewer, the oldest first: `[count, width]`.
    ///
    /// `column` is an array of the buffer, `[len, width]` or longer.
    ///
    /// ```
    /// use recsim_core::td3::replay::ReplayIndex;
    /// let (mut replay, mut column) = (ReplayIndex::new(3), [0; 3]);
    /// replay.insert(4).write(&[10, 11, 12, 13], &mut column, 1);
    /// assert_eq!(column, [13, 11, 12]);
    /// assert_eq!(replay.last_rows(&column, 1, 2), [12, 13]);
    /// ```
    pub fn last_rows<T: Clone>(&self, column: &[T], width: usize, count: usize) -> Vec<T> {
        self.last_ranges(count).map(|range| &column[range.start * width..range.end * width]).concat()
    }

    /// The index of transition `number`, counted from 0.
    fn offset(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }
}

/// Where the transitions of one [`ReplayIndex::insert`] are stored.
///
/// If there are more than the buffer can hold, the first `skipped` are not stored. The next one is stored at `first`,
/// the others at the indices behind it, modulo the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsertSpan {
    /// The transitions that are not stored; 0 unless there are more than the capacity.
    pub skipped: usize,
    /// The index of the first transition that is stored.
    pub first: usize,
    count: usize,
    capacity: usize,
}

impl InsertSpan {
    /// The index of each transition, in order; `None` for those that are not stored.
    pub fn offsets(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let Self { skipped, first, count, capacity } = *self;
        (0..count).map(move |n| n.checked_sub(skipped).map(|n| (first + n) % capacity))
    }

    /// Writes `rows`, `[count, width]`, to their indices in `column`, an array `[len, width]` or longer of the buffer.
    ///
    /// # Panics
    /// If `column` is shorter than the buffer's length after the insertion, or `rows` than the skipped transitions.
    pub fn write<T: Copy>(&self, rows: &[T], column: &mut [T], width: usize) {
        let rows = &rows[self.skipped * width..];
        let (before_end, wrapped) = rows.split_at(rows.len().min((self.capacity - self.first) * width));
        column[self.first * width..][..before_end.len()].copy_from_slice(before_end);
        column[..wrapped.len()].copy_from_slice(wrapped);
    }
}

/// Transitions on the host, the oldest first. Arrays are row-major, one row for each transition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    /// The number of transitions that their buffer had inserted, up to and including the last of these.
    pub inserted: u64,
    /// The users, as indices in the world: `[count]`.
    pub user: Vec<u32>,
    /// The beliefs before the round: `[count, K]`.
    pub belief_before: Vec<f32>,
    /// The beliefs after the round: `[count, K]`.
    pub belief: Vec<f32>,
    /// The actions that chose the slates: `[count, D]`.
    pub action: Vec<f32>,
    /// The rewards: `[count]`.
    pub reward: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_index_finds_the_last_rows_after_any_insertions() {
        for capacity in 1..6 {
            let (mut replay, mut number, mut column) = (ReplayIndex::new(capacity), 0, alloc::vec![0; capacity]);
            for count in [1, 0, 3, 2, 7, 5] {
                let (span, rows) = (replay.insert(count), Vec::from_iter(number..number + count as i32));
                number += count as i32;
                let before = column.clone();
                for (row, offset) in rows.iter().zip(span.offsets()) {
                    if let Some(offset) = offset {
                        column[offset] = *row;
                    }
                }
                let mut written = before;
                span.write(&rows, &mut written, 1);
                assert_eq!(written, column);
                for last in 0..8 {
                    let actual = replay.last_rows(&column, 1, last);
                    let count = last.min(replay.len()) as i32;
                    assert!(actual.into_iter().eq(number - count..number), "{last} of {capacity} after {number}");
                }
            }
        }
    }
}
