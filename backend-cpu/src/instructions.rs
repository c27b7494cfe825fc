//! Instructions for which there are no safe words yet: products of bytes in vectors, and products of tiles.
//!
//! A value of a type here proves that the machine has what its methods need. The backend's `unsafe` code is here and in
//! `gemm`.
#![allow(unsafe_code, reason = "instructions without safe words")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_dpbusd_epi32};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::block::{Block, SIDE, Sums, TWO};

pulp::simd_type! {
    /// AVX-512 with products of bytes that are added up in words.
    pub(crate) struct Vnni {
        pub sse: "sse",
        pub sse2: "sse2",
        pub fxsr: "fxsr",
        pub sse3: "sse3",
        pub ssse3: "ssse3",
        pub sse4_1: "sse4.1",
        pub sse4_2: "sse4.2",
        pub popcnt: "popcnt",
        pub avx: "avx",
        pub avx2: "avx2",
        pub bmi1: "bmi1",
        pub bmi2: "bmi2",
        pub fma: "fma",
        pub lzcnt: "lzcnt",
        pub avx512f: "avx512f",
        pub avx512bw: "avx512bw",
        pub avx512cd: "avx512cd",
        pub avx512dq: "avx512dq",
        pub avx512vl: "avx512vl",
        pub avx512vnni: "avx512vnni",
    }
}

impl Vnni {
    /// Adds to each of `sums`' words the products of four unsigned by four signed bytes.
    #[inline(always)]
    pub(crate) fn multiply_add(self, unsigned: __m512i, signed: __m512i, sums: __m512i) -> __m512i {
        // SAFETY: `self` proves that the machine has the instruction.
        unsafe { _mm512_dpbusd_epi32(sums, unsigned, signed) }
    }
}

/// Has the first 32 of some numbers brought near.
#[inline(always)]
pub(crate) fn fetch(numbers: &[f32]) {
    for line in 0..2 {
        // SAFETY: every x86-64 processor has the instruction, and it may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(numbers.as_ptr().wrapping_add(16 * line).cast()) };
    }
}

/// Proves that there are tiles of bytes and of bfloat16, and that this process may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles(());

impl Tiles {
    /// None where the machine has no such tiles, or the system does not let them be used.
    pub(crate) fn try_new() -> Option<Self> {
        static MAY: OnceLock<bool> = OnceLock::new();
        MAY.get_or_init(|| has_tiles() && may_use_tiles()).then_some(Self(()))
    }

    /// Sets up this thread's tiles for as long as the value lives.
    ///
    /// # Panics
    /// If they are set up already.
    pub(crate) fn set_up(self) -> Set {
        assert!(!IS_SET.replace(true), "a thread's tiles are set up once at a time");
        /// All eight tiles have 16 rows of 64 bytes.
        #[repr(C, align(64))]
        struct Shapes {
            palette: u8,
            start: u8,
            reserved: [u8; 14],
            bytes: [u16; 16],
            rows: [u8; 16],
        }
        let (mut bytes, mut rows) = ([0; 16], [0; 16]);
        bytes[..8].fill(4 * SIDE as u16);
        rows[..8].fill(SIDE as u8);
        let shapes = Shapes { palette: 1, start: 0, reserved: [0; 14], bytes, rows };
        const { assert!(size_of::<Shapes>() == 64) };
        // SAFETY: `self` proves that the machine has the instruction and the process may use it; it reads 64 bytes, which
        // are there, and changes this thread's tiles alone, in which the compiler keeps nothing.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, preserves_flags, readonly)) };
        Set(PhantomData)
    }
}

thread_local! {
    static IS_SET: Cell<bool> = const { Cell::new(false) };
}

/// This thread's tiles, set up. It cannot go to another thread.
#[derive(Debug)]
pub(crate) struct Set(PhantomData<*const ()>);

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: as there is a `Set`, this thread may use tiles; nothing is kept in them.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
        IS_SET.set(false);
    }
}

impl Set {
    /// Products of 32 rows of bytes by 32 columns, `words` words (of four bytes) long, a multiple of 16. A row's words lie one
    /// after the other, its columns' side by side: `rows` is `[32, W]`, `columns` `[words, 32]`. What they are added to,
    /// for every row, is `begin`, or 0.
    #[inline(always)]
    pub(crate) fn products<const W: usize>(
        &self,
        rows: &[[u32; W]; TWO],
        columns: &[[u32; TWO]],
        begin: Option<&[u32; TWO]>,
        products: &mut [[__m512i; 2]; TWO],
    ) {
        let words = columns.len();
        assert!(words > 0 && words.is_multiple_of(SIDE) && words <= W, "whole tiles");
        let begin = begin.map_or(std::ptr::null(), |begin| begin.as_ptr());
        // What follows, which is probably what comes next, is brought near meanwhile.
        let next = columns.as_ptr_range().end.cast::<i8>();
        for line in 0..2 * (words + 1) {
            // SAFETY: every x86-64 processor has the instruction, and it may be given any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(next.wrapping_byte_add(64 * line)) };
        }
        // SAFETY: as there is a `Set`, this thread's tiles are set up, 16 rows of 64 bytes, and the compiler keeps nothing in
        // them. Loads of `begin`, each row 0 bytes from the one before, read the first half of its 128 bytes and the
        // second; there are none if there is no `begin`. A load of rows reads 64 bytes of each of 16, 4 W from each
        // other; in the last turn, up to byte 4 words <= 4 W of the last row. One of columns reads 64 bytes of each of 16
        // rows of 128, `words` rows in all turns. A store writes 64 bytes of each of 16 rows of 128: the four together
        // all of the 32.
        unsafe {
            asm!(
                "test {begin}, {begin}",
                "jz 2f",
                "tileloadd tmm0, [{begin} + {none}]",
                "tileloadd tmm1, [{begin} + {none} + 64]",
                "tileloadd tmm2, [{begin} + {none}]",
                "tileloadd tmm3, [{begin} + {none} + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{rows} + {row}]",
                "tileloadd tmm5, [{lower} + {row}]",
                "tileloadd tmm6, [{columns} + {line}]",
                "tileloadd tmm7, [{columns} + {line} + 64]",
                "tdpbssd tmm0, tmm4, tmm6",
                "tdpbssd tmm1, tmm4, tmm7",
                "tdpbssd tmm2, tmm5, tmm6",
                "tdpbssd tmm3, tmm5, tmm7",
                "add {rows}, 64",
                "add {lower}, 64",
                "add {columns}, 2048",
                "dec {turns}",
                "jnz 3b",
                "tilestored [{products} + {line}], tmm0",
                "tilestored [{products} + {line} + 64], tmm1",
                "tilestored [{products} + {line} + 2048], tmm2",
                "tilestored [{products} + {line} + 2112], tmm3",
                begin = in(reg) begin,
                none = in(reg) 0_usize,
                rows = inout(reg) rows.as_ptr() => _,
                lower = inout(reg) rows[SIDE..].as_ptr() => _,
                row = in(reg) 4 * W,
                columns = inout(reg) columns.as_ptr() => _,
                line = in(reg) 4 * TWO,
                turns = inout(reg) words / SIDE => _,
                products = in(reg) products,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Set {
    /// The sum of the products of `left`'s blocks with `right`'s. Of the nine products of parts the three smallest are left out; the
    /// others are added from the smallest on, block by block.
    #[inline(always)]
    pub(crate) fn multiply(&self, left: &[Block], right: &[Block], sums: &mut Sums) {
        assert!(!left.is_empty() && left.len() == right.len(), "as many blocks on either side");
        const { assert!(size_of::<Block>() == 6144 && size_of::<Sums>() == 4096) };
        // SAFETY: as there is a `Set`, this thread's tiles are set up, 16 rows of 64 bytes, and the compiler keeps nothing in
        // them. A load reads the 1024 bytes of one of the six tiles of a block; both sides have as many blocks as there are
        // turns. A store writes 64 bytes of each of 16 rows of 128: the four together all of the 32.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                // Third part by first.
                "tileloadd tmm4, [{left} + {row} + 4096]",
                "tileloadd tmm6, [{right} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {row} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {row} + 5120]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // Second by first.
                "tileloadd tmm4, [{left} + {row} + 2048]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {row} + 3072]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // Second by second.
                "tileloadd tmm6, [{right} + {row} + 2048]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {row} + 3072]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // First by second.
                "tileloadd tmm4, [{left} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {row} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // First by third.
                "tileloadd tmm6, [{right} + {row} + 4096]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {row} + 5120]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // First by first.
                "tileloadd tmm6, [{right} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tileloadd tmm7, [{right} + {row} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 6144",
                "add {right}, 6144",
                "dec {turns}",
                "jnz 2b",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 64], tmm1",
                "tilestored [{sums} + {line} + 2048], tmm2",
                "tilestored [{sums} + {line} + 2112], tmm3",
                left = inout(reg) left.as_ptr() => _,
                right = inout(reg) right.as_ptr() => _,
                row = in(reg) 64_usize,
                turns = inout(reg) left.len() => _,
                sums = in(reg) sums,
                line = in(reg) 4 * TWO,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// Whether the processor has tiles, and products of them.
fn has_tiles() -> bool {
    // There are tiles, and products of them for bytes and for bfloat16.
    let needed = 1 << 24 | 1 << 25 | 1 << 22;
    // SAFETY: every processor of 64 bits has the instruction.
    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    unsafe {
        __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & needed == needed
    }
}

/// Asks the system for leave to use tiles: it must make room for them where it keeps what threads have in registers. From then
/// on a stack for signals must have room for them too (a thread of Rust's own has).
#[cfg(target_os = "linux")]
fn may_use_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers, and changes no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn may_use_tiles() -> bool {
    false
}
