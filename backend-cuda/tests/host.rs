//! The kernels, run on the host in lockstep, do what every backend must, whoever of a block's threads goes first.

mod common;

use recsim_backend_cuda::{Cuda, Host};
use recsim_conformance::{suite, td3};

#[test]
fn the_kernels_do_what_every_backend_does() {
    if compiler() {
        // One block searches the whole catalogue.
        suite::in_float32(|| Cuda::on(Host::new(false, 1)));
    }
}

#[test]
fn the_order_of_threads_and_blocks_changes_nothing() {
    if compiler() {
        suite::in_float32(|| Cuda::on(Host::new(true, 3)));
    }
}

#[test]
fn td3_is_pytorchs() {
    if compiler() {
        td3::matches_pytorch(|| Cuda::on(Host::new(false, 1)));
    }
}

#[test]
fn states_are_what_core_says() {
    if compiler() {
        common::states_are_beliefs_and_embeddings(&mut Cuda::on(Host::new(false, 1)));
    }
}

#[test]
fn a_spoilt_actor_is_noticed() {
    if compiler() {
        common::a_spoilt_actor_is_noticed(&mut Cuda::on(Host::new(false, 1)));
    }
}

fn compiler() -> bool {
    let found = Host::is_available();
    if !found {
        common::skipped("not one kernel was run: there is no C++ compiler `c++`", "RECSIM_NEEDS_CXX");
    }
    found
}
