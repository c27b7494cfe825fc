//! The reference backend's TD3 compared with PyTorch's.

use recsim_conformance::td3::matches_pytorch;
use recsim_core::backend::reference::Reference;

#[test]
fn reference_matches_pytorch_in_float32() {
    matches_pytorch(Reference::<f32>::default);
}

#[test]
fn reference_matches_pytorch_in_float64() {
    matches_pytorch(Reference::<f64>::default);
}
