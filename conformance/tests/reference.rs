//! The plain backend does what every backend must, in either precision.

use recsim_conformance::suite;
use recsim_core::backend::reference::Reference;

#[test]
fn the_reference_conforms_in_f32() {
    suite::in_float32(Reference::<f32>::default);
}

#[test]
fn the_reference_conforms_in_f64() {
    suite::all(Reference::<f64>::default);
}
