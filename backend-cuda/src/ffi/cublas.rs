//! Matrix products by cuBLAS.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use cudarc::cublas::{CudaBlas, result, sys};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr};

use super::{DeviceMatrix, MatmulShape, Precision};
use crate::CudaError;

/// cuBLAS on a stream.
#[derive(Debug)]
pub(super) struct Cublas {
    blas: CudaBlas,
    stream: Arc<CudaStream>,
    precision: Precision,
}

impl Cublas {
    /// Checks that the library is installed.
    ///
    /// # Errors
    /// The library, or one of its functions, is missing: the error says how to install it.
    pub(super) fn find() -> Result<(), CudaError> {
        // SAFETY: opening the library has no other effect.
        if !unsafe { sys::is_culib_present() } {
            let reason = format!("cuBLAS (libcublas), which multiplies matrices, is missing: {INSTALL_HINT}");
            return Err(CudaError::Unavailable { reason });
        }
        // SAFETY: the library is present, and the symbol is only looked up.
        let is_missing = |name: &&str| unsafe { sys::culib().get::<*const c_void>(name.as_bytes()) }.is_err();
        if let Some(name) = REQUIRED_SYMBOLS.into_iter().find(is_missing) {
            return Err(CudaError::Unavailable {
                reason: format!("cuBLAS (libcublas) has no `{name}`: {INSTALL_HINT}"),
            });
        }
        Ok(())
    }

    /// The version of the library, such as `(13, 1)`. The major version is CUDA's.
    ///
    /// # Errors
    /// The library does not report its version.
    pub(super) fn version() -> Result<(i32, i32), CudaError> {
        use sys::libraryPropertyType::{MAJOR_VERSION, MINOR_VERSION};
        let number = |property| {
            let mut number = 0;
            // SAFETY: the function writes one number.
            let status = unsafe { sys::cublasGetProperty(property, &mut number) }.result();
            status.map(|()| number).map_err(failed("reading cuBLAS's version"))
        };
        Ok((number(MAJOR_VERSION)?, number(MINOR_VERSION)?))
    }

    /// Starts the library after [`Cublas::find`] has succeeded.
    ///
    /// # Errors
    /// The library does not start.
    pub(super) fn new(stream: &Arc<CudaStream>, precision: Precision) -> Result<Self, CudaError> {
        let blas = CudaBlas::new(Arc::clone(stream)).map_err(failed("starting cuBLAS"))?;
        Ok(Self { blas, stream: Arc::clone(stream), precision })
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Makes the library use `workspace`, which must live as long as `self`: captured launches then refer to memory
    /// that stays valid, and sums have the same order each time.
    ///
    /// # Errors
    /// The library rejects the memory.
    pub(super) fn set_workspace(&self, workspace: &CudaSlice<u8>) -> Result<(), CudaError> {
        let (address, _) = workspace.device_ptr(&self.stream);
        // SAFETY: the handle is alive, and the memory has this length.
        unsafe { sys::cublasSetWorkspace_v2(*self.blas.handle(), address as *mut c_void, workspace.len()) }
            .result()
            .map_err(failed("setting cuBLAS's workspace"))
    }

    /// Multiplies: see [`Device::matmul`](super::Device::matmul).
    ///
    /// # Errors
    /// A size does not fit cuBLAS's integers, or the product cannot be started.
    pub(super) fn matmul(
        &self,
        shape: &MatmulShape,
        left: &DeviceMatrix<'_, CudaSlice<u8>>,
        right: &DeviceMatrix<'_, CudaSlice<u8>>,
        out: &DeviceMatrix<'_, CudaSlice<u8>>,
    ) -> Result<(), CudaError> {
        let &MatmulShape { rows, columns, inner, count } = shape;
        let checked_address = |matrix: &DeviceMatrix<'_, CudaSlice<u8>>, required_len: usize| {
            let actual = matrix.buffer.len();
            assert!(actual >= 4 * required_len, "a buffer of {actual} bytes where {} are needed", 4 * required_len);
            (matrix.buffer.device_ptr(&self.stream).0 + 4 * matrix.offset as u64) as *mut c_void
        };
        let left_address = checked_address(left, left.required_len(rows, inner, count));
        let right_address = checked_address(right, right.required_len(inner, columns, count));
        let out_address = checked_address(out, out.required_len(rows, columns, count));
        // cuBLAS is column-major: it sees the transposes of all matrices, and so the right one is its first argument.
        let operation = |matrix: &DeviceMatrix<'_, _>| {
            if matrix.is_transposed {
                sys::cublasOperation_t::CUBLAS_OP_T
            } else {
                sys::cublasOperation_t::CUBLAS_OP_N
            }
        };
        let (one, zero) = (1.0_f32, 0.0_f32);
        let element = sys::cudaDataType_t::CUDA_R_32F;
        let compute = match self.precision {
            Precision::Float32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            Precision::Tf32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            Precision::Bf16 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_16BF,
        };
        self.stream
            .context()
            .bind_to_thread()
            .map_err(|error| super::gpu::failed("binding the context to the thread")(error))?;
        // SAFETY: all matrices are within their buffers, as checked above. cuBLAS reads the factors before the call
        // returns.
        unsafe {
            result::gemm_strided_batched_ex(
                *self.blas.handle(),
                operation(right),
                operation(left),
                int(columns)?,
                int(rows)?,
                int(inner)?,
                (&raw const one).cast(),
                right_address,
                element,
                int(right.row_stride)?,
                right.matrix_stride as i64,
                left_address,
                element,
                int(left.row_stride)?,
                left.matrix_stride as i64,
                (&raw const zero).cast(),
                out_address,
                element,
                int(out.row_stride)?,
                out.matrix_stride as i64,
                int(count)?,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(failed("multiplying matrices"))
    }
}

fn int(value: usize) -> Result<c_int, CudaError> {
    c_int::try_from(value).map_err(|_| CudaError::SizeLimit {
        what: "rows or columns of a matrix",
        actual: value,
        max: c_int::MAX as usize,
    })
}

fn failed(operation: &'static str) -> impl Fn(result::CublasError) -> CudaError {
    move |error| CudaError::Driver { operation, message: error.to_string() }
}

/// Length of the workspace in bytes: NVIDIA's recommendation for its largest GPUs.
pub(super) const WORKSPACE_BYTES: usize = 32 << 20;
/// The functions that are called. cudarc panics if one is missing.
const REQUIRED_SYMBOLS: [&str; 6] = [
    "cublasCreate_v2",
    "cublasDestroy_v2",
    "cublasGemmStridedBatchedEx",
    "cublasGetProperty",
    "cublasSetStream_v2",
    "cublasSetWorkspace_v2",
];
const INSTALL_HINT: &str = "install the CUDA toolkit or run `pip install nvidia-cublas`, and add the library's \
                            directory to LD_LIBRARY_PATH";
