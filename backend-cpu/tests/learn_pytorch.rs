//! The CPU's TD3 held to PyTorch's.

use recsim_backend_cpu::Cpu;
use recsim_conformance::td3::matches_pytorch;

#[test]
fn updates_are_pytorchs_to_float32_accuracy() {
    matches_pytorch(|| Cpu::new(Some(2)).unwrap());
}
