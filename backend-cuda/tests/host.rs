//! The kernels, run on the host in lockstep, do what every backend must do, in two orders of threads and blocks.

mod common;

use recsim_backend_cuda::{Cuda, HostDevice};
use recsim_conformance::{suite, td3};

#[test]
fn host_kernels_pass_the_conformance_suite() {
    if has_compiler("host_kernels_pass_the_conformance_suite") {
        // One block searches the whole catalogue.
        suite::in_float32(|| Cuda::on(HostDevice::new(false, 1)));
    }
}

#[test]
fn host_kernels_pass_the_conformance_suite_in_reverse_order() {
    if has_compiler("host_kernels_pass_the_conformance_suite_in_reverse_order") {
        suite::in_float32(|| Cuda::on(HostDevice::new(true, 3)));
    }
}

#[test]
fn host_td3_matches_pytorch() {
    if has_compiler("host_td3_matches_pytorch") {
        td3::matches_pytorch(|| Cuda::on(HostDevice::new(false, 1)));
    }
}

#[test]
fn host_observe_computes_beliefs_and_embeddings() {
    if has_compiler("host_observe_computes_beliefs_and_embeddings") {
        common::observe_computes_beliefs_and_embeddings(&mut Cuda::on(HostDevice::new(false, 1)));
    }
}

#[test]
fn host_tally_reports_non_finite_actions() {
    if has_compiler("host_tally_reports_non_finite_actions") {
        common::tally_reports_non_finite_actions(&mut Cuda::on(HostDevice::new(false, 1)));
    }
}

fn has_compiler(test: &str) -> bool {
    let is_available = HostDevice::is_available();
    if !is_available {
        common::skip(test, "there is no C++ compiler `c++`", "RECSIM_NEEDS_CXX");
    }
    is_available
}
