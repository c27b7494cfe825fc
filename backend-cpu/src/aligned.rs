//! Arrays aligned to a cache line.

use std::ops::{Deref, DerefMut};

/// An array of 4-byte elements, initially zero, whose first element begins a cache line. An unaligned vector load that
/// crosses two cache lines costs two loads.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub(crate) fn new(len: usize) -> Self {
        const { assert!(size_of::<T>() == 4) };
        let storage = vec![T::default(); len + LINE_LEN];
        // `align_offset` may return `usize::MAX`: the minimum keeps the slices below in range.
        let start = storage.as_ptr().align_offset(LINE_LEN * size_of::<T>()).min(LINE_LEN);
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

/// 4-byte elements in a cache line.
const LINE_LEN: usize = 16;
