//! NVRTC compiles every kernel without a warning, for old GPUs and new ones.

mod common;

use recsim_backend_cuda::{Nvrtc, compile_all};

#[test]
fn every_kernel_compiles_for_old_and_new_gpus() {
    let compiler = match Nvrtc::find() {
        Ok(compiler) => compiler,
        Err(error) => {
            return common::skipped(&format!("not one kernel was compiled: {error}"), "RECSIM_NEEDS_NVRTC");
        }
    };
    let newest = compiler.targets().expect("NVRTC knows its targets").into_iter().max().expect("it has some");
    for capability in [75, 80, 90, newest] {
        for (clusters, dimensions, list, chosen, shown) in
            [(5, 64, 40, 10, 20), (1, 1, 1, 1, 1), (17, 130, 100, 33, 70), (500, 8, 20, 10, 20)]
        {
            let constants =
                [("K", clusters), ("D", dimensions), ("LIST", list), ("CHOSEN", chosen), ("SHOWN", shown)];
            let warnings = compile_all(compiler, &constants, capability)
                .unwrap_or_else(|error| panic!("for {capability}, {constants:?}: {error}"));
            assert_eq!(warnings, "", "for {capability}, {constants:?}");
        }
    }
}
