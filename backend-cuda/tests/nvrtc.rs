//! NVRTC compiles every kernel without a warning, for old and new GPUs.

mod common;

use recsim_backend_cuda::{Nvrtc, compile_all};

#[test]
fn kernels_compile_without_warnings() {
    let compiler = match Nvrtc::find() {
        Ok(compiler) => compiler,
        Err(error) => {
            let reason = error.to_string();
            return common::skip("kernels_compile_without_warnings", &reason, "RECSIM_NEEDS_NVRTC");
        }
    };
    let newest = compiler.targets().expect("NVRTC's targets").into_iter().max().expect("at least one target");
    for capability in [75, 80, 90, newest] {
        for (clusters, dimensions, pretrained_len, rl_slots, slate_len) in
            [(5, 64, 40, 10, 20), (1, 1, 1, 1, 1), (17, 130, 100, 33, 70), (500, 8, 20, 10, 20)]
        {
            let constants = [
                ("K", clusters),
                ("D", dimensions),
                ("PRETRAINED_LEN", pretrained_len),
                ("RL_SLOTS", rl_slots),
                ("SLATE_LEN", slate_len),
            ];
            let warnings = compile_all(compiler, &constants, capability)
                .unwrap_or_else(|error| panic!("capability {capability}, {constants:?}: {error}"));
            assert_eq!(warnings, "", "capability {capability}, {constants:?}");
        }
    }
}
