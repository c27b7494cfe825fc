//! Whoever watches a round, and the time it takes.

use crate::backend::Seconds;

/// Whoever watches a round. A closure that gives seconds is one.
pub trait Watcher {
    /// Seconds since any fixed moment.
    fn seconds(&mut self) -> f64;

    /// So many of the round's users have been served.
    fn served(&mut self, _users: usize) {}

    /// So many updates of a learning session are left; whether to put them off, and suspend the round.
    fn puts_off(&mut self, _left: u32) -> bool {
        false
    }
}

impl<F: FnMut() -> f64> Watcher for F {
    fn seconds(&mut self) -> f64 {
        self()
    }
}

/// Laps of a clock that core does not know.
pub(super) struct Watch<'a> {
    pub(super) watcher: &'a mut dyn Watcher,
    began: f64,
    last: f64,
    /// What has been timed, the whole apart.
    pub(super) seconds: Seconds,
}

impl<'a> Watch<'a> {
    pub(super) fn start(watcher: &'a mut dyn Watcher) -> Self {
        let now = watcher.seconds();
        Self { watcher, began: now, last: now, seconds: Seconds::default() }
    }

    /// Adds the time since the last lap to a stage.
    pub(super) fn lap(&mut self, stage: impl FnOnce(&mut Seconds) -> &mut f64) {
        let now = self.watcher.seconds();
        *stage(&mut self.seconds) += now - self.last;
        self.last = now;
    }

    /// What has been timed.
    pub(super) fn seconds(&self) -> Seconds {
        Seconds { total: self.seconds.total + (self.last - self.began), ..self.seconds }
    }
}
