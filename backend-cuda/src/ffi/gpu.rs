//! An NVIDIA GPU, through the driver.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys,
};
use cudarc::nvrtc::Ptx;
use recsim_core::backend::Pending;

use super::cublas::{Cublas, WORKSPACE};
use super::{Machine, Matrix, Nvrtc, Precision, Product};
use crate::CudaError;
use crate::cache::cached;
use crate::sources::kernels;

/// A GPU.
#[derive(Debug)]
pub struct Gpu {
    compiler: Nvrtc,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// Room for copies is taken and given back by it.
    copies: Arc<CudaStream>,
    /// Copies go to the host by it, beside what runs: nothing that runs waits for one.
    home: Arc<CudaStream>,
    products: Cublas,
    /// What `products` was lent.
    _workspace: CudaSlice<u8>,
    /// Such as 90 for 9.0.
    capability: i32,
    processors: usize,
}

impl Gpu {
    /// Looks for a driver, a GPU, and the libraries that are needed: the compiler, or what is missing.
    pub fn find() -> Result<Nvrtc, CudaError> {
        // SAFETY: opening the library has no effect but that it is there.
        if !unsafe { sys::is_culib_present() } {
            let what = "there is no NVIDIA driver (libcuda): install one, on a machine with an NVIDIA GPU";
            return Err(CudaError::Missing { what: what.to_owned() });
        }
        // SAFETY: the library is there, and a symbol that is looked up is not used.
        let lacks = |name: &&str| unsafe { sys::culib().get::<*const c_void>(name.as_bytes()) }.is_err();
        if let Some(name) = NEEDED.into_iter().find(lacks) {
            let what = format!("the NVIDIA driver (libcuda) has no `{name}`: install a newer one");
            return Err(CudaError::Missing { what });
        }
        let compiler = Nvrtc::find()?;
        suits("NVRTC", compiler.version()?, "nvidia-cuda-nvrtc")?;
        Cublas::find()?;
        suits("cuBLAS", Cublas::version()?, "nvidia-cublas")?;
        if std::env::var_os("NVIDIA_TF32_OVERRIDE").is_some() {
            let what = "the variable `NVIDIA_TF32_OVERRIDE` is set, by which cuBLAS multiplies in another precision than \
                        it is told: unset it, and say --precision";
            return Err(CudaError::Missing { what: what.to_owned() });
        }
        if CudaContext::device_count().map_err(no_gpu)? < 1 {
            return Err(CudaError::Missing { what: "no GPU can be used: there is none".to_owned() });
        }
        Ok(compiler)
    }

    /// The first GPU of this machine, or what is missing.
    pub fn new(precision: Precision) -> Result<Self, CudaError> {
        let compiler = Self::find()?;
        let context = CudaContext::new(0).map_err(no_gpu)?;
        // One stream, in order: nothing has to be waited for between launches, and no event says when a table is free.
        // SAFETY: no table is used on another stream, but those of `fetch`, which says who waits for whom.
        unsafe { context.disable_event_tracking() };
        // Not the default one, of which nothing can be recorded.
        let new = || context.new_stream().map_err(failed("making a stream"));
        let (stream, copies, home) = (new()?, new()?, new()?);
        let (major, minor) = context.compute_capability().map_err(failed("asking for its capability"))?;
        let capability = 10 * major + minor;
        if capability < LEAST {
            let what = format!(
                "the GPU is of compute capability {major}.{minor}, and {}.{} or newer is needed",
                LEAST / 10,
                LEAST % 10
            );
            return Err(CudaError::Missing { what });
        }
        let count = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let processors = context.attribute(count).map_err(failed("asking for its processors"))?;
        let products = Cublas::new(&stream, precision)?;
        let workspace = stream.alloc_zeros(WORKSPACE).map_err(failed("making a table"))?;
        products.lend(&workspace)?;
        let processors = usize::try_from(processors).unwrap_or(1);
        Ok(Self {
            compiler,
            context,
            stream,
            copies,
            home,
            products,
            _workspace: workspace,
            capability,
            processors,
        })
    }

    /// What learning's bits depend on: the GPU's kind, and the precision of products.
    pub fn arithmetic(&self) -> String {
        format!("sm_{}, {}", self.capability, self.products.precision())
    }

    /// The GPU in words: its name, its memory, what it is capable of.
    pub fn describe(&self) -> Result<String, CudaError> {
        let name = self.context.name().map_err(failed("asking for its name"))?;
        let bytes = self.context.total_mem().map_err(failed("asking for its memory"))?;
        let (major, minor) = (self.capability / 10, self.capability % 10);
        Ok(format!("{name}, {:.0} GiB, compute capability {major}.{minor}", bytes as f64 / (1_u64 << 30) as f64))
    }
}

fn no_gpu(error: DriverError) -> CudaError {
    CudaError::Missing { what: format!("no GPU can be used: {}", said(&error)) }
}

/// Errs if the driver is of an older CUDA than a library, whose machine code it would not load.
fn suits(library: &str, (major, minor): (i32, i32), package: &str) -> Result<(), CudaError> {
    let mut version = 0;
    // SAFETY: the function writes one number.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(failed("asking for the driver's version"))?;
    if major <= version / 1000 {
        return Ok(());
    }
    let (of_driver, minor_of_driver) = (version / 1000, version % 1000 / 10);
    let what = format!(
        "the driver knows CUDA up to {of_driver}.{minor_of_driver}, and {library} is of CUDA {major}.{minor}: install a \
         newer driver, or `pip install {package}-cu{of_driver}`"
    );
    Err(CudaError::Missing { what })
}

/// What cudarc calls in the driver, for what is done here; it panics where something is not there.
const NEEDED: [&str; 41] = [
    "cuCtxGetCurrent",
    "cuCtxSetCurrent",
    "cuCtxSynchronize",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventElapsedTime",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAllocAsync",
    "cuMemAlloc_v2",
    "cuMemFreeAsync",
    "cuMemFree_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

impl Machine for Gpu {
    type Memory = CudaSlice<u8>;
    type Module = HashMap<&'static str, CudaFunction>;
    type Sequence = Sequence;
    type Mark = CudaEvent;

    fn blocks(&self) -> usize {
        // The largest kernel leaves room for two on each.
        2 * self.processors
    }

    fn tile(&self) -> usize {
        // A batch of 4000 users is one; and large products keep every processor busy.
        4096
    }

    fn module(
        &self,
        unit: &'static str,
        source: &str,
        constants: &[(&str, usize)],
    ) -> Result<Self::Module, CudaError> {
        let options = self.compiler.options(constants, self.capability)?;
        let (major, minor) = self.compiler.version()?;
        let key = [source, &options.join(" "), &format!("NVRTC {major}.{minor}")];
        let compile = || self.compiler.compile(unit, source, &options).map(|compiled| compiled.image);
        let image = cached(&key, compile)?;
        let module = self.context.load_module(Ptx::from_binary(image)).map_err(failed("loading kernels"))?;
        let function =
            |&kernel| Ok((kernel, module.load_function(kernel).map_err(failed("looking for a kernel"))?));
        kernels(unit).iter().map(function).collect()
    }

    fn zeros(&self, table: &'static str, bytes: usize) -> Result<Self::Memory, CudaError> {
        // The driver knows no table of no bytes.
        self.stream.alloc_zeros(bytes.max(1)).map_err(untaken(table, bytes))
    }

    fn length(&self, memory: &Self::Memory) -> usize {
        memory.len()
    }

    fn address(&self, memory: &Self::Memory) -> u64 {
        memory.device_ptr(&self.stream).0
    }

    fn write(&self, memory: &mut Self::Memory, bytes: &[u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.memcpy_htod(bytes, &mut memory.slice_mut(..bytes.len())).map_err(failed("copying to it"))
    }

    fn read(&self, memory: &Self::Memory, first: usize, bytes: &mut [u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let from = memory.slice(first..first + bytes.len());
        self.stream.memcpy_dtoh(&from, bytes).map_err(failed("copying from it"))?;
        self.stream.synchronize().map_err(failed("running a kernel"))
    }

    fn fetch(
        &self,
        memory: &Self::Memory,
        first: usize,
        bytes: usize,
    ) -> Result<Pending<Vec<u8>, CudaError>, CudaError> {
        let failed_here = failed("copying from it");
        // Taken and given back in the order of copies: giving it back must not be recorded with launches.
        let kept = self.copies.alloc_zeros::<u8>(bytes.max(1));
        let mut kept = kept.map_err(untaken("copy of what a run leaves", bytes))?;
        self.stream.join(&self.copies).map_err(&failed_here)?;
        self.copy(memory, first, &mut kept, 0, bytes)?;
        self.copies.join(&self.stream).map_err(&failed_here)?;
        self.home.join(&self.stream).map_err(&failed_here)?;
        let home = Arc::clone(&self.home);
        Ok(Pending::new(move || {
            let mut copy = vec![0; bytes];
            home.memcpy_dtoh(&kept.slice(..bytes), &mut copy).map_err(&failed_here)?;
            home.synchronize().map_err(failed("running a kernel"))?;
            Ok(copy)
        }))
    }

    fn clear(&self, memory: &mut Self::Memory) -> Result<(), CudaError> {
        self.stream.memset_zeros(memory).map_err(failed("clearing a table"))
    }

    fn copy(
        &self,
        from: &Self::Memory,
        first: usize,
        to: &mut Self::Memory,
        place: usize,
        bytes: usize,
    ) -> Result<(), CudaError> {
        let from = from.slice(first..first + bytes);
        self.stream.memcpy_dtod(&from, &mut to.slice_mut(place..place + bytes)).map_err(failed("copying a table"))
    }

    fn multiply(
        &self,
        product: &Product,
        left: &Matrix<'_, Self::Memory>,
        right: &Matrix<'_, Self::Memory>,
        out: &Matrix<'_, Self::Memory>,
    ) -> Result<(), CudaError> {
        self.products.multiply(product, left, right, out)
    }

    fn repeat(
        &self,
        kept: &mut Option<Sequence>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        match kept {
            // The first time libraries may load kernels and take memory, which cannot be recorded.
            None => {
                launches()?;
                *kept = Some(Sequence::Warm);
                return Ok(());
            }
            Some(Sequence::Warm) => {
                let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
                self.stream.begin_capture(mode).map_err(failed("beginning to record"))?;
                let launched = launches();
                let flags = sys::CUgraphInstantiate_flags(0);
                let graph = self.stream.end_capture(flags).map_err(failed("recording launches"));
                launched?;
                *kept = graph?.map(Sequence::Recorded);
            }
            Some(Sequence::Recorded(_)) => {}
        }
        match kept {
            Some(Sequence::Recorded(graph)) => graph.launch().map_err(failed("launching what was recorded")),
            _ => launches(),
        }
    }

    fn mark(&self, kept: &mut Option<CudaEvent>) -> Result<(), CudaError> {
        if kept.is_none() {
            let timed = sys::CUevent_flags::CU_EVENT_DEFAULT;
            *kept = Some(self.context.new_event(Some(timed)).map_err(failed("making an event"))?);
        }
        kept.as_ref().map_or(Ok(()), |event| event.record(&self.stream)).map_err(failed("recording an event"))
    }

    fn between(&self, from: &CudaEvent, to: &CudaEvent) -> Result<f64, CudaError> {
        // cudarc calls its second version, which drivers have from CUDA 12.8 on.
        type Elapsed = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> sys::CUresult;
        let failed = failed("asking for the time");
        to.synchronize().map_err(&failed)?;
        let mut milliseconds = 0.0;
        // SAFETY: the driver's function, which is there, is of this type and writes one number; both events are alive.
        unsafe {
            let elapsed = sys::culib().get::<Elapsed>(b"cuEventElapsedTime").expect("it was looked for");
            elapsed(&mut milliseconds, from.cu_event(), to.cu_event())
        }
        .result()
        .map_err(&failed)?;
        Ok(f64::from(milliseconds) / 1e3)
    }

    unsafe fn launch(
        &self,
        module: &Self::Module,
        kernel: &'static str,
        blocks: usize,
        threads: u32,
        arguments: &[&[u8]],
    ) -> Result<(), CudaError> {
        if blocks == 0 {
            return Ok(());
        }
        let function = &module[kernel];
        let mut pointers: Vec<*mut c_void> =
            arguments.iter().map(|bytes| bytes.as_ptr().cast_mut().cast()).collect();
        let blocks = u32::try_from(blocks).map_err(|_| CudaError::Size {
            what: "blocks of users",
            found: blocks,
            most: u32::MAX as usize,
        })?;
        self.context.bind_to_thread().map_err(failed("binding its context"))?;
        // SAFETY: the driver copies each argument's bytes before it returns; the caller answers for what they say.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (blocks, 1, 1),
                (threads, 1, 1),
                0,
                self.stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(failed("launching a kernel"))
    }
}

/// Launches that were made once, and are then recorded.
pub enum Sequence {
    /// Made.
    Warm,
    /// Recorded as a graph.
    Recorded(CudaGraph),
}

/// The first capability whose tensor cores multiply halves as the kernels ask for.
const LEAST: i32 = 75;

/// Why there is no memory for a table.
fn untaken(table: &'static str, bytes: usize) -> impl Fn(DriverError) -> CudaError {
    move |error| match error.0 {
        sys::cudaError_enum::CUDA_ERROR_OUT_OF_MEMORY => CudaError::Memory { table, bytes },
        _ => failed("making a table")(error),
    }
}

pub(super) fn failed(doing: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| CudaError::Driver { doing, said: said(&error) }
}

fn said(error: &DriverError) -> String {
    let text = |found: Result<&std::ffi::CStr, DriverError>| found.map(|text| text.to_string_lossy().into_owned());
    text(error.error_string()).unwrap_or_else(|_| error.to_string())
}
