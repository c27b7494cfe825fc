//! Whoever watches a round, and the time it takes.

use crate::backend::StageSeconds;

/// Whoever watches a round. A closure that gives seconds is one.
pub trait RoundObserver {
    /// Seconds since any fixed moment.
    fn now(&mut self) -> f64;

    /// So many of the round's users have been served.
    fn users_served(&mut self, _users: usize) {}

    /// So many updates of a learning session are left; whether to put them off, and suspend the round.
    fn should_pause(&mut self, _left: u32) -> bool {
        false
    }
}

impl<F: FnMut() -> f64> RoundObserver for F {
    fn now(&mut self) -> f64 {
        self()
    }
}

/// Laps of a clock that core does not know.
pub(super) struct Stopwatch<'a> {
    pub(super) observer: &'a mut dyn RoundObserver,
    began: f64,
    last: f64,
    /// What has been timed, the whole apart.
    pub(super) seconds: StageSeconds,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn start(watcher: &'a mut dyn RoundObserver) -> Self {
        let now = watcher.now();
        Self { observer: watcher, began: now, last: now, seconds: StageSeconds::default() }
    }

    /// Adds the time since the last lap to a stage.
    pub(super) fn lap(&mut self, stage: impl FnOnce(&mut StageSeconds) -> &mut f64) {
        let now = self.observer.now();
        *stage(&mut self.seconds) += now - self.last;
        self.last = now;
    }

    /// What has been timed.
    pub(super) fn seconds(&self) -> StageSeconds {
        StageSeconds { total: self.seconds.total + (self.last - self.began), ..self.seconds }
    }
}
