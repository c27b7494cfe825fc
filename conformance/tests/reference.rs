//! The conformance suite over the reference backend, in both precisions.

use recsim_conformance::suite;
use recsim_core::backend::reference::Reference;

#[test]
fn reference_conforms_in_f32() {
    suite::in_float32(Reference::<f32>::default);
}

#[test]
fn reference_conforms_in_f64() {
    suite::all(Reference::<f64>::default);
}
