//! The kernels, run on the host in lockstep, do what every backend must, whoever of a block's threads goes first.

mod common;

use recsim_backend_cuda::{Cuda, Host};
use recsim_conformance::suite;

#[test]
fn the_kernels_serve_users_as_the_formulas_say() {
    if compiler() {
        // One block searches the whole catalogue.
        suite::users(|| Cuda::on(Host { backwards: false, blocks: 1 }));
    }
}

#[test]
fn the_order_of_threads_and_blocks_changes_nothing() {
    if compiler() {
        suite::users(|| Cuda::on(Host { backwards: true, blocks: 3 }));
    }
}

#[test]
fn states_and_noise_are_what_core_says() {
    if compiler() {
        common::stages(|| Cuda::on(Host::default()));
    }
}

fn compiler() -> bool {
    let found = Host::is_available();
    if !found {
        common::skipped("not one kernel was run: there is no C++ compiler `c++`", "RECSIM_NEEDS_CXX");
    }
    found
}
