//! Ctrl-C and termination: the first asks the run to stop after its round, another one ends it at once. Who sends one
//! to a program and to its group, as `timeout` does, sends two, and means one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Interrupted;

/// Whether somebody has asked the run to stop: the code to exit with then, or 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Listens from now on, and when the first signal comes, calls `heard` from another thread.
    pub(crate) fn listen(heard: impl FnOnce() + Send + 'static) -> anyhow::Result<Self> {
        let asked = Self::default();
        let impatient = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let code = BY_SIGNAL + signal;
            flag::register_conditional_shutdown(signal, code, Arc::clone(&impatient))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&asked.0), code as usize))
                .context("could not listen for signals")?;
        }
        let listener = asked.clone();
        // A signal's handler may not print. The thread ends with the program.
        thread::spawn(move || {
            while listener.asked().is_none() {
                thread::sleep(BETWEEN_LOOKS);
            }
            heard();
            thread::sleep(ECHO);
            impatient.store(true, Ordering::Relaxed);
        });
        Ok(asked)
    }

    /// If a signal has come, what the program should exit with.
    pub(crate) fn asked(&self) -> Option<Interrupted> {
        let code = self.0.load(Ordering::Relaxed);
        (code != 0).then_some(Interrupted { code: code as u8 })
    }
}

/// A signal that follows sooner is the same one.
const ECHO: Duration = Duration::from_millis(500);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Programs that a signal ends exit with this and its number.
const BY_SIGNAL: i32 = 128;
