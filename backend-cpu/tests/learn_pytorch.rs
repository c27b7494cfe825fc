//! The CPU backend's TD3 updates against PyTorch's.

use recsim_backend_cpu::Cpu;
use recsim_conformance::td3::matches_pytorch;

#[test]
fn updates_match_pytorch_to_float32_accuracy() {
    matches_pytorch(|| Cpu::new(Some(2)).unwrap());
}
