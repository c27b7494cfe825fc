//! NVRTC, the compiler of the kernels. It needs no GPU.

use std::ffi::{CString, c_char, c_void};

use cudarc::nvrtc::{result, sys};

use crate::CudaError;

/// Proof that NVRTC is installed.
#[derive(Clone, Copy, Debug)]
pub struct Nvrtc(());

/// A compiled source.
#[derive(Clone, Debug)]
pub(crate) struct CompiledKernels {
    /// Machine code, or PTX for a GPU that is newer than the compiler.
    pub(crate) image: Vec<u8>,
    /// The compiler's warnings; empty if there are none.
    pub(crate) warnings: String,
}

impl Nvrtc {
    /// Checks that NVRTC is installed.
    ///
    /// # Errors
    /// NVRTC, or one of its functions, is missing, or it is too old: the error says how to install it.
    pub fn find() -> Result<Self, CudaError> {
        // SAFETY: opening the library has no other effect.
        if !unsafe { sys::is_culib_present() } {
            let reason = format!("NVRTC (libnvrtc), which compiles the kernels, is missing: {INSTALL_HINT}");
            return Err(CudaError::Unavailable { reason });
        }
        // SAFETY: the library is present, and the symbol is only looked up.
        let is_missing = |name: &&str| unsafe { sys::culib().get::<*const c_void>(name.as_bytes()) }.is_err();
        if let Some(name) = REQUIRED_SYMBOLS.into_iter().find(is_missing) {
            return Err(CudaError::Unavailable {
                reason: format!("NVRTC (libnvrtc) has no `{name}`: {INSTALL_HINT}"),
            });
        }
        let (major, minor) = Self(()).version()?;
        if major < MIN_MAJOR_VERSION {
            let reason = format!(
                "NVRTC has version {major}.{minor}, and {MIN_MAJOR_VERSION} or newer is needed: {INSTALL_HINT}"
            );
            return Err(CudaError::Unavailable { reason });
        }
        Ok(Self(()))
    }

    /// The compute capabilities that NVRTC can compile for, such as 90 for 9.0, in ascending order.
    ///
    /// # Errors
    /// NVRTC does not report them.
    pub fn targets(self) -> Result<Vec<i32>, CudaError> {
        let failed = failed("reading NVRTC's targets");
        let mut count = 0;
        // SAFETY: the function writes one number.
        unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) }.result().map_err(&failed)?;
        let mut targets = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: the function writes the number of elements that it has reported.
        unsafe { sys::nvrtcGetSupportedArchs(targets.as_mut_ptr()) }.result().map_err(&failed)?;
        Ok(targets)
    }

    /// The version, such as `(13, 0)`.
    ///
    /// # Errors
    /// NVRTC does not report it.
    pub(crate) fn version(self) -> Result<(i32, i32), CudaError> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the function writes two numbers.
        let status = unsafe { sys::nvrtcVersion(&mut major, &mut minor) }.result();
        status.map(|()| (major, minor)).map_err(failed("reading NVRTC's version"))
    }

    /// The compiler's options for a compute capability and compile-time constants.
    ///
    /// # Errors
    /// Those of [`Nvrtc::targets`].
    pub(crate) fn options(self, constants: &[(&str, usize)], capability: i32) -> Result<Vec<String>, CudaError> {
        let targets = self.targets()?;
        // For a GPU that this NVRTC does not know, the driver compiles the PTX of the newest known predecessor.
        let known = targets.into_iter().filter(|&target| target <= capability).max().unwrap_or(capability);
        let architecture = format!("{}_{known}", if known == capability { "sm" } else { "compute" });
        let mut options = vec![format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned()];
        // Multiplications and additions are not fused, as on the CPU, except for explicit ones.
        options.extend(["--fmad=false", "-DHOST_KERNEL(name)="].map(str::to_owned));
        options.extend(constants.iter().map(|(name, value)| format!("-D{name}={value}")));
        Ok(options)
    }

    /// Compiles the kernels of `source`.
    ///
    /// # Errors
    /// [`CudaError::Compile`] with the compiler's log.
    pub(crate) fn compile(
        self,
        unit: &'static str,
        source: &str,
        options: &[String],
    ) -> Result<CompiledKernels, CudaError> {
        let failure = |log: String| CudaError::Compile { unit, log };
        let [source, name] =
            [source, unit].map(|text| CString::new(text).expect("sources and names contain no zero byte"));
        let program = result::create_program(&source, Some(&name)).map_err(|error| failure(error.to_string()))?;
        // SAFETY: the program was just created, and is destroyed at the end. Source and name live until then.
        let (compiled, log) = unsafe {
            let options = options.to_vec();
            let compiled = result::compile_program(program, &options).and_then(|()| image(program));
            let log = result::get_program_log(program);
            (compiled.and_then(|image| result::destroy_program(program).map(|()| image)), log)
        };
        match compiled {
            Ok(image) => Ok(CompiledKernels { image, warnings: log.map_or_else(|error| error.to_string(), text) }),
            Err(error) => Err(failure(log.map_or_else(|_| error.to_string(), text))),
        }
    }
}

/// A compiled program's machine code, or its PTX if it was compiled for a virtual architecture.
///
/// # Safety
/// The program must exist and be compiled.
unsafe fn image(program: sys::nvrtcProgram) -> Result<Vec<u8>, result::NvrtcError> {
    let mut len = 0;
    // SAFETY: the function writes one number.
    unsafe { sys::nvrtcGetCUBINSize(program, &mut len) }.result()?;
    if len == 0 {
        // SAFETY: the caller guarantees a compiled program.
        let ptx = unsafe { result::get_ptx(program) }?;
        return Ok(ptx.into_iter().map(|char| char as u8).collect());
    }
    let mut code = vec![0_u8; len];
    // SAFETY: the function writes the number of bytes that it has reported.
    unsafe { sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()) }.result()?;
    Ok(code)
}

fn failed(operation: &'static str) -> impl Fn(result::NvrtcError) -> CudaError {
    move |error| CudaError::Driver { operation, message: error.to_string() }
}

fn text(chars: Vec<c_char>) -> String {
    let bytes: Vec<u8> = chars.into_iter().map(|char| char as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

const MIN_MAJOR_VERSION: i32 = 12;
/// The functions that are called. cudarc panics if one is missing.
const REQUIRED_SYMBOLS: [&str; 13] = [
    "nvrtcCompileProgram",
    "nvrtcCreateProgram",
    "nvrtcDestroyProgram",
    "nvrtcGetCUBIN",
    "nvrtcGetCUBINSize",
    "nvrtcGetErrorString",
    "nvrtcGetNumSupportedArchs",
    "nvrtcGetPTX",
    "nvrtcGetPTXSize",
    "nvrtcGetProgramLog",
    "nvrtcGetProgramLogSize",
    "nvrtcGetSupportedArchs",
    "nvrtcVersion",
];
const INSTALL_HINT: &str = "install the CUDA toolkit or run `pip install nvidia-cuda-nvrtc`, and add the library's \
                            directory to LD_LIBRARY_PATH";
