//! A result that a device may still be computing.

use alloc::boxed::Box;

/// A copy of a part of a device's state, as it was when the copy was requested. The transfer may still be under way.
///
/// Any thread can wait for it while the device works on. It is not a future: waiting blocks the thread.
///
/// ```
/// use recsim_core::backend::Pending;
/// let pending = Pending::new(|| Ok::<_, ()>(6)).map(|value| value * 7);
/// assert_eq!(std::thread::spawn(|| pending.wait()).join().unwrap(), Ok(42));
/// ```
pub struct Pending<T, E>(Box<dyn FnOnce() -> Result<T, E> + Send>);

impl<T: Send + 'static, E: 'static> Pending<T, E> {
    /// A result that `wait` returns. [`Pending::wait`] calls it, once, on the thread that waits.
    pub fn new(wait: impl FnOnce() -> Result<T, E> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// A result that is available already.
    pub fn ready(value: T) -> Self {
        Self::new(|| Ok(value))
    }

    /// Applies `change` to the result. It runs in [`Pending::wait`], on the thread that waits.
    pub fn map<U: Send + 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Pending<U, E> {
        Pending::new(|| self.wait().map(change))
    }

    /// Waits for the result and returns it.
    ///
    /// # Errors
    /// If the device failed while it made the copy or before.
    pub fn wait(self) -> Result<T, E> {
        (self.0)()
    }
}
