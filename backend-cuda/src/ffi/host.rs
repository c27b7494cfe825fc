//! The kernels on the host: the same sources, compiled by a C++ compiler against `host/cuda.h`, which runs a block's
//! threads in lockstep. Slow, and everything is checked but what only a GPU can show.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libloading::Library;
use recsim_core::backend::Pending;

use super::{Machine, Matrix, Product};
use crate::CudaError;

/// The host as a machine.
#[derive(Debug)]
pub struct Host {
    /// Whether a block's threads, and blocks, take turns from the last to the first: a missing barrier then shows.
    backwards: bool,
    /// Blocks it says it runs at a time: into how many a search is divided.
    blocks: usize,
    /// What is launched, with its arguments, while it is to be repeated later.
    journal: RefCell<Option<Journal>>,
}

type Journal = Vec<Vec<u8>>;

impl Host {
    /// The host, in this order and with so many blocks.
    pub fn new(backwards: bool, blocks: usize) -> Self {
        Self { backwards, blocks, journal: RefCell::new(None) }
    }

    fn journal(&self, call: impl FnOnce() -> Vec<u8>) {
        if let Some(journal) = &mut *self.journal.borrow_mut() {
            journal.push(call());
        }
    }

    /// What repeats itself on a device may not ask the host.
    fn is_asked(&self) {
        assert!(self.journal.borrow().is_none(), "what is recorded touches no memory of the host's");
    }

    /// Whether there is a C++ compiler: `c++`, or what the variable `CXX` names.
    pub fn is_available() -> bool {
        compiler().arg("--version").output().is_ok_and(|output| output.status.success())
    }
}

fn compiler() -> Command {
    Command::new(std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned()))
}

/// A table on the host.
pub struct Memory {
    words: Vec<Cell<u64>>,
    bytes: usize,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:p}", self.bytes, self.words.as_ptr())
    }
}

/// A unit of kernels.
#[derive(Debug)]
pub struct Module(Arc<Unit>);

#[derive(Debug)]
struct Unit {
    name: &'static str,
    source: String,
    options: Vec<String>,
    /// Compiled when a kernel is launched first. The kernels' shared memory is the library's own, and one block runs at a
    /// time: whoever launches holds the lock.
    library: Mutex<Option<Library>>,
}

/// By name and options: a unit that is compiled is kept for whoever asks for the same.
type Units = HashMap<(&'static str, Vec<String>), Arc<Unit>>;
type Launch = unsafe extern "C" fn(*const c_char, c_uint, c_uint, *mut *mut c_void, c_int) -> c_int;

impl Machine for Host {
    type Memory = Memory;
    type Module = Module;
    type Sequence = Journal;
    type Mark = Instant;

    fn blocks(&self) -> usize {
        self.blocks
    }

    fn tile(&self) -> usize {
        // Small, so that tests have several of them, and one that is not full.
        16
    }

    fn module(&self, unit: &'static str, source: &str, constants: &[(&str, usize)]) -> Result<Module, CudaError> {
        static UNITS: Mutex<Option<Units>> = Mutex::new(None);
        let options: Vec<String> = constants.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
        let mut units = UNITS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = units.get_or_insert_default().entry((unit, options.clone())).or_insert_with(|| {
            Arc::new(Unit { name: unit, source: source.to_owned(), options, library: Mutex::new(None) })
        });
        Ok(Module(Arc::clone(found)))
    }

    fn zeros(&self, _table: &'static str, bytes: usize) -> Result<Memory, CudaError> {
        Ok(Memory { words: vec![Cell::new(0); bytes.div_ceil(8)], bytes })
    }

    fn length(&self, memory: &Memory) -> usize {
        memory.bytes
    }

    fn address(&self, memory: &Memory) -> u64 {
        memory.words.as_ptr() as u64
    }

    fn write(&self, memory: &mut Memory, bytes: &[u8]) -> Result<(), CudaError> {
        self.is_asked();
        memory.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, memory: &Memory, first: usize, bytes: &mut [u8]) -> Result<(), CudaError> {
        self.is_asked();
        bytes.copy_from_slice(&memory.bytes()[first..first + bytes.len()]);
        Ok(())
    }

    fn fetch(&self, memory: &Memory, first: usize, bytes: usize) -> Result<Pending<Vec<u8>, CudaError>, CudaError> {
        self.is_asked();
        Ok(Pending::ready(memory.bytes()[first..first + bytes].to_vec()))
    }

    fn clear(&self, memory: &mut Memory) -> Result<(), CudaError> {
        self.journal(|| format!("clear {} {}", self.address(memory), memory.bytes).into());
        memory.bytes_mut().fill(0);
        Ok(())
    }

    fn copy(
        &self,
        from: &Memory,
        first: usize,
        to: &mut Memory,
        place: usize,
        bytes: usize,
    ) -> Result<(), CudaError> {
        let tables = (self.address(from), self.address(to));
        self.journal(|| format!("copy {tables:?} {first} {place} {bytes}").into());
        to.bytes_mut()[place..place + bytes].copy_from_slice(&from.bytes()[first..first + bytes]);
        Ok(())
    }

    fn multiply(
        &self,
        product: &Product,
        left: &Matrix<'_, Memory>,
        right: &Matrix<'_, Memory>,
        out: &Matrix<'_, Memory>,
    ) -> Result<(), CudaError> {
        self.journal(|| format!("multiply {product:?} {left:?} {right:?} {out:?}").into());
        let &Product { rows, columns, terms, count } = product;
        let fits = |matrix: &Matrix<'_, Memory>, end: usize| assert!(4 * end <= matrix.table.bytes, "a table ends");
        fits(left, left.end(rows, terms, count));
        fits(right, right.end(terms, columns, count));
        fits(out, out.end(rows, columns, count));
        let number = |matrix: &Matrix<'_, Memory>, n: usize, row: usize, column: usize| {
            let (row, column) = if matrix.turned { (column, row) } else { (row, column) };
            matrix.first + n * matrix.apart + row * matrix.row + column
        };
        for n in 0..count {
            let row_of_right =
                |term| (0..columns).map(move |column| right.table.number(number(right, n, term, column)));
            let right: Vec<f32> = (0..terms).flat_map(row_of_right).collect();
            for row in 0..rows {
                let mut sums = vec![0.0; columns];
                for (term, right) in right.chunks_exact(columns).enumerate() {
                    let factor = left.table.number(number(left, n, row, term));
                    sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += factor * right);
                }
                for (column, sum) in sums.into_iter().enumerate() {
                    out.table.set_number(number(out, n, row, column), sum);
                }
            }
        }
        Ok(())
    }

    fn repeat(
        &self,
        kept: &mut Option<Journal>,
        launches: &mut dyn FnMut() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        *self.journal.borrow_mut() = Some(Journal::new());
        let launched = launches();
        let journal = self.journal.take();
        launched?;
        assert!(kept.is_none() || *kept == journal, "what is repeated is the same each time");
        *kept = journal;
        Ok(())
    }

    fn mark(&self, kept: &mut Option<Instant>) -> Result<(), CudaError> {
        *kept = Some(Instant::now());
        Ok(())
    }

    fn between(&self, from: &Instant, to: &Instant) -> Result<f64, CudaError> {
        Ok(to.duration_since(*from).as_secs_f64())
    }

    unsafe fn launch(
        &self,
        module: &Module,
        kernel: &'static str,
        blocks: usize,
        threads: u32,
        arguments: &[&[u8]],
    ) -> Result<(), CudaError> {
        self.journal(|| {
            let arguments = arguments.concat();
            [format!("launch {kernel} {blocks} {threads}").into_bytes(), arguments].concat()
        });
        let Unit { name: unit, source, options, library } = &*module.0;
        let mut library = library.lock().unwrap_or_else(PoisonError::into_inner);
        if library.is_none() {
            *library = Some(compile(source, options).map_err(|log| CudaError::Compile { unit, log })?);
        }
        let library = library.as_ref().expect("it has been compiled, if it was not");
        let name = CString::new(kernel).expect("a kernel's name has no zero in it");
        let mut aligned: Vec<Vec<u64>> = arguments.iter().map(|bytes| words_of(bytes)).collect();
        let mut pointers: Vec<*mut c_void> = aligned.iter_mut().map(|words| words.as_mut_ptr().cast()).collect();
        let blocks = c_uint::try_from(blocks).expect("no test launches so many blocks");
        // SAFETY: `host/cuda.h` defines the function so; the caller answers for the kernel's arguments.
        let found = unsafe {
            let launch = library.get::<Launch>(b"recsim_launch").expect("`host/cuda.h` defines it");
            launch(name.as_ptr(), blocks, threads, pointers.as_mut_ptr(), c_int::from(self.backwards))
        };
        assert!(found != 0, "there is a kernel `{kernel}`");
        Ok(())
    }
}

impl Memory {
    fn number(&self, place: usize) -> f32 {
        let word = self.words[place / 2].get();
        f32::from_bits((word >> (32 * (place % 2))) as u32)
    }

    fn set_number(&self, place: usize, number: f32) {
        let (cell, shift) = (&self.words[place / 2], 32 * (place % 2));
        cell.set(cell.get() & !(0xffff_ffff << shift) | u64::from(number.to_bits()) << shift);
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the words are as many bytes, or a few more, and any bytes are bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.bytes) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; any bytes are words.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.bytes) }
    }
}

/// Bytes in words, so that they are aligned.
fn words_of(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

/// The library of `source`, or what went wrong.
fn compile(source: &str, options: &[String]) -> Result<Library, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let [header, kernels, library] = ["cuda.h", "kernels.cpp", "kernels.so"].map(|name| folder.path().join(name));
    std::fs::write(&header, include_str!("../../host/cuda.h")).map_err(|error| error.to_string())?;
    std::fs::write(&kernels, source).map_err(|error| error.to_string())?;
    let mut compiler = compiler();
    compiler.args(["-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
    // IEEE arithmetic as written, like NVRTC's fmad=false.
    compiler.args(["-ffp-contract=off", "-fno-fast-math"]);
    // Fibers jump from stack to stack, which a check of jumps would take for a fault.
    compiler.arg("-U_FORTIFY_SOURCE").args(options);
    compiler.arg("-include").arg(&header).arg(&kernels).arg("-o").arg(&library);
    let output = compiler.output().map_err(|error| format!("a C++ compiler is needed: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // SAFETY: loading runs the registrations of the kernels, which only fill a table.
    unsafe { Library::new(&library) }.map_err(|error| error.to_string())
}
