//! The configuration of the property tests.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The default configuration, with failures stored where those of the whole workspace are.
pub(crate) fn config() -> ProptestConfig {
    let file = FileFailurePersistence::Direct("../proptest-regressions/cli.txt");
    ProptestConfig { failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}
