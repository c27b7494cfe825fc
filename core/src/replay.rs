//! The replay ring's arithmetic: where transitions go. What holds them is a backend's.

use alloc::vec::Vec;

/// How much a ring of `capacity` transitions holds, and where the next goes.
///
/// ```
/// let mut ring = recsim_core::replay::Ring::new(5);
/// let places: Vec<_> = ring.push(3).places().chain(ring.push(4).places()).collect();
/// assert_eq!(places, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(0), Some(1)]);
/// assert_eq!((ring.held(), ring.next_place()), (5, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    capacity: usize,
    held: usize,
    next: usize,
}

impl Ring {
    /// An empty ring; `capacity` is at least 1.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, held: 0, next: 0 }
    }

    /// A ring that holds `transitions`.
    pub fn holding(capacity: usize, transitions: &Transitions) -> Self {
        Self { capacity, held: transitions.user.len(), next: transitions.next }
    }

    /// Makes room for `count` transitions and says where they go.
    pub fn push(&mut self, count: usize) -> Span {
        let Self { capacity, next, .. } = *self;
        let skipped = count.saturating_sub(capacity);
        self.next = (next + count % capacity) % capacity;
        self.held = capacity.min(self.held + count);
        Span { skipped, first: (next + skipped % capacity) % capacity, count, capacity }
    }

    /// Where the next transition goes.
    pub fn next_place(&self) -> usize {
        self.next
    }

    /// Transitions the ring can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Transitions it holds now: the range that updates sample from.
    pub fn held(&self) -> usize {
        self.held
    }
}

/// Where some transitions go: the first `skipped` nowhere, as the ring holds fewer; the one after them to `first`, the
/// next to the place behind it, and so on around the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of more transitions than the ring holds, only the last have a place.
    pub skipped: usize,
    /// The first place.
    pub first: usize,
    count: usize,
    capacity: usize,
}

impl Span {
    /// The place of each transition, in order.
    pub fn places(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let Self { skipped, first, count, capacity } = *self;
        (0..count).map(move |n| n.checked_sub(skipped).map(|n| (first + n) % capacity))
    }
}

/// A ring's transitions on the host; tables are row-major, a row a place in the ring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transitions {
    /// Where the next transition goes: `held` until the ring is full, and then where the oldest lies.
    pub next: usize,
    /// `[held]`: the users, by index in the world
    pub user: Vec<u32>,
    /// `[held, K]`
    pub belief_before: Vec<f32>,
    /// `[held, K]`
    pub belief: Vec<f32>,
    /// `[held, D]`
    pub action: Vec<f32>,
    /// `[held]`
    pub reward: Vec<f32>,
}
