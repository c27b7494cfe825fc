//! The compiler of the kernels, which needs no GPU.

use std::ffi::{CString, c_char, c_void};

use cudarc::nvrtc::{result, sys};

use crate::CudaError;

/// NVRTC, which is there.
#[derive(Clone, Copy, Debug)]
pub struct Nvrtc(());

/// What became of a source.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    /// What the driver loads: machine code, or PTX where the GPU is newer than the compiler.
    pub(crate) image: Vec<u8>,
    /// What the compiler would have otherwise; empty if nothing.
    pub(crate) warnings: String,
}

impl Nvrtc {
    /// Looks for it, and says how to get it.
    pub fn find() -> Result<Self, CudaError> {
        // SAFETY: opening the library has no effect but that it is there.
        if unsafe { sys::is_culib_present() } {
            // SAFETY: the library is there, and a symbol that is looked up is not used.
            let lacks = |name: &&str| unsafe { sys::culib().get::<*const c_void>(name.as_bytes()) }.is_err();
            if let Some(name) = NEEDED.into_iter().find(lacks) {
                return Err(CudaError::Missing { what: format!("NVRTC (libnvrtc) has no `{name}`: {GET}") });
            }
            let (major, minor) = Self(()).version()?;
            if major >= OLDEST {
                return Ok(Self(()));
            }
            let what = format!("NVRTC is of version {major}.{minor}, and {OLDEST} or newer is needed: {GET}");
            return Err(CudaError::Missing { what });
        }
        let what = format!("NVRTC, which compiles the kernels (libnvrtc), cannot be found: {GET}");
        Err(CudaError::Missing { what })
    }

    /// The capabilities that it can compile for, such as 90 for 9.0, in rising order.
    pub fn targets(self) -> Result<Vec<i32>, CudaError> {
        let mut count = 0;
        // SAFETY: the function writes one number.
        unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) }
            .result()
            .map_err(failed("asking NVRTC for its targets"))?;
        let mut targets = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: the function writes as many numbers as it has said.
        unsafe { sys::nvrtcGetSupportedArchs(targets.as_mut_ptr()) }
            .result()
            .map_err(failed("asking NVRTC for its targets"))?;
        Ok(targets)
    }

    /// Its version, such as `(13, 0)`.
    pub(crate) fn version(self) -> Result<(i32, i32), CudaError> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the function writes two numbers.
        let asked = unsafe { sys::nvrtcVersion(&mut major, &mut minor) }.result();
        asked.map(|()| (major, minor)).map_err(failed("asking NVRTC for its version"))
    }

    /// How kernels are compiled for GPUs of a capability, with these constants.
    pub(crate) fn options(self, constants: &[(&str, usize)], capability: i32) -> Result<Vec<String>, CudaError> {
        let targets = self.targets()?;
        // For a GPU that this NVRTC does not know, the driver compiles the PTX of the nearest one before.
        let known = targets.into_iter().filter(|&target| target <= capability).max().unwrap_or(capability);
        let architecture = format!("{}_{known}", if known == capability { "sm" } else { "compute" });
        let mut options = vec![format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned()];
        // Every operation rounds by itself, as on the CPU, but for those that say otherwise.
        options.extend(["--fmad=false", "-DHOST_KERNEL(name)="].map(str::to_owned));
        options.extend(constants.iter().map(|(name, value)| format!("-D{name}={value}")));
        Ok(options)
    }

    /// The kernels of `source`.
    pub(crate) fn compile(
        self,
        unit: &'static str,
        source: &str,
        options: &[String],
    ) -> Result<Compiled, CudaError> {
        let failure = |log: String| CudaError::Compile { unit, log };
        let [source, name] =
            [source, unit].map(|text| CString::new(text).expect("sources and names have no zero in them"));
        let program = result::create_program(&source, Some(&name)).map_err(|error| failure(error.to_string()))?;
        // SAFETY: the program was just made, and is destroyed at the end; source and name live until then.
        let (compiled, log) = unsafe {
            let options = options.to_vec();
            let compiled = result::compile_program(program, &options).and_then(|()| image(program));
            let log = result::get_program_log(program);
            (compiled.and_then(|image| result::destroy_program(program).map(|()| image)), log)
        };
        match compiled {
            Ok(image) => Ok(Compiled { image, warnings: log.map_or_else(|error| error.to_string(), text) }),
            Err(error) => Err(failure(log.map_or_else(|_| error.to_string(), text))),
        }
    }
}

/// A compiled program's machine code; its PTX, if it was compiled for no GPU that there is.
///
/// # Safety
/// The program must be there, and compiled.
unsafe fn image(program: sys::nvrtcProgram) -> Result<Vec<u8>, result::NvrtcError> {
    let mut length = 0;
    // SAFETY: the function writes one number.
    unsafe { sys::nvrtcGetCUBINSize(program, &mut length) }.result()?;
    if length == 0 {
        // SAFETY: the caller answers for the program.
        let ptx = unsafe { result::get_ptx(program) }?;
        return Ok(ptx.into_iter().map(|char| char as u8).collect());
    }
    let mut code = vec![0_u8; length];
    // SAFETY: the function writes as many bytes as it has said.
    unsafe { sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()) }.result()?;
    Ok(code)
}

fn failed(doing: &'static str) -> impl Fn(result::NvrtcError) -> CudaError {
    move |error| CudaError::Driver { doing, said: error.to_string() }
}

const OLDEST: i32 = 12;
/// What is called in the library; cudarc panics where something is not there.
const NEEDED: [&str; 13] = [
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
const GET: &str = "install the CUDA toolkit, or `pip install nvidia-cuda-nvrtc`, and name the folder it is in by \
                   LD_LIBRARY_PATH";

fn text(chars: Vec<c_char>) -> String {
    let bytes: Vec<u8> = chars.into_iter().map(|char| char as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
