//! What is missing is said in words, not by a panic: libraries that are not there, or that are not what they should be.

mod common;

use std::path::Path;
use std::process::Command;

use recsim_backend_cuda::{Cuda, Nvrtc};

#[test]
fn a_library_without_its_functions_is_an_error_that_names_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(found) = looked(folder.path(), "libcuda.so.1") else { return };
    assert!(found.contains("the NVIDIA driver (libcuda) has no `cuCtxGetCurrent`"), "{found}");
    let Some(found) = looked(folder.path(), "libnvrtc.so") else { return };
    assert!(found.contains("NVRTC (libnvrtc) has no `nvrtcCompileProgram`"), "{found}");
}

/// What the other test says in a process that finds an empty library of this name first; none without a compiler to make it.
fn looked(folder: &Path, library: &str) -> Option<String> {
    let mut compiler = Command::new("c++");
    let made = compiler.args(["-shared", "-x", "c++", "/dev/null", "-o"]).arg(folder.join(library)).status();
    if !made.is_ok_and(|status| status.success()) {
        common::skipped("no spoilt library was made: there is no C++ compiler `c++`", "RECSIM_NEEDS_CXX");
        return None;
    }
    let me = std::env::current_exe().expect("a test knows where it is");
    let found = Command::new(me)
        .args(["--exact", "--ignored", "--nocapture", "what_is_found_is_said"])
        .env("LD_LIBRARY_PATH", folder)
        .output()
        .expect("a test runs itself");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    Some(String::from_utf8_lossy(&found.stdout).into_owned())
}

#[test]
#[ignore = "run by the other, where libraries are spoilt"]
fn what_is_found_is_said() {
    println!("driver: {}", Cuda::new().map_or_else(|error| error.to_string(), |_| "there".to_owned()));
    println!("compiler: {}", Nvrtc::find().map_or_else(|error| error.to_string(), |_| "there".to_owned()));
}
