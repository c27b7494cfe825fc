//! Saves that run in a thread of their own.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

type SaveJob<'scope> = Box<dyn FnOnce() -> anyhow::Result<()> + Send + 'scope>;

/// Runs saves one at a time in a thread. At most one more save waits. A later save replaces the one that waits, because
/// it writes the same files with newer content.
pub(crate) struct Background<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    running: Option<ScopedJoinHandle<'scope, anyhow::Result<()>>>,
    next: Option<SaveJob<'scope>>,
}

impl<'scope, 'env> Background<'scope, 'env> {
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { scope, running: None, next: None }
    }

    /// Starts `save`, or queues it behind the save that is running.
    ///
    /// # Errors
    /// The error of an earlier save.
    pub(crate) fn save(&mut self, save: impl FnOnce() -> anyhow::Result<()> + Send + 'scope) -> anyhow::Result<()> {
        self.next = Some(Box::new(save));
        self.poll()
    }

    /// Joins the running save if it has ended, and starts the next one. Does not wait.
    ///
    /// # Errors
    /// The error of the save that has ended.
    pub(crate) fn poll(&mut self) -> anyhow::Result<()> {
        if let Some(running) = self.running.take_if(|running| running.is_finished()) {
            join(running)?;
        }
        if self.running.is_none() {
            self.running = self.next.take().map(|save| self.scope.spawn(save));
        }
        Ok(())
    }

    /// Waits until every save has ended.
    ///
    /// # Errors
    /// The error of the first save that failed.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        while let Some(running) = self.running.take() {
            join(running)?;
            self.poll()?;
        }
        Ok(())
    }
}

fn join(running: ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    running.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};
    use std::thread::scope;

    #[test]
    fn later_save_replaces_the_waiting_one() {
        let (release, hold) = mpsc::channel();
        let done = Mutex::new(Vec::new());
        scope(|scope| {
            let mut background = Background::new(scope);
            let push = |number| {
                done.lock().expect("no thread panics").push(number);
                Ok(())
            };
            background
                .save(move || {
                    hold.recv()?;
                    push(1)
                })
                .expect("no save came before");
            for number in 2..=4 {
                background.save(move || push(number)).expect("the first save is still running");
            }
            release.send(()).expect("the first save waits");
            background.wait().expect("every save succeeds");
        });
        assert_eq!(done.into_inner().expect("no thread panics"), [1, 4]);
    }

    #[test]
    fn wait_returns_the_error_of_an_earlier_save() {
        scope(|scope| {
            let mut background = Background::new(scope);
            background.save(|| Err(anyhow::anyhow!("the disk is full"))).expect("no save came before");
            let error = background.save(|| Ok(())).and_then(|()| background.wait());
            assert_eq!(error.expect_err("the disk is full").to_string(), "the disk is full");
        });
    }
}
