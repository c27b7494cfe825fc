//! The kernels on the host: a C++ compiler compiles the same sources with `host/cuda.h`, which runs the threads of a
//! block in lockstep. It is slow, and checks everything except the behavior of real GPUs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libloading::Library;
use recsim_core::backend::Pending;

use super::{Device, DeviceMatrix, MatmulShape};
use crate::CudaError;

/// The host as a device.
#[derive(Debug)]
pub struct HostDevice {
    /// Whether threads, warps and blocks run in reverse order, which reveals missing barriers.
    is_reversed: bool,
    /// The reported number of concurrent blocks: into how many parts a search is split.
    concurrent_blocks: usize,
    /// The launches of the current graph with their arguments; `None` outside of a graph.
    launch_log: RefCell<Option<LaunchLog>>,
}

type LaunchLog = Vec<Vec<u8>>;

impl HostDevice {
    /// A device with this order of threads, and this number of concurrent blocks.
    pub fn new(is_reversed: bool, concurrent_blocks: usize) -> Self {
        Self { is_reversed, concurrent_blocks, launch_log: RefCell::new(None) }
    }

    /// Whether there is a C++ compiler: `c++`, or the one that the environment variable `CXX` names.
    pub fn is_available() -> bool {
        compiler().arg("--version").output().is_ok_and(|output| output.status.success())
    }

    fn log(&self, entry: impl FnOnce() -> Vec<u8>) {
        if let Some(log) = &mut *self.launch_log.borrow_mut() {
            log.push(entry());
        }
    }

    /// Panics while a graph is captured: its launches must not access host memory.
    fn assert_not_capturing(&self) {
        assert!(self.launch_log.borrow().is_none(), "the launches of a graph do not access host memory");
    }
}

fn compiler() -> Command {
    Command::new(std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned()))
}

/// A buffer in host memory.
pub struct HostBuffer {
    words: Vec<Cell<u64>>,
    len: usize,
}

impl fmt::Debug for HostBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:p}", self.len, self.words.as_ptr())
    }
}

/// The kernels of a unit.
#[derive(Debug)]
pub struct HostModule(Arc<KernelUnit>);

#[derive(Debug)]
struct KernelUnit {
    name: &'static str,
    source: String,
    options: Vec<String>,
    /// Compiled at the first launch. The kernels' shared memory is static, so that a launch holds the lock while it
    /// runs.
    library: Mutex<Option<Library>>,
}

/// All units of this process, by name and options, so that each is compiled once.
type UnitCache = HashMap<(&'static str, Vec<String>), Arc<KernelUnit>>;
/// `recsim_launch` of `host/cuda.h`.
type LaunchFunction = unsafe extern "C" fn(*const c_char, c_uint, c_uint, *mut *mut c_void, c_int) -> c_int;

impl Device for HostDevice {
    type DeviceBuffer = HostBuffer;
    type Module = HostModule;
    type Graph = LaunchLog;
    type Event = Instant;

    fn concurrent_blocks(&self) -> usize {
        self.concurrent_blocks
    }

    fn tile_rows(&self) -> usize {
        // Small, so that tests have several tiles, and a partial one.
        16
    }

    fn load_module(
        &self,
        unit: &'static str,
        source: &str,
        constants: &[(&str, usize)],
    ) -> Result<HostModule, CudaError> {
        static UNITS: Mutex<Option<UnitCache>> = Mutex::new(None);
        let options: Vec<String> = constants.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
        let mut units = UNITS.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = units.get_or_insert_default().entry((unit, options.clone())).or_insert_with(|| {
            Arc::new(KernelUnit { name: unit, source: source.to_owned(), options, library: Mutex::new(None) })
        });
        Ok(HostModule(Arc::clone(unit)))
    }

    fn alloc_zeros(&self, _name: &'static str, bytes: usize) -> Result<HostBuffer, CudaError> {
        Ok(HostBuffer { words: vec![Cell::new(0); bytes.div_ceil(8)], len: bytes })
    }

    fn buffer_len(&self, buffer: &HostBuffer) -> usize {
        buffer.len
    }

    fn address(&self, buffer: &HostBuffer) -> u64 {
        buffer.words.as_ptr() as u64
    }

    fn write(&self, buffer: &mut HostBuffer, bytes: &[u8]) -> Result<(), CudaError> {
        self.assert_not_capturing();
        buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, buffer: &HostBuffer, offset: usize, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.assert_not_capturing();
        bytes.copy_from_slice(&buffer.bytes()[offset..offset + bytes.len()]);
        Ok(())
    }

    fn read_pending(
        &self,
        buffer: &HostBuffer,
        offset: usize,
        len: usize,
    ) -> Result<Pending<Vec<u8>, CudaError>, CudaError> {
        self.assert_not_capturing();
        Ok(Pending::ready(buffer.bytes()[offset..offset + len].to_vec()))
    }

    fn clear(&self, buffer: &mut HostBuffer) -> Result<(), CudaError> {
        self.log(|| format!("clear {} {}", self.address(buffer), buffer.len).into());
        buffer.bytes_mut().fill(0);
        Ok(())
    }

    fn copy(
        &self,
        from: &HostBuffer,
        from_offset: usize,
        to: &mut HostBuffer,
        to_offset: usize,
        len: usize,
    ) -> Result<(), CudaError> {
        let addresses = (self.address(from), self.address(to));
        self.log(|| format!("copy {addresses:?} {from_offset} {to_offset} {len}").into());
        let from = &from.bytes()[from_offset..from_offset + len];
        to.bytes_mut()[to_offset..to_offset + len].copy_from_slice(from);
        Ok(())
    }

    fn matmul(
        &self,
        shape: &MatmulShape,
        left: &DeviceMatrix<'_, HostBuffer>,
        right: &DeviceMatrix<'_, HostBuffer>,
        out: &DeviceMatrix<'_, HostBuffer>,
    ) -> Result<(), CudaError> {
        self.log(|| format!("matmul {shape:?} {left:?} {right:?} {out:?}").into());
        let &MatmulShape { rows, columns, inner, count } = shape;
        let check = |matrix: &DeviceMatrix<'_, HostBuffer>, required_len: usize| {
            assert!(4 * required_len <= matrix.buffer.len, "matrices are within their buffers");
        };
        check(left, left.required_len(rows, inner, count));
        check(right, right.required_len(inner, columns, count));
        check(out, out.required_len(rows, columns, count));
        let index = |matrix: &DeviceMatrix<'_, HostBuffer>, n: usize, row: usize, column: usize| {
            let (row, column) = if matrix.is_transposed { (column, row) } else { (row, column) };
            matrix.offset + n * matrix.matrix_stride + row * matrix.row_stride + column
        };
        for n in 0..count {
            let right_row =
                |term| (0..columns).map(move |column| right.buffer.get_f32(index(right, n, term, column)));
            let right: Vec<f32> = (0..inner).flat_map(right_row).collect();
            for row in 0..rows {
                let mut sums = vec![0.0; columns];
                for (term, right) in right.chunks_exact(columns).enumerate() {
                    let factor = left.buffer.get_f32(index(left, n, row, term));
                    sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += factor * right);
                }
                for (column, sum) in sums.into_iter().enumerate() {
                    out.buffer.set_f32(index(out, n, row, column), sum);
                }
            }
        }
        Ok(())
    }

    fn launch_graph(
        &self,
        graph: &mut Option<LaunchLog>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        *self.launch_log.borrow_mut() = Some(LaunchLog::new());
        let launched = launches();
        let log = self.launch_log.take();
        launched?;
        assert!(graph.is_none() || *graph == log, "a graph's launches are the same each time");
        *graph = log;
        Ok(())
    }

    fn record_event(&self, event: &mut Option<Instant>) -> Result<(), CudaError> {
        *event = Some(Instant::now());
        Ok(())
    }

    fn elapsed_seconds(&self, start: &Instant, end: &Instant) -> Result<f64, CudaError> {
        Ok(end.duration_since(*start).as_secs_f64())
    }

    unsafe fn launch_kernel(
        &self,
        module: &HostModule,
        kernel: &'static str,
        blocks: usize,
        threads: u32,
        arguments: &[&[u8]],
    ) -> Result<(), CudaError> {
        self.log(|| {
            let arguments = arguments.concat();
            [format!("launch {kernel} {blocks} {threads}").into_bytes(), arguments].concat()
        });
        let KernelUnit { name: unit, source, options, library } = &*module.0;
        let mut library = library.lock().unwrap_or_else(PoisonError::into_inner);
        if library.is_none() {
            *library = Some(compile(source, options).map_err(|log| CudaError::Compile { unit, log })?);
        }
        let library = library.as_ref().expect("it was just compiled, if it was missing");
        let name = CString::new(kernel).expect("a kernel's name contains no zero byte");
        let mut aligned: Vec<Vec<u64>> = arguments.iter().map(|bytes| words_of(bytes)).collect();
        let mut pointers: Vec<*mut c_void> = aligned.iter_mut().map(|words| words.as_mut_ptr().cast()).collect();
        let blocks = c_uint::try_from(blocks).expect("tests launch few blocks");
        // SAFETY: `host/cuda.h` defines the function with this type; the caller guarantees the kernel's arguments.
        let is_known = unsafe {
            let launch = library.get::<LaunchFunction>(b"recsim_launch").expect("`host/cuda.h` defines it");
            launch(name.as_ptr(), blocks, threads, pointers.as_mut_ptr(), c_int::from(self.is_reversed))
        };
        assert!(is_known != 0, "the unit has a kernel `{kernel}`");
        Ok(())
    }
}

impl HostBuffer {
    fn get_f32(&self, index: usize) -> f32 {
        let word = self.words[index / 2].get();
        f32::from_bits((word >> (32 * (index % 2))) as u32)
    }

    fn set_f32(&self, index: usize, value: f32) {
        let (cell, shift) = (&self.words[index / 2], 32 * (index % 2));
        cell.set(cell.get() & !(0xffff_ffff << shift) | u64::from(value.to_bits()) << shift);
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the words have at least `len` bytes, and all bytes are initialized.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; every byte pattern is a valid word.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.len) }
    }
}

/// The bytes in words, which are aligned for every type of argument.
fn words_of(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

/// Compiles `source` to a library. Returns the compiler's messages if it fails.
fn compile(source: &str, options: &[String]) -> Result<Library, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let [header, kernels, library] = ["cuda.h", "kernels.cpp", "kernels.so"].map(|name| folder.path().join(name));
    std::fs::write(&header, include_str!("../../host/cuda.h")).map_err(|error| error.to_string())?;
    std::fs::write(&kernels, source).map_err(|error| error.to_string())?;
    let mut compiler = compiler();
    compiler.args(["-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
    // IEEE arithmetic as written, like NVRTC's `--fmad=false`.
    compiler.args(["-ffp-contract=off", "-fno-fast-math"]);
    // A fortified `longjmp` rejects jumps between the stacks of fibers.
    compiler.arg("-U_FORTIFY_SOURCE").args(options);
    compiler.arg("-include").arg(&header).arg(&kernels).arg("-o").arg(&library);
    let output = compiler.output().map_err(|error| format!("the C++ compiler does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // SAFETY: loading runs the registrations of the kernels, which only fill a map.
    unsafe { Library::new(&library) }.map_err(|error| error.to_string())
}
