//! Ctrl-C and termination. The first signal asks the program to stop after its current round; a second one exits at
//! once. Signals that follow within [`ECHO`] count as the same one: `timeout` signals a program and then its group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Interrupted;

/// Whether a signal has asked the program to stop: the code to exit with, or 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Installs the signal handlers. Calls `on_signal` from another thread after the first signal.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub(crate) fn listen(on_signal: impl FnOnce() + Send + 'static) -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let exits_at_once = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let code = SIGNAL_EXIT_BASE + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&exits_at_once))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&interrupt.0), code as usize))
                .context("could not listen for signals")?;
        }
        let listener = interrupt.clone();
        // A signal handler must not print, so a thread polls. It ends with the program.
        thread::spawn(move || {
            while listener.asked().is_none() {
                thread::sleep(POLL_INTERVAL);
            }
            on_signal();
            thread::sleep(ECHO);
            exits_at_once.store(true, Ordering::Relaxed);
        });
        Ok(interrupt)
    }

    /// The exit code as an error, once a signal has arrived.
    pub(crate) fn asked(&self) -> Option<Interrupted> {
        let code = self.0.load(Ordering::Relaxed);
        (code != 0).then_some(Interrupted { code: code as u8 })
    }
}

/// A signal that arrives sooner after the first counts as the same one.
const ECHO: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A program that a signal ends exits with this plus the signal's number.
const SIGNAL_EXIT_BASE: i32 = 128;
