//! How the property tests of this program remember what they found.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The usual configuration, with failures kept where all of the workspace's are.
pub(crate) fn config() -> ProptestConfig {
    let file = FileFailurePersistence::Direct("../proptest-regressions/cli.txt");
    ProptestConfig { failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}
