//! A `recsim` process under test. Tests wait for what it writes or does, never for a time.
#![allow(dead_code, reason = "each test program uses its own share")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// A running command. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What was read from standard error.
    text: String,
}

impl Process {
    /// Starts `command`. Its standard error is read by this; its standard output is discarded.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, text: String::new() }
    }

    /// Blocks until the process writes a line to standard error that contains `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            let start = self.text.len();
            let num_bytes = self.stderr.read_line(&mut self.text).unwrap();
            assert!(num_bytes > 0, "the process ended without `{text}`: {}", self.text);
            if self.text[start..].contains(text) {
                return;
            }
        }
    }

    /// Reads up to `count` lines of standard error. Returns whether the process wrote as many.
    pub(crate) fn skip_lines(&mut self, count: usize) -> bool {
        (0..count).all(|_| self.stderr.read_line(&mut self.text).unwrap() > 0)
    }

    /// Spins until `condition` holds, while the process runs.
    pub(crate) fn wait_until(&mut self, condition: impl Fn() -> bool) {
        while !condition() {
            assert!(self.is_running(), "the process ended: {}", self.text);
            std::thread::yield_now();
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Blocks until the process ends. The output has all of its standard error.
    pub(crate) fn finish(&mut self) -> Output {
        self.stderr.read_to_string(&mut self.text).unwrap();
        let status = self.child.wait().unwrap();
        Output { status, stdout: Vec::new(), stderr: self.text.clone().into_bytes() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
