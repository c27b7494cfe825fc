//! Files written while the run goes on.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

type Job<'scope> = Box<dyn FnOnce() -> anyhow::Result<()> + Send + 'scope>;

/// Saves, one at a time, in a thread of its own. If a save is due while another is still being written, it waits; and if a
/// third comes, the one that waits is dropped, as the third has all that it has.
pub(crate) struct Background<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    running: Option<ScopedJoinHandle<'scope, anyhow::Result<()>>>,
    next: Option<Job<'scope>>,
}

impl<'scope, 'env> Background<'scope, 'env> {
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self { scope, running: None, next: None }
    }

    /// Has `save` done soon. An error is an earlier one's.
    pub(crate) fn save(&mut self, save: impl FnOnce() -> anyhow::Result<()> + Send + 'scope) -> anyhow::Result<()> {
        self.next = Some(Box::new(save));
        self.look()
    }

    /// Says what went wrong with a save that has ended, and begins the next.
    pub(crate) fn look(&mut self) -> anyhow::Result<()> {
        if let Some(running) = self.running.take_if(|running| running.is_finished()) {
            joined(running)?;
        }
        if self.running.is_none() {
            self.running = self.next.take().map(|save| self.scope.spawn(save));
        }
        Ok(())
    }

    /// Waits for every save, and says what went wrong.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        while let Some(running) = self.running.take() {
            joined(running)?;
            self.look()?;
        }
        Ok(())
    }
}

fn joined(running: ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    running.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};
    use std::thread::scope;

    #[test]
    fn a_save_that_waits_gives_way_to_a_later_one() {
        let (release, hold) = mpsc::channel();
        let done = Mutex::new(Vec::new());
        scope(|scope| {
            let mut background = Background::new(scope);
            let push = |number| {
                done.lock().expect("nobody panics").push(number);
                Ok(())
            };
            background
                .save(move || {
                    hold.recv()?;
                    push(1)
                })
                .expect("nothing was before it");
            for number in 2..=4 {
                background.save(move || push(number)).expect("the first is not done");
            }
            release.send(()).expect("the first waits");
            background.wait().expect("all is well");
        });
        assert_eq!(done.into_inner().expect("nobody panics"), [1, 4]);
    }

    #[test]
    fn an_error_is_told_at_the_latest_when_all_is_waited_for() {
        scope(|scope| {
            let mut background = Background::new(scope);
            background.save(|| Err(anyhow::anyhow!("the disk is full"))).expect("it has not begun");
            let told = background.save(|| Ok(())).and_then(|()| background.wait());
            assert_eq!(told.expect_err("the disk is full").to_string(), "the disk is full");
        });
    }
}
