//! Tests that need hardware which this machine may not have.

use std::io::Write;

/// Reports on standard error that a test, or its part for AMX, is skipped because this machine has no AMX. The report
/// is written directly, so that the test harness does not capture it.
///
/// # Panics
/// If the environment variable `RECSIM_NEEDS_AMX` is set.
pub(crate) fn no_amx(test: &str) {
    assert!(
        std::env::var_os("RECSIM_NEEDS_AMX").is_none(),
        "{test}: no AMX on this machine, but RECSIM_NEEDS_AMX is set"
    );
    writeln!(std::io::stderr(), "skipped: {test}: no AMX on this machine").expect("standard error is writable");
}
