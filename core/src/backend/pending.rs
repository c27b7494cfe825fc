//! What is still on its way from a device.

use alloc::boxed::Box;

/// A copy of what a device held when it was asked for, which may still be on its way: whoever needs it waits for it, in
/// whatever thread, while the device goes on.
///
/// ```
/// use recsim_core::backend::Pending;
/// let later = Pending::new(|| Ok::<_, ()>(6)).map(|number| number * 7);
/// assert_eq!(std::thread::spawn(|| later.wait()).join().unwrap(), Ok(42));
/// ```
pub struct Pending<T, E>(Box<dyn FnOnce() -> Result<T, E> + Send>);

impl<T: Send + 'static, E: 'static> Pending<T, E> {
    /// What `wait` gives, having waited.
    pub fn new(wait: impl FnOnce() -> Result<T, E> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// What is there already.
    pub fn ready(value: T) -> Self {
        Self::new(|| Ok(value))
    }

    /// What becomes of it by `change`, made by whoever waits.
    pub fn map<U: Send + 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Pending<U, E> {
        Pending::new(|| self.wait().map(change))
    }

    /// Waits.
    ///
    /// # Errors
    /// If the device failed while it made the copy, or before.
    pub fn wait(self) -> Result<T, E> {
        (self.0)()
    }
}
