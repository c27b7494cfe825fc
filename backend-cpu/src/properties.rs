//! Configuration of this crate's property tests.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// A configuration with this number of cases. Failures are stored with those of the whole workspace.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let file = FileFailurePersistence::Direct("../proptest-regressions/backend-cpu.txt");
    ProptestConfig { cases, failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}
