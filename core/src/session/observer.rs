//! The caller's view of a running round, and the time of its stages.

use crate::backend::StageSeconds;

/// Receives the progress of a round, supplies a clock, and can pause the round between updates.
///
/// Core has no clock of its own. A closure that returns seconds implements the trait: it reports no progress and never
/// pauses. `&mut || 0.0` is enough where times do not matter.
///
/// ```
/// use recsim_core::session::RoundObserver;
/// /// Pauses the round after 10 updates.
/// struct TenUpdates(u32);
/// impl RoundObserver for TenUpdates {
///     fn now(&mut self) -> f64 {
///         0.0
///     }
///     fn should_pause(&mut self, _remaining: u32) -> bool {
///         self.0 += 1;
///         self.0 > 10
///     }
/// }
/// assert_eq!((|| 1.5).now(), 1.5);
/// ```
pub trait RoundObserver {
    /// Seconds since a fixed moment of the caller's choice.
    fn now(&mut self) -> f64;

    /// Called after each batch, with the number of users served in this round so far.
    fn users_served(&mut self, _users: usize) {}

    /// Called before each update, with the number of updates that the round still has to make, at least 1. `true`
    /// pauses the round: [`Session::round`](crate::session::Session::round) then returns `None`.
    fn should_pause(&mut self, _remaining: u32) -> bool {
        false
    }
}

impl<F: FnMut() -> f64> RoundObserver for F {
    fn now(&mut self) -> f64 {
        self()
    }
}

/// Measures the stages of a round with the observer's clock.
pub(super) struct Stopwatch<'a> {
    pub(super) observer: &'a mut dyn RoundObserver,
    start: f64,
    last_lap: f64,
    /// Seconds by stage. `total` holds what earlier parts of a paused round took.
    pub(super) seconds: StageSeconds,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn start(observer: &'a mut dyn RoundObserver) -> Self {
        let now = observer.now();
        Self { observer, start: now, last_lap: now, seconds: StageSeconds::default() }
    }

    /// Adds the time since the last lap to a stage.
    pub(super) fn lap(&mut self, stage: impl FnOnce(&mut StageSeconds) -> &mut f64) {
        let now = self.observer.now();
        *stage(&mut self.seconds) += now - self.last_lap;
        self.last_lap = now;
    }

    /// The seconds of all stages, with the total up to the last lap.
    pub(super) fn seconds(&self) -> StageSeconds {
        StageSeconds { total: self.seconds.total + (self.last_lap - self.start), ..self.seconds }
    }
}
