//! The replay ring's arithmetic: where transitions go. What holds them is a backend's.

use alloc::vec::Vec;
use core::ops::Range;

/// How much a ring of `capacity` transitions holds, and where the next goes: the `n`-th that is brought to it, counted from
/// 0, goes to place `n % capacity`.
///
/// ```
/// let mut ring = recsim_core::td3::replay::ReplayIndex::new(5);
/// let places: Vec<_> = ring.insert(3).offsets().chain(ring.insert(4).offsets()).collect();
/// assert_eq!(places, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(0), Some(1)]);
/// assert_eq!((ring.len(), ring.last_ranges(3)), (5, [4..5, 0..2]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayIndex {
    capacity: usize,
    inserted: u64,
}

impl ReplayIndex {
    /// An empty ring; `capacity` is at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, inserted: 0 }
    }

    /// The ring before the first of `transitions` was brought to it. Once they are, [`ReplayIndex::insert`] says to which places,
    /// it holds them and no others.
    pub fn before_inserting(capacity: usize, transitions: &Transitions) -> Self {
        Self { capacity, inserted: transitions.inserted - transitions.user.len() as u64 }
    }

    /// Makes room for `count` transitions and says where they go.
    pub fn insert(&mut self, count: usize) -> InsertSpan {
        let Self { capacity, .. } = *self;
        let skipped = count.saturating_sub(capacity);
        let first = self.offset(self.inserted + skipped as u64);
        self.inserted += count as u64;
        InsertSpan { skipped, first, count, capacity }
    }

    /// Transitions that have been brought to it.
    pub fn inserted(&self) -> u64 {
        self.inserted
    }

    /// Transitions the ring can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Transitions it holds now: the range that updates sample from.
    pub fn len(&self) -> usize {
        self.inserted.min(self.capacity as u64) as usize
    }

    /// The places of the last `count` transitions, or of all that are held if those are fewer, the oldest first: one range
    /// and, where they reach around the ring, what follows.
    pub fn last_ranges(&self, count: usize) -> [Range<usize>; 2] {
        let count = count.min(self.len());
        let first = self.offset(self.inserted - count as u64);
        let end = first + count;
        [first..end.min(self.capacity), 0..end.saturating_sub(self.capacity)]
    }

    /// Those transitions' part of a column of the ring, `[capacity, width]`.
    pub fn last_rows<T: Clone>(&self, column: &[T], width: usize, count: usize) -> Vec<T> {
        self.last_ranges(count).map(|places| &column[places.start * width..places.end * width]).concat()
    }

    fn offset(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }
}

/// Where some transitions go: the first `skipped` nowhere, as the ring holds fewer; the one after them to `first`, the
/// next to the place behind it, and so on around the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsertSpan {
    /// Of more transitions than the ring holds, only the last have a place.
    pub skipped: usize,
    /// The first place.
    pub first: usize,
    count: usize,
    capacity: usize,
}

impl InsertSpan {
    /// The place of each transition, in order.
    pub fn offsets(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let Self { skipped, first, count, capacity } = *self;
        (0..count).map(move |n| n.checked_sub(skipped).map(|n| (first + n) % capacity))
    }

    /// Writes `rows`, one of each transition, to their places in a column of the ring, `[capacity, width]`.
    pub fn write<T: Copy>(&self, rows: &[T], column: &mut [T], width: usize) {
        let rows = &rows[self.skipped * width..];
        let (sooner, later) = rows.split_at(rows.len().min((self.capacity - self.first) * width));
        column[self.first * width..][..sooner.len()].copy_from_slice(sooner);
        column[..later.len()].copy_from_slice(later);
    }
}

/// Transitions on the host, the oldest first; tables are row-major, a row a transition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    /// How many had been brought to their ring when the last of these was, it included.
    pub inserted: u64,
    /// `[count]`: the users, by index in the world
    pub user: Vec<u32>,
    /// `[count, K]`
    pub belief_before: Vec<f32>,
    /// `[count, K]`
    pub belief: Vec<f32>,
    /// `[count, D]`
    pub action: Vec<f32>,
    /// `[count]`
    pub reward: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lie_where_they_were_brought_to() {
        for capacity in 1..6 {
            let (mut ring, mut number, mut held) = (ReplayIndex::new(capacity), 0, alloc::vec![0; capacity]);
            for count in [1, 0, 3, 2, 7, 5] {
                let (span, rows) = (ring.insert(count), Vec::from_iter(number..number + count as i32));
                number += count as i32;
                for (row, place) in rows.iter().zip(span.offsets()) {
                    if let Some(place) = place {
                        held[place] = *row;
                    }
                }
                let mut written = held.clone();
                span.write(&rows, &mut written, 1);
                assert_eq!(written, held);
                for last in 0..8 {
                    let shown = ring.last_rows(&held, 1, last);
                    let count = last.min(ring.len()) as i32;
                    assert!(shown.into_iter().eq(number - count..number), "{last} of {capacity} after {number}");
                }
            }
        }
    }
}
