//! On a GPU: the kernels do there what they do on the host.

use recsim_backend_cuda::Cuda;
use recsim_conformance::suite;

#[test]
fn a_gpu_serves_users_as_the_formulas_say() {
    match Cuda::new() {
        Ok(_) => suite::users(|| Cuda::new().expect("the GPU was there a moment ago")),
        Err(error) if std::env::var_os("RECSIM_NEEDS_GPU").is_some() => panic!("{error}"),
        Err(error) => eprintln!("SKIPPED, nothing was run on a GPU: {error}"),
    }
}
