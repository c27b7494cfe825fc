//! The kernels, run on the host in lockstep, do what every backend must, whoever of a block's threads goes first.

use recsim_backend_cuda::{Cuda, Host};
use recsim_conformance::suite;

#[test]
fn the_kernels_serve_users_as_the_formulas_say() {
    if compiler() {
        suite::users(|| Cuda::on(Host::default()));
    }
}

#[test]
fn the_order_of_threads_and_blocks_changes_nothing() {
    if compiler() {
        suite::users(|| Cuda::on(Host { backwards: true }));
    }
}

/// Whether there is one; says so loudly if not.
fn compiler() -> bool {
    let found = Host::is_available();
    assert!(found || std::env::var_os("RECSIM_NEEDS_CXX").is_none(), "there is no C++ compiler");
    if !found {
        eprintln!("SKIPPED, not one kernel was run: there is no C++ compiler `c++`");
    }
    found
}
