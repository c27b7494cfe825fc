//! How the property tests of this crate remember what they found.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// So many cases, with failures kept where all of the workspace's are.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let file = FileFailurePersistence::Direct("../proptest-regressions/backend-cpu.txt");
    ProptestConfig { cases, failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}
