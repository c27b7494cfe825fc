//! Files written while the run goes on.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

/// Does one job at a time in a thread of its own.
pub(crate) struct Background<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    running: Option<ScopedJoinHandle<'scope, anyhow::Result<()>>>,
}

impl<'scope, 'env> Background<'scope, 'env> {
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { scope, running: None }
    }

    /// Begins `job` when the last one is done; an error is the last one's.
    pub(crate) fn begin(&mut self, job: impl FnOnce() -> anyhow::Result<()> + Send + 'scope) -> anyhow::Result<()> {
        self.wait()?;
        self.running = Some(self.scope.spawn(job));
        Ok(())
    }

    /// Waits for the last job, and says what went wrong with it.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}
