//! The stages of recsim on an NVIDIA GPU.
//!
//! They are not written yet: [`Cuda::new`] says so.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::fmt;

use recsim_core::backend::{BackendError, ErrorKind};

/// An NVIDIA GPU. None can be had so far.
#[derive(Debug)]
pub struct Cuda(Infallible);

impl Cuda {
    /// Always the error that this build has no CUDA stages.
    ///
    /// ```
    /// use recsim_core::backend::{BackendError, ErrorKind};
    /// let error = recsim_backend_cuda::Cuda::new().expect_err("nothing is there yet");
    /// assert_eq!(error.kind(), ErrorKind::Unavailable);
    /// ```
    pub fn new() -> Result<Self, CudaError> {
        Err(CudaError::NotBuilt)
    }
}

/// Why a stage could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CudaError {
    /// This build has no CUDA stages.
    NotBuilt,
}

impl BackendError for CudaError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

impl std::error::Error for CudaError {}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the CUDA backend is not part of this version of recsim: choose `cpu`, which needs no GPU")
    }
}
