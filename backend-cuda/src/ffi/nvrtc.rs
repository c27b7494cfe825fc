//! The compiler of the kernels, which needs no GPU.

use std::ffi::{CString, c_char};

use cudarc::nvrtc::{result, sys};

use crate::CudaError;

/// NVRTC, which is there.
#[derive(Clone, Copy, Debug)]
pub struct Nvrtc(());

/// What became of a source.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The kernels.
    pub ptx: String,
    /// What the compiler would have otherwise; empty if nothing.
    pub warnings: String,
}

impl Nvrtc {
    /// Looks for it, and says how to get it.
    pub fn find() -> Result<Self, CudaError> {
        // SAFETY: opening the library has no effect but that it is there.
        if unsafe { sys::is_culib_present() } {
            return Ok(Self(()));
        }
        let what = "NVRTC, which compiles the kernels (libnvrtc), cannot be found: install the CUDA toolkit, or \
                    `pip install nvidia-cuda-nvrtc`, and name the folder it is in by LD_LIBRARY_PATH";
        Err(CudaError::Missing { what: what.to_owned() })
    }

    /// The capabilities that it can compile for, such as 90 for 9.0, in rising order.
    pub fn targets(self) -> Result<Vec<i32>, CudaError> {
        let failed = |error: result::NvrtcError| CudaError::Driver {
            doing: "asking NVRTC for its targets",
            said: error.to_string(),
        };
        let mut count = 0;
        // SAFETY: the function writes one number.
        unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) }.result().map_err(failed)?;
        let mut targets = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: the function writes as many numbers as it has said.
        unsafe { sys::nvrtcGetSupportedArchs(targets.as_mut_ptr()) }.result().map_err(failed)?;
        Ok(targets)
    }

    /// The kernels of `source` for GPUs of a capability, as PTX; `constants` are its compile-time constants.
    pub fn compile(
        self,
        unit: &'static str,
        source: &str,
        constants: &[(&str, usize)],
        capability: i32,
    ) -> Result<Compiled, CudaError> {
        let failure = |log: String| CudaError::Compile { unit, log };
        let [source, name] =
            [source, unit].map(|text| CString::new(text).expect("sources and names have no zero in them"));
        let mut options = vec![format!("--gpu-architecture=compute_{capability}"), "--std=c++17".to_owned()];
        // Every operation rounds by itself, as on the CPU, but for those that say otherwise.
        options.extend(["--fmad=false", "-DHOST_KERNEL(name)="].map(str::to_owned));
        options.extend(constants.iter().map(|(name, value)| format!("-D{name}={value}")));
        let program = result::create_program(&source, Some(&name)).map_err(|error| failure(error.to_string()))?;
        // SAFETY: the program was just made, and is destroyed at the end; source and name live until then.
        let (compiled, log) = unsafe {
            let compiled = result::compile_program(program, &options).and_then(|()| result::get_ptx(program));
            let log = result::get_program_log(program);
            (compiled.and_then(|ptx| result::destroy_program(program).map(|()| ptx)), log)
        };
        match compiled {
            Ok(ptx) => Ok(Compiled { ptx: text(ptx), warnings: log.map_or_else(|error| error.to_string(), text) }),
            Err(error) => Err(failure(log.map_or_else(|_| error.to_string(), text))),
        }
    }
}

fn text(chars: Vec<c_char>) -> String {
    let bytes: Vec<u8> = chars.into_iter().map(|char| char as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
