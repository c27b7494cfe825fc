//! The replay ring's arithmetic: where transitions go. What holds them is a backend's.

/// How much a ring of `capacity` transitions holds, and where the next goes.
///
/// ```
/// let mut ring = recsim_core::replay::Ring::new(5);
/// let places: Vec<_> = ring.push(3).chain(ring.push(4)).collect();
/// assert_eq!(places, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(0), Some(1)]);
/// assert_eq!(ring.held(), 5);
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

    /// Makes room for `count` transitions, in order, and says where each goes. Of more than the ring holds, only the
    /// last have a place.
    pub fn push(&mut self, count: usize) -> impl Iterator<Item = Option<usize>> + use<> {
        let (start, capacity) = (self.next, self.capacity);
        self.next = (start + count % capacity) % capacity;
        self.held = capacity.min(self.held + count);
        let skipped = count.saturating_sub(capacity);
        (0..count).map(move |n| (n >= skipped).then(|| (start + n % capacity) % capacity))
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
