//! Ctrl-C and termination: the first asks the run to stop after its round, another one ends it at once. Who sends one
//! to a program and to its group, as `timeout` does, sends two, and means one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether somebody has asked the run to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on, and when the first signal comes, calls `heard` from another thread.
    pub(crate) fn listen(heard: impl FnOnce() + Send + 'static) -> anyhow::Result<Self> {
        let asked = Self::default();
        let impatient = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&impatient))
                .and_then(|_| flag::register(signal, Arc::clone(&asked.0)))
                .context("could not listen for signals")?;
        }
        let listener = asked.clone();
        // A signal's handler may not print. The thread ends with the program.
        thread::spawn(move || {
            while !listener.asked() {
                thread::sleep(BETWEEN_LOOKS);
            }
            heard();
            thread::sleep(ECHO);
            impatient.store(true, Ordering::Relaxed);
        });
        Ok(asked)
    }

    /// Whether a signal has come.
    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A signal that follows sooner is the same one.
const ECHO: Duration = Duration::from_millis(500);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const EXIT_CODE: i32 = 130;
