//! Products of matrices, by cuBLAS.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use cudarc::cublas::{CudaBlas, result, sys};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr};

use super::{Matrix, Precision, Product};
use crate::CudaError;

/// cuBLAS on a stream.
#[derive(Debug)]
pub(super) struct Cublas {
    blas: CudaBlas,
    stream: Arc<CudaStream>,
    precision: Precision,
}

impl Cublas {
    /// Looks for it, and says how to get it.
    pub(super) fn find() -> Result<(), CudaError> {
        // SAFETY: opening the library has no effect but that it is there.
        if !unsafe { sys::is_culib_present() } {
            let what = format!("cuBLAS, which multiplies matrices (libcublas), cannot be found: {GET}");
            return Err(CudaError::Missing { what });
        }
        // SAFETY: the library is there, and a symbol that is looked up is not used.
        let lacks = |name: &&str| unsafe { sys::culib().get::<*const c_void>(name.as_bytes()) }.is_err();
        if let Some(name) = NEEDED.into_iter().find(lacks) {
            return Err(CudaError::Missing { what: format!("cuBLAS (libcublas) has no `{name}`: {GET}") });
        }
        Ok(())
    }

    /// The version of what has been found, such as `(13, 1)`: its first number is CUDA's.
    pub(super) fn version() -> Result<(i32, i32), CudaError> {
        use sys::libraryPropertyType::{MAJOR_VERSION, MINOR_VERSION};
        let number = |property| {
            let mut number = 0;
            // SAFETY: the function writes one number.
            let asked = unsafe { sys::cublasGetProperty(property, &mut number) }.result();
            asked.map(|()| number).map_err(failed("asking cuBLAS for its version"))
        };
        Ok((number(MAJOR_VERSION)?, number(MINOR_VERSION)?))
    }

    /// cuBLAS, which has been found.
    pub(super) fn new(stream: &Arc<CudaStream>, precision: Precision) -> Result<Self, CudaError> {
        let blas = CudaBlas::new(Arc::clone(stream)).map_err(failed("starting cuBLAS"))?;
        Ok(Self { blas, stream: Arc::clone(stream), precision })
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Gives it memory of ours for as long as it lives: recorded launches must find it in its place, and sums are then
    /// added up alike each time.
    pub(super) fn lend(&self, workspace: &CudaSlice<u8>) -> Result<(), CudaError> {
        let (place, _) = workspace.device_ptr(&self.stream);
        // SAFETY: the handle is alive, and the memory as long as it says.
        unsafe { sys::cublasSetWorkspace_v2(*self.blas.handle(), place as *mut c_void, workspace.len()) }
            .result()
            .map_err(failed("lending it memory"))
    }

    /// Multiplies.
    pub(super) fn multiply(
        &self,
        product: &Product,
        left: &Matrix<'_, CudaSlice<u8>>,
        right: &Matrix<'_, CudaSlice<u8>>,
        out: &Matrix<'_, CudaSlice<u8>>,
    ) -> Result<(), CudaError> {
        let &Product { rows, columns, terms, count } = product;
        let place = |matrix: &Matrix<'_, CudaSlice<u8>>, end: usize| {
            let found = matrix.table.len();
            assert!(found >= 4 * end, "a table of {found} bytes where {} are needed", 4 * end);
            (matrix.table.device_ptr(&self.stream).0 + 4 * matrix.first as u64) as *mut c_void
        };
        let left_place = place(left, left.end(rows, terms, count));
        let right_place = place(right, right.end(terms, columns, count));
        let out_place = place(out, out.end(rows, columns, count));
        // cuBLAS has columns where rows are here: to it all matrices are turned, and so the right one comes first.
        let turned = |matrix: &Matrix<'_, _>| {
            if matrix.turned { sys::cublasOperation_t::CUBLAS_OP_T } else { sys::cublasOperation_t::CUBLAS_OP_N }
        };
        let (one, zero) = (1.0_f32, 0.0_f32);
        let number = sys::cudaDataType_t::CUDA_R_32F;
        let compute = match self.precision {
            Precision::Float32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            Precision::Tf32 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
            Precision::Bf16 => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_16BF,
        };
        self.stream.context().bind_to_thread().map_err(|error| super::gpu::failed("binding its context")(error))?;
        // SAFETY: all matrices lie in their tables, as was just seen; the factors live until the call returns, which is
        // when cuBLAS has read them.
        unsafe {
            result::gemm_strided_batched_ex(
                *self.blas.handle(),
                turned(right),
                turned(left),
                int(columns)?,
                int(rows)?,
                int(terms)?,
                (&raw const one).cast(),
                right_place,
                number,
                int(right.row)?,
                right.apart as i64,
                left_place,
                number,
                int(left.row)?,
                left.apart as i64,
                (&raw const zero).cast(),
                out_place,
                number,
                int(out.row)?,
                out.apart as i64,
                int(count)?,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(failed("multiplying matrices"))
    }
}

fn int(number: usize) -> Result<c_int, CudaError> {
    let most = c_int::MAX as usize;
    c_int::try_from(number).map_err(|_| CudaError::Size { what: "rows of a matrix", found: number, most })
}

fn failed(doing: &'static str) -> impl Fn(result::CublasError) -> CudaError {
    move |error| CudaError::Driver { doing, said: error.to_string() }
}

/// Bytes of the memory that it is lent: what NVIDIA recommends for its largest GPUs.
pub(super) const WORKSPACE: usize = 32 << 20;
/// What is called in the library; cudarc panics where something is not there.
const NEEDED: [&str; 6] = [
    "cublasCreate_v2",
    "cublasDestroy_v2",
    "cublasGemmStridedBatchedEx",
    "cublasGetProperty",
    "cublasSetStream_v2",
    "cublasSetWorkspace_v2",
];
const GET: &str = "install the CUDA toolkit, or `pip install nvidia-cublas`, and name the folder it is in by \
                   LD_LIBRARY_PATH";
