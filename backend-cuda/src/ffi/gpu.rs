//! An NVIDIA GPU, through the driver.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError, result, sys,
};
use cudarc::nvrtc::Ptx;
use recsim_core::backend::Pending;

use super::cublas::{Cublas, WORKSPACE_BYTES};
use super::{Device, DeviceMatrix, MatmulShape, Nvrtc, Precision};
use crate::CudaError;
use crate::cache::cached;
use crate::sources::kernels;

/// A GPU.
#[derive(Debug)]
pub struct Gpu {
    compiler: Nvrtc,
    context: Arc<CudaContext>,
    /// All kernels and matrix products.
    stream: Arc<CudaStream>,
    /// Allocates, fills and frees the copies of [`Device::read_pending`].
    copy_stream: Arc<CudaStream>,
    /// Copies to the host. The other streams do not wait for it.
    host_stream: Arc<CudaStream>,
    cublas: Cublas,
    /// The workspace of `cublas`.
    _workspace: CudaSlice<u8>,
    /// Compute capability, such as 90 for 9.0.
    capability: i32,
    multiprocessors: usize,
}

impl Gpu {
    /// Checks that the driver, a GPU and all libraries are present and fit together. Returns the compiler.
    ///
    /// # Errors
    /// [`CudaError::Unavailable`] if something is missing: it says how to get it. [`CudaError::Driver`] if a library
    /// does not report its version.
    pub fn find() -> Result<Nvrtc, CudaError> {
        // SAFETY: opening the library has no other effect.
        if !unsafe { sys::is_culib_present() } {
            let reason = "the NVIDIA driver (libcuda) is missing: install it, on a computer with an NVIDIA GPU";
            return Err(CudaError::Unavailable { reason: reason.to_owned() });
        }
        // SAFETY: the library is present, and the symbol is only looked up.
        let is_missing = |name: &&str| unsafe { sys::culib().get::<*const c_void>(name.as_bytes()) }.is_err();
        if let Some(name) = REQUIRED_SYMBOLS.into_iter().find(is_missing) {
            let reason = format!("the NVIDIA driver (libcuda) has no `{name}`: install a newer driver");
            return Err(CudaError::Unavailable { reason });
        }
        let compiler = Nvrtc::find()?;
        check_driver_supports("NVRTC", compiler.version()?, "nvidia-cuda-nvrtc")?;
        Cublas::find()?;
        check_driver_supports("cuBLAS", Cublas::version()?, "nvidia-cublas")?;
        if std::env::var_os("NVIDIA_TF32_OVERRIDE").is_some() {
            let reason = "the environment variable `NVIDIA_TF32_OVERRIDE` is set, which changes the precision of \
                          cuBLAS: unset it, and choose the precision in the configuration";
            return Err(CudaError::Unavailable { reason: reason.to_owned() });
        }
        if CudaContext::device_count().map_err(no_gpu)? < 1 {
            let reason = "no GPU can be used: the driver reports none";
            return Err(CudaError::Unavailable { reason: reason.to_owned() });
        }
        Ok(compiler)
    }

    /// The first GPU of this computer.
    ///
    /// # Errors
    /// Those of [`Gpu::find`]; [`CudaError::Unavailable`] if the GPU cannot be used or is too old;
    /// [`CudaError::Driver`] if the driver or cuBLAS does not start.
    pub fn new(precision: Precision) -> Result<Self, CudaError> {
        let compiler = Self::find()?;
        let context = CudaContext::new(0).map_err(no_gpu)?;
        // All launches are on one stream, in order, so that buffers need no events.
        // SAFETY: buffers are used on one stream, except in `read_pending`, which orders the streams itself.
        unsafe { context.disable_event_tracking() };
        // Launches on the default stream cannot be captured.
        let new_stream = || context.new_stream().map_err(failed("creating a stream"));
        let (stream, copy_stream, host_stream) = (new_stream()?, new_stream()?, new_stream()?);
        let (major, minor) =
            context.compute_capability().map_err(failed("reading the GPU's compute capability"))?;
        let capability = 10 * major + minor;
        if capability < MIN_CAPABILITY {
            let reason = format!(
                "the GPU has compute capability {major}.{minor}, and {}.{} or newer is needed",
                MIN_CAPABILITY / 10,
                MIN_CAPABILITY % 10
            );
            return Err(CudaError::Unavailable { reason });
        }
        let count = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors =
            context.attribute(count).map_err(failed("reading the GPU's number of multiprocessors"))?;
        let cublas = Cublas::new(&stream, precision)?;
        let workspace = stream.alloc_zeros(WORKSPACE_BYTES).map_err(failed("allocating memory"))?;
        cublas.set_workspace(&workspace)?;
        let multiprocessors = usize::try_from(multiprocessors).unwrap_or(1);
        Ok(Self {
            compiler,
            context,
            stream,
            copy_stream,
            host_stream,
            cublas,
            _workspace: workspace,
            capability,
            multiprocessors,
        })
    }

    /// The architecture of the GPU and the precision of products, such as `sm_90, float32`: learning's bits depend on
    /// them.
    pub fn arithmetic(&self) -> String {
        format!("sm_{}, {}", self.capability, self.cublas.precision())
    }

    /// The GPU's name, memory and compute capability, for people.
    ///
    /// # Errors
    /// The driver does not report them.
    pub fn describe(&self) -> Result<String, CudaError> {
        let name = self.context.name().map_err(failed("reading the GPU's name"))?;
        let bytes = self.context.total_mem().map_err(failed("reading the GPU's memory size"))?;
        let (major, minor) = (self.capability / 10, self.capability % 10);
        Ok(format!("{name}, {:.0} GiB, compute capability {major}.{minor}", bytes as f64 / (1_u64 << 30) as f64))
    }
}

fn no_gpu(error: DriverError) -> CudaError {
    CudaError::Unavailable { reason: format!("no GPU can be used: {}", error_text(&error)) }
}

/// Returns an error if a library is of a newer major version of CUDA than the driver, which then cannot load its
/// code.
fn check_driver_supports(library: &str, (major, minor): (i32, i32), package: &str) -> Result<(), CudaError> {
    let mut version = 0;
    // SAFETY: the function writes one number.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(failed("reading the driver's version"))?;
    let (driver_major, driver_minor) = (version / 1000, version % 1000 / 10);
    if major <= driver_major {
        return Ok(());
    }
    let reason = format!(
        "the driver supports CUDA up to {driver_major}.{driver_minor}, and {library} is of CUDA {major}.{minor}: \
         install a newer driver, or run `pip install {package}-cu{driver_major}`"
    );
    Err(CudaError::Unavailable { reason })
}

/// The driver's functions that cudarc calls. cudarc panics if one is missing.
const REQUIRED_SYMBOLS: [&str; 41] = [
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

impl Device for Gpu {
    type DeviceBuffer = CudaSlice<u8>;
    type Module = HashMap<&'static str, CudaFunction>;
    type Graph = GraphState;
    type Event = CudaEvent;

    fn concurrent_blocks(&self) -> usize {
        // Two blocks of the largest kernel fit on a multiprocessor.
        2 * self.multiprocessors
    }

    fn tile_rows(&self) -> usize {
        // A batch of 4000 users is one tile, and products of this size keep every multiprocessor busy.
        4096
    }

    fn load_module(
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
        let function = |&kernel| Ok((kernel, module.load_function(kernel).map_err(failed("loading a kernel"))?));
        kernels(unit).iter().map(function).collect()
    }

    fn alloc_zeros(&self, name: &'static str, bytes: usize) -> Result<Self::DeviceBuffer, CudaError> {
        // The driver allocates no empty buffer.
        self.stream.alloc_zeros(bytes.max(1)).map_err(allocation_failed(name, bytes))
    }

    fn buffer_len(&self, buffer: &Self::DeviceBuffer) -> usize {
        buffer.len()
    }

    fn address(&self, buffer: &Self::DeviceBuffer) -> u64 {
        buffer.device_ptr(&self.stream).0
    }

    fn write(&self, buffer: &mut Self::DeviceBuffer, bytes: &[u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.stream.memcpy_htod(bytes, &mut buffer.slice_mut(..bytes.len())).map_err(failed("copying to the GPU"))
    }

    fn read(&self, buffer: &Self::DeviceBuffer, offset: usize, bytes: &mut [u8]) -> Result<(), CudaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let from = buffer.slice(offset..offset + bytes.len());
        self.stream.memcpy_dtoh(&from, bytes).map_err(failed(COPYING_FROM_GPU))?;
        self.stream.synchronize().map_err(failed("running kernels"))
    }

    fn read_pending(
        &self,
        buffer: &Self::DeviceBuffer,
        offset: usize,
        len: usize,
    ) -> Result<Pending<Vec<u8>, CudaError>, CudaError> {
        let copy_failed = failed(COPYING_FROM_GPU);
        // The copy is allocated and freed on a stream of its own: a free on `stream` could be captured with launches.
        let device_copy = self.copy_stream.alloc_zeros::<u8>(len.max(1));
        let mut device_copy = device_copy.map_err(allocation_failed("copy of a buffer", len))?;
        self.stream.join(&self.copy_stream).map_err(&copy_failed)?;
        self.copy(buffer, offset, &mut device_copy, 0, len)?;
        self.copy_stream.join(&self.stream).map_err(&copy_failed)?;
        self.host_stream.join(&self.stream).map_err(&copy_failed)?;
        let host_stream = Arc::clone(&self.host_stream);
        Ok(Pending::new(move || {
            let mut bytes = vec![0; len];
            host_stream.memcpy_dtoh(&device_copy.slice(..len), &mut bytes).map_err(&copy_failed)?;
            host_stream.synchronize().map_err(failed("running kernels"))?;
            Ok(bytes)
        }))
    }

    fn clear(&self, buffer: &mut Self::DeviceBuffer) -> Result<(), CudaError> {
        self.stream.memset_zeros(buffer).map_err(failed("clearing a buffer"))
    }

    fn copy(
        &self,
        from: &Self::DeviceBuffer,
        from_offset: usize,
        to: &mut Self::DeviceBuffer,
        to_offset: usize,
        len: usize,
    ) -> Result<(), CudaError> {
        let from = from.slice(from_offset..from_offset + len);
        let mut to = to.slice_mut(to_offset..to_offset + len);
        self.stream.memcpy_dtod(&from, &mut to).map_err(failed("copying a buffer"))
    }

    fn matmul(
        &self,
        shape: &MatmulShape,
        left: &DeviceMatrix<'_, Self::DeviceBuffer>,
        right: &DeviceMatrix<'_, Self::DeviceBuffer>,
        out: &DeviceMatrix<'_, Self::DeviceBuffer>,
    ) -> Result<(), CudaError> {
        self.cublas.matmul(shape, left, right, out)
    }

    fn launch_graph(
        &self,
        graph: &mut Option<GraphState>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        match graph {
            // In the first run libraries may load kernels and allocate memory, which cannot be captured.
            None => {
                launches()?;
                *graph = Some(GraphState::WarmedUp);
                return Ok(());
            }
            Some(GraphState::WarmedUp) => {
                let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
                self.stream.begin_capture(mode).map_err(failed("starting to capture launches"))?;
                let launched = launches();
                let flags = sys::CUgraphInstantiate_flags(0);
                let captured = self.stream.end_capture(flags).map_err(failed("capturing launches"));
                launched?;
                *graph = captured?.map(GraphState::Captured);
            }
            Some(GraphState::Captured(_)) => {}
        }
        match graph {
            Some(GraphState::Captured(graph)) => graph.launch().map_err(failed("launching a graph")),
            _ => launches(),
        }
    }

    fn record_event(&self, event: &mut Option<CudaEvent>) -> Result<(), CudaError> {
        if event.is_none() {
            let with_timing = sys::CUevent_flags::CU_EVENT_DEFAULT;
            *event = Some(self.context.new_event(Some(with_timing)).map_err(failed("creating an event"))?);
        }
        event.as_ref().map_or(Ok(()), |event| event.record(&self.stream)).map_err(failed("recording an event"))
    }

    fn elapsed_seconds(&self, start: &CudaEvent, end: &CudaEvent) -> Result<f64, CudaError> {
        // cudarc calls the second version of the function, which drivers have since CUDA 12.8.
        type Elapsed = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> sys::CUresult;
        let failed = failed("reading the time between events");
        end.synchronize().map_err(&failed)?;
        let mut milliseconds = 0.0;
        // SAFETY: the driver has this function with this type, and it writes one number; both events are alive.
        unsafe {
            let elapsed = sys::culib().get::<Elapsed>(b"cuEventElapsedTime").expect("a symbol that `find` checked");
            elapsed(&mut milliseconds, start.cu_event(), end.cu_event())
        }
        .result()
        .map_err(&failed)?;
        Ok(f64::from(milliseconds) / 1e3)
    }

    unsafe fn launch_kernel(
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
        let blocks = u32::try_from(blocks).map_err(|_| CudaError::SizeLimit {
            what: "blocks of threads",
            actual: blocks,
            max: u32::MAX as usize,
        })?;
        self.context.bind_to_thread().map_err(failed("binding the context to the thread"))?;
        // SAFETY: the driver copies the arguments before it returns; the caller guarantees that they fit the kernel.
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

/// The state of a graph after its first run.
pub enum GraphState {
    /// Its launches have run once, uncaptured.
    WarmedUp,
    /// Its launches are captured.
    Captured(CudaGraph),
}

/// The first compute capability with the tensor core instructions of the search.
const MIN_CAPABILITY: i32 = 75;

const COPYING_FROM_GPU: &str = "copying from the GPU";

/// Maps an error of an allocation; `name` says what the buffer would contain.
fn allocation_failed(name: &'static str, bytes: usize) -> impl Fn(DriverError) -> CudaError {
    move |error| match error.0 {
        sys::cudaError_enum::CUDA_ERROR_OUT_OF_MEMORY => CudaError::OutOfMemory { buffer: name, bytes },
        _ => failed("allocating memory")(error),
    }
}

/// Maps an error of the driver; `operation` is what the call was to do.
pub(super) fn failed(operation: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| CudaError::Driver { operation, message: error_text(&error) }
}

fn error_text(error: &DriverError) -> String {
    let owned = |text: Result<&std::ffi::CStr, DriverError>| text.map(|text| text.to_string_lossy().into_owned());
    owned(error.error_string()).unwrap_or_else(|_| error.to_string())
}
