//! A library that lacks a function is an error that names the function, not a panic.

mod common;

use std::path::Path;
use std::process::Command;

use recsim_backend_cuda::{Cuda, Nvrtc};

/// Set in the child process, which only prints what it finds.
const CHILD: &str = "RECSIM_TEST_PRINTS_LIBRARY_ERRORS";
const TEST: &str = "missing_symbol_is_an_error_that_names_it";

#[test]
fn missing_symbol_is_an_error_that_names_it() {
    if std::env::var_os(CHILD).is_some() {
        return print_library_errors();
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (library, expected) in [
        ("libcuda.so.1", "driver: the NVIDIA driver (libcuda) has no `cuCtxGetCurrent`"),
        ("libnvrtc.so", "compiler: NVRTC (libnvrtc) has no `nvrtcCompileProgram`"),
    ] {
        if !compile_empty_library(&folder.path().join(library)) {
            return common::skip(TEST, "there is no C++ compiler `c++`", "RECSIM_NEEDS_CXX");
        }
        let actual = errors_with_libraries_of(folder.path());
        assert!(actual.contains(expected), "{library}: {actual}");
    }
}

fn print_library_errors() {
    println!("driver: {}", Cuda::new().map_or_else(|error| error.to_string(), |_| "no error".to_owned()));
    println!("compiler: {}", Nvrtc::find().map_or_else(|error| error.to_string(), |_| "no error".to_owned()));
}

/// Returns false without a compiler.
fn compile_empty_library(library: &Path) -> bool {
    let mut compiler = Command::new("c++");
    let status = compiler.args(["-shared", "-x", "c++", "/dev/null", "-o"]).arg(library).status();
    status.is_ok_and(|status| status.success())
}

/// The output of this test in a process that finds the libraries of `folder` first.
fn errors_with_libraries_of(folder: &Path) -> String {
    let test_binary = std::env::current_exe().expect("the path of the test binary");
    let child = Command::new(test_binary)
        .args(["--exact", "--nocapture", TEST])
        .env(CHILD, "1")
        .env("LD_LIBRARY_PATH", folder)
        .output()
        .expect("the test binary starts");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    String::from_utf8_lossy(&child.stdout).into_owned()
}
