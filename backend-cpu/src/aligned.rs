//! Tables that begin with a cache line.

use std::ops::{Deref, DerefMut};

/// Numbers of four bytes, at first all 0, of which the first lies at the beginning of a cache line: a vector that lies
/// across two costs two loads.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub(crate) fn new(len: usize) -> Self {
        const { assert!(size_of::<T>() == 4) };
        let storage = vec![T::default(); len + LINE];
        // `align_offset` may decline to answer: the minimum only guards the slices below.
        let start = storage.as_ptr().align_offset(LINE * size_of::<T>()).min(LINE);
        Self { storage, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.storage[self.start..][..self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.storage[self.start..][..self.len]
    }
}

/// Numbers in a cache line.
const LINE: usize = 16;
